//! Sets of keys in bounded memory: a table of 128-bit hashes that turns itself into a sample when it grows too large.
//!
//! A sample holds the keys whose hash ends in so many zero bits: each key is either wholly in it or not at all, so that
//! whatever is found in the sample is certain, and only "found nothing" is not.

use crate::UNIQUE_KEYS_MAX;

const SHARD_COUNT: usize = 256;
const SHARD_BITS: u32 = 120;
const SLOTS_MIN: usize = 16;
/// A row number that is not known, or too large to note down.
const ROW_UNKNOWN: u32 = 0x7fff_ffff;
/// The key occurred more than once.
const REPEATED: u32 = 0x8000_0000;

/// What was known of a key that is added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing.
    New,
    /// It occurred.
    Known,
    /// It is outside of the sample.
    Skipped,
}

/// Keys, the first row of each, and whether it was repeated.
#[derive(Clone, Debug)]
pub(crate) struct KeyTable {
    shards: Vec<Shard>,
    len: usize,
    repeated: u64,
    sample_bits: u32,
    len_max: usize,
}

#[derive(Clone, Debug, Default)]
struct Shard {
    keys: Vec<u128>,
    rows: Vec<u32>,
    used: usize,
}

/// Where a key is, or would be.
enum Place {
    At(usize),
    Free(usize),
}

impl KeyTable {
    pub(crate) fn new() -> Self {
        Self::with_limit(UNIQUE_KEYS_MAX)
    }

    pub(crate) fn with_limit(len_max: usize) -> Self {
        Self { shards: vec![Shard::default(); SHARD_COUNT], len: 0, repeated: 0, sample_bits: 0, len_max }
    }

    /// Distinct keys in the table.
    pub(crate) const fn len(&self) -> usize {
        self.len
    }

    /// Keys that occurred more than once.
    pub(crate) const fn repeated(&self) -> u64 {
        self.repeated
    }

    /// Of how many keys the table holds one.
    pub(crate) const fn scale(&self) -> u64 {
        1 << self.sample_bits
    }

    const fn in_sample(&self, hash: u128) -> bool {
        ((hash >> 64) as u64).trailing_zeros() >= self.sample_bits
    }

    /// Adds a key that stands in a row.
    pub(crate) fn add(&mut self, hash: u128, row: Option<u64>) -> Before {
        let row = row.and_then(|row| u32::try_from(row).ok()).filter(|row| *row < ROW_UNKNOWN).unwrap_or(ROW_UNKNOWN);
        self.put(hash, row).0
    }

    /// Whether the key is in the table; `None` if it is outside of the sample.
    pub(crate) fn contains(&self, hash: u128) -> Option<bool> {
        if !self.in_sample(hash) {
            return None;
        }
        let shard = self.shards.get(shard_of(hash))?;
        Some(!shard.keys.is_empty() && matches!(shard.place(hash), Place::At(_)))
    }

    /// Adds all of another table. `seen` is told the later row of each key that was in both.
    pub(crate) fn merge(&mut self, other: Self, mut seen: impl FnMut(Option<u64>)) {
        while self.sample_bits < other.sample_bits {
            self.halve();
        }
        for shard in other.shards {
            for (hash, row) in shard.keys.into_iter().zip(shard.rows).filter(|(hash, _)| *hash != 0) {
                let (before, later) = self.put(hash, row);
                // A key that was repeated in one part has shown its row there.
                if before == Before::Known && row & REPEATED == 0 && later != ROW_UNKNOWN {
                    seen(Some(u64::from(later)));
                }
            }
        }
    }

    /// Adds a key; gives what was before and the later one of its two rows.
    fn put(&mut self, hash: u128, row: u32) -> (Before, u32) {
        if !self.in_sample(hash) {
            return (Before::Skipped, row);
        }
        let Some(shard) = self.shards.get_mut(shard_of(hash)) else { return (Before::Skipped, row) };
        shard.grow();
        match shard.place(hash) {
            Place::At(slot) => {
                let Some(known) = shard.rows.get_mut(slot) else { return (Before::Skipped, row) };
                self.repeated += u64::from(*known & REPEATED == 0);
                let (first, later) = sorted(*known & !REPEATED, row & !REPEATED);
                *known = first | REPEATED;
                (Before::Known, later)
            }
            Place::Free(slot) => {
                if let (Some(key), Some(at)) = (shard.keys.get_mut(slot), shard.rows.get_mut(slot)) {
                    (*key, *at) = (hash, row);
                    shard.used += 1;
                    self.len += 1;
                    self.repeated += u64::from(row & REPEATED != 0);
                }
                if self.len > self.len_max {
                    self.halve();
                }
                (Before::New, row)
            }
        }
    }

