//! From the queue to the report.

use std::sync::atomic::Ordering;

use attest::Signer;
use attest::dsse::Envelope;
use attest::statement::PAYLOAD_TYPE;
use data::{InspectionState, Verdict, Which};
use gate::{DataState, Operation, Permit, Target};
use inspection::catalogue;
use kernel::{Kind, Problem};
use lineage::record::{self, Input, Scene};

use super::support::*;
use crate::DocumentKind;
use crate::ops::{Ended, Findings, ListStandings, QueueInspection, ReadDocument};

impl World {
    pub(super) async fn findings(&self) -> Vec<String> {
        let asked = Findings { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned() };
        self.call(asked).await.unwrap().findings.into_iter().map(|found| found.finding.id).collect()
    }

    pub(super) async fn document(&self, kind: DocumentKind) -> Result<Vec<u8>, Problem> {
        let asked = ReadDocument { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned(), kind };
        Ok(whole(self.call(asked).await?.body).await)
    }
}

#[test]
fn the_worker_sees_the_models_files_and_leaves_a_signed_report() {
    on_both_engines(|world| async move {
        refused_before_anything(&world).await;
        world.registered().await;
        let ended = world.inspected().await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Pass, state: DataState::Admitted });
        let job = world.worker.jobs.lock().pop().unwrap();
        let paths: Vec<_> = job.files.iter().map(|file| file.path.as_str()).collect();
        assert_eq!(paths, ["MLmodel", "model.skops"]);
        let shown = world.shown(1).await;
        assert_eq!((shown.standing.file_count, shown.standing.size_bytes), (2, 21));
        assert_eq!(shown.standing.manifest_sha256.map(|digest| kernel::hex(&digest)), Some(job.manifest_sha256.clone()));
        let report = world.document(DocumentKind::Report).await.unwrap();
        assert_eq!(shown.inspection.unwrap().report_sha256, Some(kernel::sha256(&report)));
        let envelope = Envelope::parse(&world.document(DocumentKind::Attestation).await.unwrap()).unwrap();
        let signer = world.room.signer().await.unwrap();
        let (statement, _) = envelope.verify(PAYLOAD_TYPE, &[signer.public_key()]).unwrap();
        assert!(String::from_utf8(statement).unwrap().contains(&job.manifest_sha256));
        assert!(String::from_utf8(world.document(DocumentKind::Page).await.unwrap()).unwrap().contains(MODEL));
        let records = world.gate.records.lock().join("\n");
        assert!(records.contains("admissions.run") && !records.contains("skops"), "{records}");
    });
}

async fn refused_before_anything(world: &World) {
    refused(world.document(DocumentKind::Report).await, Kind::NotFound, "no such version");
}

#[test]
fn what_is_not_known_of_the_origin_is_said_and_refused_data_refuses_the_model() {
    on_both_engines(|world| async move {
        world.registered().await;
        world.inspected().await;
        let known = world.findings().await;
        assert_eq!(
            known,
            [
                &catalogue::CODE_UNKNOWN,
                &catalogue::DATA_UNKNOWN,
                &catalogue::ENVIRONMENT_UNKNOWN,
                &catalogue::UNSIGNED,
                &catalogue::GATE_NONE
            ]
            .map(|kind| kind.id)
        );

        world.put("model/requirements.txt", b"scikit-learn==1.8.0").await;
        world.data_version("refused").await;
        world.run_used().await;
        let again = QueueInspection { room: world.room.clone(), name: MODEL.to_owned(), version: "1".to_owned() };
        world.call(again).await.unwrap();
        let ended = world.inspected().await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Refuse, state: DataState::Refused });
        assert_eq!(world.findings().await, [catalogue::DATA_REFUSED.id, catalogue::UNSIGNED.id, catalogue::GATE_NONE.id]);
    });
}

#[test]
fn a_worker_that_dies_leaves_the_version_in_quarantine() {
    on_both_engines(|world| async move {
        world.worker.dies.store(true, Ordering::SeqCst);
        world.registered().await;
        assert!(matches!(world.inspected().await, Ended::Failed { .. }));
        let shown = world.shown(1).await;
        assert_eq!(shown.standing.state, DataState::Quarantined);
        assert_eq!(shown.inspection.unwrap().state, InspectionState::Failed);
        refused(world.alias(1).await, Kind::Conflict, "left no report");
    });
}

