//! From Arrow's numbers and times to a column's state.

use arrow_array::cast::AsArray as _;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal128Type, Decimal256Type, Float32Type, Float64Type, Int8Type, Int16Type,
    Int32Type, Int64Type, TimestampMicrosecondType, TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
    UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef};
use arrow_cast::cast;
use arrow_schema::{DataType, TimeUnit};

use super::ColumnState;
use super::arrow::{NULL_WORD, Scratch, Weights, take_formatted};
use super::time::DAY_US;
use crate::hash::{of_integer, of_number, of_word};
use crate::moments::sum_of;
use crate::value::Value;

/// Whole numbers up to this one are floats too: 2^53.
const FLOAT_WHOLE_MAX: u128 = 1 << 53;

/// A number of an array.
trait Numeric: Copy {
    const WHOLE: bool;
    fn number(self) -> f64;
    fn hash(self, seed: u64) -> u64;
    fn value(self) -> Value;
}

macro_rules! whole {
    ($($type:ty),*) => {$(
        impl Numeric for $type {
            const WHOLE: bool = true;
            #[inline]
            fn number(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn hash(self, seed: u64) -> u64 {
                of_number(seed, f64::from(self))
            }
            fn value(self) -> Value {
                Value::Integer(i64::from(self))
            }
        }
    )*};
}

whole!(i8, i16, i32, u8, u16, u32);

impl Numeric for i64 {
    const WHOLE: bool = true;
    #[inline]
    fn number(self) -> f64 {
        self as f64
    }
    #[inline]
    fn hash(self, seed: u64) -> u64 {
        of_integer(seed, self)
    }
    fn value(self) -> Value {
        Value::Integer(self)
    }
}

impl Numeric for u64 {
    const WHOLE: bool = true;
    #[inline]
    fn number(self) -> f64 {
        self as f64
    }
    #[inline]
    fn hash(self, seed: u64) -> u64 {
        // Past the signed ones the bits are hashed as they are, which are those of a negative number: a collision only
        // between columns of two types.
        of_integer(seed, self.cast_signed())
    }
    fn value(self) -> Value {
        i64::try_from(self).map_or(Value::Number(self as f64), Value::Integer)
    }
}

macro_rules! floating {
    ($($type:ty),*) => {$(
        impl Numeric for $type {
            const WHOLE: bool = false;
            #[inline]
            fn number(self) -> f64 {
                f64::from(self)
            }
            #[inline]
            fn hash(self, seed: u64) -> u64 {
                of_number(seed, f64::from(self))
            }
            fn value(self) -> Value {
                Value::Number(f64::from(self))
            }
        }
    )*};
}

floating!(f32, f64);

pub(super) fn take_any_numbers(
    state: &mut ColumnState,
    array: &ArrayRef,
    weights: Weights<'_>,
    seed: u64,
    scratch: &mut Scratch,
) {
    macro_rules! by_type {
        ($($name:pat => $type:ty),* $(,)?) => {
            match array.data_type() {
                $($name => take_numbers::<$type>(state, array, weights, seed, scratch),)*
                other => {
                    let to = if matches!(other, DataType::Duration(_) | DataType::Time64(_)) { DataType::Int64 }
                        else if matches!(other, DataType::Time32(_)) { DataType::Int32 }
                        else { DataType::Float64 };
                    // Decimals that one float stands for are still different values.
                    match other {
                        DataType::Decimal128(_, scale) => {
                            let values = array.as_primitive::<Decimal128Type>().values().iter().copied();
                            scratch.hashes.extend(values.map(|value| of_decimal(seed, value, *scale)));
                        }
                        DataType::Decimal256(_, scale) => {
                            let values = array.as_primitive::<Decimal256Type>().values().iter();
                            scratch.hashes.extend(values.map(|value| of_decimal(seed, value.as_i128(), *scale)));
                        }
                        _ => {}
                    }
                    // Decimals, half floats, durations and times of day.
                    match cast(array, &to) {
                        Ok(plain) if to == DataType::Int64 => take_numbers::<Int64Type>(state, &plain, weights, seed, scratch),
                        Ok(plain) if to == DataType::Int32 => take_numbers::<Int32Type>(state, &plain, weights, seed, scratch),
                        Ok(plain) => take_numbers::<Float64Type>(state, &plain, weights, seed, scratch),
                        Err(_) => {
                            scratch.hashes.clear();
                            take_formatted(state, array, weights, seed, scratch);
                        }
                    }
                }
            }
        };
    }
    by_type! {
        DataType::Int8 => Int8Type,
        DataType::Int16 => Int16Type,
        DataType::Int32 => Int32Type,
        DataType::Int64 => Int64Type,
        DataType::UInt8 => UInt8Type,
        DataType::UInt16 => UInt16Type,
        DataType::UInt32 => UInt32Type,
        DataType::UInt64 => UInt64Type,
        DataType::Float32 => Float32Type,
        DataType::Float64 => Float64Type,
    }
}

/// As a float's where a float holds it, so that a column of another type has the same.
fn of_decimal(seed: u64, unscaled: i128, scale: i8) -> u64 {
    let near = of_number(seed, unscaled as f64 / 10_f64.powi(i32::from(scale)));
    if unscaled.unsigned_abs() <= FLOAT_WHOLE_MAX {
        return near;
    }
    let [low, high] = [unscaled as i64, (unscaled >> 64) as i64];
    of_integer(of_integer(near, low), high)
}

fn take_numbers<T>(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>, seed: u64, scratch: &mut Scratch)
where
    T: ArrowPrimitiveType,
    T::Native: Numeric,
{
    let (Some(array), Some(numbers)) = (array.as_primitive_opt::<T>(), state.numbers.as_mut()) else { return };
    if scratch.hashes.is_empty() {
        scratch.hashes.extend(array.values().iter().map(|value| value.hash(seed)));
    }
    scratch.numbers.clear();
    if let Some(nulls) = array.nulls() {
        let null = of_word(seed, NULL_WORD);
        for (hash, valid) in scratch.hashes.iter_mut().zip(nulls.iter()) {
            *hash = if valid { *hash } else { null };
        }
    }
    if let Weights::Times(_) = weights {
        for (at, (value, hash)) in array.iter().zip(&scratch.hashes).enumerate() {
            let (Some(value), weight @ 1..) = (value, weights.of(at)) else { continue };
            let number = value.number();
            if number.is_finite() {
                state.distinct.insert(*hash);
                state.frequent.add(*hash, weight, |slot| *slot = value.value());
                numbers.insert(number, weight);
                if let Value::Integer(integer) = value.value() {
                    numbers.stretch(integer, integer);
                }
            } else {
                numbers.insert_not_finite(number, weight);
            }
        }
        return;
    }
    scratch.numbers.extend(array.values().iter().map(|value| value.number()));
    let finite = T::Native::WHOLE || sum_of(&scratch.numbers, |number| number * 0.0) == 0.0;
    let mut kept = Vec::new();
    let (values, hashes): (&[T::Native], &[u64]) = if finite && array.null_count() == 0 {
        (array.values(), &scratch.hashes)
    } else {
        scratch.numbers.clear();
        for (at, (value, hash)) in array.values().iter().zip(&scratch.hashes).enumerate() {
            let number = value.number();
            if !array.is_valid(at) {
                continue;
            }
            if number.is_finite() {
                kept.push(*value);
                scratch.kept_hashes.push(*hash);
                scratch.numbers.push(number);
            } else {
                numbers.insert_not_finite(number, 1);
            }
        }
        (&kept, &scratch.kept_hashes)
    };
    state.distinct.extend(hashes);
    state.frequent.extend(hashes, |at, slot| {
        if let Some(value) = values.get(at) {
            *slot = value.value();
        }
    });
    if !T::Native::WHOLE {
        numbers.extend(&scratch.numbers);
        return;
    }
    numbers.extend_whole(&scratch.numbers);
    let least = values.iter().copied().min_by(T::Native::compare_to).map(Numeric::value);
    let most = values.iter().copied().max_by(T::Native::compare_to).map(Numeric::value);
    if let (Some(Value::Integer(least)), Some(Value::Integer(most))) = (least, most) {
        numbers.stretch(least, most);
    }
}

trait CompareTo {
    fn compare_to(&self, other: &Self) -> std::cmp::Ordering;
}

impl<N: arrow_array::ArrowNativeTypeOp> CompareTo for N {
    #[inline]
    fn compare_to(&self, other: &Self) -> std::cmp::Ordering {
        self.compare(*other)
    }
}

/// The times of an array in microseconds; those beyond what these can say are the first or last moment.
fn micros_of(array: &ArrayRef) -> Vec<i64> {
    fn by<T: ArrowPrimitiveType>(array: &ArrayRef, micros: impl Fn(T::Native) -> i64) -> Vec<i64> {
        array.as_primitive_opt::<T>().map(|array| array.values().iter().map(|value| micros(*value)).collect()).unwrap_or_default()
    }
    match array.data_type() {
        DataType::Date32 => by::<Date32Type>(array, |days| i64::from(days) * DAY_US),
        DataType::Date64 => by::<Date64Type>(array, |millis| millis.saturating_mul(1_000)),
        DataType::Timestamp(TimeUnit::Second, _) => by::<TimestampSecondType>(array, |seconds| seconds.saturating_mul(1_000_000)),
        DataType::Timestamp(TimeUnit::Millisecond, _) => {
            by::<TimestampMillisecondType>(array, |millis| millis.saturating_mul(1_000))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => by::<TimestampMicrosecondType>(array, |micros| micros),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => by::<TimestampNanosecondType>(array, |nanos| nanos.div_euclid(1_000)),
        _ => Vec::new(),
    }
}

pub(super) fn take_times(state: &mut ColumnState, array: &ArrayRef, weights: Weights<'_>, seed: u64, scratch: &mut Scratch) {
    let Some(times) = state.times.as_mut() else { return };
    let null = of_word(seed, NULL_WORD);
    let mut micros = micros_of(array);
    scratch.hashes.extend(micros.iter().map(|time| of_integer(seed, *time)));
    for (at, hash) in scratch.hashes.iter_mut().enumerate() {
        if array.is_null(at) {
            *hash = null;
        }
    }
    if let Weights::Times(_) = weights {
        for (at, (time, hash)) in micros.iter().zip(&scratch.hashes).enumerate() {
            let weight = weights.of(at);
            if weight > 0 && array.is_valid(at) {
                state.distinct.insert(*hash);
                state.frequent.add(*hash, weight, |slot| *slot = Value::Integer(*time));
                times.insert(*time, weight);
            }
        }
        return;
    }
    let hashes = if array.null_count() == 0 {
        &scratch.hashes
    } else {
        let mut at = 0;
        micros.retain(|_| {
            at += 1;
            array.is_valid(at - 1)
        });
        let valid = scratch.hashes.iter().enumerate().filter(|(at, _)| array.is_valid(*at));
        scratch.kept_hashes.extend(valid.map(|(_, hash)| *hash));
        &scratch.kept_hashes
    };
    state.distinct.extend(hashes);
    state.frequent.extend(hashes, |at, slot| {
        if let Some(time) = micros.get(at) {
            *slot = Value::Integer(*time);
        }
    });
    times.extend(&micros, &mut scratch.numbers);
}
