//! `strongroom model retrain` and `strongroom retrain`: models are trained again by the server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use http_body_util::BodyExt;
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data::Plain;
use super::lineage::split;
use super::output::{list, segment, show};
use super::read_text;

const PREFIX: &str = "/api/strongroom/v1";
const MLFLOW: &str = "/api/2.0/mlflow";
/// Exit code for a job that did not end well.
const NOT_DONE: u8 = 3;
/// How often a waiting command looks.
const POLL_EVERY: Duration = Duration::from_millis(300);
/// The folder of uploaded code among the artifacts of the run that holds it.
const CODE_FOLDER: &str = "code";
/// Folders that are never code.
const LEFT_OUT: [&str; 6] = [".git", "__pycache__", ".venv", "venv", "mlruns", "node_modules"];
const FIELDS: [&str; 15] = [
    "job",
    "model",
    "version",
    "state",
    "stage",
    "on",
    "data",
    "spec_sha256",
    "asked_at",
    "started_at",
    "ended_at",
    "run_id",
    "exit_code",
    "fault",
    "made_version",
];

/// Where a job runs.
#[derive(Clone, Copy, ValueEnum)]
enum On {
    /// On the server's machine, locked in.
    Local,
    /// On the Ray cluster.
    Ray,
}

/// Options of `model retrain`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom model retrain churn@champion --wait
  strongroom model retrain churn/3 --without-rows 4,17-20 --reason 'labels were flipped' --wait
  strongroom model retrain churn/3 --data churn@7 --code ./training --entry 'train.py --depth {depth}' -p depth=4
  strongroom model retrain churn/3 --request REQUEST_ID --on ray

What is not given is taken from the run that made the version: its parameters, the data that it trained on, the folder `code` among its
artifacts, and the script of its tag `mlflow.source.name`. The job waits until its data is admitted. The new version is registered by the
server, in your name, and goes through quarantine like any other. Exit codes: 0 done, 3 the job did not end well.")]
pub struct Retrain {
    /// `MODEL/NUMBER`, `MODEL@ALIAS` or `MODEL`.
    version: String,
    /// Rows to leave out of the data first, numbers and ranges joined by commas, or a file that holds them: they are cleaned away into
    /// a new version of the data.
    #[arg(long, value_name = "ROWS|FILE", conflicts_with = "request")]
    without_rows: Option<String>,
    /// Why the rows are left out.
    #[arg(long, value_name = "TEXT", default_value = "left out to train again")]
    reason: String,
    /// The data to train on, `NAME@VERSION`.
    #[arg(long, value_name = "DATA")]
    data_version: Option<String>,
    /// A folder with the code.
    #[arg(long, value_name = "DIR")]
    code: Option<PathBuf>,
    /// The script and its arguments, with `{name}` for parameters. There is no shell.
    #[arg(long, value_name = "COMMAND")]
    entry: Option<String>,
    /// A parameter that differs, `NAME=VALUE`; may be repeated.
    #[arg(short = 'p', long = "parameter", value_name = "NAME=VALUE", value_parser = pair)]
    parameters: Vec<(String, String)>,
    /// The experiment of the new run, by id.
    #[arg(long, value_name = "ID")]
    experiment: Option<String>,
    /// Where it runs.
    #[arg(long, value_enum)]
    on: Option<On>,
    /// The request that this answers, as `retrain requests` lists it; its cleaned data is what is trained on.
    #[arg(long, value_name = "ID")]
    request: Option<String>,
    /// Wait until the job is over.
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    connection: Connection,
}

/// Work with jobs that train models again.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom retrain list
  strongroom retrain requests
  strongroom retrain logs churn JOB")]
pub enum Retraining {
    /// List jobs, the newest first.
    List(Plain),
    /// List what cleaned data left to be trained again.
    Requests(Plain),
    /// Show a job.
    Show(OneJob),
    /// Show what a job wrote.
    Logs(OneJob),
    /// Stop a job.
    Cancel(OneJob),
}

/// A job.
#[derive(Args)]
pub struct OneJob {
    /// The model.
    model: String,
    /// The job's id.
    job: String,
    #[command(flatten)]
    connection: Connection,
}

fn pair(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a parameter is NAME=VALUE")?;
    Ok((name.to_owned(), value.to_owned()))
}

