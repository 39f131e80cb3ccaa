//! 128-bit hashes of values and rows, keyed by a seed: two multiply-and-fold lanes as in wyhash (Wang Yi, 2019), each with
//! secrets of its own. Equal values of different column types (`5_i32`, `5_i64`, `5.0`) have equal hashes.
//!
//! The seed is secret to whoever wrote the data, so that nobody can make two rows collide on purpose.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type,
    UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::DataType;

use super::values::{plain, temporal_ticks};
use crate::instant::unit_ns;

/// Secrets of the two lanes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seed([u64; 4]);

const TAG_NULL: u64 = 0;
const TAG_WHOLE: u64 = 1;
const TAG_FLOAT: u64 = 2;
const TAG_DECIMAL: u64 = 3;
const TAG_TEXT: u64 = 4;
const TAG_BOOLEAN: u64 = 5;
const TAG_TIME: u64 = 6;
const TAG_OTHER: u64 = 7;
const TAG_LIST: u64 = 8;

const fn fold(left: u64, right: u64) -> u64 {
    let product = (left as u128).wrapping_mul(right as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

const fn split_mix(state: u64) -> u64 {
    let mut mixed = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// Up to eight bytes as a number.
fn word(bytes: &[u8]) -> u64 {
    match <[u8; 8]>::try_from(bytes) {
        Ok(all) => u64::from_le_bytes(all),
        Err(_) => bytes.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte)),
    }
}

impl Seed {
    pub(crate) const fn new(seed: u64) -> Self {
        let first = split_mix(seed);
        let second = split_mix(first);
        let third = split_mix(second);
        Self([first | 1, second | 1, third | 1, split_mix(third) | 1])
    }

    const fn pair(self, first: u64, second: u64, state: (u64, u64)) -> (u64, u64) {
        let [a, b, c, d] = self.0;
        (fold(first ^ a, second ^ state.0 ^ b), fold(first ^ state.1 ^ c, second.rotate_left(32) ^ d))
    }

    const fn finish(self, state: (u64, u64)) -> u128 {
        let [a, b, c, d] = self.0;
        let high = fold(state.0 ^ b, state.1 ^ c);
        let low = fold(state.1 ^ a, state.0.rotate_left(29) ^ d);
        let hash = ((high as u128) << 64) | low as u128;
        // Nought stands for an empty place in tables of keys.
        if hash == 0 { 1 } else { hash }
    }

    /// The hash of bytes with a tag of what they are.
    fn bytes(self, tag: u64, bytes: &[u8]) -> u128 {
        let mut state = (tag ^ self.0[0], (bytes.len() as u64) ^ self.0[1]);
        let mut chunks = bytes.chunks_exact(16);
        for chunk in &mut chunks {
            let (first, second) = chunk.split_at(8);
            state = self.pair(word(first), word(second), state);
        }
        let rest = chunks.remainder();
        let (first, second) = rest.split_at(rest.len().min(8));
        self.finish(self.pair(word(first), word(second), state))
    }

    /// The hash of a number with a tag of what it is.
    pub(crate) const fn number(self, tag: u64, value: i128) -> u128 {
        let state = (tag ^ self.0[0], 16 ^ self.0[1]);
        self.finish(self.pair(value as u64, (value >> 64) as u64, state))
    }

    /// The hash of a whole number.
    pub(crate) const fn whole(self, value: i128) -> u128 {
        self.number(TAG_WHOLE, value)
    }

    const fn join(self, state: u128, next: u128) -> u128 {
        let lanes = (state as u64, (state >> 64) as u64);
        self.finish(self.pair(next as u64, (next >> 64) as u64, lanes))
    }

    /// A hash for each row over all of the columns; a null is a value like others.
    ///
    /// # Errors
    /// In words, if a column has values that cannot be told apart.
    pub(crate) fn rows(self, columns: &[ArrayRef]) -> Result<Vec<u128>, String> {
        let mut joined: Option<Vec<u128>> = None;
        for column in columns {
            let hashes = self.column(column)?;
            joined = Some(match joined {
                None => hashes,
                Some(mut all) => {
                    for (state, next) in all.iter_mut().zip(hashes) {
                        *state = self.join(*state, next);
                    }
                    all
                }
            });
        }
        Ok(joined.unwrap_or_default())
    }

    fn null(self) -> u128 {
        self.number(TAG_NULL, 0)
    }

    fn column(self, array: &ArrayRef) -> Result<Vec<u128>, String> {
        let array = plain(array)?;
        if let (Some(unit), Some(ticks)) = (unit_ns(array.data_type()), temporal_ticks(&array)) {
            return Ok(self.each(&array, ticks.into_iter().map(|tick| self.number(TAG_TIME, i128::from(tick) * unit))));
        }
        Ok(match array.data_type() {
            DataType::Null => vec![self.null(); array.len()],
            DataType::Boolean => {
                let values = array.as_boolean().values();
                self.each(&array, values.iter().map(|yes| self.number(TAG_BOOLEAN, i128::from(yes))))
            }
            DataType::Int8 => self.wholes::<Int8Type>(&array),
            DataType::Int16 => self.wholes::<Int16Type>(&array),
            DataType::Int32 => self.wholes::<Int32Type>(&array),
            DataType::Int64 => self.wholes::<Int64Type>(&array),
            DataType::UInt8 => self.wholes::<UInt8Type>(&array),
            DataType::UInt16 => self.wholes::<UInt16Type>(&array),
            DataType::UInt32 => self.wholes::<UInt32Type>(&array),
            DataType::UInt64 => self.wholes::<UInt64Type>(&array),
            DataType::Float32 => {
                let values = array.as_primitive::<Float32Type>().values();
                self.each(&array, values.iter().map(|value| self.float(f64::from(*value))))
            }
            DataType::Float64 => {
                let values = array.as_primitive::<Float64Type>().values();
                self.each(&array, values.iter().map(|value| self.float(*value)))
            }
            DataType::Decimal128(_, scale) => {
                let values = array.as_primitive::<Decimal128Type>().values();
                self.each(&array, values.iter().map(|value| self.decimal(*value, *scale)))
            }
            DataType::Utf8 => self.texts(array.as_string::<i32>().iter().map(|text| text.map(str::as_bytes))),
            DataType::LargeUtf8 => self.texts(array.as_string::<i64>().iter().map(|text| text.map(str::as_bytes))),
            DataType::Utf8View => self.texts(array.as_string_view().iter().map(|text| text.map(str::as_bytes))),
            DataType::Binary => self.texts(array.as_binary::<i32>().iter()),
            DataType::LargeBinary => self.texts(array.as_binary::<i64>().iter()),
            DataType::BinaryView => self.texts(array.as_binary_view().iter()),
            DataType::FixedSizeBinary(_) => self.texts(array.as_fixed_size_binary().iter()),
            DataType::Struct(_) => {
                let hashes = self.rows(array.as_struct().columns())?;
                self.each(&array, hashes.into_iter())
            }
            DataType::List(_) => {
                let list = array.as_list::<i32>();
                let spans = list.value_offsets().windows(2).map(|pair| span(pair.iter().map(|at| i64::from(*at))));
                self.lists(&array, list.values(), spans)?
            }
            DataType::LargeList(_) => {
                let list = array.as_list::<i64>();
                let spans = list.value_offsets().windows(2).map(|pair| span(pair.iter().copied()));
                self.lists(&array, list.values(), spans)?
            }
            DataType::FixedSizeList(_, width) => {
                let width = usize::try_from(*width).unwrap_or(0);
                let spans = (0..array.len()).map(move |row| (row * width, (row + 1) * width));
                self.lists(&array, array.as_fixed_size_list().values(), spans)?
            }
            _ => self.shown(&array)?,
        })
    }

    /// The hashes of values, with the nulls' own where there is one.
    fn each(self, array: &ArrayRef, hashes: impl Iterator<Item = u128>) -> Vec<u128> {
        match array.nulls() {
            None => hashes.collect(),
            Some(nulls) => {
                let null = self.null();
                hashes.zip(nulls.iter()).map(|(hash, there)| if there { hash } else { null }).collect()
            }
        }
    }

    fn wholes<T: ArrowPrimitiveType>(self, array: &ArrayRef) -> Vec<u128>
    where
        T::Native: Into<i128>,
    {
        let values = array.as_primitive::<T>().values();
        self.each(array, values.iter().map(|value| self.whole((*value).into())))
    }

    fn float(self, value: f64) -> u128 {
        #[expect(clippy::cast_possible_truncation, reason = "checked to be whole and within 63 bits")]
        if value.fract() == 0.0 && value.abs() < 9.2e18 {
            return self.whole(i128::from(value as i64));
        }
        let canonical = if value.is_nan() { f64::NAN } else { value };
        self.number(TAG_FLOAT, i128::from(canonical.to_bits()))
    }

    fn decimal(self, mut value: i128, mut scale: i8) -> u128 {
        while scale > 0 && value % 10 == 0 {
            value /= 10;
            scale -= 1;
        }
        if scale <= 0 { self.whole(value) } else { self.join(self.number(TAG_DECIMAL, i128::from(scale)), self.whole(value)) }
    }

    fn texts<'a>(self, texts: impl Iterator<Item = Option<&'a [u8]>>) -> Vec<u128> {
        let null = self.null();
        texts.map(|text| text.map_or(null, |text| self.bytes(TAG_TEXT, text))).collect()
    }

    fn lists(
        self,
        array: &ArrayRef,
        values: &ArrayRef,
        spans: impl Iterator<Item = (usize, usize)>,
    ) -> Result<Vec<u128>, String> {
        let items = self.column(values)?;
        let hashes = spans.map(|(from, to)| {
            let start = self.number(TAG_LIST, to as i128 - from as i128);
            items.get(from..to).unwrap_or_default().iter().fold(start, |state, item| self.join(state, *item))
        });
        Ok(self.each(array, hashes))
    }

    fn shown(self, array: &ArrayRef) -> Result<Vec<u128>, String> {
        let options = FormatOptions::default();
        let shown = ArrayFormatter::try_new(array, &options).map_err(|error| error.to_string())?;
        let hashes = (0..array.len()).map(|row| self.bytes(TAG_OTHER, shown.value(row).to_string().as_bytes()));
        Ok(self.each(array, hashes))
    }
}

