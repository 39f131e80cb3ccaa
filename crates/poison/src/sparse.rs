//! A linear classifier on sparse rows, out of fold: multinomial logistic regression by adaptive gradient steps.
//!
//! Sources: Duchi, Hazan and Singer 2011 (AdaGrad); Polyak and Juditsky 1992 (the mean of the later passes' weights). Each token's share of the penalty is paid when it occurs.

use crate::PoisonError;
use crate::at::{add, at, row, row_mut};
use crate::folds::{self, FOLD_COUNT};
use crate::fourier::softmax;
use crate::random::Random;
use crate::table::{Matrix, Tokens};
use crate::watch::Watch;

/// Multiplications that all folds may cost together; more rows get fewer passes.
const WORK_MAX: usize = 6_000_000_000;
const PASS_COUNT_MAX: usize = 8;
const PASS_COUNT_MIN: usize = 2;
const STEP: f32 = 0.5;
/// The penalty on each weight's square, against the rows' summed surprise: for words alone, and where pairs of words share a
/// row's length with them.
pub(crate) const WORD_PENALTY: f32 = 1.0;
pub(crate) const PAIR_PENALTY: f32 = 0.4;
/// Weights of one model; wider tables are not learnt from.
pub(crate) const WEIGHT_COUNT_MAX: usize = 1 << 24;

/// A linear score a class.
pub(crate) struct Linear {
    classes: usize,
    /// `(tokens + 1) × classes`; the last row is the offset.
    weights: Vec<f32>,
}

impl Linear {
    /// Learns from the chosen rows.
    ///
    /// # Errors
    /// `Cancelled` when the watch says so.
    pub(crate) fn learn(
        (tokens, labels, classes): (&Tokens, &[u32], usize),
        rows: &[u32],
        (penalty, seed): (f32, u64),
        watch: &Watch<'_>,
    ) -> Result<Self, PoisonError> {
        let offset = tokens.width();
        let mut model = Self { classes, weights: vec![0.0; (offset + 1) * classes] };
        let mut squares = vec![1e-4_f32; (offset + 1) * classes];
        let mut frequencies = vec![0_u32; offset];
        for index in rows {
            for token in tokens.tokens(*index as usize) {
                add(&mut frequencies, *token as usize, 1);
            }
        }
        let mut order = rows.to_vec();
        let mut random = Random::new(seed, 0x7370_6172);
        let work = (tokens.entries() * classes * FOLD_COUNT).max(1);
        let passes = (WORK_MAX / work).clamp(PASS_COUNT_MIN, PASS_COUNT_MAX);
        // The weights of two classes mirror each other: each is half of what tells them apart, and its square a quarter.
        let penalty = if classes == 2 { 2.0 * penalty } else { penalty };
        let mut sums = vec![0.0_f32; model.weights.len()];
        for pass in 0..passes {
            random.shuffle(&mut order);
            for (count, index) in order.iter().enumerate() {
                if count % 4_096 == 0 {
                    watch.check()?;
                }
                let index = *index as usize;
                let mut slopes = model.probabilities(tokens.row(index));
                add(&mut slopes, at(labels, index) as usize, -1.0);
                let entries =
                    tokens.row(index).map(|(token, weight)| (token, weight, penalty / at(&frequencies, token).max(1) as f32));
                for (token, weight, decay) in entries.chain([(offset, 1.0, 0.0)]) {
                    let own = row_mut(&mut model.weights, classes, token);
                    let squares = row_mut(&mut squares, classes, token);
                    for ((value, square), slope) in own.iter_mut().zip(squares).zip(&slopes) {
                        let slope = slope * weight + *value * decay;
                        *square += slope * slope;
                        *value -= STEP * slope / square.sqrt();
                    }
                }
            }
            if pass >= passes / 2 {
                sums.iter_mut().zip(&model.weights).for_each(|(sum, weight)| *sum += weight);
            }
        }
        let averaged = (passes - passes / 2) as f32;
        model.weights = sums.into_iter().map(|sum| sum / averaged).collect();
        Ok(model)
    }

    /// Class probabilities of a row.
    pub(crate) fn probabilities(&self, tokens: impl Iterator<Item = (usize, f32)>) -> Vec<f32> {
        let offset = (self.weights.len() / self.classes.max(1)).saturating_sub(1);
        let mut scores = row(&self.weights, self.classes, offset).to_vec();
        for (token, weight) in tokens {
            let own = row(&self.weights, self.classes, token);
            scores.iter_mut().zip(own).for_each(|(score, value)| *score += weight * value);
        }
        softmax(&mut scores);
        scores
    }
}

/// Class probabilities of each row from models that have not seen its fold.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn out_of_fold(
    tokens: &Tokens,
    labels: &[u32],
    classes: usize,
    (penalty, seed): (f32, u64),
    watch: &Watch<'_>,
) -> Result<Matrix, PoisonError> {
    folds::out_of_fold(labels.len(), classes, &mut Random::new(seed, 0x666f_6c64), |fold, others, own| {
        let model = Linear::learn((tokens, labels, classes), others, (penalty, seed ^ fold as u64), watch)?;
        Ok(own.iter().map(|index| model.probabilities(tokens.row(*index as usize))).collect())
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::quiet;

    /// Every row has one of 20 common tokens; token 30 or 31 tells the class in nine of ten rows.
    fn rows(count: usize) -> (Tokens, Vec<u32>) {
        let mut random = Random::new(6, 6);
        let mut tokens = Tokens::new(40);
        let labels: Vec<u32> = (0..count).map(|index| u32::try_from(index % 2).unwrap()).collect();
        for label in &labels {
            let telling = if random.unit() < 0.9 { 30 + label } else { 30 + (1 - label) };
            tokens.push([(u32::try_from(random.below(20)).unwrap(), 1.0), (telling, 1.0)]);
        }
        tokens.weigh(|_| 1.0);
        (tokens, labels)
    }

    #[test]
    fn telling_tokens_are_learnt_and_the_probabilities_are_calibrated() {
        let (tokens, labels) = rows(1_000);
        let probabilities = quiet(|watch| out_of_fold(&tokens, &labels, 2, (WORD_PENALTY, 1), watch)).unwrap();
        let right = probabilities.iter().zip(&labels).filter(|(row, label)| row[**label as usize] > 0.5).count();
        assert!((860..940).contains(&right), "{right}");
        let mean: f32 = probabilities.iter().map(|row| row[0].max(row[1])).sum::<f32>() / 1_000.0;
        assert!((mean - 0.9).abs() < 0.05, "{mean}");
    }

    #[test]
    fn the_seed_decides() {
        let (tokens, labels) = rows(100);
        let run = |seed| quiet(|watch| out_of_fold(&tokens, &labels, 2, (WORD_PENALTY, seed), watch)).unwrap();
        assert_eq!(run(1), run(1));
    }
}
