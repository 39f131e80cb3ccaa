//! Versions: numbers, sources, stages, redaction and authorship.

use kernel::Kind;

use super::support::{CALLER, World, on_both_engines, pair, pairs, refused};
use crate::ops::{
    DeleteVersion, DeleteVersionTag, GetDownloadUri, GetLatestVersions, SetAlias, SetVersionTag, TransitionStage, UpdateVersion,
};
use crate::types::{ModelVersion, Stage};

async fn stage(world: &World, version: &str, stage: &str, archive: bool) -> Result<ModelVersion, kernel::Problem> {
    let verb = TransitionStage {
        room: world.room.clone(),
        name: "a".into(),
        version: version.into(),
        stage: stage.into(),
        archive_existing: archive,
    };
    world.call(verb).await
}

async fn delete(world: &World, version: &str) -> Result<(), kernel::Problem> {
    world.call(DeleteVersion { room: world.room.clone(), name: "a".into(), version: version.into() }).await
}

async fn download_uri(world: &World, name: &str, version: &str) -> String {
    let verb = GetDownloadUri { room: world.room.clone(), name: name.into(), version: version.into() };
    world.call(verb).await.unwrap()
}

#[test]
fn versions_count_up_and_never_repeat() {
    on_both_engines(|world| async move {
        let model = world.model("a").await;
        for number in 1..=3 {
            let made = world.version("a", "runs:/run_id/model").await.unwrap();
            assert_eq!((made.version, made.status.as_str(), made.stage), (number, "READY", Stage::None));
            assert_eq!(made.user_name.as_deref(), Some("tester"), "the author is the caller");
        }
        assert!(world.get_model("a").await.unwrap().updated_at > model.updated_at);
        delete(&world, "1").await.unwrap();
        delete(&world, "3").await.unwrap();
        assert_eq!(world.version("a", "s3://b/x").await.unwrap().version, 4);
        refused(delete(&world, "1").await, Kind::NotFound, "Model Version (name=a, version=1) not found");
        refused(stage(&world, "1", "Staging", false).await, Kind::NotFound, "not found");
        refused(world.version("none", "s3://b/x").await, Kind::NotFound, "Registered Model with name=none not found");
        for bad in ["something not correct", "01", "+4", "4 ", ""] {
            refused(world.get_version("a", bad).await, Kind::Invalid, "Parameter 'version' must be an integer, got '");
        }
    });
}

#[test]
fn deleting_redacts() {
    on_both_engines(|world| async move {
        world.model("a").await;
        let mut new = world.new_version("a", "s3://secret/place");
        new.description = Some("secret".into());
        new.tags = pairs(&[("k", "secret")]);
        world.call(new).await.unwrap();
        let alias = SetAlias { room: world.room.clone(), name: "a".into(), alias: "x".into(), version: "1".into(), seen: None };
        world.call(alias).await.unwrap();
        delete(&world, "1").await.unwrap();
        let left: Vec<String> = world
            .system
            .read(|reader| {
                Ok(reader.query(
                    "SELECT source || storage_location || COALESCE(description, '') || COALESCE(user_name, '') FROM model_version
                     UNION ALL SELECT value FROM model_version_tag UNION ALL SELECT alias FROM registered_model_alias",
                    &[],
                    |row| row.text(0),
                )?)
            })
            .await
            .unwrap();
        assert_eq!(left, ["REDACTED-SOURCE-PATHREDACTED-SOURCE-PATH"]);
    });
}

