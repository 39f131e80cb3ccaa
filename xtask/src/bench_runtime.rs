//! The native runtime against ONNX Runtime and the libraries themselves: processor time of one prediction on one thread.

use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::{python, shell};

/// At one row what counts is the overhead, at a hundred the trees themselves.
const RATIO_MIN_ONE_ROW: f64 = 2.0;
const RATIO_MIN_MANY_ROWS: f64 = 1.0;

/// Measures every model.
///
/// # Errors
/// If the libraries cannot be installed, or ours gives other labels than they do.
pub fn run() -> Result<Vec<Row>, String> {
    let python = python::environment("runtime", &shell::root().join("tests").join("runtime").join("requirements.txt"))?;
    shell::say("building the evaluator");
    shell::cargo(&["build", "--quiet", "--release", "-p", "runtime", "--example", "predict"])?;
    let evaluator = shell::target().join("release").join("examples").join("predict");
    shell::say("training and measuring");
    let script = shell::root().join("bench").join("runtime").join("peers.py");
    let told = shell::quiet(Command::new(python).arg(script).env("STRONGROOM_RUNTIME_PREDICT", evaluator))?;
    let told: Value = serde_json::from_str(&told).map_err(|error| format!("the measurements are `{told}`: {error}"))?;
    let rows = told.get("rows").and_then(Value::as_array).ok_or("there are no measurements")?;
    Ok(rows.iter().filter_map(row).collect())
}

fn row(told: &Value) -> Option<Row> {
    let number = |name: &str| told.get(name).and_then(Value::as_f64);
    let (work, ours, peer) = (told.get("work")?.as_str()?.to_owned(), number("ours")?, number("peer")?);
    let limit = if work.ends_with(" 1") { RATIO_MIN_ONE_ROW } else { RATIO_MIN_MANY_ROWS };
    let ratio = peer / ours;
    Some(Row {
        work: work.into(),
        ours,
        peer: Some(peer),
        unit: "µs of CPU",
        ratio: Some(ratio),
        limit,
        of_limit: ratio / limit,
        limited_by: format!("peer: ONNX Runtime; the library itself needs {:.0} µs", number("library")?).into(),
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn measurements_become_rows() {
        let told = json!({"work": "forest 1", "ours": 5.0, "peer": 15.0, "library": 4000.0});
        let row = row(&told).unwrap();
        assert_eq!((row.ratio, row.limit, row.of_limit), (Some(3.0), 2.0, 1.5));
    }
}
