//! Named formats: of texts (`email`, `uuid`, …) and of whole numbers (`i32`, `u8`, …).

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::instant;

/// Characters of an e-mail address: RFC 5321, 4.5.3.1.
const EMAIL_LOCAL_CHARS_MAX: usize = 64;
/// Characters of a host name: RFC 1035, 2.3.4.
const HOST_CHARS_MAX: usize = 253;
const HOST_LABEL_CHARS_MAX: usize = 63;

/// How a text is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextFormat {
    Email,
    Uuid,
    Uri,
    Hostname,
    Ipv4,
    Ipv6,
    Date,
    DateTime,
    Time,
    Base64,
}

impl TextFormat {
    /// The format of that name; `Some(None)` if it demands nothing; `None` if it is not known.
    #[expect(clippy::option_option, reason = "known to demand nothing is something else than not known")]
    pub(crate) fn of(word: &str) -> Option<Option<Self>> {
        Some(Some(match word.to_ascii_lowercase().as_str() {
            "email" | "idn-email" => Self::Email,
            "uuid" => Self::Uuid,
            "uri" | "url" => Self::Uri,
            "hostname" => Self::Hostname,
            "ipv4" => Self::Ipv4,
            "ipv6" => Self::Ipv6,
            "date" => Self::Date,
            "date-time" | "datetime" => Self::DateTime,
            "time" => Self::Time,
            "byte" => Self::Base64,
            "password" | "binary" => return Some(None),
            _ => return None,
        }))
    }

    /// Whether a text is written so.
    pub(crate) fn fits(self, text: &str) -> bool {
        match self {
            Self::Email => email(text),
            Self::Uuid => uuid(text),
            Self::Uri => uri(text),
            Self::Hostname => hostname(text),
            Self::Ipv4 => text.parse::<Ipv4Addr>().is_ok(),
            Self::Ipv6 => text.parse::<Ipv6Addr>().is_ok(),
            Self::Date => instant::days(text).is_some(),
            Self::DateTime => text.len() > 10 && text.is_char_boundary(10) && instant::nanoseconds(text).is_some(),
            Self::Time => instant::is_time(text),
            Self::Base64 => base64(text),
        }
    }

    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Email => "email",
            Self::Uuid => "uuid",
            Self::Uri => "uri",
            Self::Hostname => "hostname",
            Self::Ipv4 => "ipv4",
            Self::Ipv6 => "ipv6",
            Self::Date => "date",
            Self::DateTime => "date-time",
            Self::Time => "time",
            Self::Base64 => "byte",
        }
    }
}

/// One `@`, a local part without blanks, a host with a dot.
fn email(text: &str) -> bool {
    let Some((local, host)) = text.rsplit_once('@') else { return false };
    let plain = |one: char| !one.is_whitespace() && !one.is_control() && !"()<>[],;:\\\"@".contains(one);
    let dots = !local.starts_with('.') && !local.ends_with('.') && !local.contains("..");
    !local.is_empty()
        && local.chars().count() <= EMAIL_LOCAL_CHARS_MAX
        && local.chars().all(plain)
        && dots
        && host.contains('.')
        && hostname(host)
}

fn hostname(text: &str) -> bool {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= HOST_LABEL_CHARS_MAX
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|one| one.is_alphanumeric() || one == '-')
    };
    text.len() <= HOST_CHARS_MAX && text.split('.').all(label)
}

fn uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

/// A scheme, a colon, and something without blanks: RFC 3986, 3.
fn uri(text: &str) -> bool {
    let Some((scheme, rest)) = text.split_once(':') else { return false };
    scheme.starts_with(|one: char| one.is_ascii_alphabetic())
        && scheme.chars().all(|one| one.is_ascii_alphanumeric() || "+-.".contains(one))
        && !rest.is_empty()
        && rest.chars().all(|one| !one.is_whitespace() && !one.is_control() && !"<>\"{}|\\^`".contains(one))
}

fn base64(text: &str) -> bool {
    let bare = text.trim_end_matches('=');
    text.len().is_multiple_of(4)
        && text.len() - bare.len() <= 2
        && bare.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+' || byte == b'/')
}

/// A whole number's bits, by Rust's names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct IntegerFormat {
    pub(crate) low: i128,
    pub(crate) high: i128,
    pub(crate) word: &'static str,
}

impl IntegerFormat {
    /// The format of that name; `Some(None)` if it demands nothing; `None` if it is not known.
    #[expect(clippy::option_option, reason = "known to demand nothing is something else than not known")]
    pub(crate) fn of(word: &str) -> Option<Option<Self>> {
        let made = |low: i128, high: i128, word: &'static str| Some(Some(Self { low, high, word }));
        match word.to_ascii_lowercase().as_str() {
            "i8" => made(i8::MIN.into(), i8::MAX.into(), "i8"),
            "i16" => made(i16::MIN.into(), i16::MAX.into(), "i16"),
            "i32" | "int32" => made(i32::MIN.into(), i32::MAX.into(), "i32"),
            "i64" | "int64" => made(i64::MIN.into(), i64::MAX.into(), "i64"),
            "u8" => made(0, u8::MAX.into(), "u8"),
            "u16" => made(0, u16::MAX.into(), "u16"),
            "u32" => made(0, u32::MAX.into(), "u32"),
            "u64" => made(0, u64::MAX.into(), "u64"),
            "i128" | "u128" | "f32" | "f64" | "float" | "double" => Some(None),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(word: &str, fitting: &[&str], others: &[&str]) {
        let format = TextFormat::of(word).flatten().unwrap();
        for text in fitting {
            assert!(format.fits(text), "{word} {text}");
        }
        for text in others {
            assert!(!format.fits(text), "{word} {text}");
        }
    }

    #[test]
    fn formats_of_texts() {
        check(
            "email",
            &["a.b+c@d-e.org", "jürgen@bücher.example"],
            &["a@b", "a b@c.d", "@c.d", "a@@c.d", "a..b@c.d", "a@-c.d", ""],
        );
        check(
            "uuid",
            &["123e4567-e89b-12d3-a456-426614174000"],
            &["123e4567e89b12d3a456426614174000", "g23e4567-e89b-12d3-a456-426614174000"],
        );
        check("uri", &["https://a.b/c?d#e", "urn:x:y"], &["a.b/c", "http:", "http://a b", "1a:b"]);
        check("hostname", &["a", "a-b.example"], &["a_b", "-a", "a..b", ""]);
        check("ipv4", &["192.0.2.1"], &["192.0.2.256", "192.0.2"]);
        check("ipv6", &["2001:db8::1"], &["2001:db8:::1", "192.0.2.1"]);
        check("date", &["2024-02-29"], &["2023-02-29", "2024-02-29T00:00:00"]);
        check("date-time", &["2024-02-29T00:00:00Z"], &["2024-02-29", "yesterday at noon"]);
        check(
            "time",
            &["23:59:59", "12:00:00Z", "12:00:00+02:00", "12:00:00.25-03:30"],
            &["24:00:01", "noon", "12:00:00+25:00", "12:00:00Zulu", "12:00:00+02:75", "Z", "+02:00"],
        );
        check("byte", &["aGk=", ""], &["aGk", "a===", "a*b="]);
        assert_eq!(TextFormat::of("password"), Some(None));
        assert_eq!(TextFormat::of("phone"), None);
    }
}
