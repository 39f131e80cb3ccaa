//! Walks over a lineage of a million nodes and three million edges, on both databases.

use std::process::Command;

use serde_json::Value;

use crate::bench::Row;
use crate::postgres::Postgres;
use crate::shell;

/// Runs our side; there is no peer that answers the same question.
///
/// # Errors
/// If it cannot run.
pub fn run() -> Result<Vec<Row>, String> {
    shell::say("building");
    shell::cargo(&["build", "--quiet", "--release", "--package", "lineage", "--example", "bench_lineage"])?;
    let postgres = Postgres::start()?;
    let program = shell::target().join("release").join("examples").join("bench_lineage");
    shell::say("seeding a million nodes and three million edges in each database");
    let printed = shell::quiet(Command::new(program).env("STRONGROOM_TEST_POSTGRES", postgres.address()))?;
    let report: Value = serde_json::from_str(&printed).map_err(|error| format!("the bench printed no JSON: {error}"))?;
    let rows = report.get("rows").and_then(Value::as_array).cloned().unwrap_or_default();
    Ok(rows.iter().map(row).collect())
}

fn row(row: &Value) -> Row {
    let number = |name: &str| row.get(name).and_then(Value::as_f64).unwrap_or(f64::NAN);
    let work = row.get("work").and_then(Value::as_str).unwrap_or_default().to_owned();
    let limited_by = format!(
        "{} things among {} and {} edges; p95 {:.1} ms",
        number("found"),
        number("nodes"),
        number("edges"),
        number("p95_ms")
    );
    Row {
        work: work.into(),
        ours: number("ours"),
        peer: None,
        unit: "ms",
        ratio: None,
        limit: number("limit"),
        of_limit: number("of_limit"),
        limited_by: limited_by.into(),
    }
}
