//! The first page: what needs whoever looks at it, the gravest first; then how things are, and what changed.

use ::audit::ops::Search;
use ::audit::{Filter, PAGE_COUNT_MAX};
use admission::Standing;
use admission::ops::ListStandings;
use artifacts::GetKeysStatus;
use askama::Template;
use backup::ops::ListRuns;
use data::Which;
use data::ops::SearchDatasets;
use gate::{Action, DataState, Operation, Permit, Target, Visitor};
use http::Method;
use identity::ops::tokens::ListTokens;
use kernel::{Micros, Problem};
use observe::HealthState;
use observe::ops::SearchAlerts;
use risk::ops::{ExplainLogIns, OwnLogIns};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::account::own_tokens;
use crate::audit::{search_for, viewed};
use crate::board::{ActingTable, Cell, Table, Tone, called, counted, first_of, if_allowed, part};
use crate::home_grave::{alerts, detections, others_log_ins, own_log_ins, vault};
use crate::names::Wanted;
use crate::page::{moment, page_in};
use crate::{datasets, models};

/// The verb of [`HomePage`].
pub const HOME: Action = Action::read("ui.read");
/// Rows of each list; more stand on the page of its own.
pub const ROWS: usize = 20;
/// A token of one's own that ends within so many days is told.
const EXPIRY_DAYS: i64 = 7;

/// What others rely on, and the verbs that change it.
const CHANGES: [(&str, &str); 17] = [
    ("Data committed", "datasets.commit"),
    ("Data let in", "datasets.admit"),
    ("Data let in by a waiver", "datasets.waive"),
    ("Data refused", "datasets.refuse"),
    ("Models registered", "versions.create"),
    ("Models let in", "admissions.admit"),
    ("Models let in by a waiver", "admissions.waive"),
    ("Models refused", "admissions.refuse"),
    ("Aliases moved", "models.alias"),
    ("Endpoints made", "endpoints.create"),
    ("Endpoints changed", "endpoints.update"),
    ("Endpoints rolled back", "endpoints.rollback"),
    ("Accounts made", "users.create"),
    ("Grants given", "grants.create"),
    ("Grants taken back", "grants.revoke"),
    ("Keys rotated", "keys.rotate"),
    ("Retention bypassed", "retention.bypass"),
];

/// Lets the page be seen; what stands on it takes verbs of its own.
pub struct HomePage;

impl Operation for HomePage {
    const ACTION: Action = HOME;
    type Output = Micros;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Micros, Problem> {
        Ok(permit.entry().at)
    }
}

#[derive(Template)]
#[template(path = "home.html")]
struct HomeTemplate {
    name: String,
    alerts: Option<ActingTable>,
    needs: Vec<Table>,
    health: Vec<Table>,
    /// Where MLflow's own page is; empty if nowhere.
    mlflow: String,
}

/// Adds the page, at `/console` and, where nothing else stands there, at `/`.
pub fn routes(door: &mut Door, rooms: &Rooms, has_mlflow_page: bool) {
    let verbs = [
        HOME,
        SearchDatasets::ACTION,
        ListStandings::ACTION,
        Search::ACTION,
        SearchAlerts::ACTION,
        observe::ops::ShowHealth::ACTION,
        detect::ops::ListDetections::ACTION,
        policy::ListElevations::ACTION,
        ListTokens::ACTION,
        OwnLogIns::ACTION,
        ExplainLogIns::ACTION,
        GetKeysStatus::ACTION,
        ListRuns::ACTION,
    ];
    let places = if has_mlflow_page { &["/console"][..] } else { &["/console", "/"][..] };
    for place in places {
        let rooms = rooms.clone();
        door.choice(Method::GET, place, &verbs, move |_| {
            let rooms = rooms.clone();
            Ok(Chosen::verbs(move |visitor| Box::pin(async move { home(visitor, &rooms, has_mlflow_page).await })))
        });
    }
}

