//! An endpoint over an admitted model of LightGBM that always says 5, its log, and its sealer.

use std::path::PathBuf;
use std::sync::Arc;

use admission::{Admission, AdmissionConfig, BUILT_IN_POLICY, Receipt, Receipts};
use artifacts::{Artifacts, Owner, Place, WriteArtifact};
use audit::checkpoint::Checkpoint;
use audit::merkle::leaf_hash;
use audit::note::{KIND_ED25519, NoteSigner};
use audit::proof::TlogProof;
use data::{Query, ReadBytes, VerdictPolicy};
use futures_util::stream;
use gate::{BoxFuture, Facts, Operation, Target};
use inspection::{InspectionError, Progress, QueryJob, QueryReport, QueryRows, ReadRequest, Section};
use kernel::{FakeClock, Kind, Problem, Secret, hex};
use parking_lot::Mutex;
use registry::Registry;
use registry::ops::{CreateModel, CreateVersion};
use serving::ops::{CreateEndpoint, Predict};
use serving::{Prediction, Serving, ServingConfig, Values};
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use vault::db::{Bind, Opened, PortDb, SystemDb, Writer};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Body, Objects};

use crate::ops::{FindPrediction, SetPolicy, ShowPrediction, Shown};
use crate::{Found, Ground, LogPolicy, Predictions, PredictionsConfig, Runner, SEALER};

pub(super) const ENDPOINT: &str = "churn-live";
const MODEL: &str = "churn";
const RUN: &str = "run1";
const LEAF: &str = "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=0\nobjective=regression\n\
    feature_names=age\n\nTree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=5\n\nend of trees\n";

/// One engine under test.
pub(super) struct World {
    engine: Engine,
    opened: Opened,
    objects: Objects,
    artifacts: Artifacts,
    admission: Admission,
    config: PredictionsConfig,
    pub(super) log: Arc<Mutex<Vec<u8>>>,
    pub(super) gate: TestGate,
    pub(super) room: Predictions,
    pub(super) serving: Serving,
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
pub(super) fn on_both_engines<F: Future<Output = ()>>(config: PredictionsConfig, body: impl Fn(World) -> F) {
    testkit::on_both_engines("predictions", async |engine| body(World::open(engine, config.clone()).await).await);
}

impl World {
    async fn open(engine: Engine, config: PredictionsConfig) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let objects = Objects::local(&engine.folder.path().join("objects"), keys).unwrap();
        let artifacts = Artifacts::new(opened.db.clone(), objects.clone());
        let ground = admission::Ground {
            db: opened.db.clone(),
            system: opened.system.clone(),
            objects: objects.clone(),
            artifacts: artifacts.clone(),
            clock: Arc::new(gate.clock.clone()),
            receipts: Arc::new(Signed(opened.system.clone())),
        };
        let admission = Admission::new(ground, AdmissionConfig::default(), VerdictPolicy::parse(BUILT_IN_POLICY).unwrap());
        let ports = opened.ports.clone();
        gate.set_facts_of(move |target| facts(&ports, target));
        let log = Arc::new(Mutex::new(Vec::new()));
        let folder = engine.folder.path().join("journal");
        let room = room(&opened, &objects, &gate, &log, &folder, &config).await;
        let serving = served(&opened, &admission, &artifacts, &gate, &room);
        let world = Self { engine, opened, objects, artifacts, admission, config, log, gate, room, serving };
        world.furnish().await;
        world
    }

