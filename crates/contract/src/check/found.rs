//! Violations: how many, and the first few.

use arrow_buffer::BooleanBuffer;
use serde::{Deserialize, Serialize};

use crate::EXAMPLE_COUNT_MAX;

/// A violation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    /// The row, from 0 over all files in their order; none if only the value is known.
    pub row: Option<u64>,
    /// The value, shortened; none if only the row is known.
    pub value: Option<String>,
}

/// Violations of one rule.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub(crate) count: u64,
    examples: Vec<Example>,
}

impl Found {
    /// Takes the rows of a batch that a mask marks.
    pub(crate) fn take(&mut self, mask: &BooleanBuffer, first_row: u64, show: impl Fn(usize) -> Option<String>) {
        let marked = mask.count_set_bits();
        if marked == 0 {
            return;
        }
        self.count += marked as u64;
        if !self.wants(Some(first_row)) {
            return;
        }
        for row in mask.set_indices().take(EXAMPLE_COUNT_MAX) {
            self.example(Example { row: Some(first_row + row as u64), value: show(row) });
        }
    }

    /// Whether a violation in this row would be shown.
    pub(crate) fn wants(&self, row: Option<u64>) -> bool {
        self.examples.len() < EXAMPLE_COUNT_MAX || self.examples.last().is_some_and(|last| order(row) < order(last.row))
    }

    /// Keeps the ones that stand first.
    pub(crate) fn example(&mut self, example: Example) {
        let at = self.examples.partition_point(|known| order(known.row) <= order(example.row));
        self.examples.insert(at, example);
        self.examples.truncate(EXAMPLE_COUNT_MAX);
    }

    pub(crate) fn merge(&mut self, other: Self) {
        self.count += other.count;
        for example in other.examples {
            self.example(example);
        }
    }

    pub(crate) fn into_examples(self) -> Vec<Example> {
        self.examples
    }
}

/// Examples without a row come last.
const fn order(row: Option<u64>) -> u64 {
    match row {
        Some(row) => row,
        None => u64::MAX,
    }
}
