//! Writing the graph and reading it back, on both engines.

mod carried;
mod made;
mod reference;
mod walks;

use std::sync::Arc;

use gate::{Facts, Target};
use kernel::{FakeClock, Kind, Problem};
use testkit::gate::{TEST_CALLER, TEST_WORKSPACE};
use testkit::{Engine, TestGate};
use vault::db::{Bind, Db, SystemDb, Writer};
use vault::keys::{KeyFile, Keyring};

use crate::ops::Show;
use crate::record::{self, Input, Scene, VersionSource};
use crate::{Graph, Lineage, NodeKind, Trust, Use};

struct World {
    engine: &'static str,
    db: Db,
    system: SystemDb,
    gate: TestGate,
    keys: Keyring,
    _folder: tempfile::TempDir,
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
fn on_both_engines<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    testkit::on_both_engines("lineage", async |engine| body(World::open(engine).await).await);
}

impl World {
    async fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        gate.set_facts_of(|target| {
            let mut facts = Facts { exists: true, workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
            if let Target::ModelVersion(_, version) = target {
                facts.exists = version.parse::<i64>().is_ok();
                facts.id = Some(format!("rm_1/{version}"));
            }
            facts
        });
        let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let world = Self { engine: engine.name, db: opened.db, system: opened.system, gate, keys, _folder: engine.folder };
        world.rows().await;
        world
    }

    fn room(&self) -> Lineage {
        Lineage::new(self.db.clone(), self.keys.clone())
    }

    /// A registered model with versions 1 to 3, and an account's name.
    async fn rows(&self) {
        self.system
            .write(|writer| {
                writer.execute(
                    "INSERT INTO registered_model (model_id, workspace_id, name, owner, prompt, next_version, created_at, updated_at)
                     VALUES ('rm_1', $1, 'churn', 'o', 0, 4, 1, 1)",
                    &[Bind::from(TEST_WORKSPACE)],
                )?;
                for version in 1..=3_i64 {
                    writer.execute(
                        "INSERT INTO model_version (model_id, version, source, storage_location, stage, status, owner, deleted,
                            created_at, updated_at) VALUES ('rm_1', $1, 's3://b/x', 's3://b/x', 'None', 'READY', 'o', 0, 1, 1)",
                        &[Bind::from(version)],
                    )?;
                }
                writer.execute("INSERT INTO registered_model_alias (model_id, alias, version) VALUES ('rm_1', 'best', 1)", &[])?;
                writer.execute(
                    "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ($1, 'user', 'ann', 'o', 1)",
                    &[Bind::from(TEST_CALLER)],
                )?;
                Ok(())
            })
            .await
            .unwrap();
    }

    /// Writes to the graph as a permitted act does.
    async fn record(&self, work: impl FnOnce(&mut Writer<'_>, &Scene) -> Result<(), vault::db::DbError> + Send + 'static) {
        let db = self.db.clone();
        let done: Result<(), Problem> = self
            .gate
            .permit_for(Target::Workspace, move |permit| async move {
                let scene = Scene::of(&permit)?;
                db.write(&permit, move |writer| {
                    work(writer, &scene)?;
                    Ok(((), gate::Outcome::done()))
                })
                .await
            })
            .await;
        done.unwrap();
    }

    async fn show(&self, version: &str) -> Result<Graph, Problem> {
        let room = self.room();
        self.gate.call(Show { room, model: "churn".to_owned(), version: version.to_owned() }).await
    }
}

fn dataset<'a>(name: &'a str, context: Option<&'a str>) -> Input<'a> {
    Input { name, digest: "d1", source_type: "local", source: "{}", context }
}

