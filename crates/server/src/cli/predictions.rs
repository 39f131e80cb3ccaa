//! `strongroom predictions` and `strongroom trace`: what endpoints were asked and said, and where it comes from.

use std::path::PathBuf;

use audit::note::VerifierKey;
use clap::{Args, Subcommand, ValueEnum};
use kernel::Problem;
use predictions::proof::Proof;
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data_query;
use super::output::{done, list, list_at_most, segment, show};
use super::read_text;

const PREFIX: &str = "/api/strongroom/v1";
const COLUMNS: [&str; 7] = ["prediction", "made_at", "endpoint", "caller", "rows", "latency_us", "kept"];
const FIELDS: [&str; 15] = [
    "prediction",
    "made_at",
    "endpoint",
    "model",
    "model_version",
    "manifest_sha256",
    "caller",
    "caller_name",
    "rows",
    "latency_us",
    "kept",
    "erased",
    "inputs_hmac",
    "audit_entry",
    "batch",
];

/// Look into what endpoints were asked and said.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom predictions list --endpoint churn --since 2026-11-01T00:00:00Z
  strongroom predictions query \"SELECT output_label, COUNT(*) FROM predictions GROUP BY output_label\" --endpoint churn
  strongroom predictions prove PREDICTION_ID > proof.json
  strongroom predictions verify proof.json --vkey \"$(cat audit.vkey)\"
  strongroom predictions erase --subject customer-17 --dry-run
  strongroom predictions erase --subject customer-17
  strongroom predictions policy churn hashes")]
pub enum PredictionsVerb {
    /// List predictions, the newest first: who asked what when, without values.
    List(List),
    /// Count predictions by endpoint and version.
    Count(Narrow),
    /// Show a prediction, with what was asked and said where that is kept.
    Show(One),
    /// Run one SELECT over predictions.
    Query(Query),
    /// Print the proof that a prediction was made and logged, for `predictions verify`.
    Prove(One),
    /// Check a proof without a server.
    Verify(Verify),
    /// Erase what was kept of a subject: the key goes, and nothing opens without it.
    Erase(Erase),
    /// List the erasures that were done, the newest first.
    Erasures(Erasures),
    /// Show or say what is kept of an endpoint's predictions.
    Policy(Policy),
}

/// Which predictions.
#[derive(Args)]
pub struct Wish {
    /// Of this endpoint.
    #[arg(long, value_name = "NAME")]
    endpoint: Option<String>,
    /// From this time on (RFC 3339).
    #[arg(long, value_name = "TIME")]
    since: Option<String>,
    /// Before this time (RFC 3339).
    #[arg(long, value_name = "TIME")]
    until: Option<String>,
}

/// Options of `predictions count`.
#[derive(Args)]
pub struct Narrow {
    #[command(flatten)]
    wish: Wish,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `predictions list`.
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    wish: Wish,
    /// At most this many, the newest first; 0 for all.
    #[arg(long, default_value_t = 50)]
    rows: usize,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `predictions show` and `predictions prove`.
#[derive(Args)]
pub struct One {
    /// The prediction's id, as its answer gave it.
    id: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `predictions query`.
#[derive(Args)]
#[command(
    after_help = "The table is called `predictions` and has a row for each row that was asked: id, row_index, made_at, made_at_us,
endpoint, version, manifest_sha256, caller, subject, latency_us, row_count, verdicts, kept (`values`, `hashes`, `erased` or
`too_large`: more than a query reads of a row), inputs_hmac, outputs_hmac, entry; and input_NAME and output_NAME for what
was asked and said, where that is kept."
)]
pub struct Query {
    /// One SELECT.
    sql: String,
    #[command(flatten)]
    wish: Wish,
    /// Rows to give.
    #[arg(long, value_name = "COUNT", default_value_t = 1_000)]
    rows: u64,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `predictions verify`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom predictions verify proof.json --vkey \"$(cat audit.vkey)\"")]
pub struct Verify {
    /// The proof, as `predictions prove` printed it.
    file: PathBuf,
    /// The log's verifier key as you know it.
    #[arg(long, value_name = "VKEY")]
    vkey: String,
    /// Print JSON, for scripts.
    #[arg(long)]
    json: bool,
}

