//! Arrays as the few shapes that rules look at.

use arrow_array::cast::AsArray;
use arrow_array::types::{
    ArrowPrimitiveType, Date32Type, Date64Type, Decimal128Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    Time32MillisecondType, Time32SecondType, Time64MicrosecondType, Time64NanosecondType, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow_array::{Array, ArrayRef, RecordBatch, make_array};
use arrow_buffer::{BooleanBuffer, NullBuffer};
use arrow_cast::cast;
use arrow_cast::display::{ArrayFormatter, FormatOptions};
use arrow_schema::{DataType, Schema, TimeUnit};

use crate::EXAMPLE_CHARS_MAX;

/// A dictionary or runs as the values they stand for; half floats as floats; the rest as it is.
///
/// # Errors
/// In words, if arrow cannot.
pub(crate) fn plain(array: &ArrayRef) -> Result<ArrayRef, String> {
    let to = match array.data_type() {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        DataType::RunEndEncoded(_, value) => value.data_type().clone(),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        _ => return Ok(array.clone()),
    };
    cast(array, &to).map_err(|error| error.to_string())
}

/// The type that [`plain`] gives.
pub(crate) fn plain_type(data_type: &DataType) -> DataType {
    match data_type {
        DataType::Dictionary(_, value) => value.as_ref().clone(),
        DataType::RunEndEncoded(_, value) => value.data_type().clone(),
        DataType::Float16 => DataType::Float32,
        DataType::Decimal32(precision, scale) | DataType::Decimal64(precision, scale) => DataType::Decimal128(*precision, *scale),
        other => other.clone(),
    }
}

/// Whether the type's values are texts.
pub(crate) const fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether the type's values are whole numbers.
pub(crate) fn is_whole(data_type: &DataType) -> bool {
    data_type.is_integer()
}

/// Whether the type's values are numbers with fractions.
pub(crate) const fn is_fraction(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float32 | DataType::Float64 | DataType::Decimal128(..) | DataType::Decimal256(..))
}

/// Where a column is in a schema: its index, then indexes into objects.
pub(crate) fn find(schema: &Schema, name: &str) -> Option<(Vec<usize>, DataType)> {
    if let Some((index, field)) = schema.fields().find(name) {
        return Some((vec![index], field.data_type().clone()));
    }
    let mut steps = name.split('.');
    let (index, field) = schema.fields().find(steps.next()?)?;
    let (mut path, mut data_type) = (vec![index], field.data_type().clone());
    for step in steps {
        let DataType::Struct(fields) = &data_type else { return None };
        let (index, field) = fields.find(step)?;
        path.push(index);
        data_type = field.data_type().clone();
    }
    Some((path, data_type))
}

/// The column at a path. A field of an object that is null is null.
pub(crate) fn fetch(batch: &RecordBatch, path: &[usize]) -> Option<ArrayRef> {
    let (first, rest) = path.split_first()?;
    let mut array = batch.columns().get(*first)?.clone();
    for step in rest {
        let outer = array.nulls().cloned();
        let inner = array.as_struct_opt()?.columns().get(*step)?.clone();
        let nulls = NullBuffer::union(outer.as_ref(), inner.nulls());
        array = make_array(inner.to_data().into_builder().nulls(nulls).build().ok()?);
    }
    Some(array)
}

/// Which values a test says yes to, for an array of primitives.
fn primitive_mask<T: ArrowPrimitiveType>(array: &dyn Array, test: impl Fn(T::Native) -> bool) -> BooleanBuffer {
    let values = array.as_primitive::<T>().values();
    let mut each = values.iter();
    BooleanBuffer::collect_bool(values.len(), |_| each.next().is_some_and(|value| test(*value)))
}

/// A type with values that fit a limit once it is cut to the type's range.
pub(crate) trait Whole: ArrowPrimitiveType {
    /// The value nearest to it.
    fn nearest(value: i128) -> Self::Native;
    /// The value as a wide one.
    fn wide(value: Self::Native) -> i128;
}

macro_rules! whole {
    ($($kind:ty),+) => {$(
        impl Whole for $kind {
            fn nearest(value: i128) -> Self::Native {
                value.clamp(i128::from(Self::Native::MIN), i128::from(Self::Native::MAX)) as Self::Native
            }

            fn wide(value: Self::Native) -> i128 {
                i128::from(value)
            }
        }
    )+};
}

