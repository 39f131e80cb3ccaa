//! Reads the rows of NumPy arrays.

use std::io::Read as _;
use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::types::{ArrowPrimitiveType, Float16Type};
use arrow_array::{
    ArrayRef, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int64Array, RecordBatch, TimestampMicrosecondArray,
    UInt64Array,
};
use arrow_schema::{DataType, SchemaRef};
use flate2::Crc;
use flate2::read::DeflateDecoder;

use crate::columns::{batch, project};
use crate::error::TableError;
use crate::limits::BATCH_TEXT_BYTES_MAX;
use crate::npy::header::Item;
use crate::npy::zip::Member;
use crate::npy::{Array, Column, Opening, Place};
use crate::source::{Cursor, DataFile, ReadAhead};
use crate::table::{Batches, ReadOptions, Reader, SharedNotes};
use crate::without::{Cut, Out, arrays};

/// What is read at once for a checksum.
const SUM_BLOCK_BYTES: usize = 1024 * 1024;

/// Rows of one file's arrays.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub file: usize,
    pub from: u64,
    pub rows: u64,
}

/// Bytes of one array, in order.
pub(crate) struct Stream {
    feed: Feed,
}

enum Feed {
    Plain { ahead: ReadAhead, at: u64 },
    Deflated { inflated: Box<DeflateDecoder<Cursor>>, taken: u64, full: u64, sum: Crc, expected: u32 },
}

impl Stream {
    /// The bytes from `place` on.
    pub(crate) fn new(place: &Place) -> Self {
        let feed = match place {
            Place::Plain { bytes, at } => Feed::Plain { ahead: ReadAhead::new(Arc::clone(bytes)), at: *at },
            Place::Deflated { bytes, member, .. } => {
                let end = member.data_at.saturating_add(member.stored_bytes);
                let ahead = ReadAhead::within(Arc::clone(bytes), end, 64 * 1024);
                let inflated = Box::new(DeflateDecoder::new(Cursor::new(ahead, member.data_at)));
                Feed::Deflated { inflated, taken: 0, full: member.full_bytes, sum: Crc::new(), expected: member.crc }
            }
        };
        Self { feed }
    }

    /// Goes to the first item: an array that is deflated is read from its header on.
    fn begin(&mut self, path: &str, place: &Place) -> Result<(), TableError> {
        if let Place::Deflated { skip, .. } = place {
            self.take(path, usize::try_from(*skip).unwrap_or(0))?;
        }
        Ok(())
    }

    /// The next `count` bytes. At the end of a deflated member, its length and checksum are checked.
    pub(crate) fn take(&mut self, path: &str, count: usize) -> Result<Vec<u8>, TableError> {
        match &mut self.feed {
            Feed::Plain { ahead, at } => {
                let bytes = ahead.get(*at, count).map_err(|source| TableError::read(path, source))?;
                *at = at.saturating_add(count as u64);
                Ok(bytes.to_vec())
            }
            Feed::Deflated { inflated, taken, full, sum, expected } => {
                let mut bytes = vec![0_u8; count];
                let damaged = |_| TableError::damaged(path, "a compressed array does not decompress, or ends too early");
                inflated.read_exact(&mut bytes).map_err(damaged)?;
                sum.update(&bytes);
                *taken = taken.saturating_add(count as u64);
                if *taken == *full {
                    let more = inflated.read(&mut [0]).map_err(damaged)?;
                    if more > 0 {
                        return Err(TableError::damaged(
                            path,
                            "a compressed array grows beyond its claimed size: it looks like a zip bomb",
                        ));
                    }
                    if sum.sum() != *expected {
                        return Err(TableError::damaged(path, "a compressed array does not have its checksum"));
                    }
                }
                Ok(bytes)
            }
        }
    }
}

/// Checks what is stored as it is once, before parts of it are read here and there. Deflated members are checked as they are read.
pub(crate) fn check_sum(file: &DataFile, member: &Member) -> Result<(), TableError> {
    let end = member.data_at.saturating_add(member.stored_bytes);
    let mut ahead = ReadAhead::within(Arc::clone(&file.bytes), end, SUM_BLOCK_BYTES);
    let (mut at, mut sum) = (member.data_at, Crc::new());
    while at < end {
        let block = ahead.some(at).map_err(|source| TableError::read(&file.path, source))?;
        if block.is_empty() {
            return Err(TableError::damaged(&file.path, "it ends too early"));
        }
        sum.update(&block);
        at = at.saturating_add(block.len() as u64);
    }
    if sum.sum() != member.crc {
        return Err(TableError::damaged(&file.path, "a stored array does not have its checksum"));
    }
    Ok(())
}

