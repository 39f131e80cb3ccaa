//! Quantiles: the sketch of Karnin, Lang and Liberty, "Optimal quantile approximation in streams" (FOCS 2016), with their
//! sampler in front: once many values have come, one of each block of 2, 4, 8, … enters at the level of that weight. The
//! sampler starts so late ([`EVERY_VALUE_COUNT_MAX`]) that it adds less to the error than the sketch has itself.
//!
//! Levels are lists of values; one of level `l` stands for `2^l`. A full level is sorted, and every other value of it,
//! from a seeded coin on, moves up. The total weight is always the exact count.

use serde::{Deserialize, Serialize};

use super::{Reader, from_text, to_text};
use crate::error::{ProfileError, broken};
use crate::hash::next_random;
use crate::limits::EVERY_VALUE_COUNT_MAX;

const NAME: &str = "quantile";
/// Values that wait unsorted in the lowest level in use.
const BUFFER_COUNT: usize = 256;
const LEVEL_CAPACITY_MIN: usize = 8;
const LEVEL_COUNT_MAX: usize = 61;
const K_MIN: u16 = 8;
/// What a sketch of this k is worth as a random sample: about `(k × this)²` values. Measured by `tests::worth_is_as_measured`.
const WORTH_PER_K: f64 = 0.5;

/// Holds the distribution of finite numbers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Quantiles {
    k: u16,
    count: u64,
    minimum: f64,
    maximum: f64,
    /// INVARIANT: sorted, except the one at `base`; the sum of the weights and `filled` is `count`.
    levels: Vec<Vec<f64>>,
    /// The level that new values enter.
    base: usize,
    /// Values of the unfinished block so far, the one that stands for it, and which one that shall be.
    filled: u64,
    picked: f64,
    pick_at: u64,
    coin: u64,
}

/// The level that values enter once so many have come.
pub const fn entry_level(count: u64) -> usize {
    let ratio = count / EVERY_VALUE_COUNT_MAX;
    if ratio < 2 { 0 } else { ratio.ilog2() as usize }
}

impl Quantiles {
    /// Of this accuracy: the rank error is about `1.7 / k`.
    #[must_use]
    pub fn new(k: u16, seed: u64) -> Self {
        Self {
            k: k.max(K_MIN),
            count: 0,
            minimum: f64::INFINITY,
            maximum: f64::NEG_INFINITY,
            levels: vec![Vec::new()],
            base: 0,
            filled: 0,
            picked: 0.0,
            pick_at: 0,
            coin: seed,
        }
    }

    /// How many numbers it has seen.
    #[must_use]
    pub const fn count(&self) -> u64 {
        self.count
    }

    /// The smallest number seen.
    #[must_use]
    pub fn minimum(&self) -> Option<f64> {
        (self.count > 0).then_some(self.minimum)
    }

    /// The largest number seen.
    #[must_use]
    pub fn maximum(&self) -> Option<f64> {
        (self.count > 0).then_some(self.maximum)
    }

    /// How many values of a random sample would know the distribution as well as this sketch does.
    #[must_use]
    pub fn worth(&self) -> f64 {
        let count = self.count as f64;
        if self.levels.len() == 1 {
            return count;
        }
        let sketch = (f64::from(self.k) * WORTH_PER_K).powi(2);
        let sample = if self.base == 0 { f64::INFINITY } else { count / self.base_weight() as f64 };
        // Independent errors: their variances add.
        1.0 / (1.0 / count + 1.0 / sketch + 1.0 / sample)
    }

    const fn base_weight(&self) -> u64 {
        1 << self.base
    }

    fn toss(&mut self) -> u64 {
        let (state, word) = next_random(self.coin);
        self.coin = state;
        word
    }

