//! Recovery: a whole restore of some gigabytes in the drill, beside `cp` of the same files in the same run.

use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::drill::value;
use crate::{bench_objects, drill, python, shell};

const GIGABYTES: u64 = 10;
/// The data, its backup, and one restore or copy at a time.
const COPIES_ON_DISK: u64 = 3;
/// Disk that is left free.
const SPARE_BYTES: u64 = 4 << 30;
const MIB: f64 = 1024.0 * 1024.0;

/// Puts, backs up, restores, copies.
///
/// # Errors
/// If the disk has no room, or the server does not start.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    let gigabytes = value(words, "--gigabytes").and_then(|text| text.parse().ok()).unwrap_or(GIGABYTES);
    if !words.contains(&"--prebuilt") {
        shell::say("building the server");
        shell::cargo(&["build", "--quiet", "--release", "--package", "strongroom", "--package", "inspector"])?;
    }
    let python = python::environment("venv", &shell::root().join("tests").join("clients").join("requirements.txt"))?;
    let folder = tempfile::Builder::new()
        .prefix("bench-recovery-")
        .tempdir_in(shell::work()?)
        .map_err(|error| format!("cannot make a folder: {error}"))?;
    let wanted = gigabytes.saturating_mul(1 << 30).saturating_mul(COPIES_ON_DISK).saturating_add(SPARE_BYTES);
    let free = bench_objects::free_bytes(folder.path())?;
    if free < wanted {
        return Err(format!("recovery of {gigabytes} GB needs {} GB of disk, and {} are free", wanted >> 30, free >> 30));
    }
    let mut command = Command::new(python);
    command
        .arg(shell::root().join("bench").join("recovery").join("recovery.py"))
        .args(["--gigabytes", &gigabytes.to_string(), "--folder"])
        .arg(folder.path().join("run"))
        .env("STRONGROOM_BINARY", drill::newest_binary());
    let said = shell::quiet(&mut command)?;
    let told: Value = serde_json::from_str(said.trim()).map_err(|error| format!("the measurement said `{said}`: {error}"))?;
    rows(&told).ok_or_else(|| format!("the measurement left something out: {told}"))
}

fn rows(told: &Value) -> Option<Vec<Row>> {
    let number = |name: &str| told.get(name).and_then(Value::as_f64);
    let (recovery, copy, backup) = (number("recovery_s")?, number("copy_s")?, number("backup_s")?);
    let mib = number("restored_bytes")? / MIB;
    let objects = number("objects")?;
    let row = |work: &'static str, seconds: f64, what: &str| Row {
        work: work.into(),
        ours: mib / seconds,
        peer: Some(mib / copy),
        unit: "MiB/s",
        ratio: Some(copy / seconds),
        limit: 1.0,
        of_limit: copy / seconds,
        limited_by: format!("{mib:.0} MiB in {objects:.0} objects: {seconds:.1} s {what}, cp {copy:.1} s").into(),
    };
    Some(vec![
        row("recovery", recovery, "until a server could start, all of it proved"),
        row("backup", backup, "while the server runs, all of it read back"),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ratio_is_that_of_the_times() {
        let told =
            serde_json::json!({"recovery_s": 4.0, "copy_s": 2.0, "backup_s": 8.0, "restored_bytes": 8.0 * MIB, "objects": 3});
        let rows = rows(&told).unwrap();
        assert_eq!(rows.iter().map(|row| (row.ours, row.ratio)).collect::<Vec<_>>(), [(2.0, Some(0.5)), (1.0, Some(0.25))]);
        assert!(super::rows(&serde_json::json!({})).is_none());
    }
}
