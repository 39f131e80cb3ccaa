//! The log: who did what, with what can be narrowed further; and one record with its proof, which the browser checks by itself.

use std::collections::BTreeMap;

use ::audit::ops::{Prove, Proven, Search, Which};
use ::audit::{Audit, Filter, Page, RecordView};
use askama::Template;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem};
use policy::{NameThings, Policy};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, part};
use crate::names::{Names, Wanted};
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;
use crate::timeline::{Account, account};

const PAGE: &str = "/console/audit";
const ROWS: usize = 50;
/// Records that fit, of which the facets tell: the page shows the first of them.
const FACET_COUNT: usize = 500;
/// Values of one facet.
const FACET_ROWS: usize = 8;
/// What the form asks for, in the order of its fields.
const FIELDS: [(&str, &str, &str); 7] = [
    ("who", "Who", "an account's id or name"),
    ("what", "What", "runs.* or runs.log"),
    ("outcome", "Outcome", "done, failed, aborted, refused"),
    ("resource", "To what", "an id"),
    ("from", "From (UTC)", "2026-11-01T00:00:00Z"),
    ("to", "Before (UTC)", "2026-11-02T00:00:00Z"),
    ("text", "Anywhere", "a text"),
];

#[derive(Template)]
#[template(path = "audit.html")]
struct AuditTemplate {
    /// Name, label, hint and value of each field.
    fields: Vec<(&'static str, &'static str, &'static str, String)>,
    facets: Vec<Facet>,
    /// Of how many records the facets tell.
    facet_count: usize,
    table: Table,
    size: u64,
}

/// The values of one field among what fits, the most frequent first.
struct Facet {
    label: &'static str,
    /// Value, or how it is called; how often, and where it alone is shown.
    values: Vec<(String, usize, String)>,
}

#[derive(Template)]
#[template(path = "record.html")]
struct RecordTemplate {
    index: u64,
    at: String,
    verb: String,
    outcome: String,
    record: String,
    /// The same, with line ends and spaces between its parts: no other byte of it is changed.
    readable: String,
    proof: String,
    key: String,
    /// The page above: words and address.
    back: (&'static str, &'static str),
    /// What else is known of it: names and values.
    facts: Vec<(&'static str, String)>,
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let behind = (rooms.audit.clone(), rooms.policy.clone());
    door.choice(Method::GET, PAGE, &[Search::ACTION, NameThings::ACTION], move |inbound| {
        let (behind, query) = (behind.clone(), Query::of(inbound)?);
        let filter = filter(&query)?;
        let number = |text: &str| text.parse().map_err(|_| Problem::invalid("`before` is a number"));
        let before = query.get("before").map(number).transpose()?;
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { found(visitor, behind, (filter, before), &query).await })))
    });
    let behind = (rooms.audit.clone(), rooms.policy.clone());
    door.choice(Method::GET, &format!("{PAGE}/{{index}}"), &[Prove::ACTION, NameThings::ACTION], move |inbound| {
        let (room, policy) = behind.clone();
        let index =
            inbound.path("index").parse().map_err(|_| Problem::not_found("records are named by their place in the log"))?;
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let Proven { index, record, proof, verifier_key } =
                    visitor.call(Prove { room, which: Which::Index(index) }).await?;
                let facts = facts(visitor, &policy, &viewed(&record)?).await?;
                record_page(visitor.workspace(), (index, &record), (proof, verifier_key), ("The log", PAGE), facts)
            })
        }))
    });
}

fn filter(query: &Query) -> Result<Filter, Problem> {
    Ok(Filter {
        caller: query.text("who"),
        action: query.text("what"),
        status: query.text("outcome"),
        resource: query.text("resource"),
        entry: query.text("entry"),
        from: query.time("from")?,
        to: query.time("to")?,
        text: query.text("text"),
        ..Filter::default()
    })
}

async fn found(
    visitor: &Visitor,
    (room, policy): (Audit, Policy),
    (filter, before): (Filter, Option<u64>),
    query: &Query,
) -> Result<Answer, Problem> {
    let who = filter.caller.clone();
    let found = visitor.call(Search { room, filter, before, limit_count: FACET_COUNT }).await?;
    // Records have ids. Who searched by a name is led to the id that it is.
    if let Some(who) = who.filter(|_| found.hits.is_empty() && before.is_none())
        && let Account::Is(id) = account(visitor, policy.clone(), &who).await?
        && id != who
    {
        return Ok(redirect_in(visitor.workspace(), &query.with("who", &id).at(PAGE)));
    }
    let views = found.hits.iter().map(|hit| viewed(&hit.record)).collect::<Result<Vec<_>, _>>()?;
    let mut wanted = Wanted::default();
    for view in views.iter().take(ROWS) {
        wanted.thing(&view.target, &view.action, view.resource.as_deref().unwrap_or_default());
    }
    for view in &views {
        wanted.id(&view.caller.id);
    }
    let names = wanted.named(visitor, &policy).await?;
    log_page(visitor.workspace(), query, (&found, &views), &names)
}

