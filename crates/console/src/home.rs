//! The first page: what needs whoever looks at it, the gravest first; then how things are.

use askama::Template;
use gate::{Action, DataState, Operation, Permit, Target, Visitor};
use http::Method;
use identity::PageWish;
use identity::ops::tokens::ListTokens;
use kernel::{Micros, Problem};
use observe::{AlertState, HealthState};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, if_allowed, part};
use crate::page::{moment, page_in};

/// The verb of [`HomePage`].
pub const HOME: Action = Action::read("ui.read");
/// Rows of each list; more stand on the page of its own.
const ROWS: usize = 20;
/// A token of one's own that ends within so many days is told.
const EXPIRY_DAYS: i64 = 7;

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
    needs: Vec<Table>,
    health: Vec<Table>,
    with_mlflow: bool,
}

/// Adds the page, at `/console` and, where nothing else stands there, at `/`.
pub fn routes(door: &mut Door, rooms: &Rooms, has_mlflow_page: bool) {
    let verbs = [
        HOME,
        data::ops::SearchDatasets::ACTION,
        admission::ops::ListStandings::ACTION,
        observe::ops::SearchAlerts::ACTION,
        observe::ops::ShowHealth::ACTION,
        detect::ops::ListDetections::ACTION,
        policy::ListElevations::ACTION,
        ListTokens::ACTION,
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
    let found = [
        alerts(visitor, rooms).await?,
        detections(visitor, rooms).await?,
        elevations(visitor, rooms).await?,
        datasets(visitor, rooms).await?,
        models(visitor, rooms).await?,
        tokens(visitor, rooms, now).await?,
    ];
    let needs = found.into_iter().flatten().filter(|table| !table.rows.is_empty()).collect();
    let health = health(visitor, rooms).await?.into_iter().collect();
    page_in(visitor.workspace(), &HomeTemplate { name: visitor.caller().name.clone(), needs, health, with_mlflow })
}

async fn alerts(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let search =
        observe::ops::SearchAlerts { room: rooms.observe.clone(), state: Some(AlertState::Open), after: None, rows: Some(ROWS) };
    let Some(found) = if_allowed(visitor, search).await? else { return Ok(None) };
    let rows = found.rows.iter().map(crate::alerts::row).collect();
    Ok(Some(Table::whole("alerts", "Alerts", &crate::alerts::COLUMNS, rows, "")))
}

async fn detections(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let limit = i64::try_from(ROWS).ok();
    let list = detect::ops::ListDetections { room: rooms.detect.clone(), level: None, open_only: true, after: None, rows: limit };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    // The gravest first, and of equals the newest: an order that the list has already.
    let mut rows = found.rows;
    rows.sort_by_key(|one| std::cmp::Reverse(one.level));
    let rows = rows.iter().map(crate::detections::row).collect();
    Ok(Some(Table::whole("detections", "Found in the log", &crate::detections::COLUMNS, rows, "")))
}

async fn elevations(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let list = policy::ListElevations { room: rooms.policy.clone(), of_server: false };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    let me = &visitor.caller().id;
    let waits = |one: &&policy::Elevation| one.state == policy::ElevationState::Asked && one.principal != *me;
    let row = |one: &policy::Elevation| {
        vec![
            Cell::link(one.role.clone(), "/console/access#waiting"),
            Cell::text(one.principal.clone()),
            Cell::text(one.reason.clone()),
            Cell::text(moment(one.asked_at)),
        ]
    };
    let rows = found.iter().filter(waits).map(row).collect();
    Ok(Some(Table::whole("elevations", "Roles that somebody asks for", &["Role", "Who", "Why", "Asked"], rows, "")))
}

async fn datasets(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let search = data::ops::SearchDatasets { room: rooms.data.clone(), after: None, rows: Some(500) };
    let Some(found) = if_allowed(visitor, search).await? else { return Ok(None) };
    let waits = found.rows.iter().filter_map(|one| Some((one, one.latest_state?))).filter(|(_, state)| waits(*state));
    let rows = waits
        .take(ROWS)
        .map(|(one, state)| {
            vec![
                Cell::state(state.word(), Tone::of_state(state)),
                Cell::link(
                    format!("{}@{}", one.name, one.latest_number),
                    format!("/console/data/{}/{}", part(&one.name), one.latest_number),
                ),
            ]
        })
        .collect();
    Ok(Some(Table::whole("data", "Data that is held back", &["State", "Newest version"], rows, "")))
}

const fn waits(state: DataState) -> bool {
    matches!(state, DataState::Quarantined | DataState::Refused)
}

async fn models(visitor: &Visitor, rooms: &Rooms) -> Result<Option<Table>, Problem> {
    let list = admission::ops::ListStandings { room: rooms.admission.clone(), name: None, after: None, rows: None };
    let Some(found) = if_allowed(visitor, list).await? else { return Ok(None) };
    let row = |one: &admission::Standing| {
        let number = one.subject.number;
        vec![
            Cell::state(one.state.word(), Tone::of_state(one.state)),
            Cell::link(format!("{}/{number}", one.name), format!("/console/models/{}/{number}", part(&one.name))),
            Cell::text(moment(one.submitted_at)),
        ]
    };
    let rows = found.rows.iter().filter(|one| waits(one.state)).take(ROWS).map(row).collect();
    Ok(Some(Table::whole("models", "Models that are held back", &["State", "Version", "Registered"], rows, "")))
}

async fn tokens(visitor: &Visitor, rooms: &Rooms, now: Micros) -> Result<Option<Table>, Problem> {
    let list = ListTokens { room: rooms.identity.clone(), of: None, page: PageWish::default() };
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
