//! Which values come most often. Up to [`SketchSizes::exact_value_count`] distinct values are counted exactly; beyond that,
//! Misra-Gries counters (Misra and Gries 1982) in sets of four, so that a value costs one cache line. A counter
//! never says too much, and at most its set's `lost` too little.
//!
//! When exact counting ends, a [`Sample`] of the hashes begins with the exact counts, so that it is as if it had been
//! there from the start; it tells whether values repeat.

use serde::{Deserialize, Serialize};

use super::sample::Sample;
use crate::error::{ProfileError, broken};
use crate::limits::{COUNTER_COUNT, EXACT_VALUE_COUNT_MAX, SketchSizes};
use crate::value::Value;

const NAME: &str = "frequent values";
const SET_SIZE: usize = 4;
const TABLE_SIZE_MIN: usize = 16;
/// Counters that a report keeps; what is dropped is added to `lost`.
const STORED_COUNT_MAX: usize = EXACT_VALUE_COUNT_MAX;

/// One counted value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Counted<'a> {
    /// The hash of the whole value.
    pub hash: u64,
    /// The value, cut if it is long.
    pub value: &'a Value,
    /// How often it came, at least.
    pub count: u64,
    /// How often it came, at most.
    pub count_max: u64,
}

/// Counts values.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(into = "Stored", try_from = "Stored")]
pub struct Frequent {
    exact_max: usize,
    counter_count: usize,
    sample_count: usize,
    /// Slots: an open-addressed table while exact, sets of four afterwards. A slot without a count is empty.
    hashes: Vec<u64>,
    counts: Vec<u64>,
    values: Vec<Value>,
    used: usize,
    /// What each set has lost; none while exact.
    lost: Vec<u64>,
    repeats: Option<Sample>,
}

impl Frequent {
    /// Of these sizes.
    #[must_use]
    pub fn new(sizes: SketchSizes) -> Self {
        let mut own = Self {
            exact_max: sizes.exact_value_count,
            counter_count: sizes.counter_count.next_multiple_of(SET_SIZE).next_power_of_two(),
            sample_count: sizes.sample_count,
            hashes: Vec::new(),
            counts: Vec::new(),
            values: Vec::new(),
            used: 0,
            lost: Vec::new(),
            repeats: None,
        };
        own.resize(TABLE_SIZE_MIN);
        own
    }

    /// Whether every count is exact and no value is missing.
    #[must_use]
    pub const fn is_exact(&self) -> bool {
        self.repeats.is_none()
    }

    /// The sample that tells unique from repeated, once there are too many values to count exactly.
    #[must_use]
    pub const fn repeats(&self) -> Option<&Sample> {
        self.repeats.as_ref()
    }

    /// Counts hashes in; `write` puts the value at an index into a slot.
    #[inline]
    pub fn extend(&mut self, hashes: &[u64], write: impl Fn(usize, &mut Value)) {
        let mut at = 0;
        while self.is_exact()
            && let Some(hash) = hashes.get(at)
        {
            self.add(*hash, 1, |value| write(at, value));
            at += 1;
        }
        let rest = hashes.get(at..).unwrap_or_default();
        if let Some(repeats) = &mut self.repeats {
            repeats.extend(rest);
        }
        for (later, hash) in rest.iter().enumerate() {
            self.add_to_set(*hash, 1, |value| write(at + later, value));
        }
    }

    /// Counts a hash in that came `count` times.
    #[inline]
    pub fn add(&mut self, hash: u64, count: u64, write: impl FnOnce(&mut Value)) {
        if count == 0 {
            return;
        }
        if let Some(repeats) = &mut self.repeats {
            repeats.add(hash, count);
            self.add_to_set(hash, count, write);
            return;
        }
        self.add_exactly(hash, count, write);
        if self.used > self.exact_max {
            self.end_exact();
        } else if 2 * self.used > self.hashes.len() {
            self.resize(2 * self.hashes.len());
        }
    }

