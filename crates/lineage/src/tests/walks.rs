//! Events in, and walks up and down, on both engines.

use gate::Target;
use kernel::{Kind, Micros, Problem};
use testkit::gate::TEST_WORKSPACE;
use vault::db::Bind;

use super::{World, a_training, on_both_engines};
use crate::claim::{About, CodeClaim, DataClaim, Event, JobClaim, Named};
use crate::ops::{EventWish, ListEvents, PostEvents, ShowNeighbourhood, WalkGraph, Walked};
use crate::record::{self, VersionSource};
use crate::{Direction, NodeKind, Root, Trust};

fn named(namespace: &str, name: &str) -> Named {
    Named { namespace: namespace.to_owned(), name: name.to_owned() }
}

fn data(namespace: &str, name: &str) -> DataClaim {
    DataClaim { named: named(namespace, name), version: None, owners: Vec::new() }
}

fn run_id(number: u32) -> String {
    format!("01941f29-7c00-7000-8000-{number:012}")
}

/// Run `number` of job `j`: reads the inputs, writes the outputs, out of commit `abcdef0123`.
fn run(number: u32, inputs: &[DataClaim], outputs: &[DataClaim]) -> Event {
    let code = CodeClaim { commit: Some("abcdef0123".to_owned()), url: None };
    let job = JobClaim { named: named("n", "j"), code: Some(code), owners: vec!["team:ann".to_owned(), "bob".to_owned()] };
    Event {
        about: About::Run { run_id: run_id(number), parent: None, job },
        event_type: "COMPLETE".to_owned(),
        at: Micros(i64::from(number)),
        inputs: inputs.to_vec(),
        outputs: outputs.to_vec(),
        body: format!("{{\"number\":{number},\"in\":{},\"out\":{}}}", inputs.len(), outputs.len()),
    }
}

impl World {
    async fn post(&self, events: Vec<Event>) {
        self.gate.call(PostEvents { room: self.room(), events }).await.unwrap();
    }

    async fn walk(&self, subject: &str, direction: Direction, depth: Option<u32>) -> Result<Walked, Problem> {
        let root = Root::parse(subject).unwrap();
        let room = self.room();
        self.gate.call(WalkGraph { room, subject: subject.to_owned(), root, direction, depth }).await
    }

    async fn down(&self, subject: &str) -> Vec<(NodeKind, String, u32, Trust)> {
        let walked = self.walk(subject, Direction::Down, None).await.unwrap();
        let mut found: Vec<_> = walked
            .found
            .into_iter()
            .map(|found| (found.kind, found.label.unwrap_or(found.name), found.depth, found.trust))
            .collect();
        found.sort_by(|one, other| (one.0, &one.1).cmp(&(other.0, &other.1)));
        found
    }
}

#[test]
fn everything_leads_down_to_the_model() {
    on_both_engines(|world| async move {
        world.record(a_training).await;
        let model = |trust| move |found: &(NodeKind, String, u32, Trust)| found.1 == "churn version 1" && found.3 == trust;
        for subject in ["run:run1", "logged-model:m-1"] {
            assert!(world.down(subject).await.iter().any(model(Trust::Observed)), "{subject}");
        }
        assert!(world.down("person:ann").await.iter().any(model(Trust::Observed)));
        // What a client claims stays claimed, all the way.
        assert!(world.down("dataset:mlflow:iris@d1").await.iter().any(model(Trust::Claimed)));
        world.post(vec![run(1, &[data("s3", "raw")], &[data("mlops", "models:/churn/2")])]).await;
        for subject in
            ["dataset:s3:raw", "commit:abcdef0", "commit:abcdef0123", "job:n:j", "person:bob", &format!("run:{}", run_id(1))]
        {
            let found = world.down(subject).await;
            let versions: Vec<_> = found.iter().filter(|found| found.0 == NodeKind::ModelVersion).collect();
            assert!(
                matches!(versions.as_slice(), [(_, label, _, Trust::Claimed)] if label == "churn version 2"),
                "{subject} {found:?}"
            );
        }
        let up = world.walk("churn/2", Direction::Up, None).await.unwrap();
        let kinds = up.counts();
        for kind in [NodeKind::Run, NodeKind::Job, NodeKind::Code, NodeKind::Dataset, NodeKind::Person, NodeKind::Owner] {
            assert_eq!(kinds.get(&kind), Some(&1), "{kind:?}");
        }
        let text = up.to_text();
        assert!(text.contains("ran job n:j [claimed]") && text.contains("read data s3:raw [claimed]"), "{text}");
        let text = world.walk("dataset:s3:raw", Direction::Down, None).await.unwrap().to_text();
        assert!(text.contains("2 things stem from dataset:s3:raw: 1 run, 1 model"), "{text}");
        assert!(text.contains("churn version 2 [claimed], 2 steps away") && text.contains("came out of it [claimed]"), "{text}");
    });
}

