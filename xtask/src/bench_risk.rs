//! Risk-based authentication: how many attackers are challenged or refused by four ways of judging, and how often people are bothered for it,
//! on a generated organisation or on the public data set; and what a judgement costs.

use std::fmt::Write as _;
use std::process::Command;

use serde_json::{Value, json};

use crate::bench::Row;
use crate::shell;

/// The share of attackers that must be stopped where half of the people are challenged no more than once in twelve log-ins.
const STOPPED_MIN: f64 = 0.99;
/// Time of one judgement, half of them.
const COST_US_MAX: f64 = 10.0;
/// The published method's own results, read off a figure: challenges of the median of people in their first 12 and 39 log-ins, where 99 % of
/// the attackers are stopped. Other people, other log-ins, other attackers: it says what the shape is, and is no comparison.
/// Source: Wiefling et al., "Pump Up Password Security!" (ACM TOPS 2022), results of rba-dataset.
const PUBLISHED_AT_99: [(&str, u64, u64); 3] = [("naive", 2, 1), ("vpn", 3, 3), ("targeted", 4, 3)];
const OURS: &str = "ours with hard rules";

/// Rows, with more for JSON; and tables for people.
pub struct Told {
    pub rows: Vec<(Row, Value)>,
    pub tables: String,
}

/// Runs it.
///
/// # Errors
/// If it cannot be built or run.
pub fn run(words: &[&str]) -> Result<Told, String> {
    shell::cargo(&["build", "--quiet", "--package", "rba", "--example", "risk_bench"])?;
    let mut command = Command::new(shell::target().join("debug").join("examples").join("risk_bench"));
    for name in ["--people", "--seed", "--csv", "--rows"] {
        if let Some(value) = words.iter().position(|word| *word == name).and_then(|at| words.get(at + 1)) {
            command.args([name, value]);
        }
    }
    shell::say("a year of log-ins, and attempts on one in eight of them");
    let text = shell::quiet(&mut command)?;
    let told = serde_json::from_str(&text).map_err(|error| format!("the bench printed no JSON: {error}"))?;
    Ok(Told { rows: rows(&told), tables: tables(&told) })
}

fn methods(told: &Value) -> impl Iterator<Item = &Value> {
    told.get("methods").and_then(Value::as_array).into_iter().flatten()
}

fn name(method: &Value) -> &str {
    method.get("name").and_then(Value::as_str).unwrap_or_default()
}

