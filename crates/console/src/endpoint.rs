//! One endpoint: whether it answers, its traffic as it comes, what is on trial, and who is slowed down.

use askama::Template;
use gate::{Operation, Visitor};
use http::Method;
use kernel::Problem;
use observe::AlertState;
use observe::ops::{AlertPage, SearchAlerts, ShowTraffic, TrafficMinute};
use serving::ops::{Challenger, GetEndpoint, ListTrails, PromoteChallenger, Ready, Rollback};
use serving::{ArmView, Endpoint, TrailShown};
use wire::{Answer, Chosen, Door, Form, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, called, if_allowed, part};
use crate::page::{moment, page_in, redirect_in};
use crate::traffic::{Drawing, live};

const PAGE: &str = "/console/endpoints";
/// Callers that are shown; those on the highest steps come first.
const TRAIL_ROWS: usize = 20;
/// Open alerts that are shown, the gravest first.
const ALERT_ROWS: usize = 20;

#[derive(Template)]
#[template(path = "endpoint.html")]
struct EndpointTemplate {
    name: String,
    /// Where it is told who may do what with its model; empty for a deleted one.
    access: String,
    state: Cell,
    verdict: String,
    facts: Vec<(&'static str, String)>,
    drawing: Option<Drawing>,
    minutes: Table,
    tables: Vec<Table>,
    has_rollout: bool,
    may_promote: bool,
    may_roll_back: bool,
    /// How it stood when the form was made.
    mark: String,
    /// What answers after a roll-back.
    back_words: String,
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let path = format!("{PAGE}/{{endpoint}}");
    let own = rooms.clone();
    door.choice(
        Method::GET,
        &path,
        &[GetEndpoint::ACTION, ShowTraffic::ACTION, SearchAlerts::ACTION, ListTrails::ACTION],
        move |inbound| {
            let (rooms, name) = (own.clone(), inbound.path("endpoint").to_owned());
            Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, &rooms, name).await })))
        },
    );
    let room = rooms.serving.clone();
    door.choice(Method::POST, &path, &[Rollback::ACTION, PromoteChallenger::ACTION], move |inbound| {
        let (room, name) = (room.clone(), inbound.path("endpoint").to_owned());
        let form: Form = inbound.form()?;
        let seen = form.get("seen").map(str::to_owned);
        let takes_over = match form.get("decision") {
            Some("promote") => {
                form.sure()?;
                true
            }
            Some("rollback") => false,
            _ => return Err(Problem::invalid("`decision` is promote or rollback")),
        };
        Ok(Chosen::verbs(move |visitor| {
            Box::pin(async move {
                let to = format!("{PAGE}/{}", part(&name));
                if takes_over {
                    visitor.call(PromoteChallenger { room, name, seen }).await?;
                } else {
                    visitor.call(Rollback { room, name, seen }).await?;
                }
                Ok(redirect_in(visitor.workspace(), &to))
            })
        }))
    });
    let room = rooms.observe.clone();
    let watch = move |inbound: &Inbound| {
        Ok(ShowTraffic { room: room.clone(), endpoint: inbound.path("endpoint").to_owned(), minutes: None })
    };
    door.route(Method::GET, &format!("{path}/live"), watch, |traffic| Ok(live(traffic)));
}

async fn shown(visitor: &Visitor, rooms: &Rooms, name: String) -> Result<Answer, Problem> {
    let room = || rooms.serving.clone();
    let ready = visitor.call(GetEndpoint { room: room(), name: name.clone() }).await?;
    let traffic = ShowTraffic { room: rooms.observe.clone(), endpoint: name.clone(), minutes: None };
    let minutes = match if_allowed(visitor, traffic).await? {
        Some(traffic) => Some(traffic.now().await?),
        None => None,
    };
    let trails = if_allowed(visitor, ListTrails { room: room(), name: name.clone(), rows: Some(TRAIL_ROWS) }).await?;
    let open = SearchAlerts {
        state: Some(AlertState::Open),
        endpoint: Some(ready.endpoint.id.clone()),
        gravest_first: true,
        rows: Some(ALERT_ROWS),
        ..SearchAlerts::all(rooms.observe.clone())
    };
    let alerts = if_allowed(visitor, open).await?.map(|found| alerts(&found, &ready.endpoint.id));
    let has_rollout = ready.endpoint.rollout.is_some();
    let can_go_back = has_rollout || ready.endpoint.previous.is_some();
    let may_roll_back = can_go_back && visitor.might(&Rollback { room: room(), name: name.clone(), seen: None }).await?;
    let can_promote = ready.challenger.as_ref().is_some_and(|challenger| challenger.model.is_some());
    let may_promote = can_promote && visitor.might(&PromoteChallenger { room: room(), name: name.clone(), seen: None }).await?;
    let (state, verdict) = verdict(&ready);
    let access = |model: &String| crate::access::address_of("registered_model", model);
    page_in(
        visitor.workspace(),
        &EndpointTemplate {
            access: ready.endpoint.model.as_ref().map(access).unwrap_or_default(),
            state,
            verdict,
            facts: facts(&ready),
            drawing: minutes.as_deref().map(Drawing::of),
            minutes: minutes_table(minutes.as_deref().unwrap_or_default()),
            tables: alerts.into_iter().chain(ready.challenger.iter().map(trial)).chain(trails.as_deref().map(callers)).collect(),
            has_rollout,
            may_promote,
            may_roll_back,
            mark: ready.endpoint.mark(),
            back_words: ready.endpoint.previous.map_or_else(String::new, |number| format!("Roll back to version {number}")),
            name,
        },
    )
}

