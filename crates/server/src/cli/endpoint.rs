//! `strongroom endpoint`: models that answer.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::{Client, Connection};
use super::data::Plain;
use super::endpoint_guard::{Release, SetGuard, Throttle, Traffic, Trails};
use super::lineage::split;
use super::output::{done, list, segment, show};

const PREFIX: &str = "/api/strongroom/v1/endpoints";
const FIELDS: [&str; 13] = [
    "name",
    "model",
    "version",
    "runtime",
    "previous",
    "ready",
    "obstacle",
    "answers_with",
    "format",
    "manifest_sha256",
    "rollout",
    "challenger",
    "guard",
];
/// A request that is read from a file.
const REQUEST_BYTES_MAX: u64 = 64 << 20;

/// Let admitted models answer.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom endpoint create churn --model churn@champion
  strongroom endpoint create texts --model texts@champion --runtime python
  strongroom endpoint create churn --model churn@champion --runtime upstream:triton/churn
  strongroom endpoint show churn
  strongroom endpoint predict churn --input rows.json
  strongroom endpoint update churn --model churn/3
  strongroom endpoint rollout churn --model churn/4 --share 5
  strongroom endpoint promote churn
  strongroom endpoint rollback churn
  strongroom endpoint guard churn --rows-per-day 20000 --digits 2
  strongroom endpoint traffic churn
  strongroom endpoint trails churn
  strongroom endpoint throttle churn CALLER --level refused --minutes 60
  strongroom endpoint delete churn

Clients ask an endpoint by the Open Inference Protocol at /v2/models/NAME/infer, or as MLflow's scoring server at
/endpoints/NAME/invocations, with a token of their own.")]
pub enum EndpointVerb {
    /// Make an endpoint.
    Create(Create),
    /// List endpoints.
    List(Plain),
    /// Show an endpoint, and whether it answers.
    Show(One),
    /// Let an endpoint answer with another version, at once.
    Update(Update),
    /// Let a second version answer a share of the requests, or be asked along.
    Rollout(Rollout),
    /// Let the second version take over, at once.
    Promote(One),
    /// Take the last change back, at once: a rollout ends; without one, what answered before answers again.
    Rollback(One),
    /// Take an endpoint away.
    Delete(One),
    /// Ask an endpoint.
    Predict(Predict),
    /// Say how an endpoint is guarded.
    Guard(SetGuard),
    /// Show what an endpoint was asked, minute by minute.
    Traffic(Traffic),
    /// Show what is known of an endpoint's callers.
    Trails(Trails),
    /// Take back what is held against a caller.
    Release(Release),
    /// Slow a caller down, or refuse it.
    Throttle(Throttle),
}

