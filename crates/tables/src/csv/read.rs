//! Reads the partitions of CSV files whose columns and types are settled.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use bytes::Bytes;

use crate::columns::{Builder, batch, project};
use crate::csv::dialect::Dialect;
use crate::csv::fields_of;
use crate::csv::splitter::{Record, SplitError, Splitter};
use crate::error::TableError;
use crate::limits::{BATCH_TEXT_BYTES_MAX, RECORD_BYTES_MAX};
use crate::source::{DataFile, ReadAhead};
use crate::table::{Batches, ReadOptions, Reader, SharedNotes};
use crate::values::{Kind, classify};
use crate::without::copy::Copier;
use crate::without::{Cut, Out};

/// A run of records in one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub file: usize,
    pub offset: u64,
    pub line: u64,
    pub first_row: u64,
    pub rows: u64,
}

/// The records of a file from an offset on.
pub(crate) struct Records {
    path: String,
    ahead: ReadAhead,
    splitter: Splitter,
    held: Bytes,
    offset: u64,
}

impl Records {
    pub(crate) fn new(file: &DataFile, dialect: &Dialect, offset: u64, line: u64) -> Self {
        Self {
            path: file.path.clone(),
            ahead: ReadAhead::new(Arc::clone(&file.bytes)),
            splitter: Splitter::new(dialect.delimiter, dialect.quote, line),
            held: Bytes::new(),
            offset,
        }
    }

    /// Where the next record begins, in bytes.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// Where the next record begins, in lines.
    pub(crate) const fn line(&self) -> u64 {
        self.splitter.line()
    }

    /// Whether another reader could begin at [`Self::offset`].
    pub(crate) fn is_between(&self) -> bool {
        self.splitter.is_between_records()
    }

    pub(crate) const fn record(&self) -> &Record {
        self.splitter.record()
    }

    /// Skips a byte order mark at the file's beginning. Gives whether there was one.
    pub(crate) fn skip_mark(&mut self) -> Result<bool, TableError> {
        self.fill()?;
        let marked = self.held.starts_with(b"\xef\xbb\xbf");
        if marked {
            self.held = self.held.slice(3..);
            self.offset += 3;
        }
        Ok(marked)
    }

    fn fill(&mut self) -> Result<(), TableError> {
        self.held = self.ahead.some(self.offset).map_err(|source| TableError::read(&self.path, source))?;
        Ok(())
    }

    pub(crate) fn next(&mut self) -> Result<Option<&Record>, TableError> {
        loop {
            if self.held.is_empty() {
                self.fill()?;
                if self.held.is_empty() {
                    let complete = self.splitter.finish();
                    return Ok(self.checked(complete)?.then(|| self.splitter.record()));
                }
            }
            let fed = self.splitter.feed(&self.held);
            let (taken, complete) = self.checked(fed)?;
            self.held = self.held.slice(taken..);
            self.offset += taken as u64;
            if complete {
                return Ok(Some(self.splitter.record()));
            }
        }
    }

    fn checked<T>(&self, result: Result<T, SplitError>) -> Result<T, TableError> {
        result.map_err(|error| match error {
            SplitError::Unclosed(line) => TableError::UnclosedQuote { file: self.path.clone(), line },
            SplitError::LongQuote(line) => TableError::LongQuote { file: self.path.clone(), line },
            SplitError::TooLong => TableError::Limit {
                file: self.path.clone(),
                what: "bytes or more in one record",
                found: RECORD_BYTES_MAX as u64 + 1,
                max: RECORD_BYTES_MAX as u64,
                advice: "end each record with a line end",
            },
        })
    }
}

/// Reads the partitions of CSV files.
pub(crate) struct CsvReader {
    pub files: Vec<DataFile>,
    pub dialect: Dialect,
    pub schema: SchemaRef,
    pub parts: Vec<Part>,
    pub options: ReadOptions,
}

impl Reader for CsvReader {
    fn write_without(&self, file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError> {
        let mut records = Records::new(file, &self.dialect, 0, 1);
        records.skip_mark()?;
        let columns = self.schema.fields().len();
        let (mut copier, mut walk) = (Copier::new(file, out), cut.dropped.walk());
        let (mut row, mut header) = (cut.rows.start, self.dialect.header);
        loop {
            let from = records.offset();
            if records.next()?.is_none() {
                return copier.finish();
            }
            let record = records.record();
            if record.is_blank() && (columns > 1 || header) {
                continue;
            }
            if std::mem::take(&mut header) || fields_of(record, columns).is_err() {
                continue;
            }
            if walk.holds(row) {
                copier.skip(from..records.offset())?;
            }
            row += 1;
        }
    }

    fn read(&self, index: usize, projection: &[usize], _: &SharedNotes) -> Result<Batches, TableError> {
        let no_such = TableError::NoSuchPart { what: "partition", index };
        let Some(part) = self.parts.get(index) else { return Err(no_such) };
        let Some(file) = self.files.get(part.file) else { return Err(no_such) };
        let schema = project(&self.schema, projection);
        let batch_rows = self.options.batch_rows(projection.len());
        let builders = schema.fields().iter().map(|field| Builder::new(field.data_type(), batch_rows)).collect();
        Ok(Box::new(PartRows {
            records: Records::new(file, &self.dialect, part.offset, part.line),
            columns: self.schema.fields().len(),
            projection: projection.to_vec(),
            schema,
            builders,
            batch_rows,
            left: part.rows,
        }))
    }
}

struct PartRows {
    records: Records,
    columns: usize,
    projection: Vec<usize>,
    schema: SchemaRef,
    builders: Vec<Builder>,
    batch_rows: usize,
    left: u64,
}

impl PartRows {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let mut rows = 0;
        let mut text_bytes = 0;
        while self.left > 0 && rows < self.batch_rows && text_bytes < BATCH_TEXT_BYTES_MAX {
            if self.records.next()?.is_none() {
                break;
            }
            let record = self.records.record();
            if record.is_blank() && self.columns > 1 {
                continue;
            }
            let Ok(text) = fields_of(record, self.columns) else { continue };
            for (index, builder) in self.projection.iter().zip(&mut self.builders) {
                let (field, quoted) = record.field(text, *index).unwrap_or_default();
                if !push(builder, field, quoted) {
                    return Err(TableError::damaged(&self.records.path, "it was changed while it was being read"));
                }
            }
            text_bytes += text.len();
            rows += 1;
            self.left -= 1;
        }
        if rows == 0 {
            return Ok(None);
        }
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        batch(&self.records.path, &self.schema, columns, rows).map(Some)
    }
}

/// Nothing at all is a null; `""` is an empty text.
fn push(builder: &mut Builder, field: &str, quoted: bool) -> bool {
    if builder.is_text() {
        if field.is_empty() && !quoted {
            builder.push_null();
            return true;
        }
        return builder.push(field, Kind::Text);
    }
    builder.push(field, classify_null(field))
}

/// Enough of [`classify`] for a typed column: null or not.
fn classify_null(field: &str) -> Kind {
    match field.as_bytes().first() {
        Some(b'0'..=b'9' | b'-') => Kind::Integer,
        _ => classify(field),
    }
}

impl Iterator for PartRows {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
