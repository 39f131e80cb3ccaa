//! Pools the members' probabilities: a weighted sum of logarithms, its weights by coordinate search on the rows' own labels.

use rayon::prelude::*;

use crate::at::at;
use crate::fourier::softmax;
use crate::random::Random;
use crate::table::Matrix;

/// Rows on which weights are judged.
const JUDGED_ROW_COUNT_MAX: usize = 8_000;
const ROUND_COUNT: usize = 4;
/// Weights that are tried for each member.
const WEIGHTS: [f32; 11] = [0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.15, 1.5, 2.0, 2.75];
/// Below this a probability is taken as this: no member alone can rule a class out.
const FLOOR: f32 = 1e-5;

/// The pooled probabilities, and each member's weight.
pub(crate) fn pool(members: &[Matrix], labels: &[u32], seed: u64) -> (Matrix, Vec<f32>) {
    let judged = Random::new(seed, 0x706f_6f6c).sample(labels.len(), JUDGED_ROW_COUNT_MAX);
    let samples: Vec<Matrix> = members.iter().map(|member| logarithms(&member.chosen(&judged))).collect();
    let wanted: Vec<u32> = judged.iter().map(|index| at(labels, *index as usize)).collect();
    let mut weights = vec![1.0 / members.len().max(1) as f32; members.len()];
    let mut best = loss(&samples, &weights, &wanted);
    for _ in 0..ROUND_COUNT {
        let before = best;
        for member in 0..members.len() {
            let tried: Vec<(f64, Vec<f32>)> = WEIGHTS
                .par_iter()
                .map(|weight| {
                    let mut changed = weights.clone();
                    crate::at::put(&mut changed, member, *weight);
                    (loss(&samples, &changed, &wanted), changed)
                })
                .collect();
            for (value, changed) in tried {
                if value < best {
                    (best, weights) = (value, changed);
                }
            }
        }
        if best >= before {
            break;
        }
    }
    (combine(members, &weights), weights)
}

fn logarithms(table: &Matrix) -> Matrix {
    let mut table = table.clone();
    table.values_mut().iter_mut().for_each(|value| *value = value.max(FLOOR).ln());
    table
}

fn loss(logarithms: &[Matrix], weights: &[f32], labels: &[u32]) -> f64 {
    let classes = logarithms.first().map_or(0, Matrix::columns);
    let mut scores = vec![0.0_f32; classes];
    let mut total = 0.0;
    for (index, label) in labels.iter().enumerate() {
        scores.fill(0.0);
        for (table, weight) in logarithms.iter().zip(weights) {
            scores.iter_mut().zip(table.row(index)).for_each(|(score, value)| *score += weight * value);
        }
        let greatest = scores.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let sum: f32 = scores.iter().map(|score| (score - greatest).exp()).sum();
        total -= f64::from(at(&scores, *label as usize) - greatest - sum.ln());
    }
    total
}

/// The pooled probabilities under given weights.
fn combine(members: &[Matrix], weights: &[f32]) -> Matrix {
    let Some(first) = members.first() else { return Matrix::default() };
    let mut pooled = Matrix::zeros(first.rows(), first.columns());
    pooled.par_rows_mut().enumerate().for_each(|(index, own)| {
        for (member, weight) in members.iter().zip(weights).filter(|(_, weight)| **weight > 0.0) {
            own.iter_mut().zip(member.row(index)).for_each(|(score, value)| *score += weight * value.max(FLOOR).ln());
        }
        softmax(own);
    });
    pooled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_member_that_knows_outweighs_one_that_guesses() {
        let mut random = Random::new(8, 8);
        let labels: Vec<u32> = (0..2_000).map(|index| index % 2).collect();
        let knows = labels.iter().flat_map(|label| {
            let right = if random.unit() < 0.9 { 0.9 } else { 0.1 };
            if *label == 0 { [right, 1.0 - right] } else { [1.0 - right, right] }
        });
        let knows = Matrix::new(2, knows.collect()).unwrap();
        let guesses = (0..2_000).flat_map(|_| {
            let share = random.unit();
            [share, 1.0 - share]
        });
        let guesses = Matrix::new(2, guesses.collect()).unwrap();
        let (pooled, weights) = pool(&[knows, guesses], &labels, 1);
        assert!(weights[0] > 0.7 && weights[1] < 0.15, "{weights:?}");
        assert!(pooled.iter().all(|row| (row[0] + row[1] - 1.0).abs() < 1e-5));
    }
}
