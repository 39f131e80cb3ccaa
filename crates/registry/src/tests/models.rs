//! Registered models: MLflow's own flows, and what is refused.

use kernel::Kind;

use super::support::{on_both_engines, pair, pairs, refused};
use crate::ops::{DeleteAlias, DeleteModel, DeleteModelTag, GetVersionByAlias, RenameModel, SetAlias, SetModelTag, UpdateModel};

#[test]
fn a_model_is_made_and_read_back() {
    on_both_engines(|world| async move {
        let made = world.model_with("CreateRMTest", &[("key", "value"), ("another key", "x"), ("key", "last")]).await.unwrap();
        assert_eq!(made.tags, pairs(&[("another key", "x"), ("key", "last")]));
        assert!(made.model_id.starts_with("rm_"));
        let read = world.get_model("CreateRMTest").await.unwrap();
        assert_eq!(read, made);
        assert_eq!((read.description, read.latest_versions.len()), (None, 0));
        assert_eq!(read.created_at, read.updated_at);
        let record = world.gate.recorded().into_iter().find(|line| line.starts_with("sealed models.create")).unwrap();
        assert!(record.contains("resource=rm_") && !record.contains("CreateRMTest"), "{record}");
    });
}

#[test]
fn a_name_is_taken_once_in_a_workspace() {
    on_both_engines(|world| async move {
        world.model("a").await;
        refused(world.model_with("a", &[]).await, Kind::AlreadyExists, "Registered Model (name=a) already exists.");
        let prompt = [("mlflow.prompt.is_prompt", "true")];
        refused(world.model_with("a", &prompt).await, Kind::AlreadyExists, "Tried to create a prompt with name 'a'");
        world.model_with("p", &prompt).await.unwrap();
        refused(world.model_with("p", &prompt).await, Kind::AlreadyExists, "Prompt (name=p) already exists.");
        world.model("A").await;
    });
}

#[test]
fn a_model_is_renamed_and_described() {
    on_both_engines(|world| async move {
        let before = world.model("UpdateRMTest").await;
        let rename = |name: &str, new_name: &str| RenameModel {
            room: world.room.clone(),
            name: name.to_owned(),
            new_name: new_name.to_owned(),
        };
        world.version("UpdateRMTest", "s3://b/x").await.unwrap();
        world.call(rename("UpdateRMTest", "UpdateRMTest 2")).await.unwrap();
        refused(world.get_model("UpdateRMTest").await, Kind::NotFound, "Registered Model with name=UpdateRMTest not found");
        let after = world.get_model("UpdateRMTest 2").await.unwrap();
        assert_eq!(after.model_id, before.model_id);
        assert_eq!(after.created_at, before.created_at);
        assert!(after.updated_at > before.updated_at);
        assert_eq!(after.latest_versions[0].name, "UpdateRMTest 2");
        let update = UpdateModel {
            room: world.room.clone(),
            name: "UpdateRMTest 2".to_owned(),
            description: Some("This is a test".to_owned()),
        };
        let described = world.call(update).await.unwrap();
        assert_eq!(described.description.as_deref(), Some("This is a test"));
        world.model("other").await;
        refused(world.call(rename("other", "UpdateRMTest 2")).await, Kind::AlreadyExists, "already exists");
        refused(world.call(rename("other", "")).await, Kind::Invalid, "Missing value for required parameter 'new_name'.");
        refused(world.call(rename("other", "a/b")).await, Kind::Invalid, "Names cannot contain '/' or ':'.");
        refused(world.call(rename("none", "x")).await, Kind::NotFound, "Registered Model with name=none not found");
    });
}

#[test]
fn a_deleted_model_is_gone_with_all_that_was_its() {
    on_both_engines(|world| async move {
        world.model_with("a", &[("k", "v")]).await.unwrap();
        world.version("a", "s3://b/x").await.unwrap();
        world
            .call(SetAlias { room: world.room.clone(), name: "a".into(), alias: "x".into(), version: "1".into(), seen: None })
            .await
            .unwrap();
        world.call(DeleteModel { room: world.room.clone(), name: "a".into() }).await.unwrap();
        refused(world.get_model("a").await, Kind::NotFound, "not found");
        refused(world.get_version("a", "1").await, Kind::NotFound, "Model Version (name=a, version=1) not found");
        refused(
            world.call(DeleteModel { room: world.room.clone(), name: "a".into() }).await,
            Kind::NotFound,
            "Registered Model with name=a not found",
        );
        let again = world.model("a").await;
        assert!(again.tags.is_empty() && again.aliases.is_empty() && again.latest_versions.is_empty());
    });
}

