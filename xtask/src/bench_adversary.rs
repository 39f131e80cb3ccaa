//! Simulated attacks beside the adversarial robustness toolbox (ART), on the same small network.
//!
//! Evasion: the median distance of turned rows with as many queries a row as the peer's own HopSkipJump took; less is better.
//! Membership: how well training rows are told from others; more is better.

use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::{python, shell};

/// How many times better than the peer.
const RATIO_LIMIT: f64 = 1.0;

/// Runs both sides.
///
/// # Errors
/// If a side cannot run.
pub fn run() -> Result<Vec<Row>, String> {
    shell::say("building our side");
    shell::cargo(&["build", "--quiet", "--release", "--package", "adversary", "--example", "try_file"])?;
    let bench = shell::root().join("bench");
    let python = python::environment("adversary", &bench.join("adversary-requirements.txt"))?;
    shell::say(&format!("peer: adversarial-robustness-toolbox {}", python::version(&python, "adversarial-robustness-toolbox")));
    let folder = tempfile::tempdir_in(shell::work()?).map_err(|error| format!("cannot make a folder: {error}"))?;
    let program = shell::target().join("release").join("examples").join("try_file");
    let mut both = Command::new(python);
    both.arg(bench.join("adversary").join("side_by_side.py")).arg(folder.path()).arg(program);
    let told: Value =
        serde_json::from_str(&shell::quiet(&mut both)?).map_err(|error| format!("the bench printed no JSON: {error}"))?;
    let mut rows = Vec::new();
    for (name, result) in told.as_object().into_iter().flatten() {
        if name == "membership" {
            rows.extend(membership(result));
        } else {
            rows.push(evasion(name, result));
        }
    }
    Ok(rows)
}

fn number(value: &Value, side: &str, name: &str) -> f64 {
    value.get(side).and_then(|side| side.get(name)).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

fn evasion(name: &str, result: &Value) -> Row {
    let (ours, theirs) = (number(result, "strongroom", "median_l2"), number(result, "art", "median_l2"));
    let queries = number(result, "strongroom", "queries_a_row");
    let ratio = theirs / ours;
    Row {
        work: format!("{name}: median distance").into(),
        ours,
        peer: Some(theirs),
        unit: "sd",
        ratio: Some(ratio),
        limit: RATIO_LIMIT,
        of_limit: ratio / RATIO_LIMIT,
        limited_by: format!("{queries:.0} queries a row, as the peer").into(),
    }
}

/// The best of our advantages beside the peer's rule.
fn membership(result: &Value) -> Option<Row> {
    let told = result.get("strongroom")?.as_object()?;
    let best = told.iter().filter(|(name, _)| name.contains("advantage")).filter_map(|(_, value)| value.as_f64());
    let ours = best.fold(f64::NEG_INFINITY, f64::max);
    let theirs = number(result, "art", "advantage of the rule");
    let ratio = ours / theirs;
    Some(Row {
        work: "membership: advantage".into(),
        ours,
        peer: Some(theirs),
        unit: "share",
        ratio: Some(ratio),
        limit: RATIO_LIMIT,
        of_limit: ratio / RATIO_LIMIT,
        limited_by: "what the model's answers give away".into(),
    })
}
