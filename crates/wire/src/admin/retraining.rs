//! `/retrainings`: jobs that train registered models again.
//!
//! A job is asked for by several verbs, one after the other as the caller: who may not see the code or the data has nothing run of
//! them.

use std::collections::BTreeMap;

use data::Data;
use data::ops::ShowVersion;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Kind, Problem, hex};
use retrain::ops::{AskToSubmit, CancelJob, ListJobs, ListRequests, Prepare, ReadLog, ShowJob, SnapshotCode, SubmitJob, Wish};
use retrain::{DataSpec, Draft, Executor, Job, Request, Retrain, Snapshot};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, only, query};
use super::times::to_text;
use crate::{Chosen, Door, Inbound, outbound};

const PREFIX: &str = "/api/strongroom/v1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CodeBody {
    run_id: String,
    #[serde(default)]
    path: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SubmitBody {
    code: Option<CodeBody>,
    entry: Option<String>,
    #[serde(default)]
    parameters: BTreeMap<String, String>,
    /// `NAME@VERSION`.
    data: Option<String>,
    experiment_id: Option<String>,
    on: Option<String>,
    request: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// The rooms that a new job is asked of.
#[derive(Clone)]
struct Rooms {
    retrain: Retrain,
    data: Data,
}

/// A route's reader with its room.
fn bound<O: 'static>(
    room: &Retrain,
    parse: fn(Retrain, &Inbound) -> Result<O, Problem>,
) -> impl Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| parse(room.clone(), inbound)
}

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Retrain, data: &Data) {
    let at = |end: &str| format!("{PREFIX}{end}");
    let of_version = at("/models/{model}/versions/{version}");
    let of_job = at("/models/{model}/retrainings/{job}");
    door.route(Method::GET, &format!("{of_version}/retraining"), bound(room, prepare), |known| outbound::json(&draft(&known)));
    door.route(Method::GET, &at("/runs/{run}/code"), bound(room, code), |found| outbound::json(&snapshot(&found)));
    let rooms = Rooms { retrain: room.clone(), data: data.clone() };
    let actions = [SubmitJob::ACTION, SnapshotCode::ACTION, ShowVersion::ACTION];
    door.choice(Method::POST, &format!("{of_version}/retrain"), &actions, move |inbound: &Inbound| {
        let (wish, rooms) = (body::<SubmitBody>(inbound)?, rooms.clone());
        let (name, version) = (inbound.path("model").to_owned(), inbound.path("version").to_owned());
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move { outbound::json(&job(&rooms.submit(visitor, name, version, wish).await?)) })
        }))
    });
    door.route(Method::GET, &at("/retrainings"), bound(room, jobs), |page| list("jobs", &page.rows, page.next.as_deref(), job));
    door.route(Method::GET, &of_job, bound(room, show), |found| outbound::json(&job(&found)));
    door.route(Method::GET, &format!("{of_job}/log"), bound(room, log), |text| outbound::json(&json!({ "log": text })));
    door.route(Method::POST, &format!("{of_job}/cancel"), bound(room, cancel), |found| outbound::json(&job(&found)));
    door.route(Method::GET, &at("/retrain-requests"), bound(room, requests), |page| {
        list("requests", &page.rows, page.next.as_deref(), request)
    });
}

impl Rooms {
    async fn submit(self, visitor: &Visitor, name: String, version: String, wish: SubmitBody) -> Result<Job, Problem> {
        let SubmitBody { code, entry, parameters, data, experiment_id, on, request } = wish;
        let executor = on.as_deref().map(|on| Executor::parse(on).ok_or_else(|| Problem::invalid("`on` is `local` or `ray`")));
        let executor = executor.transpose()?;
        let experiment_id = experiment_id
            .as_deref()
            .map(|id| id.parse::<i64>().map_err(|_| Problem::invalid("`experiment_id` is the number of an experiment")));
        let experiment_id = experiment_id.transpose()?;
        let ask = AskToSubmit { room: self.retrain.clone(), name: name.clone(), version: version.clone() };
        let known = visitor.call(ask).await?;
        let (run_id, path) = match code.map(|code| (code.run_id, code.path)).or(known.code) {
            Some(place) => place,
            None => {
                return Err(unknown("no run is known to have made this version, so its code is not known; give it as `code`"));
            }
        };
        let snapshot = visitor.call(SnapshotCode { room: self.retrain.clone(), run_id, path }).await?;
        let data = match data {
            Some(text) => text,
            None => match known.data.first() {
                Some((dataset, number)) => format!("{dataset}@{number}"),
                None => return Err(unknown("it is not known on which data this version was trained; name it as `data`")),
            },
        };
        let data = self.data(visitor, &data).await?;
        let wish = Wish { snapshot, data, entry, parameters, experiment_id, executor, request };
        visitor.call(SubmitJob { room: self.retrain, name, version, wish }).await
    }

