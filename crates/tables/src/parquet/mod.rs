//! Parquet: footers are checked before they are parsed, pages before they are decoded, and row counts after.
//!
//! Statistics, page indexes, bloom filters and embedded Arrow schemas are not read at all: they are an attacker's words.

mod delta;
mod pages;
mod read;
mod thrift;

use std::collections::HashSet;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Fields};
use parquet::arrow::parquet_to_arrow_schema;
use parquet::basic::{Encoding, Type};
use parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};

use crate::error::TableError;
use crate::limits::{COLUMN_COUNT_MAX, DICTIONARY_BYTES_MAX, FOOTER_BYTES_MAX, ROW_GROUP_COUNT_MAX};
use crate::normalise::{Known, Output, check_same, is_number, note_inexact, plan, schema_of};
use crate::notes::{About, NoteKind, Notes};
use crate::parquet::read::{ParquetReader, embedding_lengths, look_at_exact};
use crate::source::DataFile;
use crate::table::{Opened, Partition, ReadOptions};
use crate::values::UTC;

/// One opened file.
pub(crate) struct Opening {
    pub file: DataFile,
    pub metadata: Arc<ParquetMetaData>,
    /// The types asked of the decoder.
    pub hint: Fields,
    pub outputs: Vec<Output>,
}

pub(crate) fn open(files: &[DataFile], options: &ReadOptions) -> Result<Opened, TableError> {
    let mut notes = Notes::default();
    let mut openings: Vec<Opening> = Vec::new();
    let (mut partitions, mut groups) = (Vec::new(), Vec::new());
    let mut row = 0_u64;
    let mut known = Known::default();
    let mut looked = Vec::new();
    let mut dictionaries = HashSet::new();
    for (index, file) in files.iter().enumerate() {
        let metadata = Arc::new(read_footer(file)?);
        check_chunks(file, &metadata)?;
        let fields = arrow_fields(file, &metadata)?;
        // How texts and lists are read is settled by the first file: it is a matter of speed and form, not of content.
        if index == 0 {
            dictionaries = dictionary_columns(&metadata);
        }
        let hint = hint_of(&fields, &dictionaries);
        if index == 0 && fields.iter().any(|field| holds_number_list(field)) {
            known.lists = embedding_lengths(file, &metadata, &hint)?;
        }
        look_at_exact(file, &metadata, &hint, options, &mut known.exact)?;
        looked.push((metadata, hint));
    }
    for (index, (file, (metadata, hint))) in files.iter().zip(looked).enumerate() {
        let mut file_notes = Notes::default();
        let outputs = plan(&file.path, &hint, &known, if index == 0 { &mut notes } else { &mut file_notes })?;
        match openings.first() {
            None => note_inexact(&outputs, &mut notes),
            Some(first) => check_same(&first.file.path, &schema_of(&first.outputs), &file.path, &schema_of(&outputs))?,
        }
        let first_row = row;
        for (number, group) in metadata.row_groups().iter().enumerate() {
            let rows = u64::try_from(group.num_rows()).unwrap_or(0);
            partitions.push(Partition { file: index, first_row: row, rows });
            groups.push(number);
            row = row.saturating_add(rows);
        }
        if row == first_row {
            let about = About { kind: NoteKind::EmptyFile, file: Some(&file.path), column: None, text: "the file has no rows" };
            notes.add(about, 1, None);
        }
        openings.push(Opening { file: file.clone(), metadata, hint, outputs });
    }
    let schema = openings.first().map(|first| schema_of(&first.outputs)).ok_or(TableError::NoFiles)?;
    let reader = ParquetReader { openings, groups, partitions: partitions.clone(), options: options.clone() };
    Ok(Opened { schema, partitions, reader: Box::new(reader), notes })
}

/// The footer, once it is known that it can be parsed in bounded memory.
fn read_footer(file: &DataFile) -> Result<ParquetMetaData, TableError> {
    let damaged = |reason: &str| TableError::damaged(&file.path, reason);
    let size = file.bytes.size_bytes();
    let tail_at = size.checked_sub(8).filter(|at| *at >= 4).ok_or_else(|| damaged("it is too short to be a Parquet file"))?;
    let mut tail = [0_u8; 8];
    file.bytes.read_at(tail_at, &mut tail).map_err(|source| TableError::read(&file.path, source))?;
    let [l1, l2, l3, l4, magic @ ..] = tail;
    if &magic == b"PARE" {
        return Err(TableError::unsupported(
            &file.path,
            "an encrypted footer",
            "decrypt it: what cannot be read cannot be inspected",
        ));
    }
    if &magic != b"PAR1" {
        return Err(damaged("it does not end as a Parquet file does: it may be cut off"));
    }
    let length = u64::from(u32::from_le_bytes([l1, l2, l3, l4]));
    TableError::limit(&file.path, "bytes in the footer", length, FOOTER_BYTES_MAX as u64, "write fewer, larger row groups")?;
    let at = tail_at.checked_sub(length).filter(|at| *at >= 4).ok_or_else(|| damaged("its footer is longer than the file"))?;
    let mut footer = vec![0_u8; usize::try_from(length).unwrap_or(0)];
    file.bytes.read_at(at, &mut footer).map_err(|source| TableError::read(&file.path, source))?;
    match thrift::check_footer(&footer) {
        Ok(false) => {}
        Ok(true) => {
            let advice = "decrypt it: what cannot be read cannot be inspected";
            return Err(TableError::unsupported(&file.path, "an encrypted column", advice));
        }
        Err(thrift::Refusal::Short) => return Err(damaged("its footer claims more than it holds")),
        Err(thrift::Refusal::Bad(reason)) => return Err(damaged(&format!("its footer has {reason}"))),
    }
    let metadata = ParquetMetaDataReader::decode_metadata(&footer).map_err(|error| TableError::damaged(&file.path, error))?;
    let advice = "write fewer, larger row groups";
    TableError::limit(&file.path, "row groups", metadata.num_row_groups() as u64, ROW_GROUP_COUNT_MAX as u64, advice)?;
    let columns = metadata.file_metadata().schema_descr().num_columns() as u64;
    TableError::limit(&file.path, "columns", columns, COLUMN_COUNT_MAX as u64, "store wide data as one list column")?;
    if columns == 0 {
        return Err(TableError::Empty { file: file.path.clone() });
    }
    Ok(metadata)
}

