//! What logging costs a request of one row with 20 columns: the verb `endpoints.predict` through an open gate, with each policy.
//! `cargo run --release -p predictions --example bench_log [requests]`
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a bench stops at the first fault")]

use std::sync::Arc;
use std::time::Instant;

use admission::{Admission, AdmissionConfig, BUILT_IN_POLICY, Receipt, Receipts};
use artifacts::{Artifacts, Owner, Place, WriteArtifact};
use data::VerdictPolicy;
use futures_util::stream;
use gate::{BoxFuture, Facts, Target};
use kernel::{FakeClock, Problem};
use predictions::ops::SetPolicy;
use predictions::{Ground, LogPolicy, Predictions, PredictionsConfig, Runner, SEALER};
use registry::Registry;
use registry::ops::{CreateModel, CreateVersion};
use serving::ops::{CreateEndpoint, Predict};
use serving::{Batch, Serving, ServingConfig, Values};
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use vault::db::{Bind, Opened, PortDb, Writer};
use vault::keys::{KeyFile, Keyring};
use vault::objects::{Body, Objects};

const COLUMN_COUNT: usize = 20;
const ROUND_COUNT: usize = 5;

struct NoLog;

impl Receipts for NoLog {
    fn receipt(&self, _entry: String) -> BoxFuture<'_, Result<Receipt, Problem>> {
        Box::pin(async { Err(Problem::unavailable("there is no log here")) })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() {
    let requests: usize = std::env::args().nth(1).map_or(20_000, |text| text.parse().expect("a number of requests"));
    let engine = Engine::sqlite();
    let gate = testkit::open_gate();
    let opened = vault::db::open(&engine.location).unwrap();
    let (serving, room) = furnished(&engine, &opened, &gate).await;
    let names: Vec<String> = (0..COLUMN_COUNT).map(|column| format!("f{column}")).collect();
    let batch = Batch::columns(names.into_iter().map(|name| (name, Values::F64(vec![0.123_456_789]))).collect()).unwrap();
    let ways = [
        ("off", LogPolicy::Off, None),
        ("hashes", LogPolicy::Hashes, None),
        ("values", LogPolicy::Values, None),
        ("values of a subject", LogPolicy::Values, Some("customer-17")),
    ];
    let runner = Runner::new(room.clone(), gate.gate.clone(), gate.job_key.pass(SEALER));
    let mut best = [f64::INFINITY; 4];
    for _ in 0..ROUND_COUNT {
        for ((_, log, subject), best) in ways.iter().zip(&mut best) {
            let set = SetPolicy { room: room.clone(), endpoint: "e".to_owned(), log: Some(*log) };
            gate.call(set).await.unwrap();
            let begun = Instant::now();
            for _ in 0..requests {
                let (room, endpoint, batch) = (serving.clone(), "e".to_owned(), batch.clone());
                let predict =
                    Predict { room, endpoint, version: None, routing_key: None, batch, subject: subject.map(str::to_owned) };
                gate.call(predict).await.unwrap();
            }
            let each_ns = begun.elapsed().as_secs_f64() * 1e9 / requests as f64;
            *best = best.min(each_ns);
            gate.records.lock().clear();
            let begun = Instant::now();
            if runner.step().await.unwrap() > 0 {
                eprintln!("sealed {requests} predictions in {:.0} ms", begun.elapsed().as_secs_f64() * 1e3);
            }
        }
    }
    let [off, ..] = best;
    for ((name, ..), each_ns) in ways.iter().zip(best) {
        println!("{name:<20} {each_ns:>8.0} ns a request, {:>6.0} ns for the log", each_ns - off);
    }
}

/// An endpoint `e` over an admitted model, with a log.
async fn furnished(engine: &Engine, opened: &Opened, gate: &TestGate) -> (Serving, Predictions) {
    let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
    let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
    let objects = Objects::local(&engine.folder.path().join("objects"), keys).unwrap();
    let artifacts = Artifacts::new(opened.db.clone(), objects.clone());
    let (clock, receipts): (Arc<dyn kernel::Clock>, Arc<dyn Receipts>) = (Arc::new(gate.clock.clone()), Arc::new(NoLog));
    let ground = admission::Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        objects: objects.clone(),
        artifacts: artifacts.clone(),
        clock: Arc::clone(&clock),
        receipts: Arc::clone(&receipts),
    };
    let admission = Admission::new(ground, AdmissionConfig::default(), VerdictPolicy::parse(BUILT_IN_POLICY).unwrap());
    let ports = opened.ports.clone();
    gate.set_facts_of(move |target| facts(&ports, target));
    let ground = Ground {
        db: opened.db.clone(),
        system: opened.system.clone(),
        objects,
        clock: Arc::clone(&clock),
        receipts,
        queries: None,
        query_limits: (60, 1 << 30),
    };
    let room = Predictions::open(ground, &engine.folder.path().join("journal"), PredictionsConfig::default()).await.unwrap();
    let config = ServingConfig { requests_per_second: u32::MAX / 60, requests_at_once: u32::MAX, ..ServingConfig::default() };
    let log = Some(Arc::new(room.clone()) as _);
    let serving = Serving::logged(opened.db.clone(), admission.clone(), artifacts.clone(), clock, config, log);
    register(opened, gate, &admission, &artifacts).await;
    let create = CreateEndpoint {
        room: serving.clone(),
        name: "e".to_owned(),
        model: "m".to_owned(),
        choice: "1".to_owned(),
        runtime: serving::Runtime::Native,
    };
    gate.call(create).await.unwrap();
    (serving, room)
}

