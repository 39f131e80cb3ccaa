//! New data may be the cause of what goes wrong with a model that stands on it, and with no other.

use gate::{Outcome, Target};
use kernel::Clock;
use lineage::Trust;
use lineage::record::{Scene, VersionSource, data_read, version_registered};
use testkit::gate::TEST_WORKSPACE;
use testkit::on_both_engines;

use super::alerts::drifted;
use super::support::World;
use crate::Act;

impl World {
    /// Version 1 of a data set is committed at this moment.
    async fn committed(&self, dataset: &'static str) {
        let at = self.gate.clock.now().0;
        let write = move |writer: &mut vault::db::Writer<'_>| {
            writer.execute(
                "INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by) VALUES ($1, $2, $1, 1, 0, 'x')",
                &[dataset.into(), TEST_WORKSPACE.into()],
            )?;
            writer.execute(
                "INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, committed_at, file_count,
                    size_bytes, roles, is_personal, is_special, is_health, is_financial)
                 VALUES ($1, $1, $2, 1, 'admitted', 'x', 0, $3, 0, 0, '{}', 0, 0, 0, 0)",
                &[dataset.into(), TEST_WORKSPACE.into(), at.into()],
            )?;
            Ok(())
        };
        self.opened.system.write(write).await.unwrap();
    }

    /// The run behind version 2 of the model was seen to read it.
    async fn trained_on(&self, dataset: &'static str) {
        let db = self.opened.db.clone();
        let read = self.gate.permit_for(Target::Workspace, move |permit| async move {
            let scene = Scene::of(&permit)?;
            let write = move |writer: &mut vault::db::Writer<'_>| {
                let run = Some(("run1", Trust::Observed));
                version_registered(writer, &scene, "m", 2, &VersionSource { run, ..VersionSource::default() })?;
                data_read(writer, &scene, dataset, 1, run, "training")?;
                Ok(((), Outcome::done()))
            };
            db.write(&permit, write).await
        });
        read.await.unwrap();
    }
}

#[test]
fn only_data_that_the_model_was_trained_on_is_suspected() {
    on_both_engines("observe", async |engine| {
        let world = World::new(engine).await;
        world.committed("own").await;
        world.committed("others").await;
        world.trained_on("own").await;
        drifted(&world).await;
        let alert = world.alerts().await.remove(0);
        let words: Vec<&str> = alert.detail.causes.iter().map(|cause| cause.words.as_str()).collect();
        assert!(words.contains(&"version 1 of the data set `own` was committed"), "{words:?}");
        assert!(!words.iter().any(|words| words.contains("others")), "{words:?}");
        let refused: Vec<Act> = world.found(&alert.id).await.remedies.into_iter().map(|remedy| remedy.act).collect();
        assert!(refused.contains(&Act::RefuseData { dataset: "own".to_owned(), version: "1".to_owned() }), "{refused:?}");
    });
}
