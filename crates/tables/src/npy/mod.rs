//! NumPy arrays: an .npy file is one, an .npz archive holds several of the same length. Pickles are never loaded.

pub(crate) mod header;
pub(crate) mod read;
pub(crate) mod zip;

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::columns::settle_names;
use crate::error::TableError;
use crate::limits::{EMBEDDING_LENGTH_MAX, NPY_COLUMN_COUNT_MAX, PARTITION_BYTES, ROW_BYTES_MAX};
use crate::normalise::check_same;
use crate::notes::{About, NoteKind, Notes};
use crate::npy::header::{Header, Item, header_length, parse_header};
use crate::npy::read::{NpyReader, Part, Stream, check_sum, huge_columns};
use crate::source::{DataFile, ReadAt};
use crate::table::{Opened, Partition, ReadOptions};

/// Where an array's bytes are.
#[derive(Clone)]
pub(crate) enum Place {
    /// As they are, from an offset on.
    Plain { bytes: Arc<dyn ReadAt>, at: u64 },
    /// Deflated: they can only be read from the beginning.
    Deflated { bytes: Arc<dyn ReadAt>, member: zip::Member, skip: u64 },
}

/// One array.
#[derive(Clone)]
pub(crate) struct Array {
    pub place: Place,
    pub row_bytes: usize,
    pub rows: u64,
    /// The items of a row stand a whole column apart.
    pub fortran: bool,
    pub columns: Vec<Column>,
}

/// One column within an array.
#[derive(Clone, Debug)]
pub(crate) struct Column {
    pub name: String,
    pub item: Item,
    /// Where it begins within a row.
    pub offset: usize,
    /// Its items; more than one make a list.
    pub count: usize,
    pub is_list: bool,
    /// One of its numbers is no 64-bit signed integer: they are read as unsigned ones.
    pub is_huge: bool,
}

impl Column {
    /// Whether its numbers may be too large for a signed integer.
    pub(crate) fn is_whole(&self) -> bool {
        self.item == Item::Unsigned(8) && !self.is_list
    }
}

/// One opened file.
pub(crate) struct Opening {
    pub path: String,
    pub arrays: Vec<Array>,
}

pub(crate) fn open(files: &[DataFile], options: &ReadOptions) -> Result<Opened, TableError> {
    let mut notes = Notes::default();
    let mut openings: Vec<Opening> = Vec::new();
    let (mut partitions, mut parts) = (Vec::new(), Vec::new());
    let mut row = 0_u64;
    let mut schema: Option<SchemaRef> = None;
    let mut scanned = Vec::with_capacity(files.len());
    let mut huge = HashSet::new();
    for file in files {
        let opening = Opening { path: file.path.clone(), arrays: arrays_of(file)? };
        huge.extend(huge_columns(&opening)?);
        scanned.push(opening);
    }
    for (index, (file, mut opening)) in files.iter().zip(scanned).enumerate() {
        for column in opening.arrays.iter_mut().flat_map(|array| &mut array.columns) {
            column.is_huge = column.is_whole() && huge.contains(&column.name);
        }
        let mut own = Notes::default();
        let found = schema_of(&opening, if index == 0 { &mut notes } else { &mut own })?;
        match &schema {
            Some(schema) => check_same(files.first().map_or("", |first| first.path.as_str()), schema, &file.path, &found)?,
            None => schema = Some(found),
        }
        let rows = opening.arrays.first().map_or(0, |array| array.rows);
        let row_bytes: usize = opening.arrays.iter().map(|array| array.row_bytes).sum();
        let can_jump = opening.arrays.iter().all(|array| matches!(array.place, Place::Plain { .. }));
        let step = if can_jump { (PARTITION_BYTES / row_bytes.max(1) as u64).max(1) } else { u64::MAX };
        let mut from = 0;
        while from < rows {
            let count = step.min(rows - from);
            partitions.push(Partition { file: index, first_row: row, rows: count });
            parts.push(Part { file: index, from, rows: count });
            from += count;
            row = row.saturating_add(count);
        }
        if rows == 0 {
            notes.add(
                About { kind: NoteKind::EmptyFile, file: Some(&file.path), column: None, text: "the file has no rows" },
                1,
                None,
            );
        }
        openings.push(opening);
    }
    let schema = schema.ok_or(TableError::NoFiles)?;
    let reader = NpyReader { openings, schema: Arc::clone(&schema), parts, options: options.clone() };
    Ok(Opened { schema, partitions, reader: Box::new(reader), notes })
}