async fn register(opened: &Opened, gate: &TestGate, admission: &Admission, artifacts: &Artifacts) {
    let rows = |writer: &mut Writer<'_>| {
        let workspace = "INSERT INTO workspace (id, name, created_at, created_by) VALUES ($1, 'default', 0, 'x')";
        writer.execute(workspace, &[TEST_WORKSPACE.into()])?;
        let experiment = "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at)
                          VALUES ($1, 'e', 'mlflow-artifacts:/1', 0, 'o', 1, 1)";
        writer.execute(experiment, &[TEST_WORKSPACE.into()])?;
        let run = "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted,
                       metric_seq) VALUES ('r', 1, 'r', 'u', 'o', 'RUNNING', 1, 'mlflow-artifacts:/1/r/artifacts', 0, 0)";
        Ok(writer.execute(run, &[])?)
    };
    opened.system.write(rows).await.unwrap();
    let names: Vec<String> = (0..COLUMN_COUNT).map(|column| format!("f{column}")).collect();
    let model = format!(
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx={}\nobjective=regression\nfeature_names={}\n\n\
         Tree=0\nnum_leaves=1\nnum_cat=0\nleaf_value=5\n\nend of trees\n",
        COLUMN_COUNT - 1,
        names.join(" ")
    );
    let registry = Registry::new(opened.db.clone()).with_admission(Arc::new(admission.clone()));
    let create = CreateModel { room: registry.clone(), name: "m".to_owned(), description: None, tags: Vec::new() };
    gate.call(create).await.unwrap();
    let place = Place::of(Owner::Run("r".to_owned()), Some("model/model.lgb")).unwrap();
    let body: Body = Box::pin(stream::iter([Ok(bytes::Bytes::from(model))]));
    gate.call(WriteArtifact { room: artifacts.clone(), place, body, size_hint_bytes: None }).await.unwrap();
    let create = CreateVersion {
        room: registry,
        name: "m".to_owned(),
        source: "runs:/r/model".to_owned(),
        run_id: Some("r".to_owned()),
        run_link: None,
        description: None,
        tags: Vec::new(),
        logged_model_id: None,
    };
    gate.call(create).await.unwrap();
    let place = Place::of(Owner::Run("r".to_owned()), Some("model")).unwrap();
    let manifest = opened.system.read(move |reader| artifacts::manifest_below(reader, &place)).await.unwrap();
    let admit = move |writer: &mut Writer<'_>| {
        let sql = "UPDATE model_standing SET state = 'admitted', manifest_sha256 = $1";
        Ok(writer.execute(sql, &[Bind::Bytes(&manifest.digest)])?)
    };
    opened.system.write(admit).await.unwrap();
}

/// The endpoint is looked up once: what is measured is the log, not the look-up.
fn facts(ports: &PortDb, target: &Target) -> Facts {
    static ENDPOINT: std::sync::OnceLock<Facts> = std::sync::OnceLock::new();
    let here = Facts { exists: true, workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    let look = || {
        let (ports, wanted) = (ports.clone(), target.clone());
        let find = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let found = ports.read_point(move |reader| {
                Ok(match &wanted {
                    Target::Endpoint(_) => serving::locate(reader, TEST_WORKSPACE, &wanted)?,
                    _ => registry::locate(reader, TEST_WORKSPACE, &wanted)?,
                })
            });
            runtime.block_on(found).unwrap()
        };
        std::thread::spawn(find).join().unwrap().unwrap_or(Facts { exists: false, ..here.clone() })
    };
    match target {
        Target::Run(id) => Facts { experiment: Some(1), id: Some(id.clone()), ..here },
        Target::RegisteredModel(_) | Target::ModelVersion(..) => look(),
        Target::Endpoint(_) => ENDPOINT.get_or_init(look).clone(),
        _ => here,
    }
}
