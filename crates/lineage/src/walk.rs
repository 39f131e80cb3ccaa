//! Everything that a thing stems from, or that stems from it, at any distance.
//!
//! Breadth first, one statement a level; what lies further than [`LEVEL_COUNT_MAX`] levels is fetched by one recursive statement, so
//! that a long chain costs no statement a link. The engines only look edges up: distances and trust are worked out here.

use std::collections::{HashMap, HashSet};

use vault::db::{Bind, DbError, Reader};

use crate::store::document;
use crate::types::Trust;

/// Levels that are fetched one by one.
const LEVEL_COUNT_MAX: u32 = 64;
/// Things that one walk may reach.
pub const WALK_NODE_COUNT_MAX: usize = 250_000;
/// Edges that one walk may look at.
pub const WALK_EDGE_COUNT_MAX: usize = 1_000_000;

/// Which way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// To what a thing stems from.
    Up,
    /// To what stems from it.
    Down,
}

impl Direction {
    /// The word in requests and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Down => "down",
        }
    }

    /// The columns of the nearer and of the farther end.
    const fn columns(self) -> (&'static str, &'static str) {
        match self {
            Self::Up => ("from_node", "to_node"),
            Self::Down => ("to_node", "from_node"),
        }
    }
}

/// A thing that was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Reach {
    pub(crate) number: i64,
    /// Steps of the shortest way.
    pub(crate) depth: u32,
    /// Observed if there is a way on which every step is.
    pub(crate) trust: Trust,
}

/// All of a walk, nearer things first, without where it began.
#[derive(Debug, Default)]
pub(crate) struct Walk {
    pub(crate) reached: Vec<Reach>,
    pub(crate) truncated: bool,
}

/// An edge on the way: its nearer end, its farther end, whether it was observed.
type Step = (i64, i64, bool);

/// Walks from `roots`, at most `depth_max` steps.
pub(crate) fn walk(
    reader: &mut Reader<'_>,
    roots: &[i64],
    direction: Direction,
    depth_max: Option<u32>,
) -> Result<Walk, DbError> {
    let depth_max = depth_max.unwrap_or(u32::MAX);
    let mut known: HashSet<i64> = roots.iter().copied().collect();
    let mut frontier: Vec<i64> = known.iter().copied().collect();
    let mut steps: Vec<Step> = Vec::new();
    let mut order: Vec<(i64, u32)> = Vec::new();
    let mut truncated = false;
    for depth in 1..=depth_max.min(LEVEL_COUNT_MAX) {
        // The order of the tables, so that neighbours are read together.
        frontier.sort_unstable();
        let begin = steps.len();
        truncated |= level(reader, &frontier, direction, &mut steps)?;
        frontier.clear();
        for (_, far, _) in steps.get(begin..).unwrap_or_default() {
            if known.insert(*far) {
                order.push((*far, depth));
                frontier.push(*far);
            }
        }
        truncated |= known.len() > WALK_NODE_COUNT_MAX;
        if frontier.is_empty() || truncated {
            break;
        }
    }
    if !frontier.is_empty() && !truncated && depth_max > LEVEL_COUNT_MAX {
        truncated |= rest(reader, &frontier, direction, &mut steps)?;
        let (farther, more) = distances(&steps, frontier, LEVEL_COUNT_MAX, depth_max, &mut known);
        truncated |= more;
        order.extend(farther);
    }
    order.truncate(WALK_NODE_COUNT_MAX);
    let seen = observed(&steps, roots);
    let reach = |(number, depth)| {
        let trust = if seen.as_ref().is_none_or(|seen| seen.contains(&number)) { Trust::Observed } else { Trust::Claimed };
        Reach { number, depth, trust }
    };
    Ok(Walk { reached: order.into_iter().map(reach).collect(), truncated })
}

/// The edges of one level. Gives whether there were more than are taken.
fn level(reader: &mut Reader<'_>, from: &[i64], direction: Direction, steps: &mut Vec<Step>) -> Result<bool, DbError> {
    let (near, far) = direction.columns();
    let room = WALK_EDGE_COUNT_MAX.saturating_sub(steps.len());
    let sql = format!(
        "SELECT string_agg(s.step, ',') FROM (
            SELECT CAST(e.{near} AS TEXT) || ' ' || CAST(e.{far} AS TEXT) || ' ' || SUBSTR(e.trust, 1, 1) AS step
            FROM json_each($1) AS k CROSS JOIN lineage_edge AS e
            WHERE e.{near} = CAST(k.key AS BIGINT) AND e.relation <> 'read' LIMIT $2) AS s"
    );
    take(reader, &sql, from, room, steps)
}

