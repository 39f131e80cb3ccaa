//! Everything that a thing stems from, or that stems from it, at any distance.
//!
//! What is small is fetched by one recursive statement. What is not goes breadth first, one statement a level, and what lies further than
//! [`LEVEL_COUNT_MAX`] levels by one recursive statement again, so that a long chain costs no statement a link. The engines only look edges
//! up: distances and trust are worked out here.
//!
//! Two relations are no descent, and are not followed: what a person read, and what a thing was inspected by (and so what the inspection
//! read to try it).

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use vault::db::{Bind, DbError, Reader};

use crate::store::document;
use crate::types::Trust;

/// Edges of a walk that one statement fetches whole.
const SMALL_EDGE_COUNT_MAX: usize = 2_000;
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
    /// Observed if there is a way on which no step is only claimed.
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
    let mut way = Way::new(roots, direction, depth_max.unwrap_or(u32::MAX));
    let (steps, more) = closure(reader, roots, direction, SMALL_EDGE_COUNT_MAX)?;
    if !more {
        way.follow(&steps, roots.to_vec(), 0);
        return Ok(way.finish());
    }
    let (mut sure, mut claimed) = (way.states.keys().copied().collect::<Vec<_>>(), Vec::new());
    for depth in 1..=way.depth_max.min(LEVEL_COUNT_MAX) {
        (sure, claimed) = way.level(reader, sure, claimed, depth)?;
        if way.truncated || sure.is_empty() && claimed.is_empty() {
            return Ok(way.finish());
        }
    }
    if way.depth_max > LEVEL_COUNT_MAX {
        let frontier: Vec<i64> = sure.into_iter().chain(claimed).collect();
        let room = WALK_EDGE_COUNT_MAX.saturating_sub(way.edge_count);
        let (steps, more) = closure(reader, &frontier, direction, room)?;
        way.truncated |= more;
        way.follow(&steps, frontier, LEVEL_COUNT_MAX);
    }
    Ok(way.finish())
}

/// A walk that is under way.
struct Way {
    direction: Direction,
    depth_max: u32,
    /// Distance of everything known, the roots included, and whether a way to it was observed.
    states: HashMap<i64, (u32, bool)>,
    /// What was reached, in that order.
    order: Vec<i64>,
    edge_count: usize,
    truncated: bool,
}

impl Way {
    fn new(roots: &[i64], direction: Direction, depth_max: u32) -> Self {
        let states = roots.iter().map(|root| (*root, (0, true))).collect();
        Self { direction, depth_max, states, order: Vec::new(), edge_count: 0, truncated: false }
    }

    /// One step on from what was reached over observed steps and from the rest. What turns out to be observed after all is gone on
    /// from once more, so each thing twice at most.
    fn level(
        &mut self,
        reader: &mut Reader<'_>,
        sure: Vec<i64>,
        claimed: Vec<i64>,
        depth: u32,
    ) -> Result<(Vec<i64>, Vec<i64>), DbError> {
        let begin = self.order.len();
        let mut better = Vec::new();
        for (mut near, is_sure) in [(sure, true), (claimed, false)] {
            if near.is_empty() {
                continue;
            }
            // The order of the tables, so that neighbours are read together.
            near.sort_unstable();
            for (far, observed) in self.neighbours(reader, &near)? {
                self.reach(far, depth, observed && is_sure, &mut better);
            }
        }
        let fresh = self.order.get(begin..).unwrap_or_default();
        let is_sure = |number: &i64| self.states.get(number).is_some_and(|(_, observed)| *observed);
        let (mut sure, claimed): (Vec<i64>, Vec<i64>) = fresh.iter().copied().partition(is_sure);
        let is_older = |number: &i64| self.states.get(number).is_some_and(|(known, _)| *known < depth);
        sure.extend(better.into_iter().filter(is_older));
        self.truncated |= self.order.len() > WALK_NODE_COUNT_MAX;
        Ok((sure, claimed))
    }

    fn reach(&mut self, far: i64, depth: u32, observed: bool, better: &mut Vec<i64>) {
        match self.states.entry(far) {
            Entry::Vacant(place) => {
                place.insert((depth, observed));
                self.order.push(far);
            }
            Entry::Occupied(mut known) if observed && !known.get().1 => {
                known.get_mut().1 = true;
                better.push(far);
            }
            Entry::Occupied(_) => {}
        }
    }

