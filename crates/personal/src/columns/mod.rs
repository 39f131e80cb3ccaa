//! Tier 2: tables. Each column is judged by its name, its values and word lists; what its texts hold is counted.
//!
//! What is exact and what is sampled: every text of every row passes tier 1, and its counts are exact. The name recogniser,
//! the word lists and columns of whole numbers see the first [`SAMPLE_ROWS_FULL`] rows and then one row in
//! [`SAMPLE_STRIDE`]; which rows is decided by the row's number, so that partitions merge to the same report.

mod classify;
mod header;
mod header_words;
mod health;
mod leaves;
mod report;
#[cfg(test)]
mod tests;
mod values;
mod words;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};

use crate::context::Near;
use crate::{PersonalError, Scanner, ScannerOptions};
use header::{Header, words_of};
use leaves::Cells;
pub use report::{ColumnReport, Evidence, KindReport, PersonalReport};
use values::{Sought, Values};
use words::ValueWords;

/// Columns of one table, those inside structs counted.
pub const COLUMN_COUNT_MAX: usize = 10_000;
/// Rows from the first on that are looked at by everything.
pub const SAMPLE_ROWS_FULL: u64 = 2_000;
/// From then on one row in so many is.
pub const SAMPLE_STRIDE: u64 = 16;

/// How tables are scanned.
#[derive(Clone, Copy, Debug, Default)]
pub struct ColumnOptions {
    /// How texts are.
    pub scanner: ScannerOptions,
}

/// Whether a row is looked at by everything.
const fn is_sampled(row: u64) -> bool {
    row < SAMPLE_ROWS_FULL || row.is_multiple_of(SAMPLE_STRIDE)
}

/// Finds personal data in a table, batch by batch.
#[derive(Debug)]
pub struct ColumnScanner {
    scanner: Scanner,
    words: ValueWords,
    schema: SchemaRef,
    columns: Vec<Column>,
    row_count: u64,
}

/// One column, or one field of a struct.
#[derive(Debug)]
struct Column {
    path: String,
    header: Header,
    near: Near,
    values: Values,
}

impl ColumnScanner {
    /// A scanner for tables of this schema.
    ///
    /// # Errors
    /// `TooManyColumns` if there are more than [`COLUMN_COUNT_MAX`].
    pub fn new(schema: &SchemaRef, options: ColumnOptions) -> Result<Self, PersonalError> {
        let scanner = Scanner::new(options.scanner)?;
        let mut paths = Vec::new();
        for field in schema.fields() {
            add_paths(field.name(), field.data_type(), &mut paths);
        }
        if paths.len() > COLUMN_COUNT_MAX {
            return Err(PersonalError::TooManyColumns { count: paths.len(), limit: COLUMN_COUNT_MAX });
        }
        let columns = paths.into_iter().map(|path| {
            let spaced = words_of(&path).join(" ");
            let near = scanner.topics_of(&spaced);
            let header = Header::of(&spaced);
            let values = Values::new(Sought::of(&spaced, &header, &near));
            Column { header, near, values, path }
        });
        let columns = columns.collect();
        Ok(Self { scanner, words: ValueWords::new(), schema: SchemaRef::clone(schema), columns, row_count: 0 })
    }

    /// Reads a batch whose first row has the number `first_row` in the whole table.
    ///
    /// # Errors
    /// `OtherColumns` if the batch is not of the scanner's schema.
    pub fn update(&mut self, batch: &RecordBatch, first_row: u64) -> Result<(), PersonalError> {
        let same = batch.num_columns() == self.schema.fields().len()
            && batch
                .schema()
                .fields()
                .iter()
                .zip(self.schema.fields())
                .all(|(one, other)| one.name() == other.name() && one.data_type() == other.data_type());
        if !same {
            return Err(PersonalError::OtherColumns { expected: names_of(&self.schema), found: names_of(&batch.schema()) });
        }
        let mut cells = Vec::new();
        for array in batch.columns() {
            leaves::add_leaves(array, &mut cells);
        }
        for (column, cells) in self.columns.iter_mut().zip(&cells) {
            column.read(cells, first_row, &self.scanner, &self.words);
        }
        self.row_count += batch.num_rows() as u64;
        Ok(())
    }

    /// Adds what another scanner of the same schema has read of other rows of the table.
    ///
    /// # Errors
    /// `OtherColumns` if it is of another schema.
    pub fn merge(&mut self, other: Self) -> Result<(), PersonalError> {
        if self.schema.fields() != other.schema.fields() {
            return Err(PersonalError::OtherColumns { expected: names_of(&self.schema), found: names_of(&other.schema) });
        }
        for (mine, theirs) in self.columns.iter_mut().zip(other.columns) {
            mine.values.merge(theirs.values);
        }
        self.row_count += other.row_count;
        Ok(())
    }

    /// What the table holds.
    #[must_use]
    pub fn finish(self) -> PersonalReport {
        let columns = self.columns.into_iter().map(|column| classify::column(column.path, &column.header, &column.values));
        PersonalReport::of(self.row_count, columns.collect())
    }
}

impl Column {
    fn read(&mut self, cells: &Cells, first_row: u64, scanner: &Scanner, words: &ValueWords) {
        let header = &self.near;
        match cells {
            Cells::Texts(texts) => {
                for (offset, text) in texts.iter().enumerate() {
                    let row = first_row + offset as u64;
                    self.values.text(text, row, 1, is_sampled(row), scanner, header, words);
                }
            }
            Cells::Dictionary { values, first, null_count } => {
                self.values.nulls(*null_count);
                for ((value, count), offset) in values.iter().zip(first) {
                    // A distinct value is cheap enough to be looked at by everything.
                    self.values.text(&Some(*value), first_row + offset, *count, true, scanner, header, words);
                }
            }
            Cells::Integers(numbers) => {
                for (offset, number) in numbers.iter().enumerate() {
                    let row = first_row + offset as u64;
                    self.values.integer(*number, row, is_sampled(row), scanner, header, words);
                }
            }
            Cells::Floats(range) => self.values.floats(*range),
            Cells::Dates { count, null_count } => self.values.dates(*count, *null_count),
            Cells::Other { count, null_count } => self.values.others(*count, *null_count),
        }
    }
}

/// The columns of a type: structs and lists are opened, all others are one.
fn add_paths(path: &str, data_type: &DataType, paths: &mut Vec<String>) {
    match data_type {
        DataType::Struct(fields) => {
            for field in fields {
                add_paths(&format!("{path}.{}", field.name()), field.data_type(), paths);
            }
        }
        _ => paths.push(path.to_owned()),
    }
}

/// The columns' names for an error, cut at a readable length.
fn names_of(schema: &SchemaRef) -> String {
    const SHOWN_MAX: usize = 200;
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    names.join(", ").chars().take(SHOWN_MAX).collect()
}
