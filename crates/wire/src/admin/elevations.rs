//! `/elevations`: roles for some hours.

use http::Method;
use kernel::Problem;
use policy::{
    BreakGlass, DecideElevation, Elevation, EndElevation, ListElevations, On, OwnElevations, Policy, PreviewElevation,
    RequestElevation,
};
use serde::Deserialize;
use serde_json::{Value, json};

use super::access_review::enumeration;
use super::grants::{grant_json, on};
use super::shape::{body, only};
use super::times::to_text;
use crate::{Door, Inbound, json as json_answer};

const ELEVATIONS: &str = "/api/strongroom/v1/elevations";
/// If nobody says.
const SECONDS: i64 = 3_600;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    role: String,
    resource_kind: Option<String>,
    resource: Option<String>,
    seconds: Option<i64>,
    reason: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Emergency {
    seconds: Option<i64>,
    reason: String,
}

/// Adds the routes.
pub fn routes(door: &mut Door, policy: &Policy) {
    let room = policy.clone();
    let request = move |inbound: &Inbound| {
        let Wanted { role, resource_kind, resource, seconds, reason } = body(inbound)?;
        let on: On = on(resource_kind.as_deref(), resource)?;
        Ok(RequestElevation { room: room.clone(), role, on, seconds: seconds.unwrap_or(SECONDS), reason })
    };
    door.route(Method::POST, ELEVATIONS, request, |one| json_answer(&shown(&one)));
    let room = policy.clone();
    let list = move |inbound: &Inbound| {
        let [kind, state] = only(inbound, ["resource_kind", "state"])?;
        let of_server = match kind.as_deref() {
            None | Some("workspace") => false,
            Some("server") => true,
            Some(_) => return Err(Problem::invalid("`resource_kind` is workspace or server")),
        };
        let waiting_only = match state.as_deref() {
            None => false,
            Some("asked") => true,
            Some(_) => return Err(Problem::invalid("`state` is asked, or nothing for all")),
        };
        Ok(ListElevations { room: room.clone(), of_server, waiting_only })
    };
    door.route(Method::GET, ELEVATIONS, list, |all| json_answer(&listed(&all)));
    let room = policy.clone();
    let own = move |_: &Inbound| Ok(OwnElevations { room: room.clone() });
    door.route(Method::GET, &format!("{ELEVATIONS}/own"), own, |all| json_answer(&listed(&all)));
    let room = policy.clone();
    door.route::<PreviewElevation, _, _>(
        Method::GET,
        &format!("{ELEVATIONS}/{{elevation}}/preview"),
        move |inbound: &Inbound| Ok(PreviewElevation { room: room.clone(), id: inbound.path("elevation").to_owned() }),
        |found| {
            let (elevation, grant) = (shown(&found.elevation), grant_json(&found.grant));
            json_answer(&json!({ "elevation": elevation, "grant": grant, "newly": enumeration(&found.newly) }))
        },
    );
    for (word, give) in [("approve", true), ("refuse", false)] {
        let room = policy.clone();
        let decide =
            move |inbound: &Inbound| Ok(DecideElevation { room: room.clone(), id: inbound.path("elevation").to_owned(), give });
        door.route(Method::POST, &format!("{ELEVATIONS}/{{elevation}}/{word}"), decide, |one| json_answer(&shown(&one)));
    }
    let room = policy.clone();
    let end = move |inbound: &Inbound| Ok(EndElevation { room: room.clone(), id: inbound.path("elevation").to_owned() });
    door.route(Method::POST, &format!("{ELEVATIONS}/{{elevation}}/end"), end, |()| json_answer(&json!({})));
    let room = policy.clone();
    let emergency = move |inbound: &Inbound| {
        let Emergency { seconds, reason } = body(inbound)?;
        Ok(BreakGlass { room: room.clone(), seconds: seconds.unwrap_or(SECONDS), reason })
    };
    door.route(Method::POST, "/api/strongroom/v1/break-glass", emergency, |one| json_answer(&shown(&one)));
}

fn listed(all: &[Elevation]) -> Value {
    json!({ "elevations": all.iter().map(shown).collect::<Vec<_>>() })
}

fn shown(one: &Elevation) -> Value {
    json!({
        "id": one.id,
        "principal": one.principal,
        "role": one.role,
        "resource_kind": one.resource.kind(),
        "resource": one.resource.id(),
        "workspace": one.workspace,
        "reason": one.reason,
        "seconds": one.seconds,
        "asked_at": to_text(one.asked_at),
        "state": one.state.word(),
        "decided_by": one.decided_by,
        "decided_at": one.decided_at.map(to_text),
        "ends_at": one.ends_at.map(to_text),
        "grant": one.grant_id,
    })
}