    /// A model that is registered and admitted, and an endpoint over it.
    async fn furnish(&self) {
        let workspace = "INSERT INTO workspace (id, name, created_at, created_by) VALUES ($1, 'default', 0, 'x')";
        self.sql(workspace, &[TEST_WORKSPACE]).await;
        let experiment = "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at)
                          VALUES ($1, 'e', 'mlflow-artifacts:/1', 0, 'o', 1, 1)";
        self.sql(experiment, &[TEST_WORKSPACE]).await;
        let run = "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted,
                       metric_seq) VALUES ($1, 1, 'r', 'u', 'o', 'RUNNING', 1, 'mlflow-artifacts:/1/run1/artifacts', 0, 0)";
        self.sql(run, &[RUN]).await;
        let registry = Registry::new(self.opened.db.clone()).with_admission(Arc::new(self.admission.clone()));
        let create = CreateModel { room: registry.clone(), name: MODEL.to_owned(), description: None, tags: Vec::new() };
        self.call(create).await.unwrap();
        let place = Place::of(Owner::Run(RUN.to_owned()), Some("model/model.lgb")).unwrap();
        let body: Body = Box::pin(stream::iter([Ok(bytes::Bytes::from_static(LEAF.as_bytes()))]));
        self.call(WriteArtifact { room: self.artifacts.clone(), place, body, size_hint_bytes: None }).await.unwrap();
        let create = CreateVersion {
            room: registry,
            name: MODEL.to_owned(),
            source: format!("runs:/{RUN}/model"),
            run_id: Some(RUN.to_owned()),
            run_link: None,
            description: None,
            tags: Vec::new(),
            logged_model_id: None,
        };
        self.call(create).await.unwrap();
        let place = Place::of(Owner::Run(RUN.to_owned()), Some("model")).unwrap();
        let manifest = self.opened.system.read(move |reader| artifacts::manifest_below(reader, &place)).await.unwrap();
        let admit = move |writer: &mut Writer<'_>| {
            let sql = "UPDATE model_standing SET state = 'admitted', manifest_sha256 = $1";
            Ok(writer.execute(sql, &[Bind::Bytes(&manifest.digest)])?)
        };
        self.opened.system.write(admit).await.unwrap();
        let room = self.serving.clone();
        let (name, model, choice) = (ENDPOINT.to_owned(), MODEL.to_owned(), "1".to_owned());
        self.call(CreateEndpoint { room, name, model, choice, runtime: serving::Runtime::Native }).await.unwrap();
    }

    pub(super) async fn sql(&self, sql: &'static str, binds: &[&str]) {
        let binds: Vec<String> = binds.iter().map(|bind| (*bind).to_owned()).collect();
        let run = move |writer: &mut Writer<'_>| {
            let binds: Vec<Bind<'_>> = binds.iter().map(Bind::from).collect();
            Ok(writer.execute(sql, &binds)?)
        };
        self.opened.system.write(run).await.unwrap();
    }

    pub(super) fn system(&self) -> &SystemDb {
        &self.opened.system
    }

    pub(super) fn db(&self) -> vault::db::Db {
        self.opened.db.clone()
    }

    pub(super) fn journal_folder(&self) -> PathBuf {
        self.engine.folder.path().join("journal")
    }

    /// As a process does that was killed and started again: nothing is told to end.
    pub(super) async fn restart(&mut self) {
        let folder = self.journal_folder();
        self.room = room(&self.opened, &self.objects, &self.gate, &self.log, &folder, &self.config).await;
        self.serving = served(&self.opened, &self.admission, &self.artifacts, &self.gate, &self.room);
    }

    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.gate.call(self.gate.attempt(), operation).await
    }

    /// Asks about people of these ages, a millisecond after what was asked before.
    pub(super) async fn ask(&self, ages: &[f64], subject: Option<&str>) -> Result<Prediction, Problem> {
        self.gate.clock.advance_secs(1);
        let batch = serving::Batch::columns(vec![("age".to_owned(), Values::F64(ages.to_vec()))]).unwrap();
        let (room, endpoint, subject) = (self.serving.clone(), ENDPOINT.to_owned(), subject.map(str::to_owned));
        self.call(Predict { room, endpoint, version: None, routing_key: None, batch, subject }).await
    }

    /// Asks, and gives the prediction's id.
    pub(super) async fn asked(&self, age: f64, subject: Option<&str>) -> String {
        self.ask(&[age], subject).await.unwrap().id
    }

    pub(super) async fn keep(&self, log: Option<LogPolicy>) {
        self.call(SetPolicy { room: self.room.clone(), endpoint: ENDPOINT.to_owned(), log }).await.unwrap();
    }

    /// Seals what waits; gives how many batches.
    pub(super) async fn seal(&self) -> usize {
        let pass = self.gate.job_key.pass(SEALER);
        Runner::new(self.room.clone(), self.gate.gate.clone(), pass).step().await.unwrap()
    }

    pub(super) async fn show(&self, id: &str) -> Result<Shown, Problem> {
        self.call(ShowPrediction { room: self.room.clone(), id: id.to_owned() }).await
    }

    pub(super) async fn find(&self, id: &str) -> Result<Found, Problem> {
        self.call(FindPrediction { room: self.room.clone(), id: id.to_owned() }).await
    }
}

