//! Boosted trees of two levels whose score never falls when an input rises: what is learnt of marks, each of which says "the
//! more, the farther out".
//!
//! Sources: Friedman 2001 (gradient boosting); Chen and Guestrin 2016 (second-order leaves); Auguste, Malory and Smirnov 2020,
//! the basic method (a split whose right side is lower is refused, and both sides keep to their side of its middle).

use rayon::prelude::*;

use crate::at::at;
use crate::boost::{Slopes, cuts, plus};

const STEP: f32 = 0.2;
/// The penalty on a leaf's value, and the least curvature on either side of a split, of [`WEIGHT`] in all.
const PENALTY: f32 = 0.1;
const CURVATURE_MIN: f32 = 0.5;
/// What the examples that are sought weigh together, and what the others do.
pub(crate) const WEIGHT: f32 = 1_000.0;
/// Values of one input that are told apart.
const BIN_COUNT: usize = 256;

/// What is learnt from: its inputs, whether it is sought, and how much it weighs.
pub(crate) struct Example<const INPUTS: usize> {
    pub(crate) inputs: [f32; INPUTS],
    pub(crate) sought: bool,
    pub(crate) weight: f32,
}

/// Trees that were learnt.
pub(crate) struct Rising<const INPUTS: usize> {
    /// Where each input's bins end.
    edges: [Vec<f32>; INPUTS],
    trees: Vec<Tree>,
}

/// An input and the last bin that goes left.
type Split = (usize, u8);

#[derive(Clone, Copy)]
struct Tree {
    root: Split,
    /// The splits of either side, and their leaves.
    sides: [(Split, [f32; 2]); 2],
}

impl Tree {
    fn value<const INPUTS: usize>(&self, bins: &[u8; INPUTS]) -> f32 {
        let [left, right] = &self.sides;
        let (split, leaves) = if goes_right(self.root, bins) { right } else { left };
        if goes_right(*split, bins) { leaves[1] } else { leaves[0] }
    }
}

fn goes_right((input, bin): Split, bins: &[u8]) -> bool {
    at(bins, input) > bin
}

impl<const INPUTS: usize> Rising<INPUTS> {
    pub(crate) fn learn(examples: &[Example<INPUTS>], rounds: usize) -> Self {
        let mut rising = Self { edges: std::array::from_fn(|input| edges(examples, input)), trees: Vec::new() };
        let bins: Vec<[u8; INPUTS]> = examples.iter().map(|example| rising.bins(&example.inputs)).collect();
        let mut scores = vec![0.0_f32; examples.len()];
        let mut slopes: Vec<Slopes> = vec![[0.0; 2]; examples.len()];
        for _ in 0..rounds {
            for ((slope, score), example) in slopes.iter_mut().zip(&scores).zip(examples) {
                let expected = 1.0 / (1.0 + (-score).exp());
                let wanted = f32::from(u8::from(example.sought));
                *slope = [example.weight * (expected - wanted), example.weight * (expected * (1.0 - expected)).max(1e-6)];
            }
            let Some(tree) = grow(&bins, &slopes) else { break };
            scores.iter_mut().zip(&bins).for_each(|(score, bins)| *score += tree.value(bins));
            rising.trees.push(tree);
        }
        rising
    }

    /// The score of each row of inputs: the logarithm of the odds that it is sought.
    pub(crate) fn scores(&self, rows: &[[f32; INPUTS]]) -> Vec<f32> {
        let score = |inputs: &[f32; INPUTS]| {
            let bins = self.bins(inputs);
            self.trees.iter().map(|tree| tree.value(&bins)).sum()
        };
        rows.par_iter().map(score).collect()
    }

    fn bins(&self, inputs: &[f32; INPUTS]) -> [u8; INPUTS] {
        std::array::from_fn(|input| {
            let value = at(inputs, input);
            let edges = self.edges.get(input).map(Vec::as_slice).unwrap_or_default();
            u8::try_from(edges.partition_point(|edge| *edge < value)).unwrap_or(u8::MAX)
        })
    }
}

/// Values of an input that part the examples evenly.
fn edges<const INPUTS: usize>(examples: &[Example<INPUTS>], input: usize) -> Vec<f32> {
    let mut sorted: Vec<f32> = examples.iter().map(|example| at(&example.inputs, input)).collect();
    sorted.sort_by(f32::total_cmp);
    let mut edges: Vec<f32> = (1..BIN_COUNT).map(|bin| at(&sorted, bin * sorted.len() / BIN_COUNT)).collect();
    edges.dedup();
    edges
}

