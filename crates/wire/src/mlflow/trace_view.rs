//! What answers show of traces: MLflow's field names in both its forms, spans in OpenTelemetry's.

use kernel::{Micros, Problem};
use serde_json::{Map, Value, json};
use traces::{Assessment, AssessmentKind, MetricPoint, Page, TraceInfo, TraceState, TraceWithSpans};

use super::number::float_value;
use crate::admin::times;
use crate::outbound::Answer;

/// How MLflow says that an expectation's value is a JSON text.
pub(super) const JSON_FORMAT: &str = "JSON_FORMAT";

fn time(ms: i64) -> Value {
    let text = times::to_text(Micros(ms.saturating_mul(1_000)));
    // Microseconds are never there: MLflow's own answers have milliseconds.
    Value::String(text.replace("000Z", "Z"))
}

fn duration(ms: i64) -> Value {
    let sign = if ms < 0 { "-" } else { "" };
    let ms = ms.unsigned_abs();
    Value::String(format!("{sign}{}.{:03}s", ms / 1_000, ms % 1_000))
}

fn map(pairs: &[(String, String)]) -> Value {
    Value::Object(pairs.iter().map(|(key, value)| (key.clone(), Value::String(value.clone()))).collect())
}

fn list(pairs: &[(String, String)]) -> Value {
    pairs.iter().map(|(key, value)| json!({"key": key, "value": value})).collect()
}

/// A trace's head in MLflow 3's form.
fn info(info: &TraceInfo) -> Value {
    let mut view = json!({
        "trace_id": info.trace_id,
        "trace_location": {"type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": info.experiment_id.to_string()}},
        "request_time": time(info.request_time_ms),
        "state": info.state.word(),
        "trace_metadata": map(&info.metadata),
        "tags": map(&info.tags),
    });
    put(&mut view, "execution_duration", info.duration_ms.map(duration));
    put(&mut view, "client_request_id", info.client_request_id.clone().map(Value::String));
    put(&mut view, "request_preview", info.request_preview.clone().map(Value::String));
    put(&mut view, "response_preview", info.response_preview.clone().map(Value::String));
    if !info.assessments.is_empty() {
        let all = info.assessments.iter().map(|one| assessment(&info.trace_id, one)).collect();
        put(&mut view, "assessments", Some(all));
    }
    view
}

fn put(view: &mut Value, name: &str, value: Option<Value>) {
    if let (Some(object), Some(value)) = (view.as_object_mut(), value) {
        object.insert(name.to_owned(), value);
    }
}

/// A trace's head in MLflow 2's form.
fn info_v2(info: &TraceInfo) -> Value {
    let status = match info.state {
        TraceState::Unspecified => "TRACE_STATUS_UNSPECIFIED",
        state => state.word(),
    };
    json!({
        "request_id": info.trace_id,
        "experiment_id": info.experiment_id.to_string(),
        "timestamp_ms": info.request_time_ms,
        "execution_time_ms": info.duration_ms.unwrap_or(0),
        "status": status,
        "request_metadata": list(&info.metadata),
        "tags": list(&info.tags),
    })
}

pub(super) fn trace_info(found: TraceInfo) -> Result<Answer, Problem> {
    crate::json(&json!({"trace": {"trace_info": info(&found)}}))
}

pub(super) fn trace_info_v2(found: TraceInfo) -> Result<Answer, Problem> {
    crate::json(&json!({"trace_info": info_v2(&found)}))
}

pub(super) fn infos(found: Vec<TraceInfo>) -> Result<Answer, Problem> {
    crate::json(&json!({"trace_infos": found.iter().map(info).collect::<Vec<_>>()}))
}

pub(super) fn page(found: Page<TraceInfo>) -> Result<Answer, Problem> {
    paged(&found, info)
}

pub(super) fn page_v2(found: Page<TraceInfo>) -> Result<Answer, Problem> {
    paged(&found, info_v2)
}

fn paged(found: &Page<TraceInfo>, view: fn(&TraceInfo) -> Value) -> Result<Answer, Problem> {
    let mut answer = Map::new();
    if !found.items.is_empty() {
        answer.insert("traces".to_owned(), found.items.iter().map(view).collect());
    }
    if let Some(token) = &found.next_page_token {
        answer.insert("next_page_token".to_owned(), Value::String(token.clone()));
    }
    crate::json(&answer)
}

pub(super) fn trace(found: TraceWithSpans) -> Result<Answer, Problem> {
    crate::json(&json!({"trace": whole(&found)?}))
}

pub(super) fn traces(found: Vec<TraceWithSpans>) -> Result<Answer, Problem> {
    crate::json(&json!({"traces": found.iter().map(whole).collect::<Result<Vec<_>, _>>()?}))
}

fn whole(found: &TraceWithSpans) -> Result<Value, Problem> {
    let spans = found.spans.iter().map(|text| span(text)).collect::<Result<Vec<_>, _>>()?;
    Ok(json!({"trace_info": info(&found.info), "spans": spans}))
}

