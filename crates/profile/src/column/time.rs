//! What is known of the times of a column: when rows lie, by hour of the week and along the line, and where none are.

use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use crate::error::{ProfileError, broken};
use crate::limits::{PERIOD_COUNT_MAX, SketchSizes};
use crate::report::{Gap, TimeReport};

const SECOND_US: i64 = 1_000_000;
pub(crate) const DAY_US: i64 = 86_400 * SECOND_US;
const HOUR_US: i64 = 3_600 * SECOND_US;
/// Hours of a week.
pub(crate) const WEEK_HOUR_COUNT: usize = 168;
/// The shortest period of the line is two to this power microseconds, about a second.
const SHIFT_MIN: u32 = 20;
const SHIFT_MAX: u32 = 63;
/// Gaps in a report.
const GAP_COUNT_MAX: usize = 5;

/// The times of a column, in microseconds since 1970 in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Times {
    pub(crate) micros: Numbers,
    /// Rows by hour of the week, from Monday 0 h on.
    pub(crate) by_week_hour: Vec<u64>,
    /// Periods of the line are two to this power microseconds long; the first begins at this multiple of that.
    shift: u32,
    first: i64,
    periods: Vec<u64>,
}

/// As read, not yet checked.
#[derive(Deserialize)]
struct Stored {
    micros: Numbers,
    by_week_hour: Vec<u64>,
    shift: u32,
    first: i64,
    periods: Vec<u64>,
}

impl TryFrom<Stored> for Times {
    type Error = ProfileError;

    fn try_from(stored: Stored) -> Result<Self, ProfileError> {
        let Stored { micros, by_week_hour, shift, first, periods } = stored;
        if by_week_hour.len() != WEEK_HOUR_COUNT
            || periods.len() > PERIOD_COUNT_MAX
            || !(SHIFT_MIN..=SHIFT_MAX).contains(&shift)
            || !(i64::MIN >> shift..=i64::MAX >> shift).contains(&first)
        {
            return Err(broken("time", "its sizes are not ours"));
        }
        Ok(Self { micros, by_week_hour, shift, first, periods })
    }
}

impl Times {
    pub(crate) fn new(sizes: SketchSizes, seed: u64) -> Self {
        Self {
            micros: Numbers::new(sizes, seed),
            by_week_hour: vec![0; WEEK_HOUR_COUNT],
            shift: SHIFT_MIN,
            first: 0,
            periods: Vec::new(),
        }
    }

    /// Takes times.
    pub(crate) fn extend(&mut self, times: &[i64], scratch: &mut Vec<f64>) {
        let (Some(least), Some(most)) = (times.iter().min(), times.iter().max()) else { return };
        scratch.clear();
        scratch.extend(times.iter().map(|time| *time as f64));
        self.micros.extend_whole(scratch);
        self.micros.stretch(*least, *most);
        self.reach(*least, *most, SHIFT_MIN);
        for time in times {
            self.count(*time, 1);
        }
    }

    /// Takes a time that came `weight` times.
    pub(crate) fn insert(&mut self, time: i64, weight: u64) {
        self.micros.insert(time as f64, weight);
        self.micros.stretch(time, time);
        self.reach(time, time, SHIFT_MIN);
        self.count(time, weight);
    }

    #[inline]
    fn count(&mut self, time: i64, weight: u64) {
        if let Some(count) = self.by_week_hour.get_mut(week_hour(time)) {
            *count += weight;
        }
        let at = (time >> self.shift) - self.first;
        if let Some(count) = usize::try_from(at).ok().and_then(|at| self.periods.get_mut(at)) {
            *count += weight;
        }
    }

    /// Makes periods from `least` to `most`, of at least this length, longer ones if they would be too many.
    fn reach(&mut self, least: i64, most: i64, shift_min: u32) {
        let (mut from, mut to) = (least, most);
        if !self.periods.is_empty() {
            from = from.min(self.first << self.shift);
            // The last moment of the last period, which may lie beyond all time.
            let end = ((i128::from(self.first) + self.periods.len() as i128) << self.shift) - 1;
            to = to.max(i64::try_from(end).unwrap_or(i64::MAX));
        }
        let mut shift = self.shift.max(shift_min);
        while i128::from(to >> shift) - i128::from(from >> shift) >= PERIOD_COUNT_MAX as i128 && shift < SHIFT_MAX {
            shift += 1;
        }
        let first = from >> shift;
        let length = usize::try_from((to >> shift) - first + 1).unwrap_or(1).min(PERIOD_COUNT_MAX);
        if (shift, first, length) == (self.shift, self.first, self.periods.len()) {
            return;
        }
        let (old_shift, old_first) = (self.shift, self.first);
        let old = std::mem::replace(&mut self.periods, vec![0; length]);
        (self.shift, self.first) = (shift, first);
        self.add_line(old_shift, old_first, &old);
    }

    /// Adds a line of the same or shorter periods.
    fn add_line(&mut self, shift: u32, first: i64, periods: &[u64]) {
        for (at, count) in periods.iter().enumerate() {
            let period = (first + at as i64) >> self.shift.saturating_sub(shift);
            if let Some(own) = usize::try_from(period - self.first).ok().and_then(|at| self.periods.get_mut(at)) {
                *own += count;
            }
        }
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.micros.merge(&other.micros);
        for (own, their) in self.by_week_hour.iter_mut().zip(&other.by_week_hour) {
            *own += their;
        }
        let Some((least, most)) = other.micros.integer_range else { return };
        self.reach(least, most, other.shift);
        self.add_line(other.shift, other.first, &other.periods);
    }