/// The edges of everything further on.
fn rest(reader: &mut Reader<'_>, from: &[i64], direction: Direction, steps: &mut Vec<Step>) -> Result<bool, DbError> {
    let (near, far) = direction.columns();
    let room = WALK_EDGE_COUNT_MAX.saturating_sub(steps.len());
    let sql = format!(
        "WITH RECURSIVE onward(id) AS (
            SELECT CAST(k.key AS BIGINT) FROM json_each($1) AS k
            UNION
            SELECT e.{far} FROM onward AS o CROSS JOIN lineage_edge AS e WHERE e.{near} = o.id AND e.relation <> 'read'
         )
         SELECT string_agg(s.step, ',') FROM (
            SELECT CAST(e.{near} AS TEXT) || ' ' || CAST(e.{far} AS TEXT) || ' ' || SUBSTR(e.trust, 1, 1) AS step
            FROM onward AS o CROSS JOIN lineage_edge AS e
            WHERE e.{near} = o.id AND e.relation <> 'read' LIMIT $2) AS s"
    );
    take(reader, &sql, from, room, steps)
}

fn take(reader: &mut Reader<'_>, sql: &str, from: &[i64], room: usize, steps: &mut Vec<Step>) -> Result<bool, DbError> {
    let binds = document(from);
    // One more than there is room for tells whether there are more.
    let limit = i64::try_from(room.saturating_add(1)).unwrap_or(i64::MAX);
    let text = reader.query_one(sql, &[Bind::from(&binds), Bind::from(limit)], |row| row.opt_text(0))?.flatten();
    let Some(text) = text else { return Ok(false) };
    let before = steps.len();
    for step in text.split(',') {
        steps.push(parse(step).ok_or(DbError::Shape(0))?);
    }
    let more = steps.len() - before > room;
    steps.truncate(before.saturating_add(room));
    Ok(more)
}

fn parse(step: &str) -> Option<Step> {
    let (near, rest) = step.split_once(' ')?;
    let (far, trust) = rest.split_once(' ')?;
    Some((near.parse().ok()?, far.parse().ok()?, trust == "o"))
}

/// What lies beyond `frontier`, which is `depth` steps away, with its distance; and whether that is too much.
fn distances(
    steps: &[Step],
    frontier: Vec<i64>,
    depth: u32,
    depth_max: u32,
    known: &mut HashSet<i64>,
) -> (Vec<(i64, u32)>, bool) {
    let next = by_near_end(steps.iter().copied());
    let (mut order, mut frontier, mut depth) = (Vec::new(), frontier, depth);
    while !frontier.is_empty() && depth < depth_max {
        depth += 1;
        let mut reached = Vec::new();
        for far in frontier.iter().filter_map(|near| next.get(near)).flatten() {
            if known.insert(*far) {
                order.push((*far, depth));
                reached.push(*far);
            }
        }
        if known.len() > WALK_NODE_COUNT_MAX {
            return (order, true);
        }
        frontier = reached;
    }
    (order, false)
}

/// What is reached over observed edges alone; none if that is everything.
fn observed(steps: &[Step], roots: &[i64]) -> Option<HashSet<i64>> {
    if steps.iter().all(|(_, _, observed)| *observed) {
        return None;
    }
    let next = by_near_end(steps.iter().copied().filter(|(_, _, observed)| *observed));
    let mut seen: HashSet<i64> = roots.iter().copied().collect();
    let mut open: Vec<i64> = roots.to_vec();
    while let Some(near) = open.pop() {
        for far in next.get(&near).into_iter().flatten() {
            if seen.insert(*far) {
                open.push(*far);
            }
        }
    }
    Some(seen)
}

fn by_near_end(steps: impl Iterator<Item = Step>) -> HashMap<i64, Vec<i64>> {
    let mut next: HashMap<i64, Vec<i64>> = HashMap::new();
    for (near, far, _) in steps {
        next.entry(near).or_default().push(far);
    }
    next
}
