//! Commands that need no server and no data folder: `strongroom verify-bundle` and `strongroom scan`.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use attest::evidence::{self, EVIDENCE_BYTES_MAX, LogCheck};
use attest::policy::{SignerPolicy, TrustedKey};
use audit::note::VerifierKey;
use clap::Args;
use kernel::{Clock, Problem, SystemClock};

use crate::receipts::in_a_log;

/// The worker's program, beside this one: files of strangers are read in it, confined.
const WORKER: &str = "strongroom-inspect";
/// Exit code for evidence that does not hold.
const DOES_NOT_HOLD: u8 = 3;

/// Check a model's evidence file without a server, with keys that you trust.
#[derive(Args)]
#[command(after_help = "Example:
  strongroom model paper churn/3 --paper evidence.json --to churn-3.json
  strongroom verify-bundle churn-3.json --key signing-key.pem --log-key audit.vkey

Exit codes: 0 everything holds, 3 something does not or could not be checked, 2 the file cannot be read.")]
pub struct VerifyBundle {
    /// The evidence file.
    file: PathBuf,
    /// A public key that you trust (PEM), got from its owner and not from the file; may be repeated.
    #[arg(long = "key", value_name = "PEM", required = true)]
    keys: Vec<PathBuf>,
    /// A verifier key of the audit log that you trust, or a file with it (the server keeps it as `audit.vkey`): receipts are checked
    /// by it; may be repeated.
    #[arg(long = "log-key", value_name = "KEY_OR_FILE")]
    log_keys: Vec<String>,
    /// Print as JSON.
    #[arg(long)]
    json: bool,
}

impl VerifyBundle {
    pub(super) fn run(self) -> Result<ExitCode, Problem> {
        let mut policy = SignerPolicy::default();
        for path in &self.keys {
            let public_key = String::from_utf8(read(path, 64 * 1024)?).map_err(|_| Problem::invalid("a key is text (PEM)"))?;
            policy.keys.push(TrustedKey { name: path.display().to_string(), public_key });
        }
        let refused = |error: attest::AttestError| Problem::invalid(error.to_string());
        let trust = policy.trust(None).map_err(refused)?;
        let bytes = read(&self.file, EVIDENCE_BYTES_MAX as u64)?;
        let log_keys = self.log_keys.iter().map(|key| log_key(key)).collect::<Result<Vec<_>, _>>()?;
        let in_the_log = |receipt: &str, record: &[u8]| in_a_log(&log_keys, receipt, record);
        let log: Option<LogCheck<'_>> = if log_keys.is_empty() { None } else { Some(&in_the_log) };
        let report = evidence::verify(&bytes, &trust, SystemClock.now(), log).map_err(refused)?;
        if self.json {
            let text = serde_json::to_string(&report).map_err(|e| Problem::internal("the result cannot be written", e))?;
            crate::say!("{text}");
        } else {
            crate::say!("{report}");
        }
        Ok(if report.holds() { ExitCode::SUCCESS } else { ExitCode::from(DOES_NOT_HOLD) })
    }
}

/// A verifier key of a log, or the one in a file.
fn log_key(text: &str) -> Result<VerifierKey, Problem> {
    let path = Path::new(text);
    let text = if path.is_file() { String::from_utf8_lossy(&read(path, 64 * 1024)?).into_owned() } else { text.to_owned() };
    VerifierKey::parse(text.trim()).map_err(|error| Problem::invalid(format!("this is no verifier key of a log: {error}")))
}

pub(super) fn read(path: &Path, bytes_max: u64) -> Result<Vec<u8>, Problem> {
    let shown = path.display();
    let cannot = |error: std::io::Error| Problem::invalid(format!("`{shown}` cannot be read: {error}"));
    if std::fs::metadata(path).map_err(cannot)?.len() > bytes_max {
        return Err(Problem::invalid(format!("`{shown}` is larger than {bytes_max} bytes")));
    }
    std::fs::read(path).map_err(cannot)
}

/// Scan model files: what would loading them do?
#[derive(Args)]
#[command(
    disable_help_flag = true,
    after_help = "The words are those of `strongroom-inspect scan`; `strongroom scan --help` shows them."
)]
pub struct Scan {
    /// Files and folders, and how to print.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    words: Vec<std::ffi::OsString>,
}

impl Scan {
    pub(super) fn run(self) -> Result<ExitCode, Problem> {
        let own = std::env::current_exe().map_err(|e| Problem::internal("this program's own path is unknown", e))?;
        let worker = own.parent().unwrap_or(Path::new("/")).join(WORKER);
        let status = Command::new(&worker).arg("scan").args(self.words).status().map_err(|error| {
            Problem::invalid(format!("`{}` cannot be run: {error}; install it beside this program", worker.display()))
        })?;
        // Ended by a signal: nothing was judged.
        Ok(ExitCode::from(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(2)))
    }
}
