//! Confident learning: how many rows of each given class truly belong to which, and flips that go one way.
//!
//! Sources: Northcutt, Jiang and Chuang 2021 (the confident joint, its calibration and pruning by noise rate, which
//! [`label_issues`] repeats as the package cleanlab 2.9 does them); the test of direction is our own.

use crate::PoisonError;
use crate::at::{add, argmax, at, put, row, row_mut};
use crate::table::Matrix;

/// A class's mean self-confidence is taken as at least this.
const THRESHOLD_MIN: f64 = 2e-6;
/// Two probabilities nearer than this are equal.
const EQUAL: f64 = 1e-6;
const TINY: f64 = 1e-100;
/// How far a pair must lie from equal flips in both directions, in standard deviations.
const PAIR_Z_MIN: f64 = 5.0;
/// And how many times greater its rate must be than that of the other direction.
const PAIR_RATIO_MIN: f64 = 2.0;

/// Counts of rows, `given × true`.
#[derive(Clone, Debug, PartialEq)]
pub struct Joint {
    classes: usize,
    counts: Vec<f64>,
}

/// Rows of one true class that carry another class's label more often than the other way round.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Pair {
    /// The label that they carry.
    pub(crate) given: usize,
    /// The class that they look like.
    pub(crate) looks_like: usize,
    /// The share of that class's rows.
    pub(crate) rate: f64,
    /// How many rows more than in the other direction.
    pub(crate) excess: f64,
    /// The lesser of the two tests' standard deviations.
    pub(crate) z: f64,
}

impl Joint {
    /// The count of rows with a given label that truly belong to a class.
    #[must_use]
    pub fn count(&self, given: usize, truly: usize) -> f64 {
        at(&self.counts, given * self.classes + truly)
    }

    /// The confident joint of labels and out-of-sample probabilities (Northcutt et al. 2021, equation 1).
    #[must_use]
    pub fn confident(labels: &[u32], probabilities: &Matrix) -> Self {
        let classes = probabilities.columns();
        let thresholds = thresholds(labels, probabilities);
        let mut joint = Self { classes, counts: vec![0.0; classes * classes] };
        for (own, label) in probabilities.iter().zip(labels) {
            if let Some(truly) = confident_class(own, &thresholds) {
                add(&mut joint.counts, *label as usize * classes + truly, 1.0);
            }
        }
        for class in 0..classes {
            let place = class * classes + class;
            let count = at(&joint.counts, place).max(1.0);
            put(&mut joint.counts, place, count);
        }
        joint
    }

    /// Scaled so that each given class has as many rows as there are, in whole numbers.
    #[must_use]
    pub fn calibrated(&self, labels: &[u32]) -> Self {
        let mut sizes = vec![0.0_f64; self.classes];
        for label in labels {
            add(&mut sizes, *label as usize, 1.0);
        }
        let mut counts = self.counts.clone();
        for (own, size) in counts.chunks_exact_mut(self.classes.max(1)).zip(&sizes) {
            let sum = own.iter().sum::<f64>().max(TINY);
            own.iter_mut().for_each(|count| *count = *count / sum * size);
        }
        let (sum, rows) = (counts.iter().sum::<f64>().max(TINY), sizes.iter().sum::<f64>());
        counts.iter_mut().for_each(|count| *count = *count / sum * rows);
        counts.chunks_exact_mut(self.classes.max(1)).for_each(round_preserving_sum);
        Self { classes: self.classes, counts }
    }

    /// The share of each true class's rows that carries each label.
    fn rates(&self) -> Vec<f64> {
        let mut sums = vec![0.0; self.classes];
        for own in self.counts.chunks_exact(self.classes.max(1)) {
            sums.iter_mut().zip(own).for_each(|(sum, count)| *sum += count);
        }
        let shares = self.counts.chunks_exact(self.classes.max(1)).flat_map(|own| own.iter().zip(&sums));
        shares.map(|(count, sum)| count / sum.max(1.0)).collect()
    }

