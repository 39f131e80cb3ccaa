//! `strongroom data fetch`, `export`, `report` and `token`: what leaves the server.

use std::io::Write;
use std::path::PathBuf;

use clap::{Args, ValueEnum};
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::Connection;
use super::data::{path, split};
use super::output::{done, segment, show};
use super::transfer::{download, encoded, safe};

/// The longest life of a training token.
const TRAINING_HOURS_MAX: u64 = 24;

/// Options of `data fetch`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom data fetch churn@admitted --to ./churn
  strongroom data fetch churn@3 --file train.parquet --to . --run RUN_ID")]
pub struct Fetch {
    /// The version.
    version: String,
    /// The folder to write to; what is there is not overwritten.
    #[arg(long, value_name = "DIR", default_value = ".")]
    to: PathBuf,
    /// Only this file; may be repeated.
    #[arg(long = "file", value_name = "PATH")]
    files: Vec<String>,
    /// The run that reads it: it becomes an edge of the lineage.
    #[arg(long, value_name = "RUN_ID")]
    run: Option<String>,
    /// Print the addresses for `mlflow.data` instead of downloading.
    #[arg(long)]
    print_urls: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data export`.
#[derive(Args)]
#[command(after_help = "Example:\n  strongroom data export churn@3 --to churn-3.tar")]
pub struct Export {
    /// The version.
    version: String,
    /// The archive to write.
    #[arg(long, value_name = "FILE")]
    to: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

/// Which document.
#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// The report as JSON.
    Json,
    /// The report as a page.
    Html,
    /// The signed in-toto statement (DSSE).
    Attestation,
    /// The version as Croissant (JSON-LD), as it lies in the archive of `data export`.
    Croissant,
    /// The contract that it was committed with.
    Contract,
    /// The rows that it lacks of the version that it was cleaned from.
    Removed,
}

/// Options of `data report`.
#[derive(Args)]
#[command(
    after_help = "Examples:\n  strongroom data report churn@3 --part html --to report.html\n  strongroom data report churn@3 | jq .summary"
)]
pub struct Report {
    /// The version.
    version: String,
    /// Which document.
    #[arg(long, value_enum, default_value = "json")]
    part: Part,
    /// The file to write; stdout if none is named.
    #[arg(long, value_name = "FILE")]
    to: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `data token`.
#[derive(Args)]
#[command(after_help = "Example:
  strongroom data token churn@admitted --experiment 7 --ttl 1h --out train.token

The token can do no more than the one you act with, and of that only this.")]
pub struct Token {
    /// The version that it reads.
    version: String,
    /// The id of the experiment that it writes.
    #[arg(long, value_name = "ID")]
    experiment: String,
    /// How long it lives: minutes (`30m`) or hours (`1h`), at most 24 h.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = lifetime)]
    ttl: u64,
    /// Write the token to this new file (mode 0600) instead of printing it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

impl Fetch {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let shown = client.get(&path(&self.version)).await?;
        // Its number from here on: `latest` may become another one meanwhile.
        let number = shown.get("version").and_then(Value::as_i64);
        let number = number.ok_or_else(|| Problem::new(Kind::Conflict, "the version is still open; commit it first"))?;
        let (name, _) = split(&self.version);
        let address = path(&format!("{name}@{number}"));
        let manifest = client.get(&format!("{address}/manifest")).await?;
        let all = manifest.get("files").and_then(Value::as_array).cloned().unwrap_or_default();
        let wanted = |file: &&Value| self.files.is_empty() || self.files.iter().any(|name| file["path"] == *name);
        let chosen: Vec<&Value> = all.iter().filter(wanted).collect();
        if chosen.len() < self.files.len().max(1) {
            return Err(Problem::not_found(
                "the version has not all of these files; `data show NAME@VERSION --files` lists them",
            ));
        }
        let mut fetched = Vec::new();
        for file in chosen {
            let text = |name: &str| file.get(name).and_then(Value::as_str).unwrap_or_default();
            let target = format!("{address}/files/{}", encoded(text("path")));
            if self.print_urls {
                crate::say!("{}{target}", client.base_url().unwrap_or_default());
                continue;
            }
            let to = self.to.join(safe(text("path"))?);
            let headers: Vec<_> = self.run.iter().map(|run| ("x-strongroom-run", run.clone())).collect();
            download(&mut client, &target, &headers, &to, Some(text("sha256"))).await?;
            if !client.json {
                eprintln!("{}", to.display());
            }
            fetched.push(json!({ "path": to, "sha256": text("sha256") }));
        }
        if self.print_urls {
            return Ok(());
        }
        let (state, csv) = (shown.get("state").cloned().unwrap_or_default(), shown.get("csv").cloned().unwrap_or_default());
        if client.json {
            crate::say!("{}", json!({ "dataset": name, "version": number, "state": state, "csv": csv, "files": fetched }));
            return Ok(());
        }
        if csv.get("header").and_then(Value::as_bool) == Some(false) {
            eprintln!("its committer says that CSV files have no record of names: read them without a header");
        }
        if let Some(delimiter) = csv.get("delimiter").and_then(Value::as_str) {
            eprintln!("its committer says that {delimiter:?} parts the fields of CSV files");
        }
        done(&client, &format!("fetched {} files of {name}@{number}", fetched.len()))
    }
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        download(&mut client, &format!("{}/export", path(&self.version)), &[], &self.to, None).await?;
        done(&client, &format!("wrote `{}`", self.to.display()))
    }
}

impl Report {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let name = match self.part {
            Part::Json => "report.json",
            Part::Html => "report.html",
            Part::Attestation => "attestation.json",
            Part::Croissant => "croissant.json",
            Part::Contract => "contract.yaml",
            Part::Removed => "removed-rows.json",
        };
        let address = format!("{}/documents/{name}", path(&self.version));
        if let Some(to) = &self.to {
            download(&mut client, &address, &[], to, None).await?;
            return done(&client, &format!("wrote `{}`", to.display()));
        }
        let mut stdout = std::io::stdout().lock();
        client.download(&address, &[], |bytes| stdout.write_all(bytes).map_err(broken_pipe)).await?;
        stdout.flush().map_err(broken_pipe)
    }
}

fn broken_pipe(error: std::io::Error) -> Problem {
    Problem::unavailable(format!("stdout cannot be written: {error}"))
}

impl Token {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let mut client = self.connection.open().await?;
        let shown = client.get(&path(&self.version)).await?;
        let text = |name: &str| shown.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
        if text("state") != "admitted" {
            let message = format!("`{}` is {}; a training token reads only what is admitted", self.version, text("state"));
            return Err(Problem::new(Kind::Conflict, message));
        }
        let experiment =
            client.get(&format!("/api/2.0/mlflow/experiments/get?experiment_id={}", segment(&self.experiment))).await?;
        let experiment_id = experiment.pointer("/experiment/experiment_id").and_then(Value::as_str).unwrap_or_default();
        // Clients of S3 look at a file before they read it, and sign with the access key of the token.
        let mut scopes: Vec<String> = ["tokens.access_key", "tokens.assume"].map(str::to_owned).into();
        scopes.extend(["datasets.get", "datasets.read"].map(|verb| format!("{verb}@dataset_version:{}", text("id"))));
        scopes.extend(retrain::TRAINING_VERBS.iter().map(|verb| format!("{verb}@experiment:{experiment_id}")));
        let body = json!({
            "label": format!("training {}@{}", text("dataset"), shown.get("version").unwrap_or(&Value::Null)),
            "scopes": scopes, "workspace": client.workspace(), "lifetime_s": self.ttl,
        });
        let mut minted = client.post("/api/strongroom/v1/tokens", &body).await?;
        let secret = minted.get("secret").and_then(Value::as_str).unwrap_or_default().to_owned();
        if let Some(file) = &self.out {
            super::init::write_new_private(file, &secret)?;
            minted.as_object_mut().map(|fields| fields.remove("secret"));
        }
        if client.json {
            crate::say!("{minted}");
            return Ok(());
        }
        let token = minted.get("token").cloned().unwrap_or_default();
        show(&client, &token, &["id", "label", "expires_at"])?;
        if self.out.is_none() {
            crate::say!("secret      {secret}\nIt is not shown again.");
        }
        Ok(())
    }
}

fn lifetime(text: &str) -> Result<u64, String> {
    let bad = || format!("a time such as `30m` or `1h`, at most {TRAINING_HOURS_MAX} h");
    let (digits, unit_s) = match (text.strip_suffix('m'), text.strip_suffix('h')) {
        (Some(digits), _) => (digits, 60),
        (_, Some(digits)) => (digits, 3_600),
        _ => return Err(bad()),
    };
    let seconds = digits.parse::<u64>().ok().and_then(|count| count.checked_mul(unit_s)).ok_or_else(bad)?;
    (1..=TRAINING_HOURS_MAX * 3_600).contains(&seconds).then_some(seconds).ok_or_else(bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lifetimes() {
        assert_eq!(lifetime("90m"), Ok(5_400));
        assert_eq!(lifetime("1h"), Ok(3_600));
        for bad in ["", "1", "25h", "-1h", "0m", "1d", "99999999999999999999h"] {
            assert!(lifetime(bad).is_err(), "{bad}");
        }
    }
}