#[test]
fn tags_are_set_and_deleted() {
    on_both_engines(|world| async move {
        world.model("a").await;
        let set = |key: &str, value: &str| SetModelTag { room: world.room.clone(), name: "a".into(), tag: pair(key, value) };
        world.call(set("key", "value")).await.unwrap();
        world.call(set("numeric value", "12345")).await.unwrap();
        world.call(set("empty", "")).await.unwrap();
        world.call(set("key", "other")).await.unwrap();
        let tags = world.get_model("a").await.unwrap().tags;
        assert_eq!(tags, pairs(&[("empty", ""), ("key", "other"), ("numeric value", "12345")]));
        for key in ["key", "never there"] {
            world.call(DeleteModelTag { room: world.room.clone(), name: "a".into(), key: key.into() }).await.unwrap();
        }
        assert_eq!(world.get_model("a").await.unwrap().tags.len(), 2);
        refused(world.call(set("a%b", "x")).await, Kind::Invalid, "Names may only contain alphanumerics");
        refused(world.call(set("k", &"x".repeat(100_001))).await, Kind::Invalid, "'value' exceeds the maximum length of 100000");
        refused(world.call(set(&"k".repeat(251), "x")).await, Kind::Invalid, "'key' exceeds the maximum length of 250");
    });
}

#[test]
fn aliases_point_at_versions() {
    on_both_engines(|world| async move {
        world.model("a").await;
        world.version("a", "s3://b/1").await.unwrap();
        world.version("a", "s3://b/2").await.unwrap();
        let set = |alias: &str, version: &str| SetAlias {
            room: world.room.clone(),
            name: "a".into(),
            alias: alias.into(),
            version: version.into(),
            seen: None,
        };
        let get = |alias: &str| GetVersionByAlias { room: world.room.clone(), name: "a".into(), alias: alias.into() };
        world.call(set("test_alias", "1")).await.unwrap();
        assert_eq!(world.call(get("test_alias")).await.unwrap(), world.get_version("a", "1").await.unwrap());
        assert_eq!(world.get_version("a", "1").await.unwrap().aliases, ["test_alias"]);
        world.call(set("test_alias", "2")).await.unwrap();
        assert_eq!(world.call(get("test_alias")).await.unwrap().version, 2);
        assert_eq!(world.call(get("latest")).await.unwrap().version, 2);
        assert!(world.get_version("a", "1").await.unwrap().aliases.is_empty());
        // Who saw it elsewhere moves nothing.
        let after = |seen: &str, version: &str| SetAlias { seen: Some(seen.into()), ..set("test_alias", version) };
        for seen in ["1", ""] {
            refused(world.call(after(seen, "1")).await, Kind::Conflict, "points at version 2 by now");
        }
        world.call(after("2", "1")).await.unwrap();
        world.call(after("1", "2")).await.unwrap();
        refused(world.call(SetAlias { seen: Some("2".into()), ..set("new", "1") }).await, Kind::Conflict, "at no version by now");
        world.call(SetAlias { seen: Some(String::new()), ..set("new", "1") }).await.unwrap();
        world.call(DeleteAlias { room: world.room.clone(), name: "a".into(), alias: "new".into() }).await.unwrap();
        refused(world.call(set("v2", "1")).await, Kind::Invalid, "Version alias name 'v2' is reserved.");
        refused(world.call(set("Latest", "1")).await, Kind::Invalid, "'latest' alias name (case insensitive) is reserved.");
        refused(world.call(set("x", "9")).await, Kind::NotFound, "Model Version (name=a, version=9) not found");
        refused(world.call(set("x", "one")).await, Kind::Invalid, "Parameter 'version' must be an integer, got 'one'.");
        refused(world.call(get("none")).await, Kind::Invalid, "Registered model alias none not found.");
        let delete = DeleteAlias { room: world.room.clone(), name: "a".into(), alias: "test_alias".into() };
        world.call(delete.clone()).await.unwrap();
        world.call(delete).await.unwrap();
        assert!(world.get_model("a").await.unwrap().aliases.is_empty());
    });
}
