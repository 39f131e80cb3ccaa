//! What somebody did and touched, and a file that shows it to others: the forensics of the log as pages.

use std::collections::{BTreeMap, VecDeque};

use ::audit::evidence::{Bundle, Taken};
use ::audit::note::VerifierKey;
use ::audit::ops::{Prove, Search, TakeEvidence, Which};
use ::audit::{Audit, Filter, PAGE_COUNT_MAX};
use axum::body::Body;
use gate::{Operation, Target, Visitor};
use http::{HeaderValue, Method, header};
use kernel::{Kind, Micros, Problem, hex, sha256};
use policy::{AccessCheck, NameThings, Policy};
use serde_json::Value;
use wire::admin::acts::{Act, Report, Thing, acts, not_followed, touched};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, first_of, if_allowed, part};
use crate::names::{Names, Wanted};
use crate::page::{moment, page_in};
use crate::query::Query;
use crate::sections::{Deed, Field, Sections};

const PAGE: &str = "/console/audit/timeline";
const EVIDENCE: &str = "/console/audit/evidence";
/// Records of one person that a page looks at; the command line looks at more.
const RECORD_COUNT_MAX: usize = 20_000;
/// Acts that a page shows.
const ACT_ROWS: usize = 200;
/// Who follows the lineage, which neither the page nor its file does.
const FOLLOWED_BY: &str = "`strongroom audit blast-radius` follows it";
const THING_ROWS: usize = 200;

/// Whom it is about, and when.
struct Whom {
    who: String,
    from: String,
    to: String,
}

impl Whom {
    fn of<'a>(value: impl Fn(&str) -> Option<&'a str>) -> Self {
        let text = |name: &str| value(name).unwrap_or_default().trim().to_owned();
        Self { who: text("who"), from: text("from"), to: text("to") }
    }

    fn filter(&self) -> Result<Filter, Problem> {
        let time = |name: &str, text: &str| -> Result<Option<Micros>, Problem> {
            if text.is_empty() { Ok(None) } else { wire::parse_time(name, text).map(Some) }
        };
        let caller = Some(self.who.clone());
        Ok(Filter { caller, from: time("from", &self.from)?, to: time("to", &self.to)?, ..Filter::default() })
    }
}

/// Adds the page and the file.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let behind = (rooms.audit.clone(), rooms.policy.clone());
    let verbs = [Search::ACTION, AccessCheck::ACTION, NameThings::ACTION];
    door.choice(Method::GET, PAGE, &verbs, move |inbound| {
        let query = Query::of(inbound)?;
        let behind = behind.clone();
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, behind, &query).await })))
    });
    let room = rooms.audit.clone();
    door.choice(Method::POST, EVIDENCE, &[Search::ACTION, TakeEvidence::ACTION, Prove::ACTION], move |inbound| {
        let form = inbound.form()?;
        let (room, whom) = (room.clone(), Whom::of(|name| form.get(name)));
        if whom.who.is_empty() {
            return Err(Problem::invalid("`who` names the account, by id, as the log has it"));
        }
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { evidence(visitor, room, whom).await })))
    });
}

/// Records of somebody.
struct Stretch {
    /// The oldest first.
    records: Vec<Value>,
    /// Below which record older ones are, if there are any.
    older: Option<u64>,
}

/// The newest records of somebody that lie below one, as many as a page looks at.
async fn stretch(visitor: &Visitor, room: &Audit, filter: &Filter, before: Option<u64>) -> Result<Stretch, Problem> {
    let (mut records, mut before) = (VecDeque::new(), before);
    loop {
        let search = Search { room: room.clone(), filter: filter.clone(), before, limit_count: PAGE_COUNT_MAX };
        let page = visitor.call(search).await?;
        for hit in &page.hits {
            records.push_front(wire::admin::audit::record_json(hit)?);
        }
        before = page.next_before;
        if before.is_none() || records.len() >= RECORD_COUNT_MAX {
            return Ok(Stretch { records: records.into(), older: before });
        }
    }
}