whole!(
    Int8Type,
    Int16Type,
    Int32Type,
    Int64Type,
    UInt8Type,
    UInt16Type,
    UInt32Type,
    UInt64Type,
    Date32Type,
    Date64Type,
    Time32SecondType,
    Time32MillisecondType,
    Time64MicrosecondType,
    Time64NanosecondType,
    TimestampSecondType,
    TimestampMillisecondType,
    TimestampMicrosecondType,
    TimestampNanosecondType,
    DurationSecondType,
    DurationMillisecondType,
    DurationMicrosecondType,
    DurationNanosecondType
);

/// Work that is the same for every type of whole numbers, dates and times.
pub(crate) trait OnWhole {
    /// What it gives.
    type Output;
    /// Does it for one type.
    fn on<T: Whole>(self, array: &dyn Array) -> Self::Output;
}

/// Does the work for the array's own type; `None` if it holds no whole numbers, dates or times.
pub(crate) fn on_whole<W: OnWhole>(array: &dyn Array, work: W) -> Option<W::Output> {
    Some(match array.data_type() {
        DataType::Int8 => work.on::<Int8Type>(array),
        DataType::Int16 => work.on::<Int16Type>(array),
        DataType::Int32 => work.on::<Int32Type>(array),
        DataType::Int64 => work.on::<Int64Type>(array),
        DataType::UInt8 => work.on::<UInt8Type>(array),
        DataType::UInt16 => work.on::<UInt16Type>(array),
        DataType::UInt32 => work.on::<UInt32Type>(array),
        DataType::UInt64 => work.on::<UInt64Type>(array),
        DataType::Date32 => work.on::<Date32Type>(array),
        DataType::Date64 => work.on::<Date64Type>(array),
        DataType::Time32(TimeUnit::Second) => work.on::<Time32SecondType>(array),
        DataType::Time32(_) => work.on::<Time32MillisecondType>(array),
        DataType::Time64(TimeUnit::Microsecond) => work.on::<Time64MicrosecondType>(array),
        DataType::Time64(_) => work.on::<Time64NanosecondType>(array),
        DataType::Timestamp(TimeUnit::Second, _) => work.on::<TimestampSecondType>(array),
        DataType::Timestamp(TimeUnit::Millisecond, _) => work.on::<TimestampMillisecondType>(array),
        DataType::Timestamp(TimeUnit::Microsecond, _) => work.on::<TimestampMicrosecondType>(array),
        DataType::Timestamp(TimeUnit::Nanosecond, _) => work.on::<TimestampNanosecondType>(array),
        DataType::Duration(TimeUnit::Second) => work.on::<DurationSecondType>(array),
        DataType::Duration(TimeUnit::Millisecond) => work.on::<DurationMillisecondType>(array),
        DataType::Duration(TimeUnit::Microsecond) => work.on::<DurationMicrosecondType>(array),
        DataType::Duration(TimeUnit::Nanosecond) => work.on::<DurationNanosecondType>(array),
        _ => return None,
    })
}

/// Values outside of a range, both ends in it.
pub(crate) struct Outside {
    pub(crate) low: i128,
    pub(crate) high: i128,
}

impl OnWhole for Outside {
    type Output = BooleanBuffer;

    fn on<T: Whole>(self, array: &dyn Array) -> BooleanBuffer {
        let (low, high) = (T::nearest(self.low), T::nearest(self.high));
        let empty = self.low > self.high || T::wide(low) < self.low || T::wide(high) > self.high;
        if empty {
            // No value of the type is inside.
            return BooleanBuffer::new_set(array.len());
        }
        primitive_mask::<T>(array, |value| value < low || value > high)
    }
}

/// Values that a set holds.
pub(crate) struct In<'a>(pub(crate) &'a [i128]);

impl OnWhole for In<'_> {
    type Output = BooleanBuffer;

    fn on<T: Whole>(self, array: &dyn Array) -> BooleanBuffer {
        let set: Vec<T::Native> = self
            .0
            .iter()
            .map(|value| (T::nearest(*value), *value))
            .filter(|(near, value)| T::wide(*near) == *value)
            .map(|(near, _)| near)
            .collect();
        if set.len() <= 16 {
            return primitive_mask::<T>(array, |value| set.contains(&value));
        }
        primitive_mask::<T>(array, |value| self.0.binary_search(&T::wide(value)).is_ok())
    }
}

/// Values that a function says yes to.
pub(crate) struct Where<F>(pub(crate) F);

impl<F: Fn(i128) -> bool> OnWhole for Where<F> {
    type Output = BooleanBuffer;

