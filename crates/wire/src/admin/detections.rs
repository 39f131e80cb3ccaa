//! `/detections`: what was found in the log, by which rules, and who is on it.

use detect::ops::{AcknowledgeDetection, GetDetection, ListDetections, ListRules, RuleView};
use detect::{Detect, Detection, Level};
use http::Method;
use kernel::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, only, query};
use super::times::to_text;
use crate::{Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1/detections";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// Adds the routes.
pub fn routes(door: &mut Door, room: &Detect) {
    let detect = room.clone();
    let search = move |inbound: &Inbound| {
        let (page, [level, open]) = query(inbound, ["level", "open"])?;
        let level = level.as_deref().map(parse_level).transpose()?;
        let open_only = match open.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::invalid("`open` is true or false")),
        };
        let rows = page.rows.and_then(|rows| i64::try_from(rows).ok());
        Ok(ListDetections { room: detect.clone(), level, open_only, after: page.after, rows })
    };
    door.route(Method::GET, PREFIX, search, |page| list("detections", &page.rows, page.next.as_deref(), detection));
    let detect = room.clone();
    let rules = move |inbound: &Inbound| only(inbound, []).map(|[]| ListRules { room: detect.clone() });
    door.route(Method::GET, &format!("{PREFIX}/rules"), rules, |rules| list("rules", &rules, None, rule));
    let detect = room.clone();
    let get = move |inbound: &Inbound| {
        let [] = only(inbound, [])?;
        Ok(GetDetection { room: detect.clone(), id: inbound.path("detection").to_owned() })
    };
    door.route(Method::GET, &format!("{PREFIX}/by-id/{{detection}}"), get, |one| json_answer(&detection(&one)));
    let detect = room.clone();
    let acknowledge = move |inbound: &Inbound| {
        let Nothing {} = body(inbound)?;
        Ok(AcknowledgeDetection { room: detect.clone(), id: inbound.path("detection").to_owned() })
    };
    let at = format!("{PREFIX}/by-id/{{detection}}/acknowledge");
    door.route(Method::POST, &at, acknowledge, |one| json_answer(&detection(&one)));
}

fn parse_level(word: &str) -> Result<Level, Problem> {
    Level::parse(word).ok_or_else(|| Problem::invalid("`level` is informational, low, medium, high or critical"))
}

fn detection(one: &Detection) -> Value {
    json!({
        "id": one.id,
        "rule": one.rule,
        "rule_id": one.rule_id,
        "title": one.title,
        "level": one.level.word(),
        "state": if one.acknowledged.is_some() { "acknowledged" } else { "open" },
        "subject": one.subject,
        "who": one.caller_name.as_deref().or(one.caller.as_ref().map(|caller| caller.0.as_str())),
        "who_id": one.caller.as_ref().map(|caller| caller.0.as_str()),
        "who_kind": one.caller.as_ref().map(|caller| caller.1.as_str()),
        "token": one.token,
        "workspace": one.workspace,
        "first_at": to_text(one.first_at),
        "last_at": to_text(one.last_at),
        "count": one.count,
        "found": one.words,
        "evidence": one.evidence,
        "response": one.response.word(),
        "response_state": one.response_state,
        "acknowledged_at": one.acknowledged.as_ref().map(|(at, _)| to_text(*at)),
        "acknowledged_by": one.acknowledged.as_ref().map(|(_, by)| by.as_str()),
    })
}

fn rule(one: &RuleView) -> Value {
    json!({
        "name": one.name,
        "id": one.id,
        "title": one.title,
        "level": one.level.word(),
        "kind": one.kind,
        "response": one.response.word(),
        "built_in": one.built_in,
        "description": one.description,
    })
}
