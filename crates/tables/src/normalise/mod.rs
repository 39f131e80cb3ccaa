//! From the many types of Parquet and Arrow to the few that this crate hands out.

mod convert;
mod exact;
mod lists;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::columns::{batch, settle_names};
use crate::error::TableError;
use crate::limits::{BATCH_TEXT_BYTES_MAX, DEPTH_MAX, ROW_BYTES_MAX};
use crate::notes::{About, Example, NoteKind, Notes};
use crate::table::SharedNotes;
use crate::values::UTC;

/// What becomes of a column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Conversion {
    /// Nothing.
    Keep,
    /// Arrow's cast to the output's type, which must not lose a value.
    Cast,
    /// A time of any unit and zone to microseconds.
    Time,
    /// Text of each value, as JSON.
    Json,
    /// Lists of one length.
    Embedding,
    /// Nulls.
    Nulls,
}

/// One column that is handed out.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub field: Field,
    /// The root column, then the child of each struct on the way.
    pub path: Vec<usize>,
    pub conversion: Conversion,
    /// How exact numbers are kept; none for other columns.
    pub kept: Option<Kept>,
}

/// What a look at the values says of columns, by name.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// Which list columns hold embeddings, and of which length.
    pub lists: HashMap<String, i32>,
    /// What the values of exact numbers are like.
    pub exact: HashMap<String, Exact>,
}

/// The columns handed out for `fields`.
pub(crate) fn plan(file: &str, fields: &Fields, known: &Known, notes: &mut Notes) -> Result<Vec<Output>, TableError> {
    let mut outputs = Vec::new();
    for (index, field) in fields.iter().enumerate() {
        add(file, field, "", vec![index], known, &mut outputs)?;
    }
    let names = outputs.iter().map(|output| output.field.name().clone()).collect();
    let names = settle_names(file, names, notes)?;
    for (output, name) in outputs.iter_mut().zip(names) {
        output.field.set_name(name);
    }
    Ok(outputs)
}

/// Notes which columns lose digits.
pub(crate) fn note_inexact(outputs: &[Output], notes: &mut Notes) {
    for output in outputs.iter().filter(|output| output.kept == Some(Kept::Rounded)) {
        let text = "exact numbers are read as floating point numbers: about 15 digits are kept";
        notes.add(About { kind: NoteKind::ReadAsFloat, file: None, column: Some(output.field.name()), text }, 1, None);
    }
}

fn add(
    file: &str,
    field: &Field,
    prefix: &str,
    path: Vec<usize>,
    known: &Known,
    outputs: &mut Vec<Output>,
) -> Result<(), TableError> {
    if path.len() > DEPTH_MAX {
        return Err(TableError::unsupported(file, "columns nested more than 32 levels deep", "flatten them"));
    }
    let name = if prefix.is_empty() { field.name().clone() } else { format!("{prefix}.{}", field.name()) };
    if let DataType::Struct(children) = field.data_type() {
        if children.is_empty() {
            return Err(TableError::unsupported(file, format!("the column `{name}` without content"), "leave it out"));
        }
        for (index, child) in children.iter().enumerate() {
            let path = path.iter().copied().chain([index]).collect();
            add(file, child, &name, path, known, outputs)?;
        }
        return Ok(());
    }
    let kept = known.exact.get(&name).filter(|_| is_exact(field.data_type())).map(|exact| exact.kept());
    let found = match kept {
        Some(Kept::Integer) => Some((DataType::Int64, Conversion::Cast)),
        Some(Kept::Own) => Some(own_type(field.data_type())),
        _ => target(field.data_type(), known.lists.get(&name).copied()),
    };
    let Some((data_type, conversion)) = found else {
        let what = format!("the column `{name}` of type {}", field.data_type());
        return Err(TableError::unsupported(file, what, "write it as numbers, texts, times or lists"));
    };
    outputs.push(Output { field: Field::new(name, data_type, true), path, conversion, kept });
    Ok(())
}

/// The type that holds all values of an exact one; short decimals become long ones.
fn own_type(source: &DataType) -> (DataType, Conversion) {
    match source {
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => {
            (DataType::Decimal128(*precision, *scale), Conversion::Cast)
        }
        other => (other.clone(), Conversion::Keep),
    }
}

