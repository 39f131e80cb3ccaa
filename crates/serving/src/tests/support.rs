//! A room over a fresh database, with registered models that are admitted or not.

use std::sync::Arc;

use admission::{Admission, AdmissionConfig, BUILT_IN_POLICY, Ground, Receipt, Receipts};
use artifacts::{Artifacts, Owner, Place, WriteArtifact};
use data::VerdictPolicy;
use futures_util::stream;
use gate::{BoxFuture, Facts, Operation, Target};
use kernel::{FakeClock, Kind, Problem};
use registry::Registry;
use registry::ops::{CreateModel, CreateVersion};
use runtime::{Batch, Values};
use testkit::gate::{TEST_CALLER, TEST_WORKSPACE};
use testkit::{Engine, TestGate};
use vault::db::{Bind, Opened, PortDb};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Body, Objects};

use crate::ops::{CreateEndpoint, Predict};
use crate::{Endpoint, Prediction, Runtime, Serving, ServingConfig};

const RUN: &str = "run1";
pub(super) const MODEL: &str = "churn";
pub(super) const ENDPOINT: &str = "churn-live";
/// A model of LightGBM that says one number whatever it is asked.
pub(super) const LEAF: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nobjective=regression\n\
    feature_names=a\n\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=LEAF\n\nend of trees\n";

/// One engine under test.
pub(super) struct World {
    _folder: tempfile::TempDir,
    opened: Opened,
    artifacts: Artifacts,
    registry: Registry,
    pub(super) room: Serving,
    pub(super) gate: TestGate,
}

struct NoLog;

impl Receipts for NoLog {
    fn receipt(&self, _entry: String) -> BoxFuture<'_, Result<Receipt, Problem>> {
        Box::pin(async { Err(Problem::unavailable("there is no log here")) })
    }
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
pub(super) fn on_both_engines<F: Future<Output = ()>>(config: ServingConfig, body: impl Fn(World) -> F) {
    testkit::on_both_engines("serving", async |engine| body(World::open(engine, config.clone()).await).await);
}

