//! What the first page tells of attacks and faults: alerts with their remedies, what was found in the log, risky log-ins, keys and backups that are not
//! as they should be. The gravest come first, however much is newer.

use artifacts::GetKeysStatus;
use backup::ops::{ListRuns, RunBackup};
use detect::ops::ListDetections;
use gate::Visitor;
use http::Method;
use kernel::{Micros, Problem};
use observe::ops::{RunRemedy, SearchAlerts};
use observe::{Act, AlertState};
use risk::ops::{GraveLogIns, LogInOf, OwnLogIns};
use wire::{Door, Inbound};

use crate::Rooms;
use crate::board::{ActingRow, ActingTable, Button, Cell, Table, Tone, if_allowed, part};
use crate::home::ROWS;
use crate::listing::{after, listing};
use crate::{people, vault_page};

/// Risky log-ins of others, as a page.
const LOG_INS: &str = "/console/log-ins";
/// A risky log-in is told on the first page for so many days.
const LOG_IN_DAYS: i64 = 7;

/// Adds the page of risky log-ins.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.log_ins.clone();
    let list = move |inbound: &Inbound| {
        let list = GraveLogIns { room: room.clone(), since: Micros(0), after: after(inbound)?, rows: None };
        Ok((list, inbound.workspace().to_owned()))
    };
    door.route_with(Method::GET, LOG_INS, list, |found, workspace| listing(&workspace, others_table(&found.rows, found.next)));
}

/// What is amiss with keys and backups, for those who look after them.
pub async fn vault(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let keys = if_allowed(visitor, GetKeysStatus { room: rooms.artifacts.clone() }).await?;
    let backs_up = visitor.might(&RunBackup { room: rooms.backup.clone(), to: None }).await?;
    let runs = if backs_up { if_allowed(visitor, ListRuns { room: rooms.backup.clone() }).await? } else { None };
    let amiss = vault_page::verdict(keys.as_ref(), runs.as_deref()).filter(|(tone, _)| *tone != Tone::Good);
    let row = |(tone, words): (Tone, String)| vec![Cell::state("to do", tone), Cell::link(words, vault_page::PAGE)];
    Ok(amiss.map(|amiss| Table::whole("vault", "Keys and backups", &["State", "What"], vec![row(amiss)], "")))
}

/// Open alerts, each with what can be done about it at once: its first remedy that a server can carry out.
pub async fn alerts(visitor: &Visitor, rooms: &Rooms) -> Result<Option<ActingTable>, Problem> {
    let room = || rooms.observe.clone();
    let open = SearchAlerts {
        state: Some(AlertState::Open),
        gravest_first: true,
        with_remedies: true,
        rows: Some(ROWS),
        ..SearchAlerts::all(room())
    };
    let Some(found) = if_allowed(visitor, open).await? else { return Ok(None) };
    // The right to run remedies is the same for all alerts of a workspace.
    let may_run = match found.rows.first() {
        Some(first) => visitor.might(&RunRemedy { room: room(), id: first.id.clone() }).await?,
        None => false,
    };
    let mut rows = Vec::new();
    for alert in &found.rows {
        let page = crate::alerts::address(&alert.id);
        let mut row = ActingRow { cells: crate::alerts::row(alert), action: page.clone(), buttons: Vec::new() };
        let mut remedies =
            found.remedies.iter().filter(|one| one.alert == alert.id && one.run.is_none() && one.act != Act::ByHand);
        if let Some(remedy) = remedies.next().filter(|_| may_run) {
            row.action = format!("{page}/remedies/{}", part(&remedy.id));
            row.buttons.push(Button { value: "run", words: remedy.words.clone(), is_grave: true, ..Button::default() });
        }
        rows.push(row);
    }
    let next = found.next.as_ref().map(|next| format!("/console/alerts?state=open&order=gravest&after={}", part(next)));
    Ok(Some(ActingTable {
        id: "alerts",
        title: "Alerts".to_owned(),
        columns: crate::alerts::COLUMNS.to_vec(),
        rows,
        empty: String::new(),
        next: next.unwrap_or_default(),
    }))
}

/// Detections that nobody is on.
pub async fn detections(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let room = rooms.detect.clone();
    let rows = i64::try_from(ROWS).ok();
    let list = ListDetections { room, level: None, open_only: true, gravest_first: true, after: None, rows };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    let rows = found.rows.iter().map(crate::detections::row).collect();
    let table = Table::whole("detections", "Found in the log", &crate::detections::COLUMNS, rows, "");
    let next = |next: String| format!("{}?which=open&order=gravest&after={}", crate::detections::PAGE, part(&next));
    Ok(Some(table.going_on(found.next.map(next))))
}

/// Log-ins to one's own account of late that were refused for their risk, or asked for the strongest proof. All that are kept are looked at.
pub async fn own_log_ins(visitor: &Visitor, rooms: &Rooms, now: Micros) -> Result<Option<Table>, Problem> {
    let own = OwnLogIns { room: rooms.log_ins.clone(), rows: None };
    let Some(found) = if_allowed(visitor, own).await? else { return Ok(None) };
    let since = since(now);
    let rows = found.iter().filter(|one| one.at >= since && one.is_grave()).map(people::log_in_row).collect();
    Ok(Some(Table::whole("log-ins", "Log-ins to your account that were risky", &people::LOG_IN_COLUMNS, rows, "")))
}

/// The same of others, for those who may look into them.
pub async fn others_log_ins(visitor: &Visitor, rooms: &Rooms, now: Micros) -> Result<Option<Table>, Problem> {
    let list = GraveLogIns { room: rooms.log_ins.clone(), since: since(now), after: None, rows: i64::try_from(ROWS).ok() };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    Ok(Some(others_table(&found.rows, found.next)))
}

fn since(now: Micros) -> Micros {
    now.plus_secs(-LOG_IN_DAYS * 86_400)
}

fn others_table(found: &[LogInOf], next: Option<String>) -> Table {
    let row = |one: &LogInOf| {
        let mut cells = vec![Cell::link(one.name.clone(), format!("{}/{}", people::PAGE, part(&one.person)))];
        cells.extend(people::log_in_row(&one.log_in));
        cells
    };
    let mut columns = vec!["Who"];
    columns.extend(people::LOG_IN_COLUMNS);
    let empty = "No log-in of anybody else was refused for its risk, or asked for the strongest proof.";
    Table::whole("others-log-ins", "Log-ins of others that were risky", &columns, found.iter().map(row).collect(), empty)
        .going_on(next.map(|next| format!("{LOG_INS}?after={}", part(&next))))
}
