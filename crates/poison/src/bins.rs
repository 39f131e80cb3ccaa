//! Columns as bins of one byte: exact values where a column has few, quantiles elsewhere, and a bin of its own for each
//! value that repeats often.

use rayon::prelude::*;

use crate::at::at;
use crate::odd;
use crate::random::Random;
use crate::table::Matrix;

/// Rows from which the bins' edges are learnt.
const EDGE_ROW_COUNT_MAX: usize = 60_000;
/// Columns that are read together: at least as many values as are fetched at once; at most so many that their counts stay at hand. Of wide
/// rows more are read, for each further group fetches all rows anew.
const GROUP_MIN: usize = 16;
const GROUP_MAX: usize = 128;
/// Groups that keep all processors busy.
const GROUP_COUNT: usize = 8;
const BYTE_COUNT: usize = 256;
/// Bin 0 holds what is not a number.
const FIRST_BIN: usize = 1;

/// Every value as its column's bin, row-major.
pub(crate) struct Bins {
    columns: usize,
    codes: Vec<u8>,
    /// The least value of each bin from bin 1 on, rising.
    edges: Vec<Vec<f32>>,
    /// Bins of which the column itself gives no account, rising; none are looked for in bins for trees.
    odd: Vec<Vec<u8>>,
}

impl Bins {
    /// Bins for trees: up to 255 a column, at equal counts.
    pub(crate) fn fine(table: &Matrix, seed: u64) -> Self {
        Self::with(table, seed, |_, sorted| (quantile_edges(sorted, 254), Vec::new()))
    }

    /// Bins for counting: exact values up to `exact_max`; else `quantiles`, with exact bins for frequent values.
    pub(crate) fn coarse(table: &Matrix, exact_max: usize, quantiles: usize, seed: u64) -> Self {
        Self::with(table, seed, |_, sorted| {
            let edges = counting_edges(sorted, exact_max, quantiles);
            let odd = odd::bins(sorted, &edges);
            (edges, odd)
        })
    }

    /// `quantiles` bins a column, besides a bin for the values from and up to which each of some columns is given.
    pub(crate) fn around(table: &Matrix, ranges: &[(usize, u8, u8)], quantiles: usize, seed: u64) -> Self {
        Self::with(table, seed, |column, sorted| {
            let mut edges = quantile_edges(sorted, quantiles);
            for (_, low, high) in ranges.iter().filter(|(own, _, _)| *own == column) {
                let (low, above) = (f32::from(*low), f32::from(*high) + 1.0);
                edges.retain(|edge| *edge <= low || *edge >= above);
                edges.push(low);
                edges.extend(sorted.last().filter(|last| **last >= above).map(|_| above));
            }
            edges.sort_by(f32::total_cmp);
            edges.dedup();
            (edges, Vec::new())
        })
    }

    fn with(table: &Matrix, seed: u64, edges: impl Fn(usize, &[f32]) -> (Vec<f32>, Vec<u8>) + Sync) -> Self {
        let columns = table.columns();
        let rows = Random::new(seed, 0x6269_6e73).sample(table.rows(), EDGE_ROW_COUNT_MAX);
        let width = (columns / GROUP_COUNT).clamp(GROUP_MIN, GROUP_MAX);
        let groups: Vec<Vec<(Vec<f32>, Vec<u8>)>> = (0..columns.div_ceil(width))
            .into_par_iter()
            .map(|group| each_sorted(table, &rows, (group * width, width), &edges))
            .collect();
        let (edges, odd): (Vec<Vec<f32>>, Vec<Vec<u8>>) = groups.into_iter().flatten().unzip();
        let bytes: Vec<[u8; BYTE_COUNT]> = edges.par_iter().map(|edges| bins_of_bytes(edges)).collect();
        let mut codes = vec![0_u8; table.values().len()];
        if columns > 0 {
            codes.par_chunks_mut(columns * 1_024).zip(table.values().par_chunks(columns * 1_024)).for_each(|(codes, values)| {
                for (codes, values) in codes.chunks_exact_mut(columns).zip(values.chunks_exact(columns)) {
                    for (((code, value), edges), bytes) in codes.iter_mut().zip(values).zip(&edges).zip(&bytes) {
                        *code = as_byte(*value).map_or_else(|| bin_of(edges, *value), |byte| at(bytes, usize::from(byte)));
                    }
                }
            });
        }
        Self { columns, codes, edges, odd }
    }

