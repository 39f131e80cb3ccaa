//! Texts that are nearly copies of each other: what floods a data set with one text changed a little each time.
//!
//! Sources: Broder 1997 (resemblance of sets of shingles, estimated by least hashes); Indyk and Motwani 1998 (bands of them
//! as keys). Shingles are the words and the pairs of words of [`crate::TextReader`]. What shares a key is compared exactly,
//! so a key that rows share by chance, or by design of whoever brought them, makes nothing a copy.

use rayon::prelude::*;

use crate::PoisonError;
use crate::at::{at, put};
use crate::random::{Random, mix};
use crate::table::Tokens;
use crate::watch::Watch;
use crate::words::words_alone;

/// Texts that share this part of their shingles are nearly copies: one word in ten changed, or two.
pub(crate) const SIMILARITY_MIN: f32 = 0.7;
/// Texts of fewer shingles say too little: half of what they hold is in every other text.
const SHINGLE_COUNT_MIN: usize = 8;
/// Keys of a text, and least hashes of a key. Texts of the least similarity share one of the keys in 98.8 % of cases.
const BAND_COUNT: usize = 16;
const BAND_HASH_COUNT: usize = 4;
/// Texts that are compared; those beyond are not.
pub(crate) const TEXT_COUNT_MAX: usize = 2_000_000;
/// Different texts under one key with which a further one is compared.
const LEADER_COUNT_MAX: usize = 32;
/// Shingles that all comparisons together may look at.
const WORK_MAX: usize = 4_000_000_000;
/// Texts whose keys are made between two looks at the watch.
const GROUP_COUNT: usize = 65_536;

/// Which texts are nearly copies.
pub(crate) struct NearTexts {
    /// The greatest similarity that was found to another text; 0 where none is near.
    pub(crate) similarities: Vec<f32>,
    /// The first row of each row's group; its own number where it is alone.
    pub(crate) groups: Vec<u32>,
    /// Whether not all could be compared.
    pub(crate) cut_short: bool,
}

/// Finds them.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn near_texts(words: &Tokens, seed: u64, watch: &Watch<'_>) -> Result<NearTexts, PoisonError> {
    let rows = words.rows();
    let mut search = Search {
        words,
        found: NearTexts {
            similarities: vec![0.0; rows],
            groups: (0..u32::try_from(rows).unwrap_or(u32::MAX)).collect(),
            cut_short: rows > TEXT_COUNT_MAX,
        },
        work: 0,
    };
    let firsts = search.join_equal();
    let hashes = Hashes::new(seed);
    let mut keys: Vec<[u32; BAND_COUNT]> = Vec::with_capacity(firsts.len());
    for group in firsts.chunks(GROUP_COUNT) {
        watch.check()?;
        keys.par_extend(group.par_iter().map(|row| hashes.keys(shingles(words, *row))));
    }
    let mut order: Vec<(u32, u32)> = Vec::with_capacity(firsts.len());
    for band in 0..BAND_COUNT {
        watch.check()?;
        order.clear();
        order.extend(keys.iter().zip(&firsts).map(|(keys, row)| (at(keys, band), *row)));
        order.par_sort_unstable();
        for same in order.chunk_by(|left, right| left.0 == right.0).filter(|same| same.len() > 1) {
            search.compare(same);
        }
    }
    for row in 0..rows {
        let first = search.first_of(u32::try_from(row).unwrap_or(u32::MAX));
        put(&mut search.found.groups, row, first);
    }
    Ok(search.found)
}

/// Hash functions of shingles; the least value over a text's shingles agrees between two texts as often as they are similar.
struct Hashes {
    factors: [u64; BAND_COUNT * BAND_HASH_COUNT],
    summands: [u64; BAND_COUNT * BAND_HASH_COUNT],
}

impl Hashes {
    fn new(seed: u64) -> Self {
        let mut random = Random::new(seed, 0x6d69_6e68);
        Self { factors: std::array::from_fn(|_| random.bits() | 1), summands: std::array::from_fn(|_| random.bits()) }
    }

    fn keys(&self, tokens: &[u32]) -> [u32; BAND_COUNT] {
        let mut least = [u32::MAX; BAND_COUNT * BAND_HASH_COUNT];
        for token in tokens {
            // The numbers of tokens follow each other: mixed first, as sums and products alone keep order.
            let token = mix(u64::from(*token)) >> 32;
            for ((least, factor), summand) in least.iter_mut().zip(&self.factors).zip(&self.summands) {
                let hash = (token.wrapping_mul(*factor).wrapping_add(*summand) >> 32) as u32;
                *least = (*least).min(hash);
            }
        }
        let mut keys = [0_u32; BAND_COUNT];
        for (key, hashes) in keys.iter_mut().zip(least.chunks_exact(BAND_HASH_COUNT)) {
            *key = (hashes.iter().fold(0, |key, hash| mix(key ^ u64::from(*hash))) >> 32) as u32;
        }
        keys
    }
}

struct Search<'a> {
    words: &'a Tokens,
    found: NearTexts,
    work: usize,
}

