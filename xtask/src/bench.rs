//! `cargo xtask bench NAME [--json]`: rows of work, ours, peer, ratio, limit.

use std::borrow::Cow;
use std::process::Command;

use serde_json::{Value, json};

use crate::{
    bench_adversary, bench_console, bench_contract, bench_drift, bench_guard, bench_lineage, bench_objects, bench_pii,
    bench_poison, bench_profile, bench_recovery, bench_risk, bench_runtime, bench_scan, bench_serve, bench_sign, bench_sign_in,
    bench_tracking, shell,
};

/// One line of a bench.
pub struct Row {
    /// The work's name.
    pub work: Cow<'static, str>,
    /// Our value.
    pub ours: f64,
    /// The peer's value, where there is one.
    pub peer: Option<f64>,
    /// What the values count.
    pub unit: &'static str,
    /// Above 1 means that we are better.
    pub ratio: Option<f64>,
    /// The target: for the ratio where there is a peer, for our value where there is none.
    pub limit: f64,
    /// How much of the target is reached; above 1 means it is met.
    pub of_limit: f64,
    /// What keeps our value from being better.
    pub limited_by: Cow<'static, str>,
}

/// Runs the bench that the words name.
///
/// # Errors
/// If it cannot run.
pub fn run(words: &[&str]) -> Result<(), String> {
    let json = words.contains(&"--json");
    match words.first() {
        Some(&"tracking") => {
            let rows = bench_tracking::run(words)?;
            print("tracking", &rows, json);
            Ok(())
        }
        Some(&"pii") => {
            print("pii", &bench_pii::run(words)?, json);
            Ok(())
        }
        Some(&"poison") => {
            let told = bench_poison::run(words)?;
            if json {
                print_json("poison", told.into_iter().map(|(row, more)| with(row_json(&row), more)).collect());
                return Ok(());
            }
            let rows: Vec<Row> = told.into_iter().map(|(row, _)| row).collect();
            print("poison", &rows, json);
            Ok(())
        }
        Some(&"risk") => {
            let told = bench_risk::run(words)?;
            if json {
                print_json("risk", told.rows.into_iter().map(|(row, more)| with(row_json(&row), more)).collect());
                return Ok(());
            }
            let rows: Vec<Row> = told.rows.into_iter().map(|(row, _)| row).collect();
            print("risk", &rows, json);
            println!("\n{}", told.tables);
            Ok(())
        }
        Some(&"profile") => {
            print("profile", &bench_profile::run(words)?, json);
            Ok(())
        }
        Some(&"adversary") => {
            print("adversary", &bench_adversary::run()?, json);
            Ok(())
        }
        Some(&"guard") => {
            print("guard", &bench_guard::run(words)?, json);
            Ok(())
        }
        Some(&"sign") => {
            print("sign", &bench_sign::run()?, json);
            Ok(())
        }
        Some(&"contract") => {
            print("contract", &bench_contract::run()?, json);
            Ok(())
        }
        Some(&"drift") => {
            print("drift", &bench_drift::run()?, json);
            Ok(())
        }
        Some(&"lineage") => {
            print("lineage", &bench_lineage::run()?, json);
            Ok(())
        }
        Some(&"scan") => {
            print("scan", &bench_scan::run()?, json);
            Ok(())
        }
        Some(&"runtime") => {
            print("runtime", &bench_runtime::run()?, json);
            Ok(())
        }
        Some(&"serve") => {
            print("serve", &bench_serve::run(words)?, json);
            Ok(())
        }
        Some(&"objects") => {
            print("objects", &bench_objects::run(words)?, json);
            Ok(())
        }
        Some(&"recovery") => {
            print("recovery", &bench_recovery::run(words)?, json);
            Ok(())
        }
        Some(&"console") => {
            print("console", &bench_console::run(words)?, json);
            Ok(())
        }
        Some(&"sign-in") => {
            print("sign-in", &bench_sign_in::run(words)?, json);
            Ok(())
        }
        Some(&"audit") => example("strongroom", "bench_audit", json),
        Some(&"policy") => example("policy", "decision_cost", json),
        _ => {
            Err("which bench? `adversary`, `console`, `tracking`, `profile`, `contract`, `drift`, `guard`, `lineage`, `objects`, `pii`, `poison`, `recovery`, `risk`, `runtime`, `scan`, `serve`, `sign`, `sign-in`, `audit` or `policy`"
                .to_owned())
        }
    }
}

/// Works inside the process are examples of their packages; they print their own object.
fn example(package: &str, name: &str, json: bool) -> Result<(), String> {
    let mut command = Command::new(shell::cargo_program());
    command.args(["run", "--quiet", "--release", "--package", package, "--example", name]).current_dir(shell::root());
    if json {
        return shell::run(command.args(["--", "--json"]));
    }
    shell::run(&mut command)
}

/// Prints rows as a table, or as the one JSON object.
pub fn print(bench: &str, rows: &[Row], json: bool) {
    if json {
        return print_json(bench, rows.iter().map(row_json).collect());
    }
    println!(
        "{:<18} {:>12} {:>12} {:<11} {:>8} {:>7} {:>9}  limited by",
        "work", "ours", "peer", "unit", "ratio", "limit", "of limit"
    );
    for row in rows {
        println!(
            "{:<18} {:>12} {:>12} {:<11} {:>8} {:>7} {:>9}  {}",
            row.work,
            short(row.ours),
            row.peer.map_or_else(|| "-".to_owned(), short),
            row.unit,
            row.ratio.map_or_else(|| "-".to_owned(), |ratio| format!("{}x", short(ratio))),
            short(row.limit),
            format!("{:.2}", row.of_limit),
            row.limited_by
        );
    }
}

fn print_json(bench: &str, rows: Vec<Value>) {
    println!("{}", json!({"bench": bench, "rows": rows}));
}

/// A row with more members.
fn with(mut row: Value, more: Value) -> Value {
    if let (Some(row), Value::Object(more)) = (row.as_object_mut(), more) {
        row.extend(more);
    }
    row
}

fn row_json(row: &Row) -> Value {
    json!({
        "work": row.work, "ours": rounded(row.ours), "peer": row.peer.map(rounded), "unit": row.unit,
        "ratio": row.ratio.map(rounded), "limit": rounded(row.limit), "of_limit": rounded(row.of_limit),
        "limited_by": row.limited_by,
    })
}

fn rounded(value: f64) -> f64 {
    (value * 1_000.0).round() / 1_000.0
}

fn short(value: f64) -> String {
    if value >= 1_000.0 {
        format!("{value:.0}")
    } else if value >= 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.2}")
    }
}
