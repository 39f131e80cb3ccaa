//! `/users/{user}/log-ins`, `/me/log-ins` and `/geo`: how log-ins were judged, and from which tables it is known where addresses are.

use http::Method;
use kernel::Problem;
use risk::ops::{ExplainLogIns, GeoRow, GeoShown, OwnLogIns, ShowGeo, UpdateGeo};
use risk::{JudgedLogIn, LogIns};
use serde_json::{Value, json};

use super::shape::{list, only, query};
use super::times::{self, to_text};
use crate::{BodyStream, Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1";

/// Adds the routes.
pub fn routes(door: &mut Door, log_ins: &LogIns) {
    let room = log_ins.clone();
    let explain = move |inbound: &Inbound| {
        Ok(ExplainLogIns { room: room.clone(), who: inbound.path("user").to_owned(), rows: rows(inbound)? })
    };
    door.route(Method::GET, &format!("{PREFIX}/users/{{user}}/log-ins"), explain, |all| list("log_ins", &all, None, judged));
    let room = log_ins.clone();
    let own = move |inbound: &Inbound| Ok(OwnLogIns { room: room.clone(), rows: rows(inbound)? });
    door.route(Method::GET, &format!("{PREFIX}/me/log-ins"), own, |all| list("log_ins", &all, None, judged));
    let room = log_ins.clone();
    let show = move |inbound: &Inbound| {
        let [address] = only(inbound, ["address"])?;
        let address = address.map(|text| text.parse().map_err(|_| Problem::invalid("`address` is an IP address"))).transpose()?;
        Ok(ShowGeo { room: room.clone(), address })
    };
    door.route(Method::GET, &format!("{PREFIX}/geo"), show, |shown| json_answer(&geo(&shown)));
    let room = log_ins.clone();
    let update = move |inbound: &Inbound, bytes: BodyStream| {
        let [made_at, may_shrink, may_be_older] = only(inbound, ["made_at", "may_shrink", "may_be_older"])?;
        let made_at = made_at.map(|text| times::parse("made_at", &text)).transpose()?;
        let may_shrink = flag("may_shrink", may_shrink.as_deref())?;
        let may_be_older = flag("may_be_older", may_be_older.as_deref())?;
        let (room, table) = (room.clone(), inbound.path("table").to_owned());
        Ok(UpdateGeo { room, table, made_at, may_shrink, may_be_older, body: Box::pin(bytes) })
    };
    door.stream(Method::PUT, &format!("{PREFIX}/geo/{{table}}"), update, |row| json_answer(&table(&row)));
}

fn rows(inbound: &Inbound) -> Result<Option<i64>, Problem> {
    let (page, []) = query(inbound, [])?;
    Ok(page.rows.and_then(|rows| i64::try_from(rows).ok()))
}

fn flag(name: &str, given: Option<&str>) -> Result<bool, Problem> {
    match given {
        None | Some("false") => Ok(false),
        Some("true") => Ok(true),
        Some(_) => Err(Problem::invalid(format!("`{name}` is true or false"))),
    }
}

fn judged(one: &JudgedLogIn) -> Value {
    let reasons: Vec<Value> =
        one.reasons.iter().map(|reason| json!({ "word": reason.word, "weight": reason.weight, "asks": reason.asks })).collect();
    json!({
        "at": to_text(one.at),
        "outcome": one.outcome,
        "country": one.country,
        "network": one.network,
        "is_private": one.is_private,
        "score": one.score,
        "percentile": one.percentile,
        "risk": one.risk,
        "band": one.band,
        "reasons": reasons,
    })
}

fn geo(shown: &GeoShown) -> Value {
    let tables: Vec<Value> = shown
        .tables
        .iter()
        .map(|(row, is_old)| {
            let mut shown = table(row);
            if let Some(fields) = shown.as_object_mut() {
                fields.insert("is_old".to_owned(), json!(is_old));
            }
            shown
        })
        .collect();
    let mut answer = json!({ "tables": tables });
    if let (Some((address, whence)), Some(fields)) = (shown.whence, answer.as_object_mut()) {
        fields.insert("address".to_owned(), json!(address.to_string()));
        fields.insert("country".to_owned(), json!(whence.country.map(|country| country.text().to_owned())));
        fields.insert("network".to_owned(), json!(whence.network));
        fields.insert("is_private".to_owned(), json!(whence.is_private));
        fields.insert("is_unknown".to_owned(), json!(whence.is_unknown()));
    }
    answer
}

fn table(row: &GeoRow) -> Value {
    json!({
        "table": row.kind,
        "made_at": to_text(row.made_at),
        "loaded_at": to_text(row.loaded_at),
        "rows": row.row_count,
        "sha256": row.sha256,
    })
}
