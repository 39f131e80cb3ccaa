//! Logging spans.

use kernel::Kind;
use serde_json::{Value, json};

use super::support::{id_of, on_both_engines, refused, span, trace, value_of};
use crate::limits;
use crate::ops::{BatchGetTraces, GetSpans, GetTrace};
use crate::types::{NewSpan, SpanStatus, StoredSpans, TraceState};

#[test]
fn a_trace_comes_into_being_with_its_spans() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        let usage = |count: i64| ("mlflow.chat.tokenUsage", json!({"input_tokens": count, "total_tokens": count}));
        world.log(&experiment, vec![span(1, 2, "child", vec![usage(3), ("session.id", json!("s"))])]).await.unwrap();
        let begun = world.info(&id_of(1)).await.unwrap();
        assert_eq!((begun.state, begun.request_time_ms, begun.duration_ms), (TraceState::InProgress, 1_002, Some(998)));
        let mut root = span(1, 1, "root", vec![("mlflow.spanInputs", json!({"q": 1})), usage(4)]);
        (root.status, root.end_time_ns) = (SpanStatus::Error, Some(3_000_000_000));
        // Logged twice, it counts once.
        world.log(&experiment, vec![root.clone()]).await.unwrap();
        world.log(&experiment, vec![root]).await.unwrap();
        let ended = world.info(&id_of(1)).await.unwrap();
        assert_eq!((ended.state, ended.request_time_ms, ended.duration_ms), (TraceState::Error, 1_001, Some(1_999)));
        assert_eq!(ended.request_preview.as_deref(), Some("{\"q\": 1}"));
        assert_eq!(value_of(&ended.tags, "mlflow.trace.spansLocation"), Some("TRACKING_STORE"));
        assert_eq!(value_of(&ended.metadata, "mlflow.trace.session"), Some("s"));
        assert_eq!(value_of(&ended.metadata, "mlflow.trace.tokenUsage"), Some("{\"input_tokens\": 7, \"total_tokens\": 7}"));
        let found = world.call(GetTrace { room: world.room.clone(), trace_id: id_of(1), allow_partial: false }).await.unwrap();
        let names: Vec<Value> =
            found.spans.iter().map(|text| serde_json::from_str::<Value>(text).unwrap()["name"].clone()).collect();
        assert_eq!(names, ["root", "child"], "the root first");
    });
}

#[test]
fn what_the_client_says_at_the_end_stays() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        world.log(&experiment, vec![span(1, 1, "root", vec![("mlflow.spanOutputs", json!("answer"))])]).await.unwrap();
        let usage = ("mlflow.trace.tokenUsage", "{\"input_tokens\": 1}");
        let stats = ("mlflow.trace.sizeStats", "{\"num_spans\": 2}");
        let made = world.start(&experiment, trace(&id_of(1), 50, &[], &[usage, stats])).await.unwrap();
        assert_eq!((made.request_time_ms, made.duration_ms), (50, Some(10)));
        assert_eq!(made.response_preview.as_deref(), Some("answer"), "what it leaves out stays as it was seen");
        let partial = |allow_partial| GetTrace { room: world.room.clone(), trace_id: id_of(1), allow_partial };
        refused(world.call(partial(false)).await, Kind::NotFound, "not fully exported yet");
        assert_eq!(world.call(partial(true)).await.unwrap().spans.len(), 1);
        let late = span(1, 2, "late", vec![("mlflow.chat.tokenUsage", json!({"input_tokens": 9}))]);
        world.log(&experiment, vec![late]).await.unwrap();
        let after = world.info(&id_of(1)).await.unwrap();
        assert_eq!((after.request_time_ms, after.duration_ms), (50, Some(10)));
        assert_eq!(value_of(&after.metadata, "mlflow.trace.tokenUsage"), Some("{\"input_tokens\": 1}"));
        assert_eq!(world.call(partial(false)).await.unwrap().spans.len(), 2);
    });
}

#[test]
fn spans_that_are_elsewhere_are_said_to_be() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        world.start(&experiment, trace("tr-1", 1, &[], &[])).await.unwrap();
        let spans = world.call(GetSpans { room: world.room.clone(), trace_id: "tr-1".to_owned() }).await.unwrap();
        assert_eq!(spans, StoredSpans::Elsewhere);
        let whole = GetTrace { room: world.room.clone(), trace_id: "tr-1".to_owned(), allow_partial: true };
        refused(world.call(whole).await, Kind::NotFound, "not stored in tracking store");
        world.log(&experiment, vec![span(2, 1, "root", Vec::new())]).await.unwrap();
        let batch =
            world.call(BatchGetTraces { room: world.room.clone(), trace_ids: vec![id_of(2), "../x".to_owned()] }).await.unwrap();
        assert_eq!(batch.len(), 1);
    });
}

#[test]
fn spans_have_their_limits() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        let large = |id: u8| NewSpan {
            attributes: vec![("a".to_owned(), json!("x".repeat(limits::SPAN_BYTES_MAX - 2_000)))],
            ..span(1, id, "x", Vec::new())
        };
        let too_large = NewSpan {
            attributes: vec![("a".to_owned(), json!("x".repeat(limits::SPAN_BYTES_MAX)))],
            ..span(1, 1, "x", Vec::new())
        };
        refused(world.log(&experiment, vec![too_large]).await, Kind::TooLarge, "at most 2097152 are kept of one");
        let many = vec![span(1, 1, "x", Vec::new()); limits::REQUEST_SPAN_COUNT_MAX + 1];
        refused(world.log(&experiment, many).await, Kind::TooLarge, "at most 10000 spans");
        for id in 1..=32 {
            world.log(&experiment, vec![large(id)]).await.unwrap();
        }
        refused(world.log(&experiment, vec![large(33)]).await, Kind::TooLarge, "a trace has at most");
        // The same span once more takes the place of the first.
        world.log(&experiment, vec![large(32)]).await.unwrap();
        refused(world.log("77", vec![span(3, 1, "x", Vec::new())]).await, Kind::NotFound, "No Experiment");
        world.delete_experiment(&experiment).await;
        refused(world.log(&experiment, vec![span(3, 1, "x", Vec::new())]).await, Kind::Invalid, "must be in the 'active' state");
    });
}
