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

const PASS_COUNT_MAX: usize = 8;
const STEP: f32 = 0.5;
/// How hard to learn.
#[derive(Clone, Copy)]
pub(crate) struct Effort {
    /// The penalty on each weight's square, against the rows' summed surprise.
    pub(crate) penalty: f32,
    /// Multiplications that five models may cost together; more rows get fewer passes.
    pub(crate) work_max: usize,
    pub(crate) passes_min: usize,
}
/// For words alone, and where pairs of words share a row's length with them.
pub(crate) const WORDS: Effort = Effort { penalty: 1.0, work_max: 6_000_000_000, passes_min: 2 };
pub(crate) const PAIRS: Effort = Effort { penalty: 0.4, work_max: 6_000_000_000, passes_min: 2 };
/// Weights of one model; wider tables are not learnt from.
pub(crate) const WEIGHT_COUNT_MAX: usize = 1 << 24;

/// A row teaches nothing more if no class's probability is farther than this from what it should be.
const SLOPE_MIN: f32 = 1e-3;
/// What is taken for nothing.
const TINY_SLOPE: f32 = 1e-6;
/// Weights that are changed together: as many as every processor takes at once.
const LANE_COUNT: usize = 4;

/// A linear score a class.
pub(crate) struct Linear {
    classes: usize,
    /// Classes, filled up to whole lanes: what is beyond them is nothing.
    stride: usize,
    /// `(tokens + 1) × stride`; the last row is the offset.
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
        (effort, seed): (Effort, u64),
        watch: &Watch<'_>,
    ) -> Result<Self, PoisonError> {
        let offset = tokens.width();
        let stride = classes.next_multiple_of(LANE_COUNT);
        // A token's weights and the sums of their slopes' squares lie side by side: they are always wanted together.
        let mut state = [vec![0.0_f32; stride], vec![1e-4; stride]].concat().repeat(offset + 1);
        let mut order = rows.to_vec();
        let mut random = Random::new(seed, 0x7370_6172);
        let work = (tokens.entries() * classes * FOLD_COUNT).max(1);
        let passes = (effort.work_max / work).clamp(effort.passes_min, PASS_COUNT_MAX);
        // The weights of two classes mirror each other: each is half of what tells them apart, and its square a quarter.
        let penalty = if classes == 2 { 2.0 * effort.penalty } else { effort.penalty };
        let decays = decays(tokens, rows, penalty);
        let mut sums = vec![0.0_f32; (offset + 1) * stride];
        let mut slopes = vec![0.0_f32; stride];
        for pass in 0..passes {
            random.shuffle(&mut order);
            for (count, index) in order.iter().enumerate() {
                if count % 4_096 == 0 {
                    watch.check()?;
                }
                let index = *index as usize;
                answer((&state, 2 * stride, classes), tokens.row(index), &mut slopes);
                add(&mut slopes, at(labels, index) as usize, -1.0);
                if slopes.iter().all(|slope| slope.abs() < SLOPE_MIN) {
                    continue;
                }
                // Squares of less are too small for ordinary numbers, with which processors are a hundred times slower.
                slopes.iter_mut().filter(|slope| slope.abs() < TINY_SLOPE).for_each(|slope| *slope = 0.0);
                let entries = tokens.row(index).map(|(token, weight)| (token, weight, at(&decays, token)));
                for (token, weight, decay) in entries.chain([(offset, 1.0, 0.0)]) {
                    let (own, squares) = row_mut(&mut state, 2 * stride, token).split_at_mut(stride);
                    step(own, squares, &slopes, (weight, decay));
                }
            }
            if pass >= passes / 2 {
                for (sums, own) in sums.chunks_exact_mut(stride).zip(state.chunks_exact(2 * stride)) {
                    sums.iter_mut().zip(own).for_each(|(sum, weight)| *sum += weight);
                }
            }
        }
        let averaged = (passes - passes / 2) as f32;
        Ok(Self { classes, stride, weights: sums.into_iter().map(|sum| sum / averaged).collect() })
    }

    /// Class probabilities of a row.
    pub(crate) fn probabilities(&self, tokens: impl Iterator<Item = (usize, f32)>) -> Vec<f32> {
        let mut out = vec![0.0; self.stride];
        answer((&self.weights, self.stride, self.classes), tokens, &mut out);
        out.truncate(self.classes);
        out
    }
}

