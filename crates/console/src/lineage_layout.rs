//! Where the things of a graph are drawn: a column for each step from where it begins, the earlier on the left; within a column near what a thing
//! hangs on (the barycentre heuristic: Sugiyama, Tagawa and Toda, 1981, with one pass away from the middle).

use std::collections::{BTreeMap, HashMap};

use lineage::ops::Walked;
use lineage::{Direction, Edge, Node, NodeKind};

/// Things that are drawn and listed.
pub const NODE_COUNT_MAX: usize = 60;
/// Edges that are drawn.
const PATH_COUNT_MAX: usize = 250;
const BOX_WIDTH: usize = 210;
const COLUMN_WIDTH: usize = 280;
const ROW_HEIGHT: usize = 58;
const MARGIN: usize = 12;
/// How far an edge within a column bows out of it.
const BOW: usize = 30;
/// Letters of a name that fit.
const NAME_CHARS_MAX: usize = 25;

/// A thing and its place.
pub struct Placed<'a> {
    pub node: &'a Node,
    /// Steps from where the graph begins; the earlier ones are below zero.
    pub step: i64,
    pub x: usize,
    pub y: usize,
    /// As much of the name as fits.
    pub short: String,
}

/// An edge and its way.
pub struct Drawn<'a> {
    pub edge: &'a Edge,
    pub from: &'a Node,
    pub to: &'a Node,
    pub path: String,
}

/// A whole picture.
pub struct Layout<'a> {
    pub placed: Vec<Placed<'a>>,
    pub drawn: Vec<Drawn<'a>>,
    pub width: usize,
    pub height: usize,
    /// Things of the chosen kinds that are not drawn.
    pub hidden_count: usize,
    /// Edges between what is drawn.
    pub edge_count: usize,
}

/// Lays the walks out, which begin at the same thing: what it stems from on the left, what stems from it on the right.
#[must_use]
pub fn layout<'a>(walks: &'a [Walked], is_shown: impl Fn(NodeKind) -> bool) -> Layout<'a> {
    let mut nodes: BTreeMap<i64, (i64, &Node)> = BTreeMap::new();
    let mut edges: BTreeMap<(&str, &str, &str), &Edge> = BTreeMap::new();
    let mut reached_count = 0_usize;
    for walk in walks {
        let sign = if walk.direction == Direction::Up { -1 } else { 1 };
        let depths: HashMap<i64, i64> = walk.found.iter().map(|found| (found.number, i64::from(found.depth))).collect();
        reached_count += walk.found.iter().filter(|found| is_shown(found.kind)).count();
        for node in &walk.nodes {
            let step = sign * depths.get(&node.number).copied().unwrap_or(0);
            if step == 0 || is_shown(node.kind) {
                nodes.entry(node.number).or_insert((step, node));
            }
        }
        for edge in &walk.edges {
            // The weightier word for the same edge is drawn.
            let kept = edges.entry((&edge.from, &edge.to, edge.relation.word())).or_insert(edge);
            if edge.trust > kept.trust {
                *kept = edge;
            }
        }
    }
    let mut chosen: Vec<(i64, &Node)> = nodes.into_values().collect();
    chosen.sort_by_key(|(step, _)| step.abs());
    let root_count = chosen.iter().filter(|(step, _)| *step == 0).count();
    chosen.truncate(NODE_COUNT_MAX);
    let hidden_count = (reached_count + root_count).saturating_sub(chosen.len());
    let placed = place(&chosen, edges.values().copied());
    let mut drawn = drawn(&placed, edges.into_values());
    let edge_count = drawn.len();
    drawn.truncate(PATH_COUNT_MAX);
    let width = placed.iter().map(|one| one.x + BOX_WIDTH + BOW + MARGIN).max().unwrap_or(0);
    let height = placed.iter().map(|one| one.y + ROW_HEIGHT).max().unwrap_or(0);
    Layout { placed, drawn, width, height, hidden_count, edge_count }
}

fn place<'a>(nodes: &[(i64, &'a Node)], edges: impl Iterator<Item = &'a Edge>) -> Vec<Placed<'a>> {
    let mut beside: HashMap<&str, Vec<&str>> = HashMap::new();
    for edge in edges {
        beside.entry(&edge.from).or_default().push(&edge.to);
        beside.entry(&edge.to).or_default().push(&edge.from);
    }
    let mut columns: BTreeMap<i64, Vec<&'a Node>> = BTreeMap::new();
    for (step, node) in nodes {
        columns.entry(*step).or_default().push(node);
    }
    let first = columns.keys().next().copied().unwrap_or(0);
    let mut order: Vec<i64> = columns.keys().copied().collect();
    order.sort_by_key(|step| step.abs());
    let mut rows: HashMap<&str, usize> = HashMap::new();
    let mut placed = Vec::with_capacity(nodes.len());
    for step in order {
        let mut column = columns.remove(&step).unwrap_or_default();
        let mean = |node: &&Node| {
            let known: Vec<usize> =
                beside.get(node.id.as_str()).into_iter().flatten().filter_map(|id| rows.get(id).copied()).collect();
            known.iter().sum::<usize>().saturating_mul(16) / known.len().max(1)
        };
        column.sort_by_cached_key(mean);
        let place = usize::try_from(step.saturating_sub(first)).unwrap_or(0);
        for (row, node) in column.into_iter().enumerate() {
            rows.insert(&node.id, row);
            let (x, y) = (MARGIN + place * COLUMN_WIDTH, MARGIN + row * ROW_HEIGHT);
            placed.push(Placed { node, step, x, y, short: short(&node.described()) });
        }
    }
    placed
}

