//! From Arrow arrays to a column's state. An array may stand for more rows than it has elements: a dictionary's values come
//! with the number of rows of each, so that they are hashed, compared and shaped once.

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};

use super::arrow_lists::take_vectors;
use super::arrow_numbers::{take_any_numbers, take_times};
use super::{ColumnState, Reading};
use crate::hash::{joined, of_bytes, of_integer, of_word};
use crate::value::Value;

/// What takes the place of a missing value in a row's hash.
pub(super) const NULL_WORD: u64 = 0x6e75_6c6c_6e75_6c6c;

/// Memory that is used again for each array.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    /// The hash of each element of the array last observed.
    pub(crate) hashes: Vec<u64>,
    pub(super) kept_hashes: Vec<u64>,
    pub(super) numbers: Vec<f64>,
}

/// How often each element came.
#[derive(Clone, Copy)]
pub(super) enum Weights<'a> {
    Once,
    Times(&'a [u64]),
}

impl Weights<'_> {
    pub(super) fn of(self, at: usize) -> u64 {
        match self {
            Self::Once => 1,
            Self::Times(weights) => weights.get(at).copied().unwrap_or(0),
        }
    }
}

/// Takes a column's array; joins the hash of each value to that of its row.
pub(crate) fn observe(state: &mut ColumnState, array: &ArrayRef, seed: u64, scratch: &mut Scratch, rows: &mut [u64]) {
    state.row_count += array.len() as u64;
    let Some(dictionary) = array.as_any_dictionary_opt() else {
        take(state, array, Weights::Once, seed, scratch);
        for (row, hash) in rows.iter_mut().zip(&scratch.hashes) {
            *row = joined(*row, *hash);
        }
        return;
    };
    let values = dictionary.values();
    if values.len() > array.len() {
        // A dictionary larger than its rows: most of its values are not meant.
        let plain = cast(array, values.data_type()).unwrap_or_else(|_| values.slice(0, 0));
        take(state, &plain, Weights::Once, seed, scratch);
        for (row, hash) in rows.iter_mut().zip(&scratch.hashes) {
            *row = joined(*row, *hash);
        }
        return;
    }
    let null = of_word(seed, NULL_WORD);
    if values.is_empty() {
        state.null_count += array.len() as u64;
        rows.iter_mut().for_each(|row| *row = joined(*row, null));
        return;
    }
    let keys = dictionary.normalized_keys();
    let nulls = dictionary.keys().nulls();
    let mut weights = vec![0_u64; values.len()];
    for (at, key) in keys.iter().enumerate() {
        if nulls.is_none_or(|nulls| nulls.is_valid(at))
            && let Some(weight) = weights.get_mut(*key)
        {
            *weight += 1;
        }
    }
    state.null_count += nulls.map_or(0, |nulls| nulls.null_count() as u64);
    take(state, values, Weights::Times(&weights), seed, scratch);
    for (at, (row, key)) in rows.iter_mut().zip(&keys).enumerate() {
        let valid = nulls.is_none_or(|nulls| nulls.is_valid(at));
        let hash = if valid { scratch.hashes.get(*key).copied().unwrap_or(null) } else { null };
        *row = joined(*row, hash);
    }
}

fn take(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>, seed: u64, scratch: &mut Scratch) {
    scratch.hashes.clear();
    scratch.kept_hashes.clear();
    count_nulls(state, array, weights);
    match Reading::of(array.data_type()) {
        Reading::Nothing => scratch.hashes.resize(array.len(), of_word(seed, NULL_WORD)),
        Reading::Boolean => take_booleans(state, array, weights, seed, scratch),
        Reading::Number => take_any_numbers(state, array, weights, seed, scratch),
        Reading::Time => take_times(state, array, weights, seed, scratch),
        Reading::Text => take_texts(state, array, weights, seed, scratch),
        Reading::Bytes => take_bytes(state, array, weights, seed, scratch),
        Reading::Vector => take_vectors(state, array, weights, seed, scratch),
        Reading::Formatted => take_formatted(state, array, weights, seed, scratch),
    }
}

fn count_nulls(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>) {
    let nulls = array.logical_nulls();
    state.null_count += match (weights, nulls) {
        (_, None) => 0,
        (Weights::Once, Some(nulls)) => nulls.null_count() as u64,
        (Weights::Times(weights), Some(nulls)) => nulls.iter().zip(weights).filter(|(valid, _)| !valid).map(|(_, n)| *n).sum(),
    };
}

fn take_booleans(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>, seed: u64, scratch: &mut Scratch) {
    let null = of_word(seed, NULL_WORD);
    let (no, yes) = (of_integer(seed, 0), of_integer(seed, 1));
    let (mut no_count, mut yes_count) = (0, 0);
    for (at, value) in array.as_boolean().iter().enumerate() {
        let weight = weights.of(at);
        yes_count += if value == Some(true) { weight } else { 0 };
        no_count += if value == Some(false) { weight } else { 0 };
        scratch.hashes.push(value.map_or(null, |value| if value { yes } else { no }));
    }
    for (hash, count, value) in [(no, no_count, false), (yes, yes_count, true)] {
        if count > 0 {
            state.distinct.insert(hash);
            state.frequent.add(hash, count, |slot| *slot = Value::Boolean(value));
        }
    }
    *state.true_count.get_or_insert(0) += yes_count;
}

