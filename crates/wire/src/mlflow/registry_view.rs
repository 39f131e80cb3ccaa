//! What `registry` gives, as MLflow's JSON: absent and empty fields are left out, times are milliseconds.

use kernel::Problem;
use registry::{Alias, KeyValue, LoggedModel, LoggedModelMetric, LoggedModelStatus, ModelVersion, Page, RegisteredModel};
use serde::Serialize;
use serde_json::Value;

use super::number::float_value;
use crate::outbound::{Answer, json, json_text};

#[derive(Serialize)]
struct Pair<'a> {
    key: &'a str,
    value: &'a str,
}

#[derive(Serialize)]
struct AliasJson<'a> {
    alias: &'a str,
    version: String,
}

#[derive(Serialize)]
struct RegisteredModelJson<'a> {
    name: &'a str,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    #[serde(skip_serializing_if = "is_empty_text")]
    description: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    latest_versions: Vec<ModelVersionJson<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    aliases: Vec<AliasJson<'a>>,
}

#[derive(Serialize)]
struct ModelVersionJson<'a> {
    name: &'a str,
    version: String,
    creation_timestamp: i64,
    last_updated_timestamp: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    user_id: Option<&'a str>,
    current_stage: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    description: Option<&'a str>,
    source: &'a str,
    run_id: &'a str,
    status: &'a str,
    #[serde(skip_serializing_if = "is_empty_text")]
    status_message: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "is_empty_text")]
    run_link: Option<&'a str>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    aliases: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    model_id: Option<&'a str>,
}

#[derive(Serialize)]
struct LoggedModelJson<'a> {
    info: LoggedModelInfoJson<'a>,
    data: LoggedModelDataJson<'a>,
}

#[derive(Serialize)]
struct LoggedModelInfoJson<'a> {
    model_id: &'a str,
    experiment_id: String,
    name: &'a str,
    creation_timestamp_ms: i64,
    last_updated_timestamp_ms: i64,
    artifact_uri: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "is_empty_text")]
    model_type: Option<&'a str>,
    #[serde(skip_serializing_if = "is_empty_text")]
    source_run_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    tags: Vec<Pair<'a>>,
}

#[derive(Serialize)]
struct LoggedModelDataJson<'a> {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    params: Vec<Pair<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    metrics: Vec<MetricJson<'a>>,
}

#[derive(Serialize)]
struct MetricJson<'a> {
    key: &'a str,
    value: Value,
    timestamp: i64,
    step: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataset_digest: Option<&'a str>,
    model_id: &'a str,
    run_id: &'a str,
}

/// `{}`
pub(super) fn nothing(_: ()) -> Result<Answer, Problem> {
    json_text("{}")
}

/// `{"registered_model": …}`
pub(super) fn registered_model(model: RegisteredModel) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        registered_model: RegisteredModelJson<'a>,
    }
    json(&Body { registered_model: model_json(&model) })
}

/// `{"registered_models": […], "next_page_token": …}`
pub(super) fn registered_models(page: Page<RegisteredModel>) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        registered_models: Vec<RegisteredModelJson<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_page_token: Option<&'a str>,
    }
    let registered_models = page.rows.iter().map(model_json).collect();
    json(&Body { registered_models, next_page_token: page.next.as_deref() })
}

/// `{"model_version": …}`
pub(super) fn model_version(version: ModelVersion) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        model_version: ModelVersionJson<'a>,
    }
    json(&Body { model_version: version_json(&version) })
}

/// `{"model_versions": […], "next_page_token": …}`
pub(super) fn model_versions(page: Page<ModelVersion>) -> Result<Answer, Problem> {
    versions_body(&page.rows, page.next.as_deref())
}

/// `{"model_versions": […]}`
pub(super) fn latest_versions(versions: Vec<ModelVersion>) -> Result<Answer, Problem> {
    versions_body(&versions, None)
}

fn versions_body(versions: &[ModelVersion], next_page_token: Option<&str>) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        model_versions: Vec<ModelVersionJson<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_page_token: Option<&'a str>,
    }
    json(&Body { model_versions: versions.iter().map(version_json).collect(), next_page_token })
}

