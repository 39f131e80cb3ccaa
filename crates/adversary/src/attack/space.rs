//! The space that an attacker may move in: bounds, kinds and scales of columns.

use crate::at::{at, put};
use crate::learn::column_spread;
use crate::{Feature, FeatureKind, ImageShape, Rows};

/// One column of the space.
struct Axis {
    kind: FeatureKind,
    /// What one unit of distance is.
    scale: f64,
    /// The range of the held-back values, where the column itself has no bounds.
    range: (f64, f64),
    mutable: bool,
}

/// Where rows may be moved to, and how far apart they lie.
pub(super) struct Space {
    axes: Vec<Axis>,
}

impl Space {
    /// Distances of tables are in standard deviations of the columns, those of images in shares of their range.
    pub(super) fn new(features: &[Feature], image: Option<ImageShape>, rows: &Rows) -> Self {
        let axis = |(column, feature): (usize, &Feature)| {
            let finite = rows.iter().map(|row| at(row, column)).filter(|value| value.is_finite());
            let seen = finite.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)));
            let bounded = match feature.kind {
                FeatureKind::Number { least, greatest } | FeatureKind::Integer { least, greatest } => (least, greatest),
                FeatureKind::Category(_) => seen,
            };
            let pick = |bound: f64, seen: f64| {
                if bound.is_finite() {
                    bound
                } else if seen.is_finite() {
                    seen
                } else {
                    0.0
                }
            };
            let range = (pick(bounded.0, seen.0), pick(bounded.1, seen.1));
            let scale = if image.is_some() { range.1 - range.0 } else { column_spread(rows, column).1 };
            let scale = if scale > 0.0 { scale } else { 1.0 };
            Axis { kind: feature.kind.clone(), scale, range, mutable: !feature.immutable }
        };
        Self { axes: features.iter().enumerate().map(axis).collect() }
    }

    /// Measured columns that an attacker may change in this row.
    pub(super) fn measured(&self, row: &[f64]) -> Vec<usize> {
        self.columns(row, |axis| axis.kind.is_measured())
    }

    /// Categories that an attacker may change in this row.
    pub(super) fn categories(&self, row: &[f64]) -> Vec<usize> {
        self.columns(row, |axis| !axis.kind.is_measured())
    }

    fn columns(&self, row: &[f64], holds: impl Fn(&Axis) -> bool) -> Vec<usize> {
        // What is missing stays missing: there is no way half to it.
        let axes = self.axes.iter().zip(row).enumerate();
        axes.filter(|(_, (axis, value))| axis.mutable && !value.is_nan() && holds(axis)).map(|(column, _)| column).collect()
    }

    /// What one unit of distance along a column is.
    pub(super) fn scale(&self, column: usize) -> f64 {
        self.axes.get(column).map_or(1.0, |axis| axis.scale)
    }

    /// The values of a column: least and greatest.
    pub(super) fn range(&self, column: usize) -> (f64, f64) {
        self.axes.get(column).map_or((0.0, 0.0), |axis| axis.range)
    }

    /// The least step along a column that changes a value: 1 for whole numbers.
    pub(super) fn step(&self, column: usize) -> f64 {
        self.axes.get(column).map_or(0.0, |axis| if matches!(axis.kind, FeatureKind::Integer { .. }) { 1.0 } else { 0.0 })
    }

    /// The nearest row that may be: values within bounds, whole where they must be.
    pub(super) fn valid(&self, mut row: Vec<f64>, columns: &[usize]) -> Vec<f64> {
        for column in columns {
            if let Some(axis) = self.axes.get(*column) {
                let value = axis.kind.nearest(at(&row, *column));
                put(&mut row, *column, value);
            }
        }
        row
    }

    /// The L2 distance along these columns.
    pub(super) fn distance(&self, left: &[f64], right: &[f64], columns: &[usize]) -> f64 {
        let along = |column: &usize| ((at(left, *column) - at(right, *column)) / self.scale(*column)).powi(2);
        columns.iter().map(along).sum::<f64>().sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::numbers;

    #[test]
    fn only_what_may_change_is_moved_and_it_stays_valid() {
        let mut features = numbers(4);
        features[0].immutable = true;
        features[1].kind = FeatureKind::Integer { least: 0.0, greatest: 10.0 };
        features[2].kind = FeatureKind::Category(vec!["a".to_owned(), "b".to_owned()]);
        let rows = Rows::new(4, vec![1.0, 2.0, 0.0, 5.0, 3.0, 4.0, 1.0, 9.0]).unwrap();
        let space = Space::new(&features, None, &rows);
        assert_eq!((space.measured(rows.row(0)), space.categories(rows.row(0))), (vec![1, 3], vec![2]));
        assert_eq!(space.measured(&[1.0, f64::NAN, 0.0, 5.0]), [3]);
        assert_eq!(space.valid(vec![7.0, 11.4, 0.4, 6.5], &[1, 3]), [7.0, 10.0, 0.4, 6.5]);
        assert_eq!((space.range(1), space.range(3), space.step(1), space.step(3)), ((0.0, 10.0), (5.0, 9.0), 1.0, 0.0));
        // Both columns differ by √2 standard deviations.
        assert!((space.distance(rows.row(0), rows.row(1), &[1, 3]) - 2.0).abs() < 1e-9);
    }
}