/// A tree, if any split gains.
fn grow<const INPUTS: usize>(bins: &[[u8; INPUTS]], slopes: &[Slopes]) -> Option<Tree> {
    let whole = histogram(bins, slopes, |_| true);
    let bounds = (f32::NEG_INFINITY, f32::INFINITY);
    let (root, [low, high]) = best_split(&whole, bounds)?;
    let right = histogram(bins, slopes, |bins| goes_right(root, bins));
    let left: Vec<Slopes> = whole.iter().zip(&right).map(|(whole, right)| [whole[0] - right[0], whole[1] - right[1]]).collect();
    let middle = f32::midpoint(low, high);
    let side = |sums: &[Slopes], bounds, value: f32| {
        let (split, leaves) = best_split(sums, bounds).unwrap_or(((0, u8::MAX), [value; 2]));
        (split, leaves.map(|leaf| STEP * leaf))
    };
    Some(Tree { root, sides: [side(&left, (bounds.0, middle), low), side(&right, (middle, bounds.1), high)] })
}

/// The sums of the slopes in every bin of every input, of the examples that belong.
fn histogram<const INPUTS: usize>(bins: &[[u8; INPUTS]], slopes: &[Slopes], belongs: impl Fn(&[u8]) -> bool) -> Vec<Slopes> {
    let mut sums = vec![[0.0; 2]; INPUTS * BIN_COUNT];
    for (bins, slope) in bins.iter().zip(slopes).filter(|(bins, _)| belongs(bins.as_slice())) {
        for (input, bin) in bins.iter().enumerate() {
            if let Some(sum) = sums.get_mut(input * BIN_COUNT + usize::from(*bin)) {
                *sum = plus(*sum, *slope);
            }
        }
    }
    sums
}

/// The split with the greatest gain whose right side is not lower, and both sides' values within the bounds.
fn best_split(sums: &[Slopes], bounds: (f32, f32)) -> Option<(Split, [f32; 2])> {
    let value = |sum: Slopes| (-sum[0] / (sum[1] + PENALTY)).clamp(bounds.0, bounds.1);
    // What the value takes from the loss.
    let gain = |sum: Slopes, value: f32| -value * (sum[0] + 0.5 * (sum[1] + PENALTY) * value);
    let mut best = None;
    let mut most = 1e-4;
    for (input, bins) in sums.chunks_exact(BIN_COUNT).enumerate() {
        let total = bins.iter().fold([0.0; 2], |sum, bin| plus(sum, *bin));
        let whole = gain(total, value(total));
        for (bin, [left, right]) in cuts(bins, total, CURVATURE_MIN) {
            let (low, high) = (value(left), value(right));
            let gained = gain(left, low) + gain(right, high) - whole;
            if low <= high && gained > most {
                most = gained;
                best = Some(((input, u8::try_from(bin).unwrap_or(u8::MAX)), [low, high]));
            }
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    /// Examples of which the first input tells, the second does not, and the third tells the wrong way.
    fn examples() -> Vec<Example<3>> {
        let mut random = Random::new(4, 4);
        let example = |index: usize| {
            let sought = index.is_multiple_of(5);
            let shift = if sought { 3.0 } else { 0.0 };
            let inputs = [random.normal() + shift, random.normal(), random.normal() - shift];
            Example { inputs, sought, weight: if sought { WEIGHT / 600.0 } else { WEIGHT / 2_400.0 } }
        };
        (0..3_000).map(example).collect()
    }

    #[test]
    fn what_tells_is_learnt() {
        let rising = Rising::learn(&examples(), 75);
        let scores = rising.scores(&[[4.0, 0.0, 0.0], [1.5, 0.0, 0.0], [-1.0, 0.0, 0.0]]);
        assert!(scores[0] > 3.0 && scores[1].abs() < 2.0 && scores[2] < -3.0, "{scores:?}");
    }

    #[test]
    fn no_score_falls_when_an_input_rises() {
        let rising = Rising::learn(&examples(), 75);
        let mut random = Random::new(5, 5);
        for _ in 0..300 {
            let from: [f32; 3] = std::array::from_fn(|_| 2.0 * random.normal());
            for input in 0..3 {
                let mut to = from;
                to[input] += 3.0 * random.unit();
                let scores = rising.scores(&[from, to]);
                assert!(scores[0] <= scores[1] + 1e-5, "{from:?} {to:?} {scores:?}");
            }
        }
    }

    #[test]
    fn examples_that_are_alike_teach_nothing() {
        let alike: Vec<Example<2>> =
            (0..100).map(|index| Example { inputs: [1.0; 2], sought: index < 50, weight: 1.0 }).collect();
        assert_eq!(Rising::learn(&alike, 75).scores(&[[0.0; 2], [9.0; 2]]), [0.0, 0.0]);
    }
}
