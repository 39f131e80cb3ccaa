//! `/endpoints/{endpoint}/guard` and `/trails`: how endpoints are guarded, and what is known of their callers.

use std::time::Duration;

use http::Method;
use kernel::Problem;
use serde::Deserialize;
use serde_json::{Value, json};
use serving::ops::{ListTrails, ReleaseTrail, SetGuard, ThrottleTrail};
use serving::{GuardSettings, GuardState, Level, RangePolicy, Serving, TrailShown};

use super::shape::{body, list, nothing, query};
use super::times::to_text;
use crate::{Door, Inbound, outbound};

const ENDPOINT: &str = "/api/strongroom/v1/endpoints/{endpoint}";

/// What is not said is as by default.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct GuardBody {
    rows_per_day: Option<u64>,
    digits: Option<u8>,
    top_k: Option<u16>,
    ranges: Option<String>,
    unlike: Option<String>,
    ladder: Option<bool>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseBody {
    caller: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ThrottleBody {
    caller: String,
    level: String,
    seconds: u64,
}

impl GuardBody {
    fn settings(self) -> Result<GuardSettings, Problem> {
        let Self { rows_per_day, digits, top_k, ranges, unlike, ladder } = self;
        let usual = GuardSettings::default();
        Ok(GuardSettings {
            rows_per_day,
            digits,
            top_k,
            ranges: ranges.map_or(Ok(usual.ranges), |word| RangePolicy::parse(&word))?,
            unlike: unlike.map_or(Ok(usual.unlike), |word| level(&word))?,
            ladder: ladder.unwrap_or(usual.ladder),
        })
    }
}

fn level(word: &str) -> Result<Level, Problem> {
    Level::parse(word).ok_or_else(|| Problem::invalid("a step is `alarm`, `slower`, `coarser` or `refused`"))
}

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Serving) {
    let own = room.clone();
    let set = move |inbound: &Inbound| {
        let wanted: GuardBody = body(inbound)?;
        Ok(SetGuard { room: own.clone(), name: name(inbound), settings: wanted.settings()? })
    };
    door.route(Method::POST, &format!("{ENDPOINT}/guard"), set, |set| outbound::json(&settings(&set)));
    let own = room.clone();
    let trails = move |inbound: &Inbound| {
        let (page, []) = query(inbound, [])?;
        Ok(ListTrails { room: own.clone(), name: name(inbound), rows: page.rows })
    };
    door.route(Method::GET, &format!("{ENDPOINT}/trails"), trails, |rows: Vec<TrailShown>| list("trails", &rows, None, trail));
    let own = room.clone();
    let release = move |inbound: &Inbound| {
        let ReleaseBody { caller } = body(inbound)?;
        Ok(ReleaseTrail { room: own.clone(), name: name(inbound), caller })
    };
    door.route(Method::POST, &format!("{ENDPOINT}/trails/release"), release, |()| nothing());
    let own = room.clone();
    let throttle = move |inbound: &Inbound| {
        let ThrottleBody { caller, level: word, seconds } = body(inbound)?;
        let (room, name, level) = (own.clone(), name(inbound), level(&word)?);
        Ok(ThrottleTrail { room, name, caller, level, duration: Duration::from_secs(seconds) })
    };
    door.route(Method::POST, &format!("{ENDPOINT}/trails/throttle"), throttle, |()| nothing());
}

fn name(inbound: &Inbound) -> String {
    inbound.path("endpoint").to_owned()
}

fn settings(settings: &GuardSettings) -> Value {
    json!({
        "rows_per_day": settings.rows_per_day,
        "digits": settings.digits,
        "top_k": settings.top_k,
        "ranges": settings.ranges.word(),
        "unlike": settings.unlike.word(),
        "ladder": settings.ladder,
    })
}

/// How an endpoint is guarded just now, as the endpoint itself tells it.
pub(super) fn state(state: &GuardState) -> Value {
    let mut told = settings(&state.settings);
    if let Some(fields) = told.as_object_mut() {
        fields.insert("rows_per_day".to_owned(), Value::from(state.rows_per_day));
        // The data's name is in the report of the inspection, for those who may know of it.
        fields.insert("compared_row_count".to_owned(), json!(state.compared_row_count));
        fields.insert("sees_near_queries".to_owned(), Value::from(state.sees_near));
        let callers = Level::ALL.iter().zip(state.callers).map(|(level, count)| (level.word().to_owned(), Value::from(count)));
        fields.insert("callers".to_owned(), Value::Object(callers.collect()));
    }
    told
}

fn trail(trail: &TrailShown) -> Value {
    let counts = &trail.counts;
    json!({
        "caller": trail.caller,
        "network": format!("{:08x}", trail.network),
        "level": trail.level.word(),
        "cause": trail.why.map(|(cause, _)| cause.word()),
        "why": trail.why.map(|(cause, _)| cause.why()),
        "since": trail.why.map(|(_, since)| to_text(since)),
        "remaining_s": trail.remaining.as_secs(),
        "rows": counts.rows,
        "repeats": counts.repeats,
        "near": counts.near,
        "unlike": counts.unlike,
        "outside": counts.outside,
        "alarms": counts.alarms,
        "coverage": trail.coverage,
        "spent_rows": trail.spent_rows,
        "seen_at": to_text(trail.seen_at),
    })
}
