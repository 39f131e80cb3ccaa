//! `strongroom data`: data sets from the first file to the verdict. Committing is in `data_commit.rs`, reading in `data_read.rs`.

use std::process::ExitCode;

use clap::{Args, Subcommand, ValueEnum};
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data_commit::{self, Commit};
use super::data_contract::Contract;
use super::data_query::Query;
use super::data_read::{Export, Fetch, Report, Token};
use super::data_rows::{Clean, TrainedOn};
use super::output::{done, list, print_list, segment, show};

pub(super) const PREFIX: &str = "/api/strongroom/v1/datasets";
const SOURCES: &str = "/api/strongroom/v1/sources";
/// Exit code for a version that is not admitted.
pub(super) const NOT_ADMITTED: u8 = 3;
const VERSION_FIELDS: [&str; 21] = [
    "dataset",
    "version",
    "state",
    "verdict",
    "classes",
    "committer",
    "committed_at",
    "manifest_sha256",
    "file_count",
    "size_bytes",
    "row_count",
    "column_count",
    "source",
    "trusted_source",
    "licence",
    "owner",
    "purpose",
    "run_id",
    "unknown",
    "waiver_until",
    "id",
];

/// Work with data sets: commit, inspect, decide, read.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom data commit churn train.parquet --source https://data.example/churn --licence CC-BY-4.0 --owner example --wait
  strongroom data findings churn@latest
  strongroom data waive churn@3 --reason 'labels were checked by hand' --days 30
  strongroom data fetch churn@admitted --to ./churn
  strongroom data query churn@3 'SELECT plan, COUNT(*) FROM data GROUP BY plan'
  strongroom data token churn@admitted --experiment 7

A version is named NAME@NUMBER, NAME@latest, NAME@admitted, or NAME for the newest. Exit codes: 0 done (with --wait: admitted),
3 refused, or waiting for a waiver or a reviewer.")]
pub enum Data {
    /// Commit files as a new version of a data set. It is quarantined until it was inspected.
    Commit(Box<Commit>),
    /// Make a version without chosen rows of another one, and have what was trained on it trained again.
    Clean(Clean),
    /// Show which runs and models were trained on a version, and which are to be trained again.
    Trained(TrainedOn),
    /// Work with data contracts (ODCS): show, set, propose, compare, import, check.
    #[command(subcommand)]
    Contract(Contract),
    /// List data sets.
    List(List),
    /// Show a data set's versions, or one version.
    Show(ShowVersion),
    /// Show how a version differs from another one.
    Diff(Diff),
    /// Show what the inspection of a version found.
    Findings(Findings),
    /// Write a document of a version: its report, its page, its signed attestation, its contract.
    Report(Report),
    /// Have a version inspected again.
    Inspect(Inspect),
    /// Stop the inspection of a version.
    Cancel(OneVersion),
    /// Let a version in despite findings that need a waiver, for a while. Not your own.
    Waive(Waive),
    /// Let a version in that nothing speaks against. Not your own.
    Admit(Decide),
    /// Keep a version out.
    Refuse(Decide),
    /// Download the files of a version and check them against its manifest.
    Fetch(Fetch),
    /// Run one SELECT over a version.
    Query(Query),
    /// Write a version and all that vouches for it into one archive.
    Export(Export),
    /// Make a token that reads one version and writes one experiment, and nothing else.
    Token(Token),
    /// Work with the register of trusted sources.
    #[command(subcommand)]
    Source(Source),
}

/// Options of `data list`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom data list --state quarantined")]
pub struct List {
    /// Data sets whose newest version is in this state alone.
    #[arg(long)]
    state: Option<Standing>,
    #[command(flatten)]
    connection: Connection,
}

/// How far a version has come.
#[derive(Clone, Copy, ValueEnum)]
pub(super) enum Standing {
    /// It waits for its inspection, or for somebody's decision.
    Quarantined,
    /// It is being inspected.
    Inspecting,
    /// It may be used.
    Admitted,
    /// It may not.
    Refused,
}

impl Standing {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Quarantined => "quarantined",
            Self::Inspecting => "inspecting",
            Self::Admitted => "admitted",
            Self::Refused => "refused",
        }
    }
}

/// Nothing but the connection.
#[derive(Args)]
pub struct Plain {
    #[command(flatten)]
    pub(super) connection: Connection,
}

