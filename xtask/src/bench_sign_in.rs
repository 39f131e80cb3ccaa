//! A log-in under attack: what ten thousand guesses a second cost others, the owner, and memory.

use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::drill::value;
use crate::{drill, python, shell};

/// What others may wait at most, over what they wait in calm times (issue: within 2x).
const OTHERS_TIMES_MAX: f64 = 2.0;
/// Guesses a second that it must have been under, for what is measured to count (issue: 10,000).
const GUESSES_PER_S_MIN: f64 = 10_000.0;
/// What memory may grow to at most, in MiB more than before.
const MEMORY_MORE_MIB_MAX: f64 = 128.0;

/// Attacks.
///
/// # Errors
/// If the server does not start, or the attack cannot be made.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    let rounds = value(words, "--rounds").unwrap_or("3");
    if !words.contains(&"--prebuilt") {
        shell::say("building the server and the load generator");
        shell::cargo(&[
            "build",
            "--quiet",
            "--release",
            "--package",
            "strongroom",
            "--package",
            "inspector",
            "--package",
            "loadgen",
        ])?;
    }
    let python = python::environment("venv", &shell::root().join("tests").join("clients").join("requirements.txt"))?;
    let binary = drill::newest_binary();
    let loadgen = binary.with_file_name("loadgen");
    let mut command = Command::new(python);
    command
        .arg(shell::root().join("bench").join("sign_in").join("attack.py"))
        .arg(&loadgen)
        .args(["--rounds", rounds])
        .env("STRONGROOM_BINARY", &binary);
    let said = shell::quiet(&mut command)?;
    let told: Value = serde_json::from_str(said.trim()).map_err(|error| format!("the measurement said `{said}`: {error}"))?;
    rows(&told).ok_or_else(|| format!("the measurement left something out: {told}"))
}

fn rows(told: &Value) -> Option<Vec<Row>> {
    let mut rows = Vec::new();
    for (kind, name) in [("one", "one-account"), ("spread", "1000-accounts")] {
        let of = told.get(kind)?;
        let number = |name: &str| of.get(name).and_then(Value::as_f64);
        let (rate, calm, beside) = (number("guesses_per_s")?, number("calm_p99_ms")?, number("p99_ms")?);
        let times = beside / calm;
        rows.push(Row {
            work: format!("others-beside-guesses-at-{name}").into(),
            ours: beside,
            peer: Some(calm),
            unit: "ms p99",
            ratio: Some(1.0 / times),
            limit: OTHERS_TIMES_MAX,
            of_limit: OTHERS_TIMES_MAX / times,
            limited_by: format!("{rate:.0} guesses/s; the peer is the same server in calm times").into(),
        });
        rows.push(Row {
            work: format!("guesses-at-{name}").into(),
            ours: rate,
            peer: None,
            unit: "guesses/s",
            ratio: None,
            limit: GUESSES_PER_S_MIN,
            of_limit: rate / GUESSES_PER_S_MIN,
            limited_by: "the load generator and the server share the machine".into(),
        });
        let failed = number("others_failed")?;
        rows.push(Row {
            work: format!("others-failed-beside-guesses-at-{name}").into(),
            ours: failed,
            peer: None,
            unit: "failed",
            ratio: None,
            limit: 0.0,
            of_limit: if failed > 0.0 { 0.0 } else { 1.0 },
            limited_by: "nobody's request may fail for what strangers do".into(),
        });
        let (tried, logged_in) = (number("owner_tried")?, number("owner_logged_in")?);
        rows.push(Row {
            work: format!("owner-logs-in-beside-guesses-at-{name}").into(),
            ours: logged_in,
            peer: Some(number("strangers_logged_in")?),
            unit: "log-ins",
            ratio: None,
            limit: tried,
            of_limit: logged_in / tried,
            limited_by: format!("slowest {:.2} s; the peer is the same without a known browser", number("owner_slowest_s")?)
                .into(),
        });
        let more = (number("memory_most_mib")? - number("memory_before_mib")?).max(0.1);
        rows.push(Row {
            work: format!("memory-under-guesses-at-{name}").into(),
            ours: more,
            peer: None,
            unit: "MiB more",
            ratio: None,
            limit: MEMORY_MORE_MIB_MAX,
            of_limit: MEMORY_MORE_MIB_MAX / more,
            limited_by: format!("{:.0} MiB before", number("memory_before_mib")?).into(),
        });
    }
    Some(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_of_the_ratio_and_of_every_log_in() {
        let of = serde_json::json!({
            "guesses_per_s": 10_000.0, "calm_p99_ms": 2.0, "p99_ms": 3.0, "others_failed": 0, "owner_tried": 8, "owner_logged_in": 8,
            "strangers_logged_in": 0, "owner_slowest_s": 0.2, "memory_before_mib": 60.0, "memory_most_mib": 76.0,
        });
        let rows = rows(&serde_json::json!({ "one": of, "spread": of })).unwrap();
        assert_eq!(rows.len(), 10);
        assert!((rows[0].of_limit - 2.0 / 1.5).abs() < 1e-9 && (rows[3].of_limit - 1.0).abs() < 1e-9);
        assert!((rows[4].ours - 16.0).abs() < 1e-9);
        let weak = serde_json::json!({
            "guesses_per_s": 900.0, "calm_p99_ms": 2.0, "p99_ms": 3.0, "others_failed": 2, "owner_tried": 8, "owner_logged_in": 8,
            "strangers_logged_in": 0, "owner_slowest_s": 0.2, "memory_before_mib": 60.0, "memory_most_mib": 76.0,
        });
        let rows = super::rows(&serde_json::json!({ "one": weak, "spread": weak })).unwrap();
        assert!(rows[1].of_limit < 1.0 && rows[2].of_limit < 1.0, "too little of an attack, and others who failed");
        assert!(super::rows(&serde_json::json!({ "one": {} })).is_none());
    }
}
