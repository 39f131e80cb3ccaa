//! The records of a file, however they are written.

use std::sync::Arc;

use crate::error::TableError;
use crate::json_lines::document::{Elements, Shape};
use crate::json_lines::flatten::{Cell, flatten, flatten_values};
use crate::json_lines::lines::{LineError, Lines};
use crate::limits::RECORD_BYTES_MAX;
use crate::source::ReadAhead;

/// Gives records one after the other.
pub(crate) enum Records {
    Lines(Lines),
    Objects(Elements),
    Values(Elements, Arc<[String]>),
}

impl Records {
    /// The records from `offset` on: the shape's start, or where one ended.
    pub(crate) fn new(shape: &Shape, ahead: ReadAhead, offset: u64) -> Self {
        match shape {
            Shape::Lines(_) => Self::Lines(Lines::new(ahead, offset, 0)),
            Shape::Objects(start) => Self::Objects(Elements::new(ahead, offset, *start, b"]")),
            Shape::Values { start, columns, .. } => {
                Self::Values(Elements::new(ahead, offset, *start, b"]}"), Arc::clone(columns))
            }
        }
    }

    /// Goes to the next record; `false` at the end.
    pub(crate) fn advance(&mut self, path: &str) -> Result<bool, TableError> {
        let advanced = match self {
            Self::Lines(lines) => lines.advance(),
            Self::Objects(elements) | Self::Values(elements, _) => elements.advance(),
        };
        advanced.map_err(|error| refused(path, error))
    }

    /// The cells of the record given last, or why it is no row; `None` for an empty line.
    pub(crate) fn row(&self) -> Option<Result<Vec<(String, Cell<'_>)>, String>> {
        match self {
            Self::Lines(lines) => {
                let line = lines.line_bytes();
                (!line.trim_ascii().is_empty()).then(|| flatten(line))
            }
            Self::Objects(elements) => Some(flatten(elements.bytes())),
            Self::Values(elements, columns) => Some(flatten_values(columns, elements.bytes())),
        }
    }

    /// The bytes of the record given last.
    pub(crate) fn length(&self) -> usize {
        match self {
            Self::Lines(lines) => lines.line_bytes().len(),
            Self::Objects(elements) | Self::Values(elements, _) => elements.bytes().len(),
        }
    }

    /// Where it ends.
    pub(crate) const fn offset(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.offset(),
            Self::Objects(elements) | Self::Values(elements, _) => elements.offset(),
        }
    }

    /// The line in which it stands, from 1 on, counted from where reading began.
    pub(crate) const fn line(&self) -> u64 {
        match self {
            Self::Lines(lines) => lines.line,
            Self::Objects(elements) | Self::Values(elements, _) => elements.line,
        }
    }
}

/// What stops the reading of a file.
pub(crate) fn refused(path: &str, error: LineError) -> TableError {
    match error {
        LineError::Read(source) => TableError::read(path, source),
        LineError::Broken => {
            TableError::damaged(path, "its JSON does not end where its rows do; write one array, or one object per line")
        }
        LineError::TooLong => TableError::Limit {
            file: path.to_owned(),
            what: "bytes or more in one line",
            found: RECORD_BYTES_MAX as u64 + 1,
            max: RECORD_BYTES_MAX as u64,
            advice: "write one object per line",
        },
    }
}
