//! Names of buckets and keys of objects. A key is text, never a path: `..` and `//` mean nothing in it.

use kernel::Problem;

use crate::Code;

/// A key in UTF-8.
pub const KEY_BYTES_MAX: usize = 1_024;

/// Checks a bucket's name: 3 to 63 lower-case letters, digits, dots and hyphens, each label beginning and ending with a letter or digit
/// (Amazon S3 User Guide, "General purpose bucket naming rules").
///
/// # Errors
/// `InvalidBucketName`.
pub fn check_bucket_name(name: &str) -> Result<(), Problem> {
    let plain = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    let is_label = |label: &str| {
        let bytes = label.as_bytes();
        bytes.first().is_some_and(|byte| plain(*byte))
            && bytes.last().is_some_and(|byte| plain(*byte))
            && bytes.iter().all(|byte| plain(*byte) || *byte == b'-')
    };
    let is_address = name.split('.').count() == 4 && name.split('.').all(|part| part.parse::<u8>().is_ok());
    if (3..=63).contains(&name.len()) && name.split('.').all(is_label) && !is_address {
        return Ok(());
    }
    Err(Code::InvalidBucketName.problem(
        "a bucket's name has 3 to 63 lower-case letters, digits, dots and hyphens, begins and ends with a letter or digit, and is no IP address",
    ))
}

/// Checks a key.
///
/// # Errors
/// `KeyTooLongError`, or `InvalidArgument` for an empty key or one with a zero byte.
pub fn check_key(key: &str) -> Result<(), Problem> {
    if key.len() > KEY_BYTES_MAX {
        return Err(Code::KeyTooLongError.problem(format!("a key has at most {KEY_BYTES_MAX} bytes")));
    }
    if key.is_empty() || key.contains('\0') {
        return Err(Code::InvalidArgument.problem("a key has at least one character, and none of them is zero"));
    }
    Ok(())
}

/// The first text behind all that begin with `prefix`; none if nothing is.
pub(crate) fn behind(prefix: &str) -> Option<String> {
    let mut chars: Vec<char> = prefix.chars().collect();
    while let Some(last) = chars.pop() {
        // Surrogates are no characters: the one behind them comes next.
        let next = u32::from(last).checked_add(1).map(|code| if code == 0xd800 { 0xe000 } else { code });
        if let Some(next) = next.and_then(char::from_u32) {
            chars.push(next);
            return Some(chars.into_iter().collect());
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_that_s3_allows() {
        let (longest, longer) = ("a".repeat(63), "a".repeat(64));
        for good in ["abc", "a.b", "my-bucket.2", "1bucket", longest.as_str(), "1.2.3.4a", "1.2.3.999"] {
            assert!(check_bucket_name(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "ab",
            longer.as_str(),
            "Abc",
            "a_b",
            "-ab",
            "ab-",
            ".ab",
            "ab.",
            "a..b",
            "a.-b",
            "192.168.5.4",
            "a b",
            "ä-b",
            "a/b",
        ] {
            assert!(check_bucket_name(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn keys_are_bounded_and_otherwise_free() {
        for good in ["a", "../../etc/passwd", "a//b", "./x", "ä", "a\nb", &"k".repeat(1_024)] {
            assert!(check_key(good).is_ok(), "{good}");
        }
        for bad in ["", "a\0b", &"k".repeat(1_025)] {
            assert!(check_key(bad).is_err());
        }
    }

    #[test]
    fn what_is_behind_a_prefix_is_behind_all_of_it() {
        assert_eq!(behind("a/").as_deref(), Some("a0"));
        assert_eq!(behind("a\u{d7ff}").as_deref(), Some("a\u{e000}"));
        assert_eq!(behind(&format!("a{}", char::MAX)).as_deref(), Some("b"));
        assert_eq!(behind(&char::MAX.to_string()), None);
        assert_eq!(behind(""), None);
    }
}
