//! A version without some rows of another one: who gets it, what is kept of it, and what became of what was trained.

use std::sync::atomic::Ordering;

use gate::DataState;
use inspection::{GuardedRow, catalogue};
use kernel::Kind;
use lineage::Trust;
use lineage::record::{self, Scene, VersionSource};

use super::support::*;
use crate::ops::*;
use crate::{CommitWish, DocumentKind, InspectionState, VersionName, Wanted};

const LINES: &[u8] = b"r0\nr1\nr2\nr3\n";

fn clean(world: &World, rows: RowsWish) -> CleanVersion {
    CleanVersion {
        room: world.room.clone(),
        dataset: "d".to_owned(),
        version: "1".to_owned(),
        rows,
        why: "row 1 is poisoned".to_owned(),
        retrain: true,
    }
}

fn ranges(ranges: &[(u64, u64)]) -> RowsWish {
    RowsWish { ranges: ranges.to_vec(), findings: Vec::new() }
}

async fn text(world: &World, version: &str, path: &str) -> String {
    let read = ReadFile { wanted: Wanted::Whole, ..world.read("d", version, path) };
    let crate::Fetched::File(download) = world.call(read).await.unwrap() else { unreachable!("it is there") };
    String::from_utf8(whole(download.body).await).unwrap()
}

#[test]
fn a_cleaned_version_is_what_the_server_saw_and_says_what_it_lacks() {
    on_both_engines(|world| async move {
        let wish = CommitWish { contract: Some("a contract".to_owned()), ..told() };
        world.committed("d", &[("a.csv", LINES), ("b.csv", LINES)], wish).await;
        world.classes("health");
        world.inspected().await;
        assert_eq!(kind(world.call(clean(&world, ranges(&[]))).await), Kind::Invalid);
        assert_eq!(kind(world.call(clean(&world, ranges(&[(2, 1)]))).await), Kind::Invalid);
        *world.worker.rows.lock() = None;
        let asked = world.call(clean(&world, ranges(&[(2, 2), (1, 1)]))).await.unwrap();
        assert_eq!(
            kind(world.call(clean(&world, ranges(&[(1, 2)]))).await),
            Kind::Conflict,
            "a form that is sent twice makes one"
        );
        let list = || ShowDataset { room: world.room.clone(), dataset: "d".to_owned(), after: None, rows: None };
        let making = world.call(list()).await.unwrap().making;
        assert_eq!((making.len(), making[0].removed_count, making[0].parent_number), (1, 2, 1));
        assert_eq!(asked.removed_count, 2);
        let open = world.shown("d", &asked.version_id).await.version;
        assert!(open.classes.health && open.state == DataState::Open, "it is guarded as its parent from the first moment");
        assert_eq!(world.inspected().await, Ended::Cleaned { number: 2 });
        let shown = world.shown("d", "2").await;
        let cleaning = shown.parents[0].cleaning.clone().unwrap();
        assert_eq!((shown.parents[0].number, shown.parents[0].how.as_str(), cleaning.removed_count), (1, "cleaned", 2));
        assert_eq!((cleaning.parent_row_count, cleaning.rows_sha256), (Some(8), asked.rows_sha256));
        assert_eq!(shown.version.source_uri, told().source_uri, "its origin is that of the other one");
        assert_eq!(text(&world, "2", "a.csv").await, "r0\nr3\n");
        assert_eq!(text(&world, "2", "b.csv").await.as_bytes(), LINES);
        for (document, expected) in [(DocumentKind::Removed, "[[1,2]]"), (DocumentKind::Contract, "a contract")] {
            let read =
                ReadDocument { room: world.room.clone(), dataset: "d".to_owned(), version: "2".to_owned(), kind: document };
            let bytes = whole(world.call(read).await.unwrap().body).await;
            assert!(String::from_utf8(bytes).unwrap().contains(expected));
        }
        *world.worker.rows.lock() = Some(6);
        world.inspected().await;
        let job = world.worker.jobs.lock().last().cloned().unwrap();
        assert_eq!(job.reference.unwrap().name, "d@1", "it is compared with the other one");
        assert_eq!(world.shown("d", "2").await.version.row_count, Some(6));
        assert!(world.call(list()).await.unwrap().making.is_empty());
        let beyond = CleanVersion { version: "2".to_owned(), ..clean(&world, ranges(&[(6, 6)])) };
        assert_eq!(kind(world.call(beyond).await), Kind::Invalid, "there is no such row");
        let recorded = world.gate.recorded();
        let sealed = recorded.iter().find(|line| line.starts_with("sealed cleanings.run done")).unwrap();
        assert!(sealed.contains("removed_row_count=2") && sealed.contains("removed_rows_sha256="), "{sealed}");
    });
}

