//! `strongroom alerts`, `remedy`, `health`, `label` and `observe`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use kernel::Problem;
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data::Plain;
use super::output::{list, print_list, segment, show};
use crate::config;

const PREFIX: &str = "/api/strongroom/v1";
const COLUMNS: [&str; 6] = ["id", "severity", "state", "since", "crosses_at", "headline"];
const FIELDS: [&str; 12] = [
    "id",
    "kind",
    "severity",
    "state",
    "headline",
    "since",
    "opened_at",
    "crosses_at",
    "certainty",
    "acknowledged_by",
    "resolved_at",
    "resolved_by",
];
/// A file of labels.
const LABELS_BYTES_MAX: u64 = 16 << 20;

/// Work with alerts: what is wrong, since when, why, and what can be done.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom alerts list --state open
  strongroom alerts show ALERT
  strongroom alerts acknowledge ALERT
  strongroom remedy run REMEDY")]
pub enum Alerts {
    /// List alerts, the newest first.
    List(ListAlerts),
    /// Show an alert: its causes, its origin, its remedies.
    Show(OneAlert),
    /// Say that you are on it.
    Acknowledge(OneAlert),
    /// Close an alert.
    Resolve(OneAlert),
}

/// Options of `alerts list`.
#[derive(Args)]
pub struct ListAlerts {
    /// Only alerts that are `open`, `acknowledged` or `resolved`.
    #[arg(long, value_name = "STATE")]
    state: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// An alert.
#[derive(Args)]
pub struct OneAlert {
    /// The alert's id.
    alert: String,
    #[command(flatten)]
    connection: Connection,
}

/// Work with remedies of alerts.
#[derive(Subcommand)]
pub enum RemedyVerb {
    /// Run a remedy: what it does is done in your name, with your rights.
    Run(OneRemedy),
}

/// A remedy.
#[derive(Args)]
pub struct OneRemedy {
    /// The remedy's id, as `alerts show` lists it.
    remedy: String,
    #[command(flatten)]
    connection: Connection,
}

/// Work with true outcomes of predictions.
#[derive(Subcommand)]
pub enum LabelVerb {
    /// Add labels from a file.
    Add(AddLabels),
}

/// Options of `label add`.
#[derive(Args)]
#[command(after_help = "The file holds a JSON list such as [{\"prediction\": \"ID\", \"row\": 0, \"label\": \"yes\"}].

Example:
  strongroom label add churn --file labels.json")]
pub struct AddLabels {
    /// The endpoint.
    endpoint: String,
    /// The file.
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// Watching from outside.
#[derive(Subcommand)]
pub enum ObserveVerb {
    /// Print alert rules for a Prometheus that scrapes this server.
    #[command(
        after_help = "Example:\n  strongroom observe rules --data ./data > strongroom.rules.yml && promtool check rules strongroom.rules.yml"
    )]
    Rules(Rules),
}

/// Options of `observe rules`.
#[derive(Args)]
pub struct Rules {
    /// The data folder, whose configuration the limits are taken from; without one, the defaults.
    #[arg(long, value_name = "DIR", env = "STRONGROOM_DATA")]
    data: Option<PathBuf>,
}

impl Alerts {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::List(verb) => {
                let mut client = verb.connection.open().await?;
                let state = verb.state.map_or_else(String::new, |state| format!("?state={}", segment(&state)));
                list(&mut client, &format!("{PREFIX}/alerts{state}"), "alerts", &COLUMNS).await
            }
            Self::Show(verb) => {
                let mut client = verb.connection.open().await?;
                let found = client.get(&address(&verb.alert)).await?;
                show(&client, &found, &FIELDS)?;
                explain(&client, &found);
                Ok(())
            }
            Self::Acknowledge(verb) => verb.act("acknowledge").await,
            Self::Resolve(verb) => verb.act("resolve").await,
        }
    }
}

impl OneAlert {
    async fn act(self, verb: &str) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let changed = client.post(&format!("{}/{verb}", address(&self.alert)), &json!({})).await?;
        show(&client, &changed, &FIELDS)
    }
}

impl RemedyVerb {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let Self::Run(verb) = self;
        let mut client = verb.connection.open().await?;
        let done = client.post(&format!("{PREFIX}/remedies/{}/run", segment(&verb.remedy)), &json!({})).await?;
        show(&client, &done, &["words", "result"])
    }
}

impl LabelVerb {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let Self::Add(verb) = self;
        let bytes = super::offline::read(&verb.file, LABELS_BYTES_MAX)?;
        let labels: Value =
            serde_json::from_slice(&bytes).map_err(|error| Problem::invalid(format!("the labels are no JSON: {error}")))?;
        let mut client = verb.connection.open().await?;
        let address = format!("{PREFIX}/endpoints/{}/labels", segment(&verb.endpoint));
        let taken = client.post(&address, &json!({ "labels": labels })).await?;
        show(&client, &taken, &["stored", "repeated", "unknown"])
    }
}

impl ObserveVerb {
    pub(super) fn run(self) -> Result<(), Problem> {
        let Self::Rules(verb) = self;
        let observe = match verb.data {
            Some(data) => config::load(&data, None)?.observe,
            None => observe::ObserveConfig::default(),
        };
        crate::say!("{}", observe::alert_rules(&observe));
        Ok(())
    }
}

/// How endpoints, data and the server are.
pub(super) async fn health(plain: Plain) -> Result<(), Problem> {
    let mut client = plain.connection.open().await?;
    // Not a list of pages: all of it is one look.
    let answer = client.get(&format!("{PREFIX}/health")).await?;
    let rows = answer.get("health").and_then(Value::as_array).cloned().unwrap_or_default();
    print_list(&client, &rows, &["kind", "name", "state", "reasons"]);
    Ok(())
}

/// Causes, origin and remedies, for people.
fn explain(client: &Client, found: &Value) {
    if client.json {
        return;
    }
    let rows = |name: &str| found.get(name).and_then(Value::as_array).cloned().unwrap_or_default();
    let text = |row: &Value, name: &str| row.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    for cause in rows("causes") {
        let weight = cause.get("weight").and_then(Value::as_f64).unwrap_or_default();
        crate::say!("cause       {:>3.0} %  {}", 100.0 * weight, text(&cause, "words"));
    }
    for origin in rows("origin") {
        crate::say!("origin      {}", origin.as_str().unwrap_or_default());
    }
    for remedy in rows("remedies") {
        crate::say!("remedy      {}  {}", text(&remedy, "id"), text(&remedy, "words"));
        let command = text(&remedy, "command");
        if !command.is_empty() {
            crate::say!("            {command}");
        }
    }
}

fn address(alert: &str) -> String {
    format!("{PREFIX}/alerts/{}", segment(alert))
}
