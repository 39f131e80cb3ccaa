//! `/predictions`: what endpoints were asked and what they said.

use http::Method;
use inspection::QueryRows;
use kernel::{Micros, Problem};
use predictions::ops::{
    CountPredictions, EraseSubject, FindPrediction, FindSubject, GetPolicy, Held, ListErasures, ProveErasure, ProvePrediction,
    QueryPredictions, SearchPredictions, SetPolicy, ShowPrediction, Shown, Wish,
};
use predictions::{Count, Erasure, Found, LogPolicy, Policy, Predictions, Record, Spoken};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, list, nothing, only, query};
use super::times::{parse, to_text};
use crate::{Door, Inbound, outbound};

const PREFIX: &str = "/api/strongroom/v1";
/// Rows of one prediction that are shown.
const ROWS_SHOWN_MAX: usize = 1_000;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct QueryBody {
    sql: String,
    #[serde(default = "QueryBody::row_count_default")]
    rows: u64,
    endpoint: Option<String>,
    since: Option<String>,
    until: Option<String>,
}

impl QueryBody {
    const fn row_count_default() -> u64 {
        1_000
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct SubjectBody {
    subject: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PolicyBody {
    log: String,
}

/// Where a prediction is shown.
pub(super) fn address(id: &str) -> String {
    format!("{PREFIX}/predictions/{id}")
}

/// A route's reader with its room.
fn bound<O: 'static>(
    room: &Predictions,
    parse: fn(Predictions, &Inbound) -> Result<O, Problem>,
) -> impl Fn(&Inbound) -> Result<O, Problem> + Send + Sync + 'static {
    let room = room.clone();
    move |inbound| parse(room.clone(), inbound)
}

/// Adds these routes.
pub fn routes(door: &mut Door, room: &Predictions) {
    let at = |end: &str| format!("{PREFIX}{end}");
    let search = bound(room, |room, inbound| {
        let (page, [endpoint, since, until]) = query(inbound, ["endpoint", "since", "until"])?;
        Ok(SearchPredictions { room, wish: wish(endpoint, since, until)?, after: page.after, rows: page.rows })
    });
    door.route(Method::GET, &at("/predictions"), search, |page| list("predictions", &page.rows, page.next.as_deref(), record));
    let counts = bound(room, |room, inbound| {
        let [endpoint, since, until] = only(inbound, ["endpoint", "since", "until"])?;
        Ok(CountPredictions { room, wish: wish(endpoint, since, until)? })
    });
    door.route(Method::GET, &at("/prediction-counts"), counts, |counts| list("counts", &counts, None, count));
    let show = bound(room, |room, inbound| {
        let [] = only(inbound, [])?;
        Ok(ShowPrediction { room, id: inbound.path("prediction").to_owned() })
    });
    door.route(Method::GET, &at("/predictions/{prediction}"), show, |found| outbound::json(&shown(&found)));
    let find = bound(room, |room, inbound| {
        let [] = only(inbound, [])?;
        Ok(FindPrediction { room, id: inbound.path("prediction").to_owned() })
    });
    door.route(Method::GET, &at("/predictions/{prediction}/record"), find, |found| outbound::json(&found_json(&found)));
    let prove = bound(room, |room, inbound| {
        let [] = only(inbound, [])?;
        Ok(ProvePrediction { room, id: inbound.path("prediction").to_owned() })
    });
    door.route(Method::GET, &at("/predictions/{prediction}/proof"), prove, |proof| outbound::json(&proof));
    door.route(Method::POST, &at("/predictions/query"), bound(room, ask), |rows: QueryRows| {
        outbound::json(&json!({
            "columns": rows.columns, "row_count": rows.row_count, "truncated": rows.truncated, "rows": rows.rows,
        }))
    });
    erasure_routes(door, room);
    policy_routes(door, room);
}

/// Who it is stands in a body: an address is seen by more than those whom it concerns.
fn erasure_routes(door: &mut Door, room: &Predictions) {
    let at = |end: &str| format!("{PREFIX}{end}");
    let find = bound(room, |room, inbound| Ok(FindSubject { room, subject: body::<SubjectBody>(inbound)?.subject }));
    door.route(Method::POST, &at("/predictions/subject"), find, |held| outbound::json(&held_json(&held)));
    let erase = bound(room, |room, inbound| Ok(EraseSubject { room, subject: body::<SubjectBody>(inbound)?.subject }));
    door.route(Method::POST, &at("/predictions/erase"), erase, |erased| outbound::json(&erasure(&erased)));
    let done = bound(room, |room, inbound| {
        let (page, []) = query(inbound, [])?;
        Ok(ListErasures { room, after: page.after, rows: page.rows })
    });
    door.route(Method::GET, &at("/prediction-erasures"), done, |page| {
        list("erasures", &page.rows, page.next.as_deref(), erasure)
    });
    let prove = bound(room, |room, inbound| {
        let [] = only(inbound, [])?;
        Ok(ProveErasure { room, entry: inbound.path("erasure").to_owned() })
    });
    door.route(Method::GET, &at("/prediction-erasures/{erasure}"), prove, |(erased, receipt)| {
        let mut value = erasure(&erased);
        if let Some(fields) = value.as_object_mut() {
            fields.insert("record".to_owned(), json!(String::from_utf8_lossy(&receipt.record)));
            fields.insert("receipt".to_owned(), json!(receipt.proof));
            fields.insert("log_key".to_owned(), json!(receipt.log_key));
        }
        outbound::json(&value)
    });
}

fn policy_routes(door: &mut Door, room: &Predictions) {
    let path = format!("{PREFIX}/endpoints/{{endpoint}}/log");
    let get = bound(room, |room, inbound| {
        let [] = only(inbound, [])?;
        Ok(GetPolicy { room, endpoint: inbound.path("endpoint").to_owned() })
    });
    door.route(Method::GET, &path, get, |kept| outbound::json(&policy(&kept)));
    let set = bound(room, |room, inbound| {
        let log = match body::<PolicyBody>(inbound)?.log.as_str() {
            "by_data" => None,
            word => Some(LogPolicy::parse(word).ok_or_else(|| {
                Problem::invalid("`log` is `values`, `hashes`, `off`, or `by_data` for what follows from the training data")
            })?),
        };
        Ok(SetPolicy { room, endpoint: inbound.path("endpoint").to_owned(), log })
    });
    door.route(Method::POST, &path, set, |()| nothing());
}

fn ask(room: Predictions, inbound: &Inbound) -> Result<QueryPredictions, Problem> {
    let QueryBody { sql, rows, endpoint, since, until } = body(inbound)?;
    Ok(QueryPredictions { room, wish: wish(endpoint, since, until)?, sql, row_count_max: rows })
}

fn wish(endpoint: Option<String>, since: Option<String>, until: Option<String>) -> Result<Wish, Problem> {
    let time = |name: &str, text: Option<String>| text.map(|text| parse(name, &text)).transpose();
    Ok(Wish { endpoint, versions: None, since: time("since", since)?, until: time("until", until)? })
}

/// A prediction without its values.
pub(super) fn record(record: &Record) -> Value {
    json!({
        "prediction": record.id,
        "made_at": to_text(Micros(record.at)),
        "endpoint": record.endpoint,
        "version": record.version,
        "manifest_sha256": record.manifest_sha256,
        "caller": record.caller,
        "rows": record.rows,
        "latency_us": record.latency_us,
        "verdicts": record.verdicts,
        "kept": record.log,
        "subject": record.subject,
        "audit_entry": record.entry,
    })
}

/// The same with what is known around it.
pub(super) fn found_json(found: &Found) -> Value {
    let mut value = record(&found.record);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("model".to_owned(), json!(found.model));
        fields.insert("model_version".to_owned(), json!(found.batch.version));
        fields.insert("caller_name".to_owned(), json!(found.caller));
        fields.insert("inputs_hmac".to_owned(), json!(found.record.inputs_hmac));
        fields.insert("outputs_hmac".to_owned(), json!(found.record.outputs_hmac));
        fields.insert("values_sha256".to_owned(), json!(found.record.values_sha256));
        fields.insert(
            "batch".to_owned(),
            json!({
                "id": found.batch.id,
                "root": kernel::hex(&found.batch.root),
                "predictions": found.batch.request_count,
                "sealed_at": to_text(found.batch.sealed_at),
                "audit_entry": found.batch.entry,
            }),
        );
    }
    value
}