#[test]
fn rows_of_findings_are_looked_up_in_the_report() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", LINES)], told()).await;
        let by =
            |findings: &[&str]| RowsWish { ranges: Vec::new(), findings: findings.iter().map(|id| (*id).to_owned()).collect() };
        assert_eq!(kind(world.call(clean(&world, by(&["poisoning.label_flips"]))).await), Kind::Conflict, "no report yet");
        world.worker.finds.lock().extend([&catalogue::LABEL_FLIPS, &catalogue::OUTLIERS]);
        *world.worker.suspects.lock() = Some(serde_json::json!({ "rows": 4, "suspects": [
            { "row": 3, "score": 0.9, "reasons": [{ "reason": "label", "given": "1", "expected": "0", "probability": 0.1 }] },
            { "row": 0, "score": 0.8, "reasons": [{ "reason": "trigger", "trigger": 0 }] },
        ] }));
        world.inspected().await;
        assert_eq!(kind(world.call(clean(&world, by(&["poisoning.outliers"]))).await), Kind::Conflict, "its rows are not listed");
        assert_eq!(kind(world.call(clean(&world, by(&["personal.health"]))).await), Kind::Invalid, "it was not found");
        let asked = world.call(clean(&world, by(&["poisoning.label_flips"]))).await.unwrap();
        assert_eq!(asked.removed_count, 1);
        world.inspected().await;
        assert_eq!(text(&world, "2", "a.csv").await, "r0\nr1\nr2\n");
        let cleaning = world.shown("d", "2").await.parents[0].cleaning.clone().unwrap();
        assert_eq!(cleaning.findings, ["poisoning.label_flips"]);
    });
}

#[test]
fn what_broke_off_leaves_no_version_and_no_bytes() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", LINES)], told()).await;
        world.inspected().await;
        world.worker.dies.store(true, Ordering::SeqCst);
        let asked = world.call(clean(&world, ranges(&[(1, 1)]))).await.unwrap();
        assert!(matches!(world.inspected().await, Ended::Failed { .. }));
        let shown = world.shown("d", &asked.version_id).await;
        assert_eq!((shown.version.state, shown.version.number), (DataState::Open, None));
        assert_eq!(shown.inspection.unwrap().state, InspectionState::Failed);
        assert!(world.runner().step().await.unwrap().is_none(), "it is not tried for ever");
        world.gate.clock.advance_secs(2 * 86_400);
        let swept = world.call(SweepData { room: world.room.clone() }).await.unwrap();
        assert_eq!(swept.expired_count, 1);
    });
}

#[test]
fn a_version_with_other_rows_than_were_kept_is_refused() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", LINES)], told()).await;
        world.inspected().await;
        world.call(clean(&world, ranges(&[(1, 1)]))).await.unwrap();
        world.inspected().await;
        *world.worker.rows.lock() = Some(4);
        world.inspected().await;
        assert_eq!(world.state("d", "2").await, DataState::Refused);
    });
}

#[test]
fn what_a_version_was_kept_out_for_is_looked_for_in_what_is_made_of_it() {
    on_both_engines(|world| async move {
        let guarded = |row: u64, digest: &str| GuardedRow {
            row,
            features_digest: digest.to_owned(),
            label: Some("1".to_owned()),
            score: 1.0,
        };
        *world.worker.guarded.lock() = vec![guarded(0, "aa"), guarded(1, "bb"), guarded(3, "dd")];
        world.committed("d", &[("a.csv", LINES)], told()).await;
        world.admit_all("d").await;
        // In the second version, which is refused, the same rows stand elsewhere.
        *world.worker.guarded.lock() = vec![guarded(2, "aa"), guarded(1, "dd")];
        world.worker.finds.lock().push(&catalogue::GUARDED_RELABELLED);
        let of = |parent: i64| CommitWish { parents: vec![VersionName::Number(parent)], ..told() };
        world.committed("d", &[("a.csv", LINES)], of(1)).await;
        world.inspected().await;
        assert_eq!(world.state("d", "2").await, DataState::Refused);
        let last = || world.worker.jobs.lock().last().cloned().unwrap();
        let digests = || last().guarded.into_iter().map(|row| row.features_digest).collect::<Vec<_>>();
        world.call(CleanVersion { version: "2".to_owned(), ..clean(&world, ranges(&[(2, 2)])) }).await.unwrap();
        assert_eq!(world.inspected().await, Ended::Cleaned { number: 3 });
        world.inspected().await;
        assert_eq!(last().reference.unwrap().name, "d@1", "a refused version is nothing to start from");
        assert_eq!(digests(), ["bb", "dd"], "the row that was left out by name is known by its cells");
        assert_eq!(world.state("d", "3").await, DataState::Refused);
        world.committed("d", &[("a.csv", LINES)], of(2)).await;
        world.inspected().await;
        assert_eq!(last().reference.unwrap().name, "d@1", "nor is one that its committer calls the parent");
        assert_eq!(digests(), ["aa", "bb", "dd"]);
        let id = world.opened_version("d").await.unwrap();
        world.call(world.put("d", &id, "a.csv", LINES)).await.unwrap();
        let against = |number: i64| CommitWish { reference: Some(VersionName::Number(number)), ..told() };
        assert_eq!(kind(world.call(world.commit("d", &id, against(2))).await), Kind::Conflict);
        world.call(world.commit("d", &id, against(1))).await.unwrap();
    });
}

