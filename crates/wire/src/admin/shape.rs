//! What the administrative interface's requests and answers have in common: bodies, pages and times.

use identity::PageWish;
use kernel::{Micros, Problem};
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::mlflow::json::Fields;
use crate::{Answer, Inbound, outbound};

/// The body as `T`, which names every field there is: an unknown one is refused. An empty body counts as `{}`.
pub(crate) fn body<T: DeserializeOwned>(inbound: &Inbound) -> Result<T, Problem> {
    // Checks the content type and the depth.
    Fields::of(inbound)?;
    let empty = inbound.body.iter().all(u8::is_ascii_whitespace);
    let bytes: &[u8] = if empty { b"{}" } else { &inbound.body };
    serde_json::from_slice(bytes).map_err(|error| Problem::invalid(format!("the body does not fit: {error}")))
}

/// `?after=…&rows=…`, and the values of `others` in their order. Any other parameter is refused.
pub(crate) fn query<const N: usize>(inbound: &Inbound, others: [&str; N]) -> Result<(PageWish, [Option<String>; N]), Problem> {
    let mut page = PageWish::default();
    let mut values = [const { None }; N];
    for (name, value) in inbound.query()? {
        let place = others.iter().position(|other| *other == name).and_then(|at| values.get_mut(at));
        match (name.as_str(), place) {
            (_, Some(place)) => *place = Some(value),
            ("after", None) => page.after = Some(value),
            ("rows", None) => {
                let rows = value.parse().ok().filter(|rows| (1..=identity::PAGE_ROWS_MAX).contains(rows));
                let wrong = || Problem::invalid(format!("`rows` is a number from 1 to {}", identity::PAGE_ROWS_MAX));
                page.rows = Some(rows.ok_or_else(wrong)?);
            }
            (unknown, None) => {
                let unknown: String = unknown.chars().take(64).collect();
                return Err(Problem::invalid(format!("the parameter `{unknown}` is not known here")));
            }
        }
    }
    Ok((page, values))
}

/// `{"<plural>": […], "next": "…"}`; without `next` at the end.
pub(crate) fn list<T>(plural: &str, rows: &[T], next: Option<&str>, show: impl Fn(&T) -> Value) -> Result<Answer, Problem> {
    let mut answer = json!({ plural: rows.iter().map(show).collect::<Vec<_>>() });
    if let (Some(next), Some(fields)) = (next, answer.as_object_mut()) {
        fields.insert("next".to_owned(), Value::String(next.to_owned()));
    }
    outbound::json(&answer)
}

/// The answer where there is nothing to say.
pub(crate) fn nothing() -> Result<Answer, Problem> {
    outbound::json_text("{}")
}

/// A moment as an RFC 3339 text in UTC, such as `2026-11-23T05:09:00.123456Z`.
pub(crate) fn time_text(at: Micros) -> String {
    let (days, of_day_us) = (at.0.div_euclid(86_400_000_000), at.0.rem_euclid(86_400_000_000));
    let (year, month, day) = date_of(days);
    let (seconds, micros) = (of_day_us / 1_000_000, of_day_us % 1_000_000);
    let (hour, minute, second) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    let mut text = format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}");
    if micros > 0 {
        text.push_str(&format!(".{micros:06}"));
    }
    text.push('Z');
    text
}

/// The moment that an RFC 3339 text names; a date alone is its beginning in UTC.
///
/// # Errors
/// `Invalid`, with an example.
pub(crate) fn parse_time(text: &str) -> Result<Micros, Problem> {
    parse_moment(text).ok_or_else(|| Problem::invalid("a time is written like `2026-11-23T05:09:00Z` or `2026-11-23`"))
}

