//! One column's conversion.

use std::sync::Arc;

use arrow_array::builder::StringBuilder;
use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef, RecordBatch, make_array, new_null_array};
use arrow_buffer::NullBuffer;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_json::writer::{EncoderOptions, make_encoder};
use arrow_schema::{DataType, Field, TimeUnit};
use arrow_select::dictionary::garbage_collect_any_dictionary;

use crate::error::TableError;
use crate::normalise::lists::{Ragged, to_embedding};
use crate::normalise::{Conversion, Output};

/// The array at `path`, null where a struct around it is.
pub(crate) fn leaf(file: &str, batch: &RecordBatch, path: &[usize]) -> Result<ArrayRef, TableError> {
    let lost = || TableError::damaged(file, "a column of its schema is missing");
    let (first, rest) = path.split_first().ok_or_else(lost)?;
    let mut array = batch.columns().get(*first).cloned().ok_or_else(lost)?;
    for index in rest {
        let parent = array.as_struct_opt().ok_or_else(lost)?;
        let child = parent.columns().get(*index).cloned().ok_or_else(lost)?;
        let nulls = NullBuffer::union(parent.nulls(), child.nulls());
        array = if parent.null_count() == 0 || matches!(child.data_type(), DataType::Null) {
            child
        } else {
            let data = child.to_data().into_builder().nulls(nulls).build();
            make_array(data.map_err(|error| TableError::damaged(file, error))?)
        };
    }
    Ok(array)
}

/// The bytes of texts and binaries in `array`, those in lists included.
pub(crate) fn text_bytes(array: &dyn Array) -> usize {
    let width = |offset: Option<usize>| offset.unwrap_or(0);
    match array.data_type() {
        DataType::Utf8 => {
            let offsets = array.as_string::<i32>().value_offsets();
            width(offsets.last().zip(offsets.first()).and_then(|(to, from)| usize::try_from(to - from).ok()))
        }
        DataType::LargeUtf8 => {
            let offsets = array.as_string::<i64>().value_offsets();
            width(offsets.last().zip(offsets.first()).and_then(|(to, from)| usize::try_from(to - from).ok()))
        }
        DataType::Binary => {
            let offsets = array.as_binary::<i32>().value_offsets();
            width(offsets.last().zip(offsets.first()).and_then(|(to, from)| usize::try_from(to - from).ok()))
        }
        DataType::LargeBinary => {
            let offsets = array.as_binary::<i64>().value_offsets();
            width(offsets.last().zip(offsets.first()).and_then(|(to, from)| usize::try_from(to - from).ok()))
        }
        // A view's lowest 32 bits are its length.
        DataType::Utf8View => array.as_string_view().views().iter().map(|view| (*view & 0xffff_ffff) as usize).sum(),
        DataType::BinaryView => array.as_binary_view().views().iter().map(|view| (*view & 0xffff_ffff) as usize).sum(),
        DataType::List(_) => {
            let list = array.as_list::<i32>();
            let offsets = list.value_offsets();
            let from = offsets.first().and_then(|from| usize::try_from(*from).ok()).unwrap_or(0);
            let to = offsets.last().and_then(|to| usize::try_from(*to).ok()).unwrap_or(0);
            text_bytes(&list.values().slice(from, to.saturating_sub(from)))
        }
        DataType::LargeList(_) => {
            let list = array.as_list::<i64>();
            let offsets = list.value_offsets();
            let from = offsets.first().and_then(|from| usize::try_from(*from).ok()).unwrap_or(0);
            let to = offsets.last().and_then(|to| usize::try_from(*to).ok()).unwrap_or(0);
            text_bytes(&list.values().slice(from, to.saturating_sub(from)))
        }
        DataType::Map(..) => {
            let map = array.as_map();
            let offsets = map.value_offsets();
            let from = offsets.first().and_then(|from| usize::try_from(*from).ok()).unwrap_or(0);
            let to = offsets.last().and_then(|to| usize::try_from(*to).ok()).unwrap_or(0);
            text_bytes(&map.entries().slice(from, to.saturating_sub(from)))
        }
        DataType::FixedSizeList(..) => text_bytes(array.as_fixed_size_list().values()),
        DataType::Struct(_) => array.as_struct().columns().iter().map(|column| text_bytes(column.as_ref())).sum(),
        // Written as text, a number takes some bytes.
        other => array.len() * other.primitive_width().unwrap_or(1).max(8),
    }
}

/// `column` as `output` wants it.
pub(crate) fn convert(file: &str, column: &ArrayRef, output: &Output) -> Result<(ArrayRef, Ragged), TableError> {
    let damaged =
        |error: arrow_schema::ArrowError| TableError::damaged(file, format!("the column `{}`: {error}", output.field.name()));
    // A value that does not fit is an error, never a silent null.
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let target = output.field.data_type();
    let converted = match output.conversion {
        Conversion::Keep => match column.data_type() {
            DataType::Dictionary(..) if column.as_any_dictionary().values().len() > column.len() => {
                garbage_collect_any_dictionary(column.as_any_dictionary()).map_err(damaged)?
            }
            _ => Arc::clone(column),
        },
        Conversion::Cast => cast_with_options(column, target, &options).map_err(damaged)?,
        Conversion::Time => {
            let DataType::Timestamp(unit, _) = column.data_type() else {
                return Err(TableError::damaged(file, "a column of times that holds something else"));
            };
            let plain = with_type(column, DataType::Timestamp(*unit, None)).map_err(damaged)?;
            let micros =
                cast_with_options(&plain, &DataType::Timestamp(TimeUnit::Microsecond, None), &options).map_err(damaged)?;
            with_type(&micros, target.clone()).map_err(damaged)?
        }
        Conversion::Json => json_texts(column).map_err(damaged)?,
        Conversion::Nulls => new_null_array(target, column.len()),
        Conversion::Embedding => {
            let DataType::FixedSizeList(item, length) = target else {
                return Err(TableError::damaged(file, "a column of lists that holds something else"));
            };
            return to_embedding(column.as_ref(), item, *length).ok_or_else(|| {
                TableError::damaged(file, format!("the column `{}` holds no lists of numbers", output.field.name()))
            });
        }
    };
    Ok((converted, None))
}

/// The same values under another type of the same layout: a zone is a label, and one from a file is not to be looked up.
fn with_type(column: &ArrayRef, data_type: DataType) -> Result<ArrayRef, arrow_schema::ArrowError> {
    Ok(make_array(column.to_data().into_builder().data_type(data_type).build()?))
}

fn json_texts(column: &ArrayRef) -> Result<ArrayRef, arrow_schema::ArrowError> {
    let options = EncoderOptions::default().with_explicit_nulls(true);
    let field = Arc::new(Field::new("item", column.data_type().clone(), true));
    let mut encoder = make_encoder(&field, column.as_ref(), &options)?;
    let mut texts = StringBuilder::with_capacity(column.len(), column.len() * 16);
    let mut text = Vec::new();
    for row in 0..column.len() {
        if column.is_null(row) {
            texts.append_null();
            continue;
        }
        text.clear();
        encoder.encode(row, &mut text);
        texts.append_value(String::from_utf8_lossy(&text));
    }
    Ok(Arc::new(texts.finish()))
}
