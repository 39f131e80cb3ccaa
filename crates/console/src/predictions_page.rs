//! Predictions: which an endpoint made, and one of them traced back to the model, its admission, its code, data and people.

use admission::ops::ShowStanding;
use gate::{Operation, Visitor};
use http::Method;
use kernel::{Kind, Micros, Problem, hex};
use lineage::ops::WalkGraph;
use lineage::{Direction, Root};
use predictions::ops::{FindPrediction, SearchPredictions, Wish};
use predictions::{Found, Record};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, called, if_allowed, part};
use crate::lineage_page;
use crate::page::{moment, page_in};
use crate::query::Query;
use crate::sections::{Field, Sections};

/// Where the pages are.
pub const PAGE: &str = "/console/predictions";
/// Things that a trace shows; the graph has the others.
const THING_ROWS: usize = 100;

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.predictions.clone();
    let search = move |inbound: &wire::Inbound| {
        let query = Query::of(inbound)?;
        let wish =
            Wish { endpoint: query.text("endpoint"), versions: None, since: query.time("since")?, until: query.time("until")? };
        let search = SearchPredictions { room: room.clone(), wish, after: query.text("after"), rows: None };
        Ok((search, (query, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, PAGE, search, |found, (query, workspace)| {
        let mut page = Sections::new("Predictions");
        page.back = ("Endpoints", "/console/endpoints".to_owned());
        let asked = |name: &str| query.text(name).unwrap_or_default();
        page.fields = vec![
            Field::text("endpoint", "Endpoint", asked("endpoint"), "its name"),
            Field::text("since", "From", asked("since"), "2026-11-01T00:00:00Z"),
            Field::text("until", "Before", asked("until"), "2026-11-02T00:00:00Z"),
        ];
        let rows = found.rows.iter().map(|one| row(one, found.names.get(&one.caller))).collect();
        let empty = "No prediction is kept that fits. They are sealed once a minute, and kept as the endpoint's log policy says.";
        let columns = ["Prediction", "When", "Endpoint", "For", "Rows", "What the guard found"];
        let table = Table::whole("predictions", "The newest first", &columns, rows, empty);
        page.sections.push(table.going_on(found.next.map(|next| query.with("after", &next).at(PAGE))));
        page_in(&workspace, &page)
    });
    let rooms = rooms.clone();
    let verbs = [FindPrediction::ACTION, ShowStanding::ACTION, WalkGraph::ACTION];
    door.choice(Method::GET, &format!("{PAGE}/{{prediction}}"), &verbs, move |inbound| {
        let (rooms, id) = (rooms.clone(), inbound.path("prediction").to_owned());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { traced(visitor, &rooms, id).await })))
    });
}

fn row(one: &Record, caller: Option<&String>) -> Vec<Cell> {
    vec![
        Cell::link(one.id.clone(), format!("{PAGE}/{}", part(&one.id))),
        Cell::text(moment(Micros(one.at))),
        Cell::text(one.endpoint.clone()),
        Cell::text(called(caller, &one.caller)),
        Cell::text(one.rows.to_string()),
        found_by_guard(one),
    ]
}

fn found_by_guard(one: &Record) -> Cell {
    if one.verdicts.is_empty() { Cell::text("nothing") } else { Cell::state(one.verdicts.join(", "), Tone::Wait) }
}

async fn traced(visitor: &Visitor, rooms: &Rooms, id: String) -> Result<Answer, Problem> {
    let found = visitor.call(FindPrediction { room: rooms.predictions.clone(), id }).await?;
    let mut page = Sections::new(format!("Prediction {}", found.record.id));
    page.back = ("Predictions", PAGE.to_owned());
    page.facts = facts(&found);
    page.links.push(("Its records in the log".to_owned(), format!("/console/audit?entry={}", part(&found.record.entry))));
    let number = found.batch.version;
    let Some(model) = found.model.clone() else {
        page.state = Cell::state("the model is deleted", Tone::Wait);
        page.words.push("Where it came from cannot be walked any more; what is kept of the prediction stands here.".to_owned());
        return page_in(visitor.workspace(), &page);
    };
    let show = ShowStanding { room: rooms.admission.clone(), name: model.clone(), version: number.to_string() };
    if let Some(shown) = if_allowed(visitor, show).await? {
        let standing = shown.standing;
        let mut words = format!("{model}/{number} made it, which is {} now", standing.state.word());
        if let Some(decision) = &standing.decision {
            words.push_str(&format!(": {} by {}, {}", decision.kind.word(), decision.by, decision.why));
        }
        page.state = Cell::state(standing.state.word(), Tone::of_state(standing.state));
        page.words.push(format!("{words}."));
    }
    let subject = format!("model:{model}/{number}");
    let root = Root::ModelVersion(model.clone(), number.to_string());
    let walk = WalkGraph { room: rooms.lineage.clone(), subject: subject.clone(), root, direction: Direction::Up, depth: None };
    match if_allowed(visitor, walk).await {
        Ok(Some(walked)) => page.sections.push(things(&walked)),
        Ok(None) => {}
        // It was deleted while it was asked for.
        Err(problem) if problem.kind() == Kind::NotFound => {}
        Err(problem) => return Err(problem),
    }
    page.links.push(("The version that made it".to_owned(), crate::models::address(&model, number)));
    page.links.push(("The same as a picture".to_owned(), lineage_page::address(&subject)));
    page_in(visitor.workspace(), &page)
}

fn facts(found: &Found) -> Vec<(&'static str, String)> {
    let Found { record, batch, caller, .. } = found;
    #[expect(clippy::cast_precision_loss, reason = "a time for people")]
    let took_ms = record.latency_us as f64 / 1_000.0;
    let mut facts = vec![
        ("Made", moment(Micros(record.at))),
        ("Endpoint", record.endpoint.clone()),
        ("For", caller.clone().map_or_else(|| record.caller.clone(), |name| format!("{name} ({})", record.caller))),
        ("Rows", record.rows.to_string()),
        ("Took", format!("{took_ms:.2} ms")),
        ("The guard found", found_by_guard(record).text),
        ("Kept of it", record.log.clone()),
        ("Digest of the model's files", record.manifest_sha256.clone()),
        ("Sealed", format!("{}, with {} others, under {}", moment(batch.sealed_at), batch.request_count - 1, hex(&batch.root))),
    ];
    facts.extend(record.subject.clone().map(|subject| ("Concerns", subject)));
    facts
}

/// What the version stems from, the nearest first.
fn things(walked: &lineage::ops::Walked) -> Table {
    let rows = walked
        .nodes
        .iter()
        .take(THING_ROWS)
        .map(|node| vec![Cell::text(node.kind.noun()), lineage_page::named(node), lineage_page::own(node)]);
    Table::whole(
        "things",
        "What it stems from",
        &["Kind", "Name; leads on", ""],
        rows.collect(),
        "Nothing is known behind the version.",
    )
}
