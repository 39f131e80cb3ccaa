//! The little XML that a bucket answers about versions and locks, where a whole reader would be the larger risk: an element is found by
//! its name, values are short and plain, and whatever does not look so is no answer.

use kernel::Micros;

/// The text of the first element of this name.
pub(super) fn text<'a>(document: &'a str, name: &str) -> Option<&'a str> {
    elements(document, name).next().map(str::trim)
}

/// What stands in the elements of this name, one after the other. Elements without attributes, as S3 writes them.
pub(super) fn elements<'a>(document: &'a str, name: &str) -> impl Iterator<Item = &'a str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = document;
    std::iter::from_fn(move || {
        let (_, behind) = rest.split_once(open.as_str())?;
        let (inner, after) = behind.split_once(close.as_str())?;
        rest = after;
        Some(inner)
    })
}

/// Whether it can stand in a query as it is.
pub(super) fn is_plain(text: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~');
    !text.is_empty() && text.len() <= 1_024 && text.bytes().all(fits)
}

/// `2026-01-31T12:00:00Z`, with or without a fraction.
pub(super) fn moment(text: &str) -> Option<Micros> {
    let whole = text.get(..19)?;
    let rest = text.get(19..)?;
    let fraction = rest.trim_start_matches('.').trim_end_matches('Z').trim_end_matches("+00:00");
    if !rest.ends_with('Z') && !rest.ends_with("+00:00") || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let number = |from: usize, to: usize| whole.get(from..to)?.parse().ok();
    let separators = [(4, '-'), (7, '-'), (10, 'T'), (13, ':'), (16, ':')];
    if !separators.into_iter().all(|(at, sign)| whole.get(at..).is_some_and(|rest| rest.starts_with(sign))) {
        return None;
    }
    let civil = kernel::Civil {
        year: number(0, 4)?,
        month: number(5, 7)?,
        day: number(8, 10)?,
        hour: number(11, 13)?,
        minute: number(14, 16)?,
        second: number(17, 19)?,
    };
    civil.at()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_and_what_is_none_is_not() {
        let list = "<L><Version><Key>a</Key><VersionId>1</VersionId></Version><Version><Key>b</Key></Version><Version><Key>c";
        let keys: Vec<_> = elements(list, "Version").map(|one| text(one, "Key")).collect();
        assert_eq!(keys, [Some("a"), Some("b")]);
        assert_eq!(text(list, "Mode"), None);
        assert_eq!(text("<Mode> COMPLIANCE\n</Mode>", "Mode"), Some("COMPLIANCE"));
        assert!(is_plain("3sL4kqtJlcpXroDTDmJ.rmSpXd3dIbrHY-MTRCxf3vjVBH40Nr8X8gdRQBpUMLUo_"));
        assert!(!is_plain("") && !is_plain("a&b") && !is_plain("a/b"));
    }

    #[test]
    fn moments_are_read_as_stores_write_them() {
        for good in ["2027-01-31T12:00:00Z", "2027-01-31T12:00:00.000Z", "2027-01-31T12:00:00+00:00"] {
            assert_eq!(moment(good).unwrap().rfc3339_seconds(), "2027-01-31T12:00:00Z", "{good}");
        }
        for bad in ["", "2027-01-31", "2027-01-31T12:00:00", "2027-13-31T12:00:00Z", "2027-01-31T12:00:00+02:00", "x"] {
            assert_eq!(moment(bad), None, "{bad}");
        }
    }
}
