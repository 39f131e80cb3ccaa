//! CSV: the first look reads the whole file and settles columns, types, partitions and notes; reading then cannot be surprised.

pub(crate) mod dialect;
pub(crate) mod header;
mod read;
pub(crate) mod splitter;

use std::sync::Arc;

use arrow_schema::{Field, Schema, SchemaRef};

use crate::columns::{Facts, settle_names};
use crate::csv::dialect::{Dialect, find_dialect, holds_two_records};
use crate::csv::read::{CsvReader, Part, Records};
use crate::csv::splitter::Record;
use crate::error::TableError;
use crate::limits::{PARTITION_BYTES, SAMPLE_BYTES, WIDE_SAMPLE_BYTES_MAX};
use crate::notes::{About, Example, NoteKind, Notes};
use crate::source::DataFile;
use crate::table::{Opened, Partition, ReadOptions};
use crate::values::{Kind, classify, is_formula};

/// The first look at all files of a table.
#[derive(Default)]
struct Look {
    /// Of the first file that is not empty; the others must look alike.
    dialect: Option<Dialect>,
    names: Vec<String>,
    facts: Vec<Facts>,
    parts: Vec<Part>,
    partitions: Vec<Partition>,
    rows: u64,
    notes: Notes,
}

pub(crate) fn open(files: &[DataFile], options: &ReadOptions) -> Result<Opened, TableError> {
    let mut look = Look::default();
    for (index, file) in files.iter().enumerate() {
        if file.bytes.size_bytes() == 0 {
            note_empty(&mut look.notes, &file.path);
            continue;
        }
        let dialect = match &look.dialect {
            Some(dialect) => dialect.clone(),
            None => dialect_of(file, options)?,
        };
        look.file(index, file, files, &dialect)?;
        look.dialect = Some(dialect);
    }
    let empty = || TableError::Empty { file: files.first().map(|file| file.path.clone()).unwrap_or_default() };
    let dialect = look.dialect.ok_or_else(empty)?;
    // Line ends alone are no rows.
    if !dialect.header && look.rows > 0 && look.facts.iter().all(Facts::is_empty) {
        return Err(empty());
    }
    let schema = schema_of(&look.names, &look.facts, &mut look.notes);
    let options = options.clone();
    let reader = CsvReader { files: files.to_vec(), dialect, schema: Arc::clone(&schema), parts: look.parts, options };
    Ok(Opened { schema, partitions: look.partitions, reader: Box::new(reader), notes: look.notes })
}

fn dialect_of(file: &DataFile, options: &ReadOptions) -> Result<Dialect, TableError> {
    let size = usize::try_from(file.bytes.size_bytes()).unwrap_or(usize::MAX);
    let mut length = size.min(SAMPLE_BYTES);
    loop {
        let mut sample = vec![0_u8; length];
        file.bytes.read_at(0, &mut sample).map_err(|source| TableError::read(&file.path, source))?;
        let text = sample.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&sample);
        // A line of names may be longer than the sample, and tells little without a row behind it.
        if length == size || length >= WIDE_SAMPLE_BYTES_MAX || holds_two_records(text) {
            return Ok(find_dialect(&file.path, text, length == size, options.csv));
        }
        length = length.saturating_mul(4).min(size).min(WIDE_SAMPLE_BYTES_MAX);
    }
}

/// The schema of columns with these facts, which are reported at the same time.
pub(crate) fn schema_of(names: &[String], facts: &[Facts], notes: &mut Notes) -> SchemaRef {
    let mut fields = Vec::with_capacity(names.len());
    for (name, facts) in names.iter().zip(facts) {
        facts.report(name, notes);
        fields.push(Field::new(name, facts.data_type(), true));
    }
    Arc::new(Schema::new(fields))
}

pub(crate) fn note_empty(notes: &mut Notes, path: &str) {
    notes.add(About { kind: NoteKind::EmptyFile, file: Some(path), column: None, text: "the file has no rows" }, 1, None);
}

impl Look {
    fn file(&mut self, index: usize, file: &DataFile, files: &[DataFile], dialect: &Dialect) -> Result<(), TableError> {
        let mut records = Records::new(file, dialect, 0, 1);
        if records.skip_mark()? {
            let text = "it begins with a byte order mark, which is skipped";
            self.notes.add(About { kind: NoteKind::ByteOrderMark, file: Some(&file.path), column: None, text }, 1, None);
        }
        if dialect.header {
            let first = files.get(self.parts.first().map_or(index, |part| part.file)).map_or("", |first| first.path.as_str());
            self.header(&mut records, file, first)?;
        } else if self.names.is_empty() {
            self.name((1..=dialect.field_count).map(|number| format!("column_{number}")).collect(), &file.path)?;
        }
        let guessed = !dialect.header_said && (!dialect.header || !dialect.header_sure);
        if guessed && self.dialect.is_none() {
            let text = if dialect.header {
                "its first record is taken as the columns' names; if it is a row, say that there is no header"
            } else {
                "its first record is taken as a row, and columns are named by their places; if it names them, say that there is a header"
            };
            self.notes.add(About { kind: NoteKind::GuessedHeader, file: Some(&file.path), column: None, text }, 1, None);
        }
        let first_row = self.rows;
        self.rows(index, file, &mut records)?;
        if self.rows == first_row {
            note_empty(&mut self.notes, &file.path);
        }
        Ok(())
    }