    /// Keeps every second key.
    fn halve(&mut self) {
        self.sample_bits += 1;
        let bits = self.sample_bits;
        (self.len, self.repeated) = (0, 0);
        for shard in &mut self.shards {
            let old = std::mem::take(shard);
            for (hash, row) in old.keys.into_iter().zip(old.rows) {
                if hash != 0 && ((hash >> 64) as u64).trailing_zeros() >= bits {
                    shard.insert_new(hash, row);
                    self.len += 1;
                    self.repeated += u64::from(row & REPEATED != 0);
                }
            }
        }
    }
}

const fn sorted(left: u32, right: u32) -> (u32, u32) {
    if left <= right { (left, right) } else { (right, left) }
}

const fn shard_of(hash: u128) -> usize {
    (hash >> SHARD_BITS) as usize
}

impl Shard {
    /// INVARIANT: the number of slots is a power of two, and at least one slot in eight is free, so the search ends.
    /// Held by `grow`, which every insertion calls first.
    fn place(&self, hash: u128) -> Place {
        let mask = self.keys.len().wrapping_sub(1);
        let mut slot = hash as usize & mask;
        while let Some(key) = self.keys.get(slot) {
            if *key == hash {
                return Place::At(slot);
            }
            if *key == 0 {
                break;
            }
            slot = (slot + 1) & mask;
        }
        Place::Free(slot)
    }

    fn grow(&mut self) {
        if self.used < self.keys.len() / 8 * 7 {
            return;
        }
        let slots = (self.keys.len() * 2).max(SLOTS_MIN);
        let (keys, rows) = (std::mem::replace(&mut self.keys, vec![0; slots]), std::mem::replace(&mut self.rows, vec![0; slots]));
        for (hash, row) in keys.into_iter().zip(rows).filter(|(hash, _)| *hash != 0) {
            self.set(hash, row);
        }
    }

    fn insert_new(&mut self, hash: u128, row: u32) {
        self.grow();
        self.set(hash, row);
        self.used += 1;
    }

    fn set(&mut self, hash: u128, row: u32) {
        if let Place::Free(slot) = self.place(hash)
            && let (Some(key), Some(at)) = (self.keys.get_mut(slot), self.rows.get_mut(slot))
        {
            (*key, *at) = (hash, row);
        }
    }
}

/// Whole numbers that occurred, and those that occurred again: bitmaps over the stretches that are in use. Ids that count up
/// need a bit or two each.
#[derive(Clone, Debug, Default)]
pub(crate) struct NumberSet {
    places: std::collections::HashMap<i64, usize>,
    stretches: Vec<Stretch>,
    last: Option<(i64, usize)>,
    pub(crate) len: u64,
    pub(crate) repeated: u64,
}

const STRETCH_BITS: u32 = 12;
const STRETCH_WORDS: usize = 64;
/// Stretches that are kept however thinly they are used.
const STRETCH_COUNT_FREE: usize = 4_096;
/// Numbers for each stretch below which a table of hashes is smaller.
const STRETCH_LEN_MIN: u64 = 32;

#[derive(Clone, Debug)]
struct Stretch {
    seen: Box<[u64; STRETCH_WORDS]>,
    again: Option<Box<[u64; STRETCH_WORDS]>>,
}

impl NumberSet {
    /// Adds a number; says whether it was there.
    pub(crate) fn add(&mut self, value: i64) -> bool {
        let stretch = value >> STRETCH_BITS;
        let at = match self.last {
            Some((known, at)) if known == stretch => at,
            _ => self.stretch(stretch),
        };
        let bit = (value & ((1 << STRETCH_BITS) - 1)) as usize;
        let Some(stretch) = self.stretches.get_mut(at) else { return false };
        let Some(word) = stretch.seen.get_mut(bit / 64) else { return false };
        let mark = 1_u64 << (bit % 64);
        if *word & mark == 0 {
            *word |= mark;
            self.len += 1;
            return false;
        }
        let again = stretch.again.get_or_insert_with(|| Box::new([0; STRETCH_WORDS]));
        if let Some(word) = again.get_mut(bit / 64) {
            self.repeated += u64::from(*word & mark == 0);
            *word |= mark;
        }
        true
    }

