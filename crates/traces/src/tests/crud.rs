//! Keeping, ending, tagging and deleting traces.

use artifacts::{ArtifactPath, Owner};
use kernel::Kind;

use super::support::{World, id_of, on_both_engines, pairs, refused, span, trace, value_of};
use crate::limits;
use crate::ops::{BeginTrace, DeleteTag, DeleteTraces, EndTrace, LinkPrompts, SetTag, Which};
use crate::types::{NewTrace, TraceState};

#[test]
fn a_trace_is_kept_and_read_back() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        let new = NewTrace {
            client_request_id: Some("c".to_owned()),
            request_preview: Some("q".to_owned()),
            ..trace("tr-1", 1_000, &[("a", "b")], &[("m", "n")])
        };
        let made = world.start(&experiment, new).await.unwrap();
        let read = world.info("tr-1").await.unwrap();
        assert_eq!(made, read);
        assert_eq!((read.request_time_ms, read.duration_ms, read.state), (1_000, Some(10), TraceState::Ok));
        let place = format!("mlflow-artifacts:/{experiment}/traces/tr-1/artifacts");
        assert_eq!(value_of(&read.tags, "mlflow.artifactLocation"), Some(place.as_str()));
        assert_eq!((value_of(&read.tags, "a"), value_of(&read.metadata, "m")), (Some("b"), Some("n")));
        refused(world.info("tr-2").await, Kind::NotFound, "Trace with ID 'tr-2' not found.");
        refused(world.info("../x").await, Kind::NotFound, "not found");
    });
}

#[test]
fn what_only_the_server_may_say_is_left_out_or_refused() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        let tags = [("mlflow.artifactLocation", "file:///etc"), ("mlflow.trace.spansLocation", "TRACKING_STORE")];
        let metadata = [("mlflow.user", "mallory"), ("mlflow.auth.username", "root")];
        let made = world.start(&experiment, trace("tr-1", 1, &tags, &metadata)).await.unwrap();
        assert!(value_of(&made.tags, "mlflow.artifactLocation").unwrap().starts_with("mlflow-artifacts:/"));
        assert_eq!(value_of(&made.tags, "mlflow.trace.spansLocation"), None);
        assert_ne!(value_of(&made.metadata, "mlflow.user"), Some("mallory"));
        assert_eq!(value_of(&made.metadata, "mlflow.auth.username"), None);
        for (key, value) in tags {
            let tag = (key.to_owned(), value.to_owned());
            refused(
                world.call(SetTag { room: world.room.clone(), trace_id: "tr-1".to_owned(), tag }).await,
                Kind::Invalid,
                "cannot be changed",
            );
            let key = key.to_owned();
            refused(
                world.call(DeleteTag { room: world.room.clone(), trace_id: "tr-1".to_owned(), key }).await,
                Kind::Invalid,
                "cannot be changed",
            );
        }
    });
}

#[test]
fn new_traces_have_their_limits() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        let many: Vec<(String, String)> = (0..=limits::PAIR_COUNT_MAX).map(|n| (n.to_string(), String::new())).collect();
        for (bad, part) in [
            (trace("../x", 1, &[], &[]), "parameter 'trace_id'"),
            (trace("tr-1", 1, &[(&"k".repeat(251), "v")], &[]), "maximum length of 250"),
            (trace("tr-1", 1, &[("a", "\0")], &[]), "NUL"),
            (NewTrace { tags: many, ..trace("tr-1", 1, &[], &[]) }, "at most 1000 tags"),
        ] {
            refused(world.start(&experiment, bad).await, Kind::Invalid, part);
        }
        let long = world.start(&experiment, trace("tr-1", 1, &[("a", &"v".repeat(9_000))], &[])).await.unwrap();
        assert_eq!(value_of(&long.tags, "a").map(str::len), Some(limits::VALUE_CHARS_MAX), "cut, as MLflow does");
        refused(world.start("77", trace("tr-2", 1, &[], &[])).await, Kind::NotFound, "No Experiment with id=77 exists");
        refused(world.start("x", trace("tr-2", 1, &[], &[])).await, Kind::Invalid, "Invalid experiment ID");
        world.delete_experiment(&experiment).await;
        refused(world.start(&experiment, trace("tr-3", 1, &[], &[])).await, Kind::Invalid, "must be in the 'active' state");
    });
}

#[test]
fn tags_come_and_go() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        world.start(&experiment, trace("tr-1", 1, &[("a", "1"), ("b", "2")], &[])).await.unwrap();
        let set = |key: &str, value: &str| SetTag {
            room: world.room.clone(),
            trace_id: "tr-1".to_owned(),
            tag: (key.to_owned(), value.to_owned()),
        };
        world.call(set("a", "3")).await.unwrap();
        let delete = || DeleteTag { room: world.room.clone(), trace_id: "tr-1".to_owned(), key: "b".to_owned() };
        world.call(delete()).await.unwrap();
        refused(world.call(delete()).await, Kind::NotFound, "No trace tag with key 'b'");
        let read = world.info("tr-1").await.unwrap();
        assert_eq!((value_of(&read.tags, "a"), value_of(&read.tags, "b")), (Some("3"), None));
        refused(world.call(set("", "x")).await, Kind::Invalid, "'key'");
        let missing = SetTag { room: world.room.clone(), trace_id: "tr-9".to_owned(), tag: ("a".to_owned(), String::new()) };
        refused(world.call(missing).await, Kind::NotFound, "not found");
    });
}

