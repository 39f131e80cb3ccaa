//! A room over a fresh database, behind an open gate whose facts are the room's own.

use gate::{Facts, Operation, Target};
use kernel::{Kind, Problem};
use serde_json::Value;
use testkit::gate::TEST_WORKSPACE;
use testkit::{Engine, TestGate};
use tracking::Tracking;
use vault::db::{PortDb, SystemDb};

use crate::ops::{GetTraceInfo, LogSpans, SearchTraces, StartTrace};
use crate::types::{NewSpan, NewTrace, Page, Pair, TraceInfo, TraceState};
use crate::{Traces, limits};

/// A room and its gate.
pub(super) struct World {
    pub(super) room: Traces,
    pub(super) gate: TestGate,
    pub(super) system: SystemDb,
    tracking: Tracking,
    _folder: tempfile::TempDir,
}

/// Runs `body` on SQLite, and on PostgreSQL where `STRONGROOM_TEST_POSTGRES` names one.
pub(super) fn on_both_engines<F: Future<Output = ()>>(body: impl Fn(World) -> F) {
    testkit::on_both_engines("traces", async |engine| body(World::open(engine)).await);
}

impl World {
    fn open(engine: Engine) -> Self {
        let opened = vault::db::open(&engine.location).unwrap();
        let gate = testkit::open_gate();
        let ports = opened.ports;
        gate.set_facts_of(move |target| facts(&ports, target));
        let tracking = Tracking::new(opened.db.clone());
        Self { room: Traces::new(opened.db), gate, system: opened.system, tracking, _folder: engine.folder }
    }

    pub(super) async fn call<O: Operation>(&self, operation: O) -> Result<O::Output, Problem> {
        self.gate.call(operation).await
    }

    pub(super) async fn experiment(&self, name: &str) -> String {
        let create = tracking::ops::CreateExperiment {
            room: self.tracking.clone(),
            name: name.to_owned(),
            artifact_location: None,
            tags: Vec::new(),
        };
        self.call(create).await.unwrap().to_string()
    }

    pub(super) async fn run(&self, experiment: &str) -> String {
        let create = tracking::ops::CreateRun {
            room: self.tracking.clone(),
            experiment_id: experiment.to_owned(),
            user_id: None,
            run_name: None,
            start_time_ms: 1,
            tags: Vec::new(),
        };
        self.call(create).await.unwrap().info.run_id
    }

    pub(super) async fn delete_experiment(&self, experiment_id: &str) {
        let delete = tracking::ops::DeleteExperiment { room: self.tracking.clone(), experiment_id: experiment_id.to_owned() };
        self.call(delete).await.unwrap();
    }

    /// An experiment of a workspace that the test's user is not in, with a trace; gives the experiment's id.
    pub(super) async fn foreign(&self, trace_id: &'static str) -> i64 {
        let write = self.system.write(move |tx| {
            let experiment = tx.query_one(
                "INSERT INTO experiment (workspace_id, name, artifact_location, deleted, owner, created_at, updated_at) \
                 VALUES ('elsewhere', 'x', '', 0, 'o', 0, 0) RETURNING experiment_id",
                &[],
                |row| row.int(0),
            )?;
            let experiment = experiment.unwrap();
            tx.execute(
                "INSERT INTO trace (trace_id, experiment_id, request_time_ms, state, finalized, span_count, span_bytes, owner, changed_at) \
                 VALUES ($1, $2, 5, 'OK', 1, 0, 0, 'o', 0)",
                &[trace_id.into(), experiment.into()],
            )?;
            Ok(experiment)
        });
        write.await.unwrap()
    }

    pub(super) async fn start(&self, experiment: &str, trace: NewTrace) -> Result<TraceInfo, Problem> {
        self.call(StartTrace { room: self.room.clone(), experiment_id: experiment.to_owned(), trace }).await
    }

    pub(super) async fn log(&self, experiment: &str, spans: Vec<NewSpan>) -> Result<usize, Problem> {
        self.call(LogSpans { room: self.room.clone(), experiment_id: experiment.to_owned(), spans }).await
    }

    pub(super) async fn info(&self, trace_id: &str) -> Result<TraceInfo, Problem> {
        self.call(GetTraceInfo { room: self.room.clone(), trace_id: trace_id.to_owned() }).await
    }

    pub(super) async fn page(
        &self,
        experiments: &[&str],
        filter: &str,
        limit: i64,
        token: Option<String>,
    ) -> Result<Page<TraceInfo>, Problem> {
        let search = SearchTraces {
            room: self.room.clone(),
            experiment_ids: experiments.iter().map(ToString::to_string).collect(),
            filter: filter.to_owned(),
            order_by: Vec::new(),
            max_results: limit,
            page_token: token,
        };
        self.call(search).await
    }

    /// The ids that a filter finds, sorted.
    pub(super) async fn found(&self, experiments: &[&str], filter: &str) -> Vec<String> {
        let page = self
            .page(experiments, filter, limits::SEARCH_RESULT_COUNT_MAX, None)
            .await
            .unwrap_or_else(|problem| panic!("{filter}: {problem}"));
        let mut ids: Vec<String> = page.items.into_iter().map(|info| info.trace_id).collect();
        ids.sort();
        ids
    }
}

/// A trace that ended well.
pub(super) fn trace(id: &str, at_ms: i64, tags: &[(&str, &str)], metadata: &[(&str, &str)]) -> NewTrace {
    NewTrace {
        trace_id: id.to_owned(),
        request_time_ms: at_ms,
        duration_ms: Some(10),
        state: TraceState::Ok,
        tags: pairs(tags),
        metadata: pairs(metadata),
        ..NewTrace::default()
    }
}

pub(super) fn pairs(all: &[(&str, &str)]) -> Vec<Pair> {
    all.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// A span of the trace whose id has 16 bytes `trace`.
pub(super) fn span(trace: u8, id: u8, name: &str, attributes: Vec<(&str, Value)>) -> NewSpan {
    NewSpan {
        trace_id: [trace; 16],
        span_id: [id; 8],
        parent_span_id: (id > 1).then_some([1; 8]),
        name: name.to_owned(),
        start_time_ns: 1_000_000_000 + i64::from(id) * 1_000_000,
        end_time_ns: Some(2_000_000_000),
        attributes: attributes.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        ..NewSpan::default()
    }
}

/// The id of the trace of [`span`].
pub(super) fn id_of(trace: u8) -> String {
    format!("tr-{}", kernel::hex(&[trace; 16]))
}

pub(super) fn value_of<'a>(all: &'a [Pair], key: &str) -> Option<&'a str> {
    all.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
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
        let find = ports.read_point(move |reader| match crate::locate(reader, TEST_WORKSPACE, &target)? {
            Some(facts) => Ok(Some(facts)),
            None => Ok(tracking::locate(reader, TEST_WORKSPACE, &target)?),
        });
        runtime.block_on(find).unwrap()
    };
    std::thread::spawn(look).join().unwrap().unwrap_or(in_workspace)
}
