//! Extremely randomised trees with out-of-bag class probabilities.
//!
//! Source: Geurts, Ernst and Wehenkel 2006, with bootstrap samples as Breiman 2001. Trees see binned columns; a row's
//! probabilities come only from trees that did not learn from it.

use rayon::prelude::*;

use crate::PoisonError;
use crate::at::{add, at, put};
use crate::bins::Bins;
use crate::grow::{Codes, Grower};
use crate::random::Random;
use crate::table::Matrix;
use crate::watch::Watch;

/// Rows that one tree learns from; each tree draws others.
const TREE_ROW_COUNT_MAX: usize = 65_536;
/// Trees that are grown before their votes are counted and they are forgotten.
const BATCH_COUNT: usize = 16;
/// Rows whose votes are counted together.
const VOTE_ROW_COUNT: usize = 2_048;
/// The column of a leaf.
pub(crate) const LEAF: u32 = u32::MAX;

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
pub(crate) struct Node {
    /// The column to look at, or [`LEAF`].
    pub(crate) column: u32,
    /// The left child (the right one follows it), or where the leaf's classes begin.
    pub(crate) next: u32,
    /// Bins up to this one go left; in a leaf, how many classes it has.
    pub(crate) bin: u16,
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
    let codes = Codes::of(task.bins, task.labels);
    let numbers: Vec<usize> = (0..task.trees).collect();
    for batch in numbers.chunks(BATCH_COUNT) {
        let trees: Vec<Tree> = batch.par_iter().map(|number| grow(task, &codes, *number as u64, watch)).collect();
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
fn grow(task: &Task<'_>, codes: &Codes, number: u64, watch: &Watch<'_>) -> Tree {
    let row_count = task.labels.len();
    let mut random = Random::new(task.seed, 0x7472_6565 + (number << 32));
    let mut counts = vec![0_u8; row_count];
    for _ in 0..row_count.min(TREE_ROW_COUNT_MAX) {
        let chosen = random.below(row_count);
        let count = at(&counts, chosen).saturating_add(1);
        put(&mut counts, chosen, count);
    }
    let mut learnt = vec![0_u64; row_count.div_ceil(64)];
    for (index, _) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        add(&mut learnt, index / 64, 1 << (index % 64));
    }
    let (nodes, leaves) = Grower::new(codes, codes.sample(&counts), random).grow(watch);
    Tree { nodes, leaves, learnt }
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