#[test]
fn stages_move_and_archive() {
    on_both_engines(|world| async move {
        world.model("a").await;
        for (version, to) in
            [("1", "Archived"), ("2", "production"), ("3", "Archived"), ("4", "Production"), ("5", "Staging"), ("6", "STAGING")]
        {
            world.version("a", "runs:/run_id/model").await.unwrap();
            stage(&world, version, to, false).await.unwrap();
        }
        world.version("a", "runs:/run_id/model").await.unwrap();
        let latest = async |stages: &[&str]| {
            let stages = stages.iter().map(|stage| (*stage).to_owned()).collect();
            let mut all: Vec<(String, i64)> = world
                .call(GetLatestVersions { room: world.room.clone(), name: "a".into(), stages })
                .await
                .unwrap()
                .iter()
                .map(|version| (version.stage.word().to_owned(), version.version))
                .collect();
            all.sort();
            all
        };
        let pairs = |all: &[(&str, i64)]| all.iter().map(|(stage, version)| ((*stage).to_owned(), *version)).collect::<Vec<_>>();
        assert_eq!(latest(&["None"]).await, pairs(&[("None", 7)]));
        assert_eq!(latest(&["none", "Staging"]).await, pairs(&[("None", 7), ("Staging", 6)]));
        assert_eq!(latest(&[]).await, pairs(&[("Archived", 3), ("None", 7), ("Production", 4), ("Staging", 6)]));
        stage(&world, "7", "Production", true).await.unwrap();
        assert_eq!(latest(&["Production", "Archived"]).await, pairs(&[("Archived", 4), ("Production", 7)]));
        assert_eq!(world.get_version("a", "2").await.unwrap().stage, Stage::Archived);
        refused(
            stage(&world, "7", "Live", false).await,
            Kind::Invalid,
            "Invalid Model Version stage: Live. Value must be one of None",
        );
        refused(stage(&world, "7", "Archived", true).await, Kind::Invalid, "is not an Active stage");
    });
}

#[test]
fn describing_a_version_leaves_its_model_alone() {
    on_both_engines(|world| async move {
        world.model("a").await;
        world.version("a", "s3://b/x").await.unwrap();
        let model = world.get_model("a").await.unwrap();
        let verb =
            UpdateVersion { room: world.room.clone(), name: "a".into(), version: "1".into(), description: Some("x".into()) };
        assert_eq!(world.call(verb).await.unwrap().description.as_deref(), Some("x"));
        assert_eq!(world.get_model("a").await.unwrap().updated_at, model.updated_at);
        let set = SetVersionTag { room: world.room.clone(), name: "a".into(), version: "1".into(), tag: pair("key", "") };
        world.call(set).await.unwrap();
        assert_eq!(world.get_version("a", "1").await.unwrap().tags, pairs(&[("key", "")]));
        let unset = DeleteVersionTag { room: world.room.clone(), name: "a".into(), version: "1".into(), key: "key".into() };
        world.call(unset).await.unwrap();
        assert!(world.get_version("a", "1").await.unwrap().tags.is_empty());
    });
}

#[test]
fn sources_are_resolved_inside_the_workspace() {
    on_both_engines(|world| async move {
        world.model("a").await;
        let mut logged = world.new_logged("1");
        logged.source_run_id = Some("run1".into());
        let logged = world.call(logged).await.unwrap();
        let source = format!("models:/{}", logged.model_id);
        let made = world.version("a", &source).await.unwrap();
        assert_eq!((made.storage_location.as_str(), made.run_id.as_deref()), (logged.artifact_uri.as_str(), Some("run1")));
        assert_eq!(made.source, source);
        let made = world.version("a", "runs:/run2/model").await.unwrap();
        assert_eq!(
            (made.storage_location.as_str(), made.run_id.as_deref()),
            ("mlflow-artifacts:/2/run2/artifacts/model", Some("run2"))
        );
        let copy = world.version("a", "models:/a/2").await.unwrap();
        assert_eq!(copy.storage_location, "mlflow-artifacts:/2/run2/artifacts/model");
        assert_eq!((copy.source.as_str(), copy.run_id.as_deref()), ("models:/a/2", Some("run2")));
        let made = world.version("a", "mlflow-artifacts:/1/run1/artifacts/m").await.unwrap();
        assert_eq!(made.run_id.as_deref(), Some("run1"));
        assert_eq!(download_uri(&world, "a", "4").await, "mlflow-artifacts:/1/run1/artifacts/m");
        // What is not here stays a text: the server never opens it.
        for opaque in ["runs:/run_id/model", "runs:/run3/model", "s3://bucket/x", "mlflow-artifacts:/models"] {
            let made = world.version("a", opaque).await.unwrap();
            assert_eq!((made.storage_location.as_str(), made.run_id), (opaque, None));
        }
        // Another workspace's things do not exist, however they are spelt.
        let missing = format!("models:/m-{}", "0".repeat(32));
        for foreign in [
            "mlflow-artifacts:/3/run3/artifacts",
            "mlflow-artifacts:/3",
            "mlflow-artifacts:/1/run3/artifacts",
            "mlflow-artifacts:/2/run1/x",
            "models:/none/1",
            "models:/a/99",
            "models:/a@none",
            &missing,
        ] {
            refused(
                world.version("a", foreign).await,
                Kind::NotFound,
                "Unable to fetch model from model URI source artifact location",
            );
        }
        refused(world.version("a", "file:///etc/passwd").await, Kind::Invalid, "To use a local path as a model version");
    });
}

