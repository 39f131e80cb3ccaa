//! `strongroom audit …` and `strongroom witness`.

use std::path::PathBuf;
use std::process::ExitCode;

use audit::note::VerifierKey;
use audit::proof::TlogProof;
use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::json;

use super::client::Connection;
use super::forensics::{BlastRadius, CheckEvidence, Timeline};
use super::output::{list_at_most, segment};
use super::recover::Recover;

const PREFIX: &str = "/api/strongroom/v1/audit";

/// Search, prove, verify and export the log.
#[derive(Subcommand)]
pub enum Audit {
    /// Check every record, tile and checkpoint against the signed root. Reads the files; needs no server and no token.
    Verify(Verify),
    /// Go on from a log that does not verify, after everything else was tried. It leaves a record.
    Recover(Recover),
    /// Find records: by who, what, when, outcome.
    Search(Search),
    /// Give a record and a proof (c2sp.org/tlog-proof) that it is in the log. Without --out the proof goes to stdout and the
    /// record to stderr.
    Prove(Prove),
    /// Check a proof and its record against the log's verifier key. Needs no server.
    CheckProof(CheckProof),
    /// Print the newest signed checkpoint.
    Checkpoint(Plain),
    /// Print what somebody did, in order: each act with how it ended.
    Timeline(Timeline),
    /// Print what somebody touched, what descends from it down to the endpoints that answer with it, and what to do.
    BlastRadius(BlastRadius),
    /// Check a file of `blast-radius --bundle` against the log's verifier key. Needs no server.
    CheckEvidence(CheckEvidence),
    /// Print records as OCSF JSON lines, oldest first, for a SIEM.
    Export(Export),
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `audit verify`.
#[derive(Args)]
#[command(after_help = "It reads the folder and needs no server. It ends with 0 if everything holds, and says what does not.
Examples:
  strongroom audit verify --data ./data
  strongroom audit verify --data ./data --vkey \"$(cat strongroom.vkey)\" --json")]