    /// Pairs of classes with flips in one direction, the most striking first.
    pub(crate) fn pairs(&self) -> Vec<Pair> {
        let rates = self.rates();
        let mut sums = vec![0.0; self.classes];
        for own in self.counts.chunks_exact(self.classes.max(1)) {
            sums.iter_mut().zip(own).for_each(|(sum, count)| *sum += count);
        }
        let mut pairs = Vec::new();
        for given in 0..self.classes {
            for truly in (0..self.classes).filter(|truly| *truly != given) {
                let (count, other) = (self.count(given, truly), self.count(truly, given));
                let (size, other_size) = (at(&sums, truly).max(1.0), at(&sums, given).max(1.0));
                let rate = at(&rates, given * self.classes + truly);
                let other_rate = at(&rates, truly * self.classes + given);
                let both = (count + other) / (size + other_size);
                let spread = (both * (1.0 - both) * (1.0 / size + 1.0 / other_size)).sqrt().max(1e-12);
                let rate_z = (rate - other_rate) / spread;
                let count_z = (count - other) / (count + other).sqrt().max(1.0);
                let z = rate_z.min(count_z);
                if z > PAIR_Z_MIN && rate > PAIR_RATIO_MIN * other_rate {
                    pairs.push(Pair { given, looks_like: truly, rate, excess: count - other, z });
                }
            }
        }
        pairs.sort_by(|left, right| right.z.total_cmp(&left.z));
        pairs
    }

    /// Labels given each true class, `given × true`: the pairs' own rates, one flat rate elsewhere.
    pub(crate) fn noise(&self, pairs: &[Pair]) -> Vec<f64> {
        let rates = self.rates();
        let is_pair = |given, truly| pairs.iter().any(|pair| pair.given == given && pair.looks_like == truly);
        let (mut sum, mut count) = (0.0, 0.0_f64);
        for given in 0..self.classes {
            for truly in 0..self.classes {
                if given != truly && !is_pair(given, truly) {
                    sum += at(&rates, given * self.classes + truly);
                    count += 1.0;
                }
            }
        }
        let flat = (sum / count.max(1.0)).max(1e-4);
        let mut noise = vec![flat; self.classes * self.classes];
        for pair in pairs {
            put(&mut noise, pair.given * self.classes + pair.looks_like, pair.rate.max(flat));
        }
        for truly in 0..self.classes {
            let others: f64 =
                (0..self.classes).filter(|given| *given != truly).map(|given| at(&noise, given * self.classes + truly)).sum();
            put(&mut noise, truly * self.classes + truly, (1.0 - others).max(0.05));
        }
        noise
    }
}

/// Each class's mean probability among the rows that carry its label.
fn thresholds(labels: &[u32], probabilities: &Matrix) -> Vec<f64> {
    let classes = probabilities.columns();
    let (mut sums, mut sizes) = (vec![0.0_f64; classes], vec![0.0_f64; classes]);
    for (own, label) in probabilities.iter().zip(labels) {
        add(&mut sums, *label as usize, f64::from(at(own, *label as usize)));
        add(&mut sizes, *label as usize, 1.0);
    }
    // A class that nobody carries is never reached.
    let mean = |(sum, size): (&f64, &f64)| if *size > 0.0 { (sum / size).max(THRESHOLD_MIN) } else { 2.0 };
    sums.iter().zip(&sizes).map(mean).collect()
}

fn confident_class(probabilities: &[f32], thresholds: &[f64]) -> Option<usize> {
    let mut reached = probabilities.iter().zip(thresholds).enumerate();
    let first = reached.find(|(_, (value, threshold))| f64::from(**value) + EQUAL >= **threshold).map(|(class, _)| class)?;
    if reached.any(|(_, (value, threshold))| f64::from(*value) + EQUAL >= *threshold) {
        return Some(argmax(probabilities));
    }
    Some(first)
}

