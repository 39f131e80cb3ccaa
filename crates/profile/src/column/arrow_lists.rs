//! From Arrow's lists of numbers to a column's state.

use arrow_array::cast::AsArray as _;
use arrow_array::types::Float64Type;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::DataType;

use super::ColumnState;
use super::arrow::{NULL_WORD, Scratch, Weights, take_formatted};
use crate::hash::{joined, of_number, of_word};
use crate::value::Value;

/// The numbers of lists one after the other, and where each list's begin and end.
fn flattened(array: &ArrayRef) -> Option<(ArrayRef, Vec<(usize, usize)>)> {
    if let Some(list) = array.as_list_opt::<i32>() {
        let ends = list.value_offsets().windows(2).map(|pair| match *pair {
            [start, end] => (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0)),
            _ => (0, 0),
        });
        return Some((list.values().clone(), ends.collect()));
    }
    if let Some(list) = array.as_list_opt::<i64>() {
        let ends = list.value_offsets().windows(2).map(|pair| match *pair {
            [start, end] => (usize::try_from(start).unwrap_or(0), usize::try_from(end).unwrap_or(0)),
            _ => (0, 0),
        });
        return Some((list.values().clone(), ends.collect()));
    }
    let list = array.as_fixed_size_list_opt()?;
    let mut size = usize::try_from(list.value_length()).ok()?;
    let mut values = list.values().clone();
    // Lists of lists of fixed sizes, as images are, are one long list.
    while let Some(inner) = values.as_fixed_size_list_opt() {
        size = size.checked_mul(usize::try_from(inner.value_length()).ok()?)?;
        values = inner.values().clone();
    }
    Some((values, (0..list.len()).map(|at| (at * size, (at + 1) * size)).collect()))
}

pub(super) fn take_vectors(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>, seed: u64, scratch: &mut Scratch) {
    let null = of_word(seed, NULL_WORD);
    let (Some((values, ends)), Some(vectors)) = (flattened(array), state.vectors.as_mut()) else {
        return take_formatted(state, array, weights, seed, scratch);
    };
    let Ok(plain) = cast(&values, &DataType::Float64) else {
        return take_formatted(state, array, weights, seed, scratch);
    };
    let Some(plain) = plain.as_primitive_opt::<Float64Type>() else { return };
    for (at, (start, end)) in ends.into_iter().enumerate() {
        if array.is_null(at) {
            scratch.hashes.push(null);
            continue;
        }
        scratch.numbers.clear();
        scratch.numbers.extend(plain.values().get(start..end).unwrap_or_default());
        if plain.null_count() > 0 {
            for (value, position) in scratch.numbers.iter_mut().zip(start..) {
                *value = if plain.is_valid(position) { *value } else { f64::NAN };
            }
        }
        let hash = scratch.numbers.iter().fold(seed, |hash, value| joined(hash, of_number(seed, *value)));
        scratch.hashes.push(hash);
        let weight = weights.of(at);
        if weight > 0 {
            state.distinct.insert(hash);
            state.frequent.add(hash, weight, |slot| *slot = Value::Masked);
            vectors.insert(&scratch.numbers, weight);
        }
    }
}
