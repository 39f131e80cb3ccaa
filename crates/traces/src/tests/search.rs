//! Searches, counts and metrics.

use gate::Scope;
use kernel::Kind;
use serde_json::json;

use super::support::{World, id_of, on_both_engines, refused, span, trace};
use crate::ops::{BatchGetInfos, CorrelateFilters, LinkToRun, QueryMetrics, SearchTraces};
use crate::types::{Aggregation, MetricQuery, MetricView, NewTrace, SpanStatus, TraceState};

/// Four traces: three finished and tagged, one in progress with spans.
async fn filled(world: &World) -> String {
    let experiment = world.experiment("e").await;
    let name = |name| ("mlflow.traceName", name);
    let tokens = ("mlflow.trace.tokenUsage", "{\"input_tokens\": 4, \"total_tokens\": 6}");
    world
        .start(&experiment, trace("tr-1", 100, &[("env", "prod"), name("one")], &[("mlflow.sourceRun", "r1"), tokens]))
        .await
        .unwrap();
    let failed =
        NewTrace { state: TraceState::Error, duration_ms: Some(500), ..trace("tr-2", 200, &[("env", "dev"), name("two")], &[]) };
    world.start(&experiment, failed).await.unwrap();
    world.start(&experiment, trace("tr-3", 300, &[("env", "prod"), ("a b", "x%y"), name("one")], &[])).await.unwrap();
    let mut child = span(5, 2, "child", vec![("mlflow.spanType", json!("LLM")), ("model", json!("big")), ("count", json!(3))]);
    child.status = SpanStatus::Error;
    let mut root = span(5, 1, "root", vec![("text", json!("I like it"))]);
    root.status = SpanStatus::Ok;
    world.log(&experiment, vec![root, child]).await.unwrap();
    experiment
}

#[test]
fn filters_find_what_they_say() {
    on_both_engines(|world| async move {
        let experiment = filled(&world).await;
        let spans = id_of(5);
        let spans = spans.as_str();
        let cases: &[(&str, &[&str])] = &[
            ("", &[spans, "tr-1", "tr-2", "tr-3"]),
            ("status = 'OK'", &[spans, "tr-1", "tr-3"]),
            ("status IN ('ERROR')", &["tr-2"]),
            ("status != 'OK'", &["tr-2"]),
            ("timestamp >= 200 AND timestamp < 1000", &["tr-2", "tr-3"]),
            ("execution_time > 100", &[spans, "tr-2"]),
            ("end_time = 110", &["tr-1"]),
            ("request_id IN ('tr-1', 'tr-9')", &["tr-1"]),
            ("name = 'one'", &["tr-1", "tr-3"]),
            ("tags.env = 'prod' AND status = 'OK'", &["tr-1", "tr-3"]),
            ("tags.env != 'prod'", &["tr-2"]),
            ("tags.env ILIKE 'PR%'", &["tr-1", "tr-3"]),
            ("tags.env LIKE 'PR%'", &[]),
            ("tags.`a b` IS NOT NULL", &["tr-3"]),
            ("tags.env IS NULL", &[spans]),
            ("metadata.`mlflow.sourceRun` = 'r1'", &["tr-1"]),
            ("run_id = 'r1'", &["tr-1"]),
            ("trace.text LIKE '%I like it%'", &[spans]),
            ("trace.text LIKE '%i LIKE it%'", &[]),
            ("trace.text ILIKE '%i LIKE it%'", &[spans]),
            ("span.name = 'child'", &[spans]),
            ("span.name = 'child' AND span.status = 'ERROR'", &[spans]),
            // Of one and the same span.
            ("span.name = 'root' AND span.status = 'ERROR'", &[]),
            ("span.type IN ('LLM', 'TOOL')", &[spans]),
            ("span.attributes.model = 'big'", &[spans]),
            ("span.attributes.model = 'bi'", &[]),
            ("span.attributes.count = '3'", &[spans]),
            ("span.attributes.model != 'small'", &[spans]),
            ("span.attributes.model LIKE '%bi%'", &[spans]),
            ("span.attributes.m_del LIKE '%bi%'", &[]),
        ];
        for (filter, expected) in cases {
            assert_eq!(world.found(&[&experiment], filter).await, *expected, "{filter}");
        }
    });
}