/// The type handed out for `source`, and how it is made.
fn target(source: &DataType, list_length: Option<i32>) -> Option<(DataType, Conversion)> {
    use Conversion::{Cast, Embedding, Json, Keep, Nulls, Time};
    let keep = || Some((source.clone(), Keep));
    Some(match source {
        DataType::Boolean | DataType::Int64 | DataType::Float64 | DataType::Utf8 | DataType::Binary | DataType::Date32 => {
            return keep();
        }
        DataType::Int8 | DataType::Int16 | DataType::Int32 | DataType::UInt8 | DataType::UInt16 | DataType::UInt32 => {
            (DataType::Int64, Cast)
        }
        DataType::UInt64 | DataType::Float16 | DataType::Float32 => (DataType::Float64, Cast),
        DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            (DataType::Float64, Cast)
        }
        DataType::LargeUtf8 | DataType::Utf8View | DataType::Time32(_) | DataType::Time64(_) => (DataType::Utf8, Cast),
        DataType::LargeBinary | DataType::BinaryView => (DataType::Binary, Cast),
        DataType::FixedSizeBinary(width) if *width > 0 => (DataType::Binary, Cast),
        DataType::Date64 => (DataType::Date32, Cast),
        DataType::Duration(_) => (DataType::Int64, Cast),
        DataType::Timestamp(_, zone) => {
            let micros = DataType::Timestamp(TimeUnit::Microsecond, zone.as_ref().map(|_| UTC.into()));
            if &micros == source { (micros, Keep) } else { (micros, Time) }
        }
        DataType::Dictionary(keys, values) => match values.as_ref() {
            DataType::Utf8 if keys.as_ref() == &DataType::Int32 => return keep(),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                (DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8)), Cast)
            }
            // Values of a fixed width can be written out; long ones would grow without a bound.
            values if values.is_primitive() => match target(values, None)? {
                (data_type, Keep | Cast) => (data_type, Cast),
                _ => return None,
            },
            _ => return None,
        },
        DataType::FixedSizeList(item, length) if is_number(item.data_type()) && *length > 0 => {
            (embedding(item.data_type(), *length), Embedding)
        }
        DataType::List(item) | DataType::LargeList(item) if is_number(item.data_type()) && list_length.is_some() => {
            (embedding(item.data_type(), list_length?), Embedding)
        }
        DataType::List(item) | DataType::LargeList(item) if is_plain(item.data_type(), 0) => (DataType::Utf8, Json),
        DataType::FixedSizeList(item, length) if *length > 0 && is_plain(item.data_type(), 0) => (DataType::Utf8, Json),
        DataType::Map(item, _) if is_plain(item.data_type(), 0) => (DataType::Utf8, Json),
        DataType::Null => (DataType::Utf8, Nulls),
        _ => return None,
    })
}

fn embedding(item: &DataType, length: i32) -> DataType {
    let single = matches!(item, DataType::Float16 | DataType::Float32);
    let item = if single { DataType::Float32 } else { DataType::Float64 };
    DataType::FixedSizeList(Arc::new(Field::new("item", item, true)), length)
}

/// Whether lists of this type can be embeddings.
pub(crate) fn is_number(item: &DataType) -> bool {
    item.is_integer() || item.is_floating()
}

/// Whether values of this type are written as JSON. Dictionaries are not: they would grow without a bound.
fn is_plain(data_type: &DataType, depth: usize) -> bool {
    if depth > DEPTH_MAX {
        return false;
    }
    match data_type {
        DataType::Struct(children) => !children.is_empty() && children.iter().all(|child| is_plain(child.data_type(), depth + 1)),
        DataType::List(item) | DataType::LargeList(item) | DataType::Map(item, _) => is_plain(item.data_type(), depth + 1),
        DataType::FixedSizeList(item, length) => *length > 0 && is_plain(item.data_type(), depth + 1),
        DataType::FixedSizeBinary(width) => *width > 0,
        DataType::Boolean
        | DataType::Utf8
        | DataType::LargeUtf8
        | DataType::Utf8View
        | DataType::Binary
        | DataType::LargeBinary
        | DataType::BinaryView => true,
        other => {
            other.is_numeric()
                || matches!(other, DataType::Date32 | DataType::Date64 | DataType::Time32(_) | DataType::Time64(_))
                || matches!(other, DataType::Null | DataType::Duration(_) | DataType::Timestamp(_, None))
                || matches!(other, DataType::Timestamp(_, Some(zone)) if zone.as_ref() == UTC)
        }
    }
}

/// `data_type` with every zone written as [`UTC`]: an instant does not depend on it, and one from a file is not to be looked up.
pub(crate) fn with_plain_zones(data_type: &DataType) -> DataType {
    let child = |field: &Field| Arc::new(field.clone().with_data_type(with_plain_zones(field.data_type())));
    match data_type {
        DataType::Timestamp(unit, Some(_)) => DataType::Timestamp(*unit, Some(UTC.into())),
        DataType::List(item) => DataType::List(child(item)),
        DataType::LargeList(item) => DataType::LargeList(child(item)),
        DataType::FixedSizeList(item, length) => DataType::FixedSizeList(child(item), *length),
        DataType::Map(item, sorted) => DataType::Map(child(item), *sorted),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(|field| child(field)).collect()),
        other => other.clone(),
    }
}