#[test]
fn a_file_and_a_version_are_found_by_their_digest() {
    on_both_engines(|world| async move {
        world.record(a_training).await;
        world
            .system
            .write(|writer| {
                writer.execute(
                    "INSERT INTO artifact (id, owner_kind, owner_id, path, workspace, experiment, size_bytes, sha256, created_at,
                        created_by) VALUES ('a', 'run', 'run1', 'x', $1, 1, 1, $2, 1, 'o')",
                    &[Bind::from(TEST_WORKSPACE), Bind::from([7_u8; 32].as_slice())],
                )?;
                Ok(())
            })
            .await
            .unwrap();
        let leaked = format!("file:{}", "07".repeat(32));
        assert!(world.down(&leaked).await.iter().any(|found| found.1 == "churn version 1" && found.3 == Trust::Observed));
        let version = DataClaim { version: Some(format!("sha256:{}", "08".repeat(32))), ..data("s3", "raw") };
        world.post(vec![run(1, &[version], &[data("mlops", "models:/churn@best")])]).await;
        let found = world.down(&format!("sha256:{}", "08".repeat(32))).await;
        assert!(found.iter().any(|found| found.1 == "churn version 1"), "{found:?}");
        let missing = world.walk(&format!("file:{}", "09".repeat(32)), Direction::Down, None).await.unwrap_err();
        assert_eq!(missing.kind(), Kind::NotFound);
    });
}

#[test]
fn events_are_kept_once_as_they_were_sent() {
    on_both_engines(|world| async move {
        let events: Vec<Event> = (1..=5).map(|number| run(number, &[data("s3", "raw")], &[])).collect();
        world.post(events.clone()).await;
        world.post(events.clone()).await;
        let list = |after: i64, limit: i64, offset: i64, oldest_first: bool| {
            let wish = EventWish { after: Micros(after), before: Micros(5), limit, offset, oldest_first };
            world.gate.call(ListEvents { room: world.room(), wish })
        };
        let all = list(0, 100, 0, true).await.unwrap();
        let expected: Vec<String> = events.iter().take(4).map(|event| event.body.clone()).collect();
        assert_eq!((all.bodies, all.total_count), (expected.clone(), 4));
        let page = list(2, 2, 1, false).await.unwrap();
        assert_eq!((page.bodies, page.total_count), (expected.into_iter().rev().skip(1).take(2).collect(), 3));
        // A change of the very same event is another event.
        let mut other = run(1, &[], &[]);
        other.event_type = "FAIL".to_owned();
        world.post(vec![other]).await;
        assert_eq!(list(0, 100, 0, true).await.unwrap().total_count, 5);
    });
}

#[test]
fn an_events_text_is_kept_sealed() {
    on_both_engines(|world| async move {
        world.post((1..=2).map(|number| run(number, &[data("s3", "raw")], &[])).collect()).await;
        let rows = |reader: &mut vault::db::Reader<'_>| {
            Ok(reader.query("SELECT body FROM lineage_event ORDER BY at", &[], |row| row.text(0))?)
        };
        let kept = world.system.read(rows).await.unwrap();
        assert!(kept.iter().all(|text| text.starts_with("sealed:") && !text.contains("number")), "{kept:?}");
        let list = || {
            let wish = EventWish { after: Micros(0), before: Micros(5), limit: 9, offset: 0, oldest_first: true };
            world.gate.call(ListEvents { room: world.room(), wish })
        };
        assert_eq!(list().await.unwrap().bodies, [1, 2].map(|number| run(number, &[data("s3", "raw")], &[]).body));
        let set = |text: String, at: i64| {
            let write = move |writer: &mut vault::db::Writer<'_>| {
                Ok(writer.execute("UPDATE lineage_event SET body = $1 WHERE at = $2", &[(&text).into(), at.into()])?)
            };
            world.system.write(write)
        };
        // What an earlier version kept is readable.
        set("{\"early\":1}".to_owned(), 1).await.unwrap();
        assert_eq!(list().await.unwrap().bodies.first().map(String::as_str), Some("{\"early\":1}"));
        // A text in another's place is not.
        set(kept.last().cloned().unwrap(), 1).await.unwrap();
        assert_eq!(list().await.unwrap_err().kind(), Kind::Internal);
    });
}

