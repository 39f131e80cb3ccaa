//! Boosted trees on binned columns, out of fold: the member for mixed tables, whose columns neither distances nor random
//! splits weigh well.
//!
//! Sources: Friedman 2001 (gradient boosting); Chen and Guestrin 2016 (second-order leaves and gains over histograms).

use crate::PoisonError;
use crate::at::{add, at, row_mut};
use crate::bins::Bins;
use crate::folds::{self, FOLD_COUNT};
use crate::fourier::softmax;
use crate::random::Random;
use crate::table::Matrix;
use crate::watch::Watch;

const LEVEL_COUNT: usize = 5;
const ROUND_COUNT_MAX: usize = 70;
/// With fewer rounds than this it is no use.
const ROUND_COUNT_MIN: usize = 30;
/// Additions to histograms that all folds may cost together.
const WORK_MAX: usize = 3_000_000_000;
const STEP: f32 = 0.12;
/// The penalty on a leaf's value, and the least curvature on either side of a split.
const PENALTY: f32 = 2.0;
const CURVATURE_MIN: f32 = 3.0;
/// Columns that are boosted over; wider tables have other members.
const COLUMN_COUNT_MAX: usize = 128;
const BIN_COUNT: usize = 256;
const NO_COLUMN: u32 = u32::MAX;

/// How many rounds are affordable; none if too few would be.
pub(crate) fn rounds(bins: &Bins, classes: usize) -> Option<usize> {
    let round = bins.rows() * bins.columns() * outputs(classes) * LEVEL_COUNT * FOLD_COUNT;
    let rounds = (WORK_MAX / round.max(1)).min(ROUND_COUNT_MAX);
    let fits = bins.columns() <= COLUMN_COUNT_MAX && rounds >= ROUND_COUNT_MIN;
    fits.then_some(rounds)
}

/// How many rounds one model of some rows can afford.
pub(crate) fn rounds_of_one(bins: &Bins, rows: usize, classes: usize) -> Option<usize> {
    let round = rows * bins.columns() * outputs(classes) * LEVEL_COUNT;
    let rounds = (WORK_MAX / FOLD_COUNT / round.max(1)).min(ROUND_COUNT_MAX);
    let fits = (1..=COLUMN_COUNT_MAX).contains(&bins.columns()) && rounds >= ROUND_COUNT_MIN;
    fits.then_some(rounds)
}

/// Two classes share one score.
const fn outputs(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

/// Class probabilities of each row from models that have not seen its fold.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn out_of_fold(
    bins: &Bins,
    labels: &[u32],
    classes: usize,
    (rounds, seed): (usize, u64),
    watch: &Watch<'_>,
) -> Result<Matrix, PoisonError> {
    folds::out_of_fold(labels.len(), classes, &mut Random::new(seed, 0x626f_6f73), |_, others, own| {
        let booster = Booster::learn((bins, labels, classes), others, rounds, watch)?;
        Ok(own.iter().map(|index| booster.probabilities(bins.row(*index as usize))).collect())
    })
}

/// Trees that were learnt, a score a class; two classes share one.
pub(crate) struct Booster {
    classes: usize,
    start: Vec<f32>,
    /// One tree a round and score.
    trees: Vec<Tree>,
}

/// Slope and curvature of the loss.
type Slopes = [f32; 2];

impl Booster {
    /// Learns from the chosen rows.
    ///
    /// # Errors
    /// `Cancelled` when the watch says so.
    pub(crate) fn learn(
        (bins, labels, classes): (&Bins, &[u32], usize),
        rows: &[u32],
        rounds: usize,
        watch: &Watch<'_>,
    ) -> Result<Self, PoisonError> {
        let outputs = outputs(classes);
        let mut booster = Self { classes, start: start(labels, rows, classes), trees: Vec::new() };
        let mut scores: Vec<f32> = booster.start.iter().copied().cycle().take(rows.len() * outputs).collect();
        let mut histogram = vec![[0.0_f32; 2]; (1 << (LEVEL_COUNT - 1)) * bins.columns() * BIN_COUNT];
        let mut slopes: Vec<Slopes> = vec![[0.0; 2]; rows.len()];
        for _ in 0..rounds {
            let expected: Vec<Vec<f32>> = scores.chunks_exact(outputs).map(|own| booster.of_scores(own)).collect();
            for output in 0..outputs {
                watch.check()?;
                // The one score of two classes speaks for the second.
                let class = if outputs == 1 { 1 } else { output };
                for ((slope, own), index) in slopes.iter_mut().zip(&expected).zip(rows) {
                    let value = at(own, class);
                    let wanted = f32::from(u8::from(at(labels, *index as usize) as usize == class));
                    *slope = [value - wanted, (value * (1.0 - value)).max(1e-6)];
                }
                let tree = Tree::grow(bins, rows, &slopes, &mut histogram);
                for (place, index) in rows.iter().enumerate() {
                    add(&mut scores, place * outputs + output, tree.value(bins.row(*index as usize)));
                }
                booster.trees.push(tree);
            }
        }
        Ok(booster)
    }

    /// Class probabilities of a row of bins.
    pub(crate) fn probabilities(&self, own: &[u8]) -> Vec<f32> {
        let mut scores = self.start.clone();
        for (place, tree) in self.trees.iter().enumerate() {
            add(&mut scores, place % self.start.len().max(1), tree.value(own));
        }
        self.of_scores(&scores)
    }

    fn of_scores(&self, scores: &[f32]) -> Vec<f32> {
        let mut out = if self.classes == 2 { vec![0.0, at(scores, 0)] } else { scores.to_vec() };
        softmax(&mut out);
        out
    }
}