async fn home(visitor: &Visitor, rooms: &Rooms, with_mlflow: bool) -> Result<Answer, Problem> {
    let now = visitor.call(HomePage).await?;
    // All at once: each is a record that must be on the disk before it is answered, and they can get there together.
    let (
        alerts,
        found,
        asked,
        vault,
        log_ins,
        others,
        waiting,
        refused,
        models_waiting,
        models_refused,
        waivers,
        tokens,
        health,
        changes,
    ) = tokio::try_join!(
        alerts(visitor, rooms),
        detections(visitor, rooms),
        elevations(visitor, rooms),
        vault(visitor, rooms),
        own_log_ins(visitor, rooms, now),
        others_log_ins(visitor, rooms, now),
        data_held_back(visitor, rooms, ("data", "Data that waits for somebody", DataState::Quarantined)),
        data_held_back(visitor, rooms, ("data-refused", "Data that was refused", DataState::Refused)),
        models_held_back(visitor, rooms, ("models", "Models that wait for somebody", DataState::Quarantined)),
        models_held_back(visitor, rooms, ("models-refused", "Models that were refused", DataState::Refused)),
        waivers(visitor, rooms, now),
        tokens(visitor, rooms, now),
        health(visitor, rooms),
        changes(visitor, rooms, now),
    )?;
    let alerts = alerts.filter(|table| !table.rows.is_empty());
    let needs = [found, vault, asked, log_ins, others, waiting, refused, models_waiting, models_refused, waivers, tokens];
    let needs = needs.into_iter().flatten().filter(|table| !table.rows.is_empty()).collect();
    let health = [health, changes].into_iter().flatten().collect();
    let mlflow = if with_mlflow { crate::runs::mlflow_page(visitor.workspace(), "experiments") } else { String::new() };
    page_in(visitor.workspace(), &HomeTemplate { name: visitor.caller().name.clone(), alerts, needs, health, mlflow })
}

async fn elevations(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let waiting = crate::access::waiting(visitor, &rooms.policy).await?;
    let row = |one: &policy::Elevation| {
        vec![
            Cell::link(one.role.clone(), crate::access::decision_of(one)),
            Cell::text(crate::access::place(one)),
            Cell::text(called(one.principal_name.as_ref(), &one.principal)),
            Cell::text(one.reason.clone()),
            Cell::text(moment(one.asked_at)),
        ]
    };
    let title = first_of("Roles that somebody asks for", waiting.len(), ROWS);
    let rows = waiting.iter().take(ROWS).map(row).collect();
    Ok(Some(Table::whole("elevations", title, &["Role", "On", "Who", "Why", "Asked"], rows, "")))
}