#[test]
fn a_logged_model_lists_its_versions() {
    on_both_engines(|world| async move {
        world.model("model").await;
        let logged = world.logged("1").await;
        for _ in 0..2 {
            let mut new = world.new_version("model", &logged.artifact_uri);
            new.logged_model_id = Some(logged.model_id.clone());
            let made = world.call(new).await.unwrap();
            assert_eq!(made.logged_model_id.as_deref(), Some(logged.model_id.as_str()));
        }
        let tags = world.get_logged(&logged.model_id).await.unwrap().tags;
        let list = r#"[{"name": "model", "version": 1}, {"name": "model", "version": 2}]"#;
        assert_eq!(tags, pairs(&[("mlflow.modelVersions", list)]));
        let mut new = world.new_version("model", "s3://b/x");
        new.logged_model_id = Some("m-none".into());
        refused(world.call(new).await, Kind::NotFound, "Logged model with ID 'm-none' not found.");
    });
}

#[test]
fn lineage_says_what_was_seen_and_what_was_said() {
    on_both_engines(|world| async move {
        world.model("a").await;
        let mut said = world.new_version("a", "s3://b/x");
        said.run_id = Some("run1".into());
        world.call(said).await.unwrap();
        assert_eq!(
            world.edges().await,
            ["model_version attributed person  observed", "model_version generated run run1 claimed"]
        );
        world.version("a", "runs:/run2/m").await.unwrap();
        let edges = world.edges().await;
        assert!(edges.contains(&"model_version generated run run2 observed".to_owned()), "{edges:?}");
        let mut new = world.new_logged("1");
        new.source_run_id = Some("run2".into());
        let logged = world.call(new).await.unwrap();
        let edges = world.edges().await;
        assert!(edges.contains(&"logged_model generated run run2 claimed".to_owned()), "another experiment's run: {edges:?}");
        world.version("a", &format!("models:/{}", logged.model_id)).await.unwrap();
        assert!(world.edges().await.contains(&"model_version derived logged_model  observed".to_owned()));
        // Other files, of which only the request says that they are that model's; then the same of a copy of that version.
        let mut said = world.new_version("a", "runs:/run2/m");
        said.logged_model_id = Some(logged.model_id.clone());
        let said = world.call(said).await.unwrap();
        world.version("a", &format!("models:/a/{}", said.version)).await.unwrap();
        let claimed = "model_version derived logged_model  claimed";
        let edges = world.edges().await;
        assert_eq!(edges.iter().filter(|edge| *edge == claimed).count(), 2, "{edges:?}");
        // Its own files, whichever way they are named.
        let mut named = world.new_version("a", &logged.artifact_uri);
        named.logged_model_id = Some(logged.model_id.clone());
        let named = world.call(named).await.unwrap();
        world.version("a", &format!("models:/a/{}", named.version)).await.unwrap();
        let edges = world.edges().await;
        assert_eq!(edges.iter().filter(|edge| *edge == claimed).count(), 2, "{edges:?}");
        let owner = world
            .system
            .read(|reader| Ok(reader.query_one("SELECT owner FROM model_version", &[], |row| row.text(0))?))
            .await
            .unwrap();
        assert_eq!(owner.as_deref(), Some(CALLER));
    });
}
