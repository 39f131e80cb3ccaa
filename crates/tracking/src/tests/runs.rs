use kernel::Kind;

use super::support::{World, on_both_engines, pairs, refused, value_of};
use crate::ops::*;
use crate::types::{KeyValue, RunStatus, Stage};

fn create(world: &World, experiment: &str, user: Option<&str>, name: Option<&str>, tags: &[(&str, &str)]) -> CreateRun {
    CreateRun {
        room: world.room.clone(),
        experiment_id: experiment.to_owned(),
        user_id: user.map(str::to_owned),
        run_name: name.map(str::to_owned),
        start_time_ms: 456,
        tags: pairs(tags),
    }
}

fn tag(world: &World, run: &str, key: &str, value: &str) -> SetTag {
    SetTag { room: world.room.clone(), run_id: run.to_owned(), tag: KeyValue::new(key, value) }
}

fn untag(world: &World, run: &str, key: &str) -> DeleteTag {
    DeleteTag { room: world.room.clone(), run_id: run.to_owned(), key: key.to_owned() }
}

fn update(world: &World, run: &str) -> UpdateRun {
    UpdateRun { room: world.room.clone(), run_id: run.to_owned(), status: None, end_time_ms: None, run_name: None }
}

#[test]
fn a_run_is_made_as_asked() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let made =
            world.call(create(&world, &experiment, None, Some("my name"), &[("b", "2"), ("a", "1"), ("a", "3")])).await.unwrap();
        assert_eq!((made.info.name.as_str(), made.info.status.as_str(), made.info.start_time_ms), ("my name", "RUNNING", 456));
        assert_eq!((made.info.end_time_ms, made.info.stage, made.info.run_id.len()), (None, Stage::Active, 32));
        assert_eq!(made.info.artifact_uri, format!("mlflow-artifacts:/1/{}/artifacts", made.info.run_id));
        assert_eq!(made.data.tags, pairs(&[("a", "3"), ("b", "2"), ("mlflow.runName", "my name"), ("mlflow.user", "tester")]));
        assert_eq!(world.get(&made.info.run_id).await, made);

        let unnamed = world.call(create(&world, &experiment, None, None, &[])).await.unwrap();
        assert_eq!(unnamed.info.name.split('-').count(), 3);
        let tagged = world.call(create(&world, &experiment, None, Some(""), &[("mlflow.runName", "t")])).await.unwrap();
        assert_eq!(tagged.info.name, "t");
        refused(
            world.call(create(&world, &experiment, None, Some("a"), &[("mlflow.runName", "b")])).await,
            Kind::Invalid,
            "Both 'run_name' argument and 'mlflow.runName' tag are specified, but with different values (run_name='a', mlflow.runName='b').",
        );
        refused(world.call(create(&world, "77", None, None, &[])).await, Kind::NotFound, "No Experiment with id=77 exists");
        refused(world.call(create(&world, "x", None, None, &[])).await, Kind::Invalid, "Invalid experiment ID 'x'.");
    });
}

#[test]
fn attribution_is_the_callers() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let claims = [("mlflow.user", "mallory"), ("mlflow.user.claimed", "forged")];
        let run = world.call(create(&world, &experiment, Some("eve"), None, &claims)).await.unwrap();
        let check = |tags: &[KeyValue], claimed: &str| {
            assert_eq!((value_of(tags, "mlflow.user"), value_of(tags, "mlflow.user.claimed")), (Some("tester"), Some(claimed)));
        };
        assert_eq!(run.info.user_name, "tester");
        check(&run.data.tags, "mallory");
        let id = run.info.run_id;
        world.call(tag(&world, &id, "mlflow.user", "root")).await.unwrap();
        check(&world.get(&id).await.data.tags, "root");
        let batch = LogBatch {
            room: world.room.clone(),
            run_id: id.clone(),
            metrics: Vec::new(),
            params: Vec::new(),
            tags: pairs(&[("mlflow.user", "batch")]),
        };
        world.call(batch).await.unwrap();
        check(&world.get(&id).await.data.tags, "batch");
        refused(world.call(untag(&world, &id, "mlflow.user")).await, Kind::Invalid, "cannot be removed");
        assert_eq!(world.get(&id).await.info.user_name, "tester");
    });
}