/// Options of `endpoint create`.
#[derive(Args)]
pub struct Create {
    /// The endpoint's name.
    name: String,
    /// The model: `MODEL@ALIAS` or `MODEL/NUMBER`.
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// What computes: `native` (no foreign code runs), `python` (a locked-in Python, where the operator allows it), or
    /// `upstream:SERVER/MODEL` (another server of the Open Inference Protocol, named in the configuration).
    #[arg(long, default_value = "native")]
    runtime: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint rollout`.
#[derive(Args)]
#[command(after_help = "Examples:
  strongroom endpoint rollout churn --model churn/4 --share 5
  strongroom endpoint rollout churn --model churn@challenger --share 100 --shadow --stop-at-disagreement 2

A client that sends the header `Strongroom-Routing-Key` keeps its version as long as the rollout runs. `endpoint show` compares
the two; `endpoint promote` lets the second one take over, `endpoint rollback` ends the trial.")]
pub struct Rollout {
    /// The endpoint.
    name: String,
    /// The second version: `MODEL@ALIAS` or `MODEL/NUMBER`, of the model that the endpoint has.
    #[arg(long, value_name = "MODEL")]
    model: String,
    /// In how many of a hundred requests it takes part.
    #[arg(long, value_name = "PERCENT")]
    share: f64,
    /// Ask it along without letting it answer.
    #[arg(long)]
    shadow: bool,
    /// End the trial once it fails more than this share of its requests [default: 1].
    #[arg(long, value_name = "PERCENT")]
    stop_at_errors: Option<f64>,
    /// End the trial once a shadow answers more than this share of its rows otherwise.
    #[arg(long, value_name = "PERCENT", requires = "shadow")]
    stop_at_disagreement: Option<f64>,
    /// End the trial once its 99th percentile is longer than the other's by more than this.
    #[arg(long, value_name = "PERCENT")]
    stop_at_slower: Option<f64>,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint show`, `promote`, `rollback` and `delete`.
#[derive(Args)]
pub struct One {
    /// The endpoint.
    name: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint update`.
#[derive(Args)]
pub struct Update {
    /// The endpoint.
    name: String,
    /// `MODEL@ALIAS` or `MODEL/NUMBER`, of the model that it has.
    #[arg(long, value_name = "MODEL")]
    model: String,
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint predict`.
#[derive(Args)]
#[command(after_help = "Example:
  echo '{\"dataframe_split\": {\"columns\": [\"a\", \"b\"], \"data\": [[1, 2]]}}' | strongroom endpoint predict churn --input -")]
pub struct Predict {
    /// The endpoint.
    name: String,
    /// The request (JSON as MLflow's `/invocations` takes it); `-` for the standard input.
    #[arg(long, value_name = "FILE")]
    input: PathBuf,
    #[command(flatten)]
    connection: Connection,
}

impl EndpointVerb {
    pub(super) async fn run(self) -> Result<(), Problem> {
        match self {
            Self::Create(verb) => {
                let mut client = verb.connection.open().await?;
                let (model, version) = chosen(&verb.model)?;
                let body = json!({ "name": verb.name, "model": model, "version": version, "runtime": verb.runtime });
                let made = client.post(PREFIX, &body).await?;
                show(&client, &made, &["name", "model", "version", "runtime"])?;
                tell_obstacle(&mut client, &verb.name).await;
                Ok(())
            }
            Self::List(plain) => {
                let mut client = plain.connection.open().await?;
                list(&mut client, PREFIX, "endpoints", &["name", "model", "version", "changed_at"]).await
            }
            Self::Show(verb) => {
                let mut client = verb.connection.open().await?;
                let found = client.get(&address(&verb.name)).await?;
                show(&client, &found, &FIELDS)
            }
            Self::Update(verb) => {
                let mut client = verb.connection.open().await?;
                let version = version_here(&mut client, &verb.name, &verb.model).await?;
                let changed = client.post(&address(&verb.name), &json!({ "version": version })).await?;
                show(&client, &changed, &["name", "model", "version"])
            }
            Self::Rollout(verb) => {
                let mut client = verb.connection.open().await?;
                let version = version_here(&mut client, &verb.name, &verb.model).await?;
                let mode = if verb.shadow { "shadow" } else { "canary" };
                let mut body = json!({ "version": version, "share": verb.share, "mode": mode });
                let limits = [
                    ("stop_at_errors", verb.stop_at_errors),
                    ("stop_at_disagreement", verb.stop_at_disagreement),
                    ("stop_at_slower", verb.stop_at_slower),
                ];
                for (name, limit) in limits {
                    if let (Some(limit), Some(fields)) = (limit, body.as_object_mut()) {
                        fields.insert(name.to_owned(), json!(limit));
                    }
                }
                let changed = client.post(&format!("{}/rollout", address(&verb.name)), &body).await?;
                show(&client, &changed, &["name", "model", "version", "rollout"])
            }
            Self::Promote(verb) => turn(verb, "promote").await,
            Self::Rollback(verb) => turn(verb, "rollback").await,
            Self::Delete(verb) => {
                let mut client = verb.connection.open().await?;
                client.delete(&address(&verb.name)).await?;
                done(&client, &format!("`{}` is gone", verb.name))
            }
            Self::Guard(verb) => verb.run().await,
            Self::Traffic(verb) => verb.run().await,
            Self::Trails(verb) => verb.run().await,
            Self::Release(verb) => verb.run().await,
            Self::Throttle(verb) => verb.run().await,
            Self::Predict(verb) => {
                let request = verb.request()?;
                let mut client = verb.connection.open().await?;
                let answer = client.post(&format!("/endpoints/{}/invocations", segment(&verb.name)), &request).await?;
                crate::say!("{answer}");
                Ok(())
            }
        }
    }
}

pub(super) fn address(name: &str) -> String {
    format!("{PREFIX}/{}", segment(name))
}

/// Says why a new endpoint does not answer, if it does not. Whether it is there does not depend on that.
async fn tell_obstacle(client: &mut Client, name: &str) {
    let Ok(found) = client.get(&address(name)).await else { return };
    if let Some(why) = found.get("obstacle").and_then(Value::as_str) {
        eprintln!("strongroom: `{name}` does not answer yet: {why}");
    }
}

/// Promotes or rolls back.
async fn turn(verb: One, what: &str) -> Result<(), Problem> {
    let mut client = verb.connection.open().await?;
    let changed = client.post(&format!("{}/{what}", address(&verb.name)), &json!({})).await?;
    show(&client, &changed, &["name", "model", "version", "previous"])
}

/// The version that `text` names, if it is one of the endpoint's own model.
async fn version_here(client: &mut Client, name: &str, text: &str) -> Result<String, Problem> {
    let (model, version) = chosen(text)?;
    let now = client.get(&address(name)).await?;
    if now.get("model").and_then(Value::as_str) != Some(model.as_str()) {
        let message = format!("`{name}` answers with another model than `{model}`; make another endpoint");
        return Err(Problem::new(Kind::Conflict, message));
    }
    Ok(version)
}

/// The model and the version: an endpoint never means "the newest", which changes with every registration.
fn chosen(text: &str) -> Result<(String, String), Problem> {
    let (model, version) = split(text);
    if version == "latest" {
        return Err(Problem::invalid("name a version, as `MODEL/3`, or an alias, as `MODEL@champion`"));
    }
    Ok((model.to_owned(), version))
}

impl Predict {
    fn request(&self) -> Result<Value, Problem> {
        let bytes = if self.input.as_os_str() == "-" {
            let mut bytes = Vec::new();
            let read = std::io::stdin().take(REQUEST_BYTES_MAX).read_to_end(&mut bytes);
            read.map_err(|error| Problem::invalid(format!("the standard input cannot be read: {error}")))?;
            bytes
        } else {
            super::offline::read(&self.input, REQUEST_BYTES_MAX)?
        };
        serde_json::from_slice(&bytes).map_err(|error| Problem::invalid(format!("the request is no JSON: {error}")))
    }
}
