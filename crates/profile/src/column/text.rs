//! What is known of the texts of a column: lengths, extremes, shapes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use super::time;
use crate::hash::next_random;
use crate::limits::{PATTERN_COUNT_MAX, PATTERN_SOURCE_BYTES_MAX, SketchSizes};
use crate::report::{Pattern, TextReport};
use crate::value::cut;

/// Texts whose shape is looked at, each one; beyond, one of 2, 4, 8, … as with quantiles.
const EVERY_SHAPE_COUNT_MAX: u64 = 1 << 16;
/// Characters of a pattern.
const PATTERN_LENGTH_MAX: usize = 40;
/// Digits in a row that a pattern shows one by one.
const DIGIT_RUN_MAX: usize = 8;

/// The texts of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    /// Lengths in characters.
    pub(crate) lengths: Numbers,
    pub(crate) minimum: Option<String>,
    pub(crate) maximum: Option<String>,
    /// Texts of white space alone, the empty ones left out.
    pub(crate) blank_count: u64,
    /// Texts with white space at an end.
    pub(crate) padded_count: u64,
    /// Texts with characters beyond ASCII.
    pub(crate) beyond_ascii_count: u64,
    pub(crate) patterns: BTreeMap<String, u64>,
    /// Looked at, but not in `patterns`.
    pub(crate) other_pattern_count: u64,
    pub(crate) number_like_count: u64,
    pub(crate) time_like_count: u64,
    seen: u64,
    next: u64,
    coin: u64,
}

impl Texts {
    pub(crate) fn new(sizes: SketchSizes, seed: u64) -> Self {
        Self {
            lengths: Numbers::new(sizes, seed),
            minimum: None,
            maximum: None,
            blank_count: 0,
            padded_count: 0,
            beyond_ascii_count: 0,
            patterns: BTreeMap::new(),
            other_pattern_count: 0,
            number_like_count: 0,
            time_like_count: 0,
            seen: 0,
            next: 0,
            coin: seed,
        }
    }

    /// Takes texts; `ascii` if the caller knows that no other characters are in them.
    pub(crate) fn extend(&mut self, texts: &[&str], ascii: bool, scratch: &mut Vec<f64>) {
        scratch.clear();
        if ascii {
            scratch.extend(texts.iter().map(|text| text.len() as f64));
        } else {
            scratch.extend(texts.iter().map(|text| text.chars().count() as f64));
            let beyond = scratch.iter().zip(texts).filter(|(length, text)| **length < text.len() as f64);
            self.beyond_ascii_count += beyond.count() as u64;
        }
        self.lengths.extend_whole(scratch);
        for text in texts {
            self.count_padding(text, 1);
        }
        self.stretch(texts.iter().copied());
        let mut position = self.next.saturating_sub(self.seen);
        while let Some(text) = usize::try_from(position).ok().and_then(|at| texts.get(at)) {
            self.look_at(text, 1);
            let stride = (1_u64 << ((self.seen + position) / EVERY_SHAPE_COUNT_MAX).checked_ilog2().unwrap_or(0)).max(1);
            let (coin, word) = next_random(self.coin);
            self.coin = coin;
            // Steps of 1 to 2 strides less one: their mean is the stride.
            position += 1 + word % (2 * stride - 1);
        }
        self.next = self.seen + position;
        self.seen += texts.len() as u64;
    }

    /// Takes a text that came `weight` times.
    pub(crate) fn insert(&mut self, text: &str, weight: u64) {
        let length = text.chars().count();
        self.lengths.insert(length as f64, weight);
        self.beyond_ascii_count += if length < text.len() { weight } else { 0 };
        self.count_padding(text, weight);
        self.stretch([text].into_iter());
        self.look_at(text, weight);
        self.seen += weight;
        self.next = self.next.max(self.seen);
    }

    #[inline]
    fn count_padding(&mut self, text: &str, weight: u64) {
        let bytes = text.as_bytes();
        // Spaces beyond ASCII begin with bytes of 0xc2 and more and end with any: those are asked properly.
        let may_be_space = |byte: Option<&u8>| byte.is_some_and(|byte| *byte <= b' ' || *byte >= 0x80);
        if (may_be_space(bytes.first()) || may_be_space(bytes.last())) && text.trim().len() < text.len() {
            self.padded_count += weight;
            self.blank_count += if text.trim().is_empty() { weight } else { 0 };
        }
    }