#[test]
fn rings_and_chains_of_any_length_are_walked() {
    on_both_engines(|world| async move {
        const LENGTH: i64 = 3_000;
        world
            .record(|writer, scene| {
                record::run_created(writer, scene, "first")?;
                record::run_outputs(writer, scene, "first", &["m-0"], Trust::Observed)?;
                // A chain of versions, each made from the one before; the last one is what the first one was made from: a ring.
                for number in 1..=LENGTH {
                    let source = VersionSource {
                        version: Some(("chain", if number == 1 { LENGTH } else { number - 1 })),
                        ..Default::default()
                    };
                    record::version_registered(writer, scene, "chain", number, &source)?;
                }
                let source = VersionSource { logged_model: Some(("m-0", Trust::Observed)), ..VersionSource::default() };
                record::version_registered(writer, scene, "chain", 1, &source)
            })
            .await;
        for (subject, direction) in [("run:first", Direction::Down), ("logged-model:m-0", Direction::Down)] {
            let walked = world.walk(subject, direction, None).await.unwrap();
            let versions = walked.found.iter().filter(|found| found.kind == NodeKind::ModelVersion).count();
            assert_eq!((versions, walked.truncated), (3_000, false), "{subject}");
            let deepest = walked.found.iter().map(|found| found.depth).max();
            assert_eq!(deepest, Some(if subject == "run:first" { 3_001 } else { 3_000 }));
            assert!(walked.found.is_sorted_by_key(|found| found.depth));
            assert!(!walked.is_detailed() && walked.to_text().contains("--json has all"));
            assert!(walked.to_svg().contains("more</text>"));
        }
        for depth in [1, 64, 65, 100] {
            let walked = world.walk("run:first", Direction::Down, Some(depth)).await.unwrap();
            assert_eq!(walked.found.len(), depth as usize, "each step adds one");
        }
    });
}

#[test]
fn one_claimed_step_makes_a_way_claimed() {
    on_both_engines(|world| async move {
        world
            .record(|writer, scene| {
                record::run_created(writer, scene, "r")?;
                record::run_outputs(writer, scene, "r", &["m-short"], Trust::Claimed)?;
                record::run_outputs(writer, scene, "r", &["m-sure"], Trust::Observed)?;
                for (number, logged) in [(1, "m-short"), (2, "m-sure")] {
                    let source = VersionSource { logged_model: Some((logged, Trust::Observed)), ..VersionSource::default() };
                    record::version_registered(writer, scene, "rm_1", number, &source)?;
                }
                // The claimed way is short, the observed one is long: what was seen counts.
                let source = VersionSource { version: Some(("rm_1", 2)), run: Some(("r", Trust::Claimed)), logged_model: None };
                record::version_registered(writer, scene, "rm_1", 3, &source)
            })
            .await;
        let trust = |found: &[(NodeKind, String, u32, Trust)], label: &str| {
            found.iter().find(|found| found.1 == label).map(|found| (found.2, found.3))
        };
        let found = world.down("run:r").await;
        assert_eq!(trust(&found, "churn version 1"), Some((2, Trust::Claimed)));
        assert_eq!(trust(&found, "churn version 2"), Some((2, Trust::Observed)));
        assert_eq!(trust(&found, "churn version 3"), Some((1, Trust::Observed)));
    });
}

#[test]
fn what_somebody_read_does_not_lead_to_what_they_made() {
    on_both_engines(|world| async move {
        world
            .record(|writer, scene| {
                record::data_read(writer, scene, "d", 1, None, "")?;
                record::data_read(writer, scene, "d", 1, Some(("reader", Trust::Observed)), "training")?;
                record::version_registered(writer, scene, "rm_1", 1, &VersionSource::default())
            })
            .await;
        world
            .system
            .write(|writer| {
                writer.execute(
                    "INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by) VALUES ('ds', $1, 'd', 1, 1, 'o')",
                    &[Bind::from(TEST_WORKSPACE)],
                )?;
                writer.execute(
                    "INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, file_count,
                        size_bytes, roles, is_personal, is_special, is_health, is_financial)
                     VALUES ('dv', 'ds', $1, 1, 'admitted', 'o', 1, 0, 0, '{}', 0, 0, 0, 0)",
                    &[Bind::from(TEST_WORKSPACE)],
                )?;
                Ok(())
            })
            .await
            .unwrap();
        let found = world.down("data:d/1#row=17").await;
        assert_eq!(found, [(NodeKind::Run, "reader".to_owned(), 1, Trust::Observed)]);
    });
}

