//! `/keys`: how they stand, new ones, and the end of one.

use artifacts::{
    ApproveDestroy, Artifacts, CancelDestroy, DestroysOf, GetKeysStatus, KeysReport, KeysStatus, ListDestroys, RenewRootKey,
    RequestDestroy, RewrapKeys, RotateWorkspaceKey, VerifyKeys,
};
use http::Method;
use kernel::Micros;
use serde::Deserialize;
use serde_json::{Value, json};
use vault::keys::DestroyRequest;

use super::shape::{body, list, only, query};
use super::times::to_text;
use crate::{Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1/keys";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct VerifyBody {
    /// Whether the key of every object is opened.
    #[serde(default)]
    all: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RequestBody {
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct WhichBody {
    request: String,
}

/// Adds the routes.
pub fn routes(door: &mut Door, artifacts: &Artifacts) {
    let at = |path: &str| format!("{PREFIX}{path}");
    let room = artifacts.clone();
    let status = move |inbound: &Inbound| only(inbound, []).map(|[]| GetKeysStatus { room: room.clone() });
    door.route(Method::GET, PREFIX, status, |status| json_answer(&status_value(&status)));
    let room = artifacts.clone();
    let verify = move |inbound: &Inbound| Ok(VerifyKeys { room: room.clone(), all: body::<VerifyBody>(inbound)?.all });
    door.route(Method::POST, &at("/verify"), verify, |report| json_answer(&report_value(&report)));
    let room = artifacts.clone();
    let rotate = move |_: &Inbound| Ok(RotateWorkspaceKey { room: room.clone() });
    door.route(Method::POST, &at("/rotate"), rotate, |new| {
        json_answer(&json!({"key_version": new.version, "waiting_count": new.waiting_count}))
    });
    let room = artifacts.clone();
    let rewrap = move |_: &Inbound| Ok(RewrapKeys { room: room.clone() });
    door.route(Method::POST, &at("/rewrap"), rewrap, |count| json_answer(&json!({"rewrapped_count": count})));
    let room = artifacts.clone();
    let renew = move |_: &Inbound| Ok(RenewRootKey { room: room.clone() });
    door.route(Method::POST, &at("/rotate-root"), renew, |(version, count)| {
        json_answer(&json!({"root_version": version, "rewrapped_count": count}))
    });
    destroy_routes(door, artifacts);
}

fn destroy_routes(door: &mut Door, artifacts: &Artifacts) {
    let at = |path: &str| format!("{PREFIX}/destroy{path}");
    for (path, of) in [("", DestroysOf::Workspace), ("/server", DestroysOf::Server)] {
        let room = artifacts.clone();
        let listed = move |inbound: &Inbound| query(inbound, []).map(|(_, [])| ListDestroys { room: room.clone(), of });
        door.route(Method::GET, &at(path), listed, |requests| list("requests", &requests, None, request_value));
    }
    let room = artifacts.clone();
    let request =
        move |inbound: &Inbound| Ok(RequestDestroy { room: room.clone(), reason: body::<RequestBody>(inbound)?.reason });
    door.route(Method::POST, &at(""), request, |request| json_answer(&request_value(&request)));
    let room = artifacts.clone();
    let approve =
        move |inbound: &Inbound| Ok(ApproveDestroy { room: room.clone(), request: body::<WhichBody>(inbound)?.request });
    door.route(Method::POST, &at("/approve"), approve, |request| json_answer(&request_value(&request)));
    let room = artifacts.clone();
    let cancel = move |inbound: &Inbound| Ok(CancelDestroy { room: room.clone(), request: body::<WhichBody>(inbound)?.request });
    door.route(Method::POST, &at("/cancel"), cancel, |request| json_answer(&request_value(&request)));
}

fn moment(at: Option<Micros>) -> Option<String> {
    at.map(to_text)
}

fn request_value(request: &DestroyRequest) -> Value {
    json!({
        "request": request.id,
        "workspace": request.workspace,
        "reason": request.reason,
        "state": request.state.word(),
        "requested_by": request.requested_by,
        "requested_at": to_text(request.requested_at),
        "approved_by": request.approved_by,
        "approved_at": moment(request.approved_at),
        "due_at": moment(request.due_at),
        "ended_by": request.ended_by,
        "ended_at": moment(request.ended_at),
    })
}

fn status_value(status: &KeysStatus) -> Value {
    let root = &status.root;
    let workspaces = status.workspaces.iter().map(|key| {
        let versions = key.versions.iter().map(|version| {
            json!({"version": version.version, "created_at": to_text(version.created_at), "object_count": version.object_count})
        });
        json!({
            "workspace": key.workspace,
            "versions": versions.collect::<Vec<_>>(),
            "next_rotation_at": moment(key.due_at),
            "overdue": key.is_overdue,
        })
    });
    let destroyed = status.destroyed.iter().map(|(workspace, at)| json!({"workspace": workspace, "destroyed_at": to_text(*at)}));
    json!({
        "root": {
            "service": root.service,
            "version": root.version,
            "versions": root.versions.as_ref().ok(),
            "reachable": root.versions.is_ok(),
            "rotates_online": root.renews,
            "since_at": moment(root.since_at),
            "next_rotation_at": moment(status.root_due_at),
            "overdue": status.is_root_overdue,
            "unfinished": status.unfinished_count,
        },
        "secret_count": status.secret_count,
        "workspaces": workspaces.collect::<Vec<_>>(),
        "destroyed": destroyed.collect::<Vec<_>>(),
        "open_request_count": status.open_request_count,
        "warnings": status.warnings,
    })
}

fn report_value(report: &KeysReport) -> Value {
    json!({
        "ok": report.is_ok(),
        "key_count": report.keys.key_count,
        "broken_keys": report.keys.broken,
        "object_count": report.object_count,
        "destroyed_count": report.destroyed_count,
        "broken_count": report.broken_count,
        "broken": report.broken,
        "searched_bytes": report.keys.searched_bytes,
        "searched_all": report.keys.searched_all,
        "plain_in": report.keys.plain_in,
    })
}
