//! JSON lines: an object per line; or one document of the same rows. The first look reads the whole file and settles the
//! columns, as for CSV.

mod document;
pub(crate) mod flatten;
mod lines;
mod read;
mod records;

use std::collections::HashMap;
use std::sync::Arc;

use crate::columns::{Facts, settle_names};
use crate::csv::{note_empty, schema_of};
use crate::error::TableError;
use crate::json_lines::document::Shape;
use crate::json_lines::flatten::Cell;
use crate::json_lines::read::{JsonReader, Part};
use crate::json_lines::records::{Records, refused};
use crate::limits::{COLUMN_COUNT_MAX, PARTITION_BYTES};
use crate::notes::{About, Example, NoteKind, Notes};
use crate::source::{DataFile, ReadAhead};
use crate::table::{Opened, Partition, ReadOptions};
use crate::values::Kind;

/// The first look at all files of a table.
#[derive(Default)]
struct Look {
    places: HashMap<String, usize>,
    names: Vec<String>,
    facts: Vec<Facts>,
    shapes: Vec<Shape>,
    parts: Vec<Part>,
    partitions: Vec<Partition>,
    rows: u64,
    notes: Notes,
}

pub(crate) fn open(files: &[DataFile], options: &ReadOptions) -> Result<Opened, TableError> {
    let mut look = Look::default();
    for (index, file) in files.iter().enumerate() {
        let first_row = look.rows;
        look.file(index, file)?;
        if look.rows == first_row {
            note_empty(&mut look.notes, &file.path);
        }
    }
    if look.names.is_empty() && look.notes.find(NoteKind::MalformedRows, None).is_none() {
        return Err(TableError::Empty { file: files.first().map(|file| file.path.clone()).unwrap_or_default() });
    }
    let first = files.first().map_or("", |file| file.path.as_str());
    let names = settle_names(first, look.names, &mut look.notes)?;
    let schema = schema_of(&names, &look.facts, &mut look.notes);
    let reader = JsonReader {
        files: files.to_vec(),
        schema: Arc::clone(&schema),
        places: look.places,
        shapes: look.shapes,
        parts: look.parts,
        options: options.clone(),
    };
    Ok(Opened { schema, partitions: look.partitions, reader: Box::new(reader), notes: look.notes })
}

impl Look {
    fn file(&mut self, index: usize, file: &DataFile) -> Result<(), TableError> {
        let mut ahead = ReadAhead::new(Arc::clone(&file.bytes));
        let marked = ahead.get(0, 3).is_ok_and(|mark| mark.as_ref() == b"\xef\xbb\xbf");
        if marked {
            let text = "it begins with a byte order mark, which is skipped";
            self.notes.add(About { kind: NoteKind::ByteOrderMark, file: Some(&file.path), column: None, text }, 1, None);
        }
        let shape = Shape::of(ahead.clone(), if marked { 3 } else { 0 }).map_err(|error| refused(&file.path, error))?;
        let mut records = Records::new(&shape, ahead, shape.start());
        let is_lines = matches!(shape, Shape::Lines(_));
        self.shapes.push(shape);
        let mut part = Part { file: index, offset: records.offset(), rows: 0 };
        let (before, mut first_row, mut nested) = (self.rows, self.rows, false);
        while records.advance(&file.path)? {
            match records.row() {
                None => continue,
                Some(Ok(cells)) => {
                    nested |= self.rows == before && cells.iter().any(|(path, cell)| is_nested(path, cell));
                    self.row(file, &cells)?;
                    part.rows += 1;
                    self.rows += 1;
                }
                Some(Err(reason)) => self.malformed(file, records.line(), reason),
            }
            if records.offset() - part.offset >= PARTITION_BYTES && part.rows > 0 {
                let next = Part { file: index, offset: records.offset(), rows: 0 };
                self.add(std::mem::replace(&mut part, next), first_row);
                first_row = self.rows;
            }
        }
        if part.rows > 0 {
            self.add(part, first_row);
        }
        if is_lines && nested && self.rows == before + 1 {
            let text = "the whole file is one object, and so one row; write an object per row, in lines or in one array";
            self.notes.add(About { kind: NoteKind::OneRow, file: Some(&file.path), column: None, text }, 1, None);
        }
        Ok(())
    }

    fn add(&mut self, part: Part, first_row: u64) {
        self.partitions.push(Partition { file: part.file, first_row, rows: part.rows });
        self.parts.push(part);
    }

    fn row(&mut self, file: &DataFile, cells: &[(String, Cell<'_>)]) -> Result<(), TableError> {
        for (path, cell) in cells {
            let place = if let Some(place) = self.places.get(path) {
                *place
            } else {
                let count = self.names.len() as u64 + 1;
                let advice = "keep objects with changing keys as texts, or as lists of pairs";
                TableError::limit(&file.path, "columns", count, COLUMN_COUNT_MAX as u64, advice)?;
                self.places.insert(path.clone(), self.names.len());
                self.names.push(path.clone());
                self.facts.push(Facts::default());
                self.names.len() - 1
            };
            let Some(facts) = self.facts.get_mut(place) else { continue };
            if cell.kind == Kind::Numbers {
                facts.see_numbers(cell.numbers.len(), self.rows, &cell.text);
            } else {
                facts.see(cell.kind, self.rows, &cell.text);
            }
        }
        Ok(())
    }

    fn malformed(&mut self, file: &DataFile, line: u64, reason: String) {
        let text = "lines that are no rows are left out; each example says why";
        let example = Example { row: self.rows, line: Some(line), text: reason };
        let about = About { kind: NoteKind::MalformedRows, file: Some(&file.path), column: None, text };
        self.notes.add(about, 1, Some(example));
    }
}

fn is_nested(path: &str, cell: &Cell<'_>) -> bool {
    path.contains('.') || matches!(cell.kind, Kind::Json | Kind::Numbers)
}

#[cfg(test)]
mod tests;
