//! What is known of the vectors of a column: embeddings, or the pixels of small images.

use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use crate::error::{ProfileError, broken};
use crate::finite;
use crate::hash::of_word;
use crate::limits::{DIMENSION_COUNT_MAX, SketchSizes};
use crate::report::VectorReport;

/// Directions that vectors are projected on, so that their covariance stays small.
pub(crate) const DIRECTION_COUNT: usize = 16;
const DIRECTION_SEED: u64 = 0x5eed_d13e_c710_0042;

/// The vectors of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Stored")]
pub struct Vectors {
    pub(crate) dimensions: Numbers,
    /// Euclidean lengths.
    pub(crate) norms: Numbers,
    /// Vectors with a value that is missing or not finite.
    pub(crate) not_finite_count: u64,
    /// The dimension of the first whole vector; others are not in the means.
    pub(crate) dimension: usize,
    /// Vectors in the sums.
    pub(crate) count: u64,
    sums: Vec<f64>,
    /// Mean and co-moments of the projections, the latter row by row.
    pub(crate) projected_mean: Vec<f64>,
    pub(crate) co_moments: Vec<f64>,
    #[serde(skip)]
    directions: Vec<[f64; DIRECTION_COUNT]>,
}

/// As read, not yet checked.
#[derive(Deserialize)]
struct Stored {
    dimensions: Numbers,
    norms: Numbers,
    not_finite_count: u64,
    dimension: usize,
    count: u64,
    sums: Vec<f64>,
    projected_mean: Vec<f64>,
    co_moments: Vec<f64>,
}

impl TryFrom<Stored> for Vectors {
    type Error = ProfileError;

    fn try_from(stored: Stored) -> Result<Self, ProfileError> {
        let Stored { dimensions, norms, not_finite_count, dimension, count, sums, projected_mean, co_moments } = stored;
        if sums.len() > DIMENSION_COUNT_MAX
            || sums.len() != dimension.min(DIMENSION_COUNT_MAX)
            || projected_mean.len() != DIRECTION_COUNT
            || co_moments.len() != DIRECTION_COUNT * DIRECTION_COUNT
        {
            return Err(broken("vector", "its sizes are not ours"));
        }
        let directions = Vec::new();
        Ok(Self { dimensions, norms, not_finite_count, dimension, count, sums, projected_mean, co_moments, directions })
    }
}

/// A seeded direction's sign for a dimension: Rademacher projection (Achlioptas 2003), the same in every profile.
fn signs(dimension: usize) -> [f64; DIRECTION_COUNT] {
    let word = of_word(DIRECTION_SEED, dimension as u64);
    std::array::from_fn(|direction| if word >> direction & 1 == 1 { 1.0 } else { -1.0 })
}

impl Vectors {
    pub(crate) fn new(sizes: SketchSizes, seed: u64) -> Self {
        Self {
            dimensions: Numbers::new(sizes, seed),
            norms: Numbers::new(sizes, seed ^ 1),
            not_finite_count: 0,
            dimension: 0,
            count: 0,
            sums: Vec::new(),
            projected_mean: vec![0.0; DIRECTION_COUNT],
            co_moments: vec![0.0; DIRECTION_COUNT * DIRECTION_COUNT],
            directions: Vec::new(),
        }
    }

    /// Takes a vector that came `weight` times.
    pub(crate) fn insert(&mut self, vector: &[f64], weight: u64) {
        self.dimensions.insert(vector.len() as f64, weight);
        if !vector.iter().all(|value| value.is_finite()) {
            self.not_finite_count += weight;
            return;
        }
        let norm = vector.iter().map(|value| value * value).sum::<f64>().sqrt();
        self.norms.insert(finite::nearest(norm), weight);
        if vector.is_empty() || (self.count > 0 && vector.len() != self.dimension) {
            return;
        }
        self.dimension = vector.len();
        self.sums.resize(vector.len().min(DIMENSION_COUNT_MAX), 0.0);
        while self.directions.len() < self.sums.len() {
            self.directions.push(signs(self.directions.len()));
        }
        let mut projected = [0.0; DIRECTION_COUNT];
        for ((sum, value), signs) in self.sums.iter_mut().zip(vector).zip(&self.directions) {
            *sum = finite::nearest(*sum + value * weight as f64);
            for (projected, sign) in projected.iter_mut().zip(signs) {
                *projected += value * sign;
            }
        }
        self.join(weight, &projected, &[0.0; DIRECTION_COUNT * DIRECTION_COUNT]);
    }

