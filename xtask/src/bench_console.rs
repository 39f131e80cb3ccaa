//! Pages of the console over many runs, models and records: what the server takes until a page is there.

use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::drill::value;
use crate::{drill, python, shell};

/// What a page may take (issue: under 100 ms at p99).
const PAGE_P99_MS_MAX: f64 = 100.0;
const RUN_COUNT: &str = "100000";
const MODEL_COUNT: &str = "10000";
const RECORD_COUNT: &str = "10000000";

/// Fills a folder, or takes the one that `--filled` names, and asks for every page `--times`.
///
/// # Errors
/// If the folder cannot be filled, or a page is not given.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    if !words.contains(&"--prebuilt") {
        shell::say("building the server and what fills it");
        // In one go: built by itself, the example would have libraries with other features, and so all of them anew.
        let of = ["--package", "strongroom", "--package", "inspector", "--bins", "--example", "fill_console"];
        shell::cargo(&[&["build", "--quiet", "--release"], of.as_slice()].concat())?;
    }
    let python = python::environment("venv", &shell::root().join("tests").join("clients").join("requirements.txt"))?;
    let binary = drill::newest_binary();
    let made;
    let folder = match value(words, "--filled") {
        Some(folder) => std::path::PathBuf::from(folder),
        None => {
            made = tempfile::Builder::new()
                .prefix("bench-console-")
                .tempdir_in(shell::work()?)
                .map_err(|error| format!("cannot make a folder: {error}"))?;
            made.path().to_path_buf()
        }
    };
    let (data, token) = (folder.join("data"), folder.join("admin.token"));
    if !data.exists() {
        let counts = [("--runs", RUN_COUNT), ("--models", MODEL_COUNT), ("--records", RECORD_COUNT)];
        let counts = counts.map(|(name, usual)| value(words, name).unwrap_or(usual));
        shell::say(&format!("making {} runs, {} models and {} records", counts[0], counts[1], counts[2]));
        let program = binary.with_file_name("examples").join("fill_console");
        shell::run(Command::new(program).arg(&data).arg(&token).args(counts))?;
    }
    let script = shell::root().join("bench").join("console").join("pages.py");
    let mut command = Command::new(python);
    command.arg(script).arg(&data).arg(&token).args(["--times", value(words, "--times").unwrap_or("200")]);
    let said = shell::quiet(command.env("STRONGROOM_BINARY", &binary))?;
    let told: Value = serde_json::from_str(said.trim()).map_err(|error| format!("the measurement said `{said}`: {error}"))?;
    rows(&told).ok_or_else(|| format!("the measurement left something out: {told}"))
}

fn rows(told: &Value) -> Option<Vec<Row>> {
    let settled_s = told.get("settled_s")?.as_f64()?;
    let pages = told.get("pages")?.as_object()?;
    let row = |(name, page): (&String, &Value)| {
        let number = |name: &str| page.get(name).and_then(Value::as_f64);
        let (p99, p50, kib) = (number("p99_ms")?, number("p50_ms")?, number("bytes")? / 1_024.0);
        Some(Row {
            work: format!("page-{name}").into(),
            ours: p99,
            peer: None,
            unit: "ms p99",
            ratio: None,
            limit: PAGE_P99_MS_MAX,
            of_limit: PAGE_P99_MS_MAX / p99,
            limited_by: format!("median {p50:.1} ms, {kib:.0} KiB; the server was at rest after {settled_s:.0} s").into(),
        })
    };
    pages.iter().map(row).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_page_is_held_to_the_limit() {
        let page = serde_json::json!({ "p50_ms": 5.0, "p99_ms": 50.0, "bytes": 2_048 });
        let rows = rows(&serde_json::json!({ "settled_s": 3.0, "pages": { "home": page } })).unwrap();
        assert!((rows[0].of_limit - 2.0).abs() < 1e-9 && rows[0].work == "page-home");
        assert!(super::rows(&serde_json::json!({ "settled_s": 3.0, "pages": { "home": {} } })).is_none());
    }
}
