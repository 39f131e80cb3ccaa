//! Data contracts side by side with the standard's own command line tool: the same verdicts, and what they cost.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::bench_profile::{median, taken};
use crate::{python, shell};

/// Rows that Great Expectations is given at most: it holds a table in memory (10 million rows of 10 columns took 5 GiB). Its time is scaled to
/// all of them.
const PEER_ROW_COUNT_MAX: u64 = 10_000_000;
/// How many times less CPU than Great Expectations.
const VALIDATION_TARGET: f64 = 10.0;

/// Compares verdicts; a difference is a fault.
///
/// # Errors
/// If a program cannot be built or run, or any verdict differs.
pub fn run() -> Result<Vec<Row>, String> {
    let program = program()?;
    let bench = shell::root().join("bench");
    let python = python::environment("contract", &bench.join("contract-requirements.txt"))?;
    shell::say(&format!("peer: datacontract-cli {}", python::version(&python, "datacontract-cli")));
    let found = agreement(&python, &bench.join("contract_agreement.py"), &program)?;
    let count = |name: &str| found.get(name).and_then(Value::as_u64).unwrap_or(0);
    let faults = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let (differing, unreadable) = (faults("disagreements"), faults("lint_faults"));
    for fault in differing.iter().chain(&unreadable) {
        shell::say(&format!("differs: {fault}"));
    }
    Ok(vec![row("same-verdicts", count("compared"), differing.len()), row("lints-ours", count("linted"), unreadable.len())])
}

/// Thirty rules over a table, beside the same thirty in Great Expectations. Both read the file; ours counts whole.
///
/// # Errors
/// If a program cannot be built, installed or run.
pub fn validation(table: &Path, row_count: u64, rounds: usize) -> Result<Row, String> {
    let bench = shell::root().join("bench");
    let program = program()?;
    let python = python::environment("great-expectations", &bench.join("great-expectations-requirements.txt"))?;
    let ours = || {
        let mut command = Command::new(&python);
        command.arg(bench.join("profile_peers.py")).arg("run").arg(&program).arg("check");
        taken(command.arg(bench.join("contract-30-rules.odcs.yaml")).arg(table))
    };
    let given = row_count.min(PEER_ROW_COUNT_MAX);
    let theirs = || {
        let mut command = Command::new(&python);
        taken(command.arg(bench.join("contract_peers.py")).arg("great-expectations").arg(table).arg(given.to_string()))
    };
    let ours = median(rounds, ours, "ours, 30 rules")?;
    let scale = row_count as f64 / given as f64;
    let theirs = median(rounds.min(1), theirs, "great-expectations, 30 rules")?.cpu_seconds * scale;
    shell::say(&format!("great-expectations had {given} of {row_count} rows: its CPU seconds are taken {scale} times"));
    let ratio = theirs / ours.cpu_seconds;
    Ok(Row {
        work: "great-expectations".into(),
        ours: ours.cpu_seconds,
        peer: Some(theirs),
        unit: "CPU s",
        ratio: Some(ratio),
        limit: VALIDATION_TARGET,
        of_limit: ratio / VALIDATION_TARGET,
        limited_by: "decoding Parquet; then matching patterns; the peer had at most a million rows, its time is scaled".into(),
    })
}

/// The program that checks a file against a contract.
///
/// # Errors
/// If it does not build.
pub fn program() -> Result<PathBuf, String> {
    shell::say("building the contract checker");
    shell::cargo(&["build", "--quiet", "--release", "--package", "contract", "--example", "check_file"])?;
    Ok(shell::target().join("release").join("examples").join("check_file"))
}

fn agreement(python: &Path, script: &Path, program: &Path) -> Result<Value, String> {
    let said = shell::quiet(Command::new(python).arg(script).arg("--program").arg(program))?;
    let last = said.lines().rev().find(|line| line.starts_with('{')).unwrap_or_default();
    serde_json::from_str(last).map_err(|error| format!("the comparison said `{said}`: {error}"))
}

#[expect(clippy::cast_precision_loss, reason = "some hundred cases")]
fn row(work: &'static str, cases: u64, faults: usize) -> Row {
    let share = if cases == 0 { 0.0 } else { 1.0 - faults as f64 / cases as f64 };
    Row {
        work: work.into(),
        ours: share,
        peer: None,
        unit: "share",
        ratio: None,
        limit: 1.0,
        of_limit: share,
        limited_by: "cases in which the two differ are printed".into(),
    }
}
