//! `strongroom data commit`: files go up as they are read, then the version is sealed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use inspection::CsvWords;
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data::{PREFIX, path, wait};
use super::data_contract;
use super::model_files::MLFLOW;
use super::output::{segment, show};
use super::read_text;
use super::transfer::{collect, encoded, refuse_doubles, send};

/// How often a waiting command asks how far an inspection is.
pub(super) const POLL_EVERY: Duration = Duration::from_millis(300);

/// Options of `data commit`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom data commit churn data/*.parquet --source https://data.example/churn --licence CC-BY-4.0 --owner example --wait
  strongroom data commit churn train.csv --contract churn.odcs.yaml --label churned --parent 3
  strongroom data commit iris iris.data --no-header --delimiter ';'
  strongroom data commit orders orders.parquet --contract orders.odcs.yaml --table customers=customers@admitted
  strongroom data commit churn-test test.parquet --apart churn-train@3
  strongroom data commit churn --run RUN_ID --path data")]
pub struct Commit {
    /// The data set. The first commit makes it.
    name: String,
    /// Files and folders. A folder's files keep their paths below it.
    files: Vec<PathBuf>,
    /// Where the data comes from: an address.
    #[arg(long, value_name = "URI")]
    source: Option<String>,
    /// A file with the source's Ed25519 signature over the manifest's digest (64 bytes, or base64).
    #[arg(long, value_name = "FILE")]
    signature: Option<PathBuf>,
    /// Under which licence (SPDX).
    #[arg(long, value_name = "SPDX")]
    licence: Option<String>,
    /// Whose it is.
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
    /// What it is for.
    #[arg(long, value_name = "TEXT")]
    purpose: Option<String>,
    /// The format, where the names do not say it: parquet, csv, jsonl, arrow, npy, npz, images.
    #[arg(long)]
    format: Option<String>,
    #[command(flatten)]
    csv: CsvWords,
    /// A data contract (ODCS YAML).
    #[arg(long, value_name = "FILE")]
    contract: Option<PathBuf>,
    /// The column that a model learns to predict.
    #[arg(long, value_name = "COLUMN")]
    label: Option<String>,
    /// The column that says where a row came from.
    #[arg(long, value_name = "COLUMN")]
    source_column: Option<String>,
    /// The column that says when a row came to be.
    #[arg(long, value_name = "COLUMN")]
    time_column: Option<String>,
    /// The column that identifies a row.
    #[arg(long, value_name = "COLUMN")]
    id_column: Option<String>,
    /// A column of free text; may be repeated.
    #[arg(long = "text", value_name = "COLUMN")]
    texts: Vec<String>,
    /// A column that no screen may learn from; may be repeated.
    #[arg(long = "ignore", value_name = "COLUMN")]
    ignored: Vec<String>,
    /// A version of the same data set that it was made from; may be repeated.
    #[arg(long = "parent", value_name = "VERSION")]
    parents: Vec<String>,
    /// The version to compare it with; the first parent if it is admitted, else the newest admitted version, if none is named.
    #[arg(long, value_name = "VERSION")]
    reference: Option<String>,
    /// Take the artifacts of this run instead of files; with files, the run that they came out of.
    #[arg(long, value_name = "RUN_ID")]
    run: Option<String>,
    /// Below the run's artifacts.
    #[arg(long, value_name = "PATH", requires = "run")]
    path: Option<String>,
    /// The name of a dataset that the run logged, instead of a path.
    #[arg(long, value_name = "NAME", requires = "run", conflicts_with = "path")]
    input: Option<String>,
    /// A version that rules of the contract speak of: NAME=DATASET@VERSION; may be repeated. Tables that the contract refers to
    /// and that are not named here are looked for under their own names, in their newest admitted version.
    #[arg(long = "table", value_name = "NAME=VERSION", value_parser = named_table)]
    tables: Vec<(String, String)>,
    /// A version with which no row may be shared, as between training and test data; may be repeated.
    #[arg(long = "apart", value_name = "VERSION")]
    apart: Vec<String>,
    /// Wait for the verdict; 3 unless it is admitted.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

impl Commit {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        let mut client = self.connection.open().await?;
        let body = self.body(&mut client).await?;
        let committed = match &self.run {
            Some(run) if self.files.is_empty() => {
                let wish = json!({ "run_id": run, "path": self.path, "input": self.input, "commit": body });
                client.post(&format!("{PREFIX}/{}/from-run", segment(&self.name)), &wish).await?
            }
            _ => self.upload(&mut client, body).await?,
        };
        finish(&mut client, &self.name, &committed, self.wait).await
    }

    async fn upload(&self, client: &mut Client, mut body: Value) -> Result<Value, Problem> {
        if let (Some(run), Some(fields)) = (&self.run, body.as_object_mut()) {
            fields.insert("run_id".to_owned(), json!(run));
        }
        let mut files = Vec::new();
        for file in &self.files {
            collect(file, "", 0, &mut files)?;
        }
        if files.is_empty() {
            return Err(Problem::invalid("name files, or a run with --run"));
        }
        refuse_doubles(&files)?;
        self.check(client).await?;
        let id = open(client, &self.name).await?;
        let version = path(&format!("{}@{id}", self.name));
        let committed = fill(client, &version, &files, &body).await;
        if committed.is_err() {
            // It would hold a place of the data set until it is swept. One that was committed after all stays.
            drop(client.delete(&version).await);
        }
        committed
    }

