//! Triggers of cells of which none alone gives them away: each also occurs naturally, only together they are pure.

use crate::at::at;
use crate::table::Matrix;
use crate::trigger::{Found, PURITY_MIN, SUPPORT_MIN, overlap};

/// Cells that are tried in pairs, the most striking first.
const TRIED_COUNT_MAX: usize = 24;
/// A cell that more than this share of the rows holds is no part of a rare mark.
const SHARE_MAX: f64 = 0.2;

/// A cell that stands out, the class that it speaks for, and its rows, rising.
pub(crate) struct Striking {
    pub(crate) z: f32,
    pub(crate) cell: u32,
    pub(crate) class: usize,
    pub(crate) rows: Vec<u32>,
}

/// Two cells, the rows that hold both, and how far their labels stand out.
struct Pair {
    z: f32,
    cells: [u32; 2],
    class: usize,
    rows: Vec<u32>,
}

/// Pairs of cells whose common rows nearly all carry one label, far more often than the models expect; each as a trigger
/// that needs both, the most striking first.
pub(crate) fn jointly(kind: usize, striking: &[Striking], labels: &[u32], probabilities: &Matrix, threshold: f32) -> Vec<Found> {
    let rows_max = (labels.len() as f64 * SHARE_MAX) as usize;
    let tried: Vec<&Striking> = striking.iter().filter(|cell| cell.rows.len() <= rows_max).take(TRIED_COUNT_MAX).collect();
    let mut pairs: Vec<Pair> = Vec::new();
    for (place, first) in tried.iter().enumerate() {
        let others = tried.iter().skip(place + 1).filter(|second| second.class == first.class);
        pairs.extend(others.filter_map(|second| pair(first, second, labels, probabilities, threshold)));
    }
    pairs.sort_by(|left, right| right.z.total_cmp(&left.z).then(left.cells.cmp(&right.cells)));
    let mut found: Vec<Found> = Vec::new();
    for Pair { z, cells, class, rows } in pairs {
        let same = |other: &&mut Found| other.class == class && overlap(&other.rows, &rows) >= crate::trigger::OVERLAP_MIN;
        match found.iter_mut().find(same) {
            Some(other) => other.cells.extend(cells.into_iter().filter(|cell| !other.cells.contains(cell)).collect::<Vec<_>>()),
            None => found.push(Found { kind, class, cells: cells.to_vec(), least: 2, z, rows, by_nature: Vec::new() }),
        }
    }
    found
}

fn pair(first: &Striking, second: &Striking, labels: &[u32], probabilities: &Matrix, threshold: f32) -> Option<Pair> {
    let class = first.class;
    let both: Vec<u32> = first.rows.iter().copied().filter(|row| second.rows.binary_search(row).is_ok()).collect();
    let labelled: Vec<u32> = both.iter().copied().filter(|row| at(labels, *row as usize) as usize == class).collect();
    if labelled.len() < SUPPORT_MIN as usize || (labelled.len() as f32) < PURITY_MIN * both.len() as f32 {
        return None;
    }
    let said = || both.iter().map(|row| at(probabilities.row(*row as usize), class));
    let (expected, spread): (f32, f32) = (said().sum(), said().map(|value| value * (1.0 - value)).sum());
    let z = (labelled.len() as f32 - expected) / (spread + 1.0).sqrt();
    (z > threshold).then_some(Pair { z, cells: [first.cell, second.cell], class, rows: labelled })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Cells 1 and 2 are held by 100 rows each, half of which carry class 1; `shared` of them, all of class 1, hold both.
    fn check(shared: u32) -> Vec<Found> {
        let labels: Vec<u32> = (0..1_000).map(|row| u32::from(row < 50 || row % 2 == 0)).collect();
        let other: Vec<u32> = (1..=(100 - shared)).map(|row| 2 * row + 201).collect();
        let of = |cell, from: u32| {
            let rows = (0..shared).chain(other.iter().map(|row| row + from)).collect();
            Striking { z: 5.0, cell, class: 1, rows }
        };
        let expected = Matrix::new(2, [0.9, 0.1].repeat(1_000)).unwrap();
        jointly(0, &[of(1, 0), of(2, 300)], &labels, &expected, 8.0)
    }

    #[test]
    fn cells_that_only_together_are_pure_are_one_trigger() {
        let found = check(40);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].cells.as_slice(), found[0].class, found[0].least), ([1, 2].as_slice(), 1, 2));
        assert_eq!(found[0].rows, (0..40).collect::<Vec<u32>>());
    }

    #[test]
    fn few_common_rows_are_nothing() {
        assert!(check(5).is_empty());
    }
}
