//! `strongroom data clean` and `data trained`: a version without chosen rows, and what was trained on the one with them.

use std::process::ExitCode;
use std::str::FromStr;

use clap::Args;
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data::{NOT_ADMITTED, path, split, wait};
use super::data_commit::POLL_EVERY;
use super::output::show;
use super::table;

/// Rows, as rising ranges that do not touch, each from its first row to its last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rows(Vec<(u64, u64)>);

impl FromStr for Rows {
    type Err = Problem;

    fn from_str(text: &str) -> Result<Self, Problem> {
        let bad = || Problem::invalid("rows are numbers and ranges joined by commas, such as `17,40-42`");
        let mut ranges = Vec::new();
        for part in text.split(',') {
            let (first, last) = part.trim().split_once('-').unwrap_or((part.trim(), part.trim()));
            let (first, last): (u64, u64) = (first.trim().parse().map_err(|_| bad())?, last.trim().parse().map_err(|_| bad())?);
            if last < first {
                return Err(bad());
            }
            ranges.push((first, last));
        }
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => joined.push((first, last)),
            }
        }
        Ok(Self(joined))
    }
}

impl Rows {
    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }
}

/// Options of `data clean`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom data clean churn@3 --rows 17,40-42 --reason 'labels were flipped' --wait
  strongroom data clean churn@3 --finding poisoning.label_flips --reason 'labels were flipped' --retrain

Rows are numbered from 0 over the version's files in the order of their paths, headers not counted, as findings number them; of a
folder of images each file is a row. The server's worker writes the files again without them: text and arrays byte by byte, Parquet
and Arrow with the same schema, metadata and compression. Files that lose no row stay as they are.")]
pub struct Clean {
    /// The version whose rows are left out.
    version: String,
    /// The rows: numbers and ranges, joined by commas.
    #[arg(long, value_name = "ROWS", required_unless_present = "findings")]
    rows: Option<Rows>,
    /// A finding of the last inspection whose rows are left out; may be repeated.
    #[arg(long = "finding", value_name = "ID")]
    findings: Vec<String>,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Ask for the runs and models that were trained on the version, or on what was made from it, to be trained again.
    #[arg(long)]
    retrain: bool,
    /// Wait for the verdict; 3 unless it is admitted.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data trained`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  strongroom data trained churn@3\n  strongroom data trained churn@3 --json | jq .retrain_requests"
)]
pub struct TrainedOn {
    /// The version.
    version: String,
    #[command(flatten)]
    connection: Connection,
}

impl Clean {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        let mut client = self.connection.open().await?;
        if !client.is_served() {
            let message = "no server runs on this folder, so nobody leaves rows out; start one with `strongroom serve`";
            return Err(Problem::new(Kind::Conflict, message));
        }
        let (name, _) = split(&self.version);
        let rows = self.rows.as_ref().map(Rows::ranges).unwrap_or_default();
        let body = json!({ "rows": rows, "findings": self.findings, "reason": self.reason, "retrain": self.retrain });
        let asked = client.post(&format!("{}/clean", path(&self.version)), &body).await?;
        let id = asked.get("id").and_then(Value::as_str).unwrap_or_default();
        let count = asked.pointer("/removed/row_count").and_then(Value::as_u64).unwrap_or_default();
        if !client.json {
            eprintln!("leaving {count} rows out of {}", self.version);
        }
        let shown = made(&mut client, &format!("{name}@{id}")).await?;
        let Some(number) = shown.get("version").and_then(Value::as_i64) else {
            let fault = shown.pointer("/inspection/fault").and_then(Value::as_str).unwrap_or("it was cancelled");
            return Err(Problem::new(Kind::Conflict, format!("the rows were not left out: {fault}")));
        };
        if self.retrain {
            let trained = client.get(&format!("{}/trained", path(&format!("{name}@{number}")))).await?;
            let count = trained.get("retrain_requests").and_then(Value::as_array).map_or(0, Vec::len);
            if !client.json {
                eprintln!("{count} runs and models are to be trained again; see `strongroom data trained {name}@{number}`");
            }
        }
        if self.wait {
            return wait(&mut client, &format!("{name}@{number}")).await;
        }
        if client.json {
            crate::say!("{shown}");
        } else {
            crate::say!("made {name}@{number}, which is quarantined until it was inspected");
            show(&client, &shown, &["manifest_sha256", "file_count", "size_bytes"])?;
        }
        Ok(if shown.get("state").and_then(Value::as_str) == Some("refused") {
            ExitCode::from(NOT_ADMITTED)
        } else {
            ExitCode::SUCCESS
        })
    }
}

/// The version once its rows were left out, or could not be.
async fn made(client: &mut Client, version: &str) -> Result<Value, Problem> {
    loop {
        let shown = client.get(&path(version)).await?;
        let waits =
            shown.pointer("/inspection/state").and_then(Value::as_str).is_some_and(|state| matches!(state, "queued" | "running"));
        if shown.get("version").is_some_and(Value::is_i64) || !waits {
            return Ok(shown);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

impl TrainedOn {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let found = client.get(&format!("{}/trained", path(&self.version))).await?;
        if client.json {
            crate::say!("{found}");
            return Ok(());
        }
        let rows = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
        let things = rows("trained");
        if things.is_empty() {
            crate::say!("nothing that the lineage knows was trained on it");
        } else {
            crate::say!("{}", table::render(&things, &["kind", "name", "label", "trust", "data"]));
        }
        let mut requests = rows("retrain_requests");
        for request in &mut requests {
            let subject = request.get("subject").cloned().unwrap_or_default();
            if let Some(fields) = request.as_object_mut() {
                for name in ["kind", "name"] {
                    fields.insert(name.to_owned(), subject.get(name).cloned().unwrap_or_default());
                }
            }
        }
        if !requests.is_empty() {
            crate::say!("\nto be trained again:");
            crate::say!(
                "{}",
                table::render(&requests, &["state", "kind", "name", "trained_on", "replaced_by", "asked_at", "why"])
            );
        }
        Ok(())
    }
}

/// A version of a data set without some rows, once it is made: `NAME@NUMBER`. It may still wait to be admitted.
pub(super) async fn cleaned(client: &mut Client, version: &str, rows: &str, reason: &str) -> Result<String, Problem> {
    let rows: Rows = rows.trim().replace(['\n', '\r'], ",").parse()?;
    let (name, _) = split(version);
    let body = json!({ "rows": rows.ranges(), "findings": [], "reason": reason, "retrain": false });
    let asked = client.post(&format!("{}/clean", path(version)), &body).await?;
    let id = asked.get("id").and_then(Value::as_str).unwrap_or_default();
    let shown = made(client, &format!("{name}@{id}")).await?;
    let Some(number) = shown.get("version").and_then(Value::as_i64) else {
        let fault = shown.pointer("/inspection/fault").and_then(Value::as_str).unwrap_or("it was cancelled");
        return Err(Problem::new(Kind::Conflict, format!("the rows were not left out: {fault}")));
    };
    if !client.json {
        eprintln!("made {name}@{number} without them");
    }
    Ok(format!("{name}@{number}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_numbers_and_ranges() {
        assert_eq!("3,1-2,9".parse::<Rows>().unwrap().ranges(), [(1, 3), (9, 9)]);
        for bad in ["", "a", "2-1", "1,", "-1"] {
            assert!(bad.parse::<Rows>().is_err(), "{bad}");
        }
    }
}