#[test]
fn filters_that_are_none_are_refused() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        for (filter, kind, part) in [
            ("invalid.filter = 'x'", Kind::Invalid, "Invalid entity type"),
            ("name RLIKE 'a'", Kind::NotImplemented, "RLIKE"),
            ("prompt = 'x'", Kind::Invalid, "name/version"),
            ("tags.a = '\0'", Kind::Invalid, "NUL"),
        ] {
            refused(world.page(&[&experiment], filter, 10, None).await, kind, part);
        }
        for bad in [0, -1, 501] {
            refused(world.page(&[&experiment], "", bad, None).await, Kind::Invalid, "parameter 'max_results'");
        }
        refused(world.page(&[&experiment], "", 1, Some("x".to_owned())).await, Kind::Invalid, "page token");
    });
}

#[test]
fn pages_follow_each_other_in_order() {
    on_both_engines(|world| async move {
        let experiment = filled(&world).await;
        let first = world.page(&[&experiment], "tags.env IS NOT NULL", 2, None).await.unwrap();
        let ids = |items: &[crate::TraceInfo]| items.iter().map(|info| info.trace_id.clone()).collect::<Vec<_>>();
        assert_eq!(ids(&first.items), ["tr-3", "tr-2"], "the latest first");
        let second = world.page(&[&experiment], "tags.env IS NOT NULL", 2, first.next_page_token).await.unwrap();
        assert_eq!((ids(&second.items), second.next_page_token), (vec!["tr-1".to_owned()], None));
        for (order, expected) in [
            (vec!["timestamp ASC"], ["tr-1", "tr-2", "tr-3"]),
            (vec!["tags.env DESC", "timestamp ASC"], ["tr-1", "tr-3", "tr-2"]),
            (vec!["execution_time DESC"], ["tr-2", "tr-3", "tr-1"]),
        ] {
            let search = SearchTraces {
                room: world.room.clone(),
                experiment_ids: vec![experiment.clone()],
                filter: "tags.env IS NOT NULL".to_owned(),
                order_by: order.iter().map(ToString::to_string).collect(),
                max_results: 10,
                page_token: None,
            };
            assert_eq!(ids(&world.call(search).await.unwrap().items), expected, "{order:?}");
        }
    });
}

#[test]
fn a_scope_narrows_lists() {
    on_both_engines(|world| async move {
        let mine = filled(&world).await;
        let other = world.experiment("other").await;
        world.start(&other, trace("tr-other", 1, &[], &[])).await.unwrap();
        let by_id = || BatchGetInfos { room: world.room.clone(), trace_ids: vec!["tr-other".to_owned(), "tr-1".to_owned()] };
        assert_eq!(world.found(&[&mine, &other], "timestamp < 150").await, ["tr-1", "tr-other"]);
        assert_eq!(
            world.call(by_id()).await.unwrap().first().map(|info| info.trace_id.clone()),
            Some("tr-other".to_owned()),
            "in their order"
        );
        for scope in [Scope::Only { experiments: vec![mine.parse().unwrap()], models: Vec::new() }, Scope::Nothing] {
            let expected: &[&str] = if scope == Scope::Nothing { &[] } else { &["tr-1"] };
            world.gate.set_scope(scope);
            assert_eq!(world.found(&[&mine, &other], "timestamp < 150").await, expected);
            assert_eq!(world.call(by_id()).await.unwrap().len(), expected.len());
            let count = query(MetricView::Traces, "trace_count", Aggregation::Count, &[&mine, &other]);
            let points = world.call(QueryMetrics { room: world.room.clone(), query: count }).await.unwrap();
            let total: f64 = points.iter().flat_map(|point| &point.values).map(|(_, value)| value).sum();
            assert_eq!(total, if expected.is_empty() { 0.0 } else { 4.0 });
        }
    });
}

#[test]
fn runs_have_the_traces_that_were_linked_to_them() {
    on_both_engines(|world| async move {
        let experiment = filled(&world).await;
        let run_id = world.run(&experiment).await;
        let link =
            |ids: Vec<String>, run_id: &str| LinkToRun { room: world.room.clone(), run_id: run_id.to_owned(), trace_ids: ids };
        world.call(link(vec!["tr-2".to_owned()], &run_id)).await.unwrap();
        world.call(link(vec!["tr-2".to_owned()], &run_id)).await.unwrap();
        assert_eq!(world.found(&[&experiment], &format!("run_id = '{run_id}'")).await, ["tr-2"]);
        refused(world.call(link(vec!["tr-1".to_owned(); 101], &run_id)).await, Kind::Invalid, "Cannot link more than 100 traces");
        refused(world.call(link(vec!["tr-1".to_owned()], "nothing")).await, Kind::NotFound, "Run with id=nothing not found");
    });
}

