//! `/detections`: what was found in the log, by which rules, and who is on it.

use detect::ops::{
    AcknowledgeDetection, CheckRules, CheckedRules, DeleteRules, GetDetection, GetOwnRules, ListDetections, ListOwnRules,
    ListRules, RuleView, SetRules, Tried,
};
use detect::{Detect, Detection, Fault, Level, OwnRules};
use http::Method;
use kernel::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, is_gravest_first, list, nothing, only, query};
use super::times::to_text;
use crate::{Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1/detections";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct CheckBody {
    rules: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    log: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SetBody {
    rules: String,
    #[serde(default = "SetBody::is_enabled")]
    enabled: bool,
    seen: Option<String>,
}

impl SetBody {
    const fn is_enabled() -> bool {
        true
    }
}

/// Adds the routes.
pub fn routes(door: &mut Door, room: &Detect) {
    let detect = room.clone();
    let search = move |inbound: &Inbound| {
        let (page, [level, open, order]) = query(inbound, ["level", "open", "order"])?;
        let level = level.as_deref().map(parse_level).transpose()?;
        let open_only = match open.as_deref() {
            None | Some("false") => false,
            Some("true") => true,
            Some(_) => return Err(Problem::invalid("`open` is true or false")),
        };
        let rows = page.rows.and_then(|rows| i64::try_from(rows).ok());
        let gravest_first = is_gravest_first(order.as_deref())?;
        Ok(ListDetections { room: detect.clone(), level, open_only, gravest_first, after: page.after, rows })
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
    own_routes(door, room);
}

/// Rules that are written on the server.
fn own_routes(door: &mut Door, room: &Detect) {
    let path = format!("{PREFIX}/own-rules");
    let detect = room.clone();
    let all = move |inbound: &Inbound| only(inbound, []).map(|[]| ListOwnRules { room: detect.clone() });
    door.route(Method::GET, &path, all, |all| list("own_rules", &all, None, own));
    let detect = room.clone();
    let check = move |inbound: &Inbound| {
        let CheckBody { rules, name, log } = body(inbound)?;
        Ok(CheckRules { room: detect.clone(), name, body: rules, tries: log })
    };
    door.route(Method::POST, &format!("{path}/check"), check, |done| json_answer(&checked(&done)));
    let one = format!("{path}/by-name/{{rules}}");
    let detect = room.clone();
    let get = move |inbound: &Inbound| {
        let [] = only(inbound, [])?;
        Ok(GetOwnRules { room: detect.clone(), name: inbound.path("rules").to_owned() })
    };
    door.route(Method::GET, &one, get, |found| json_answer(&own(&found)));
    let detect = room.clone();
    let set = move |inbound: &Inbound| {
        let SetBody { rules, enabled, seen } = body(inbound)?;
        Ok(SetRules { room: detect.clone(), name: inbound.path("rules").to_owned(), body: rules, enabled, seen })
    };
    door.route(Method::POST, &one, set, |kept| json_answer(&own(&kept)));
    let detect = room.clone();
    let delete = move |inbound: &Inbound| Ok(DeleteRules { room: detect.clone(), name: inbound.path("rules").to_owned() });
    door.route(Method::DELETE, &one, delete, |()| nothing());
}

fn own(one: &OwnRules) -> Value {
    json!({
        "name": one.name,
        "enabled": one.enabled,
        "changed_at": to_text(one.changed_at),
        "changed_by": one.changed_by,
        "changed_by_name": one.changed_by_name,
        "changes": one.change_count,
        "rules": one.body,
    })
}

fn checked(done: &CheckedRules) -> Value {
    let fault = |fault: &Fault| json!({ "line": fault.line, "column": fault.column, "problem": fault.problem });
    json!({
        "usable": done.fault.is_none(),
        "faults": done.fault.iter().map(fault).collect::<Vec<_>>(),
        "rules": done.rules.iter().map(rule).collect::<Vec<_>>(),
        "tried": done.tried.as_ref().map(tried),
    })
}

fn tried(tried: &Tried) -> Value {
    let one = |one: &detect::ops::TriedRule| json!({ "name": one.name, "title": one.title, "day": one.day_count, "week": one.week_count, "newest": one.newest });
    json!({
        "records": tried.record_count,
        "from": tried.from.map(to_text),
        "rules": tried.rules.iter().map(one).collect::<Vec<_>>(),
    })
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