    /// Takes finite numbers; their extremes are given, as the caller has them.
    pub fn extend(&mut self, values: &[f64], minimum: f64, maximum: f64) {
        self.minimum = self.minimum.min(minimum);
        self.maximum = self.maximum.max(maximum);
        let mut rest = values;
        while let [first, ..] = *rest {
            if self.base == 0 && self.filled == 0 {
                let room = BUFFER_COUNT.saturating_sub(self.base_len()).max(1);
                let (taken, later) = rest.split_at(room.min(rest.len()));
                if let Some(level) = self.levels.get_mut(0) {
                    level.extend_from_slice(taken);
                }
                self.count += taken.len() as u64;
                self.after_entry();
                rest = later;
                continue;
            }
            let weight = self.base_weight();
            let taken_count = (weight - self.filled).min(rest.len() as u64);
            if self.filled == 0 {
                self.pick_at = self.toss() & (weight - 1);
                self.picked = first;
            }
            if let Some(value) = self.pick_at.checked_sub(self.filled).and_then(|at| rest.get(at as usize)) {
                self.picked = *value;
            }
            self.filled += taken_count;
            self.count += taken_count;
            rest = rest.get(taken_count as usize..).unwrap_or_default();
            if self.filled == weight {
                self.filled = 0;
                let picked = self.picked;
                self.put(self.base, picked);
                self.after_entry();
            }
        }
    }

    /// Takes one number that came `weight` times.
    pub fn insert(&mut self, value: f64, weight: u64) {
        if weight == 0 {
            return;
        }
        self.minimum = self.minimum.min(value);
        self.maximum = self.maximum.max(value);
        self.count += weight;
        self.put_weighted(value, weight);
        self.after_entry();
        self.compress();
    }

    fn base_len(&self) -> usize {
        self.levels.get(self.base).map_or(0, Vec::len)
    }

    fn put_weighted(&mut self, value: f64, weight: u64) {
        for level in 0..u64::BITS as usize {
            if weight >> level & 1 == 1 {
                self.put(level, value);
            }
        }
    }

    fn put(&mut self, level: usize, value: f64) {
        if self.levels.len() <= level {
            self.levels.resize_with(level + 1, Vec::new);
        }
        let base = self.base;
        if let Some(values) = self.levels.get_mut(level) {
            let at = if level == base { values.len() } else { values.partition_point(|held| held < &value) };
            values.insert(at, value);
        }
    }

    fn after_entry(&mut self) {
        if self.base_len() >= BUFFER_COUNT {
            self.sort_base();
            self.compact(self.base);
            self.compress();
        }
        if self.filled == 0 && entry_level(self.count) > self.base {
            self.raise();
        }
    }

    fn sort_base(&mut self) {
        if let Some(level) = self.levels.get_mut(self.base) {
            level.sort_unstable_by(f64::total_cmp);
        }
    }

    /// Lets values enter at the level that the count asks for; no block may be unfinished.
    fn raise(&mut self) {
        while entry_level(self.count) > self.base {
            self.sort_base();
            self.compact(self.base);
            self.base += 1;
            if self.levels.len() <= self.base {
                self.levels.push(Vec::new());
            }
        }
    }

    /// Ends the unfinished block: its value enters with the weight that it has.
    fn flush(&mut self) {
        if self.filled > 0 {
            let (picked, weight) = (self.picked, std::mem::take(&mut self.filled));
            self.put_weighted(picked, weight);
        }
        self.raise();
    }

    /// Moves every other value of a sorted level up; an odd one stays.
    fn compact(&mut self, level: usize) {
        let offset = usize::from(self.toss() & 1 == 1);
        let base = self.base;
        if self.levels.len() <= level + 1 {
            self.levels.push(Vec::new());
        }
        let Some((low, high)) = self.levels.get_mut(level..).and_then(<[Vec<f64>]>::split_first_mut) else { return };
        let Some(above) = high.first_mut() else { return };
        let kept = low.len() % 2;
        let moved: Vec<f64> = low.iter().skip(kept + offset).step_by(2).copied().collect();
        low.truncate(kept);
        if level + 1 == base {
            above.extend(moved);
        } else {
            *above = merged(above, &moved);
        }
    }

    /// Compacts until no more is held than the sketch's size allows.
    fn compress(&mut self) {
        while self.levels.iter().map(Vec::len).sum::<usize>() > self.capacity() {
            let level_count = self.levels.len();
            let full = |(level, values): (usize, &Vec<f64>)| values.len() >= level_capacity(self.k, level_count, level).max(2);
            let Some(level) = self.levels.iter().enumerate().position(full) else { return };
            if level == self.base {
                self.sort_base();
            }
            self.compact(level);
        }
    }

    fn capacity(&self) -> usize {
        (0..self.levels.len()).map(|level| level_capacity(self.k, self.levels.len(), level)).sum()
    }