async fn shown(visitor: &Visitor, (room, policy): (Audit, Policy), query: &Query) -> Result<Answer, Problem> {
    let whom = Whom::of(|name| query.get(name));
    let mut page = Sections::new("What somebody did");
    page.back = ("The log", "/console/audit".to_owned());
    page.fields = vec![
        Field::text("who", "Who", whom.who.clone(), "an account's id or name"),
        Field::text("from", "From (UTC)", whom.from.clone(), "2026-11-01T00:00:00Z"),
        Field::text("to", "Before (UTC)", whom.to.clone(), "2026-11-02T00:00:00Z"),
    ];
    if whom.who.is_empty() {
        page.words.push("Name an account by its id, as the log has it, or by its name, and a time if it did much.".to_owned());
        page.sections = vec![newest(visitor, room, &policy).await?];
        return page_in(visitor.workspace(), &page);
    }
    let number = |text: &str| text.parse().map_err(|_| Problem::invalid("`before` is a number"));
    let before = query.get("before").map(number).transpose()?;
    let mut whom = whom;
    let mut seen = stretch(visitor, &room, &whom.filter()?, before).await?;
    if seen.records.is_empty() {
        match account(visitor, policy.clone(), &whom.who).await? {
            Account::None => {
                page.state = Cell::state("no such account", Tone::Wait);
                page.words.push(format!(
                    "There is no account `{}`, and no record of it in this time. The log has ids, not names: those of people and \
                     services stand on the page about them.",
                    whom.who
                ));
                return page_in(visitor.workspace(), &page);
            }
            Account::Unknown => {
                page.state = Cell::state("no record of this id", Tone::Wait);
                page.words.push(
                    "No record has this id in this time. The log has ids, not names, and you may not look accounts up by name."
                        .to_owned(),
                );
                return page_in(visitor.workspace(), &page);
            }
            Account::Is(id) if id != whom.who => {
                page.words.push(format!("`{}` is {id} in the log.", whom.who));
                whom.who = id;
                seen = stretch(visitor, &room, &whom.filter()?, before).await?;
            }
            Account::Is(_) => {}
        }
    }
    let Stretch { records, older } = seen;
    if before.is_some() || older.is_some() {
        let which = if before.is_some() { "further back" } else { "the newest" };
        page.words.push(format!(
            "This account has more than {RECORD_COUNT_MAX} records in this time. Here are {} of them, {which}; the counts below are of these \
             alone. For evidence, narrow the time.",
            records.len()
        ));
    }
    let older = older.map(|older| query.without("skip").with("before", &older.to_string()).at(PAGE));
    let is_whole = before.is_none() && older.is_none();
    let found = acts(records);
    let things = touched(&found);
    let failed = found.iter().filter(|act| act.status != "done").count();
    page.state = Cell::state(format!("{} acts, {failed} of them not done", found.len()), Tone::Plain);
    page.words.extend(not_followed(&things, 0, FOLLOWED_BY).iter().map(|words| format!("Left off: {words}.")));
    let touched = most_touched(things.values());
    let names = named(visitor, &policy, (&whom.who, &found, skipped(query)?), &touched).await?;
    page.facts = vec![("Who", names.after(&whom.who))];
    let nothing = TakeEvidence { room, from: 0, to: 1, report_sha256: String::new() };
    if is_whole && !found.is_empty() && visitor.might(&nothing).await? {
        page.acts.push(Deed {
            action: EVIDENCE.to_owned(),
            words: "Save as evidence",
            what: "One file: this report, the whole stretch of the log behind it, and the log's receipt; `strongroom audit check-evidence` \
                   checks it without a server."
                .to_owned(),
            hidden: vec![("who", whom.who), ("from", whom.from), ("to", whom.to)],
            is_plain: false,
            is_grave: false,
        });
    }
    page.sections = vec![acts_table(&found, query, older, &names)?, things_table(&touched, &names)];
    page_in(visitor.workspace(), &page)
}

/// How many acts stand before the page's.
fn skipped(query: &Query) -> Result<usize, Problem> {
    let number = |text: &str| text.parse::<usize>().map_err(|_| Problem::invalid("`skip` is a number of acts"));
    Ok(query.get("skip").map(number).transpose()?.unwrap_or(0))
}

/// The acts of a page, the newest first.
fn page_of(found: &[Act], skipped: usize) -> impl Iterator<Item = &Act> {
    found.iter().rev().skip(skipped).take(ACT_ROWS)
}

/// How that is called which stands on the page.
async fn named(
    visitor: &Visitor,
    policy: &Policy,
    (who, found, skipped): (&str, &[Act], usize),
    things: &[&Thing],
) -> Result<Names, Problem> {
    let mut wanted = Wanted::default();
    wanted.id(who);
    for act in page_of(found, skipped) {
        wanted.thing(&text(&act.first, "target"), &text(&act.first, "action"), &text(&act.first, "resource"));
    }
    for thing in things.iter().take(THING_ROWS) {
        wanted.thing(&thing.target, a_verb_of(thing), &thing.resource);
    }
    wanted.named(visitor, policy).await
}

