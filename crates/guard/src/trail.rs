//! What is known of one caller of an endpoint, and of all of them together.

use crate::limits::{
    ALARM_HIT_COUNT, ANCHOR_COUNT_MAX, QUERY_AGE_MAX, RING_QUERY_COUNT_MAX, RINGS_PER_TRAIL_MAX, SHARED_QUERY_COUNT_MAX,
    STEP_HIT_COUNT, WINDOW_QUERY_COUNT,
};
use crate::projection::{Calibrated, Cell};
use crate::ring::{Ring, Steps};
use crate::unlike::Unlike;
use crate::{Budget, Cause, Ladder, Level, Micros, micros};

/// From whom a query came, as numbers that mean nothing outside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// The caller.
    pub caller: u32,
    /// The network or device.
    pub network: u32,
}

/// What was counted of a caller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows that were looked at.
    pub rows: u64,
    /// Of these, rows that were asked before, exactly.
    pub repeats: u64,
    /// Rows that are nearly the same as earlier ones.
    pub near: u64,
    /// Rows unlike the training data.
    pub unlike: u64,
    /// Steps that were taken up the ladder.
    pub alarms: u64,
    /// Rows outside the training data's ranges; the endpoint's policy says what becomes of them.
    pub outside: u64,
}

/// The rings of a trail: one for each model that answers.
struct Rings {
    count_max: usize,
    all: Vec<(u64, Ring)>,
}

impl Rings {
    const fn new(count_max: usize) -> Self {
        Self { count_max, all: Vec::new() }
    }

    fn of(&mut self, id: u64) -> Option<&mut Ring> {
        if !self.all.iter().any(|(known, _)| *known == id) {
            if self.all.len() >= RINGS_PER_TRAIL_MAX {
                self.all.remove(0);
            }
            self.all.push((id, Ring::new(self.count_max)));
        }
        self.all.iter_mut().find(|(known, _)| *known == id).map(|(_, ring)| ring)
    }

    fn forget_old(&mut self, now: Micros) {
        let oldest = now.saturating_sub(micros(QUERY_AGE_MAX));
        self.all.retain(|(_, ring)| ring.newest().is_some_and(|newest| newest >= oldest));
    }

    fn bytes(&self) -> usize {
        self.all.iter().map(|(_, ring)| ring.bytes()).sum()
    }
}

/// The last queries of all callers of an endpoint: who spreads an attack over accounts leaves them here.
pub struct Shared {
    rings: Rings,
}

impl Default for Shared {
    fn default() -> Self {
        Self { rings: Rings::new(SHARED_QUERY_COUNT_MAX) }
    }
}

impl Shared {
    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rings.bytes()
    }

    /// Forgets rings whose queries are all too old.
    pub fn forget_old(&mut self, now: Micros) {
        self.rings.forget_old(now);
    }
}

/// One caller of one endpoint.
pub struct Trail {
    /// Who.
    pub tag: Tag,
    /// Where the caller stands.
    pub ladder: Ladder,
    /// What the caller has used up.
    pub budget: Budget,
    /// What was counted.
    pub counts: Counts,
    /// How far up queries that are unlike the training data alone lead.
    pub unlike_most: Level,
    rings: Rings,
    /// The last queries, newest first, a bit each: whether it was near another.
    window: u32,
    hits_since_step: u32,
    unlike: Unlike,
    cells: [u64; ANCHOR_COUNT_MAX / 64],
    seen_at: Micros,
}

impl Trail {
    /// A caller of whom nothing is known.
    #[must_use]
    pub fn new(tag: Tag) -> Self {
        Self {
            tag,
            ladder: Ladder::default(),
            budget: Budget::default(),
            counts: Counts::default(),
            unlike_most: Level::Alarm,
            rings: Rings::new(RING_QUERY_COUNT_MAX),
            window: 0,
            hits_since_step: 0,
            unlike: Unlike::default(),
            cells: [0; ANCHOR_COUNT_MAX / 64],
            seen_at: 0,
        }
    }