fn shown(shown: &Shown) -> Value {
    let mut value = found_json(&shown.found);
    if let Some(fields) = value.as_object_mut() {
        fields.insert("erased".to_owned(), json!(shown.is_erased));
        fields.insert("values".to_owned(), shown.spoken.as_ref().map_or(Value::Null, rows));
    }
    value
}

fn rows(spoken: &Spoken) -> Value {
    let count = spoken.rows().min(ROWS_SHOWN_MAX);
    Value::Array((0..count).map(|row| Value::Object(spoken.row(row))).collect())
}

pub(super) fn count(count: &Count) -> Value {
    json!({
        "endpoint": count.endpoint,
        "endpoint_id": count.endpoint_id,
        "version": count.version,
        "model": count.model,
        "predictions": count.request_count,
        "rows": count.row_count,
        "first_at": to_text(count.first_at),
        "last_at": to_text(count.last_at),
    })
}

fn held_json(held: &Held) -> Value {
    json!({
        "subject": held.subject_id,
        "since": to_text(held.since),
        "predictions": held.request_count,
        "counts": held.counts.iter().map(count).collect::<Vec<_>>(),
        "uncounted_batches": held.uncounted_batch_count,
    })
}

fn erasure(erasure: &Erasure) -> Value {
    json!({
        "subject": erasure.subject_id,
        "erased_at": to_text(erasure.at),
        "erased_by": erasure.by,
        "erased_by_name": erasure.by_name,
        "predictions": erasure.request_count,
        "audit_entry": erasure.entry,
    })
}

fn policy(policy: &Policy) -> Value {
    let set = policy.set_by.as_ref();
    json!({
        "log": policy.log.word(),
        "by_data": set.is_none(),
        "set_by": set.map(|(by, _)| by),
        "set_at": set.map(|(_, at)| to_text(*at)),
    })
}