impl World {
    async fn open(engine: Engine, config: ServingConfig) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let objects = Objects::local(&engine.folder.path().join("objects"), keys).unwrap();
        let artifacts = Artifacts::new(opened.db.clone(), objects.clone());
        let clock: Arc<dyn kernel::Clock> = Arc::new(gate.clock.clone());
        let ground = Ground {
            db: opened.db.clone(),
            system: opened.system.clone(),
            objects,
            artifacts: artifacts.clone(),
            clock: Arc::clone(&clock),
            receipts: Arc::new(NoLog),
        };
        let admission = Admission::new(ground, AdmissionConfig::default(), VerdictPolicy::parse(BUILT_IN_POLICY).unwrap());
        let registry = Registry::new(opened.db.clone()).with_admission(Arc::new(admission.clone()));
        let room = Serving::new(opened.db.clone(), admission, artifacts.clone(), clock, config);
        let ports = opened.ports.clone();
        gate.set_facts_of(move |target| facts(&ports, target));
        let world = Self { _folder: engine.folder, opened, artifacts, registry, room, gate };
        world
            .sql("INSERT INTO workspace (id, name, created_at, created_by) VALUES ($1, 'default', 0, 'x')", &[TEST_WORKSPACE])
            .await;
        let experiment = "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at)
                          VALUES ($1, 'e', 'mlflow-artifacts:/1', 0, 'o', 1, 1)";
        world.sql(experiment, &[TEST_WORKSPACE]).await;
        let run = "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted,
                       metric_seq) VALUES ($1, 1, 'r', 'u', 'o', 'RUNNING', 1, 'mlflow-artifacts:/1/run1/artifacts', 0, 0)";
        world.sql(run, &[RUN]).await;
        let create = CreateModel { room: world.registry.clone(), name: MODEL.to_owned(), description: None, tags: Vec::new() };
        world.call(create).await.unwrap();
        world
    }

    pub(super) async fn sql(&self, sql: &'static str, binds: &[&str]) {
        let binds: Vec<String> = binds.iter().map(|bind| (*bind).to_owned()).collect();
        let run = move |writer: &mut vault::db::Writer<'_>| {
            let binds: Vec<Bind<'_>> = binds.iter().map(Bind::from).collect();
            Ok(writer.execute(sql, &binds)?)
        };
        self.opened.system.write(run).await.unwrap();
    }

    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.gate.call(self.gate.attempt(), operation).await
    }

    /// Registers a model that always says `value`; gives its number.
    pub(super) async fn registered(&self, value: u32) -> i64 {
        self.registered_as(value, LEAF).await
    }

    async fn registered_as(&self, value: u32, text: &str) -> i64 {
        let folder = format!("model{value}");
        self.put(&format!("{folder}/model.lgb"), text.replace("LEAF", &value.to_string()).as_bytes()).await;
        let create = CreateVersion {
            room: self.registry.clone(),
            name: MODEL.to_owned(),
            source: format!("runs:/{RUN}/{folder}"),
            run_id: None,
            run_link: None,
            description: None,
            tags: Vec::new(),
            logged_model_id: None,
        };
        self.call(create).await.unwrap().version
    }

    pub(super) async fn put(&self, path: &str, bytes: &[u8]) {
        let place = Place::of(Owner::Run(RUN.to_owned()), Some(path)).unwrap();
        let body: Body = Box::pin(stream::iter([Ok(bytes::Bytes::copy_from_slice(bytes))]));
        self.call(WriteArtifact { room: self.artifacts.clone(), place, body, size_hint_bytes: None }).await.unwrap();
    }

    /// As an inspection leaves it that found nothing: the digest is that of the files as they lie there.
    pub(super) async fn admitted(&self, value: u32) -> i64 {
        self.admitted_as(value, LEAF).await
    }

    /// The same with a file of this text.
    pub(super) async fn admitted_as(&self, value: u32, text: &str) -> i64 {
        let number = self.registered_as(value, text).await;
        let place = Place::of(Owner::Run(RUN.to_owned()), Some(&format!("model{value}"))).unwrap();
        let manifest = self.opened.system.read(move |reader| artifacts::manifest_below(reader, &place)).await.unwrap();
        let write = move |writer: &mut vault::db::Writer<'_>| {
            let sql = "UPDATE model_standing SET state = 'admitted', manifest_sha256 = $1 WHERE version = $2";
            Ok(writer.execute(sql, &[Bind::Bytes(&manifest.digest), number.into()])?)
        };
        self.opened.system.write(write).await.unwrap();
        number
    }

    /// Whoever asks in these tests, as an account of this name.
    pub(super) async fn account(&self, name: &'static str) {
        let sql = "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ($1, 'user', $2, $1, 0)";
        let write = move |writer: &mut vault::db::Writer<'_>| Ok(writer.execute(sql, &[TEST_CALLER.into(), name.into()])?);
        self.opened.system.write(write).await.unwrap();
    }

    pub(super) async fn alias(&self, number: i64) {
        let sql = "INSERT INTO registered_model_alias (model_id, alias, version)
                   SELECT model_id, 'champion', CAST($1 AS BIGINT) FROM registered_model WHERE 1 = 1
                   ON CONFLICT (model_id, alias) DO UPDATE SET version = excluded.version";
        let write = move |writer: &mut vault::db::Writer<'_>| Ok(writer.execute(sql, &[number.into()])?);
        self.opened.system.write(write).await.unwrap();
    }

    pub(super) async fn endpoint(&self, choice: &str) -> Result<Endpoint, Problem> {
        self.endpoint_named(ENDPOINT, choice).await
    }

    pub(super) async fn endpoint_named(&self, name: &str, choice: &str) -> Result<Endpoint, Problem> {
        let (name, model) = (name.to_owned(), MODEL.to_owned());
        self.call(CreateEndpoint { room: self.room.clone(), name, model, choice: choice.to_owned(), runtime: Runtime::Native })
            .await
    }

    pub(super) async fn ask(&self, rows: usize) -> Result<Prediction, Problem> {
        let batch = Batch::matrix(rows, 1, Values::F64(vec![0.0; rows])).unwrap();
        let (room, endpoint) = (self.room.clone(), ENDPOINT.to_owned());
        self.call(Predict { room, endpoint, version: None, routing_key: None, batch, subject: None }).await
    }

    /// What it says of one row.
    pub(super) async fn said(&self) -> f64 {
        match self.ask(1).await.unwrap().outputs.value().unwrap().values() {
            Values::F64(values) => values[0],
            other => panic!("{other:?}"),
        }
    }
}

fn facts(ports: &PortDb, target: &Target) -> Facts {
    let here = Facts { exists: true, workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    let (ports, wanted) = (ports.clone(), target.clone());
    match target {
        Target::Run(id) => return Facts { experiment: Some(1), id: Some(id.clone()), ..here },
        Target::RegisteredModel(_) | Target::ModelVersion(..) | Target::Endpoint(_) => {}
        _ => return here,
    }
    let look = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let find = ports.read_point(move |reader| {
            Ok(match &wanted {
                Target::Endpoint(_) => crate::locate(reader, TEST_WORKSPACE, &wanted)?,
                _ => registry::locate(reader, TEST_WORKSPACE, &wanted)?,
            })
        });
        runtime.block_on(find).unwrap()
    };
    std::thread::spawn(look).join().unwrap().unwrap_or(Facts { exists: false, ..here })
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
