//! What a text value is: a number, a date, a word. One function decides, for the first look at a file and for its reading.

/// The zone of all times that have one. Not `UTC`, a name, which Arrow looks up in a table of zones that it may not have.
pub(crate) const UTC: &str = "+00:00";

/// The kinds of text values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Kind {
    /// Nothing between the delimiters.
    Empty,
    /// `NA`, `null` and the like: null in a typed column, a word in a text column.
    NullWord,
    Boolean,
    Integer,
    Float,
    /// Digits that are no number: leading zeros, or more than 64 bits. Identifiers, telephone numbers, postcodes.
    Code,
    Date,
    /// A date and time without a zone.
    Timestamp,
    /// A date and time with a zone.
    Instant,
    /// Anything else.
    Text,
    /// Of JSON lines only: a list or an object that is no embedding, as JSON.
    Json,
    /// Of JSON lines only: a list of numbers.
    Numbers,
}

/// How many kinds there are.
pub(crate) const KIND_COUNT: usize = 12;

impl Kind {
    pub(crate) const ALL: [Self; KIND_COUNT] = [
        Self::Empty,
        Self::NullWord,
        Self::Boolean,
        Self::Integer,
        Self::Float,
        Self::Code,
        Self::Date,
        Self::Timestamp,
        Self::Instant,
        Self::Text,
        Self::Json,
        Self::Numbers,
    ];

    /// The word for users.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NullWord => "null word",
            Self::Boolean => "boolean",
            Self::Integer => "integer",
            Self::Float => "decimal number",
            Self::Code => "digit code",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Instant => "timestamp with zone",
            Self::Text => "text",
            Self::Json => "JSON",
            Self::Numbers => "number list",
        }
    }
}

/// The kind of `text`. Blanks around a value do not count.
pub(crate) fn classify(text: &str) -> Kind {
    let text = text.trim_ascii();
    let bytes = text.as_bytes();
    match bytes.first() {
        None => Kind::Empty,
        Some(b'0'..=b'9') => number_or_time(text),
        Some(b'-' | b'+' | b'.') => signed(text),
        Some(b't' | b'T' | b'f' | b'F') if parse_boolean(text).is_some() => Kind::Boolean,
        Some(b'n' | b'N' | b'i' | b'I' | b'<' | b'#') => word(text),
        _ => Kind::Text,
    }
}

fn word(text: &str) -> Kind {
    const NULLS: [&str; 10] = ["NA", "N/A", "n/a", "#N/A", "<NA>", "NULL", "Null", "null", "None", "none"];
    if NULLS.contains(&text) {
        return Kind::NullWord;
    }
    let special = ["nan", "inf", "infinity"].iter().any(|word| text.eq_ignore_ascii_case(word));
    if special { Kind::Float } else { Kind::Text }
}

fn signed(text: &str) -> Kind {
    let digits = text.get(1..).unwrap_or_default();
    match digits.as_bytes().first() {
        Some(b'0'..=b'9' | b'.') => number(text),
        Some(b'i' | b'I' | b'n' | b'N') if ["nan", "inf", "infinity"].iter().any(|word| digits.eq_ignore_ascii_case(word)) => {
            Kind::Float
        }
        _ => Kind::Text,
    }
}

fn number_or_time(text: &str) -> Kind {
    let bytes = text.as_bytes();
    if bytes.len() >= 10 && bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-') {
        if bytes.len() == 10 {
            return if parse_date(text).is_some() { Kind::Date } else { Kind::Text };
        }
        return match parse_timestamp(text) {
            Some((_, true)) => Kind::Instant,
            Some((_, false)) => Kind::Timestamp,
            None => Kind::Text,
        };
    }
    number(text)
}

/// For texts that begin like a number.
fn number(text: &str) -> Kind {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text).as_bytes();
    if digits.iter().all(u8::is_ascii_digit) {
        let leading_zero = digits.len() > 1 && digits.first() == Some(&b'0');
        return if leading_zero || parse_integer(text).is_none() { Kind::Code } else { Kind::Integer };
    }
    // Rust's parser takes words too, but those do not begin with a digit, a sign and a digit, or a point.
    let shape = digits.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+' | b'-'));
    let leading_zeros = matches!(digits.get(..2), Some([b'0', b'0'..=b'9']));
    if shape && !leading_zeros && text.parse::<f64>().is_ok() { Kind::Float } else { Kind::Text }
}

