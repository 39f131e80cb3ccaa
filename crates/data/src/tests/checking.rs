//! A contract is checked before it is set: nothing is changed by that, and the one that is written is what is tried.

use inspection::Screen;
use kernel::Kind;

use super::support::*;
use crate::CommitWish;
use crate::ops::{LintContract, ReadContract, SetContract, TryContract};

impl World {
    fn lint(&self, text: &str) -> LintContract {
        LintContract { room: self.room.clone(), dataset: "d".to_owned(), contract: text.to_owned() }
    }

    fn tried(&self, text: &str) -> TryContract {
        TryContract { room: self.room.clone(), dataset: "d".to_owned(), contract: text.to_owned() }
    }
}

#[test]
fn a_contract_is_tried_on_the_newest_version_and_nothing_is_changed() {
    on_both_engines(|world| async move {
        let brought = CommitWish { contract: Some("brought".to_owned()), ..told() };
        world.committed("d", &[("a.csv", b"1")], told()).await;
        world.committed("d", &[("a.csv", b"22"), ("b.csv", b"333")], brought).await;
        let before = world.shown("d", "2").await;
        let found = world.call(world.tried("written: {query: 1}")).await.unwrap();
        assert_eq!((found.number, found.row_count), (2, 7));
        let job = world.worker.jobs.lock().last().cloned().unwrap();
        assert_eq!((job.contract_yaml.as_deref(), job.files.len()), (Some("written: {query: 1}"), 2), "not the one it came with");
        assert!(job.wants(Screen::Validity) && job.wants(Screen::Personal) && !job.wants(Screen::Poisoning));
        assert!(job.limits.wall_seconds_max <= crate::limits::CONTRACT_CHECK_SECONDS_MAX);
        assert_eq!(world.asked.jobs.lock().len(), 1, "SQL rules are run for it too");
        assert_eq!(world.shown("d", "2").await, before);
        let read = ReadContract { room: world.room.clone(), dataset: "d".to_owned() };
        assert_eq!(kind(world.call(read).await), Kind::NotFound, "none is set");
    });
}

#[test]
fn the_one_in_force_goes_along_to_be_compared_with() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", b"1")], told()).await;
        assert_eq!(world.call(world.lint("new")).await.unwrap().tables[0].name, "none before");
        let (room, dataset) = (world.room.clone(), "d".to_owned());
        let set = SetContract { room, dataset, contract: "agreed".to_owned(), reason: "reviewed".to_owned(), seen: None };
        world.call(set).await.unwrap();
        assert_eq!(world.call(world.lint("new")).await.unwrap().tables[0].name, "agreed before");
    });
}

#[test]
fn what_cannot_be_checked_is_refused_before_a_worker_is_asked() {
    on_both_engines(|world| async move {
        assert_eq!(kind(world.call(world.lint("a")).await), Kind::NotFound, "there is no such data set");
        world.opened_version("d").await.unwrap();
        assert_eq!(kind(world.call(world.tried("a")).await), Kind::NotFound, "there is no version to try it on");
        let long = "x".repeat(crate::limits::CONTRACT_BYTES_MAX + 1);
        for text in ["", " \n", long.as_str()] {
            assert_eq!(kind(world.call(world.lint(text)).await), Kind::TooLarge);
            assert_eq!(kind(world.call(world.tried(text)).await), Kind::TooLarge);
        }
        assert!(world.worker.jobs.lock().is_empty());
        world.worker.dies.store(true, std::sync::atomic::Ordering::SeqCst);
        world.committed("d", &[("a.csv", b"1")], told()).await;
        assert!(world.call(world.tried("a")).await.is_err(), "what was not tried is no answer");
    });
}
