//! The rows that an attacker would gain most by changing: their value to a nearest-neighbour model, how easily their
//! surroundings are outvoted, and how many flipped labels cost how much accuracy.
//!
//! Source: Jia et al. 2019 (Shapley values of nearest-neighbour models, truncated to the nearest).

use rayon::prelude::*;

use crate::at::{add, argmax, at, put, ranking};
use crate::knn::Neighbours;
use crate::random::Random;
use crate::table::Matrix;

/// Neighbours that vote in the valued model.
const VOTE_COUNT: usize = 5;
/// Shares of all labels whose flipping is tried.
const DOSES: [f64; 6] = [0.005, 0.01, 0.02, 0.05, 0.1, 0.2];

/// How accuracy falls with flipped labels.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Dose {
    /// How many labels are flipped.
    pub flipped: u64,
    /// The surrogate's accuracy after the most valuable labels are flipped, 0 to 1.
    pub accuracy_targeted: f64,
    /// Its accuracy after as many random ones are flipped.
    pub accuracy_random: f64,
}

/// What each row is worth.
pub(crate) struct Targets {
    /// What a row's label adds to the accuracy of a nearest-neighbour model, in thousandths of a row.
    pub(crate) values: Vec<f32>,
    /// How easily a row's prediction is turned, 0 to 1: small margin, sparse surroundings.
    pub(crate) fragility: Vec<f32>,
    /// The surrogate's accuracy with all labels as they are.
    pub(crate) accuracy: f64,
    /// How it falls.
    pub(crate) doses: Vec<Dose>,
}

/// Values every row, each other row being a test in turn.
pub(crate) fn targets(neighbours: &Neighbours, labels: &[u32], probabilities: &Matrix, seed: u64) -> Targets {
    let values = values(neighbours, labels);
    let classes = probabilities.columns();
    let doses = DOSES.iter().map(|share| dose(neighbours, labels, (&values, probabilities), *share, seed)).collect();
    let accuracy = accuracy(neighbours, labels, labels, classes);
    Targets { fragility: fragility(neighbours, labels, probabilities), values, accuracy, doses }
}

/// What each row's label is worth to the rows of these labels, in thousandths of a right answer.
pub(crate) fn values(neighbours: &Neighbours, labels: &[u32]) -> Vec<f32> {
    let mut values = vec![0.0_f32; labels.len()];
    for (index, label) in labels.iter().enumerate() {
        let nearest: Vec<(usize, f32)> =
            neighbours.of(index).map(|(other, _)| (other, f32::from(u8::from(at(labels, other) == *label)))).collect();
        let Some((last, matches)) = nearest.last() else { continue };
        // Theorem 1 of the source, from the farthest kept neighbour inwards; beyond it the value is taken as nothing.
        let mut value = matches / nearest.len().max(VOTE_COUNT) as f32;
        add(&mut values, *last, value);
        for (place, pair) in nearest.windows(2).enumerate().rev() {
            let [(other, own), (_, next)] = pair else { continue };
            let rank = (place + 1) as f32;
            value += (own - next) / VOTE_COUNT as f32 * (VOTE_COUNT as f32).min(rank) / rank;
            add(&mut values, *other, value);
        }
    }
    values.iter_mut().for_each(|value| *value *= 1_000.0);
    values
}

fn fragility(neighbours: &Neighbours, labels: &[u32], probabilities: &Matrix) -> Vec<f32> {
    let radii: Vec<f32> = (0..labels.len()).map(|index| neighbours.radius(index)).collect();
    let middle = crate::at::quantile(&radii, 0.5).max(1e-9);
    let fragile = |index: usize| {
        let row = probabilities.row(index);
        let own = at(row, at(labels, index) as usize);
        let other = row.iter().enumerate().filter(|(class, _)| *class != at(labels, index) as usize);
        let best = other.map(|(_, value)| *value).fold(0.0, f32::max);
        let margin = (own - best).abs();
        // A row whose prediction hangs on few far neighbours turns with few inserted rows.
        1.0 / (1.0 + 4.0 * margin * middle / at(&radii, index).max(1e-9))
    };
    (0..labels.len()).into_par_iter().map(fragile).collect()
}

fn dose(neighbours: &Neighbours, labels: &[u32], (values, probabilities): (&[f32], &Matrix), share: f64, seed: u64) -> Dose {
    let count = (labels.len() as f64 * share).ceil() as usize;
    let flip = |rows: &mut dyn Iterator<Item = u32>| {
        let mut changed = labels.to_vec();
        for index in rows {
            let own = at(labels, index as usize);
            let mut row = probabilities.row(index as usize).to_vec();
            put(&mut row, own as usize, -1.0);
            put(&mut changed, index as usize, u32::try_from(argmax(&row)).unwrap_or(own));
        }
        accuracy(neighbours, labels, &changed, probabilities.columns())
    };
    let targeted = flip(&mut ranking(values).into_iter().take(count));
    let random = flip(&mut Random::new(seed, 0x646f_7365).sample(labels.len(), count).into_iter());
    Dose { flipped: count as u64, accuracy_targeted: targeted, accuracy_random: random }
}

/// The share of rows whose true label wins their neighbours' vote, the neighbours carrying `carried` labels.
fn accuracy(neighbours: &Neighbours, truth: &[u32], carried: &[u32], classes: usize) -> f64 {
    let right = (0..truth.len())
        .into_par_iter()
        .filter(|index| elected(neighbours, *index, carried, classes) == at(truth, *index) as usize);
    right.count() as f64 / truth.len().max(1) as f64
}

/// The class that wins the vote of a row's nearest neighbours, which carry these labels.
pub(crate) fn elected(neighbours: &Neighbours, index: usize, carried: &[u32], classes: usize) -> usize {
    let mut votes = vec![0.0_f32; classes];
    for (place, (other, _)) in neighbours.of(index).take(VOTE_COUNT).enumerate() {
        // The nearer neighbour wins a tie.
        add(&mut votes, at(carried, other) as usize, 1.0 - 0.01 * place as f32);
    }
    argmax(&votes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::knn::{anchors, neighbours, votes};
    use crate::testing::{quiet, two_classes};

    fn example() -> (Targets, Vec<u32>) {
        let (points, mut labels) = two_classes(800, 3, 3.0, 5);
        labels[0] = 1 - labels[0];
        let near = quiet(|watch| neighbours(&points, &anchors(800, 1), watch)).unwrap();
        let votes = votes(&near, &labels, &[0.5, 0.5]);
        (targets(&near, &labels, &votes, 3), labels)
    }

    #[test]
    fn values_sum_to_what_the_model_gets_right_and_a_wrong_label_is_worth_less_than_nothing() {
        let (targets, _) = example();
        assert!(targets.values[0] < 0.0, "{}", targets.values[0]);
        let mean = targets.values.iter().map(|value| f64::from(*value)).sum::<f64>() / 800_000.0;
        assert!((mean - targets.accuracy).abs() < 0.1, "{mean} {}", targets.accuracy);
    }

    #[test]
    fn flipping_the_most_valuable_labels_costs_more_than_flipping_random_ones() {
        let (targets, _) = example();
        let last = targets.doses.last().unwrap();
        assert!(last.accuracy_targeted < last.accuracy_random, "{last:?}");
        assert!(last.accuracy_random <= targets.accuracy);
    }

    #[test]
    fn fragility_is_a_share() {
        let (targets, _) = example();
        assert!(targets.fragility.iter().all(|value| (0.0..=1.0).contains(value)));
    }
}
