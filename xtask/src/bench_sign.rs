//! Verification of a signed model beside `model_signing`, the reference implementation, and against what SHA-256 allows here.
//!
//! Both read the same gigabyte out of the page cache, best of three rounds; the peer's start and imports are not counted.

use std::io::Write;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::{python, shell};

const MODEL_BYTES: usize = 1_000_000_000;
const ROUNDS: &str = "3";
/// How much faster than the peer.
const RATIO_LIMIT: f64 = 1.0;
/// Gigabytes a second that verification must reach where the machine hashes as fast.
const THROUGHPUT_LIMIT: f64 = 1.5;

/// Runs both sides.
///
/// # Errors
/// If a side cannot run.
pub fn run() -> Result<Vec<Row>, String> {
    shell::say("building our side");
    shell::cargo(&["build", "--quiet", "--release", "--package", "attest", "--example", "bench_sign"])?;
    let python = python::environment("sign", &shell::root().join("bench").join("sign-requirements.txt"))?;
    shell::say(&format!("peer: model-signing {}", python::version(&python, "model-signing")));
    let folder = tempfile::tempdir_in(shell::work()?).map_err(|error| format!("cannot make a folder: {error}"))?;
    let mut rows = Vec::new();
    for file_count in [1, 8] {
        let model = folder.path().join("model");
        make_model(&model, file_count).map_err(|error| format!("cannot write the model: {error}"))?;
        rows.extend(measure(folder.path(), &model, &python, file_count)?);
        std::fs::remove_dir_all(&model).map_err(|error| format!("cannot remove the model: {error}"))?;
    }
    Ok(rows)
}

fn make_model(folder: &Path, file_count: usize) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    std::fs::write(folder.join("MLmodel"), "flavors: {}\n")?;
    // Not compressible to zero pages, and the same each time.
    let mut state = 20_261_125_u64;
    let block: Vec<u8> = (0..1 << 16)
        .flat_map(|_| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state.to_le_bytes()
        })
        .collect();
    for number in 0..file_count {
        let mut file = std::fs::File::create(folder.join(format!("weights-{number}.bin")))?;
        let mut left = MODEL_BYTES / file_count;
        while left > 0 {
            let part = block.get(..left.min(block.len())).unwrap_or(&block);
            file.write_all(part)?;
            left -= part.len();
        }
        file.sync_all()?;
    }
    Ok(())
}

fn measure(folder: &Path, model: &Path, python: &Path, file_count: usize) -> Result<Vec<Row>, String> {
    let (signature, public) = (folder.join("model.sig"), folder.join("public.pem"));
    let program = shell::target().join("release").join("examples").join("bench_sign");
    let words = |command: &mut Command| {
        let done = shell::quiet(command.arg(model).arg(&signature).arg(&public).arg(ROUNDS))?;
        serde_json::from_str::<Value>(&done).map_err(|error| format!("the bench printed no JSON: {error}"))
    };
    let ours = words(&mut Command::new(program))?;
    let peer = words(Command::new(python).arg(shell::root().join("bench").join("sign_peer.py")))?;
    let number = |report: &Value, name: &str| report.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let speed = |seconds: f64| MODEL_BYTES as f64 / seconds / 1e9;
    let verify = speed(number(&ours, "verify_seconds"));
    let sign = speed(number(&ours, "sign_seconds"));
    let theirs = speed(number(&peer, "verify_seconds"));
    let raw = number(&ours, "raw_bytes_per_second") / 1e9;
    let cores = std::thread::available_parallelism().map_or(1, usize::from).min(file_count) as f64;
    let name = if file_count == 1 { "1-file".to_owned() } else { format!("{file_count}-files") };
    let possible = raw * cores;
    let row = |work: String, ours: f64, limit: f64, limited_by: String| Row {
        work: work.into(),
        ours,
        peer: None,
        unit: "GB/s",
        ratio: None,
        limit,
        of_limit: ours / limit,
        limited_by: limited_by.into(),
    };
    let told = format!("SHA-256: one core hashes {raw:.2} GB/s from memory, {cores:.0} can be used");
    let mut beside = row(format!("verify-{name}"), verify, RATIO_LIMIT, told.clone());
    beside.peer = Some(theirs);
    beside.ratio = Some(verify / theirs);
    beside.of_limit = verify / theirs / RATIO_LIMIT;
    Ok(vec![
        beside,
        row(
            format!("of-target-{name}"),
            verify,
            THROUGHPUT_LIMIT.min(possible),
            "the target, where SHA-256 is as fast".to_owned(),
        ),
        row(format!("of-sha256-{name}"), verify, possible, told),
        row(
            format!("sign-{name}"),
            sign,
            THROUGHPUT_LIMIT.min(possible),
            "as verification; the server signs without reading".to_owned(),
        ),
    ])
}
