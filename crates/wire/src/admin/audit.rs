//! `/audit`: search, prove, verify, export, and the raw log in the layout of C2SP tlog-tiles.

use audit::evidence::Taken;
use audit::ops::{Export, Prove, ReadCheckpoint, ReadTile, Search, TakeEvidence, Verify, Which};
use audit::tiles::TilePath;
use audit::{Audit, Filter, Hit, RecordView};
use axum::body::Body;
use http::{HeaderValue, Method, header};
use kernel::Problem;
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{body, only, query};
use super::times;
use crate::outbound::harden;
use crate::{Answer, Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1/audit";
/// Records of a page, if nobody says.
const PAGE_COUNT_DEFAULT: usize = 100;
/// What records are chosen by, in the order of [`filter`].
const FILTERS: [&str; 11] =
    ["who", "what", "since", "until", "kind", "outcome", "resource", "workspace", "entry", "prediction", "text"];
/// The same, and a stretch of the log.
const EXPORT: [&str; 14] = [
    "who",
    "what",
    "since",
    "until",
    "kind",
    "outcome",
    "resource",
    "workspace",
    "entry",
    "prediction",
    "text",
    "from",
    "to",
    "rows",
];
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    from: u64,
    to: u64,
    report_sha256: String,
}

/// Tells where the next export goes on.
const NEXT_HEADER: &str = "x-strongroom-next";

/// Adds the routes.
pub fn routes(door: &mut Door, room: &Audit) {
    let at = |path: &str| format!("{PREFIX}{path}");
    let audit = room.clone();
    door.route(
        Method::GET,
        &at("/records"),
        move |inbound| search(&audit, inbound),
        |page| {
            let records = page.hits.iter().map(record_json).collect::<Result<Vec<_>, _>>()?;
            let mut answer = json!({"records": records, "size": page.size});
            if let (Some(next), Some(fields)) = (page.next_before, answer.as_object_mut()) {
                fields.insert("next".to_owned(), json!(next.to_string()));
            }
            json_answer(&answer)
        },
    );
    let audit = room.clone();
    door.route(
        Method::GET,
        &at("/proof/{record}"),
        move |inbound| prove(&audit, inbound),
        |proven| {
            let mut answer = answer_of(proven.proof, "text/plain; charset=utf-8");
            set(&mut answer, "x-strongroom-index", &proven.index.to_string());
            set_bytes(&mut answer, "x-strongroom-record", &proven.record)?;
            set(&mut answer, "x-strongroom-verifier-key", &proven.verifier_key);
            Ok(answer)
        },
    );
    let audit = room.clone();
    door.route(
        Method::GET,
        &at("/export"),
        move |inbound| export(&audit, inbound),
        |exported| {
            let mut answer = answer_of(exported.lines, "application/x-ndjson");
            if let Some(next) = exported.next {
                set(&mut answer, NEXT_HEADER, &next.to_string());
            }
            Ok(answer)
        },
    );
    let audit = room.clone();
    let evidence = move |inbound: &Inbound| {
        let Wanted { from, to, report_sha256 } = body(inbound)?;
        Ok(TakeEvidence { room: audit.clone(), from, to, report_sha256 })
    };
    door.route(Method::POST, &at("/evidence"), evidence, |stretch| json_answer(&Taken::from(stretch)));
    let audit = room.clone();
    let verify = move |inbound: &Inbound| only(inbound, []).map(|[]| Verify { room: audit.clone() });
    door.route(Method::POST, &at("/verify"), verify, |report| json_answer(&report));
    let audit = room.clone();
    let checkpoint = move |inbound: &Inbound| only(inbound, []).map(|[]| ReadCheckpoint { room: audit.clone() });
    door.route(Method::GET, &at("/checkpoint"), checkpoint.clone(), |note| Ok(answer_of(note, "text/plain; charset=utf-8")));
    // The layout that mirrors and verifiers of C2SP tlog-tiles expect below one address.
    door.route(Method::GET, &at("/log/checkpoint"), checkpoint, |note| Ok(answer_of(note, "text/plain; charset=utf-8")));
    let audit = room.clone();
    let tile = move |inbound: &Inbound| {
        let [] = only(inbound, [])?;
        let path = format!("tile/{}", inbound.path("path"));
        let path = TilePath::parse(&path).ok_or_else(|| Problem::not_found(format!("`{path}` is not the path of a tile")))?;
        Ok(ReadTile { room: audit.clone(), path })
    };
    door.route(Method::GET, &at("/log/tile/{*path}"), tile, |bytes| Ok(tile_answer(bytes)));
}

