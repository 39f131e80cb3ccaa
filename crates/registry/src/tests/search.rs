//! Searches of registered models and versions, as MLflow's own tests ask them.

use kernel::Kind;

use super::support::{World, on_both_engines, pair, pairs, refused};
use crate::ops::{SearchModels, SearchVersions, SetModelTag};

async fn models(world: &World, filter: &str, order: &[&str], page: i64) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let verb = SearchModels {
            room: world.room.clone(),
            filter: filter.to_owned(),
            order_by: order.iter().map(|one| (*one).to_owned()).collect(),
            max_results: Some(page),
            page_token: token,
        };
        let found = world.call(verb).await.unwrap();
        names.extend(found.rows.into_iter().map(|model| model.name));
        token = found.next;
        if token.is_none() {
            return names;
        }
    }
}

async fn versions(world: &World, filter: &str, order: &[&str], page: i64) -> Vec<String> {
    let mut names = Vec::new();
    let mut token = None;
    loop {
        let verb = SearchVersions {
            room: world.room.clone(),
            filter: filter.to_owned(),
            order_by: order.iter().map(|one| (*one).to_owned()).collect(),
            max_results: Some(page),
            page_token: token,
        };
        let found = world.call(verb).await.unwrap();
        names.extend(found.rows.into_iter().map(|version| format!("{}/{}", version.name, version.version)));
        token = found.next;
        if token.is_none() {
            return names;
        }
    }
}

#[test]
fn models_are_searched_by_name_and_paged() {
    on_both_engines(|world| async move {
        let names: Vec<String> = (0..12).map(|i| format!("CreateRMsearch{i:03}")).collect();
        for name in &names {
            world.model(name).await;
        }
        let of = |keep: fn(&str) -> bool| names.iter().filter(|name| keep(name)).cloned().collect::<Vec<_>>();
        for page in [1, 5, 100] {
            assert_eq!(models(&world, "", &[], page).await, names);
            assert_eq!(models(&world, "name LIKE '%7'", &[], page).await, of(|name| name.ends_with('7')));
            assert_eq!(models(&world, "name ILIKE '%rm%00%'", &[], page).await, of(|name| name.contains("00")));
            assert!(models(&world, "name LIKE '%rm%00%'", &[], page).await.is_empty());
            assert!(models(&world, "name = 'badname'", &[], page).await.is_empty());
            assert_eq!(models(&world, "name = 'CreateRMsearch007'", &[], page).await, ["CreateRMsearch007"]);
            assert_eq!(models(&world, "name != 'CreateRMsearch007'", &[], page).await.len(), 11);
        }
        let mut backwards = names.clone();
        backwards.reverse();
        assert_eq!(models(&world, "", &["name DESC"], 5).await, backwards);
        assert_eq!(models(&world, "", &["timestamp DESC"], 5).await, backwards);
        assert_eq!(models(&world, "", &["last_updated_timestamp"], 5).await, names);
        let bad = |max_results, page_token: Option<&str>, filter: &str| SearchModels {
            room: world.room.clone(),
            filter: filter.into(),
            order_by: Vec::new(),
            max_results: Some(max_results),
            page_token: page_token.map(str::to_owned),
        };
        refused(world.call(bad(1001, None, "")).await, Kind::Invalid, "It must be at most 1000, but got value 1001");
        refused(world.call(bad(0, None, "")).await, Kind::Invalid, "It must be a positive integer");
        refused(world.call(bad(1, Some("!"), "")).await, Kind::Invalid, "Invalid page token, could not base64-decode");
        refused(world.call(bad(1, None, "run_id = 'x'")).await, Kind::Invalid, "Invalid attribute key 'run_id' specified");
    });
}

#[test]
fn tags_and_prompts_are_searched() {
    on_both_engines(|world| async move {
        world.model_with("a", &[("k", "v"), ("l", "w")]).await.unwrap();
        world.model_with("b", &[("k", "V%")]).await.unwrap();
        world.model_with("p", &[("mlflow.prompt.is_prompt", "true"), ("k", "v")]).await.unwrap();
        assert_eq!(models(&world, "", &[], 10).await, ["a", "b"]);
        assert_eq!(models(&world, "tags.k = 'v'", &[], 10).await, ["a"]);
        assert_eq!(models(&world, "tags.k ILIKE 'v%'", &[], 10).await, ["a", "b"]);
        assert_eq!(models(&world, "tags.k != 'v'", &[], 10).await, ["b"]);
        assert_eq!(models(&world, "tags.k = 'v' AND tags.l LIKE 'w' AND name = 'a'", &[], 10).await, ["a"]);
        assert!(models(&world, "tags.k LIKE 'V\\%'", &[], 10).await.is_empty(), "a backslash escapes nothing");
        assert!(models(&world, "tags.k LIKE '~V~%'", &[], 10).await.is_empty(), "nor does a tilde");
        assert_eq!(models(&world, "tags.`mlflow.prompt.is_prompt` = 'true'", &[], 10).await, ["p"]);
        assert_eq!(models(&world, "tags.`mlflow.prompt.is_prompt` != 'true'", &[], 10).await, ["a", "b"]);
        assert_eq!(models(&world, "tags.`mlflow.prompt.is_prompt` = 'false'", &[], 10).await, ["a", "b"]);
        let tag = pair("mlflow.prompt.is_prompt", "true");
        world.call(SetModelTag { room: world.room.clone(), name: "b".into(), tag }).await.unwrap();
        assert_eq!(models(&world, "", &[], 10).await, ["a"]);
    });
}

#[test]
fn versions_are_searched_and_ordered() {
    on_both_engines(|world| async move {
        for name in ["m1", "m2", "m3"] {
            world.model(name).await;
        }
        for (name, run) in [("m1", "r1"), ("m2", "r1"), ("m3", "r2"), ("m1", "r2")] {
            let mut new = world.new_version(name, &format!("runs:/run_id/{name}"));
            new.run_id = Some(run.into());
            new.tags = pairs(&[("t", name)]);
            world.call(new).await.unwrap();
        }
        assert_eq!(versions(&world, "", &[], 3).await, ["m1/2", "m3/1", "m2/1", "m1/1"]);
        assert_eq!(versions(&world, "", &["name DESC"], 1).await, ["m3/1", "m2/1", "m1/2", "m1/1"]);
        assert_eq!(versions(&world, "", &["version_number DESC"], 10).await, ["m1/2", "m1/1", "m2/1", "m3/1"]);
        assert_eq!(versions(&world, "", &["creation_timestamp ASC"], 10).await, ["m1/1", "m2/1", "m3/1", "m1/2"]);
        assert_eq!(versions(&world, "name = 'm1'", &[], 10).await, ["m1/2", "m1/1"]);
        assert_eq!(versions(&world, "name = 'm1' AND version_number = 1", &[], 10).await, ["m1/1"]);
        assert_eq!(versions(&world, "version_number > 1.5", &[], 10).await, ["m1/2"]);
        assert_eq!(versions(&world, "version_number >= '2'", &[], 10).await, ["m1/2"]);
        assert_eq!(versions(&world, "run_id = 'r1'", &[], 10).await, ["m2/1", "m1/1"]);
        assert_eq!(versions(&world, "run_id IN ('r1', 'r2')", &[], 10).await.len(), 4);
        assert_eq!(versions(&world, "source_path = 'runs:/run_id/m2'", &[], 10).await, ["m2/1"]);
        assert_eq!(versions(&world, "tags.t ILIKE 'M3'", &[], 10).await, ["m3/1"]);
    });
}
