//! Reads the partitions of JSON lines whose columns and types are settled.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};

use crate::columns::{Builder, batch, project};
use crate::error::TableError;
use crate::json_lines::advance;
use crate::json_lines::flatten::{Cell, flatten};
use crate::json_lines::lines::Lines;
use crate::limits::BATCH_TEXT_BYTES_MAX;
use crate::source::{DataFile, ReadAhead};
use crate::table::{Batches, ReadOptions, Reader, SharedNotes};
use crate::values::Kind;
use crate::without::copy::Copier;
use crate::without::{Cut, Out};

/// A run of lines in one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub file: usize,
    pub offset: u64,
    pub rows: u64,
}

/// Reads the partitions of JSON lines.
pub(crate) struct JsonReader {
    pub files: Vec<DataFile>,
    pub schema: SchemaRef,
    /// The column of each path.
    pub places: HashMap<String, usize>,
    pub parts: Vec<Part>,
    pub options: ReadOptions,
}

impl Reader for JsonReader {
    fn write_without(&self, file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError> {
        let mut ahead = ReadAhead::new(Arc::clone(&file.bytes));
        let marked = ahead.get(0, 3).is_ok_and(|mark| mark.as_ref() == b"\xef\xbb\xbf");
        let mut lines = Lines::new(ahead, if marked { 3 } else { 0 }, 0);
        let (mut copier, mut walk) = (Copier::new(file, out), cut.dropped.walk());
        let mut row = cut.rows.start;
        loop {
            let from = lines.offset();
            if !advance(&mut lines, &file.path)? {
                return copier.finish();
            }
            let line = lines.line_bytes();
            if line.trim_ascii().is_empty() || flatten(line).is_err() {
                continue;
            }
            if walk.holds(row) {
                copier.skip(from..lines.offset())?;
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
        let mut slots: HashMap<usize, Vec<usize>> = HashMap::new();
        for (slot, column) in projection.iter().enumerate() {
            slots.entry(*column).or_default().push(slot);
        }
        let slots = self.places.iter().filter_map(|(path, column)| Some((path.clone(), slots.get(column)?.clone()))).collect();
        Ok(Box::new(PartRows {
            path: file.path.clone(),
            lines: Lines::new(ReadAhead::new(Arc::clone(&file.bytes)), part.offset, 0),
            builders: schema.fields().iter().map(|field| Builder::new(field.data_type(), batch_rows)).collect(),
            filled: vec![0; projection.len()],
            slots,
            list_bytes: schema.fields().iter().map(|field| list_bytes(field.data_type())).sum(),
            schema,
            batch_rows,
            left: part.rows,
        }))
    }
}

struct PartRows {
    path: String,
    lines: Lines,
    schema: SchemaRef,
    /// Where the cell of a path goes.
    slots: HashMap<String, Vec<usize>>,
    builders: Vec<Builder>,
    /// Rows that each builder has: what a line leaves out is null.
    filled: Vec<usize>,
    /// What the lists of one row take: nulls take as much.
    list_bytes: usize,
    batch_rows: usize,
    left: u64,
}

impl PartRows {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let mut rows = 0;
        let mut text_bytes = 0;
        while self.left > 0 && rows < self.batch_rows && text_bytes < BATCH_TEXT_BYTES_MAX {
            if !advance(&mut self.lines, &self.path)? {
                break;
            }
            let line = self.lines.line_bytes();
            if line.trim_ascii().is_empty() {
                continue;
            }
            let Ok(cells) = flatten(line) else { continue };
            text_bytes += line.len() + self.list_bytes;
            for (path, cell) in &cells {
                for slot in self.slots.get(path).into_iter().flatten() {
                    let (Some(builder), Some(filled)) = (self.builders.get_mut(*slot), self.filled.get_mut(*slot)) else {
                        continue;
                    };
                    if !push(builder, cell) {
                        return Err(TableError::damaged(&self.path, "it was changed while it was being read"));
                    }
                    *filled += 1;
                }
            }
            rows += 1;
            self.left -= 1;
            for (builder, filled) in self.builders.iter_mut().zip(&mut self.filled) {
                if *filled < rows {
                    builder.push_null();
                    *filled = rows;
                }
            }
        }
        if rows == 0 {
            return Ok(None);
        }
        self.filled.fill(0);
        let columns = self.builders.iter_mut().map(Builder::finish).collect();
        batch(&self.path, &self.schema, columns, rows).map(Some)
    }
}

fn list_bytes(data_type: &DataType) -> usize {
    match data_type {
        DataType::FixedSizeList(_, length) => usize::try_from(*length).unwrap_or(0) * 8,
        _ => 0,
    }
}

fn push(builder: &mut Builder, cell: &Cell<'_>) -> bool {
    match (builder.is_text(), cell.kind) {
        (false, Kind::Numbers) => builder.push_numbers(Some(&cell.numbers)),
        _ => builder.push(&cell.text, cell.kind),
    }
}

impl Iterator for PartRows {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}
