//! A walk as a text for a terminal: how many things of each kind, the models, and the nearer part as a tree.

use std::collections::{HashMap, HashSet};

use crate::ops::{Found, Walked};
use crate::text::{ANSWERS, ASKED, clean, described, noun, sentence};
use crate::types::{Edge, Node, NodeKind, Relation};
use crate::walk::Direction;

/// Models that are named.
const MODEL_COUNT_MAX: usize = 200;
/// Lines of the tree.
const LINE_COUNT_MAX: usize = 1_000;
/// How deep the tree is drawn.
const DEPTH_MAX: usize = 32;

pub(crate) fn render(walked: &Walked) -> String {
    let all = walked.found.len();
    let verb = match walked.direction {
        Direction::Up => format!("{} stems from {}", clean(&walked.subject), things(all)),
        Direction::Down if all == 1 => format!("1 thing stems from {}", clean(&walked.subject)),
        Direction::Down => format!("{} stem from {}", things(all), clean(&walked.subject)),
    };
    let counts: Vec<String> =
        walked.counts().into_iter().map(|(kind, count)| format!("{count} {}", plural(kind, count))).collect();
    let mut lines = vec![if counts.is_empty() { verb } else { format!("{verb}: {}", counts.join(", ")) }];
    let models: Vec<&Found> = walked.found.iter().filter(|found| found.kind == NodeKind::ModelVersion).collect();
    if !models.is_empty() {
        lines.push("models:".to_owned());
        for model in models.iter().take(MODEL_COUNT_MAX) {
            let name = clean(model.label.as_deref().unwrap_or(&model.name));
            let steps = if model.depth == 1 { "1 step".to_owned() } else { format!("{} steps", model.depth) };
            lines.push(format!("  {name} [{}], {steps} away", model.trust.word()));
        }
        if models.len() > MODEL_COUNT_MAX {
            lines.push(format!("  and {} more", models.len() - MODEL_COUNT_MAX));
        }
    }
    if !walked.endpoints.is_empty() {
        lines.push("endpoints:".to_owned());
        for (endpoint, trust) in walked.endpoints.iter().take(MODEL_COUNT_MAX) {
            lines.push(format!("  {} answers with one of them [{}]", clean(&endpoint.name), trust.word()));
        }
        if walked.endpoints.len() > MODEL_COUNT_MAX {
            lines.push(format!("  and {} more", walked.endpoints.len() - MODEL_COUNT_MAX));
        }
    }
    let tree = Tree::new(walked);
    for root in &walked.roots {
        lines.push(format!("{} {}", noun(root.kind), described(root)));
        tree.draw(root, &mut lines);
    }
    if lines.len() > LINE_COUNT_MAX {
        lines.truncate(LINE_COUNT_MAX);
        lines.push("… and more; --json has all of it".to_owned());
    } else if !walked.is_detailed() {
        lines.push(format!("… and {} things further away; --json has all of them", all.saturating_sub(walked.nodes.len())));
    }
    if walked.truncated {
        lines.push("There is more than a walk follows; only the nearer part is known here.".to_owned());
    }
    if walked.leads_on {
        lines.push("It goes on beyond these steps; without --depth all of it is followed.".to_owned());
    }
    lines.join("\n")
}

fn things(count: usize) -> String {
    if count == 1 { "1 thing".to_owned() } else { format!("{count} things") }
}

fn plural(kind: NodeKind, count: usize) -> String {
    match (kind, count) {
        (NodeKind::Code, 1) => "piece of code".to_owned(),
        (NodeKind::Code, _) => "pieces of code".to_owned(),
        (NodeKind::Dataset, 1) => "dataset".to_owned(),
        (NodeKind::Dataset, _) => "datasets".to_owned(),
        (NodeKind::Person, 1) => "person".to_owned(),
        (NodeKind::Person, _) => "people".to_owned(),
        (kind, 1) => noun(kind).to_owned(),
        (kind, _) => format!("{}s", noun(kind)),
    }
}

/// The edges by the end that is nearer to the roots.
struct Tree<'a> {
    direction: Direction,
    next: HashMap<&'a str, Vec<(&'a Edge, &'a Node)>>,
}

impl<'a> Tree<'a> {
    fn new(walked: &'a Walked) -> Self {
        let by_id: HashMap<&str, &Node> = walked.nodes.iter().map(|node| (node.id.as_str(), node)).collect();
        let mut next: HashMap<&str, Vec<(&Edge, &Node)>> = HashMap::new();
        for edge in &walked.edges {
            let (near, far) = match walked.direction {
                Direction::Up => (&edge.from, &edge.to),
                Direction::Down => (&edge.to, &edge.from),
            };
            if let Some(node) = by_id.get(far.as_str()) {
                next.entry(near).or_default().push((edge, node));
            }
        }
        Self { direction: walked.direction, next }
    }

    /// Without recursion: what a client says may be deep.
    fn draw(&self, root: &'a Node, lines: &mut Vec<String>) {
        let mut drawn: HashSet<&str> = HashSet::from([root.id.as_str()]);
        let mut open: Vec<(usize, &Edge, &Node)> = self.below(&root.id, 1);
        while let Some((depth, edge, node)) = open.pop() {
            if lines.len() > LINE_COUNT_MAX {
                return;
            }
            let first = drawn.insert(&node.id);
            let again = if !first && self.next.contains_key(node.id.as_str()) { " (as above)" } else { "" };
            let said = match self.direction {
                Direction::Up => sentence(edge, node),
                Direction::Down => onward(edge, node),
            };
            lines.push(format!("{}- {said} [{}]{again}", "  ".repeat(depth), edge.trust.word()));
            if first && depth < DEPTH_MAX {
                open.extend(self.below(&node.id, depth + 1));
            }
        }
    }

    /// What comes after a node, the first one last, as a stack gives it.
    fn below(&self, id: &str, depth: usize) -> Vec<(usize, &'a Edge, &'a Node)> {
        let next = self.next.get(id).into_iter().flatten();
        next.rev().map(|(edge, node)| (depth, *edge, *node)).collect()
    }
}

/// An edge as the earlier thing sees it.
fn onward(edge: &Edge, node: &Node) -> String {
    let thing = format!("{} {}", noun(node.kind), described(node));
    match edge.relation {
        Relation::Used if edge.detail == "job" => format!("{thing} ran it"),
        Relation::Used if edge.detail == ANSWERS => format!("{thing} answered with it"),
        Relation::Used | Relation::Read => format!("{thing} read it"),
        Relation::Generated => format!("{thing} came out of it"),
        Relation::Derived if edge.detail == "cleaned" => format!("{thing} is it without some rows"),
        Relation::Derived => format!("{thing} was made from it"),
        Relation::Associated if edge.detail == ASKED => format!("{thing} was asked for by them"),
        Relation::Associated if edge.detail == "parent" => format!("{thing} is a part of it"),
        Relation::Associated => format!("{thing} was started by them"),
        Relation::Attributed => format!("{thing} was made by them"),
        Relation::Inspected => format!("{thing} was inspected"),
    }
}