/// The arrays of a file, all of the same length.
fn arrays_of(file: &DataFile) -> Result<Vec<Array>, TableError> {
    let damaged = |reason: String| TableError::damaged(&file.path, reason);
    let mut magic = [0_u8; 4];
    let length = file.bytes.size_bytes().min(4);
    if length < 4 {
        return Err(TableError::Empty { file: file.path.clone() });
    }
    file.bytes.read_at(0, &mut magic).map_err(|source| TableError::read(&file.path, source))?;
    if &magic != b"PK\x03\x04" {
        let mut place = Place::Plain { bytes: Arc::clone(&file.bytes), at: 0 };
        return Ok(vec![array(file, "value", &mut place, file.bytes.size_bytes())?]);
    }
    let mut arrays: Vec<(String, Array)> = Vec::new();
    for member in zip::members(&file.bytes).map_err(damaged)? {
        let Some(name) = member.name.strip_suffix(".npy").map(str::to_owned) else {
            let what = format!("the member `{}`", member.name.escape_debug());
            return Err(TableError::unsupported(&file.path, what, "an archive may hold NumPy arrays (.npy) only"));
        };
        let size = member.full_bytes;
        let stored = (!member.deflated).then(|| member.clone());
        let bytes = Arc::clone(&file.bytes);
        let mut place =
            if member.deflated { Place::Deflated { bytes, member, skip: 0 } } else { Place::Plain { bytes, at: member.data_at } };
        let array = array(file, &name, &mut place, size)?;
        if let Some((first_name, first)) = arrays.first().filter(|(_, first)| first.rows != array.rows) {
            let (ours, theirs) = (first.rows, array.rows);
            let what = format!("arrays of different lengths: `{first_name}` has {ours} rows, `{name}` has {theirs}");
            return Err(TableError::unsupported(
                &file.path,
                what,
                "save arrays of one length together, others in files of their own",
            ));
        }
        if let Some(member) = stored {
            check_sum(file, &member)?;
        }
        arrays.push((name, array));
    }
    if arrays.is_empty() {
        return Err(TableError::Empty { file: file.path.clone() });
    }
    Ok(arrays.into_iter().map(|(_, array)| array).collect())
}

/// Reads an array's header, and goes with `place` to its items.
pub(crate) fn array(file: &DataFile, name: &str, place: &mut Place, size: u64) -> Result<Array, TableError> {
    let damaged = |reason: String| TableError::damaged(&file.path, format!("array `{}`: {reason}", name.escape_debug()));
    let mut stream = Stream::new(place);
    let mut head = stream.take(&file.path, 12)?;
    let rest = header_length(&head).map_err(damaged)?.saturating_sub(12);
    head.extend(stream.take(&file.path, rest)?);
    let header = parse_header(&head).map_err(damaged)?;
    match place {
        Place::Plain { at, .. } => *at = at.saturating_add(header.data_at),
        Place::Deflated { skip, .. } => *skip = header.data_at,
    }
    let array = layout(&header, name, place.clone()).map_err(damaged)?;
    let needed = array.rows.checked_mul(array.row_bytes as u64);
    if needed.is_none_or(|needed| needed != size.saturating_sub(header.data_at)) {
        return Err(damaged(format!("its shape {:?} does not fit its size of {size} bytes", header.shape)));
    }
    TableError::limit(&file.path, "bytes in one row", array.row_bytes as u64, ROW_BYTES_MAX as u64, "save smaller rows")?;
    if array.fortran && matches!(array.place, Place::Deflated { .. }) {
        let what = format!("the compressed array `{name}` in Fortran order");
        return Err(TableError::unsupported(&file.path, what, "save it with numpy.ascontiguousarray, or uncompressed"));
    }
    Ok(array)
}