    /// Joins what the other has seen. The smaller of two sizes remains.
    pub fn merge(&mut self, other: &Self) {
        let mut other = other.clone();
        other.flush();
        self.flush();
        self.sort_base();
        other.sort_base();
        self.k = self.k.min(other.k);
        self.count += other.count;
        self.coin ^= other.coin.rotate_left(1);
        self.minimum = self.minimum.min(other.minimum);
        self.maximum = self.maximum.max(other.maximum);
        if self.levels.len() < other.levels.len() {
            self.levels.resize_with(other.levels.len(), Vec::new);
        }
        for (ours, theirs) in self.levels.iter_mut().zip(&other.levels) {
            *ours = merged(ours, theirs);
        }
        self.base = self.base.max(other.base);
        self.raise();
        self.compress();
    }

    /// The distribution, to be asked for ranks and quantiles.
    #[must_use]
    pub fn ranks(&self) -> Ranks {
        let mut settled = self.clone();
        settled.flush();
        let mut weighted: Vec<(f64, u64)> = Vec::new();
        for (level, values) in settled.levels.iter().enumerate() {
            weighted.extend(values.iter().map(|value| (*value, 1_u64 << level)));
        }
        weighted.sort_unstable_by(|left, right| left.0.total_cmp(&right.0));
        let mut total = 0;
        for (_, weight) in &mut weighted {
            total += *weight;
            *weight = total;
        }
        Ranks { cumulative: weighted, total, minimum: self.minimum, maximum: self.maximum }
    }

    /// The bytes that Apache DataSketches reads as a KLL sketch of doubles.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut settled = self.clone();
        settled.flush();
        settled.sort_base();
        settled.compress();
        settled.sort_base();
        let level_count = settled.levels.len();
        let mut bytes = Vec::new();
        match settled.count {
            // Preamble words, version, family, flags (1 empty, 2 level zero sorted, 4 single), k, smallest level.
            0 => bytes.extend([2, 1, 15, 1 | 2]),
            1 => bytes.extend([2, 2, 15, 4 | 2]),
            _ => bytes.extend([5, 1, 15, 2]),
        }
        bytes.extend(settled.k.to_le_bytes());
        bytes.extend([LEVEL_CAPACITY_MIN as u8, 0]);
        if settled.count > 1 {
            bytes.extend(settled.count.to_le_bytes());
            bytes.extend(settled.k.to_le_bytes());
            bytes.extend([level_count as u8, 0]);
            let held: usize = settled.levels.iter().map(Vec::len).sum();
            let mut offset = settled.capacity().saturating_sub(held) as u32;
            for level in &settled.levels {
                bytes.extend(offset.to_le_bytes());
                offset += level.len() as u32;
            }
            bytes.extend(settled.minimum.to_le_bytes());
            bytes.extend(settled.maximum.to_le_bytes());
        }
        for value in settled.levels.iter().flatten() {
            bytes.extend(value.to_le_bytes());
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// [`ProfileError::BrokenSketch`] if it is anything else.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ProfileError> {
        let mut reader = Reader::new(NAME, bytes);
        let (_words, _version, family, flags) = (reader.byte()?, reader.byte()?, reader.byte()?, reader.byte()?);
        let (k, smallest, _unused) = (reader.short()?, reader.byte()?, reader.byte()?);
        if family != 15 || k < K_MIN || usize::from(smallest) != LEVEL_CAPACITY_MIN || flags & 2 == 0 {
            return Err(broken(NAME, "it is not a KLL sketch of doubles"));
        }
        let mut sketch = Self::new(k, u64::from(k));
        if flags & 1 == 1 {
            return Ok(sketch);
        }
        if flags & 4 == 4 {
            let value = reader.number()?;
            sketch.extend(&[value], value, value);
            return Ok(sketch);
        }
        let (count, _k_min, level_count) = (reader.long()?, reader.short()?, usize::from(reader.byte()?));
        reader.byte()?;
        if !(1..=LEVEL_COUNT_MAX).contains(&level_count) {
            return Err(broken(NAME, format!("it has {level_count} levels")));
        }
        let offsets = (0..level_count).map(|_| reader.int()).collect::<Result<Vec<u32>, _>>()?;
        (sketch.minimum, sketch.maximum) = (reader.number()?, reader.number()?);
        sketch.levels = vec![Vec::new(); level_count];
        let ends = offsets.iter().skip(1).copied().chain([sketch.capacity() as u32]);
        let lengths: Option<Vec<u32>> = ends.zip(&offsets).map(|(end, start)| end.checked_sub(*start)).collect();
        let lengths = lengths.ok_or_else(|| broken(NAME, "its levels overlap"))?;
        let mut weight = 0_u64;
        for (level, length) in lengths.into_iter().enumerate() {
            let values = (0..length).map(|_| reader.number()).collect::<Result<Vec<f64>, _>>()?;
            let within = values.iter().all(|value| (sketch.minimum..=sketch.maximum).contains(value));
            if !within || !values.is_sorted() {
                return Err(broken(NAME, "its values are out of order"));
            }
            weight = weight.saturating_add((values.len() as u64).saturating_mul(1 << level));
            if let Some(slot) = sketch.levels.get_mut(level) {
                *slot = values;
            }
        }
        if weight != count || !reader.rest().is_empty() {
            return Err(broken(NAME, "its weights are not its count"));
        }
        sketch.count = count;
        sketch.raise();
        Ok(sketch)
    }
}

