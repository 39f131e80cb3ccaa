use gate::Target;
use kernel::Kind;

use super::support::{on_both_engines, refused, value_of};
use crate::ops::*;
use crate::types::{Experiment, KeyValue, Stage};

impl super::support::World {
    async fn get_experiment(&self, id: &str) -> Result<Experiment, kernel::Problem> {
        self.call(GetExperiment { room: self.room.clone(), experiment_id: id.to_owned() }).await
    }

    async fn delete_experiment(&self, id: &str) -> Result<(), kernel::Problem> {
        self.call(DeleteExperiment { room: self.room.clone(), experiment_id: id.to_owned() }).await
    }

    async fn tag_experiment(&self, id: &str, key: &str, value: &str) -> Result<(), kernel::Problem> {
        self.call(SetExperimentTag { room: self.room.clone(), experiment_id: id.to_owned(), tag: KeyValue::new(key, value) })
            .await
    }
}

#[test]
fn an_experiment_is_made_read_renamed_and_tagged() {
    on_both_engines(|world| async move {
        world.default_experiment().await;
        world.default_experiment().await;
        let id = world.experiment_with("first", None, &[("a", "1")]).await.unwrap().to_string();
        assert_eq!(id, "1", "{}", world.engine);
        let made = world.get_experiment(&id).await.unwrap();
        assert_eq!(
            (made.name.as_str(), made.artifact_location.as_str(), made.stage),
            ("first", "mlflow-artifacts:/1", Stage::Active)
        );
        assert_eq!((made.created_ms, value_of(&made.tags, "a")), (1_700_000_000_000, Some("1")));
        let default = world.call(GetExperimentByName { room: world.room.clone(), name: "Default".to_owned() }).await.unwrap();
        assert_eq!((default.experiment_id, default.artifact_location.as_str()), (0, "mlflow-artifacts:/0"));

        world.gate.clock.advance_secs(1);
        let renamed = RenameExperiment { room: world.room.clone(), experiment_id: id.clone(), new_name: "second".to_owned() };
        world.call(renamed).await.unwrap();
        world.tag_experiment(&id, "a", "").await.unwrap();
        world.tag_experiment(&id, "multi line", "x\ny").await.unwrap();
        let changed = world.get_experiment(&id).await.unwrap();
        assert_eq!((changed.name.as_str(), changed.updated_ms), ("second", 1_700_000_001_000));
        assert_eq!((value_of(&changed.tags, "a"), value_of(&changed.tags, "multi line")), (Some(""), Some("x\ny")));

        let remove =
            |key: &str| DeleteExperimentTag { room: world.room.clone(), experiment_id: "1".to_owned(), key: key.to_owned() };
        world.call(remove("a")).await.unwrap();
        refused(world.call(remove("a")).await, Kind::NotFound, "No tag with name: a in experiment with id 1");
    });
}

#[test]
fn a_name_is_taken_once() {
    on_both_engines(|world| async move {
        let id = world.experiment("one").await;
        refused(world.experiment_with("one", None, &[]).await, Kind::AlreadyExists, "Experiment(name=one) already exists.");
        world.experiment("two").await;
        let rename =
            |name: &str| RenameExperiment { room: world.room.clone(), experiment_id: id.clone(), new_name: name.to_owned() };
        refused(world.call(rename("two")).await, Kind::AlreadyExists, "Experiment(name=two) already exists.");
        world.call(rename("one")).await.unwrap();
        refused(world.call(rename("")).await, Kind::Invalid, "Invalid experiment name: ''");
        refused(
            world.experiment_with(&"é".repeat(501), None, &[]).await,
            Kind::Invalid,
            "'name' exceeds the maximum length of 500 characters",
        );
        world.experiment(&"é".repeat(500)).await;
        world.delete_experiment(&id).await.unwrap();
        refused(world.experiment_with("one", None, &[]).await, Kind::AlreadyExists, "already exists");
    });
}

#[test]
fn ids_have_one_spelling() {
    on_both_engines(|world| async move {
        world.experiment("x").await;
        for (spelling, part) in [
            ("01", "No Experiment with id=01 exists"),
            ("+1", "No Experiment"),
            (" 1", "No Experiment"),
            ("7", "No Experiment with id=7 exists"),
        ] {
            refused(world.get_experiment(spelling).await, Kind::NotFound, part);
            refused(world.delete_experiment(spelling).await, Kind::NotFound, part);
        }
        for spelling in ["", "abc", "1.0", "1e0", "99999999999999999999", "1\0"] {
            refused(world.get_experiment(spelling).await, Kind::Invalid, "Experiment ID must be a valid integer.");
        }
        let named = GetExperimentByName { room: world.room.clone(), name: "no\0ne".to_owned() };
        refused(world.call(named).await, Kind::NotFound, "Could not find experiment with name 'no\0ne'");
    });
}