/// What is known of an account of which the log has nothing.
pub enum Account {
    /// Its id.
    Is(String),
    None,
    /// The visitor may not look.
    Unknown,
}

/// The account of an id or a name: a person's, a service's or a group's. Whoever may ask what somebody may do may know who that is.
///
/// # Errors
/// `Unavailable` if it cannot be told.
pub async fn account(visitor: &Visitor, room: Policy, who: &str) -> Result<Account, Problem> {
    let check = AccessCheck {
        room,
        principal: who.to_owned(),
        principal_kind: None,
        verb: Search::ACTION.name.to_owned(),
        on: Target::Server,
    };
    match if_allowed(visitor, check).await {
        Ok(Some(answer)) => Ok(Account::Is(answer.principal)),
        Ok(None) => Ok(Account::Unknown),
        Err(problem) if problem.kind() == Kind::NotFound => Ok(Account::None),
        Err(problem) => Err(problem),
    }
}

/// Who is behind the newest records: most who come here look for one of them.
async fn newest(visitor: &Visitor, room: Audit, policy: &Policy) -> Result<Table, Problem> {
    let search = Search { room, filter: Filter::default(), before: None, limit_count: PAGE_COUNT_MAX };
    let page = visitor.call(search).await?;
    let mut counts: BTreeMap<String, u64> = BTreeMap::new();
    for hit in &page.hits {
        let record = wire::admin::audit::record_json(hit)?;
        *counts.entry(text(&record, "who")).or_default() += 1;
    }
    let mut wanted = Wanted::default();
    for who in counts.keys() {
        wanted.id(who);
    }
    let names = wanted.named(visitor, policy).await?;
    let row = |(who, count): (String, u64)| {
        let href = format!("{PAGE}?who={}", part(&who));
        vec![names.account(&who, href), Cell::text(count.to_string())]
    };
    let title = format!("Who is behind the newest {} records", page.hits.len());
    Ok(Table::whole("newest", title, &["Who", "Records"], counts.into_iter().map(row).collect(), "The log is empty."))
}

fn text(value: &Value, name: &str) -> String {
    value.get(name).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// The acts of a stretch; behind its last the older stretch goes on.
fn acts_table(found: &[Act], query: &Query, further: Option<String>, names: &Names) -> Result<Table, Problem> {
    let skipped = skipped(query)?;
    let row = |act: &Act| {
        let shown = act.shown();
        let index = shown.get("index").and_then(Value::as_u64).unwrap_or_default();
        let tone = if act.status == "done" { Tone::Plain } else { Tone::Wait };
        let at = Micros(act.first.get("at").and_then(Value::as_i64).unwrap_or_default());
        vec![
            Cell::link(index.to_string(), format!("/console/audit/{index}")),
            Cell::text(moment(at)),
            Cell::text(text(&shown, "action")),
            Cell::state(text(&shown, "status"), tone),
            names.thing(&text(&shown, "target"), &text(&shown, "action"), &text(&shown, "resource")),
            Cell::text(text(&shown, "from")),
        ]
    };
    let until = skipped.saturating_add(ACT_ROWS);
    let older = found.len().saturating_sub(until);
    let title = match (skipped, older) {
        (0, 0) => "Acts, the newest first".to_owned(),
        (0, older) => format!("The newest {ACT_ROWS} acts; {older} are older"),
        (newer, older) => format!("Acts, the newest first; {newer} are newer, {older} are older"),
    };
    let next = (older > 0).then(|| query.with("skip", &until.to_string()).at(PAGE)).or(further);
    let columns = ["Record", "When", "What", "How it ended", "To what", "From where"];
    let rows = page_of(found, skipped).map(row).collect();
    Ok(Table::whole("acts", title, &columns, rows, "This account did nothing in this time.").going_on(next))
}

/// Things, those first that were changed and read the most.
fn most_touched<'a>(things: impl Iterator<Item = &'a Thing>) -> Vec<&'a Thing> {
    let mut things: Vec<&Thing> = things.collect();
    things.sort_by_key(|thing| std::cmp::Reverse((thing.changed_count, thing.read_count)));
    things
}