    /// Looks at one row, before it is answered. Gives the step that the caller then stands on.
    pub fn observe(&mut self, calibrated: &Calibrated, shared: &mut Shared, row: &[Cell<'_>], now: Micros) -> Level {
        self.seen_at = now;
        self.counts.rows = self.counts.rows.saturating_add(1);
        let hash = calibrated.hash(row);
        let Some(near) = calibrated.reference.near.distance else {
            let point = calibrated.project(row);
            return self.judge_place(calibrated, &point, now);
        };
        // Retries, tests of two versions and batches that are sent again: nothing new is learnt from them.
        if self.rings.of(calibrated.id).is_some_and(|ring| ring.knows(hash)) {
            self.counts.repeats = self.counts.repeats.saturating_add(1);
            return self.ladder.level(now);
        }
        let point = calibrated.project(row);
        let steps = Steps::of(&point, near);
        let cause = self.near(calibrated.id, shared, &steps, hash, now);
        self.window = (self.window << 1 | u32::from(cause.is_some())) & ((1 << WINDOW_QUERY_COUNT) - 1);
        if let Some(cause) = cause {
            self.hit(cause, now);
        }
        self.judge_place(calibrated, &point, now)
    }

    /// Whose earlier queries this one is near. It is remembered then.
    fn near(&mut self, id: u64, shared: &mut Shared, steps: &Steps, hash: u64, now: Micros) -> Option<Cause> {
        let tag = self.tag;
        let mut cause = None;
        if let Some(ring) = self.rings.of(id) {
            cause = ring.near(steps, hash, now, |_| true).map(|_| Cause::NearOwn);
            ring.push(steps, hash, now, tag);
        }
        if let Some(ring) = shared.rings.of(id) {
            if cause.is_none() {
                let other = ring.near(steps, hash, now, |known| known.caller != tag.caller);
                cause = other.map(|other| if other.network == tag.network { Cause::NearNetwork } else { Cause::NearWorkspace });
            }
            ring.push(steps, hash, now, tag);
        }
        cause
    }

    fn hit(&mut self, cause: Cause, now: Micros) {
        self.counts.near = self.counts.near.saturating_add(1);
        self.hits_since_step = self.hits_since_step.saturating_add(1);
        let is_alarm = self.window.count_ones() >= ALARM_HIT_COUNT;
        if !is_alarm {
            return;
        }
        if self.ladder.level(now) == Level::Calm || self.hits_since_step >= STEP_HIT_COUNT {
            self.hits_since_step = 0;
            self.counts.alarms = self.counts.alarms.saturating_add(1);
            self.ladder.raise(cause, Level::Refused, now);
        } else {
            self.ladder.keep(now);
        }
    }

    /// Where in the space of the training data a query lies.
    fn judge_place(&mut self, calibrated: &Calibrated, point: &crate::projection::Point, now: Micros) -> Level {
        let Some((cell, distance)) = calibrated.nearest_anchor(point) else { return self.ladder.level(now) };
        let is_unlike = distance > calibrated.reference.unlike_from;
        if is_unlike {
            self.counts.unlike = self.counts.unlike.saturating_add(1);
        } else if let Some(word) = self.cells.get_mut(cell / 64) {
            *word |= 1 << (cell % 64);
        }
        if self.unlike.add(is_unlike) {
            self.counts.alarms = self.counts.alarms.saturating_add(1);
            self.ladder.raise(Cause::Unlike, self.unlike_most, now);
        }
        self.ladder.level(now)
    }

    /// The share of the training data's space that the caller has asked about.
    #[must_use]
    pub fn coverage(&self, calibrated: &Calibrated) -> f64 {
        let seen: u32 = self.cells.iter().map(|word| word.count_ones()).sum();
        f64::from(seen) / calibrated.reference.cell_count().max(1) as f64
    }

    /// Forgets what is held against the caller, and the queries behind it. What is used up stays so.
    pub fn release(&mut self) {
        let (tag, budget, counts) = (self.tag, self.budget, self.counts);
        *self =
            Self { budget, counts, cells: self.cells, seen_at: self.seen_at, unlike_most: self.unlike_most, ..Self::new(tag) };
    }

    /// Forgets queries that are all too old; true if nothing is left that is worth keeping.
    pub fn forget_old(&mut self, now: Micros) -> bool {
        self.rings.forget_old(now);
        let is_old = now.saturating_sub(self.seen_at) > micros(crate::limits::BUDGET_PERIOD);
        is_old && self.ladder.level(now) == Level::Calm
    }

    /// Forgets all queries, for want of memory.
    pub fn forget_queries(&mut self) {
        self.rings.all.clear();
    }

    /// The caller asked something that is not looked at.
    pub const fn seen(&mut self, now: Micros) {
        self.seen_at = now;
    }

    /// When the caller last asked.
    #[must_use]
    pub const fn seen_at(&self) -> Micros {
        self.seen_at
    }

    /// Bytes that it takes.
    #[must_use]
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.rings.bytes()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::calibrate::tests::{Normal, reference, texts};
    use crate::limits::{SHARED_BYTES_MAX, TRAIL_BYTES_MAX};

    static MADE: LazyLock<Calibrated> = LazyLock::new(|| Calibrated::new(reference(8_000, 1)));
    const SECOND: Micros = 1_000_000;

    struct Asker {
        trail: Trail,
        texts: Vec<String>,
    }

    impl Asker {
        fn new(caller: u32, network: u32) -> Self {
            Self { trail: Trail::new(Tag { caller, network }), texts: texts() }
        }

        fn ask(&mut self, shared: &mut Shared, row: &(Vec<f64>, usize), now: Micros) -> Level {
            let mut cells: Vec<Cell<'_>> = row.0.iter().map(|value| Cell::Number(*value)).collect();
            cells.push(Cell::Text(&self.texts[row.1]));
            self.trail.observe(&MADE, shared, &cells, now)
        }
    }

    /// A row a little beside another.
    fn beside(row: &(Vec<f64>, usize), normal: &mut Normal) -> (Vec<f64>, usize) {
        (row.0.iter().map(|value| value + 0.05 * normal.next()).collect(), row.1)
    }

    #[test]
    fn honest_callers_do_not_alarm_and_memory_is_bounded() {
        let (mut normal, mut shared) = (Normal::new(50), Shared::default());
        let mut askers: Vec<Asker> = (0..3).map(|caller| Asker::new(caller, caller)).collect();
        for query in 0..60_000_i64 {
            let row = normal.row();
            let asker = &mut askers[(query % 3) as usize];
            assert_eq!(asker.ask(&mut shared, &row, query * SECOND / 10), Level::Calm, "query {query}");
        }
        let trail = &askers[0].trail;
        assert!(trail.bytes() < TRAIL_BYTES_MAX && shared.bytes() < SHARED_BYTES_MAX, "{} {}", trail.bytes(), shared.bytes());
        assert!(trail.coverage(&MADE) > 0.9, "{}", trail.coverage(&MADE));
        assert!(askers[0].trail.forget_old(2 * micros(crate::limits::BUDGET_PERIOD)) && askers[0].trail.rings.all.is_empty());
    }

    #[test]
    fn small_steps_alarm_and_then_climb_to_a_refusal() {
        let (mut normal, mut shared, mut asker) = (Normal::new(51), Shared::default(), Asker::new(1, 1));
        let start = normal.row();
        let levels: Vec<Level> = (0..60).map(|_| asker.ask(&mut shared, &beside(&start, &mut normal), 0)).collect();
        let at = |wanted: Level| levels.iter().position(|level| *level == wanted).map(|place| place + 1);
        assert_eq!((at(Level::Alarm), at(Level::Slower), at(Level::Refused)), (Some(4), Some(14), Some(34)));
        assert_eq!(asker.trail.ladder.why().unwrap().0, Cause::NearOwn);
        asker.trail.release();
        assert_eq!(asker.ask(&mut shared, &normal.row(), 0), Level::Calm);
        assert_eq!(asker.trail.counts.near, 59);
    }

    #[test]
    fn exact_repeats_are_no_attack() {
        let (mut normal, mut shared, mut asker) = (Normal::new(52), Shared::default(), Asker::new(1, 1));
        let rows: Vec<_> = (0..50).map(|_| normal.row()).collect();
        let other = &mut Asker::new(2, 1);
        for _ in 0..20 {
            for row in &rows {
                assert_eq!(asker.ask(&mut shared, row, 0), Level::Calm);
                assert_eq!(other.ask(&mut shared, row, 0), Level::Calm, "the same, asked by a test's other arm");
                let single = (row.0.iter().map(|value| f64::from(*value as f32)).collect(), row.1);
                assert_eq!(other.ask(&mut shared, &single, 0), Level::Calm, "the same in 32 bits");
            }
        }
        assert_eq!((asker.trail.counts.repeats, asker.trail.counts.near), (950, 0));
    }

    #[test]
    fn an_attack_that_is_spread_over_accounts_alarms_too() {
        let (mut normal, mut shared) = (Normal::new(53), Shared::default());
        let mut askers: Vec<Asker> = (0..8).map(|caller| Asker::new(caller, 7)).collect();
        let start = normal.row();
        for query in 0..80 {
            let row = beside(&start, &mut normal);
            askers[query % 8].ask(&mut shared, &row, 0);
        }
        let causes: Vec<_> = askers.iter().map(|asker| asker.trail.ladder.why().map(|why| why.0)).collect();
        assert!(causes.iter().all(Option::is_some), "{causes:?}");
        let mut late = Asker::new(99, 8);
        for _ in 0..3 {
            late.ask(&mut shared, &beside(&start, &mut normal), 0);
        }
        assert_eq!(late.trail.ladder.why().map(|why| why.0), Some(Cause::NearOwn));
    }

    #[test]
    fn foreign_queries_alarm_and_lead_only_as_far_as_said() {
        let (mut normal, mut shared, mut asker) = (Normal::new(54), Shared::default(), Asker::new(1, 1));
        let mut foreign = || ((0..12).map(|place| 100.0 * f64::from(place) + 60.0 * normal.next()).collect::<Vec<f64>>(), 0);
        let first = (1..=100).find(|_| asker.ask(&mut shared, &foreign(), 0) == Level::Alarm);
        assert!(first.is_some_and(|first| first <= 20), "{first:?}");
        for _ in 0..200 {
            asker.ask(&mut shared, &foreign(), 0);
        }
        assert_eq!((asker.trail.ladder.level(0), asker.trail.ladder.why().unwrap().0), (Level::Alarm, Cause::Unlike));
        asker.trail.unlike_most = Level::Coarser;
        for _ in 0..200 {
            asker.ask(&mut shared, &foreign(), 0);
        }
        assert_eq!(asker.trail.ladder.level(0), Level::Coarser);
    }
}
