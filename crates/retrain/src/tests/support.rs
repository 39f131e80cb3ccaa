//! A room over a fresh database behind an open gate, with a stand-in for whatever runs jobs.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use artifacts::{Artifacts, Owner, Place, WriteArtifact};
use bytes::Bytes;
use futures_util::stream;
use gate::{BoxFuture, Facts, Operation, Target};
use identity::{Identity, IdentityConfig};
use kernel::{FakeClock, Kind, Problem};
use lineage::Trust;
use lineage::record::{self, Scene};
use parking_lot::Mutex;
use registry::Registry;
use registry::ops::{CreateModel, CreateVersion};
use testkit::gate::{TEST_CALLER, TEST_WORKSPACE};
use testkit::{Engine, TestGate};
use tracking::Tracking;
use vault::db::{Bind, Db, Opened, PortDb};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Body, Objects};

use crate::ops::{ListJobs, ShowJob, SnapshotCode, SubmitJob, Wish};
use crate::{
    DataSpec, Errand, Execute, ExecuteError, Executor, Finished, Job, JobLog, RETRAINER, Retrain, RetrainConfig, Rooms, Runner,
};

/// The run that made the version.
pub(super) const RUN: &str = "run1";
/// The model.
pub(super) const MODEL: &str = "churn";
/// The data set's version.
pub(super) const DATA_ID: &str = "dv1";

/// What the stand-in does with a job.
#[derive(Clone, Debug, Default)]
pub(super) struct Plan {
    pub(super) reads_data: bool,
    pub(super) models: Vec<&'static str>,
    pub(super) fault: Option<&'static str>,
    pub(super) waits_for_cancel: bool,
}

/// A stand-in for an executor: it does what a test tells it.
pub(super) struct Double {
    pub(super) plan: Mutex<Plan>,
    pub(super) words: Mutex<Vec<Vec<String>>>,
    pub(super) abandoned: AtomicBool,
    db: Db,
    gate: Arc<TestGate>,
}

impl Execute for Double {
    fn execute<'a>(
        &'a self,
        errand: &'a Errand,
        log: &'a JobLog,
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<Finished, ExecuteError>> {
        Box::pin(async move {
            let plan = self.plan.lock().clone();
            self.words.lock().push(errand.words.clone());
            log.add(format!("has {}", errand.token.expose_text().unwrap()).as_bytes());
            if plan.waits_for_cancel {
                cancelled.await;
                return Err(ExecuteError::Cancelled);
            }
            let (db, run) = (self.db.clone(), errand.run_id.clone());
            let act = move |permit: gate::Permit<_>| async move {
                let scene = Scene::of(&permit)?;
                let work = move |writer: &mut vault::db::Writer<'_>| {
                    if plan.reads_data {
                        record::data_read(writer, &scene, "d", 1, Some((&run, Trust::Observed)), "training")?;
                    }
                    for name in plan.models {
                        let id = format!("m-{}", kernel::random_id());
                        writer.execute(
                            "INSERT INTO logged_model (model_id, experiment_id, name, source_run_id, status, artifact_uri, owner, deleted,
                                 created_at, updated_at) VALUES ($1, 1, $2, $3, 'READY', $4, $5, 0, 1, 1)",
                            &[
                                Bind::Text(&id),
                                Bind::Text(name),
                                Bind::Text(&run),
                                Bind::Text(&format!("mlflow-artifacts:/1/models/{id}/artifacts")),
                                Bind::Text(TEST_CALLER),
                            ],
                        )?;
                    }
                    Ok(((), gate::Outcome::done()))
                };
                db.write(&permit, work).await
            };
            self.gate.permit_for(Target::Workspace, act).await.unwrap();
            let fault = self.plan.lock().fault.map(str::to_owned);
            Ok(Finished { exit_code: Some(i64::from(fault.is_some())), fault, confinement: Some("{}".to_owned()) })
        })
    }

    fn abandon<'a>(&'a self, _job_id: &'a str) -> BoxFuture<'a, ()> {
        self.abandoned.store(true, Ordering::SeqCst);
        Box::pin(std::future::ready(()))
    }
}

