//! What is kept of a column's values: counts of kinds, a sketch of distinct values, matches of word lists, three examples.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::header::{Header, Need};
use super::leaves::FloatRange;
use super::words::ValueWords;
use crate::context::{Near, Topic};
use crate::hit::{Hit, Reason, resolve};
use crate::kind::Kind;
use crate::names::is_name_of_letters;
use crate::{Scanner, mask};

/// Masked examples of one kind in one column.
pub const EXAMPLE_COUNT_MAX: usize = 3;
/// The smallest hashes of a column that are kept; the error of the estimate is about `1 / sqrt` of it, 6 %.
const DISTINCT_KEPT: usize = 256;
/// Of longer texts the name recogniser reads this much.
const NAMES_BYTES_MAX: usize = 16 * 1024;
/// Chinese or Japanese letters of a name or another short value, which is one word.
const SHORT_LETTERS_MAX: u64 = 8;
/// A check digit that holds counts even where it alone says little.
const WEAK_SCORE_MIN: f32 = 0.1;

/// What a kind was found in.
#[derive(Clone, Debug, Default)]
pub struct KindCount {
    /// Cells with at least one.
    pub values: u64,
    /// Cells that are nothing else.
    pub whole: u64,
    /// Cells whose hit is nearly certain by itself.
    pub certain: u64,
    /// The best score.
    pub score: f32,
    /// Row and masked text of the first ones.
    pub examples: BTreeSet<(u64, String)>,
}

/// Words of columns that hold codes of things, which look like those of diseases.
const THINGS: &str =
    "part item product component model material catalog catalogue spare article sku lot batch version order serial asset";

/// What is looked for in a column besides what every column may hold.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sought {
    /// Codes of diseases: not where the column's name says that it holds those of something else.
    pub disease_codes: bool,
    /// Peoples and colours of skin, to test a name that promises them.
    pub origin: bool,
}

impl Sought {
    pub fn of(spaced: &str, header: &Header, near: &Near) -> Self {
        let of_things =
            near.has(Topic::Against) || spaced.split(' ').any(|word| THINGS.split_ascii_whitespace().any(|one| one == word));
        Self {
            disease_codes: near.has(Topic::Diagnosis) || !of_things,
            origin: matches!(header.says, Some((_, Need::Origin, _))),
        }
    }
}

/// What is known of a column's values.
#[derive(Clone, Debug, Default)]
pub struct Values {
    /// Cells with a value.
    pub count: u64,
    pub null_count: u64,
    /// Cells with a text, those of only white space not counted.
    pub texts: u64,
    /// Cells that were looked at by everything.
    pub sampled: u64,
    pub integers: u64,
    pub floats: u64,
    pub dates: u64,
    /// Words of sampled texts.
    pub word_count: u64,
    /// Sampled texts that are one word, and that are two to four.
    pub single_words: u64,
    pub few_words: u64,
    /// Sampled texts without a digit.
    pub digitless: u64,
    /// Sampled texts with letters, of several words, or of one that mixes digits with letters that are not ASCII.
    pub like_addresses: u64,
    /// Sampled texts that name an origin or are codes of one or two letters, where the column's name asks for it.
    pub like_origins: u64,
    /// Sampled texts that may be Chinese, Japanese or Korean names.
    pub like_names: u64,
    /// Sampled numbers, or texts that are numbers, of 0 to 130.
    pub small_numbers: u64,
    pub number_min: f64,
    pub number_max: f64,
    /// Found in all texts by tier 1.
    pub kinds: BTreeMap<Kind, KindCount>,
    /// Found in sampled texts by the recogniser and by lists.
    pub sampled_kinds: BTreeMap<Kind, KindCount>,
    /// Sampled cells that are a number whose check digit holds, by kind.
    pub checked: BTreeMap<Kind, u64>,
    distinct: BTreeSet<u64>,
    sought: Sought,
}

impl Values {
    pub fn new(sought: Sought) -> Self {
        Self { number_min: f64::INFINITY, number_max: f64::NEG_INFINITY, sought, ..Self::default() }
    }

