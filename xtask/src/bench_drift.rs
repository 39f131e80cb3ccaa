//! Drift on seeded streams with known change points beside Evidently and NannyML, and forecasts on generated metrics.
//!
//! A peer's rate of false alarms is the share of streams without a change that it calls at all. Ours is set to the highest rate of
//! false alarms per look that calls no more of them, and then delays are compared: rows from the change to the first call, the rest of
//! the stream where there is none.

use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::{python, shell};

/// The share of limits' crossings that must be foretold, and the share of metrics that cross none and may be called.
const FORETOLD_LIMIT: f64 = 0.9;
const FALSE_LIMIT: f64 = 0.05;
/// No later than the peers.
const DELAY_LIMIT: f64 = 1.0;

/// Runs both sides.
///
/// # Errors
/// If a side cannot run.
pub fn run() -> Result<Vec<Row>, String> {
    shell::say("building our side");
    shell::cargo(&["build", "--quiet", "--package", "watch", "--example", "drift_bench"])?;
    let folder = shell::root().join("bench").join("drift");
    let python = python::environment("drift", &folder.join("requirements.txt"))?;
    let streams = tempfile::tempdir_in(shell::work()?).map_err(|error| format!("cannot make a folder: {error}"))?;
    let program = shell::target().join("debug").join("examples").join("drift_bench");
    let ours = read(Command::new(program).arg(streams.path()))?;
    let versions = ["evidently", "nannyml"].map(|name| format!("{name} {}", python::version(&python, name)));
    shell::say(&format!("peers: {} (some minutes)", versions.join(", ")));
    let peers = read(Command::new(&python).arg(folder.join("peers.py")).arg(streams.path()).stderr(std::process::Stdio::null()))?;
    rows(&ours, &peers)
}

fn read(command: &mut Command) -> Result<Value, String> {
    let text = shell::quiet(command)?;
    serde_json::from_str(&text).map_err(|error| format!("answered `{}`: {error}", text.chars().take(200).collect::<String>()))
}

/// What one side does: how many streams without a change it calls, and its delays by scenario.
struct Side {
    false_share: f64,
    delays: Vec<(String, f64)>,
}

fn side(ours: &Value, called: impl Fn(&str, &Value) -> Vec<f64>) -> Side {
    let (mut clean, mut alarmed) = (0_u32, 0_u32);
    let mut delays: Vec<(String, Vec<f64>)> = Vec::new();
    let length = number(ours, "stream_rows");
    for stream in ours.get("streams").and_then(Value::as_array).into_iter().flatten() {
        let text = |name: &str| stream.get(name).and_then(Value::as_str).unwrap_or_default();
        let (name, scenario, change) = (text("name"), text("scenario"), number(stream, "change"));
        let calls = called(name, stream);
        if scenario == "clean" {
            clean += 1;
            alarmed += u32::from(!calls.is_empty());
            continue;
        }
        let delay = calls.into_iter().filter(|row| *row > change).fold(length, f64::min) - change;
        match delays.iter_mut().find(|one| one.0 == scenario) {
            Some((_, all)) => all.push(delay),
            None => delays.push((scenario.to_owned(), vec![delay])),
        }
    }
    let delays = delays.into_iter().map(|(scenario, all)| (scenario, median(all))).collect();
    Side { false_share: f64::from(alarmed) / f64::from(clean.max(1)), delays }
}

fn rows(ours: &Value, peers: &Value) -> Result<Vec<Row>, String> {
    let numbers = |value: Option<&Value>| -> Vec<f64> {
        value.and_then(Value::as_array).map(|all| all.iter().filter_map(Value::as_f64).collect()).unwrap_or_default()
    };
    let rates = numbers(ours.get("rates"));
    let own: Vec<Side> = (0..rates.len())
        .map(|at| side(ours, |_, stream| numbers(stream.get("called").and_then(|called| called.get(at)))))
        .collect();
    let names =
        peers.as_object().and_then(|all| all.values().next()).and_then(Value::as_object).ok_or("the peers said nothing")?;
    let mut rows = Vec::new();
    for peer in names.keys() {
        let their = side(ours, |name, _| numbers(peers.get(name).and_then(|one| one.get(peer))));
        let at_equal = own.iter().zip(&rates).rfind(|(own, _)| own.false_share <= their.false_share);
        let (own, rate) = at_equal.ok_or("our side has no rate of false alarms as low as the peer's")?;
        shell::say(&format!(
            "{peer}: calls {:.0} % of the streams without a change; ours at {rate:.0e} a look calls {:.0} %",
            100.0 * their.false_share,
            100.0 * own.false_share
        ));
        for ((scenario, ours), (_, theirs)) in own.delays.iter().zip(&their.delays) {
            let ratio = theirs / ours.max(1.0);
            rows.push(Row {
                work: format!("{scenario}, {peer}").into(),
                ours: *ours,
                peer: Some(*theirs),
                unit: "rows late",
                ratio: Some(ratio),
                limit: DELAY_LIMIT,
                of_limit: ratio / DELAY_LIMIT,
                limited_by: "the rows that tell the change from chance".into(),
            });
        }
    }
    rows.extend(forecasts(ours));
    Ok(rows)
}

fn forecasts(ours: &Value) -> [Row; 2] {
    let all = ours.get("forecast").unwrap_or(&Value::Null);
    let foretold = number(all, "in_time") / number(all, "crossing").max(1.0);
    let false_share = number(all, "false") / number(all, "still").max(1.0);
    let row = |work: &'static str, ours: f64, limit: f64, of_limit: f64, limited_by: String| Row {
        work: work.into(),
        ours,
        peer: None,
        unit: "share",
        ratio: None,
        limit,
        of_limit,
        limited_by: limited_by.into(),
    };
    let lead = format!("noise; in the middle {} steps before", number(all, "median_lead_steps"));
    [
        row("crossings foretold", foretold, FORETOLD_LIMIT, foretold / FORETOLD_LIMIT, lead),
        row("foretold, none came", false_share, FALSE_LIMIT, FALSE_LIMIT / false_share.max(1e-3), "trends that end".to_owned()),
    ]
}

fn number(value: &Value, name: &str) -> f64 {
    value.get(name).and_then(Value::as_f64).unwrap_or_default()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn sides_are_compared_at_equal_false_alarms() {
        let stream = |name: &str, scenario: &str, called: Value| json!({"name": name, "scenario": scenario, "change": 100, "called": called});
        let ours = json!({
            "rates": [0.001, 0.1], "stream_rows": 1_000, "forecast": {"in_time": 9, "crossing": 10, "false": 0, "still": 10},
            "streams": [stream("clean-0", "clean", json!([[], [50]])), stream("a-0", "a", json!([[300], [50, 150]]))],
        });
        let peers = json!({"clean-0": {"p": [], "q": [500]}, "a-0": {"p": [], "q": [500]}});
        let rows = rows(&ours, &peers).unwrap();
        let shown: Vec<(String, f64, Option<f64>)> = rows.iter().map(|row| (row.work.to_string(), row.ours, row.peer)).collect();
        assert_eq!(shown[0], ("a, p".to_owned(), 200.0, Some(900.0)));
        assert_eq!(shown[1], ("a, q".to_owned(), 50.0, Some(400.0)));
        assert_eq!((shown[2].1, shown[3].1), (0.9, 0.0));
    }
}
