//! A second version that takes part, and what becomes of it.

use kernel::Kind;
use runtime::{Batch, Values};

use super::support::*;
use crate::ops::{GetEndpoint, Predict, PromoteChallenger, Ready, Rollback, StartRollout, UpdateEndpoint};
use crate::{Endpoint, Keeper, Mode, Prediction, ServingConfig, Stops};

/// The challenger's model needs a second column: every request that the champion answers fails it.
const WIDE: &str = "max_feature_idx=1\nobjective=regression\nfeature_names=a b";

impl World {
    async fn rollout(&self, number: i64, mode: Mode, share_permille: u16) -> Result<Endpoint, kernel::Problem> {
        let (room, name, choice) = (self.room.clone(), ENDPOINT.to_owned(), number.to_string());
        self.call(StartRollout { room, name, choice, mode, share_permille, stops: Stops::default() }).await
    }

    async fn shown(&self) -> Ready {
        self.call(GetEndpoint { room: self.room.clone(), name: ENDPOINT.to_owned() }).await.unwrap()
    }

    async fn ask_version(&self, routing_key: &str, version: Option<&str>) -> Result<Prediction, kernel::Problem> {
        let batch = Batch::matrix(1, 1, Values::F64(vec![0.0])).unwrap();
        let (room, endpoint) = (self.room.clone(), ENDPOINT.to_owned());
        let routing_key = Some(routing_key.to_owned());
        let version = version.map(str::to_owned);
        self.call(Predict { room, endpoint, version, routing_key, batch, subject: None }).await
    }

    async fn said_with(&self, routing_key: &str, version: Option<&str>) -> (f64, Option<Mode>) {
        let prediction = self.ask_version(routing_key, version).await.unwrap();
        match prediction.outputs.value().unwrap().values() {
            Values::F64(values) => (values[0], prediction.arm),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_canary_answers_its_share_and_takes_over() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let (first, second) = (world.admitted(1).await, world.admitted(2).await);
        world.endpoint(&first.to_string()).await.unwrap();
        refused(world.rollout(first, Mode::Canary, 100).await, Kind::Invalid, "answers here already");
        refused(world.rollout(second, Mode::Canary, 0).await, Kind::Invalid, "share");
        refused(world.rollout(99, Mode::Canary, 100).await, Kind::Conflict, "99");
        let quarantined = world.registered(3).await;
        refused(world.rollout(quarantined, Mode::Canary, 100).await, Kind::Conflict, "quarantine");
        world.rollout(second, Mode::Canary, 300).await.unwrap();
        let mut canary = 0;
        for number in 0..200 {
            let key = format!("user{number}");
            let (value, arm) = world.said_with(&key, None).await;
            assert_eq!(value == 2.0, arm == Some(Mode::Canary));
            assert_eq!(world.said_with(&key, None).await.0, value, "a key stays with its version");
            canary += usize::from(value == 2.0);
        }
        assert!((35..85).contains(&canary), "{canary} of 200 at 30 %");
        assert_eq!(world.said_with("x", Some(&second.to_string())).await.0, 2.0, "who asks for a version gets it");
        let shown = world.shown().await;
        let counted = shown.challenger.unwrap().comparison;
        assert_eq!(counted.champion.requests + counted.challenger.requests, 400, "who asked for a version is not counted");

        let promote = || PromoteChallenger { room: world.room.clone(), name: ENDPOINT.to_owned(), seen: None };
        let endpoint = world.call(promote()).await.unwrap();
        assert_eq!((endpoint.choice.to_string(), endpoint.previous, endpoint.rollout), (second.to_string(), Some(first), None));
        assert_eq!(world.said().await, 2.0, "at once");
        refused(world.call(promote()).await, Kind::Conflict, "no other version");
        let rollback = || Rollback { room: world.room.clone(), name: ENDPOINT.to_owned(), seen: None };
        world.call(rollback()).await.unwrap();
        assert_eq!(world.said().await, 1.0, "at once");
        let seen = Some(world.shown().await.endpoint.mark());
        let once = || Rollback { seen: seen.clone(), ..rollback() };
        world.call(once()).await.unwrap();
        assert_eq!(world.said().await, 2.0, "a rollback is taken back the same way");
        refused(world.call(once()).await, Kind::Conflict, "has changed since");
        assert_eq!(world.said().await, 2.0, "what is sent twice is done once");
    });
}

