//! Pools the members' probabilities in two ways and takes the middle: a weighted product, its weights by coordinate search,
//! is sharp and follows the surest; a plain mean is blunt and hard to mislead. Votes of trees are too modest and kernels of few
//! rows far too sure: so for the mean each member is tempered until the rows' own labels surprise it least. Which members to
//! believe more is not asked there: labels of which some are wrong tell little of that.
//!
//! Sources: Genest and Zidek 1986 (logarithmic and linear opinion pools); Dempster, Laird and Rubin 1977; Guo et al. 2017
//! (temperature scaling).

use rayon::prelude::*;

use crate::at::at;
use crate::fourier::softmax;
use crate::random::Random;
use crate::table::Matrix;

/// Rows on which weights are judged.
const JUDGED_ROW_COUNT_MAX: usize = 8_000;
const ROUND_COUNT: usize = 4;
const MEAN_ROUND_COUNT: usize = 60;
/// Weights that are tried for each member.
const WEIGHTS: [f32; 11] = [0.0, 0.1, 0.2, 0.35, 0.5, 0.7, 0.9, 1.15, 1.5, 2.0, 2.75];
/// Below this a probability is taken as this: no member alone can rule a class out.
const FLOOR: f32 = 1e-5;

/// What the members say together.
pub(crate) struct Pooled {
    /// The middle of the product and the mean of tempered members.
    pub(crate) probabilities: Matrix,
    /// The middle of the weighted mean and the plain one. Sharp probabilities learn flips of one way along with the classes;
    /// these show them better.
    pub(crate) even: Matrix,
    /// Each member's weight in the product.
    pub(crate) weights: Vec<f32>,
}

/// Pools the members.
pub(crate) fn pool(members: &[Matrix], labels: &[u32], seed: u64) -> Pooled {
    let judged = Random::new(seed, 0x706f_6f6c).sample(labels.len(), JUDGED_ROW_COUNT_MAX);
    let samples: Vec<Matrix> = members.iter().map(|member| logarithms(&member.chosen(&judged))).collect();
    let wanted: Vec<u32> = judged.iter().map(|index| at(labels, *index as usize)).collect();
    let (_, weights) = product_weights(&samples, &wanted);
    let powers: Vec<f32> = samples.par_iter().map(|sample| power(sample, &wanted)).collect();
    let shares = mean_weights(members, (&judged, &wanted));
    combine(members, weights, (&powers, &shares))
}

/// The part of the pool's surprise that one more member would take away, of which the answers for these rows are known.
pub(crate) fn help(members: &[Matrix], (rows, more): (&[u32], &Matrix), labels: &[u32]) -> f64 {
    const JUDGED: usize = 2_000;
    let judged = rows.get(..JUDGED.min(rows.len())).unwrap_or(rows);
    let mut samples: Vec<Matrix> = members.iter().map(|member| logarithms(&member.chosen(judged))).collect();
    let wanted: Vec<u32> = judged.iter().map(|index| at(labels, *index as usize)).collect();
    let (without, _) = product_weights(&samples, &wanted);
    let places: Vec<u32> = (0..u32::try_from(judged.len()).unwrap_or(u32::MAX)).collect();
    samples.push(logarithms(&more.chosen(&places)));
    let (with, _) = product_weights(&samples, &wanted);
    if without > 0.0 { 1.0 - with / without } else { 0.0 }
}

