//! What is kept of an endpoint's predictions.

use gate::Target;
use lineage::Trust;
use lineage::record::{Scene, data_read};
use testkit::gate::TEST_WORKSPACE;
use vault::db::Bind;

use super::support::*;
use crate::ops::GetPolicy;
use crate::{LogPolicy, PredictionsConfig};

impl World {
    async fn kept(&self) -> (LogPolicy, bool) {
        let policy = self.call(GetPolicy { room: self.room.clone(), endpoint: ENDPOINT.to_owned() }).await.unwrap();
        (policy.log, policy.set_by.is_some())
    }

    /// The run behind the model is seen to read a version of a data set, about people or not.
    async fn trained_on(&self, dataset: &'static str, personal: bool) {
        self.read(dataset, personal, Trust::Observed).await;
    }

    /// The same, by this word.
    async fn read(&self, dataset: &'static str, personal: bool, trust: Trust) {
        let write = move |writer: &mut vault::db::Writer<'_>| {
            writer.execute(
                "INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by) VALUES ($1, $2, $1, 1, 0, 'x')",
                &[dataset.into(), TEST_WORKSPACE.into()],
            )?;
            writer.execute(
                "INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, file_count, size_bytes,
                    roles, is_personal, is_special, is_health, is_financial)
                 VALUES ($1, $1, $2, 1, 'admitted', 'x', 0, 0, 0, '{}', $3, 0, 0, 0)",
                &[dataset.into(), TEST_WORKSPACE.into(), Bind::from(personal)],
            )?;
            Ok(())
        };
        self.system().write(write).await.unwrap();
        let db = self.db();
        let read = self.gate.permit_for(Target::Workspace, move |permit| async move {
            let scene = Scene::of(&permit)?;
            let write = move |writer: &mut vault::db::Writer<'_>| {
                data_read(writer, &scene, dataset, 1, Some(("run1", trust)), "training")?;
                Ok(((), gate::Outcome::done()))
            };
            db.write(&permit, write).await
        });
        read.await.unwrap();
    }
}

#[test]
fn hashes_are_kept_until_the_data_is_known_to_be_about_nobody() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        assert_eq!(world.kept().await, (LogPolicy::Hashes, false), "nothing is known of the data");
        let id = world.asked(1.0, None).await;
        world.trained_on("plants", false).await;
        assert_eq!(world.kept().await, (LogPolicy::Values, false));
        // What is remembered holds for some seconds.
        world.gate.clock.advance_secs(10);
        let known = world.asked(1.0, None).await;
        world.trained_on("customers", true).await;
        assert_eq!(world.kept().await, (LogPolicy::Hashes, false), "one of the data sets is about people");
        world.seal().await;
        assert!(world.show(&id).await.unwrap().spoken.is_none() && world.show(&known).await.unwrap().spoken.is_some());
    });
}

#[test]
fn what_somebody_said_holds_at_once_until_it_is_taken_back() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.asked(1.0, None).await;
        for log in [LogPolicy::Values, LogPolicy::Off, LogPolicy::Hashes] {
            world.keep(Some(log)).await;
            assert_eq!(world.kept().await, (log, true));
            let id = world.asked(1.0, None).await;
            world.seal().await;
            match log {
                LogPolicy::Off => assert!(world.find(&id).await.is_err()),
                log => assert_eq!(world.find(&id).await.unwrap().record.log, log.word()),
            }
            assert!(world.gate.recorded().iter().any(|record| record.contains(&id)), "the audit log names it whatever is kept");
        }
        world.keep(None).await;
        assert_eq!(world.kept().await, (LogPolicy::Hashes, false));
    });
}

#[test]
fn a_claim_relaxes_nothing() {
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.read("plants", false, Trust::Claimed).await;
        assert_eq!(world.kept().await, (LogPolicy::Hashes, false), "a client only says that the run read it");
        world.read("stones", false, Trust::Observed).await;
        assert_eq!(world.kept().await, (LogPolicy::Hashes, false), "what was only claimed beside it is not known");
    });
    on_both_engines(PredictionsConfig::default(), |world| async move {
        world.trained_on("plants", false).await;
        assert_eq!(world.kept().await, (LogPolicy::Values, false));
        // Whoever only says that this run made the model says nothing of its data.
        world.sql("UPDATE lineage_edge SET trust = $1 WHERE relation = 'generated'", &["claimed"]).await;
        assert_eq!(world.kept().await, (LogPolicy::Hashes, false));
    });
}