/// Checks that every column chunk lies within the file, and that counts are counts.
fn check_chunks(file: &DataFile, metadata: &ParquetMetaData) -> Result<(), TableError> {
    let damaged = |reason: &str| TableError::damaged(&file.path, reason);
    let columns = metadata.file_metadata().schema_descr().num_columns();
    let size = file.bytes.size_bytes();
    let mut total = 0_i64;
    for group in metadata.row_groups() {
        if group.num_rows() < 0 || group.columns().len() != columns {
            return Err(damaged("a row group does not fit the schema"));
        }
        total = total.checked_add(group.num_rows()).ok_or_else(|| damaged("it claims more rows than can be counted"))?;
        for chunk in group.columns() {
            if chunk.file_path().is_some() {
                return Err(TableError::unsupported(&file.path, "a column in another file", "write it into one file"));
            }
            let start = chunk.dictionary_page_offset().unwrap_or_else(|| chunk.data_page_offset());
            let end = start.checked_add(chunk.compressed_size());
            let within = start >= 4 && chunk.compressed_size() >= 0 && end.is_some_and(|end| end.cast_unsigned() <= size);
            if !within {
                return Err(damaged("a column lies outside of the file"));
            }
        }
    }
    if total != metadata.file_metadata().num_rows() {
        return Err(TableError::RowCount {
            file: file.path.clone(),
            claimed: metadata.file_metadata().num_rows().try_into().unwrap_or(0),
            found: total.try_into().unwrap_or(0),
        });
    }
    Ok(())
}

fn arrow_fields(file: &DataFile, metadata: &ParquetMetaData) -> Result<Fields, TableError> {
    let schema = parquet_to_arrow_schema(metadata.file_metadata().schema_descr(), None)
        .map_err(|error| TableError::damaged(&file.path, error))?;
    Ok(schema.fields().clone())
}

/// Text columns of the root whose values are all in small dictionaries, as far as the footer says. If it lies, reading is slower.
fn dictionary_columns(metadata: &ParquetMetaData) -> HashSet<String> {
    let descriptor = metadata.file_metadata().schema_descr();
    let mut columns = HashSet::new();
    for (index, column) in descriptor.columns().iter().enumerate() {
        let is_root = column.path().parts().len() == 1 && column.max_rep_level() == 0;
        let mut chunks = metadata.row_groups().iter().filter_map(|group| group.columns().get(index)).peekable();
        if is_root && column.physical_type() == Type::BYTE_ARRAY && chunks.peek().is_some() && chunks.all(is_dictionary) {
            columns.insert(column.name().to_owned());
        }
    }
    columns
}

fn is_dictionary(chunk: &ColumnChunkMetaData) -> bool {
    let Some(dictionary_at) = chunk.dictionary_page_offset() else { return false };
    let small =
        u64::try_from(chunk.data_page_offset().saturating_sub(dictionary_at)).is_ok_and(|bytes| bytes <= DICTIONARY_BYTES_MAX);
    let only = match chunk.page_encoding_stats_mask() {
        Some(mask) => mask.is_only(Encoding::RLE_DICTIONARY) || mask.is_only(Encoding::PLAIN_DICTIONARY),
        None => true,
    };
    small && only
}

/// The types asked of the decoder: views, which share long texts instead of copying them, and dictionaries where they are small.
fn hint_of(fields: &Fields, dictionaries: &HashSet<String>) -> Fields {
    fields
        .iter()
        .map(|field| {
            let data_type = match field.data_type() {
                DataType::Utf8 if dictionaries.contains(field.name()) => {
                    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
                }
                other => as_views(other),
            };
            Field::new(field.name(), data_type, field.is_nullable())
        })
        .collect()
}

fn as_views(data_type: &DataType) -> DataType {
    let child = |field: &Field| Arc::new(Field::new(field.name(), as_views(field.data_type()), field.is_nullable()));
    match data_type {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(UTC.into())),
        DataType::List(item) => DataType::List(child(item)),
        DataType::Map(item, sorted) => DataType::Map(child(item), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| child(field)).collect()),
        other => other.clone(),
    }
}

fn holds_number_list(field: &Field) -> bool {
    match field.data_type() {
        DataType::List(item) => is_number(item.data_type()),
        DataType::Struct(fields) => fields.iter().any(|field| holds_number_list(field)),
        _ => false,
    }
}

#[cfg(test)]
mod hostile;
#[cfg(test)]
pub(crate) mod tests;
