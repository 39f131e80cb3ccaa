//! `traces/…`: keep, read, list, count, end, link, tag, delete. MLflow 2's and MLflow 3's clients use the same paths with
//! different bodies, so the version in the path counts here.

use artifacts::{Artifacts, Fetched, Owner, Place, ReadArtifact, Wanted};
use axum::body::Body;
use gate::Operation;
use http::{HeaderValue, Method, header};
use kernel::Problem;
use serde_json::{Value, json};
use traces::ops::{
    BatchGetInfos, BatchGetTraces, BeginTrace, CorrelateFilters, DeleteTag, DeleteTraces, EndTrace, GetSpans, GetTrace,
    GetTraceInfo, LinkPrompts, LinkToRun, QueryMetrics, SearchTraces, SetTag, StartTrace, TRACES_GET, Which,
};
use traces::{Aggregation, Correlation, MetricQuery, MetricView, NewTrace, StoredSpans, TraceState, Traces, limits};

use super::experiments::key_values;
use super::json::{Fields, missing, wrong_type};
use super::number::float_value;
use super::{assessments, bound, trace_view, tracking_view};
use crate::admin::times;
use crate::door::Chosen;
use crate::{Answer, Door, Inbound};

/// The file that clients keep a trace's spans in where the server does not.
const SPANS_FILE: &str = "traces.json";
const VERSION_2: [&str; 2] = ["/api/2.0", "/ajax-api/2.0"];
const VERSION_3: [&str; 2] = ["/api/3.0", "/ajax-api/3.0"];

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Traces, files: &Artifacts) {
    let (get, post) = (Method::GET, Method::POST);
    for prefix in VERSION_3 {
        let at = |path: &str| format!("{prefix}/mlflow/traces{path}");
        door.route(post.clone(), &at(""), bound(room, start), trace_view::trace_info);
        door.route(get.clone(), &at("/get"), bound(room, read), trace_view::trace);
        door.route(get.clone(), &at("/batchGet"), bound(room, batch), trace_view::traces);
        door.route(post.clone(), &at("/batchGetInfos"), bound(room, batch_infos), trace_view::infos);
        door.route(post.clone(), &at("/search"), bound(room, search), trace_view::page);
        door.route(post.clone(), &at("/calculate-filter-correlation"), bound(room, correlate), |found| correlation(&found));
        door.route_with(post.clone(), &at("/metrics"), bound_metrics(room), |found, metric: String| {
            trace_view::points(&metric, &found)
        });
        door.route(get.clone(), &at("/{trace_id}"), bound(room, info), trace_view::trace_info);
    }
    for prefix in VERSION_2 {
        let at = |path: &str| format!("{prefix}/mlflow/traces{path}");
        door.route(post.clone(), &at(""), bound(room, begin), trace_view::trace_info_v2);
        door.route(get.clone(), &at(""), bound(room, search_v2), trace_view::page_v2);
        door.route(Method::PATCH, &at("/{trace_id}"), bound(room, end), trace_view::trace_info_v2);
        door.route(get.clone(), &at("/{trace_id}/info"), bound(room, info), trace_view::trace_info_v2);
    }
    door.mlflow(post.clone(), "/mlflow/traces/delete-traces", bound(room, delete), |count| {
        crate::json(&json!({"traces_deleted": count}))
    });
    door.mlflow(post.clone(), "/mlflow/traces/link-to-run", bound(room, link_to_run), tracking_view::nothing);
    door.mlflow(post, "/mlflow/traces/link-prompts", bound(room, link_prompts), tracking_view::nothing);
    door.mlflow(Method::PATCH, "/mlflow/traces/{trace_id}/tags", bound(room, set_tag), tracking_view::nothing);
    door.mlflow(Method::DELETE, "/mlflow/traces/{trace_id}/tags", bound(room, delete_tag), tracking_view::nothing);
    assessments::routes(door, room);
    file_routes(door, room, files);
}

pub(super) fn trace_id(inbound: &Inbound) -> String {
    inbound.path("trace_id").to_owned()
}

