//! How a version is let in, and by whom not.

use data::{Verdict, Which};
use gate::DataState;
use inspection::{FindingKind, catalogue};
use kernel::{Kind, Micros};

use super::support::*;
use crate::AdmissionConfig;
use crate::ops::{Admit, Ended, ListStandings, QueueInspection, Refuse, Waive};

impl World {
    fn waive(&self, days: i64) -> Waive {
        let until = Micros(kernel::Clock::now(&self.gate.clock).0 + days * 86_400_000_000);
        Waive { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned(), reason: "seen".to_owned(), until }
    }

    fn admit(&self) -> Admit {
        Admit { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned(), reason: "fine".to_owned() }
    }

    fn refuse(&self) -> Refuse {
        Refuse { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned(), reason: "no".to_owned() }
    }

    async fn inspected_with(&self, finds: &[&'static FindingKind]) -> Ended {
        *self.worker.finds.lock() = finds.to_vec();
        self.registered().await;
        self.inspected().await
    }
}

#[test]
fn a_waiver_needs_another_hand_an_end_and_findings_that_can_be_waived() {
    on_both_engines(|world| async move {
        let ended = world.inspected_with(&[&catalogue::FILE_UNKNOWN]).await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Waiver, state: DataState::Quarantined });
        refused(world.call(world.waive(30)).await, Kind::Forbidden, "ask another reviewer");
        refused(world.call_as("reviewer", world.waive(0)).await, Kind::Invalid, "ends in the future");
        refused(world.call_as("reviewer", world.waive(400)).await, Kind::Invalid, "at most 366 days");
        refused(world.call_as("reviewer", world.admit()).await, Kind::Conflict, "waive them instead");
        let decided = world.call_as("reviewer", world.waive(30)).await.unwrap();
        assert_eq!(decided.state, DataState::Admitted);
        refused(world.call_as("reviewer", world.waive(30)).await, Kind::Conflict, "admitted already");
        let ends_before = |days: i64| {
            let which = Which::WaivedUntil(Micros(kernel::Clock::now(&world.gate.clock).0 + days * 86_400_000_000));
            ListStandings { room: world.room.clone(), name: None, part: None, which, after: None, rows: Some(2) }
        };
        assert!(world.call(ends_before(29)).await.unwrap().rows.is_empty());
        let found = world.call(ends_before(31)).await.unwrap();
        assert_eq!(found.rows.iter().map(|row| row.waiver_until).collect::<Vec<_>>(), [decided.waiver_until]);
    });
}

#[test]
fn what_is_refused_by_the_policy_cannot_be_waived() {
    on_both_engines(|world| async move {
        let ended = world.inspected_with(&[&catalogue::FILE_BLOCKED]).await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Refuse, state: DataState::Refused });
        refused(world.call_as("reviewer", world.waive(30)).await, Kind::Conflict, "cannot be waived");
    });
}

#[test]
fn without_automatic_admission_a_reviewer_admits() {
    let careful = AdmissionConfig { admit_automatically: false, promotion_wait_seconds: 0, ..AdmissionConfig::default() };
    on_both_engines_with(careful, |world| async move {
        let ended = world.inspected_with(&[]).await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Pass, state: DataState::Quarantined });
        refused(world.call(world.admit()).await, Kind::Forbidden, "ask another reviewer");
        world.call_as("reviewer", world.admit()).await.unwrap();
        world.alias(1).await.unwrap();
        // It stays admitted as long as its files are those that the reviewer saw.
        let again = || QueueInspection { room: world.room.clone(), name: MODEL.to_owned(), version: "1".to_owned() };
        world.call(again()).await.unwrap();
        assert_eq!(world.inspected().await, Ended::Judged { verdict: Verdict::Pass, state: DataState::Admitted });
        world.put("model/model.skops", b"0123456780").await;
        world.call(again()).await.unwrap();
        assert_eq!(world.inspected().await, Ended::Judged { verdict: Verdict::Pass, state: DataState::Quarantined });
    });
}

#[test]
fn a_persons_refusal_stands_against_later_inspections() {
    on_both_engines(|world| async move {
        world.inspected_with(&[]).await;
        world.call(world.refuse()).await.unwrap();
        refused(world.alias(1).await, Kind::Conflict, "was refused: no");
        let again = QueueInspection { room: world.room.clone(), name: MODEL.to_owned(), version: "1".to_owned() };
        world.call(again).await.unwrap();
        let ended = world.inspected().await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Pass, state: DataState::Refused });
        world.call_as("reviewer", world.admit()).await.unwrap();
        world.alias(1).await.unwrap();
    });
}

#[test]
fn what_a_person_refused_is_not_admitted_by_being_registered_again() {
    on_both_engines(|world| async move {
        world.inspected_with(&[]).await;
        world.call(world.refuse()).await.unwrap();
        let quarantined = Ended::Judged { verdict: Verdict::Pass, state: DataState::Quarantined };
        let admitted = Ended::Judged { verdict: Verdict::Pass, state: DataState::Admitted };
        let again = world.register("runs:/run1/model").await;
        assert_eq!(world.inspected().await, quarantined);
        refused(world.alias(again).await, Kind::Conflict, "the same files were refused before (no)");
        refused(world.alias(again).await, Kind::Conflict, "`strongroom model admit`");
        // The last word on these files counts.
        world.call_as("reviewer", Admit { version: again.to_string(), ..world.admit() }).await.unwrap();
        world.alias(again).await.unwrap();
        world.register("runs:/run1/model").await;
        assert_eq!(world.inspected().await, admitted);
        world.call(world.refuse()).await.unwrap();
        world.register("runs:/run1/model").await;
        assert_eq!(world.inspected().await, quarantined);
        // Other files are another matter.
        world.put("model/model.skops", b"0123456780").await;
        world.register("runs:/run1/model").await;
        assert_eq!(world.inspected().await, admitted);
    });
}
