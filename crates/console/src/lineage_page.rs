//! What a thing stems from and what stems from it: a picture whose things lead on, the same in tables, and what would be hit if it were bad.

use askama::Template;
use gate::{Operation, Visitor};
use http::{Method, StatusCode};
use kernel::{Kind, Problem};
use lineage::ops::{WalkGraph, Walked};
use lineage::{Direction, Node, NodeKind, Root, Trust};
use wire::{Answer, Chosen, Door};

use crate::Rooms;
use crate::board::{Cell, Table, Tone, first_of, if_allowed, part, shortened};
use crate::home::HomePage;
use crate::lineage_layout::{Layout, layout};
use crate::page::page_in;
use crate::query::Query;
use crate::runs::run_address;

const PAGE: &str = "/console/lineage";
/// Steps of the picture each way where nobody says. What would be hit is looked for at any distance.
const DEPTH_USUAL: u32 = 3;
const DEPTH_MAX: u32 = 50;
/// Rows of the table of edges.
const EDGE_COUNT_MAX: usize = 100;
/// Letters of a name in it.
const NAME_CHARS_MAX: usize = 80;

/// A kind that can be left out.
struct KindChoice {
    word: &'static str,
    noun: &'static str,
    count: usize,
    is_shown: bool,
}

#[derive(Template)]
#[template(path = "lineage.html")]
struct LineageTemplate {
    subject: String,
    depth: String,
    fault: String,
    name: String,
    /// Where what it stems from, and what stems from it, can be shown at all.
    walks: Vec<Walked>,
    kinds: Vec<KindChoice>,
    hit: Vec<Cell>,
    hit_words: String,
    is_cut: bool,
    /// The picture ends where something goes on.
    goes_on: bool,
    exports: Vec<(&'static str, String)>,
    tables: Vec<Table>,
}

impl LineageTemplate {
    fn layout(&self) -> Layout<'_> {
        layout(&self.walks, |kind| self.kinds.iter().any(|choice| choice.word == kind.word() && choice.is_shown))
    }
}

/// Adds the page and its exports.
pub fn routes(door: &mut Door, rooms: &Rooms) {
    let room = rooms.lineage.clone();
    door.choice(Method::GET, PAGE, &[crate::home::HOME, WalkGraph::ACTION], move |inbound| {
        let (room, query) = (room.clone(), Query::of(inbound)?);
        Ok(Chosen::verbs(move |visitor| Box::pin(async move { shown(visitor, room, query).await })))
    });
    wire::admin::lineage::walk_route(door, &rooms.lineage, &format!("{PAGE}/export"));
}

async fn shown(visitor: &Visitor, room: lineage::Lineage, query: Query) -> Result<Answer, Problem> {
    visitor.call(HomePage).await?;
    let subject = query.get("subject").unwrap_or_default().to_owned();
    let found = if subject.is_empty() { Ok(Seen::default()) } else { walks(visitor, room, &subject, &query).await };
    // Who mistyped a name is told so beside the field.
    let (seen, fault) = match found {
        Ok(seen) => (seen, None),
        Err(problem) if matches!(problem.kind(), Kind::Invalid | Kind::NotFound) => (Seen::default(), Some(problem)),
        Err(problem) => return Err(problem),
    };
    let template = template(subject, &query, seen, fault.as_ref().map(|problem| problem.message().to_owned()));
    let mut answer = page_in(visitor.workspace(), &template)?;
    if let Some(problem) = fault {
        *answer.status_mut() = if problem.kind() == Kind::NotFound { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST };
    }
    Ok(answer)
}

/// What a page is made of.
#[derive(Default)]
struct Seen {
    /// As far as the picture goes: up, and down where the caller may see all that lies there.
    walks: Vec<Walked>,
    hit: Vec<Cell>,
    hit_words: String,
}

