//! `strongroom model`: versions of registered models between quarantine and use.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data::{Standing, print_findings};
use super::lineage::split;
use super::model_files::{Export, Submit};
use super::model_gate::{ModelGate, print_trial};
use super::model_signers::ModelSigners;
use super::output::{done, list, pages, segment, show};

pub(super) const PREFIX: &str = "/api/strongroom/v1/models";
const ALIAS: &str = "/api/2.0/mlflow/registered-models/alias";
/// Exit code for a version that may not be promoted.
pub(super) const NOT_ADMITTED: u8 = 3;
/// How often a waiting command looks.
const POLL_EVERY: Duration = Duration::from_millis(200);
pub(super) const FIELDS: [&str; 12] = [
    "model",
    "version",
    "state",
    "verdict",
    "may_be_promoted",
    "obstacle",
    "submitter",
    "submitted_at",
    "manifest_sha256",
    "file_count",
    "waiver_until",
    "gate_revision",
];

/// Work with versions of registered models: inspect, decide, promote.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom model list
  strongroom model show churn@champion
  strongroom model findings churn/3 --details
  strongroom model waive churn/3 --reason 'the loader was read line by line' --days 30
  strongroom model gate set churn churn.gate.yaml --reason 'agreed with the owner'
  strongroom model promote churn/3 --alias champion
  strongroom model rollback churn --alias champion
  strongroom model submit ./churn-model --name churn --wait
  strongroom model export churn@champion --to churn

A version is named MODEL/NUMBER, MODEL@ALIAS, or MODEL for the newest. Exit codes: 0 done, 3 not admitted.")]
pub enum Model {
    /// List versions and where they stand.
    List(List),
    /// Show where a version stands, and what keeps it from being promoted.
    Show(OneVersion),
    /// Show what the inspection of a version found.
    Findings(Findings),
    /// Write a document of a version: its report, its page, its signed attestation.
    Report(Report),
    /// Write a paper about a version: its signature, provenance, bill of materials, card, dossier, or all of it as evidence.
    Paper(Paper),
    /// Have a version inspected again.
    Inspect(Inspect),
    /// Let a version in despite findings that need a waiver, for a while. Not your own.
    Waive(Waive),
    /// Let a version in that nothing speaks against. Not your own.
    Admit(Decide),
    /// Keep a version out.
    Refuse(Decide),
    /// Say what versions of a model must hold to, and show it.
    #[command(subcommand)]
    Gate(ModelGate),
    /// Check that a version is admitted and that its files are those that were inspected; 3 if not.
    Verify(OneVersion),
    /// Point an alias at a version that is admitted.
    Promote(Promote),
    /// Have a version trained again by the server, on other data, with other parameters.
    Retrain(super::retrain::Retrain),
    /// Bring a model's folder in: upload it, register it, have it inspected.
    Submit(Submit),
    /// Write an admitted version's files, its signature and its papers to a folder.
    Export(Export),
    /// Point an alias back at the newest admitted version before the one that it points at.
    Rollback(Rollback),
    /// Say whose signatures on models count.
    #[command(subcommand)]
    Signers(ModelSigners),
}

/// Options of `model list`.
#[derive(Args)]
#[command(after_help = "Examples:\n  strongroom model list --model churn\n  strongroom model list --state quarantined")]
pub struct List {
    /// Versions of this model alone.
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Versions in this state alone, the newest first.
    #[arg(long)]
    state: Option<Standing>,
    #[command(flatten)]
    connection: Connection,
}

