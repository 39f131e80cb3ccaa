//! An artifact's path below its owner's root: a key in a table, and strict as if it were a path on every disk that a
//! client may later download it to.

use kernel::Problem;
use kernel::limits::{ARTIFACT_PATH_BYTES_MAX, ARTIFACT_SEGMENT_BYTES_MAX};

use crate::config::PATH_DEPTH_MAX;

/// How often a text is decoded to see what it could become behind another server or in another client.
const DECODE_COUNT: usize = 3;

/// A path of segments joined by `/`, none of which is empty or means something else than its letters.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ArtifactPath(String);

impl ArtifactPath {
    /// Reads a path that was decoded once.
    ///
    /// # Errors
    /// `Invalid`, beginning with MLflow's words `Invalid path` (and no others where it climbs), for a path that is absolute, too long or too deep, has empty,
    /// `.` or `..` segments, backslashes, control characters, `#`, a drive letter, a name that ends in a dot or a blank, or that
    /// would become such a path if it were decoded again.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        if text.split('/').any(|segment| segment == "..") {
            // Clients compare this text.
            return Err(Problem::invalid("Invalid path"));
        }
        check(text).map_err(|why| Problem::invalid(format!("Invalid path: {why}")))?;
        check_decoded(text).map_err(|why| Problem::invalid(format!("Invalid path: once decoded again, {why}")))?;
        Ok(Self(text.to_owned()))
    }

    /// The path as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The folders above, from the top.
    pub fn folders(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| self.0.get(..at).unwrap_or_default())
    }
}

fn check(text: &str) -> Result<(), String> {
    if text.is_empty() {
        return Err("it is empty".to_owned());
    }
    if text.len() > ARTIFACT_PATH_BYTES_MAX {
        return Err(format!("it is longer than {ARTIFACT_PATH_BYTES_MAX} bytes"));
    }
    if let Some(bad) = text.chars().find(|letter| is_refused(*letter)) {
        return Err(format!("the character U+{:04X} is not allowed", u32::from(bad)));
    }
    let mut letters = text.chars();
    if letters.next().is_some_and(|first| first.is_ascii_alphabetic()) && letters.next() == Some(':') {
        return Err("a drive letter is not allowed".to_owned());
    }
    if text.split('/').count() > PATH_DEPTH_MAX {
        return Err(format!("it is deeper than {PATH_DEPTH_MAX} folders"));
    }
    text.split('/').try_for_each(check_segment)
}

fn check_segment(segment: &str) -> Result<(), String> {
    if segment.is_empty() {
        return Err("it has an empty segment; it must be relative, without `//` and without a `/` at its end".to_owned());
    }
    if segment.len() > ARTIFACT_SEGMENT_BYTES_MAX {
        return Err(format!("a name is longer than {ARTIFACT_SEGMENT_BYTES_MAX} bytes"));
    }
    check_ends(segment)
}

fn check_ends(segment: &str) -> Result<(), String> {
    if segment.ends_with(['.', ' ']) || segment.starts_with(' ') {
        return Err("a name is `.` or `..`, or begins or ends with a blank, or ends with a dot".to_owned());
    }
    if segment.starts_with("..") && !segment.chars().nth(2).is_some_and(|next| next.is_alphanumeric()) {
        return Err("a name begins with `..`".to_owned());
    }
    Ok(())
}

/// Separators of other systems, what ends a path in a URL, what does not print, and what turns the reading direction.
fn is_refused(letter: char) -> bool {
    letter.is_control()
        || matches!(letter, '\\' | '#' | '\u{2028}' | '\u{2029}' | '\u{feff}' | char::MAX)
        || matches!(letter, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fff0}'..='\u{fffb}')
}

