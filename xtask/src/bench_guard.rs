//! The guard of endpoints: real attacks of the adversarial robustness toolbox through HTTP against a real server, and a day of honest
//! traffic of 100 callers on a simulated clock.

use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::{python, shell};

/// An attack is noticed before this share of the queries that it needs where nobody answers it.
const SHARE_MAX: f64 = 0.01;
/// Attacks that the limit is for; the others are told as they are.
const HELD_TO_LIMIT: [&str; 4] = ["hop_skip_jump", "knockoff_foreign_digits", "knockoff_photographs", "knockoff_noise"];
/// Processor time of one query, 99 of 100.
const MICROSECONDS_MAX: f64 = 50.0;

/// Runs both.
///
/// # Errors
/// If the server, the attacks or the day cannot run.
pub fn run(words: &[&str]) -> Result<Vec<Row>, String> {
    shell::say("a day of honest traffic");
    shell::cargo(&["build", "--quiet", "--release", "--package", "guard", "--example", "honest_day"])?;
    let program = shell::target().join("release").join("examples").join("honest_day");
    let mut rows = day(&parsed(&shell::quiet(Command::new(program).arg("--json"))?)?);
    if words.contains(&"--day") {
        return Ok(rows);
    }
    if !words.contains(&"--prebuilt") {
        shell::say("building the server");
        shell::cargo(&["build", "--quiet", "--package", "strongroom", "--package", "inspector", "--package", "query"])?;
    }
    let bench = shell::root().join("bench");
    let python = python::environment("guard", &bench.join("guard-requirements.txt"))?;
    shell::say(&format!(
        "attacks: adversarial-robustness-toolbox {}",
        python::version(&python, "adversarial-robustness-toolbox")
    ));
    let mut attacks = Command::new(python);
    attacks.arg(bench.join("guard").join("attacks.py")).env("STRONGROOM_BINARY", crate::drill::newest_binary());
    rows.extend(attacked(&parsed(&shell::quiet(&mut attacks)?)?));
    Ok(rows)
}

fn parsed(text: &str) -> Result<Value, String> {
    let last = text.lines().last().unwrap_or_default();
    serde_json::from_str(last).map_err(|error| format!("the bench printed no JSON: {error}"))
}

fn number(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// A value that must stay at or below a limit; of one that must be nothing, nothing is the whole of it.
fn at_most(work: String, ours: f64, unit: &'static str, limit: f64, limited_by: String) -> Row {
    let of_limit = if ours == 0.0 { 1.0 } else { limit / ours };
    Row { work: work.into(), ours, peer: None, unit, ratio: None, limit, of_limit, limited_by: limited_by.into() }
}

fn day(told: &Value) -> Vec<Row> {
    let queries = number(told, "queries");
    vec![
        at_most("honest day".to_owned(), number(told, "alarms"), "alarms", 0.0, format!("{queries:.0} queries of 100 callers")),
        at_most(
            "one query (p50)".to_owned(),
            number(told, "p50_us"),
            "µs",
            MICROSECONDS_MAX,
            "12,000 remembered queries".to_owned(),
        ),
        at_most(
            "one query (p99)".to_owned(),
            number(told, "p99_us"),
            "µs",
            MICROSECONDS_MAX,
            "the machine's other work".to_owned(),
        ),
        at_most(
            "memory, 100 callers".to_owned(),
            number(told, "bytes") / f64::from(1 << 20),
            "MiB",
            256.0,
            "64 coordinates of 2 bytes a query".to_owned(),
        ),
    ]
}

fn attacked(told: &Value) -> Vec<Row> {
    let mut rows = Vec::new();
    for (name, result) in told.as_object().into_iter().flatten() {
        if name == "honest" {
            let why = format!("{:.0} rows of held-back images through HTTP", number(result, "rows"));
            rows.push(at_most("honest images".to_owned(), number(result, "alarms"), "alarms", 0.0, why));
        } else if let Some(share) = result.get("share") {
            rows.push(attack(name, result, share.as_f64()));
        }
    }
    rows
}

fn attack(name: &str, result: &Value, share: Option<f64>) -> Row {
    let needed = match result.get("needed").and_then(Value::as_f64) {
        Some(needed) => format!("{needed:.0}"),
        None => format!("more than {:.0}", number(result, "more_than")),
    };
    let noticed =
        result.get("noticed").and_then(Value::as_f64).map_or_else(|| "never".to_owned(), |at| format!("at query {at:.0}"));
    let limited_by = format!("needs {needed} queries, noticed {noticed}");
    let limit = if HELD_TO_LIMIT.contains(&name) { SHARE_MAX } else { 1.0 };
    at_most(name.replace('_', " "), share.unwrap_or(f64::NAN), "share", limit, limited_by)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn attacks_become_rows_and_what_is_never_noticed_meets_no_limit() {
        let told = json!({"victim_accuracy": 0.9, "hop_skip_jump": {"needed": 5000, "noticed": 6, "share": 0.0012},
            "knockoff_own_population": {"needed": 500, "noticed": null, "share": null}, "honest": {"rows": 10, "alarms": 1}});
        let rows = attacked(&told);
        let of = |work: &str| rows.iter().find(|row| row.work == work).map(|row| (row.limit, row.of_limit));
        let met = of("hop skip jump").unwrap();
        assert!(met.0 == SHARE_MAX && met.1 > 1.0, "{met:?}");
        assert!(of("knockoff own population").unwrap().1.is_nan() && of("honest images").unwrap().1 == 0.0);
        assert_eq!(day(&json!({"alarms": 0}))[0].of_limit, 1.0);
    }
}
