//! Dates and times as numbers: limits that a contract writes as text, and values that a file holds as text.

use arrow_array::timezone::Tz;
use arrow_array::types::{Date32Type, Time64NanosecondType};
use arrow_cast::parse::{Parser, string_to_datetime, string_to_timestamp_nanos};
use arrow_schema::{DataType, TimeUnit};

pub(crate) const DAY_NS: i128 = 86_400_000_000_000;

/// A date or a date with time as nanoseconds since 1970, UTC where no zone is given.
pub(crate) fn nanoseconds(text: &str) -> Option<i128> {
    let text = text.trim();
    if let Some(days) = days(text) {
        return Some(i128::from(days) * DAY_NS);
    }
    if let Ok(nanoseconds) = string_to_timestamp_nanos(text) {
        return Some(i128::from(nanoseconds));
    }
    // Outside of 1677 to 2262 a 64-bit count of nanoseconds does not reach.
    let zone: Tz = "+00:00".parse().ok()?;
    let at = string_to_datetime(&zone, text).ok()?;
    Some(i128::from(at.timestamp()) * 1_000_000_000 + i128::from(at.timestamp_subsec_nanos()))
}

/// A date alone, `2024-01-31`, as days since 1970.
pub(crate) fn days(text: &str) -> Option<i32> {
    // The parser below also takes dates with times, and cuts these off.
    let shaped = (8..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-' || byte == b'+');
    if shaped { Date32Type::parse(text) } else { None }
}

/// A time of day as nanoseconds since midnight.
pub(crate) fn time_nanoseconds(text: &str) -> Option<i64> {
    if !text.contains(':') {
        return None;
    }
    Time64NanosecondType::parse(text)
}

/// Whether a text is a time of day, with or without a zone: RFC 3339, 5.6, demands one, and many writers know none.
pub(crate) fn is_time(text: &str) -> bool {
    let bare = match text.find(['Z', 'z', '+', '-']) {
        Some(at) => match text.split_at(at) {
            (time, "Z" | "z") => time,
            (time, offset) if is_offset(offset) => time,
            _ => return false,
        },
        None => text,
    };
    time_nanoseconds(bare).is_some()
}

/// A sign, hours, a colon and minutes.
fn is_offset(text: &str) -> bool {
    let Some((hours, minutes)) = text.strip_prefix(['+', '-']).and_then(|digits| digits.split_once(':')) else { return false };
    let below = |text: &str, limit: u8| {
        text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit()) && text.parse::<u8>().is_ok_and(|value| value < limit)
    };
    below(hours, 24) && below(minutes, 60)
}

/// Whether a text of a date and time says its zone.
pub(crate) fn has_zone(text: &str) -> bool {
    let Some(time) = text.get(10..) else { return false };
    time.ends_with(['Z', 'z'])
        || time.contains(['+', '-'])
        || time.rsplit(' ').next().is_some_and(|word| word.parse::<Tz>().is_ok())
}

/// How many nanoseconds one unit of a column of dates or times is.
pub(crate) fn unit_ns(data_type: &DataType) -> Option<i128> {
    let of = |unit: &TimeUnit| match unit {
        TimeUnit::Second => 1_000_000_000,
        TimeUnit::Millisecond => 1_000_000,
        TimeUnit::Microsecond => 1_000,
        TimeUnit::Nanosecond => 1,
    };
    match data_type {
        DataType::Date32 => Some(DAY_NS),
        DataType::Date64 => Some(1_000_000),
        DataType::Timestamp(unit, _) | DataType::Time32(unit) | DataType::Time64(unit) | DataType::Duration(unit) => {
            Some(of(unit))
        }
        _ => None,
    }
}

/// A pattern of dates and times in the JDK's letters (`yyyy-MM-dd'T'HH:mm:ss`), for reading.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct TimeFormat {
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(char),
    Number { field: Field, digits: usize },
    Zone,
    HalfOfDay,
    MonthName,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Field {
    Year,
    Month,
    Day,
    Hour,
    Hour12,
    Minute,
    Second,
    Fraction,
}

const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

impl TimeFormat {
    /// Reads a pattern. `T` and other letters that the JDK would want quoted are taken as themselves where the standard's own
    /// examples do so.
    ///
    /// # Errors
    /// In words, if a letter has no meaning here.
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text.chars().peekable();
        while let Some(one) = rest.next() {
            if one == '\'' {
                for quoted in rest.by_ref().take_while(|inner| *inner != '\'') {
                    parts.push(Part::Literal(quoted));
                }
                continue;
            }
            let mut digits = 1;
            while one.is_ascii_alphabetic() && rest.next_if_eq(&one).is_some() {
                digits += 1;
            }
            parts.push(match one {
                'y' | 'u' | 'Y' => Part::Number { field: Field::Year, digits },
                'M' | 'L' if digits <= 2 => Part::Number { field: Field::Month, digits },
                'M' | 'L' if digits == 3 => Part::MonthName,
                'd' | 'D' if digits <= 2 => Part::Number { field: Field::Day, digits },
                'H' => Part::Number { field: Field::Hour, digits },
                'h' => Part::Number { field: Field::Hour12, digits },
                'm' => Part::Number { field: Field::Minute, digits },
                's' => Part::Number { field: Field::Second, digits },
                'S' => Part::Number { field: Field::Fraction, digits },
                'a' => Part::HalfOfDay,
                'Z' | 'X' | 'x' | 'z' => Part::Zone,
                'T' => Part::Literal('T'),
                _ if one.is_ascii_alphabetic() => return Err(format!("the letter `{one}` of the format `{text}` is not known")),
                _ => Part::Literal(one),
            });
        }
        Ok(Self { parts })
    }

    /// Whether the text is written so, and is a date or time that exists.
    pub(crate) fn fits(&self, text: &str) -> bool {
        let mut rest = text;
        let (mut year, mut month, mut day) = (2000, 1, 1);
        for part in &self.parts {
            let Some(after) = part.read(rest, &mut year, &mut month, &mut day) else { return false };
            rest = after;
        }
        rest.is_empty() && day <= days_of_month(year, month)
    }
}