pub struct Verify {
    /// The data folder.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: PathBuf,
    /// A configuration file, instead of DIR/strongroom.toml.
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// The log's verifier key as you know it; without it, the one in the folder is used, which proves less.
    #[arg(long, value_name = "VKEY")]
    vkey: Option<String>,
    /// Check the log alone: neither the database's rows nor the stored objects are opened.
    #[arg(long)]
    log_only: bool,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// What to search for.
#[derive(Args)]
pub struct Filter {
    /// A principal's id.
    #[arg(long)]
    who: Option<String>,
    /// A verb or a pattern, such as `runs.*`; several with commas between them.
    #[arg(long)]
    what: Option<String>,
    /// From this time on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
    /// done, failed, aborted or refused.
    #[arg(long)]
    outcome: Option<String>,
    /// The id of a run, experiment, model …
    #[arg(long)]
    resource: Option<String>,
    /// The id of a prediction.
    #[arg(long, value_name = "ID")]
    prediction: Option<String>,
}

impl Filter {
    fn query(&self) -> String {
        let pairs = [
            ("who", &self.who),
            ("what", &self.what),
            ("since", &self.since),
            ("until", &self.until),
            ("outcome", &self.outcome),
            ("resource", &self.resource),
            ("prediction", &self.prediction),
        ];
        let given = pairs.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", segment(value))));
        given.collect::<Vec<_>>().join("&")
    }
}

/// Options of `audit search`.
#[derive(Args)]
pub struct Search {
    #[command(flatten)]
    filter: Filter,
    /// At most this many, the newest first; 0 for all.
    #[arg(long, default_value_t = 50)]
    rows: usize,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `audit export`.
#[derive(Args)]
pub struct Export {
    #[command(flatten)]
    filter: Filter,
    /// From this index on.
    #[arg(long, value_name = "INDEX", default_value_t = 0)]
    from: u64,
    /// Before this index; the end of the log if not given.
    #[arg(long, value_name = "INDEX")]
    to: Option<u64>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `audit prove`.
#[derive(Args)]
pub struct Prove {
    /// The record's index, or the id that an answer or a search showed.
    record: String,
    /// Write `INDEX.tlog-proof` and `INDEX.json`, the record's exact bytes, into this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `audit check-proof`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom audit check-proof 7.tlog-proof 7.json --vkey \"$(cat audit.vkey)\"")]
pub struct CheckProof {
    /// The file with the proof.
    proof: PathBuf,
    /// The file with the record's exact bytes.
    record: PathBuf,
    /// The log's verifier key.
    #[arg(long, value_name = "VKEY")]
    vkey: String,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

impl Audit {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        match self {
            Self::Verify(verify) => return verify.run().await,
            Self::Recover(recover) => recover.run().await?,
            Self::Search(search) => search.run().await?,
            Self::Prove(prove) => prove.run().await?,
            Self::CheckProof(check) => return check.run(),
            Self::Checkpoint(plain) => {
                let mut client = plain.connection.open().await?;
                crate::say!("{}", client.get_text(&format!("{PREFIX}/checkpoint")).await?.body);
            }
            Self::Export(export) => export.run().await?,
            Self::Timeline(timeline) => timeline.run().await?,
            Self::BlastRadius(radius) => radius.run().await?,
            Self::CheckEvidence(check) => return check.run(),
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Search {
    async fn run(self) -> Result<(), Problem> {
        const COLUMNS: [&str; 7] = ["index", "at_text", "who", "action", "kind", "status", "resource"];
        let mut client = self.connection.open().await?;
        let path = format!("{PREFIX}/records?{}", self.filter.query());
        let rows_max = if self.rows == 0 { usize::MAX } else { self.rows };
        list_at_most(&mut client, &path, "records", &COLUMNS, rows_max).await
    }
}

impl Export {
    /// Prints page after page: an export may be larger than memory.
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let mut from = self.from;
        let filter = self.filter.query();
        loop {
            let mut path = format!("{PREFIX}/export?{filter}&from={from}");
            if let Some(to) = self.to {
                path.push_str(&format!("&to={to}"));
            }
            let page = client.get_text(&path).await?;
            if !page.body.is_empty() {
                crate::say!("{}", page.body);
            }
            let Some(next) = page.header("x-strongroom-next") else { return Ok(()) };
            let next = std::str::from_utf8(next).ok().and_then(|next| next.parse().ok()).filter(|next| *next > from);
            from = next.ok_or_else(|| Problem::internal("the server does not say where the export goes on", ""))?;
        }
    }
}

impl Prove {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let answer = client.get_text(&format!("{PREFIX}/proof/{}", segment(&self.record))).await?;
        let missing = || Problem::internal("the server gave a proof without its record", "");
        let record = answer.header("x-strongroom-record").ok_or_else(missing)?.to_vec();
        let key = String::from_utf8_lossy(answer.header("x-strongroom-verifier-key").unwrap_or_default()).into_owned();
        // What was handed out is checked before it is kept: a damaged way is found now and not when it is needed.
        let proof = TlogProof::parse(&answer.body)?;
        proof.check(&record, &VerifierKey::parse(&key)?)?;
        let text = String::from_utf8_lossy(&record);
        if let Some(dir) = &self.out {
            let file = |end: &str| dir.join(format!("{}.{end}", proof.index));
            for (path, bytes) in [(file("tlog-proof"), answer.body.as_bytes()), (file("json"), record.as_slice())] {
                std::fs::write(&path, bytes).map_err(|error| crate::tls::file_problem(&path, error))?;
                if !client.json {
                    crate::say!("wrote {}", path.display());
                }
            }
        }
        if client.json {
            let said = json!({"index": proof.index, "record": text, "proof": answer.body, "verifier_key": key});
            crate::say!("{said}");
        } else if self.out.is_none() {
            crate::say!("{}", answer.body);
            // Not to stdout, so that what is sent to a file is the proof alone.
            eprintln!("{text}");
        }
        Ok(())
    }
}

impl CheckProof {
    fn run(self) -> Result<ExitCode, Problem> {
        let read = |path: &PathBuf| std::fs::read(path).map_err(|error| crate::tls::file_problem(path, error));
        let key = VerifierKey::parse(self.vkey.trim())?;
        let receipt = String::from_utf8_lossy(&read(&self.proof)?).into_owned();
        let record = read(&self.record)?;
        let checked = TlogProof::parse(&receipt).and_then(|proof| Ok((proof.index, proof.check(&record, &key)?)));
        let (code, said, text) = match checked {
            Ok((index, checkpoint)) => (
                ExitCode::SUCCESS,
                json!({"ok": true, "index": index, "origin": checkpoint.origin, "size": checkpoint.size}),
                format!("holds: the record has index {index} in the log `{}` of {} records", checkpoint.origin, checkpoint.size),
            ),
            Err(error) => {
                (ExitCode::FAILURE, json!({"ok": false, "fault": error.to_string()}), format!("DOES NOT HOLD: {error}"))
            }
        };
        crate::say!("{}", if self.json { said.to_string() } else { text });
        Ok(code)
    }
}

/// Cosign the checkpoints of other servers' logs (C2SP tlog-witness). Nothing but `add-checkpoint` and what was cosigned is
/// answered; it holds no data of those servers.
#[derive(Args)]
#[command(
    after_help = "Example:\n  strongroom witness --dir ./witness --name witness.example --log \"$(cat vkey)\" --listen 127.0.0.1:9443"
)]
pub struct WitnessServer {
    /// Where it keeps its key and the newest checkpoint of each log.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Its name in cosignatures.
    #[arg(long)]
    name: String,
    /// The verifier key of a log that it knows; may be repeated.
    #[arg(long = "log", value_name = "VKEY")]
    logs: Vec<String>,
    /// Address and port.
    #[arg(long, default_value = "127.0.0.1:9443")]
    listen: String,
}

impl WitnessServer {
    pub(super) async fn run(self) -> Result<(), Problem> {
        crate::witness::serve(&self.dir, &self.name, &self.logs, &self.listen).await
    }
}

impl Verify {
    async fn run(self) -> Result<ExitCode, Problem> {
        let (file, key) = (self.config.as_deref(), self.vkey.as_deref());
        let (report, objects) = crate::verify::data_folder(&self.data, file, key, self.log_only, !self.json).await?;
        let ok = report.ok && objects.as_ref().is_none_or(|objects| objects.damaged_count == 0);
        if self.json {
            let objects = objects.map(|found| {
                json!({"checked_count": found.checked_count, "checked_bytes": found.checked_bytes,
                    "damaged_count": found.damaged_count, "damaged": found.damaged,
                        "destroyed_count": found.destroyed_count})
            });
            crate::say!("{}", json!({"ok": ok, "log": report, "objects": objects}));
        } else {
            crate::verify::print(&report, objects.as_ref());
        }
        Ok(if ok { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }
}
