//! Grows one tree of the forest.
//!
//! Nearly all of its time goes into reading the bins of drawn columns, so these are read once a node, column by column, into
//! one short list, and all that is asked of them is asked of the list. Rows of one class lie side by side in every node: a
//! class's rows left of a cut are then one plain sum, which compiles to vector instructions.

use std::ops::Range;

use rayon::prelude::*;

use crate::at::{at, put};
use crate::bins::Bins;
use crate::forest::{LEAF, Node};
use crate::random::Random;
use crate::watch::Watch;

/// A branch deeper than this becomes a leaf.
const DEPTH_MAX: usize = 48;
/// Columns that are drawn at once.
const DRAWN_COUNT: usize = 16;
/// Bytes of a node's rows that stay in the cache while all nodes below it are grown. With more, columns lie closer than rows.
const NEAR_BYTES: usize = 1_536 * 1_024;
/// Columns that are written at once where rows become columns: as many bytes as are fetched at once.
const TRANSPOSED_COUNT: usize = 64;
/// Weights that are summed in 16 bits: none is greater than 255.
const SUMMED_COUNT: usize = 256;

/// All bins in both orders, the rows sorted by class: so a node's rows lie close in each column.
pub(crate) struct Codes {
    by_row: Vec<u8>,
    by_column: Vec<u8>,
    columns: usize,
    /// Each row's number before they were sorted.
    order: Vec<u32>,
    /// Each sorted row's class.
    classes: Vec<u16>,
}

impl Codes {
    pub(crate) fn of(bins: &Bins, labels: &[u32]) -> Self {
        let columns = bins.columns();
        let mut order: Vec<u32> = (0..u32::try_from(labels.len()).unwrap_or(u32::MAX)).collect();
        order.sort_by_key(|index| at(labels, *index as usize));
        let mut by_row = vec![0_u8; order.len() * columns];
        for (own, index) in by_row.chunks_exact_mut(columns.max(1)).zip(&order) {
            own.copy_from_slice(bins.row(*index as usize));
        }
        let by_column = transposed(&by_row, columns);
        let classes = order.iter().map(|index| u16::try_from(at(labels, *index as usize)).unwrap_or(u16::MAX)).collect();
        Self { by_row, by_column, columns, order, classes }
    }

    /// The rows that were drawn, with how often.
    pub(crate) fn sample(&self, counts: &[u8]) -> Sample {
        let mut sample = Sample::default();
        for (place, (index, class)) in self.order.iter().zip(&self.classes).enumerate() {
            let count = at(counts, *index as usize);
            if count > 0 {
                sample.rows.push(u32::try_from(place).unwrap_or(u32::MAX));
                sample.classes.push(*class);
                sample.weights.push(count);
            }
        }
        sample
    }

    /// Whether so many rows stay in the cache while all nodes below theirs are grown.
    const fn is_near(&self, row_count: usize) -> bool {
        row_count * self.columns <= NEAR_BYTES
    }

    /// The bins of these rows, side by side, and the rows numbered by their places there.
    fn bring_near(&self, rows: &mut [u32], near: &mut Vec<u8>) {
        near.clear();
        for (place, row) in rows.iter_mut().enumerate() {
            near.extend_from_slice(crate::at::row(&self.by_row, self.columns, *row as usize));
            *row = u32::try_from(place).unwrap_or(u32::MAX);
        }
    }
}

/// Rows as columns, column after column.
pub(crate) fn transposed(by_row: &[u8], columns: usize) -> Vec<u8> {
    let rows = by_row.len().checked_div(columns).unwrap_or(0);
    let mut out = vec![0_u8; by_row.len()];
    out.par_chunks_mut((rows * TRANSPOSED_COUNT).max(1)).enumerate().for_each(|(group, out)| {
        for (index, own) in by_row.chunks_exact(columns.max(1)).enumerate() {
            let own = own.iter().skip(group * TRANSPOSED_COUNT);
            out.chunks_exact_mut(rows).zip(own).for_each(|(column, code)| put(column, index, *code));
        }
    });
    out
}

/// The rows that a tree learns from: by class, and rising within a class. So they stay in every node.
#[derive(Default)]
pub(crate) struct Sample {
    rows: Vec<u32>,
    classes: Vec<u16>,
    /// How often each was drawn.
    weights: Vec<u8>,
}

/// Where a class's rows lie in a node, and how much they weigh.
struct Run {
    class: u16,
    places: Range<usize>,
    weight: f32,
}

#[derive(Clone, Copy)]
struct Split {
    column: usize,
    bin: u8,
}

/// A node that is still to be split: its number, its rows' places and its depth.
struct Open {
    node: usize,
    places: Range<usize>,
    depth: usize,
    /// Whether its rows were brought near with those of a node above.
    is_near: bool,
}

/// A tree's nodes, and the classes of its leaves with their shares.
pub(crate) type Grown = (Vec<Node>, Vec<(u16, f32)>);

