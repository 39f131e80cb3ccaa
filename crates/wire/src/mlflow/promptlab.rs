//! `runs/create-promptlab-run`: what MLflow's web page sends after a prompt was tried. It asks for several verbs, each judged
//! and recorded by itself: the run begins, its parameters, model and files are kept, and it ends.

use artifacts::{Artifacts, Owner, Place, WriteArtifact};
use bytes::Bytes;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem};
use serde_json::{Map, Value, json};
use tracking::ops::{CreateRun, GetRun, LogBatch, LogModel, UpdateRun};
use tracking::{KeyValue, Run, RunStatus, Tracking};

use super::experiments::key_values;
use super::json::Fields;
use super::tracking_view;
use crate::{Answer, Chosen, Door, Inbound};

/// The file in which the page looks for what was asked and answered.
const RESULTS_FILE: &str = "eval_results_table.json";
/// How the run's tags name it.
const RESULTS_TAG: &str = r#"[{"path": "eval_results_table.json", "type": "table"}]"#;
/// Where the prompt is kept as a model, below the run's files.
const MODEL_FOLDER: &str = "model";

/// Adds this route.
pub fn routes(door: &mut Door, tracking: &Tracking, artifacts: &Artifacts) {
    let actions = [CreateRun::ACTION, LogBatch::ACTION, WriteArtifact::ACTION, UpdateRun::ACTION, GetRun::ACTION];
    let rooms = (tracking.clone(), artifacts.clone());
    door.choice(Method::POST, "/ajax-api/2.0/mlflow/runs/create-promptlab-run", &actions, move |inbound| {
        let (tracking, artifacts) = rooms.clone();
        let prompt = Prompt::read(inbound)?;
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { keep(visitor, tracking, artifacts, prompt).await })))
    });
}

/// A prompt that was tried.
struct Prompt {
    experiment_id: String,
    run_name: Option<String>,
    user_id: Option<String>,
    start_time_ms: Option<i64>,
    tags: Vec<KeyValue>,
    template: String,
    parameters: Vec<KeyValue>,
    model_route: String,
    model_parameters: Vec<KeyValue>,
    model_input: String,
    model_output: Value,
    model_output_parameters: Vec<KeyValue>,
    mlflow_version: String,
}

impl Prompt {
    fn read(inbound: &Inbound) -> Result<Self, Problem> {
        let fields = Fields::of(inbound)?;
        let experiment_id = need(&fields, "experiment_id")?;
        let template = need(&fields, "prompt_template")?;
        let parameters = pairs(&fields, "prompt_parameters")?;
        if parameters.is_empty() {
            return Err(unspecified("prompt_parameters"));
        }
        Ok(Self {
            experiment_id,
            run_name: fields.text("run_name")?,
            user_id: fields.text("user_id")?,
            start_time_ms: fields.int("start_time")?,
            tags: key_values(&fields, "tags")?,
            template,
            parameters,
            model_route: need(&fields, "model_route")?,
            model_parameters: pairs(&fields, "model_parameters")?,
            model_input: need(&fields, "model_input")?,
            model_output: fields.text("model_output")?.map_or(Value::Null, Value::from),
            model_output_parameters: pairs(&fields, "model_output_parameters")?,
            mlflow_version: version(need(&fields, "mlflow_version")?)?,
        })
    }

    /// The parameters that the run shows.
    fn logged_parameters(&self) -> Vec<KeyValue> {
        let mut all = self.model_parameters.clone();
        all.push(KeyValue::new("model_route", self.model_route.as_str()));
        all.push(KeyValue::new("prompt_template", self.template.as_str()));
        all
    }

    /// What was asked and answered, as the table that the page shows.
    fn results(&self) -> Value {
        let before = self.parameters.iter();
        let after = self.model_output_parameters.iter();
        let columns: Vec<&str> = before
            .clone()
            .map(|p| p.key.as_str())
            .chain(["prompt", "output"])
            .chain(after.clone().map(|p| p.key.as_str()))
            .collect();
        let middle = [Value::from(self.model_input.as_str()), self.model_output.clone()];
        let data: Vec<Value> = before
            .map(|p| Value::from(p.value.as_str()))
            .chain(middle)
            .chain(after.map(|p| Value::from(p.value.as_str())))
            .collect();
        json!({"columns": columns, "data": [data]})
    }

    /// The description by which MLflow's clients load the prompt as a model. JSON is YAML.
    fn model(&self, run_id: &str, at: Micros) -> Value {
        let column = |name: &str| json!({"type": "string", "name": name, "required": true});
        let inputs: Vec<Value> = self.parameters.iter().map(|parameter| column(&parameter.key)).collect();
        json!({
            "artifact_path": MODEL_FOLDER,
            "flavors": {"python_function": {"loader_module": "mlflow.prompt.promptlab_model", "parameters_path": "parameters.yaml"}},
            "mlflow_version": self.mlflow_version,
            "run_id": run_id,
            "saved_input_example_info": {"artifact_path": "input_example.json", "type": "json_object"},
            "signature": {"inputs": Value::from(inputs).to_string(), "outputs": json!([column("output")]).to_string(), "params": null},
            "utc_time_created": created(at),
        })
    }

