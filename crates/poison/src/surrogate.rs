//! Models that learn in a moment, for those who imitate another model or try what changed labels do to one.

use rayon::prelude::*;

use crate::PoisonError;
use crate::fourier::{Discriminants, Map, Task, sum};
use crate::knn::{Neighbours, neighbours};
use crate::random::Random;
use crate::table::Matrix;
use crate::targets::{elected, values};
use crate::watch::Watch;

/// Rows that are answered at once: their features take 4 MB.
const BLOCK_COUNT: usize = 1_024;

/// Random Fourier features with linear discriminants in closed form. Points should be centred and of like scale.
pub struct Surrogate {
    map: Map,
    model: Discriminants,
    classes: usize,
    features: usize,
}

impl Surrogate {
    /// Learns from points and their classes, `0..classes`, by `features` random features.
    ///
    /// # Errors
    /// `Cancelled` when the watch says so; `Shape` if there are no points, or not a label for each.
    pub fn learn(
        (points, labels, classes): (&Matrix, &[u32], usize),
        features: usize,
        seed: u64,
        watch: &Watch<'_>,
    ) -> Result<Self, PoisonError> {
        if points.rows() == 0 || points.rows() != labels.len() {
            return Err(PoisonError::Shape(format!("{} rows with {} labels", points.rows(), labels.len())));
        }
        let shares = vec![0.0; classes];
        let task = Task { points, labels, shares: &shares, features, seed };
        let map = Map::new(points, features, &mut Random::new(seed, 0x7375_7272));
        let rows: Vec<u32> = (0..u32::try_from(points.rows()).unwrap_or(u32::MAX)).collect();
        let moments = sum(&task, &map, &rows, watch)?;
        let model = Discriminants::without(&[moments], usize::MAX, &task);
        watch.check()?;
        Ok(Self { map, model, classes, features })
    }

    /// Class probabilities of each point.
    #[must_use]
    pub fn probabilities(&self, points: &Matrix) -> Matrix {
        let shares = vec![0.0; self.classes];
        let task = Task { points, labels: &[], shares: &shares, features: self.features, seed: 0 };
        let rows: Vec<u32> = (0..u32::try_from(points.rows()).unwrap_or(u32::MAX)).collect();
        let mut out = Matrix::zeros(points.rows(), self.classes);
        let width = self.classes.max(1);
        out.values_mut().par_chunks_mut(BLOCK_COUNT * width).zip(rows.par_chunks(BLOCK_COUNT)).for_each(|(out, rows)| {
            out.copy_from_slice(&self.model.probabilities(&self.map, &task, rows));
        });
        out
    }
}

/// The nearest learnt rows of every row: learnt once, then asked with any labels.
pub struct Nearest {
    neighbours: Neighbours,
    learnt: usize,
    rows: usize,
}

impl Nearest {
    /// Of these points the first `learnt` ones are learnt, the others are what it is asked about.
    ///
    /// # Errors
    /// `Cancelled` when the watch says so.
    pub fn of(points: &Matrix, learnt: usize, watch: &Watch<'_>) -> Result<Self, PoisonError> {
        let learnt = learnt.min(points.rows());
        let anchors: Vec<u32> = (0..u32::try_from(learnt).unwrap_or(u32::MAX)).collect();
        Ok(Self { neighbours: neighbours(points, &anchors, watch)?, learnt, rows: points.rows() })
    }

    /// The class of each row asked about, if the learnt rows carry these labels.
    #[must_use]
    pub fn answers(&self, labels: &[u32], classes: usize) -> Vec<u32> {
        let asked = (self.learnt..self.rows).into_par_iter();
        asked.map(|index| u32::try_from(elected(&self.neighbours, index, labels, classes)).unwrap_or(0)).collect()
    }

    /// What the label of each learnt row is worth to the other learnt rows, in thousandths of a right answer (Jia et al.
    /// 2019, truncated to the nearest).
    #[must_use]
    pub fn values(&self, labels: &[u32]) -> Vec<f32> {
        values(&self.neighbours, labels.get(..self.learnt).unwrap_or(&[]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::at::argmax;
    use crate::testing::{quiet, stopped, two_classes};

    #[test]
    fn it_answers_points_that_it_has_not_seen() {
        let (points, labels) = two_classes(1_200, 4, 4.0, 3);
        let learnt: Vec<u32> = (0..1_000).collect();
        let asked = points.chosen(&(1_000..1_200).collect::<Vec<u32>>());
        let known = points.chosen(&learnt);
        let model = quiet(|watch| Surrogate::learn((&known, &labels[..1_000], 2), 128, 1, watch)).unwrap();
        let told = model.probabilities(&asked);
        let right = told.iter().zip(&labels[1_000..]).filter(|(row, label)| argmax(row) == **label as usize).count();
        assert!(right > 185, "{right} of 200");
        let nearest = quiet(|watch| Nearest::of(&points, 1_000, watch)).unwrap();
        let told = nearest.answers(&labels[..1_000], 2);
        let right = told.iter().zip(&labels[1_000..]).filter(|(told, label)| told == label).count();
        assert!(told.len() == 200 && right > 185, "{right} of {}", told.len());
        assert_eq!(nearest.values(&labels[..1_000]).len(), 1_000);
    }

    #[test]
    fn it_refuses_what_does_not_fit_and_stops_when_asked() {
        let (points, labels) = two_classes(100, 3, 3.0, 1);
        assert!(quiet(|watch| Surrogate::learn((&points, &labels[1..], 2), 16, 1, watch).map(|_| ())).is_err());
        assert!(stopped(|watch| Surrogate::learn((&points, &labels, 2), 16, 1, watch).map(|_| ())).is_err());
        assert!(stopped(|watch| Nearest::of(&points, 50, watch).map(|_| ())).is_err());
    }
}