/// What a record's ids are of.
async fn facts(visitor: &Visitor, policy: &Policy, view: &RecordView<'_>) -> Result<Vec<(&'static str, String)>, Problem> {
    let (resource, workspace) = (view.resource.as_deref().unwrap_or_default(), view.workspace.as_deref().unwrap_or_default());
    let mut wanted = Wanted::default();
    wanted.id(&view.caller.id);
    wanted.id(workspace);
    wanted.thing(&view.target, &view.action, resource);
    let names = wanted.named(visitor, policy).await?;
    let done_to = names.thing(&view.target, &view.action, resource);
    let to_what = if done_to.beside.is_empty() { done_to.text } else { names.after(resource) };
    let mut facts = vec![("Who", names.after(&view.caller.id)), ("To what", to_what)];
    if !workspace.is_empty() {
        facts.push(("Where", names.after(workspace)));
    }
    Ok(facts)
}

/// Where records of a verb since some moment are listed.
pub fn search_for(verb: &str, from: Micros) -> String {
    format!("{PAGE}?what={}&outcome=done&from={}", part(verb), part(&wire::time_text(from)))
}

fn log_page(
    workspace: &str,
    query: &Query,
    (found, views): (&Page, &[RecordView<'_>]),
    names: &Names,
) -> Result<Answer, Problem> {
    // More fit than are shown: the next page begins behind the last that is.
    let more = found.hits.get(ROWS - 1).filter(|_| found.hits.len() > ROWS).map(|last| last.index);
    let next = more.or(found.next_before);
    let shown = found.hits.iter().zip(views).take(ROWS).map(|(hit, view)| row(hit.index, view, names));
    let facets = [
        facet(query, ("what", "What"), views.iter().map(|view| view.action.to_string()), names),
        facet(query, ("who", "Who"), views.iter().map(|view| view.caller.id.to_string()), names),
        facet(query, ("outcome", "Outcome"), views.iter().filter_map(|view| Some(view.status.as_ref()?.to_string())), names),
    ];
    let template = AuditTemplate {
        fields: FIELDS.iter().map(|(name, label, hint)| (*name, *label, *hint, query.text(name).unwrap_or_default())).collect(),
        facets: facets.into_iter().flatten().collect(),
        facet_count: found.hits.len(),
        table: Table {
            id: "records",
            title: "The log".to_owned(),
            columns: vec!["Record", "When", "Who", "What", "How it ended", "To what"],
            rows: shown.collect(),
            empty: nothing_fits(query, found),
            next: next.map(|next| query.with("before", &next.to_string()).at(PAGE)).unwrap_or_default(),
        },
        size: found.size,
    };
    page_in(workspace, &template)
}

/// What stands there instead of records: that there is none, or how far was looked.
fn nothing_fits(query: &Query, found: &Page) -> String {
    let Some(until) = found.next_before else {
        return "No record fits. Records have ids, not names: an account is found by its name too where you may look accounts up, all else by its id."
            .to_owned();
    };
    let from = query.get("before").and_then(|text| text.parse().ok()).unwrap_or(found.size).min(found.size).saturating_sub(1);
    format!(
        "Of the records {until} to {from} none fits. A search looks through so many at once; the older ones have not been looked at."
    )
}

/// How often each value stands among what fits, and where that alone is shown; none where there is nothing to choose.
fn facet(
    query: &Query,
    (name, label): (&'static str, &'static str),
    values: impl Iterator<Item = String>,
    names: &Names,
) -> Option<Facet> {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for value in values {
        *counts.entry(value).or_default() += 1;
    }
    if counts.len() < 2 {
        return None;
    }
    let mut all: Vec<(String, usize)> = counts.into_iter().collect();
    all.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let link = |(value, count): (String, usize)| {
        let href = query.without("before").with(name, &value).at(PAGE);
        let called = names.of(&value).map(str::to_owned);
        (called.unwrap_or(value), count, href)
    };
    Some(Facet { label, values: all.into_iter().take(FACET_ROWS).map(link).collect() })
}

fn row(index: u64, view: &RecordView<'_>, names: &Names) -> Vec<Cell> {
    let status = view.status.as_deref().unwrap_or("begun").to_owned();
    let tone = match status.as_str() {
        "refused" => Tone::Wait,
        "failed" | "aborted" => Tone::Bad,
        _ => Tone::Plain,
    };
    vec![
        Cell::link(index.to_string(), format!("{PAGE}/{index}")),
        Cell::text(moment(Micros(view.at))),
        names.account(&view.caller.id, format!("{PAGE}?who={}", part(&view.caller.id))),
        Cell::text(view.action.clone()),
        Cell::state(view.problem.as_ref().map_or_else(|| status.clone(), |problem| format!("{status}: {problem}")), tone),
        names.thing(&view.target, &view.action, view.resource.as_deref().unwrap_or_default()),
    ]
}

/// JSON with a line for each of its parts. The page's module does the same to the exact bytes, and compares.
fn indented(json: &str) -> String {
    let (mut out, mut depth, mut in_text, mut escaped) = (String::with_capacity(json.len() * 2), 0_usize, false, false);
    let line = |out: &mut String, depth: usize| {
        out.push('\n');
        out.extend(std::iter::repeat_n("  ", depth));
    };
    for letter in json.chars() {
        if in_text {
            out.push(letter);
            (in_text, escaped) = (escaped || letter != '"', !escaped && letter == '\\');
            continue;
        }
        match letter {
            '"' => {
                out.push(letter);
                in_text = true;
            }
            '{' | '[' => {
                depth += 1;
                out.push(letter);
                line(&mut out, depth);
            }
            '}' | ']' => {
                depth = depth.saturating_sub(1);
                out.truncate(out.trim_end_matches([' ', '\n']).len());
                if !out.ends_with(['{', '[']) {
                    line(&mut out, depth);
                }
                out.push(letter);
            }
            ',' => {
                out.push(letter);
                line(&mut out, depth);
            }
            ':' => out.push_str(": "),
            ' ' | '\n' => {}
            _ => out.push(letter),
        }
    }
    out
}

/// A record, read.
///
/// # Errors
/// `Internal` for what is no record.
pub fn viewed(record: &[u8]) -> Result<RecordView<'_>, Problem> {
    RecordView::parse(record).ok_or_else(|| Problem::internal("a record of the log cannot be read", "not JSON"))
}

/// A record with its receipt and the log's key, which the browser checks by itself.
///
/// # Errors
/// `Internal` for what is no record.
pub fn record_page(
    workspace: &str,
    (index, record): (u64, &[u8]),
    (proof, key): (String, String),
    back: (&'static str, &'static str),
    facts: Vec<(&'static str, String)>,
) -> Result<Answer, Problem> {
    let view = viewed(record)?;
    let record = String::from_utf8_lossy(record).into_owned();
    page_in(
        workspace,
        &RecordTemplate {
            index,
            at: moment(Micros(view.at)),
            verb: view.action.to_string(),
            outcome: view.status.as_deref().unwrap_or("begun").to_owned(),
            readable: indented(&record),
            record,
            proof,
            key,
            back,
            facts,
        },
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_search_that_has_only_stopped_looking_says_so_and_goes_on() {
        let said = async |query: &str, next_before| {
            let found = Page { hits: Vec::new(), next_before, size: 900_000 };
            let page = log_page("default", &Query::parse(query), (&found, &[]), &Names::default()).unwrap();
            let bytes = axum::body::to_bytes(page.into_body(), 1 << 20).await.unwrap();
            String::from_utf8(bytes.to_vec()).unwrap()
        };
        let stopped = said("text=needle", Some(700_000)).await;
        assert!(
            stopped.contains("Of the records 700000 to 899999 none fits") && !stopped.contains("No record fits"),
            "{stopped}"
        );
        assert!(stopped.contains("href=\"/console/audit?text=needle&#38;before=700000\">Look further back<"), "{stopped}");
        let further = said("text=needle&before=700000", Some(500_000)).await;
        assert!(further.contains("Of the records 500000 to 699999 none fits"), "{further}");
        let whole = said("text=needle&before=100", None).await;
        assert!(whole.contains("No record fits") && !whole.contains("Look further back"), "{whole}");
    }

    #[test]
    fn a_record_is_laid_out_and_nothing_of_it_is_lost() {
        let json = r#"{"a":"x, \"{y}\" \\","b":[1,2.50],"c":{},"d":[{"e":null}]}"#;
        let told = indented(json);
        assert_eq!(
            told,
            "{\n  \"a\": \"x, \\\"{y}\\\" \\\\\",\n  \"b\": [\n    1,\n    2.50\n  ],\n  \"c\": {},\n  \"d\": [\n    {\n      \"e\": null\n    }\n  ]\n}"
        );
        let (one, other): (serde_json::Value, serde_json::Value) =
            (serde_json::from_str(json).unwrap(), serde_json::from_str(&told).unwrap());
        assert_eq!(one, other);
    }
}