    fn stretch(&mut self, stretch: i64) -> usize {
        let next = self.stretches.len();
        let at = *self.places.entry(stretch).or_insert(next);
        if at == next {
            self.stretches.push(Stretch { seen: Box::new([0; STRETCH_WORDS]), again: None });
        }
        self.last = Some((stretch, at));
        at
    }

    /// Whether the numbers lie so far apart that a table of hashes is smaller.
    pub(crate) fn is_sparse(&self) -> bool {
        let count = self.stretches.len();
        count > STRETCH_COUNT_FREE && self.len < count as u64 * STRETCH_LEN_MIN
    }

    /// Every number, and whether it was repeated.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = (i64, bool)> + '_ {
        self.places.iter().flat_map(|(stretch, at)| {
            let base = stretch << STRETCH_BITS;
            self.stretches.get(*at).into_iter().flat_map(move |found| {
                (0..STRETCH_WORDS * 64).filter_map(move |bit| {
                    let mark = 1_u64 << (bit % 64);
                    let seen = found.seen.get(bit / 64).is_some_and(|word| word & mark != 0);
                    let again = found.again.as_ref().and_then(|again| again.get(bit / 64)).is_some_and(|word| word & mark != 0);
                    seen.then_some((base + i64::try_from(bit).unwrap_or(0), again))
                })
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;
    use crate::check::hash::Seed;

    /// Numbers with repetitions, from a seed.
    fn numbers(count: usize, below: u64) -> Vec<i64> {
        let mut state = 11_u64;
        let mut next = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            i64::try_from((state >> 33) % below).unwrap()
        };
        (0..count).map(|_| next()).collect()
    }

    fn truth(values: &[i64]) -> (usize, u64) {
        let mut counts = HashMap::new();
        for value in values {
            *counts.entry(value).or_insert(0) += 1;
        }
        (counts.len(), counts.values().filter(|count| **count > 1).count() as u64)
    }

    fn table(values: &[i64], first_row: u64, limit: usize) -> KeyTable {
        let mut table = KeyTable::with_limit(limit);
        for (row, value) in (first_row..).zip(values) {
            table.add(Seed::new(3).whole((*value).into()), Some(row));
        }
        table
    }

    #[test]
    fn counts_are_exact() {
        let values = numbers(50_000, 40_000);
        let table = table(&values, 0, UNIQUE_KEYS_MAX);
        assert_eq!((table.len(), table.repeated()), truth(&values));
        let mut set = NumberSet::default();
        for value in &values {
            set.add(*value);
        }
        let (len, repeated) = truth(&values);
        assert_eq!((set.len, set.repeated), (len as u64, repeated));
        assert_eq!(set.numbers().count(), len);
        assert_eq!(set.numbers().filter(|(_, again)| *again).count() as u64, repeated);
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let values = numbers(20_000, 15_000);
        let (left, right) = values.split_at(7_000);
        let mut merged = table(left, 0, UNIQUE_KEYS_MAX);
        let mut rows = Vec::new();
        merged.merge(table(right, 7_000, UNIQUE_KEYS_MAX), |row| rows.push(row));
        assert_eq!((merged.len(), merged.repeated()), truth(&values));
        assert!(rows.iter().flatten().all(|row| *row >= 7_000));
    }

    #[test]
    fn a_full_table_becomes_a_sample() {
        let values = numbers(100_000, 60_000);
        let table = table(&values, 0, 5_000);
        assert!(table.scale() > 1 && table.len() <= 5_000);
        let (len, repeated) = truth(&values);
        let near = |estimate: u64, truth: u64| estimate.abs_diff(truth) < truth / 8;
        assert!(near(table.len() as u64 * table.scale(), len as u64));
        assert!(near(table.repeated() * table.scale(), repeated));
        assert_eq!(
            values.iter().filter_map(|value| table.contains(Seed::new(3).whole((*value).into()))).find(|there| !there),
            None
        );
    }

    #[test]
    fn numbers_far_apart_are_sparse() {
        let mut set = NumberSet::default();
        for at in 0..10_000_i64 {
            set.add(at << 40);
        }
        assert!(set.is_sparse());
        let mut set = NumberSet::default();
        for at in 0..1_000_000_i64 {
            assert!(!set.add(at - 500_000));
        }
        assert!(!set.is_sparse() && set.add(0));
        assert!(!set.add(i64::MIN) && !set.add(i64::MAX) && set.add(i64::MIN));
    }
}
