//! What was found in the log: the detections, and one of them with its evidence.

use detect::ops::{AcknowledgeDetection, GetDetection, ListDetections};
use detect::{Detect, Detection, Level};
use gate::{Operation, Visitor};
use http::Method;
use kernel::Problem;
use wire::{Answer, Chosen, Door, Inbound};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, called, part};
use crate::page::{moment, page_in, redirect_in};
use crate::query::Query;
use crate::sections::{Deed, Field, Sections};

/// Where the pages are.
pub const PAGE: &str = "/console/detections";
/// As the form narrows the list: to all, or to those that nobody is on.
const WHICH: [&str; 2] = ["all", "open"];
const ORDERS: [&str; 2] = ["newest", "gravest"];
const LEVELS: [&str; 6] = ["any", "informational", "low", "medium", "high", "critical"];

/// The row of a detection in a list: how bad, what, who, since when, how often, who is on it.
pub fn row(one: &Detection) -> Vec<Cell> {
    vec![
        Cell::state(one.level.word(), tone(one.level)),
        Cell::link(one.title.clone(), format!("{PAGE}/{}", part(&one.id))),
        Cell::text(who(one)),
        Cell::text(moment(one.last_at)),
        Cell::text(one.count.to_string()),
        Cell::text(
            one.acknowledged
                .as_ref()
                .map_or_else(|| "open".to_owned(), |(_, by)| format!("{} is on it", called(one.acknowledged_name.as_ref(), by))),
        ),
    ]
}

/// The columns of [`row`].
pub const COLUMNS: [&str; 6] = ["How bad", "What", "Who", "Last", "Times", "State"];

/// How bad a level is.
pub fn tone(level: Level) -> Tone {
    match level.word() {
        "high" | "critical" => Tone::Bad,
        "medium" => Tone::Wait,
        _ => Tone::Plain,
    }
}

fn who(one: &Detection) -> String {
    let id = one.caller.as_ref().map(|caller| caller.0.clone());
    one.caller_name.clone().or(id).unwrap_or_else(|| one.subject.clone())
}

/// Adds the pages.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    list(door, &rooms.detect);
    let path = format!("{PAGE}/{{detection}}");
    let room = rooms.detect.clone();
    door.choice(Method::GET, &path, &[GetDetection::ACTION], move |inbound| {
        let (room, id) = (room.clone(), inbound.path("detection").to_owned());
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, id).await })))
    });
    let room = rooms.detect.clone();
    let acknowledge = move |inbound: &Inbound| {
        let id = inbound.path("detection").to_owned();
        Ok((AcknowledgeDetection { room: room.clone(), id }, inbound.workspace().to_owned()))
    };
    door.route_with(Method::POST, &path, acknowledge, |one, workspace| {
        Ok(redirect_in(&workspace, &format!("{PAGE}/{}", part(&one.id))))
    });
}

fn list(door: &mut Door, room: &Detect) {
    let room = room.clone();
    let search = move |inbound: &Inbound| {
        let query = Query::of(inbound)?;
        let given = |wanted: &str| query.get(wanted).map(str::to_owned);
        let level = given("level").unwrap_or_else(|| "any".to_owned());
        let least = match level.as_str() {
            "any" => None,
            word => Some(
                Level::parse(word)
                    .ok_or_else(|| Problem::invalid("`level` is any, informational, low, medium, high or critical"))?,
            ),
        };
        let which = given("which").unwrap_or_else(|| "all".to_owned());
        let open_only = match which.as_str() {
            "all" => false,
            "open" => true,
            _ => return Err(Problem::invalid("`which` is all or open")),
        };
        let gravest_first = wire::admin::is_gravest_first(query.get("order"))?;
        let list =
            ListDetections { room: room.clone(), level: least, open_only, gravest_first, after: given("after"), rows: None };
        Ok((list, (level, which, query, inbound.workspace().to_owned())))
    };
    door.route_with(Method::GET, PAGE, search, |found, (level, which, query, workspace)| {
        let order = query.get("order").unwrap_or("newest").to_owned();
        let mut page = Sections::new("What was found in the log");
        let next = found.next.map(|next| query.with("after", &next).at(PAGE));
        page.sections.push(Table {
            id: "detections",
            title: format!("Detections, the {order} first"),
            columns: COLUMNS.to_vec(),
            rows: found.rows.iter().map(row).collect(),
            empty: "Nothing was found. Rules look at each record of the log as it is written.".to_owned(),
            next: next.unwrap_or_default(),
        });
        page.fields = vec![
            Field::choice("level", "At least", level, LEVELS.map(str::to_owned).to_vec()),
            Field::choice("which", "Which", which, WHICH.map(str::to_owned).to_vec()),
            Field::choice("order", "First", order, ORDERS.map(str::to_owned).to_vec()),
        ];
        page.links = vec![("The rules".to_owned(), format!("{PAGE}/rules"))];
        page_in(&workspace, &page)
    });
}

async fn shown(visitor: &Visitor, room: Detect, id: String) -> Result<Answer, Problem> {
    let one = visitor.call(GetDetection { room: room.clone(), id: id.clone() }).await?;
    let mut page = Sections::new(one.title.clone());
    page.back = ("What was found", PAGE.to_owned());
    page.state = Cell::state(one.level.word(), tone(one.level));
    page.words.push(one.words.clone());
    if one.acknowledged.is_none() && visitor.might(&AcknowledgeDetection { room, id: id.clone() }).await? {
        page.acts.push(Deed {
            action: format!("{PAGE}/{}", part(&id)),
            words: "I am on it",
            what: "Others see that somebody looks at it.".to_owned(),
            hidden: Vec::new(),
            is_plain: false,
            is_grave: false,
        });
    }
    page.facts = vec![
        ("Rule", one.rule.clone()),
        ("Who", who(&one)),
        ("About", one.subject.clone()),
        ("First", moment(one.first_at)),
        ("Last", moment(one.last_at)),
        ("Times", one.count.to_string()),
        ("What was to be done at most", one.response.word().to_owned()),
        ("What became of that", one.response_state.clone()),
    ];
    page.facts.extend(one.token.iter().map(|token| ("Token or session", token.clone())));
    page.facts.extend(
        one.acknowledged
            .iter()
            .map(|(at, by)| ("Somebody is on it", format!("{}, {}", called(one.acknowledged_name.as_ref(), by), moment(*at)))),
    );
    let record = |index: &u64| vec![Cell::link(index.to_string(), format!("/console/audit/{index}"))];
    page.sections.push(Table::whole(
        "evidence",
        "Records behind it",
        &["Record"],
        one.evidence.iter().map(record).collect(),
        "No single record is behind it: it was counted.",
    ));
    if let Some((who, _)) = &one.caller {
        page.links.push(("All that this account did".to_owned(), format!("/console/audit/timeline?who={}", part(who))));
    }
    page_in(visitor.workspace(), &page)
}
