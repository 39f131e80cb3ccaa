//! Accounts and groups: who there is, and one account with its devices, its tokens and sessions, its log-ins and how they were judged, and what can be done about it.

use devices::ops::list::{ListDevices, Whose};
use gate::{Operation, Visitor};
use http::Method;
use identity::ops::accounts::{DisableUser, EnableUser, GetUser, ListServices, ListUsers};
use identity::ops::factors::ResetFactors;
use identity::ops::groups::ListGroups;
use identity::ops::sessions::ListSessions;
use identity::ops::tokens::ListTokens;
use identity::{Group, PageWish, Principal};
use kernel::Problem;
use risk::JudgedLogIn;
use risk::ops::ExplainLogIns;
use wire::{Answer, Chosen, Door};

use crate::board::{Cell, Table, Tone, if_allowed, part};
use crate::devices_page::{evidence_words, trust_words};
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;
use crate::sections::{Deed, Sections};
use crate::{Rooms, credentials, services_page};

/// Where the pages are.
pub const PAGE: &str = "/console/people";
/// Log-ins that are told of one account: as many as are kept.
const LOG_IN_ROWS: usize = 100;

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let behind = rooms.clone();
    door.choice(Method::GET, PAGE, &[ListUsers::ACTION, ListServices::ACTION, ListGroups::ACTION], move |inbound| {
        let (rooms, query) = (behind.clone(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { everybody(visitor, &rooms, &query).await })))
    });
    let path = format!("{PAGE}/{{user}}");
    let behind = rooms.clone();
    let verbs = [GetUser::ACTION, ListDevices::ACTION, ListTokens::ACTION, ListSessions::ACTION, ExplainLogIns::ACTION];
    door.choice(Method::GET, &path, &verbs, move |inbound| {
        let (rooms, user, query) = (behind.clone(), inbound.path("user").to_owned(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { one(visitor, &rooms, user, &query).await })))
    });
    let behind = rooms.clone();
    let verbs = [DisableUser::ACTION, EnableUser::ACTION, ResetFactors::ACTION];
    door.choice(Method::POST, &path, &verbs, move |inbound| {
        let (room, user, form) = (behind.identity.clone(), inbound.path("user").to_owned(), inbound.form()?);
        let decision = form.get("decision").unwrap_or_default().to_owned();
        if !["disable", "enable", "reset"].contains(&decision.as_str()) {
            return Err(Problem::invalid("`decision` is disable, enable or reset"));
        }
        if decision != "enable" {
            form.sure()?;
        }
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let to = format!("{PAGE}/{}", part(&user));
                match decision.as_str() {
                    "disable" => drop(visitor.call(DisableUser { room, user }).await?),
                    "enable" => drop(visitor.call(EnableUser { room, user }).await?),
                    _ => drop(visitor.call(ResetFactors { room, user }).await?),
                }
                Ok(redirect_in(visitor.workspace(), &to))
            })
        }))
    });
    credentials::routes(door, rooms, PAGE, "user");
}

/// One list goes on at a time: `after` is of people, `services` and `groups` of the other two.
async fn everybody(visitor: &Visitor, rooms: &Rooms, query: &Query) -> Result<Answer, Problem> {
    let room = || rooms.identity.clone();
    let from = |name: &str| PageWish { after: query.text(name), rows: None };
    let next = |name: &str, after: Option<String>| after.map(|after| query.with(name, &after).at(PAGE));
    let people = visitor.call(ListUsers { room: room(), page: from("after") }).await?;
    let mut page = Sections::new("People and services");
    page.back = ("Access", "/console/access".to_owned());
    let columns = ["Name", "State", "Id in the log", "Made"];
    let row = |one: &Principal| principal_row(one, Cell::link(one.name.clone(), format!("{PAGE}/{}", part(&one.id))));
    let rows = people.rows.iter().map(row).collect();
    let table = Table::whole("people", "People", &columns, rows, "There is nobody but you.");
    page.sections.push(table.going_on(next("after", people.next)));
    if let Some(found) = if_allowed(visitor, ListGroups { room: room(), page: from("groups") }).await? {
        let rows = found.rows.iter().map(group_row).collect();
        let empty = "There is no group. Make one: strongroom group create NAME";
        let table = Table::whole("groups", "Groups", &["Name", "Members", "How many"], rows, empty);
        page.sections.push(table.going_on(next("groups", found.next)));
    }
    if let Some(found) = if_allowed(visitor, ListServices { room: room(), page: from("services") }).await? {
        let rows = found
            .rows
            .iter()
            .map(|one| principal_row(one, Cell::link(one.name.clone(), format!("{}/{}", services_page::PAGE, part(&one.id)))))
            .collect();
        let empty = "There is no service account. Make one: strongroom service create NAME";
        let table = Table::whole("services", "Service accounts", &columns, rows, empty);
        page.sections.push(table.going_on(next("services", found.next)));
    }
    page_in(visitor.workspace(), &page)
}

/// Whether an account may log in.
pub fn state(one: &Principal) -> Cell {
    if one.disabled { Cell::state("barred", Tone::Bad) } else { Cell::state("may log in", Tone::Good) }
}

fn principal_row(one: &Principal, name: Cell) -> Vec<Cell> {
    vec![name, state(one), Cell::text(one.id.clone()), Cell::text(moment(one.created_at))]
}

fn group_row(one: &Group) -> Vec<Cell> {
    let members: Vec<&str> = one.members.iter().map(|member| member.name.as_str()).collect();
    vec![Cell::text(one.principal.name.clone()), Cell::text(members.join(", ")), Cell::text(members.len().to_string())]
}

