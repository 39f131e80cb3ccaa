//! Whatever breaks off leaves a version open or quarantined, never admitted.

use std::fs;
use std::path::Path;
use std::sync::atomic::Ordering;

use bytes::Bytes;
use futures_util::stream;
use gate::DataState;
use kernel::{Kind, Problem};

use super::support::*;
use crate::ops::*;
use crate::{InspectionState, limits};

#[test]
fn a_body_that_breaks_off_leaves_nothing() {
    on_both_engines(|world| async move {
        let id = world.opened_version("d").await.unwrap();
        let broken = PutFile {
            body: Box::pin(stream::iter([Ok(Bytes::from_static(b"half")), Err(Problem::invalid("the body broke off"))])),
            size_hint_bytes: None,
            ..world.put("d", &id, "a.csv", b"")
        };
        assert_eq!(kind(world.call(broken).await), Kind::Invalid);
        let short = PutFile { size_hint_bytes: Some(9), ..world.put("d", &id, "a.csv", b"four") };
        assert_eq!(kind(world.call(short).await), Kind::Invalid);
        assert_eq!(kind(world.call(world.commit("d", &id, told())).await), Kind::Conflict, "it has no files");
        assert_eq!(object_count(&world).await, 0);
    });
}

#[test]
fn what_is_never_committed_is_swept() {
    on_both_engines(|world| async move {
        let id = world.opened_version("d").await.unwrap();
        world.call(world.put("d", &id, "a.csv", b"1")).await.unwrap();
        world.committed("d", &[("a.csv", b"2")], told()).await;
        let sweep = || world.call_as("retention", SweepData { room: world.room.clone() });
        assert_eq!(sweep().await.unwrap().expired_count, 0);
        world.gate.clock.advance_secs(i64::try_from(limits::OPEN_AGE_MAX.as_secs()).unwrap());
        assert_eq!(sweep().await.unwrap().expired_count, 1);
        assert_eq!(kind(world.call(world.commit("d", &id, told())).await), Kind::NotFound);
        assert_eq!(world.state("d", "1").await, DataState::Quarantined);
        assert_eq!(object_count(&world).await, 1);
    });
}

#[test]
fn a_failed_inspection_leaves_the_version_in_quarantine() {
    on_both_engines(|world| async move {
        world.worker.dies.store(true, Ordering::SeqCst);
        world.committed("d", &[("a.csv", b"1")], told()).await;
        assert!(matches!(world.inspected().await, Ended::Failed { .. }));
        let shown = world.shown("d", "1").await;
        assert_eq!(shown.version.state, DataState::Quarantined);
        let inspection = shown.inspection.unwrap();
        assert_eq!(inspection.state, InspectionState::Failed);
        assert!(inspection.fault.unwrap().contains("killed by a test"));
        let recorded = world.gate.recorded();
        assert!(recorded.iter().any(|line| line.starts_with("sealed inspections.run failed")), "{recorded:?}");
    });
}

#[test]
fn what_a_dead_process_left_behind_is_taken_up_again_and_given_up_in_the_end() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", b"1")], told()).await;
        // Processes that begin it and then are gone.
        for attempt in 1..=limits::ATTEMPT_COUNT_MAX {
            let begin = BeginInspection { room: world.room.clone(), runner: format!("process {attempt}") };
            let begun = world.call_as(crate::INSPECTOR, begin).await.unwrap().unwrap();
            assert_eq!((begun.attempt_count, begun.state), (attempt, InspectionState::Running));
            assert_eq!(world.state("d", "1").await, DataState::Inspecting);
        }
        assert_eq!(world.runner().step().await.unwrap(), None);
        let shown = world.shown("d", "1").await;
        assert_eq!(shown.version.state, DataState::Quarantined);
        assert_eq!(shown.inspection.unwrap().state, InspectionState::Failed);
        let again = QueueInspection { room: world.room.clone(), dataset: "d".to_owned(), version: "1".to_owned() };
        world.call(again).await.unwrap();
        assert!(matches!(world.inspected().await, Ended::Judged { .. }));
    });
}

#[test]
fn a_report_of_a_process_that_lost_its_inspection_counts_for_nothing() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", b"1")], told()).await;
        let begin = |runner: &str| BeginInspection { room: world.room.clone(), runner: runner.to_owned() };
        let old = world.call_as(crate::INSPECTOR, begin("old")).await.unwrap().unwrap();
        world.call_as(crate::INSPECTOR, begin("new")).await.unwrap().unwrap();
        let late = RunInspection {
            room: world.room.clone(),
            dataset: "d".to_owned(),
            inspection: old,
            runner: "old".to_owned(),
            inspector: std::sync::Arc::clone(&world.worker) as _,
            watch: crate::runner::Watch::new(),
        };
        assert_eq!(world.call_as(crate::INSPECTOR, late).await.unwrap(), Ended::Stopped);
        let shown = world.shown("d", "1").await;
        assert_eq!(shown.version.state, DataState::Inspecting, "the new one is at work");
        assert_eq!(shown.inspection.unwrap().state, InspectionState::Running);
        assert_eq!(object_count(&world).await, 1, "its documents are gone");
    });
}

#[test]
fn a_running_inspection_is_stopped() {
    on_both_engines(|world| async move {
        world.worker.hangs.store(true, Ordering::SeqCst);
        world.committed("d", &[("a.csv", b"1")], told()).await;
        let runner = world.runner();
        let running = tokio::spawn(async move { runner.step().await });
        let cancel = || CancelInspection { room: world.room.clone(), dataset: "d".to_owned(), version: "1".to_owned() };
        while world.worker.jobs.lock().is_empty() {
            tokio::task::yield_now().await;
        }
        world.call(cancel()).await.unwrap();
        assert_eq!(running.await.unwrap().unwrap(), Some(Ended::Stopped));
        let shown = world.shown("d", "1").await;
        assert_eq!(shown.version.state, DataState::Quarantined);
        assert_eq!(shown.inspection.unwrap().state, InspectionState::Cancelled);
        assert_eq!(kind(world.call(cancel()).await), Kind::Conflict);
    });
}

/// Objects that are kept, as files or in the database.
async fn object_count(world: &World) -> usize {
    fn files(folder: &Path) -> usize {
        let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        entries.map(|path| if path.is_dir() { files(&path) } else { 1 }).sum()
    }
    let small = |reader: &mut vault::db::Reader<'_>| Ok(reader.query("SELECT 1 FROM small_object", &[], |row| row.int(0))?.len());
    files(&world.folder.path().join("objects")) + world.room.0.system.read(small).await.unwrap()
}
