//! What lies around a job or a dataset in both directions: what Marquez's lineage shows.

use std::collections::{HashMap, HashSet};

use gate::{Action, Operation, Permit, Target};
use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader};

use crate::store::{between, document, edges_from, label, nodes_of};
use crate::types::{Edge, Node, NodeKind, Relation};
use crate::walk::{Direction, walk};
use crate::{Lineage, Root};

/// Things around a node, at most.
const NODE_COUNT_MAX: usize = 2_000;
/// Events that are looked at for the states of runs.
const EVENT_COUNT_MAX: usize = 20_000;

/// Shows what lies around a thing.
pub struct ShowNeighbourhood {
    /// The room.
    pub room: Lineage,
    /// Around what.
    pub root: Root,
    /// Steps in each direction; a job's run is a step of its own.
    pub depth: u32,
}

/// What lies around a thing.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Neighbourhood {
    /// The things, people left out.
    pub nodes: Vec<Node>,
    /// The edges between them.
    pub edges: Vec<Edge>,
    /// What is known of runs, by the ids of their nodes.
    pub states: HashMap<String, RunState>,
}

/// What is known of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunState {
    /// The type of its latest event, or its status here.
    pub word: String,
    /// When it began.
    pub started_at: Option<Micros>,
    /// When it ended.
    pub ended_at: Option<Micros>,
}

impl Operation for ShowNeighbourhood {
    const ACTION: Action = super::LINEAGE_READ;
    type Output = Neighbourhood;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Neighbourhood, Problem> {
        let workspace = permit.workspace()?.to_owned();
        let Self { room, root, depth } = self;
        let read = move |reader: &mut Reader<'_>| {
            let roots = root.numbers(reader, &workspace)?;
            if roots.is_empty() {
                return Err(root.missing());
            }
            Ok(around(reader, roots, depth)?)
        };
        room.db.read(&permit, read).await
    }
}

fn around(reader: &mut Reader<'_>, roots: Vec<i64>, depth: u32) -> Result<Neighbourhood, DbError> {
    let mut numbers = roots;
    // A job reads and writes through its runs.
    let is_run = |node: &Node| node.kind == NodeKind::Run;
    let runs: Vec<i64> = walk(reader, &numbers, Direction::Down, Some(1))?.reached.iter().map(|reach| reach.number).collect();
    let jobs: Vec<i64> =
        nodes_of(reader, &numbers)?.iter().filter(|node| node.kind == NodeKind::Job).map(|node| node.number).collect();
    if !jobs.is_empty() {
        numbers.extend(nodes_of(reader, &runs)?.iter().filter(|node| is_run(node)).map(|node| node.number).take(NODE_COUNT_MAX));
    }
    let mut known = HashSet::new();
    numbers.retain(|number| known.insert(*number));
    // Both ways from where it begins: down from what lies above would be everything that a person or a commit ever made.
    let begin = numbers.clone();
    for direction in [Direction::Up, Direction::Down] {
        for reach in walk(reader, &begin, direction, Some(depth))?.reached {
            if numbers.len() < NODE_COUNT_MAX && known.insert(reach.number) {
                numbers.push(reach.number);
            }
        }
    }
    // The jobs of runs that were met on the way down lie on the way up.
    for (to, edge) in edges_from(reader, &numbers)? {
        if edge.relation == Relation::Used && edge.detail == "job" && numbers.len() < NODE_COUNT_MAX && known.insert(to) {
            numbers.push(to);
        }
    }
    let mut nodes = nodes_of(reader, &numbers)?;
    nodes.retain(|node| !matches!(node.kind, NodeKind::Person | NodeKind::Owner | NodeKind::Inspection));
    label(reader, &mut nodes)?;
    let edges = between(reader, &nodes)?;
    let states = states_of(reader, &nodes)?;
    Ok(Neighbourhood { nodes, edges, states })
}

fn states_of(reader: &mut Reader<'_>, nodes: &[Node]) -> Result<HashMap<String, RunState>, DbError> {
    let runs: HashMap<i64, &Node> =
        nodes.iter().filter(|node| node.kind == NodeKind::Run).map(|node| (node.number, node)).collect();
    let numbers: Vec<i64> = runs.keys().copied().collect();
    let mut states: HashMap<String, RunState> = HashMap::new();
    let sql = format!(
        "SELECT e.subject, e.event_type, e.at FROM json_each($1) AS k CROSS JOIN lineage_event AS e
         WHERE e.subject = CAST(k.key AS BIGINT) ORDER BY e.at, e.id LIMIT {EVENT_COUNT_MAX}"
    );
    reader.for_each(&sql, &[Bind::from(&document(&numbers))], |row| {
        let (number, word, at) = (row.int(0)?, row.text(1)?, Micros(row.int(2)?));
        let Some(run) = runs.get(&number) else { return Ok(()) };
        let state = states.entry(run.id.clone()).or_default();
        state.started_at = state.started_at.or(Some(at));
        if matches!(word.as_str(), "COMPLETE" | "FAIL" | "ABORT") {
            state.ended_at = Some(at);
        }
        // What only adds to a run says nothing of how it goes.
        if !word.is_empty() && (word != "OTHER" || state.word.is_empty()) {
            state.word = word;
        }
        Ok(())
    })?;
    for node in runs.values().filter(|node| node.label.is_some()) {
        let sql = "SELECT status, start_time_ms, end_time_ms FROM run WHERE run_id = $1";
        let own = reader.query_one(sql, &[(&node.name).into()], |row| {
            let time = |ms: i64| Micros(ms.saturating_mul(1_000));
            Ok(RunState { word: row.text(0)?, started_at: Some(time(row.int(1)?)), ended_at: row.opt_int(2)?.map(time) })
        })?;
        if let Some(own) = own {
            states.insert(node.id.clone(), own);
        }
    }
    Ok(states)
}
