//! The profile as it is written and read: what people look at, and beside it the state that lets profiles be merged
//! and compared.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::column::{ColumnState, iso};
use crate::error::ProfileError;
use crate::kind::{Kind, kind_of};
use crate::limits::{TOP_VALUE_COUNT_MAX, VALUE_BYTES_MAX};
use crate::sketch::distinct::Distinct;
use crate::sketch::sample::Sample;
use crate::value::Value;

/// The version of this format.
pub const FORMAT: u32 = 1;

/// What is known of a table.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Profile {
    /// The version of the format, [`FORMAT`].
    pub format: u32,
    /// Rows of the table.
    pub row_count: u64,
    /// About how many different rows there are.
    pub distinct_row_count: u64,
    /// The share of rows that repeat an earlier one.
    pub duplicate_row_share: f64,
    /// Whether that share is exact, because the table is small; else it stems from a sample of row hashes.
    pub duplicate_rows_exact: bool,
    /// The columns, in the table's order; those inside of structures as `outer.inner`.
    pub columns: Vec<ColumnProfile>,
    pub(crate) rows: RowState,
}

/// The mergeable state of the rows.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct RowState {
    /// A hash of the seed: profiles of two seeds cannot be merged.
    pub(crate) seed_check: String,
    pub(crate) distinct: Distinct,
    pub(crate) sample: Sample,
}

/// What is known of a column.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnProfile {
    /// Its name.
    pub name: String,
    /// Its Arrow type.
    pub data_type: String,
    /// What it holds, by what was seen.
    pub kind: Kind,
    /// Why it is taken for that.
    pub evidence: String,
    /// Rows of the table.
    pub row_count: u64,
    /// Rows without a value.
    pub null_count: u64,
    /// Different values; for floating numbers without those that are not finite.
    pub distinct_count: u64,
    /// Whether that is exact; else it is off by 2 % in most cases.
    pub distinct_is_exact: bool,
    /// The share of values that repeat an earlier one: nought if all are unique.
    pub repeated_share: f64,
    /// The most frequent values.
    pub top: Vec<TopValue>,
    /// Of numbers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numbers: Option<NumberReport>,
    /// Of texts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<TextReport>,
    /// Of dates and moments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<TimeReport>,
    /// Of true and false: how many are true.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub true_count: Option<u64>,
    /// Of vectors.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vectors: Option<VectorReport>,
    /// Of binary values: their lengths in bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub byte_lengths: Option<NumberReport>,
    /// Of images.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub images: Option<ImageReport>,
    pub(crate) state: ColumnState,
}

/// A frequent value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TopValue {
    /// The value, cut if it is long.
    pub value: Value,
    /// How often it came, at least.
    pub count: u64,
    /// How often it came, at most; the same if counting was exact.
    pub count_max: u64,
}

/// A share and the value at or below which that share of all values lie.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Quantile {
    /// The share, from 0 to 1.
    pub share: f64,
    /// The value.
    pub value: f64,
}

/// Bars of equal width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Histogram {
    /// Where bars begin and end: one more than there are bars.
    pub edges: Vec<f64>,
    /// About how many values lie in each.
    pub counts: Vec<u64>,
}

/// Of numbers. What does not exist or is too large for a number is left out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct NumberReport {
    /// The smallest finite one.
    pub minimum: Option<f64>,
    /// The largest finite one.
    pub maximum: Option<f64>,
    /// Both exactly, for integers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub integer_range: Option<(i64, i64)>,
    /// The mean.
    pub mean: Option<f64>,
    /// The standard deviation of the sample.
    pub standard_deviation: Option<f64>,
    /// The skewness.
    pub skewness: Option<f64>,
    /// How many are nought.
    pub zero_count: u64,
    /// How many are below.
    pub negative_count: u64,
    /// How many have no fraction.
    pub whole_count: u64,
    /// How many are not a number.
    pub nan_count: u64,
    /// How many are infinite.
    pub positive_infinity_count: u64,
    /// How many are infinite and negative.
    pub negative_infinity_count: u64,
    /// Quantiles of the finite ones.
    pub quantiles: Vec<Quantile>,
    /// Where the finite ones lie.
    pub histogram: Option<Histogram>,
}