/// Rounds half to even, then moves the values with the greatest error until the sum fits.
fn round_preserving_sum(values: &mut [f64]) {
    let exact = values.to_vec();
    let wanted = exact.iter().sum::<f64>().round_ties_even();
    values.iter_mut().for_each(|value| *value = value.round_ties_even());
    for _ in 0..values.len() {
        let missing = wanted - values.iter().sum::<f64>().round_ties_even();
        if missing.abs() < 1e-6 {
            return;
        }
        let step = missing.signum();
        let mut order: Vec<usize> = (0..values.len()).collect();
        let error = |place: &usize| at(&exact, *place) - at(values, *place);
        order.sort_by(|left, right| error(left).total_cmp(&error(right)));
        if step > 0.0 {
            order.reverse();
        }
        for place in order.into_iter().take(missing.abs() as usize) {
            add(values, place, step);
        }
    }
}

/// The rows whose labels cleanlab's `find_label_issues` reports by default, rising: pruned by noise rate, without those
/// whose label is the most probable class.
///
/// # Errors
/// `Shape` if labels and probabilities do not fit each other.
pub fn label_issues(labels: &[u32], probabilities: &Matrix) -> Result<Vec<u32>, PoisonError> {
    let classes = probabilities.columns();
    if probabilities.rows() != labels.len() || labels.iter().any(|label| *label as usize >= classes) {
        return Err(PoisonError::Shape("labels and probabilities do not have the same rows and classes".to_owned()));
    }
    let calibrated = Joint::confident(labels, probabilities).calibrated(labels);
    let prune = prune_counts(&calibrated);
    let mut flagged = vec![false; labels.len()];
    for given in 0..classes {
        let own: Vec<usize> =
            labels.iter().enumerate().filter(|(_, label)| **label as usize == given).map(|(index, _)| index).collect();
        if own.len() <= 1 {
            continue;
        }
        for truly in (0..classes).filter(|truly| *truly != given) {
            let count = at(&prune, truly * classes + given) as usize;
            let margin = |index: &usize| {
                let row = probabilities.row(*index);
                at(row, truly) - at(row, given)
            };
            let mut order = own.clone();
            order.sort_by(|left, right| margin(right).total_cmp(&margin(left)));
            order.iter().take(count).for_each(|index| put(&mut flagged, *index, true));
        }
    }
    let issues = flagged.iter().enumerate().filter(|(index, flagged)| {
        let own = probabilities.row(*index);
        let given = f64::from(at(own, at(labels, *index) as usize));
        **flagged && given + EQUAL < f64::from(own.iter().copied().fold(f32::MIN, f32::max))
    });
    Ok(issues.map(|(index, _)| u32::try_from(index).unwrap_or(u32::MAX)).collect())
}

/// How many rows to prune, `true × given`, such that one row of each given class stays.
fn prune_counts(joint: &Joint) -> Vec<f64> {
    let classes = joint.classes;
    let mut counts = vec![0.0; classes * classes];
    for given in 0..classes {
        let kept = joint.count(given, given).max(1.0);
        let raised = kept - joint.count(given, given);
        let present = (0..classes).filter(|truly| joint.count(given, *truly) != 0.0).count() as f64;
        let lowered = raised / (present - 1.0).max(1.0);
        for truly in 0..classes {
            let count = if truly == given { kept } else { (joint.count(given, truly) - lowered).max(0.0) };
            put(&mut counts, truly * classes + given, count.trunc());
        }
    }
    for truly in 0..classes {
        round_preserving_sum(row_mut(&mut counts, classes, truly));
    }
    counts
}

/// How doubtful each row's label is, 0 to 1: one less the probability that the label is right, given the noise.
pub(crate) fn doubts(labels: &[u32], probabilities: &Matrix, noise: Option<&[f64]>) -> Vec<f32> {
    let classes = probabilities.columns();
    let doubt = |(own, label): (&[f32], &u32)| {
        let given = *label as usize;
        let Some(noise) = noise else { return 1.0 - at(own, given) };
        let from = row(noise, classes, given);
        let total: f64 = own.iter().zip(from).map(|(value, rate)| f64::from(*value) * rate).sum();
        (1.0 - f64::from(at(own, given)) * at(from, given) / total.max(1e-30)) as f32
    };
    probabilities.iter().zip(labels).map(doubt).collect()
}

#[cfg(test)]
#[path = "joint_tests.rs"]
mod tests;