/// Grows one tree.
pub(crate) struct Grower<'a> {
    codes: &'a Codes,
    sample: Sample,
    random: Random,
    tries: usize,
    /// The columns, in an order that is drawn anew for each node.
    order: Vec<usize>,
    /// The node's classes.
    runs: Vec<Run>,
    /// The bins of the column that is looked at.
    bins: Vec<u8>,
    /// All bins of the rows below the last node whose rows were brought near.
    near: Vec<u8>,
    /// Where rows wait that go right.
    spare: Sample,
    nodes: Vec<Node>,
    leaves: Vec<(u16, f32)>,
}

impl<'a> Grower<'a> {
    pub(crate) fn new(codes: &'a Codes, sample: Sample, random: Random) -> Self {
        Self {
            codes,
            sample,
            random,
            tries: (codes.columns as f64).sqrt().ceil() as usize,
            order: (0..codes.columns).collect(),
            runs: Vec::new(),
            bins: Vec::new(),
            near: Vec::new(),
            spare: Sample::default(),
            nodes: vec![Node { column: LEAF, next: 0, bin: 0 }],
            leaves: Vec::new(),
        }
    }

    pub(crate) fn grow(mut self, watch: &Watch<'_>) -> Grown {
        let mut open = vec![Open { node: 0, places: 0..self.sample.rows.len(), depth: 0, is_near: false }];
        // The last node that was opened comes next, so all nodes below one are grown before any other.
        while let Some(Open { node, places, depth, mut is_near }) = open.pop() {
            self.find_runs(&places);
            let mixed = self.runs.len() > 1 && depth < DEPTH_MAX && !watch.stopped();
            if mixed && !is_near && self.codes.is_near(places.len()) {
                self.codes.bring_near(self.sample.rows.get_mut(places.clone()).unwrap_or(&mut []), &mut self.near);
                is_near = true;
            }
            let Some(Split { column, bin }) = mixed.then(|| self.best_split(&places, is_near)).flatten() else {
                self.leaf(node);
                continue;
            };
            let middle = self.partition(&places, column, bin, is_near);
            let next = self.nodes.len();
            self.nodes.extend([Node { column: LEAF, next: 0, bin: 0 }; 2]);
            let split = Node {
                column: u32::try_from(column).unwrap_or(LEAF),
                next: u32::try_from(next).unwrap_or(0),
                bin: u16::from(bin),
            };
            put(&mut self.nodes, node, split);
            open.push(Open { node: next + 1, places: middle..places.end, depth: depth + 1, is_near });
            open.push(Open { node: next, places: places.start..middle, depth: depth + 1, is_near });
        }
        (self.nodes, self.leaves)
    }

    /// The bins of a column of a node's rows.
    fn gather(&mut self, column: usize, places: &Range<usize>, is_near: bool) {
        let rows = self.sample.rows.get(places.clone()).unwrap_or(&[]);
        self.bins.clear();
        if is_near {
            let from = self.near.get(column..).unwrap_or(&[]);
            self.bins.extend(rows.iter().map(|row| at(from, *row as usize * self.codes.columns)));
        } else {
            let from = crate::at::row(&self.codes.by_column, self.codes.order.len(), column);
            self.bins.extend(rows.iter().map(|row| at(from, *row as usize)));
        }
    }

    /// The classes of the node at these places.
    fn find_runs(&mut self, places: &Range<usize>) {
        self.runs.clear();
        let classes = self.sample.classes.get(places.clone()).unwrap_or(&[]);
        let mut from = 0;
        while let Some(class) = classes.get(from) {
            let rest = classes.get(from..).unwrap_or(&[]);
            // Most often few rows are left, and searching by halves costs more than going through them.
            let count = if rest.len() < 32 {
                rest.iter().take_while(|other| *other == class).count()
            } else {
                rest.partition_point(|other| other == class)
            };
            let weights = self.sample.weights.get(places.start + from..places.start + from + count).unwrap_or(&[]);
            let weight: u32 = weights.iter().map(|weight| u32::from(*weight)).sum();
            self.runs.push(Run { class: *class, places: from..from + count, weight: weight as f32 });
            from += count;
        }
    }

    fn leaf(&mut self, node: usize) {
        let total: f32 = self.runs.iter().map(|run| run.weight).sum::<f32>().max(1.0);
        let next = self.leaves.len();
        self.leaves.extend(self.runs.iter().map(|run| (run.class, run.weight / total)));
        let leaf = Node {
            column: LEAF,
            next: u32::try_from(next).unwrap_or(0),
            bin: u16::try_from(self.leaves.len() - next).unwrap_or(0),
        };
        put(&mut self.nodes, node, leaf);
    }