/// The schema that `outputs` make.
pub(crate) fn schema_of(outputs: &[Output]) -> SchemaRef {
    Arc::new(Schema::new(outputs.iter().map(|output| output.field.clone()).collect::<Vec<_>>()))
}

/// How the schema of `file` differs from that of the first file, if it does.
pub(crate) fn check_same(first: &str, expected: &Schema, file: &str, found: &Schema) -> Result<(), TableError> {
    let differs = |difference| Err(TableError::SchemaDiffers { first: first.to_owned(), file: file.to_owned(), difference });
    for (index, (ours, theirs)) in expected.fields().iter().zip(found.fields()).enumerate() {
        let number = index + 1;
        if ours.name() != theirs.name() {
            return differs(format!("column {number} is `{}` instead of `{}`", theirs.name(), ours.name()));
        }
        if ours.data_type() != theirs.data_type() {
            let (ours, theirs, name) = (ours.data_type(), theirs.data_type(), ours.name());
            return differs(format!("column {number}, `{name}`, has the type {theirs} instead of {ours}"));
        }
    }
    let (ours, theirs) = (expected.fields().len(), found.fields().len());
    if ours != theirs {
        return differs(format!("it has {theirs} columns instead of {ours}"));
    }
    Ok(())
}

/// Converts the batches of one partition.
pub(crate) struct Normaliser {
    pub file: String,
    /// The projected outputs; the first step of each path is the place in the batches that are converted.
    pub outputs: Vec<Output>,
    pub schema: SchemaRef,
    pub notes: SharedNotes,
    /// The global number of the next row.
    pub row: u64,
    pub batch_rows: usize,
}

impl Normaliser {
    /// The converted rows of `source`, in as many batches as their texts need.
    pub(crate) fn convert(&mut self, source: &RecordBatch) -> Result<Vec<RecordBatch>, TableError> {
        let mut converted = Vec::new();
        let mut from = 0;
        while from < source.num_rows() {
            let mut rows = self.batch_rows.min(source.num_rows() - from);
            loop {
                let bytes = self.bytes_of(&source.slice(from, rows))?;
                if rows == 1 {
                    let advice = "store large objects as files of their own";
                    TableError::limit(&self.file, "bytes in one row", bytes as u64, ROW_BYTES_MAX as u64, advice)?;
                }
                if bytes <= BATCH_TEXT_BYTES_MAX || rows == 1 {
                    break;
                }
                rows = (rows / 2).max(1);
            }
            converted.push(self.slice(&source.slice(from, rows))?);
            self.row += rows as u64;
            from += rows;
        }
        Ok(converted)
    }

    /// The bytes that the texts and embeddings of these rows take when they are converted. Nulls take as much as lists.
    fn bytes_of(&self, source: &RecordBatch) -> Result<usize, TableError> {
        let mut bytes = 0_usize;
        for output in &self.outputs {
            bytes = bytes.saturating_add(match output.field.data_type() {
                DataType::Utf8 | DataType::Binary if output.conversion != Conversion::Nulls => {
                    convert::text_bytes(convert::leaf(&self.file, source, &output.path)?.as_ref())
                }
                DataType::FixedSizeList(_, length) => {
                    usize::try_from(*length).unwrap_or(0).saturating_mul(8).saturating_mul(source.num_rows())
                }
                _ => 0,
            });
        }
        Ok(bytes)
    }

    fn slice(&self, source: &RecordBatch) -> Result<RecordBatch, TableError> {
        let mut columns: Vec<ArrayRef> = Vec::with_capacity(self.outputs.len());
        for output in &self.outputs {
            let column = convert::leaf(&self.file, source, &output.path)?;
            let (column, ragged) = convert::convert(&self.file, &column, output)?;
            if let Some((count, first)) = ragged {
                let text = "lists of another length than the first ones are read as nulls";
                let about = About { kind: NoteKind::RaggedList, file: None, column: Some(output.field.name()), text };
                let example = Example { row: self.row + first.0, line: None, text: format!("{} numbers", first.1) };
                self.notes.lock().unwrap_or_else(PoisonError::into_inner).add(about, count, Some(example));
            }
            columns.push(column);
        }
        batch(&self.file, &self.schema, columns, source.num_rows())
    }
}

pub(crate) use convert::leaf as leaf_of;
pub(crate) use exact::{Exact, Kept, is_exact, open_leaves};
pub(crate) use lists::list_length;

#[cfg(test)]
mod tests;