    pub fn nulls(&mut self, count: u64) {
        self.null_count += count;
    }

    /// A text that stands in `count` cells, the first of them in row `row`.
    #[expect(clippy::too_many_arguments, reason = "a cell, its place and what it is judged by; a struct would be made per cell")]
    pub fn text(
        &mut self,
        text: &Option<&str>,
        row: u64,
        count: u64,
        sampled: bool,
        scanner: &Scanner,
        header: &Near,
        words: &ValueWords,
    ) {
        let Some(text) = text else {
            self.null_count += count;
            return;
        };
        self.count += count;
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        self.texts += count;
        let mut hits = scanner.raw_patterns(text, header, WEAK_SCORE_MIN);
        if sampled {
            self.sampled += count;
            self.note_checked(text, &hits, count);
            self.note_shape(text, count, words);
            self.note_distinct(text);
        }
        hits.retain(|hit| hit.score >= scanner.score_min());
        resolve(&mut hits);
        note(&mut self.kinds, text, &hits, row, count);
        if sampled {
            let mut names = words.health_in(head(text));
            names.extend(scanner.names_in(head(text), &hits).into_iter().filter(|hit| words.is_believed(hit, text)));
            names.extend(words.kinds_of(text, self.sought.disease_codes).map(|kind| Hit::whole(kind, text)));
            note(&mut self.sampled_kinds, text, &names, row, count);
        }
    }

    /// A whole number.
    pub fn integer(
        &mut self,
        number: Option<i64>,
        row: u64,
        sampled: bool,
        scanner: &Scanner,
        header: &Near,
        words: &ValueWords,
    ) {
        let Some(number) = number else {
            self.null_count += 1;
            return;
        };
        self.integers += 1;
        self.note_number(number as f64);
        if sampled {
            let text = number.to_string();
            self.text(&Some(&text), row, 1, true, scanner, header, words);
        } else {
            self.count += 1;
        }
    }

    pub fn floats(&mut self, range: FloatRange) {
        self.count += range.count;
        self.null_count += range.null_count;
        self.floats += range.count;
        if range.min.is_finite() {
            self.note_number(range.min);
            self.note_number(range.max);
        }
    }

    pub fn dates(&mut self, count: u64, null_count: u64) {
        self.count += count;
        self.dates += count;
        self.null_count += null_count;
    }

    pub fn others(&mut self, count: u64, null_count: u64) {
        self.count += count;
        self.null_count += null_count;
    }

    /// An estimate of the number of distinct values among the sampled.
    pub fn distinct(&self) -> f64 {
        match self.distinct.last() {
            Some(largest) if self.distinct.len() == DISTINCT_KEPT => {
                (DISTINCT_KEPT - 1) as f64 / (*largest as f64 / u64::MAX as f64).max(f64::MIN_POSITIVE)
            }
            _ => self.distinct.len() as f64,
        }
    }

    /// Adds what was kept of other rows. The order of merges does not change the result.
    pub fn merge(&mut self, other: Self) {
        let sums = [
            (&mut self.count, other.count),
            (&mut self.null_count, other.null_count),
            (&mut self.texts, other.texts),
            (&mut self.sampled, other.sampled),
            (&mut self.integers, other.integers),
            (&mut self.floats, other.floats),
            (&mut self.dates, other.dates),
            (&mut self.word_count, other.word_count),
            (&mut self.single_words, other.single_words),
            (&mut self.few_words, other.few_words),
            (&mut self.digitless, other.digitless),
            (&mut self.like_addresses, other.like_addresses),
            (&mut self.like_origins, other.like_origins),
            (&mut self.like_names, other.like_names),
            (&mut self.small_numbers, other.small_numbers),
        ];
        for (mine, theirs) in sums {
            *mine += theirs;
        }
        self.number_min = self.number_min.min(other.number_min);
        self.number_max = self.number_max.max(other.number_max);
        for (kind, count) in other.checked {
            *self.checked.entry(kind).or_default() += count;
        }
        merge_kinds(&mut self.kinds, other.kinds);
        merge_kinds(&mut self.sampled_kinds, other.sampled_kinds);
        self.distinct.extend(other.distinct);
        while self.distinct.len() > DISTINCT_KEPT {
            self.distinct.pop_last();
        }
    }