fn layout(header: &Header, name: &str, place: Place) -> Result<Array, String> {
    let Some((rows, inner)) = header.shape.split_first() else { return Err("it is a single value, not an array".to_owned()) };
    let per_row = inner.iter().try_fold(1_u64, |product, size| product.checked_mul(*size)).unwrap_or(u64::MAX);
    if per_row == 0 {
        return Err("its rows are empty".to_owned());
    }
    if per_row > EMBEDDING_LENGTH_MAX as u64 {
        return Err(format!("its rows have {per_row} items, at most {EMBEDDING_LENGTH_MAX}"));
    }
    let count = usize::try_from(per_row).unwrap_or(usize::MAX);
    let is_fortran = header.fortran_order && inner.iter().any(|size| *size > 1);
    if is_fortran && (inner.len() > 1 || header.fields.len() > 1) {
        return Err("it has more than two dimensions in Fortran order: save it with numpy.ascontiguousarray".to_owned());
    }
    let column = |name: String, item, offset, count, is_list| Column { name, item, offset, count, is_list, is_huge: false };
    let mut columns = Vec::new();
    match header.fields.as_slice() {
        [(field, item)] if field.is_empty() && inner.is_empty() => columns.push(column(name.to_owned(), *item, 0, 1, false)),
        [(field, item)] if field.is_empty() && inner.len() == 1 && count <= NPY_COLUMN_COUNT_MAX => {
            columns.extend((0..count).map(|index| column(format!("{name}_{index}"), *item, index * item.bytes(), 1, false)));
        }
        [(field, item)] if field.is_empty() && item.is_number() => columns.push(column(name.to_owned(), *item, 0, count, true)),
        fields if inner.is_empty() => {
            let mut offset = 0;
            for (field, item) in fields {
                columns.push(column(field.clone(), *item, offset, 1, false));
                offset += item.bytes();
            }
        }
        _ => return Err("it has rows of several texts, times or records: save it with one dimension".to_owned()),
    }
    let item_bytes: usize = header.fields.iter().map(|(_, item)| item.bytes()).sum();
    Ok(Array { place, row_bytes: item_bytes.saturating_mul(count), rows: *rows, fortran: is_fortran, columns })
}

fn schema_of(opening: &Opening, notes: &mut Notes) -> Result<SchemaRef, TableError> {
    let columns: Vec<&Column> = opening.arrays.iter().flat_map(|array| &array.columns).collect();
    let names = settle_names(&opening.path, columns.iter().map(|column| column.name.clone()).collect(), notes)?;
    let mut fields = Vec::new();
    for (name, column) in names.into_iter().zip(columns) {
        fields.push(Field::new(name, data_type(column), true));
    }
    Ok(Arc::new(Schema::new(fields)))
}

fn data_type(column: &Column) -> DataType {
    if column.is_list {
        let single = matches!(column.item, Item::Float(2 | 4));
        let item = if single { DataType::Float32 } else { DataType::Float64 };
        let length = i32::try_from(column.count).unwrap_or(0);
        return DataType::FixedSizeList(Arc::new(Field::new("item", item, true)), length);
    }
    match column.item {
        Item::Boolean => DataType::Boolean,
        _ if column.is_huge => DataType::UInt64,
        Item::Float(_) => DataType::Float64,
        Item::Signed(_) | Item::Unsigned(_) => DataType::Int64,
        Item::Bytes(_) | Item::Text(_) => DataType::Utf8,
        Item::Time(_) => DataType::Timestamp(TimeUnit::Microsecond, None),
    }
}

#[cfg(test)]
mod tests;
