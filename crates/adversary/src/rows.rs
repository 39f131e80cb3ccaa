//! Rows that a model is asked about, and what their columns may hold.

use crate::AdversaryError;

/// Rows of numbers, row-major. A category is the number of its value; what is missing is not a number.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rows {
    width: usize,
    values: Vec<f64>,
}

/// What a column may hold. A changed value stays within it.
#[derive(Clone, Debug, PartialEq)]
pub enum FeatureKind {
    /// Any number from `least` to `greatest`, both included; infinite where there is no bound.
    Number {
        /// The lower bound.
        least: f64,
        /// The upper bound.
        greatest: f64,
    },
    /// Whole numbers from `least` to `greatest`, both included.
    Integer {
        /// The lower bound.
        least: f64,
        /// The upper bound.
        greatest: f64,
    },
    /// The numbers `0..` of these values.
    Category(Vec<String>),
}

/// A column.
#[derive(Clone, Debug, PartialEq)]
pub struct Feature {
    /// Its name.
    pub name: String,
    /// What it may hold.
    pub kind: FeatureKind,
    /// An attacker cannot change it: an age, a birthplace.
    pub immutable: bool,
}

/// How the values of a row make an image: row by row, the channels of a pixel side by side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ImageShape {
    /// Pixels in a row.
    pub width: usize,
    /// Rows of pixels.
    pub height: usize,
    /// Values of a pixel.
    pub channels: usize,
}

impl Rows {
    /// Rows of `width` values each.
    ///
    /// # Errors
    /// `Shape` if the values do not make whole rows.
    pub fn new(width: usize, values: Vec<f64>) -> Result<Self, AdversaryError> {
        if (width == 0 && !values.is_empty()) || (width > 0 && !values.len().is_multiple_of(width)) {
            return Err(AdversaryError::Shape(format!("{} values do not make rows of {width}", values.len())));
        }
        Ok(Self { width, values })
    }

    /// No rows yet, with room for so many.
    #[must_use]
    pub fn empty(width: usize, room: usize) -> Self {
        Self { width, values: Vec::with_capacity(width * room) }
    }

    /// Values of a row.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// How many rows there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.values.len().checked_div(self.width).unwrap_or(0)
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// A row; empty where there is none.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f64] {
        self.values.get(index * self.width..(index + 1) * self.width).unwrap_or(&[])
    }

    /// The rows in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f64> {
        self.values.chunks_exact(self.width.max(1))
    }

    /// Adds a row; one of another width is cut, or filled with zeros.
    pub fn push(&mut self, row: &[f64]) {
        let end = self.values.len() + self.width;
        self.values.extend(row.iter().take(self.width));
        self.values.resize(end, 0.0);
    }

    /// The rows of these numbers, as rows of their own.
    #[must_use]
    pub fn chosen(&self, rows: &[u32]) -> Self {
        let mut chosen = Self::empty(self.width, rows.len());
        rows.iter().for_each(|index| chosen.push(self.row(*index as usize)));
        chosen
    }
}

impl<'a> IntoIterator for &'a Rows {
    type Item = &'a [f64];
    type IntoIter = std::slice::ChunksExact<'a, f64>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl FeatureKind {
    /// The nearest value that the column may hold.
    #[must_use]
    pub fn nearest(&self, value: f64) -> f64 {
        match self {
            Self::Number { least, greatest } => value.max(*least).min(*greatest),
            Self::Integer { least, greatest } => value.round().max(least.ceil()).min(greatest.floor()),
            Self::Category(names) => value.round().max(0.0).min(names.len().saturating_sub(1) as f64),
        }
    }

    /// Whether the column may hold this value, or nothing.
    #[must_use]
    pub fn allows(&self, value: f64) -> bool {
        value.is_nan() || self.nearest(value) == value
    }

    /// Whether values lie on a line, so that half the way between two of them means something.
    #[must_use]
    pub const fn is_measured(&self) -> bool {
        !matches!(self, Self::Category(_))
    }
}

impl ImageShape {
    /// Values of one image.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.width * self.height * self.channels
    }

    /// Whether it has no values.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_whole() {
        assert!(Rows::new(3, vec![0.0; 7]).is_err() && Rows::new(0, vec![1.0]).is_err());
        let mut rows = Rows::new(2, vec![1.0, 2.0]).unwrap();
        rows.push(&[3.0]);
        rows.push(&[4.0, 5.0, 6.0]);
        assert_eq!(rows.values(), [1.0, 2.0, 3.0, 0.0, 4.0, 5.0]);
        assert_eq!(rows.chosen(&[2, 9]).values(), [4.0, 5.0, 0.0, 0.0]);
        assert!(rows.row(3).is_empty());
    }

    #[test]
    fn the_nearest_value_is_one_that_the_column_may_hold() {
        let number = FeatureKind::Number { least: 0.0, greatest: f64::INFINITY };
        let integer = FeatureKind::Integer { least: 0.5, greatest: 9.5 };
        let category = FeatureKind::Category(vec!["a".to_owned(), "b".to_owned()]);
        for (kind, from, wanted) in [(&number, -1.0, 0.0), (&integer, 0.2, 1.0), (&integer, 99.0, 9.0), (&category, 7.0, 1.0)] {
            assert_eq!(kind.nearest(from), wanted);
            assert!(kind.allows(wanted) && !kind.allows(from) && kind.allows(f64::NAN));
        }
    }
}