/// What the text would be to somebody who decodes it once more must be harmless too. Old MLflow clients put `%` between
/// the parts of an image's name, so what comes of it may be no text at all; only what could lead elsewhere is refused.
fn check_decoded(text: &str) -> Result<(), String> {
    let mut seen = text.as_bytes().to_vec();
    for _ in 0..DECODE_COUNT {
        let decoded: Vec<u8> = percent_encoding::percent_decode(&seen).collect();
        if decoded == seen {
            return Ok(());
        }
        if decoded.split(|byte| *byte == b'/').count() != text.split('/').count() {
            return Err("it has other segments".to_owned());
        }
        // 0xC0 and 0xC1 only begin over-long encodings, which some decoders take for dots and slashes.
        if decoded.iter().any(|byte| matches!(byte, 0 | b'\n' | b'\r' | b'\\' | b'#' | 0xC0 | 0xC1)) {
            return Err("it has characters that are not allowed".to_owned());
        }
        decoded.split(|byte| *byte == b'/').try_for_each(|segment| check_ends(&String::from_utf8_lossy(segment)))?;
        seen = decoded;
    }
    Err("it can be decoded yet again".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ordinary_names_are_taken() {
        for good in [
            "a",
            "a.txt",
            "model/MLmodel",
            ".hidden",
            "a b/c (1).png",
            "ünï/日本.txt",
            "100%.txt",
            "50% off/x",
            "a%20b",
            "a;b",
            "a+b=c&d?e",
            "..a",
            "a..b",
            "x/..y",
            "model-0.1.2/data.tar.gz",
            "ab:c",
            "images/dog%step%1%timestamp%1712%f3a0",
            "~/x",
            "$HOME",
            "%41",
            "a~1",
            "nul",
            "-rf",
            "plots/roc@2x.png",
        ] {
            assert_eq!(ArtifactPath::parse(good).map(|path| path.0).unwrap(), good);
        }
        let folders = ArtifactPath::parse("a/b/c.txt").unwrap();
        assert_eq!(folders.folders().collect::<Vec<_>>(), ["a", "a/b"]);
    }

    /// The spellings of MLflow's path traversal advisories, and their relatives.
    #[test]
    fn every_spelling_of_a_way_out_is_refused() {
        let long = "a".repeat(256);
        let deep = ["a"; PATH_DEPTH_MAX + 1].join("/");
        let too_long = ["a".repeat(250).as_str(); 5].join("/");
        for bad in [
            "",
            "/",
            "/etc/passwd",
            "//etc/passwd",
            "..",
            ".",
            "../x",
            "a/../x",
            "a/..",
            "./a",
            "a/./b",
            "a//b",
            "a/",
            "a/b/",
            "..\\x",
            "a\\..\\x",
            "\\\\host\\share",
            "C:/x",
            "C:\\x",
            "c:x",
            "file:///etc/passwd",
            "http://host/x",
            "%2e%2e/x",
            "%2E%2E/x",
            "a/%2e%2e/x",
            ".%2e/x",
            "%2e./x",
            "%2e",
            "a%2f..%2fb",
            "a%2fb",
            "%2fetc/passwd",
            "%5c..%5cx",
            "a%5cb",
            "%252e%252e/x",
            "%252e%252e%252fx",
            "%25252e%25252e/x",
            "a%00b",
            "a%2500",
            "a%0ab",
            "a\0b",
            "a\nb",
            "a\tb",
            "a\u{7f}b",
            "a\u{85}b",
            "..;/x",
            "a/..;/x",
            "..;x",
            "a#b",
            "#",
            "a%23b",
            "..%00/x",
            "..%0d/x",
            "%c0%ae%c0%ae/x",
            "..%c0%af",
            "...a",
            "a.",
            "a ",
            " a",
            "a./b",
            "a /b",
            "...",
            "....//x",
            "..../x",
            "a/...",
            "%20a",
            "a%2e",
            "a%20",
            "a\u{202e}gpj.exe",
            "a\u{200b}b",
            "\u{feff}a",
            "a\u{2028}b",
            "%252525252e",
            long.as_str(),
            deep.as_str(),
            too_long.as_str(),
        ] {
            let refused = ArtifactPath::parse(bad).expect_err(bad);
            assert!(refused.message().starts_with("Invalid path"), "{bad:?}: {refused}");
        }
    }
}
