//! Extremely randomised trees with out-of-bag class probabilities.
//!
//! Source: Geurts, Ernst and Wehenkel 2006, with bootstrap samples as Breiman 2001. Trees see binned columns; a row's
//! probabilities come only from trees that did not learn from it.

use rayon::prelude::*;

use crate::PoisonError;
use crate::at::{add, at, put};
use crate::bins::Bins;
use crate::random::Random;
use crate::table::Matrix;
use crate::watch::Watch;

/// Rows that one tree learns from; each tree draws others.
const TREE_ROW_COUNT_MAX: usize = 65_536;
/// Trees that are grown before their votes are counted and they are forgotten.
const BATCH_COUNT: usize = 16;
/// A branch deeper than this becomes a leaf.
const DEPTH_MAX: usize = 48;
/// Rows whose votes are counted together.
const VOTE_ROW_COUNT: usize = 2_048;
const LEAF: u32 = u32::MAX;

/// What a forest learns from.
pub(crate) struct Task<'a> {
    /// The binned columns.
    pub(crate) bins: &'a Bins,
    /// Each row's class.
    pub(crate) labels: &'a [u32],
    /// Each class's share.
    pub(crate) shares: &'a [f32],
    /// How many trees.
    pub(crate) trees: usize,
    /// The scan's seed.
    pub(crate) seed: u64,
}

#[derive(Clone, Copy)]
struct Node {
    /// The column to look at, or [`LEAF`].
    column: u32,
    /// The left child (the right one follows it), or where the leaf's classes begin.
    next: u32,
    /// Bins up to this one go left; in a leaf, how many classes it has.
    bin: u16,
}

struct Tree {
    nodes: Vec<Node>,
    leaves: Vec<(u16, f32)>,
    /// One bit a row: whether the tree learnt from it.
    learnt: Vec<u64>,
}

/// Out-of-bag class probabilities of each row.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn out_of_bag(task: &Task<'_>, watch: &Watch<'_>) -> Result<Matrix, PoisonError> {
    const SHARE_WEIGHT: f32 = 0.5;
    let classes = task.shares.len();
    let mut votes = Matrix::zeros(task.labels.len(), classes);
    for row in votes.values_mut().chunks_exact_mut(classes.max(1)) {
        row.iter_mut().zip(task.shares).for_each(|(vote, share)| *vote = SHARE_WEIGHT * share);
    }
    let numbers: Vec<usize> = (0..task.trees).collect();
    for batch in numbers.chunks(BATCH_COUNT) {
        let trees: Vec<Tree> = batch.par_iter().map(|number| grow(task, *number as u64, watch)).collect();
        watch.check()?;
        votes.values_mut().par_chunks_mut(VOTE_ROW_COUNT * classes.max(1)).enumerate().for_each(|(block, votes)| {
            for tree in &trees {
                tree.vote(task.bins, block * VOTE_ROW_COUNT, votes, classes);
            }
        });
        watch.check()?;
    }
    votes.par_rows_mut().for_each(|row| {
        let total: f32 = row.iter().sum();
        row.iter_mut().for_each(|vote| *vote /= total.max(f32::MIN_POSITIVE));
    });
    Ok(votes)
}

impl Tree {
    fn has_learnt(&self, index: usize) -> bool {
        at(&self.learnt, index / 64) >> (index % 64) & 1 == 1
    }

    fn vote(&self, bins: &Bins, first: usize, votes: &mut [f32], classes: usize) {
        for (offset, votes) in votes.chunks_exact_mut(classes.max(1)).enumerate() {
            if self.has_learnt(first + offset) {
                continue;
            }
            let own = bins.row(first + offset);
            let mut node = self.nodes.first().copied();
            while let Some(Node { column, next, bin }) = node {
                if column == LEAF {
                    let from = next as usize;
                    for (class, share) in self.leaves.get(from..from + usize::from(bin)).unwrap_or(&[]) {
                        add(votes, usize::from(*class), *share);
                    }
                    break;
                }
                let right = u16::from(at(own, column as usize)) > bin;
                node = self.nodes.get(next as usize + usize::from(right)).copied();
            }
        }
    }
}

