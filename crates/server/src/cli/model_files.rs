//! `strongroom model submit` and `export`: a model's files on their way in and out.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use kernel::{Clock, Kind, Problem, SystemClock};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::model::{FIELDS, NOT_ADMITTED, path, wait};
use super::output::{done, segment, show};
use super::transfer::{collect, download, encoded, safe, send};

pub(super) const MLFLOW: &str = "/api/2.0/mlflow";
const ARTIFACTS: &str = "/api/2.0/mlflow-artifacts/artifacts";
/// Where the files of a submitted model lie among its run's artifacts.
const FOLDER: &str = "model";
/// The papers that go along, and what they are called beside the files.
const PAPERS: [&str; 7] =
    ["signing-key.pem", "provenance.json", "summary.json", "bom.json", "card.md", "dossier.html", "evidence.json"];

/// Options of `model submit`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom model submit ./churn-model --name churn --wait
  strongroom model submit ./churn-model --name churn --run RUN_ID

The folder's files become artifacts of a run (a new one, unless one is named) and a version of the registered model, in quarantine until it was
inspected. Name the run that trained it where there is one: a model that comes from nowhere has findings about its origin.
Exit codes: 0 done, 3 inspected and not admitted.")]
pub struct Submit {
    /// The model's folder, such as `mlflow.sklearn.save_model` writes it.
    folder: PathBuf,
    /// The registered model. It is made if there is none of this name.
    #[arg(long)]
    name: String,
    /// The run that made it.
    #[arg(long, value_name = "ID", conflicts_with = "experiment")]
    run: Option<String>,
    /// The experiment of the new run. It is made if there is none of this name.
    #[arg(long, default_value = "submitted models")]
    experiment: String,
    /// Wait for the verdict; 3 unless it is admitted.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `model export`.
#[derive(Args)]
#[command(after_help = "Example:
  strongroom model export churn@champion --to churn
  model_signing verify key churn/model --signature churn/model.sig --public_key churn/signing-key.pem
  strongroom verify-bundle churn/evidence.json --key churn/signing-key.pem --log-key audit.vkey

It writes the files below `model`, each checked against the digest under the server's signature, and beside them the signature, its key,
provenance, bill of materials, card, dossier and evidence. Only what is admitted can be exported.")]
pub struct Export {
    /// The version.
    version: String,
    /// A new folder.
    #[arg(long, value_name = "DIR")]
    to: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

impl Submit {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        let mut files = Vec::new();
        if !self.folder.is_dir() {
            return Err(Problem::invalid(format!("`{}` is no folder", self.folder.display())));
        }
        collect(&self.folder, "", 0, &mut files)?;
        if files.is_empty() {
            return Err(Problem::invalid(format!("`{}` holds no files", self.folder.display())));
        }
        let mut client = self.connection.open().await?;
        if self.wait && !client.is_served() {
            let message = "no server runs on this folder, so nothing is inspected; start one with `strongroom serve`";
            return Err(Problem::new(Kind::Conflict, message));
        }
        let run = match &self.run {
            Some(id) => client.get(&format!("{MLFLOW}/runs/get?run_id={}", segment(id))).await?,
            None => start(&mut client, &self.experiment, &self.name).await?,
        };
        let info = |name: &str| run.pointer(&format!("/run/info/{name}")).and_then(Value::as_str).unwrap_or_default();
        let (id, root) = (info("run_id"), info("artifact_uri"));
        let Some(root) = root.strip_prefix("mlflow-artifacts:/") else {
            return Err(Problem::new(Kind::Conflict, format!("the artifacts of run `{id}` are not on this server")));
        };
        for (number, (name, file)) in files.iter().enumerate() {
            if !client.json {
                eprintln!("{}/{} {name}", number + 1, files.len());
            }
            let address = format!("{ARTIFACTS}/{}/{FOLDER}/{}", encoded(root.trim_start_matches('/')), encoded(name));
            send(&mut client, &address, file).await?;
        }
        if self.run.is_none() {
            let update = json!({ "run_id": id, "status": "FINISHED", "end_time": now_ms() });
            client.post(&format!("{MLFLOW}/runs/update"), &update).await?;
        }
        let version = register(&mut client, &self.name, id).await?;
        let address = path(&format!("{}/{version}", self.name));
        let shown = if self.wait { wait(&mut client, &address).await? } else { client.get(&address).await? };
        show(&client, &shown, &FIELDS)?;
        let admitted = shown.get("state").and_then(Value::as_str) == Some("admitted");
        Ok(if admitted || !self.wait { ExitCode::SUCCESS } else { ExitCode::from(NOT_ADMITTED) })
    }
}

/// A new run of an experiment, which is made where there is none of the name.
async fn start(client: &mut Client, experiment: &str, model: &str) -> Result<Value, Problem> {
    let by_name = format!("{MLFLOW}/experiments/get-by-name?experiment_name={}", segment(experiment));
    let id = match client.get(&by_name).await {
        Ok(found) => found.pointer("/experiment/experiment_id").cloned(),
        Err(problem) if problem.kind() == Kind::NotFound => {
            let made = client.post(&format!("{MLFLOW}/experiments/create"), &json!({ "name": experiment })).await?;
            made.get("experiment_id").cloned()
        }
        Err(problem) => return Err(problem),
    };
    let body = json!({ "experiment_id": id, "run_name": format!("submit {model}"), "start_time": now_ms() });
    client.post(&format!("{MLFLOW}/runs/create"), &body).await
}

fn now_ms() -> i64 {
    SystemClock.now().0 / 1_000
}

/// Registers what lies in the run's folder; gives the version's number.
async fn register(client: &mut Client, name: &str, run: &str) -> Result<String, Problem> {
    match client.get(&format!("{MLFLOW}/registered-models/get?name={}", segment(name))).await {
        Ok(_) => {}
        Err(problem) if problem.kind() == Kind::NotFound => {
            client.post(&format!("{MLFLOW}/registered-models/create"), &json!({ "name": name })).await?;
        }
        Err(problem) => return Err(problem),
    }
    let body = json!({ "name": name, "source": format!("runs:/{run}/{FOLDER}"), "run_id": run });
    let made = client.post(&format!("{MLFLOW}/model-versions/create"), &body).await?;
    let number = made.pointer("/model_version/version").and_then(Value::as_str).map(str::to_owned);
    number.ok_or_else(|| Problem::internal("the server's answer names no version", "no `version`"))
}

impl Export {
    pub(super) async fn run(self) -> Result<(), Problem> {
        let to = &self.to;
        if to.exists() {
            return Err(Problem::already_exists(format!("`{}` is there already; name a new folder", to.display())));
        }
        let mut client = self.connection.open().await?;
        let shown = client.get(&path(&self.version)).await?;
        let model = shown.get("model").and_then(Value::as_str).unwrap_or_default().to_owned();
        // Its number from here on: an alias may move meanwhile.
        let number = shown.get("version").and_then(Value::as_i64).unwrap_or_default();
        let address = path(&format!("{model}/{number}"));
        // First of all the evidence: it names the files, and is made only for what is admitted.
        let text = client.get_text(&format!("{address}/papers/evidence.json")).await?.body;
        let evidence = attest::evidence::Evidence::parse(text.as_bytes())
            .map_err(|error| Problem::internal("the server's evidence cannot be read", error))?;
        let files = evidence.files().map_err(|error| Problem::internal("the server's evidence cannot be read", error))?;
        for (place, file) in files.iter().enumerate() {
            if !client.json {
                eprintln!("{}/{} {}", place + 1, files.len(), file.path);
            }
            let source =
                format!("/model-versions/get-artifact?name={}&version={number}&path={}", segment(&model), segment(&file.path));
            let target = to.join(FOLDER).join(safe(&file.path)?);
            download(&mut client, &source, &[], &target, Some(&kernel::hex(&file.sha256))).await?;
        }
        for name in PAPERS {
            let paper = match evidence.document(name) {
                Some((_, bytes)) => bytes,
                None if name == "evidence.json" => text.clone().into_bytes(),
                None => client.get_text(&format!("{address}/papers/{name}")).await?.body.into_bytes(),
            };
            write(&to.join(name), &paper)?;
        }
        let bundle =
            evidence.signature(0).ok_or_else(|| Problem::internal("the server's evidence is not signed", "no signature"))?;
        write(&to.join("model.sig"), &bundle)?;
        done(
            &client,
            &format!("wrote {} files and {} papers of {model}/{number} to `{}`", files.len(), PAPERS.len() + 1, to.display()),
        )
    }
}

fn write(to: &std::path::Path, bytes: &[u8]) -> Result<(), Problem> {
    std::fs::write(to, bytes).map_err(|error| Problem::invalid(format!("`{}` cannot be written: {error}", to.display())))
}
