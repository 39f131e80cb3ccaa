//! How a version is let in, and by whom not.

use gate::{DataState, Target};
use inspection::catalogue;
use kernel::{Kind, Micros};

use super::support::*;
use crate::ops::*;
use crate::{DataConfig, DocumentKind, Verdict, Which, verify_envelope};

impl World {
    fn waive(&self, days: i64) -> Waive {
        use kernel::Clock;
        let until = Micros(self.gate.clock.now().0 + days * 86_400_000_000);
        let (dataset, version) = ("d".to_owned(), "1".to_owned());
        Waive { room: self.room.clone(), dataset, version, reason: "seen and accepted".to_owned(), until }
    }

    fn admit(&self) -> Admit {
        let (dataset, version) = ("d".to_owned(), "1".to_owned());
        Admit { room: self.room.clone(), dataset, version, reason: "fine".to_owned() }
    }

    fn refuse(&self) -> Refuse {
        let (dataset, version) = ("d".to_owned(), "1".to_owned());
        Refuse { room: self.room.clone(), dataset, version, reason: "no".to_owned() }
    }

    pub(super) async fn trusted(&self) {
        let source = NewSource {
            name: "example".to_owned(),
            pattern: "https://data.example/*".to_owned(),
            key: crate::SourceKey::Address,
            data_owner: "example".to_owned(),
            licence: "CC-BY-4.0".to_owned(),
            purposes: Vec::new(),
        };
        self.call(AddSource { room: self.room.clone(), source }).await.unwrap();
    }
}

#[test]
fn a_clean_inspection_admits_and_leaves_a_signed_report() {
    on_both_engines(|world| async move {
        world.trusted().await;
        let committed = world.committed("d", &[("a.csv", b"1"), ("empty", b"")], told()).await;
        let ended = world.inspected().await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Pass, state: DataState::Admitted });
        let shown = world.shown("d", "admitted").await;
        assert_eq!(shown.version.decision.unwrap().by, crate::INSPECTOR);
        assert_eq!((shown.version.row_count, shown.version.source_id.is_some()), (Some(7), true));
        let document = |kind| ReadDocument { room: world.room.clone(), dataset: "d".to_owned(), version: "1".to_owned(), kind };
        let report = world.call(document(DocumentKind::Report)).await.unwrap();
        let (report_sha256, report) = (report.sha256, whole(report.body).await);
        assert_eq!(shown.inspection.unwrap().report_sha256, Some(report_sha256));
        assert_eq!(kernel::sha256(&report), report_sha256);
        let envelope = whole(world.call(document(DocumentKind::Attestation)).await.unwrap().body).await;
        let key = world.call(AttestationKey { room: world.room.clone() }).await.unwrap();
        let statement = verify_envelope(&serde_json::from_slice(&envelope).unwrap(), &key).unwrap();
        let statement: serde_json::Value = serde_json::from_slice(&statement).unwrap();
        assert_eq!(statement["subject"][0]["digest"]["sha256"], kernel::hex(&committed.manifest_sha256));
        assert_eq!(statement["predicate"]["report"]["digest"]["sha256"], kernel::hex(&report_sha256));
        let recorded = world.gate.recorded();
        let verdict = recorded.iter().find(|line| line.starts_with("sealed inspections.run done")).unwrap();
        assert!(verdict.contains(&format!("report_sha256={}", kernel::hex(&report_sha256))), "{verdict}");
        assert!(world.runner().step().await.unwrap().is_none(), "nothing waits any more");
    });
}

#[test]
fn a_waiver_takes_another_person_a_reason_and_an_end() {
    on_both_engines(|world| async move {
        world.trusted().await;
        *world.worker.finds.lock() = vec![&catalogue::LABEL_FLIPS];
        world.committed("d", &[("a.csv", b"1")], told()).await;
        assert_eq!(kind(world.call_as("reviewer", world.waive(7)).await), Kind::Conflict, "there is no report yet");
        let ended = world.inspected().await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Waiver, state: DataState::Quarantined });
        assert_eq!(kind(world.call(world.waive(7)).await), Kind::Forbidden, "who committed it");
        assert_eq!(kind(world.call_as("reviewer", world.waive(0)).await), Kind::Invalid);
        assert_eq!(kind(world.call_as("reviewer", world.waive(400)).await), Kind::Invalid);
        let unexplained = Waive { reason: " ".to_owned(), ..world.waive(7) };
        assert_eq!(kind(world.call_as("reviewer", unexplained).await), Kind::Invalid);
        assert_eq!(kind(world.call_as("reviewer", world.admit()).await), Kind::Conflict, "it must be waived, not admitted");
        world.call_as("reviewer", world.waive(7)).await.unwrap();
        let waived_until = |days: i64| {
            let which = Which::WaivedUntil(Micros(kernel::Clock::now(&world.gate.clock).0 + days * 86_400_000_000));
            SearchDatasets { room: world.room.clone(), which, after: None, rows: None }
        };
        assert!(world.call(waived_until(6)).await.unwrap().rows.is_empty());
        let found = world.call(waived_until(8)).await.unwrap().rows;
        assert_eq!((found.len(), found[0].waiver_until), (1, world.shown("d", "1").await.version.waiver_until));
        assert!(found[0].waiver_until.is_some());
        let shown = world.shown("d", "1").await.version;
        assert_eq!((shown.state, shown.decision.unwrap().by.as_str()), (DataState::Admitted, "reviewer"));
        world.gate.clock.advance_secs(8 * 86_400);
        assert_eq!(world.state("d", "1").await, DataState::Quarantined, "the waiver ended by itself");
        let swept = world.call_as("retention", SweepData { room: world.room.clone() }).await.unwrap();
        assert_eq!(swept.ended_waiver_count, 1);
        world.call_as("reviewer", world.waive(7)).await.unwrap();
        assert_eq!(world.state("d", "1").await, DataState::Admitted);
        let again = QueueInspection { room: world.room.clone(), dataset: "d".to_owned(), version: "1".to_owned() };
        world.call(again).await.unwrap();
        world.inspected().await;
        assert_eq!(world.state("d", "1").await, DataState::Quarantined, "other findings were waived than those of now");
    });
}

