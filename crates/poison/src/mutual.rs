//! Exact nearest neighbours of all rows among each other: two rows' distance is computed once and told to both.
//!
//! Rows that lie near each other are put side by side, in groups of which only the bounds are asked first: where the gap between
//! two groups is wider than any of their rows still looks, no distance between them is computed. That spares most of the work
//! where there are few columns.
//!
//! The groups lie in blocks, and blocks meet as in a tournament: in each round every block meets one other, so that all pairs
//! of a round can be compared at the same time, and the order in which a row hears of the others is the same whatever the
//! number of threads.
//!
//! Source of the order and its bounds: Bentley 1975 (trees that halve rows by one column at a time).

use std::ops::Range;

use rayon::prelude::*;

use crate::PoisonError;
use crate::algebra::{Left, Right, product};
use crate::at::{at, put, row_mut};
use crate::knn::{NEIGHBOUR_COUNT, NOBODY, Neighbours, insert};
use crate::table::Matrix;
use crate::watch::Watch;

/// Blocks that there should be at least, and groups of one.
const BLOCK_COUNT: usize = 16;
const BLOCK_GROUP_COUNT_MAX: usize = 8;
/// Rows of a group: their distances to a whole block fit the cache.
const GROUP_COUNT: usize = 128;
/// Distances that are compared with the thresholds together.
const LANE_COUNT: usize = 16;

/// Some rows, with the nearest of each so far.
#[derive(Default)]
struct Block<'a> {
    numbers: &'a [u32],
    points: &'a [f32],
    lengths: &'a [f32],
    /// The least and the greatest value of each column, of each group.
    bounds: Vec<Vec<(f32, f32)>>,
    rows: Vec<u32>,
    distances: Vec<f32>,
    /// The greatest distance of each row's nearest.
    farthest: Vec<f32>,
}

/// Finds the nearest rows of every row. `points` should be centred: distances come from products.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn search(points: &Matrix, watch: &Watch<'_>) -> Result<Neighbours, PoisonError> {
    let (width, row_count) = (points.columns(), points.rows());
    let mut order: Vec<u32> = (0..u32::try_from(row_count).unwrap_or(NOBODY)).collect();
    put_side_by_side(points, &mut order);
    watch.check()?;
    let points = points.chosen(&order);
    let lengths: Vec<f32> = points.iter().map(|row| row.iter().map(|value| value * value).sum()).collect();
    let size = GROUP_COUNT * (row_count / BLOCK_COUNT / GROUP_COUNT).clamp(1, BLOCK_GROUP_COUNT_MAX);
    let parts = order.chunks(size).zip(points.values().chunks((size * width).max(1))).zip(lengths.chunks(size));
    let mut blocks: Vec<Block<'_>> = parts.map(|((numbers, points), lengths)| Block::new(numbers, points, lengths)).collect();
    let buffer = || vec![0.0_f32; GROUP_COUNT * size];
    blocks.par_iter_mut().for_each_init(buffer, |products, block| {
        if !watch.stopped() {
            block.meet_itself(width, products);
        }
    });
    // An even number, so that each has an opponent; nobody lies in the last one.
    blocks.resize_with(blocks.len().next_multiple_of(2), Block::default);
    let mut turns: Vec<usize> = (0..blocks.len()).collect();
    for _ in 1..blocks.len() {
        watch.check()?;
        let (left, right) = turns.split_at(turns.len() / 2);
        let places: Vec<(usize, usize)> = left.iter().copied().zip(right.iter().rev().copied()).collect();
        let mut pairs: Vec<(Block<'_>, Block<'_>)> =
            places.iter().map(|(left, right)| (taken(&mut blocks, *left), taken(&mut blocks, *right))).collect();
        pairs.par_iter_mut().for_each_init(buffer, |products, (left, right)| {
            if !watch.stopped() {
                left.meet(right, width, products);
            }
        });
        for ((left, right), pair) in places.into_iter().zip(pairs) {
            put(&mut blocks, left, pair.0);
            put(&mut blocks, right, pair.1);
        }
        // All but the first go on by one place.
        turns.get_mut(1..).unwrap_or(&mut []).rotate_right(1);
    }
    watch.check()?;
    let count = row_count * NEIGHBOUR_COUNT;
    let mut found = Neighbours { rows: vec![NOBODY; count], distances: vec![f32::INFINITY; count] };
    for block in blocks {
        let nearest = block.rows.chunks_exact(NEIGHBOUR_COUNT).zip(block.distances.chunks_exact(NEIGHBOUR_COUNT));
        for (number, (rows, distances)) in block.numbers.iter().zip(nearest) {
            row_mut(&mut found.rows, NEIGHBOUR_COUNT, *number as usize).copy_from_slice(rows);
            let own = row_mut(&mut found.distances, NEIGHBOUR_COUNT, *number as usize);
            own.iter_mut().zip(distances).for_each(|(own, distance)| *own = distance.max(0.0));
        }
    }
    Ok(found)
}