/// Options of `predictions erase`.
#[derive(Args)]
pub struct Erase {
    /// The subject, as clients named it in `Strongroom-Subject`.
    #[arg(long, value_name = "SUBJECT")]
    subject: String,
    /// Only show what is kept of it.
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `predictions erasures`.
#[derive(Args)]
pub struct Erasures {
    #[command(flatten)]
    connection: Connection,
}

/// Options of `predictions policy`.
#[derive(Args)]
pub struct Policy {
    /// The endpoint.
    endpoint: String,
    /// What is kept from now on; without it, what is kept is shown.
    #[arg(value_enum)]
    log: Option<Log>,
    #[command(flatten)]
    connection: Connection,
}

/// What is kept.
#[derive(Clone, Copy, ValueEnum)]
pub enum Log {
    /// What was asked and said.
    Values,
    /// A keyed hash of it.
    Hashes,
    /// Nothing but the audit record.
    Off,
    /// Values where the training data is known and about nobody, else hashes.
    ByData,
}

/// Options of `trace`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom trace 019ac2f1b3d47c5e9a40d1f7c2b8e6a3
  strongroom trace 019ac2f1b3d47c5e9a40d1f7c2b8e6a3 --format svg > prediction.svg
  strongroom trace data:customers/3 --forward --rows 20
  strongroom trace person:alice --forward
  strongroom trace commit:1a2b3c4 --forward")]
pub struct Trace {
    /// A prediction's id, or what `lineage up` takes: `MODEL/VERSION`, `run:ID`, `data:NAME/VERSION`, `person:NAME`, `commit:HASH` …
    subject: String,
    /// The other way: to the endpoints and predictions that stem from it.
    #[arg(long)]
    forward: bool,
    /// With --forward: list so many of the predictions, the newest first.
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    rows: usize,
    /// How to print it.
    #[arg(long, value_enum, default_value = "text")]
    format: super::lineage::Format,
    /// The same as `--format svg`.
    #[arg(long, conflicts_with = "format")]
    svg: bool,
    #[command(flatten)]
    connection: Connection,
}

impl PredictionsVerb {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::List(verb) => {
                let mut client = verb.connection.open().await?;
                let rows = if verb.rows == 0 { usize::MAX } else { verb.rows };
                list_at_most(&mut client, &verb.wish.path("predictions"), "predictions", &COLUMNS, rows).await
            }
            Self::Count(verb) => {
                let mut client = verb.connection.open().await?;
                let columns = ["endpoint", "model", "version", "predictions", "rows", "first_at", "last_at"];
                let answer = client.get(&verb.wish.path("prediction-counts")).await?;
                let rows = answer.get("counts").and_then(Value::as_array).cloned().unwrap_or_default();
                super::output::print_list(&client, &rows, &columns);
                Ok(())
            }
            Self::Show(verb) => {
                let mut client = verb.connection.open().await?;
                let found = client.get(&verb.path("")).await?;
                show(&client, &found, &FIELDS)?;
                print_values(&client, &found);
                Ok(())
            }
            Self::Query(verb) => {
                let mut client = verb.connection.open().await?;
                let Wish { endpoint, since, until } = verb.wish;
                let asked = json!({ "sql": verb.sql, "rows": verb.rows, "endpoint": endpoint, "since": since, "until": until });
                let answer = client.post(&format!("{PREFIX}/predictions/query"), &asked).await?;
                data_query::print(&client, &answer);
                Ok(())
            }
            Self::Prove(verb) => {
                let mut client = verb.connection.open().await?;
                let proof = client.get(&verb.path("/proof")).await?;
                crate::say!("{proof}");
                Ok(())
            }
            Self::Verify(verb) => verb.run(),
            Self::Erase(verb) => {
                let mut client = verb.connection.open().await?;
                let subject = json!({ "subject": verb.subject });
                if verb.dry_run {
                    let held = client.post(&format!("{PREFIX}/predictions/subject"), &subject).await?;
                    return show(&client, &held, &["subject", "since", "predictions", "uncounted_batches"]);
                }
                let erased = client.post(&format!("{PREFIX}/predictions/erase"), &subject).await?;
                if client.json {
                    return show(&client, &erased, &[]);
                }
                let id = erased.get("subject").and_then(Value::as_str).unwrap_or_default();
                done(&client, &format!("what was kept of this subject opens no more (it was {id} in predictions)"))
            }
            Self::Erasures(verb) => {
                let mut client = verb.connection.open().await?;
                let columns = ["erased_at", "erased_by_name", "subject", "predictions", "audit_entry"];
                list(&mut client, &format!("{PREFIX}/prediction-erasures"), "erasures", &columns).await
            }
            Self::Policy(verb) => {
                let mut client = verb.connection.open().await?;
                let path = format!("{PREFIX}/endpoints/{}/log", segment(&verb.endpoint));
                if let Some(log) = verb.log {
                    client.post(&path, &json!({ "log": log.word() })).await?;
                }
                let kept = client.get(&path).await?;
                show(&client, &kept, &["log", "by_data", "set_by", "set_at"])
            }
        }
    }
}