/// Writes the class probabilities of a row, by weights of which each token's begin a pitch after the last one's; what is
/// beyond the classes is nothing.
fn answer((weights, pitch, classes): (&[f32], usize, usize), tokens: impl Iterator<Item = (usize, f32)>, out: &mut [f32]) {
    let offset = (weights.len() / pitch.max(1)).saturating_sub(1);
    out.iter_mut().zip(row(weights, pitch, offset)).for_each(|(score, value)| *score = *value);
    for (token, weight) in tokens {
        let own = row(weights, pitch, token).as_chunks::<LANE_COUNT>().0;
        for (scores, values) in out.as_chunks_mut::<LANE_COUNT>().0.iter_mut().zip(own) {
            let before = *scores;
            *scores = std::array::from_fn(|lane| at(&before, lane) + weight * at(values, lane));
        }
    }
    softmax(out.get_mut(..classes).unwrap_or(&mut []));
}

/// The part of each token's penalty that is paid each time it occurs.
fn decays(tokens: &Tokens, rows: &[u32], penalty: f32) -> Vec<f32> {
    let mut frequencies = vec![0_u32; tokens.width()];
    for index in rows {
        for token in tokens.tokens(*index as usize) {
            add(&mut frequencies, *token as usize, 1);
        }
    }
    frequencies.iter().map(|frequency| penalty / (*frequency).max(1) as f32).collect()
}

/// One adaptive step of a token's weights. Read and written whole, so that it compiles to vector instructions.
fn step(own: &mut [f32], squares: &mut [f32], slopes: &[f32], (weight, decay): (f32, f32)) {
    let lanes = own.as_chunks_mut::<LANE_COUNT>().0.iter_mut().zip(squares.as_chunks_mut::<LANE_COUNT>().0);
    for ((own, squares), slopes) in lanes.zip(slopes.as_chunks::<LANE_COUNT>().0) {
        let (values, sums) = (*own, *squares);
        let slopes: [f32; LANE_COUNT] = std::array::from_fn(|lane| at(slopes, lane) * weight + at(&values, lane) * decay);
        let sums: [f32; LANE_COUNT] = std::array::from_fn(|lane| at(&sums, lane) + at(&slopes, lane) * at(&slopes, lane));
        *squares = sums;
        *own = std::array::from_fn(|lane| at(&values, lane) - STEP * at(&slopes, lane) / at(&sums, lane).sqrt());
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
    (effort, seed): (Effort, u64),
    watch: &Watch<'_>,
) -> Result<Matrix, PoisonError> {
    folds::out_of_fold(labels.len(), classes, &mut Random::new(seed, 0x666f_6c64), |fold, others, own| {
        let model = Linear::learn((tokens, labels, classes), others, (effort, seed ^ fold as u64), watch)?;
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
        let probabilities = quiet(|watch| out_of_fold(&tokens, &labels, 2, (WORDS, 1), watch)).unwrap();
        let right = probabilities.iter().zip(&labels).filter(|(row, label)| row[**label as usize] > 0.5).count();
        assert!((860..940).contains(&right), "{right}");
        let mean: f32 = probabilities.iter().map(|row| row[0].max(row[1])).sum::<f32>() / 1_000.0;
        assert!((mean - 0.9).abs() < 0.05, "{mean}");
    }

    #[test]
    fn the_seed_decides() {
        let (tokens, labels) = rows(100);
        let run = |seed| quiet(|watch| out_of_fold(&tokens, &labels, 2, (WORDS, seed), watch)).unwrap();
        assert_eq!(run(1), run(1));
    }
}
