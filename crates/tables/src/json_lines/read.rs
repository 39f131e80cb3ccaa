//! Reads the partitions of JSON lines whose columns and types are settled.

use std::collections::HashMap;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{DataType, SchemaRef};

use crate::columns::{Builder, batch, project};
use crate::error::TableError;
use crate::json_lines::document::{Elements, Shape};
use crate::json_lines::flatten::Cell;
use crate::json_lines::records::Records;
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
    /// How each file is written.
    pub shapes: Vec<Shape>,
    pub parts: Vec<Part>,
    pub options: ReadOptions,
}

impl Reader for JsonReader {
    fn write_without(&self, file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError> {
        let Some(shape) = self.shapes.get(cut.file) else {
            return Err(TableError::NoSuchPart { what: "file", index: cut.file });
        };
        if matches!(shape, Shape::Values { rows_are_named: true, .. }) {
            let advice = "write the table without `index`, as log_table does, or as one object per line";
            return Err(TableError::unsupported(&file.path, "leaving out rows that have names", advice));
        }
        let mut records = Records::new(shape, ReadAhead::new(Arc::clone(&file.bytes)), shape.start());
        let (mut copier, mut walk) = (Copier::new(file, out), cut.dropped.walk());
        let mut row = cut.rows.start;
        let mut list = List::default();
        loop {
            let from = records.offset();
            if !records.advance(&file.path)? {
                return list.end(&mut copier).and_then(|()| copier.finish());
            }
            let is_row = matches!(records.row(), Some(Ok(_)));
            let dropped = is_row && walk.holds(row);
            row += u64::from(is_row);
            match &records {
                Records::Lines(_) if dropped => copier.skip(from..records.offset())?,
                Records::Lines(_) => {}
                Records::Objects(element) | Records::Values(element, _) => list.next(element, dropped, &mut copier)?,
            }
        }
    }

    fn read(&self, index: usize, projection: &[usize], _: &SharedNotes) -> Result<Batches, TableError> {
        let no_such = TableError::NoSuchPart { what: "partition", index };
        let Some(part) = self.parts.get(index) else { return Err(no_such) };
        let (Some(file), Some(shape)) = (self.files.get(part.file), self.shapes.get(part.file)) else { return Err(no_such) };
        let schema = project(&self.schema, projection);
        let batch_rows = self.options.batch_rows(projection.len());
        let mut slots: HashMap<usize, Vec<usize>> = HashMap::new();
        for (slot, column) in projection.iter().enumerate() {
            slots.entry(*column).or_default().push(slot);
        }
        let slots = self.places.iter().filter_map(|(path, column)| Some((path.clone(), slots.get(column)?.clone()))).collect();
        Ok(Box::new(PartRows {
            path: file.path.clone(),
            records: Records::new(shape, ReadAhead::new(Arc::clone(&file.bytes)), part.offset),
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

/// Leaves elements of an array out, each with one comma.
#[derive(Default)]
struct List {
    /// Where the last element ended.
    end: u64,
    /// Whether one before it stays.
    kept: bool,
    /// Where those began that are left out before the first one that stays.
    leading: Option<u64>,
}

impl List {
    fn next(&mut self, element: &Elements, dropped: bool, copier: &mut Copier<'_>) -> Result<(), TableError> {
        match (dropped, self.kept) {
            (true, true) => copier.skip(self.end..element.offset())?,
            (true, false) => self.leading = self.leading.or(Some(element.from)),
            (false, _) => {
                self.kept = true;
                if let Some(from) = self.leading.take() {
                    copier.skip(from..element.from)?;
                }
            }
        }
        self.end = element.offset();
        Ok(())
    }

    fn end(&mut self, copier: &mut Copier<'_>) -> Result<(), TableError> {
        self.leading.take().map_or(Ok(()), |from| copier.skip(from..self.end))
    }
}

struct PartRows {
    path: String,
    records: Records,
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
            if !self.records.advance(&self.path)? {
                break;
            }
            let Some(Ok(cells)) = self.records.row() else { continue };
            text_bytes += self.records.length() + self.list_bytes;
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
