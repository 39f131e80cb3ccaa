//! Times as RFC 3339 texts in UTC, as this interface speaks them.

use kernel::{Civil, Micros, Problem};

/// `2026-01-31T12:00:00.000000Z`.
#[must_use]
pub fn to_text(at: Micros) -> String {
    at.rfc3339()
}

/// The moment of an RFC 3339 text, of any offset. Fractions beyond microseconds are cut off.
///
/// # Errors
/// `Invalid` for anything else.
pub fn parse(name: &str, text: &str) -> Result<Micros, Problem> {
    parse_parts(text).ok_or_else(|| {
        Problem::invalid(format!("`{name}` must be a time such as 2026-01-31T12:00:00Z (RFC 3339), not `{}`", short(text)))
    })
}

fn short(text: &str) -> String {
    text.chars().take(40).collect()
}

fn parse_parts(text: &str) -> Option<Micros> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let (clock, rest) = rest.split_at_checked(8)?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    let (fraction_us, offset) = fraction(rest)?;
    let at = Civil { year, month, day, hour, minute, second }.at()?.plus_secs(-offset_s(offset)?);
    Some(Micros(at.0.checked_add(fraction_us)?))
}

fn numbers(text: &str, between: char, lengths: [usize; 3]) -> Option<[i64; 3]> {
    let mut found = [0; 3];
    let mut parts = text.split(between);
    for (to, length) in found.iter_mut().zip(lengths) {
        let part = parts.next().filter(|part| part.len() == length && part.bytes().all(|byte| byte.is_ascii_digit()))?;
        *to = part.parse().ok()?;
    }
    parts.next().is_none().then_some(found)
}

fn fraction(rest: &str) -> Option<(i64, &str)> {
    let Some(digits) = rest.strip_prefix('.') else { return Some((0, rest)) };
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    let (digits, rest) = digits.split_at_checked(end).filter(|(digits, _)| (1..=9).contains(&digits.len()))?;
    let six: String = digits.chars().chain("000000".chars()).take(6).collect();
    Some((six.parse().ok()?, rest))
}

fn offset_s(text: &str) -> Option<i64> {
    if matches!(text, "Z" | "z") {
        return Some(0);
    }
    let (sign, rest) = match text.split_at_checked(1)? {
        ("+", rest) => (1, rest),
        ("-", rest) => (-1, rest),
        _ => return None,
    };
    let [hour, minute, _] = numbers(&format!("{rest}:00"), ':', [2, 2, 2])?;
    (hour <= 23 && minute <= 59).then_some(sign * (hour * 3_600 + minute * 60))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: Option<i64>) {
        assert_eq!(parse("at", text).ok().map(|at| at.0), expected, "{text}");
    }

    #[test]
    fn times_go_both_ways() {
        for (text, seconds) in [
            ("1970-01-01T00:00:00.000000Z", 0),
            ("2000-02-29T23:59:59.000000Z", 951_868_799),
            ("2026-11-23T06:06:15.000000Z", 1_795_413_975),
            ("1969-12-31T23:59:59.000000Z", -1),
        ] {
            check(text, Some(seconds * 1_000_000));
            assert_eq!(to_text(Micros(seconds * 1_000_000)), text);
        }
        check("2000-01-01T00:00:00.5+01:00", Some(946_681_200_500_000));
        check("2000-01-01t00:00:00.123456789z", Some(946_684_800_123_456));
        check("2000-01-01 00:00:00-00:30", Some(946_686_600_000_000));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for bad in [
            "",
            "2000-01-01",
            "2000-01-01T00:00:00",
            "2000-13-01T00:00:00Z",
            "2001-02-29T00:00:00Z",
            "2000-01-01T24:00:00Z",
            "2000-01-01T00:00:60Z",
            "2000-01-01T00:00:00.Z",
            "+000-01-01T00:00:00Z",
            "2000-01-01T00:00:00+24:00",
            "2000-01-01T00:00:00Zé",
            "200é-01-01T00:00:00Z",
            "1700000000",
        ] {
            check(bad, None);
        }
    }
}