/// The columns in which a number is too large for a signed integer, by name: all their values are looked at.
pub(crate) fn huge_columns(opening: &Opening) -> Result<Vec<String>, TableError> {
    let mut huge = Vec::new();
    for array in &opening.arrays {
        let mut open: Vec<&Column> = array.columns.iter().filter(|column| column.is_whole()).collect();
        let block_rows = (BATCH_TEXT_BYTES_MAX / 8 / array.row_bytes.max(1)).max(1) as u64;
        let mut stream = Stream::new(&array.place);
        stream.begin(&opening.path, &array.place)?;
        let mut at = 0;
        while at < array.rows && !open.is_empty() {
            let rows = usize::try_from(block_rows.min(array.rows - at)).unwrap_or(1);
            let block = rows_of(&opening.path, array, &mut stream, at, rows)?;
            open.retain(|column| {
                // The highest bit of the last byte, which is the highest.
                let last = column.offset + column.item.bytes() - 1;
                let is_huge = block.chunks_exact(array.row_bytes).any(|row| row.get(last).is_some_and(|byte| byte & 0x80 != 0));
                huge.extend(is_huge.then(|| column.name.clone()));
                !is_huge
            });
            at += rows as u64;
        }
    }
    Ok(huge)
}

/// The next rows of an array, those from `from` on.
fn rows_of(path: &str, array: &Array, stream: &mut Stream, from: u64, rows: usize) -> Result<Vec<u8>, TableError> {
    if array.fortran { gather(path, array, from, rows) } else { stream.take(path, rows * array.row_bytes) }
}

/// Reads runs of rows of NumPy files.
pub(crate) struct NpyReader {
    pub openings: Vec<Opening>,
    pub schema: SchemaRef,
    pub parts: Vec<Part>,
    pub options: ReadOptions,
}

impl Reader for NpyReader {
    fn write_without(&self, file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError> {
        arrays::write(file, cut, out)
    }

    fn read(&self, index: usize, projection: &[usize], _: &SharedNotes) -> Result<Batches, TableError> {
        let no_such = || TableError::NoSuchPart { what: "partition", index };
        let part = *self.parts.get(index).ok_or_else(no_such)?;
        let opening = self.openings.get(part.file).ok_or_else(no_such)?;
        let mut arrays = Vec::new();
        let mut row_bytes = 0_usize;
        for array in &opening.arrays {
            let mut stream = Stream::new(&array.place);
            match (&mut stream.feed, &array.place) {
                (Feed::Plain { at, .. }, _) if !array.fortran => {
                    *at = at.saturating_add(part.from.saturating_mul(array.row_bytes as u64));
                }
                _ => stream.begin(&opening.path, &array.place)?,
            }
            // An item of one byte becomes one of eight.
            row_bytes = row_bytes.saturating_add(array.row_bytes.saturating_mul(8));
            arrays.push((array.clone(), stream));
        }
        let by_bytes = BATCH_TEXT_BYTES_MAX / row_bytes.max(1);
        Ok(Box::new(PartRows {
            path: opening.path.clone(),
            arrays,
            schema: project(&self.schema, projection),
            projection: projection.to_vec(),
            batch_rows: self.options.batch_rows(self.schema.fields().len()).min(by_bytes).max(1),
            at: part.from,
            left: part.rows,
        }))
    }
}

struct PartRows {
    path: String,
    arrays: Vec<(Array, Stream)>,
    schema: SchemaRef,
    projection: Vec<usize>,
    batch_rows: usize,
    at: u64,
    left: u64,
}

impl PartRows {
    fn next_batch(&mut self) -> Result<Option<RecordBatch>, TableError> {
        let rows = usize::try_from(self.left).unwrap_or(usize::MAX).min(self.batch_rows);
        if rows == 0 {
            return Ok(None);
        }
        let mut columns = Vec::new();
        for (array, stream) in &mut self.arrays {
            let block = rows_of(&self.path, array, stream, self.at, rows)?;
            for column in &array.columns {
                columns.push(column_of(&self.path, column, &block, array.row_bytes)?);
            }
        }
        self.at += rows as u64;
        self.left -= rows as u64;
        let columns = self.projection.iter().filter_map(|index| columns.get(*index).cloned()).collect();
        batch(&self.path, &self.schema, columns, rows).map(Some)
    }
}

impl Iterator for PartRows {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_batch().transpose()
    }
}

/// Rows of an array whose columns stand one after the other.
fn gather(path: &str, array: &Array, from: u64, rows: usize) -> Result<Vec<u8>, TableError> {
    let Place::Plain { bytes, at } = &array.place else {
        return Err(TableError::damaged(path, "a compressed array in Fortran order"));
    };
    let size = array.columns.first().map_or(1, |column| column.item.bytes());
    let mut block = vec![0_u8; rows * array.row_bytes];
    let mut items = vec![0_u8; rows * size];
    for (number, offset) in (0..array.row_bytes).step_by(size.max(1)).enumerate() {
        let start = (number as u64).saturating_mul(array.rows).saturating_add(from).saturating_mul(size as u64);
        bytes.read_at(at.saturating_add(start), &mut items).map_err(|source| TableError::read(path, source))?;
        for (row, item) in block.chunks_exact_mut(array.row_bytes).zip(items.chunks_exact(size)) {
            if let Some(place) = row.get_mut(offset..offset + size) {
                place.copy_from_slice(item);
            }
        }
    }
    Ok(block)
}

