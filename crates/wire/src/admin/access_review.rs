//! `/access/review` and `/access/paths`: who may do more than they use, and how somebody could come to more.

use http::Method;
use kernel::Problem;
use policy::{
    Advice, Dormant, Enumeration, EscalationPath, FindPaths, GrantReview, OldToken, Policy, ReviewAccess, ReviewReport,
    ReviewedRequest,
};
use serde_json::{Value, json};

use super::shape::only;
use super::times::to_text;
use crate::{Answer, Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1/access";
/// How far back, if nobody says.
const DAYS: i64 = 90;
const DAY_S: i64 = 86_400;

/// Adds the routes.
pub fn routes(door: &mut Door, policy: &Policy) {
    let room = policy.clone();
    let review = move |inbound: &Inbound| Ok(ReviewAccess { room: room.clone(), days: days(inbound)? });
    door.route(Method::GET, &format!("{PREFIX}/review"), review, |report| shown(&report));
    let room = policy.clone();
    let paths = move |inbound: &Inbound| Ok(FindPaths { room: room.clone(), days: days(inbound)? });
    door.route(Method::GET, &format!("{PREFIX}/paths"), paths, |found| {
        json_answer(&json!({
            "paths": found.paths.iter().map(path).collect::<Vec<_>>(),
            "complete": found.left_off.is_empty(),
            "left_off": found.left_off,
        }))
    });
}

fn days(inbound: &Inbound) -> Result<i64, Problem> {
    let [days] = only(inbound, ["days"])?;
    let Some(text) = days else { return Ok(DAYS) };
    text.parse().map_err(|_| Problem::invalid("`days` is a number"))
}

fn shown(report: &ReviewReport) -> Result<Answer, Problem> {
    json_answer(&json!({
        "days": report.days,
        "counted_since": report.counted_since.map(to_text),
        "grants": report.grants.iter().map(grant).collect::<Vec<_>>(),
        "dormant": report.dormant.iter().map(dormant).collect::<Vec<_>>(),
        "tokens": report.tokens.iter().map(token).collect::<Vec<_>>(),
        "replay": { "asked_count": report.replayed_count, "denied": report.denied.iter().map(request).collect::<Vec<_>>() },
        "superfluous": { "complete": report.all_tried },
        "widening": enumeration(&report.enumeration),
    }))
}

fn grant(one: &GrantReview) -> Value {
    let to = match &one.advice {
        Advice::Narrow(to) => {
            to.iter().map(|(role, on)| json!({ "role": role, "resource_kind": on.kind(), "resource": on.id() })).collect()
        }
        Advice::Keep | Advice::Revoke => Vec::new(),
    };
    let advice = match one.advice {
        Advice::Keep => "keep",
        Advice::Revoke => "revoke",
        Advice::Narrow(_) => "narrow",
    };
    json!({
        "grant": one.grant.id,
        "who": one.who,
        "who_id": one.grant.principal,
        "who_kind": one.grant.principal_kind.word(),
        "role": one.grant.role,
        "resource_kind": one.grant.resource.kind(),
        "resource": one.grant.resource.id(),
        "workspace": one.grant.workspace,
        "created_at": to_text(one.grant.created_at),
        "last_used": one.last_used.map(to_text),
        "used_verb_count": one.used_verbs.len(),
        "granted_verb_count": one.granted_count,
        "used_verbs": one.used_verbs,
        "once_verbs": one.once_verbs,
        "used_places": one.used_places,
        "advice": advice,
        "to": to,
        "why": one.why,
    })
}

fn dormant(one: &Dormant) -> Value {
    json!({ "who": one.name, "who_id": one.id, "last_used": one.last_used.map(to_text), "grant_count": one.grant_count })
}

fn token(one: &OldToken) -> Value {
    let used = one.last_used_day.map(|day| to_text(kernel::Micros(day.saturating_mul(DAY_S * 1_000_000))));
    json!({
        "token": one.id,
        "who": one.who,
        "label": one.label,
        "created_at": to_text(one.created_at),
        "expires_at": to_text(one.expires_at),
        "last_used_day": used,
        "why": one.why,
    })
}

fn request(one: &ReviewedRequest) -> Value {
    json!({ "who": one.who, "verb": one.verb, "place": one.place })
}

/// What was compared, and how: by enumeration, which proves nothing about what it did not ask, and by a solver about the rest, where there is one.
pub(super) fn enumeration(found: &Enumeration) -> Value {
    let proof = found.proof.as_ref().map(|proof| {
        json!({
            "solver": proof.solver,
            "proved_count": proof.proved_count,
            "found_count": proof.found_count,
            "open_count": proof.open_count,
        })
    });
    json!({
        "method": "bounded enumeration",
        "proof": proof,
        "compared_count": found.compared_count,
        "complete": found.complete,
        "newly_allowed": found.widened.iter().map(request).collect::<Vec<_>>(),
    })
}

fn path(one: &EscalationPath) -> Value {
    let steps: Vec<Value> =
        one.steps.iter().map(|step| json!({ "how": step.how, "words": step.words, "evidence": step.evidence })).collect();
    json!({
        "who": one.who,
        "goal": one.goal(),
        "goals": one.goals,
        "goal_count": one.goal_count,
        "by_office": one.by_office,
        "like_count": one.like_count,
        "step_count": steps.len(),
        "steps": steps,
    })
}
