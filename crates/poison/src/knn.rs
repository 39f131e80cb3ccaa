//! Exact nearest neighbours by blocked products, and the leave-one-out votes of their labels.
//!
//! Past [`EXACT_ROW_COUNT_MAX`] rows the neighbours come from a sample of anchor rows, so that work grows linearly.

use std::ops::Range;

use rayon::prelude::*;

use crate::PoisonError;
use crate::algebra::{Left, Right, distance_squared, product};
use crate::at::{add, at, put, row, row_mut};
use crate::mutual;
use crate::random::Random;
use crate::table::Matrix;
use crate::watch::Watch;

/// Neighbours of a row.
pub(crate) const NEIGHBOUR_COUNT: usize = 20;
/// Rows up to which each row is compared with every other.
pub(crate) const EXACT_ROW_COUNT_MAX: usize = 300_000;
/// Rows that stand for all others beyond that.
pub(crate) const ANCHOR_COUNT: usize = 32_768;
/// Rows whose neighbours are sought together, and rows they are compared with at once: their distances fit the cache.
const QUERY_COUNT: usize = 128;
const TILE_COUNT: usize = 1_024;
/// Distances that are compared with the threshold together.
const LANE_COUNT: usize = 16;
/// The place of a neighbour that does not exist.
pub(crate) const NOBODY: u32 = u32::MAX;

/// The nearest rows of each row, nearest first, itself left out.
pub(crate) struct Neighbours {
    /// `rows × NEIGHBOUR_COUNT` row numbers; [`NOBODY`] where there are fewer.
    pub(crate) rows: Vec<u32>,
    /// Their squared distances.
    pub(crate) distances: Vec<f32>,
}

impl Neighbours {
    /// The neighbours of a row with their squared distances.
    pub(crate) fn of(&self, index: usize) -> impl Iterator<Item = (usize, f32)> + '_ {
        let rows = row(&self.rows, NEIGHBOUR_COUNT, index).iter();
        let known = rows.zip(row(&self.distances, NEIGHBOUR_COUNT, index)).filter(|(other, _)| **other != NOBODY);
        known.map(|(other, distance)| (*other as usize, *distance))
    }

    /// The distance to the farthest known neighbour; 0 without one.
    pub(crate) fn radius(&self, index: usize) -> f32 {
        self.of(index).last().map_or(0.0, |(_, distance)| distance.max(0.0).sqrt())
    }
}

impl Neighbours {
    /// Makes rows that are not among the points each other's neighbours too, within groups of them. Row `i` of the others goes
    /// by the number `first + i`.
    pub(crate) fn join(&mut self, others: &Matrix, groups: impl Iterator<Item = Range<usize>>, first: usize) {
        for group in groups {
            for index in group.clone() {
                let mut nearest = Nearest {
                    own: NOBODY,
                    rows: row_mut(&mut self.rows, NEIGHBOUR_COUNT, index),
                    distances: row_mut(&mut self.distances, NEIGHBOUR_COUNT, index),
                };
                for other in group.clone().filter(|other| *other != index) {
                    let distance = distance_squared(others.row(index), others.row(other));
                    if nearest.distances.last().is_some_and(|farthest| distance < *farthest) {
                        nearest.insert(distance, u32::try_from(first + other).unwrap_or(NOBODY));
                    }
                }
            }
        }
    }
}

/// The rows that may be neighbours: all, or a seeded sample.
pub(crate) fn anchors(row_count: usize, seed: u64) -> Vec<u32> {
    if row_count <= EXACT_ROW_COUNT_MAX {
        return (0..u32::try_from(row_count).unwrap_or(u32::MAX)).collect();
    }
    Random::new(seed, 0x616e_6368).sample(row_count, ANCHOR_COUNT)
}

/// Finds the nearest anchors of every row. `points` should be centred: distances come from products.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn neighbours(points: &Matrix, anchors: &[u32], watch: &Watch<'_>) -> Result<Neighbours, PoisonError> {
    if anchors.len() == points.rows() && points.columns() > 0 {
        return mutual::search(points, watch);
    }
    search((points, true), points, anchors, watch)
}

/// Finds the nearest anchors of rows that are not among the points themselves.
///
/// # Errors
/// `Cancelled` when the watch says so.
pub(crate) fn neighbours_of(
    others: &Matrix,
    points: &Matrix,
    anchors: &[u32],
    watch: &Watch<'_>,
) -> Result<Neighbours, PoisonError> {
    search((others, false), points, anchors, watch)
}

