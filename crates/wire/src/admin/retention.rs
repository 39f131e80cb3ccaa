//! `/retention`: by which time things are retained, how many are, and what is retained as a whole.

use buckets::Buckets;
use buckets::ops::lock::ShowRetention;
use http::Method;
use kernel::Problem;
use retention::ops::{BypassKept, ExtendKept, HoldKept, KeptPage, ListKept, Named, Reach};
use retention::{ClockState, Keeping, Kept, Kind, Mode, Retention};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, query};
use super::times::{self, to_text};
use crate::{Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1/retention";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Extension {
    kind: String,
    name: String,
    mode: Mode,
    until: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Holding {
    kind: String,
    name: String,
    hold: bool,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Bypassing {
    kind: String,
    name: String,
    until: Option<String>,
    reason: String,
}

/// A route's reader with its room.
fn bound<O: 'static>(
    room: &Keeping,
    parse: fn(Keeping, &Inbound) -> Result<O, Problem>,
) -> impl Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| parse(room.clone(), inbound)
}

fn named(kind: &str, name: String) -> Result<Named, Problem> {
    let kind = Kind::parse(kind)?;
    let reach = if kind == Kind::Backup { Reach::Server } else { Reach::Workspace };
    Ok(Named { reach, kind, name })
}

fn listing(room: Keeping, reach: Reach, inbound: &Inbound) -> Result<ListKept, Problem> {
    let (page, []) = query(inbound, [])?;
    let rows = page.rows.and_then(|rows| i64::try_from(rows).ok());
    Ok(ListKept { room, reach, after: page.after.unwrap_or_default(), rows })
}

/// Adds the routes.
pub fn routes(door: &mut Door, buckets: &Buckets, keeping: &Keeping) {
    let room = buckets.clone();
    let show = move |_: &Inbound| Ok(ShowRetention { room: room.clone() });
    door.route(Method::GET, PREFIX, show, |state| {
        let mut shown = clock(state.clock);
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("held_count".to_owned(), json!(state.held_count));
            fields.insert("retained_count".to_owned(), json!(state.retained_count));
            fields.insert("enforced_by".to_owned(), json!(state.enforcement.word()));
        }
        json_answer(&shown)
    });
    let at = |end: &str| format!("{PREFIX}/{end}");
    let here = bound(keeping, |room, inbound| listing(room, Reach::Workspace, inbound));
    door.route(Method::GET, &at("kept"), here, |page: KeptPage| shown(&page));
    let on_server = bound(keeping, |room, inbound| listing(room, Reach::Server, inbound));
    door.route(Method::GET, &at("server"), on_server, |page: KeptPage| shown(&page));
    let extend = bound(keeping, |room, inbound| {
        let Extension { kind, name, mode, until } = body(inbound)?;
        let retention = Retention { mode, until: times::parse("until", &until)? };
        Ok(ExtendKept { room, which: named(&kind, name)?, retention })
    });
    door.route(Method::POST, &at("extend"), extend, |one| json_answer(&kept(&one, "")));
    let hold = bound(keeping, |room, inbound| {
        let Holding { kind, name, hold } = body(inbound)?;
        Ok(HoldKept { room, which: named(&kind, name)?, hold })
    });
    door.route(Method::POST, &at("hold"), hold, |one| json_answer(&kept(&one, "")));
    let bypass = bound(keeping, |room, inbound| {
        let Bypassing { kind, name, until, reason } = body(inbound)?;
        let until = until.map(|until| times::parse("until", &until)).transpose()?;
        Ok(BypassKept { room, which: named(&kind, name)?, until, reason })
    });
    door.route(Method::POST, &at("bypass"), bypass, |one| json_answer(&kept(&one, "")));
}

fn clock(clock: ClockState) -> Value {
    json!({
        "compliance_at": to_text(clock.at),
        "wall_at": to_text(clock.wall_at),
        "lag_s": clock.lag_us() / 1_000_000,
        "clock_is_followed": clock.lag_us().abs() <= retention::clock::LAG_US_MAX,
    })
}

fn shown(page: &KeptPage) -> Result<crate::Answer, Problem> {
    list("kept", &page.kept, page.next.as_deref(), |one| {
        let mut shown = kept(one, page.enforcement.word());
        if let Some(fields) = shown.as_object_mut() {
            fields.insert("in_force".to_owned(), json!(one.lock.holds(page.clock.at)));
        }
        shown
    })
}

fn kept(one: &Kept, enforced_by: &str) -> Value {
    let mut shown = json!({
        "kind": one.kind.word(),
        "name": one.name,
        "id": one.subject,
        "rule": Some(&one.rule).filter(|rule| !rule.is_empty()),
        "mode": one.lock.retention.map(|retention| retention.mode.word()),
        "until": one.lock.retention.map(|retention| to_text(retention.until)),
        "legal_hold": one.lock.hold,
        "since": to_text(one.created_at),
    });
    // Of a model that lies elsewhere nothing but its row is held.
    if let (Some(fields), Kind::Model) = (shown.as_object_mut(), one.kind) {
        let files = if one.object_count > 0 { "held" } else { "none held" };
        fields.insert("files".to_owned(), json!(files));
    }
    // A backup lies in a place of its own, which this server's objects say nothing of.
    let enforced_by = if one.kind == Kind::Backup { "software" } else { enforced_by };
    if let (Some(fields), false) = (shown.as_object_mut(), enforced_by.is_empty()) {
        fields.insert("enforced_by".to_owned(), json!(enforced_by));
    }
    shown
}