    /// The version that `NAME@VERSION` means now.
    async fn data(&self, visitor: &Visitor, text: &str) -> Result<DataSpec, Problem> {
        let (dataset, version) = text.rsplit_once('@').unwrap_or((text, "admitted"));
        let show = ShowVersion { room: self.data.clone(), dataset: dataset.to_owned(), version: version.to_owned() };
        let version = visitor.call(show).await?.version;
        let (Some(number), Some(digest)) = (version.number, version.manifest_sha256) else {
            return Err(Problem::new(Kind::Conflict, "the data's version is still open; commit it first"));
        };
        Ok(DataSpec { dataset: version.dataset, version: number, version_id: version.id, manifest_sha256: hex(&digest) })
    }
}

/// A version is trained again as it was, with the data that it stands on: what a remedy asks for.
pub(super) async fn again(
    retrain: &Retrain,
    data: &Data,
    visitor: &Visitor,
    name: String,
    version: String,
) -> Result<Job, Problem> {
    let rooms = Rooms { retrain: retrain.clone(), data: data.clone() };
    rooms.submit(visitor, name, version, SubmitBody::default()).await
}

fn unknown(why: &str) -> Problem {
    Problem::invalid(why)
}

fn prepare(room: Retrain, inbound: &Inbound) -> Result<Prepare, Problem> {
    let [] = only(inbound, [])?;
    Ok(Prepare { room, name: inbound.path("model").to_owned(), version: inbound.path("version").to_owned() })
}

fn code(room: Retrain, inbound: &Inbound) -> Result<SnapshotCode, Problem> {
    let [path] = only(inbound, ["path"])?;
    Ok(SnapshotCode { room, run_id: inbound.path("run").to_owned(), path: path.unwrap_or_default() })
}

fn jobs(room: Retrain, inbound: &Inbound) -> Result<ListJobs, Problem> {
    let (page, []) = query(inbound, [])?;
    Ok(ListJobs { room, after: page.after, rows: page.rows })
}

fn requests(room: Retrain, inbound: &Inbound) -> Result<ListRequests, Problem> {
    let (page, []) = query(inbound, [])?;
    Ok(ListRequests { room, after: page.after, rows: page.rows })
}

/// The model and the job of the address.
fn names(inbound: &Inbound) -> (String, String) {
    (inbound.path("model").to_owned(), inbound.path("job").to_owned())
}

fn show(room: Retrain, inbound: &Inbound) -> Result<ShowJob, Problem> {
    let ([], (name, job)) = (only(inbound, [])?, names(inbound));
    Ok(ShowJob { room, name, job })
}

fn log(room: Retrain, inbound: &Inbound) -> Result<ReadLog, Problem> {
    let ([], (name, job)) = (only(inbound, [])?, names(inbound));
    Ok(ReadLog { room, name, job })
}

fn cancel(room: Retrain, inbound: &Inbound) -> Result<CancelJob, Problem> {
    let (Nothing {}, (name, job)) = (body(inbound)?, names(inbound));
    Ok(CancelJob { room, name, job })
}

fn draft(known: &Draft) -> Value {
    json!({
        "model": known.model,
        "version": known.version,
        "origin_run": known.origin_run,
        "experiment_id": known.experiment_id.map(|id| id.to_string()),
        "code": known.code.as_ref().map(|(run_id, path)| json!({ "run_id": run_id, "path": path })),
        "entry": known.entry,
        "parameters": known.parameters,
        "data": known.data.iter().map(|(dataset, number)| format!("{dataset}@{number}")).collect::<Vec<_>>(),
    })
}

fn snapshot(found: &Snapshot) -> Value {
    json!({
        "run_id": found.code.run_id,
        "path": found.code.path,
        "manifest_sha256": found.code.manifest_sha256,
        "files": found.code.files,
        "project": found.project.as_ref().map(|project| json!({
            "command": project.command, "parameters": project.parameters,
        })),
    })
}

fn job(job: &Job) -> Value {
    json!({
        "job": job.id,
        "model": job.spec.model,
        "version": job.spec.version,
        "state": job.state.word(),
        "stage": job.stage,
        "on": job.spec.executor.word(),
        "data": format!("{}@{}", job.spec.data.dataset, job.spec.data.version),
        "spec": job.spec,
        "spec_sha256": hex(&job.spec_sha256),
        "request": job.request,
        "asked_at": to_text(job.asked_at),
        "asked_by": job.asked_by,
        "started_at": job.started_at.map(to_text),
        "ended_at": job.ended_at.map(to_text),
        "run_id": job.run_id,
        "exit_code": job.exit_code,
        "fault": job.fault,
        "made_version": job.made_version,
        "confinement": job.confinement.as_deref().and_then(|text| serde_json::from_str::<Value>(text).ok()),
    })
}

fn request(request: &Request) -> Value {
    json!({
        "id": request.id,
        "kind": request.kind,
        "name": request.name,
        "model": request.model.as_ref().map(|(name, number)| format!("{name}/{number}")),
        "trained_on": request.trained_on.replacen('/', "@", 1),
        "replaced_by": request.replaced_by.replacen('/', "@", 1),
        "trust": request.trust,
        "state": request.state,
        "why": request.why,
        "asked_at": to_text(request.asked_at),
        "asked_by": request.asked_by,
    })
}