fn bound_metrics(room: &Traces) -> impl Fn(&Inbound) -> Result<(QueryMetrics, String), Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| metrics(&room, inbound)
}

/// Seconds of a protobuf duration such as `1.5s`, in milliseconds.
fn duration_ms(name: &str, text: &str) -> Result<i64, Problem> {
    let seconds = text.strip_suffix('s').and_then(|seconds| seconds.parse::<f64>().ok()).filter(|seconds| seconds.abs() < 1.0e12);
    let seconds = seconds.ok_or_else(|| wrong_type(name, &Value::String(text.to_owned())))?;
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked above")]
    Ok((seconds * 1_000.0).round() as i64)
}

/// The entries of a map of texts.
pub(super) fn entries(fields: &Fields, name: &str) -> Result<Vec<(String, String)>, Problem> {
    let Some(value) = fields.get(name) else { return Ok(Vec::new()) };
    let Value::Object(map) = value else { return Err(wrong_type(name, value)) };
    map.iter()
        .map(|(key, value)| match value {
            Value::String(text) => Ok((key.clone(), text.clone())),
            other => Err(wrong_type(&format!("{name}.{key}"), other)),
        })
        .collect()
}

fn pairs(fields: &Fields, name: &str) -> Result<Vec<(String, String)>, Problem> {
    Ok(key_values(fields, name)?.into_iter().map(|pair| (pair.key, pair.value)).collect())
}

fn state(fields: &Fields, name: &str) -> Result<TraceState, Problem> {
    let Some(value) = fields.get(name) else { return Ok(TraceState::Unspecified) };
    let word = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let named = match word.as_str() {
        "0" => Some(TraceState::Unspecified),
        "1" => Some(TraceState::Ok),
        "2" => Some(TraceState::Error),
        "3" => Some(TraceState::InProgress),
        word => TraceState::of_word(word),
    };
    named.ok_or_else(|| wrong_type(name, value))
}

/// The experiment of a `TraceLocation`; none where it is of another kind.
fn experiment_of(location: &Fields) -> Result<Option<String>, Problem> {
    match location.object("mlflow_experiment")? {
        Some(place) => place.text("experiment_id"),
        None => Ok(None),
    }
}

fn start(room: &Traces, inbound: &Inbound) -> Result<StartTrace, Problem> {
    let fields = Fields::of(inbound)?;
    let trace = fields.object("trace")?.ok_or_else(|| missing("trace"))?;
    let info = trace.object("trace_info")?.ok_or_else(|| missing("trace.trace_info"))?;
    let location = info.object("trace_location")?.ok_or_else(|| missing("trace_location"))?;
    let experiment_id = experiment_of(&location)?.ok_or_else(|| missing("trace_location.mlflow_experiment.experiment_id"))?;
    let trace = NewTrace {
        trace_id: info.need_text("trace_id")?,
        request_time_ms: match info.text("request_time")? {
            Some(text) => times::parse("request_time", &text)?.as_millis(),
            None => 0,
        },
        duration_ms: info.text("execution_duration")?.map(|text| duration_ms("execution_duration", &text)).transpose()?,
        state: state(&info, "state")?,
        client_request_id: info.text("client_request_id")?,
        request_preview: info.text("request_preview")?,
        response_preview: info.text("response_preview")?,
        tags: entries(&info, "tags")?,
        metadata: entries(&info, "trace_metadata")?,
        assessments: info.objects("assessments")?.iter().map(|one| assessments::new(one, true)).collect::<Result<_, _>>()?,
    };
    Ok(StartTrace { room: room.clone(), experiment_id, trace })
}

fn begin(room: &Traces, inbound: &Inbound) -> Result<BeginTrace, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(BeginTrace {
        room: room.clone(),
        experiment_id: fields.need_text("experiment_id")?,
        request_time_ms: fields.int("timestamp_ms")?.unwrap_or_default(),
        metadata: pairs(&fields, "request_metadata")?,
        tags: pairs(&fields, "tags")?,
    })
}

