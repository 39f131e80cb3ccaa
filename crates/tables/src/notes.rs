//! What a reader noticed: facts that a user should know and that a policy may weigh. Nothing here stops a read.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::limits::{EXAMPLE_BYTES_MAX, EXAMPLE_COUNT_MAX, NOTE_COUNT_MAX};

/// What was noticed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NoteKind {
    /// Records that are no rows: too few or too many fields, invalid UTF-8, NUL bytes, JSON that does not parse.
    /// They are not in any batch and have no row number.
    MalformedRows,
    /// A column holds values of different types, and is read as text.
    MixedTypes,
    /// Two columns have one name; the later one was renamed.
    DuplicatedColumn,
    /// A column has no name, and was given one.
    UnnamedColumn,
    /// Nobody said whether a CSV's first record names the columns: it is taken as a row, or nothing tells what it is.
    GuessedHeader,
    /// Cells that a spreadsheet would run as formulas.
    Formula,
    /// Whole numbers of more than 64 bits, which make their column text.
    WideNumbers,
    /// Words such as `NA` or `null` in a typed column, read as nulls.
    NullWords,
    /// The file begins with a byte order mark, which is skipped.
    ByteOrderMark,
    /// A file without rows.
    EmptyFile,
    /// A JSON file that is one object with lists or objects within, and so one row.
    OneRow,
    /// An Arrow stream without the mark that ends one: it may have been cut off between two batches.
    EndMissing,
    /// Exact numbers with fractions (decimals) are read as floating point numbers, and lose digits.
    ReadAsFloat,
    /// Lists of another length than the column's first ones, read as nulls.
    RaggedList,
    /// Images that do not decode; their row says why in the column `problem`.
    Undecodable,
    /// Images that are named as another kind than they are.
    Misnamed,
    /// Images with bytes behind their end.
    TrailingBytes,
    /// Images that say where they were taken.
    Place,
}

/// Where a fact was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The global number of the row, from 0 on. For a malformed record: of the row that follows it.
    pub row: u64,
    /// The line in the file, from 1 on, where lines are counted.
    pub line: Option<u64>,
    /// The value, or what is wrong; cut to [`EXAMPLE_BYTES_MAX`].
    pub text: String,
}

/// One fact.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// What.
    pub kind: NoteKind,
    /// The file, for facts about one.
    pub file: Option<String>,
    /// The column, for facts about one.
    pub column: Option<String>,
    /// How often.
    pub count: u64,
    /// One sentence for a reader.
    pub text: String,
    /// The first few places.
    pub examples: Vec<Example>,
}

/// All facts, in the order in which they were first seen.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Notes {
    /// The facts, at most [`NOTE_COUNT_MAX`].
    pub notes: Vec<Note>,
    /// How many facts more there were.
    pub more_count: u64,
    #[serde(skip)]
    places: HashMap<(NoteKind, Option<String>, Option<String>), usize>,
}

impl Notes {
    /// The fact of this kind about this column, if it was noticed.
    #[must_use]
    pub fn find(&self, kind: NoteKind, column: Option<&str>) -> Option<&Note> {
        self.notes.iter().find(|note| note.kind == kind && note.column.as_deref() == column)
    }

    /// Adds `count` sightings of a fact; `example` is kept if there is room.
    pub(crate) fn add(&mut self, about: About<'_>, count: u64, example: Option<Example>) {
        let key = (about.kind, about.file.map(str::to_owned), about.column.map(str::to_owned));
        let place = match self.places.get(&key) {
            Some(place) => *place,
            None if self.notes.len() >= NOTE_COUNT_MAX => {
                self.more_count = self.more_count.saturating_add(count);
                return;
            }
            None => {
                let text = about.text.to_owned();
                self.notes.push(Note {
                    kind: about.kind,
                    file: key.1.clone(),
                    column: key.2.clone(),
                    count: 0,
                    text,
                    examples: Vec::new(),
                });
                self.places.insert(key, self.notes.len() - 1);
                self.notes.len() - 1
            }
        };
        let Some(note) = self.notes.get_mut(place) else { return };
        note.count = note.count.saturating_add(count);
        if let Some(mut example) = example.filter(|_| note.examples.len() < EXAMPLE_COUNT_MAX) {
            example.text = cut(&example.text);
            note.examples.push(example);
        }
    }
}

/// Which fact is added to.
pub(crate) struct About<'a> {
    pub kind: NoteKind,
    pub file: Option<&'a str>,
    pub column: Option<&'a str>,
    pub text: &'a str,
}

/// The beginning of `text` that fits an example.
pub(crate) fn cut(text: &str) -> String {
    if text.len() <= EXAMPLE_BYTES_MAX {
        return text.to_owned();
    }
    let end = (0..=EXAMPLE_BYTES_MAX).rev().find(|at| text.is_char_boundary(*at)).unwrap_or(0);
    format!("{}…", text.get(..end).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn facts_are_counted_once_and_bounded() {
        let mut notes = Notes::default();
        for row in 0..100 {
            let about = About { kind: NoteKind::Formula, file: None, column: Some("a"), text: "formulas" };
            notes.add(about, 1, Some(Example { row, line: None, text: "é".repeat(100) }));
        }
        assert_eq!(notes.notes.len(), 1);
        let note = notes.find(NoteKind::Formula, Some("a")).unwrap();
        assert_eq!((note.count, note.examples.len(), note.examples[0].text.chars().count()), (100, EXAMPLE_COUNT_MAX, 41));
        for column in 0..2 * NOTE_COUNT_MAX {
            let name = column.to_string();
            notes.add(About { kind: NoteKind::MixedTypes, file: None, column: Some(&name), text: "mixed" }, 1, None);
        }
        assert_eq!((notes.notes.len(), notes.more_count as usize), (NOTE_COUNT_MAX, NOTE_COUNT_MAX + 1));
    }
}
