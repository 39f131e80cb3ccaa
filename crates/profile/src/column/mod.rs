//! What is known of one column: everything that can be merged, and nothing that is derived from it.

mod arrow;
mod arrow_lists;
mod arrow_numbers;
mod images;
mod numbers;
mod text;
mod time;
mod vectors;

pub(crate) use arrow::{Scratch, observe};
pub use images::{Header, header_of};
pub use numbers::Numbers;
pub use text::pattern_of;

pub use time::iso;
pub(crate) use vectors::{DIRECTION_COUNT, Vectors};

use arrow_schema::DataType;
use serde::{Deserialize, Serialize};

use self::images::Images;
use self::text::Texts;
use self::time::Times;

use crate::limits::SketchSizes;
use crate::sketch::distinct::Distinct;
use crate::sketch::frequent::Frequent;

/// The mergeable state of a column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnState {
    pub(crate) row_count: u64,
    pub(crate) null_count: u64,
    pub(crate) distinct: Distinct,
    pub(crate) frequent: Frequent,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) true_count: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) numbers: Option<Numbers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) texts: Option<Texts>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) times: Option<Times>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) vectors: Option<Vectors>,
    /// Lengths of binary values, in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) byte_lengths: Option<Numbers>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) images: Option<Images>,
}

/// How the values of a type are read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reading {
    /// There are none.
    Nothing,
    /// True and false.
    Boolean,
    /// Integers, floating numbers, decimals, durations.
    Number,
    /// Texts.
    Text,
    /// Dates and moments.
    Time,
    /// Bytes, which may be images.
    Bytes,
    /// Lists of numbers.
    Vector,
    /// Anything else: by its text.
    Formatted,
}

impl Reading {
    pub(crate) fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Null => Self::Nothing,
            DataType::Boolean => Self::Boolean,
            number if number.is_numeric() => Self::Number,
            DataType::Duration(_) | DataType::Time32(_) | DataType::Time64(_) => Self::Number,
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Date32 | DataType::Date64 | DataType::Timestamp(..) => Self::Time,
            DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => Self::Bytes,
            DataType::List(item) | DataType::LargeList(item) if item.data_type().is_numeric() => Self::Vector,
            DataType::FixedSizeList(item, _) => match Self::of(item.data_type()) {
                Self::Number | Self::Vector => Self::Vector,
                _ => Self::Formatted,
            },
            DataType::Dictionary(_, value) => Self::of(value),
            _ => Self::Formatted,
        }
    }
}

impl ColumnState {
    pub(crate) fn new(data_type: &DataType, sizes: SketchSizes, seed: u64) -> Self {
        let reading = Reading::of(data_type);
        Self {
            row_count: 0,
            null_count: 0,
            distinct: Distinct::new(sizes.register_power),
            frequent: Frequent::new(sizes),
            true_count: (reading == Reading::Boolean).then_some(0),
            numbers: (reading == Reading::Number).then(|| Numbers::new(sizes, seed)),
            texts: matches!(reading, Reading::Text | Reading::Formatted).then(|| Texts::new(sizes, seed)),
            times: (reading == Reading::Time).then(|| Times::new(sizes, seed)),
            vectors: (reading == Reading::Vector).then(|| Vectors::new(sizes, seed)),
            byte_lengths: (reading == Reading::Bytes).then(|| Numbers::new(sizes, seed)),
            images: (reading == Reading::Bytes).then(|| Images::new(sizes, seed)),
        }
    }

    /// Rows with a value.
    pub(crate) const fn value_count(&self) -> u64 {
        self.row_count.saturating_sub(self.null_count)
    }

    /// How many distinct values, and whether that is exact.
    pub(crate) fn distinct_count(&self) -> (u64, bool) {
        if self.frequent.is_exact() {
            return (self.frequent.values().len() as u64, true);
        }
        ((self.distinct.estimate().round() as u64).min(self.value_count()), false)
    }

    /// The share of values that repeat an earlier one, and whether that is exact.
    pub(crate) fn repeated_share(&self) -> (f64, bool) {
        if let Some(repeats) = self.frequent.repeats() {
            return (repeats.repeated_share(), false);
        }
        let counted = self.frequent.values();
        let all: u64 = counted.iter().map(|counted| counted.count).sum();
        (if all == 0 { 0.0 } else { 1.0 - counted.len() as f64 / all as f64 }, true)
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.row_count += other.row_count;
        self.null_count += other.null_count;
        self.distinct.merge(&other.distinct);
        self.frequent.merge(&other.frequent);
        join(&mut self.true_count, other.true_count.as_ref(), |own, other| *own += other);
        join(&mut self.numbers, other.numbers.as_ref(), Numbers::merge);
        join(&mut self.texts, other.texts.as_ref(), Texts::merge);
        join(&mut self.times, other.times.as_ref(), Times::merge);
        join(&mut self.vectors, other.vectors.as_ref(), Vectors::merge);
        join(&mut self.byte_lengths, other.byte_lengths.as_ref(), Numbers::merge);
        join(&mut self.images, other.images.as_ref(), Images::merge);
    }

    /// Takes every value out that came from the data itself, for a column whose values may be personal. Counts, lengths,
    /// patterns and hashes remain; a numeric column's distribution is made of its values and goes.
    pub(crate) fn mask(&mut self) {
        self.frequent.mask();
        self.numbers = None;
        self.times = None;
        self.vectors = None;
        if let Some(texts) = &mut self.texts {
            texts.mask();
        }
    }
}

fn join<T: Clone>(own: &mut Option<T>, other: Option<&T>, merge: impl Fn(&mut T, &T)) {
    match (own.as_mut(), other) {
        (Some(own), Some(other)) => merge(own, other),
        (None, Some(other)) => *own = Some(other.clone()),
        _ => {}
    }
}