#[test]
fn what_was_trained_on_it_is_queued_to_be_trained_again() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", LINES)], told()).await;
        world.inspected().await;
        world.training().await;
        let trained =
            |version: &str| ShowTrained { room: world.room.clone(), dataset: "d".to_owned(), version: version.to_owned() };
        let found = world.call(trained("1")).await.unwrap();
        let names: Vec<_> = found.things.iter().map(|thing| (thing.kind.as_str(), thing.name.as_str(), thing.trust)).collect();
        assert_eq!(names, [("run", "run1", Trust::Observed), ("model_version", "rm_1/1", Trust::Claimed)]);
        assert!(found.requests.is_empty());
        world.call(clean(&world, ranges(&[(1, 1)]))).await.unwrap();
        world.inspected().await;
        let found = world.call(trained("2")).await.unwrap();
        assert!(found.things.is_empty(), "nothing was trained on the new one yet");
        let mut asked: Vec<_> = found.requests.iter().map(|one| (one.subject.name.as_str(), one.state.as_str())).collect();
        asked.sort_unstable();
        assert_eq!(asked, [("rm_1/1", "queued"), ("run1", "queued")]);
        assert!(found.requests.iter().all(|one| one.trained_on == "d/1" && one.replaced_by == "d/2"));
        let through_the_parent = world.call(trained("1")).await.unwrap();
        assert_eq!(through_the_parent.requests.len(), 2);
        let kinds: Vec<_> = through_the_parent.things.iter().map(|thing| thing.kind.as_str()).collect();
        assert!(kinds.contains(&"data_version"), "the cleaned one stems from it: {kinds:?}");
    });
}

#[test]
fn a_model_whose_run_is_only_claimed_is_observed_through_its_logged_model() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", LINES)], told()).await;
        world.inspected().await;
        world.logged_training().await;
        let trained = ShowTrained { room: world.room.clone(), dataset: "d".to_owned(), version: "1".to_owned() };
        let found = world.call(trained).await.unwrap();
        let mut names: Vec<_> =
            found.things.iter().map(|thing| (thing.kind.as_str(), thing.name.as_str(), thing.trust)).collect();
        names.sort_unstable();
        let seen = Trust::Observed;
        assert_eq!(names, [("logged_model", "m-1", seen), ("model_version", "rm_2/1", seen), ("run", "run2", seen)]);
    });
}

#[test]
fn a_data_set_with_a_contract_lets_no_committer_bring_another() {
    on_both_engines(|world| async move {
        world.committed("d", &[("a.csv", LINES)], told()).await;
        let set = |text: &str| SetContract {
            room: world.room.clone(),
            dataset: "d".to_owned(),
            contract: text.to_owned(),
            reason: "reviewed".to_owned(),
            seen: None,
        };
        let read = || ReadContract { room: world.room.clone(), dataset: "d".to_owned() };
        assert_eq!(kind(world.call(read()).await), Kind::NotFound);
        world.call(set("first")).await.unwrap();
        let seen = |seen: &str| Some(seen.to_owned());
        assert_eq!(
            kind(world.call(SetContract { seen: seen(""), ..set("agreed") }).await),
            Kind::Conflict,
            "there is one by now"
        );
        let first = kernel::hex(&kernel::sha256(b"first"));
        world.call(SetContract { seen: Some(first.clone()), ..set("agreed") }).await.unwrap();
        assert_eq!(
            kind(world.call(SetContract { seen: Some(first), ..set("mine") }).await),
            Kind::Conflict,
            "it is another one by now"
        );
        assert_eq!(whole(world.call(read()).await.unwrap().body).await, b"agreed");
        let id = world.opened_version("d").await.unwrap();
        world.call(world.put("d", &id, "a.csv", LINES)).await.unwrap();
        let lax = CommitWish { contract: Some("lax".to_owned()), ..told() };
        assert_eq!(kind(world.call(world.commit("d", &id, lax)).await), Kind::Conflict);
        world.call(world.commit("d", &id, told())).await.unwrap();
        world.inspected().await;
        world.inspected().await;
        let job = world.worker.jobs.lock().last().cloned().unwrap();
        assert_eq!(job.contract_yaml.as_deref(), Some("agreed"), "although the committer brought none");
    });
}

