//! The log: who did what; and one record with its proof, which the browser checks by itself.

use ::audit::ops::{Prove, Proven, Search, Which};
use ::audit::{Filter, Hit, RecordView};
use askama::Template;
use http::Method;
use kernel::{Micros, Problem};
use wire::{Answer, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, part};
use crate::page::{moment, page_in};

const PAGE: &str = "/console/audit";
const ROWS: usize = 50;
/// What the form asks for, in the order of its fields.
const FIELDS: [(&str, &str, &str); 5] = [
    ("who", "Who", "an account's id"),
    ("what", "What", "runs.* or runs.log"),
    ("outcome", "Outcome", "done, failed, aborted, refused"),
    ("resource", "To what", "an id"),
    ("text", "Anywhere", "a text"),
];

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditTemplate {
    /// Name, label, hint and value of each field.
    fields: Vec<(&'static str, &'static str, &'static str, String)>,
    table: Table,
    size: u64,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordTemplate {
    index: u64,
    at: String,
    verb: String,
    outcome: String,
    record: String,
    pretty: String,
    proof: String,
    key: String,
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.audit.clone();
    let search = move |inbound: &Inbound| {
        let query = inbound.query()?;
        let value = |wanted: &str| query.iter().find(|(name, _)| name == wanted).map(|(_, value)| value.trim().to_owned());
        let given = |wanted: &str| value(wanted).filter(|text| !text.is_empty());
        let filter = Filter {
            caller: given("who"),
            action: given("what"),
            status: given("outcome"),
            resource: given("resource"),
            text: given("text"),
            ..Filter::default()
        };
        let number = |text: String| text.parse().map_err(|_| Problem::invalid("`before` is a number"));
        let before = given("before").map(number).transpose()?;
        let asked: Vec<(&str, String)> = FIELDS.iter().filter_map(|(name, ..)| Some((*name, given(name)?))).collect();
        let asked: Vec<(String, String)> = asked.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let search = Search { room: room.clone(), filter, before, limit_count: ROWS };
        Ok((search, (asked, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, PAGE, search, |found, (asked, workspace)| {
        let value =
            |name: &str| asked.iter().find(|(known, _)| known == name).map(|(_, value)| value.clone()).unwrap_or_default();
        let query: String = asked.iter().map(|(name, value)| format!("&{name}={}", part(value))).collect();
        page_in(
            &workspace,
            &AuditTemplate {
                fields: FIELDS.iter().map(|(name, label, hint)| (*name, *label, *hint, value(name))).collect(),
                table: Table {
                    id: "records",
                    title: "The log".to_owned(),
                    columns: vec!["Record", "When", "Who", "What", "How it ended", "To what"],
                    rows: found.hits.iter().map(row).collect::<Result<_, _>>()?,
                    empty: "No record fits. Records have ids, not names: search by an account's id.".to_owned(),
                    next: found.next_before.map(|next| format!("{PAGE}?before={next}{query}")).unwrap_or_default(),
                },
                size: found.size,
            },
        )
    });
    let room = rooms.audit.clone();
    let prove = move |inbound: &Inbound| {
        let index =
            inbound.path("index").parse().map_err(|_| Problem::not_found("records are named by their place in the log"))?;
        Ok((Prove { room: room.clone(), which: Which::Index(index) }, inbound.workspace().to_owned()))
    };
    let at = format!("{PAGE}/{{index}}");
    door.route_with(Method::GET, &at, prove, |proven, workspace| record_page(&workspace, &proven));
}

fn row(hit: &Hit) -> Result<Vec<Cell>, Problem> {
    let view = viewed(&hit.record)?;
    let status = view.status.as_deref().unwrap_or("begun").to_owned();
    let tone = match status.as_str() {
        "refused" => Tone::Wait,
        "failed" | "aborted" => Tone::Bad,
        _ => Tone::Plain,
    };
    Ok(vec![
        Cell::link(hit.index.to_string(), format!("{PAGE}/{}", hit.index)),
        Cell::text(moment(Micros(view.at))),
        Cell::link(view.caller.id.clone(), format!("{PAGE}?who={}", part(&view.caller.id))),
        Cell::text(view.action.clone()),
        Cell::state(view.problem.as_ref().map_or_else(|| status.clone(), |problem| format!("{status}: {problem}")), tone),
        Cell::text(format!("{} {}", view.target, view.resource.as_deref().unwrap_or_default())),
    ])
}

fn viewed(record: &[u8]) -> Result<RecordView<'_>, Problem> {
    RecordView::parse(record).ok_or_else(|| Problem::internal("a record of the log cannot be read", "not JSON"))
}

fn record_page(workspace: &str, proven: &Proven) -> Result<Answer, Problem> {
    let view = viewed(&proven.record)?;
    let record = String::from_utf8_lossy(&proven.record).into_owned();
    let value: serde_json::Value =
        serde_json::from_slice(&proven.record).map_err(|error| Problem::internal("a record cannot be read", error))?;
    page_in(
        workspace,
        &RecordTemplate {
            index: proven.index,
            at: moment(Micros(view.at)),
            verb: view.action.to_string(),
            outcome: view.status.as_deref().unwrap_or("begun").to_owned(),
            pretty: serde_json::to_string_pretty(&value).unwrap_or_default(),
            record,
            proof: proven.proof.clone(),
            key: proven.verifier_key.clone(),
        },
    )
}