#[test]
fn a_shadow_is_counted_and_never_heard() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let (first, second) = (world.admitted(1).await, world.admitted(2).await);
        world.endpoint(&first.to_string()).await.unwrap();
        world.rollout(second, Mode::Shadow, 1_000).await.unwrap();
        for _ in 0..5 {
            assert_eq!(world.said().await, 1.0);
        }
        refused(world.ask_version("x", Some(&second.to_string())).await, Kind::NotFound, "answers here");
        // The shadows compute on threads of their own; each is counted before its turn is given back.
        let all = u32::try_from(crate::limits::SHADOW_COUNT_MAX).unwrap();
        drop(world.room.0.shadows.acquire_many(all).await.unwrap());
        let comparison = world.shown().await.challenger.unwrap().comparison;
        assert_eq!((comparison.champion.requests, comparison.challenger.requests), (5, 5));
        assert_eq!((comparison.pairs.rows, comparison.pairs.disagreed), (5, 5));
        assert_eq!(comparison.pairs.differences, Some((1.0, 0.0)), "the challenger says one more each time");
        world.call(Rollback { room: world.room.clone(), name: ENDPOINT.to_owned(), seen: None }).await.unwrap();
        assert!(world.shown().await.challenger.is_none());
        assert_eq!(world.said().await, 1.0);
    });
}

#[test]
fn a_challenger_that_fails_costs_no_client_an_answer_and_is_halted_for_good() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let first = world.admitted(1).await;
        let broken = world.admitted_as(2, &LEAF.replace("max_feature_idx=0\nobjective=regression\nfeature_names=a", WIDE)).await;
        world.endpoint(&first.to_string()).await.unwrap();
        world.rollout(broken, Mode::Canary, 1_000).await.unwrap();
        for _ in 0..10 {
            assert_eq!(world.said().await, 1.0, "the champion answers instead");
        }
        let shown = world.shown().await.challenger.unwrap();
        assert!(shown.obstacle.unwrap().contains("failed"), "out from the moment on that it is beyond doubt");
        assert!(shown.comparison.challenger.errors < 10, "{:?}", shown.comparison.challenger);
        let keeper = Keeper::new(world.room.clone(), world.gate.gate.clone(), world.gate.job_key.pass(crate::KEEPER));
        refused(world.ask_version("x", Some(&broken.to_string())).await, Kind::NotFound, "answers here");
        assert!(keeper.step().await);
        refused(world.ask_version("x", Some(&broken.to_string())).await, Kind::NotFound, "answers here");
        let halted = world.shown().await.endpoint.rollout.unwrap().halted.unwrap();
        assert!(halted.1.contains("failed"));
        let promote = PromoteChallenger { room: world.room.clone(), name: ENDPOINT.to_owned(), seen: None };
        refused(world.call(promote).await, Kind::Conflict, "halted");
        let counted = |shown: Ready| {
            let comparison = shown.challenger.unwrap().comparison;
            (comparison.champion.requests, comparison.challenger.errors)
        };
        let before = counted(world.shown().await);
        world.gate.clock.advance_secs(2);
        assert_eq!(world.said().await, 1.0);
        assert_eq!(counted(world.shown().await), before, "what led to the halt stays, and nothing is added");
        assert!(before.1 > 0);
        // A process that starts later knows it from the row alone.
        world.room.forget(&world.shown().await.endpoint.id);
        assert_eq!(world.said().await, 1.0);
        assert_eq!(world.shown().await.challenger.unwrap().comparison.challenger.requests, 0);
    });
}

#[test]
fn what_cannot_be_loaded_changes_nothing() {
    on_both_engines(ServingConfig::default(), |world| async move {
        let (first, broken) = (world.admitted(1).await, world.admitted_as(2, "tree\nversion=v4\n").await);
        world.endpoint(&first.to_string()).await.unwrap();
        refused(world.rollout(broken, Mode::Canary, 10).await, Kind::Conflict, "cannot be served");
        let update = UpdateEndpoint { room: world.room.clone(), name: ENDPOINT.to_owned(), choice: broken.to_string() };
        refused(world.call(update).await, Kind::Conflict, "cannot be served");
        assert_eq!(world.said().await, 1.0);
        refused(
            world.call(Rollback { room: world.room.clone(), name: ENDPOINT.to_owned(), seen: None }).await,
            Kind::Conflict,
            "before",
        );
    });
}

#[test]
fn models_beyond_the_memory_are_refused_and_others_go() {
    let config = ServingConfig { models_bytes_max: 300, ..ServingConfig::default() };
    on_both_engines(config, |world| async move {
        let (first, second) = (world.admitted(1).await, world.admitted(2).await);
        world.endpoint(&first.to_string()).await.unwrap();
        assert_eq!(world.said().await, 1.0);
        refused(world.rollout(second, Mode::Canary, 10).await, Kind::Conflict, "models_bytes_max");
        world.endpoint_named("other", &second.to_string()).await.unwrap();
        let ask = |name: &str| {
            let batch = Batch::matrix(1, 1, Values::F64(vec![0.0])).unwrap();
            world.call(Predict {
                room: world.room.clone(),
                endpoint: name.to_owned(),
                version: None,
                routing_key: None,
                batch,
                subject: None,
            })
        };
        ask("other").await.unwrap();
        ask(ENDPOINT).await.unwrap();
        let held: Vec<usize> = world.room.0.slots.lock().values().map(|slot| slot.models().len()).collect();
        assert_eq!(held, [1], "the other's model made room");
    });
}
