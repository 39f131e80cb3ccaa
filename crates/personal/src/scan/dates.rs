//! Dates, dates of birth and ages.

use super::{Offer, Pass, is_code_byte};
use crate::bytes::{Digits, at, before, number, part, run, run_back};
use crate::checks::is_date;
use crate::context::Topic;
use crate::hit::{Reason, Why};
use crate::kind::Kind;

/// Months by their first three letters, and their whole names for what goes on after those.
const MONTHS: [&[u8]; 12] = [
    b"january",
    b"february",
    b"march",
    b"april",
    b"may",
    b"june",
    b"july",
    b"august",
    b"september",
    b"october",
    b"november",
    b"december",
];
const YEAR_MIN: u64 = 1800;
const YEAR_MAX: u64 = 2199;

/// The month that a word names, whole or by its first three letters (`Sept` too).
fn month(word: &[u8]) -> Option<u64> {
    let place = MONTHS
        .iter()
        .position(|name| name.eq_ignore_ascii_case(word) || (word.len() == 3 && part(name, 0, 3).eq_ignore_ascii_case(word)));
    let place = place.or_else(|| word.eq_ignore_ascii_case(b"sept").then_some(8))?;
    u64::try_from(place + 1).ok()
}

impl Pass<'_> {
    /// A date that has its first digits at `start`. `true` if it was one.
    pub(super) fn date(&mut self, start: usize) -> bool {
        let Some((from, end, base)) = self.numeric_date(start).or_else(|| self.worded_date(start)) else { return false };
        let end = self.after_time(end);
        let why = Why::of(Reason::Pattern).and(Reason::Range);
        let near = self.near(from, end);
        self.steps += (end - from) as u64;
        if near.has(Topic::Birth) {
            self.offer(Offer { kind: Kind::BirthDate, start: from, end, base, topic: Some(Topic::Birth), why });
        } else {
            self.offer(Offer { kind: Kind::Date, start: from, end, base: base + 0.3, topic: None, why });
        }
        true
    }

    /// A year in a sentence: `in 1977`, `since 2004`.
    pub(super) fn year(&mut self, start: usize, end: usize) {
        let Some((year, _)) = self.digits_at(start, 4) else { return };
        let words =
            [&b"in "[..], b"during ", b"since ", b"until ", b"of ", b"year ", b"from ", b"before ", b"after ", b"by ", b"is a "];
        let precedes = part(self.text, start.saturating_sub(8), start).to_ascii_lowercase();
        let led = words
            .iter()
            .any(|words| precedes.ends_with(words) && !before(&precedes, precedes.len() - words.len()).is_ascii_alphanumeric());
        let whole =
            matches!(at(self.text, end), 0 | b'.' | b',' | b' ' | b';' | b'\n' | b')' | b'!' | b'?') && !self.glued_right(end);
        if led && whole && end - start == 4 && (1900..=2099).contains(&year) {
            let why = Why::of(Reason::Pattern).and(Reason::Context);
            self.offer(Offer { kind: Kind::Year, start, end, base: 0.55, topic: None, why });
        }
    }

    /// The number whose digits start at `start`, and their end.
    fn digits_at(&self, start: usize, count_max: usize) -> Option<(u64, usize)> {
        let end = run(self.text, start, count_max + 1, |byte| byte.is_ascii_digit());
        let digits = Digits::of(part(self.text, start, end))?;
        (end > start && end - start <= count_max).then(|| (number(digits.list(), 0, count_max), end))
    }

    /// `1980-02-29`, `29/2/1980`, `29.02.80`.
    fn numeric_date(&self, start: usize) -> Option<(usize, usize, f32)> {
        let (first, first_end) = self.digits_at(start, 4)?;
        let separator = at(self.text, first_end);
        if !matches!(separator, b'-' | b'/' | b'.') || self.glued_left(start) {
            return None;
        }
        let (second, second_end) = self.digits_at(first_end + 1, 2)?;
        if at(self.text, second_end) != separator {
            return None;
        }
        let (third, end) = self.digits_at(second_end + 1, 4)?;
        let further = at(self.text, end);
        let goes_on = matches!(further, b'-' | b'/' | b'.') && at(self.text, end + 1).is_ascii_alphanumeric();
        if goes_on || (is_code_byte(further) && further != b'T') {
            return None;
        }
        let (first_digits, third_digits) = (first_end - start, end - second_end - 1);
        let is_year = |year: u64| (YEAR_MIN..=YEAR_MAX).contains(&year);
        let is_day_month = |year: u64| is_date(year, second, first) || is_date(year, first, second);
        match (first_digits, third_digits) {
            (4, 1 | 2) if is_year(first) && is_date(first, second, third) => Some((start, end, 0.5)),
            (1 | 2, 4) if is_year(third) && is_day_month(third) => Some((start, end, 0.5)),
            (1 | 2, 2) if separator != b'.' && is_day_month(third) => Some((start, end, 0.25)),
            (1 | 2, 2) if is_day_month(third) => Some((start, end, 0.15)),
            _ => None,
        }
    }

    /// `29 February 1980`, `29th of Feb, 1980`, `February 29, 1980`, `Feb 1980`.
    fn worded_date(&self, start: usize) -> Option<(usize, usize, f32)> {
        let (value, digits_end) = self.digits_at(start, 4)?;
        let is_year = digits_end - start == 4 && (YEAR_MIN..=YEAR_MAX).contains(&value);
        let is_day = digits_end - start <= 2 && (1..=31).contains(&value);
        if let Some(month_start) = self.month_before(start) {
            if is_year && !is_code_byte(at(self.text, digits_end)) {
                return Some((month_start, digits_end, 0.3));
            }
            let end = self.after_ordinal(digits_end);
            if is_day && !is_code_byte(at(self.text, end)) {
                return Some(self.year_after(end).map_or((month_start, end, 0.25), |end| (month_start, end, 0.5)));
            }
        }
        if !is_day || self.glued_left(start) {
            return None;
        }
        let mut word = self.after_ordinal(digits_end);
        word = run(self.text, word, 2, |byte| matches!(byte, b' ' | b'-' | b'.'));
        if part(self.text, word, word + 3).eq_ignore_ascii_case(b"of ") {
            word += 3;
        }
        let end = run(self.text, word, 10, |byte| byte.is_ascii_alphabetic());
        month(part(self.text, word, end))?;
        Some(self.year_after(end).map_or((start, end, 0.25), |end| (start, end, 0.5)))
    }

    /// The start of the month's name that stands before `start`.
    fn month_before(&self, start: usize) -> Option<usize> {
        let gap = run_back(self.text, start, start.saturating_sub(2), |byte| matches!(byte, b' ' | b'.' | b'-'));
        let word = run_back(self.text, gap, gap.saturating_sub(10), |byte| byte.is_ascii_alphabetic());
        (gap < start && month(part(self.text, word, gap)).is_some()).then_some(word)
    }

    /// The end of the year that follows a day or a month, over spaces, commas and dashes.
    fn year_after(&self, end: usize) -> Option<usize> {
        let place = run(self.text, end, 2, |byte| matches!(byte, b' ' | b',' | b'-' | b'.'));
        let (year, end) = self.digits_at(place, 4)?;
        (end - place == 4 && (YEAR_MIN..=YEAR_MAX).contains(&year) && !is_code_byte(at(self.text, end))).then_some(end)
    }

    fn after_ordinal(&self, end: usize) -> usize {
        let suffix = part(self.text, end, end + 2).to_ascii_lowercase();
        let is_ordinal = matches!(suffix.as_slice(), b"st" | b"nd" | b"rd" | b"th");
        if is_ordinal && !is_code_byte(at(self.text, end + 2)) { end + 2 } else { end }
    }

    /// The end of `T11:34:35.5Z` or ` 11:34` behind a date, or the date's own.
    fn after_time(&self, end: usize) -> usize {
        if !matches!(at(self.text, end), b'T' | b' ') {
            return end;
        }
        let hour = run(self.text, end + 1, 2, |byte| byte.is_ascii_digit());
        if hour == end + 1 || at(self.text, hour) != b':' {
            return end;
        }
        let time = run(self.text, hour, 16, |byte| byte.is_ascii_digit() || matches!(byte, b':' | b'.' | b'Z' | b'+'));
        if before(self.text, time) == b'.' { time - 1 } else { time }
    }

    /// `79 years old`, `38-year-old`, `aged 40`, `turned 47`.
    pub(super) fn age(&mut self, start: usize, end: usize) {
        let Some((age, _)) = self.digits_at(start, 3) else { return };
        let gap = usize::from(matches!(at(self.text, end), b' ' | b'-'));
        let follows = part(self.text, end + gap, end + gap + 10).to_ascii_lowercase();
        let old =
            [&b"year old"[..], b"year-old", b"years old", b"years-old", b"yrs old", b"years of a", b"yo ", b"y/o", b"yr old"];
        let after = old.iter().any(|words| follows.starts_with(words)) || follows.as_slice() == b"yo";
        let precedes = part(self.text, start.saturating_sub(10), start).to_ascii_lowercase();
        let words =
            [&b" aged "[..], b" age ", b" age: ", b" age of ", b" turned ", b" turning ", b"age is ", b"age: ", b"\nage: "];
        let whole =
            matches!(at(self.text, end), 0 | b'.' | b',' | b' ' | b';' | b'\n' | b')' | b'!' | b'?') && !self.glued_right(end);
        let before = whole && words.iter().any(|words| precedes.ends_with(words));
        if (after || before) && age <= 120 {
            self.offer(Offer {
                kind: Kind::Age,
                start,
                end,
                base: 0.7,
                topic: None,
                why: Why::of(Reason::Pattern).and(Reason::Context),
            });
        }
    }
}