/// Up, and down where the caller may see all that lies there. Down is walked as far as it goes: what would be hit does not end where a picture does.
async fn walks(visitor: &Visitor, room: lineage::Lineage, subject: &str, query: &Query) -> Result<Seen, Problem> {
    let asked = query.get("depth").map(|text| text.parse::<u32>().ok().filter(|depth| (1..=DEPTH_MAX).contains(depth)));
    let wrong = || Problem::invalid(format!("`depth` is a number of steps, from 1 to {DEPTH_MAX}"));
    let depth = asked.map(|depth| depth.ok_or_else(wrong)).transpose()?.unwrap_or(DEPTH_USUAL);
    let root = Root::parse(subject)?;
    let walk =
        |direction, depth| WalkGraph { room: room.clone(), subject: subject.to_owned(), root: root.clone(), direction, depth };
    let up = visitor.call(walk(Direction::Up, Some(depth))).await?;
    let Some(down) = if_allowed(visitor, walk(Direction::Down, None)).await? else {
        let hit_words = "You may not see all that may stem from it.".to_owned();
        return Ok(Seen { walks: vec![up], hit: Vec::new(), hit_words });
    };
    Ok(Seen { hit: hit(&down), hit_words: hit_words(&down), walks: vec![up, down.within(depth)] })
}

fn template(subject: String, query: &Query, seen: Seen, fault: Option<String>) -> LineageTemplate {
    let Seen { walks, hit, hit_words } = seen;
    let asked = query.all("kind");
    let count = |kind: NodeKind| walks.iter().filter_map(|walk| walk.counts().get(&kind).copied()).sum::<usize>();
    let kinds = NodeKind::ALL.iter().map(|kind| KindChoice {
        word: kind.word(),
        noun: kind.noun(),
        count: count(*kind),
        is_shown: asked.is_empty() || asked.iter().any(|word| word == kind.word()),
    });
    let kinds = kinds.filter(|choice| choice.count > 0).collect();
    let export = |direction: &str, format: &str| {
        let asked = Query::default().with("subject", &subject).with("direction", direction).with("format", format);
        asked.at(&format!("{PAGE}/export"))
    };
    let exports = vec![
        ("What it stems from, as SVG", export("up", "svg")),
        ("as JSON", export("up", "json")),
        ("What stems from it, as SVG", export("down", "svg")),
        ("as JSON", export("down", "json")),
    ];
    let roots = walks.first().map(|walk| walk.roots.iter().map(Node::described).collect::<Vec<_>>().join(", "));
    let mut made = LineageTemplate {
        name: roots.unwrap_or_default(),
        depth: query.get("depth").map_or_else(|| DEPTH_USUAL.to_string(), str::to_owned),
        fault: fault.unwrap_or_default(),
        hit,
        hit_words,
        is_cut: walks.iter().any(|walk| walk.truncated),
        goes_on: walks.iter().any(|walk| walk.leads_on),
        subject,
        walks,
        kinds,
        exports,
        tables: Vec::new(),
    };
    made.tables = tables(&made.layout());
    made
}

/// What descends from it at any distance, in a sentence.
fn hit_words(down: &Walked) -> String {
    let counts = down.counts();
    if counts.is_empty() && down.endpoints.is_empty() && !down.truncated {
        return "Nothing that is known stems from it, at any distance.".to_owned();
    }
    let mut words: Vec<String> = counts.iter().map(|(kind, count)| format!("{count} × {}", kind.noun())).collect();
    words.push(format!("{} × endpoint that answers with one of them now", down.endpoints.len()));
    let all = words.join(", ");
    if down.truncated {
        return format!("From it stem at least {all}. There is more than one walk follows, so this is not all.");
    }
    format!("From it stem {all}.")
}

fn hit(down: &Walked) -> Vec<Cell> {
    let word = |trust: &Trust| if *trust == Trust::Claimed { " (on a way that somebody only claimed)" } else { "" };
    down.endpoints.iter().map(|(endpoint, trust)| Cell::state(format!("{}{}", endpoint.name, word(trust)), Tone::Wait)).collect()
}

/// The same as the picture, in words.
fn tables(layout: &Layout<'_>) -> Vec<Table> {
    let distance = |step: i64| match step {
        0 => "here".to_owned(),
        step if step < 0 => format!("{} up", -step),
        step => format!("{step} down"),
    };
    let things = layout
        .placed
        .iter()
        .map(|one| vec![Cell::text(one.node.kind.noun()), named(one.node), Cell::text(distance(one.step)), own(one.node)]);
    let edges = layout.drawn.iter().take(EDGE_COUNT_MAX).map(|one| {
        let tone = if one.edge.trust == Trust::Claimed { Tone::Wait } else { Tone::Plain };
        vec![
            Cell::text(shortened(&one.from.described(), NAME_CHARS_MAX)),
            Cell::text(one.edge.relation.word()),
            Cell::text(shortened(&one.to.described(), NAME_CHARS_MAX)),
            Cell::state(trust_words(&one.edge.trust), tone),
            Cell::text(shortened(&one.edge.detail, NAME_CHARS_MAX)),
        ]
    });
    let empty = "None of these kinds.";
    vec![
        Table::whole("things", "The things", &["Kind", "Name; leads on", "Steps", ""], things.collect(), empty),
        Table::whole(
            "edges",
            first_of("What stems from what", layout.edge_count, EDGE_COUNT_MAX),
            &["Later", "How", "Earlier", "Whose word", "More"],
            edges.collect(),
            empty,
        ),
    ]
}