impl Search<'_> {
    /// Joins texts of equal shingles, so that a text which is there a thousand times is compared once. Gives the first of each.
    fn join_equal(&mut self) -> Vec<u32> {
        let count = self.words.rows().min(TEXT_COUNT_MAX);
        let long = |row: &u32| shingles(self.words, *row).len() >= SHINGLE_COUNT_MIN;
        let mut rows: Vec<u32> = (0..u32::try_from(count).unwrap_or(u32::MAX)).filter(long).collect();
        let words = self.words;
        rows.par_sort_by(|left, right| shingles(words, *left).cmp(shingles(words, *right)));
        let mut firsts = Vec::new();
        for equal in rows.chunk_by(|left, right| shingles(words, *left) == shingles(words, *right)) {
            let first = at(equal, 0);
            firsts.push(first);
            for other in equal.iter().skip(1) {
                self.join(first, *other, 1.0);
            }
        }
        firsts.sort_unstable();
        firsts
    }

    /// Compares texts that share a key: each with the first ones that are not near each other.
    fn compare(&mut self, same: &[(u32, u32)]) {
        let mut leaders: Vec<u32> = Vec::new();
        for (_, row) in same {
            let mut alone = true;
            for leader in &leaders {
                if self.work >= WORK_MAX {
                    self.found.cut_short = true;
                    return;
                }
                let (own, other) = (shingles(self.words, *row), shingles(self.words, *leader));
                let similarity = if could_be_near(own.len(), other.len()) {
                    self.work = self.work.saturating_add(own.len() + other.len());
                    similarity(own, other)
                } else {
                    0.0
                };
                if similarity >= SIMILARITY_MIN {
                    self.join(*leader, *row, similarity);
                    alone = false;
                }
            }
            if alone && leaders.len() < LEADER_COUNT_MAX {
                leaders.push(*row);
            }
        }
    }

    fn join(&mut self, left: u32, right: u32, similarity: f32) {
        for row in [left, right] {
            let greatest = at(&self.found.similarities, row as usize).max(similarity);
            put(&mut self.found.similarities, row as usize, greatest);
        }
        let (left, right) = (self.first_of(left), self.first_of(right));
        put(&mut self.found.groups, left.max(right) as usize, left.min(right));
    }

    /// The first row of a row's group; halves the way there for the next time.
    fn first_of(&mut self, row: u32) -> u32 {
        let mut row = row;
        loop {
            let above = at(&self.found.groups, row as usize);
            if above == row {
                return row;
            }
            let next = at(&self.found.groups, above as usize);
            put(&mut self.found.groups, row as usize, next);
            row = next;
        }
    }
}

/// The words and pairs of words of a text.
fn shingles(words: &Tokens, row: u32) -> &[u32] {
    words_alone(words.tokens(row as usize))
}

/// Whether sets of these sizes can be so similar at all.
fn could_be_near(left: usize, right: usize) -> bool {
    left.min(right) as f32 >= SIMILARITY_MIN * left.max(right) as f32
}

/// What two rising lists share, of all that is in either (Jaccard).
fn similarity(left: &[u32], right: &[u32]) -> f32 {
    let (mut shared, mut place) = (0_usize, 0);
    for token in left {
        while at(right, place) < *token && place < right.len() {
            place += 1;
        }
        if right.get(place) == Some(token) {
            shared += 1;
        }
    }
    shared as f32 / (left.len() + right.len() - shared).max(1) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TextReader;
    use crate::testing::{quiet, stopped};

    /// Texts of 40 words out of 5,000.
    fn texts(count: usize, seed: u64) -> Vec<Vec<String>> {
        let mut random = Random::new(seed, 0);
        (0..count).map(|_| (0..40).map(|_| format!("w{}", random.below(5_000))).collect()).collect()
    }

    fn check(texts: &[Vec<String>]) -> NearTexts {
        let mut reader = TextReader::default();
        texts.iter().for_each(|words| reader.push(&words.join(" ")));
        quiet(|watch| near_texts(&reader.finish().0.words, 3, watch)).unwrap()
    }

    #[test]
    fn a_flood_of_one_text_with_changed_words_is_one_group() {
        let mut all = texts(2_000, 1);
        let mut random = Random::new(2, 0);
        let model = all[5].clone();
        for _ in 0..60 {
            let mut changed = model.clone();
            for _ in 0..2 {
                let place = random.below(40);
                changed[place] = format!("x{}", random.below(900));
            }
            all.push(changed);
        }
        let found = check(&all);
        let flooded = (2_000..2_060).filter(|row| found.groups[*row] == 5).count();
        assert!(flooded >= 59, "{flooded} of 60");
        assert!(found.similarities[5] >= SIMILARITY_MIN && !found.cut_short);
        let others = (0..2_000).filter(|row| *row != 5 && found.similarities[*row] > 0.0).count();
        assert_eq!(others, 0);
    }

    #[test]
    fn equal_texts_are_joined_however_many_and_short_ones_are_left_alone() {
        let mut all = vec![texts(1, 4).remove(0); 3_000];
        all.extend(vec![vec!["ok".to_owned(), "then".to_owned()]; 3]);
        let found = check(&all);
        assert!(found.groups[..3_000].iter().all(|first| *first == 0) && found.similarities[2_999] == 1.0);
        assert_eq!(found.groups[3_000..], [3_000, 3_001, 3_002]);
    }

    #[test]
    fn texts_that_share_half_are_no_copies() {
        let all = texts(400, 7);
        let halves: Vec<Vec<String>> = all.iter().map(|words| [&all[0][..20], &words[20..]].concat()).collect();
        assert!(check(&halves).similarities.iter().all(|similarity| *similarity == 0.0));
    }

    #[test]
    fn the_seed_decides_and_it_stops_when_asked() {
        let all = texts(50, 9);
        assert_eq!(check(&all).groups, check(&all).groups);
        let mut reader = TextReader::default();
        all.iter().for_each(|words| reader.push(&words.join(" ")));
        let words = reader.finish().0.words;
        assert!(stopped(|watch| near_texts(&words, 3, watch).map(|_| ())).is_err());
    }

    #[test]
    fn similarity_counts_what_is_shared() {
        assert!((similarity(&[1, 2, 3, 9], &[2, 3, 4, 9]) - 0.6).abs() < 1e-6);
        assert_eq!((similarity(&[], &[]), similarity(&[1], &[2]), similarity(&[0], &[])), (0.0, 0.0, 0.0));
    }
}
