//! How often each value was seen among everybody's log-ins.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use kernel::Micros;

use crate::keyed::{ADDRESS_LEVEL_COUNT, LEVEL_COUNT, Seen, Value};

/// [`Value`]s are keyed hashes already: nobody outside can make two that fall together.
#[derive(Default)]
pub struct FirstEight(u64);

impl Hasher for FirstEight {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut eight = [0; 8];
            for (to, from) in eight.iter_mut().zip(chunk) {
                *to = *from;
            }
            self.0 ^= u64::from_le_bytes(eight);
        }
    }

    // The length of an array is the same for all of them.
    fn write_usize(&mut self, _: usize) {}
}

pub(crate) type ValueMap<T> = HashMap<Value, T, BuildHasherDefault<FirstEight>>;

/// A weight that halves with time, or not.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Fading(Option<i64>);

impl Fading {
    pub(crate) const fn new(half_life_us: Option<i64>) -> Self {
        Self(half_life_us)
    }

    /// What is left at `now` of 1 at `then`. A time that lies ahead counts as now.
    #[expect(clippy::cast_precision_loss, reason = "microseconds of years fit in 53 bits well enough for a weight")]
    pub(crate) fn left(self, then: Micros, now: Micros) -> f64 {
        match self.0 {
            Some(half_life_us) => (-(now.0.saturating_sub(then.0).max(0) as f64) / half_life_us as f64).exp2(),
            None => 1.0,
        }
    }
}

/// A sum of faded ones.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Sum {
    weight: f64,
    at: Micros,
    /// How many ones are in it, faded or not.
    count: u64,
}

impl Sum {
    pub(crate) fn at(&self, now: Micros, fading: Fading) -> f64 {
        self.weight * fading.left(self.at, now)
    }

    pub(crate) fn add(&mut self, one: Micros, fading: Fading) {
        let at = self.at.max(one);
        self.weight = self.at(at, fading) + fading.left(one, at);
        (self.at, self.count) = (at, self.count.saturating_add(1));
    }

    /// Takes one out again that was added at `one`. Says whether any is left.
    pub(crate) fn take(&mut self, one: Micros, fading: Fading) -> bool {
        self.count = self.count.saturating_sub(1);
        self.weight = if self.count == 0 { 0.0 } else { (self.weight - fading.left(one, self.at)).max(0.0) };
        self.count > 0
    }
}

/// What is known of a value of the first level: which values of the levels below were seen together with it.
type Under = Vec<(usize, Value, u32)>;

/// The counts of all levels.
#[derive(Default)]
pub(crate) struct Global {
    levels: [Level; LEVEL_COUNT],
    address_under: ValueMap<Under>,
    agent_under: ValueMap<Under>,
}

#[derive(Default)]
struct Level {
    values: ValueMap<Sum>,
    total: Sum,
}

/// One of the two hierarchies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Feature {
    Address,
    Agent,
}

impl Feature {
    /// Its levels.
    pub(crate) const fn levels(self) -> std::ops::Range<usize> {
        match self {
            Self::Address => 0..ADDRESS_LEVEL_COUNT,
            Self::Agent => ADDRESS_LEVEL_COUNT..LEVEL_COUNT,
        }
    }
}

impl Global {
    /// One more of `value` on `level`.
    pub(crate) fn add(&mut self, level: usize, value: Value, at: Micros, fading: Fading) {
        if let Some(level) = self.levels.get_mut(level) {
            level.total.add(at, fading);
            level.values.entry(value).or_default().add(at, fading);
        }
    }

    /// One less.
    pub(crate) fn take(&mut self, level: usize, value: &Value, at: Micros, fading: Fading) {
        let Some(level) = self.levels.get_mut(level) else { return };
        level.total.take(at, fading);
        let is_gone = level.values.get_mut(value).is_some_and(|sum| !sum.take(at, fading));
        if is_gone {
            level.values.remove(value);
        }
    }