#[test]
fn filters_are_correlated() {
    on_both_engines(|world| async move {
        let experiment = filled(&world).await;
        let correlate = |base: &str, first: &str, second: &str| CorrelateFilters {
            room: world.room.clone(),
            experiment_ids: vec![experiment.clone()],
            base: base.to_owned(),
            first: first.to_owned(),
            second: second.to_owned(),
        };
        let found = world.call(correlate("", "tags.env = 'prod'", "status = 'OK'")).await.unwrap();
        assert_eq!((found.total_count, found.first_count, found.second_count, found.joint_count), (4, 2, 3, 2));
        let found = world.call(correlate("timestamp < 250", "tags.env = 'prod'", "span.name = 'child'")).await.unwrap();
        assert_eq!((found.total_count, found.first_count, found.second_count), (2, 1, 0));
        assert!(found.npmi.is_nan());
        refused(world.call(correlate("", "invalid.filter = 'x'", "status = 'OK'")).await, Kind::Invalid, "Invalid entity type");
    });
}

fn query(view: MetricView, metric: &str, aggregation: Aggregation, experiments: &[&str]) -> MetricQuery {
    MetricQuery {
        experiment_ids: experiments.iter().map(ToString::to_string).collect(),
        view,
        metric: metric.to_owned(),
        aggregations: vec![aggregation],
        dimensions: Vec::new(),
        filters: Vec::new(),
        interval_s: None,
        start_ms: None,
        end_ms: None,
        max_results: 100,
    }
}

/// Each point as `bucket dimensions = value`.
async fn points(world: &World, query: MetricQuery) -> Vec<String> {
    let found = world.call(QueryMetrics { room: world.room.clone(), query }).await.unwrap();
    let show = |point: &crate::MetricPoint| {
        let bucket = point.time_bucket_ms.map(|ms| format!("@{ms} ")).unwrap_or_default();
        let dimensions: Vec<&str> = point.dimensions.iter().map(|(_, value)| value.as_str()).collect();
        let values: Vec<String> = point.values.iter().map(|(label, value)| format!("{label}={value}")).collect();
        format!("{bucket}{} {}", dimensions.join(","), values.join(","))
    };
    found.iter().map(show).collect()
}

#[test]
fn metrics_are_counted_by_group() {
    on_both_engines(|world| async move {
        let experiment = filled(&world).await;
        let asked = |view, metric: &str, made| query(view, metric, made, &[&experiment]);
        let by = |query: MetricQuery, dimension: &str| MetricQuery { dimensions: vec![dimension.to_owned()], ..query };
        let count = asked(MetricView::Traces, "trace_count", Aggregation::Count);
        assert_eq!(points(&world, by(count.clone(), "trace_status")).await, ["ERROR COUNT=1", "OK COUNT=3"]);
        let latency = asked(MetricView::Traces, "latency", Aggregation::Percentile(50.0));
        assert_eq!(points(&world, by(latency, "trace_name")).await, ["one P50.0=10", "two P50.0=500"]);
        assert_eq!(points(&world, asked(MetricView::Traces, "input_tokens", Aggregation::Sum)).await, [" SUM=4"]);
        let spans = asked(MetricView::Spans, "span_count", Aggregation::Count);
        assert_eq!(points(&world, by(spans.clone(), "span_type")).await, ["LLM COUNT=1", "UNKNOWN COUNT=1"]);
        let filtered = MetricQuery { filters: vec!["span.status = \"ERROR\"".to_owned()], ..spans };
        assert_eq!(points(&world, by(filtered, "span_name")).await, ["child COUNT=1"]);
        let timed = MetricQuery { interval_s: Some(1), start_ms: Some(0), end_ms: Some(10_000), ..count.clone() };
        assert_eq!(points(&world, timed).await, ["@0  COUNT=3", "@1000  COUNT=1"]);
        for (bad, part) in [
            (MetricQuery { metric: "nothing".to_owned(), ..count.clone() }, "metric_name"),
            (MetricQuery { aggregations: vec![Aggregation::Sum], ..count.clone() }, "invalid aggregation_type"),
            (by(count.clone(), "span_name"), "invalid dimension"),
            (MetricQuery { interval_s: Some(1), ..count.clone() }, "start_time_ms and end_time_ms are required"),
            (MetricQuery { max_results: 0, ..count.clone() }, "max_results"),
            (MetricQuery { filters: vec!["span.name = 'x'".to_owned()], ..count }, "only supported for its own view"),
        ] {
            refused(world.call(QueryMetrics { room: world.room.clone(), query: bad }).await, Kind::Invalid, part);
        }
    });
}