fn end(room: &Traces, inbound: &Inbound) -> Result<EndTrace, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(EndTrace {
        room: room.clone(),
        trace_id: trace_id(inbound),
        end_time_ms: fields.int("timestamp_ms")?.unwrap_or_default(),
        state: state(&fields, "status")?,
        metadata: pairs(&fields, "request_metadata")?,
        tags: pairs(&fields, "tags")?,
    })
}

fn info(room: &Traces, inbound: &Inbound) -> Result<GetTraceInfo, Problem> {
    Ok(GetTraceInfo { room: room.clone(), trace_id: trace_id(inbound) })
}

fn read(room: &Traces, inbound: &Inbound) -> Result<GetTrace, Problem> {
    let fields = Fields::of(inbound)?;
    let allow_partial = fields.flag("allow_partial")?.unwrap_or(false);
    Ok(GetTrace { room: room.clone(), trace_id: fields.need_text("trace_id")?, allow_partial })
}

fn ids(fields: &Fields) -> Result<Vec<String>, Problem> {
    let ids = fields.texts("trace_ids")?;
    if ids.is_empty() { Err(missing("trace_ids")) } else { Ok(ids) }
}

fn batch(room: &Traces, inbound: &Inbound) -> Result<BatchGetTraces, Problem> {
    Ok(BatchGetTraces { room: room.clone(), trace_ids: ids(&Fields::of(inbound)?)? })
}

fn batch_infos(room: &Traces, inbound: &Inbound) -> Result<BatchGetInfos, Problem> {
    Ok(BatchGetInfos { room: room.clone(), trace_ids: ids(&Fields::of(inbound)?)? })
}

fn search(room: &Traces, inbound: &Inbound) -> Result<SearchTraces, Problem> {
    let fields = Fields::of(inbound)?;
    if !fields.has("locations") {
        return Err(missing("locations"));
    }
    let mut experiment_ids = Vec::new();
    for location in fields.objects("locations")? {
        experiment_ids.extend(experiment_of(&location)?);
    }
    searching(room, &fields, experiment_ids)
}

fn search_v2(room: &Traces, inbound: &Inbound) -> Result<SearchTraces, Problem> {
    let fields = Fields::of(inbound)?;
    let experiment_ids = experiment_ids(&fields)?;
    searching(room, &fields, experiment_ids)
}

fn searching(room: &Traces, fields: &Fields, experiment_ids: Vec<String>) -> Result<SearchTraces, Problem> {
    Ok(SearchTraces {
        room: room.clone(),
        experiment_ids,
        filter: fields.text("filter")?.unwrap_or_default(),
        order_by: fields.texts("order_by")?,
        max_results: fields.int("max_results")?.unwrap_or(limits::SEARCH_RESULT_COUNT_DEFAULT),
        page_token: fields.text("page_token")?,
    })
}

fn experiment_ids(fields: &Fields) -> Result<Vec<String>, Problem> {
    let ids = fields.texts("experiment_ids")?;
    if ids.is_empty() { Err(missing("experiment_ids")) } else { Ok(ids) }
}

fn correlate(room: &Traces, inbound: &Inbound) -> Result<CorrelateFilters, Problem> {
    let fields = Fields::of(inbound)?;
    Ok(CorrelateFilters {
        room: room.clone(),
        experiment_ids: experiment_ids(&fields)?,
        base: fields.text("base_filter")?.unwrap_or_default(),
        first: fields.need_text("filter_string1")?,
        second: fields.need_text("filter_string2")?,
    })
}

fn correlation(found: &Correlation) -> Result<Answer, Problem> {
    crate::json(&json!({
        "npmi": float_value(found.npmi),
        "npmi_smoothed": float_value(found.npmi_smoothed),
        "filter1_count": found.first_count,
        "filter2_count": found.second_count,
        "joint_count": found.joint_count,
        "total_count": found.total_count,
    }))
}

