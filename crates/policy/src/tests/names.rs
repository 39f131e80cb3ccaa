//! Names for ids: those that the reader may read, on both engines.

use std::collections::{BTreeMap, BTreeSet};

use super::House;
use crate::types::PrincipalKind;
use crate::{NameThings, On, THINGS_NAMED_COUNT_MAX};

/// What the log knows by its id alone. Experiments, runs and their like are in `ws` or in `other`.
const ROWS: [&str; 12] = [
    "INSERT INTO principal (id, kind, name, disabled, owner, created_at) VALUES ('u_1', 'user', 'ada', 0, '', 0)",
    "INSERT INTO principal (id, kind, name, disabled, owner, created_at) VALUES ('nobody', 'user', 'nemo', 0, '', 0)",
    "INSERT INTO workspace (id, name, created_at, created_by) VALUES ('ws', 'churn', 0, ''), ('other', 'fraud', 0, '')",
    "INSERT INTO experiment (experiment_id, workspace_id, name, artifact_location, deleted, owner, created_at, updated_at)
     VALUES (4, 'ws', 'first', '', 0, '', 0, 0), (5, 'other', 'secret', '', 0, '', 0, 0)",
    "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted, metric_seq)
     VALUES ('r4', 4, 'brave-bee', '', '', 'FINISHED', 0, '', 0, 0), ('r5', 5, 'hidden', '', '', 'FINISHED', 0, '', 0, 0)",
    "INSERT INTO logged_model (model_id, experiment_id, name, status, artifact_uri, owner, deleted, created_at, updated_at)
     VALUES ('l4', 4, 'forest', 'READY', '', '', 0, 0, 0)",
    "INSERT INTO registered_model (model_id, workspace_id, name, owner, prompt, next_version, created_at, updated_at)
     VALUES ('m1', 'ws', 'leaver', '', 0, 2, 0, 0), ('m2', 'other', 'thief', '', 0, 2, 0, 0)",
    "INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by)
     VALUES ('d1', 'ws', 'calls', 1, 0, ''), ('d2', 'other', 'cards', 1, 0, '')",
    "INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, file_count, size_bytes, roles,
                               is_personal, is_special, is_health, is_financial)
     VALUES ('v1', 'd1', 'ws', 1, 'admitted', '', 0, 0, 0, '{}', 0, 0, 0, 0)",
    "INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, file_count, size_bytes, roles,
                               is_personal, is_special, is_health, is_financial)
     VALUES ('v2', 'd1', 'ws', NULL, 'open', '', 0, 0, 0, '{}', 0, 0, 0, 0)",
    "INSERT INTO endpoint (endpoint_id, workspace, name, model_id, choice, created_at, created_by, changed_at, changed_by)
     VALUES ('e1', 'ws', 'answers', 'm1', '1', 0, '', 0, '')",
    "INSERT INTO endpoint (endpoint_id, workspace, name, model_id, choice, created_at, created_by, changed_at, changed_by)
     VALUES ('e2', 'other', 'asks', 'm2', '1', 0, '', 0, '')",
];
const IDS: [&str; 20] = [
    "u_1", "nobody", "ws", "other", "4", "5", "r4", "r5", "l4", "m1", "m1/3", "m2", "m2/1", "d1", "d2", "v1", "v2", "e1", "e2",
    "gone",
];

async fn houses() -> Vec<House> {
    let mut all = Vec::new();
    for house in House::on_both_engines().await {
        for id in ["root", "vera", "audra", "nobody"] {
            house.people.add(id, PrincipalKind::User, &[], None);
        }
        house.give("bootstrap", "root", "administrator", On::Server).await.unwrap();
        house.give("bootstrap", "vera", "viewer", On::Workspace).await.unwrap();
        house.give("bootstrap", "audra", "auditor", On::Server).await.unwrap();
        let filled = house.opened.system.write(|tx| {
            for row in ROWS {
                tx.execute(row, &[])?;
            }
            Ok(())
        });
        filled.await.unwrap();
        all.push(house);
    }
    all
}

impl House {
    async fn names(&self, who: &str) -> BTreeMap<String, String> {
        let ids = IDS.map(str::to_owned).into_iter().collect();
        let found = self.call(who, NameThings { room: self.policy.clone(), ids }).await.unwrap();
        found.into_iter().map(|(id, one)| (id, format!("{} {}", one.noun, one.name))).collect()
    }
}

fn told(all: &[(&str, &str)]) -> BTreeMap<String, String> {
    all.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect()
}

#[tokio::test]
async fn a_reader_is_told_the_names_of_what_they_may_read() {
    for house in houses().await {
        let in_ws = [
            ("ws", "workspace churn"),
            ("4", "experiment first"),
            ("r4", "run brave-bee"),
            ("l4", "logged model forest"),
            ("m1", "model leaver"),
            ("m1/3", "model leaver/3"),
            ("d1", "data set calls"),
            ("v1", "data set calls@1"),
            ("v2", "data set calls"),
            ("e1", "endpoint answers"),
        ];
        assert_eq!(house.names("vera").await, told(&in_ws), "of the other workspace and of accounts nothing");
        let audited = house.names("audra").await;
        for (id, name) in [("u_1", "account ada"), ("d2", "data set cards"), ("m2/1", "model thief/1")] {
            assert_eq!(audited.get(id).map(String::as_str), Some(name), "{audited:?}");
        }
        assert!(!audited.contains_key("r4") && !audited.contains_key("4"), "an auditor reads no runs: {audited:?}");
        assert_eq!(house.names("nobody").await, told(&[("nobody", "account nemo")]), "one's own name");
        let administered = house.names("root").await;
        assert_eq!(administered.get("u_1").map(String::as_str), Some("account ada"));
        assert!(!administered.contains_key("r4"), "an administrator reads no data: {administered:?}");
    }
}

#[tokio::test]
async fn where_a_device_is_wanted_names_are_not_told_without_one() {
    for house in houses().await {
        let rule = house.opened.system.write(|tx| {
            tx.execute(
                "INSERT INTO device_rule (workspace_id, data_class, tier, set_by, set_at) VALUES ('ws', '', 2, '', 0)",
                &[],
            )?;
            Ok(())
        });
        rule.await.unwrap();
        let names = house.names("vera").await;
        assert!(!names.contains_key("r4") && !names.contains_key("m1") && !names.contains_key("d1"), "{names:?}");
    }
}

#[tokio::test]
async fn what_is_asked_at_once_is_bounded() {
    let house = House::new().await;
    house.people.add("vera", PrincipalKind::User, &[], None);
    let ask = async |count: usize| {
        let ids: BTreeSet<String> = (0..count).map(|number| format!("x{number}")).collect();
        house.call("vera", NameThings { room: house.policy.clone(), ids }).await
    };
    assert!(ask(THINGS_NAMED_COUNT_MAX).await.unwrap().is_empty());
    assert_eq!(ask(THINGS_NAMED_COUNT_MAX + 1).await.unwrap_err().kind(), kernel::Kind::TooLarge);
    assert!(ask(0).await.unwrap().is_empty());
}
