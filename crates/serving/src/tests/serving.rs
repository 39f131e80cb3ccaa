//! What may answer, and when something else does.

use kernel::Kind;

use super::support::*;
use crate::ServingConfig;
use crate::ops::{DeleteEndpoint, GetEndpoint, SearchEndpoints, UpdateEndpoint};

#[test]
fn only_what_is_admitted_answers() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let number = world.registered(7).await;
        refused(world.endpoint(&number.to_string()).await, Kind::Conflict, "quarantine");
        let number = world.admitted(8).await;
        world.endpoint(&number.to_string()).await.unwrap();
        assert_eq!(world.said().await, 8.0);

        world.sql("UPDATE model_standing SET state = 'refused' WHERE state = $1", &["admitted"]).await;
        assert_eq!(world.said().await, 8.0, "within a second it is taken from memory");
        world.gate.clock.advance_secs(2);
        refused(world.ask(1).await, Kind::Conflict, "was refused");
    });
}

#[test]
fn a_model_whose_files_changed_does_not_answer() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let number = world.admitted(8).await;
        world.endpoint(&number.to_string()).await.unwrap();
        assert_eq!(world.said().await, 8.0);
        world.put("model8/model.lgb", LEAF.replace("LEAF", "9").as_bytes()).await;
        world.gate.clock.advance_secs(2);
        refused(world.ask(1).await, Kind::Conflict, "not those that were inspected");
        let shown = world.call(GetEndpoint { room: world.room.clone(), name: ENDPOINT.to_owned() }).await.unwrap();
        assert!(shown.model.is_none() && shown.obstacle.unwrap().contains("not those"));
        let listed =
            world.call(SearchEndpoints { room: world.room.clone(), model: None, after: None, rows: None }).await.unwrap();
        let why = listed.obstacles.get(&listed.rows[0].id).cloned().unwrap_or_default();
        assert!(why.contains("not those that were inspected"), "a list says so too: {why}");
    });
}

#[test]
fn a_version_that_could_not_be_loaded_is_told_until_another_answers() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let (first, broken) = (world.admitted(1).await, world.admitted_as(2, "tree\nversion=v4\n").await);
        world.alias(first).await;
        world.endpoint("@champion").await.unwrap();
        world.alias(broken).await;
        let obstacle = async || {
            let search = SearchEndpoints { room: world.room.clone(), model: None, after: None, rows: None };
            let listed = world.call(search).await.unwrap();
            listed.obstacles.get(&listed.rows[0].id).cloned()
        };
        assert_eq!(obstacle().await, None, "nobody tried to load it yet");
        world.gate.clock.advance_secs(2);
        refused(world.ask(1).await, Kind::Conflict, "cannot be served");
        assert!(obstacle().await.unwrap().contains("cannot be served"));
        world.alias(first).await;
        assert_eq!(obstacle().await, None, "that was said of the other version");
        assert_eq!(world.said().await, 1.0);
    });
}

#[test]
fn an_alias_that_moves_and_an_update_take_the_endpoint_along() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let (first, second) = (world.admitted(1).await, world.admitted(2).await);
        refused(world.endpoint("@champion").await, Kind::Conflict, "@champion");
        world.alias(first).await;
        world.endpoint("@champion").await.unwrap();
        refused(world.endpoint("@champion").await, Kind::AlreadyExists, ENDPOINT);
        assert_eq!(world.said().await, 1.0);
        world.alias(second).await;
        world.gate.clock.advance_secs(2);
        assert_eq!(world.said().await, 2.0);
        let update = |choice: String| UpdateEndpoint { room: world.room.clone(), name: ENDPOINT.to_owned(), choice };
        world.call(update(first.to_string())).await.unwrap();
        assert_eq!(world.said().await, 1.0, "an update holds at once");
        refused(world.call(update("99".to_owned())).await, Kind::Conflict, "99");
        refused(world.call(update("latest".to_owned())).await, Kind::Invalid, "alias");
        let page = world.call(SearchEndpoints { room: world.room.clone(), model: None, after: None, rows: None }).await.unwrap();
        assert_eq!(page.rows.iter().map(|row| row.name.as_str()).collect::<Vec<_>>(), [ENDPOINT]);
        for (model, count) in [(MODEL, 1), ("other", 0)] {
            let of_model = SearchEndpoints { room: world.room.clone(), model: Some(model.to_owned()), after: None, rows: None };
            assert_eq!(world.call(of_model).await.unwrap().rows.len(), count, "{model}");
        }
        world.call(DeleteEndpoint { room: world.room.clone(), name: ENDPOINT.to_owned() }).await.unwrap();
        refused(world.ask(1).await, Kind::NotFound, "no such endpoint");
    });
}

#[test]
fn names_that_would_be_no_addresses_are_refused() {
    for bad in ["", "-a", "a/b", "a b", "..", "ü", &"a".repeat(101)] {
        assert!(crate::EndpointName::parse(bad).is_err(), "{bad}");
    }
    assert!(crate::EndpointName::parse("Churn_2.v-1").is_ok());
}
