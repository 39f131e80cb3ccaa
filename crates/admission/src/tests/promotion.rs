//! What the registry lets through.

use std::sync::atomic::Ordering;

use gate::DataState;
use inspection::catalogue;
use kernel::{Kind, Micros};

use super::support::*;
use crate::AdmissionConfig;
use crate::ops::{Ended, QueueInspection, Waive};

fn impatient() -> AdmissionConfig {
    AdmissionConfig { promotion_wait_seconds: 0, ..AdmissionConfig::default() }
}

#[test]
fn a_version_is_promoted_once_it_is_admitted() {
    on_both_engines_with(impatient(), |world| async move {
        let version = world.registered().await;
        refused(world.alias(version).await, Kind::Conflict, "its inspection is under way");
        refused(world.stage(version, "Production").await, Kind::Conflict, "quarantine");
        refused(world.fetch(version).await, Kind::Unavailable, "still being inspected");
        world.stage(version, "Archived").await.unwrap();
        world.inspected().await;
        world.alias(version).await.unwrap();
        world.stage(version, "Production").await.unwrap();
        let shown = world.shown(version).await;
        assert_eq!((shown.standing.state, shown.obstacle), (DataState::Admitted, None));
        assert_eq!(
            world.status(version).await,
            ("READY".to_owned(), "admitted: nothing that the policy objects to was found".to_owned())
        );
    });
}

#[test]
fn a_promotion_waits_for_the_inspection_that_is_on_its_way() {
    on_both_engines(|world| async move {
        let version = world.registered().await;
        let runner = world.runner();
        let (promoted, ended) = tokio::join!(world.alias(version), runner.step());
        assert!(ended.unwrap().is_some());
        promoted.unwrap();
    });
}

#[test]
fn files_that_changed_since_the_inspection_are_not_promoted() {
    on_both_engines(|world| async move {
        let version = world.registered().await;
        world.inspected().await;
        for change in ["changed", "added", "removed"] {
            match change {
                "changed" => world.put("model/model.skops", b"9876543210").await,
                "added" => world.put("model/more.pkl", b"x").await,
                _ => world.delete("model/MLmodel").await,
            }
            refused(world.alias(version).await, Kind::Conflict, "not those that were inspected");
            refused(world.fetch(version).await, Kind::Forbidden, "not those that were inspected");
            let room = world.room.clone();
            world.call(QueueInspection { room, name: MODEL.to_owned(), version: version.to_string() }).await.unwrap();
            world.inspected().await;
            world.alias(version).await.unwrap();
            world.fetch(version).await.unwrap();
        }
        // What lies beside the model is not the model's.
        world.put("modelx", b"x").await;
        world.put("other/model", b"x").await;
        world.alias(version).await.unwrap();
    });
}

#[test]
fn what_is_refused_is_neither_promoted_nor_fetched() {
    on_both_engines(|world| async move {
        *world.worker.finds.lock() = vec![&catalogue::FILE_BLOCKED];
        let version = world.registered().await;
        world.inspected().await;
        refused(world.alias(version).await, Kind::Conflict, "was refused");
        refused(world.stage(version, "Staging").await, Kind::Conflict, "was refused");
        refused(world.fetch(version).await, Kind::Forbidden, "may do harm");
        assert_eq!(world.status(version).await.0, "FAILED_REGISTRATION");
    });
}

#[test]
fn files_elsewhere_carry_labels_where_the_configuration_lets_them() {
    on_both_engines(|world| async move {
        let version = world.register("s3://bucket/model").await;
        world.alias(version).await.unwrap();
        assert!(world.runner().step().await.unwrap().is_none(), "there is nothing to inspect");
        let empty = world.register("runs:/run1/later").await;
        world.alias(empty).await.unwrap();
        world.fetch(empty).await.unwrap();
        world.put("later/model.pkl", b"x").await;
        refused(world.alias(empty).await, Kind::Conflict, "quarantine");
        refused(world.fetch(empty).await, Kind::Forbidden, "never inspected");
        // An inspection that leaves no report changes nothing: the version carries an alias.
        world.worker.dies.store(true, Ordering::SeqCst);
        let room = world.room.clone();
        world.call(QueueInspection { room, name: MODEL.to_owned(), version: empty.to_string() }).await.unwrap();
        assert!(matches!(world.inspected().await, Ended::Failed { .. }));
        refused(world.fetch(empty).await, Kind::Forbidden, "never inspected");
    });
    let strict = AdmissionConfig { promote_unresolved: false, ..impatient() };
    on_both_engines_with(strict, |world| async move {
        let version = world.register("s3://bucket/model").await;
        refused(world.alias(version).await, Kind::Conflict, "no files on this server");
    });
}

#[test]
fn a_waiver_that_has_ended_lets_nothing_through() {
    on_both_engines(|world| async move {
        *world.worker.finds.lock() = vec![&catalogue::FILE_UNKNOWN];
        let version = world.registered().await;
        world.inspected().await;
        refused(world.alias(version).await, Kind::Conflict, "a reviewer must waive findings");
        let until = Micros(kernel::Clock::now(&world.gate.clock).0 + 86_400_000_000);
        let (room, name, reason) = (world.room.clone(), MODEL.to_owned(), "read line by line".to_owned());
        world.call_as("reviewer", Waive { room, name, version: version.to_string(), reason, until }).await.unwrap();
        world.alias(version).await.unwrap();
        assert_eq!(world.shown(version).await.standing.state, DataState::Admitted);
        let (_, message) = world.status(version).await;
        assert_eq!(message, format!("admitted until {}: read line by line", until.rfc3339_seconds()));
        world.gate.clock.advance_secs(86_401);
        assert_eq!(world.shown(version).await.standing.state, DataState::Quarantined);
        refused(world.alias(version).await, Kind::Conflict, "its waiver has ended");
    });
}