    /// How many columns there are.
    pub(crate) const fn columns(&self) -> usize {
        self.columns
    }

    /// How many rows there are.
    pub(crate) fn rows(&self) -> usize {
        self.codes.len().checked_div(self.columns).unwrap_or(0)
    }

    /// How many bins a column has.
    pub(crate) fn count(&self, column: usize) -> usize {
        self.edges.get(column).map_or(0, Vec::len) + FIRST_BIN
    }

    /// A row's bins.
    #[inline]
    pub(crate) fn row(&self, index: usize) -> &[u8] {
        crate::at::row(&self.codes, self.columns, index)
    }

    /// The bin of a value in a column.
    pub(crate) fn bin(&self, column: usize, value: f32) -> u8 {
        self.edges.get(column).map_or(0, |edges| bin_of(edges, value))
    }

    /// Bins of a column of which the column itself gives no account: a value that repeats among values that do not, or
    /// values far beyond all others.
    pub(crate) fn odd(&self, column: usize) -> &[u8] {
        self.odd.get(column).map_or(&[], Vec::as_slice)
    }

    /// The values of a bin: from, and below which (infinite for the last).
    pub(crate) fn range(&self, column: usize, bin: u8) -> (f32, f32) {
        let edges = self.edges.get(column).map_or(&[][..], Vec::as_slice);
        let place = usize::from(bin);
        if place < FIRST_BIN {
            return (f32::NAN, f32::NAN);
        }
        (at(edges, place - FIRST_BIN), edges.get(place).copied().unwrap_or(f32::INFINITY))
    }
}

/// What the sorted values of each of some columns from this one on give, without what is not a number. Columns of whole numbers of
/// one byte, as all pixels are, are sorted by counting.
fn each_sorted<T>(table: &Matrix, rows: &[u32], (first, width): (usize, usize), give: impl Fn(usize, &[f32]) -> T) -> Vec<T> {
    let width = width.min(table.columns() - first);
    let mut counts = vec![[0_u32; BYTE_COUNT]; width];
    let mut of_bytes = vec![true; width];
    for index in rows {
        let own = table.row(*index as usize).get(first..).unwrap_or(&[]);
        for ((counts, of_bytes), value) in counts.iter_mut().zip(&mut of_bytes).zip(own) {
            match as_byte(*value) {
                Some(byte) => crate::at::add(counts, usize::from(byte), 1),
                None => *of_bytes = false,
            }
        }
    }
    let mut values: Vec<f32> = Vec::with_capacity(rows.len());
    let sorted = |(place, (counts, of_bytes)): (usize, (&[u32; BYTE_COUNT], &bool))| {
        values.clear();
        if *of_bytes {
            // Filled stretch by stretch: value by value takes several times as long.
            for (byte, count) in counts.iter().enumerate() {
                values.resize(values.len() + *count as usize, byte as f32);
            }
        } else {
            let own = rows.iter().map(|index| at(table.row(*index as usize), first + place));
            values.extend(own.filter(|value| !value.is_nan()));
            values.sort_unstable_by(f32::total_cmp);
        }
        give(first + place, &values)
    };
    counts.iter().zip(&of_bytes).enumerate().map(sorted).collect()
}

/// A whole number of one byte.
#[inline]
fn as_byte(value: f32) -> Option<u8> {
    let byte = value as u8;
    (f32::from(byte).to_bits() == value.to_bits()).then_some(byte)
}

