//! `strongroom endpoint`: models that answer.

use std::io::Read;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use kernel::{Kind, Problem};
use serde_json::{Value, json};

use super::client::Connection;
use super::data::Plain;
use super::endpoint_guard::{Release, SetGuard, Throttle, Trails};
use super::lineage::split;
use super::output::{done, list, segment, show};

const PREFIX: &str = "/api/strongroom/v1/endpoints";
const FIELDS: [&str; 9] = ["name", "model", "version", "ready", "obstacle", "answers_with", "format", "manifest_sha256", "guard"];
/// A request that is read from a file.
const REQUEST_BYTES_MAX: u64 = 64 << 20;

/// Let admitted models answer.
#[derive(Subcommand)]
#[command(after_help = "Examples:
  strongroom endpoint create churn --model churn@champion
  strongroom endpoint show churn
  strongroom endpoint predict churn --input rows.json
  strongroom endpoint update churn --model churn/3
  strongroom endpoint guard churn --rows-per-day 20000 --digits 2
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
    /// Take an endpoint away.
    Delete(One),
    /// Ask an endpoint.
    Predict(Predict),
    /// Say how an endpoint is guarded.
    Guard(SetGuard),
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
    #[command(flatten)]
    connection: Connection,
}

/// Options of `endpoint show` and `delete`.
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
                let made = client.post(PREFIX, &json!({ "name": verb.name, "model": model, "version": version })).await?;
                show(&client, &made, &["name", "model", "version"])
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
                let (model, version) = chosen(&verb.model)?;
                let now = client.get(&address(&verb.name)).await?;
                if now.get("model").and_then(Value::as_str) != Some(model.as_str()) {
                    let message = format!("`{}` answers with another model than `{model}`; make another endpoint", verb.name);
                    return Err(Problem::new(Kind::Conflict, message));
                }
                let changed = client.post(&address(&verb.name), &json!({ "version": version })).await?;
                show(&client, &changed, &["name", "model", "version"])
            }
            Self::Delete(verb) => {
                let mut client = verb.connection.open().await?;
                client.delete(&address(&verb.name)).await?;
                done(&client, &format!("`{}` is gone", verb.name))
            }
            Self::Guard(verb) => verb.run().await,
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