    fn note_number(&mut self, number: f64) {
        self.number_min = self.number_min.min(number);
        self.number_max = self.number_max.max(number);
    }

    fn note_distinct(&mut self, text: &str) {
        let mut hasher = DefaultHasher::new();
        text.hash(&mut hasher);
        self.distinct.insert(hasher.finish());
        if self.distinct.len() > DISTINCT_KEPT {
            self.distinct.pop_last();
        }
    }

    /// Kinds whose check digit holds for the whole cell.
    fn note_checked(&mut self, text: &str, hits: &[Hit], count: u64) {
        let mut seen = BTreeSet::new();
        for hit in hits {
            if hit.why.has(Reason::Checksum) && hit.len() == text.len() && seen.insert(hit.kind) {
                *self.checked.entry(hit.kind).or_default() += count;
            }
        }
    }

    fn note_shape(&mut self, text: &str, count: u64, words: &ValueWords) {
        // Chinese and Japanese words have no spaces between them, and two letters on average.
        let letters = text.chars().take(2_000).filter(|letter| matches!(*letter, '\u{3041}'..='\u{9FFF}')).count() as u64;
        let unspaced = if letters > SHORT_LETTERS_MAX { letters / 2 } else { 0 };
        let word_count = text.split_whitespace().take(1_000).count() as u64 + unspaced;
        self.word_count += word_count * count;
        match word_count {
            1 => self.single_words += count,
            2..=4 => self.few_words += count,
            _ => {}
        }
        let has_digit = text.bytes().any(|byte| byte.is_ascii_digit());
        if !has_digit {
            self.digitless += count;
        }
        let several = word_count > 1 || (has_digit && !text.is_ascii());
        if several && text.chars().any(char::is_alphabetic) {
            self.like_addresses += count;
        }
        if self.sought.origin && words.is_origin(text) {
            self.like_origins += count;
        }
        if is_name_of_letters(text) {
            self.like_names += count;
        }
        if words.is_small_number(text) {
            self.small_numbers += count;
        }
    }
}

fn head(text: &str) -> &str {
    text.get(..crate::bytes::border(text.as_bytes(), NAMES_BYTES_MAX)).unwrap_or(text)
}

fn note(kinds: &mut BTreeMap<Kind, KindCount>, text: &str, hits: &[Hit], row: u64, count: u64) {
    let mut seen: Vec<Kind> = Vec::new();
    let mut whole: Vec<Kind> = Vec::new();
    for hit in hits {
        let known = kinds.entry(hit.kind).or_default();
        known.score = known.score.max(hit.score);
        // Any hit may fill the cell: the recogniser sees the family name in `Jones, Ada`, a list both.
        if hit.len() * 10 >= text.len() * 8 && !whole.contains(&hit.kind) {
            whole.push(hit.kind);
            known.whole += count;
        }
        if seen.contains(&hit.kind) {
            continue;
        }
        seen.push(hit.kind);
        known.values += count;
        known.certain += if hit.score >= 0.9 { count } else { 0 };
        let earlier = known.examples.last().is_none_or(|(last, _)| row < *last);
        if known.examples.len() < EXAMPLE_COUNT_MAX || earlier {
            known.examples.insert((row, mask(hit.text(text))));
            cut(&mut known.examples);
        }
    }
}

fn cut(examples: &mut BTreeSet<(u64, String)>) {
    while examples.len() > EXAMPLE_COUNT_MAX {
        examples.pop_last();
    }
}

fn merge_kinds(mine: &mut BTreeMap<Kind, KindCount>, theirs: BTreeMap<Kind, KindCount>) {
    for (kind, other) in theirs {
        let known = mine.entry(kind).or_default();
        known.values += other.values;
        known.whole += other.whole;
        known.certain += other.certain;
        known.score = known.score.max(other.score);
        known.examples.extend(other.examples);
        cut(&mut known.examples);
    }
}
