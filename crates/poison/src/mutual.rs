//! Exact nearest neighbours of all rows among each other: two rows' distance is computed once and told to both.
//!
//! The rows lie in blocks, and blocks meet as in a tournament: in each round every block meets one other, so that all pairs
//! of a round can be compared at the same time, and the order in which a row hears of the others is the same whatever the
//! number of threads.

use rayon::prelude::*;

use crate::PoisonError;
use crate::algebra::{Left, Right, product};
use crate::at::{at, put, row_mut};
use crate::knn::{NEIGHBOUR_COUNT, NOBODY, Neighbours, insert};
use crate::table::Matrix;
use crate::watch::Watch;

/// Blocks that there should be at least, and rows of one.
const BLOCK_COUNT: usize = 16;
const ROW_COUNT_MIN: usize = 128;
const ROW_COUNT_MAX: usize = 1_024;
/// Rows that are compared with a whole block at once: their distances fit the cache.
const QUERY_COUNT: usize = 128;
/// Distances that are compared with the thresholds together.
const LANE_COUNT: usize = 16;

/// Some rows, with the nearest of each so far.
#[derive(Default)]
struct Block<'a> {
    first: u32,
    points: &'a [f32],
    lengths: &'a [f32],
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
    let lengths: Vec<f32> = points.iter().map(|row| row.iter().map(|value| value * value).sum()).collect();
    let size = (row_count / BLOCK_COUNT).clamp(ROW_COUNT_MIN, ROW_COUNT_MAX);
    let parts = points.values().chunks((size * width).max(1)).zip(lengths.chunks(size)).enumerate();
    let mut blocks: Vec<Block<'_>> = parts.map(|(place, (points, lengths))| Block::new(place * size, points, lengths)).collect();
    let buffer = || vec![0.0_f32; QUERY_COUNT * size];
    blocks.par_iter_mut().for_each_init(buffer, |products, block| {
        if !watch.stopped() {
            block.meet_itself(width, products);
        }
    });
    // An even number, so that each has an opponent; nobody lies in the last one.
    blocks.resize_with(blocks.len().next_multiple_of(2), Block::default);
    let mut order: Vec<usize> = (0..blocks.len()).collect();
    for _ in 1..blocks.len() {
        watch.check()?;
        let (left, right) = order.split_at(order.len() / 2);
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
        order.get_mut(1..).unwrap_or(&mut []).rotate_right(1);
    }
    watch.check()?;
    let mut found = Neighbours { rows: Vec::with_capacity(row_count * NEIGHBOUR_COUNT), distances: Vec::new() };
    found.distances.reserve_exact(row_count * NEIGHBOUR_COUNT);
    for block in blocks {
        found.rows.extend(block.rows);
        found.distances.extend(block.distances.iter().map(|distance| distance.max(0.0)));
    }
    Ok(found)
}

fn taken<'a>(blocks: &mut [Block<'a>], place: usize) -> Block<'a> {
    blocks.get_mut(place).map(std::mem::take).unwrap_or_default()
}

impl<'a> Block<'a> {
    fn new(first: usize, points: &'a [f32], lengths: &'a [f32]) -> Self {
        Self {
            first: u32::try_from(first).unwrap_or(NOBODY),
            points,
            lengths,
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
        for from in (0..self.lengths.len()).step_by(QUERY_COUNT) {
            let count = QUERY_COUNT.min(self.lengths.len() - from);
            self.multiply(self.points, (from, count), width, products);
            for (query, products) in products.chunks_exact(self.lengths.len()).take(count).enumerate() {
                let index = from + query;
                let own = at(self.lengths, index);
                for (other, (product, length)) in products.iter().zip(self.lengths).enumerate() {
                    let distance = product + length + own;
                    if distance < at(&self.farthest, index) && other != index {
                        self.hear(index, distance, self.first + u32::try_from(other).unwrap_or(0));
                    }
                }
            }
        }
    }

    /// All rows of two blocks hear of each other.
    fn meet(&mut self, other: &mut Self, width: usize, products: &mut [f32]) {
        if self.lengths.is_empty() || other.lengths.is_empty() {
            return;
        }
        for from in (0..self.lengths.len()).step_by(QUERY_COUNT) {
            let count = QUERY_COUNT.min(self.lengths.len() - from);
            other.multiply(self.points, (from, count), width, products);
            for (query, products) in products.chunks_exact(other.lengths.len()).take(count).enumerate() {
                self.compare(from + query, other, products);
            }
        }
    }

    /// Minus twice the products of some rows of these points with all rows of this block.
    fn multiply(&self, points: &[f32], (from, count): (usize, usize), width: usize, products: &mut [f32]) {
        let queries = points.get(from * width..(from + count) * width).unwrap_or(&[]);
        let shape = (count, width, self.lengths.len());
        product(shape, (queries, Left::Plain), (self.points, Right::Transposed), products, (0.0, -2.0));
    }

    fn compare(&mut self, index: usize, other: &mut Self, products: &[f32]) {
        let own = at(self.lengths, index);
        let number = self.first + u32::try_from(index).unwrap_or(0);
        let mut farthest = at(&self.farthest, index);
        for (group, (products, lengths)) in products.chunks(LANE_COUNT).zip(other.lengths.chunks(LANE_COUNT)).enumerate() {
            let from = group * LANE_COUNT;
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
                    self.hear(index, distance, other.first + u32::try_from(from + place).unwrap_or(0));
                    farthest = at(&self.farthest, index);
                }
                if distance < at(&other.farthest, from + place) {
                    other.hear(from + place, distance, number);
                }
            }
        }
    }
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
        for count in [1, 2, 19, 128, 129, 700] {
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
}