#[test]
fn versions_are_listed_page_by_page_within_the_scope() {
    on_both_engines(|world| async move {
        for _ in 0..5 {
            world.registered().await;
        }
        let list = |which: Which, after: Option<String>| ListStandings {
            room: world.room.clone(),
            name: None,
            part: None,
            which,
            after,
            rows: Some(2),
        };
        let page = |after: Option<String>| list(Which::All, after);
        let (mut after, mut numbers) = (None, Vec::new());
        loop {
            let found = world.call(page(after)).await.unwrap();
            numbers.extend(found.rows.iter().map(|row| row.subject.number));
            after = found.next;
            if after.is_none() {
                break;
            }
        }
        assert_eq!(numbers, [5, 4, 3, 2, 1]);
        // Of one state, the newest first; what a page goes on with is of its own kind.
        let waiting = Which::In(DataState::Quarantined);
        let first = world.call(list(waiting, None)).await.unwrap();
        let second = world.call(list(waiting, first.next.clone())).await.unwrap();
        let numbers: Vec<i64> = first.rows.iter().chain(&second.rows).map(|row| row.subject.number).collect();
        assert_eq!(numbers, [5, 4, 3, 2]);
        refused(world.call(list(Which::All, Some("no number".to_owned()))).await, Kind::Invalid, "`after`");
        refused(world.call(list(waiting, Some("a/1".to_owned()))).await, Kind::Invalid, "`after`");
        assert!(world.call(list(Which::In(DataState::Admitted), None)).await.unwrap().rows.is_empty());
        world.gate.set_scope(gate::Scope::Nothing);
        assert!(world.call(page(None)).await.unwrap().rows.is_empty());
    });
}

/// Records lineage as the rooms of runs and data do.
struct Told {
    room: crate::Admission,
}

impl Operation for Told {
    const ACTION: gate::Action = gate::Action::write("test.told");
    type Output = ();

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let scene = Scene::of(&permit)?;
        let write = move |writer: &mut vault::db::Writer<'_>| {
            record::run_tags(writer, &scene, RUN, [("mlflow.source.git.commit", "abc123")])?;
            record::data_read(writer, &scene, "d", 1, Some((RUN, lineage::Trust::Observed)), "training")?;
            let other = Input { name: "x", digest: "1", source_type: "local", source: "{}", context: None };
            record::run_inputs(writer, &scene, RUN, &[other])?;
            Ok(((), gate::Outcome::done()))
        };
        self.room.db().write(&permit, write).await
    }
}

impl World {
    pub(super) async fn run_used(&self) {
        self.call(Told { room: self.room.clone() }).await.unwrap();
    }

    pub(super) async fn data_version(&self, state: &'static str) {
        let set = "INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by)
                   VALUES ('d1', $1, 'd', 1, 0, 'x')";
        self.sql(set, testkit::gate::TEST_WORKSPACE).await;
        let version =
            "INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, file_count,
                           size_bytes, roles, is_personal, is_special, is_health, is_financial)
                       VALUES ('v1', 'd1', 'ws-test', 1, $1, 'x', 0, 1, 1, '{}', 0, 0, 0, 0)";
        self.sql(version, state).await;
    }
}

#[test]
fn what_other_rules_judged_is_judged_again_and_a_waiver_for_the_same_findings_holds_on() {
    on_both_engines(|world| async move {
        *world.worker.finds.lock() = vec![&catalogue::FILE_UNKNOWN];
        world.registered().await;
        world.inspected().await;
        let runner = world.runner();
        assert_eq!(runner.rescan().await.unwrap(), 0, "a worker without rules");
        let until = kernel::Clock::now(&world.gate.clock).plus_secs(86_400);
        let waive = || crate::ops::Waive {
            room: world.room.clone(),
            name: MODEL.to_owned(),
            version: "1".to_owned(),
            reason: "read line by line".to_owned(),
            until,
        };
        world.call_as("reviewer", waive()).await.unwrap();
        *world.worker.rules.lock() = Some("a".repeat(64));
        assert_eq!(runner.rescan().await.unwrap(), 1);
        assert_eq!(runner.rescan().await.unwrap(), 0, "it is on its way");
        let ended = world.inspected().await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Waiver, state: DataState::Admitted });
        // Other bytes under the same names are not what was waived, though the same is found of them.
        world.put("model/model.skops", b"0123456780").await;
        let again = QueueInspection { room: world.room.clone(), name: MODEL.to_owned(), version: "1".to_owned() };
        world.call(again).await.unwrap();
        let ended = world.inspected().await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Waiver, state: DataState::Quarantined });
        world.call_as("reviewer", waive()).await.unwrap();
        // Whatever rules the double's report names: none, so it is judged again until one says them.
        *world.worker.finds.lock() = vec![&catalogue::FILE_UNKNOWN, &catalogue::DATA_NOT_ADMITTED];
        assert_eq!(runner.rescan().await.unwrap(), 1);
        let ended = world.inspected().await;
        assert_eq!(ended, Ended::Judged { verdict: Verdict::Waiver, state: DataState::Quarantined });
    });
}
