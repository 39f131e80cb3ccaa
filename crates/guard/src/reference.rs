//! What a model was trained on, in as much as the guard compares queries with it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::limits::{ANCHOR_COUNT_MAX, CATEGORY_COUNT_MAX, COLUMN_COUNT_MAX, DIMENSIONS, REFERENCE_BYTES_MAX};
use crate::packed::Packed;

/// The form of a reference; a change that old readers would misread gets a new one.
const SCHEMA: &str = "strongroom.guard/1";

/// What queries are compared with. Made by [`crate::calibrate`], kept beside the model's report. It holds the ranges and
/// categories of the training data and projections of a few of its rows, so it is as confidential as a profile of that data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reference {
    schema: String,
    /// The data that it was made from.
    pub source: String,
    /// How many rows that has.
    pub row_count: u64,
    /// Seed of the projection. Whoever knew it could look for queries that the projection does not tell apart.
    pub(crate) seed: u64,
    /// The columns, in the model's order.
    pub columns: Vec<Column>,
    /// Per column: what is subtracted.
    pub(crate) center: Packed,
    /// Per column: what is divided by; 0 where the column is left out.
    pub(crate) scale: Packed,
    /// Per column: the smallest value; not a number for texts.
    pub(crate) low: Packed,
    /// Per column: the largest value.
    pub(crate) high: Packed,
    /// When two queries are near.
    pub near: Near,
    /// How far a query lies from all anchors if it is unlike the training data: 99.5 % of that data is nearer.
    pub unlike_from: f32,
    /// Projected rows.
    pub(crate) anchors: Packed,
}

/// A column of the training data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// Its name; empty where names were too long to keep.
    pub name: String,
    /// Its texts, if it holds texts and these are few.
    pub categories: Option<Vec<String>>,
    /// Whether it holds texts.
    pub is_text: bool,
}

/// When two queries are near, and how that was found.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Near {
    /// The distance; none where near queries cannot be told from ordinary ones.
    pub distance: Option<f32>,
    /// Why there is none.
    pub why_none: Option<String>,
    /// The share of the training data's rows with another one nearer than this: what ordinary queries must be expected to hit.
    pub expected_hits: f64,
    /// The dimension in which the data spreads where it is densest: the tail of distances grows with this power.
    pub dimension: f64,
}

/// Why a reference cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReferenceError {
    /// It is too large or its parts do not fit together.
    Broken(String),
    /// It is of another release.
    Schema(String),
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken(why) => write!(f, "the guard's reference cannot be used: {why}; have the version inspected again"),
            Self::Schema(found) => {
                write!(f, "the guard's reference is `{found}`, not `{SCHEMA}`; have the version inspected again")
            }
        }
    }
}

impl std::error::Error for ReferenceError {}

/// The parts that [`crate::calibrate`] finds.
pub(crate) struct Parts {
    pub(crate) source: String,
    pub(crate) row_count: u64,
    pub(crate) seed: u64,
    pub(crate) columns: Vec<Column>,
    pub(crate) center: Vec<f32>,
    pub(crate) scale: Vec<f32>,
    pub(crate) low: Vec<f32>,
    pub(crate) high: Vec<f32>,
}

impl Reference {
    /// One without distances yet.
    pub(crate) fn of(parts: Parts) -> Self {
        let Parts { source, row_count, seed, columns, center, scale, low, high } = parts;
        let near = Near { distance: None, why_none: None, expected_hits: 0.0, dimension: 0.0 };
        Self {
            schema: SCHEMA.to_owned(),
            source,
            row_count,
            seed,
            columns,
            center: Packed(center),
            scale: Packed(scale),
            low: Packed(low),
            high: Packed(high),
            near,
            unlike_from: f32::MAX,
            anchors: Packed::default(),
        }
    }

    /// From which to which number each column goes, in the model's order; none where a column holds texts.
    #[must_use]
    pub fn ranges(&self) -> Option<Vec<(f64, f64)>> {
        let of = |(low, high): (&f32, &f32)| (low <= high).then(|| (f64::from(*low), f64::from(*high)));
        let is_text = self.columns.iter().any(|column| column.is_text);
        if is_text { None } else { self.low.0.iter().zip(&self.high.0).map(of).collect() }
    }

    /// Reads one and checks it: whoever wrote it is not believed.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReferenceError> {
        #[derive(Deserialize)]
        struct Head {
            schema: String,
        }
        let broken = |why: String| ReferenceError::Broken(why);
        if bytes.len() > REFERENCE_BYTES_MAX {
            return Err(broken(format!("it has {} bytes; at most {REFERENCE_BYTES_MAX} are read", bytes.len())));
        }
        let head: Head = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        if head.schema != SCHEMA {
            return Err(ReferenceError::Schema(head.schema.chars().take(100).collect()));
        }
        let read: Self = serde_json::from_slice(bytes).map_err(|error| broken(error.to_string()))?;
        read.check().map_err(broken)?;
        Ok(read)
    }

    fn check(&self) -> Result<(), String> {
        let width = self.columns.len();
        let fits = [&self.center, &self.scale, &self.low, &self.high].iter().all(|list| list.0.len() == width);
        if width == 0 || width > COLUMN_COUNT_MAX || !fits {
            return Err("its columns do not fit together".to_owned());
        }
        if !self.anchors.0.len().is_multiple_of(DIMENSIONS) || self.anchors.0.len() > ANCHOR_COUNT_MAX * DIMENSIONS {
            return Err("its anchors are no projected rows".to_owned());
        }
        let finite = |list: &Packed| list.0.iter().all(|value| value.is_finite());
        let positive = |value: f32| value.is_finite() && value >= 0.0;
        if !finite(&self.center) || !finite(&self.anchors) || !self.scale.0.iter().all(|scale| positive(*scale)) {
            return Err("its scales are no numbers".to_owned());
        }
        if self.near.distance.is_some_and(|distance| !positive(distance) || distance == 0.0) || !positive(self.unlike_from) {
            return Err("its distances are no numbers".to_owned());
        }
        let many = |column: &Column| column.categories.as_ref().is_some_and(|all| all.len() > CATEGORY_COUNT_MAX);
        if self.columns.iter().any(many) {
            return Err("a column has too many categories".to_owned());
        }
        Ok(())
    }

    /// It as it is kept.
    ///
    /// # Errors
    /// If it is too large.
    pub fn to_json(&self) -> Result<Vec<u8>, ReferenceError> {
        let bytes = serde_json::to_vec(self).map_err(|error| ReferenceError::Broken(error.to_string()))?;
        if bytes.len() > REFERENCE_BYTES_MAX {
            return Err(ReferenceError::Broken(format!("it would have {} bytes", bytes.len())));
        }
        Ok(bytes)
    }

    /// How many cells the space is cut into, for [`crate::Counts`]'s coverage.
    #[must_use]
    pub const fn cell_count(&self) -> usize {
        self.anchors.0.len() / DIMENSIONS
    }
}