/// Orders rows such that each group's lie near each other: halved by the column that spreads them most, again and again.
fn put_side_by_side(points: &Matrix, rows: &mut [u32]) {
    if rows.len() <= GROUP_COUNT {
        return;
    }
    let value = |row: u32, column: usize| at(points.row(row as usize), column);
    let column = widest_column(points, rows);
    let middle = (GROUP_COUNT * rows.len().div_ceil(GROUP_COUNT).div_ceil(2)).min(rows.len() - 1);
    rows.select_nth_unstable_by(middle, |left, right| {
        value(*left, column).total_cmp(&value(*right, column)).then(left.cmp(right))
    });
    let (left, right) = rows.split_at_mut(middle);
    rayon::join(|| put_side_by_side(points, left), || put_side_by_side(points, right));
}

/// The column with the greatest mean distance from its mean: a few values far out count little.
fn widest_column(points: &Matrix, rows: &[u32]) -> usize {
    let mut means = vec![0.0_f32; points.columns()];
    let mut spreads = means.clone();
    let share = 1.0 / rows.len().max(1) as f32;
    for row in rows {
        means.iter_mut().zip(points.row(*row as usize)).for_each(|(mean, value)| *mean += share * value);
    }
    for row in rows {
        let values = points.row(*row as usize).iter().zip(&means);
        spreads.iter_mut().zip(values).for_each(|(spread, (value, mean))| *spread += share * (value - mean).abs());
    }
    crate::at::argmax(&spreads)
}

fn taken<'a>(blocks: &mut [Block<'a>], place: usize) -> Block<'a> {
    blocks.get_mut(place).map(std::mem::take).unwrap_or_default()
}

fn bounds(points: &[f32], width: usize) -> Vec<(f32, f32)> {
    let mut bounds = vec![(f32::INFINITY, f32::NEG_INFINITY); width];
    for own in points.chunks_exact(width.max(1)) {
        bounds.iter_mut().zip(own).for_each(|(bound, value)| *bound = (bound.0.min(*value), bound.1.max(*value)));
    }
    bounds
}

/// The squared distance that rows within two bounds have at least.
fn gap(left: &[(f32, f32)], right: &[(f32, f32)]) -> f32 {
    left.iter().zip(right).map(|(left, right)| (left.0 - right.1).max(right.0 - left.1).max(0.0).powi(2)).sum()
}

impl<'a> Block<'a> {
    fn new(numbers: &'a [u32], points: &'a [f32], lengths: &'a [f32]) -> Self {
        let width = points.len().checked_div(numbers.len()).unwrap_or(0);
        Self {
            numbers,
            points,
            lengths,
            bounds: points.chunks((GROUP_COUNT * width).max(1)).map(|group| bounds(group, width)).collect(),
            rows: vec![NOBODY; lengths.len() * NEIGHBOUR_COUNT],
            distances: vec![f32::INFINITY; lengths.len() * NEIGHBOUR_COUNT],
            farthest: vec![f32::INFINITY; lengths.len()],
        }
    }

    /// A row of this block hears of another row.
    fn hear(&mut self, index: usize, distance: f32, other: u32) {
        let distances = row_mut(&mut self.distances, NEIGHBOUR_COUNT, index);
        insert(row_mut(&mut self.rows, NEIGHBOUR_COUNT, index), distances, distance, other);
        put(&mut self.farthest, index, distances.last().copied().unwrap_or(f32::INFINITY));
    }

    fn meet_itself(&mut self, width: usize, products: &mut [f32]) {
        let all = 0..self.lengths.len();
        for from in all.clone().step_by(GROUP_COUNT) {
            let count = GROUP_COUNT.min(self.lengths.len() - from);
            self.multiply(&all, self.points, (from, count), width, products);
            for (query, products) in products.chunks_exact(self.lengths.len()).take(count).enumerate() {
                let index = from + query;
                let own = at(self.lengths, index);
                for (other, (product, length)) in products.iter().zip(self.lengths).enumerate() {
                    let distance = product + length + own;
                    if distance < at(&self.farthest, index) && other != index {
                        self.hear(index, distance, at(self.numbers, other));
                    }
                }
            }
        }
    }

    /// All rows of two blocks that may be near each other hear of each other.
    fn meet(&mut self, other: &mut Self, width: usize, products: &mut [f32]) {
        let (reaches, other_reaches) = (self.reaches(), other.reaches());
        for (group, reach) in reaches.into_iter().enumerate() {
            let from = group * GROUP_COUNT;
            let count = GROUP_COUNT.min(self.lengths.len() - from);
            let own = self.bounds.get(group).map_or(&[][..], Vec::as_slice);
            let near = |(bounds, their): (&Vec<(f32, f32)>, &f32)| gap(own, bounds) <= reach.max(*their);
            let near: Vec<bool> = other.bounds.iter().zip(&other_reaches).map(near).collect();
            for run in runs(&near) {
                let theirs = run.start * GROUP_COUNT..(run.end * GROUP_COUNT).min(other.lengths.len());
                other.multiply(&theirs, self.points, (from, count), width, products);
                for (query, products) in products.chunks_exact(theirs.len()).take(count).enumerate() {
                    self.compare(from + query, other, theirs.start, products);
                }
            }
        }
    }