    #[inline]
    fn add_exactly(&mut self, hash: u64, count: u64, write: impl FnOnce(&mut Value)) {
        let mask = self.hashes.len() - 1;
        let mut at = (hash >> 20) as usize & mask;
        // At most half of the slots are used, so this ends.
        while let (Some(held), Some(held_count)) = (self.hashes.get_mut(at), self.counts.get_mut(at)) {
            if *held_count == 0 {
                (*held, *held_count) = (hash, count);
                self.used += 1;
                if let Some(value) = self.values.get_mut(at) {
                    write(value);
                }
                return;
            }
            if *held == hash {
                *held_count += count;
                return;
            }
            at = (at + 1) & mask;
        }
    }

    fn resize(&mut self, size: usize) {
        let hashes = std::mem::replace(&mut self.hashes, vec![0; size]);
        let counts = std::mem::replace(&mut self.counts, vec![0; size]);
        let values = std::mem::replace(&mut self.values, vec![Value::Masked; size]);
        self.used = 0;
        for ((hash, count), value) in hashes.into_iter().zip(counts).zip(values) {
            if count > 0 {
                self.add_exactly(hash, count, |slot| *slot = value);
            }
        }
    }

    fn end_exact(&mut self) {
        let hashes = std::mem::replace(&mut self.hashes, vec![0; self.counter_count]);
        let counts = std::mem::replace(&mut self.counts, vec![0; self.counter_count]);
        let values = std::mem::replace(&mut self.values, vec![Value::Masked; self.counter_count]);
        self.lost = vec![0; self.counter_count / SET_SIZE];
        let mut repeats = Sample::new(self.sample_count);
        for ((hash, count), value) in hashes.into_iter().zip(counts).zip(values) {
            if count > 0 {
                repeats.add(hash, count);
                self.add_to_set(hash, count, |slot| *slot = value);
            }
        }
        self.repeats = Some(repeats);
    }

    #[inline]
    fn add_to_set(&mut self, hash: u64, mut count: u64, write: impl FnOnce(&mut Value)) {
        let set = (hash >> 20) as usize & (self.lost.len() - 1);
        let range = set * SET_SIZE..(set + 1) * SET_SIZE;
        let (Some(hashes), Some(counts)) = (self.hashes.get_mut(range.clone()), self.counts.get_mut(range.clone())) else {
            return;
        };
        let mut least = u64::MAX;
        for (held, held_count) in hashes.iter().zip(counts.iter_mut()) {
            if *held == hash && *held_count > 0 {
                *held_count += count;
                return;
            }
            least = least.min(*held_count);
        }
        let taken = least.min(count);
        if taken > 0 {
            counts.iter_mut().for_each(|held| *held -= taken);
            count -= taken;
            if let Some(lost) = self.lost.get_mut(set) {
                *lost += taken;
            }
        }
        if count == 0 {
            return;
        }
        let free = counts.iter().position(|held| *held == 0).unwrap_or(0);
        if let (Some(held), Some(held_count)) = (hashes.get_mut(free), counts.get_mut(free)) {
            (*held, *held_count) = (hash, count);
        }
        if let Some(value) = self.values.get_mut(range.start + free) {
            write(value);
        }
    }

    /// Joins what the other has seen.
    pub fn merge(&mut self, other: &Self) {
        if let Some(theirs) = &other.repeats {
            if self.is_exact() {
                self.end_exact();
            }
            let lost_most = other.lost.iter().copied().max().unwrap_or(0);
            let same_sets = self.lost.len() == other.lost.len();
            let lost = other.lost.iter().copied().chain(std::iter::repeat(0));
            for (own, their) in self.lost.iter_mut().zip(lost) {
                *own += if same_sets { their } else { lost_most };
            }
            if let Some(repeats) = &mut self.repeats {
                repeats.merge(theirs);
            }
        }
        for ((hash, count), value) in other.hashes.iter().zip(&other.counts).zip(&other.values) {
            if *count == 0 {
                continue;
            }
            if other.is_exact() {
                self.add(*hash, *count, |slot| slot.clone_from(value));
            } else {
                self.add_to_set(*hash, *count, |slot| slot.clone_from(value));
            }
        }
    }