/// A kept span in OpenTelemetry's form.
fn span(text: &str) -> Result<Value, Problem> {
    let kept: Value = serde_json::from_str(text).map_err(|source| Problem::internal("a span is not as it was kept", source))?;
    let part = |name: &str| kept.get(name).filter(|value| !value.is_null()).cloned();
    let mut view = json!({
        "trace_id": part("trace_id"),
        "span_id": part("span_id"),
        "name": part("name"),
        "start_time_unix_nano": part("start_time_unix_nano"),
        "attributes": kept.get("attributes").and_then(Value::as_object).map(attributes),
        "status": status(&kept),
    });
    put(&mut view, "parent_span_id", part("parent_span_id"));
    put(&mut view, "end_time_unix_nano", part("end_time_unix_nano"));
    let events = kept.get("events").and_then(Value::as_array).filter(|events| !events.is_empty());
    put(&mut view, "events", events.map(|events| events.iter().map(event).collect()));
    Ok(view)
}

fn status(kept: &Value) -> Value {
    let status = kept.get("status");
    let mut view = json!({"code": status.and_then(|status| status.get("code"))});
    let message = status.and_then(|status| status.get("message")).filter(|message| *message != "");
    put(&mut view, "message", message.cloned());
    view
}

fn event(kept: &Value) -> Value {
    let attributes = kept.get("attributes").and_then(Value::as_object);
    let pairs =
        attributes.map(|all| all.iter().map(|(key, value)| json!({"key": key, "value": any_value(value)})).collect::<Value>());
    json!({"name": kept.get("name"), "time_unix_nano": kept.get("time_unix_nano"), "attributes": pairs})
}

/// The attributes of a kept span, each of which is a JSON text.
fn attributes(kept: &Map<String, Value>) -> Value {
    kept.iter()
        .map(|(key, text)| {
            let value = text.as_str().map_or(Value::Null, |text| serde_json::from_str(text).unwrap_or_else(|_| text.into()));
            json!({"key": key, "value": any_value(&value)})
        })
        .collect()
}

/// OpenTelemetry's `AnyValue`.
fn any_value(value: &Value) -> Value {
    match value {
        Value::Null => json!({}),
        Value::Bool(flag) => json!({"bool_value": flag}),
        Value::Number(number) if number.is_i64() => json!({"int_value": number}),
        Value::Number(number) => json!({"double_value": number.as_f64().map(float_value)}),
        Value::String(text) => json!({"string_value": text}),
        Value::Array(items) => json!({"array_value": {"values": items.iter().map(any_value).collect::<Vec<_>>()}}),
        Value::Object(fields) => {
            let values: Vec<Value> = fields.iter().map(|(key, value)| json!({"key": key, "value": any_value(value)})).collect();
            json!({"kvlist_value": {"values": values}})
        }
    }
}

/// An assessment in MLflow's form.
pub(super) fn assessment(trace_id: &str, one: &Assessment) -> Value {
    let parsed = |text: &str| serde_json::from_str::<Value>(text).unwrap_or(Value::Null);
    let mut view = json!({
        "assessment_id": one.assessment_id,
        "assessment_name": one.name,
        "trace_id": trace_id,
        "source": {"source_type": one.source.kind, "source_id": one.source.id},
        "create_time": time(one.created_ms),
        "last_update_time": time(one.updated_ms),
        "valid": one.valid,
    });
    let value = parsed(&one.value);
    let kept = match one.kind {
        AssessmentKind::Feedback => {
            let mut feedback = json!({"value": value});
            put(&mut feedback, "error", one.error.as_deref().map(parsed));
            feedback
        }
        AssessmentKind::Expectation if value.is_array() || value.is_object() => {
            json!({"serialized_value": {"serialization_format": JSON_FORMAT, "value": one.value}})
        }
        AssessmentKind::Expectation => json!({"value": value}),
        AssessmentKind::Issue => json!({"issue_name": value.get("issue_name")}),
    };
    put(&mut view, one.kind.word(), Some(kept));
    put(&mut view, "span_id", one.span_id.clone().map(Value::String));
    put(&mut view, "rationale", one.rationale.clone().map(Value::String));
    put(&mut view, "overrides", one.overrides.clone().map(Value::String));
    put(&mut view, "metadata", one.metadata.as_deref().map(parsed));
    view
}

pub(super) fn points(metric: &str, found: &[MetricPoint]) -> Result<Answer, Problem> {
    let point = |point: &MetricPoint| {
        let mut dimensions = map(&point.dimensions);
        let bucket = point.time_bucket_ms.map(|ms| times::to_text(Micros(ms.saturating_mul(1_000))));
        put(&mut dimensions, "time_bucket", bucket.map(|text| Value::String(text.replace(".000000Z", "+00:00"))));
        let values: Map<String, Value> = point.values.iter().map(|(label, value)| (label.clone(), float_value(*value))).collect();
        json!({"metric_name": metric, "dimensions": dimensions, "values": values})
    };
    crate::json(&json!({"data_points": found.iter().map(point).collect::<Vec<_>>()}))
}
