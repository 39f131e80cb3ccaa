//! `strongroom data query`: SQL over a version, run by the server's worker.

use clap::Args;
use kernel::Problem;
use serde_json::{Map, Value, json};

use super::client::{Client, Connection};
use super::data::path;
use super::output::print_list;

/// Options of `data query`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom data query churn@3 'SELECT plan, COUNT(*) AS people FROM data GROUP BY plan ORDER BY people DESC'
  strongroom data query churn@admitted 'SELECT * FROM data WHERE months < 0' --rows 20 --json

The version is called `data`. One SELECT is run, no other statement; that it was run is recorded as a read of the version. For joins of
several versions, fetch them and use `strongroom-query sql`.")]
pub struct Query {
    /// The version.
    version: String,
    /// One SELECT.
    sql: String,
    /// Rows to give.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    rows: u64,
    #[command(flatten)]
    connection: Connection,
}

impl Query {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let asked = json!({ "sql": self.sql, "rows": self.rows });
        let answer = client.post(&format!("{}/query", path(&self.version)), &asked).await?;
        print(&client, &answer);
        Ok(())
    }
}

/// Prints the rows of a query.
pub(super) fn print(client: &Client, answer: &Value) {
    if client.json {
        crate::say!("{answer}");
        return;
    }
    let (names, rows) = by_name(answer);
    let columns: Vec<&str> = names.iter().map(String::as_str).collect();
    print_list(client, &rows, &columns);
    if answer.get("truncated").and_then(Value::as_bool) == Some(true) {
        eprintln!("there are more rows; see `--rows`");
    }
}

/// The columns' names, each once, and the rows by them.
fn by_name(answer: &Value) -> (Vec<String>, Vec<Value>) {
    let list = |name: &str| answer.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let mut names: Vec<String> = Vec::new();
    for column in list("columns") {
        let name = column.get("name").and_then(Value::as_str).unwrap_or_default();
        let taken = names.iter().any(|known| known == name);
        names.push(if taken { format!("{name} ({})", names.len() + 1) } else { name.to_owned() });
    }
    let row = |cells: Value| {
        let cells = cells.as_array().cloned().unwrap_or_default();
        Value::Object(names.iter().cloned().zip(cells).collect::<Map<_, _>>())
    };
    let rows = list("rows").into_iter().map(row).collect();
    (names, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_of_one_name_are_told_apart() {
        let answer = json!({ "columns": [{"name": "a"}, {"name": "a"}, {"name": "b"}], "rows": [[1, 2, null]] });
        let (names, rows) = by_name(&answer);
        assert_eq!(names, ["a", "a (2)", "b"]);
        assert_eq!(rows, [json!({ "a": 1, "a (2)": 2, "b": null })]);
    }
}
