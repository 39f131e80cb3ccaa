//! Boosted trees on binned columns, out of fold: the member for mixed tables, whose columns neither distances nor random
//! splits weigh well.
//!
//! Sources: Friedman 2001 and 2002 (gradient boosting; each tree learns from a random half of the rows); Chen and Guestrin 2016 (second-order leaves and gains over
//! histograms; each tree sees a part of the columns).

use crate::PoisonError;
use crate::at::{add, at, put};
use crate::bins::Bins;
use crate::folds::{self, FOLD_COUNT};
use crate::fourier::softmax;
use crate::random::Random;
use crate::table::Matrix;
use crate::watch::Watch;

const LEVEL_COUNT: usize = 5;
/// Rounds of many rows, and of few, whose trees take longer steps.
const ROUND_COUNT_MAX: usize = 70;
const ROUND_COUNT_OF_FEW: usize = 40;
const FEW_ROW_COUNT: usize = 10_000;
/// With fewer rounds than this it is no use.
const ROUND_COUNT_MIN: usize = 25;
/// Additions to histograms that all folds may cost together.
const WORK_MAX: usize = 3_000_000_000;
/// The steps of all rounds together.
const STEPS: f32 = 8.0;
/// The penalty on a leaf's value, and the least curvature on either side of a split.
const PENALTY: f32 = 2.0;
const CURVATURE_MIN: f32 = 3.0;
/// What each tree sees: this part of the columns, and of the rows where there are enough.
const COLUMN_SHARE: f64 = 0.5;
const COLUMN_COUNT_MIN: usize = 8;
const ROW_SHARE: f64 = 0.5;
const ROW_COUNT_MIN: usize = 1_000;
/// Bins of a column that are told apart.
const BIN_COUNT_MAX: usize = 64;
/// Columns that are boosted over; wider tables have other members.
const COLUMN_COUNT_MAX: usize = 128;
const NO_COLUMN: u32 = u32::MAX;

/// How many rounds are affordable; none if too few would be.
pub(crate) fn rounds(bins: &Bins, classes: usize) -> Option<usize> {
    let round = bins.rows() * bins.columns() * outputs(classes) * LEVEL_COUNT * FOLD_COUNT;
    let rounds = (WORK_MAX / round.max(1)).min(rounds_of(bins.rows()));
    let fits = bins.columns() <= COLUMN_COUNT_MAX && rounds >= ROUND_COUNT_MIN;
    fits.then_some(rounds)
}

/// How many rounds one model of some rows can afford.
pub(crate) fn rounds_of_one(bins: &Bins, rows: usize, classes: usize) -> Option<usize> {
    let round = rows * bins.columns() * outputs(classes) * LEVEL_COUNT;
    let rounds = (WORK_MAX / FOLD_COUNT / round.max(1)).min(rounds_of(rows));
    let fits = (1..=COLUMN_COUNT_MAX).contains(&bins.columns()) && rounds >= ROUND_COUNT_MIN;
    fits.then_some(rounds)
}

const fn rounds_of(rows: usize) -> usize {
    if rows < FEW_ROW_COUNT { ROUND_COUNT_OF_FEW } else { ROUND_COUNT_MAX }
}

/// Two classes share one score.
const fn outputs(classes: usize) -> usize {
    if classes == 2 { 1 } else { classes }
}