impl Retraining {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                let columns = ["job", "model", "version", "state", "stage", "on", "data", "asked_at", "made_version"];
                list(&mut client, &format!("{PREFIX}/retrainings"), "jobs", &columns).await
            }
            Self::Requests(plain) => {
                let mut client = plain.connection.open().await?;
                let columns = ["id", "kind", "model", "trained_on", "replaced_by", "trust", "state", "asked_at", "why"];
                list(&mut client, &format!("{PREFIX}/retrain-requests"), "requests", &columns).await
            }
            Self::Show(one) => {
                let mut client = one.connection.open().await?;
                let job = client.get(&one.path("")).await?;
                show(&client, &job, &FIELDS)
            }
            Self::Logs(one) => {
                let mut client = one.connection.open().await?;
                let found = client.get(&one.path("/log")).await?;
                if client.json {
                    crate::say!("{found}");
                } else {
                    crate::say!("{}", printable(found.get("log").and_then(Value::as_str).unwrap_or_default()));
                }
                Ok(())
            }
            Self::Cancel(one) => {
                let mut client = one.connection.open().await?;
                let job = client.post(&one.path("/cancel"), &json!({})).await?;
                show(&client, &job, &["job", "model", "state", "stage"])
            }
        }
    }
}

impl OneJob {
    fn path(&self, end: &str) -> String {
        format!("{PREFIX}/models/{}/retrainings/{}{end}", segment(&self.model), segment(&self.job))
    }
}

/// What a program wrote must not steer a terminal.
fn printable(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control() || matches!(letter, '\n' | '\t')).collect()
}

impl Retrain {
    pub(super) async fn run(self) -> Result<ExitCode, Problem> {
        let mut client = self.connection.open().await?;
        if !client.is_served() {
            let message = "no server runs on this folder, so nothing is trained; start one with `strongroom serve`";
            return Err(Problem::new(Kind::Conflict, message));
        }
        let (name, version) = split(&self.version);
        let address = format!("{PREFIX}/models/{}/versions/{}", segment(name), segment(&version));
        let known = client.get(&format!("{address}/retraining")).await?;
        let data = self.data(&mut client, &known).await?;
        let experiment =
            self.experiment.clone().or_else(|| known.get("experiment_id").and_then(Value::as_str).map(str::to_owned));
        let code = match &self.code {
            Some(folder) => Some(upload(&mut client, folder, experiment.as_deref()).await?),
            None => None,
        };
        let mut body = json!({ "parameters": self.parameters.iter().cloned().collect::<BTreeMap<_, _>>() });
        let mut set = |name: &str, value: Option<Value>| {
            if let (Some(fields), Some(value)) = (body.as_object_mut(), value) {
                fields.insert(name.to_owned(), value);
            }
        };
        set("code", code);
        set("entry", self.entry.clone().map(Value::String));
        set("data", data.map(Value::String));
        set("experiment_id", self.experiment.clone().map(Value::String));
        let place = |on| if matches!(on, On::Local) { "local" } else { "ray" };
        set("on", self.on.map(|on| Value::from(place(on))));
        set("request", self.request.clone().map(Value::String));
        let mut job = client.post(&format!("{address}/retrain"), &body).await?;
        if self.wait {
            let id = job.get("job").and_then(Value::as_str).unwrap_or_default().to_owned();
            job = wait(&mut client, &format!("{PREFIX}/models/{}/retrainings/{}", segment(name), segment(&id))).await?;
        }
        show(&client, &job, &FIELDS)?;
        let state = job.get("state").and_then(Value::as_str);
        Ok(if !self.wait || state == Some("succeeded") { ExitCode::SUCCESS } else { ExitCode::from(NOT_DONE) })
    }