    /// Writes down which values were seen together.
    pub(crate) fn join(&mut self, seen: &Seen) {
        for feature in [Feature::Address, Feature::Agent] {
            let Some((full, below)) = split(feature, seen) else { continue };
            let under = self.under_mut(feature).entry(full).or_default();
            for (level, value) in below {
                match under.iter_mut().find(|one| (one.0, one.1) == (level, value)) {
                    Some(one) => one.2 = one.2.saturating_add(1),
                    None => under.push((level, value, 1)),
                }
            }
        }
    }

    /// Takes that back.
    pub(crate) fn part(&mut self, seen: &Seen) {
        for feature in [Feature::Address, Feature::Agent] {
            let Some((full, below)) = split(feature, seen) else { continue };
            let map = self.under_mut(feature);
            let Some(under) = map.get_mut(&full) else { continue };
            for (level, value) in below {
                if let Some(one) = under.iter_mut().find(|one| (one.0, one.1) == (level, value)) {
                    one.2 = one.2.saturating_sub(1);
                }
            }
            under.retain(|one| one.2 > 0);
            if under.is_empty() {
                map.remove(&full);
            }
        }
    }

    /// p(x) of a feature: the weighted sum over its levels of how often the level's value was seen. Only the first level is smoothed.
    pub(crate) fn likelihood(&self, feature: Feature, weights: &[f64], seen: &Seen, fading: Fading) -> f64 {
        let mut sum = 0.0;
        for (level, weight) in feature.levels().zip(weights) {
            let (Some(counts), Some(value)) = (self.levels.get(level), seen.values.get(level)) else { continue };
            let (count, total) = (counts.of(value, seen.at, fading), counts.total.at(seen.at, fading));
            let is_first = level == feature.levels().start;
            sum += weight * if is_first { self.smoothed(feature, value, count, total) } else { ratio(count, total) };
        }
        sum
    }

    /// The first level: how often the value is itself among its own log-ins, times how often it is among all of them, both leaving room for
    /// what has not been seen yet.
    fn smoothed(&self, feature: Feature, value: &Value, count: f64, total: f64) -> f64 {
        let below = feature.levels().skip(1);
        let unseen_here = 1.0 + self.distinct_under(feature, value);
        let unseen = 1.0 + below.filter_map(|level| self.levels.get(level)).map(Level::distinct).sum::<f64>();
        if count > 0.0 {
            (count / (count + unseen_here)) * ratio(count, total) * (total / (total + unseen))
        } else {
            (1.0 / unseen_here) * (1.0 / (total + unseen))
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a handful")]
    fn distinct_under(&self, feature: Feature, value: &Value) -> f64 {
        let map = if feature == Feature::Address { &self.address_under } else { &self.agent_under };
        map.get(value).map_or(0.0, |under| under.len() as f64)
    }

    fn under_mut(&mut self, feature: Feature) -> &mut ValueMap<Under> {
        match feature {
            Feature::Address => &mut self.address_under,
            Feature::Agent => &mut self.agent_under,
        }
    }

    #[cfg(test)]
    pub(crate) fn is_empty(&self) -> bool {
        let nothing = |level: &Level| level.values.is_empty() && level.total.weight.abs() < 1e-9;
        self.levels.iter().all(nothing) && self.address_under.is_empty() && self.agent_under.is_empty()
    }
}

impl Level {
    fn of(&self, value: &Value, now: Micros, fading: Fading) -> f64 {
        self.values.get(value).map_or(0.0, |sum| sum.at(now, fading))
    }

    #[expect(clippy::cast_precision_loss, reason = "counts of values fit in 53 bits")]
    fn distinct(&self) -> f64 {
        self.values.len() as f64
    }
}

fn split(feature: Feature, seen: &Seen) -> Option<(Value, Vec<(usize, Value)>)> {
    let levels = feature.levels();
    let full = *seen.values.get(levels.start)?;
    Some((full, levels.skip(1).filter_map(|level| Some((level, *seen.values.get(level)?))).collect()))
}

fn ratio(part: f64, whole: f64) -> f64 {
    if whole > 0.0 { part / whole } else { 0.0 }
}
