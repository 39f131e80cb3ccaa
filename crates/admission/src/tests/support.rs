//! A room over a fresh database, with the registry and the artifacts that it works with, behind an open gate.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use artifacts::{Artifacts, DeleteArtifacts, Owner, Place, WriteArtifact};
use bytes::Bytes;
use data::{Inspect, ReadBytes, TakeFiles, VerdictPolicy};
use futures_util::{StreamExt, stream};
use gate::{Attempt, BoxFuture, Facts, Operation, Target};
use inspection::{
    CleanCount, Finding, FindingKind, InspectionError, InspectionReport, JobSpec, Progress, ReadRequest, Screen, ScreenState,
    SubjectKind,
};
use kernel::{FakeClock, Kind, Problem};
use parking_lot::Mutex;
use registry::Registry;
use registry::ops::{CreateModel, CreateVersion, GetDownloadUri, GetVersion, SetAlias, TransitionStage};
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use vault::db::{Bind, Opened, PortDb};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Body, Objects};

use crate::ops::{Ended, ShowStanding, Shown};
use crate::{Admission, AdmissionConfig, BUILT_IN_POLICY, Ground, Receipt, Receipts, Runner};

/// The run whose artifacts the tests register.
pub(super) const RUN: &str = "run1";
/// The model.
pub(super) const MODEL: &str = "churn";

/// One engine under test.
pub(super) struct World {
    _folder: tempfile::TempDir,
    pub(super) opened: Opened,
    pub(super) artifacts: Artifacts,
    pub(super) registry: Registry,
    pub(super) room: Admission,
    pub(super) gate: TestGate,
    pub(super) worker: Arc<Double>,
}

/// A stand-in for the worker: it reads every byte that it is given, and finds what a test tells it.
#[derive(Default)]
pub(super) struct Double {
    pub(super) finds: Mutex<Vec<&'static FindingKind>>,
    pub(super) jobs: Mutex<Vec<JobSpec>>,
    pub(super) dies: AtomicBool,
    pub(super) rules: Mutex<Option<String>>,
    pub(super) guard: Mutex<Option<inspection::Section>>,
}

impl Inspect for Double {
    fn rules(&self) -> BoxFuture<'_, Result<Option<String>, InspectionError>> {
        let rules = self.rules.lock().clone();
        Box::pin(async move { Ok(rules) })
    }

    fn inspect<'a>(
        &'a self,
        job: &'a JobSpec,
        read: &'a ReadBytes<'a>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        _cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<InspectionReport, InspectionError>> {
        Box::pin(async move {
            assert_eq!(job.subject, SubjectKind::Model);
            self.jobs.lock().push(job.clone());
            progress(Progress::Stage { stage: "scanning".to_owned(), done: 1, of: Some(2) });
            if self.dies.load(Ordering::SeqCst) {
                return Err(InspectionError::Died("killed by a test".to_owned()));
            }
            for (file, spec) in job.files.iter().enumerate().filter(|(_, spec)| spec.size_bytes > 0) {
                let length = u32::try_from(spec.size_bytes).unwrap();
                let bytes = read(ReadRequest { file, offset: 0, length }).await.map_err(InspectionError::Source)?;
                assert_eq!(kernel::hex(&kernel::sha256(&bytes)), spec.sha256);
            }
            let mut report = InspectionReport::of_job(job, "double");
            report.screens.insert(Screen::File, ScreenState::Ran);
            report.guard_reference.clone_from(&self.guard.lock());
            report.add_findings(self.finds.lock().iter().map(|kind| Finding::new(kind, "as a test says")));
            Ok(report)
        })
    }

    fn clean<'a>(
        &'a self,
        _job: &'a JobSpec,
        _read: &'a ReadBytes<'a>,
        _take: &'a TakeFiles<'a>,
        _progress: &'a (dyn Fn(Progress) + Send + Sync),
        _cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<CleanCount, InspectionError>> {
        Box::pin(async { unreachable!("models have no rows") })
    }
}