    /// The data to train on: what was named, what the request cleaned, or what the version was trained on without some rows.
    async fn data(&self, client: &mut Client, known: &Value) -> Result<Option<String>, Problem> {
        if let Some(id) = &self.request {
            if self.data_version.is_some() {
                return Ok(self.data_version.clone());
            }
            let all = super::output::pages(client, &format!("{PREFIX}/retrain-requests"), "requests", usize::MAX).await?;
            let found = all.iter().find(|request| request.get("id").and_then(Value::as_str) == Some(id));
            let found =
                found.ok_or_else(|| Problem::not_found("there is no such request; `strongroom retrain requests` lists them"))?;
            return Ok(found.get("replaced_by").and_then(Value::as_str).map(str::to_owned));
        }
        let Some(rows) = &self.without_rows else { return Ok(self.data_version.clone()) };
        let trained_on = known.pointer("/data/0").and_then(Value::as_str).map(str::to_owned);
        let from = self.data_version.clone().or(trained_on).ok_or_else(|| {
            Problem::invalid("it is not known on which data this version was trained; name it with --data-version")
        })?;
        let rows = if Path::new(rows).is_file() { read_text(Path::new(rows))? } else { rows.clone() };
        super::data_rows::cleaned(client, &from, &rows, &self.reason).await.map(Some)
    }
}

/// The job, once it is over.
async fn wait(client: &mut Client, address: &str) -> Result<Value, Problem> {
    let mut stage = String::new();
    loop {
        let job = client.get(address).await?;
        let text = |name: &str| job.get(name).and_then(Value::as_str).unwrap_or_default();
        if !matches!(text("state"), "queued" | "running") {
            return Ok(job);
        }
        if !client.json && text("stage") != stage {
            stage = text("stage").to_owned();
            eprintln!("{} {stage}", text("state"));
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Uploads a folder as the artifacts of a new run that holds nothing else.
async fn upload(client: &mut Client, folder: &Path, experiment: Option<&str>) -> Result<Value, Problem> {
    let experiment = experiment.ok_or_else(|| Problem::invalid("name the experiment of the new run with --experiment"))?;
    let files = files_below(folder)?;
    let body = json!({ "experiment_id": experiment, "run_name": "code to train again", "start_time": 0 });
    let made = client.post(&format!("{MLFLOW}/runs/create"), &body).await?;
    let run = made.pointer("/run/info/run_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (path, file) in files {
        let parts: Vec<String> = path.split('/').map(segment).collect();
        let address =
            format!("/api/2.0/mlflow-artifacts/artifacts/{experiment}/{run}/artifacts/{CODE_FOLDER}/{}", parts.join("/"));
        let bytes = std::fs::read(&file).map_err(|error| Problem::invalid(format!("`{}`: {error}", file.display())))?;
        let size_bytes = bytes.len() as u64;
        let sent = http_body_util::Full::from(bytes).map_err(|never| match never {}).boxed_unsync();
        client.put(&address, sent, size_bytes).await?;
    }
    client.post(&format!("{MLFLOW}/runs/update"), &json!({ "run_id": run, "status": "FINISHED" })).await?;
    Ok(json!({ "run_id": run, "path": CODE_FOLDER }))
}

/// The files of a folder, by their paths below it; links are not followed.
fn files_below(folder: &Path) -> Result<Vec<(String, PathBuf)>, Problem> {
    let unreadable = |path: &Path, error: std::io::Error| Problem::invalid(format!("`{}`: {error}", path.display()));
    let (mut folders, mut files, mut size_bytes) = (vec![(String::new(), folder.to_owned())], Vec::new(), 0_u64);
    while let Some((prefix, folder)) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(|error| unreadable(&folder, error))? {
            let entry = entry.map_err(|error| unreadable(&folder, error))?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let about = entry.metadata().map_err(|error| unreadable(&entry.path(), error))?;
            if about.is_dir() && !LEFT_OUT.contains(&name.as_str()) {
                folders.push((format!("{prefix}{name}/"), entry.path()));
            } else if about.is_file() {
                size_bytes = size_bytes.saturating_add(about.len());
                files.push((format!("{prefix}{name}"), entry.path()));
            }
            if files.len() > retrain::limits::CODE_FILE_COUNT_MAX || size_bytes > retrain::limits::CODE_BYTES_MAX {
                let most = retrain::limits::CODE_FILE_COUNT_MAX;
                return Err(Problem::new(
                    Kind::TooLarge,
                    format!("the code is more than {most} files or 64 MiB; give less of it"),
                ));
            }
        }
    }
    files.sort();
    if files.is_empty() {
        return Err(Problem::invalid(format!("`{}` holds no files", folder.display())));
    }
    Ok(files)
}
