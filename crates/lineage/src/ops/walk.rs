//! What a thing stems from, or what stems from it, at any distance: from a row of data, a file, a person or a commit to every model.

use std::collections::{BTreeMap, HashMap, HashSet};

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;
use vault::db::{Bind, DbError, Reader};

use crate::store::{document, edges_from, label, nodes_of};
use crate::types::{Edge, Node, NodeKind, Trust};
use crate::walk::{Direction, Reach, walk};
use crate::{Lineage, Root};

/// The nearest things, whose edges and details are looked up as well.
pub const DETAIL_NODE_COUNT_MAX: usize = 1_000;
/// Versions of models and the nearest other things that are given a name for people.
const LABEL_COUNT_MAX: usize = 2_000;
/// The longest name of a thing that is listed.
const LISTED_CHARS_MAX: usize = 256;

/// Walks the graph.
pub struct WalkGraph {
    /// The room.
    pub room: Lineage,
    /// Where from, as it was written.
    pub subject: String,
    /// Where from.
    pub root: Root,
    /// Which way.
    pub direction: Direction,
    /// At most so many steps.
    pub depth: Option<u32>,
}

/// What a walk found.
#[derive(Clone, Debug, PartialEq)]
pub struct Walked {
    /// Where it began, as it was written.
    pub subject: String,
    /// Which way it went.
    pub direction: Direction,
    /// Where it began.
    pub roots: Vec<Node>,
    /// Everything that was reached, nearer things first.
    pub found: Vec<Found>,
    /// The roots and the nearest things, in full.
    pub nodes: Vec<Node>,
    /// The edges between those.
    pub edges: Vec<Edge>,
    /// Whether a limit cut it short.
    pub truncated: bool,
}

/// A thing that was reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its id in the graph.
    pub id: String,
    /// What it is.
    pub kind: NodeKind,
    /// Its name.
    pub name: String,
    /// A name for people, for versions of models and for the nearest things.
    pub label: Option<String>,
    /// Steps of the shortest way.
    pub depth: u32,
    /// Observed if there is a way on which the server saw every step.
    pub trust: Trust,
}

impl Walked {
    /// How many things of each kind there are.
    #[must_use]
    pub fn counts(&self) -> BTreeMap<NodeKind, usize> {
        let mut counts = BTreeMap::new();
        for found in &self.found {
            *counts.entry(found.kind).or_insert(0) += 1;
        }
        counts
    }

    /// Whether every edge is among [`Walked::edges`].
    #[must_use]
    pub const fn is_detailed(&self) -> bool {
        self.found.len() <= DETAIL_NODE_COUNT_MAX
    }

    /// For a terminal.
    #[must_use]
    pub fn to_text(&self) -> String {
        crate::walk_text::render(self)
    }

    /// As a picture.
    #[must_use]
    pub fn to_svg(&self) -> String {
        crate::svg::render(self)
    }
}

impl Operation for WalkGraph {
    const ACTION: Action = super::LINEAGE_READ;
    type Output = Walked;

    fn target(&self) -> Target {
        self.root.target(self.direction)
    }

    async fn run(self, permit: Permit<Self>) -> Result<Walked, Problem> {
        let workspace = permit.workspace()?.to_owned();
        let Self { room, subject, root, direction, depth } = self;
        let read = move |reader: &mut Reader<'_>| {
            let roots = root.numbers(reader, &workspace)?;
            if roots.is_empty() {
                return Err(root.missing());
            }
            let walk = walk(reader, &roots, direction, depth)?;
            let found = listed(reader, &walk.reached)?;
            let nearest = walk.reached.iter().take(DETAIL_NODE_COUNT_MAX).map(|reach| reach.number);
            let numbers: Vec<i64> = roots.iter().copied().chain(nearest).collect();
            let mut nodes = nodes_of(reader, &numbers)?;
            label(reader, &mut nodes)?;
            let edges = between(reader, &nodes)?;
            let roots = nodes.iter().filter(|node| roots.contains(&node.number)).cloned().collect();
            Ok(Walked { subject, direction, roots, found, nodes, edges, truncated: walk.truncated })
        };
        room.db.read(&permit, read).await
    }
}

/// The edges between these nodes, looked up from their later ends: a thing stems from few, but much may stem from it.
pub(crate) fn between(reader: &mut Reader<'_>, nodes: &[Node]) -> Result<Vec<Edge>, DbError> {
    let numbers: Vec<i64> = nodes.iter().map(|node| node.number).collect();
    let known: HashSet<&str> = nodes.iter().map(|node| node.id.as_str()).collect();
    let edges = edges_from(reader, &numbers)?.into_iter().map(|(_, edge)| edge);
    Ok(edges.filter(|edge| known.contains(edge.to.as_str())).collect())
}

/// Names and kinds of everything that was reached.
fn listed(reader: &mut Reader<'_>, reached: &[Reach]) -> Result<Vec<Found>, DbError> {
    let numbers: Vec<i64> = reached.iter().map(|reach| reach.number).collect();
    let sql = format!(
        "SELECT n.id, n.key, n.kind, SUBSTR(n.name, 1, {LISTED_CHARS_MAX})
         FROM json_each($1) AS k CROSS JOIN lineage_node AS n WHERE n.id = CAST(k.key AS BIGINT)"
    );
    let mut by_number = HashMap::with_capacity(numbers.len());
    reader.for_each(&sql, &[Bind::from(&document(&numbers))], |row| {
        let kind = NodeKind::parse(&row.text(2)?).ok_or(DbError::Shape(2))?;
        by_number.insert(row.int(0)?, (row.text(1)?, kind, row.text(3)?));
        Ok(())
    })?;
    let found = reached.iter().filter_map(|reach| {
        let (id, kind, name) = by_number.remove(&reach.number)?;
        Some(Found { id, kind, name, label: None, depth: reach.depth, trust: reach.trust })
    });
    let mut found: Vec<Found> = found.collect();
    name_for_people(reader, &mut found)?;
    Ok(found)
}

fn name_for_people(reader: &mut Reader<'_>, found: &mut [Found]) -> Result<(), DbError> {
    let is_model = |found: &&mut Found| found.kind == NodeKind::ModelVersion;
    let models: usize = found.iter_mut().filter(is_model).count().min(LABEL_COUNT_MAX);
    let (mut models_left, mut others_left) = (models, LABEL_COUNT_MAX - models);
    let mut chosen: Vec<&mut Found> = Vec::new();
    for one in found.iter_mut() {
        let left = if one.kind == NodeKind::ModelVersion { &mut models_left } else { &mut others_left };
        if *left > 0 {
            *left -= 1;
            chosen.push(one);
        }
    }
    let mut nodes: Vec<Node> = chosen.iter().map(|one| one.as_node()).collect();
    label(reader, &mut nodes)?;
    for (one, node) in chosen.into_iter().zip(nodes) {
        one.label = node.label;
    }
    Ok(())
}

impl Found {
    /// Enough of a node to look its name up.
    fn as_node(&self) -> Node {
        Node {
            id: self.id.clone(),
            number: 0,
            kind: self.kind,
            name: self.name.clone(),
            label: None,
            digest: None,
            attributes: serde_json::Map::new(),
            at: kernel::Micros(0),
        }
    }
}