/// Grows one tree on a bootstrap sample.
fn grow(task: &Task<'_>, number: u64, watch: &Watch<'_>) -> Tree {
    let row_count = task.labels.len();
    let mut random = Random::new(task.seed, 0x7472_6565 + (number << 32));
    let mut counts = vec![0_u8; row_count];
    for _ in 0..row_count.min(TREE_ROW_COUNT_MAX) {
        let chosen = random.below(row_count);
        let count = at(&counts, chosen).saturating_add(1);
        put(&mut counts, chosen, count);
    }
    let mut learnt = vec![0_u64; row_count.div_ceil(64)];
    let mut rows = Vec::with_capacity(row_count.min(TREE_ROW_COUNT_MAX));
    for (index, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        add(&mut learnt, index / 64, 1 << (index % 64));
        rows.push(Sample {
            row: u32::try_from(index).unwrap_or(u32::MAX),
            class: u16::try_from(at(task.labels, index)).unwrap_or(u16::MAX),
            weight: u16::from(*count),
        });
    }
    let columns = task.bins.columns();
    let mut grower = Grower {
        bins: task.bins,
        classes: task.shares.len(),
        tries: (columns as f64).sqrt().ceil() as usize,
        order: (0..columns).collect(),
        random,
        candidates: Vec::new(),
        counts: Vec::new(),
        tree: Tree { nodes: Vec::new(), leaves: Vec::new(), learnt },
    };
    grower.grow(&mut rows, watch);
    grower.tree
}

#[derive(Clone, Copy)]
struct Sample {
    row: u32,
    class: u16,
    weight: u16,
}

struct Candidate {
    column: usize,
    bin: u8,
}

struct Grower<'a> {
    bins: &'a Bins,
    classes: usize,
    tries: usize,
    order: Vec<usize>,
    random: Random,
    candidates: Vec<Candidate>,
    counts: Vec<f32>,
    tree: Tree,
}

impl Grower<'_> {
    fn grow(&mut self, rows: &mut [Sample], watch: &Watch<'_>) {
        self.tree.nodes.push(Node { column: LEAF, next: 0, bin: 0 });
        let mut open = vec![(0_usize, 0, rows.len(), 0_usize)];
        while let Some((place, from, to, depth)) = open.pop() {
            let part = rows.get_mut(from..to).unwrap_or(&mut []);
            let split = if depth < DEPTH_MAX && !watch.stopped() { self.split(part) } else { None };
            let Some(Candidate { column, bin }) = split else {
                self.leaf(place, part);
                continue;
            };
            let middle = from + partition(part, |sample| at(self.bins.row(sample.row as usize), column) <= bin);
            let next = self.tree.nodes.len();
            self.tree.nodes.extend([Node { column: LEAF, next: 0, bin: 0 }; 2]);
            let node = Node {
                column: u32::try_from(column).unwrap_or(LEAF),
                next: u32::try_from(next).unwrap_or(0),
                bin: u16::from(bin),
            };
            put(&mut self.tree.nodes, place, node);
            open.push((next + 1, middle, to, depth + 1));
            open.push((next, from, middle, depth + 1));
        }
    }

    fn leaf(&mut self, place: usize, rows: &[Sample]) {
        let mut counts = vec![0.0_f32; self.classes];
        for sample in rows {
            add(&mut counts, usize::from(sample.class), f32::from(sample.weight));
        }
        let total: f32 = counts.iter().sum::<f32>().max(1.0);
        let next = self.tree.leaves.len();
        let present = counts.iter().enumerate().filter(|(_, count)| **count > 0.0);
        self.tree.leaves.extend(present.map(|(class, count)| (u16::try_from(class).unwrap_or(u16::MAX), count / total)));
        let node = Node {
            column: LEAF,
            next: u32::try_from(next).unwrap_or(0),
            bin: u16::try_from(self.tree.leaves.len() - next).unwrap_or(0),
        };
        put(&mut self.tree.nodes, place, node);
    }

    /// The best of a few random splits of random columns, by the Gini impurity; none for a pure or constant part.
    fn split(&mut self, rows: &[Sample]) -> Option<Candidate> {
        let first = rows.first()?;
        if rows.iter().all(|sample| sample.class == first.class) {
            return None;
        }
        self.choose(rows);
        let classes = self.classes;
        self.counts.clear();
        self.counts.resize((self.candidates.len() + 1) * classes, 0.0);
        let (totals, lefts) = self.counts.split_at_mut(classes);
        for sample in rows {
            let own = self.bins.row(sample.row as usize);
            let (class, weight) = (usize::from(sample.class), f32::from(sample.weight));
            add(totals, class, weight);
            for (counts, candidate) in lefts.chunks_exact_mut(classes).zip(&self.candidates) {
                // Added also where the row goes right, times zero: a branch here would be guessed wrong half the time.
                let goes_left = f32::from(u8::from(at(own, candidate.column) <= candidate.bin));
                add(counts, class, weight * goes_left);
            }
        }
        let mut best: Option<(f32, usize)> = None;
        for (place, lefts) in lefts.chunks_exact(classes).enumerate() {
            let purity = purity(lefts, totals);
            if best.is_none_or(|(so_far, _)| purity > so_far) {
                best = Some((purity, place));
            }
        }
        let (_, place) = best?;
        Some(self.candidates.swap_remove(place))
    }

    /// Draws columns that vary here, and a random bin of each to split after.
    fn choose(&mut self, rows: &[Sample]) {
        self.candidates.clear();
        let columns = self.order.len();
        let mut drawn = 0;
        while drawn < columns && self.candidates.len() < self.tries {
            let group = self.tries.min(columns - drawn).min(16);
            for place in drawn..drawn + group {
                let other = place + self.random.below(columns - place);
                self.order.swap(place, other);
            }
            let group = drawn..drawn + group;
            drawn = group.end;
            let chosen = self.order.get(group).unwrap_or(&[]);
            let mut ranges = [(u8::MAX, u8::MIN); 16];
            for sample in rows {
                let own = self.bins.row(sample.row as usize);
                for (range, column) in ranges.iter_mut().zip(chosen) {
                    let bin = at(own, *column);
                    *range = (range.0.min(bin), range.1.max(bin));
                }
            }
            for ((least, greatest), column) in ranges.iter().zip(chosen) {
                if least < greatest && self.candidates.len() < self.tries {
                    let above = u8::try_from(self.random.below(usize::from(greatest - least))).unwrap_or(0);
                    self.candidates.push(Candidate { column: *column, bin: least + above });
                }
            }
        }
    }
}

