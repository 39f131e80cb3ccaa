//! Arrow arrays as the few sorts of cells that are told apart here.

use arrow_array::cast::AsArray;
use arrow_array::types::{Float64Type, Int64Type};
use arrow_array::{Array, ArrayRef, cast};
use arrow_cast::{CastOptions, cast_with_options};
use arrow_schema::DataType;

/// Values of a dictionary that are looked at in one batch; a dictionary with more is read row by row.
const DICTIONARY_VALUES_MAX: usize = 65_536;

/// The cells of one column of a batch.
pub enum Cells<'a> {
    /// Texts, row by row.
    Texts(Vec<Option<&'a str>>),
    /// Distinct texts with their counts, and the first row of each.
    Dictionary { values: Vec<(&'a str, u64)>, first: Vec<u64>, null_count: u64 },
    /// Whole numbers, row by row.
    Integers(Vec<Option<i64>>),
    /// Numbers with fractions.
    Floats(FloatRange),
    /// Dates and times.
    Dates { count: u64, null_count: u64 },
    /// Truth values, bytes that are no texts, and what else there is.
    Other { count: u64, null_count: u64 },
}

/// What is kept of numbers with fractions.
#[derive(Clone, Copy, Debug)]
pub struct FloatRange {
    pub count: u64,
    pub null_count: u64,
    pub min: f64,
    pub max: f64,
}

/// The cells of an array; a struct's fields one after the other.
pub fn add_leaves<'a>(array: &'a ArrayRef, cells: &mut Vec<Cells<'a>>) {
    if let DataType::Struct(_) = array.data_type() {
        for field in array.as_struct().columns() {
            add_leaves(field, cells);
        }
        return;
    }
    cells.push(leaf(array));
}

fn counts(array: &dyn Array) -> (u64, u64) {
    let null_count = array.logical_null_count() as u64;
    (array.len() as u64 - null_count, null_count)
}

fn leaf(array: &ArrayRef) -> Cells<'_> {
    let (count, null_count) = counts(array);
    match array.data_type() {
        DataType::Utf8 => Cells::Texts(array.as_string::<i32>().iter().collect()),
        DataType::LargeUtf8 => Cells::Texts(array.as_string::<i64>().iter().collect()),
        DataType::Utf8View => Cells::Texts(array.as_string_view().iter().collect()),
        DataType::Dictionary(_, value) if is_text(value) => dictionary(array, null_count),
        DataType::Binary => bytes(array.as_binary::<i32>().iter(), count, null_count),
        DataType::LargeBinary => bytes(array.as_binary::<i64>().iter(), count, null_count),
        // A list's texts count as so many cells of its first row; rows of lists are not told apart.
        DataType::List(field) if is_text(field.data_type()) => leaf(array.as_list::<i32>().values()),
        DataType::LargeList(field) if is_text(field.data_type()) => leaf(array.as_list::<i64>().values()),
        data_type if data_type.is_integer() => integers(array, count, null_count),
        data_type if data_type.is_floating() || matches!(data_type, DataType::Decimal128(..) | DataType::Decimal256(..)) => {
            floats(array, count, null_count)
        }
        data_type if data_type.is_temporal() => Cells::Dates { count, null_count },
        _ => Cells::Other { count, null_count },
    }
}

/// Some writers mark texts as bytes and no more: they are read as texts where all are.
fn bytes<'a>(values: impl Iterator<Item = Option<&'a [u8]>>, count: u64, null_count: u64) -> Cells<'a> {
    let text_of = |value: &'a [u8]| std::str::from_utf8(value).ok();
    let texts: Option<Vec<Option<&'a str>>> =
        values.map(|value| value.map_or(Some(None), |value| text_of(value).map(Some))).collect();
    texts.map_or(Cells::Other { count, null_count }, Cells::Texts)
}

const fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

fn integers(array: &ArrayRef, count: u64, null_count: u64) -> Cells<'static> {
    // What does not fit, such as the upper half of unsigned numbers, is a null and so not looked at.
    match cast_with_options(array, &DataType::Int64, &CastOptions { safe: true, ..CastOptions::default() }) {
        Ok(numbers) => Cells::Integers(numbers.as_primitive::<Int64Type>().iter().collect()),
        Err(_) => Cells::Other { count, null_count },
    }
}

fn floats(array: &ArrayRef, count: u64, null_count: u64) -> Cells<'static> {
    let Ok(numbers) = cast_with_options(array, &DataType::Float64, &CastOptions { safe: true, ..CastOptions::default() }) else {
        return Cells::Other { count, null_count };
    };
    let (mut min, mut max) = (f64::INFINITY, f64::NEG_INFINITY);
    for number in numbers.as_primitive::<Float64Type>().iter().flatten() {
        min = min.min(number);
        max = max.max(number);
    }
    Cells::Floats(FloatRange { count, null_count, min, max })
}

fn dictionary(array: &ArrayRef, null_count: u64) -> Cells<'_> {
    let dictionary = array.as_any_dictionary();
    let values = dictionary.values();
    if values.len() > DICTIONARY_VALUES_MAX {
        // Too many to count by value: as if they were plain texts.
        let keys = dictionary.normalized_keys();
        let texts: Vec<Option<&str>> = texts_of(values);
        let row = |(row, key): (usize, &usize)| {
            if dictionary.is_null(row) { None } else { texts.get(*key).copied().flatten() }
        };
        return Cells::Texts(keys.iter().enumerate().map(row).collect());
    }
    if values.is_empty() {
        return Cells::Other { count: 0, null_count };
    }
    let mut seen: Vec<(u64, u64)> = vec![(0, 0); values.len()];
    for (row, key) in dictionary.normalized_keys().into_iter().enumerate() {
        if dictionary.is_valid(row)
            && let Some((count, first)) = seen.get_mut(key)
        {
            if *count == 0 {
                *first = row as u64;
            }
            *count += 1;
        }
    }
    let used = texts_of(values).into_iter().zip(seen).filter_map(|(text, (count, first))| Some((text?, count, first)));
    let (mut pairs, mut first) = (Vec::new(), Vec::new());
    for (text, count, row) in used.filter(|(_, count, _)| *count > 0) {
        pairs.push((text, count));
        first.push(row);
    }
    Cells::Dictionary { values: pairs, first, null_count }
}

fn texts_of(values: &ArrayRef) -> Vec<Option<&str>> {
    match values.data_type() {
        DataType::LargeUtf8 => values.as_string::<i64>().iter().collect(),
        DataType::Utf8View => values.as_string_view().iter().collect(),
        _ => cast::as_string_array(values).iter().collect(),
    }
}
