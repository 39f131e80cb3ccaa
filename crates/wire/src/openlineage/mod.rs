//! OpenLineage (<https://openlineage.io/spec>): `POST /api/v1/lineage` and `/api/v1/lineage/batch` take events, and Marquez's
//! `GET /api/v1/lineage` and `/api/v1/events/lineage` give them back. The API key of OpenLineage's clients is a token.

mod marquez;
mod parse;

use axum::body::Body;
use http::{Method, StatusCode};
use kernel::{Kind, Micros, Problem};
use lineage::claim::BATCH_COUNT_MAX;
use lineage::ops::{EVENT_LIMIT_MAX, EVENT_OFFSET_MAX, EventWish, Events, ListEvents, PostEvents, ShowNeighbourhood};
use lineage::{Lineage, Root};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use crate::admin::times;
use crate::{Answer, Door, Inbound, outbound};

/// Marquez's own page.
const EVENT_LIMIT: i64 = 100;
/// Marquez's own depth.
const DEPTH: u32 = 20;
/// The greatest depth.
const DEPTH_MAX: u32 = 10_000;

/// Adds these routes.
pub fn routes(door: &mut Door, lineage: &Lineage) {
    let room = lineage.clone();
    let one = move |inbound: &Inbound| Ok(PostEvents { room: room.clone(), events: vec![parse::event(body_text(inbound)?)?] });
    door.route::<PostEvents, _, _>(Method::POST, "/api/v1/lineage", one, |()| Ok(created()));

    let room = lineage.clone();
    let batch = move |inbound: &Inbound| {
        let batch = Batch::read(body_text(inbound)?)?;
        Ok((PostEvents { room: room.clone(), events: batch.events }, (batch.received, batch.failed)))
    };
    door.route_with(Method::POST, "/api/v1/lineage/batch", batch, |(), (received, failed)| summary(received, &failed));

    let room = lineage.clone();
    let around = move |inbound: &Inbound| {
        let [node, depth] = parameters(inbound, ["nodeId", "depth"])?;
        let node = node.ok_or_else(|| Problem::invalid("`nodeId` must name a job or dataset: `job:NAMESPACE:NAME`"))?;
        Ok(ShowNeighbourhood { room: room.clone(), root: root_of(&node)?, depth: steps_of(depth.as_deref())? })
    };
    door.route::<ShowNeighbourhood, _, _>(Method::GET, "/api/v1/lineage", around, marquez::graph);

    let room = lineage.clone();
    let list = move |inbound: &Inbound| Ok(ListEvents { room: room.clone(), wish: wish(inbound)? });
    door.route::<ListEvents, _, _>(Method::GET, "/api/v1/events/lineage", list, listed);
}

/// The values of these parameters. Marquez's clients of other versions send more, which change nothing here.
fn parameters<const N: usize>(inbound: &Inbound, names: [&str; N]) -> Result<[Option<String>; N], Problem> {
    let given = inbound.query()?;
    Ok(names.map(|name| given.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone())))
}

/// Marquez's `job:NAMESPACE:NAME` or `dataset:NAMESPACE:NAME`; a version after `#` is left away.
fn root_of(node: &str) -> Result<Root, Problem> {
    let bare = node.split_once('#').map_or(node, |(bare, _)| bare);
    match Root::parse(bare)? {
        root @ (Root::Job(_) | Root::Dataset(_)) => Ok(root),
        _ => Err(Problem::invalid("`nodeId` must be `job:NAMESPACE:NAME` or `dataset:NAMESPACE:NAME`")),
    }
}

/// From a job over its run to a dataset are two steps of ours, and one of Marquez's.
fn steps_of(depth: Option<&str>) -> Result<u32, Problem> {
    let depth = depth.map_or(Some(DEPTH), |depth| depth.parse::<u32>().ok());
    let depth = depth.filter(|depth| *depth <= DEPTH_MAX);
    depth.map(|depth| depth * 2).ok_or_else(|| Problem::invalid(format!("`depth` is a number from 0 to {DEPTH_MAX}")))
}