    pub(crate) fn report(&self) -> TimeReport {
        let (least, most) = self.micros.integer_range.unzip();
        let start = |at: usize| i64::try_from((i128::from(self.first) + at as i128) << self.shift).ok().map(iso);
        let mut gaps = Vec::new();
        let mut empty_from: Option<usize> = None;
        for (at, count) in self.periods.iter().enumerate() {
            match (count, empty_from) {
                (0, None) => empty_from = Some(at),
                (1.., Some(from)) => {
                    gaps.push((at - from, from));
                    empty_from = None;
                }
                _ => {}
            }
        }
        gaps.sort_unstable_by_key(|(length, from)| (std::cmp::Reverse(*length), *from));
        let gap = |(length, from): (usize, usize)| Some(Gap { from: start(from)?, to: start(from + length)? });
        let ranks = self.micros.quantiles.ranks();
        TimeReport {
            minimum: least.map(iso),
            maximum: most.map(iso),
            median: ranks.quantile(0.5).map(|micros| iso(micros as i64)),
            by_weekday: self.by_week_hour.chunks(24).map(|day| day.iter().sum()).collect(),
            by_hour: (0..24).map(|hour| self.by_week_hour.iter().skip(hour).step_by(24).sum()).collect(),
            period_seconds: (1_i128 << self.shift) as f64 / SECOND_US as f64,
            first_period: self.periods.first().and_then(|_| start(0)),
            periods: self.periods.clone(),
            gaps: gaps.into_iter().take(GAP_COUNT_MAX).filter_map(gap).collect(),
        }
    }
}

/// The hour of the week that a time lies in; 1 January 1970 was a Thursday.
#[inline]
fn week_hour(time: i64) -> usize {
    const THURSDAY_HOURS: i64 = 3 * 24;
    (time.div_euclid(HOUR_US) + THURSDAY_HOURS).rem_euclid(WEEK_HOUR_COUNT as i64) as usize
}

/// A time in ISO 8601, by the days-to-date algorithm of Howard Hinnant ("chrono-compatible low-level date algorithms").
#[must_use]
pub fn iso(micros: i64) -> String {
    let (days, rest) = (micros.div_euclid(DAY_US), micros.rem_euclid(DAY_US));
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let (seconds, micros) = (rest / SECOND_US, rest % SECOND_US);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let fraction = if micros == 0 { String::new() } else { format!(".{micros:06}") };
    format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}{fraction}Z")
}

/// Whether a text begins like an ISO 8601 date or date and time.
pub(super) fn is_time_like(text: &str) -> bool {
    let bytes = text.as_bytes();
    let Some((date, rest)) = bytes.split_first_chunk::<10>() else { return false };
    let digits = date.iter().zip(b"0000-00-00").all(|(byte, kind)| match kind {
        b'-' => *byte == b'-' || *byte == b'/',
        _ => byte.is_ascii_digit(),
    });
    digits && matches!(rest, [] | [b'T' | b't' | b' ', b'0'..=b'9', ..])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(times: &[i64]) -> Times {
        let mut own = Times::new(SketchSizes::for_columns(1), 0);
        times.chunks(13).for_each(|part| own.extend(part, &mut Vec::new()));
        own
    }

    #[test]
    fn times_are_written_as_iso_8601() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_764_087_000_000_001, "2025-11-25T16:10:00.000001Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(iso(micros), text);
        }
        assert!(!iso(i64::MAX).is_empty() && !iso(i64::MIN).is_empty());
    }

    #[test]
    fn hours_of_the_week_begin_on_monday() {
        // 1970-01-05 was a Monday.
        assert_eq!(week_hour(4 * DAY_US), 0);
        assert_eq!(week_hour(4 * DAY_US - 1), 167);
        assert_eq!(week_hour(-3 * DAY_US), 0);
    }

    #[test]
    fn parts_merge_to_the_whole_and_gaps_are_found() {
        let day = |at: i64| 1_700_000_000 * SECOND_US + at * DAY_US;
        let times: Vec<i64> = (0..300).filter(|at| !(100..140).contains(at)).map(day).collect();
        let whole = of(&times);
        for split in [0, 1, 50, 150, 259, 260] {
            for (first, second) in [(&times[..split], &times[split..]), (&times[split..], &times[..split])] {
                let mut merged = of(first);
                merged.merge(&of(second));
                let (merged, whole) = (merged.report(), whole.report());
                assert_eq!(merged.periods.iter().sum::<u64>(), 260, "split {split}");
                assert_eq!((merged.by_weekday, merged.by_hour), (whole.by_weekday.clone(), whole.by_hour.clone()));
                assert_eq!(merged.gaps.first().map(|gap| &gap.from[..7]), Some("2024-02"), "split {split}");
            }
        }
        assert!(whole.periods.len() <= PERIOD_COUNT_MAX);
    }

    #[test]
    fn the_ends_of_time_do_no_harm() {
        let own = of(&[i64::MIN, -1, 0, i64::MAX]);
        assert_eq!(own.periods.iter().sum::<u64>(), 4);
        let text = serde_json::to_string(&own).unwrap();
        assert_eq!(serde_json::from_str::<Times>(&text).unwrap().periods, own.periods);
        let mut merged = of(&[5]);
        merged.merge(&own);
        merged.merge(&of(&[7]));
        assert_eq!(merged.periods.iter().sum::<u64>(), 6);
        assert!(!merged.report().periods.is_empty());
    }

    #[test]
    fn texts_that_begin_like_dates_are_told() {
        for (text, expected) in [
            ("2026-11-25", true),
            ("2026-11-25T10:00:00Z", true),
            ("2026-11-25 10:00", true),
            ("2026-11-25-7", false),
            ("20261125", false),
            ("x", false),
        ] {
            assert_eq!(is_time_like(text), expected, "{text}");
        }
    }
}
