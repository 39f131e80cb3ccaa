//! Whether queries stay within what the training data held.

use crate::projection::{Calibrated, Cell};

/// What of a query lies outside.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outside {
    /// The first column's place.
    pub column: usize,
    /// Whether it is a text that the training data does not hold; else a number outside its range.
    pub is_text: bool,
    /// How many columns.
    pub column_count: usize,
}

impl Calibrated {
    /// What of a row lies outside the training data's ranges and categories; missing values do not.
    #[must_use]
    pub fn outside(&self, row: &[Cell<'_>]) -> Option<Outside> {
        let mut found: Option<Outside> = None;
        let ranges = self.reference.low.0.iter().zip(&self.reference.high.0);
        for (place, ((cell, column), (low, high))) in row.iter().zip(&self.reference.columns).zip(ranges).enumerate() {
            let is_outside = match cell {
                Cell::Missing => false,
                Cell::Number(value) => *value < f64::from(*low) || *value > f64::from(*high),
                Cell::Text(text) => column.categories.as_ref().is_some_and(|all| !all.iter().any(|known| known == text)),
            };
            if is_outside {
                let outside = Outside { column: place, is_text: matches!(cell, Cell::Text(_)), column_count: 0 };
                found.get_or_insert(outside).column_count += 1;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibrate::tests::{Normal, reference};

    #[test]
    fn numbers_and_texts_outside_are_told() {
        let calibrated = Calibrated::new(reference(1_000, 4));
        let (numbers, _) = Normal::new(4).row();
        let mut row: Vec<Cell<'_>> = numbers.iter().map(|value| Cell::Number(*value)).collect();
        row.push(Cell::Text("red"));
        assert_eq!(calibrated.outside(&row), None, "a row of the training data itself");
        row[12] = Cell::Text("pink");
        assert_eq!(calibrated.outside(&row), Some(Outside { column: 12, is_text: true, column_count: 1 }));
        row[3] = Cell::Number(1e9);
        row[4] = Cell::Missing;
        assert_eq!(calibrated.outside(&row), Some(Outside { column: 3, is_text: false, column_count: 2 }));
    }
}
