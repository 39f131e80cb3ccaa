//! A room over a fresh database, behind an open gate whose caller a test chooses.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::{Attempt, BoxFuture, DataState, Operation};
use inspection::{
    CleanCount, ContractJob, ContractReading, ContractTable, Finding, FindingKind, GuardedRow, InspectionError, InspectionReport,
    JobSpec, Progress, QueryJob, QueryReport, ReadRequest, Screen, ScreenState, Summary, Taken,
};
use kernel::{FakeClock, Kind, Problem, Secret};
use parking_lot::Mutex;
use testkit::TestGate;
use testkit::gate::TEST_WORKSPACE;
use vault::db::{Bind, Location, Opened};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Body, Objects};

use crate::ops::*;
use crate::{CommitWish, Data, DataConfig, Inspect, Query, ReadBytes, Runner, TakeFiles, VerdictPolicy};

/// One engine under test.
pub(super) struct World {
    pub(super) folder: tempfile::TempDir,
    pub(super) opened: Opened,
    pub(super) room: Data,
    pub(super) gate: TestGate,
    pub(super) worker: Arc<Double>,
    pub(super) asked: Arc<Asked>,
}

/// A stand-in for the worker: it reads every byte that it is given, and finds what a test tells it.
#[derive(Default)]
pub(super) struct Double {
    /// What it finds.
    pub(super) finds: Mutex<Vec<&'static FindingKind>>,
    /// How many rows it counts; 7 if no test says otherwise.
    pub(super) rows: Mutex<Option<u64>>,
    /// What stands in the poisoning section.
    pub(super) suspects: Mutex<Option<serde_json::Value>>,
    /// The rows that are guarded from then on.
    pub(super) guarded: Mutex<Vec<GuardedRow>>,
    /// What classes.
    pub(super) classes: Mutex<Vec<&'static str>>,
    /// The jobs that it was given.
    pub(super) jobs: Mutex<Vec<JobSpec>>,
    /// It never ends by itself.
    pub(super) hangs: AtomicBool,
    /// It ends without a report.
    pub(super) dies: AtomicBool,
}

impl Inspect for Double {
    fn inspect<'a>(
        &'a self,
        job: &'a JobSpec,
        read: &'a ReadBytes<'a>,
        progress: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<InspectionReport, InspectionError>> {
        Box::pin(async move {
            self.jobs.lock().push(job.clone());
            progress(Progress::Stage { stage: "reading".to_owned(), done: 1, of: Some(2) });
            if self.hangs.load(Ordering::SeqCst) {
                cancelled.await;
                return Err(InspectionError::Cancelled);
            }
            if self.dies.load(Ordering::SeqCst) {
                return Err(InspectionError::Died("killed by a test".to_owned()));
            }
            for (file, spec) in job.files.iter().enumerate().filter(|(_, spec)| spec.size_bytes > 0) {
                let length = u32::try_from(spec.size_bytes).unwrap();
                let bytes = read(ReadRequest { file, offset: 0, length }).await.map_err(InspectionError::Source)?;
                assert_eq!(kernel::hex(&kernel::sha256(&bytes)), spec.sha256);
            }
            Ok(self.report(job))
        })
    }

    fn contract<'a>(&'a self, job: &'a ContractJob) -> BoxFuture<'a, Result<ContractReading, InspectionError>> {
        let name = format!("{} before", job.in_force.as_deref().unwrap_or("none"));
        let tables = vec![ContractTable { name, ..ContractTable::default() }];
        Box::pin(async { Ok(ContractReading { tables, ..ContractReading::default() }) })
    }

    /// Leaves lines out: a row is a line of a file, and every file is one.
    fn clean<'a>(
        &'a self,
        job: &'a JobSpec,
        read: &'a ReadBytes<'a>,
        take: &'a TakeFiles<'a>,
        _: &'a (dyn Fn(Progress) + Send + Sync),
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<CleanCount, InspectionError>> {
        Box::pin(async move {
            self.jobs.lock().push(job.clone());
            if self.hangs.load(Ordering::SeqCst) {
                cancelled.await;
                return Err(InspectionError::Cancelled);
            }
            let rows = job.clean.clone().unwrap().rows;
            let gone = |row: u64| rows.iter().any(|(first, last)| (*first..=*last).contains(&row));
            let mut row = 0;
            for (file, spec) in job.files.iter().enumerate() {
                let length = u32::try_from(spec.size_bytes).unwrap();
                let bytes = read(ReadRequest { file, offset: 0, length }).await.map_err(InspectionError::Source)?;
                let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
                let numbers = row..row + lines.len() as u64;
                row = numbers.end;
                if !numbers.clone().any(gone) {
                    take(Taken::Keep(file)).await.map_err(InspectionError::Store)?;
                    continue;
                }
                take(Taken::Begin(file)).await.map_err(InspectionError::Store)?;
                for (_, line) in numbers.zip(lines).filter(|(row, _)| !gone(*row)) {
                    take(Taken::Bytes(Bytes::copy_from_slice(line))).await.map_err(InspectionError::Store)?;
                    if self.dies.load(Ordering::SeqCst) {
                        return Err(InspectionError::Died("killed by a test".to_owned()));
                    }
                }
                take(Taken::End).await.map_err(InspectionError::Store)?;
            }
            let removed_count = rows.iter().map(|(first, last)| last - first + 1).sum();
            Ok(CleanCount { row_count: row, removed_count })
        })
    }
}