fn a_training(writer: &mut Writer<'_>, scene: &Scene) -> Result<(), vault::db::DbError> {
    record::run_created(writer, scene, "run1")?;
    let tags = [
        ("mlflow.source.git.commit", "abc123"),
        ("mlflow.source.name", "train.py"),
        ("strongroom.code.sha256", "ff00"),
        ("mlflow.user", "mallory"),
    ];
    record::run_tags(writer, scene, "run1", tags)?;
    record::run_inputs(writer, scene, "run1", &[dataset("iris", Some("training")), dataset("iris_test", Some("eval"))])?;
    record::logged_model_created(writer, scene, "m-1", Some(("run1", Trust::Observed)))?;
    let source =
        VersionSource { logged_model: Some(("m-1", Trust::Observed)), run: Some(("run1", Trust::Claimed)), version: None };
    record::version_registered(writer, scene, "rm_1", 1, &source)
}

#[test]
fn the_way_back_leads_to_code_data_and_author() {
    on_both_engines(|world| async move {
        world.record(a_training).await;
        let graph = world.show("1").await.unwrap();
        assert_eq!(
            (graph.subject.name.as_str(), graph.subject.version, graph.subject.aliases.as_slice()),
            ("churn", 1, &["best".to_owned()][..])
        );
        assert_eq!(graph.nodes.first().map(|node| node.id.clone()), Some(graph.subject.node.clone()));
        assert_eq!(graph.author().unwrap().label.as_deref(), Some("ann"));
        let code: Vec<_> = graph.uses(NodeKind::Code).iter().map(|(edge, node)| (node.name.clone(), edge.trust)).collect();
        assert_eq!(code.len(), 3);
        assert!(code.iter().all(|(_, trust)| *trust == Trust::Claimed));
        let data = graph.uses(NodeKind::Dataset);
        let uses: Vec<_> = data.iter().map(|(edge, node)| (node.name.as_str(), Use::of_context(&edge.detail))).collect();
        assert!(uses.contains(&("iris@d1", Use::Training)) && uses.contains(&("iris_test@d1", Use::Testing)), "{uses:?}");
        let text = graph.to_text();
        for part in [
            "churn version 1 @best",
            "made by ann [observed]",
            "made from logged model m-1 [observed]",
            "started by ann [observed]",
            "ran git commit abc123 [claimed]",
            "ran entry point train.py [claimed]",
            "ran code sha256 ff00 [claimed]",
            "read training data iris (digest d1) [claimed]",
            "read testing data iris_test (digest d1) [claimed]",
            "author:        ann",
            "training data: iris (digest d1) [claimed]",
            "test data:     iris_test (digest d1) [claimed]",
        ] {
            assert!(text.contains(part), "`{part}` is missing in\n{text}");
        }
        assert!(!text.contains("mallory"), "who the client says it is does not count");
    });
}

#[test]
fn claims_and_observations() {
    on_both_engines(|world| async move {
        world.record(a_training).await;
        let graph = world.show("1").await.unwrap();
        let trust_of = |to: NodeKind, from: NodeKind| -> Vec<Trust> {
            graph
                .edges
                .iter()
                .filter(|edge| graph.node(&edge.to).unwrap().kind == to && graph.node(&edge.from).unwrap().kind == from)
                .map(|edge| edge.trust)
                .collect()
        };
        assert_eq!(trust_of(NodeKind::Person, NodeKind::Run), [Trust::Observed]);
        assert_eq!(trust_of(NodeKind::Run, NodeKind::LoggedModel), [Trust::Observed]);
        assert_eq!(trust_of(NodeKind::Run, NodeKind::ModelVersion), [], "the claim says what was seen of the logged model");
        assert_eq!(trust_of(NodeKind::Dataset, NodeKind::Run), [Trust::Claimed; 2]);
        assert!(graph.edges.iter().all(|edge| edge.entry.len() == 32), "each edge names its audit entry");
    });
}