    /// The best of a few random splits of random columns that vary here, by the Gini impurity; none where none varies.
    fn best_split(&mut self, places: &Range<usize>, is_near: bool) -> Option<Split> {
        let columns = self.order.len();
        let (mut drawn, mut tried) = (0, 0);
        let mut best: Option<(f32, Split)> = None;
        while drawn < columns && tried < self.tries {
            let group = drawn..drawn + self.tries.min(columns - drawn).min(DRAWN_COUNT);
            for place in group.clone() {
                let other = place + self.random.below(columns - place);
                self.order.swap(place, other);
            }
            drawn = group.end;
            for place in group {
                if tried == self.tries {
                    break;
                }
                let column = at(&self.order, place);
                self.gather(column, places, is_near);
                let range = self.bins.iter().fold((u8::MAX, u8::MIN), |range, bin| (range.0.min(*bin), range.1.max(*bin)));
                if range.0 >= range.1 {
                    continue;
                }
                tried += 1;
                let above = u8::try_from(self.random.below(usize::from(range.1 - range.0))).unwrap_or(0);
                let split = Split { column, bin: range.0 + above };
                let purity = self.purity(places, split.bin);
                if best.is_none_or(|(so_far, _)| purity > so_far) {
                    best = Some((purity, split));
                }
            }
        }
        best.map(|(_, split)| split)
    }

    /// How pure two parts are together: the greater the better (weighted Gini, constants left out).
    fn purity(&self, places: &Range<usize>, cut: u8) -> f32 {
        let weights = self.sample.weights.get(places.clone()).unwrap_or(&[]);
        let (mut left, mut right, mut left_squares, mut right_squares) = (0.0, 0.0, 0.0, 0.0);
        for run in &self.runs {
            let bins = self.bins.get(run.places.clone()).unwrap_or(&[]);
            let own = weight_up_to(bins, weights.get(run.places.clone()).unwrap_or(&[]), cut) as f32;
            let other = run.weight - own;
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

    /// Moves what goes left to the front, both parts in their order, and says where the other part begins.
    fn partition(&mut self, places: &Range<usize>, column: usize, bin: u8, is_near: bool) -> usize {
        self.gather(column, places, is_near);
        let goes_left = |place: usize| at(&self.bins, place) <= bin;
        let rows = self.sample.rows.get_mut(places.clone()).unwrap_or(&mut []);
        let kept = part(rows, &mut self.spare.rows, goes_left);
        part(self.sample.classes.get_mut(places.clone()).unwrap_or(&mut []), &mut self.spare.classes, goes_left);
        part(self.sample.weights.get_mut(places.clone()).unwrap_or(&mut []), &mut self.spare.weights, goes_left);
        places.start + kept
    }
}

/// What rows weigh whose bin is at most the cut.
fn weight_up_to(bins: &[u8], weights: &[u8], cut: u8) -> u32 {
    let parts = bins.chunks(SUMMED_COUNT).zip(weights.chunks(SUMMED_COUNT));
    let sum = |(bins, weights): (&[u8], &[u8])| -> u16 {
        bins.iter().zip(weights).map(|(bin, weight)| u16::from(if *bin <= cut { *weight } else { 0 })).sum()
    };
    parts.map(|part| u32::from(sum(part))).sum()
}

/// Moves what goes left to the front, both parts in their order, and says how many go left.
fn part<T: Copy>(values: &mut [T], spare: &mut Vec<T>, goes_left: impl Fn(usize) -> bool) -> usize {
    spare.clear();
    let mut kept = 0;
    for place in 0..values.len() {
        let Some(value) = values.get(place).copied() else { break };
        if goes_left(place) {
            put(values, kept, value);
            kept += 1;
        } else {
            spare.push(value);
        }
    }
    if let Some(rest) = values.get_mut(kept..) {
        rest.copy_from_slice(spare);
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::table::Matrix;

    #[test]
    fn rows_of_a_class_lie_side_by_side_and_parts_keep_their_order() {
        let table = Matrix::new(2, (0..10_u8).map(f32::from).collect()).unwrap();
        let codes = Codes::of(&Bins::fine(&table, 1), &[1, 0, 1, 0, 2]);
        assert_eq!(codes.by_column, [2, 4, 1, 3, 5, 2, 4, 1, 3, 5]);
        let sample = codes.sample(&[1, 2, 0, 1, 3]);
        assert_eq!((sample.rows, sample.classes, sample.weights), (vec![0, 1, 2, 4], vec![0, 0, 1, 2], vec![2, 1, 1, 3]));
        let mut values = [5, 6, 7, 8, 9];
        assert_eq!(part(&mut values, &mut Vec::new(), |place| place % 2 == 1), 2);
        assert_eq!(values, [6, 8, 5, 7, 9]);
    }

    #[test]
    fn weights_are_summed_past_what_16_bits_hold() {
        let (bins, weights) = ([3; 1_000], [255; 1_000]);
        assert_eq!((weight_up_to(&bins, &weights, 3), weight_up_to(&bins, &weights, 2)), (255_000, 0));
    }
}
