//! Profiling side by side with DuckDB, Polars and whylogs: one Parquet file of 10 M rows and 10 columns, the same
//! machine, the same minutes, two threads each.
//!
//! What is compared is CPU seconds, which hold on a busy machine; the wall clock is said beside it. Ours counts whole, with its
//! start; peers count from after their import on. Ours gives more than what peers are asked for: skewness, patterns, top
//! values and histograms of every column, duplicate rows, and sketches that merge.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::drill::value;
use crate::{bench_contract, python, shell};

/// The program that is measured, below the folder of release builds, and the words before the file.
const PROGRAM: (&str, &[&str]) = ("examples/profile_file", &[]);
/// The program that writes the table; a new version of it takes a new name for its file.
const TABLE_PROGRAM: &str = "examples/make_table";
const TABLE_VERSION: u32 = 1;

const ROW_COUNT: u64 = 10_000_000;
/// The memory that ours may take.
const MEMORY_MAX_MIB: f64 = 128.0;
const MEBIBYTE: f64 = 1024.0 * 1024.0;

/// Another profiler.
struct Peer {
    name: &'static str,
    /// Its Python environment, and what is installed there.
    environment: &'static str,
    requirements: &'static str,
    /// The script of `bench/` that runs it as `SCRIPT NAME FILE ROWS` and prints `cpu_seconds`, `wall_seconds`, `peak_bytes`, `rows`.
    script: &'static str,
    /// Rows that it is given; its time is scaled to all of them.
    row_count_max: u64,
    rounds_max: usize,
    target: f64,
    limited_by: &'static str,
}

const PEERS: [Peer; 3] = [
    Peer {
        name: "duckdb",
        environment: "profile-peers",
        requirements: "profile-peers-requirements.txt",
        script: "profile_peers.py",
        row_count_max: u64::MAX,
        rounds_max: usize::MAX,
        target: 1.0,
        limited_by: "decoding Parquet; then hashing each value",
    },
    Peer {
        name: "polars",
        environment: "profile-peers",
        requirements: "profile-peers-requirements.txt",
        script: "profile_peers.py",
        row_count_max: u64::MAX,
        rounds_max: usize::MAX,
        target: 1.0,
        limited_by: "decoding Parquet; then hashing each value",
    },
    Peer {
        name: "whylogs",
        environment: "profile-whylogs",
        requirements: "profile-whylogs-requirements.txt",
        script: "profile_peers.py",
        row_count_max: 1_000_000,
        rounds_max: 1,
        target: 20.0,
        limited_by: "decoding Parquet; whylogs ran on a tenth of the rows, its time is scaled",
    },
];

/// What a run took.
#[derive(Clone, Copy)]
pub struct Taken {
    /// CPU seconds of all threads.
    pub cpu_seconds: f64,
    wall_seconds: f64,
    peak_mebibytes: f64,
}

/// Measures ours and every peer, or those that `--works` names.
///
/// # Errors
/// If something cannot be built, installed or run.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    let rounds: usize = value(words, "--rounds").and_then(|text| text.parse().ok()).unwrap_or(3);
    let row_count: u64 = value(words, "--rows").and_then(|text| text.parse().ok()).unwrap_or(ROW_COUNT);
    let wanted: Option<Vec<&str>> = value(words, "--works").map(|list| list.split(',').collect());
    let is_wanted = |name: &str| wanted.as_ref().is_none_or(|names| names.contains(&name));
    if !words.contains(&"--prebuilt") {
        shell::say("building the profiler");
        shell::cargo(&["build", "--quiet", "--release", "--package", "profile", "--examples"])?;
    }
    let table = table(row_count)?;
    let first = PEERS.first().ok_or("no peers")?;
    let measuring = environment(first)?;
    let ours = median(rounds, || ours(&measuring, &table), "ours")?;
    let mut rows = Vec::new();
    for peer in PEERS.iter().filter(|peer| is_wanted(peer.name)) {
        rows.push(against(peer, &table, row_count, rounds, ours)?);
    }
    if is_wanted("great-expectations") {
        rows.push(bench_contract::validation(&table, row_count, rounds)?);
    }
    if is_wanted("memory") {
        rows.push(Row {
            work: "memory".into(),
            ours: ours.peak_mebibytes,
            peer: None,
            unit: "MiB",
            ratio: None,
            limit: MEMORY_MAX_MIB,
            of_limit: MEMORY_MAX_MIB / ours.peak_mebibytes,
            limited_by: "pages of ten columns of two row groups being decoded".into(),
        });
    }
    Ok(rows)
}