impl Double {
    fn report(&self, job: &JobSpec) -> InspectionReport {
        let classes = self.classes.lock().iter().map(|class| (*class).to_owned()).collect();
        let mut report = InspectionReport::of_job(job, "double");
        report.screens = Screen::WORKER.into_iter().map(|screen| (screen, ScreenState::Ran)).collect();
        report.summary = Summary { row_count: self.rows.lock().unwrap_or(7), column_count: 3, classes, ..Summary::default() };
        report.profile = inspection::Section::of(&serde_json::json!({"columns": 3})).ok();
        report.guarded = inspection::Section::of(&*self.guarded.lock()).ok();
        report.poisoning = self.suspects.lock().as_ref().and_then(|value| inspection::Section::of(value).ok());
        report.add_findings(self.finds.lock().iter().map(|kind| Finding::new(kind, "as a test says")));
        report
    }
}

/// A stand-in for the worker that runs SQL: it reads every byte that it is given, and answers what a test tells it.
#[derive(Default)]
pub(super) struct Asked {
    /// The jobs that it was given.
    pub(super) jobs: Mutex<Vec<QueryJob>>,
    /// What it answers; nothing if it dies.
    pub(super) answer: Mutex<Option<QueryReport>>,
}

impl Query for Asked {
    fn query<'a>(
        &'a self,
        job: &'a QueryJob,
        read: &'a ReadBytes<'a>,
        _progress: &'a (dyn Fn(Progress) + Send + Sync),
        _cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<QueryReport, InspectionError>> {
        Box::pin(async move {
            self.jobs.lock().push(job.clone());
            for (file, spec) in job.tables.iter().flat_map(|table| &table.files).enumerate() {
                let length = u32::try_from(spec.size_bytes).unwrap();
                let bytes = read(ReadRequest { file, offset: 0, length }).await.map_err(InspectionError::Source)?;
                assert_eq!(kernel::hex(&kernel::sha256(&bytes)), spec.sha256);
            }
            self.answer.lock().clone().ok_or_else(|| InspectionError::Failed("a test says so".to_owned()))
        })
    }
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
pub(super) fn on_both_engines<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let file = Location::Sqlite(folder.path().join("test.db"));
    runtime.block_on(async { body(World::open(&file, folder, DataConfig::default()).await).await });
    if let Some(url) = testkit::fresh_postgres("data") {
        let location = Location::Postgres { url: Secret::from(url), ca: None };
        let folder = tempfile::tempdir().unwrap();
        runtime.block_on(async { body(World::open(&location, folder, DataConfig::default()).await).await });
    }
}

