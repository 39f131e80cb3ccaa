//! Which values come once and which again: all hashes below a bound, with exact counts (adaptive distinct sampling, Gibbons,
//! VLDB 2001). The bound falls as hashes come, so that no more than twice the wanted number is held. A hash below
//! the bound has been counted from its first coming on, in any partition.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use serde::{Deserialize, Serialize};

use super::{Reader, from_text, to_text};
use crate::error::{ProfileError, broken};

const NAME: &str = "sample";
const SAMPLE_COUNT_MAX: u32 = 1 << 20;

/// Hashes are even already.
#[derive(Debug, Clone, Copy, Default)]
pub struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0 = bytes.iter().fold(self.0, |word, byte| word.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, word: u64) {
        // The sample holds low hashes, whose high bits are zeros: a table needs all bits even.
        self.0 = word.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    }
}

/// A sample of distinct hashes with their exact counts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(into = "String", try_from = "String")]
pub struct Sample {
    wanted: usize,
    /// Hashes below this are in the sample.
    bound: u64,
    counts: HashMap<u64, u64, BuildHasherDefault<AsIs>>,
}

impl Sample {
    /// Of about so many hashes.
    #[must_use]
    pub fn new(wanted: usize) -> Self {
        Self { wanted: wanted.max(1), bound: u64::MAX, counts: HashMap::default() }
    }

    /// Counts hashes in.
    #[inline]
    pub fn extend(&mut self, hashes: &[u64]) {
        for hash in hashes {
            if *hash < self.bound {
                self.add(*hash, 1);
            }
        }
    }

    /// Counts a hash in that came `count` times.
    pub fn add(&mut self, hash: u64, count: u64) {
        if hash >= self.bound {
            return;
        }
        *self.counts.entry(hash).or_insert(0) += count;
        if self.counts.len() > 2 * self.wanted {
            self.thin();
        }
    }

    fn thin(&mut self) {
        let mut hashes: Vec<u64> = self.counts.keys().copied().collect();
        let (_, bound, _) = hashes.select_nth_unstable(self.wanted);
        self.bound = *bound;
        let bound = self.bound;
        self.counts.retain(|hash, _| *hash < bound);
    }

    /// Joins what the other has seen.
    pub fn merge(&mut self, other: &Self) {
        self.wanted = self.wanted.min(other.wanted);
        self.bound = self.bound.min(other.bound);
        let bound = self.bound;
        self.counts.retain(|hash, _| *hash < bound);
        for (hash, count) in &other.counts {
            self.add(*hash, *count);
        }
        if self.counts.len() > 2 * self.wanted {
            self.thin();
        }
    }

    /// Of how many the sample counts: distinct hashes, and all comings of them.
    #[must_use]
    pub fn sizes(&self) -> (u64, u64) {
        (self.counts.len() as u64, self.counts.values().sum())
    }

    /// The share of comings that repeat an earlier one.
    #[must_use]
    pub fn repeated_share(&self) -> f64 {
        let (distinct, all) = self.sizes();
        if all == 0 { 0.0 } else { 1.0 - distinct as f64 / all as f64 }
    }

    /// Whether every hash that came is in the sample, so that its counts are exact.
    #[must_use]
    pub const fn is_whole(&self) -> bool {
        self.bound == u64::MAX
    }

    /// The share of this one's distinct values that the other has too, over the hashes that both would hold.
    #[must_use]
    pub fn shared_with(&self, other: &Self) -> f64 {
        let bound = self.bound.min(other.bound);
        let comparable = self.counts.keys().filter(|hash| **hash < bound);
        let (shared, all) =
            comparable.fold((0_u64, 0_u64), |(shared, all), hash| (shared + u64::from(other.counts.contains_key(hash)), all + 1));
        if all == 0 { 0.0 } else { shared as f64 / all as f64 }
    }

