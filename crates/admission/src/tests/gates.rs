//! Gate files: kept with their history, handed to the worker with the data that they name, and in the way of promotion.

use gate::{DataState, Operation};
use inspection::catalogue;
use kernel::{Kind, Problem};

use super::support::*;
use crate::ops::{GateShown, QueueInspection, SetGate, ShowGate};

const GATE: &str = "version: 1\ndata: [d@1]\nrules: [{metric: accuracy, max_worse: 0.01}]\n";
const WITH_ATTACKS: &str = "version: 1\ndata: [e@1]\nlabel: y\nmcnemar: {}\nattacks: {triggers_of: [nowhere@3]}\n";

impl World {
    async fn set_gate(&self, text: Option<&str>) -> Result<i64, Problem> {
        let (name, text) = (MODEL.to_owned(), text.map(str::to_owned));
        let set = SetGate { room: self.room.clone(), name, text, reason: "agreed with the owner".to_owned() };
        self.call(set).await.map(|gate| gate.revision)
    }

    async fn gate_of(&self, revision: Option<i64>) -> Result<GateShown, Problem> {
        self.call(ShowGate { room: self.room.clone(), name: MODEL.to_owned(), revision }).await
    }

    async fn again(&self, version: i64) {
        let queue = QueueInspection { room: self.room.clone(), name: MODEL.to_owned(), version: version.to_string() };
        self.call(queue).await.unwrap();
        self.inspected().await;
    }
}

#[test]
fn every_revision_is_kept_and_what_cannot_be_read_is_none() {
    on_both_engines(|world| async move {
        refused(world.gate_of(None).await, Kind::NotFound, "gate set");
        refused(world.set_gate(Some("version: 1\n")).await, Kind::Invalid, "every candidate would pass");
        refused(world.set_gate(Some("version: 1\ncolour: blue\n")).await, Kind::Invalid, "colour");
        assert_eq!(world.set_gate(Some(GATE)).await.unwrap(), 1);
        assert_eq!(world.set_gate(Some(WITH_ATTACKS)).await.unwrap(), 2);
        assert_eq!(world.set_gate(None).await.unwrap(), 3);
        assert_eq!(world.gate_of(Some(1)).await.unwrap().gate.text.as_deref(), Some(GATE));
        let shown = world.gate_of(None).await.unwrap();
        let revisions: Vec<i64> = shown.history.iter().map(|gate| gate.revision).collect();
        assert_eq!((shown.gate.text, revisions), (None, vec![3, 2, 1]));
        let records = world.gate.records.lock().join("\n");
        assert!(records.contains(SetGate::ACTION.name) && !records.contains("max_worse"), "{records}");
    });
}

#[test]
fn the_worker_gets_the_gate_file_with_admitted_data_and_the_champion() {
    on_both_engines(|world| async move {
        world.set_gate(Some(GATE)).await.unwrap();
        world.registered().await;
        world.inspected().await;
        let job = world.worker.jobs.lock().pop().unwrap();
        let trial = job.trial.unwrap();
        assert_eq!((trial.gate_yaml.as_str(), trial.revision, trial.champion), (GATE, 1, None));
        assert!(trial.held_back.is_empty() && trial.missing[0].contains("there is no data version `d@1`"), "{:?}", trial.missing);

        world.data_version("quarantined").await;
        world.again(1).await;
        let trial = world.worker.jobs.lock().pop().unwrap().trial.unwrap();
        assert!(trial.held_back.is_empty() && trial.missing[0].contains("quarantined"), "{:?}", trial.missing);

        world.sql("UPDATE data_version SET state = 'admitted' WHERE version_id = $1", "v1").await;
        world.alias(1).await.unwrap();
        world.put("model/model.skops", b"another one").await;
        let second = world.register("runs:/run1/model").await;
        world.inspected().await;
        let job = world.worker.jobs.lock().pop().unwrap();
        let trial = job.trial.unwrap();
        assert_eq!((trial.held_back[0].name.as_str(), trial.missing.len()), ("d@1", 0));
        let champion = trial.champion.unwrap();
        assert_eq!((champion.version.as_str(), job.others[champion.place].files.len()), ("1", 2));
        assert_eq!(world.shown(second).await.standing.gate_revision, Some(1));
        let records = world.gate.records.lock().join("\n");
        assert!(records.contains("data_versions") && records.contains("v1"), "{records}");
        // One that may be gone back to is not held to what came after it.
        world.alias(second).await.unwrap();
        world.again(1).await;
        assert_eq!(world.worker.jobs.lock().pop().unwrap().trial.unwrap().champion, None);
    });
}

#[test]
fn what_it_was_trained_on_is_looked_into_whatever_its_state() {
    on_both_engines(|world| async move {
        world.data_version("refused").await;
        world.run_used().await;
        world.set_gate(Some(WITH_ATTACKS)).await.unwrap();
        world.registered().await;
        world.inspected().await;
        let trial = world.worker.jobs.lock().pop().unwrap().trial.unwrap();
        let training: Vec<(&str, bool)> = trial.training.iter().map(|one| (one.table.name.as_str(), one.trained)).collect();
        assert_eq!(training, [("d@1", true)]);
        assert!(trial.missing.iter().any(|missing| missing.contains("`nowhere@3`")), "{:?}", trial.missing);
    });
}

#[test]
fn a_version_that_another_gate_judged_is_not_promoted_but_going_back_is_possible() {
    on_both_engines(|world| async move {
        let first = world.registered().await;
        world.inspected().await;
        world.alias(first).await.unwrap();
        let second = world.register("runs:/run1/model").await;
        world.inspected().await;
        world.set_gate(Some(GATE)).await.unwrap();
        refused(world.alias(second).await, Kind::Conflict, "was not judged by revision 1");
        // Who serves now, and what served before, may be pointed at as ever.
        world.alias(first).await.unwrap();
        world.again(second).await;
        world.alias(second).await.unwrap();
        world.set_gate(Some(WITH_ATTACKS)).await.unwrap();
        world.alias(first).await.unwrap();
        refused(world.alias(second).await, Kind::Conflict, "was not judged by revision 2");
        world.set_gate(None).await.unwrap();
        world.alias(second).await.unwrap();
    });
}

#[test]
fn a_finding_of_a_gate_refuses_the_version_at_promotion() {
    on_both_engines(|world| async move {
        world.set_gate(Some(GATE)).await.unwrap();
        *world.worker.finds.lock() = vec![&catalogue::GATE_SLICE];
        let version = world.registered().await;
        world.inspected().await;
        assert_eq!(world.shown(version).await.standing.state, DataState::Refused);
        refused(world.alias(version).await, Kind::Conflict, "was refused");
        assert!(world.findings().await.contains(&catalogue::GATE_SLICE.id.to_owned()));
    });
}