/// What is wrong with it: drift, errors, slowness, with causes and remedies behind each.
fn alerts(open: &AlertPage, endpoint: &str) -> Table {
    let rows = open.rows.iter().map(crate::alerts::row).collect();
    let more =
        |next: &String| format!("/console/alerts?state=open&order=gravest&endpoint={}&after={}", part(endpoint), part(next));
    Table::whole("alerts", "Drift and other alerts", &crate::alerts::COLUMNS, rows, "None is open. It is looked at every minute.")
        .going_on(open.next.as_ref().map(more))
}

fn verdict(ready: &Ready) -> (Cell, String) {
    let Endpoint { model, choice, rollout, .. } = &ready.endpoint;
    let model = model.as_deref().unwrap_or("a deleted model");
    let Some(loaded) = &ready.model else {
        let why = ready.obstacle.as_deref().unwrap_or("it is not known why");
        return (Cell::state("does not answer", Tone::Bad), format!("No version of {model} answers: {why}"));
    };
    let answers = format!("Version {} of {model} answers (chosen as {choice})", loaded.number);
    match rollout.as_ref().map(|rollout| (rollout, &rollout.halted)) {
        Some((rollout, Some((at, why)))) => {
            let text = format!("{answers}. The trial of {} ended by itself at {}: {why}.", rollout.choice, moment(*at));
            (Cell::state("trial ended", Tone::Wait), text)
        }
        Some((rollout, None)) => {
            let share = f64::from(rollout.share_permille) / 10.0;
            let text = format!("{answers}; {} is a {} in {share} % of the requests.", rollout.choice, rollout.mode.as_str());
            (Cell::state("answers, with a trial", Tone::Wait), text)
        }
        None => (Cell::state("answers", Tone::Good), format!("{answers}.")),
    }
}

fn facts(ready: &Ready) -> Vec<(&'static str, String)> {
    let endpoint = &ready.endpoint;
    let changed = |at, name, id: &str| format!("{} by {}", moment(at), called(name, id));
    let mut facts = vec![
        ("Runtime", endpoint.runtime.to_string()),
        ("Made", changed(endpoint.created_at, endpoint.created_by_name.as_ref(), &endpoint.created_by)),
        ("Changed", changed(endpoint.changed_at, endpoint.changed_by_name.as_ref(), &endpoint.changed_by)),
        ("Answered before", endpoint.previous.map_or_else(|| "nothing".to_owned(), |number| format!("version {number}"))),
    ];
    facts.extend(ready.model.as_ref().map(|model| ("Files", kernel::hex(&model.manifest_sha256))));
    facts.extend(ready.guard.as_ref().map(|guard| ("Rows a caller may ask in a day", guard.rows_per_day.to_string())));
    facts
}

fn minutes_table(minutes: &[TrafficMinute]) -> Table {
    let time = |micros: Option<u64>| micros.map_or_else(String::new, |micros| format!("{:.2} ms", micros as f64 / 1_000.0));
    let row = |minute: &TrafficMinute| {
        vec![
            Cell::text(moment(minute.at)),
            Cell::text(minute.answered.to_string()),
            Cell::text(minute.failed.to_string()),
            Cell::text((minute.invalid + minute.limited).to_string()),
            Cell::text(time(minute.p50_us)),
            Cell::text(time(minute.p99_us)),
        ]
    };
    let seen = minutes.iter().rev().filter(|minute| minute.requests() > 0);
    Table::whole(
        "traffic",
        "",
        &["Minute", "Answered", "Failed", "Refused or held back", "Middle", "99th percentile"],
        seen.map(row).collect(),
        "Nothing was asked in the last hour.",
    )
}

fn trial(challenger: &Challenger) -> Table {
    let row = |who: &str, arm: &ArmView| {
        vec![
            Cell::text(who),
            Cell::text(arm.requests.to_string()),
            Cell::text(arm.rows.to_string()),
            Cell::text(arm.errors.to_string()),
            Cell::text(format!("{:.2} ms", arm.p50_ms)),
            Cell::text(format!("{:.2} ms", arm.p99_ms)),
        ]
    };
    let compared = &challenger.comparison;
    Table::whole(
        "trial",
        "On trial, side by side",
        &["Version", "Requests", "Rows", "Failed", "Middle", "99th percentile"],
        vec![row("champion", &compared.champion), row("challenger", &compared.challenger)],
        "",
    )
}

fn callers(trails: &[TrailShown]) -> Table {
    let row = |one: &TrailShown| {
        let (why, since) =
            one.why.map_or((String::new(), String::new()), |(cause, at)| (cause.word().replace('_', " "), moment(at)));
        let tone = if one.why.is_some() { Tone::Wait } else { Tone::Plain };
        vec![
            Cell::text(one.caller.clone()),
            Cell::state(one.level.word(), tone),
            Cell::text(why),
            Cell::text(since),
            Cell::text(one.counts.rows.to_string()),
            Cell::text(one.spent_rows.to_string()),
        ]
    };
    let title = match trails.len() {
        TRAIL_ROWS.. => {
            format!("Callers, the first {TRAIL_ROWS}, those that are held back first; strongroom endpoint trails shows all")
        }
        _ => "Callers, those that are held back first".to_owned(),
    };
    Table::whole(
        "callers",
        title,
        &["Caller", "Step", "Why", "Since", "Rows seen", "Of the day's budget"],
        trails.iter().map(row).collect(),
        "Nobody has asked since this server began.",
    )
}