#[test]
fn deletion_takes_the_runs_along_and_back() {
    on_both_engines(|world| async move {
        let id = world.experiment("x").await;
        let run = world.run(&id).await;
        world.delete_experiment(&id).await.unwrap();
        assert_eq!(world.get_experiment(&id).await.unwrap().stage, Stage::Deleted);
        assert_eq!(world.get(&run).await.info.stage, Stage::Deleted);
        refused(world.delete_experiment(&id).await, Kind::NotFound, "No Experiment with id=1 exists");
        refused(
            world.tag_experiment(&id, "a", "b").await,
            Kind::Invalid,
            "The experiment 1 must be in the 'active' state. Current state is deleted.",
        );
        let rename = RenameExperiment { room: world.room.clone(), experiment_id: id.clone(), new_name: "y".to_owned() };
        refused(world.call(rename).await, Kind::Conflict, "Cannot rename a non-active experiment.");
        let create = CreateRun {
            room: world.room.clone(),
            experiment_id: id.clone(),
            user_id: None,
            run_name: None,
            start_time_ms: 0,
            tags: Vec::new(),
        };
        refused(
            world.call(create).await,
            Kind::Invalid,
            "The experiment 1 must be in the 'active' state. Current state is deleted.",
        );

        let restore = || RestoreExperiment { room: world.room.clone(), experiment_id: id.clone() };
        world.call(restore()).await.unwrap();
        assert_eq!(world.get(&run).await.info.stage, Stage::Active);
        refused(world.call(restore()).await, Kind::NotFound, "No Experiment with id=1 exists");
    });
}

#[test]
fn a_location_is_opaque_or_refused() {
    on_both_engines(|world| async move {
        let id = world.experiment_with("s3", Some("s3://bucket/x/"), &[]).await.unwrap().to_string();
        assert_eq!(world.get_experiment(&id).await.unwrap().artifact_location, "s3://bucket/x/");
        let run = world.run_with(&id, 1, &[]).await;
        assert_eq!(run.info.artifact_uri, format!("s3://bucket/x/{}/artifacts", run.info.run_id));
        for bad in ["file:///etc", "http://169.254.169.254/", "../up", "/etc"] {
            refused(world.experiment_with("bad", Some(bad), &[]).await, Kind::Invalid, "Invalid artifact location");
        }
        refused(
            world.experiment_with("bad", Some("runs:/x"), &[]).await,
            Kind::Invalid,
            "Artifact location cannot be a runs:/ URI. Given: 'runs:/x'",
        );
        refused(
            world.experiment_with("bad", Some("s3://b/#x"), &[]).await,
            Kind::Invalid,
            "'artifact_location' URL can't include fragments or params.",
        );
    });
}

#[test]
fn tags_have_limits() {
    on_both_engines(|world| async move {
        let id = world.experiment("x").await;
        refused(
            world.tag_experiment(&id, &"k".repeat(251), "v").await,
            Kind::Invalid,
            "'key' exceeds the maximum length of 250 characters",
        );
        refused(
            world.tag_experiment(&id, "k", &"v".repeat(5_001)).await,
            Kind::Invalid,
            "'value' exceeds the maximum length of 5000 characters",
        );
        refused(world.tag_experiment(&id, "a@b", "v").await, Kind::Invalid, "Names may only contain alphanumerics");
        refused(world.tag_experiment(&id, "k", "a\0b").await, Kind::Invalid, "NUL");
        let many: Vec<(String, String)> = (0..1_001).map(|i| (i.to_string(), String::new())).collect();
        let many: Vec<(&str, &str)> = many.iter().map(|(k, v)| (k.as_str(), v.as_str())).collect();
        refused(world.experiment_with("many", None, &many).await, Kind::Invalid, "at most 1000 tags");
    });
}

#[test]
fn another_workspace_sees_nothing() {
    on_both_engines(|world| async move {
        let id = world.experiment("x").await;
        let run = world.run(&id).await;
        for target in [Target::Experiment(id), Target::ExperimentNamed("x".to_owned()), Target::Run(run)] {
            for (workspace, there) in [(testkit::gate::TEST_WORKSPACE, true), ("other", false)] {
                let (room, target) = (world.room.clone(), target.clone());
                let found = world
                    .gate
                    .permit_for(Target::Workspace, move |permit| async move {
                        room.db.read_point(&permit, move |reader| Ok(crate::locate(reader, workspace, &target)?)).await
                    })
                    .await
                    .unwrap();
                assert_eq!(found.is_some(), there);
                if let Some(facts) = found {
                    assert_eq!((facts.exists, facts.experiment, facts.owner.as_deref()), (true, Some(1), Some("user-test")));
                    assert!(facts.row.is_some() && facts.id.is_some());
                }
            }
        }
    });
}
