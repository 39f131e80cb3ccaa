//! Row-major tables of numbers, and sparse rows of tokens.

use rayon::prelude::*;

use crate::PoisonError;
use crate::at::{row, row_mut};

/// A row-major table of numbers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Matrix {
    columns: usize,
    values: Vec<f32>,
}

impl Matrix {
    /// A table of rows of `columns` values each.
    ///
    /// # Errors
    /// `Shape` if the values do not make whole rows.
    pub fn new(columns: usize, values: Vec<f32>) -> Result<Self, PoisonError> {
        if (columns == 0 && !values.is_empty()) || (columns > 0 && !values.len().is_multiple_of(columns)) {
            return Err(PoisonError::Shape(format!("{} values do not make rows of {columns}", values.len())));
        }
        Ok(Self { columns, values })
    }

    /// A table of zeros.
    #[must_use]
    pub fn zeros(rows: usize, columns: usize) -> Self {
        Self { columns, values: vec![0.0; rows * columns] }
    }

    /// How many rows it has; 0 where rows have no columns.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.values.len().checked_div(self.columns).unwrap_or(0)
    }

    /// How many columns each row has.
    #[must_use]
    pub const fn columns(&self) -> usize {
        self.columns
    }

    /// All values, row after row.
    #[must_use]
    pub fn values(&self) -> &[f32] {
        &self.values
    }

    /// A row; empty where there is none.
    #[must_use]
    pub fn row(&self, index: usize) -> &[f32] {
        row(&self.values, self.columns, index)
    }

    /// The rows in order.
    pub fn iter(&self) -> std::slice::ChunksExact<'_, f32> {
        self.values.chunks_exact(self.columns.max(1))
    }

    pub(crate) fn row_mut(&mut self, index: usize) -> &mut [f32] {
        row_mut(&mut self.values, self.columns, index)
    }

    pub(crate) fn values_mut(&mut self) -> &mut [f32] {
        &mut self.values
    }

    pub(crate) fn par_rows_mut(&mut self) -> rayon::slice::ChunksExactMut<'_, f32> {
        self.values.par_chunks_exact_mut(self.columns.max(1))
    }

    /// The rows of these numbers, as a table of their own.
    pub(crate) fn chosen(&self, rows: &[u32]) -> Self {
        let mut values = Vec::with_capacity(rows.len() * self.columns);
        for index in rows {
            values.extend_from_slice(self.row(*index as usize));
        }
        Self { columns: self.columns, values }
    }

    /// The columns of these numbers, as a table of their own.
    pub(crate) fn columns_chosen(&self, columns: &[usize]) -> Self {
        let mut values = Vec::with_capacity(self.rows() * columns.len());
        for row in self.iter() {
            values.extend(columns.iter().map(|column| row.get(*column).copied().unwrap_or_default()));
        }
        Self { columns: columns.len(), values }
    }
}

/// Sparse rows: which tokens each row holds, and how heavy each is.
#[derive(Clone, Debug, Default)]
pub struct Tokens {
    width: usize,
    starts: Vec<usize>,
    tokens: Vec<u32>,
    weights: Vec<f32>,
}

impl Tokens {
    /// No rows yet, of tokens numbered below `width`.
    #[must_use]
    pub fn new(width: usize) -> Self {
        Self { width, starts: vec![0], tokens: Vec::new(), weights: Vec::new() }
    }

    /// Adds a row. Tokens of `width` or more are left out.
    pub fn push(&mut self, row: impl IntoIterator<Item = (u32, f32)>) {
        for (token, weight) in row {
            if (token as usize) < self.width {
                self.tokens.push(token);
                self.weights.push(weight);
            }
        }
        self.starts.push(self.tokens.len());
    }

    /// How many rows it has.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.starts.len().saturating_sub(1)
    }

    /// Tokens are numbered below this.
    #[must_use]
    pub const fn width(&self) -> usize {
        self.width
    }

    /// Entries of all rows together.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.tokens.len()
    }

    /// The tokens of a row with their weights.
    pub fn row(&self, index: usize) -> impl Iterator<Item = (usize, f32)> + Clone + '_ {
        let (tokens, weights) = self.slices(index);
        tokens.iter().zip(weights).map(|(token, weight)| (*token as usize, *weight))
    }

    /// The tokens of a row, without their weights.
    #[must_use]
    pub fn tokens(&self, index: usize) -> &[u32] {
        self.slices(index).0
    }

    fn slices(&self, index: usize) -> (&[u32], &[f32]) {
        let range = match (self.starts.get(index), self.starts.get(index + 1)) {
            (Some(from), Some(to)) => *from..*to,
            _ => 0..0,
        };
        (self.tokens.get(range.clone()).unwrap_or(&[]), self.weights.get(range).unwrap_or(&[]))
    }

    /// Scales every weight by its token's factor, and every row to length 1.
    pub(crate) fn weigh(&mut self, factor: impl Fn(usize) -> f32) {
        for (token, weight) in self.tokens.iter().zip(self.weights.iter_mut()) {
            *weight *= factor(*token as usize);
        }
        for pair in self.starts.windows(2) {
            let [from, to] = pair else { continue };
            let row = self.weights.get_mut(*from..*to).unwrap_or(&mut []);
            let length = row.iter().map(|weight| weight * weight).sum::<f32>().sqrt();
            if length > 0.0 {
                row.iter_mut().for_each(|weight| *weight /= length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_holds_whole_rows_only() {
        assert!(Matrix::new(3, vec![1.0; 7]).is_err());
        assert!(Matrix::new(0, vec![1.0]).is_err());
        let table = Matrix::new(2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert_eq!(table.row(1), [3.0, 4.0]);
        assert!(table.row(2).is_empty());
        assert_eq!(table.columns_chosen(&[1, 9]).values(), [2.0, 0.0, 4.0, 0.0]);
    }

    #[test]
    fn sparse_rows_keep_their_own_tokens() {
        let mut tokens = Tokens::new(10);
        tokens.push([(1, 3.0), (99, 1.0), (2, 4.0)]);
        tokens.push([]);
        tokens.weigh(|_| 2.0);
        assert_eq!(tokens.row(0).collect::<Vec<_>>(), [(1, 0.6), (2, 0.8)]);
        assert_eq!((tokens.rows(), tokens.row(1).count(), tokens.row(7).count()), (2, 0, 0));
    }
}