/// The body, which must be JSON: a page of another origin cannot send that without asking first.
fn body_text(inbound: &Inbound) -> Result<&str, Problem> {
    let kind = inbound.header("content-type").unwrap_or_default();
    let essence = kind.split(';').next().unwrap_or_default().trim();
    if !essence.eq_ignore_ascii_case("application/json") {
        return Err(Problem::invalid("events are sent as `Content-Type: application/json`"));
    }
    std::str::from_utf8(&inbound.body).map_err(|_| Problem::invalid("the body is not UTF-8"))
}

/// A batch's events that can be kept, and why the others cannot.
struct Batch {
    received: usize,
    events: Vec<lineage::claim::Event>,
    failed: Vec<(usize, String)>,
}

impl Batch {
    fn read(text: &str) -> Result<Self, Problem> {
        let texts: Vec<&RawValue> = serde_json::from_str(text)
            .map_err(|error| Problem::invalid(format!("a batch must be a JSON list of events: {error}")))?;
        if texts.len() > BATCH_COUNT_MAX {
            let message = format!("a batch may have at most {BATCH_COUNT_MAX} events, this one has {}; split it", texts.len());
            return Err(Problem::new(Kind::TooLarge, message));
        }
        let mut batch = Self { received: texts.len(), events: Vec::new(), failed: Vec::new() };
        for (index, text) in texts.into_iter().enumerate() {
            match parse::event(text.get()) {
                Ok(event) => batch.events.push(event),
                Err(problem) => batch.failed.push((index, problem.message().to_owned())),
            }
        }
        match batch.failed.first() {
            Some((index, reason)) if batch.events.is_empty() => {
                Err(Problem::invalid(format!("none of the {} events can be taken; event {index}: {reason}", batch.received)))
            }
            _ => Ok(batch),
        }
    }
}

fn created() -> Answer {
    let mut answer = Answer::new(Body::empty());
    *answer.status_mut() = StatusCode::CREATED;
    outbound::harden(&mut answer);
    answer
}

/// How OpenLineage's batches are answered. What is wrong once is wrong again, so nothing is to be tried again.
fn summary(received: usize, failed: &[(usize, String)]) -> Result<Answer, Problem> {
    let failed_events: Vec<Value> =
        failed.iter().map(|(index, reason)| json!({ "index": index, "reason": reason, "retriable": false })).collect();
    outbound::json(&json!({
        "status": if failed.is_empty() { "success" } else { "partial_success" },
        "summary": {
            "received": received,
            "successful": received - failed.len(),
            "failed": failed.len(),
            "retriable": 0,
            "non_retriable": failed.len(),
        },
        "failed_events": failed_events,
    }))
}

fn wish(inbound: &Inbound) -> Result<EventWish, Problem> {
    let [after, before, limit, offset, order] = parameters(inbound, ["after", "before", "limit", "offset", "sortDirection"])?;
    let time = |name: &str, text: Option<String>, otherwise: i64| {
        text.filter(|text| !text.is_empty()).map_or(Ok(Micros(otherwise)), |text| times::parse(name, &text))
    };
    let number = |name: &str, text: Option<String>, otherwise: i64, most: i64| match text {
        None => Ok(otherwise),
        Some(text) => text
            .parse()
            .ok()
            .filter(|number| (0..=most).contains(number))
            .ok_or_else(|| Problem::invalid(format!("`{name}` is a number from 0 to {most}"))),
    };
    let oldest_first = match order.as_deref().map(str::to_ascii_lowercase).as_deref() {
        None | Some("desc") => false,
        Some("asc") => true,
        Some(_) => return Err(Problem::invalid("`sortDirection` is `asc` or `desc`")),
    };
    Ok(EventWish {
        after: time("after", after, i64::MIN)?,
        before: time("before", before, i64::MAX)?,
        limit: number("limit", limit, EVENT_LIMIT, EVENT_LIMIT_MAX)?,
        offset: number("offset", offset, 0, EVENT_OFFSET_MAX)?,
        oldest_first,
    })
}

/// The events are JSON already, and are given as they came.
fn listed(events: Events) -> Result<Answer, Problem> {
    outbound::json_text(format!("{{\"events\":[{}],\"totalCount\":{}}}", events.bodies.join(","), events.total_count))
}
