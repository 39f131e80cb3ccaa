//! What pages are made of: tables of cells that lead somewhere, and states that are told by a word first and a colour second.

use gate::{DataState, Visitor};
use kernel::Problem;

use crate::query::Query;

/// How something stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing to say.
    Plain,
    /// As it should be.
    Good,
    /// Somebody has to look.
    Wait,
    /// Refused, failing, grave.
    Bad,
}

impl Tone {
    /// The class in the style sheet.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Good => "tag good",
            Self::Wait => "tag wait",
            Self::Bad => "tag bad",
        }
    }

    /// Of a version's state.
    #[must_use]
    pub const fn of_state(state: DataState) -> Self {
        match state {
            DataState::Admitted => Self::Good,
            DataState::Refused => Self::Bad,
            _ => Self::Wait,
        }
    }
}

/// One cell.
#[derive(Clone, Debug)]
pub struct Cell {
    /// What it says.
    pub text: String,
    /// Where it leads; empty for nowhere.
    pub href: String,
    /// How that stands.
    pub tone: Tone,
    /// What stands beside a name, less loudly: its id. Empty for nothing.
    pub beside: String,
}

impl Cell {
    /// A text.
    pub fn text(text: impl Into<String>) -> Self {
        Self { text: text.into(), href: String::new(), tone: Tone::Plain, beside: String::new() }
    }

    /// A text that leads somewhere.
    pub fn link(text: impl Into<String>, href: impl Into<String>) -> Self {
        Self { href: href.into(), ..Self::text(text) }
    }

    /// A state.
    pub fn state(text: impl Into<String>, tone: Tone) -> Self {
        Self { tone, ..Self::text(text) }
    }

    /// The same with an id beside it.
    #[must_use]
    pub fn beside(self, id: impl Into<String>) -> Self {
        Self { beside: id.into(), ..self }
    }

    /// The class in the style sheet.
    #[must_use]
    pub const fn class(&self) -> &'static str {
        self.tone.class()
    }
}

/// A table with its heading.
#[derive(Clone, Debug)]
pub struct Table {
    /// The heading, which is its anchor too.
    pub id: &'static str,
    /// The heading.
    pub title: String,
    /// The columns.
    pub columns: Vec<&'static str>,
    /// The rows, as wide as the columns.
    pub rows: Vec<Vec<Cell>>,
    /// What stands there instead of rows.
    pub empty: String,
    /// Where the next page is; empty for none.
    pub next: String,
}