#[test]
fn a_run_ends_is_renamed_and_tagged() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let id = world.run(&experiment).await;
        let end = UpdateRun { status: Some(RunStatus::Finished), end_time_ms: Some(9), ..update(&world, &id) };
        let info = world.call(end).await.unwrap();
        assert_eq!((info.status.as_str(), info.end_time_ms), ("FINISHED", Some(9)));
        let info = world.call(UpdateRun { run_name: Some("new".to_owned()), ..update(&world, &id) }).await.unwrap();
        assert_eq!((info.name.as_str(), info.status.as_str()), ("new", "FINISHED"));
        assert_eq!(value_of(&world.get(&id).await.data.tags, "mlflow.runName"), Some("new"));
        world.call(UpdateRun { run_name: Some(String::new()), ..update(&world, &id) }).await.unwrap();
        assert_eq!(world.get(&id).await.info.name, "new");
        world.call(tag(&world, &id, "mlflow.runName", "by tag")).await.unwrap();
        assert_eq!(world.get(&id).await.info.name, "by tag");

        world.call(tag(&world, &id, "k", &"é".repeat(9_000))).await.unwrap();
        assert_eq!(value_of(&world.get(&id).await.data.tags, "k").unwrap().chars().count(), 8_000);
        world.call(tag(&world, &id, "k", "")).await.unwrap();
        assert_eq!(value_of(&world.get(&id).await.data.tags, "k"), Some(""));
        world.call(untag(&world, &id, "k")).await.unwrap();
        refused(world.call(untag(&world, &id, "k")).await, Kind::NotFound, &format!("No tag with name: k in run with id {id}"));
        refused(
            world.call(tag(&world, &id, "../k", "v")).await,
            Kind::Invalid,
            "Invalid value \"../k\" for parameter 'key' supplied",
        );
    });
}

#[test]
fn a_deleted_run_is_read_only() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let id = world.run(&experiment).await;
        world.call(DeleteRun { room: world.room.clone(), run_id: id.clone() }).await.unwrap();
        assert_eq!(world.get(&id).await.info.stage, Stage::Deleted);
        let text = format!("The run {id} must be in the 'active' state. Current state is deleted.");
        refused(world.call(tag(&world, &id, "a", "b")).await, Kind::Invalid, &text);
        refused(world.call(untag(&world, &id, "a")).await, Kind::Invalid, &text);
        refused(world.call(update(&world, &id)).await, Kind::Invalid, &text);
        world.call(RestoreRun { room: world.room.clone(), run_id: id.clone() }).await.unwrap();
        world.call(tag(&world, &id, "a", "b")).await.unwrap();
    });
}

#[test]
fn a_run_that_is_not_there_is_not_found() {
    on_both_engines(|world| async move {
        let text = "Run with id=fake not found";
        refused(world.call(GetRun { room: world.room.clone(), run_id: "fake".to_owned() }).await, Kind::NotFound, text);
        refused(world.call(tag(&world, "fake", "a", "b")).await, Kind::NotFound, text);
        refused(world.call(untag(&world, "fake", "a")).await, Kind::NotFound, text);
        refused(world.call(update(&world, "fake")).await, Kind::NotFound, text);
        refused(world.call(DeleteRun { room: world.room.clone(), run_id: "fake".to_owned() }).await, Kind::NotFound, text);
        refused(world.call(GetRun { room: world.room.clone(), run_id: "a\0b".to_owned() }).await, Kind::NotFound, "Run with id=");
    });
}

#[test]
fn records_hold_ids_and_counts_only() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("secret-name").await;
        let run =
            world.call(create(&world, &experiment, None, Some("secret-run"), &[("secret-key", "secret-value")])).await.unwrap();
        world.call(tag(&world, &run.info.run_id, "secret-key", "secret-value")).await.unwrap();
        let all = world.gate.recorded().join("\n");
        assert!(all.contains(&format!("sealed runs.create done resource={} experiment=1 tags=3", run.info.run_id)), "{all}");
        assert!(!all.contains("secret") && !all.contains("tester"), "{all}");
    });
}

#[test]
fn lineage_tells_what_was_seen_from_what_was_said() {
    on_both_engines(|world| async move {
        let experiment = world.experiment("x").await;
        let run = world
            .call(create(&world, &experiment, None, None, &[("mlflow.source.git.commit", "abc")]))
            .await
            .unwrap()
            .info
            .run_id;
        world.call(tag(&world, &run, "strongroom.code.sha256", "ff")).await.unwrap();
        let dataset = crate::types::Dataset {
            name: "d".to_owned(),
            digest: "1".to_owned(),
            source_type: "s".to_owned(),
            source: "x".to_owned(),
            schema: None,
            profile: None,
        };
        let input = crate::types::DatasetInput { dataset, tags: pairs(&[("mlflow.data.context", "training")]) };
        let link = |id: &str| vec![crate::types::ModelLink { model_id: id.to_owned(), step: 0 }];
        world
            .call(LogInputs { room: world.room.clone(), run_id: run.clone(), datasets: vec![input], models: link("m-1") })
            .await
            .unwrap();
        world.call(LogOutputs { room: world.room.clone(), run_id: run.clone(), models: link("m-2") }).await.unwrap();
        let room = world.room.clone();
        let edges = move |permit| async move {
            room.db
                .read_point(&permit, |reader: &mut vault::db::Reader<'_>| {
                    let sql = "SELECT relation, trust FROM lineage_edge ORDER BY relation, trust";
                    Ok(reader.query(sql, &[], |row| Ok(format!("{} {}", row.text(0)?, row.text(1)?)))?)
                })
                .await
        };
        let edges = world.gate.permit_for(gate::Target::Workspace, edges).await.unwrap();
        // Who ran it was seen; the commit, the code, the dataset and the models were said.
        assert_eq!(
            edges,
            ["associated observed", "generated claimed", "used claimed", "used claimed", "used claimed", "used claimed"]
        );
    });
}