    /// All counted values, the most frequent first. Once counting is a sketch, only those that surely are more frequent than
    /// what was lost.
    #[must_use]
    pub fn values(&self) -> Vec<Counted<'_>> {
        let slots = self.hashes.iter().zip(&self.counts).zip(&self.values).enumerate();
        let mut all: Vec<Counted<'_>> = slots
            .filter_map(|(at, ((hash, count), value))| {
                let lost = self.lost.get(at / SET_SIZE).copied().unwrap_or(0);
                (*count > lost).then_some(Counted { hash: *hash, value, count: *count, count_max: count + lost })
            })
            .collect();
        all.sort_unstable_by(|left, right| right.count.cmp(&left.count).then(left.hash.cmp(&right.hash)));
        all
    }

    /// Takes the values out and leaves their hashes and counts.
    pub fn mask(&mut self) {
        self.values.iter_mut().for_each(|value| *value = Value::Masked);
    }
}

/// What is written: a value, its count and its hash in hexadecimal.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Stored {
    sizes: [usize; 3],
    lost: u64,
    values: Vec<(Value, u64, String)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    repeats: Option<Sample>,
}

impl From<Frequent> for Stored {
    fn from(own: Frequent) -> Self {
        let lost = own.lost.iter().copied().max().unwrap_or(0);
        let mut values = own.values();
        values.retain(|counted| counted.count > lost);
        let dropped = values.get(STORED_COUNT_MAX).map_or(0, |counted| counted.count_max);
        let lost = lost.max(dropped);
        let values = values
            .into_iter()
            .take(STORED_COUNT_MAX)
            .map(|counted| (counted.value.clone(), counted.count, format!("{:016x}", counted.hash)))
            .collect();
        Self { sizes: [own.exact_max, own.counter_count, own.sample_count], lost, values, repeats: own.repeats }
    }
}

impl TryFrom<Stored> for Frequent {
    type Error = ProfileError;