    fn stretch<'a>(&mut self, texts: impl Iterator<Item = &'a str>) {
        for text in texts {
            if self.minimum.as_deref().is_none_or(|minimum| text < minimum) {
                self.minimum = Some(cut(text).to_owned());
            }
            if self.maximum.as_deref().is_none_or(|maximum| text > maximum) {
                self.maximum = Some(cut(text).to_owned());
            }
        }
    }

    fn look_at(&mut self, text: &str, weight: u64) {
        let pattern = pattern_of(text);
        self.number_like_count += if is_number_like(text) { weight } else { 0 };
        self.time_like_count += if time::is_time_like(text) { weight } else { 0 };
        if let Some(count) = self.patterns.get_mut(&pattern) {
            *count += weight;
        } else if self.patterns.len() < PATTERN_COUNT_MAX {
            self.patterns.insert(pattern, weight);
        } else {
            self.other_pattern_count += weight;
        }
    }

    /// How many texts' shapes were looked at.
    pub(crate) fn looked_at(&self) -> u64 {
        self.patterns.values().sum::<u64>() + self.other_pattern_count
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.lengths.merge(&other.lengths);
        self.stretch(other.minimum.as_deref().into_iter().chain(other.maximum.as_deref()));
        self.blank_count += other.blank_count;
        self.padded_count += other.padded_count;
        self.beyond_ascii_count += other.beyond_ascii_count;
        self.other_pattern_count += other.other_pattern_count;
        self.number_like_count += other.number_like_count;
        self.time_like_count += other.time_like_count;
        self.seen += other.seen;
        self.next = self.next.max(self.seen);
        for (pattern, count) in &other.patterns {
            *self.patterns.entry(pattern.clone()).or_insert(0) += count;
        }
        let mut rarest: Vec<(u64, String)> = Vec::new();
        if self.patterns.len() > PATTERN_COUNT_MAX {
            rarest = self.patterns.iter().map(|(pattern, count)| (*count, pattern.clone())).collect();
            rarest.sort_unstable();
            rarest.truncate(self.patterns.len() - PATTERN_COUNT_MAX);
        }
        for (count, pattern) in rarest {
            self.patterns.remove(&pattern);
            self.other_pattern_count += count;
        }
    }

    /// Takes the texts themselves out.
    pub(crate) fn mask(&mut self) {
        (self.minimum, self.maximum) = (None, None);
    }

    pub(crate) fn report(&self) -> TextReport {
        let looked_at = self.looked_at();
        let mut patterns: Vec<Pattern> = self
            .patterns
            .iter()
            .map(|(pattern, count)| Pattern { pattern: pattern.clone(), share: *count as f64 / looked_at.max(1) as f64 })
            .collect();
        patterns.sort_by(|left, right| right.share.total_cmp(&left.share).then(left.pattern.cmp(&right.pattern)));
        let share = |count: u64| count as f64 / looked_at.max(1) as f64;
        TextReport {
            minimum: self.minimum.clone(),
            maximum: self.maximum.clone(),
            lengths: self.lengths.report(),
            empty_count: self.lengths.zero_count,
            blank_count: self.blank_count,
            padded_count: self.padded_count,
            beyond_ascii_count: self.beyond_ascii_count,
            patterns,
            other_pattern_share: share(self.other_pattern_count),
            number_like_share: share(self.number_like_count),
            time_like_share: share(self.time_like_count),
        }
    }
}

fn is_number_like(text: &str) -> bool {
    let text = text.trim();
    text.bytes().any(|byte| byte.is_ascii_digit()) && text.parse::<f64>().is_ok()
}