fn against(peer: &Peer, table: &Path, row_count: u64, rounds: usize, ours: Taken) -> Result<Row, String> {
    let python = environment(peer)?;
    let given = row_count.min(peer.row_count_max);
    let scale = row_count as f64 / given as f64;
    let script = shell::root().join("bench").join(peer.script);
    let once = || {
        let mut command = Command::new(&python);
        command.arg(&script).arg(peer.name).arg(table).arg(given.to_string());
        taken(&mut command)
    };
    let theirs = median(rounds.min(peer.rounds_max), once, peer.name)?;
    let cpu_seconds = theirs.cpu_seconds * scale;
    let ratio = cpu_seconds / ours.cpu_seconds;
    if given < row_count {
        shell::say(&format!(
            "{} had {given} of {row_count} rows: its {:.1} CPU s are taken {scale} times",
            peer.name, theirs.cpu_seconds
        ));
    }
    Ok(Row {
        work: peer.name.into(),
        ours: ours.cpu_seconds,
        peer: Some(cpu_seconds),
        unit: "CPU s",
        ratio: Some(ratio),
        limit: peer.target,
        of_limit: ratio / peer.target,
        limited_by: peer.limited_by.into(),
    })
}

fn environment(peer: &Peer) -> Result<PathBuf, String> {
    python::environment(peer.environment, &shell::root().join("bench").join(peer.requirements))
}

fn table(row_count: u64) -> Result<PathBuf, String> {
    let path = shell::work()?.join(format!("profile-table-{TABLE_VERSION}-{row_count}.parquet"));
    if !path.exists() {
        shell::say(&format!("writing a table of {row_count} rows"));
        let unfinished = path.with_extension("unfinished");
        let program = shell::target().join("release").join(TABLE_PROGRAM);
        shell::quiet(Command::new(program).arg(&unfinished).arg(row_count.to_string()))?;
        std::fs::rename(&unfinished, &path).map_err(|error| format!("cannot name `{}`: {error}", path.display()))?;
    }
    Ok(path)
}

fn ours(python: &Path, table: &Path) -> Result<Taken, String> {
    let (program, words) = PROGRAM;
    let mut command = Command::new(python);
    command.arg(shell::root().join("bench").join("profile_peers.py")).arg("run");
    command.arg(shell::target().join("release").join(program)).args(words).arg(table);
    taken(&mut command)
}

/// Runs what prints what it took.
///
/// # Errors
/// If it fails or says something else.
pub fn taken(command: &mut Command) -> Result<Taken, String> {
    let output = shell::quiet(command)?;
    let report: Value =
        serde_json::from_str(&output).map_err(|error| format!("the measuring script said `{output}`: {error}"))?;
    let number = |name: &str| report.get(name).and_then(Value::as_f64).ok_or_else(|| format!("no `{name}` in {report}"));
    Ok(Taken {
        cpu_seconds: number("cpu_seconds")?,
        wall_seconds: number("wall_seconds")?,
        peak_mebibytes: number("peak_bytes")? / MEBIBYTE,
    })
}

/// The run of middle CPU seconds.
///
/// # Errors
/// As the runs'.
pub fn median(rounds: usize, mut once: impl FnMut() -> Result<Taken, String>, name: &str) -> Result<Taken, String> {
    let mut all = Vec::new();
    for round in 0..rounds.max(1) {
        let taken = once()?;
        shell::say(&format!(
            "{name} round {}: {:.2} CPU s, {:.2} s, {:.0} MiB",
            round + 1,
            taken.cpu_seconds,
            taken.wall_seconds,
            taken.peak_mebibytes
        ));
        all.push(taken);
    }
    all.sort_by(|left, right| left.cpu_seconds.total_cmp(&right.cpu_seconds));
    all.get(all.len() / 2).copied().ok_or_else(|| format!("{name} was not measured"))
}
