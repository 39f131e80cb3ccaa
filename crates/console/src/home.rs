//! The first page: what needs whoever looks at it, the gravest first; then how things are, and what changed.

use ::audit::ops::Search;
use ::audit::{Filter, PAGE_COUNT_MAX};
use admission::Standing;
use admission::ops::ListStandings;
use askama::Template;
use data::Which;
use data::ops::SearchDatasets;
use gate::{Action, DataState, Operation, Permit, Target, Visitor};
use http::Method;
use identity::ops::tokens::ListTokens;
use kernel::{Micros, Problem};
use observe::ops::{GetAlert, RunRemedy, SearchAlerts};
use observe::{Act, AlertState, HealthState};
use risk::JudgedLogIn;
use risk::ops::OwnLogIns;
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::account::own_tokens;
use crate::alerts::COLUMNS;
use crate::audit::{search_for, viewed};
use crate::board::{ActingRow, ActingTable, Button, Cell, Table, Tone, if_allowed, part};
use crate::page::{moment, page_in};
use crate::{datasets, models};

/// The verb of [`HomePage`].
pub const HOME: Action = Action::read("ui.read");
/// Rows of each list; more stand on the page of its own.
const ROWS: usize = 20;
/// Alerts that are looked into for their remedy.
const REMEDY_ROWS: usize = 5;
/// A token of one's own that ends within so many days is told.
const EXPIRY_DAYS: i64 = 7;
/// A risky log-in of one's own is told for so many days.
const LOG_IN_DAYS: i64 = 7;

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
        GetAlert::ACTION,
        observe::ops::ShowHealth::ACTION,
        detect::ops::ListDetections::ACTION,
        policy::ListElevations::ACTION,
        ListTokens::ACTION,
        OwnLogIns::ACTION,
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
    let (alerts, found, asked, log_ins, waiting, refused, models_waiting, models_refused, waivers, tokens, health, changes) = tokio::try_join!(
        alerts(visitor, rooms),
        detections(visitor, rooms),
        elevations(visitor, rooms),
        log_ins(visitor, rooms, now),
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
    let needs = [found, asked, log_ins, waiting, refused, models_waiting, models_refused, waivers, tokens];
    let needs = needs.into_iter().flatten().filter(|table| !table.rows.is_empty()).collect();
    let health = [health, changes].into_iter().flatten().collect();
    let mlflow = if with_mlflow { crate::runs::mlflow_page(visitor.workspace(), "experiments") } else { String::new() };
    page_in(visitor.workspace(), &HomeTemplate { name: visitor.caller().name.clone(), alerts, needs, health, mlflow })
}

/// Open alerts, each with what can be done about it at once: its first remedy that a server can carry out.
async fn alerts(visitor: &Visitor, rooms: &Rooms) -> Result<Option<ActingTable>, Problem> {
    let room = &rooms.observe;
    let search = SearchAlerts { room: room.clone(), state: Some(AlertState::Open), after: None, rows: Some(ROWS) };
    let Some(found) = if_allowed(visitor, search).await? else { return Ok(None) };
    // The right to run remedies is the same for all alerts of a workspace.
    let may_run = match found.rows.first() {
        Some(first) => visitor.might(&RunRemedy { room: room.clone(), id: first.id.clone() }).await?,
        None => false,
    };
    let next = found.next.as_ref().map(|next| format!("/console/alerts?state=open&after={}", part(next))).unwrap_or_default();
    let mut rows = Vec::new();
    for (place, alert) in found.rows.iter().enumerate() {
        let page = crate::alerts::address(&alert.id);
        let mut row = ActingRow { cells: crate::alerts::row(alert), action: page.clone(), buttons: Vec::new() };
        if may_run && place < REMEDY_ROWS {
            let shown = visitor.call(GetAlert { room: room.clone(), id: alert.id.clone() }).await?;
            if let Some(remedy) = shown.remedies.into_iter().find(|one| one.run.is_none() && one.act != Act::ByHand) {
                row.action = format!("{page}/remedies/{}", part(&remedy.id));
                row.buttons.push(Button {
                    value: "run",
                    words: remedy.words,
                    is_plain: false,
                    is_grave: true,
                    hidden: Vec::new(),
                });
            }
        }
        rows.push(row);
    }
    Ok(Some(ActingTable {
        id: "alerts",
        title: "Alerts".to_owned(),
        columns: COLUMNS.to_vec(),
        rows,
        empty: String::new(),
        next,
    }))
}

async fn detections(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let limit = i64::try_from(ROWS).ok();
    let list = detect::ops::ListDetections { room: rooms.detect.clone(), level: None, open_only: true, after: None, rows: limit };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    // The gravest first, and of equals the newest: an order that the list has already.
    let mut rows = found.rows;
    rows.sort_by_key(|one| std::cmp::Reverse(one.level));
    let rows = rows.iter().map(crate::detections::row).collect();
    let table = Table::whole("detections", "Found in the log", &crate::detections::COLUMNS, rows, "");
    Ok(Some(table.going_on(found.next.map(|_| "/console/detections".to_owned()))))
}