fn drawn<'a>(placed: &[Placed<'a>], edges: impl Iterator<Item = &'a Edge>) -> Vec<Drawn<'a>> {
    let by_id: HashMap<&str, &Placed<'a>> = placed.iter().map(|one| (one.node.id.as_str(), one)).collect();
    let way = |edge: &'a Edge| {
        // An edge points from the later thing to what it stems from; the picture is read the other way round.
        let (later, earlier) = (by_id.get(edge.from.as_str())?, by_id.get(edge.to.as_str())?);
        let (left, right) = if earlier.x <= later.x { (earlier, later) } else { (later, earlier) };
        let (x1, y1, x2, y2) = (left.x + BOX_WIDTH, left.y + 20, right.x, right.y + 20);
        let path = if left.x == right.x {
            format!("M{x1} {y1} C{} {y1} {} {y2} {x1} {y2}", x1 + BOW, x1 + BOW)
        } else {
            let middle = usize::midpoint(x1, x2);
            format!("M{x1} {y1} C{middle} {y1} {middle} {y2} {x2} {y2}")
        };
        Some(Drawn { edge, from: later.node, to: earlier.node, path })
    };
    edges.filter_map(way).collect()
}

fn short(text: &str) -> String {
    if text.chars().count() <= NAME_CHARS_MAX {
        return text.to_owned();
    }
    text.chars().take(NAME_CHARS_MAX - 1).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use kernel::Micros;
    use lineage::ops::Found;
    use lineage::{Relation, Trust};

    use super::*;

    fn node(number: i64, kind: NodeKind) -> Node {
        let (name, attributes) = (format!("n{number}"), serde_json::Map::new());
        Node { id: number.to_string(), number, kind, name, label: None, digest: None, attributes, at: Micros(0) }
    }

    fn edge(from: i64, to: i64, trust: Trust) -> Edge {
        let (from, to) = (from.to_string(), to.to_string());
        Edge { from, to, relation: Relation::Derived, trust, detail: String::new(), at: Micros(0), entry: String::new() }
    }

    fn walk(direction: Direction, numbers: &[i64], edges: Vec<Edge>) -> Walked {
        let found = |number: &i64| {
            let (kind, name) = (NodeKind::Run, String::new());
            Found { number: *number, kind, name, label: None, depth: 1, trust: Trust::Observed }
        };
        let nodes = std::iter::once(&1).chain(numbers).map(|number| node(*number, NodeKind::Run)).collect();
        Walked {
            subject: "run:n1".to_owned(),
            direction,
            roots: vec![node(1, NodeKind::Run)],
            found: numbers.iter().map(found).collect(),
            nodes,
            edges,
            endpoints: Vec::new(),
            truncated: false,
            leads_on: false,
        }
    }

    #[test]
    fn the_earlier_stands_left_and_what_does_not_fit_is_counted() {
        let many: Vec<i64> = (100..300).collect();
        let walks = [
            walk(Direction::Up, &[2], vec![edge(1, 2, Trust::Claimed), edge(1, 2, Trust::Observed)]),
            walk(Direction::Down, &many, vec![edge(100, 1, Trust::Claimed)]),
        ];
        let found = layout(&walks, |_| true);
        let x = |number: i64| found.placed.iter().find(|one| one.node.number == number).map(|one| one.x).unwrap();
        assert!(x(2) < x(1) && x(1) < x(100));
        assert_eq!((found.placed.len(), found.hidden_count), (NODE_COUNT_MAX, 202 - NODE_COUNT_MAX));
        let claimed = found.drawn.iter().filter(|one| one.edge.trust == Trust::Claimed).count();
        assert_eq!((found.drawn.len(), claimed), (2, 1), "what was seen outweighs what was said");
        let alone = layout(&walks, |kind| kind != NodeKind::Run);
        assert_eq!((alone.placed.len(), alone.drawn.len(), alone.hidden_count), (1, 0, 0), "where it begins is always shown");
    }
}