fn search(
    (queries, are_points): (&Matrix, bool),
    points: &Matrix,
    anchors: &[u32],
    watch: &Watch<'_>,
) -> Result<Neighbours, PoisonError> {
    let (width, row_count) = (points.columns(), queries.rows());
    let mut found = Neighbours {
        rows: vec![NOBODY; row_count * NEIGHBOUR_COUNT],
        distances: vec![f32::INFINITY; row_count * NEIGHBOUR_COUNT],
    };
    if width == 0 {
        return Ok(found);
    }
    let reference = points.chosen(anchors);
    let lengths: Vec<f32> = reference.iter().map(|row| row.iter().map(|value| value * value).sum()).collect();
    let block = QUERY_COUNT * NEIGHBOUR_COUNT;
    let search = Search { reference: &reference, lengths: &lengths, anchors, are_points };
    found.rows.par_chunks_mut(block).zip(found.distances.par_chunks_mut(block)).enumerate().for_each_init(
        || vec![0.0_f32; QUERY_COUNT * TILE_COUNT],
        |products, (index, (rows, distances))| {
            if !watch.stopped() {
                search.block(queries, index * QUERY_COUNT, (rows, distances), products);
            }
        },
    );
    watch.check()?;
    Ok(found)
}

struct Search<'a> {
    reference: &'a Matrix,
    lengths: &'a [f32],
    anchors: &'a [u32],
    /// Whether the rows that ask are the points, each of which is then left out of its own neighbours.
    are_points: bool,
}

impl Search<'_> {
    fn block(&self, points: &Matrix, first: usize, (rows, distances): (&mut [u32], &mut [f32]), products: &mut [f32]) {
        let width = points.columns();
        let query_count = rows.len() / NEIGHBOUR_COUNT;
        let queries = points.values().get(first * width..(first + query_count) * width).unwrap_or(&[]);
        for (tile, lengths) in self.lengths.chunks(TILE_COUNT).enumerate() {
            let from = tile * TILE_COUNT;
            let others = self.reference.values().get(from * width..(from + lengths.len()) * width).unwrap_or(&[]);
            let shape = (query_count, width, lengths.len());
            product(shape, (queries, Left::Plain), (others, Right::Transposed), products, (0.0, -2.0));
            let anchors = self.anchors.get(from..).unwrap_or(&[]);
            for query in 0..query_count {
                let mut nearest = Nearest {
                    own: if self.are_points { u32::try_from(first + query).unwrap_or(NOBODY) } else { NOBODY },
                    rows: rows.get_mut(query * NEIGHBOUR_COUNT..(query + 1) * NEIGHBOUR_COUNT).unwrap_or(&mut []),
                    distances: distances.get_mut(query * NEIGHBOUR_COUNT..(query + 1) * NEIGHBOUR_COUNT).unwrap_or(&mut []),
                };
                nearest.scan(row(products, lengths.len(), query), lengths, anchors);
            }
        }
        // What was left out of each distance: the row's own squared length.
        for (query, distances) in distances.chunks_exact_mut(NEIGHBOUR_COUNT).enumerate() {
            let own: f32 = row(queries, width, query).iter().map(|value| value * value).sum();
            distances.iter_mut().for_each(|distance| *distance = (*distance + own).max(0.0));
        }
    }
}

/// The nearest so far of one row, nearest first.
struct Nearest<'a> {
    own: u32,
    rows: &'a mut [u32],
    distances: &'a mut [f32],
}

impl Nearest<'_> {
    fn scan(&mut self, products: &[f32], lengths: &[f32], anchors: &[u32]) {
        let mut farthest = self.distances.last().copied().unwrap_or(f32::INFINITY);
        let lanes = products.chunks(LANE_COUNT).zip(lengths.chunks(LANE_COUNT)).zip(anchors.chunks(LANE_COUNT));
        for ((products, lengths), anchors) in lanes {
            // One comparison for many: most groups hold nobody near enough.
            let any = products.iter().zip(lengths).fold(false, |any, (product, length)| any | (product + length < farthest));
            if !any {
                continue;
            }
            for ((product, length), anchor) in products.iter().zip(lengths).zip(anchors) {
                let distance = product + length;
                if distance < farthest && *anchor != self.own {
                    self.insert(distance, *anchor);
                    farthest = self.distances.last().copied().unwrap_or(f32::INFINITY);
                }
            }
        }
    }

    fn insert(&mut self, distance: f32, anchor: u32) {
        insert(self.rows, self.distances, distance, anchor);
    }
}