async fn room(
    opened: &Opened,
    objects: &Objects,
    gate: &TestGate,
    log: &Arc<Mutex<Vec<u8>>>,
    folder: &std::path::Path,
    config: &PredictionsConfig,
) -> Predictions {
    let ground = Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        objects: objects.clone(),
        clock: Arc::new(gate.clock.clone()),
        receipts: Arc::new(Signed(opened.system.clone())),
        queries: Some(Arc::new(Reads(Arc::clone(log)))),
        query_limits: (60, 1 << 30),
    };
    Predictions::open(ground, folder, config.clone()).await.unwrap()
}

fn served(opened: &Opened, admission: &Admission, artifacts: &Artifacts, gate: &TestGate, room: &Predictions) -> Serving {
    let clock = Arc::new(gate.clock.clone());
    let (config, log) = (ServingConfig::default(), Some(Arc::new(room.clone()) as _));
    Serving::logged(opened.db.clone(), admission.clone(), artifacts.clone(), clock, config, log)
}

/// The signer of the log of one record that [`Signed`] gives receipts of.
pub(super) fn signer() -> NoteSigner {
    NoteSigner::new("test.example/audit", KIND_ED25519, &Secret::new(vec![1; 32])).unwrap()
}

/// A log that holds the record of one sealing, as the batch's row says it was.
struct Signed(SystemDb);

impl Receipts for Signed {
    fn receipt(&self, entry: String) -> BoxFuture<'_, Result<Receipt, Problem>> {
        Box::pin(async move {
            let wanted = entry.clone();
            let sql = "SELECT root, request_count FROM prediction_batch WHERE entry = $1";
            let row = self
                .0
                .read(move |reader| Ok(reader.query_one(sql, &[(&wanted).into()], |row| Ok((row.bytes(0)?, row.int(1)?)))?));
            let (root, requests) = row.await?.ok_or_else(|| Problem::not_found("no such entry"))?;
            let record = format!(
                r#"{{"action":"predictions.seal","at":1,"caller":{{"id":"sealer","kind":"job"}},"details":{{"requests":{requests},"root":"{}"}},"id":"{entry}","kind":"outcome","status":"done","target":"workspace","v":1,"workspace":"{TEST_WORKSPACE}"}}"#,
                hex(&root)
            );
            let signer = signer();
            let checkpoint = Checkpoint { origin: "test.example/audit".to_owned(), size: 1, root: leaf_hash(record.as_bytes()) };
            let proof = TlogProof { index: 0, path: Vec::new(), checkpoint: checkpoint.sign(&signer).to_string() };
            Ok(Receipt { record: record.into_bytes(), proof: proof.to_string(), log_key: String::new() })
        })
    }
}

/// A worker that keeps what it was given to read.
struct Reads(Arc<Mutex<Vec<u8>>>);

impl Query for Reads {
    fn query<'a>(
        &'a self,
        job: &'a QueryJob,
        read: &'a ReadBytes<'a>,
        _progress: &'a (dyn Fn(Progress) + Send + Sync),
        _cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<QueryReport, InspectionError>> {
        Box::pin(async move {
            let length = u32::try_from(job.tables[0].files[0].size_bytes).unwrap();
            let bytes = read(ReadRequest { file: 0, offset: 0, length }).await.unwrap();
            *self.0.lock() = bytes.to_vec();
            let rows = Section::of(&Vec::<()>::new()).unwrap();
            let rows = Some(QueryRows { columns: Vec::new(), row_count: 0, truncated: false, rows });
            Ok(QueryReport { rows, ..QueryReport::default() })
        })
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
                Target::Endpoint(_) => serving::locate(reader, TEST_WORKSPACE, &wanted)?,
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