/// One engine under test.
pub(super) struct World {
    _folder: tempfile::TempDir,
    pub(super) opened: Opened,
    pub(super) artifacts: Artifacts,
    pub(super) room: Retrain,
    pub(super) gate: Arc<TestGate>,
    pub(super) double: Arc<Double>,
    pub(super) rooms: Rooms,
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
pub(super) fn on_both_engines<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    testkit::on_both_engines("retrain", async |engine| body(World::open(engine).await).await);
}

impl World {
    async fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = Arc::new(testkit::open_gate());
        let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let objects = Objects::local(&engine.folder.path().join("objects"), keys).unwrap();
        let artifacts = Artifacts::new(opened.db.clone(), objects);
        let config = RetrainConfig { python: Some("/usr/bin/python3".into()), ..RetrainConfig::default() };
        let room = Retrain::new(opened.db.clone(), opened.system.clone(), artifacts.clone(), config);
        let ports = opened.ports.clone();
        gate.set_facts_of(move |target| facts(&ports, target));
        let double = Arc::new(Double {
            plan: Mutex::default(),
            words: Mutex::default(),
            abandoned: AtomicBool::new(false),
            db: opened.db.clone(),
            gate: Arc::clone(&gate),
        });
        let rooms = Rooms {
            identity: Identity::new(opened.db.clone(), IdentityConfig::default()).unwrap(),
            tracking: Tracking::new(opened.db.clone()),
            registry: Registry::new(opened.db.clone()),
        };
        let world = Self { _folder: engine.folder, opened, artifacts, room, gate, double, rooms };
        world.fill().await;
        world
    }

    async fn fill(&self) {
        for sql in [
            "INSERT INTO workspace (id, name, created_at, created_by) VALUES ($1, 'default', 0, 'x')",
            "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at)
             VALUES ($1, 'e', 'mlflow-artifacts:/1', 0, 'o', 1, 1)",
            "INSERT INTO data_set (dataset_id, workspace, name, last_number, created_at, created_by) VALUES ('ds1', $1, 'd', 1, 1, 'x')",
            "INSERT INTO data_version (version_id, dataset_id, workspace, number, state, committer, opened_at, file_count, size_bytes,
                 roles, is_personal, is_special, is_health, is_financial) VALUES ('dv1', 'ds1', $1, 1, 'admitted', 'x', 1, 1, 1, '{}', 0, 0, 0, 0)",
        ] {
            self.sql(sql, TEST_WORKSPACE).await;
        }
        self.sql("INSERT INTO principal (id, kind, name, owner, created_at) VALUES ($1, 'user', 'tester', '', 1)", TEST_CALLER)
            .await;
        let run = "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted,
                       metric_seq) VALUES ($1, 1, 'r', 'u', 'o', 'FINISHED', 1, 'mlflow-artifacts:/1/run1/artifacts', 0, 0)";
        self.sql(run, RUN).await;
        let param = "INSERT INTO param (run_row, key, value) SELECT run_row, 'depth', '3' FROM run WHERE run_id = $1";
        self.sql(param, RUN).await;
        self.put("code/train.py", b"print()").await;
        self.put("code/requirements.txt", b"scikit-learn").await;
        self.put("model/MLmodel", b"flavors: {}").await;
        let create =
            CreateModel { room: self.rooms.registry.clone(), name: MODEL.to_owned(), description: None, tags: Vec::new() };
        self.call(create).await.unwrap();
        let create = CreateVersion {
            room: self.rooms.registry.clone(),
            name: MODEL.to_owned(),
            source: "runs:/run1/model".to_owned(),
            run_id: Some(RUN.to_owned()),
            run_link: None,
            description: None,
            tags: Vec::new(),
            logged_model_id: None,
        };
        self.call(create).await.unwrap();
    }

    pub(super) async fn sql(&self, sql: &'static str, bind: &str) {
        let bind = bind.to_owned();
        self.opened.system.write(move |writer| Ok(writer.execute(sql, &[Bind::Text(&bind)])?)).await.unwrap();
    }

    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.clock.advance_secs(1);
        self.gate.call(operation).await
    }

    /// Puts a file among the run's artifacts.
    pub(super) async fn put(&self, path: &str, bytes: &[u8]) {
        self.write(Owner::Run(RUN.to_owned()), path, bytes).await.unwrap();
    }

    /// Writes a file wherever it is, with no job's token.
    pub(super) async fn write(&self, owner: Owner, path: &str, bytes: &[u8]) -> Result<(), Problem> {
        let place = Place::of(owner, Some(path)).unwrap();
        let body: Body = Box::pin(stream::iter([Ok(Bytes::copy_from_slice(bytes))]));
        self.call(WriteArtifact { room: self.artifacts.clone(), place, body, size_hint_bytes: None }).await.map(drop)
    }

    /// Asks for the version to be trained again.
    pub(super) async fn submit(&self, entry: &str, request: Option<&str>) -> Result<Job, Problem> {
        let snapshot = SnapshotCode { room: self.room.clone(), run_id: RUN.to_owned(), path: "code".to_owned() };
        let wish = Wish {
            snapshot: self.call(snapshot).await?,
            data: DataSpec {
                dataset: "d".to_owned(),
                version: 1,
                version_id: DATA_ID.to_owned(),
                manifest_sha256: "00".repeat(32),
            },
            entry: Some(entry.to_owned()),
            parameters: BTreeMap::new(),
            experiment_id: None,
            executor: None,
            request: request.map(str::to_owned),
        };
        self.call(SubmitJob { room: self.room.clone(), name: MODEL.to_owned(), version: "1".to_owned(), wish }).await
    }

    pub(super) fn runner(&self) -> Runner {
        let execute: Arc<dyn Execute> = Arc::clone(&self.double) as _;
        let identity = (self.gate.gate.clone(), self.gate.job_key.pass(RETRAINER));
        let clock = Arc::new(self.gate.clock.clone());
        Runner::new(self.room.clone(), self.rooms.clone(), identity, clock, (Executor::Local, execute))
    }

    pub(super) async fn job(&self, id: &str) -> Job {
        self.call(ShowJob { room: self.room.clone(), name: MODEL.to_owned(), job: id.to_owned() }).await.unwrap()
    }

    pub(super) async fn jobs(&self) -> Vec<Job> {
        self.call(ListJobs { room: self.room.clone(), after: None, rows: None }).await.unwrap().rows
    }

    /// A number that a query gives.
    pub(super) async fn count(&self, sql: &'static str) -> i64 {
        self.opened.system.read(move |reader| Ok(reader.query_one(sql, &[], |row| row.int(0))?)).await.unwrap().unwrap()
    }
}

