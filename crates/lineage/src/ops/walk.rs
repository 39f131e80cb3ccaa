//! What a thing stems from, or what stems from it, at any distance: from a row of data, a file, a person or a commit to every model.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;
use vault::db::{Bind, DbError, Reader, Row};

use crate::claim::shown;
use crate::find::{Endpoint, FOUND_COUNT_MAX, endpoints_of};
use crate::store::{between, document, label, nodes_of};
use crate::types::{Edge, Node, NodeKind, Trust};
use crate::walk::{Direction, Reach, Walk, walk};
use crate::{Lineage, Root};

/// The nearest things, whose edges and details are looked up as well.
pub const DETAIL_NODE_COUNT_MAX: usize = 1_000;
/// Versions of models and the nearest other things that are given a name for people.
const LABEL_COUNT_MAX: usize = 2_000;
/// In how many parts names are read at once, and how few are worth one.
const PART_COUNT: usize = 3;
const PART_NODE_COUNT_MIN: usize = 2_000;
/// Numbers that follow each other, from so many on, are read as a whole.
const RUN_LENGTH_MIN: usize = 256;
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
    /// The endpoints that answer with a version that was reached, or that the walk began at, with whose word the way to it is.
    pub endpoints: Vec<(Endpoint, Trust)>,
    /// Whether a limit cut it short.
    pub truncated: bool,
    /// Whether the number of steps that was asked for ended it although something further away is known.
    pub leads_on: bool,
}

/// A thing that was reached.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Its number in the tables.
    pub number: i64,
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

    /// What of it lies within so many steps. The endpoints stay those of the whole.
    #[must_use]
    pub fn within(&self, depth_max: u32) -> Self {
        let mut nearer = self.clone();
        nearer.found.retain(|found| found.depth <= depth_max);
        nearer.leads_on |= nearer.found.len() < self.found.len();
        let near: BTreeSet<i64> = nearer.found.iter().map(|found| found.number).collect();
        let roots: BTreeSet<i64> = self.roots.iter().map(|root| root.number).collect();
        nearer.nodes.retain(|node| near.contains(&node.number) || roots.contains(&node.number));
        let ids: BTreeSet<&str> = nearer.nodes.iter().map(|node| node.id.as_str()).collect();
        nearer.edges.retain(|edge| ids.contains(edge.from.as_str()) && ids.contains(edge.to.as_str()));
        nearer
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
        let here = workspace.clone();
        let read = move |reader: &mut Reader<'_>| {
            let roots = root.numbers(reader, &here)?;
            if roots.is_empty() {
                return Err(root.missing());
            }
            let walk = walk(reader, &roots, direction, depth)?;
            // What is small is read whole, without another transaction.
            let whole = (walk.reached.len() <= DETAIL_NODE_COUNT_MAX).then(|| small(reader, &here, &roots, &walk)).transpose()?;
            Ok((roots, walk, whole))
        };
        let (roots, walk, whole) = room.db.read(&permit, read).await?;
        // Where so many were found to begin at, there may be more.
        let truncated = walk.truncated || roots.len() >= FOUND_COUNT_MAX;
        let leads_on = walk.leads_on;
        let Details { nodes, edges, found, endpoints } = match whole {
            Some(whole) => whole,
            None => large(&room, &permit, workspace, &roots, walk).await?,
        };
        let roots: Vec<Node> = nodes.iter().filter(|node| roots.contains(&node.number)).cloned().collect();
        Ok(Walked { subject, direction, roots, found, nodes, edges, endpoints, truncated, leads_on })
    }
}

/// What is told of a walk beside its numbers.
struct Details {
    nodes: Vec<Node>,
    edges: Vec<Edge>,
    found: Vec<Found>,
    endpoints: Vec<(Endpoint, Trust)>,
}

/// The numbers that are told of in full: where the walk began, and what is nearest.
fn nearest(roots: &[i64], walk: &Walk) -> Vec<i64> {
    let nearest = walk.reached.iter().take(DETAIL_NODE_COUNT_MAX).map(|reach| reach.number);
    roots.iter().copied().chain(nearest).collect()
}

/// Everything of a walk that is told in full.
fn small(reader: &mut Reader<'_>, workspace: &str, roots: &[i64], walk: &Walk) -> Result<Details, DbError> {
    let mut nodes = nodes_of(reader, &nearest(roots, walk))?;
    label(reader, &mut nodes)?;
    let edges = between(reader, &nodes)?;
    let names = nodes.iter().map(|node| (node.number, node.kind, node.name.chars().take(LISTED_CHARS_MAX).collect()));
    let mut found = listed(&walk.reached, names);
    let mut labels: HashMap<i64, &Option<String>> = nodes.iter().map(|node| (node.number, &node.label)).collect();
    for one in &mut found {
        one.label = labels.remove(&one.number).cloned().flatten();
    }
    let endpoints = answering(reader, workspace, &begun(&nodes, roots), &found)?;
    Ok(Details { nodes, edges, found, endpoints })
}

