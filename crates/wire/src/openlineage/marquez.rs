//! Lineage in the form of Marquez's `GET /api/v1/lineage`: jobs and datasets, and which reads and writes which.
//!
//! A run is shown as its job; a run of MLflow, which has none, as the job `runs:/ID` in the namespace `mlflow`. Versions of models and data
//! sets and logged models are datasets in the namespace `mlops`, as events name them.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use kernel::Problem;
use lineage::ops::{Neighbourhood, RunState};
use lineage::record::{MODEL_NAMESPACE, RUN_NAMESPACE};
use lineage::{Edge, Node, NodeKind, Relation};
use serde_json::{Value, json};

use crate::admin::times;
use crate::{Answer, outbound};

/// A namespace and a name.
type Name = (String, String);

/// A node of Marquez's graph on its way.
#[derive(Default)]
struct Shown<'a> {
    is_job: bool,
    name: Name,
    simple: String,
    at: i64,
    location: Option<String>,
    runs: Vec<&'a Node>,
    into: BTreeSet<String>,
    out_of: BTreeSet<String>,
}

pub(super) fn graph(around: Neighbourhood) -> Result<Answer, Problem> {
    let jobs = jobs_of_runs(&around);
    let mut all: BTreeMap<String, Shown<'_>> = BTreeMap::new();
    let mut ids: HashMap<&str, String> = HashMap::new();
    for node in &around.nodes {
        let shown_as = jobs.get(node.id.as_str()).copied().unwrap_or(node);
        let Some((is_job, name)) = name_of(shown_as) else { continue };
        let id = id_of(is_job, &name);
        let shown = all.entry(id.clone()).or_insert_with(|| Shown {
            is_job,
            simple: shown_as.label.clone().unwrap_or_else(|| name.1.clone()),
            name,
            at: shown_as.at.0,
            ..Shown::default()
        });
        if node.kind == NodeKind::Run {
            shown.runs.push(node);
        }
        ids.insert(&node.id, id);
    }
    for edge in &around.edges {
        add_edge(&around, edge, &ids, &mut all);
    }
    let graph: Vec<Value> = all.iter().map(|(id, shown)| node_json(id, shown, &all, &around.states)).collect();
    outbound::json(&json!({ "graph": graph }))
}

/// The job that each run ran.
fn jobs_of_runs(around: &Neighbourhood) -> HashMap<&str, &Node> {
    let jobs: HashMap<&str, &Node> =
        around.nodes.iter().filter(|node| node.kind == NodeKind::Job).map(|node| (node.id.as_str(), node)).collect();
    let ran = around.edges.iter().filter(|edge| edge.relation == Relation::Used && edge.detail == "job");
    ran.filter_map(|edge| Some((edge.from.as_str(), *jobs.get(edge.to.as_str())?))).collect()
}

fn name_of(node: &Node) -> Option<(bool, Name)> {
    let attribute = |name: &str| node.attributes.get(name).and_then(Value::as_str).map(str::to_owned);
    let named = || Some((attribute("namespace")?, attribute("name")?));
    let own = |text: String| Some((false, (MODEL_NAMESPACE.to_owned(), text)));
    match node.kind {
        NodeKind::Job => Some((true, named()?)),
        NodeKind::Run => Some((true, (RUN_NAMESPACE.to_owned(), format!("runs:/{}", node.name)))),
        NodeKind::Dataset => Some((false, named().unwrap_or_else(|| (RUN_NAMESPACE.to_owned(), node.name.clone())))),
        NodeKind::DataVersion => own(format!("datasets:/{}", node.name)),
        NodeKind::LoggedModel => own(format!("models:/{}", node.name)),
        NodeKind::ModelVersion => {
            let label = node.label.as_deref().and_then(|label| label.rsplit_once(" version "));
            own(label.map_or_else(|| format!("models:/{}", node.name), |(name, number)| format!("models:/{name}/{number}")))
        }
        NodeKind::DataSource => own(node.name.clone()),
        NodeKind::Code
        | NodeKind::Inspection
        | NodeKind::Person
        | NodeKind::Owner
        | NodeKind::Endpoint
        | NodeKind::Prediction => None,
    }
}

fn id_of(is_job: bool, (namespace, name): &Name) -> String {
    format!("{}:{namespace}:{name}", if is_job { "job" } else { "dataset" })
}

