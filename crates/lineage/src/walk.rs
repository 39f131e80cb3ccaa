//! Everything that a thing stems from, or that stems from it, at any distance.
//!
//! What is small is fetched by one recursive statement. What is not goes breadth first, one statement a level, and what lies further than
//! [`LEVEL_COUNT_MAX`] levels by one recursive statement again, so that a long chain costs no statement a link. The engines only look edges
//! up, each thing's once: distances and trust are worked out here.
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
/// Numbers that follow each other, from so many on, are looked up as a whole: they were made together, and their edges lie together.
const RUN_LENGTH_MIN: usize = 256;
/// Things that one statement looks the edges of up: their places fit into [`PLACE_BITS`].
const PART_COUNT_MAX: usize = 1 << PLACE_BITS;
/// The bits of an edge's number that hold the place of its nearer end among those that are looked up.
const PLACE_BITS: u32 = 18;
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
    /// Whether the number of steps ended it although something further away is known.
    pub(crate) leads_on: bool,
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
    let mut frontier: Vec<i64> = way.states.keys().copied().collect();
    let (steps, more) = closure(reader, &frontier, direction, SMALL_EDGE_COUNT_MAX)?;
    if !more {
        way.follow(steps, frontier, 0);
        return Ok(way.finish());
    }
    for depth in 1..=way.depth_max.min(LEVEL_COUNT_MAX) {
        frontier = way.level(reader, frontier, depth)?;
        if way.truncated || frontier.is_empty() {
            return Ok(way.finish());
        }
    }
    if way.depth_max <= LEVEL_COUNT_MAX {
        way.leads_on = way.goes_on_from(reader, frontier)?;
    } else {
        let (steps, more) = closure(reader, &frontier, direction, way.room())?;
        way.truncated |= more;
        way.follow(steps, frontier, LEVEL_COUNT_MAX);
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
    /// Every step that was looked up.
    steps: Vec<Step>,
    /// What turned out to be observed after it had been gone on from.
    late: Vec<i64>,
    truncated: bool,
    leads_on: bool,
}

impl Way {
    fn new(roots: &[i64], direction: Direction, depth_max: u32) -> Self {
        let states = roots.iter().map(|root| (*root, (0, true))).collect();
        Self {
            direction,
            depth_max,
            states,
            order: Vec::new(),
            steps: Vec::new(),
            late: Vec::new(),
            truncated: false,
            leads_on: false,
        }
    }

    /// Edges that may still be looked at.
    const fn room(&self) -> usize {
        WALK_EDGE_COUNT_MAX.saturating_sub(self.steps.len())
    }

    /// One step on from `frontier`; gives what was reached by it.
    fn level(&mut self, reader: &mut Reader<'_>, mut frontier: Vec<i64>, depth: u32) -> Result<Vec<i64>, DbError> {
        let begin = self.order.len();
        // The order of the tables, so that neighbours are read together.
        frontier.sort_unstable();
        let mut single = Vec::new();
        for run in frontier.chunk_by(|one, other| one + 1 == *other) {
            if run.len() < RUN_LENGTH_MIN {
                single.extend_from_slice(run);
                continue;
            }
            for part in run.chunks(PART_COUNT_MAX) {
                let (first, last) = (part.first().copied().unwrap_or_default(), part.last().copied().unwrap_or_default());
                let which = format!("FROM lineage_edge AS e WHERE e.{} BETWEEN $1 AND $2", self.direction.columns().0);
                let place = format!("(e.{} - $1)", self.direction.columns().0);
                self.step_on(reader, part, depth, (&which, &place), &[first.into(), last.into()])?;
            }
        }
        for part in single.chunks(PART_COUNT_MAX) {
            let keys: Vec<i64> = part.iter().zip(0_i64..).map(|(near, place)| (near << PLACE_BITS) | place).collect();
            let which = format!(
                "FROM json_each($1) AS k CROSS JOIN lineage_edge AS e WHERE e.{} = (CAST(k.key AS BIGINT) >> {PLACE_BITS})",
                self.direction.columns().0
            );
            let place = format!("(CAST(k.key AS BIGINT) & {})", PART_COUNT_MAX - 1);
            self.step_on(reader, part, depth, (&which, &place), &[(&document(&keys)).into()])?;
        }
        self.truncated |= self.order.len() > WALK_NODE_COUNT_MAX;
        Ok(self.order.get(begin..).unwrap_or_default().to_vec())
    }

