//! A paper before it is Markdown or HTML.

/// A paper.
pub(super) struct Document {
    pub(super) title: String,
    pub(super) subtitle: String,
    pub(super) sections: Vec<Section>,
}

/// A part of a paper.
pub(super) struct Section {
    pub(super) title: String,
    pub(super) blocks: Vec<Block>,
}

/// What stands in a part.
pub(super) enum Block {
    /// A heading below the section's.
    Heading(String),
    /// Text.
    Text(String),
    /// Text that says that something is not known.
    Missing(String),
    /// Names and values.
    Facts(Vec<(&'static str, Option<String>)>),
    /// A table; empty ones are told as missing by their maker.
    Table(Vec<&'static str>, Vec<Vec<String>>),
}

/// The value of a fact that is not known.
pub(super) const NOT_KNOWN: &str = "not known";

impl Section {
    pub(super) fn new(title: impl Into<String>, blocks: Vec<Block>) -> Self {
        Self { title: title.into(), blocks }
    }
}

/// A table, or the words for an empty one.
pub(super) fn table(head: Vec<&'static str>, rows: Vec<Vec<String>>, if_empty: &str) -> Block {
    if rows.is_empty() { Block::Missing(if_empty.to_owned()) } else { Block::Table(head, rows) }
}

/// A declared text, or the words for a missing one.
pub(super) fn declared(text: Option<&String>, if_missing: &str) -> Block {
    match text {
        Some(text) => Block::Text(text.clone()),
        None => Block::Missing(format!("Not declared. {if_missing}")),
    }
}
