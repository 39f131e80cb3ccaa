//! How few random cuts part a row from all others.
//!
//! Source: Liu, Ting and Zhou 2008 (isolation forest).

use rayon::prelude::*;

use crate::at::at;
use crate::random::Random;
use crate::table::Matrix;

/// Trees, and rows that each is grown from.
const TREE_COUNT: usize = 100;
const TREE_ROW_COUNT: usize = 256;
/// A tree of so many rows is seldom deeper where nothing lies apart.
const DEPTH_MAX: usize = 8;
const LEAF: u32 = u32::MAX;

/// Trees of random cuts.
pub(crate) struct Isolation {
    trees: Vec<Vec<Node>>,
}

#[derive(Clone, Copy, Default)]
struct Node {
    /// The column to look at, or [`LEAF`].
    column: u32,
    /// The left child; the right one follows it.
    next: u32,
    /// Values below go left; in a leaf, how many cuts the row needs.
    value: f32,
}

impl Isolation {
    pub(crate) fn grow(points: &Matrix, seed: u64) -> Self {
        let tree = |number: u64| {
            let mut random = Random::new(seed, 0x6973_6f6c + (number << 32));
            let mut rows: Vec<u32> =
                (0..TREE_ROW_COUNT).map(|_| u32::try_from(random.below(points.rows())).unwrap_or(0)).collect();
            let mut nodes = vec![Node::default()];
            cut(points, &mut rows, (0, 0), &mut nodes, &mut random);
            nodes
        };
        Self { trees: (0..TREE_COUNT as u64).into_par_iter().map(tree).collect() }
    }

    /// For each row the fewer cuts the greater a mark: less than nothing, the negative mean of the cuts.
    pub(crate) fn marks(&self, points: &Matrix) -> Vec<f32> {
        let mark = |row: &[f32]| {
            let cuts: f32 = self.trees.iter().map(|tree| cuts(tree, row)).sum();
            -cuts / self.trees.len().max(1) as f32
        };
        points.values().par_chunks_exact(points.columns().max(1)).map(mark).collect()
    }
}

/// Grows the node at a place on these rows.
fn cut(points: &Matrix, rows: &mut [u32], (place, depth): (usize, usize), nodes: &mut Vec<Node>, random: &mut Random) {
    let value = |row: u32, column: usize| at(points.row(row as usize), column);
    let leaf = Node { column: LEAF, next: 0, value: depth as f32 + expected_cuts(rows.len()) };
    if depth >= DEPTH_MAX || rows.len() <= 1 {
        return crate::at::put(nodes, place, leaf);
    }
    // A column that does not vary here cuts nothing; after some tries the rows are taken for equal.
    const TRY_COUNT: usize = 8;
    let chosen = (0..TRY_COUNT).find_map(|_| {
        let column = random.below(points.columns());
        let range = rows.iter().fold((f32::INFINITY, f32::NEG_INFINITY), |(least, greatest), row| {
            let own = value(*row, column);
            (least.min(own), greatest.max(own))
        });
        (range.0 < range.1).then_some((column, range))
    });
    let Some((column, (least, greatest))) = chosen else { return crate::at::put(nodes, place, leaf) };
    let at_value = least + (greatest - least) * random.unit().max(f32::EPSILON);
    let mut kept = 0;
    for index in 0..rows.len() {
        if value(at(rows, index), column) < at_value {
            rows.swap(index, kept);
            kept += 1;
        }
    }
    let next = nodes.len();
    nodes.extend([Node::default(); 2]);
    let node = Node { column: u32::try_from(column).unwrap_or(LEAF), next: u32::try_from(next).unwrap_or(0), value: at_value };
    crate::at::put(nodes, place, node);
    let (left, right) = rows.split_at_mut(kept);
    cut(points, left, (next, depth + 1), nodes, random);
    cut(points, right, (next + 1, depth + 1), nodes, random);
}

fn cuts(tree: &[Node], row: &[f32]) -> f32 {
    let mut node = at(tree, 0);
    for _ in 0..=DEPTH_MAX {
        if node.column == LEAF {
            return node.value;
        }
        let right = usize::from(at(row, node.column as usize) >= node.value);
        node = at(tree, node.next as usize + right);
    }
    node.value
}

/// The cuts that so many more rows would need on average (equation 1 of the source).
fn expected_cuts(rows: usize) -> f32 {
    const EULER: f64 = 0.577_215_664_9;
    let rows = rows as f64;
    match rows as usize {
        0 | 1 => 0.0,
        2 => 1.0,
        _ => (2.0 * ((rows - 1.0).ln() + EULER) - 2.0 * (rows - 1.0) / rows) as f32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_far_away_needs_the_fewest_cuts() {
        let mut random = Random::new(3, 3);
        let mut values: Vec<f32> = (0..2_000).map(|_| random.normal()).collect();
        values.extend([8.0, -8.0, 8.0, 8.0]);
        let points = Matrix::new(4, values).unwrap();
        let marks = Isolation::grow(&points, 1).marks(&points);
        let most = crate::at::argmax(&marks);
        assert_eq!((most, marks.len()), (500, 501));
        assert_eq!(marks, Isolation::grow(&points, 1).marks(&points));
    }

    #[test]
    fn equal_rows_are_all_alike() {
        let points = Matrix::zeros(100, 3);
        let marks = Isolation::grow(&points, 1).marks(&points);
        assert!(marks.iter().all(|mark| *mark == marks[0] && mark.is_finite()));
    }

    #[test]
    fn fewer_rows_need_fewer_cuts() {
        assert_eq!((expected_cuts(1), expected_cuts(2)), (0.0, 1.0));
        assert!((expected_cuts(256) - 10.244).abs() < 0.01, "{}", expected_cuts(256));
    }
}
