//! Alerts: which there are; one with its likely causes, where it leads back to, and its remedies as buttons.

use askama::Template;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Micros, Problem};
use observe::ops::{AcknowledgeAlert, GetAlert, ResolveAlert, RunRemedy, SearchAlerts};
use observe::{Act, Alert, AlertState, Remedy, Severity};
use wire::admin::observe as remedies;
use wire::{Answer, Chosen, Door, Form, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, part};
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;

/// Where the pages are.
pub const PAGE: &str = "/console/alerts";
/// The states, as the list can be narrowed to them.
const STATES: [AlertState; 3] = [AlertState::Open, AlertState::Acknowledged, AlertState::Resolved];

/// Where an alert's page is.
pub fn address(id: &str) -> String {
    format!("{PAGE}/{}", part(id))
}

/// The row of an alert in a list: how bad, what, since when, how far.
pub fn row(alert: &Alert) -> Vec<Cell> {
    vec![
        Cell::state(alert.severity.word(), tone_of(alert.severity)),
        Cell::link(alert.headline.clone(), address(&alert.id)),
        Cell::text(moment(alert.began_at)),
        Cell::text(alert.state.word()),
    ]
}

/// The columns of [`row`].
pub const COLUMNS: [&str; 4] = ["How bad", "What", "Since", "State"];

fn tone_of(severity: Severity) -> Tone {
    if severity == Severity::Critical { Tone::Bad } else { Tone::Wait }
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsTemplate {
    states: Vec<(&'static str, bool)>,
    is_gravest_first: bool,
    /// The id of the endpoint that the list is narrowed to; empty for none.
    endpoint: String,
    table: Table,
}

#[derive(Template)]
#[template(path = "alert.html")]
struct AlertTemplate {
    alert: Alert,
    tone: Tone,
    facts: Vec<(&'static str, String)>,
    causes: Vec<(String, String)>,
    tables: Vec<Table>,
    remedies: Vec<Remedy>,
    may_acknowledge: bool,
    may_resolve: bool,
    may_run: bool,
}

impl AlertTemplate {
    /// Whether a button stands beside a remedy: a person who may run it, an alert that is not over, something a server can do.
    fn can_run(&self, remedy: &Remedy) -> bool {
        self.may_run && self.alert.state != AlertState::Resolved && remedy.act != Act::ByHand
    }
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    list(door, rooms);
    let path = format!("{PAGE}/{{alert}}");
    let room = rooms.observe.clone();
    door.choice(Method::GET, &path, &[GetAlert::ACTION], move |inbound| {
        let (room, id) = (room.clone(), inbound.path("alert").to_owned());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, id).await })))
    });
    let room = rooms.observe.clone();
    door.choice(Method::POST, &path, &[AcknowledgeAlert::ACTION, ResolveAlert::ACTION], move |inbound| {
        let (room, id) = (room.clone(), inbound.path("alert").to_owned());
        let form: Form = inbound.form()?;
        let is_over = match form.get("decision") {
            Some("acknowledge") => false,
            Some("resolve") => true,
            _ => return Err(Problem::invalid("`decision` is acknowledge or resolve")),
        };
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let to = address(&id);
                if is_over {
                    visitor.call(ResolveAlert { room, id }).await?;
                } else {
                    visitor.call(AcknowledgeAlert { room, id }).await?;
                }
                Ok(redirect_in(visitor.workspace(), &to))
            })
        }))
    });
    let rooms = rooms.remedies.clone();
    door.choice(Method::POST, &format!("{path}/remedies/{{remedy}}"), &remedies::VERBS, move |inbound| {
        inbound.form()?.sure()?;
        let (rooms, id, remedy) = (rooms.clone(), inbound.path("alert").to_owned(), inbound.path("remedy").to_owned());
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                rooms.run(visitor, remedy).await?;
                Ok(redirect_in(visitor.workspace(), &format!("{}#remedies", address(&id))))
            })
        }))
    });
}