/// The scores of the classes' shares alone.
fn start(labels: &[u32], rows: &[u32], classes: usize) -> Vec<f32> {
    let mut counts = vec![1.0_f32; classes];
    for index in rows {
        add(&mut counts, at(labels, *index as usize) as usize, 1.0);
    }
    if classes == 2 {
        return vec![(at(&counts, 1) / at(&counts, 0)).ln()];
    }
    counts.iter().map(|count| count.ln()).collect()
}

/// A tree of full depth: splits of all levels, then leaves.
struct Tree {
    /// The column and the last bin that goes left.
    splits: Vec<(u32, u8)>,
    leaves: Vec<f32>,
}

impl Tree {
    fn grow(bins: &Bins, rows: &[u32], slopes: &[Slopes], histogram: &mut [Slopes]) -> Self {
        let mut tree = Self { splits: Vec::new(), leaves: Vec::new() };
        let columns = bins.columns();
        let mut nodes = vec![0_u16; rows.len()];
        for level in 0..LEVEL_COUNT {
            let count = 1_usize << level;
            let used = histogram.get_mut(..count * columns * BIN_COUNT).unwrap_or(&mut []);
            used.fill([0.0; 2]);
            for ((index, node), slope) in rows.iter().zip(&nodes).zip(slopes) {
                let own = row_mut(used, columns * BIN_COUNT, usize::from(*node));
                for (bins, bin) in own.chunks_exact_mut(BIN_COUNT).zip(bins.row(*index as usize)) {
                    if let Some(sum) = bins.get_mut(usize::from(*bin)) {
                        *sum = [sum[0] + slope[0], sum[1] + slope[1]];
                    }
                }
            }
            let splits: Vec<(u32, u8)> = used.chunks_exact(columns * BIN_COUNT).map(best_split).collect();
            for (index, node) in rows.iter().zip(&mut nodes) {
                *node = 2 * *node + u16::from(goes_right(at(&splits, usize::from(*node)), bins.row(*index as usize)));
            }
            tree.splits.extend(splits);
        }
        let mut sums = vec![[0.0_f32; 2]; 1 << LEVEL_COUNT];
        for (node, slope) in nodes.iter().zip(slopes) {
            if let Some(sum) = sums.get_mut(usize::from(*node)) {
                *sum = [sum[0] + slope[0], sum[1] + slope[1]];
            }
        }
        tree.leaves = sums.iter().map(|[slope, curvature]| -STEP * slope / (curvature + PENALTY)).collect();
        tree
    }

    fn value(&self, own: &[u8]) -> f32 {
        let (mut node, mut first) = (0, 0);
        for level in 0..LEVEL_COUNT {
            node = 2 * node + usize::from(goes_right(at(&self.splits, first + node), own));
            first += 1 << level;
        }
        at(&self.leaves, node)
    }
}

fn goes_right((column, bin): (u32, u8), own: &[u8]) -> bool {
    column != NO_COLUMN && at(own, column as usize) > bin
}

/// The split of a node with the greatest gain; [`NO_COLUMN`] if none gains.
fn best_split(histogram: &[Slopes]) -> (u32, u8) {
    let mut best = (1e-3_f32, (NO_COLUMN, 0));
    for (column, bins) in histogram.chunks_exact(BIN_COUNT).enumerate() {
        let total = bins.iter().fold([0.0_f32; 2], |sum, bin| [sum[0] + bin[0], sum[1] + bin[1]]);
        let whole = total[0] * total[0] / (total[1] + PENALTY);
        let mut left = [0.0_f32; 2];
        for (bin, sum) in bins.iter().enumerate() {
            if sum[1] == 0.0 {
                continue;
            }
            left = [left[0] + sum[0], left[1] + sum[1]];
            let right = [total[0] - left[0], total[1] - left[1]];
            if left[1] < CURVATURE_MIN || right[1] < CURVATURE_MIN {
                continue;
            }
            let gain = left[0] * left[0] / (left[1] + PENALTY) + right[0] * right[0] / (right[1] + PENALTY) - whole;
            if gain > best.0 {
                best = (gain, (u32::try_from(column).unwrap_or(NO_COLUMN), u8::try_from(bin).unwrap_or(u8::MAX)));
            }
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::quiet;

    fn right(classes: u32, label: impl Fn(f32, f32) -> u32) -> usize {
        let mut random = Random::new(9, 9);
        let values: Vec<f32> = (0..4_000).map(|_| random.unit()).collect();
        let labels: Vec<u32> = values.chunks_exact(2).map(|row| label(row[0], row[1])).collect();
        let bins = Bins::fine(&Matrix::new(2, values).unwrap(), 1);
        let run = |watch: &Watch<'_>| out_of_fold(&bins, &labels, classes as usize, (30, 1), watch);
        let probabilities = quiet(run).unwrap();
        probabilities.iter().zip(&labels).filter(|(row, label)| crate::at::argmax(row) == **label as usize).count()
    }

    #[test]
    fn a_chequered_board_of_two_classes_is_learnt() {
        let right = right(2, |x, y| u32::from((x > 0.5) != (y > 0.3)));
        assert!(right > 1_900, "{right} of 2,000");
    }

    #[test]
    fn three_classes_are_learnt() {
        let right = right(3, |x, y| if x > 0.6 { 2 } else { u32::from(y > 0.4) });
        assert!(right > 1_950, "{right} of 2,000");
    }

    #[test]
    fn large_tables_are_left_to_other_members() {
        let wide = Bins::fine(&Matrix::zeros(30, 129), 1);
        assert_eq!(rounds(&wide, 2), None);
        assert_eq!(rounds(&Bins::fine(&Matrix::zeros(1_000, 10), 1), 2), Some(ROUND_COUNT_MAX));
    }
}