    fn name(&mut self, names: Vec<String>, file: &str) -> Result<(), TableError> {
        self.names = settle_names(file, names, &mut self.notes)?;
        self.facts = vec![Facts::default(); self.names.len()];
        Ok(())
    }

    fn header(&mut self, records: &mut Records, file: &DataFile, first: &str) -> Result<(), TableError> {
        let found = loop {
            let Some(record) = records.next()? else {
                return Err(TableError::Empty { file: file.path.clone() });
            };
            if !record.is_blank() {
                TableError::limit(
                    &file.path,
                    "columns",
                    record.field_count() as u64,
                    crate::limits::COLUMN_COUNT_MAX as u64,
                    "store wide data as one list column, or in several tables",
                )?;
                let text = std::str::from_utf8(record.bytes())
                    .map_err(|_| TableError::damaged(&file.path, "its first record, which names the columns, is not UTF-8"))?;
                break (0..record.field_count())
                    .map_while(|index| record.field(text, index))
                    .map(|(name, _)| name.trim().to_owned())
                    .collect::<Vec<_>>();
            }
        };
        if self.names.is_empty() {
            return self.name(found, &file.path);
        }
        let settled = settle_names(&file.path, found, &mut Notes::default())?;
        if settled == self.names {
            return Ok(());
        }
        let difference = match self.names.iter().zip(&settled).position(|(ours, theirs)| ours != theirs) {
            Some(at) => format!(
                "column {} is `{}` instead of `{}`",
                at + 1,
                settled.get(at).map_or("", String::as_str),
                self.names.get(at).map_or("", String::as_str)
            ),
            None => format!("it has {} columns instead of {}", settled.len(), self.names.len()),
        };
        Err(TableError::SchemaDiffers { first: first.to_owned(), file: file.path.clone(), difference })
    }

    fn rows(&mut self, index: usize, file: &DataFile, records: &mut Records) -> Result<(), TableError> {
        let columns = self.names.len();
        let mut part = Part { file: index, offset: records.offset(), line: records.line(), first_row: self.rows, rows: 0 };
        while records.next()?.is_some() {
            let record = records.record();
            if record.is_blank() && columns > 1 {
                continue;
            }
            match fields_of(record, columns) {
                Ok(text) => {
                    self.row(record, text);
                    self.rows += 1;
                    part.rows += 1;
                }
                Err(reason) => self.malformed(file, record.line(), &reason),
            }
            if records.offset() - part.offset >= PARTITION_BYTES && records.is_between() && part.rows > 0 {
                let next = Part { file: index, offset: records.offset(), line: records.line(), first_row: self.rows, rows: 0 };
                self.add(std::mem::replace(&mut part, next));
            }
        }
        if part.rows > 0 || self.parts.is_empty() {
            self.add(part);
        }
        Ok(())
    }

    fn add(&mut self, part: Part) {
        self.partitions.push(Partition { file: part.file, first_row: part.first_row, rows: part.rows });
        self.parts.push(part);
    }

    fn row(&mut self, record: &Record, text: &str) {
        for (index, facts) in self.facts.iter_mut().enumerate() {
            let Some((field, _)) = record.field(text, index) else { break };
            let kind = classify(field);
            facts.see(kind, self.rows, field);
            if kind == Kind::Text && is_formula(field, kind) {
                let text = "a spreadsheet would run these cells as formulas; put an apostrophe before them when you export";
                let column = self.names.get(index).map(String::as_str);
                let example = Example { row: self.rows, line: Some(record.line()), text: field.to_owned() };
                self.notes.add(About { kind: NoteKind::Formula, file: None, column, text }, 1, Some(example));
            }
        }
    }

    fn malformed(&mut self, file: &DataFile, line: u64, reason: &str) {
        let text = if reason == NO_UTF8 {
            "records that are no rows are left out, some of which are not UTF-8: write a file in another encoding again in UTF-8"
        } else {
            "records that are no rows are left out; each example says why"
        };
        let example = Example { row: self.rows, line: Some(line), text: reason.to_owned() };
        let about = About { kind: NoteKind::MalformedRows, file: Some(&file.path), column: None, text };
        self.notes.add(about, 1, Some(example));
    }
}

/// Why a record in another encoding is no row.
const NO_UTF8: &str = "invalid UTF-8";

/// The record's text, if it is a row of so many columns; else why it is none.
fn fields_of(record: &Record, columns: usize) -> Result<&str, String> {
    if record.field_count() != columns {
        return Err(format!("{} fields instead of {columns}", record.field_count()));
    }
    if record.has_stray_text() {
        return Err("text after a closing quote".to_owned());
    }
    let text = std::str::from_utf8(record.bytes()).map_err(|_| NO_UTF8.to_owned())?;
    if memchr::memchr(0, record.bytes()).is_some() {
        return Err("a NUL byte".to_owned());
    }
    Ok(text)
}

#[cfg(test)]
mod tests;