/// An edge of ours points at what is earlier, one of Marquez's at what is later.
fn add_edge(around: &Neighbourhood, edge: &Edge, ids: &HashMap<&str, String>, all: &mut BTreeMap<String, Shown<'_>>) {
    if edge.relation == Relation::Used
        && let Some(code) = around.nodes.iter().find(|node| node.id == edge.to && node.kind == NodeKind::Code)
    {
        let text = |name: &str| code.attributes.get(name).and_then(Value::as_str);
        let location = text("repository").or_else(|| text("value")).map(str::to_owned);
        if let Some(job) = ids.get(edge.from.as_str()).and_then(|id| all.get_mut(id)) {
            job.location = job.location.take().or(location);
        }
        return;
    }
    let (Some(earlier), Some(later)) = (ids.get(edge.to.as_str()), ids.get(edge.from.as_str())) else { return };
    // A run is a part of another: neither reads the other.
    if earlier == later || edge.relation == Relation::Associated {
        return;
    }
    if let Some(shown) = all.get_mut(earlier) {
        shown.out_of.insert(later.clone());
    }
    if let Some(shown) = all.get_mut(later) {
        shown.into.insert(earlier.clone());
    }
}

fn node_json(id: &str, shown: &Shown<'_>, all: &BTreeMap<String, Shown<'_>>, states: &HashMap<String, RunState>) -> Value {
    let edge = |origin: &str, destination: &str| json!({ "origin": origin, "destination": destination });
    let (namespace, name) = &shown.name;
    let at = times::to_text(kernel::Micros(shown.at));
    let data = if shown.is_job {
        let named = |ids: &BTreeSet<String>| -> Vec<Value> {
            ids.iter()
                .filter_map(|id| all.get(id))
                .map(|other| json!({ "namespace": other.name.0, "name": other.name.1 }))
                .collect()
        };
        let latest = shown.runs.iter().max_by_key(|run| (started(run, states), run.at));
        json!({
            "id": { "namespace": namespace, "name": name },
            "type": "BATCH", "name": name, "simpleName": shown.simple, "parentJobName": null, "parentJobUuid": null,
            "createdAt": at, "updatedAt": at, "namespace": namespace, "inputs": named(&shown.into), "outputs": named(&shown.out_of),
            "location": shown.location, "description": null, "tags": [],
            "latestRun": latest.map(|run| run_json(run, shown, states.get(&run.id))),
        })
    } else {
        json!({
            "id": { "namespace": namespace, "name": name },
            "type": "DB_TABLE", "name": name, "physicalName": name, "createdAt": at, "updatedAt": at, "namespace": namespace,
            "sourceName": namespace, "fields": [], "facets": {}, "tags": [], "lastModifiedAt": null, "description": null,
            "lastLifecycleState": null, "deleted": false,
        })
    };
    json!({
        "id": id,
        "type": if shown.is_job { "JOB" } else { "DATASET" },
        "data": data,
        "inEdges": shown.into.iter().map(|other| edge(other, id)).collect::<Vec<_>>(),
        "outEdges": shown.out_of.iter().map(|other| edge(id, other)).collect::<Vec<_>>(),
    })
}

fn started(run: &Node, states: &HashMap<String, RunState>) -> kernel::Micros {
    states.get(&run.id).and_then(|state| state.started_at).unwrap_or(run.at)
}

fn run_json(run: &Node, job: &Shown<'_>, state: Option<&RunState>) -> Value {
    let state = state.cloned().unwrap_or_default();
    let word = match state.word.as_str() {
        "START" | "RUNNING" | "OTHER" => "RUNNING",
        "COMPLETE" | "FINISHED" => "COMPLETED",
        "FAIL" | "FAILED" => "FAILED",
        "ABORT" | "KILLED" => "ABORTED",
        _ => "NEW",
    };
    let length = state.started_at.zip(state.ended_at).map(|(start, end)| (end.0 - start.0) / 1_000);
    let created = state.started_at.unwrap_or(run.at);
    json!({
        "id": run.name, "createdAt": times::to_text(created), "updatedAt": times::to_text(state.ended_at.unwrap_or(created)),
        "nominalStartTime": null, "nominalEndTime": null, "state": word,
        "startedAt": state.started_at.map(times::to_text), "endedAt": state.ended_at.map(times::to_text), "durationMs": length,
        "args": {}, "jobVersion": { "namespace": job.name.0, "name": job.name.1, "version": null }, "facets": {},
    })
}