fn metrics(room: &Traces, inbound: &Inbound) -> Result<(QueryMetrics, String), Problem> {
    let fields = Fields::of(inbound)?;
    let experiment_ids = experiment_ids(&fields)?;
    let view = fields.get("view_type").ok_or_else(|| missing("view_type"))?;
    let view = match view.as_str().map_or_else(|| view.to_string(), str::to_owned).as_str() {
        "TRACES" | "1" => MetricView::Traces,
        "SPANS" | "2" => MetricView::Spans,
        "ASSESSMENTS" | "3" => MetricView::Assessments,
        _ => return Err(wrong_type("view_type", view)),
    };
    let metric = fields.need_text("metric_name")?;
    let aggregations = fields.objects("aggregations")?.iter().map(aggregation).collect::<Result<Vec<_>, _>>()?;
    if aggregations.is_empty() {
        return Err(missing("aggregations"));
    }
    let query = MetricQuery {
        experiment_ids,
        view,
        metric: metric.clone(),
        aggregations,
        dimensions: fields.texts("dimensions")?,
        filters: fields.texts("filters")?,
        interval_s: fields.int("time_interval_seconds")?.filter(|seconds| *seconds != 0),
        start_ms: fields.int("start_time_ms")?,
        end_ms: fields.int("end_time_ms")?,
        max_results: match fields.int("max_results")? {
            Some(count) => count,
            None => i64::try_from(limits::METRIC_POINT_COUNT_MAX).unwrap_or(i64::MAX),
        },
    };
    Ok((QueryMetrics { room: room.clone(), query }, metric))
}

fn aggregation(fields: &Fields) -> Result<Aggregation, Problem> {
    let kind = fields.get("aggregation_type").ok_or_else(|| missing("aggregation_type"))?;
    let percentile = || {
        let percent = fields.float("percentile_value")?;
        percent.map(Aggregation::Percentile).ok_or_else(|| missing("percentile_value"))
    };
    Ok(match kind.as_str().map_or_else(|| kind.to_string(), str::to_owned).as_str() {
        "COUNT" | "1" => Aggregation::Count,
        "SUM" | "2" => Aggregation::Sum,
        "AVG" | "3" => Aggregation::Avg,
        "PERCENTILE" | "4" => percentile()?,
        "MIN" | "5" => Aggregation::Min,
        "MAX" | "6" => Aggregation::Max,
        _ => return Err(wrong_type("aggregation_type", kind)),
    })
}

fn delete(room: &Traces, inbound: &Inbound) -> Result<DeleteTraces, Problem> {
    let fields = Fields::of(inbound)?;
    let experiment_id = fields.need_text("experiment_id")?;
    let ids = fields.texts("request_ids")?;
    let which = match (fields.int("max_timestamp_millis")?, fields.int("max_traces")?) {
        (None, _) if ids.is_empty() => {
            return Err(Problem::invalid("Either `max_timestamp_millis` or `trace_ids` must be specified."));
        }
        (Some(max_time_ms), count) if ids.is_empty() => Which::Until { max_time_ms, count },
        (Some(_), _) => return Err(Problem::invalid("Only one of `max_timestamp_millis` and `trace_ids` can be specified.")),
        (None, Some(_)) => return Err(Problem::invalid("`max_traces` can't be specified if `trace_ids` is specified.")),
        (None, None) => Which::Ids(ids),
    };
    Ok(DeleteTraces { room: room.clone(), experiment_id, which })
}

fn link_to_run(room: &Traces, inbound: &Inbound) -> Result<LinkToRun, Problem> {
    let fields = Fields::of(inbound)?;
    let trace_ids = ids(&fields)?;
    Ok(LinkToRun { room: room.clone(), run_id: fields.need_text("run_id")?, trace_ids })
}