fn list(door: &mut Door, rooms: &Rooms) {
    let room = rooms.observe.clone();
    let search = move |inbound: &Inbound| {
        let query = Query::of(inbound)?;
        let state = query.get("state").map(AlertState::parse).transpose()?;
        let gravest_first = wire::admin::is_gravest_first(query.get("order"))?;
        let (endpoint, after) = (query.text("endpoint"), query.text("after"));
        let search = SearchAlerts { state, endpoint, gravest_first, after, ..SearchAlerts::all(room.clone()) };
        Ok((search, (state, gravest_first, query, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, PAGE, search, |found, (state, is_gravest_first, query, workspace)| {
        let chosen = state.map_or("", AlertState::word);
        let states = [""].into_iter().chain(STATES.map(AlertState::word));
        page_in(
            &workspace,
            &AlertsTemplate {
                states: states.map(|word| (word, word == chosen)).collect(),
                is_gravest_first,
                endpoint: query.text("endpoint").unwrap_or_default(),
                table: Table {
                    id: "alerts",
                    title: "Alerts".to_owned(),
                    columns: COLUMNS.to_vec(),
                    rows: found.rows.iter().map(row).collect(),
                    empty: "No alert is in this state. Endpoints, data and the server are looked at every minute.".to_owned(),
                    next: found.next.map(|next| query.with("after", &next).at(PAGE)).unwrap_or_default(),
                },
            },
        )
    });
}

async fn shown(visitor: &Visitor, room: observe::Observe, id: String) -> Result<Answer, Problem> {
    let found = visitor.call(GetAlert { room: room.clone(), id: id.clone() }).await?;
    let acknowledge = AcknowledgeAlert { room: room.clone(), id: id.clone() };
    let is_open = found.alert.state == AlertState::Open;
    let may_acknowledge = is_open && visitor.might(&acknowledge).await?;
    let is_over = found.alert.state == AlertState::Resolved;
    let may_resolve = !is_over && visitor.might(&ResolveAlert { room: room.clone(), id: id.clone() }).await?;
    let may_run = visitor.might(&RunRemedy { room, id }).await?;
    let alert = found.alert;
    page_in(
        visitor.workspace(),
        &AlertTemplate {
            tone: if is_over { Tone::Good } else { tone_of(alert.severity) },
            facts: facts(&alert),
            causes: (alert.detail.causes.iter()).map(|cause| (percent(cause.weight), cause.words.clone())).collect(),
            tables: vec![columns(&alert), numbers(&alert)],
            remedies: found.remedies,
            may_acknowledge,
            may_resolve,
            may_run,
            alert,
        },
    )
}

fn facts(alert: &Alert) -> Vec<(&'static str, String)> {
    let by = |(at, by): &(Micros, String)| format!("{} by {by}", moment(*at));
    let mut facts = vec![
        ("About", alert.detail.subject.clone()),
        ("Kind", alert.kind.clone()),
        ("Since", moment(alert.began_at)),
        ("Noticed", moment(alert.opened_at)),
        ("Last seen", moment(alert.seen_at)),
    ];
    if let Some(at) = alert.crosses_at {
        let sure = alert.certainty.map_or_else(String::new, |certainty| format!(", {} sure", percent(certainty)));
        facts.push(("Crosses its limit", format!("{}{sure}", moment(at))));
    }
    facts.extend(alert.acknowledged.as_ref().map(|done| ("Somebody is on it", by(done))));
    facts.extend(alert.resolved.as_ref().map(|done| ("Over", by(done))));
    facts
}

fn columns(alert: &Alert) -> Table {
    let row = |one: &watch::ColumnState| {
        vec![
            Cell::text(one.column.clone()),
            Cell::text(percent(one.moved_share)),
            Cell::text(format!("{:.1e}", one.false_discovery_rate)),
            Cell::text(one.change.clone()),
        ]
    };
    Table::whole(
        "columns",
        "Columns that moved",
        &["Column", "Rows that moved", "False discovery rate", "What changed most"],
        alert.detail.columns.iter().map(row).collect(),
        "",
    )
}

fn numbers(alert: &Alert) -> Table {
    let row = |(name, value): (&String, &f64)| vec![Cell::text(name.replace('_', " ")), Cell::text(format!("{value:.4}"))];
    Table::whole("numbers", "The numbers behind it", &["What", "Value"], alert.detail.numbers.iter().map(row).collect(), "")
}

fn percent(share: f64) -> String {
    format!("{:.0} %", 100.0 * share)
}

/// When and by whom a remedy was run.
fn run_by(run: &(Micros, String, String)) -> String {
    format!("{} by {}: {}", moment(run.0), run.1, run.2)
}
