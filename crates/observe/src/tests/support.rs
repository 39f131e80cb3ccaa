//! A room over a fresh database behind an open gate, with one endpoint.

use std::sync::Arc;

use gate::{BoxFuture, Facts, Operation, Target};
use kernel::{Clock, FakeClock, Problem};
use parking_lot::Mutex;
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use vault::db::{Bind, Opened};
use vault::keys::{KeyFile, Keyring};
use vault::objects::Objects;
use watch::{CallerClass, Column, Observer, Probabilities, Sample, Values, Verdict};

use crate::ops::{GetAlert, SearchAlerts};
use crate::{
    Alert, AlertmanagerConfig, Collector, Gauges, MailReceiverConfig, News, Observe, ObserveConfig, Post, WATCHER, Watcher,
};

/// The status of a receiver that takes a message and never answers.
pub(super) const SILENT: u16 = 0;
/// The status of one that cannot be reached.
pub(super) const GONE: u16 = 1;

/// What was sent, and what is answered.
#[derive(Default)]
pub(super) struct Outside {
    pub(super) sent: Mutex<Vec<(String, String, String)>>,
    pub(super) mailed: Mutex<Vec<(String, String, String)>>,
    pub(super) status: Mutex<u16>,
}

impl Post for Outside {
    fn post<'a>(
        &'a self,
        target: &'a str,
        path: &'a str,
        _: Vec<(&'static str, String)>,
        body: Vec<u8>,
    ) -> BoxFuture<'a, Result<u16, Problem>> {
        Box::pin(async move {
            self.sent.lock().push((target.to_owned(), path.to_owned(), String::from_utf8(body).unwrap()));
            let status = *self.status.lock();
            match status {
                SILENT => std::future::pending().await,
                GONE => Err(Problem::unavailable("the receiver did not answer in time")),
                status => Ok(status),
            }
        })
    }

    fn mail<'a>(&'a self, target: &'a str, id: &'a str, alert: &'a Alert, news: News) -> BoxFuture<'a, Result<(), Problem>> {
        Box::pin(async move {
            self.mailed.lock().push((target.to_owned(), id.to_owned(), format!("{} {}", news.word(), alert.kind)));
            if matches!(*self.status.lock(), 200 | SILENT) { Ok(()) } else { Err(Problem::unavailable("the mailer is down")) }
        })
    }
}

struct Still;

impl Gauges for Still {
    fn measure(&self) -> Vec<(&'static str, f64)> {
        vec![("disk_free_share", 0.5)]
    }
}

pub(super) struct World {
    _folder: tempfile::TempDir,
    pub(super) opened: Opened,
    pub(super) room: Observe,
    pub(super) gate: TestGate,
    pub(super) outside: Arc<Outside>,
    /// What another room says of each endpoint: why it cannot answer.
    pub(super) obstacle: Arc<Mutex<Option<String>>>,
    watcher: Watcher,
    round: Mutex<u64>,
    state: Mutex<u64>,
}

