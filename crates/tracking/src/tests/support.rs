//! A room over a fresh database, behind an open gate whose facts are the room's own.

use gate::{Facts, Operation, Target};
use kernel::{Kind, Problem};
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use vault::db::PortDb;

use crate::Tracking;
use crate::ops::{CreateExperiment, CreateRun, EnsureDefaultExperiment, GetRun};
use crate::types::{KeyValue, Run};

/// A room, its gate and its engine's name.
pub(super) struct World {
    pub(super) room: Tracking,
    pub(super) gate: TestGate,
    pub(super) engine: &'static str,
    _folder: tempfile::TempDir,
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
pub(super) fn on_both_engines<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    testkit::on_both_engines("tracking", async |engine| body(World::open(engine)).await);
}

impl World {
    fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let ports = opened.ports;
        gate.set_facts_of(move |target| facts(&ports, target));
        Self { room: Tracking::new(opened.db), gate, engine: engine.name, _folder: engine.folder }
    }

    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(operation).await
    }

    pub(super) async fn default_experiment(&self) {
        self.call(EnsureDefaultExperiment { room: self.room.clone() }).await.unwrap();
    }

    pub(super) async fn experiment(&self, name: &str) -> String {
        self.experiment_with(name, None, &[]).await.unwrap().to_string()
    }

    pub(super) async fn experiment_with(
        &self,
        name: &str,
        location: Option<&str>,
        tags: &[(&str, &str)],
    ) -> Result<i64, Problem> {
        self.call(CreateExperiment {
            room: self.room.clone(),
            name: name.to_owned(),
            artifact_location: location.map(str::to_owned),
            tags: pairs(tags),
        })
        .await
    }

    pub(super) async fn run(&self, experiment: &str) -> String {
        self.run_with(experiment, 1, &[]).await.info.run_id
    }

    pub(super) async fn run_with(&self, experiment: &str, start_time_ms: i64, tags: &[(&str, &str)]) -> Run {
        self.call(CreateRun {
            room: self.room.clone(),
            experiment_id: experiment.to_owned(),
            user_id: None,
            run_name: None,
            start_time_ms,
            tags: pairs(tags),
        })
        .await
        .unwrap()
    }

    pub(super) async fn get(&self, run_id: &str) -> Run {
        self.call(GetRun { room: self.room.clone(), run_id: run_id.to_owned() }).await.unwrap()
    }
}

pub(super) fn pairs(tags: &[(&str, &str)]) -> Vec<KeyValue> {
    tags.iter().map(|(key, value)| KeyValue::new(*key, *value)).collect()
}

pub(super) fn value_of<'a>(tags: &'a [KeyValue], key: &str) -> Option<&'a str> {
    tags.iter().find(|tag| tag.key == key).map(|tag| tag.value.as_str())
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

fn facts(ports: &PortDb, target: &Target) -> Facts {
    let in_workspace = Facts { workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    if *target == Target::Workspace {
        return Facts { exists: true, ..in_workspace };
    }
    let (ports, target) = (ports.clone(), target.clone());
    let look = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ports.read_point(move |reader| Ok(crate::locate(reader, TEST_WORKSPACE, &target)?))).unwrap()
    };
    std::thread::spawn(look).join().unwrap().unwrap_or(in_workspace)
}
