//! Lists of numbers, which are embeddings if all are equally long.

use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::types::{Float32Type, Float64Type};
use arrow_array::{Array, ArrayRef, FixedSizeListArray, Float32Array, Float64Array};
use arrow_buffer::NullBuffer;
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::{DataType, FieldRef};

use crate::limits::EMBEDDING_LENGTH_MAX;

/// Lists of a wrong length: how many, and of the first its place and length.
pub(crate) type Ragged = Option<(u64, (u64, usize))>;

/// The common length of all lists of `column`, if they have one that makes them embeddings.
pub(crate) fn list_length(column: &dyn Array) -> Option<i32> {
    let mut common = None;
    for row in 0..column.len() {
        if column.is_null(row) {
            continue;
        }
        let (from, to) = bounds(column, row)?;
        let length = to - from;
        if common.is_some_and(|common| common != length) || !(2..=EMBEDDING_LENGTH_MAX).contains(&length) {
            return None;
        }
        common = Some(length);
    }
    common.and_then(|length| i32::try_from(length).ok())
}

/// Where the list in `row` begins and ends among the column's values.
fn bounds(column: &dyn Array, row: usize) -> Option<(usize, usize)> {
    match column.data_type() {
        DataType::List(_) => {
            let offsets = column.as_list_opt::<i32>()?.value_offsets();
            Some((usize::try_from(*offsets.get(row)?).ok()?, usize::try_from(*offsets.get(row + 1)?).ok()?))
        }
        DataType::LargeList(_) => {
            let offsets = column.as_list_opt::<i64>()?.value_offsets();
            Some((usize::try_from(*offsets.get(row)?).ok()?, usize::try_from(*offsets.get(row + 1)?).ok()?))
        }
        DataType::FixedSizeList(_, length) => {
            let length = usize::try_from(*length).ok()?;
            Some((row * length, (row + 1) * length))
        }
        _ => None,
    }
}

fn values(column: &dyn Array) -> Option<&ArrayRef> {
    match column.data_type() {
        DataType::List(_) => Some(column.as_list_opt::<i32>()?.values()),
        DataType::LargeList(_) => Some(column.as_list_opt::<i64>()?.values()),
        DataType::FixedSizeList(..) => Some(column.as_fixed_size_list_opt()?.values()),
        _ => None,
    }
}

/// `column` as lists of `length` items of `item`; lists of another length become nulls.
pub(crate) fn to_embedding(column: &dyn Array, item: &FieldRef, length: i32) -> Option<(ArrayRef, Ragged)> {
    let width = usize::try_from(length).ok()?;
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let rows = column.len();
    let (from, to) = if rows == 0 { (0, 0) } else { (bounds(column, 0)?.0, bounds(column, rows - 1)?.1) };
    let numbers = values(column)?.slice(from, to.checked_sub(from)?);
    let numbers = cast_with_options(&numbers, item.data_type(), &options).ok()?;
    let mut valid = Vec::with_capacity(rows);
    let mut taken: Vec<Option<usize>> = Vec::with_capacity(rows);
    let mut ragged: Ragged = None;
    for row in 0..rows {
        let (start, end) = bounds(column, row)?;
        let fits = column.is_valid(row) && end - start == width;
        if column.is_valid(row) && !fits {
            let (count, _) = ragged.get_or_insert((0, (row as u64, end - start)));
            *count += 1;
        }
        valid.push(fits);
        taken.push(fits.then_some(start - from));
    }
    let nulls = valid.contains(&false).then(|| NullBuffer::from(valid));
    // The usual case: nothing is missing, so the numbers stand as they should already.
    let values: ArrayRef = if nulls.is_none() {
        numbers
    } else if item.data_type() == &DataType::Float32 {
        let numbers = numbers.as_primitive_opt::<Float32Type>()?;
        let gathered: Float32Array = taken
            .iter()
            .flat_map(|start| (0..width).map(move |at| (start, at)))
            .map(|(start, at)| start.map(|start| start + at).filter(|at| numbers.is_valid(*at)).map(|at| numbers.value(at)))
            .collect();
        Arc::new(gathered)
    } else {
        let numbers = numbers.as_primitive_opt::<Float64Type>()?;
        let gathered: Float64Array = taken
            .iter()
            .flat_map(|start| (0..width).map(move |at| (start, at)))
            .map(|(start, at)| start.map(|start| start + at).filter(|at| numbers.is_valid(*at)).map(|at| numbers.value(at)))
            .collect();
        Arc::new(gathered)
    };
    let array = FixedSizeListArray::try_new(Arc::clone(item), length, values, nulls).ok()?;
    Some((Arc::new(array), ragged))
}