/// A log whose records are their entries' names: whether a real receipt holds, the clients' tests show with a real log.
struct EchoLog;

impl Receipts for EchoLog {
    fn receipt(&self, entry: String) -> BoxFuture<'_, Result<Receipt, Problem>> {
        let proof = format!("receipt of {entry}");
        Box::pin(async move { Ok(Receipt { record: entry.into_bytes(), proof, log_key: "echo".to_owned() }) })
    }

    fn holds(&self, proof: &str, record: &[u8], log_key: &str) -> Result<String, String> {
        let expected = format!("receipt of {}", String::from_utf8_lossy(record));
        if log_key == "echo" && proof == expected {
            Ok("in the log `echo`".to_owned())
        } else {
            Err("another record's".to_owned())
        }
    }
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
pub(super) fn on_both_engines<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    testkit::on_both_engines("admission", async |engine| body(World::open(engine, AdmissionConfig::default()).await).await);
}

/// The same with another configuration.
pub(super) fn on_both_engines_with<F: Future<Output = ()>>(config: AdmissionConfig, body: impl Fn(World) -> F) {
    testkit::on_both_engines("admission", async |engine| body(World::open(engine, config.clone()).await).await);
}

impl World {
    async fn open(engine: Engine, config: AdmissionConfig) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let objects = Objects::local(&engine.folder.path().join("objects"), keys).unwrap();
        let artifacts = Artifacts::new(opened.db.clone(), objects.clone());
        let ground = Ground {
            db: opened.db.clone(),
            system: opened.system.clone(),
            objects,
            artifacts: artifacts.clone(),
            clock: Arc::new(gate.clock.clone()),
            receipts: Arc::new(EchoLog),
        };
        let room = Admission::new(ground, config, VerdictPolicy::parse(BUILT_IN_POLICY).unwrap());
        let registry = Registry::new(opened.db.clone()).with_admission(Arc::new(room.clone()));
        let ports = opened.ports.clone();
        gate.set_facts_of(move |target| facts(&ports, target));
        let world = Self { _folder: engine.folder, opened, artifacts, registry, room, gate, worker: Arc::default() };
        world
            .sql("INSERT INTO workspace (id, name, created_at, created_by) VALUES ($1, 'default', 0, 'x')", TEST_WORKSPACE)
            .await;
        let experiment = "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at)
                          VALUES ($1, 'e', 'mlflow-artifacts:/1', 0, 'o', 1, 1)";
        world.sql(experiment, TEST_WORKSPACE).await;
        let run = "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted,
                       metric_seq) VALUES ($1, 1, 'r', 'u', 'o', 'RUNNING', 1, 'mlflow-artifacts:/1/run1/artifacts', 0, 0)";
        world.sql(run, RUN).await;
        let create = CreateModel { room: world.registry.clone(), name: MODEL.to_owned(), description: None, tags: Vec::new() };
        world.call(create).await.unwrap();
        world
    }

    pub(super) async fn sql(&self, sql: &'static str, bind: &str) {
        let bind = bind.to_owned();
        self.opened.system.write(move |writer| Ok(writer.execute(sql, &[Bind::Text(&bind)])?)).await.unwrap();
    }

    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        // Each act is a second later than the one before it.
        self.gate.clock.advance_secs(1);
        self.gate.call(operation).await
    }

    /// As somebody else than who registers: a job is a caller like any other here.
    pub(super) async fn call_as<O: Operation>(&self, who: &'static str, operation: O) -> Result<O::Output, Problem> {
        self.gate.clock.advance_secs(1);
        self.gate.gate.call(Attempt::of_job(self.gate.job_key.pass(who)), operation).await
    }

    /// Puts a file among the run's artifacts.
    pub(super) async fn put(&self, path: &str, bytes: &[u8]) {
        let place = Place::of(Owner::Run(RUN.to_owned()), Some(path)).unwrap();
        let body: Body = Box::pin(stream::iter([Ok(Bytes::copy_from_slice(bytes))]));
        self.call(WriteArtifact { room: self.artifacts.clone(), place, body, size_hint_bytes: None }).await.unwrap();
    }

    pub(super) async fn delete(&self, path: &str) {
        let place = Place::of(Owner::Run(RUN.to_owned()), Some(path)).unwrap();
        self.call(DeleteArtifacts { room: self.artifacts.clone(), place }).await.unwrap();
    }

    /// Registers what lies at `source`; gives the version's number.
    pub(super) async fn register(&self, source: &str) -> i64 {
        let create = CreateVersion {
            room: self.registry.clone(),
            name: MODEL.to_owned(),
            source: source.to_owned(),
            run_id: None,
            run_link: None,
            description: None,
            tags: Vec::new(),
            logged_model_id: None,
        };
        self.call(create).await.unwrap().version
    }

    /// A model of two files, registered as version 1.
    pub(super) async fn registered(&self) -> i64 {
        self.put("model/MLmodel", b"flavors: {}").await;
        self.put("model/model.skops", b"0123456789").await;
        self.register("runs:/run1/model").await
    }

    pub(super) fn runner(&self) -> Runner {
        let worker: Arc<dyn Inspect> = Arc::clone(&self.worker) as _;
        Runner::new(self.room.clone(), self.gate.gate.clone(), self.gate.job_key.pass(data::INSPECTOR), worker)
    }

    /// Does what is queued.
    pub(super) async fn inspected(&self) -> Ended {
        self.runner().step().await.unwrap().unwrap()
    }

    pub(super) async fn shown(&self, version: i64) -> Shown {
        let show = ShowStanding { room: self.room.clone(), name: MODEL.to_owned(), version: version.to_string() };
        self.call(show).await.unwrap()
    }

    /// The status that MLflow's clients see, with its message.
    pub(super) async fn status(&self, version: i64) -> (String, String) {
        let get = GetVersion { room: self.registry.clone(), name: MODEL.to_owned(), version: version.to_string() };
        let found = self.call(get).await.unwrap();
        (found.status, found.status_message.unwrap_or_default())
    }

    pub(super) async fn alias(&self, version: i64) -> Result<(), Problem> {
        let (name, alias) = (MODEL.to_owned(), "champion".to_owned());
        self.call(SetAlias { room: self.registry.clone(), name, alias, version: version.to_string(), seen: None }).await
    }

    pub(super) async fn fetch(&self, version: i64) -> Result<String, Problem> {
        let (room, name) = (self.registry.clone(), MODEL.to_owned());
        self.call(GetDownloadUri { room, name, version: version.to_string() }).await
    }

    pub(super) async fn stage(&self, version: i64, stage: &str) -> Result<(), Problem> {
        let transition = TransitionStage {
            room: self.registry.clone(),
            name: MODEL.to_owned(),
            version: version.to_string(),
            stage: stage.to_owned(),
            archive_existing: false,
        };
        self.call(transition).await.map(drop)
    }
}

fn facts(ports: &PortDb, target: &Target) -> Facts {
    let here = Facts { exists: true, workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    let (ports, wanted) = (ports.clone(), target.clone());
    match target {
        Target::Run(id) => return Facts { experiment: Some(1), id: Some(id.clone()), ..here },
        Target::RegisteredModel(_) | Target::ModelVersion(..) => {}
        _ => return here,
    }
    let look = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ports.read_point(move |reader| Ok(registry::locate(reader, TEST_WORKSPACE, &wanted)?))).unwrap()
    };
    std::thread::spawn(look).join().unwrap().unwrap_or(Facts { exists: false, ..here })
}

pub(super) async fn whole(mut body: Body) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = body.next().await {
        all.extend_from_slice(&bytes.unwrap());
    }
    all
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
