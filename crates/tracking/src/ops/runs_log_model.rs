//! Logs what a run read and made: datasets, logged models, and MLflow 2's model history.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};
use lineage::Trust;
use lineage::record::{self, Input, Scene};
use serde_json::Value;

use crate::store::{inputs, runs};
use crate::types::{DatasetInput, KeyValue, ModelLink};
use crate::{Tracking, limits, rules};

/// The tag that MLflow 2 keeps a run's models in.
const MODEL_HISTORY: &str = "mlflow.log-model.history";
/// The fields of a model that MLflow keeps in that tag are all but these, which can be large.
const LEFT_OUT: [&str; 2] = ["signature", "saved_input_example_info"];

/// Logs that a run read datasets and logged models.
pub struct LogInputs {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// The datasets. One that comes twice is kept once.
    pub datasets: Vec<DatasetInput>,
    /// The logged models.
    pub models: Vec<ModelLink>,
}

impl Operation for LogInputs {
    const ACTION: Action = super::RUNS_LOG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::run_id(&self.run_id)?;
        rules::dataset_inputs(&self.datasets)?;
        links_are_fine(&self.models)?;
        let row = super::run_row(&permit, &self.run_id)?;
        let experiment = permit.facts().experiment.unwrap_or_default();
        let scene = Scene::of(&permit)?;
        let Self { run_id, datasets, models, room } = self;
        room.db
            .write(&permit, move |tx| {
                super::active_run_user(tx, row, &run_id)?;
                for input in &datasets {
                    inputs::put_dataset(tx, experiment, row, input)?;
                }
                inputs::put_models(tx, row, false, &models)?;
                if !datasets.is_empty() {
                    record::run_inputs(tx, &scene, &run_id, &datasets.iter().map(lineage_input).collect::<Vec<_>>())?;
                }
                if !models.is_empty() {
                    record::run_model_inputs(tx, &scene, &run_id, &ids(&models))?;
                }
                Ok(((), Outcome::done().resource(run_id).with("datasets", datasets.len()).with("models", models.len())))
            })
            .await
    }
}

/// Logs that a run made logged models.
pub struct LogOutputs {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// The logged models.
    pub models: Vec<ModelLink>,
}

impl Operation for LogOutputs {
    const ACTION: Action = super::RUNS_LOG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        links_are_fine(&self.models)?;
        let row = super::run_row(&permit, &self.run_id)?;
        let scene = Scene::of(&permit)?;
        let Self { run_id, models, room } = self;
        room.db
            .write(&permit, move |tx| {
                super::active_run_user(tx, row, &run_id)?;
                inputs::put_models(tx, row, true, &models)?;
                // The server saw the client say so. What it saw itself, `registry` notes when it makes the model.
                record::run_outputs(tx, &scene, &run_id, &ids(&models), Trust::Claimed)?;
                Ok(((), Outcome::done().resource(run_id).with("models", models.len())))
            })
            .await
    }
}

fn ids(models: &[ModelLink]) -> Vec<&str> {
    models.iter().map(|model| model.model_id.as_str()).collect()
}

fn lineage_input(input: &DatasetInput) -> Input<'_> {
    let DatasetInput { dataset, tags } = input;
    let context = tags.iter().find(|tag| tag.key == "mlflow.data.context").map(|tag| tag.value.as_str());
    Input { name: &dataset.name, digest: &dataset.digest, source_type: &dataset.source_type, source: &dataset.source, context }
}

fn links_are_fine(models: &[ModelLink]) -> Result<(), Problem> {
    if models.len() > limits::MODEL_LINK_COUNT_MAX {
        return Err(Problem::invalid(format!(
            "at most {} models may come at once, got {}",
            limits::MODEL_LINK_COUNT_MAX,
            models.len()
        )));
    }
    let fine = |id: &str| !id.is_empty() && id.len() <= limits::MODEL_ID_CHARS_MAX && id.chars().all(|c| c.is_ascii_graphic());
    match models.iter().find(|model| !fine(&model.model_id)) {
        Some(model) => {
            Err(Problem::invalid(format!("Invalid value {} for parameter 'model_id' supplied.", rules::quoted(&model.model_id))))
        }
        None => Ok(()),
    }
}

/// Notes a model in the run's history tag, as MLflow 2's clients do.
pub struct LogModel {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// The model's description, as JSON.
    pub model_json: String,
}

impl Operation for LogModel {
    const ACTION: Action = super::RUNS_LOG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let model = model_of(&self.model_json)?;
        let row = super::run_row(&permit, &self.run_id)?;
        let Self { run_id, room, .. } = self;
        room.db
            .write(&permit, move |tx| {
                super::active_run_user(tx, row, &run_id)?;
                let mut all = match runs::tag(tx, row, MODEL_HISTORY)? {
                    Some(text) => serde_json::from_str::<Vec<Value>>(&text).unwrap_or_default(),
                    None => Vec::new(),
                };
                all.push(model);
                let text = Value::Array(all).to_string();
                if text.chars().count() > limits::TAG_VALUE_CHARS_MAX {
                    let limit = limits::TAG_VALUE_CHARS_MAX;
                    let why = format!("the run's tag `{MODEL_HISTORY}` would exceed {limit} characters; use a client of MLflow 3, which logs models apart");
                    return Err(Problem::new(Kind::Invalid, why));
                }
                runs::put_tags(tx, row, &[KeyValue::new(MODEL_HISTORY, text)])?;
                Ok(((), Outcome::done().resource(run_id)))
            })
            .await
    }
}

fn model_of(text: &str) -> Result<Value, Problem> {
    let malformed = || Problem::invalid(format!("Malformed model info. \n {text} \n is not a valid JSON."));
    let Value::Object(mut model) = serde_json::from_str(text).map_err(|_| malformed())? else { return Err(malformed()) };
    let needed = ["artifact_path", "flavors", "run_id", "utc_time_created"];
    let missing: Vec<String> =
        needed.iter().filter(|field| !model.contains_key(**field)).map(|field| format!("'{field}'")).collect();
    if !missing.is_empty() {
        return Err(Problem::invalid(format!("Model json is missing mandatory fields: {{{}}}", missing.join(", "))));
    }
    model.retain(|field, _| !LEFT_OUT.contains(&field.as_str()));
    Ok(Value::Object(model))
}