fn level_capacity(k: u16, level_count: usize, level: usize) -> usize {
    let depth = level_count.saturating_sub(level + 1).min(60);
    capacity_at_depth(u64::from(k), depth).max(LEVEL_CAPACITY_MIN as u64) as usize
}

/// `k × (2/3)^depth`, rounded as DataSketches does: past depth 30 in two steps.
const fn capacity_at_depth(k: u64, depth: usize) -> u64 {
    if depth > 30 {
        let half = depth / 2;
        return capacity_at_depth(capacity_at_depth(k, half), depth - half);
    }
    (((k << (depth + 1)) / 3_u64.pow(depth as u32)) + 1) >> 1
}

/// Two sorted lists as one.
fn merged(left: &[f64], right: &[f64]) -> Vec<f64> {
    let mut all = Vec::with_capacity(left.len() + right.len());
    let mut right = right.iter().copied().peekable();
    for value in left {
        while let Some(other) = right.next_if(|other| other < value) {
            all.push(other);
        }
        all.push(*value);
    }
    all.extend(right);
    all
}

/// A distribution, sorted.
#[derive(Debug, Clone)]
pub struct Ranks {
    cumulative: Vec<(f64, u64)>,
    total: u64,
    minimum: f64,
    maximum: f64,
}

impl Ranks {
    /// The value below or at which this share of all lie.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Option<f64> {
        let (last, _) = self.cumulative.last()?;
        if share <= 0.0 {
            return Some(self.minimum);
        }
        if share >= 1.0 {
            return Some(self.maximum);
        }
        let wanted = share * self.total as f64;
        let at = self.cumulative.partition_point(|(_, rank)| (*rank as f64) < wanted);
        Some(self.cumulative.get(at).map_or(*last, |(value, _)| *value))
    }

    /// The share of values that are `value` or less.
    #[must_use]
    pub fn rank(&self, value: f64) -> f64 {
        self.share_of(self.cumulative.partition_point(|(held, _)| *held <= value))
    }

    /// The share of values that are less than `value`.
    #[must_use]
    pub fn rank_below(&self, value: f64) -> f64 {
        self.share_of(self.cumulative.partition_point(|(held, _)| *held < value))
    }

    fn share_of(&self, position: usize) -> f64 {
        let before = position.checked_sub(1).and_then(|at| self.cumulative.get(at));
        before.map_or(0.0, |(_, rank)| *rank as f64 / self.total as f64)
    }

    /// The values that are known by themselves.
    pub fn values(&self) -> impl Iterator<Item = f64> + '_ {
        self.cumulative.iter().map(|(value, _)| *value)
    }
}

impl From<Quantiles> for String {
    fn from(sketch: Quantiles) -> Self {
        to_text(&sketch.to_bytes())
    }
}

impl TryFrom<String> for Quantiles {
    type Error = ProfileError;

    fn try_from(text: String) -> Result<Self, ProfileError> {
        Self::from_bytes(&from_text(NAME, &text)?)
    }
}

#[cfg(test)]
#[path = "quantiles_tests.rs"]
mod tests;
