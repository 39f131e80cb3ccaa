//! `/audit`: search, prove, verify, export, and the raw log in the layout of C2SP tlog-tiles.

use audit::ops::{Export, Prove, ReadCheckpoint, ReadTile, Search, Verify, Which};
use audit::tiles::TilePath;
use audit::{Audit, Filter, Hit, RecordView};
use axum::body::Body;
use http::{HeaderValue, Method, header};
use kernel::Problem;
use serde_json::{Value, json};

use super::times;
use crate::mlflow::json::Fields;
use crate::outbound::harden;
use crate::{Answer, Door, Inbound, json as json_answer};

const PREFIX: &str = "/api/strongroom/v1/audit";
/// Records of a page, if nobody says.
const PAGE_COUNT_DEFAULT: i64 = 100;
/// Tells where the next export goes on.
const NEXT_HEADER: &str = "x-strongroom-next";

/// Adds the routes.
pub fn routes(door: &mut Door, room: &Audit) {
    let at = |path: &str| format!("{PREFIX}{path}");
    let audit = room.clone();
    door.route(Method::GET, &at("/records"), move |inbound| search(&audit, inbound), |page| {
        let records = page.hits.iter().map(record_json).collect::<Result<Vec<_>, _>>()?;
        let mut answer = json!({"records": records, "size": page.size});
        if let (Some(next), Some(fields)) = (page.next_before, answer.as_object_mut()) {
            fields.insert("next".to_owned(), json!(next.to_string()));
        }
        json_answer(&answer)
    });
    let audit = room.clone();
    door.route(Method::GET, &at("/proof/{record}"), move |inbound| Ok(prove(&audit, inbound)), |proven| {
        let mut answer = text(proven.proof, "text/plain; charset=utf-8");
        set(&mut answer, "x-strongroom-record", &String::from_utf8_lossy(&proven.record));
        set(&mut answer, "x-strongroom-verifier-key", &proven.verifier_key);
        Ok(answer)
    });
    let audit = room.clone();
    door.route(Method::GET, &at("/export"), move |inbound| export(&audit, inbound), |exported| {
        let mut answer = text(exported.lines, "application/x-ndjson");
        if let Some(next) = exported.next {
            set(&mut answer, NEXT_HEADER, &next.to_string());
        }
        Ok(answer)
    });
    let audit = room.clone();
    door.route(Method::POST, &at("/verify"), move |_| Ok(Verify { room: audit.clone() }), |report| json_answer(&report));
    let audit = room.clone();
    let checkpoint = move |_: &Inbound| Ok(ReadCheckpoint { room: audit.clone() });
    door.route(Method::GET, &at("/checkpoint"), checkpoint.clone(), |note| Ok(text(note, "text/plain; charset=utf-8")));
    // The layout that mirrors and verifiers of C2SP tlog-tiles expect below one address.
    door.route(Method::GET, &at("/log/checkpoint"), checkpoint, |note| Ok(text(note, "text/plain; charset=utf-8")));
    let audit = room.clone();
    let tile = move |inbound: &Inbound| {
        let path = format!("tile/{}", inbound.path("path"));
        let path = TilePath::parse(&path).ok_or_else(|| Problem::not_found(format!("`{path}` is not the path of a tile")))?;
        Ok(ReadTile { room: audit.clone(), path })
    };
    door.route(Method::GET, &at("/log/tile/{*path}"), tile, |bytes| Ok(tile_answer(bytes)));
}

fn search(room: &Audit, inbound: &Inbound) -> Result<Search, Problem> {
    let fields = Fields::of(inbound)?;
    let rows = fields.int("rows")?.unwrap_or(PAGE_COUNT_DEFAULT);
    Ok(Search {
        room: room.clone(),
        filter: filter(&fields)?,
        before: fields.int("after")?.and_then(|index| u64::try_from(index).ok()),
        limit_count: usize::try_from(rows).unwrap_or(1),
    })
}

fn filter(fields: &Fields) -> Result<Filter, Problem> {
    let time = |name: &str| fields.text(name)?.map(|text| times::parse(name, &text)).transpose();
    Ok(Filter {
        caller: fields.text("who")?,
        action: fields.text("what")?,
        from: time("since")?,
        to: time("until")?,
        kind: fields.text("kind")?,
        status: fields.text("outcome")?,
        resource: fields.text("resource")?,
        workspace: fields.text("workspace")?,
        entry: fields.text("entry")?,
        text: fields.text("text")?,
    })
}

fn prove(room: &Audit, inbound: &Inbound) -> Prove {
    let record = inbound.path("record");
    let which = record.parse().map_or_else(|_| Which::Entry(record.to_owned()), Which::Index);
    Prove { room: room.clone(), which }
}

fn export(room: &Audit, inbound: &Inbound) -> Result<Export, Problem> {
    let fields = Fields::of(inbound)?;
    let index = |name: &str| Ok::<_, Problem>(fields.int(name)?.and_then(|index| u64::try_from(index).ok()));
    Ok(Export {
        room: room.clone(),
        from: index("from")?.unwrap_or_default(),
        to: index("to")?,
        limit_count: index("rows")?.unwrap_or(u64::MAX),
    })
}

/// A record for people and scripts: its own fields, its index, and who and when in a form to read.
fn record_json(hit: &Hit) -> Result<Value, Problem> {
    let unreadable = || Problem::internal("a record of the log cannot be read", "not JSON");
    let mut record: Value = serde_json::from_slice(&hit.record).map_err(|_| unreadable())?;
    let view = RecordView::parse(&hit.record).ok_or_else(unreadable)?;
    if let Some(fields) = record.as_object_mut() {
        fields.insert("index".to_owned(), json!(hit.index));
        fields.insert("who".to_owned(), json!(view.caller.id));
        fields.insert("at_us".to_owned(), json!(view.at));
        fields.insert("at".to_owned(), json!(times::to_text(kernel::Micros(view.at))));
    }
    Ok(record)
}

fn text(body: String, kind: &'static str) -> Answer {
    let mut answer = Answer::new(Body::from(body));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    harden(&mut answer);
    answer
}

/// Full bundles lie compressed on disk and are served so.
fn tile_answer(bytes: Vec<u8>) -> Answer {
    let compressed = bytes.starts_with(&[0x1f, 0x8b]);
    let mut answer = Answer::new(Body::from(bytes));
    answer.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
    if compressed {
        answer.headers_mut().insert(header::CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    harden(&mut answer);
    answer
}

fn set(answer: &mut Answer, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        answer.headers_mut().insert(name, value);
    }
}