fn facts(ports: &PortDb, target: &Target) -> Facts {
    let here = Facts { exists: true, workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    let (ports, wanted) = (ports.clone(), target.clone());
    let look = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let read = ports.read_point(move |reader| {
            Ok(match &wanted {
                Target::Run(_) | Target::Experiment(_) => tracking::locate(reader, TEST_WORKSPACE, &wanted)?,
                _ => registry::locate(reader, TEST_WORKSPACE, &wanted)?,
            })
        });
        runtime.block_on(read).unwrap()
    };
    match target {
        Target::Run(_)
        | Target::Experiment(_)
        | Target::RegisteredModel(_)
        | Target::ModelVersion(..)
        | Target::LoggedModel(_) => std::thread::spawn(look).join().unwrap().unwrap_or(Facts { exists: false, ..here }),
        _ => here,
    }
}

/// That `result` is a problem of this kind whose text holds `part`.
#[track_caller]
pub(super) fn refused<T>(result: Result<T, Problem>, kind: Kind, part: &str) {
    match result {
        Ok(_) => panic!("it was not refused; expected: {part}"),
        Err(problem) => {
            assert_eq!(problem.kind(), kind, "{problem}");
            assert!(problem.message().contains(part), "`{problem}` does not contain `{part}`");
        }
    }
}