/// The shape of texts, and the share of those looked at that have it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pattern {
    /// The shape: see [`crate::pattern_of`].
    pub pattern: String,
    /// The share.
    pub share: f64,
}

/// Of texts. Shares are of those looked at: all of a small table, a sample of a large one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TextReport {
    /// The first by bytes, cut.
    pub minimum: Option<String>,
    /// The last by bytes, cut.
    pub maximum: Option<String>,
    /// Lengths in characters.
    pub lengths: NumberReport,
    /// How many are empty.
    pub empty_count: u64,
    /// How many are white space alone, the empty ones left out.
    pub blank_count: u64,
    /// How many begin or end with white space.
    pub padded_count: u64,
    /// How many have characters beyond ASCII.
    pub beyond_ascii_count: u64,
    /// Their shapes, the most frequent first.
    pub patterns: Vec<Pattern>,
    /// The share of shapes that are not listed.
    pub other_pattern_share: f64,
    /// The share that reads as a number.
    pub number_like_share: f64,
    /// The share that reads as a date.
    pub time_like_share: f64,
}

/// A stretch of time without rows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Gap {
    /// Its first moment.
    pub from: String,
    /// The moment after it.
    pub to: String,
}

/// Of times, in UTC.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TimeReport {
    /// The first.
    pub minimum: Option<String>,
    /// The last.
    pub maximum: Option<String>,
    /// The one in the middle.
    pub median: Option<String>,
    /// Rows by weekday, Monday first.
    pub by_weekday: Vec<u64>,
    /// Rows by hour of the day.
    pub by_hour: Vec<u64>,
    /// The length of each period of the line.
    pub period_seconds: f64,
    /// When the first period begins.
    pub first_period: Option<String>,
    /// Rows by period.
    pub periods: Vec<u64>,
    /// The longest stretches without rows, to a period's length.
    pub gaps: Vec<Gap>,
}

/// Of vectors.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VectorReport {
    /// The dimension of the first one.
    pub dimension: usize,
    /// The smallest dimension.
    pub dimension_minimum: Option<f64>,
    /// The largest dimension.
    pub dimension_maximum: Option<f64>,
    /// Their Euclidean lengths.
    pub norms: NumberReport,
    /// How many have a value that is missing or not finite.
    pub not_finite_count: u64,
    /// Their mean, over those of the first one's dimension.
    pub mean: Vec<f64>,
}

/// Of images, by their headers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ImageReport {
    /// How many of each format.
    pub formats: BTreeMap<String, u64>,
    /// Widths in pixels.
    pub widths: NumberReport,
    /// Heights in pixels.
    pub heights: NumberReport,
}

impl ColumnProfile {
    pub(crate) fn of(name: String, data_type: String, state: ColumnState) -> Self {
        let (kind, evidence) = kind_of(&state, &data_type);
        let (distinct_count, distinct_is_exact) = state.distinct_count();
        let top = state.frequent.values().into_iter().take(TOP_VALUE_COUNT_MAX).map(|counted| {
            let value = match counted.value {
                Value::Integer(micros) if state.times.is_some() => Value::Text(iso(*micros)),
                other => other.clone(),
            };
            TopValue { value, count: counted.count, count_max: counted.count_max }
        });
        Self {
            name,
            data_type,
            kind,
            evidence,
            row_count: state.row_count,
            null_count: state.null_count,
            distinct_count,
            distinct_is_exact,
            repeated_share: state.repeated_share().0,
            top: top.collect(),
            numbers: state.numbers.as_ref().map(crate::Numbers::report),
            text: state.texts.as_ref().map(|texts| texts.report()),
            time: state.times.as_ref().map(|times| times.report()),
            true_count: state.true_count,
            vectors: state.vectors.as_ref().map(|vectors| vectors.report()),
            byte_lengths: state.byte_lengths.as_ref().map(crate::Numbers::report),
            images: state.images.as_ref().map(|images| images.report()),
            state,
        }
    }

