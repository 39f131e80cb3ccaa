//! A page of sections: a heading, what is to be said first, a form that asks, buttons that act, facts, tables. Pages that need no form of their own
//! are made of this.

use askama::Template;

use crate::board::{ActingTable, Cell, Table, Tone};

/// One field of a form that asks.
#[derive(Clone, Debug)]
pub struct Field {
    /// Its name in the address.
    pub name: &'static str,
    /// What stands above it.
    pub label: &'static str,
    /// What was asked.
    pub value: String,
    /// What to write into it.
    pub hint: &'static str,
    /// What can be chosen; empty for a text.
    pub choices: Vec<String>,
}

impl Field {
    /// A text.
    pub fn text(name: &'static str, label: &'static str, value: impl Into<String>, hint: &'static str) -> Self {
        Self { name, label, value: value.into(), hint, choices: Vec::new() }
    }

    /// One of some.
    pub fn choice(name: &'static str, label: &'static str, value: impl Into<String>, choices: Vec<String>) -> Self {
        Self { name, label, value: value.into(), hint: "", choices }
    }
}

/// A button with what it does.
#[derive(Clone, Debug)]
pub struct Deed {
    /// Where it goes.
    pub action: String,
    /// What stands on it.
    pub words: &'static str,
    /// What will happen.
    pub what: String,
    /// What it sends.
    pub hidden: Vec<(&'static str, String)>,
    /// Whether it is not the first thing to do.
    pub is_plain: bool,
    /// Whether it cannot be taken back, so that it takes a tick beside the button.
    pub is_grave: bool,
}

/// The page.
#[derive(Template)]
#[template(path = "sections.html")]
pub struct Sections {
    /// The heading and the title.
    pub heading: String,
    /// The page above: words and address; empty for none.
    pub back: (&'static str, String),
    /// What is said first, as a word with a tone; empty for nothing.
    pub state: Cell,
    /// Paragraphs.
    pub words: Vec<String>,
    /// The form that asks.
    pub fields: Vec<Field>,
    /// What can be done.
    pub acts: Vec<Deed>,
    /// What can be done and has to be told more: the fields beside the button.
    pub forms: Vec<(Deed, Vec<Field>)>,
    /// Names and values.
    pub facts: Vec<(&'static str, String)>,
    /// The tables.
    pub sections: Vec<Table>,
    /// Tables whose rows can be decided on, behind them.
    pub acting: Vec<ActingTable>,
    /// Where to go on.
    pub links: Vec<(String, String)>,
}

impl Sections {
    /// A page with a heading and nothing else.
    pub fn new(heading: impl Into<String>) -> Self {
        Self {
            heading: heading.into(),
            back: ("", String::new()),
            state: Cell::state("", Tone::Plain),
            words: Vec::new(),
            fields: Vec::new(),
            acts: Vec::new(),
            forms: Vec::new(),
            facts: Vec::new(),
            sections: Vec::new(),
            acting: Vec::new(),
            links: Vec::new(),
        }
    }
}
