//! A room over a fresh database, behind an open gate.

use gate::{Facts, Operation, Target};
use kernel::{Kind, Problem};
use testkit::gate::{TEST_CALLER, TEST_WORKSPACE};
use testkit::{Engine, TestGate};
use vault::db::{Bind, PortDb, SystemDb};

use crate::Registry;
use crate::ops::{CreateLoggedModel, CreateModel, CreateVersion, GetLoggedModel, GetModel, GetVersion};
use crate::types::{KeyValue, LoggedModel, ModelVersion, RegisteredModel};

/// A room, its gate and its database.
pub(super) struct World {
    pub(super) room: Registry,
    pub(super) gate: TestGate,
    pub(super) system: SystemDb,
    _folder: tempfile::TempDir,
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
pub(super) fn on_both_engines<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    testkit::on_both_engines("registry", async |engine| body(World::open(engine).await).await);
}

impl World {
    async fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let ports = opened.ports;
        gate.set_facts_of(move |target| facts(&ports, target));
        let world = Self { room: Registry::new(opened.db), gate, system: opened.system, _folder: engine.folder };
        // Experiments 1 and 2 are this workspace's, 3 is another one's; each has a run of its name.
        for (id, workspace) in [(1, TEST_WORKSPACE), (2, TEST_WORKSPACE), (3, "ws-other")] {
            world.experiment(id, workspace).await;
        }
        world
    }

    async fn experiment(&self, id: i64, workspace: &'static str) {
        self.system
            .write(move |writer| {
                let name = format!("experiment {id}");
                let location = format!("mlflow-artifacts:/{id}");
                writer.execute(
                    "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at)
                     VALUES ($1, $2, $3, 0, 'o', 1, 1)",
                    &[Bind::from(workspace), Bind::from(&name), Bind::from(&location)],
                )?;
                let run_id = format!("run{id}");
                let uri = format!("{location}/{run_id}/artifacts");
                writer.execute(
                    "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted,
                        metric_seq) VALUES ($1, $2, $1, 'u', 'o', 'RUNNING', 1, $3, 0, 0)",
                    &[Bind::from(&run_id), Bind::from(id), Bind::from(&uri)],
                )?;
                Ok(())
            })
            .await
            .unwrap();
    }

    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        // Each act is a millisecond later than the one before it.
        self.gate.clock.advance_secs(1);
        self.gate.call(operation).await
    }

    pub(super) async fn model(&self, name: &str) -> RegisteredModel {
        self.model_with(name, &[]).await.unwrap()
    }

    pub(super) async fn model_with(&self, name: &str, tags: &[(&str, &str)]) -> Result<RegisteredModel, Problem> {
        self.call(CreateModel { room: self.room.clone(), name: name.to_owned(), description: None, tags: pairs(tags) }).await
    }

    pub(super) async fn get_model(&self, name: &str) -> Result<RegisteredModel, Problem> {
        self.call(GetModel { room: self.room.clone(), name: name.to_owned() }).await
    }

    pub(super) fn new_version(&self, name: &str, source: &str) -> CreateVersion {
        CreateVersion {
            room: self.room.clone(),
            name: name.to_owned(),
            source: source.to_owned(),
            run_id: None,
            run_link: None,
            description: None,
            tags: Vec::new(),
            logged_model_id: None,
        }
    }

    pub(super) async fn version(&self, name: &str, source: &str) -> Result<ModelVersion, Problem> {
        self.call(self.new_version(name, source)).await
    }

    pub(super) async fn get_version(&self, name: &str, version: &str) -> Result<ModelVersion, Problem> {
        self.call(GetVersion { room: self.room.clone(), name: name.to_owned(), version: version.to_owned() }).await
    }

    pub(super) fn new_logged(&self, experiment: &str) -> CreateLoggedModel {
        CreateLoggedModel {
            room: self.room.clone(),
            experiment_id: experiment.to_owned(),
            name: None,
            model_type: None,
            source_run_id: None,
            params: Vec::new(),
            tags: Vec::new(),
        }
    }

    pub(super) async fn logged(&self, experiment: &str) -> LoggedModel {
        self.call(self.new_logged(experiment)).await.unwrap()
    }

    pub(super) async fn get_logged(&self, model_id: &str) -> Result<LoggedModel, Problem> {
        self.call(GetLoggedModel { room: self.room.clone(), model_id: model_id.to_owned(), allow_deleted: false }).await
    }

    /// The edges of the lineage graph, as `from kind -relation-> to kind (trust)`, sorted.
    pub(super) async fn edges(&self) -> Vec<String> {
        self.system
            .read(|reader| {
                let mut all = reader.query(
                    "SELECT f.kind, e.relation, t.kind, t.name, e.trust FROM lineage_edge e
                     JOIN lineage_node f ON f.id = e.from_node JOIN lineage_node t ON t.id = e.to_node",
                    &[],
                    |row| {
                        let name = if row.text(2)? == "run" { row.text(3)? } else { String::new() };
                        Ok(format!("{} {} {} {name} {}", row.text(0)?, row.text(1)?, row.text(2)?, row.text(4)?))
                    },
                )?;
                all.sort();
                Ok(all)
            })
            .await
            .unwrap()
    }
}

fn facts(ports: &PortDb, target: &Target) -> Facts {
    let in_workspace = Facts { workspace: Some(TEST_WORKSPACE.to_owned()), ..Facts::default() };
    match target {
        Target::Workspace => return Facts { exists: true, ..in_workspace },
        Target::Experiment(id) if matches!(id.as_str(), "1" | "2") => {
            return Facts { exists: true, experiment: id.parse().ok(), id: Some(id.clone()), ..in_workspace };
        }
        _ => {}
    }
    let (ports, target) = (ports.clone(), target.clone());
    let look = move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(ports.read_point(move |reader| Ok(crate::locate(reader, TEST_WORKSPACE, &target)?))).unwrap()
    };
    std::thread::spawn(look).join().unwrap().unwrap_or(in_workspace)
}

pub(super) fn pair(key: &str, value: &str) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value.to_owned() }
}

pub(super) fn pairs(all: &[(&str, &str)]) -> Vec<KeyValue> {
    all.iter().map(|(key, value)| pair(key, value)).collect()
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

/// The caller's principal id.
pub(super) const CALLER: &str = TEST_CALLER;