impl World {
    pub(super) async fn open(location: &Location, folder: tempfile::TempDir, config: DataConfig) -> Self {
        let opened = vault::db::open(location).unwrap();
        let root = KeyFile::create(&folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let objects = Objects::local(&folder.path().join("objects"), keys).unwrap();
        let policy = VerdictPolicy::open(None).unwrap();
        let asked = Arc::new(Asked::default());
        let room = Data::new(opened.db.clone(), opened.system.clone(), objects, config, policy, Some(Arc::clone(&asked) as _));
        let worker = Arc::new(Double::default());
        let room = room.with_inspector(Arc::clone(&worker) as _);
        let gate = testkit::open_gate();
        let (ports, clock) = (opened.ports.clone(), gate.clock.clone());
        gate.set_facts_of(move |target| facts(&ports, &clock, target));
        let world = Self { folder, opened, room, gate, worker, asked };
        let sql =
            "INSERT INTO workspace (id, name, created_at, created_by) VALUES ($1, 'default', 0, 'x') ON CONFLICT DO NOTHING";
        world.sql(sql, TEST_WORKSPACE).await;
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

    /// As somebody else than the test's user: a job is a caller like any other here.
    pub(super) async fn call_as<O: Operation>(&self, who: &'static str, operation: O) -> Result<O::Output, Problem> {
        self.gate.clock.advance_secs(1);
        self.gate.gate.call(Attempt::of_job(self.gate.job_key.pass(who)), operation).await
    }

    pub(super) async fn opened_version(&self, dataset: &str) -> Result<String, Problem> {
        Ok(self.call(OpenVersion { room: self.room.clone(), dataset: dataset.to_owned() }).await?.version_id)
    }

    pub(super) fn put(&self, dataset: &str, version: &str, path: &str, bytes: &[u8]) -> PutFile {
        PutFile {
            room: self.room.clone(),
            dataset: dataset.to_owned(),
            version: version.to_owned(),
            path: path.to_owned(),
            body: body(bytes),
            size_hint_bytes: Some(bytes.len() as u64),
        }
    }

    pub(super) fn commit(&self, dataset: &str, version: &str, wish: CommitWish) -> Commit {
        Commit { room: self.room.clone(), dataset: dataset.to_owned(), version: version.to_owned(), wish }
    }

    /// A version with these files, committed.
    pub(super) async fn committed(&self, dataset: &str, files: &[(&str, &[u8])], wish: CommitWish) -> Committed {
        let id = self.opened_version(dataset).await.unwrap();
        for (path, bytes) in files {
            self.call(self.put(dataset, &id, path, bytes)).await.unwrap();
        }
        self.call(self.commit(dataset, &id, wish)).await.unwrap()
    }

    pub(super) fn runner(&self) -> Runner {
        let worker: Arc<dyn Inspect> = Arc::clone(&self.worker) as _;
        Runner::new(self.room.clone(), self.gate.gate.clone(), self.gate.job_key.pass(crate::INSPECTOR), worker)
    }

    /// Does what is queued.
    pub(super) async fn inspected(&self) -> Ended {
        self.runner().step().await.unwrap().unwrap()
    }

    pub(super) async fn shown(&self, dataset: &str, version: &str) -> Shown {
        let (dataset, version) = (dataset.to_owned(), version.to_owned());
        self.call(ShowVersion { room: self.room.clone(), dataset, version }).await.unwrap()
    }

    pub(super) async fn state(&self, dataset: &str, version: &str) -> DataState {
        self.shown(dataset, version).await.version.state
    }

    pub(super) fn read(&self, dataset: &str, version: &str, path: &str) -> ReadFile {
        ReadFile {
            room: self.room.clone(),
            dataset: dataset.to_owned(),
            version: version.to_owned(),
            path: path.to_owned(),
            wanted: crate::Wanted::Whole,
            run: None,
        }
    }
}

fn facts(ports: &vault::db::PortDb, clock: &FakeClock, target: &gate::Target) -> gate::Facts {
    use kernel::Clock;
    let now = clock.now();
    let (ports, target) = (ports.clone(), target.clone());
    let find = async move {
        let wanted = target.clone();
        let found = ports.read_point(move |reader| Ok(crate::locate(reader, TEST_WORKSPACE, &wanted, now)?)).await.unwrap();
        let workspace = Some(TEST_WORKSPACE.to_owned());
        match target {
            gate::Target::Dataset(_) | gate::Target::DatasetVersion(..) => {
                found.unwrap_or(gate::Facts { workspace, ..gate::Facts::default() })
            }
            _ => gate::Facts { exists: true, workspace, ..gate::Facts::default() },
        }
    };
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(find))
}

pub(super) fn body(bytes: &[u8]) -> Body {
    let pieces: Vec<_> = bytes.chunks(7).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    Box::pin(stream::iter(pieces))
}

pub(super) async fn whole(mut body: Body) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(bytes) = body.next().await {
        all.extend_from_slice(&bytes.unwrap());
    }
    all
}

/// What a committer says who says all that can be said.
pub(super) fn told() -> CommitWish {
    CommitWish {
        source_uri: Some("https://data.example/churn.csv".to_owned()),
        licence: Some("CC-BY-4.0".to_owned()),
        data_owner: Some("example".to_owned()),
        purpose: Some("churn".to_owned()),
        ..CommitWish::default()
    }
}

/// The kind of the problem that something failed with.
pub(super) fn kind<T>(result: Result<T, Problem>) -> Kind {
    match result {
        Ok(_) => Kind::Internal,
        Err(problem) => problem.kind(),
    }
}
