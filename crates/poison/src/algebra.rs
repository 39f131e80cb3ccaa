//! Dense algebra on flat row-major tables: products, Cholesky factors, principal directions.

use rayon::prelude::*;

use crate::at::{add, at, put, row, row_mut};
use crate::random::Random;
use crate::table::Tokens;

/// Rows that one product takes at once: a block of this many rows of 1,024 values fits the second-level cache.
pub(crate) const BLOCK_ROW_COUNT: usize = 512;
/// Rows from which principal directions are learnt; more hardly move them.
const DIRECTION_ROW_COUNT_MAX: usize = 10_000;
const DIRECTION_ROUND_COUNT: usize = 5;

/// How the right side of a product lies in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Right {
    /// `inner × columns`, row-major.
    Plain,
    /// `columns × inner`, row-major: its rows are the columns of the product.
    Transposed,
    /// `inner × columns`, row-major, but each row is followed by more; the number is the length of a row in memory.
    Strided(usize),
}

/// How the left side lies in memory.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Left {
    /// `rows × inner`, row-major.
    Plain,
    /// `inner × rows`, row-major, of which the columns from the number on are meant; the number is the row length.
    Columns {
        /// The first column.
        from: usize,
        /// The length of a row in memory.
        stride: usize,
    },
}

/// `out = keep · out + scale · left · right`, with `out` of `rows × columns` and `inner` the summed dimension.
///
/// A table that is too short for its shape leaves `out` as it is.
pub(crate) fn product<T: Copy + Default + PartialEq + 'static>(
    shape: (usize, usize, usize),
    (left, left_lies): (&[T], Left),
    (right, right_lies): (&[T], Right),
    out: &mut [T],
    (keep, scale): (T, T),
) {
    let (rows, inner, columns) = shape;
    let left_len = match left_lies {
        Left::Plain => rows * inner,
        Left::Columns { from, stride } if from + rows <= stride => inner * stride,
        Left::Columns { .. } => return,
    };
    let right_len = match right_lies {
        Right::Plain | Right::Transposed => inner * columns,
        Right::Strided(stride) if columns <= stride => inner.saturating_sub(1) * stride + columns,
        Right::Strided(_) => return,
    };
    if left.len() < left_len || right.len() < right_len || out.len() < rows * columns || rows * columns == 0 || inner == 0 {
        return;
    }
    let (left_from, left_row, left_column) = match left_lies {
        Left::Plain => (left, inner, 1),
        Left::Columns { from, stride } => (left.get(from..).unwrap_or(&[]), 1, stride),
    };
    let (right_row, right_column) = match right_lies {
        Right::Plain => (columns, 1),
        Right::Transposed => (1, inner),
        Right::Strided(stride) => (stride, 1),
    };
    let step = |count: usize| isize::try_from(count).unwrap_or(isize::MAX);
    #[expect(unsafe_code, reason = "the fast product takes pointers; the lengths of all three tables are checked above")]
    // SAFETY: each table holds its whole shape under the given strides, and `out` is borrowed alone.
    unsafe {
        gemm::gemm(
            rows,
            columns,
            inner,
            out.as_mut_ptr(),
            1,
            step(columns),
            keep != T::default(),
            left_from.as_ptr(),
            step(left_column),
            step(left_row),
            right.as_ptr(),
            step(right_column),
            step(right_row),
            keep,
            scale,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// `rows × inner` by `inner × columns`, in parallel blocks of rows.
pub(crate) fn multiply(left: &[f32], inner: usize, right: &[f32], columns: usize) -> Vec<f32> {
    let mut out = vec![0.0; left.len().checked_div(inner).unwrap_or(0) * columns];
    if inner == 0 || columns == 0 {
        return out;
    }
    out.par_chunks_mut(BLOCK_ROW_COUNT * columns).zip(left.par_chunks(BLOCK_ROW_COUNT * inner)).for_each(|(out, left)| {
        product((left.len() / inner, inner, columns), (left, Left::Plain), (right, Right::Plain), out, (0.0, 1.0));
    });
    out
}

/// The dot product over the shorter length, in eight lanes so that it runs on vectors.
pub(crate) fn dot(left: &[f64], right: &[f64]) -> f64 {
    let common = left.len().min(right.len());
    let (left, right) = (left.get(..common).unwrap_or(&[]), right.get(..common).unwrap_or(&[]));
    let mut lanes = [0.0_f64; 8];
    let (left_chunks, right_chunks) = (left.chunks_exact(8), right.chunks_exact(8));
    let rest: f64 = left_chunks.remainder().iter().zip(right_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in left_chunks.zip(right_chunks) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum::<f64>() + rest
}

/// The squared distance of two points.
pub(crate) fn distance_squared(left: &[f32], right: &[f32]) -> f32 {
    left.iter().zip(right).map(|(a, b)| (a - b) * (a - b)).sum()
}

/// Rows of a table that are factored together: what the rest of the table loses to them is one product.
const FACTOR_BLOCK_COUNT: usize = 64;

/// The lower Cholesky factor of a symmetric positive definite `size × size` table, in place, by blocks (Golub and Van Loan
/// 2013, section 4.2.9). What lies above the diagonal is left as it is, or spoilt.
///
/// Gives false, and leaves the table half done, if it is not positive definite.
pub(crate) fn cholesky(table: &mut [f64], size: usize) -> bool {
    let mut update = Vec::new();
    for from in (0..size).step_by(FACTOR_BLOCK_COUNT) {
        let to = (from + FACTOR_BLOCK_COUNT).min(size);
        if !factor_columns(table, size, from, to) {
            return false;
        }
        // The panel below the block, by itself, so that it lies close.
        let panel: Vec<f64> =
            (to..size).flat_map(|index| row(table, size, index).get(from..to).unwrap_or(&[]).iter().copied()).collect();
        let width = to - from;
        for (block, own) in panel.chunks(FACTOR_BLOCK_COUNT * width).enumerate() {
            let (first, height) = (block * FACTOR_BLOCK_COUNT, own.len() / width);
            let columns = first + height;
            let others = panel.get(..columns * width).unwrap_or(&[]);
            update.clear();
            update.resize(height * columns, 0.0);
            product((height, width, columns), (own, Left::Plain), (others, Right::Transposed), &mut update, (0.0, 1.0));
            for (index, lost) in update.chunks_exact(columns).enumerate() {
                let rest = row_mut(table, size, to + first + index).get_mut(to..).unwrap_or(&mut []);
                rest.iter_mut().zip(lost).for_each(|(value, lost)| *value -= lost);
            }
        }
    }
    true
}

/// Columns `from..to` of the factor, of a table that has already lost what the columns before them take.
fn factor_columns(table: &mut [f64], size: usize, from: usize, to: usize) -> bool {
    for index in from..size {
        let (above, from_here) = table.split_at_mut(index * size);
        let own = row_mut(from_here, size, 0);
        for column in from..to.min(index) {
            let other = row(above, size, column);
            let known = dot(own.get(from..column).unwrap_or(&[]), other.get(from..column).unwrap_or(&[]));
            let value = (at(own, column) - known) / at(other, column);
            put(own, column, value);
        }
        if index >= to {
            continue;
        }
        let done = own.get(from..index).unwrap_or(&[]);
        let pivot = at(own, index) - dot(done, done);
        if !(pivot.is_finite() && pivot > 0.0) {
            return false;
        }
        put(own, index, pivot.sqrt());
    }
    true
}

/// Solves `L Lᵀ x = b` in place, for the factor of [`cholesky`].
pub(crate) fn solve(factor: &[f64], size: usize, right: &mut [f64]) {
    for index in 0..size {
        let own = row(factor, size, index);
        let value = (at(right, index) - dot(own.get(..index).unwrap_or(&[]), right)) / at(own, index);
        put(right, index, value);
    }
    for index in (0..size).rev() {
        let own = row(factor, size, index);
        let value = at(right, index) / at(own, index);
        put(right, index, value);
        for (column, weight) in own.iter().enumerate().take(index) {
            add(right, column, -weight * value);
        }
    }
}

/// Makes the columns of a `rows × columns` table orthonormal (modified Gram–Schmidt, twice for accuracy).
fn orthonormalise(table: &mut [f32], columns: usize) {
    let rows = table.len().checked_div(columns).unwrap_or(0);
    let mut basis: Vec<Vec<f64>> = Vec::with_capacity(columns);
    for column in 0..columns {
        let mut own: Vec<f64> = (0..rows).map(|index| f64::from(at(table, index * columns + column))).collect();
        for _ in 0..2 {
            for other in &basis {
                let along = dot(&own, other);
                own.iter_mut().zip(other).for_each(|(value, other)| *value -= along * other);
            }
        }
        let length = dot(&own, &own).sqrt();
        let scale = if length > 1e-9 { 1.0 / length } else { 0.0 };
        own.iter_mut().for_each(|value| *value *= scale);
        basis.push(own);
    }
    for (column, own) in basis.iter().enumerate() {
        for (index, value) in own.iter().enumerate() {
            put(table, index * columns + column, *value as f32);
        }
    }
}

/// The `count` directions of greatest variance of centred rows, as an `inner × count` table: randomised subspace
/// iteration (Halko, Martinsson and Tropp 2011, algorithm 4.4) on a sample of the rows.
pub(crate) fn principal_directions(rows: &[f32], inner: usize, count: usize, seed: u64) -> Vec<f32> {
    let total = rows.len().checked_div(inner).unwrap_or(0);
    let mut random = Random::new(seed, 0x7063_6100);
    let chosen = random.sample(total, DIRECTION_ROW_COUNT_MAX);
    let sample: Vec<f32> = chosen.iter().flat_map(|index| row(rows, inner, *index as usize)).copied().collect();
    let width = (count + 8).min(inner);
    let mut basis: Vec<f32> = (0..inner * width).map(|_| random.normal()).collect();
    for _ in 0..DIRECTION_ROUND_COUNT {
        orthonormalise(&mut basis, width);
        let projected = multiply(&sample, inner, &basis, width);
        let inner_block = inner.div_ceil(8).max(1);
        let mut next = vec![0.0; inner * width];
        next.par_chunks_mut(inner_block * width).enumerate().for_each(|(block, out)| {
            let lies = Left::Columns { from: block * inner_block, stride: inner };
            product((out.len() / width, chosen.len(), width), (&sample, lies), (&projected, Right::Plain), out, (0.0, 1.0));
        });
        basis = next;
    }
    orthonormalise(&mut basis, width);
    let kept = count.min(width);
    basis.chunks_exact(width.max(1)).flat_map(|row| row.iter().take(kept)).copied().collect()
}

/// The `count` leading directions of sparse rows, as a `width × count` table, by the same iteration.
pub(crate) fn directions_of_tokens(tokens: &Tokens, count: usize, seed: u64) -> Vec<f32> {
    let mut random = Random::new(seed, 0x6c73_6100);
    let chosen = random.sample(tokens.rows(), DIRECTION_ROW_COUNT_MAX);
    let mut basis: Vec<f32> = (0..tokens.width() * count).map(|_| random.normal()).collect();
    for _ in 0..DIRECTION_ROUND_COUNT {
        let mut projected = vec![0.0_f32; chosen.len() * count];
        projected.par_chunks_exact_mut(count).zip(&chosen).for_each(|(out, index)| {
            for (token, weight) in tokens.row(*index as usize) {
                out.iter_mut().zip(row(&basis, count, token)).for_each(|(value, along)| *value += weight * along);
            }
        });
        // Orthonormal on the rows' side: there are far fewer rows than tokens.
        orthonormalise(&mut projected, count);
        basis.fill(0.0);
        for (index, own) in chosen.iter().zip(projected.chunks_exact(count)) {
            for (token, weight) in tokens.row(*index as usize) {
                row_mut(&mut basis, count, token).iter_mut().zip(own).for_each(|(value, along)| *value += weight * along);
            }
        }
    }
    // The rows' side was orthonormal and has converged: the directions are nearly so, and need only length 1.
    let mut lengths = vec![0.0_f32; count];
    for own in basis.chunks_exact(count) {
        lengths.iter_mut().zip(own).for_each(|(length, value)| *length += value * value);
    }
    for own in basis.chunks_exact_mut(count) {
        own.iter_mut().zip(&lengths).for_each(|(value, length)| *value /= length.sqrt().max(1e-12));
    }
    basis
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn products_agree_with_sums_in_each_layout() {
        let left = [1.0, 2.0, 3.0, 4.0, 5.0, 6.0];
        let right = [1.0, 0.5, -1.0, 2.0, 0.0, 1.0];
        let mut plain = [0.0; 4];
        product((2, 3, 2), (&left, Left::Plain), (&right, Right::Plain), &mut plain, (0.0, 1.0));
        assert_eq!(plain, [-1.0, 7.5, -1.0, 18.0]);
        let mut transposed = [0.0; 4];
        product((2, 3, 2), (&left, Left::Plain), (&right, Right::Transposed), &mut transposed, (0.0, 2.0));
        assert_eq!(transposed, [-2.0, 10.0, 1.0, 28.0]);
        let mut columns = [1.0; 2];
        let lies = Left::Columns { from: 1, stride: 3 };
        product((1, 2, 2), (&left, lies), (&right, Right::Plain), &mut columns, (1.0, 1.0));
        assert_eq!(columns, [-2.0, 12.0]);
    }

    #[test]
    fn tables_that_are_too_short_change_nothing() {
        let mut out = [3.0; 4];
        product((2, 3, 2), (&[1.0; 5], Left::Plain), (&[1.0; 6], Right::Plain), &mut out, (0.0, 1.0));
        assert_eq!(out, [3.0; 4]);
    }

    #[test]
    fn cholesky_solves_and_refuses_what_is_not_positive() {
        let mut table = vec![4.0, 2.0, 0.0, 2.0, 5.0, 1.0, 0.0, 1.0, 3.0];
        let mut right = [10.0, 13.0, 4.0];
        assert!(cholesky(&mut table, 3));
        solve(&table, 3, &mut right);
        let back = [4.0 * right[0] + 2.0 * right[1], 2.0 * right[0] + 5.0 * right[1] + right[2], right[1] + 3.0 * right[2]];
        for (value, wanted) in back.iter().zip([10.0, 13.0, 4.0]) {
            assert!((value - wanted).abs() < 1e-9, "{back:?}");
        }
        assert!(!cholesky(&mut [1.0, 2.0, 2.0, 1.0], 2));
    }

    #[test]
    fn a_factor_of_many_blocks_gives_the_table_back() {
        const SIZE: usize = 150;
        let mut random = Random::new(5, 0);
        let half: Vec<f64> = (0..SIZE * SIZE).map(|_| f64::from(random.normal())).collect();
        let mut table = vec![0.0; SIZE * SIZE];
        product((SIZE, SIZE, SIZE), (&half, Left::Plain), (&half, Right::Transposed), &mut table, (0.0, 1.0));
        (0..SIZE).for_each(|index| add(&mut table, index * SIZE + index, 1.0));
        let (wanted, mut factor) = (table.clone(), table);
        assert!(cholesky(&mut factor, SIZE));
        for index in 0..SIZE {
            for column in 0..=index {
                let own = &row(&factor, SIZE, index)[..=column];
                let back = dot(own, &row(&factor, SIZE, column)[..=column]);
                assert!((back - wanted[index * SIZE + column]).abs() < 1e-8, "{index} {column}");
            }
        }
        wanted.iter().zip(&mut factor).for_each(|(value, place)| *place = *value);
        put(&mut factor, 140 * SIZE + 140, -1.0);
        assert!(!cholesky(&mut factor, SIZE));
    }

    #[test]
    fn principal_directions_find_the_long_axis() {
        let mut random = Random::new(3, 1);
        let rows: Vec<f32> = (0..500)
            .flat_map(|_| {
                let (long, short) = (10.0 * random.normal(), 0.1 * random.normal());
                [long * 0.6, long * 0.8, short]
            })
            .collect();
        let directions = principal_directions(&rows, 3, 1, 9);
        assert!((directions[0].abs() - 0.6).abs() < 0.01 && (directions[1].abs() - 0.8).abs() < 0.01, "{directions:?}");
    }
}