    fn files(&self, model: &Value) -> [(String, String); 5] {
        let object = |pairs: &[KeyValue]| -> Map<String, Value> {
            pairs.iter().map(|pair| (pair.key.clone(), Value::from(pair.value.as_str()))).collect()
        };
        let parameters = json!({
            "model_parameters": object(&self.model_parameters),
            "model_route": self.model_route,
            "prompt_parameters": object(&self.parameters),
            "prompt_template": self.template,
        });
        let example: Vec<&str> = self.parameters.iter().map(|parameter| parameter.value.as_str()).collect();
        let inside = |name: &str| format!("{MODEL_FOLDER}/{name}");
        [
            (RESULTS_FILE.to_owned(), self.results().to_string()),
            (inside("MLmodel"), model.to_string()),
            (inside("parameters.yaml"), parameters.to_string()),
            (inside("input_example.json"), json!({"inputs": example}).to_string()),
            (inside("requirements.txt"), format!("mlflow[gateway]=={}\n", self.mlflow_version)),
        ]
    }
}

fn unspecified(name: &str) -> Problem {
    Problem::invalid(format!("CreatePromptlabRun request must specify {name}."))
}

fn need(fields: &Fields, name: &str) -> Result<String, Problem> {
    fields.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| unspecified(name))
}

/// Parameters whose values may be numbers or flags too.
fn pairs(fields: &Fields, name: &str) -> Result<Vec<KeyValue>, Problem> {
    let read = |entry: &Fields| {
        let key = entry.need_text("key")?;
        let value = match entry.get("value") {
            Some(Value::String(text)) => text.clone(),
            Some(other) => other.to_string(),
            None => String::new(),
        };
        Ok(KeyValue { key, value })
    };
    fields.objects(name)?.iter().map(read).collect()
}

/// It becomes part of a requirement, so it must be nothing but a version.
fn version(text: String) -> Result<String, Problem> {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '+' | '-');
    if text.len() <= 64 && text.chars().all(plain) {
        return Ok(text);
    }
    Err(Problem::invalid("`mlflow_version` must be a version such as 3.12.0"))
}

/// `2026-01-31 12:00:00.000000`, as MLflow writes it.
fn created(at: Micros) -> String {
    crate::admin::times::to_text(at).replace('T', " ").replace('Z', "")
}

async fn keep(visitor: &Visitor, room: Tracking, artifacts: Artifacts, prompt: Prompt) -> Result<Answer, Problem> {
    let now_ms = visitor.at().as_millis();
    let run = visitor
        .call(CreateRun {
            room: room.clone(),
            experiment_id: prompt.experiment_id.clone(),
            user_id: prompt.user_id.clone(),
            run_name: prompt.run_name.clone(),
            start_time_ms: prompt.start_time_ms.unwrap_or(now_ms),
            tags: prompt.tags.clone(),
        })
        .await?;
    let run_id = run.info.run_id;
    let filled = fill(visitor, &room, &artifacts, &prompt, &run_id).await;
    let status = if filled.is_ok() { RunStatus::Finished } else { RunStatus::Failed };
    let ended =
        UpdateRun { room: room.clone(), run_id: run_id.clone(), status: Some(status), end_time_ms: Some(now_ms), run_name: None };
    visitor.call(ended).await?;
    // A run that could not be filled stays, as failed; the page is told why.
    filled?;
    let whole: Run = visitor.call(GetRun { room, run_id }).await?;
    tracking_view::run(whole)
}

async fn fill(visitor: &Visitor, room: &Tracking, artifacts: &Artifacts, prompt: &Prompt, run_id: &str) -> Result<(), Problem> {
    let tags =
        vec![KeyValue::new("mlflow.loggedArtifacts", RESULTS_TAG), KeyValue::new("mlflow.runSourceType", "PROMPT_ENGINEERING")];
    let params = prompt.logged_parameters();
    visitor.call(LogBatch { room: room.clone(), run_id: run_id.to_owned(), metrics: Vec::new(), params, tags }).await?;
    let model = prompt.model(run_id, visitor.at());
    visitor.call(LogModel { room: room.clone(), run_id: run_id.to_owned(), model_json: model.to_string() }).await?;
    for (path, text) in prompt.files(&model) {
        let place = Place::of(Owner::Run(run_id.to_owned()), Some(&path))?;
        let size_hint_bytes = u64::try_from(text.len()).ok();
        let body = Box::pin(futures_util::stream::once(async move { Ok::<_, Problem>(Bytes::from(text)) }));
        visitor.call(WriteArtifact { room: artifacts.clone(), place, body, size_hint_bytes }).await?;
    }
    Ok(())
}