    fn on<T: Whole>(self, array: &dyn Array) -> BooleanBuffer {
        primitive_mask::<T>(array, |value| self.0(T::wide(value)))
    }
}

/// All values, wide; those of nulls mean nothing.
struct Wide;

impl OnWhole for Wide {
    type Output = Vec<i128>;

    fn on<T: Whole>(self, array: &dyn Array) -> Vec<i128> {
        array.as_primitive::<T>().values().iter().map(|value| T::wide(*value)).collect()
    }
}

/// Whole numbers, dates and times as wide numbers.
pub(crate) fn wholes(array: &ArrayRef) -> Option<Vec<i128>> {
    on_whole(array.as_ref(), Wide)
}

/// The smallest and the greatest value that is there.
pub(crate) struct Ends;

impl OnWhole for Ends {
    type Output = Option<(i128, i128)>;

    fn on<T: Whole>(self, array: &dyn Array) -> Self::Output {
        let values = array.as_primitive::<T>();
        let ends = |ends: Option<(i128, i128)>, value: T::Native| {
            let wide = T::wide(value);
            Some(ends.map_or((wide, wide), |(low, high)| (low.min(wide), high.max(wide))))
        };
        match values.nulls() {
            None => values.values().iter().fold(None, |state, value| ends(state, *value)),
            Some(_) => values.iter().flatten().fold(None, ends),
        }
    }
}

/// Dates and times as counts of their own unit.
pub(crate) fn temporal_ticks(array: &ArrayRef) -> Option<Vec<i64>> {
    if !array.data_type().is_temporal() {
        return None;
    }
    wholes(array).map(|all| all.into_iter().map(|wide| i64::try_from(wide).unwrap_or(0)).collect())
}

/// Which values a test says yes to, for numbers with fractions. A decimal is rounded to the nearest float.
pub(crate) fn fraction_mask(array: &dyn Array, test: impl Fn(f64) -> bool) -> Option<BooleanBuffer> {
    Some(match array.data_type() {
        DataType::Float32 => primitive_mask::<Float32Type>(array, |value| test(f64::from(value))),
        DataType::Float64 => primitive_mask::<Float64Type>(array, test),
        DataType::Decimal128(_, scale) => {
            let step = 10_f64.powi(i32::from(*scale));
            #[expect(clippy::cast_precision_loss, reason = "documented: exact up to 2^53")]
            primitive_mask::<Decimal128Type>(array, |value| test(value as f64 / step))
        }
        _ => {
            let floats = cast(array, &DataType::Float64).ok()?;
            primitive_mask::<Float64Type>(floats.as_ref(), test)
        }
    })
}

/// Numbers as floats; those of nulls mean nothing.
pub(crate) fn floats(array: &ArrayRef) -> Option<Vec<f64>> {
    match array.data_type() {
        DataType::Float64 => Some(array.as_primitive::<Float64Type>().values().to_vec()),
        other if other.is_numeric() => {
            let floats = cast(array, &DataType::Float64).ok()?;
            Some(floats.as_primitive::<Float64Type>().values().to_vec())
        }
        _ => None,
    }
}

/// Which texts a test says yes to; `None` if the array holds no texts. A null is no.
pub(crate) fn text_mask(array: &dyn Array, mut test: impl FnMut(&str) -> bool) -> Option<BooleanBuffer> {
    let length = array.len();
    macro_rules! over {
        ($texts:expr) => {{
            let texts = $texts;
            if texts.null_count() == 0 {
                BooleanBuffer::collect_bool(length, |row| test(texts.value(row)))
            } else {
                BooleanBuffer::collect_bool(length, |row| texts.is_valid(row) && test(texts.value(row)))
            }
        }};
    }
    Some(match array.data_type() {
        DataType::Utf8 => over!(array.as_string::<i32>()),
        DataType::LargeUtf8 => over!(array.as_string::<i64>()),
        DataType::Utf8View => over!(array.as_string_view()),
        _ => return None,
    })
}

/// One value, short.
pub(crate) fn shown(array: &dyn Array, row: usize) -> Option<String> {
    let options = FormatOptions::default().with_null("null");
    let text = ArrayFormatter::try_new(array, &options).ok()?.value(row).try_to_string().ok()?;
    Some(shorten(&text))
}

/// A text cut to what a report shows.
pub(crate) fn shorten(text: &str) -> String {
    match text.char_indices().nth(EXAMPLE_CHARS_MAX) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}…", text.get(..at).unwrap_or_default()),
    }
}