fn link_prompts(room: &Traces, inbound: &Inbound) -> Result<LinkPrompts, Problem> {
    let fields = Fields::of(inbound)?;
    let trace_id = fields.need_text("trace_id")?;
    let prompt = |prompt: &Fields| Ok((prompt.need_text("name")?, prompt.need_text("version")?));
    let prompts = fields.objects("prompt_versions")?.iter().map(prompt).collect::<Result<_, Problem>>()?;
    Ok(LinkPrompts { room: room.clone(), trace_id, prompts })
}

fn set_tag(room: &Traces, inbound: &Inbound) -> Result<SetTag, Problem> {
    let fields = Fields::of(inbound)?;
    let tag = (fields.need_text("key")?, fields.text("value")?.unwrap_or_default());
    Ok(SetTag { room: room.clone(), trace_id: trace_id(inbound), tag })
}

fn delete_tag(room: &Traces, inbound: &Inbound) -> Result<DeleteTag, Problem> {
    // Some clients send the key in the query, others in the body.
    let query = inbound.query()?.into_iter().find(|(name, _)| name == "key").map(|(_, value)| value);
    let key = match query {
        Some(key) => key,
        None => Fields::of(inbound)?.need_text("key")?,
    };
    Ok(DeleteTag { room: room.clone(), trace_id: trace_id(inbound), key })
}

/// The spans as one file, as MLflow's page fetches them: of this room, or where the client keeps them itself.
fn file_routes(door: &mut Door, room: &Traces, files: &Artifacts) {
    for prefix in ["/ajax-api/2.0", "/ajax-api/3.0"] {
        let (room, files) = (room.clone(), files.clone());
        let actions = [TRACES_GET, ReadArtifact::ACTION];
        door.choice(Method::GET, &format!("{prefix}/mlflow/get-trace-artifact"), &actions, move |inbound| {
            trace_file(&room, &files, inbound)
        });
    }
}

fn trace_file(room: &Traces, files: &Artifacts, inbound: &Inbound) -> Result<Chosen, Problem> {
    let fields = Fields::of(inbound)?;
    let trace_id = fields.text("request_id")?.filter(|id| !id.is_empty());
    let trace_id = trace_id.ok_or_else(|| Problem::invalid("Request must include the \"request_id\" query parameter."))?;
    let file = |path: &str| {
        let place = Place::of(Owner::Trace(trace_id.clone()), Some(path))?;
        Ok::<_, Problem>(ReadArtifact { room: files.clone(), place, wanted: Wanted::parse(inbound.header("range")) })
    };
    if let Some(path) = fields.text("path")?.filter(|path| !path.is_empty()) {
        return Ok(Chosen::verb(file(&format!("attachments/{path}"))?, super::artifacts::fetched));
    }
    let fallback = file(SPANS_FILE)?;
    let kept = GetSpans { room: room.clone(), trace_id };
    Ok(Chosen::verbs(move |visitor| {
        Box::pin(async move {
            match visitor.call(kept).await? {
                StoredSpans::Here(spans) => spans_file(&spans),
                StoredSpans::Elsewhere => named(match visitor.call(fallback).await? {
                    found @ Fetched::File(_) => super::artifacts::fetched(found)?,
                    Fetched::OutOfRange { .. } => return Err(Problem::invalid("the range is not one of the file")),
                }),
            }
        })
    }))
}

fn spans_file(spans: &[String]) -> Result<Answer, Problem> {
    let mut answer = Answer::new(Body::from(format!("{{\"spans\": [{}]}}", spans.join(", "))));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    crate::outbound::harden(&mut answer);
    named(answer)
}

fn named(mut answer: Answer) -> Result<Answer, Problem> {
    let name = HeaderValue::from_static("attachment; filename=traces.json");
    answer.headers_mut().insert(header::CONTENT_DISPOSITION, name);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_protobufs() {
        assert_eq!(duration_ms("d", "0.077s").unwrap(), 77);
        assert_eq!(duration_ms("d", "3s").unwrap(), 3_000);
        for bad in ["", "s", "1", "1m", "NaNs", "infs", "1e40s"] {
            assert!(duration_ms("d", bad).is_err(), "{bad}");
        }
    }
}