async fn elevations(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let list = policy::ListElevations { room: rooms.policy.clone(), of_server: false };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    let me = &visitor.caller().id;
    let waits = |one: &&policy::Elevation| one.state == policy::ElevationState::Asked && one.principal != *me;
    let row = |one: &policy::Elevation| {
        vec![
            Cell::link(one.role.clone(), "/console/access#waiting"),
            Cell::text(one.principal_name.clone().unwrap_or_else(|| one.principal.clone())),
            Cell::text(one.reason.clone()),
            Cell::text(moment(one.asked_at)),
        ]
    };
    let rows = found.iter().filter(waits).map(row).collect();
    Ok(Some(Table::whole("elevations", "Roles that somebody asks for", &["Role", "Who", "Why", "Asked"], rows, "")))
}

/// Log-ins to one's own account of late that were refused for their risk, or asked for the strongest proof: somebody else may have the password. A second
/// factor is asked for too often to be news.
async fn log_ins(visitor: &Visitor, rooms: &Rooms, now: Micros) -> Result<Option<Table>, Problem> {
    let own = OwnLogIns { room: rooms.log_ins.clone(), rows: i64::try_from(ROWS).ok() };
    let Some(found) = if_allowed(visitor, own).await? else { return Ok(None) };
    let since = now.plus_secs(-LOG_IN_DAYS * 86_400);
    let rows = found.iter().filter(|one| is_risky(one, since)).map(crate::people::log_in_row).collect();
    Ok(Some(Table::whole("log-ins", "Log-ins to your account that were risky", &crate::people::LOG_IN_COLUMNS, rows, "")))
}

fn is_risky(one: &JudgedLogIn, since: Micros) -> bool {
    one.at >= since && (one.outcome == "refused" || matches!(one.band.as_str(), "phishing_resistant" | "refuse"))
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
    ListStandings { room: rooms.admission.clone(), name: None, which, after: None, rows: Some(ROWS) }
}

fn version(one: &Standing) -> Cell {
    let number = one.subject.number;
    Cell::link(format!("{}/{number}", one.name), models::address(&one.name, number))
}

/// Waivers that end soon: what they let in is shut out then.
async fn waivers(visitor: &Visitor, rooms: &Rooms, now: Micros) -> Result<Option<Table>, Problem> {
    let which = Which::WaivedUntil(now.plus_secs(EXPIRY_DAYS * 86_400));
    let mut rows = Vec::new();
    if let Some(found) = if_allowed(visitor, list_of(rooms, which)).await? {
        rows.extend(
            found.rows.iter().map(|one| vec![version(one), Cell::text(one.waiver_until.map(moment).unwrap_or_default())]),
        );
        rows.extend(found.next.map(|_| more_of("more models", models::PAGE)));
    }
    let search = SearchDatasets { room: rooms.data.clone(), which, after: None, rows: Some(ROWS) };
    if let Some(found) = if_allowed(visitor, search).await? {
        let row = |one: &data::DatasetSummary| {
            let within = format!("within {EXPIRY_DAYS} days");
            vec![Cell::link(one.name.clone(), format!("{}/{}", datasets::PAGE, part(&one.name))), Cell::text(within)]
        };
        rows.extend(found.rows.iter().map(row));
        rows.extend(found.next.map(|_| more_of("more data sets", datasets::PAGE)));
    }
    Ok(Some(Table::whole("waivers", "Waivers that end soon", &["What", "Ends"], rows, "")))
}

/// A last row, where not all fit.
fn more_of(what: &str, page: &str) -> Vec<Cell> {
    vec![Cell::link(what, format!("{page}?state=admitted")), Cell::text(format!("within {EXPIRY_DAYS} days"))]
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
    for (what, verb) in CHANGES {
        let mut of_kind = views.iter().filter(|view| view.action == verb);
        let Some(newest) = of_kind.next() else { continue };
        rows.push(vec![
            Cell::link(what, search_for(verb, from)),
            Cell::text((1 + of_kind.count()).to_string()),
            Cell::text(moment(Micros(newest.at))),
            Cell::link(newest.caller.id.to_string(), format!("/console/audit/timeline?who={}", part(&newest.caller.id))),
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

async fn health(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let Some(all) = if_allowed(visitor, observe::ops::ShowHealth { room: rooms.observe.clone() }).await? else { return Ok(None) };
    let row = |one: &observe::HealthOf| {
        let tone = match one.state {
            HealthState::Healthy => Tone::Good,
            HealthState::Failing => Tone::Bad,
            _ => Tone::Wait,
        };
        vec![
            Cell::state(one.state.word(), tone),
            Cell::text(format!("{} {}", one.kind, one.name)),
            Cell::text(one.reasons.join("; ")),
        ]
    };
    let rows = all.iter().map(row).collect();
    Ok(Some(Table::whole("health", "How things are", &["State", "What", "Why"], rows, "")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_in_is_told_of_while_it_is_new_and_where_it_was_grave() {
        let one = |at, outcome: &str, band: &str| JudgedLogIn {
            at: Micros(at),
            outcome: outcome.to_owned(),
            country: None,
            network: None,
            is_private: false,
            score: 0.0,
            percentile: None,
            risk: 0,
            band: band.to_owned(),
            reasons: Vec::new(),
        };
        for (log_in, told) in [
            (one(9, "verified", "nothing"), false),
            (one(9, "failed", "nothing"), false),
            (one(9, "verified", "second_factor"), false),
            (one(9, "verified", "phishing_resistant"), true),
            (one(9, "failed", "phishing_resistant"), true),
            (one(9, "refused", "refuse"), true),
            (one(3, "refused", "refuse"), false),
        ] {
            assert_eq!(is_risky(&log_in, Micros(5)), told, "{log_in:?}");
        }
    }
}