    fn try_from(stored: Stored) -> Result<Self, ProfileError> {
        let [exact_value_count, counter_count, sample_count] = stored.sizes;
        if exact_value_count > EXACT_VALUE_COUNT_MAX
            || !(SET_SIZE..=COUNTER_COUNT).contains(&counter_count)
            || sample_count > COUNTER_COUNT
            || stored.values.len() > STORED_COUNT_MAX
        {
            return Err(broken(NAME, "its sizes are not ours"));
        }
        let sizes = SketchSizes { exact_value_count, counter_count, sample_count, ..SketchSizes::for_columns(1) };
        let mut own = Self::new(sizes);
        if stored.repeats.is_some() {
            own.end_exact();
        }
        for (value, count, hash) in stored.values {
            let hash = u64::from_str_radix(&hash, 16).map_err(|_| broken(NAME, "a hash is not hexadecimal"))?;
            if own.is_exact() {
                own.add(hash, count, |slot| *slot = value);
            } else {
                own.add_to_set(hash, count, |slot| *slot = value);
            }
        }
        for lost in &mut own.lost {
            *lost = (*lost).max(stored.lost);
        }
        if stored.repeats.is_some() {
            own.repeats = stored.repeats;
        } else if !own.is_exact() {
            return Err(broken(NAME, "it holds more values than it can count"));
        }
        Ok(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::of_integer;

    fn of(values: impl Iterator<Item = i64>) -> Frequent {
        let mut frequent = Frequent::new(SketchSizes::for_columns(1));
        let values: Vec<i64> = values.collect();
        for part in values.chunks(777) {
            let hashes: Vec<u64> = part.iter().map(|value| of_integer(0, *value)).collect();
            frequent.extend(&hashes, |at, slot| *slot = Value::Integer(part[at]));
        }
        frequent
    }

    fn counts(frequent: &Frequent) -> Vec<(Value, u64, u64)> {
        frequent.values().iter().map(|counted| (counted.value.clone(), counted.count, counted.count_max)).collect()
    }

    #[test]
    fn few_values_are_counted_exactly_in_any_partition() {
        let values = || (0..100_000_i64).map(|at| at * at % 499);
        let whole = of(values());
        assert!(whole.is_exact());
        let mut merged = of(values().take(33_333));
        merged.merge(&of(values().skip(33_333)));
        assert_eq!(counts(&merged), counts(&whole));
        assert_eq!(whole.values().iter().map(|counted| counted.count).sum::<u64>(), 100_000);
    }

    /// Three values that are 5 %, 2 % and 1 % of 200,000, among others that come once.
    fn skewed(from: i64) -> impl Iterator<Item = i64> {
        (from..from + 200_000).map(|at| match at % 100 {
            0..5 => -1,
            5..7 => -2,
            7 => -3,
            _ => at,
        })
    }

    #[track_caller]
    fn check_skewed(frequent: &Frequent, scale: u64) {
        assert!(!frequent.is_exact());
        let top = counts(frequent);
        for ((value, count, count_max), (wanted, true_count)) in top.iter().zip([(-1, 10_000), (-2, 4_000), (-3, 2_000)]) {
            assert_eq!(*value, Value::Integer(wanted));
            let true_count = true_count * scale;
            assert!(*count <= true_count && true_count <= *count_max, "{count}..={count_max} of {true_count}");
            assert!(count_max - count < 500 * scale, "{count}..={count_max}");
        }
    }

    #[test]
    fn frequent_values_among_many_are_found_with_their_bounds() {
        check_skewed(&of(skewed(0)), 1);
        let mut merged = of(skewed(0));
        merged.merge(&of(skewed(200_000)));
        check_skewed(&merged, 2);
        let mut from_exact = of(std::iter::empty());
        from_exact.merge(&of(skewed(0)));
        check_skewed(&from_exact, 1);
    }

    #[test]
    fn uniqueness_is_known_after_exact_counting_has_ended() {
        assert_eq!(of(0..50_000).repeats().map(Sample::repeated_share), Some(0.0));
        let mut twice = of(0..50_000);
        twice.merge(&of(0..50_000));
        assert_eq!(twice.repeats().map(Sample::repeated_share), Some(0.5));
    }

    #[test]
    fn it_survives_its_text() {
        for frequent in [of(0..100), of(skewed(0))] {
            let text = serde_json::to_string(&frequent).unwrap();
            let back: Frequent = serde_json::from_str(&text).unwrap();
            assert_eq!(back.is_exact(), frequent.is_exact());
            let (own, read) = (counts(&frequent), counts(&back));
            for (own, read) in own.iter().zip(&read) {
                assert_eq!(own.0, read.0);
                assert!(own.1 == read.1 && own.2 <= read.2);
            }
            assert!(text.len() < 40_000, "{}", text.len());
        }
        let mut masked = of(0..100);
        masked.mask();
        assert!(serde_json::to_string(&masked).unwrap().contains("[null,1,"));
    }

    #[test]
    fn broken_texts_are_refused() {
        for text in [
            r#"{"sizes":[512,1024,256],"lost":0,"values":[[1,2,"xyz"]]}"#,
            r#"{"sizes":[512,99999999,256],"lost":0,"values":[]}"#,
            r#"{"sizes":[1,4,256],"lost":0,"values":[[1,1,"1"],[2,1,"2"]]}"#,
        ] {
            assert!(serde_json::from_str::<Frequent>(text).is_err(), "{text}");
        }
    }
}