impl World {
    pub(super) async fn new(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        gate.set_facts_of(|target| {
            let here = Facts { exists: true, workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
            match target {
                Target::Endpoint(name) => Facts { exists: name == "live", id: Some("e1".to_owned()), ..here },
                _ => here,
            }
        });
        let manager = AlertmanagerConfig { url: "http://a".to_owned(), ca: None, allow_insecure_http: true };
        let mails = vec![MailReceiverConfig { to: "on-call@example.com".to_owned() }];
        let config = ObserveConfig { alertmanagers: vec![manager], mails, ..ObserveConfig::default() };
        let root = KeyFile::create(&engine.folder.path().join("root.key")).unwrap();
        let keys = Keyring::open(opened.system.clone(), Arc::new(root), Arc::new(FakeClock::default())).await.unwrap();
        let objects = Objects::local(&engine.folder.path().join("objects"), keys).unwrap();
        let obstacle = Arc::new(Mutex::new(None::<String>));
        let asked = Arc::clone(&obstacle);
        let room = Observe::new((opened.db.clone(), opened.system.clone()), objects, Arc::new(Collector::default()), config)
            .with_obstacles(Arc::new(move |_, _| Ok(asked.lock().clone())));
        let outside = Arc::new(Outside { status: Mutex::new(200), ..Outside::default() });
        let identity = (gate.gate.clone(), gate.job_key.pass(WATCHER));
        let clock: Arc<dyn Clock> = Arc::new(gate.clock.clone());
        let post: Arc<dyn Post> = Arc::clone(&outside) as _;
        let watcher = Watcher::new(room.clone(), identity, clock, Arc::new(Still), post).unwrap();
        let (round, state) = (Mutex::new(0), Mutex::new(3));
        let world = Self { _folder: engine.folder, opened, room, gate, outside, obstacle, watcher, round, state };
        world.sql("INSERT INTO registered_model (model_id, workspace_id, name, owner, prompt, next_version, created_at, updated_at) VALUES ('m', $1, 'churn', 'o', 0, 3, 0, 0)", &[TEST_WORKSPACE]).await;
        world.sql("INSERT INTO endpoint (endpoint_id, workspace, name, model_id, choice, created_at, created_by, changed_at, changed_by) VALUES ('e1', $1, 'live', 'm', '@champion', 0, 'o', 0, 'o')", &[TEST_WORKSPACE]).await;
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

    fn even(&self) -> f64 {
        let mut state = self.state.lock();
        *state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (*state >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// A minute of requests to `version`, whose numbers are shifted; then the clock moves on.
    pub(super) fn minute(&self, version: &str, rows: usize, shift: f64, verdict: Verdict) {
        self.asked("caller", version, rows, shift, verdict);
        self.later(1);
    }

    /// Requests of `caller` at this moment.
    pub(super) fn asked(&self, caller: &str, version: &str, rows: usize, shift: f64, verdict: Verdict) {
        let at_us = self.gate.clock.now().0;
        let values: Vec<f64> = (0..rows).map(|_| self.even() + shift).collect();
        let chances: Vec<f64> = values.iter().flat_map(|_| [0.9, 0.1]).collect();
        let predicted = vec![0; rows];
        let columns = [Column { name: "x", values: Values::F64(&values), first: 0, stride: 1 }];
        let classes = ["no".to_owned(), "yes".to_owned()];
        let prediction = format!("p-{at_us}");
        self.room.collector().sample(&Sample {
            at_us,
            workspace: TEST_WORKSPACE,
            endpoint: "e1",
            version,
            prediction: Some(&prediction),
            caller,
            caller_class: CallerClass::Service,
            row_count: rows,
            latency_us: 900,
            verdict,
            columns: &columns,
            classes: &classes,
            predicted: Some(Values::I64(&predicted)),
            predicts_classes: true,
            probabilities: Some(Probabilities { values: Values::F64(&chances), width: 2 }),
        });
    }

    pub(super) fn later(&self, minutes: i64) {
        self.gate.clock.advance_secs(60 * minutes);
    }

    pub(super) async fn round(&self) {
        self.look().await;
        for target in self.room.receivers() {
            self.send(&target).await;
        }
    }

    pub(super) async fn look(&self) {
        let round = {
            let mut round = self.round.lock();
            *round += 1;
            *round
        };
        self.watcher.look(round).await.unwrap();
    }

    pub(super) async fn send(&self, target: &str) {
        self.watcher.send(target).await.unwrap();
    }

    pub(super) async fn alerts(&self) -> Vec<Alert> {
        let search = SearchAlerts::all(self.room.clone());
        self.call(search).await.unwrap().rows
    }

    pub(super) async fn found(&self, id: &str) -> crate::ops::FoundAlert {
        self.call(GetAlert { room: self.room.clone(), id: id.to_owned() }).await.unwrap()
    }
}
