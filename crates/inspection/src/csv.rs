//! How CSV files are written, where their committer said so.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// What a committer says of its CSV files; what is not said is found out from their beginning. The words are those of the
/// W3C's dialect descriptions (Metadata Vocabulary for Tabular Data 2015, section 5.9).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CsvDialect {
    /// Whether the first record names the columns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub header: Option<bool>,
    /// What stands between two fields.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delimiter: Option<Delimiter>,
}

impl CsvDialect {
    /// As the options of a command say it: whether there is a header, that there is none, and what parts the fields.
    #[must_use]
    pub fn of_options(header: bool, no_header: bool, delimiter: Option<Delimiter>) -> Self {
        Self { header: (header || no_header).then_some(header), delimiter }
    }

    /// Whether nothing is said.
    #[must_use]
    pub fn is_silent(&self) -> bool {
        *self == Self::default()
    }
}

/// A character that may stand between two fields: one of ASCII that is no letter, digit, quote, or part of a line end or number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "char", into = "char")]
pub struct Delimiter(u8);

impl Delimiter {
    /// The byte.
    #[must_use]
    pub const fn byte(self) -> u8 {
        self.0
    }
}

impl TryFrom<char> for Delimiter {
    type Error = String;

    fn try_from(character: char) -> Result<Self, String> {
        let taken = character.is_ascii_alphanumeric() || "\"'\r\n\0.+-".contains(character);
        match u8::try_from(character).ok().filter(|byte| byte.is_ascii() && !taken) {
            Some(byte) => Ok(Self(byte)),
            None => Err(format!("{character:?} cannot part fields; name a character such as `,`, `;`, `|` or a tab")),
        }
    }
}

/// As people type it: the character itself, or `tab` or `space`.
impl FromStr for Delimiter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut characters = text.chars();
        match (text, characters.next(), characters.next()) {
            ("tab" | "\\t", ..) => Self::try_from('\t'),
            ("space", ..) => Self::try_from(' '),
            (_, Some(character), None) => Self::try_from(character),
            _ => Err("name one character, `tab` or `space`".to_owned()),
        }
    }
}

impl From<Delimiter> for char {
    fn from(delimiter: Delimiter) -> Self {
        Self::from(delimiter.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialect_is_written_as_the_standard_writes_it() {
        let said = CsvDialect { header: Some(false), delimiter: Some(Delimiter(b'\t')) };
        let text = serde_json::to_string(&said).unwrap();
        assert_eq!(text, r#"{"header":false,"delimiter":"\t"}"#);
        assert_eq!(serde_json::from_str::<CsvDialect>(&text).unwrap(), said);
        assert_eq!(serde_json::to_string(&CsvDialect::default()).unwrap(), "{}");
        assert!(CsvDialect::default().is_silent() && !said.is_silent());
    }

    #[test]
    fn what_cannot_part_fields_is_refused() {
        for text in [r#"{"delimiter":"a"}"#, r#"{"delimiter":"\n"}"#, r#"{"delimiter":"\""}"#, r#"{"delimiter":";;"}"#] {
            assert!(serde_json::from_str::<CsvDialect>(text).is_err(), "{text}");
        }
        assert!(serde_json::from_str::<CsvDialect>(r#"{"delimiter":"é"}"#).is_err());
        assert!(serde_json::from_str::<CsvDialect>(r#"{"quote":"'"}"#).is_err());
        let typed = |text: &str| text.parse::<Delimiter>().map(Delimiter::byte);
        assert_eq!((typed(";"), typed("tab"), typed("\\t"), typed("space")), (Ok(b';'), Ok(b'\t'), Ok(b'\t'), Ok(b' ')));
        assert!(typed("").is_err() && typed("||").is_err() && typed("1").is_err());
    }
}