fn search(room: &Audit, inbound: &Inbound) -> Result<Search, Problem> {
    let (page, values) = query(inbound, FILTERS)?;
    Ok(Search {
        room: room.clone(),
        filter: filter(values)?,
        before: page.after.map(|after| number("after", &after)).transpose()?,
        limit_count: page.rows.unwrap_or(PAGE_COUNT_DEFAULT),
    })
}

fn filter(
    [who, what, since, until, kind, outcome, resource, workspace, entry, prediction, text]: [Option<String>; 11],
) -> Result<Filter, Problem> {
    let time = |name: &str, text: Option<String>| text.map(|text| times::parse(name, &text)).transpose();
    Ok(Filter {
        caller: who,
        action: what,
        from: time("since", since)?,
        to: time("until", until)?,
        kind,
        status: outcome,
        resource,
        workspace,
        entry,
        prediction,
        text,
    })
}

fn prove(room: &Audit, inbound: &Inbound) -> Result<Prove, Problem> {
    let [] = only(inbound, [])?;
    let record = inbound.path("record");
    let which = record.parse().map_or_else(|_| Which::Entry(record.to_owned()), Which::Index);
    Ok(Prove { room: room.clone(), which })
}

fn export(room: &Audit, inbound: &Inbound) -> Result<Export, Problem> {
    let [who, what, since, until, kind, outcome, resource, workspace, entry, prediction, text, from, to, rows] =
        only(inbound, EXPORT)?;
    let count = |name: &str, text: Option<String>| text.map(|text| number(name, &text)).transpose();
    Ok(Export {
        room: room.clone(),
        filter: filter([who, what, since, until, kind, outcome, resource, workspace, entry, prediction, text])?,
        from: count("from", from)?.unwrap_or_default(),
        to: count("to", to)?,
        limit_count: count("rows", rows)?.unwrap_or(u64::MAX),
    })
}

fn number(name: &str, text: &str) -> Result<u64, Problem> {
    text.parse().map_err(|_| Problem::invalid(format!("`{name}` is a whole number")))
}

/// A record for people and scripts: its own fields as they are, and beside them its index, and who and when in a form to read.
///
/// # Errors
/// If the log's own record is no JSON.
pub fn record_json(hit: &Hit) -> Result<Value, Problem> {
    let unreadable = || Problem::internal("a record of the log cannot be read", "not JSON");
    let mut record: Value = serde_json::from_slice(&hit.record).map_err(|_| unreadable())?;
    let view = RecordView::parse(&hit.record).ok_or_else(unreadable)?;
    if let Some(fields) = record.as_object_mut() {
        fields.insert("index".to_owned(), json!(hit.index));
        fields.insert("who".to_owned(), json!(view.caller.id));
        fields.insert("at_text".to_owned(), json!(times::to_text(kernel::Micros(view.at))));
        if let Some(prediction) = view.prediction() {
            // Where to read on; whoever reads the log need not be allowed to.
            let links =
                json!({ "prediction": super::predictions::address(prediction), "trace": super::trace::address(prediction) });
            fields.insert("links".to_owned(), links);
        }
    }
    Ok(record)
}

fn answer_of(body: impl Into<Body>, kind: &'static str) -> Answer {
    let mut answer = Answer::new(body.into());
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    harden(&mut answer);
    answer
}

/// A tile as it lies on disk, whatever its first bytes look like: hashes are random, and some begin as a gzip file does.
fn tile_answer(bytes: Vec<u8>) -> Answer {
    answer_of(bytes, "application/octet-stream")
}

/// A record's own bytes. They are text, but need not be ASCII.
fn set_bytes(answer: &mut Answer, name: &'static str, bytes: &[u8]) -> Result<(), Problem> {
    let value = HeaderValue::from_bytes(bytes).map_err(|e| Problem::internal("the record cannot be put into a header", e))?;
    answer.headers_mut().insert(name, value);
    Ok(())
}

fn set(answer: &mut Answer, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tile_is_never_taken_for_a_compressed_file() {
        // One hash in 65,536 begins with the two bytes that begin a gzip file.
        let answer = tile_answer(vec![0x1f, 0x8b, 8, 0]);
        assert_eq!(answer.headers().get(header::CONTENT_ENCODING), None);
        assert_eq!(answer.headers()[header::CONTENT_TYPE], "application/octet-stream");
    }
}