fn take_texts(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>, seed: u64, scratch: &mut Scratch) {
    if let Some(array) = array.as_string_opt::<i32>() {
        let ascii = ascii_range(array.value_data(), array.value_offsets());
        take_each_text(state, array.iter(), ascii, weights, seed, scratch);
    } else if let Some(array) = array.as_string_opt::<i64>() {
        let ascii = ascii_range(array.value_data(), array.value_offsets());
        take_each_text(state, array.iter(), ascii, weights, seed, scratch);
    } else if let Some(array) = array.as_string_view_opt() {
        take_each_text(state, array.iter(), array.iter().flatten().all(str::is_ascii), weights, seed, scratch);
    }
}

fn ascii_range<O: Copy + TryInto<usize>>(data: &[u8], offsets: &[O]) -> bool {
    let at = |offset: Option<&O>| offset.and_then(|offset| (*offset).try_into().ok());
    let range = at(offsets.first()).zip(at(offsets.last()));
    range.and_then(|(start, end)| data.get(start..end)).is_some_and(<[u8]>::is_ascii)
}

fn take_each_text<'a>(
    state: &mut ColumnState,
    array: impl Iterator<Item = Option<&'a str>>,
    ascii: bool,
    weights: Weights<'_>,
    seed: u64,
    scratch: &mut Scratch,
) {
    let Some(texts) = state.texts.as_mut() else { return };
    let null = of_word(seed, NULL_WORD);
    let mut kept: Vec<&str> = Vec::with_capacity(array.size_hint().0);
    for (at, text) in array.enumerate() {
        let hash = text.map_or(null, |text| of_bytes(seed, text.as_bytes()));
        scratch.hashes.push(hash);
        let Some(text) = text else { continue };
        if let Weights::Times(_) = weights {
            let weight = weights.of(at);
            if weight > 0 {
                state.distinct.insert(hash);
                state.frequent.add(hash, weight, |slot| slot.set_text(text));
                texts.insert(text, weight);
            }
            continue;
        }
        kept.push(text);
        scratch.kept_hashes.push(hash);
    }
    state.distinct.extend(&scratch.kept_hashes);
    state.frequent.extend(&scratch.kept_hashes, |at, slot| {
        if let Some(text) = kept.get(at) {
            slot.set_text(text);
        }
    });
    texts.extend(&kept, ascii, &mut scratch.numbers);
}

fn take_bytes(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>, seed: u64, scratch: &mut Scratch) {
    let null = of_word(seed, NULL_WORD);
    let mut each = |at: usize, bytes: Option<&[u8]>| {
        let hash = bytes.map_or(null, |bytes| of_bytes(seed, bytes));
        scratch.hashes.push(hash);
        let (Some(bytes), weight @ 1..) = (bytes, weights.of(at)) else { return };
        state.distinct.insert(hash);
        state.frequent.add(hash, weight, |slot| *slot = Value::Masked);
        if let (Some(lengths), Some(images)) = (&mut state.byte_lengths, &mut state.images) {
            lengths.insert(bytes.len() as f64, weight);
            images.insert(bytes, weight);
        }
    };
    if let Some(array) = array.as_binary_opt::<i32>() {
        array.iter().enumerate().for_each(|(at, bytes)| each(at, bytes));
    } else if let Some(array) = array.as_binary_opt::<i64>() {
        array.iter().enumerate().for_each(|(at, bytes)| each(at, bytes));
    } else if let Some(array) = array.as_binary_view_opt() {
        array.iter().enumerate().for_each(|(at, bytes)| each(at, bytes));
    } else if let Some(array) = array.as_fixed_size_binary_opt() {
        array.iter().enumerate().for_each(|(at, bytes)| each(at, bytes));
    }
}

/// Whatever else there is, as the text that Arrow shows for it.
pub(super) fn take_formatted(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>, seed: u64, scratch: &mut Scratch) {
    let null = of_word(seed, NULL_WORD);
    let options = FormatOptions::default().with_display_error(true);
    let Ok(formatter) = ArrayFormatter::try_new(array.as_ref(), &options) else {
        scratch.hashes.resize(array.len(), null);
        return;
    };
    let nulls = array.logical_nulls();
    for at in 0..array.len() {
        if nulls.as_ref().is_some_and(|nulls| nulls.is_null(at)) {
            scratch.hashes.push(null);
            continue;
        }
        let text = formatter.value(at).to_string();
        let hash = of_bytes(seed, text.as_bytes());
        scratch.hashes.push(hash);
        let weight = weights.of(at);
        if weight > 0 {
            state.distinct.insert(hash);
            state.frequent.add(hash, weight, |slot| slot.set_text(&text));
            if let Some(texts) = &mut state.texts {
                texts.insert(&text, weight);
            }
        }
    }
}
