//! `cargo xtask fuzz scan`: the differential test of `tests/clients/test_scan.py`, for as long as one wants.
//! `cargo xtask fuzz parsers`: every reader of ours with changed examples, each in a child with limits of memory and time.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::drill::value;
use crate::{python, shell};

/// An hour of one core.
const SCAN_SECONDS: &str = "3600";
/// For all readers together.
const PARSERS_SECONDS: u64 = 600;
/// Address space of a child; more is a fault.
const MEMORY_KIB: u64 = 1 << 20;
/// The stack of a child, that of a thread of the server.
const STACK_KIB: u64 = 2 << 10;
/// CPU time that a child may take beyond its own end, before it counts as hanging.
const GRACE_SECONDS: u64 = 30;
/// How often a reader may kill its child before its turn is over.
const DEATH_COUNT_MAX: usize = 10;

/// Runs it.
///
/// # Errors
/// If the words are wrong, or anything is found.
pub fn run(words: &[&str]) -> Result<(), String> {
    match words.first() {
        Some(&"scan") => scan(words),
        Some(&"parsers") => parsers(words),
        _ => Err("which fuzz? `scan` or `parsers`".to_owned()),
    }
}

/// CPython's unpickler against the scanner.
fn scan(words: &[&str]) -> Result<(), String> {
    let clients = shell::root().join("tests").join("clients");
    let python = python::environment("venv", &clients.join("requirements.txt"))?;
    shell::say("building the scanner");
    shell::cargo(&["build", "--quiet", "--release", "-p", "scan"])?;
    shell::run(
        Command::new(python)
            .args(["-m", "pytest", "-q", "-s", "--noconftest", "-k", "cpython", "-c"])
            .arg(clients.join("pytest.ini"))
            .arg(clients.join("test_scan.py"))
            .env("STRONGROOM_SCAN_BINARY", shell::target().join("release").join("strongroom-scan"))
            .env("STRONGROOM_SCAN_FUZZ_SECONDS", value(words, "--seconds").unwrap_or(SCAN_SECONDS))
            .env("STRONGROOM_SCAN_FUZZ_SEED", value(words, "--seed").unwrap_or("4")),
    )
}

/// One reader's turn.
struct Turn<'a> {
    program: &'a Path,
    name: &'a str,
    seed: &'a str,
    seconds: u64,
    progress: PathBuf,
    corpus: Option<&'a str>,
}

fn parsers(words: &[&str]) -> Result<(), String> {
    shell::say("building the fuzzer");
    shell::cargo(&["build", "--quiet", "--release", "-p", "fuzzing"])?;
    let program = shell::target().join("release").join("fuzz-parsers");
    let listed = shell::quiet(Command::new(&program).arg("list"))?;
    let wanted = value(words, "--targets");
    let names: Vec<&str> =
        listed.lines().filter(|name| wanted.is_none_or(|wanted| wanted.split(',').any(|one| one == *name))).collect();
    let seconds = value(words, "--seconds").and_then(|text| text.parse().ok()).unwrap_or(PARSERS_SECONDS);
    let folder = shell::work()?.join("fuzz");
    std::fs::create_dir_all(&folder).map_err(|error| format!("cannot make `{}`: {error}", folder.display()))?;
    let mut faults = 0;
    for name in &names {
        let turn = Turn {
            program: &program,
            name,
            seed: value(words, "--seed").unwrap_or("1"),
            seconds: (seconds / names.len().max(1) as u64).max(1),
            progress: folder.join(name),
            corpus: value(words, "--corpus"),
        };
        let (cases, found) = turn.take()?;
        shell::say(&format!("{name}: {cases} cases, {found} faults"));
        faults += found;
    }
    if faults == 0 { Ok(()) } else { Err(format!("{faults} faults; the files are in `{}`", folder.display())) }
}

impl Turn<'_> {
    /// Cases and faults.
    fn take(&self) -> Result<(u64, usize), String> {
        let begun = std::time::Instant::now();
        let (mut first, mut faults) = (0, 0);
        for _ in 0..DEATH_COUNT_MAX {
            let left = self.seconds.saturating_sub(begun.elapsed().as_secs());
            if left == 0 {
                break;
            }
            let output = self.child(first, left)?;
            for line in String::from_utf8_lossy(&output.stdout).lines() {
                let told: Value = serde_json::from_str(line).unwrap_or_default();
                if told.get("fault").is_some() {
                    faults += 1;
                    shell::say(&format!("{}: {told}", self.name));
                }
            }
            let place = self.place()?;
            if output.status.success() {
                return Ok((place + 1, faults));
            }
            faults += 1;
            let said = String::from_utf8_lossy(&output.stderr);
            let last = said.lines().last().unwrap_or_default();
            shell::say(&format!("{}: case {place} of seed {} ended it: {}: {last}", self.name, self.seed, output.status));
            first = place + 1;
        }
        Ok((first, faults))
    }

    fn child(&self, first: u64, seconds: u64) -> Result<std::process::Output, String> {
        let limits =
            format!("ulimit -v {MEMORY_KIB}; ulimit -s {STACK_KIB}; ulimit -t {}; exec \"$0\" \"$@\"", seconds + GRACE_SECONDS);
        let mut command = Command::new("sh");
        command.args(["-c", &limits]).arg(self.program).args([self.name, self.seed, &first.to_string(), &seconds.to_string()]);
        command.arg(&self.progress).args(self.corpus).stdin(Stdio::null());
        command.output().map_err(|error| format!("cannot run `{}`: {error}", self.program.display()))
    }

    /// The case that was begun last.
    fn place(&self) -> Result<u64, String> {
        let bytes =
            std::fs::read(&self.progress).map_err(|error| format!("cannot read `{}`: {error}", self.progress.display()))?;
        bytes.try_into().map(u64::from_le_bytes).map_err(|_| format!("`{}` says nothing", self.progress.display()))
    }
}