fn number(value: &Value, path: &str) -> f64 {
    value.pointer(path).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

fn rows(told: &Value) -> Vec<(Row, Value)> {
    let mut rows = Vec::new();
    let Some(ours) = methods(told).find(|method| name(method) == OURS) else { return rows };
    for kind in ["naive", "vpn", "targeted"] {
        let rate = number(ours, &format!("/at_budget/{kind}/rate"));
        let others: Vec<Value> = methods(told)
            .map(|method| {
                json!({ "method": name(method), "is_within_budget": method.get("is_within_budget"),
                    "rate": method.pointer(&format!("/at_budget/{kind}/rate")),
                    "interval": method.pointer(&format!("/at_budget/{kind}/interval")) })
            })
            .collect();
        let more = json!({ "interval": ours.pointer(&format!("/at_budget/{kind}/interval")),
            "median_of_12": ours.pointer("/at_budget/median_12"), "threshold": ours.pointer("/at_budget/threshold"), "methods": others });
        let limited_by = format!(
            "median of {:.0} challenges in 12 log-ins; {:.1} % of all log-ins",
            number(ours, "/at_budget/median_12"),
            number(ours, "/at_budget/of_all_log_ins") * 100.0
        );
        let row = Row {
            work: format!("{kind}-tpr").into(),
            ours: rate,
            peer: None,
            unit: "share",
            ratio: None,
            limit: STOPPED_MIN,
            of_limit: rate / STOPPED_MIN,
            limited_by: limited_by.into(),
        };
        rows.push((row, more));
    }
    let cost = number(told, "/cost/p50_us");
    let limited_by = format!("seven HMACs and 100 log-ins looked through; p99 {:.1} µs", number(told, "/cost/p99_us"));
    let row = Row {
        work: "score-cost".into(),
        ours: cost,
        peer: None,
        unit: "µs",
        ratio: None,
        limit: COST_US_MAX,
        of_limit: COST_US_MAX / cost,
        limited_by: limited_by.into(),
    };
    rows.push((row, json!({ "p99": number(told, "/cost/p99_us") })));
    rows
}

/// The tables, as the documentation has them.
fn tables(told: &Value) -> String {
    let mut text = String::new();
    let _ = writeln!(
        text,
        "{} people, {} log-ins, {} attempts ({}, seed {})\n",
        number(told, "/people"),
        number(told, "/log_ins"),
        number(told, "/attacks"),
        told.get("data").and_then(Value::as_str).unwrap_or_default(),
        number(told, "/seed")
    );
    let _ = writeln!(
        text,
        "Half of the people get no more than one challenge in their first 12 log-ins: each way at the lowest threshold of its own that keeps to \
that. Attackers challenged or refused (95 % interval):\n"
    );
    let _ = writeln!(
        text,
        "| way | naive | VPN | targeted | with the device | challenges in 12, median / mean / one in ten | threshold |"
    );
    let _ = writeln!(text, "|---|---|---|---|---|---|---|");
    for method in methods(told) {
        let cell = |kind: &str| rate(method, &format!("/at_budget/{kind}"));
        let is_within = method.get("is_within_budget").and_then(Value::as_bool) == Some(true);
        let beyond = if is_within { "" } else { " (cannot be set to that budget)" };
        let _ = writeln!(
            text,
            "| {}{beyond} | {} | {} | {} | {} | {} / {:.1} / {} | {:.1} |",
            name(method),
            cell("naive"),
            cell("vpn"),
            cell("targeted"),
            cell("thief"),
            number(method, "/at_budget/median_12"),
            number(method, "/at_budget/mean_12") * 12.0,
            number(method, "/at_budget/p90_12"),
            number(method, "/at_budget/threshold"),
        );
    }
    by_rate(told, &mut text);
    bands(told, &mut text);
    text
}

fn by_rate(told: &Value, text: &mut String) {
    let _ = writeln!(
        text,
        "\n99 % of the attackers are stopped. Challenges of the median of people in their first 12 and first 39 log-ins:\n"
    );
    let _ = writeln!(text, "| way | naive | VPN | targeted |\n|---|---|---|---|");
    for method in methods(told) {
        let cell = |kind: &str| {
            let window = |name: &str| number(method, &format!("/at_rates/{kind}/1/{name}"));
            format!("{} / {}", window("median_12"), window("median_39"))
        };
        let _ = writeln!(text, "| {} | {} | {} | {} |", name(method), cell("naive"), cell("vpn"), cell("targeted"));
    }
    let published = PUBLISHED_AT_99.map(|(_, of_12, of_39)| format!("{of_12} / {of_39}"));
    let _ = writeln!(text, "| *published score, as published: other data* | {} |", published.join(" | "));
}

fn bands(told: &Value, text: &mut String) {
    let Some(bands) = told.get("default_bands") else { return };
    let _ = writeln!(
        text,
        "\nWith the server's own settings ({}, {}, {}) and the rules: {} / {:.1} / {} of 12 log-ins challenged (median / mean / one in ten), {:.1} % \
of all; {:.1} % asked for a factor that cannot be phished, {:.1} % refused.\n",
        number(bands, "/settings/0"),
        number(bands, "/settings/1"),
        number(bands, "/settings/2"),
        number(bands, "/median_12"),
        number(bands, "/mean_12") * 12.0,
        number(bands, "/p90_12"),
        number(bands, "/of_all_log_ins") * 100.0,
        number(bands, "/phishing_resistant_of_all") * 100.0,
        number(bands, "/refused_of_all") * 100.0
    );
    let _ = writeln!(
        text,
        "| attacker | challenged or refused | asked for what cannot be phished, or refused | refused |\n|---|---|---|---|"
    );
    for kind in ["naive", "vpn", "targeted", "thief"] {
        let cell = |what: &str| rate(bands, &format!("/{kind}/{what}"));
        let _ = writeln!(text, "| {kind} | {} | {} | {} |", cell("asked"), cell("phishing_resistant"), cell("refused"));
    }
}

fn rate(value: &Value, path: &str) -> String {
    let of = |end: &str| number(value, &format!("{path}/{end}"));
    format!("{:.3} ({:.3}–{:.3})", of("rate"), of("interval/0"), of("interval/1"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_measured_becomes_rows_and_misses_are_misses() {
        let caught = |rate: f64| json!({ "rate": rate, "interval": [rate - 0.01, rate + 0.01] });
        let at_budget =
            json!({ "threshold": 88.0, "median_12": 1, "naive": caught(1.0), "vpn": caught(0.5), "targeted": caught(0.99) });
        let bands = json!({ "settings": [85, 95, 99], "median_12": 1, "mean_12": 0.25, "p90_12": 4 });
        let told = json!({ "methods": [{ "name": OURS, "is_within_budget": true, "at_budget": at_budget }], "default_bands": bands,
            "cost": { "p50_us": 5.0, "p99_us": 9.0 } });
        let found: Vec<(String, f64)> =
            rows(&told).iter().map(|(row, _)| (row.work.to_string(), (row.of_limit * 1_000.0).round())).collect();
        let expected = [("naive-tpr", 1_010.0), ("vpn-tpr", 505.0), ("targeted-tpr", 1_000.0), ("score-cost", 2_000.0)];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value)));
        assert!(rows(&json!({})).is_empty());
        let shown = tables(&told);
        assert!(shown.contains("| ours with hard rules | 1.000 (0.990–1.010) |") && shown.contains("| 88.0 |"), "{shown}");
        assert!(shown.contains("the server's own settings (85, 95, 99) and the rules: 1 / 3.0 / 4 of 12"), "{shown}");
    }
}