/// The items of one column: `block` holds whole rows.
fn column_of(path: &str, column: &Column, block: &[u8], row_bytes: usize) -> Result<ArrayRef, TableError> {
    let size = column.item.bytes();
    let span = column.offset..column.offset + size * column.count;
    let items = || block.chunks_exact(row_bytes).filter_map(|row| row.get(span.clone())).flat_map(|row| row.chunks_exact(size));
    if column.is_list {
        let data_type = super::data_type(column);
        let DataType::FixedSizeList(item, length) = data_type else {
            return Err(TableError::damaged(path, "a column of lists that holds something else"));
        };
        let values: ArrayRef = if item.data_type() == &DataType::Float32 {
            Arc::new(items().map(|bytes| float(column.item, bytes) as f32).collect::<Float32Array>())
        } else {
            Arc::new(items().map(|bytes| float(column.item, bytes)).collect::<Float64Array>())
        };
        let list = FixedSizeListArray::try_new(item, length, values, None).map_err(|error| TableError::damaged(path, error))?;
        return Ok(Arc::new(list));
    }
    Ok(match column.item {
        Item::Boolean => Arc::new(items().map(|bytes| Some(bytes.first() != Some(&0))).collect::<BooleanArray>()),
        _ if column.is_huge => {
            Arc::new(items().map(|bytes| integer(column.item, bytes).cast_unsigned()).collect::<UInt64Array>())
        }
        Item::Float(_) => Arc::new(items().map(|bytes| float(column.item, bytes)).collect::<Float64Array>()),
        Item::Signed(_) | Item::Unsigned(_) => Arc::new(items().map(|bytes| integer(column.item, bytes)).collect::<Int64Array>()),
        Item::Time(per_second) => Arc::new(
            items().map(|bytes| micros(integer(Item::Signed(8), bytes), per_second)).collect::<TimestampMicrosecondArray>(),
        ),
        Item::Bytes(_) => {
            let mut texts = StringBuilder::new();
            items().for_each(|bytes| texts.append_value(String::from_utf8_lossy(without_padding(bytes))));
            Arc::new(texts.finish())
        }
        Item::Text(_) => {
            let mut texts = StringBuilder::new();
            items().for_each(|bytes| texts.append_value(text(bytes)));
            Arc::new(texts.finish())
        }
    })
}

fn without_padding(bytes: &[u8]) -> &[u8] {
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.get(..length).unwrap_or_default()
}

/// Characters of four bytes each; what is no character shows as one that says so.
fn text(bytes: &[u8]) -> String {
    let characters = bytes.chunks_exact(4).map(|bytes| bytes.first_chunk().map_or(0, |bytes| u32::from_le_bytes(*bytes)));
    let text: String = characters.map(|number| char::from_u32(number).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
    text.trim_end_matches('\0').to_owned()
}

fn integer(item: Item, bytes: &[u8]) -> i64 {
    let raw = bytes.iter().rev().fold(0_u64, |number, byte| number << 8 | u64::from(*byte));
    match item {
        // Widened by its sign bit.
        Item::Signed(size @ 1..=7) => {
            let unused = 64 - 8 * u32::try_from(size).unwrap_or(8);
            (raw << unused).cast_signed() >> unused
        }
        _ => raw.cast_signed(),
    }
}

fn float(item: Item, bytes: &[u8]) -> f64 {
    match (item, bytes) {
        (Item::Float(2), [b1, b2]) => <Float16Type as ArrowPrimitiveType>::Native::from_le_bytes([*b1, *b2]).to_f64(),
        (Item::Float(4), [b1, b2, b3, b4]) => f64::from(f32::from_le_bytes([*b1, *b2, *b3, *b4])),
        (Item::Float(_), bytes) => bytes.first_chunk().map_or(f64::NAN, |bytes| f64::from_le_bytes(*bytes)),
        (Item::Unsigned(8), bytes) => bytes.first_chunk().map_or(0.0, |bytes| u64::from_le_bytes(*bytes) as f64),
        (item, bytes) => integer(item, bytes) as f64,
    }
}

/// NumPy's time to microseconds; `NaT`, and what is out of range, is null.
fn micros(ticks: i64, per_second: i64) -> Option<i64> {
    if ticks == i64::MIN {
        return None;
    }
    match per_second {
        1_000_000_000 => Some(ticks.div_euclid(1000)),
        per_second if per_second > 0 => ticks.checked_mul(1_000_000 / per_second),
        seconds => ticks.checked_mul(seconds.checked_neg()?)?.checked_mul(1_000_000),
    }
}
