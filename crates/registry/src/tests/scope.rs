//! Lists hold only rows of the permit's scope and workspace.

use gate::{Scope, Target};
use testkit::gate::TEST_WORKSPACE;

use super::support::{World, on_both_engines, refused};
use crate::ops::{SearchLoggedModels, SearchModels, SearchVersions};

async fn seen(world: &World) -> (usize, usize, usize) {
    let room = world.room.clone();
    let models =
        SearchModels { room: room.clone(), filter: String::new(), order_by: vec![], max_results: None, page_token: None };
    let versions =
        SearchVersions { room: room.clone(), filter: String::new(), order_by: vec![], max_results: None, page_token: None };
    let logged = SearchLoggedModels {
        room,
        experiment_ids: vec!["1".into(), "2".into(), "3".into()],
        filter: None,
        datasets: vec![],
        order_by: vec![],
        max_results: None,
        page_token: None,
    };
    let models = world.call(models).await.unwrap().rows.len();
    let versions = world.call(versions).await.unwrap().rows.len();
    (models, versions, world.call(logged).await.unwrap().rows.len())
}

#[test]
fn scope_narrows_lists() {
    on_both_engines(|world| async move {
        let a = world.model("a").await;
        world.model("b").await;
        for (name, count) in [("a", 2), ("b", 1)] {
            for _ in 0..count {
                world.version(name, "s3://b/x").await.unwrap();
            }
        }
        for experiment in ["1", "1", "2"] {
            world.logged(experiment).await;
        }
        assert_eq!(seen(&world).await, (2, 3, 3));
        world.gate.set_scope(Scope::Only { experiments: vec![1, 3], models: vec![a.model_id.clone()] });
        assert_eq!(seen(&world).await, (1, 2, 2));
        refused(world.version("a", "models:/b/1").await, kernel::Kind::NotFound, "Unable to fetch model");
        world.gate.set_scope(Scope::Only { experiments: vec![], models: vec![] });
        assert_eq!(seen(&world).await, (0, 0, 0));
        world.gate.set_scope(Scope::Nothing);
        assert_eq!(seen(&world).await, (0, 0, 0));
    });
}

#[test]
fn another_workspaces_things_are_not_found() {
    on_both_engines(|world| async move {
        let model = world.model("a").await;
        let version = world.version("a", "s3://b/x").await.unwrap();
        let logged = world.logged("1").await;
        for (workspace, known) in [(TEST_WORKSPACE, true), ("ws-other", false)] {
            for target in [
                Target::RegisteredModel("a".into()),
                Target::ModelVersion("a".into(), "1".into()),
                Target::LoggedModel(logged.model_id.clone()),
            ] {
                let asked = target.clone();
                let found = world.system.read(move |reader| Ok(crate::locate(reader, workspace, &asked)?)).await.unwrap();
                assert_eq!(found.as_ref().is_some_and(|facts| facts.exists), known, "{workspace} {target:?}");
            }
        }
        let find = |version: &'static str| {
            world.system.read(move |reader| {
                Ok(crate::locate(reader, TEST_WORKSPACE, &Target::ModelVersion("a".into(), version.into()))?.unwrap())
            })
        };
        let facts = find("1").await.unwrap();
        assert_eq!(
            (facts.model.as_ref(), facts.id),
            (Some(&model.model_id), Some(format!("{}/{}", model.model_id, version.version)))
        );
        for spelling in ["01", "+1", " 1", "1.0", "2"] {
            assert!(!find(spelling).await.unwrap().exists, "{spelling}");
        }
    });
}