/// The bin of each value that is a whole number of one byte.
fn bins_of_bytes(edges: &[f32]) -> [u8; BYTE_COUNT] {
    std::array::from_fn(|byte| bin_of(edges, byte as f32))
}

fn bin_of(edges: &[f32], value: f32) -> u8 {
    if value.is_nan() {
        return 0;
    }
    // A value below the least of the sample belongs to the first bin.
    u8::try_from(edges.partition_point(|edge| *edge <= value).max(1)).unwrap_or(u8::MAX)
}

/// Edges at equal counts; each distinct value its own where there are no more than `bins`.
fn quantile_edges(sorted: &[f32], bins: usize) -> Vec<f32> {
    let mut distinct = sorted.to_vec();
    distinct.dedup();
    if distinct.len() <= bins {
        return distinct;
    }
    let mut edges: Vec<f32> = (0..bins).map(|bin| at(sorted, bin * sorted.len() / bins)).collect();
    edges.dedup();
    edges
}

/// Edges for counting: a frequent value opens a bin and the next greater value closes it.
fn counting_edges(sorted: &[f32], exact_max: usize, quantiles: usize) -> Vec<f32> {
    const BIN_COUNT_MAX: usize = 254;
    const FREQUENT_COUNT_MIN: usize = 10;
    let exact = quantile_edges(sorted, exact_max);
    let mut distinct = sorted.to_vec();
    distinct.dedup();
    if distinct.len() == exact.len() {
        return exact;
    }
    let frequent_min = FREQUENT_COUNT_MIN.max(sorted.len() / 500);
    let mut frequent: Vec<(usize, f32, Option<f32>)> = Vec::new();
    let mut from = 0;
    while let Some(value) = sorted.get(from) {
        let to = from + sorted.get(from..).unwrap_or(&[]).partition_point(|other| other <= value);
        if to - from >= frequent_min {
            frequent.push((to - from, *value, sorted.get(to).copied()));
        }
        from = to;
    }
    frequent.sort_by_key(|(count, _, _)| std::cmp::Reverse(*count));
    frequent.truncate((BIN_COUNT_MAX - quantiles) / 2);
    let mut edges = quantile_edges(sorted, quantiles);
    edges.extend(odd::outer_edges(sorted).into_iter().flatten());
    for (_, value, next) in frequent {
        edges.push(value);
        edges.extend(next);
    }
    edges.sort_by(f32::total_cmp);
    edges.dedup();
    edges
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_values_are_exact_and_what_is_not_a_number_is_apart() {
        let table = Matrix::new(1, vec![1.0, 5.0, f32::NAN, 5.0, 2.0]).unwrap();
        let bins = Bins::fine(&table, 1);
        assert_eq!((0..5).map(|index| bins.row(index)[0]).collect::<Vec<_>>(), [1, 3, 0, 3, 2]);
        assert_eq!(bins.range(0, 3), (5.0, f32::INFINITY));
    }

    #[test]
    fn a_value_that_repeats_has_its_own_bin() {
        let mut values: Vec<f32> = (0..5_000).map(|number| number as f32).collect();
        values.extend([1_234.5; 30]);
        let bins = Bins::coarse(&Matrix::new(1, values).unwrap(), 64, 8, 1);
        let own = bins.row(5_010)[0];
        assert_eq!((0..5_030).filter(|index| bins.row(*index)[0] == own).count(), 30);
        assert_eq!(bins.range(0, own), (1_234.5, 1_235.0));
    }

    #[test]
    fn many_values_share_at_most_a_byte_of_bins() {
        let values: Vec<f32> = (0..10_000).map(|number| number as f32).collect();
        let bins = Bins::fine(&Matrix::new(1, values).unwrap(), 1);
        assert!(bins.row(9_999)[0] > 200);
        assert!((0..9_999).all(|index| bins.row(index)[0] <= bins.row(index + 1)[0]));
    }
}