/// `true` or `false`, in the usual capitals.
pub(crate) fn parse_boolean(text: &str) -> Option<bool> {
    match text.trim_ascii() {
        "true" | "True" | "TRUE" => Some(true),
        "false" | "False" | "FALSE" => Some(false),
        _ => None,
    }
}

/// A whole number of 64 bits.
pub(crate) fn parse_integer(text: &str) -> Option<i64> {
    text.trim_ascii().parse().ok()
}

/// A floating point number, NaN and infinities included.
pub(crate) fn parse_float(text: &str) -> Option<f64> {
    text.trim_ascii().parse().ok()
}

/// `YYYY-MM-DD` as days since 1970-01-01.
pub(crate) fn parse_date(text: &str) -> Option<i32> {
    let bytes = text.trim_ascii().as_bytes();
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = bytes else { return None };
    let year = digits(&[*y1, *y2, *y3, *y4])?;
    let month = digits(&[*m1, *m2])?;
    let day = digits(&[*d1, *d2])?;
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => return None,
    };
    if day == 0 || day > days {
        return None;
    }
    // Days from civil (Howard Hinnant, "chrono-compatible low-level date algorithms"): years begin in March.
    let (year, month) = if month <= 2 { (year - 1, month + 9) } else { (year, month - 3) };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * month + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    Some(era * 146_097 + day_of_era - 719_468)
}

/// A date, `T` or a blank, `HH:MM[:SS[.fraction]]`, and a zone or none: microseconds since 1970-01-01 (of UTC if there is a
/// zone), and whether there is one. Digits beyond microseconds are cut.
pub(crate) fn parse_timestamp(text: &str) -> Option<(i64, bool)> {
    let text = text.trim_ascii();
    let days = i64::from(parse_date(text.get(..10)?)?);
    let time = text.get(10..)?.strip_prefix(['T', ' ', 't'])?;
    let [h1, h2, b':', m1, m2, rest @ ..] = time.as_bytes() else { return None };
    let (hours, minutes) = (digits(&[*h1, *h2])?, digits(&[*m1, *m2])?);
    let (seconds, rest) = match rest {
        [b':', s1, s2, rest @ ..] => (digits(&[*s1, *s2])?, rest),
        rest => (0, rest),
    };
    let (micros, rest) = match rest {
        [b'.', rest @ ..] => fraction(rest)?,
        rest => (0, rest),
    };
    let offset_minutes = match rest {
        [] => None,
        [b'Z' | b'z'] => Some(0),
        [b' ', b'U', b'T', b'C'] => Some(0),
        [sign @ (b'+' | b'-'), h1, h2, rest @ ..] => {
            let minutes = match rest {
                [] => 0,
                [b':', m1, m2] | [m1, m2] => digits(&[*m1, *m2])?,
                _ => return None,
            };
            let hours = digits(&[*h1, *h2])?;
            if hours > 23 || minutes > 59 {
                return None;
            }
            let total = i64::from(hours * 60 + minutes);
            Some(if *sign == b'-' { -total } else { total })
        }
        _ => return None,
    };
    if hours > 23 || minutes > 59 || seconds > 59 {
        return None;
    }
    let seconds = days * 86_400 + i64::from(hours * 3600 + minutes * 60 + seconds) - offset_minutes.unwrap_or(0) * 60;
    Some((seconds * 1_000_000 + micros, offset_minutes.is_some()))
}

fn fraction(bytes: &[u8]) -> Option<(i64, &[u8])> {
    let count = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    if count == 0 || count > 12 {
        return None;
    }
    let (fraction, rest) = bytes.split_at_checked(count)?;
    let mut micros = 0_i64;
    for place in 0..6 {
        micros = micros * 10 + i64::from(fraction.get(place).map_or(0, |digit| digit - b'0'));
    }
    Some((micros, rest))
}

fn digits(bytes: &[u8]) -> Option<i32> {
    let mut number = 0;
    for byte in bytes {
        if !byte.is_ascii_digit() {
            return None;
        }
        number = number * 10 + i32::from(byte - b'0');
    }
    Some(number)
}