/// The shape of a text: `A` for capitals, `a` for other letters, `+` after several; digits one by one as `9`, or `9+` for many;
/// any other character as it is.
#[must_use]
pub fn pattern_of(text: &str) -> String {
    let source = text.get(..text.floor_char_boundary(PATTERN_SOURCE_BYTES_MAX)).unwrap_or(text);
    let mut pattern = String::with_capacity(PATTERN_LENGTH_MAX);
    let mut run: Option<(char, usize)> = None;
    for character in source.chars() {
        let class = class_of(character);
        match &mut run {
            Some((held, length)) if *held == class => *length += 1,
            _ => {
                write_run(&mut pattern, run);
                run = Some((class, 1));
            }
        }
    }
    write_run(&mut pattern, run);
    if source.len() < text.len() || pattern.len() > PATTERN_LENGTH_MAX {
        pattern.truncate(pattern.floor_char_boundary(PATTERN_LENGTH_MAX));
        pattern.push('…');
    }
    pattern
}

const fn class_of(character: char) -> char {
    match character {
        '0'..='9' => '9',
        'A'..='Z' => 'A',
        'a'..='z' => 'a',
        '\u{80}'.. => 'ä',
        other => other,
    }
}

fn write_run(pattern: &mut String, run: Option<(char, usize)>) {
    match run {
        Some(('9', length)) if length <= DIGIT_RUN_MAX => pattern.extend(std::iter::repeat_n('9', length)),
        Some((class, length)) => {
            pattern.push(class);
            if length > 1 {
                pattern.push('+');
            }
        }
        None => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_show_the_shape() {
        for (text, pattern) in [
            ("", ""),
            ("2026-11-25", "9999-99-99"),
            ("AB-12345", "A+-99999"),
            ("Ada Lovelace", "Aa+ Aa+"),
            ("ada@example.org", "a+@a+.a+"),
            ("1234567890123", "9+"),
            ("Zoë", "Aaä"),
            ("...", ".+"),
        ] {
            assert_eq!(pattern_of(text), pattern, "{text}");
        }
        let long = "a1".repeat(1_000);
        assert!(pattern_of(&long).chars().count() <= PATTERN_LENGTH_MAX + 1);
    }

    fn of(texts: &[&str]) -> Texts {
        let mut own = Texts::new(SketchSizes::for_columns(1), 7);
        own.extend(texts, texts.iter().all(|text| text.is_ascii()), &mut Vec::new());
        own
    }

    #[test]
    fn weights_and_parts_give_the_same() {
        let texts = ["b", " ", "", "x ", "zoë", "\u{a0}y", "12", "2026-01-02"];
        let whole = of(&texts).report();
        let mut merged = of(&texts[..3]);
        merged.merge(&of(&texts[3..]));
        let mut weighted = Texts::new(SketchSizes::for_columns(1), 7);
        texts.iter().for_each(|text| weighted.insert(text, 1));
        for report in [&whole, &merged.report(), &weighted.report()] {
            assert_eq!((report.empty_count, report.blank_count, report.padded_count), (1, 1, 3));
            assert_eq!((report.beyond_ascii_count, report.lengths.maximum), (2, Some(10.0)));
            assert_eq!((report.minimum.as_deref(), report.maximum.as_deref()), (Some(""), Some("\u{a0}y")));
            assert_eq!(report.patterns, whole.patterns);
            assert!((report.number_like_share - 0.125).abs() < 1e-9 && (report.time_like_share - 0.125).abs() < 1e-9);
        }
    }

    #[test]
    fn many_shapes_stay_few() {
        let texts: Vec<String> = (0..5_000).map(|at| format!("{}x", "?a".repeat(at % 90)).to_owned()).collect();
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let mut own = of(&texts);
        own.merge(&of(&texts));
        assert!(own.patterns.len() <= PATTERN_COUNT_MAX);
        assert_eq!(own.looked_at(), 10_000);
    }

    #[test]
    fn of_many_texts_some_are_looked_at() {
        let texts = vec!["ab"; 1 << 20];
        let own = of(&texts);
        assert_eq!((own.seen, own.lengths.quantiles.count()), (1 << 20, 1 << 20));
        // 2 × 65,536 of the first 131,072, and as many of each doubling halved by the stride.
        assert!((300_000..420_000).contains(&own.looked_at()), "{}", own.looked_at());
    }
}
