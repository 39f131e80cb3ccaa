//! The last rows, as the cells that their values fell into: what a change is explained with. Of many rows a fair part is kept.

use std::collections::VecDeque;

use crate::grid::Reference;
use crate::limits::ROW_LOG_COUNT;
use crate::sample::Sample;

/// Rows of one request that are kept at most, so that one large batch does not drive all others out.
const ROWS_PER_REQUEST_MAX: usize = 32;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenRow {
    /// When, in microseconds.
    pub at_us: i64,
    /// By whom.
    pub caller: String,
    /// The cell of each column.
    pub cells: Vec<u8>,
}

/// The last rows.
#[derive(Clone, Debug, Default)]
pub struct RowLog {
    rows: VecDeque<SeenRow>,
}

impl RowLog {
    /// Takes the rows of a request.
    pub fn add(&mut self, sample: &Sample<'_>, reference: &Reference) {
        let columns = reference.columns.iter().enumerate();
        let places: Vec<_> = columns.map(|(place, was)| (was, sample.column(place, &was.name))).collect();
        let step = sample.row_count.div_ceil(ROWS_PER_REQUEST_MAX).max(1);
        for row in (0..sample.row_count).step_by(step) {
            let cell = |(was, column): &(&crate::ColumnReference, Option<&crate::Column<'_>>)| {
                let value = column.map_or(crate::sample::One::Missing, |column| column.of_row(row));
                u8::try_from(was.grid.cell(value)).unwrap_or(u8::MAX)
            };
            let cells = places.iter().map(cell).collect();
            if self.rows.len() >= ROW_LOG_COUNT {
                self.rows.pop_front();
            }
            self.rows.push_back(SeenRow { at_us: sample.at_us, caller: sample.caller.to_owned(), cells });
        }
    }

    /// The rows before a moment, and those from it on.
    #[must_use]
    pub fn around(&self, at_us: i64) -> (Vec<&SeenRow>, Vec<&SeenRow>) {
        self.rows.iter().partition(|row| row.at_us < at_us)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::{ColumnReference, Grid};
    use crate::sample::{Column, Values};

    #[test]
    fn the_log_is_bounded_and_large_batches_are_thinned() {
        let column =
            ColumnReference { name: "x".to_owned(), grid: Grid::Numbers(vec![0.0]), counts: vec![1, 1, 0, 0], range: None };
        let reference = Reference { origin: String::new(), columns: vec![column] };
        let values = vec![1.0; 10_000];
        let columns = [Column { name: "x", values: Values::F64(&values), first: 0, stride: 1 }];
        let mut log = RowLog::default();
        for at in 0..1_000 {
            log.add(&Sample { at_us: at, ..crate::tally::tests::sample(&columns, 10_000, "c") }, &reference);
        }
        let (before, after) = log.around(990);
        assert_eq!(before.len() + after.len(), ROW_LOG_COUNT);
        assert_eq!(after.len(), 10 * ROWS_PER_REQUEST_MAX);
        assert_eq!(after[0].cells, [1]);
    }
}