/// A version.
#[derive(Args)]
pub struct OneVersion {
    /// `NAME@NUMBER`, `NAME@latest`, `NAME@admitted` or `NAME`.
    version: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data show`.
#[derive(Args)]
pub struct ShowVersion {
    /// `NAME` for all versions, `NAME@NUMBER`, `NAME@latest` or `NAME@admitted` for one.
    version: String,
    /// Show its files with their digests.
    #[arg(long)]
    files: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data diff`.
#[derive(Args)]
#[command(after_help = "Examples:\n  strongroom data diff churn@4\n  strongroom data diff churn@4 --against 2 --json")]
pub struct Diff {
    /// The version.
    version: String,
    /// The other version; the one that it was compared with when it was inspected, if none is named.
    #[arg(long, value_name = "VERSION")]
    against: Option<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data findings`.
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

/// Options of `data inspect`.
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

/// Options of `data waive`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom data waive churn@3 --reason 'the outliers are real, see ticket 12' --days 30")]
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

/// Options of `data admit` and `data refuse`.
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

/// Work with the register of trusted sources.
#[derive(Subcommand)]
pub enum Source {
    /// Add a source.
    Add(AddSource),
    /// List the register.
    List(Plain),
    /// Take a source off the register.
    Remove(RemoveSource),
}

/// Options of `data source add`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom data source add example --pattern 'https://data.example/*' --owner example --licence CC-BY-4.0
  strongroom data source add vendor --pattern 's3://vendor/*' --public-key BASE64 --owner vendor --licence LicenseRef-1")]
pub struct AddSource {
    /// Its name.
    name: String,
    /// The addresses it covers; `*` stands for anything.
    #[arg(long)]
    pattern: String,
    /// The digest of the one manifest that it gives (hex).
    #[arg(long, conflicts_with = "public_key")]
    digest: Option<String>,
    /// The Ed25519 key that it signs manifests with (base64).
    #[arg(long)]
    public_key: Option<String>,
    /// Whose data it is.
    #[arg(long)]
    owner: String,
    /// Under which licence (SPDX).
    #[arg(long)]
    licence: String,
    /// What it may be used for; may be repeated. Without one, for everything.
    #[arg(long = "purpose")]
    purposes: Vec<String>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data source remove`.
#[derive(Args)]
pub struct RemoveSource {
    /// Its name.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

impl Data {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        match self {
            Self::Commit(verb) => return verb.run().await,
            Self::Clean(verb) => return verb.run().await,
            Self::Inspect(verb) => return verb.run().await,
            Self::Contract(verb) => return verb.run().await,
            Self::Trained(verb) => verb.run().await,
            Self::List(verb) => {
                let mut client = verb.connection.open().await?;
                let asked = verb.state.map(|state| format!("?state={}", state.word())).unwrap_or_default();
                list(&mut client, &format!("{PREFIX}{asked}"), "datasets", &["name", "latest", "state", "admitted", "created_at"])
                    .await
            }
            Self::Show(verb) => verb.run().await,
            Self::Diff(verb) => verb.run().await,
            Self::Findings(verb) => verb.run().await,
            Self::Report(verb) => verb.run().await,
            Self::Cancel(verb) => {
                let mut client = verb.connection.open().await?;
                let stopped = client.post(&format!("{}/cancel", path(&verb.version)), &json!({})).await?;
                show(&client, &stopped, &["id", "state"])
            }
            Self::Waive(verb) => verb.run().await,
            Self::Admit(verb) => verb.run("admit").await,
            Self::Refuse(verb) => verb.run("refuse").await,
            Self::Fetch(verb) => verb.run().await,
            Self::Query(verb) => verb.run().await,
            Self::Export(verb) => verb.run().await,
            Self::Token(verb) => verb.run().await,
            Self::Source(verb) => verb.run().await,
        }
        .map(|()| ExitCode::SUCCESS)
    }
}

/// `NAME@VERSION`, or `NAME` for the newest.
pub(super) fn split(text: &str) -> (&str, &str) {
    text.rsplit_once('@').unwrap_or((text, "latest"))
}

/// The address of a version.
pub(super) fn path(text: &str) -> String {
    let (name, version) = split(text);
    format!("{PREFIX}/{}/versions/{}", segment(name), segment(version))
}

/// Waits for a version's inspection to end, says how it goes, and gives the code to end with.
pub(super) async fn wait(client: &mut Client, version: &str) -> Result<ExitCode, Problem> {
    if !client.is_served() {
        let message = "no server runs on this folder, so nothing is inspected; start one with `strongroom serve`";
        return Err(Problem::new(Kind::Conflict, message));
    }
    let address = path(version);
    let mut said = String::new();
    loop {
        let shown = client.get(&address).await?;
        let state = shown.pointer("/inspection/state").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !matches!(state.as_str(), "queued" | "running") {
            if client.json {
                crate::say!("{shown}");
            } else {
                show(client, &shown, &["dataset", "version", "state", "verdict", "classes", "row_count"])?;
                let fault = shown.pointer("/inspection/fault").and_then(Value::as_str);
                fault.into_iter().for_each(|fault| eprintln!("the inspection left no report: {fault}"));
            }
            let admitted = shown.get("state").and_then(Value::as_str) == Some("admitted");
            return Ok(if admitted { ExitCode::SUCCESS } else { ExitCode::from(NOT_ADMITTED) });
        }
        let stage = shown.pointer("/inspection/progress/stage").and_then(Value::as_str).unwrap_or_default();
        let line = format!("{state} {stage}");
        if !client.json && line != said {
            eprintln!("{line}");
            said = line;
        }
        tokio::time::sleep(data_commit::POLL_EVERY).await;
    }
}

impl ShowVersion {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        if self.files {
            let manifest = client.get(&format!("{}/manifest", path(&self.version))).await?;
            if client.json {
                crate::say!("{manifest}");
                return Ok(());
            }
            let files = manifest.get("files").and_then(Value::as_array).cloned().unwrap_or_default();
            print_list(&client, &files, &["path", "size_bytes", "sha256"]);
            return Ok(());
        }
        if !self.version.contains('@') {
            let columns = ["version", "state", "verdict", "classes", "row_count", "size_bytes", "committed_at", "waiver_until"];
            return list(&mut client, &format!("{PREFIX}/{}", segment(&self.version)), "versions", &columns).await;
        }
        let shown = client.get(&path(&self.version)).await?;
        show(&client, &shown, &VERSION_FIELDS)?;
        if !client.json {
            for (name, pointer) in [("decided", "/decision/why"), ("inspection", "/inspection/state")] {
                if let Some(text) = shown.pointer(pointer).and_then(Value::as_str) {
                    crate::say!("{name:<15}  {}", super::table::cell(Some(&json!(text))));
                }
            }
            for parent in shown.get("parents").and_then(Value::as_array).into_iter().flatten() {
                crate::say!("{:<15}  {}", parent.get("how").and_then(Value::as_str).unwrap_or_default(), parent["version"]);
            }
        }
        Ok(())
    }
}

impl Diff {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let mut address = format!("{}/diff", path(&self.version));
        if let Some(against) = &self.against {
            address.push_str(&format!("?against={}", segment(against)));
        }
        let found = client.get(&address).await?;
        if client.json {
            crate::say!("{found}");
            return Ok(());
        }
        for name in ["row_count", "column_count", "size_bytes"] {
            let side = |side: &str| super::table::cell(found.get(name).and_then(|both| both.get(side)));
            crate::say!("{:<14}{} -> {}", name.replace('_', " "), side("before"), side("after"));
        }
        for (name, mark) in [("added", '+'), ("removed", '-'), ("changed", '~')] {
            for path in found.get(name).and_then(Value::as_array).into_iter().flatten() {
                crate::say!("{mark} {}", super::table::cell(Some(path)));
            }
        }
        if found.get("drift").and_then(Value::as_array).is_some_and(|drift| !drift.is_empty()) {
            print_findings(found.get("drift"), true);
        }
        Ok(())
    }
}