#[test]
fn a_claim_is_shown_only_where_it_says_something_else() {
    on_both_engines(|world| async move {
        world
            .record(|writer, scene| {
                a_training(writer, scene)?;
                // The client names another run than the one that the logged model came out of.
                let source = VersionSource {
                    logged_model: Some(("m-1", Trust::Observed)),
                    run: Some(("run2", Trust::Claimed)),
                    version: None,
                };
                record::version_registered(writer, scene, "rm_1", 2, &source)?;
                // The very same, claimed first and seen later.
                for trust in [Trust::Claimed, Trust::Observed] {
                    let source = VersionSource { run: Some(("run1", trust)), ..VersionSource::default() };
                    record::version_registered(writer, scene, "rm_1", 3, &source)?;
                }
                Ok(())
            })
            .await;
        let text = world.show("1").await.unwrap().to_text();
        assert_eq!(text.matches("came out of run run1").count(), 1, "{text}");
        let text = world.show("2").await.unwrap().to_text();
        assert!(text.contains("came out of run run2 [claimed]") && text.contains("came out of run run1 [observed]"), "{text}");
        let text = world.show("3").await.unwrap().to_text();
        assert!(text.contains("came out of run run1 [observed]") && !text.contains("run run1 [claimed]"), "{text}");
    });
}

#[test]
fn the_same_fact_twice_is_one_edge() {
    on_both_engines(|world| async move {
        world.record(a_training).await;
        let once = world.show("1").await.unwrap();
        world.record(a_training).await;
        assert_eq!(world.show("1").await.unwrap(), once);
    });
}

#[test]
fn cycles_and_long_ways_end() {
    on_both_engines(|world| async move {
        world
            .record(|writer, scene| {
                // 1 is made from 2, 2 from 3, 3 from 1; and a chain of a hundred runs hangs on 3.
                for (version, from) in [(1, 2), (2, 3), (3, 1)] {
                    let source = VersionSource { version: Some(("rm_1", from)), ..VersionSource::default() };
                    record::version_registered(writer, scene, "rm_1", version, &source)?;
                }
                let source = VersionSource { run: Some(("r0", Trust::Claimed)), ..VersionSource::default() };
                record::version_registered(writer, scene, "rm_1", 3, &source)?;
                for at in 0..100 {
                    let (run, model, earlier) = (format!("r{at}"), format!("m-{at}"), format!("r{}", at + 1));
                    record::run_model_inputs(writer, scene, &run, &[&model])?;
                    record::run_outputs(writer, scene, &earlier, &[&model], Trust::Claimed)?;
                }
                Ok(())
            })
            .await;
        let graph = world.show("1").await.unwrap();
        assert!(graph.truncated && graph.nodes.len() < 60, "{}", graph.nodes.len());
        assert!(graph.edges.iter().all(|edge| graph.node(&edge.to).is_some()));
        assert!(graph.to_text().contains("larger than the limit"));
    });
}

#[test]
fn a_stranger_to_the_graph_is_empty_but_there() {
    on_both_engines(|world| async move {
        let graph = world.show("2").await.unwrap();
        assert!(graph.nodes.is_empty() && graph.edges.is_empty() && graph.author().is_none());
        assert!(graph.to_text().contains("author:        unknown"));
        for missing in ["9", "@none"] {
            assert!(world.show(missing).await.is_err_and(|problem| problem.kind() == Kind::NotFound), "{missing}");
        }
    });
}

#[test]
fn texts_cannot_steer_a_terminal() {
    on_both_engines(|world| async move {
        world
            .record(|writer, scene| {
                record::run_created(writer, scene, "run1")?;
                record::run_inputs(writer, scene, "run1", &[dataset("a\u{1b}[31m\n\u{202e}b", Some("training\u{7}"))])?;
                record::run_tags(writer, scene, "run1", [("mlflow.source.name", "x".repeat(10_000).as_str())])?;
                let source = VersionSource { run: Some(("run1", Trust::Observed)), ..VersionSource::default() };
                record::version_registered(writer, scene, "rm_1", 1, &source)
            })
            .await;
        let text = world.show("1").await.unwrap().to_text();
        assert!(text.contains("a[31mb") && !text.contains(['\u{1b}', '\u{202e}', '\u{7}']), "{text}");
        assert!(text.lines().all(|line| line.chars().count() < 400));
    });
}
