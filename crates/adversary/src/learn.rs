//! What imitates a model: rows as points of like scale, and a linear learner in closed form.

use poison::{Matrix, Random};

use crate::at::{add, at, put};
use crate::{AdversaryError, Feature, FeatureKind, Rows, Watch};

/// Values of a category that have a column of their own.
const CATEGORY_COUNT_MAX: usize = 32;
/// Columns of points beyond which random directions stand for them, and how many.
const WIDTH_MAX: usize = 1_024;
const DIRECTION_COUNT: usize = 256;
/// Added to every direction of the linear learner, as a share of the mean variance.
const RIDGE: f64 = 1e-4;

/// Turns rows into centred points: numbers in standard deviations, categories as columns of their own.
pub(crate) struct Encoder {
    columns: Vec<Encoded>,
    directions: Option<Vec<f32>>,
    width: usize,
}

enum Encoded {
    Number { mean: f64, scale: f64 },
    Category { count: usize },
}

impl Encoder {
    /// Learns the scales from rows.
    pub(crate) fn new(features: &[Feature], rows: &Rows, seed: u64) -> Self {
        let columns: Vec<Encoded> = features.iter().enumerate().map(|(column, feature)| encoded(feature, column, rows)).collect();
        let width = columns.iter().map(Encoded::width).sum();
        let mut random = Random::new(seed, 0x656e_636f);
        let scale = (DIRECTION_COUNT as f32).sqrt().recip();
        let directions = (width > WIDTH_MAX)
            .then(|| (0..width * DIRECTION_COUNT).map(|_| if random.bits() & 1 == 0 { scale } else { -scale }).collect());
        Self { columns, directions, width }
    }

    /// Rows as points.
    pub(crate) fn points(&self, rows: &Rows) -> Result<Matrix, AdversaryError> {
        let width = if self.directions.is_some() { DIRECTION_COUNT } else { self.width };
        let mut values = Vec::with_capacity(rows.count() * width);
        let mut point = Vec::with_capacity(self.width);
        for row in rows {
            point.clear();
            self.columns.iter().zip(row).for_each(|(column, value)| column.push(*value, &mut point));
            match &self.directions {
                None => values.extend_from_slice(&point),
                Some(directions) => {
                    let from = values.len();
                    values.resize(from + DIRECTION_COUNT, 0.0);
                    let out = values.get_mut(from..).unwrap_or(&mut []);
                    for (value, along) in
                        point.iter().zip(directions.chunks_exact(DIRECTION_COUNT)).filter(|(value, _)| **value != 0.0)
                    {
                        out.iter_mut().zip(along).for_each(|(sum, along)| *sum += value * along);
                    }
                }
            }
        }
        Matrix::new(width, values).map_err(|error| AdversaryError::Shape(error.to_string()))
    }
}

impl Encoded {
    const fn width(&self) -> usize {
        match self {
            Self::Number { .. } => 1,
            Self::Category { count } => *count,
        }
    }

    fn push(&self, value: f64, point: &mut Vec<f32>) {
        match self {
            // What is missing is the mean.
            Self::Number { mean, scale } => point.push(if value.is_nan() { 0.0 } else { ((value - mean) / scale) as f32 }),
            Self::Category { count } => {
                // What is missing is no category, and rare values share the last one.
                let place = (!value.is_nan()).then(|| value.min(count.saturating_sub(1) as f64));
                let share = 1.0 / *count as f32;
                point.extend((0..*count).map(|own| f32::from(u8::from(place == Some(own as f64))) - share));
            }
        }
    }
}

fn encoded(feature: &Feature, column: usize, rows: &Rows) -> Encoded {
    if let FeatureKind::Category(names) = &feature.kind {
        return Encoded::Category { count: names.len().min(CATEGORY_COUNT_MAX) };
    }
    let (mean, scale) = column_spread(rows, column);
    Encoded::Number { mean, scale: if scale > 0.0 { scale } else { 1.0 } }
}

/// The mean and the standard deviation of a column; what is missing is left out.
pub(crate) fn column_spread(rows: &Rows, column: usize) -> (f64, f64) {
    let values: Vec<f64> = rows.iter().map(|row| at(row, column)).filter(|value| value.is_finite()).collect();
    crate::stats::spread(&values)
}

/// Linear scores by regularised least squares: one column of weights for each target, the last weight being the offset.
pub(crate) struct Linear {
    targets: usize,
    weights: Vec<f64>,
}

