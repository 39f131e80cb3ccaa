//! `/endpoints`: which models answer, under which names.

use http::Method;
use kernel::{Problem, hex};
use serde::Deserialize;
use serde_json::{Value, json};
use serving::ops::{
    Challenger, CreateEndpoint, DeleteEndpoint, GetEndpoint, PromoteChallenger, Ready, Rollback, SearchEndpoints, StartRollout,
    UpdateEndpoint,
};
use serving::{ArmView, Comparison, Endpoint, Mode, Rollout, Runtime, Serving, Stops, WHOLE_PERMILLE};

use super::shape::{body, list, nothing, only, query};
use super::times::to_text;
use crate::{Door, Inbound, outbound};

const PREFIX: &str = "/api/strongroom/v1/endpoints";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct NewBody {
    name: String,
    model: String,
    version: String,
    #[serde(default = "native")]
    runtime: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ChangeBody {
    version: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RolloutBody {
    version: String,
    #[serde(default = "canary")]
    mode: String,
    /// Percent.
    share: f64,
    /// Percent.
    stop_at_errors: Option<f64>,
    stop_at_disagreement: Option<f64>,
    stop_at_slower: Option<f64>,
}

fn native() -> String {
    Runtime::Native.to_string()
}

fn canary() -> String {
    Mode::Canary.as_str().to_owned()
}

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Serving) {
    let bound = |parse: fn(Serving, &Inbound) -> Result<SearchEndpoints, Problem>| {
        let room = room.clone();
        move |inbound: &Inbound| parse(room.clone(), inbound)
    };
    let page = bound(|room, inbound| {
        let (page, [model]) = query(inbound, ["model"])?;
        Ok(SearchEndpoints { room, model, after: page.after, rows: page.rows })
    });
    door.route(Method::GET, PREFIX, page, |page| list("endpoints", &page.rows, page.next.as_deref(), endpoint));
    let one = format!("{PREFIX}/{{endpoint}}");
    let own = room.clone();
    let create = move |inbound: &Inbound| {
        let NewBody { name, model, version, runtime } = body(inbound)?;
        Ok(CreateEndpoint { room: own.clone(), name, model, choice: version, runtime: Runtime::parse(&runtime)? })
    };
    door.route(Method::POST, PREFIX, create, |made| outbound::json(&endpoint(&made)));
    let own = room.clone();
    let get = move |inbound: &Inbound| {
        let [] = only(inbound, [])?;
        Ok(GetEndpoint { room: own.clone(), name: inbound.path("endpoint").to_owned() })
    };
    door.route(Method::GET, &one, get, |found| outbound::json(&ready(&found)));
    let own = room.clone();
    let update = move |inbound: &Inbound| {
        let ChangeBody { version } = body(inbound)?;
        Ok(UpdateEndpoint { room: own.clone(), name: inbound.path("endpoint").to_owned(), choice: version })
    };
    door.route(Method::POST, &one, update, |changed| outbound::json(&endpoint(&changed)));
    rollout_routes(door, room, &one);
    let own = room.clone();
    let delete = move |inbound: &Inbound| Ok(DeleteEndpoint { room: own.clone(), name: inbound.path("endpoint").to_owned() });
    door.route(Method::DELETE, &one, delete, |()| nothing());
}

fn rollout_routes(door: &mut Door, room: &Serving, one: &str) {
    let own = room.clone();
    let start = move |inbound: &Inbound| {
        let body: RolloutBody = body(inbound)?;
        let errors_permille =
            body.stop_at_errors.map_or(Ok(Stops::default().errors_permille), |percent| permille(percent, "stop_at_errors"))?;
        let disagreement_permille =
            body.stop_at_disagreement.map(|percent| permille(percent, "stop_at_disagreement")).transpose()?;
        let slower_permille =
            body.stop_at_slower.map(|percent| tenths(percent, "stop_at_slower", f64::from(u32::MAX))).transpose()?;
        Ok(StartRollout {
            room: own.clone(),
            name: inbound.path("endpoint").to_owned(),
            choice: body.version,
            mode: Mode::parse(&body.mode)?,
            share_permille: permille(body.share, "share")?,
            stops: Stops { errors_permille, disagreement_permille, slower_permille: slower_permille.map(|tenths| tenths as u32) },
        })
    };
    door.route(Method::POST, &format!("{one}/rollout"), start, |changed| outbound::json(&endpoint(&changed)));
    let own = room.clone();
    let promote = move |inbound: &Inbound| {
        let Nothing {} = body(inbound)?;
        Ok(PromoteChallenger { room: own.clone(), name: inbound.path("endpoint").to_owned(), seen: None })
    };
    door.route(Method::POST, &format!("{one}/promote"), promote, |changed| outbound::json(&endpoint(&changed)));
    let own = room.clone();
    let rollback = move |inbound: &Inbound| {
        let Nothing {} = body(inbound)?;
        Ok(Rollback { room: own.clone(), name: inbound.path("endpoint").to_owned(), seen: None })
    };
    door.route(Method::POST, &format!("{one}/rollback"), rollback, |changed| outbound::json(&endpoint(&changed)));
}

/// Percent as thousandths.
fn permille(percent: f64, name: &str) -> Result<u16, Problem> {
    Ok(tenths(percent, name, f64::from(WHOLE_PERMILLE))? as u16)
}

/// Percent as thousandths, at most `limit` of them. A part of a thousandth counts as a whole one.
fn tenths(percent: f64, name: &str, limit: f64) -> Result<f64, Problem> {
    let tenths = (percent * 10.0 - 1e-9).ceil().max(0.0);
    if !percent.is_finite() || percent < 0.0 || tenths > limit {
        return Err(Problem::invalid(format!("`{name}` is a percentage between 0 and {}", limit / 10.0)));
    }
    Ok(tenths)
}

fn endpoint(endpoint: &Endpoint) -> Value {
    json!({
        "previous": endpoint.previous,
        "rollout": endpoint.rollout.as_ref().map(rollout),
        "id": endpoint.id,
        "name": endpoint.name,
        "model": endpoint.model,
        "version": endpoint.choice.to_string(),
        "runtime": endpoint.runtime.to_string(),
        "created_at": to_text(endpoint.created_at),
        "created_by": endpoint.created_by,
        "changed_at": to_text(endpoint.changed_at),
        "changed_by": endpoint.changed_by,
    })
}

fn rollout(rollout: &Rollout) -> Value {
    let percent = |permille: u32| f64::from(permille) / 10.0;
    json!({
        "id": rollout.id,
        "version": rollout.choice.to_string(),
        "mode": rollout.mode.as_str(),
        "share": percent(rollout.share_permille.into()),
        "stop_at_errors": percent(rollout.stops.errors_permille.into()),
        "stop_at_disagreement": rollout.stops.disagreement_permille.map(|limit| percent(limit.into())),
        "stop_at_slower": rollout.stops.slower_permille.map(percent),
        "began_at": to_text(rollout.began_at),
        "began_by": rollout.began_by,
        "halted_at": rollout.halted.as_ref().map(|(at, _)| to_text(*at)),
        "halted_why": rollout.halted.as_ref().map(|(_, why)| why),
    })
}

fn challenger(found: &Challenger) -> Value {
    let arm = |arm: &ArmView| {
        json!({
            "requests": arm.requests, "rows": arm.rows, "errors": arm.errors, "p50_ms": arm.p50_ms, "p99_ms": arm.p99_ms,
            "mean": arm.values.map(|(mean, _)| mean), "deviation": arm.values.map(|(_, deviation)| deviation),
        })
    };
    let Comparison { champion, challenger, labels, pairs } = &found.comparison;
    let labels = labels.iter().map(|label| {
        json!({
            "label": label.label, "champion": label.champion, "challenger": label.challenger,
            "difference_low": label.difference.0, "difference_high": label.difference.1,
        })
    });
    json!({
        "answers_with": found.model.as_ref().map(|model| model.number),
        "obstacle": found.obstacle,
        "champion": arm(champion),
        "challenger": arm(challenger),
        "labels": labels.collect::<Vec<_>>(),
        "pairs": {
            "rows": pairs.rows, "disagreed": pairs.disagreed,
            "disagreement_low": pairs.disagreement.0, "disagreement_high": pairs.disagreement.1,
            "mean_difference": pairs.differences.map(|(mean, _)| mean),
            "deviation": pairs.differences.map(|(_, deviation)| deviation),
            "left_out": pairs.left_out,
        },
    })
}

fn ready(found: &Ready) -> Value {
    let mut value = endpoint(&found.endpoint);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("ready".to_owned(), Value::from(found.model.is_some()));
        fields.insert("obstacle".to_owned(), json!(found.obstacle));
        fields.insert("answers_with".to_owned(), json!(found.model.as_ref().map(|model| model.number)));
        fields.insert("manifest_sha256".to_owned(), json!(found.model.as_ref().map(|model| hex(&model.manifest_sha256))));
        fields.insert("challenger".to_owned(), json!(found.challenger.as_ref().map(challenger)));
        fields.insert("guard".to_owned(), json!(found.guard.as_ref().map(super::endpoint_guard::state)));
        fields.insert("format".to_owned(), json!(found.model.as_ref().map(|model| model.format())));
    }
    value
}