/// One of the verbs that touched it.
fn a_verb_of(thing: &Thing) -> &str {
    thing.verbs.first().map_or("", String::as_str)
}

fn things_table(things: &[&Thing], names: &Names) -> Table {
    let row = |thing: &&Thing| {
        let cell = names.thing(&thing.target, a_verb_of(thing), &thing.resource);
        let cell = match thing.root() {
            Some(root) => Cell { href: format!("/console/lineage?subject={}", part(&root)), ..cell },
            None => cell,
        };
        vec![cell, Cell::text(thing.changed_count.to_string()), Cell::text(thing.read_count.to_string())]
    };
    let title = first_of("What was touched, and what stems from it", things.len(), THING_ROWS);
    let rows = things.iter().take(THING_ROWS).map(row).collect();
    Table::whole("touched", title, &["What", "Changed", "Read"], rows, "Nothing.")
}

/// The bundle of what somebody did: report, stretch and receipt. What is handed out has been checked once.
async fn evidence(visitor: &Visitor, room: Audit, whom: Whom) -> Result<Answer, Problem> {
    let filter = whom.filter()?;
    let Stretch { records, older } = stretch(visitor, &room, &filter, None).await?;
    if older.is_some() {
        let message =
            format!("there are more than {RECORD_COUNT_MAX} records; narrow the time, or ask `strongroom audit timeline`");
        return Err(Problem::invalid(message));
    }
    let indices: Vec<u64> = records.iter().filter_map(|record| record.get("index").and_then(Value::as_u64)).collect();
    let (Some(first), Some(last)) = (indices.first().copied(), indices.last().copied()) else {
        return Err(Problem::invalid("there is no record in this time, so there is nothing to show"));
    };
    let found = acts(records);
    let things = touched(&found);
    let report = Report {
        who: &whom.who,
        since: filter.from.map(|at| at.0),
        until: filter.to.map(|at| at.0),
        indices: &indices,
        acts: &found,
        touched: &things,
        left_off: &not_followed(&things, 0, FOLLOWED_BY),
    };
    let report = Value::Object(report.fields()).to_string();
    let report_sha256 = hex(&sha256(report.as_bytes()));
    let take = TakeEvidence { room: room.clone(), from: first, to: last + 1, report_sha256 };
    let taken = Taken::from(visitor.call(take).await?);
    let proven = visitor.call(Prove { room, which: Which::Entry(taken.entry.clone()) }).await?;
    let record = String::from_utf8_lossy(&proven.record).into_owned();
    let bundle = Bundle::new(taken, report, (record, proven.proof));
    bundle.check(&VerifierKey::parse(&bundle.verifier_key)?)?;
    let bytes = serde_json::to_vec(&bundle).map_err(|error| Problem::internal("the bundle could not be written", error))?;
    let mut answer = Answer::new(Body::from(bytes));
    let headers = answer.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::CONTENT_DISPOSITION, HeaderValue::from_static("attachment; filename=\"evidence.json\""));
    wire::harden(&mut answer);
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn acts_are_told_in_the_readers_zone_and_go_on_behind_the_last() {
        let record = |at: i64| json!({ "index": at, "id": at.to_string(), "at": 1_764_262_260_000_000_i64, "status": "done", "kind": "outcome" });
        let found = acts((0..250).map(record).collect());
        let further = || Some("/console/audit/timeline?who=u&before=9".to_owned());
        let table = |query: &str, further| acts_table(&found, &Query::parse(query), further, &Names::default()).unwrap();
        let first = table("who=u", further());
        assert_eq!(
            first.rows[0][1].text,
            moment(Micros(1_764_262_260_000_000)),
            "a moment, which a module says in the reader's zone"
        );
        assert_eq!((first.rows.len(), first.next.as_str()), (200, "/console/audit/timeline?who=u&skip=200"));
        let last = table("who=u&skip=200", further());
        assert_eq!((last.rows.len(), last.next.as_str()), (50, "/console/audit/timeline?who=u&before=9"));
        assert_eq!(table("who=u&skip=200", None).next, "");
    }

    #[test]
    fn of_many_things_the_number_is_told() {
        let record = |at: usize| json!({ "index": at, "id": at.to_string(), "status": "done", "target": "run", "resource": format!("r{at}") });
        let found = acts((0..201).map(record).collect());
        let things = touched(&found);
        assert!(things_table(&most_touched(things.values()), &Names::default()).title.ends_with("the first 200 of 201"));
    }
}