#[test]
fn a_version_is_checked_against_others_that_are_admitted() {
    on_both_engines(|world| async move {
        let use_it = |version: &str, apart| UseVersion {
            room: world.room.clone(),
            dataset: "keys".to_owned(),
            version: version.to_owned(),
            apart,
        };
        world.committed("keys", &[("k.csv", LINES)], told()).await;
        assert_eq!(kind(world.call(use_it("1", false)).await), Kind::Conflict, "it is not admitted yet");
        let early = world.call(use_it("1", true)).await.unwrap();
        world.admit_all("keys").await;
        let id = world.call(use_it("admitted", false)).await.unwrap();
        assert_eq!(id, early);
        let others = vec![crate::OtherVersion { name: "customers".to_owned(), version_id: id, apart: false }];
        world.committed("d", &[("a.csv", LINES)], CommitWish { others, ..told() }).await;
        world.inspected().await;
        let job = world.worker.jobs.lock().last().cloned().unwrap();
        assert_eq!((job.others[0].name.as_str(), job.others[0].version.as_str()), ("customers", "keys@1"));
        assert_eq!(job.others[0].files[0].path, "k.csv");
        let twice = vec![
            crate::OtherVersion { name: "x".to_owned(), version_id: early.clone(), apart: false },
            crate::OtherVersion { name: "x".to_owned(), version_id: early, apart: true },
        ];
        let open = world.opened_version("d").await.unwrap();
        world.call(world.put("d", &open, "a.csv", LINES)).await.unwrap();
        assert_eq!(kind(world.call(world.commit("d", &open, CommitWish { others: twice, ..told() })).await), Kind::Invalid);
    });
}

impl World {
    fn classes(&self, class: &'static str) {
        self.worker.classes.lock().push(class);
    }

    /// The newest version of a data set passes: its address is trusted.
    async fn admit_all(&self, dataset: &str) {
        let source = NewSource {
            name: "example".to_owned(),
            pattern: "https://data.example/*".to_owned(),
            key: crate::SourceKey::Address,
            data_owner: "example".to_owned(),
            licence: "CC-BY-4.0".to_owned(),
            purposes: Vec::new(),
        };
        self.call(AddSource { room: self.room.clone(), source }).await.unwrap();
        self.inspected().await;
        assert_eq!(self.state(dataset, "latest").await, DataState::Admitted);
    }

    /// A run that read version 1 and logged a model, which was registered; that it came of the run the client says as well.
    async fn logged_training(&self) {
        let source = VersionSource {
            logged_model: Some(("m-1", Trust::Observed)),
            run: Some(("run2", Trust::Claimed)),
            ..VersionSource::default()
        };
        self.trained("run2", &["m-1"], ("rm_2", source)).await;
    }

    /// A run that read version 1, and a model that it is said to have given.
    async fn training(&self) {
        let source = VersionSource { run: Some(("run1", Trust::Claimed)), ..VersionSource::default() };
        self.trained("run1", &[], ("rm_1", source)).await;
    }

    /// A run was seen to read version 1 and to log these models; version 1 of a model was registered from a source.
    async fn trained(
        &self,
        run: &'static str,
        logged: &'static [&'static str],
        (model, source): (&'static str, VersionSource<'static>),
    ) {
        let db = self.opened.db.clone();
        let done: Result<(), kernel::Problem> = self
            .gate
            .permit_for(gate::Target::Workspace, move |permit| async move {
                let scene = Scene::of(&permit)?;
                db.write(&permit, move |writer| {
                    record::data_read(writer, &scene, "d", 1, Some((run, Trust::Observed)), "training")?;
                    record::run_outputs(writer, &scene, run, logged, Trust::Observed)?;
                    record::version_registered(writer, &scene, model, 1, &source)?;
                    Ok(((), gate::Outcome::done()))
                })
                .await
            })
            .await;
        done.unwrap();
    }
}