    /// Finds what the server would refuse once all files are there. It decides: what it does not show to this caller is left
    /// to it.
    async fn check(&self, client: &mut Client) -> Result<(), Problem> {
        if let Some(format) = self.format.as_deref().filter(|format| !::data::FORMATS.contains(format)) {
            return Err(Problem::invalid(format!("`{format}` is no format; there are {}", ::data::FORMATS.join(", "))));
        }
        let mut wanted = Vec::new();
        for version in self.parents.iter().chain(&self.reference) {
            wanted.push((format!("version `{version}` of `{}`", self.name), version_address(&self.name, version)));
        }
        for text in self.tables.iter().map(|(_, text)| text).chain(&self.apart) {
            let (dataset, version) = text.rsplit_once('@').unwrap_or((text, "admitted"));
            wanted.push((format!("version `{dataset}@{version}`"), version_address(dataset, version)));
        }
        if let Some(run) = &self.run {
            wanted.push((format!("run `{run}`"), format!("{MLFLOW}/runs/get?run_id={}", segment(run))));
        }
        for (what, address) in wanted {
            if let Err(problem) = client.get(&address).await
                && matches!(problem.kind(), Kind::NotFound | Kind::Invalid)
            {
                return Err(Problem::new(problem.kind(), format!("there is no {what} that you may see; nothing was sent")));
            }
        }
        Ok(())
    }

    async fn body(&self, client: &mut Client) -> Result<Value, Problem> {
        let mut tables: BTreeMap<String, String> = self.tables.iter().cloned().collect();
        if let Some(file) = &self.contract {
            for (name, version) in data_contract::tables(file, &self.name)? {
                // One that is not here, or not admitted, is not checked: the rule then says so by itself.
                if !tables.contains_key(&name) && client.get(&path(&version)).await.is_ok() {
                    tables.insert(name, version);
                }
            }
        }
        let contract = self.contract.as_deref().map(read_text).transpose()?;
        let signature = self.signature.as_deref().map(read_signature).transpose()?;
        Ok(json!({
            "source": self.source, "signature": signature, "licence": self.licence, "owner": self.owner, "purpose": self.purpose,
            "format": self.format, "csv": self.csv.dialect(), "contract": contract, "parents": self.parents,
            "reference": self.reference, "tables": tables, "apart": self.apart,
            "roles": {
                "label": self.label, "source": self.source_column, "time": self.time_column, "id": self.id_column,
                "texts": self.texts, "ignored": self.ignored,
            },
        }))
    }
}

async fn finish(client: &mut Client, name: &str, committed: &Value, waits: bool) -> Result<ExitCode, Problem> {
    let number = committed.get("version").and_then(Value::as_i64).unwrap_or_default();
    if waits {
        if !client.json {
            eprintln!("committed {name}@{number}");
        }
        return wait(client, &format!("{name}@{number}")).await;
    }
    if client.json {
        crate::say!("{committed}");
    } else {
        crate::say!("committed {name}@{number}, which is quarantined until it was inspected");
        show(client, committed, &["manifest_sha256", "inspection"])?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Sends the files into an open version, and commits it.
async fn fill(client: &mut Client, version: &str, files: &[(String, PathBuf)], body: &Value) -> Result<Value, Problem> {
    for (number, (name, file)) in files.iter().enumerate() {
        if !client.json {
            eprintln!("{}/{} {name}", number + 1, files.len());
        }
        send(client, &format!("{version}/files/{}", encoded(name)), file).await?;
    }
    client.post(&format!("{version}/commit"), body).await
}

fn version_address(dataset: &str, version: &str) -> String {
    format!("{PREFIX}/{}/versions/{}", segment(dataset), segment(version))
}

async fn open(client: &mut Client, name: &str) -> Result<String, Problem> {
    let opened = client.post(&format!("{PREFIX}/{}/versions", segment(name)), &json!({})).await?;
    let id = opened.get("id").and_then(Value::as_str).map(str::to_owned);
    id.ok_or_else(|| Problem::internal("the server's answer names no version", "no id"))
}

/// `NAME=DATASET@VERSION`.
fn named_table(text: &str) -> Result<(String, String), String> {
    let (name, version) = text.split_once('=').ok_or("write it as NAME=DATASET@VERSION")?;
    if name.is_empty() || version.is_empty() {
        return Err("write it as NAME=DATASET@VERSION".to_owned());
    }
    Ok((name.to_owned(), version.to_owned()))
}

fn read_signature(file: &Path) -> Result<String, Problem> {
    use base64::Engine;
    let bytes = std::fs::read(file).map_err(|error| Problem::invalid(format!("`{}` cannot be read: {error}", file.display())))?;
    match <[u8; 64]>::try_from(bytes.as_slice()) {
        Ok(raw) => Ok(base64::engine::general_purpose::STANDARD.encode(raw)),
        Err(_) => Ok(String::from_utf8_lossy(&bytes).trim().to_owned()),
    }
}