/// From and to of a list.
fn span(mut pair: impl Iterator<Item = i64>) -> (usize, usize) {
    let mut next = || pair.next().and_then(|at| usize::try_from(at).ok()).unwrap_or(0);
    (next(), next())
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Arc;

    use arrow_array::{Date32Array, Float64Array, Int32Array, Int64Array, StringArray, StringViewArray, TimestampSecondArray};

    use super::*;

    fn check(left: ArrayRef, right: ArrayRef, equal: bool) {
        let seed = Seed::new(7);
        assert_eq!(seed.rows(&[left]).unwrap() == seed.rows(&[right]).unwrap(), equal);
    }

    #[test]
    fn equal_values_of_different_types_are_equal() {
        let ints = || Arc::new(Int32Array::from(vec![Some(5), None, Some(-1)]));
        check(ints(), Arc::new(Int64Array::from(vec![Some(5), None, Some(-1)])), true);
        check(ints(), Arc::new(Float64Array::from(vec![Some(5.0), None, Some(-1.0)])), true);
        check(ints(), Arc::new(Int64Array::from(vec![Some(5), Some(0), Some(-1)])), false);
        check(Arc::new(StringArray::from(vec!["a"])), Arc::new(StringViewArray::from(vec!["a"])), true);
        check(Arc::new(Float64Array::from(vec![0.0])), Arc::new(Float64Array::from(vec![-0.0])), true);
        check(Arc::new(Date32Array::from(vec![1])), Arc::new(TimestampSecondArray::from(vec![86_400])), true);
        check(Arc::new(Int64Array::from(vec![1])), Arc::new(StringArray::from(vec!["1"])), false);
    }

    #[test]
    fn columns_do_not_run_into_each_other() {
        let seed = Seed::new(7);
        let of = |left: &str, right: &str| {
            let columns: [ArrayRef; 2] = [Arc::new(StringArray::from(vec![left])), Arc::new(StringArray::from(vec![right]))];
            seed.rows(&columns).unwrap()
        };
        assert_ne!(of("ab", "c"), of("a", "bc"));
        assert_ne!(of("a", "b"), of("b", "a"));
    }

    #[test]
    fn no_collisions_and_no_common_halves() {
        let seed = Seed::new(1);
        let texts: Vec<String> = (0..20_000).map(|at| format!("{at:x}-{}", "y".repeat(at % 40))).collect();
        let hashes = seed.rows(&[Arc::new(StringArray::from(texts))]).unwrap();
        assert_eq!(hashes.iter().collect::<HashSet<_>>().len(), hashes.len());
        assert_eq!(hashes.iter().map(|hash| *hash as u64).collect::<HashSet<_>>().len(), hashes.len());
        assert_eq!(hashes.iter().map(|hash| (*hash >> 64) as u64).collect::<HashSet<_>>().len(), hashes.len());
        let ints: HashSet<u128> = (0..20_000).map(|value| seed.whole(value)).collect();
        assert_eq!(ints.len(), 20_000);
        assert_ne!(seed.whole(1), Seed::new(2).whole(1));
    }
}