    /// Joins the mean and co-moments of others (Pébay 2008, equation 2.4).
    fn join(&mut self, count: u64, mean: &[f64], co_moments: &[f64]) {
        let (own, their) = (self.count as f64, count as f64);
        let all = own + their;
        if all <= 0.0 {
            return;
        }
        let apart: Vec<f64> = mean.iter().zip(&self.projected_mean).map(|(their, own)| their - own).collect();
        for ((row, their_row), left) in
            self.co_moments.chunks_mut(DIRECTION_COUNT).zip(co_moments.chunks(DIRECTION_COUNT)).zip(&apart)
        {
            for ((cell, their_cell), right) in row.iter_mut().zip(their_row).zip(&apart) {
                *cell = finite::nearest(*cell + their_cell + left * right * own * their / all);
            }
        }
        for (mean, apart) in self.projected_mean.iter_mut().zip(&apart) {
            *mean = finite::nearest(*mean + apart * their / all);
        }
        self.count += count;
    }

    /// The mean vector.
    pub(crate) fn mean(&self) -> Vec<f64> {
        self.sums.iter().map(|sum| sum / self.count.max(1) as f64).collect()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        self.dimensions.merge(&other.dimensions);
        self.norms.merge(&other.norms);
        self.not_finite_count += other.not_finite_count;
        if other.count == 0 || (self.count > 0 && self.dimension != other.dimension) {
            return;
        }
        self.dimension = other.dimension;
        self.sums.resize(other.sums.len(), 0.0);
        for (own, their) in self.sums.iter_mut().zip(&other.sums) {
            *own = finite::nearest(*own + their);
        }
        self.join(other.count, &other.projected_mean, &other.co_moments);
    }

    pub(crate) fn report(&self) -> VectorReport {
        let dimensions = self.dimensions.report();
        VectorReport {
            dimension: self.dimension,
            dimension_minimum: dimensions.minimum,
            dimension_maximum: dimensions.maximum,
            norms: self.norms.report(),
            not_finite_count: self.not_finite_count,
            mean: self.mean(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(vectors: &[Vec<f64>]) -> Vectors {
        let mut own = Vectors::new(SketchSizes::for_columns(1), 0);
        vectors.iter().for_each(|vector| own.insert(vector, 1));
        own
    }

    fn some(count: usize) -> Vec<Vec<f64>> {
        (0..count).map(|at| (0..5).map(|dimension| ((at * 7 + dimension * 3) % 11) as f64 - 4.0).collect()).collect()
    }

    #[test]
    fn parts_merge_to_the_whole() {
        let vectors = some(50);
        let whole = of(&vectors);
        for split in [0, 1, 20, 50] {
            let mut merged = of(&vectors[..split]);
            merged.merge(&of(&vectors[split..]));
            assert_eq!((merged.count, merged.dimension), (50, 5));
            for (own, their) in merged.co_moments.iter().zip(&whole.co_moments).chain(merged.mean().iter().zip(&whole.mean())) {
                assert!((own - their).abs() < 1e-9, "{own} {their}");
            }
        }
        let first: f64 = vectors.iter().map(|vector| vector[0]).sum::<f64>() / 50.0;
        assert!((whole.mean()[0] - first).abs() < 1e-12);
    }

    #[test]
    fn odd_vectors_are_counted_and_kept_out_of_the_means() {
        let own =
            of(&[vec![3.0, 4.0], vec![f64::NAN, 1.0], vec![1.0], vec![f64::INFINITY, 0.0], vec![f64::MAX, f64::MAX], vec![]]);
        let report = own.report();
        assert_eq!((report.not_finite_count, report.dimension), (2, 2));
        assert_eq!((report.dimension_minimum, report.dimension_maximum), (Some(0.0), Some(2.0)));
        let text = serde_json::to_string(&own).unwrap();
        assert!(serde_json::from_str::<Vectors>(&text).is_ok());
    }
}
