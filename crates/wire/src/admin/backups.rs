//! `/backups` and `/restores`: backups, drills, and leave to restore.

use backup::ops::{
    ApproveRestore, DrillBackup, ExportKey, ListRequests, ListRuns, RequestRestore, RunBackup, ShowRun, VerifyBackup,
};
use backup::{Backup, Checked, Request, Run};
use http::Method;
use kernel::{Micros, Problem, Secret};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, only};
use super::times::to_text;
use crate::{Door, Inbound, outbound};

const PREFIX: &str = "/api/strongroom/v1";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Place {
    to: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Which {
    to: Option<String>,
    sequence: Option<u64>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    to: Option<String>,
    sequence: Option<u64>,
    reason: String,
}

/// A route's reader with its room.
fn bound<O: 'static>(
    room: &Backup,
    parse: fn(Backup, &Inbound) -> Result<O, Problem>,
) -> impl Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| parse(room.clone(), inbound)
}

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Backup) {
    let at = |end: &str| format!("{PREFIX}{end}");
    let all = bound(room, |room, inbound| {
        let [] = only(inbound, [])?;
        Ok(ListRuns { room })
    });
    door.route(Method::GET, &at("/backups"), all, |runs| list("backups", &runs, None, run));
    let begin = bound(room, |room, inbound| Ok(RunBackup { room, to: body::<Place>(inbound)?.to }));
    door.route(Method::POST, &at("/backups"), begin, |made| outbound::json(&run(&made)));
    let drill = bound(room, |room, inbound| Ok(DrillBackup { room, to: body::<Place>(inbound)?.to }));
    door.route(Method::POST, &at("/backups/drill"), drill, |made| outbound::json(&run(&made)));
    let show = bound(room, |room, inbound| Ok(ShowRun { room, id: inbound.path("run").to_owned() }));
    door.route(Method::GET, &at("/backups/{run}"), show, |found| outbound::json(&run(&found)));
    let verify = bound(room, |room, inbound| {
        let Which { to, sequence } = body(inbound)?;
        Ok(VerifyBackup { room, to, sequence })
    });
    door.route(Method::POST, &at("/backups/verify"), verify, |report| outbound::json(&checked(&report)));
    let key = bound(room, |room, _| Ok(ExportKey { room }));
    door.route(Method::POST, &at("/backups/key"), key, |text: Secret| {
        outbound::json(&json!({ "key": text.expose_text().unwrap_or_default() }))
    });
    let requests = bound(room, |room, inbound| {
        let [] = only(inbound, [])?;
        Ok(ListRequests { room })
    });
    door.route(Method::GET, &at("/restores"), requests, |found| list("restores", &found, None, request));
    let ask = bound(room, |room, inbound| {
        let Wanted { to, sequence, reason } = body(inbound)?;
        Ok(RequestRestore { room, to, sequence, reason })
    });
    door.route(Method::POST, &at("/restores"), ask, |made| outbound::json(&request(&made)));
    let approve = bound(room, |room, inbound| Ok(ApproveRestore { room, id: inbound.path("request").to_owned() }));
    door.route(Method::POST, &at("/restores/{request}/approve"), approve, |signed| {
        outbound::json(&json!({ "approval": String::from_utf8_lossy(&signed) }))
    });
}

fn run(run: &Run) -> Value {
    let time = |at: Option<Micros>| at.map(to_text);
    json!({
        "id": run.id,
        "kind": run.kind.word(),
        "to": run.target,
        "state": run.state.word(),
        "step": run.step,
        "done": run.done_count,
        "total": run.total_count,
        "sequence": run.sequence,
        "manifest_sha256": run.manifest_sha256.as_deref().map(kernel::hex),
        "log_point": run.log_size,
        "objects": run.object_count,
        "bytes": run.copied_bytes,
        "point_at": time(run.point_at),
        "took_ms": run.took_ms,
        "problem": run.problem,
        "asked_by": run.asked_by,
        "asked_at": to_text(run.asked_at),
        "ended_at": time(run.ended_at),
    })
}

fn checked(report: &Checked) -> Value {
    json!({
        "ok": report.is_good(),
        "sequence": report.sequence,
        "objects": report.object_count,
        "files": report.file_count,
        "bytes": report.read_bytes,
        "log_point": report.point,
        "log_size": report.log_size,
        "faults": report.faults,
        "fault_count": report.fault_count,
    })
}

fn request(request: &Request) -> Value {
    let time = |at: Option<Micros>| at.map(to_text);
    json!({
        "id": request.id,
        "from": request.target,
        "sequence": request.sequence,
        "manifest_sha256": kernel::hex(&request.manifest_sha256),
        "reason": request.reason,
        "asked_by": request.asked_by,
        "asked_at": to_text(request.asked_at),
        "approved_by": request.approved_by,
        "approved_at": time(request.approved_at),
        "expires_at": time(request.expires_at),
    })
}