/// `{"artifact_uri": …}`
pub(super) fn download_uri(artifact_uri: String) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body {
        artifact_uri: String,
    }
    json(&Body { artifact_uri })
}

/// `{"model": …}`
pub(super) fn logged_model(model: LoggedModel) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        model: LoggedModelJson<'a>,
    }
    json(&Body { model: logged_json(&model) })
}

/// `{"models": […], "next_page_token": …}`
pub(super) fn logged_models(page: Page<LoggedModel>) -> Result<Answer, Problem> {
    #[derive(Serialize)]
    struct Body<'a> {
        #[serde(skip_serializing_if = "Vec::is_empty")]
        models: Vec<LoggedModelJson<'a>>,
        #[serde(skip_serializing_if = "Option::is_none")]
        next_page_token: Option<&'a str>,
    }
    json(&Body { models: page.rows.iter().map(logged_json).collect(), next_page_token: page.next.as_deref() })
}

fn model_json(model: &RegisteredModel) -> RegisteredModelJson<'_> {
    RegisteredModelJson {
        name: &model.name,
        creation_timestamp: model.created_at.as_millis(),
        last_updated_timestamp: model.updated_at.as_millis(),
        description: model.description.as_deref(),
        latest_versions: model.latest_versions.iter().map(version_json).collect(),
        tags: pairs(&model.tags),
        aliases: model.aliases.iter().map(alias_json).collect(),
    }
}

fn alias_json(alias: &Alias) -> AliasJson<'_> {
    AliasJson { alias: &alias.alias, version: alias.version.to_string() }
}

fn version_json(version: &ModelVersion) -> ModelVersionJson<'_> {
    ModelVersionJson {
        name: &version.name,
        version: version.version.to_string(),
        creation_timestamp: version.created_at.as_millis(),
        last_updated_timestamp: version.updated_at.as_millis(),
        user_id: version.user_name.as_deref(),
        current_stage: version.stage.word(),
        description: version.description.as_deref(),
        source: &version.source,
        run_id: version.run_id.as_deref().unwrap_or_default(),
        status: &version.status,
        status_message: version.status_message.as_deref(),
        tags: pairs(&version.tags),
        run_link: version.run_link.as_deref(),
        aliases: &version.aliases,
        model_id: version.logged_model_id.as_deref(),
    }
}

fn logged_json(model: &LoggedModel) -> LoggedModelJson<'_> {
    LoggedModelJson {
        info: LoggedModelInfoJson {
            model_id: &model.model_id,
            experiment_id: model.experiment_id.to_string(),
            name: &model.name,
            creation_timestamp_ms: model.created_at.as_millis(),
            last_updated_timestamp_ms: model.updated_at.as_millis(),
            artifact_uri: &model.artifact_uri,
            status: match model.status {
                LoggedModelStatus::Unspecified => "LOGGED_MODEL_STATUS_UNSPECIFIED",
                LoggedModelStatus::Pending => "LOGGED_MODEL_PENDING",
                LoggedModelStatus::Ready => "LOGGED_MODEL_READY",
                LoggedModelStatus::Failed => "LOGGED_MODEL_UPLOAD_FAILED",
            },
            model_type: model.model_type.as_deref(),
            source_run_id: model.source_run_id.as_deref(),
            tags: pairs(&model.tags),
        },
        data: LoggedModelDataJson {
            params: pairs(&model.params),
            metrics: model.metrics.iter().map(|metric| metric_json(&model.model_id, metric)).collect(),
        },
    }
}

fn metric_json<'a>(model_id: &'a str, metric: &'a LoggedModelMetric) -> MetricJson<'a> {
    MetricJson {
        key: &metric.name,
        value: float_value(metric.value),
        timestamp: metric.timestamp_ms,
        step: metric.step,
        dataset_name: metric.dataset_name.as_deref(),
        dataset_digest: metric.dataset_digest.as_deref(),
        model_id,
        run_id: &metric.run_id,
    }
}

fn pairs(all: &[KeyValue]) -> Vec<Pair<'_>> {
    all.iter().map(|pair| Pair { key: &pair.key, value: &pair.value }).collect()
}

fn is_empty_text(text: &Option<&str>) -> bool {
    text.is_none_or(str::is_empty)
}