/// Moves what fits to the front and says how many fit.
fn partition(rows: &mut [Sample], fits: impl Fn(&Sample) -> bool) -> usize {
    let mut kept = 0;
    for place in 0..rows.len() {
        if rows.get(place).is_some_and(&fits) {
            rows.swap(place, kept);
            kept += 1;
        }
    }
    kept
}

/// How pure two parts are together: the greater the better (weighted Gini, constants left out).
fn purity(lefts: &[f32], totals: &[f32]) -> f32 {
    let (mut left, mut right, mut left_squares, mut right_squares) = (0.0, 0.0, 0.0, 0.0);
    for (own, total) in lefts.iter().zip(totals) {
        let other = total - own;
        left += own;
        right += other;
        left_squares += own * own;
        right_squares += other * other;
    }
    if left <= 0.0 || right <= 0.0 {
        return f32::NEG_INFINITY;
    }
    left_squares / left + right_squares / right
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{quiet, two_classes};

    const APART: f32 = 2.5;

    fn points() -> (Matrix, Vec<u32>) {
        two_classes(600, 4, APART, 11)
    }

    fn probabilities(seed: u64) -> (Matrix, Vec<u32>) {
        let (points, labels) = points();
        let bins = Bins::fine(&points, 1);
        let task = Task { bins: &bins, labels: &labels, shares: &[0.5, 0.5], trees: 60, seed };
        (quiet(|watch| out_of_bag(&task, watch)).unwrap(), labels)
    }

    #[test]
    fn out_of_bag_probabilities_tell_the_classes_apart() {
        let (probabilities, labels) = probabilities(1);
        let right = probabilities.iter().zip(&labels).filter(|(row, label)| row[**label as usize] > 0.5).count();
        // The best possible rule splits half way between the means and is right in 89.4 % of rows, Φ(APART / 2); trees of
        // full depth come within a twentieth of it.
        let best =
            points().0.iter().zip(&labels).filter(|(row, label)| (row.iter().sum::<f32>() > APART) == (**label == 1)).count();
        assert!(right * 20 > best * 19, "{right} of 600, of {best} possible");
        assert!(probabilities.iter().all(|row| (row.iter().sum::<f32>() - 1.0).abs() < 1e-4));
    }

    #[test]
    fn the_seed_decides() {
        assert_eq!(probabilities(3).0, probabilities(3).0);
        assert_ne!(probabilities(3).0, probabilities(4).0);
    }

    #[test]
    fn constant_columns_and_one_class_make_one_leaf() {
        let bins = Bins::fine(&Matrix::zeros(50, 3), 1);
        let labels = [vec![0; 25], vec![1; 25]].concat();
        let task = Task { bins: &bins, labels: &labels, shares: &[0.5, 0.5], trees: 4, seed: 1 };
        let votes = quiet(|watch| out_of_bag(&task, watch)).unwrap();
        assert!(votes.iter().all(|row| row[0] > 0.2 && row[0] < 0.8));
        // A row that every tree has learnt from keeps the shares, so they must be those of the labels.
        let task = Task { labels: &[0; 50], shares: &[1.0, 0.0], ..task };
        assert!(quiet(|watch| out_of_bag(&task, watch)).unwrap().iter().all(|row| row[0] == 1.0));
    }
}