    /// How far the rows of each group still look.
    fn reaches(&self) -> Vec<f32> {
        self.farthest.chunks(GROUP_COUNT).map(|group| group.iter().copied().fold(0.0, f32::max)).collect()
    }

    /// Minus twice the products of some rows of these points with some rows of this block.
    fn multiply(&self, own: &Range<usize>, points: &[f32], (from, count): (usize, usize), width: usize, products: &mut [f32]) {
        let queries = points.get(from * width..(from + count) * width).unwrap_or(&[]);
        let own_points = self.points.get(own.start * width..own.end * width).unwrap_or(&[]);
        let shape = (count, width, own.len());
        product(shape, (queries, Left::Plain), (own_points, Right::Transposed), products, (0.0, -2.0));
    }

    /// A row and the rows of another block from a place on hear of each other.
    fn compare(&mut self, index: usize, other: &mut Self, first: usize, products: &[f32]) {
        let own = at(self.lengths, index);
        let number = at(self.numbers, index);
        let mut farthest = at(&self.farthest, index);
        let lengths = other.lengths.get(first..).unwrap_or(&[]);
        for (group, (products, lengths)) in products.chunks(LANE_COUNT).zip(lengths.chunks(LANE_COUNT)).enumerate() {
            let from = first + group * LANE_COUNT;
            let theirs = other.farthest.get(from..from + products.len()).unwrap_or(&[]);
            // One question for many: in most groups nobody is near enough to either.
            let near = |any: bool, ((product, length), their): ((&f32, &f32), &f32)| {
                any | (product + length + own < farthest.max(*their))
            };
            if !products.iter().zip(lengths).zip(theirs).fold(false, near) {
                continue;
            }
            for (place, (product, length)) in products.iter().zip(lengths).enumerate() {
                let distance = product + length + own;
                if distance < farthest {
                    self.hear(index, distance, at(other.numbers, from + place));
                    farthest = at(&self.farthest, index);
                }
                if distance < at(&other.farthest, from + place) {
                    other.hear(from + place, distance, number);
                }
            }
        }
    }
}

/// The stretches of what is true.
fn runs(flags: &[bool]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (place, _) in flags.iter().enumerate().filter(|(_, flag)| **flag) {
        match runs.last_mut() {
            Some(run) if run.end == place => run.end += 1,
            _ => runs.push(place..place + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::algebra::distance_squared;
    use crate::random::Random;
    use crate::testing::quiet;

    #[test]
    fn every_row_hears_of_every_other() {
        let mut random = Random::new(6, 6);
        for count in [1, 2, 19, 128, 129, 700, 4_000] {
            let points = Matrix::new(3, (0..3 * count).map(|_| random.normal()).collect()).unwrap();
            let found = quiet(|watch| search(&points, watch)).unwrap();
            for index in 0..count {
                let mut wanted: Vec<(f32, usize)> = (0..count)
                    .filter(|other| *other != index)
                    .map(|other| (distance_squared(points.row(index), points.row(other)), other))
                    .collect();
                wanted.sort_by(|left, right| left.0.total_cmp(&right.0));
                let wanted: Vec<usize> = wanted.into_iter().take(NEIGHBOUR_COUNT).map(|(_, other)| other).collect();
                assert_eq!(found.of(index).map(|(other, _)| other).collect::<Vec<_>>(), wanted, "{index} of {count}");
            }
        }
    }
    #[test]
    fn rows_of_a_group_lie_near_each_other_and_gaps_are_no_wider_than_distances() {
        let mut random = Random::new(7, 7);
        let points = Matrix::new(2, (0..2 * 2_000).map(|_| random.normal()).collect()).unwrap();
        let mut order: Vec<u32> = (0..2_000).collect();
        put_side_by_side(&points, &mut order);
        let groups: Vec<Matrix> = order.chunks(GROUP_COUNT).map(|rows| points.chosen(rows)).collect();
        let all: Vec<Vec<(f32, f32)>> = groups.iter().map(|group| bounds(group.values(), 2)).collect();
        let area = |bounds: &[(f32, f32)]| bounds.iter().map(|(least, greatest)| greatest - least).product::<f32>();
        let whole = area(&bounds(points.values(), 2));
        assert!(all.iter().map(|bounds| area(bounds)).sum::<f32>() < 1.5 * whole);
        for (left, left_bounds) in groups.iter().zip(&all) {
            for (right, right_bounds) in groups.iter().zip(&all) {
                let least = left.iter().flat_map(|row| right.iter().map(move |other| distance_squared(row, other)));
                assert!(gap(left_bounds, right_bounds) <= least.fold(f32::INFINITY, f32::min));
            }
        }
        order.sort_unstable();
        assert!(order.into_iter().eq(0..2_000));
        assert_eq!(runs(&[true, true, false, true]), [0..2, 3..4]);
    }
}