impl Table {
    /// A table that stands whole on its page.
    pub fn whole(
        id: &'static str,
        title: impl Into<String>,
        columns: &[&'static str],
        rows: Vec<Vec<Cell>>,
        empty: impl Into<String>,
    ) -> Self {
        Self { id, title: title.into(), columns: columns.to_vec(), rows, empty: empty.into(), next: String::new() }
    }

    /// A part of a table that is there as a whole: which rows, and where the next ones are. Its anchor is the parameter that says so.
    ///
    /// # Errors
    /// As [`Query::cut`].
    pub fn in_parts(self, row_count: usize, query: &Query, page: &str) -> Result<Self, Problem> {
        let count = self.rows.len();
        let (rows, next) = query.cut(&self.rows, (self.id, row_count), page)?;
        if rows.len() == count {
            return Ok(self);
        }
        let from = query.get(self.id).and_then(|text| text.parse::<usize>().ok()).unwrap_or(0).min(count);
        let title = format!("{}: {} to {} of {count}", self.title, (from + 1).min(count), from + rows.len());
        Ok(Self { title, rows: rows.to_vec(), next: next.unwrap_or_default(), ..self })
    }

    /// The same with where its next page is, if there is one.
    #[must_use]
    pub fn going_on(self, next: Option<String>) -> Self {
        Self { next: next.unwrap_or_default(), ..self }
    }
}

/// What can be done about a row.
#[derive(Clone, Debug, Default)]
pub struct Button {
    /// The decision that it sends.
    pub value: &'static str,
    /// What stands on it.
    pub words: String,
    /// Whether it is not the first thing to do.
    pub is_plain: bool,
    /// Whether it cannot be taken back, so that it takes a tick beside the button, which [`wire::Form::sure`] looks for.
    pub is_grave: bool,
    /// What it sends besides.
    pub hidden: Vec<(&'static str, String)>,
}

/// A row with what can be done about it.
#[derive(Clone, Debug)]
pub struct ActingRow {
    /// Its cells, as many as the columns.
    pub cells: Vec<Cell>,
    /// Where decisions go.
    pub action: String,
    /// The decisions that the visitor may take.
    pub buttons: Vec<Button>,
}

/// A table whose rows can be decided on.
#[derive(Clone, Debug)]
pub struct ActingTable {
    /// The anchor.
    pub id: &'static str,
    /// The heading.
    pub title: String,
    /// The columns; a last one has the buttons.
    pub columns: Vec<&'static str>,
    /// The rows.
    pub rows: Vec<ActingRow>,
    /// What stands there instead of rows.
    pub empty: String,
    /// Where the next page is; empty for none.
    pub next: String,
}

/// What a verb gives, where the caller may ask for it; none where not. A page shows what there is for somebody, and the log is not filled with
/// refusals that nobody asked for.
///
/// # Errors
/// The verb's own.
pub async fn if_allowed<O: gate::Operation>(visitor: &Visitor, operation: O) -> Result<Option<O::Output>, Problem> {
    if !visitor.can(&operation).await? {
        return Ok(None);
    }
    visitor.call(operation).await.map(Some)
}

/// How many of something, in words: `1 rule`, `2 rules`.
#[must_use]
pub fn counted(count: usize, what: &str) -> String {
    format!("{count} {what}{}", if count == 1 { "" } else { "s" })
}

/// A heading; where not all stands below it, with how many there are.
#[must_use]
pub fn first_of(title: &str, count: usize, count_max: usize) -> String {
    if count > count_max { format!("{title}: the first {count_max} of {count}") } else { title.to_owned() }
}

/// A text that may be of any length, where it has to fit: cut, and said so.
#[must_use]
pub fn shortened(text: &str, char_count_max: usize) -> String {
    match text.char_indices().nth(char_count_max) {
        Some((end, _)) => {
            let whole = text.chars().count();
            format!("{}… (cut: {whole} characters)", text.get(..end).unwrap_or_default())
        }
        None => text.to_owned(),
    }
}

/// How an account is called, or its id where it has no name any more.
#[must_use]
pub fn called(name: Option<&String>, id: &str) -> String {
    name.cloned().unwrap_or_else(|| id.to_owned())
}

/// One part of an address.
#[must_use]
pub fn part(text: &str) -> String {
    percent_encoding::utf8_percent_encode(text, percent_encoding::NON_ALPHANUMERIC).to_string()
}

/// Bytes, as people read them.
#[must_use]
pub fn bytes(count: i64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are shown")]
    let mut left = count.max(0) as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if left < 1024.0 {
            return if unit == "B" { format!("{left:.0} B") } else { format!("{left:.1} {unit}") };
        }
        left /= 1024.0;
    }
    format!("{left:.1} TiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_at_a_glance_and_names_cannot_leave_their_place() {
        assert_eq!([0, 999, 1_536, 5 << 20, 3 << 40].map(bytes), ["0 B", "999 B", "1.5 KiB", "5.0 MiB", "3.0 TiB"]);
        assert_eq!([shortened("äöü", 3), shortened("äöüx", 3)], ["äöü", "äöü… (cut: 4 characters)"]);
        let rows = |count: usize| (0..count).map(|number| vec![Cell::text(number.to_string())]).collect();
        let table = |count| Table::whole("files", "Files", &["Name"], rows(count), "");
        let first = table(5).in_parts(2, &Query::default(), "/p").unwrap();
        assert_eq!((first.title.as_str(), first.rows.len(), first.next.as_str()), ("Files: 1 to 2 of 5", 2, "/p?files=2#files"));
        let last = table(5).in_parts(2, &Query::default().with("files", "4"), "/p").unwrap();
        assert_eq!((last.title.as_str(), last.rows.len(), last.next.as_str()), ("Files: 5 to 5 of 5", 1, ""));
        assert_eq!(table(2).in_parts(2, &Query::default(), "/p").unwrap().title, "Files");
        assert_eq!(part("a/../b?x#y"), "a%2F%2E%2E%2Fb%3Fx%23y");
    }
}