impl Log {
    const fn word(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Hashes => "hashes",
            Self::Off => "off",
            Self::ByData => "by_data",
        }
    }
}

impl Wish {
    fn path(&self, end: &str) -> String {
        let pairs = [("endpoint", &self.endpoint), ("since", &self.since), ("until", &self.until)];
        let given = pairs.iter().filter_map(|(name, value)| value.as_ref().map(|value| format!("{name}={}", segment(value))));
        let query = given.collect::<Vec<_>>().join("&");
        if query.is_empty() { format!("{PREFIX}/{end}") } else { format!("{PREFIX}/{end}?{query}") }
    }
}

impl One {
    fn path(&self, end: &str) -> String {
        format!("{PREFIX}/predictions/{}{end}", segment(&self.id))
    }
}

fn print_values(client: &Client, found: &Value) {
    let rows = found.get("values").and_then(Value::as_array);
    for row in rows.into_iter().flatten().filter(|_| !client.json) {
        crate::say!("{row}");
    }
}

impl Verify {
    fn run(self) -> Result<(), Problem> {
        let text = read_text(&self.file)?;
        let key = VerifierKey::parse(self.vkey.trim())?;
        let checked = Proof::parse(&text)?.check(&key)?;
        let rows: Vec<Value> =
            checked.spoken.iter().flat_map(|spoken| (0..spoken.rows()).map(|row| Value::Object(spoken.row(row)))).collect();
        if self.json {
            let record = serde_json::to_value(&checked.record);
            let record = record.map_err(|error| Problem::internal("the record cannot be shown", error))?;
            let (root, origin, index, size) = (checked.root, checked.origin, checked.log_index, checked.log_size);
            crate::say!(
                "{}",
                json!({ "record": record, "values": rows, "root": root, "log": origin, "index": index, "size": size })
            );
            return Ok(());
        }
        let record = &checked.record;
        crate::say!("the proof holds: prediction {} by {} ({})", record.id, record.endpoint, record.version);
        crate::say!("its batch has the root {}", checked.root);
        crate::say!("sealed as record {} of {} in {}", checked.log_index, checked.log_size, checked.origin);
        rows.iter().for_each(|row| crate::say!("{row}"));
        if rows.is_empty() {
            crate::say!("the file holds no values: only hashes were kept, or they were erased");
        }
        Ok(())
    }
}

impl Trace {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let format = match self.format {
            _ if self.svg => "svg",
            _ if client.json => "json",
            super::lineage::Format::Text => "text",
            super::lineage::Format::Json => "json",
            super::lineage::Format::Svg => "svg",
        };
        let direction = if self.forward { "down" } else { "up" };
        let subject = segment(&self.subject);
        let mut path = format!("{PREFIX}/trace?subject={subject}&direction={direction}&format={format}");
        if self.rows > 0 {
            path.push_str(&format!("&rows={}", self.rows));
        }
        crate::say!("{}", client.get_text(&path).await?.body);
        Ok(())
    }
}