/// Whether a spreadsheet would run `text` as a formula (OWASP, "CSV injection"). Numbers and telephone numbers are none.
pub(crate) fn is_formula(text: &str, kind: Kind) -> bool {
    let bytes = text.as_bytes();
    if bytes.len() < 2 || kind != Kind::Text {
        return false;
    }
    match bytes.first() {
        Some(b'=' | b'@' | b'\t' | b'\r') => true,
        Some(b'+' | b'-') => {
            !bytes.iter().all(|byte| matches!(byte, b'0'..=b'9' | b'+' | b'-' | b' ' | b'(' | b')' | b'.' | b'/'))
        }
        _ => false,
    }
}

/// Whether a spreadsheet would run a column's name as a formula. Names such as `@timestamp` and `-log10(p)` are none.
pub(crate) fn is_formula_name(name: &str) -> bool {
    match name.as_bytes() {
        [b'=' | b'\t' | b'\r', _, ..] => true,
        [b'@', rest @ ..] => rest.iter().any(|byte| matches!(byte, b'(' | b'|' | b'!')),
        [b'+' | b'-', rest @ ..] => rest.iter().any(|byte| matches!(byte, b'|' | b'!')),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(kind: Kind, texts: &[&str]) {
        for text in texts {
            assert_eq!(classify(text), kind, "{text:?}");
        }
    }

    #[test]
    fn kinds() {
        check(Kind::Empty, &["", "  "]);
        check(Kind::NullWord, &["NA", "null", "None", "#N/A"]);
        check(Kind::Boolean, &["true", "FALSE", " True"]);
        check(Kind::Integer, &["0", "-5", "+7", "9223372036854775807", "-9223372036854775808", " 39"]);
        check(Kind::Float, &["0.5", ".5", "5.", "-1e-3", "1E400", "nan", "-inf", "Infinity", "+.5", "NaN"]);
        check(Kind::Code, &["007", "0031612345678", "9223372036854775808", "-01"]);
        check(Kind::Date, &["2024-02-29", "0001-01-01"]);
        check(Kind::Timestamp, &["2024-02-29T10:00", "2024-02-29 10:00:59.123456789"]);
        check(Kind::Instant, &["2024-02-29T10:00:00Z", "2024-02-29 10:00:00.5+05:30", "2024-02-29T10:00-0800"]);
        let texts = ["x", "1,000", "2023-02-29", "0x1F", "1_000", "--", "-", "1e", "e5", "2024-13-01", "1.2.3", "192.168.0.1"];
        check(Kind::Text, &texts);
        check(Kind::Text, &["2024-02-29T24:00", "2024-02-29T10:00:60", "00.5", "trueish", "Nan Goldin", "１２"]);
    }

    #[test]
    fn times_are_right() {
        assert_eq!(parse_date("1970-01-01"), Some(0));
        assert_eq!(parse_date("2000-03-01"), Some(11_017));
        assert_eq!(parse_date("1969-12-31"), Some(-1));
        assert_eq!(parse_timestamp("1970-01-01T00:00:01.5"), Some((1_500_000, false)));
        assert_eq!(parse_timestamp("1970-01-01 02:00:00+02:00"), Some((0, true)));
        assert_eq!(parse_timestamp("1969-12-31T23:59:59.999999Z"), Some((-1, true)));
    }

    #[test]
    fn every_day_of_eight_centuries_follows_the_one_before() {
        let mut expected = parse_date("1600-01-01").unwrap();
        for year in 1600..2400 {
            for month in 1..=12 {
                for day in 1..=31 {
                    if let Some(days) = parse_date(&format!("{year:04}-{month:02}-{day:02}")) {
                        assert_eq!(days, expected);
                        expected += 1;
                    }
                }
            }
        }
        assert_eq!(Some(expected), parse_date("2400-01-01"));
    }

    #[test]
    fn formulas() {
        for text in ["=1+1", "=HYPERLINK(\"http://x\")", "@SUM(A1)", "+cmd|' /C calc'!A0", "-2+3+cmd", "\t=1"] {
            assert!(is_formula(text, classify(text)), "{text:?}");
        }
        for name in ["=HYPERLINK(\"http://x\")", "@SUM(A1)", "+cmd|' /C calc'!A0", "=1"] {
            assert!(is_formula_name(name), "{name:?}");
        }
        for name in ["@timestamp", "-log10(p)", "+", "=", "a=b", "-x", ""] {
            assert!(!is_formula_name(name), "{name:?}");
        }
        for text in ["-5", "+5.5", "-1e-3", "-", "=", "+31 (6) 123-456", "a=b", "-inf", ""] {
            assert!(!is_formula(text, classify(text)), "{text:?}");
        }
    }
}