/// Puts a row in its place among the nearest, whose last one leaves.
pub(crate) fn insert(rows: &mut [u32], distances: &mut [f32], distance: f32, anchor: u32) {
    let mut place = distances.len().saturating_sub(1);
    while place > 0 && at(distances, place - 1) > distance {
        let (nearer_distance, nearer_row) = (at(distances, place - 1), at(rows, place - 1));
        put(distances, place, nearer_distance);
        put(rows, place, nearer_row);
        place -= 1;
    }
    put(distances, place, distance);
    put(rows, place, anchor);
}

/// Class probabilities of each row from its neighbours' labels, weighted by `exp(−d² / (2 · 0.25 · d_k²))` and drawn
/// slightly to the classes' shares. The row's own label has no part in them.
pub(crate) fn votes(neighbours: &Neighbours, labels: &[u32], shares: &[f32]) -> Matrix {
    const SHARE_WEIGHT: f32 = 0.5;
    let mut votes = Matrix::zeros(labels.len(), shares.len());
    votes.par_rows_mut().enumerate().for_each(|(index, own)| {
        let farthest = neighbours.of(index).last().map_or(0.0, |(_, distance)| distance).max(f32::MIN_POSITIVE);
        own.iter_mut().zip(shares).for_each(|(vote, share)| *vote = SHARE_WEIGHT * share);
        let mut total = SHARE_WEIGHT;
        for (other, distance) in neighbours.of(index) {
            let weight = (-2.0 * distance / farthest).exp();
            add(own, at(labels, other) as usize, weight);
            total += weight;
        }
        own.iter_mut().for_each(|vote| *vote /= total);
    });
    votes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{quiet, stopped};

    #[test]
    fn the_nearest_are_found_as_by_comparing_all() {
        let mut random = Random::new(5, 5);
        let points = Matrix::new(7, (0..7 * 1_500).map(|_| random.normal()).collect()).unwrap();
        let found = quiet(|watch| neighbours(&points, &anchors(1_500, 1), watch)).unwrap();
        for index in [0, 77, 1_499] {
            let mut all: Vec<(f32, usize)> = (0..1_500)
                .filter(|other| *other != index)
                .map(|other| (distance_squared(points.row(index), points.row(other)), other))
                .collect();
            all.sort_by(|left, right| left.0.total_cmp(&right.0));
            let wanted: Vec<usize> = all.iter().take(NEIGHBOUR_COUNT).map(|(_, other)| *other).collect();
            let got: Vec<usize> = found.of(index).map(|(other, _)| other).collect();
            assert_eq!(got, wanted);
            assert!((found.radius(index) - all[NEIGHBOUR_COUNT - 1].0.sqrt()).abs() < 1e-3);
        }
    }

    #[test]
    fn few_rows_have_fewer_neighbours_and_votes_leave_the_own_label_out() {
        let points = Matrix::new(1, vec![0.0, 0.1, 5.0]).unwrap();
        let found = quiet(|watch| neighbours(&points, &anchors(3, 1), watch)).unwrap();
        assert_eq!(found.of(0).count(), 2);
        let votes = votes(&found, &[1, 0, 0], &[0.5, 0.5]);
        assert!(votes.row(0)[0] > 0.8, "{:?}", votes.row(0));
    }

    #[test]
    fn rows_that_are_joined_are_neighbours_within_their_group() {
        let points = Matrix::new(1, (0..30).map(|place| 10.0 * place as f32).collect()).unwrap();
        let others = Matrix::new(1, vec![1.0, 1.5, 3.0]).unwrap();
        let mut found = quiet(|watch| neighbours_of(&others, &points, &anchors(30, 1), watch)).unwrap();
        found.join(&others, [0..2, 2..3].into_iter(), 30);
        let nearest = |index: usize| found.of(index).next().unwrap().0;
        assert_eq!([nearest(0), nearest(1), nearest(2)], [31, 30, 0]);
        assert_eq!(found.of(0).count(), NEIGHBOUR_COUNT);
    }

    #[test]
    fn many_rows_are_compared_with_a_sample_only() {
        assert_eq!(anchors(EXACT_ROW_COUNT_MAX + 1, 1).len(), ANCHOR_COUNT);
        assert_eq!(anchors(10, 1).len(), 10);
    }

    #[test]
    fn it_stops_when_asked() {
        let points = Matrix::new(1, vec![0.0; 4_000]).unwrap();
        let ended = stopped(|watch| neighbours(&points, &anchors(4_000, 1), watch).map(|_| ()));
        assert!(matches!(ended, Err(PoisonError::Cancelled)));
    }
}