impl Findings {
    async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let found = client.get(&format!("{}/findings", path(&self.version))).await?;
        if client.json {
            crate::say!("{found}");
            return Ok(());
        }
        if found.get("inspection").is_none_or(Value::is_null) {
            crate::say!("no inspection of this version left a report yet");
            return Ok(());
        }
        print_findings(found.get("findings"), self.details);
        Ok(())
    }
}

pub(super) fn print_findings(findings: Option<&Value>, details: bool) {
    let findings = findings.and_then(Value::as_array).cloned().unwrap_or_default();
    if findings.is_empty() {
        crate::say!("nothing was found");
        return;
    }
    crate::say!("{}", super::table::render(&findings, &["effect", "severity", "id", "row_count", "columns", "title"]));
    for finding in findings.iter().filter(|_| details) {
        let text = |name: &str| super::table::line(finding.get(name));
        crate::say!("\n{}: {}\n  what to do: {}", text("id"), text("detail"), text("remedy"));
        for example in finding.get("examples").and_then(Value::as_array).into_iter().flatten() {
            let parts = ["row", "column", "value"].map(|name| (name, super::table::cell(example.get(name))));
            let known: Vec<String> =
                parts.iter().filter(|(_, value)| !value.is_empty()).map(|(name, value)| format!("{name} {value}")).collect();
            crate::say!("  {}", known.join(", "));
        }
    }
}

impl Inspect {
    async fn run(self) -> Result<ExitCode, Problem> {
        let mut client = self.connection.open().await?;
        let queued = client.post(&format!("{}/inspect", path(&self.version)), &json!({})).await?;
        if self.wait {
            return wait(&mut client, &self.version).await;
        }
        show(&client, &queued, &["id", "state"])?;
        Ok(ExitCode::SUCCESS)
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

impl Source {
    async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Add(add) => {
                let mut client = add.connection.open().await?;
                let body = json!({
                    "name": add.name, "pattern": add.pattern, "digest": add.digest, "public_key": add.public_key,
                    "owner": add.owner, "licence": add.licence, "purposes": add.purposes,
                });
                let source = client.post(SOURCES, &body).await?;
                show(&client, &source, &["name", "pattern", "digest", "public_key", "owner", "licence", "purposes"])
            }
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                let answer = client.get(SOURCES).await?;
                let sources = answer.get("sources").and_then(Value::as_array).cloned().unwrap_or_default();
                print_list(&client, &sources, &["name", "pattern", "owner", "licence", "purposes", "digest", "public_key"]);
                Ok(())
            }
            Self::Remove(remove) => {
                let mut client = remove.connection.open().await?;
                client.delete(&format!("{SOURCES}/{}", segment(&remove.name))).await?;
                done(&client, &format!("removed `{}`", remove.name))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_named_with_an_at() {
        assert_eq!(split("a@3"), ("a", "3"));
        assert_eq!(split("a"), ("a", "latest"));
        assert_eq!(path("a@admitted"), "/api/strongroom/v1/datasets/a/versions/admitted");
    }
}