#[test]
fn mlflow_2_begins_and_ends_a_trace() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        let begin = BeginTrace {
            room: world.room.clone(),
            experiment_id: experiment,
            request_time_ms: 1_000,
            metadata: pairs(&[("m", "1"), ("n", "2")]),
            tags: pairs(&[("a", "1")]),
        };
        let begun = world.call(begin).await.unwrap();
        assert_eq!((begun.state, begun.duration_ms), (TraceState::InProgress, None));
        let end = EndTrace {
            room: world.room.clone(),
            trace_id: begun.trace_id.clone(),
            end_time_ms: 3_000,
            state: TraceState::Ok,
            metadata: pairs(&[("m", "3")]),
            tags: pairs(&[("b", "2")]),
        };
        let ended = world.call(end).await.unwrap();
        assert_eq!((ended.state, ended.duration_ms), (TraceState::Ok, Some(2_000)));
        assert_eq!((value_of(&ended.metadata, "m"), value_of(&ended.metadata, "n")), (Some("3"), Some("2")));
        assert_eq!((value_of(&ended.tags, "a"), value_of(&ended.tags, "b")), (Some("1"), Some("2")));
    });
}

fn delete(world: &World, experiment: &str, which: Which) -> DeleteTraces {
    DeleteTraces { room: world.room.clone(), experiment_id: experiment.to_owned(), which }
}

#[test]
fn what_is_deleted_is_gone() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        let number: i64 = experiment.parse().unwrap();
        let id = id_of(7);
        world.log(&experiment, vec![span(7, 1, "root", Vec::new())]).await.unwrap();
        world.start(&experiment, trace(&id, 1_000, &[("a", "b")], &[("m", "n")])).await.unwrap();
        let link = LinkPrompts { room: world.room.clone(), trace_id: id.clone(), prompts: pairs(&[("p", "1")]) };
        world.call(link).await.unwrap();
        let owner = Owner::Trace(id.clone());
        let owner_id = id.clone();
        let file = world.system.write(move |tx| {
            tx.execute(
                "INSERT INTO artifact (id, owner_kind, owner_id, path, workspace, experiment, size_bytes, sha256, created_at, created_by) \
                 VALUES ('f', 'trace', $1, 'traces.json', 'w', $2, 1, $3, 0, 'o')",
                &[(&owner_id).into(), number.into(), [0_u8; 32].as_slice().into()],
            )?;
            Ok(())
        });
        file.await.unwrap();
        assert_eq!(world.call(delete(&world, &experiment, Which::Ids(vec![id.clone()]))).await.unwrap(), 1);
        refused(world.info(&id).await, Kind::NotFound, "not found");
        let path = ArtifactPath::parse("traces.json").unwrap();
        assert_eq!(world.system.read(move |reader| artifacts::find(reader, &owner, &path)).await.unwrap(), None);
        for table in ["trace", "trace_tag", "trace_metadata", "trace_span", "trace_prompt", "trace_run", "trace_assessment"] {
            let count = world
                .system
                .read(move |reader| Ok(reader.query_one(&format!("SELECT COUNT(*) FROM {table}"), &[], |row| row.int(0))?));
            assert_eq!(count.await.unwrap(), Some(0), "{table}");
        }
        assert_eq!(world.call(delete(&world, &experiment, Which::Ids(vec![id]))).await.unwrap(), 0, "twice");
    });
}

#[test]
fn the_oldest_are_deleted_first() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        for (id, at) in [("tr-1", 30), ("tr-2", 10), ("tr-3", 20), ("tr-4", 40)] {
            world.start(&experiment, trace(id, at, &[], &[])).await.unwrap();
        }
        let until = |count| delete(&world, &experiment, Which::Until { max_time_ms: 30, count });
        assert_eq!(world.call(until(Some(1))).await.unwrap(), 1);
        assert_eq!(world.found(&[&experiment], "").await, ["tr-1", "tr-3", "tr-4"]);
        refused(world.call(until(Some(0))).await, Kind::Invalid, "must be a positive integer");
        assert_eq!(world.call(until(None)).await.unwrap(), 2);
        assert_eq!(world.found(&[&experiment], "").await, ["tr-4"]);
    });
}

#[test]
fn records_hold_no_names_and_values() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("e").await;
        world.start(&experiment, trace("tr-jane-doe", 1, &[("secretkey", "secretvalue")], &[("secretmeta", "x")])).await.unwrap();
        let tag = ("secretkey2".to_owned(), "secretvalue2".to_owned());
        world.call(SetTag { room: world.room.clone(), trace_id: "tr-jane-doe".to_owned(), tag }).await.unwrap();
        world.log(&experiment, vec![span(1, 1, "secretspan", vec![("secretattribute", "x".into())])]).await.unwrap();
        let records = world.gate.recorded().join("\n");
        assert!(!records.contains("secret") && !records.contains("jane"), "{records}");
    });
}