    /// The share of rows without a value.
    #[must_use]
    pub const fn null_share(&self) -> f64 {
        if self.row_count == 0 { 0.0 } else { self.null_count as f64 / self.row_count as f64 }
    }

    /// Every value that came, with its count, if there are so few that they are counted exactly and none was cut.
    #[must_use]
    pub fn all_values(&self) -> Option<Vec<TopValue>> {
        let whole = |value: &Value| !matches!(value, Value::Text(text) if text.len() + 4 > VALUE_BYTES_MAX);
        let counted = self.state.frequent.values();
        (self.state.frequent.is_exact() && counted.iter().all(|counted| whole(counted.value))).then(|| {
            let top = counted.into_iter().map(|counted| TopValue {
                value: counted.value.clone(),
                count: counted.count,
                count_max: counted.count_max,
            });
            top.collect()
        })
    }

    /// Takes out what came from the data itself, because it may be personal: values, extremes, and for numbers and times
    /// the whole distribution. Counts, lengths, shapes and hashes remain, so the column can still be compared.
    pub fn mask(&mut self) {
        let (kind, evidence) = (self.kind, std::mem::take(&mut self.evidence));
        self.state.mask();
        let masked = Self::of(std::mem::take(&mut self.name), std::mem::take(&mut self.data_type), self.state.clone());
        *self = Self { kind, evidence, ..masked };
    }
}

impl Profile {
    pub(crate) fn of(row_count: u64, columns: Vec<ColumnProfile>, rows: RowState) -> Self {
        let exact = rows.sample.is_whole();
        let (distinct_in_sample, _) = rows.sample.sizes();
        let duplicate_row_share = rows.sample.repeated_share();
        let estimate = if exact {
            distinct_in_sample
        } else if duplicate_row_share == 0.0 {
            row_count
        } else {
            (rows.distinct.estimate().round() as u64).min(row_count)
        };
        Self {
            format: FORMAT,
            row_count,
            distinct_row_count: estimate,
            duplicate_row_share,
            duplicate_rows_exact: exact,
            columns,
            rows,
        }
    }

    /// The column of this name; the first of several.
    #[must_use]
    pub fn column(&self, name: &str) -> Option<&ColumnProfile> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The profile of both tables together, which must have the same columns.
    ///
    /// # Errors
    /// [`ProfileError::OtherSchema`] if the columns differ, [`ProfileError::OtherSeed`] if the hash seeds do.
    pub fn merge(&self, other: &Self) -> Result<Self, ProfileError> {
        if self.rows.seed_check != other.rows.seed_check {
            return Err(ProfileError::OtherSeed);
        }
        if self.columns.len() != other.columns.len() {
            let difference = format!("{} columns and {}", self.columns.len(), other.columns.len());
            return Err(ProfileError::OtherSchema { difference });
        }
        let mut columns = Vec::with_capacity(self.columns.len());
        for (own, their) in self.columns.iter().zip(&other.columns) {
            if own.name != their.name || own.data_type != their.data_type {
                let difference = format!("`{}` {} and `{}` {}", own.name, own.data_type, their.name, their.data_type);
                return Err(ProfileError::OtherSchema { difference });
            }
            let mut state = own.state.clone();
            state.merge(&their.state);
            columns.push(ColumnProfile::of(own.name.clone(), own.data_type.clone(), state));
        }
        let mut rows = self.rows.clone();
        rows.distinct.merge(&other.rows.distinct);
        rows.sample.merge(&other.rows.sample);
        Ok(Self::of(self.row_count + other.row_count, columns, rows))
    }

    /// About the share of this table's different rows that the other table has too: leakage from a test set into a
    /// training set, say. Both must have the same columns in the same order.
    ///
    /// # Errors
    /// [`ProfileError::OtherSeed`] if the hash seeds differ.
    pub fn rows_shared_with(&self, other: &Self) -> Result<f64, ProfileError> {
        if self.rows.seed_check != other.rows.seed_check {
            return Err(ProfileError::OtherSeed);
        }
        Ok(self.rows.sample.shared_with(&other.rows.sample))
    }
}