/// A version.
#[derive(Args)]
pub struct OneVersion {
    /// `MODEL/NUMBER`, `MODEL@ALIAS` or `MODEL`.
    version: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model findings`.
#[derive(Args)]
pub struct Findings {
    /// The version.
    version: String,
    /// Show details and remedies too.
    #[arg(long)]
    details: bool,
    #[command(flatten)]
    connection: Connection,
}

/// A document.
#[derive(Clone, Copy, ValueEnum)]
enum Wanted {
    /// The report (JSON).
    Report,
    /// The report as a page (HTML).
    Page,
    /// The signed in-toto statement (DSSE).
    Attestation,
}

/// Options of `model report`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom model report churn/3 --document page --to churn-3.html")]
pub struct Report {
    /// The version.
    version: String,
    /// Which document.
    #[arg(long, value_enum, default_value = "report")]
    document: Wanted,
    /// Where to; the standard output if no file is named.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model paper`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom model paper churn/3 --paper model.sig --to churn/model.sig
  strongroom model paper churn@champion --paper evidence.json --to churn.json")]
pub struct Paper {
    /// The version.
    version: String,
    /// Which paper: `model.sig`, `signing-key.pem`, `provenance.json`, `summary.json`, `bom.json`, `card.md`, `dossier.html` or
    /// `evidence.json`.
    #[arg(long, default_value = "card.md")]
    paper: String,
    /// Where to; the standard output if no file is named.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model inspect`.
#[derive(Args)]
pub struct Inspect {
    /// The version.
    version: String,
    /// Wait for the verdict; 3 unless it is admitted.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model waive`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom model waive churn/3 --reason 'custom loader reviewed, see ticket 12' --days 30")]
pub struct Waive {
    /// The version.
    version: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// For how many days.
    #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=366))]
    days: u32,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model admit` and `model refuse`.
#[derive(Args)]
pub struct Decide {
    /// The version.
    version: String,
    /// Why.
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model promote`.
#[derive(Args)]
pub struct Promote {
    /// The version.
    version: String,
    /// The alias.
    #[arg(long, default_value = "champion")]
    alias: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model rollback`.
#[derive(Args)]
pub struct Rollback {
    /// The model.
    model: String,
    /// The alias.
    #[arg(long, default_value = "champion")]
    alias: String,
    #[command(flatten)]
    connection: Connection,
}

impl Model {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        match self {
            Self::List(verb) => {
                let mut client = verb.connection.open().await?;
                let columns = ["model", "version", "state", "verdict", "file_count", "submitted_at", "waiver_until"];
                let model = verb.model.unwrap_or_default();
                let state = verb.state.map(Standing::word).unwrap_or_default();
                let path = format!("{PREFIX}/versions?model={}&state={state}", segment(&model));
                list(&mut client, &path, "versions", &columns).await
            }
            Self::Show(verb) => {
                let mut client = verb.connection.open().await?;
                let shown = client.get(&path(&verb.version)).await?;
                show(&client, &shown, &FIELDS)?;
                print_trial(&mut client, &path(&verb.version)).await
            }
            Self::Findings(verb) => verb.run().await,
            Self::Report(verb) => verb.run().await,
            Self::Paper(verb) => verb.run().await,
            Self::Inspect(verb) => return verb.run().await,
            Self::Waive(verb) => verb.run().await,
            Self::Admit(verb) => verb.run("admit").await,
            Self::Refuse(verb) => verb.run("refuse").await,
            Self::Verify(verb) => {
                let mut client = verb.connection.open().await?;
                let shown = client.get(&path(&verb.version)).await?;
                show(&client, &shown, &["model", "version", "state", "may_be_promoted", "obstacle", "manifest_sha256"])?;
                let good = shown.get("may_be_promoted").and_then(Value::as_bool) == Some(true);
                return Ok(if good { ExitCode::SUCCESS } else { ExitCode::from(NOT_ADMITTED) });
            }
            Self::Gate(verb) => verb.run().await,
            Self::Promote(verb) => verb.run().await,
            Self::Rollback(verb) => verb.run().await,
            Self::Retrain(verb) => return verb.run().await,
            Self::Signers(verb) => verb.run().await,
            Self::Submit(verb) => return verb.run().await,
            Self::Export(verb) => verb.run().await,
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

/// The address of a version.
pub(super) fn path(text: &str) -> String {
    let (name, version) = split(text);
    format!("{PREFIX}/{}/versions/{}", segment(name), segment(&version))
}

impl Findings {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let found = client.get(&format!("{}/findings", path(&self.version))).await?;
        if client.json {
            crate::say!("{found}");
        } else if found.get("inspection").is_none_or(Value::is_null) {
            crate::say!("no inspection of this version left a report yet");
        } else {
            print_findings(found.get("findings"), self.details);
        }
        Ok(())
    }
}

impl Report {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let document = match self.document {
            Wanted::Report => "report.json",
            Wanted::Page => "report.html",
            Wanted::Attestation => "attestation.json",
        };
        let text = client.get_text(&format!("{}/documents/{document}", path(&self.version))).await?;
        write(self.to.as_deref(), &text.body)
    }
}

impl Paper {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let text = client.get_text(&format!("{}/papers/{}", path(&self.version), segment(&self.paper))).await?;
        write(self.to.as_deref(), &text.body)
    }
}

/// Writes a text to a file, or to the standard output.
fn write(to: Option<&Path>, text: &str) -> Result<(), Problem> {
    let written = match to {
        Some(file) => std::fs::write(file, text),
        None => std::io::stdout().write_all(text.as_bytes()),
    };
    written.map_err(|error| Problem::invalid(format!("it cannot be written: {error}")))
}

impl Inspect {
    async fn run(self) -> Result<ExitCode, Problem> {
        let mut client = self.connection.open().await?;
        let address = path(&self.version);
        let queued = client.post(&format!("{address}/inspect"), &json!({})).await?;
        if !self.wait {
            show(&client, &queued, &["id", "state"])?;
            return Ok(ExitCode::SUCCESS);
        }
        if !client.is_served() {
            let message = "no server runs on this folder, so nothing is inspected; start one with `strongroom serve`";
            return Err(Problem::new(Kind::Conflict, message));
        }
        let shown = wait(&mut client, &address).await?;
        show(&client, &shown, &FIELDS)?;
        print_trial(&mut client, &address).await?;
        let admitted = shown.get("state").and_then(Value::as_str) == Some("admitted");
        Ok(if admitted { ExitCode::SUCCESS } else { ExitCode::from(NOT_ADMITTED) })
    }
}

/// The version, once no inspection of it is on its way.
pub(super) async fn wait(client: &mut Client, address: &str) -> Result<Value, Problem> {
    loop {
        let shown = client.get(address).await?;
        let state = shown.pointer("/inspection/state").and_then(Value::as_str).unwrap_or_default();
        if !matches!(state, "queued" | "running") {
            return Ok(shown);
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

impl Waive {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let now = kernel::Clock::now(&kernel::SystemClock);
        let until = wire::time_text(now.plus_secs(i64::from(self.days) * 86_400));
        let body = json!({ "reason": self.reason, "until": until });
        let decided = client.post(&format!("{}/waive", path(&self.version)), &body).await?;
        show(&client, &decided, &["version", "state", "waiver_until"])
    }
}

impl Decide {
    async fn run(self, verb: &str) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let decided = client.post(&format!("{}/{verb}", path(&self.version)), &json!({ "reason": self.reason })).await?;
        show(&client, &decided, &["version", "state"])
    }
}

impl Promote {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let shown = client.get(&path(&self.version)).await?;
        let (Some(model), Some(version)) = (shown.get("model").and_then(Value::as_str), shown.get("version")) else {
            return Err(Problem::internal("the server's answer names no version", "no `model` or `version`"));
        };
        let version = version.to_string();
        client.post(ALIAS, &json!({ "name": model, "alias": self.alias, "version": version })).await?;
        done(&client, &format!("{model}@{} is version {version}", self.alias))
    }
}

impl Rollback {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let now = client.get(&path(&format!("{}@{}", self.model, self.alias))).await?;
        let number = |value: &Value| value.get("version").and_then(Value::as_i64).unwrap_or_default();
        let current = number(&now);
        let all = pages(&mut client, &format!("{PREFIX}/versions"), "versions", usize::MAX).await?;
        let earlier = all.iter().filter(|one| one.get("model").and_then(Value::as_str) == Some(self.model.as_str()));
        let admitted =
            earlier.filter(|one| one.get("state").and_then(Value::as_str) == Some("admitted") && number(one) < current);
        let Some(back) = admitted.map(number).max() else {
            let message = format!("no version of `{}` before {current} is admitted", self.model);
            return Err(Problem::new(Kind::Conflict, message));
        };
        client.post(ALIAS, &json!({ "name": self.model, "alias": self.alias, "version": back.to_string() })).await?;
        done(&client, &format!("{}@{} is version {back} again; it was {current}", self.model, self.alias))
    }
}