const fn days_of_month(year: u32, month: u32) -> u32 {
    match month {
        4 | 6 | 9 | 11 => 30,
        2 if (year.is_multiple_of(4) && !year.is_multiple_of(100)) || year.is_multiple_of(400) => 29,
        2 => 28,
        _ => 31,
    }
}

impl Part {
    /// What is left of the text after this part.
    fn read<'t>(&self, text: &'t str, year: &mut u32, month: &mut u32, day: &mut u32) -> Option<&'t str> {
        match self {
            Self::Literal(one) => text.strip_prefix(*one),
            Self::HalfOfDay => {
                let half = text.get(..2)?;
                (half.eq_ignore_ascii_case("am") || half.eq_ignore_ascii_case("pm")).then(|| text.get(2..)).flatten()
            }
            Self::MonthName => {
                let name = text.get(..3)?.to_ascii_lowercase();
                *month = u32::try_from(MONTHS.iter().position(|known| *known == name)?).ok()? + 1;
                text.get(3..)
            }
            Self::Zone => zone(text),
            Self::Number { field, digits } => {
                // One letter takes as many digits as there are; more take just so many.
                let most = match (digits, field) {
                    (1, Field::Year | Field::Fraction) => 9,
                    (1, _) => 2,
                    (some, _) => *some,
                };
                let length = text.bytes().take(most).take_while(u8::is_ascii_digit).count();
                if length == 0 || (*digits > 1 && length != *digits) {
                    return None;
                }
                let value: u32 = text.get(..length)?.parse().ok()?;
                let (low, high) = match field {
                    Field::Year => (0, u32::MAX),
                    Field::Month => (1, 12),
                    Field::Day => (1, 31),
                    Field::Hour => (0, 23),
                    Field::Hour12 => (1, 12),
                    Field::Minute => (0, 59),
                    Field::Second => (0, 60),
                    Field::Fraction => (0, 999_999_999),
                };
                match field {
                    Field::Year if *digits == 2 => *year = 2000 + value,
                    Field::Year => *year = value,
                    Field::Month => *month = value,
                    Field::Day => *day = value,
                    _ => {}
                }
                (low <= value && value <= high).then(|| text.get(length..)).flatten()
            }
        }
    }
}

/// What is left after `Z`, `+01:00`, `+0100` or `+01`.
fn zone(text: &str) -> Option<&str> {
    if let Some(after) = text.strip_prefix('Z') {
        return Some(after);
    }
    let digits = text.strip_prefix(['+', '-'])?;
    let pair = |text: &str| text.len() >= 2 && text.bytes().take(2).all(|byte| byte.is_ascii_digit());
    if !pair(digits) {
        return None;
    }
    let after = digits.get(2..)?;
    match after.strip_prefix(':').unwrap_or(after) {
        minutes if pair(minutes) => minutes.get(2..),
        _ => Some(after),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_dates_and_times() {
        assert_eq!(nanoseconds("1970-01-02"), Some(DAY_NS));
        assert_eq!(nanoseconds("1970-01-01T00:00:01Z"), Some(1_000_000_000));
        assert_eq!(nanoseconds("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(nanoseconds("1970-01-01 00:00:01"), Some(1_000_000_000));
        assert!(nanoseconds("9999-12-31T00:00:00Z").is_some());
        assert_eq!(nanoseconds("soon"), None);
        assert_eq!(days("2024-02-30"), None);
        assert_eq!(days("2024-02-03T10:00:00"), None);
        assert_eq!(time_nanoseconds("00:00:01"), Some(1_000_000_000));
        assert_eq!(time_nanoseconds("25:00:00"), None);
        assert!(has_zone("2024-01-01T00:00:00Z") && has_zone("2024-01-01T00:00:00+01:00") && !has_zone("2024-01-01T00:00:00"));
    }

    fn check(format: &str, fitting: &[&str], others: &[&str]) {
        let format = TimeFormat::new(format).unwrap();
        for text in fitting {
            assert!(format.fits(text), "{format:?} {text}");
        }
        for text in others {
            assert!(!format.fits(text), "{format:?} {text}");
        }
    }

    #[test]
    fn formats_of_the_jdk() {
        check("yyyy-MM-dd", &["2024-02-29"], &["2023-02-29", "2024-2-29", "2024-02-29 ", "24-02-29"]);
        check("yyyy-MM-dd'T'HH:mm:ss", &["2024-02-29T23:59:59"], &["2024-02-29 23:59:59", "2024-02-29T24:00:00"]);
        check("yyyy-MM-ddTHH:mm:ssZ", &["2024-03-10T14:22:35Z", "2024-03-10T14:22:35+10:00"], &["2024-03-10T14:22:35"]);
        check("d/M/yy", &["1/2/24", "31/12/24"], &["32/1/24", "1-2-24"]);
        check("HH:mm:ss.SSS", &["08:30:00.123"], &["08:30:00.12"]);
        check("h:mm a", &["1:05 PM"], &["13:05 PM"]);
        check("dd MMM yyyy", &["01 Feb 2024"], &["30 Feb 2024", "01 Foo 2024"]);
        assert!(TimeFormat::new("qq").is_err());
    }
}