#[test]
fn accounts_of_the_committer_do_not_let_it_in_either() {
    on_both_engines(|world| async move {
        world.trusted().await;
        *world.worker.finds.lock() = vec![&catalogue::LABEL_FLIPS];
        world.committed("d", &[("a.csv", b"1")], told()).await;
        world.inspected().await;
        let sql = "INSERT INTO principal (id, kind, name, disabled, owner, created_at) \
                   VALUES ('robot', 'service', 'robot', 0, $1, 0)";
        world.sql(sql, testkit::gate::TEST_CALLER).await;
        assert_eq!(kind(world.call_as("robot", world.waive(7)).await), Kind::Forbidden);
        world.call_as("reviewer", world.waive(7)).await.unwrap();
    });
}

#[test]
fn what_the_policy_refuses_cannot_be_waived() {
    on_both_engines(|world| async move {
        world.trusted().await;
        *world.worker.finds.lock() = vec![&catalogue::TRIGGER];
        world.committed("d", &[("a.csv", b"1")], told()).await;
        assert_eq!(world.inspected().await, Ended::Judged { verdict: Verdict::Refuse, state: DataState::Refused });
        assert_eq!(kind(world.call_as("reviewer", world.waive(7)).await), Kind::Conflict);
        assert_eq!(kind(world.call_as("reviewer", world.admit()).await), Kind::Conflict);
        assert_eq!(world.state("d", "1").await, DataState::Refused);
    });
}

#[test]
fn a_persons_refusal_stands_whatever_is_found_later() {
    on_both_engines(|world| async move {
        world.trusted().await;
        world.committed("d", &[("a.csv", b"1")], told()).await;
        world.inspected().await;
        world.call_as("reviewer", world.refuse()).await.unwrap();
        let again = QueueInspection { room: world.room.clone(), dataset: "d".to_owned(), version: "1".to_owned() };
        world.call(again).await.unwrap();
        world.inspected().await;
        assert_eq!(world.state("d", "1").await, DataState::Refused);
        assert_eq!(kind(world.call(world.admit()).await), Kind::Forbidden);
        world.call_as("reviewer", world.admit()).await.unwrap();
        assert_eq!(world.state("d", "1").await, DataState::Admitted);
    });
}

#[test]
fn without_automatic_admission_a_reviewer_admits() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let location = vault::db::Location::Sqlite(folder.path().join("test.db"));
        let config = DataConfig { admit_automatically: false, ..DataConfig::default() };
        let world = World::open(&location, folder, config).await;
        world.trusted().await;
        world.committed("d", &[("a.csv", b"1")], told()).await;
        assert_eq!(world.inspected().await, Ended::Judged { verdict: Verdict::Pass, state: DataState::Quarantined });
        assert_eq!(kind(world.call(world.admit()).await), Kind::Forbidden);
        world.call_as("reviewer", world.admit()).await.unwrap();
        assert_eq!(world.state("d", "1").await, DataState::Admitted);
    });
}

#[test]
fn classes_reach_the_gate() {
    on_both_engines(|world| async move {
        *world.worker.classes.lock() = vec!["health"];
        world.committed("d", &[("a.csv", b"1")], told()).await;
        world.inspected().await;
        let (ports, target) = (world.opened.ports.clone(), Target::DatasetVersion("d".to_owned(), "1".to_owned()));
        let read = move |reader: &mut vault::db::Reader<'_>| {
            Ok(crate::locate(reader, testkit::gate::TEST_WORKSPACE, &target, Micros(0))?)
        };
        let facts = ports.read_point(read).await.unwrap().unwrap();
        let data = facts.data.unwrap();
        assert!(data.classes.health && data.classes.personal && !data.classes.financial);
        assert_eq!(facts.owner.as_deref(), Some(testkit::gate::TEST_CALLER));
    });
}