#[test]
fn what_a_model_was_tried_on_is_not_what_it_stems_from() {
    on_both_engines(|world| async move {
        world
            .record(|writer, scene| {
                record::version_registered(writer, scene, "rm_1", 1, &VersionSource::default())?;
                record::model_tried(writer, scene, ("rm_1", 1), ("i1", "d", "passed"), &[("trial".to_owned(), 1)])?;
                let done = record::Execution { run_id: "r", code_sha256: "ff", data: None, logged_models: &[] };
                record::run_executed(writer, scene, &done)?;
                record::version_executed(writer, scene, "rm_1", 1, "r")
            })
            .await;
        let up = world.walk("churn/1", Direction::Up, None).await.unwrap();
        let found: Vec<_> = up.found.iter().map(|found| (found.kind, found.trust)).collect();
        assert!(
            !up.counts().contains_key(&NodeKind::DataVersion) && !up.counts().contains_key(&NodeKind::Inspection),
            "{found:?}"
        );
        // What the server had done is not less sure than what it saw.
        assert!(
            found.contains(&(NodeKind::Code, Trust::Observed)) && found.contains(&(NodeKind::Run, Trust::Observed)),
            "{found:?}"
        );
    });
}

#[test]
fn jobs_and_datasets_lie_around_each_other() {
    on_both_engines(|world| async move {
        world.post(vec![run(1, &[data("s3", "raw")], &[data("s3", "clean")]), run(2, &[data("s3", "clean")], &[])]).await;
        for subject in ["job:n:j", "dataset:s3:raw", "dataset:s3:clean"] {
            let root = Root::parse(subject).unwrap();
            let room = world.room();
            let around = world.gate.call(ShowNeighbourhood { room, root, depth: 40 }).await.unwrap();
            let count = |kind| around.nodes.iter().filter(|node| node.kind == kind).count();
            assert_eq!((count(NodeKind::Job), count(NodeKind::Run), count(NodeKind::Dataset)), (1, 2, 2), "{subject}");
            assert_eq!(count(NodeKind::Person), 0);
            assert!(around.states.values().all(|state| state.word == "COMPLETE" && state.ended_at.is_some()));
        }
    });
}

#[test]
fn a_walk_is_judged_as_what_it_begins_at_or_as_the_workspace() {
    let target = |subject: &str, direction| Root::parse(subject).unwrap().target(direction);
    assert_eq!(target("churn/3", Direction::Up), Target::ModelVersion("churn".to_owned(), "3".to_owned()));
    assert_eq!(target("run:r", Direction::Up), Target::Run("r".to_owned()));
    assert_eq!(target("commit:abcdef0", Direction::Up), Target::Workspace);
    for subject in ["churn/3", "run:r", "data:d/1", "person:ann", "logged-model:m"] {
        assert_eq!(target(subject, Direction::Down), Target::Workspace, "{subject}");
    }
}

#[test]
fn a_walk_names_the_endpoints_that_answer_with_what_it_found() {
    on_both_engines(|world| async move {
        world.record(a_training).await;
        world
            .system
            .write(|writer| {
                for (id, choice) in [("e1", "@best"), ("e2", "1"), ("e3", "2"), ("e4", "@gone")] {
                    writer.execute(
                        "INSERT INTO endpoint (endpoint_id, workspace, name, model_id, choice, created_at, created_by, changed_at, changed_by)
                         VALUES ($1, $2, $1, 'rm_1', $3, 1, 'o', 1, 'o')",
                        &[Bind::from(id), Bind::from(TEST_WORKSPACE), Bind::from(choice)],
                    )?;
                }
                Ok(())
            })
            .await
            .unwrap();
        let answering = |walked: &Walked| -> Vec<(String, Trust)> {
            walked.endpoints.iter().map(|(endpoint, trust)| (endpoint.name.clone(), *trust)).collect()
        };
        let down = world.walk("run:run1", Direction::Down, None).await.unwrap();
        assert_eq!(answering(&down), [("e1".to_owned(), Trust::Observed), ("e2".to_owned(), Trust::Observed)]);
        assert!(down.to_text().contains("e1 answers with one of them [observed]"), "{}", down.to_text());
        let up = world.walk("endpoint:e1", Direction::Up, None).await.unwrap();
        assert_eq!(up.roots.first().and_then(|root| root.label.clone()).as_deref(), Some("churn version 1"));
        assert!(up.found.iter().any(|found| found.kind == NodeKind::Code));
        for missing in ["endpoint:none", "endpoint:e4"] {
            assert!(world.walk(missing, Direction::Up, None).await.is_err_and(|problem| problem.kind() == Kind::NotFound));
        }
    });
}