async fn one(visitor: &Visitor, rooms: &Rooms, user: String, query: &Query) -> Result<Answer, Problem> {
    let room = || rooms.identity.clone();
    let found = visitor.call(GetUser { room: room(), user }).await?;
    let mut page = Sections::new(found.name.clone());
    page.back = ("People and services", PAGE.to_owned());
    page.state = state(&found);
    page.facts = vec![("Id in the log", found.id.clone()), ("Made", moment(found.created_at)), ("Made by", found.owner.clone())];
    page.acts = deeds(visitor, rooms, &found).await?;
    let devices = ListDevices { room: rooms.devices.clone(), whose: Whose::Account(found.id.clone()) };
    if let Some(devices) = if_allowed(visitor, devices).await? {
        page.sections.push(devices_table(&devices.rows));
    }
    let at = format!("{PAGE}/{}", part(&found.id));
    page.acting = credentials::tables(visitor, rooms, &found.id, (&at, query)).await?;
    let log_ins = ExplainLogIns { room: rooms.log_ins.clone(), who: found.id.clone(), rows: None };
    if let Some(log_ins) = if_allowed(visitor, log_ins).await? {
        page.sections.push(log_ins_table(&log_ins));
    }
    page.links = links(&found);
    page_in(visitor.workspace(), &page)
}

/// Where more is told of an account.
pub fn links(found: &Principal) -> Vec<(String, String)> {
    vec![
        ("What they did".to_owned(), format!("/console/audit/timeline?who={}", part(&found.id))),
        ("What they may do, and why".to_owned(), format!("/console/access/check?who={}", part(&found.name))),
        ("Who may do more than they use".to_owned(), "/console/access/review".to_owned()),
    ]
}

/// What the visitor may do about an account that is not their own.
async fn deeds(visitor: &Visitor, rooms: &Rooms, found: &Principal) -> Result<Vec<Deed>, Problem> {
    let (room, user) = (|| rooms.identity.clone(), || found.id.clone());
    if visitor.caller().id == found.id {
        return Ok(Vec::new());
    }
    let deed = |decision: &str, words, what: &str, is_plain| Deed {
        action: format!("{PAGE}/{}", part(&found.id)),
        words,
        what: what.to_owned(),
        hidden: vec![("decision", decision.to_owned())],
        is_plain,
        is_grave: decision != "enable",
    };
    let mut deeds = Vec::new();
    if found.disabled {
        if visitor.might(&EnableUser { room: room(), user: user() }).await? {
            deeds.push(deed(
                "enable",
                "Let them in again",
                "Grants count again; sessions and tokens that ended stay ended.",
                true,
            ));
        }
    } else if visitor.might(&DisableUser { room: room(), user: user() }).await? {
        let what = "Sessions, tokens and certificates end in this moment; what they own stays. You can let them in again.";
        deeds.push(deed("disable", "Bar this account", what, false));
    }
    if visitor.might(&ResetFactors { room: room(), user: user() }).await? {
        let what = "Passkeys and codes go, and all sessions end: for somebody who lost them and showed you who they are.";
        deeds.push(deed("reset", "Take away their second factors", what, true));
    }
    Ok(deeds)
}

fn devices_table(devices: &[devices::Device]) -> Table {
    let row = |one: &devices::Device| {
        let tone = if one.tier == 0 { Tone::Bad } else { Tone::Plain };
        vec![
            Cell::text(one.label.clone()),
            Cell::state(trust_words(one), tone),
            Cell::text(evidence_words(one)),
            Cell::text(one.failing.join(", ")),
            Cell::text(one.reported_at.map(moment).unwrap_or_default()),
        ]
    };
    let columns = ["Device", "How far it is trusted", "On what", "Not in order", "Last report"];
    Table::whole("devices", "Devices", &columns, devices.iter().map(row).collect(), "No device is enrolled for this account.")
}

/// The columns of [`log_in_row`].
pub const LOG_IN_COLUMNS: [&str; 6] = ["When", "How it ended", "Risk", "Asked for", "From", "Why"];

/// One log-in, and how it was judged.
pub fn log_in_row(one: &JudgedLogIn) -> Vec<Cell> {
    let tone = match (one.outcome.as_str(), one.band.as_str()) {
        ("refused", _) => Tone::Bad,
        (_, "nothing") => Tone::Plain,
        _ => Tone::Wait,
    };
    let whence = match (&one.country, one.is_private) {
        (Some(country), _) => country.clone(),
        (None, true) => "inside".to_owned(),
        (None, false) => "unknown".to_owned(),
    };
    let reasons: Vec<&str> = one.reasons.iter().map(|reason| reason.word.as_str()).collect();
    vec![
        Cell::text(moment(one.at)),
        Cell::state(one.outcome.clone(), tone),
        Cell::text(one.risk.to_string()),
        Cell::text(one.band.replace('_', " ")),
        Cell::text(whence),
        Cell::text(reasons.join(", ").replace('_', " ")),
    ]
}

fn log_ins_table(log_ins: &[JudgedLogIn]) -> Table {
    let rows = log_ins.iter().map(log_in_row).collect();
    let is_cut = log_ins.len() >= LOG_IN_ROWS;
    let title = if is_cut {
        "The last 100 log-ins, and how risky they were; older ones stand in the log"
    } else {
        "Log-ins, and how risky they were"
    };
    Table::whole("log-ins", title, &LOG_IN_COLUMNS, rows, "Nobody logged in to it yet.")
}