fn parse_moment(text: &str) -> Option<Micros> {
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        digits.bytes().all(|b| b.is_ascii_digit()).then(|| digits.parse::<i64>().ok()).flatten()
    };
    let mark = |at: usize, wanted: &[u8]| text.as_bytes().get(at).is_some_and(|b| wanted.contains(b));
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let days = days_of(year, month, day);
    if !mark(4, b"-") || !mark(7, b"-") || date_of(days) != (year, month, day) {
        return None;
    }
    if text.len() == 10 {
        return days.checked_mul(86_400_000_000).map(Micros);
    }
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let in_day = hour < 24 && minute < 60 && second < 60;
    if !mark(10, b"Tt ") || !mark(13, b":") || !mark(16, b":") || !in_day {
        return None;
    }
    let (micros, zone) = fraction(text.get(19..)?)?;
    let seconds = days * 86_400 + hour * 3_600 + minute * 60 + second - zone_seconds(zone)?;
    seconds.checked_mul(1_000_000)?.checked_add(micros).map(Micros)
}

/// Splits `.123Z` into microseconds and the zone. Digits beyond the sixth are cut off.
fn fraction(text: &str) -> Option<(i64, &str)> {
    let Some(rest) = text.strip_prefix('.') else {
        return Some((0, text));
    };
    let length = rest.bytes().take_while(u8::is_ascii_digit).count();
    let mut micros: String = rest.get(..length)?.chars().take(6).collect();
    if micros.is_empty() {
        return None;
    }
    while micros.len() < 6 {
        micros.push('0');
    }
    Some((micros.parse().ok()?, rest.get(length..)?))
}

fn zone_seconds(zone: &str) -> Option<i64> {
    if zone.eq_ignore_ascii_case("z") {
        return Some(0);
    }
    let sign = match zone.as_bytes().first()? {
        b'+' => 1,
        b'-' => -1,
        _ => return None,
    };
    let (hours, minutes) = zone.get(1..)?.split_once(':')?;
    let two = |digits: &str| (digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse::<i64>().ok()).flatten();
    let (hours, minutes) = (two(hours)?, two(minutes)?);
    (hours < 24 && minutes < 60).then_some(sign * (hours * 3_600 + minutes * 60))
}

/// Year, month and day of a day since 1970-01-01 in the Gregorian calendar (H. Hinnant, "chrono-compatible low-level date
/// algorithms", civil_from_days).
const fn date_of(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = year_of_era + era * 400 + if month <= 2 { 1 } else { 0 };
    (year, month, day)
}

/// The other way round (the same paper, days_from_civil).
const fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let shifted_month = (month + 9) % 12;
    let of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_go_both_ways() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400_000_000, "2000-02-29T00:00:00Z"),
            (1_795_410_540_123_456, "2026-11-23T05:09:00.123456Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(time_text(Micros(micros)), text);
            assert_eq!(parse_time(text).unwrap(), Micros(micros));
        }
        for days in (-800_000..800_000).step_by(37) {
            let (year, month, day) = date_of(days);
            assert_eq!(days_of(year, month, day), days);
        }
    }

    #[test]
    fn other_spellings_are_read_and_nonsense_is_refused() {
        for (text, same) in [
            ("2026-11-23", "2026-11-23T00:00:00Z"),
            ("2026-11-23t07:09:00+02:00", "2026-11-23T05:09:00Z"),
            ("2026-11-23 05:09:00.5-00:30", "2026-11-23T05:39:00.500000Z"),
            ("2026-11-23T05:09:00.1234569Z", "2026-11-23T05:09:00.123456Z"),
        ] {
            assert_eq!(time_text(parse_time(text).unwrap()), same);
        }
        for bad in [
            "", "now", "2026-11-23T", "2026-13-01", "2026-02-30", "2026-11-23T24:00:00Z", "2026-11-23T05:09:00", "2026-11-23T05:09Z",
            "2026-11-23T05:09:00.Z", "2026-11-23T05:09:00+2:00", "2026-11-23T05:09:00Zx", "+026-11-23", "2026-11-2é", "20261123",
        ] {
            assert!(parse_time(bad).is_err(), "{bad}");
        }
    }
}