    /// The farther ends of all edges of these, each with whether it was observed, as one number: twice the end, and one.
    fn neighbours(&mut self, reader: &mut Reader<'_>, from: &[i64]) -> Result<Vec<(i64, bool)>, DbError> {
        let (near, far) = self.direction.columns();
        let room = WALK_EDGE_COUNT_MAX.saturating_sub(self.edge_count);
        let sql = format!(
            "SELECT string_agg(s.step, ',') FROM (
                SELECT CAST(e.{far} * 2 + CASE e.trust WHEN 'claimed' THEN 0 ELSE 1 END AS TEXT) AS step
                FROM json_each($1) AS k CROSS JOIN lineage_edge AS e
                WHERE e.{near} = CAST(k.key AS BIGINT) AND e.relation NOT IN ('read', 'inspected') LIMIT $2) AS s"
        );
        let Some(text) = gathered(reader, &sql, from, room)? else { return Ok(Vec::new()) };
        let mut all = Vec::new();
        for step in text.split(',') {
            let step: i64 = step.parse().map_err(|_| DbError::Shape(0))?;
            all.push((step >> 1, step & 1 == 1));
        }
        self.truncated |= all.len() > room;
        all.truncate(room);
        self.edge_count = self.edge_count.saturating_add(all.len());
        Ok(all)
    }

    /// Goes on from `frontier`, which is `depth` steps away, along edges that are all here.
    fn follow(&mut self, steps: &[Step], mut frontier: Vec<i64>, mut depth: u32) {
        let mut next: HashMap<i64, Vec<(i64, bool)>> = HashMap::new();
        for (near, far, observed) in steps {
            next.entry(*near).or_default().push((*far, *observed));
        }
        let mut sure: Vec<i64> = frontier.iter().copied().filter(|near| self.is_observed(*near)).collect();
        while !frontier.is_empty() && depth < self.depth_max {
            depth += 1;
            let begin = self.order.len();
            for (far, _) in frontier.iter().filter_map(|near| next.get(near)).flatten() {
                self.reach(*far, depth, false, &mut Vec::new());
            }
            frontier = self.order.get(begin..).unwrap_or_default().to_vec();
            self.truncated |= self.order.len() > WALK_NODE_COUNT_MAX;
        }
        while let Some(near) = sure.pop() {
            for (far, _) in next.get(&near).into_iter().flatten().filter(|(_, observed)| *observed) {
                // Only what is near enough was reached.
                if let Some(state) = self.states.get_mut(far).filter(|(_, observed)| !observed) {
                    state.1 = true;
                    sure.push(*far);
                }
            }
        }
    }

    fn is_observed(&self, number: i64) -> bool {
        self.states.get(&number).is_some_and(|(_, observed)| *observed)
    }

    fn finish(mut self) -> Walk {
        self.order.truncate(WALK_NODE_COUNT_MAX);
        let reach = |number: &i64| {
            let (depth, observed) = self.states.get(number).copied().unwrap_or_default();
            Reach { number: *number, depth, trust: if observed { Trust::Observed } else { Trust::Claimed } }
        };
        Walk { reached: self.order.iter().map(reach).collect(), truncated: self.truncated }
    }
}

/// All edges onward from `from`, at most `room`; and whether there are more.
fn closure(reader: &mut Reader<'_>, from: &[i64], direction: Direction, room: usize) -> Result<(Vec<Step>, bool), DbError> {
    let (near, far) = direction.columns();
    let sql = format!(
        "WITH RECURSIVE onward(id) AS (
            SELECT CAST(k.key AS BIGINT) FROM json_each($1) AS k
            UNION
            SELECT e.{far} FROM onward AS o CROSS JOIN lineage_edge AS e WHERE e.{near} = o.id AND e.relation NOT IN ('read', 'inspected')
         )
         SELECT string_agg(s.step, ',') FROM (
            SELECT CAST(e.{near} AS TEXT) || ' ' || CAST(e.{far} AS TEXT) || ' ' || SUBSTR(e.trust, 1, 1) AS step
            FROM onward AS o CROSS JOIN lineage_edge AS e
            WHERE e.{near} = o.id AND e.relation NOT IN ('read', 'inspected') LIMIT $2) AS s"
    );
    let Some(text) = gathered(reader, &sql, from, room)? else { return Ok((Vec::new(), false)) };
    let mut steps = Vec::new();
    for step in text.split(',') {
        steps.push(parse(step).ok_or(DbError::Shape(0))?);
    }
    let more = steps.len() > room;
    steps.truncate(room);
    Ok((steps, more))
}

/// The one text of a statement that takes numbers and a limit: one more than there is room for tells whether there are more.
fn gathered(reader: &mut Reader<'_>, sql: &str, from: &[i64], room: usize) -> Result<Option<String>, DbError> {
    let document = document(from);
    let limit = i64::try_from(room.saturating_add(1)).unwrap_or(i64::MAX);
    Ok(reader.query_one(sql, &[Bind::from(&document), Bind::from(limit)], |row| row.opt_text(0))?.flatten())
}

fn parse(step: &str) -> Option<Step> {
    let (near, rest) = step.split_once(' ')?;
    let (far, trust) = rest.split_once(' ')?;
    Some((near.parse().ok()?, far.parse().ok()?, trust != "c"))
}