impl Linear {
    /// Learns `points → targets` (`rows × targets` numbers, row-major). None where the points allow no answer.
    pub(crate) fn learn(points: &Matrix, targets: &[f64], count: usize, watch: &Watch<'_>) -> Option<Self> {
        let size = points.columns() + 1;
        let (mut table, mut right) = (vec![0.0_f64; size * size], vec![0.0_f64; size * count]);
        let mut own = vec![1.0_f64; size];
        for (row, targets) in points.iter().zip(targets.chunks_exact(count.max(1))) {
            if watch.stopped() {
                return None;
            }
            own.iter_mut().zip(row).for_each(|(own, value)| *own = f64::from(*value));
            for (index, value) in own.iter().enumerate().filter(|(_, value)| **value != 0.0) {
                let line = table.get_mut(index * size..index * size + index + 1).unwrap_or(&mut []);
                line.iter_mut().zip(&own).for_each(|(sum, other)| *sum += value * other);
                let sums = right.get_mut(index * count..(index + 1) * count).unwrap_or(&mut []);
                sums.iter_mut().zip(targets).for_each(|(sum, target)| *sum += value * target);
            }
        }
        let trace: f64 = (0..size).map(|index| at(&table, index * size + index)).sum();
        (0..size).for_each(|index| add(&mut table, index * size + index, RIDGE * trace / size as f64 + 1e-12));
        factorise(&mut table, size)?;
        for target in 0..count {
            let mut line: Vec<f64> = (0..size).map(|index| at(&right, index * count + target)).collect();
            substitute(&table, size, &mut line);
            line.iter().enumerate().for_each(|(index, value)| put(&mut right, index * count + target, *value));
        }
        Some(Self { targets: count, weights: right })
    }

    /// The scores of each point.
    pub(crate) fn scores(&self, points: &Matrix) -> Vec<Vec<f64>> {
        let score = |row: &[f32]| {
            let mut own = vec![0.0; self.targets];
            let inputs = row.iter().map(|value| f64::from(*value)).chain(std::iter::once(1.0));
            for (value, weights) in inputs.zip(self.weights.chunks_exact(self.targets.max(1))) {
                own.iter_mut().zip(weights).for_each(|(sum, weight)| *sum += value * weight);
            }
            own
        };
        points.iter().map(score).collect()
    }
}

/// The lower Cholesky factor of the lower half of a table, in place.
fn factorise(table: &mut [f64], size: usize) -> Option<()> {
    for index in 0..size {
        let (above, rest) = table.split_at_mut(index * size);
        let own = rest.get_mut(..size)?;
        for column in 0..index {
            let other = above.get(column * size..column * size + column + 1)?;
            let dot: f64 = own.iter().zip(other).take(column).map(|(left, right)| left * right).sum();
            let value = (at(own, column) - dot) / at(other, column);
            put(own, column, value);
        }
        let pivot = at(own, index) - own.iter().take(index).map(|value| value * value).sum::<f64>();
        if !(pivot.is_finite() && pivot > 0.0) {
            return None;
        }
        put(own, index, pivot.sqrt());
    }
    Some(())
}

/// Solves `L Lᵀ x = b` in place.
fn substitute(factor: &[f64], size: usize, right: &mut [f64]) {
    for index in 0..size {
        let own = factor.get(index * size..index * size + index).unwrap_or(&[]);
        let dot: f64 = own.iter().zip(right.iter()).map(|(left, right)| left * right).sum();
        let value = (at(right, index) - dot) / at(factor, index * size + index);
        put(right, index, value);
    }
    for index in (0..size).rev() {
        let value = at(right, index) / at(factor, index * size + index);
        put(right, index, value);
        for column in 0..index {
            add(right, column, -at(factor, index * size + column) * value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{numbers, quiet, two_classes};

    #[test]
    fn a_plane_is_learnt_exactly() {
        let (rows, _) = two_classes(200, 4, 1.0, 3);
        let points = Encoder::new(&numbers(4), &rows, 1).points(&rows).unwrap();
        let plane = |row: &[f32]| f64::from(row[0]) * 2.0 - f64::from(row[3]) + 0.5;
        let targets: Vec<f64> = points.iter().flat_map(|row| [plane(row), -plane(row)]).collect();
        let model = quiet(|watch| Linear::learn(&points, &targets, 2, watch)).unwrap();
        for (row, scores) in points.iter().zip(model.scores(&points)) {
            assert!((scores[0] - plane(row)).abs() < 1e-2 && (scores[1] + plane(row)).abs() < 1e-2);
        }
    }

    #[test]
    fn categories_missing_values_and_wide_rows_become_points() {
        let mut features = numbers(2);
        features[1].kind = FeatureKind::Category(vec!["a".to_owned(), "b".to_owned()]);
        let rows = Rows::new(2, vec![1.0, 0.0, 3.0, 1.0, f64::NAN, 7.0]).unwrap();
        let points = Encoder::new(&features, &rows, 1).points(&rows).unwrap();
        assert_eq!((points.row(2), points.columns()), (&[0.0, -0.5, 0.5][..], 3));
        let (wide, _) = two_classes(30, 1_500, 1.0, 3);
        let points = Encoder::new(&numbers(1_500), &wide, 1).points(&wide).unwrap();
        assert_eq!((points.rows(), points.columns()), (30, DIRECTION_COUNT));
    }
}
