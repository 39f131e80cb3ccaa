//! `runs/log-…` and `runs/outputs`: what a run logs.
//!
//! The two that run at every step of a training, `log-metric` and `log-batch`, are first read in one pass into their types; only
//! what does not fit is read again as fields, for the error that says why.

use http::Method;
use kernel::Problem;
use serde::Deserialize;
use tracking::ops::{LogBatch, LogInputs, LogMetric, LogModel, LogOutputs, LogParam};
use tracking::{Dataset, DatasetInput, KeyValue, ModelLink, NewMetric, Tracking};

use super::experiments::key_values;
use super::json::{Fields, check_content_type, missing};
use super::number::{Float, Whole};
use super::runs::run_id;
use super::{bound, tracking_view};
use crate::{Door, Inbound};

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Tracking) {
    let post = Method::POST;
    door.mlflow(post.clone(), "/mlflow/runs/log-metric", bound(room, log_metric), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/runs/log-parameter", bound(room, log_param), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/runs/log-batch", bound(room, log_batch), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/runs/log-model", bound(room, log_model), tracking_view::nothing);
    door.mlflow(post.clone(), "/mlflow/runs/log-inputs", bound(room, log_inputs), tracking_view::nothing);
    door.mlflow(post, "/mlflow/runs/outputs", bound(room, log_outputs), tracking_view::nothing);
}

#[derive(Deserialize)]
struct MetricIn {
    key: String,
    value: Float,
    timestamp: Whole,
    step: Option<Whole>,
    model_id: Option<String>,
    dataset_name: Option<String>,
    dataset_digest: Option<String>,
}

#[derive(Deserialize)]
struct RunMetricIn {
    run_id: String,
    key: String,
    value: Float,
    timestamp: Whole,
    step: Option<Whole>,
    model_id: Option<String>,
    dataset_name: Option<String>,
    dataset_digest: Option<String>,
}

#[derive(Deserialize)]
struct PairIn {
    key: String,
    value: Option<String>,
}

#[derive(Deserialize)]
struct BatchIn {
    run_id: String,
    metrics: Option<Vec<MetricIn>>,
    params: Option<Vec<PairIn>>,
    tags: Option<Vec<PairIn>>,
}

fn some(text: Option<String>) -> Option<String> {
    text.filter(|text| !text.is_empty())
}

impl From<MetricIn> for NewMetric {
    fn from(metric: MetricIn) -> Self {
        Self {
            key: metric.key,
            value: metric.value.0,
            timestamp_ms: metric.timestamp.0,
            step: metric.step.map_or(0, |step| step.0),
            model_id: some(metric.model_id),
            dataset_name: some(metric.dataset_name),
            dataset_digest: some(metric.dataset_digest),
        }
    }
}

impl From<PairIn> for KeyValue {
    fn from(pair: PairIn) -> Self {
        Self { key: pair.key, value: pair.value.unwrap_or_default() }
    }
}

fn log_metric(room: &Tracking, inbound: &Inbound) -> Result<LogMetric, Problem> {
    check_content_type(inbound)?;
    match serde_json::from_slice::<RunMetricIn>(&inbound.body) {
        Ok(read) if !read.run_id.is_empty() && !read.key.is_empty() => {
            let RunMetricIn { run_id, key, value, timestamp, step, model_id, dataset_name, dataset_digest } = read;
            let metric = MetricIn { key, value, timestamp, step, model_id, dataset_name, dataset_digest };
            Ok(LogMetric { room: room.clone(), run_id, metric: metric.into() })
        }
        _ => {
            let fields = Fields::of(inbound)?;
            let run_id = run_id(&fields)?;
            Ok(LogMetric { room: room.clone(), run_id, metric: metric_of(&fields)? })
        }
    }
}

fn metric_of(fields: &Fields) -> Result<NewMetric, Problem> {
    Ok(NewMetric {
        key: fields.need_text("key")?,
        value: fields.need_float("value")?,
        timestamp_ms: fields.need_int("timestamp")?,
        step: fields.int("step")?.unwrap_or_default(),
        model_id: some(fields.text("model_id")?),
        dataset_name: some(fields.text("dataset_name")?),
        dataset_digest: some(fields.text("dataset_digest")?),
    })
}

fn log_batch(room: &Tracking, inbound: &Inbound) -> Result<LogBatch, Problem> {
    check_content_type(inbound)?;
    match serde_json::from_slice::<BatchIn>(&inbound.body) {
        Ok(read) if is_complete(&read) => Ok(LogBatch {
            room: room.clone(),
            run_id: read.run_id,
            metrics: read.metrics.unwrap_or_default().into_iter().map(NewMetric::from).collect(),
            params: read.params.unwrap_or_default().into_iter().map(KeyValue::from).collect(),
            tags: read.tags.unwrap_or_default().into_iter().map(KeyValue::from).collect(),
        }),
        _ => batch_of_fields(room, &Fields::of(inbound)?),
    }
}

fn is_complete(batch: &BatchIn) -> bool {
    let pairs = batch.params.iter().chain(&batch.tags).flatten();
    !batch.run_id.is_empty()
        && batch.metrics.iter().flatten().all(|m| !m.key.is_empty())
        && pairs.into_iter().all(|p| !p.key.is_empty())
}

fn batch_of_fields(room: &Tracking, fields: &Fields) -> Result<LogBatch, Problem> {
    let run_id = fields.need_text("run_id")?;
    let mut metrics = Vec::new();
    for (index, entry) in fields.objects("metrics")?.iter().enumerate() {
        for name in ["key", "value", "timestamp"] {
            let empty = entry.get(name).is_none_or(|value| value == "");
            if empty {
                return Err(missing(&format!("metrics[{index}].{name}")));
            }
        }
        metrics.push(metric_of(entry)?);
    }
    let params = key_values(fields, "params")?;
    Ok(LogBatch { room: room.clone(), run_id, metrics, params, tags: key_values(fields, "tags")? })
}

fn log_param(room: &Tracking, inbound: &Inbound) -> Result<LogParam, Problem> {
    let fields = Fields::of(inbound)?;
    let run_id = run_id(&fields)?;
    let key = fields.need_text("key")?;
    let param = KeyValue { key, value: fields.text("value")?.unwrap_or_default() };
    Ok(LogParam { room: room.clone(), run_id, param })
}

fn log_model(room: &Tracking, inbound: &Inbound) -> Result<LogModel, Problem> {
    let fields = Fields::of(inbound)?;
    let run_id = fields.need_text("run_id")?;
    Ok(LogModel { room: room.clone(), run_id, model_json: fields.need_text("model_json")? })
}

fn log_inputs(room: &Tracking, inbound: &Inbound) -> Result<LogInputs, Problem> {
    let fields = Fields::of(inbound)?;
    let run_id = fields.need_text("run_id")?;
    let datasets = fields.objects("datasets")?.iter().map(dataset_input).collect::<Result<_, _>>()?;
    Ok(LogInputs { room: room.clone(), run_id, datasets, models: models(&fields)? })
}

fn dataset_input(entry: &Fields) -> Result<DatasetInput, Problem> {
    let dataset = entry.object("dataset")?.ok_or_else(|| Problem::invalid("Dataset cannot be None"))?;
    let need = |name: &str| match dataset.text(name)? {
        Some(text) => Ok(text),
        None => Err(Problem::invalid(format!("Dataset {name} cannot be None"))),
    };
    Ok(DatasetInput {
        dataset: Dataset {
            name: need("name")?,
            digest: need("digest")?,
            source_type: need("source_type")?,
            source: need("source")?,
            schema: some(dataset.text("schema")?),
            profile: some(dataset.text("profile")?),
        },
        tags: entry
            .objects("tags")?
            .iter()
            .map(|tag| {
                let need =
                    |name: &str| tag.text(name)?.ok_or_else(|| Problem::invalid(format!("InputTag {name} cannot be None")));
                Ok(KeyValue { key: need("key")?, value: need("value")? })
            })
            .collect::<Result<_, Problem>>()?,
    })
}

fn log_outputs(room: &Tracking, inbound: &Inbound) -> Result<LogOutputs, Problem> {
    let fields = Fields::of(inbound)?;
    let run_id = fields.need_text("run_id")?;
    if !fields.has("models") {
        return Err(missing("models"));
    }
    Ok(LogOutputs { room: room.clone(), run_id, models: models(&fields)? })
}

fn models(fields: &Fields) -> Result<Vec<ModelLink>, Problem> {
    fields
        .objects("models")?
        .iter()
        .map(|model| Ok(ModelLink { model_id: model.need_text("model_id")?, step: model.int("step")?.unwrap_or_default() }))
        .collect()
}
