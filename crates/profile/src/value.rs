//! One value of a table, as a report shows it.

use serde::{Deserialize, Serialize};

use crate::limits::VALUE_BYTES_MAX;

/// A value; long texts are cut.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Value {
    /// True or false.
    Boolean(bool),
    /// A whole number.
    Integer(i64),
    /// A finite number.
    Number(f64),
    /// A text, or its beginning; times are texts too.
    Text(String),
    /// A value that was taken out of the report, because it may be personal.
    Masked,
}

impl Value {
    /// Becomes this text, cut to what a report keeps, and reuses its memory.
    pub fn set_text(&mut self, text: &str) {
        let cut = cut(text);
        if let Self::Text(own) = self {
            own.clear();
            own.push_str(cut);
        } else {
            *self = Self::Text(cut.to_owned());
        }
    }
}

impl std::fmt::Display for Value {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Boolean(value) => write!(to, "{value}"),
            Self::Integer(value) => write!(to, "{value}"),
            Self::Number(value) => write!(to, "{value}"),
            Self::Text(value) => write!(to, "{value}"),
            Self::Masked => write!(to, "(masked)"),
        }
    }
}

/// The beginning of a text that a report keeps.
#[must_use]
pub fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(VALUE_BYTES_MAX)).unwrap_or(text)
}