/// The weights of a product of the members such that the labels surprise least, by coordinate search; and that surprise.
fn product_weights(samples: &[Matrix], wanted: &[u32]) -> (f64, Vec<f32>) {
    let mut weights = vec![1.0 / samples.len().max(1) as f32; samples.len()];
    let mut best = loss(samples, &weights, wanted);
    for _ in 0..ROUND_COUNT {
        let before = best;
        for member in 0..samples.len() {
            let tried: Vec<(f64, Vec<f32>)> = WEIGHTS
                .par_iter()
                .map(|weight| {
                    let mut changed = weights.clone();
                    crate::at::put(&mut changed, member, *weight);
                    (loss(samples, &changed, wanted), changed)
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
    (best, weights)
}

/// The power to which a member's probabilities are raised such that the labels surprise it least.
fn power(logarithms: &Matrix, wanted: &[u32]) -> f32 {
    let surprise = |power: f32| loss(std::slice::from_ref(logarithms), &[power], wanted);
    let tried = WEIGHTS.iter().filter(|power| **power > 0.0).map(|power| (surprise(*power), *power));
    tried.min_by(|left, right| left.0.total_cmp(&right.0)).map_or(1.0, |(_, power)| power)
}

/// The members' weights in a mean, such that the labels are most probable.
fn mean_weights(members: &[Matrix], (rows, labels): (&[u32], &[u32])) -> Vec<f32> {
    let mut weights = vec![1.0 / members.len().max(1) as f32; members.len()];
    let said = rows
        .iter()
        .zip(labels)
        .flat_map(|(index, label)| members.iter().map(move |member| at(member.row(*index as usize), *label as usize).max(FLOOR)));
    let said: Vec<f32> = said.collect();
    for _ in 0..MEAN_ROUND_COUNT {
        let mut sums = vec![0.0_f32; members.len()];
        for own in said.chunks_exact(members.len().max(1)) {
            let total: f32 = own.iter().zip(&weights).map(|(value, weight)| value * weight).sum();
            for ((sum, value), weight) in sums.iter_mut().zip(own).zip(&weights) {
                *sum += value * weight / total;
            }
        }
        let total: f32 = sums.iter().sum();
        weights = sums.iter().map(|sum| sum / total.max(f32::MIN_POSITIVE)).collect();
    }
    weights
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

/// The pooled probabilities under given weights of the product, powers of the tempered members and shares of the mean.
fn combine(members: &[Matrix], weights: Vec<f32>, (powers, shares): (&[f32], &[f32])) -> Pooled {
    let Some(first) = members.first() else {
        return Pooled { probabilities: Matrix::default(), even: Matrix::default(), weights };
    };
    let mut pooled = Matrix::zeros(first.rows(), first.columns());
    let mut even = pooled.clone();
    let plain = 1.0 / members.len() as f32;
    pooled.par_rows_mut().zip(even.par_rows_mut()).enumerate().for_each(|(index, (own, even))| {
        let mut mean = vec![0.0_f32; own.len()];
        let mut tempered = mean.clone();
        for (place, (member, weight)) in members.iter().zip(&weights).enumerate() {
            let (share, power) = (at(shares, place), at(powers, place));
            for (class, value) in member.row(index).iter().enumerate() {
                let logarithm = value.max(FLOOR).ln();
                crate::at::add(own, class, weight * logarithm);
                crate::at::put(&mut tempered, class, power * logarithm);
                crate::at::add(even, class, (share + plain) * value);
            }
            softmax(&mut tempered);
            mean.iter_mut().zip(&tempered).for_each(|(mean, value)| *mean += plain * value);
        }
        softmax(own);
        to_sum_one(even);
        own.iter_mut().zip(&mean).for_each(|(value, mean)| *value = 0.5 * (*value + mean));
    });
    Pooled { probabilities: pooled, even, weights }
}

fn to_sum_one(values: &mut [f32]) {
    let total: f32 = values.iter().sum();
    values.iter_mut().for_each(|value| *value /= total.max(f32::MIN_POSITIVE));
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
        let Pooled { probabilities, even, weights } = pool(&[knows.clone(), guesses.clone()], &labels, 1);
        assert!(weights[0] > 0.7 && weights[1] < 0.15, "{weights:?}");
        assert!(probabilities.iter().chain(even.iter()).all(|row| (row[0] + row[1] - 1.0).abs() < 1e-5));
        let rows: Vec<u32> = (0..2_000).collect();
        assert!(help(std::slice::from_ref(&guesses), (&rows, &knows), &labels) > 0.3);
        assert!(help(std::slice::from_ref(&knows), (&rows, &guesses), &labels).abs() < 0.02);
        let shares = mean_weights(&[knows, guesses], (&rows, &labels));
        assert!(shares[0] > 0.9 && (shares[0] + shares[1] - 1.0).abs() < 1e-5, "{shares:?}");
    }

    #[test]
    fn a_member_that_is_too_sure_is_tempered_and_a_modest_one_sharpened() {
        let mut random = Random::new(9, 9);
        let labels: Vec<u32> = (0..4_000).map(|index| index % 2).collect();
        // Right in eight rows of ten, whatever it says of how sure it is.
        let says = |sure: f32, random: &mut Random| {
            let rows = labels.iter().flat_map(|label| {
                let own = if random.unit() < 0.8 { sure } else { 1.0 - sure };
                if *label == 0 { [own, 1.0 - own] } else { [1.0 - own, own] }
            });
            Matrix::new(2, rows.collect()).unwrap()
        };
        for (sure, least, most) in [(0.9999, 0.0, 0.25), (0.8, 0.9, 1.15), (0.6, 2.7, 2.8)] {
            let logarithms = logarithms(&says(sure, &mut random));
            let power = power(&logarithms, &labels);
            assert!((least..=most).contains(&power), "{sure}: {power}");
        }
    }
}