/// Everything of a walk of which only what is nearest is told in full.
async fn large(
    room: &Lineage,
    permit: &Permit<WalkGraph>,
    workspace: String,
    roots: &[i64],
    walk: Walk,
) -> Result<Details, Problem> {
    let numbers = nearest(roots, &walk);
    let detail = room.db.read(permit, move |reader| {
        let mut nodes = nodes_of(reader, &numbers)?;
        label(reader, &mut nodes)?;
        let edges = between(reader, &nodes)?;
        Ok((nodes, edges))
    });
    // What a node is never changes, so that several connections can read at once what one alone would read for long.
    let names = futures_util::future::try_join_all(
        parts(&walk.reached).map(|numbers| room.db.read(permit, move |reader| Ok(names_of(reader, &numbers)?))),
    );
    let ((nodes, edges), names) = futures_util::future::try_join(detail, names).await?;
    let found = listed(&walk.reached, names.into_iter().flatten());
    let begun = begun(&nodes, roots);
    let (found, endpoints) = room
        .db
        .read(permit, move |reader| {
            let endpoints = answering(reader, &workspace, &begun, &found)?;
            Ok((name_for_people(reader, found)?, endpoints))
        })
        .await?;
    Ok(Details { nodes, edges, found, endpoints })
}

/// The versions of models that the walk began at.
fn begun(nodes: &[Node], roots: &[i64]) -> Vec<String> {
    let roots = nodes.iter().filter(|node| roots.contains(&node.number) && node.kind == NodeKind::ModelVersion);
    roots.map(|node| node.name.clone()).collect()
}

/// The endpoints that answer with one of these versions.
fn answering(
    reader: &mut Reader<'_>,
    workspace: &str,
    begun: &[String],
    found: &[Found],
) -> Result<Vec<(Endpoint, Trust)>, DbError> {
    let reached =
        found.iter().filter(|found| found.kind == NodeKind::ModelVersion).map(|found| (found.name.as_str(), found.trust));
    let versions: HashMap<&str, Trust> = begun.iter().map(|name| (name.as_str(), Trust::Observed)).chain(reached).collect();
    let models: BTreeSet<&str> = versions.keys().filter_map(|name| Some(name.rsplit_once('/')?.0)).collect();
    if models.is_empty() {
        return Ok(Vec::new());
    }
    let endpoints = endpoints_of(reader, workspace, &models)?.into_iter();
    Ok(endpoints
        .filter_map(|endpoint| Some((*versions.get(endpoint.version.as_str())?, endpoint)))
        .map(|(trust, endpoint)| (endpoint, trust))
        .collect())
}

/// What was reached, in the order of the tables, in as many parts as are read at once.
fn parts(reached: &[Reach]) -> impl Iterator<Item = Vec<i64>> {
    let mut numbers: Vec<i64> = reached.iter().map(|reach| reach.number).collect();
    numbers.sort_unstable();
    let size = numbers.len().div_ceil(PART_COUNT).max(PART_NODE_COUNT_MIN);
    let parts: Vec<Vec<i64>> = numbers.chunks(size).map(<[i64]>::to_vec).collect();
    parts.into_iter()
}

/// A node's number, kind and name.
type Name = (i64, NodeKind, String);

/// Kinds and names of these. Those that follow each other are read as a whole: they were made together, and lie together.
fn names_of(reader: &mut Reader<'_>, numbers: &[i64]) -> Result<Vec<Name>, DbError> {
    let columns = format!("n.id, n.kind, SUBSTR(n.name, 1, {LISTED_CHARS_MAX})");
    let name = |row: &Row<'_>| Ok((row.int(0)?, NodeKind::parse(&row.text(1)?).ok_or(DbError::Shape(1))?, shown(row.text(2)?)));
    let mut names = Vec::with_capacity(numbers.len());
    let mut single = Vec::new();
    for run in numbers.chunk_by(|one, other| one + 1 == *other) {
        match (run.first(), run.last()) {
            (Some(first), Some(last)) if run.len() >= RUN_LENGTH_MIN => {
                let sql = format!("SELECT {columns} FROM lineage_node AS n WHERE n.id BETWEEN $1 AND $2");
                names.append(&mut reader.query(&sql, &[Bind::from(*first), Bind::from(*last)], name)?);
            }
            _ => single.extend_from_slice(run),
        }
    }
    if !single.is_empty() {
        let sql =
            format!("SELECT {columns} FROM json_each($1) AS k CROSS JOIN lineage_node AS n WHERE n.id = CAST(k.key AS BIGINT)");
        names.append(&mut reader.query(&sql, &[Bind::from(&document(&single))], name)?);
    }
    Ok(names)
}

fn listed(reached: &[Reach], names: impl Iterator<Item = Name>) -> Vec<Found> {
    let mut by_number: HashMap<i64, (NodeKind, String)> = HashMap::with_capacity(reached.len());
    by_number.extend(names.map(|(number, kind, name)| (number, (kind, name))));
    let found = reached.iter().filter_map(|reach| {
        let (kind, name) = by_number.remove(&reach.number)?;
        Some(Found { number: reach.number, kind, name, label: None, depth: reach.depth, trust: reach.trust })
    });
    found.collect()
}

fn name_for_people(reader: &mut Reader<'_>, mut found: Vec<Found>) -> Result<Vec<Found>, Problem> {
    let is_model = |found: &&Found| found.kind == NodeKind::ModelVersion;
    let models = found.iter().filter(is_model).count().min(LABEL_COUNT_MAX);
    let (mut models_left, mut others_left) = (models, LABEL_COUNT_MAX - models);
    let mut chosen: Vec<&mut Found> = Vec::new();
    for one in &mut found {
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
    Ok(found)
}

impl Found {
    /// Enough of a node to look its name up.
    fn as_node(&self) -> Node {
        Node {
            id: String::new(),
            number: self.number,
            kind: self.kind,
            name: self.name.clone(),
            label: None,
            digest: None,
            attributes: serde_json::Map::new(),
            at: kernel::Micros(0),
        }
    }
}
