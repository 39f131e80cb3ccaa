//! `/endpoints/{endpoint}/guard` and `/trails`: how endpoints are guarded, and what is known of their callers.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use kernel::Problem;
use serde::Deserialize;
use serde_json::{Value, json};
use serving::ops::{GuardChange, ListTrails, ReleaseTrail, SetGuard, ThrottleTrail};
use serving::{GuardSettings, GuardState, Level, RangePolicy, Serving, TrailShown};

use super::shape::{body, list, nothing, query};
use super::times::to_text;
use crate::{Door, Inbound, outbound};

const ENDPOINT: &str = "/api/strongroom/v1/endpoints/{endpoint}";

/// What is not said stays as it is, and what is `null` goes back to the default.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct GuardBody {
    rows_per_day: Said<u64>,
    digits: Said<u8>,
    top_k: Said<u16>,
    ranges: Said<String>,
    unlike: Said<String>,
    ladder: Said<bool>,
}

/// A field of a change.
#[derive(Clone, Copy, Default)]
enum Said<T> {
    /// It is not there.
    #[default]
    Not,
    /// It is `null`.
    Usual,
    /// It is this.
    As(T),
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Said<T> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(Option::<T>::deserialize(deserializer)?.map_or(Self::Usual, Self::As))
    }
}

impl<T> Said<T> {
    fn read<U>(self, read: impl FnOnce(T) -> Result<U, Problem>) -> Result<Said<U>, Problem> {
        Ok(match self {
            Self::Not => Said::Not,
            Self::Usual => Said::Usual,
            Self::As(value) => Said::As(read(value)?),
        })
    }

    fn over(self, kept: T, usual: T) -> T {
        match self {
            Self::Not => kept,
            Self::Usual => usual,
            Self::As(value) => value,
        }
    }
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
    fn change(self) -> Result<GuardChange, Problem> {
        let Self { rows_per_day, digits, top_k, ranges, unlike, ladder } = self;
        let rows_per_day = rows_per_day.read(|rows| Ok(Some(rows)))?;
        let digits = digits.read(|digits| Ok(Some(digits)))?;
        let top_k = top_k.read(|count| Ok(Some(count)))?;
        let ranges = ranges.read(|word| RangePolicy::parse(&word))?;
        let unlike = unlike.read(|word| level(&word))?;
        let usual = GuardSettings::default();
        Ok(Arc::new(move |kept: GuardSettings| GuardSettings {
            rows_per_day: rows_per_day.over(kept.rows_per_day, usual.rows_per_day),
            digits: digits.over(kept.digits, usual.digits),
            top_k: top_k.over(kept.top_k, usual.top_k),
            ranges: ranges.over(kept.ranges, usual.ranges),
            unlike: unlike.over(kept.unlike, usual.unlike),
            ladder: ladder.over(kept.ladder, usual.ladder),
        }))
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
        Ok(SetGuard { room: own.clone(), name: name(inbound), change: wanted.change()? })
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

#[cfg(test)]
mod tests {
    use super::*;

    const KEPT: GuardSettings = GuardSettings {
        rows_per_day: Some(9),
        digits: Some(2),
        top_k: Some(1),
        ranges: RangePolicy::Refuse,
        unlike: Level::Slower,
        ladder: false,
    };

    fn check(body: Value, expected: GuardSettings) {
        let changed: GuardBody = serde_json::from_value(body.clone()).unwrap();
        assert_eq!(changed.change().unwrap()(KEPT), expected, "{body}");
    }

    #[test]
    fn what_is_not_named_stays_and_null_is_the_default() {
        check(json!({}), KEPT);
        check(json!({ "ranges": "ignore", "top_k": 3 }), GuardSettings { ranges: RangePolicy::Ignore, top_k: Some(3), ..KEPT });
        check(json!({ "digits": null, "ladder": null }), GuardSettings { digits: None, ladder: true, ..KEPT });
        let all = json!({ "rows_per_day": null, "digits": null, "top_k": null, "ranges": null, "unlike": null, "ladder": null });
        check(all, GuardSettings::default());
        assert!(serde_json::from_value::<GuardBody>(json!({ "colour": 1 })).is_err());
        let wrong: GuardBody = serde_json::from_value(json!({ "ranges": "maybe" })).unwrap();
        assert!(wrong.change().is_err());
    }
}