/// Class probabilities of each row from models that have not seen its fold; none where they do not help on the first fold.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn out_of_fold(
    bins: &Bins,
    labels: &[u32],
    classes: usize,
    (rounds, seed): (usize, u64),
    helps: impl FnOnce(&[u32], &Matrix) -> bool,
    watch: &Watch<'_>,
) -> Result<Option<Matrix>, PoisonError> {
    folds::out_of_fold_if(labels.len(), classes, &mut Random::new(seed, 0x626f_6f73), helps, |fold, others, own| {
        let booster = Booster::learn((bins, labels, classes), others, (rounds, seed ^ fold as u64), watch)?;
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
pub(crate) type Slopes = [f32; 2];

impl Booster {
    /// Learns from the chosen rows.
    ///
    /// # Errors
    /// `Cancelled` when the watch says so.
    pub(crate) fn learn(
        (bins, labels, classes): (&Bins, &[u32], usize),
        rows: &[u32],
        (rounds, seed): (usize, u64),
        watch: &Watch<'_>,
    ) -> Result<Self, PoisonError> {
        let outputs = outputs(classes);
        let mut booster = Self { classes, start: start(labels, rows, classes), trees: Vec::new() };
        let mut scores: Vec<f32> = booster.start.iter().copied().cycle().take(rows.len() * outputs).collect();
        let mut grower = Grower::new(bins, rows, STEPS / rounds.max(1) as f32);
        let mut random = Random::new(seed, 0x6772_6f77);
        let mut slopes: Vec<Slopes> = vec![[0.0; 2]; rows.len()];
        let mut expected = vec![0.0_f32; rows.len() * classes];
        for _ in 0..rounds {
            for (expected, own) in expected.chunks_exact_mut(classes).zip(scores.chunks_exact(outputs)) {
                of_scores(own, expected);
            }
            for output in 0..outputs {
                watch.check()?;
                // The one score of two classes speaks for the second.
                let class = if outputs == 1 { 1 } else { output };
                for ((slope, own), index) in slopes.iter_mut().zip(expected.chunks_exact(classes)).zip(rows) {
                    let value = at(own, class);
                    let wanted = f32::from(u8::from(at(labels, *index as usize) as usize == class));
                    *slope = [value - wanted, (value * (1.0 - value)).max(1e-6)];
                }
                let tree = grower.grow(&slopes, &mut random);
                for (score, own) in scores.iter_mut().skip(output).step_by(outputs).zip(grower.rows()) {
                    *score += tree.value(own);
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
        let mut out = vec![0.0; self.classes];
        of_scores(&scores, &mut out);
        out
    }
}

/// Class probabilities by the scores.
fn of_scores(scores: &[f32], out: &mut [f32]) {
    if scores.len() == out.len() {
        out.iter_mut().zip(scores).for_each(|(value, score)| *value = *score);
    } else {
        // The one score of two classes speaks for the second.
        out.iter_mut().zip([0.0, at(scores, 0)]).for_each(|(value, score)| *value = score);
    }
    softmax(out);
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

/// Grows trees on the same rows. A row's place is its number among them.
struct Grower<'a> {
    bins: &'a Bins,
    /// The rows' bins by themselves, so that they lie close: row after row, and column after column.
    by_row: Vec<u8>,
    by_column: Vec<u8>,
    count: usize,
    step: f32,
    /// The columns that this tree sees, rising.
    columns: Vec<u32>,
    /// How many halvings bring each of their bins' count down to [`BIN_COUNT_MAX`].
    shifts: Vec<u8>,
    /// Where each of their bins begin in a histogram, and the end.
    starts: Vec<usize>,
    /// Histograms to be used again.
    spare: Vec<Vec<Slopes>>,
}

/// The places of a node, and their histogram where a split may gain.
struct Node {
    places: Vec<u32>,
    histogram: Option<Vec<Slopes>>,
}

impl<'a> Grower<'a> {
    fn new(bins: &'a Bins, rows: &[u32], step: f32) -> Self {
        let by_row: Vec<u8> = rows.iter().flat_map(|index| bins.row(*index as usize)).copied().collect();
        let by_column = crate::grow::transposed(&by_row, bins.columns());
        let (columns, shifts, starts, spare) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        Self { bins, by_row, by_column, count: rows.len(), step, columns, shifts, starts, spare }
    }

    /// The bins of each row.
    fn rows(&self) -> std::slice::ChunksExact<'_, u8> {
        self.by_row.chunks_exact(self.bins.columns().max(1))
    }

    /// Draws the columns of the next tree.
    fn draw(&mut self, random: &mut Random) {
        let count = self.bins.columns();
        let seen = ((count as f64 * COLUMN_SHARE).ceil() as usize).max(COLUMN_COUNT_MIN);
        self.columns = random.sample(count, seen);
        self.shifts.clear();
        self.starts.clear();
        self.starts.push(0);
        for column in &self.columns {
            let (start, bins) = (self.starts.last().copied().unwrap_or(0), self.bins.count(*column as usize));
            let shift = (0..8).find(|shift| bins.saturating_sub(1) >> shift < BIN_COUNT_MAX).unwrap_or(8);
            self.shifts.push(shift);
            self.starts.push(start + (bins.saturating_sub(1) >> shift) + 1);
        }
    }

    /// A tree of full depth on a random part of the rows and columns.
    fn grow(&mut self, slopes: &[Slopes], random: &mut Random) -> Tree {
        self.draw(random);
        let mut splits = Vec::new();
        let places = if self.count < ROW_COUNT_MIN {
            (0..u32::try_from(self.count).unwrap_or(u32::MAX)).collect()
        } else {
            random.sample(self.count, (self.count as f64 * ROW_SHARE) as usize)
        };
        let histogram = self.histogram(&places, slopes);
        let mut nodes = vec![Node { places, histogram: Some(histogram) }];
        for level in 0..LEVEL_COUNT {
            let mut children = Vec::with_capacity(2 * nodes.len());
            for node in nodes {
                let split = node.histogram.as_deref().map_or((NO_COLUMN, 0), |sums| self.best_split(sums));
                splits.push(split);
                children.extend(self.children(node, split, slopes, level + 1 < LEVEL_COUNT));
            }
            nodes = children;
        }
        let leaf = |node: &Node| {
            let sum = node.places.iter().fold([0.0; 2], |sum, place| plus(sum, at(slopes, *place as usize)));
            -self.step * sum[0] / (sum[1] + PENALTY)
        };
        Tree { splits, leaves: nodes.iter().map(leaf).collect() }
    }

    fn best_split(&self, sums: &[Slopes]) -> (u32, u8) {
        let (place, bin) = best_split(sums, &self.starts);
        if place == NO_COLUMN {
            return (NO_COLUMN, 0);
        }
        // The last of the column's own bins that fall into this one.
        let last = ((usize::from(bin) + 1) << at(&self.shifts, place as usize)) - 1;
        (at(&self.columns, place as usize), u8::try_from(last).unwrap_or(u8::MAX))
    }

    /// The two parts of a node. The greater part's histogram is the node's less the smaller part's.
    fn children(&mut self, node: Node, split: (u32, u8), slopes: &[Slopes], goes_on: bool) -> [Node; 2] {
        let (left, right) = self.parted(node.places, split);
        let Some(mut rest) = node.histogram.filter(|_| goes_on && split.0 != NO_COLUMN) else {
            return [left, right].map(|places| Node { places, histogram: None });
        };
        let left_is_less = left.len() < right.len();
        let less = self.histogram(if left_is_less { &left } else { &right }, slopes);
        for (sum, taken) in rest.iter_mut().zip(&less) {
            *sum = [sum[0] - taken[0], sum[1] - taken[1]];
        }
        let (of_left, of_right) = if left_is_less { (less, rest) } else { (rest, less) };
        let mut node = |places, histogram: Vec<Slopes>| {
            // Every row is in a bin of the first column that is seen.
            let curvature: f32 = histogram.get(..at(&self.starts, 1)).unwrap_or(&[]).iter().map(|sum| sum[1]).sum();
            if curvature >= 2.0 * CURVATURE_MIN {
                return Node { places, histogram: Some(histogram) };
            }
            self.spare.push(histogram);
            Node { places, histogram: None }
        };
        [node(left, of_left), node(right, of_right)]
    }

    /// The places that go left, and those that go right. Each is written to both lists, and stays in one: a branch here would be
    /// guessed wrong half the time.
    fn parted(&self, places: Vec<u32>, (column, bin): (u32, u8)) -> (Vec<u32>, Vec<u32>) {
        if column == NO_COLUMN {
            return (places, Vec::new());
        }
        let bins = crate::at::row(&self.by_column, self.count, column as usize);
        let (mut left, mut right) = (vec![0; places.len()], vec![0; places.len()]);
        let (mut left_count, mut right_count) = (0, 0);
        for place in places {
            let goes_right = usize::from(at(bins, place as usize) > bin);
            put(&mut left, left_count, place);
            put(&mut right, right_count, place);
            left_count += 1 - goes_right;
            right_count += goes_right;
        }
        left.truncate(left_count);
        right.truncate(right_count);
        (left, right)
    }

    /// The sums of the slopes in every bin of every column.
    fn histogram(&mut self, places: &[u32], slopes: &[Slopes]) -> Vec<Slopes> {
        let length = self.starts.last().copied().unwrap_or(0);
        let mut sums = self.spare.pop().unwrap_or_default();
        sums.clear();
        sums.resize(length, [0.0; 2]);
        for place in places {
            let slope = at(slopes, *place as usize);
            let own = crate::at::row(&self.by_row, self.bins.columns(), *place as usize);
            for ((start, column), shift) in self.starts.iter().zip(&self.columns).zip(&self.shifts) {
                if let Some(sum) = sums.get_mut(start + usize::from(at(own, *column as usize) >> shift)) {
                    *sum = plus(*sum, slope);
                }
            }
        }
        sums
    }
}

pub(crate) fn plus(left: Slopes, right: Slopes) -> Slopes {
    [left[0] + right[0], left[1] + right[1]]
}

/// The split of a node with the greatest gain, its column by place; [`NO_COLUMN`] if none gains.
fn best_split(histogram: &[Slopes], starts: &[usize]) -> (u32, u8) {
    let mut best = (1e-3_f32, (NO_COLUMN, 0));
    for (column, (start, end)) in starts.iter().zip(starts.iter().skip(1)).enumerate() {
        let bins = histogram.get(*start..*end).unwrap_or(&[]);
        let total = bins.iter().fold([0.0_f32; 2], |sum, bin| plus(sum, *bin));
        let whole = total[0] * total[0] / (total[1] + PENALTY);
        for (bin, [left, right]) in cuts(bins, total, CURVATURE_MIN) {
            let gain = left[0] * left[0] / (left[1] + PENALTY) + right[0] * right[0] / (right[1] + PENALTY) - whole;
            if gain > best.0 {
                best = (gain, (u32::try_from(column).unwrap_or(NO_COLUMN), u8::try_from(bin).unwrap_or(u8::MAX)));
            }
        }
    }
    best.1
}

/// The places behind which a column's bins can be cut, with the sums of both sides: behind bins that hold something, where either side's
/// curvature is not too little to tell a value by.
pub(crate) fn cuts(bins: &[Slopes], total: Slopes, curvature_min: f32) -> impl Iterator<Item = (usize, [Slopes; 2])> {
    let mut left = [0.0_f32; 2];
    let sides = bins.iter().enumerate().map(move |(bin, sum)| {
        left = plus(left, *sum);
        (bin, sum[1] != 0.0, [left, [total[0] - left[0], total[1] - left[1]]])
    });
    let held = sides.filter(move |(_, holds, [left, _])| *holds && left[1] >= curvature_min);
    held.take_while(move |(_, _, [_, right])| right[1] >= curvature_min).map(|(bin, _, sides)| (bin, sides))
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
        let run = |watch: &Watch<'_>| out_of_fold(&bins, &labels, classes as usize, (30, 1), |_, _| true, watch);
        let probabilities = quiet(run).unwrap().unwrap();
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
        assert_eq!(rounds(&Bins::fine(&Matrix::zeros(1_000, 10), 1), 2), Some(ROUND_COUNT_OF_FEW));
    }
}