/// Data sets whose newest version is in a state.
async fn data_held_back(
    visitor: &Visitor,
    rooms: &Rooms,
    (id, title, state): (&'static str, &str, DataState),
) -> Result<Option<Table>, Problem> {
    let search = SearchDatasets { room: rooms.data.clone(), which: Which::In(state), after: None, rows: Some(ROWS) };
    let Some(found) = if_allowed(visitor, search).await? else { return Ok(None) };
    let row = |one: &data::DatasetSummary| {
        let page = format!("{}/{}/{}", datasets::PAGE, part(&one.name), one.latest_number);
        vec![Cell::state(state.word(), Tone::of_state(state)), Cell::link(format!("{}@{}", one.name, one.latest_number), page)]
    };
    let table = Table::whole(id, title, &["State", "Newest version"], found.rows.iter().map(row).collect(), "");
    Ok(Some(table.going_on(found.next.map(|next| next_page(datasets::PAGE, state, &next)))))
}

fn next_page(page: &str, state: DataState, after: &str) -> String {
    format!("{page}?state={}&after={}", state.word(), part(after))
}

/// Versions of models in a state, the newest first.
async fn models_held_back(
    visitor: &Visitor,
    rooms: &Rooms,
    (id, title, state): (&'static str, &str, DataState),
) -> Result<Option<Table>, Problem> {
    let Some(found) = if_allowed(visitor, list_of(rooms, Which::In(state))).await? else { return Ok(None) };
    let row = |one: &Standing| {
        vec![Cell::state(one.state.word(), Tone::of_state(one.state)), version(one), Cell::text(moment(one.submitted_at))]
    };
    let table = Table::whole(id, title, &["State", "Version", "Registered"], found.rows.iter().map(row).collect(), "");
    Ok(Some(table.going_on(found.next.map(|next| next_page(models::PAGE, state, &next)))))
}

fn list_of(rooms: &Rooms, which: Which) -> ListStandings {
    ListStandings { room: rooms.admission.clone(), name: None, part: None, which, after: None, rows: Some(ROWS) }
}

fn version(one: &Standing) -> Cell {
    let number = one.subject.number;
    Cell::link(format!("{}/{number}", one.name), models::address(&one.name, number))
}

/// Waivers that end soon: what they let in is shut out then.
async fn waivers(visitor: &Visitor, rooms: &Rooms, now: Micros) -> Result<Option<Table>, Problem> {
    let end = now.plus_secs(EXPIRY_DAYS * 86_400);
    let which = Which::WaivedUntil(end);
    let mut rows = Vec::new();
    if let Some(found) = if_allowed(visitor, list_of(rooms, which)).await? {
        rows.extend(
            found.rows.iter().map(|one| vec![version(one), Cell::text(one.waiver_until.map(moment).unwrap_or_default())]),
        );
        rows.extend(found.next.map(|_| more_of("more models", models::PAGE, end)));
    }
    let search = SearchDatasets { room: rooms.data.clone(), which, after: None, rows: Some(ROWS) };
    if let Some(found) = if_allowed(visitor, search).await? {
        let row = |one: &data::DatasetSummary| {
            let page = format!("{}/{}", datasets::PAGE, part(&one.name));
            vec![Cell::link(one.name.clone(), page), Cell::text(one.waiver_until.map(moment).unwrap_or_default())]
        };
        rows.extend(found.rows.iter().map(row));
        rows.extend(found.next.map(|_| more_of("more data sets", datasets::PAGE, end)));
    }
    Ok(Some(Table::whole("waivers", "Waivers that end soon", &["What", "Ends"], rows, "")))
}

/// A last row, where not all fit: it leads to all of them.
fn more_of(what: &str, page: &str, end: Micros) -> Vec<Cell> {
    let page = format!("{page}?waived_until={}", part(&wire::time_text(end)));
    vec![Cell::link(what, page), Cell::text(format!("within {EXPIRY_DAYS} days"))]
}

/// What changed in a day, by kind: what was done to what others rely on.
async fn changes(visitor: &Visitor, rooms: &Rooms, now: Micros) -> Result<Option<Table>, Problem> {
    let from = now.plus_secs(-86_400);
    let filter = Filter {
        action: Some(CHANGES.map(|(_, verb)| verb).join(",")),
        status: Some("done".to_owned()),
        from: Some(from),
        ..Filter::default()
    };
    // One search for all: each is a record in the log, and waits for those before it.
    let search = Search { room: rooms.audit.clone(), filter, before: None, limit_count: PAGE_COUNT_MAX };
    let Some(found) = if_allowed(visitor, search).await? else { return Ok(None) };
    let mut rows = Vec::new();
    let views = found.hits.iter().map(|hit| viewed(&hit.record)).collect::<Result<Vec<_>, _>>()?;
    let newest = CHANGES.map(|(what, verb)| {
        let mut of_kind = views.iter().filter(|view| view.action == verb);
        of_kind.next().map(|newest| (what, verb, newest, 1 + of_kind.count()))
    });
    let mut wanted = Wanted::default();
    for (_, _, newest, _) in newest.iter().flatten() {
        wanted.id(&newest.caller.id);
    }
    let names = wanted.named(visitor, &rooms.policy).await?;
    for (what, verb, newest, count) in newest.into_iter().flatten() {
        let by = &newest.caller.id;
        rows.push(vec![
            Cell::link(what, search_for(verb, from)),
            Cell::text(count.to_string()),
            Cell::text(moment(Micros(newest.at))),
            names.account(by, format!("/console/audit/timeline?who={}", part(by))),
        ]);
    }
    let title = if found.next_before.is_some() { "The newest 1,000 changes" } else { "What changed in a day" };
    let columns = ["What", "How often", "Last", "By"];
    Ok(Some(Table::whole("changes", title, &columns, rows, "Nothing that others rely on.")))
}

async fn tokens(visitor: &Visitor, rooms: &Rooms, now: Micros) -> Result<Option<Table>, Problem> {
    let list = ListTokens { room: rooms.identity.clone(), of: None, page: own_tokens() };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    let soon = now.plus_secs(EXPIRY_DAYS * 86_400);
    // What was made for a day or less is meant to end.
    let is_lasting = |token: &identity::Token| token.expires_at > token.created_at.plus_secs(86_400);
    let ends = |token: &&identity::Token| {
        token.revoked_at.is_none() && is_lasting(token) && token.expires_at > now && token.expires_at < soon
    };
    let row =
        |token: &identity::Token| vec![Cell::link(token.label.clone(), "/account#tokens"), Cell::text(moment(token.expires_at))];
    let rows = found.rows.iter().filter(ends).map(row).collect();
    Ok(Some(Table::whole("tokens", "Tokens of yours that end soon", &["Token", "Ends"], rows, "")))
}

/// The worst first. Of many only some are shown, and those that are well are told by their number.
async fn health(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let Some(mut all) = if_allowed(visitor, observe::ops::ShowHealth { room: rooms.observe.clone() }).await? else {
        return Ok(None);
    };
    all.sort_by_key(|one| match one.state {
        HealthState::Failing => 0,
        HealthState::Degraded => 1,
        HealthState::Unknown | HealthState::Healthy => 2,
    });
    Ok(Some(health_table(&all)))
}

fn health_table(all: &[observe::HealthOf]) -> Table {
    let row = |one: &observe::HealthOf| {
        let tone = match one.state {
            HealthState::Healthy => Tone::Good,
            HealthState::Failing => Tone::Bad,
            _ => Tone::Wait,
        };
        vec![
            Cell::state(one.state.word(), tone),
            Cell::text(if one.kind == one.name { one.name.clone() } else { format!("{} {}", one.kind, one.name) }),
            Cell::text(one.reasons.join("; ")),
        ]
    };
    let (shown, others) = all.split_at(all.len().min(ROWS));
    let mut rows: Vec<_> = shown.iter().map(row).collect();
    if !others.is_empty() {
        let is_well = |one: &&observe::HealthOf| matches!(one.state, HealthState::Healthy | HealthState::Unknown);
        let well = others.iter().filter(is_well).count();
        let words = format!("{well} of them as they should be or unasked; strongroom health tells of each");
        rows.push(vec![Cell::text(""), Cell::link(counted(others.len(), "more thing"), "/console/endpoints"), Cell::text(words)]);
    }
    Table::whole("health", "How things are", &["State", "What", "Why"], rows, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_things_the_worst_are_shown_and_the_others_counted() {
        let one = |state| observe::HealthOf { kind: "endpoint", name: "x".to_owned(), state, reasons: Vec::new() };
        let mut all = vec![one(HealthState::Failing); 3];
        all.extend(vec![one(HealthState::Healthy); 40]);
        let table = health_table(&all);
        let last = table.rows.last().unwrap();
        assert_eq!((table.rows.len(), last[1].text.as_str()), (ROWS + 1, "23 more things"));
        assert!(last[2].text.starts_with("23 of them"));
        assert_eq!(health_table(&all[..ROWS]).rows.len(), ROWS);
        let server = observe::HealthOf { kind: "server", name: "server".to_owned(), ..one(HealthState::Healthy) };
        assert_eq!((table.rows[0][1].text.as_str(), health_table(&[server]).rows[0][1].text.as_str()), ("endpoint x", "server"));
    }
}
