//! Ways up in what the tables say, on both engines.

use super::House;
use crate::types::PrincipalKind;
use crate::{FindPaths, On};

const ROWS: [&str; 3] = [
    "INSERT INTO principal (id, kind, name, disabled, owner, created_at) VALUES ('eve', 'user', 'eve', 0, '', 0)",
    "INSERT INTO endpoint (endpoint_id, workspace, name, model_id, choice, created_at, created_by, changed_at, changed_by)
     VALUES ('e1', 'ws', 'live', 'm1', '1', 0, '', 0, '')",
    "INSERT INTO endpoint_rollout (endpoint_id, rollout_id, choice, mode, share_permille, errors_permille, began_at, began_by)
     VALUES ('e1', 'r1', '2', 'canary', 500, 10, 0, '')",
];

impl House {
    async fn sql(&self, row: &'static str) {
        let write = self.opened.system.write(move |tx| {
            tx.execute(row, &[])?;
            Ok(())
        });
        write.await.unwrap();
    }

    /// How each way goes that an auditor is told of, and what the last step of it rests on.
    async fn ways(&self) -> Vec<(Vec<&'static str>, String)> {
        let found = self.call("audra", FindPaths { room: self.policy.clone(), days: 90 }).await.unwrap();
        let told = |path: crate::EscalationPath| {
            let last = path.steps.last().and_then(|step| step.evidence.last()).cloned().unwrap_or_default();
            (path.steps.iter().map(|step| step.how).collect::<Vec<_>>(), last)
        };
        found.paths.into_iter().map(told).collect()
    }
}

#[tokio::test]
async fn a_canary_that_follows_an_alias_is_a_way_for_who_makes_versions_and_moves_it() {
    for house in House::on_both_engines().await {
        for id in ["audra", "eve"] {
            house.people.add(id, PrincipalKind::User, &[], None);
        }
        house.give("bootstrap", "audra", "auditor", On::Server).await.unwrap();
        for role in ["contributor", "reviewer"] {
            house.give("bootstrap", "eve", role, On::Workspace).await.unwrap();
        }
        for row in ROWS {
            house.sql(row).await;
        }
        assert_eq!(house.ways().await, Vec::new(), "versions by their numbers");
        house.sql("UPDATE endpoint_rollout SET choice = '@next'").await;
        let way = (vec!["alias_that_an_endpoint_follows"], "endpoint live answers with @next".to_owned());
        assert_eq!(house.ways().await, [way]);
        house.sql("UPDATE endpoint_rollout SET mode = 'shadow'").await;
        assert_eq!(house.ways().await, Vec::new(), "nobody hears a shadow");
        house.sql("UPDATE endpoint_rollout SET mode = 'canary', halted_at = 1, halted_why = 'it failed'").await;
        assert_eq!(house.ways().await, Vec::new(), "it ended by itself");
    }
}