/// Whose word an edge is.
#[must_use]
pub const fn trust_words(trust: &Trust) -> &'static str {
    match trust {
        Trust::Executed => "the server had it done",
        Trust::Observed => "the server saw it",
        Trust::Claimed => "a client claims it",
    }
}

/// Where the graph around a thing is; empty for none.
#[must_use]
pub fn href(node: &Node) -> String {
    node.subject().map(|subject| address(&subject)).unwrap_or_default()
}

/// Where the graph around a subject is.
#[must_use]
pub fn address(subject: &str) -> String {
    format!("{PAGE}?subject={}", part(subject))
}

/// A thing's name, which leads to the graph around it.
#[must_use]
pub fn named(node: &Node) -> Cell {
    let on = href(node);
    if on.is_empty() { Cell::text(node.described()) } else { Cell::link(node.described(), on) }
}

/// A link to the page that a thing has of its own; empty if it has none.
#[must_use]
pub fn own(node: &Node) -> Cell {
    own_page(node).map_or_else(|| Cell::text(""), |href| Cell::link("its page", href))
}

fn own_page(node: &Node) -> Option<String> {
    match node.kind {
        // A run that events tell of was made elsewhere, and has no page here.
        NodeKind::Run => (!node.attributes.contains_key("source")).then(|| run_address(&node.name)),
        NodeKind::DataVersion => {
            let (name, number) = node.name.rsplit_once('/')?;
            Some(format!("/console/data/{}/{}", part(name), part(number)))
        }
        NodeKind::ModelVersion => {
            let (name, number) = node.model_version()?;
            Some(format!("/console/models/{}/{}", part(name), part(number)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use lineage::ops::Found;

    use super::*;

    #[test]
    fn a_run_that_was_made_elsewhere_has_no_page_here() {
        let run = |name: &str, attributes: serde_json::Value| Node {
            id: String::new(),
            number: 1,
            kind: NodeKind::Run,
            name: name.to_owned(),
            label: None,
            digest: None,
            attributes: attributes.as_object().cloned().unwrap_or_default(),
            at: kernel::Micros(1),
        };
        assert_eq!(own_page(&run("abc", serde_json::json!({}))).as_deref(), Some("/console/runs/abc"));
        assert_eq!(own_page(&run("9d3f31dc-abca-4646-9aa3-f67ec4371f0e", serde_json::json!({ "source": "openlineage" }))), None);
    }

    #[test]
    fn what_would_be_hit_does_not_end_where_the_picture_does() {
        let found = |number: i64, kind: NodeKind, depth: u32| Found {
            number,
            kind,
            name: format!("n{number}"),
            label: None,
            depth,
            trust: Trust::Observed,
        };
        let whole = Walked {
            subject: "data:d/1".to_owned(),
            direction: Direction::Down,
            roots: Vec::new(),
            found: vec![found(2, NodeKind::Run, 1), found(3, NodeKind::ModelVersion, 5)],
            nodes: Vec::new(),
            edges: Vec::new(),
            endpoints: Vec::new(),
            truncated: false,
            leads_on: false,
        };
        assert!(hit_words(&whole).contains("1 × model"), "{}", hit_words(&whole));
        let drawn = whole.within(3);
        assert!(drawn.found.len() == 1 && drawn.leads_on && !whole.within(5).leads_on);
        let more = Walked { truncated: true, ..whole.clone() };
        assert!(hit_words(&more).contains("at least") && hit_words(&more).contains("not all"));
        let none = Walked { found: Vec::new(), ..whole };
        assert!(hit_words(&none).starts_with("Nothing that is known stems from it, at any distance"));
    }
}