    /// Looks up the edges of `part`: those that `which` finds, whose nearer end is at `place` of it. The engine makes one number of an
    /// edge: its farther end, a bit that says whether it was observed, and the place.
    fn step_on(
        &mut self,
        reader: &mut Reader<'_>,
        part: &[i64],
        depth: u32,
        (which, place): (&str, &str),
        binds: &[Bind<'_>],
    ) -> Result<(), DbError> {
        let far = self.direction.columns().1;
        let sql = format!(
            "SELECT string_agg(CAST(s.step AS TEXT), ',') FROM (
                SELECT (e.{far} * 2 + CASE e.trust WHEN 'claimed' THEN 0 ELSE 1 END) * {PART_COUNT_MAX} + {place} AS step
                {which} AND e.relation NOT IN ('read', 'inspected') LIMIT ${}) AS s",
            binds.len() + 1
        );
        let room = self.room();
        let limit = Bind::from(i64::try_from(room.saturating_add(1)).unwrap_or(i64::MAX));
        let binds: Vec<Bind<'_>> = binds.iter().copied().chain([limit]).collect();
        let text = reader.query_one(&sql, &binds, |row| row.opt_text(0))?.flatten();
        let sure: Vec<bool> = part.iter().map(|near| self.is_observed(*near)).collect();
        for (count, step) in text.iter().flat_map(|text| text.split(',')).enumerate() {
            if count >= room {
                self.truncated = true;
                break;
            }
            let step: i64 = step.parse().map_err(|_| DbError::Shape(0))?;
            let place = usize::try_from(step).map_err(|_| DbError::Shape(0))? % PART_COUNT_MAX;
            let (Some(near), Some(sure)) = (part.get(place), sure.get(place)) else { return Err(DbError::Shape(0)) };
            let (far, observed) = (step >> (PLACE_BITS + 1), (step >> PLACE_BITS) & 1 == 1);
            self.reach(far, depth, observed && *sure);
            self.steps.push((*near, far, observed));
        }
        Ok(())
    }

    /// Whether a step leads from `frontier` to what was not reached.
    fn goes_on_from(&self, reader: &mut Reader<'_>, frontier: Vec<i64>) -> Result<bool, DbError> {
        let known: Vec<i64> = self.states.keys().copied().collect();
        let mut further = Self::new(&known, self.direction, 1);
        Ok(!further.level(reader, frontier, 1)?.is_empty())
    }

    fn reach(&mut self, far: i64, depth: u32, observed: bool) {
        match self.states.entry(far) {
            Entry::Vacant(place) => {
                place.insert((depth, observed));
                self.order.push(far);
            }
            Entry::Occupied(mut known) if observed && !known.get().1 => {
                known.get_mut().1 = true;
                if known.get().0 < depth {
                    self.late.push(far);
                }
            }
            Entry::Occupied(_) => {}
        }
    }

    /// Goes on from `frontier`, which is `depth` steps away, along steps that are all here.
    fn follow(&mut self, mut steps: Vec<Step>, mut frontier: Vec<i64>, mut depth: u32) {
        steps.sort_unstable();
        while !frontier.is_empty() && depth < self.depth_max {
            depth += 1;
            let begin = self.order.len();
            for near in frontier {
                let sure = self.is_observed(near);
                for (_, far, observed) in onward(&steps, near) {
                    self.reach(*far, depth, sure && *observed);
                }
            }
            frontier = self.order.get(begin..).unwrap_or_default().to_vec();
            self.truncated |= self.order.len() > WALK_NODE_COUNT_MAX;
        }
        let is_new = |near: &i64| onward(&steps, *near).iter().any(|(_, far, _)| !self.states.contains_key(far));
        self.leads_on = frontier.iter().any(is_new);
        self.steps.append(&mut steps);
    }

    /// What turned out to be observed too late makes observed what it leads to over observed steps.
    fn catch_up(&mut self) {
        if self.late.is_empty() {
            return;
        }
        self.steps.sort_unstable();
        while let Some(near) = self.late.pop() {
            if self.states.get(&near).is_none_or(|(depth, _)| *depth >= self.depth_max) {
                continue;
            }
            for (_, far, _) in onward(&self.steps, near).iter().filter(|(.., observed)| *observed) {
                // Only what is near enough was reached.
                if let Some(state) = self.states.get_mut(far).filter(|(_, observed)| !observed) {
                    state.1 = true;
                    self.late.push(*far);
                }
            }
        }
    }

    fn is_observed(&self, number: i64) -> bool {
        self.states.get(&number).is_some_and(|(_, observed)| *observed)
    }

    fn finish(mut self) -> Walk {
        self.catch_up();
        self.order.truncate(WALK_NODE_COUNT_MAX);
        let reach = |number: &i64| {
            let (depth, observed) = self.states.get(number).copied().unwrap_or_default();
            Reach { number: *number, depth, trust: if observed { Trust::Observed } else { Trust::Claimed } }
        };
        Walk { reached: self.order.iter().map(reach).collect(), truncated: self.truncated, leads_on: self.leads_on }
    }
}

/// The steps onward from `near`, among sorted ones.
fn onward(steps: &[Step], near: i64) -> &[Step] {
    let begin = steps.partition_point(|step| step.0 < near);
    let rest = steps.get(begin..).unwrap_or_default();
    rest.get(..rest.partition_point(|step| step.0 == near)).unwrap_or_default()
}

/// All edges onward from `from`, at most `room`, and whether there are more. The limit is part of the statement, for which PostgreSQL then
/// makes its plan once: with an unknown limit it would make one each time.
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
            WHERE e.{near} = o.id AND e.relation NOT IN ('read', 'inspected') LIMIT {}) AS s",
        room.saturating_add(1)
    );
    let text = reader.query_one(&sql, &[Bind::from(&document(from))], |row| row.opt_text(0))?.flatten();
    let steps: Option<Vec<Step>> = text.iter().flat_map(|text| text.split(',')).map(parse).collect();
    let mut steps = steps.ok_or(DbError::Shape(0))?;
    let more = steps.len() > room;
    steps.truncate(room);
    Ok((steps, more))
}

fn parse(step: &str) -> Option<Step> {
    let (near, rest) = step.split_once(' ')?;
    let (far, trust) = rest.split_once(' ')?;
    Some((near.parse().ok()?, far.parse().ok()?, trust != "c"))
}