    /// The sorted hashes, then the place and the count of each that came more than once.
    fn to_bytes(&self) -> Vec<u8> {
        let mut entries: Vec<(u64, u64)> = self.counts.iter().map(|(hash, count)| (*hash, *count)).collect();
        entries.sort_unstable();
        let mut bytes = Vec::with_capacity(16 + 8 * entries.len());
        bytes.extend((self.wanted as u32).to_le_bytes());
        bytes.extend((entries.len() as u32).to_le_bytes());
        bytes.extend(self.bound.to_le_bytes());
        for (hash, _) in &entries {
            bytes.extend(hash.to_le_bytes());
        }
        for (at, (_, count)) in entries.iter().enumerate().filter(|(_, (_, count))| *count != 1) {
            bytes.extend((at as u32).to_le_bytes());
            bytes.extend(count.to_le_bytes());
        }
        bytes
    }

    fn from_bytes(bytes: &[u8]) -> Result<Self, ProfileError> {
        let mut reader = Reader::new(NAME, bytes);
        let (wanted, held, bound) = (reader.int()?, reader.int()?, reader.long()?);
        if wanted == 0 || wanted > SAMPLE_COUNT_MAX || u64::from(held) > 2 * u64::from(wanted) {
            return Err(broken(NAME, format!("it holds {held} of {wanted}")));
        }
        let hashes = (0..held).map(|_| reader.long()).collect::<Result<Vec<u64>, _>>()?;
        let in_order = hashes.windows(2).all(|pair| pair.first() < pair.last());
        if !in_order || hashes.last().is_some_and(|last| *last >= bound) {
            return Err(broken(NAME, "a hash is out of place"));
        }
        let mut sample = Self { wanted: wanted as usize, bound, counts: HashMap::default() };
        sample.counts.extend(hashes.iter().map(|hash| (*hash, 1)));
        while !reader.rest().is_empty() {
            let (at, count) = (reader.int()?, reader.long()?);
            let hash = hashes.get(at as usize).ok_or_else(|| broken(NAME, "a count has no hash"))?;
            sample.counts.insert(*hash, count);
        }
        Ok(sample)
    }
}

impl From<Sample> for String {
    fn from(sample: Sample) -> Self {
        to_text(&sample.to_bytes())
    }
}

impl TryFrom<String> for Sample {
    type Error = ProfileError;

    fn try_from(text: String) -> Result<Self, ProfileError> {
        Self::from_bytes(&from_text(NAME, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hash::of_integer;

    fn of(values: impl Iterator<Item = i64>) -> Sample {
        let mut sample = Sample::new(500);
        values.for_each(|value| sample.extend(&[of_integer(1, value)]));
        sample
    }

    #[test]
    fn unique_values_have_no_repeats_and_repeated_ones_are_estimated() {
        assert!((of(0..100_000).repeated_share() - 0.0).abs() < f64::EPSILON);
        // One in ten comes twice: 10,000 of 110,000 comings repeat.
        let share = of((0..100_000).chain(0..10_000)).repeated_share();
        assert!((share - 1.0 / 11.0).abs() < 0.04, "{share}");
        assert!(of(0..400).is_whole() && !of(0..5_000).is_whole());
    }

    #[test]
    fn parts_merge_to_a_sample_of_the_whole() {
        let mut merged = of(0..30_000);
        merged.merge(&of(20_000..50_000));
        let whole = of((0..30_000).chain(20_000..50_000));
        assert!((merged.repeated_share() - whole.repeated_share()).abs() < 0.05);
        let (distinct, all) = merged.sizes();
        assert!(distinct <= 1_000 && all >= distinct);
        for (hash, count) in &merged.counts {
            if *hash < whole.bound {
                assert_eq!(whole.counts.get(hash), Some(count));
            }
        }
    }

    #[test]
    fn what_two_tables_share_is_seen() {
        let shared = of(0..50_000).shared_with(&of(45_000..90_000));
        assert!((shared - 0.1).abs() < 0.05, "{shared}");
    }

    #[test]
    fn it_survives_its_text_and_broken_ones_are_refused() {
        let sample = of(0..5_000);
        let text = String::from(sample.clone());
        assert_eq!(Sample::try_from(text.clone()).unwrap(), sample);
        let bytes = sample.to_bytes();
        for length in [0, 7, 16, bytes.len() - 1] {
            assert!(length < bytes.len());
            assert!(Sample::from_bytes(&bytes[..length]).is_err());
        }
    }
}
