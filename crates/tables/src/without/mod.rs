//! Files written again without some of their rows: what stays is what it was, in the format that it was.
//!
//! Text and arrays keep their bytes; Parquet and Arrow files are written again with their schema, their metadata and their
//! compression, row group by row group. Whoever drops rows need not trust a converter with the rest.
//!
//! INVARIANT: a row is dropped by the number under which reading gives it, records that are no rows stay. Held by `tests`.

pub(crate) mod arrays;
pub(crate) mod copy;

use std::io::Write;
use std::ops::Range;

use arrow_array::{BooleanArray, RecordBatch};
use arrow_select::filter::filter_record_batch;

use crate::error::TableError;
use crate::table::Table;
use crate::{Format, guard};

/// Where a file goes. It may be sent to another thread.
pub type Out<'a> = &'a mut (dyn Write + Send);

/// Rows to drop: rising ranges that do not touch, each from its first row to its last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RowRanges(Vec<(u64, u64)>);

impl RowRanges {
    /// Sorts and joins `ranges`; one that ends before it begins is nothing.
    #[must_use]
    pub fn new(mut ranges: Vec<(u64, u64)>) -> Self {
        ranges.retain(|(first, last)| first <= last);
        ranges.sort_unstable();
        let mut joined: Vec<(u64, u64)> = Vec::new();
        for (first, last) in ranges {
            match joined.last_mut() {
                Some((_, end)) if first <= end.saturating_add(1) => *end = (*end).max(last),
                _ => joined.push((first, last)),
            }
        }
        Self(joined)
    }

    /// The ranges.
    #[must_use]
    pub fn ranges(&self) -> &[(u64, u64)] {
        &self.0
    }

    /// How many rows they hold.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.iter().fold(0, |sum, (first, last)| sum.saturating_add(last - first).saturating_add(1))
    }

    /// The last row.
    #[must_use]
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }

    /// How many of the rows in `within` they hold.
    #[must_use]
    pub fn count_within(&self, within: &Range<u64>) -> u64 {
        self.inside(within).fold(0, |sum, run| sum.saturating_add(run.end - run.start))
    }

    /// The runs of rows within `within`.
    pub(crate) fn inside<'a>(&'a self, within: &'a Range<u64>) -> impl Iterator<Item = Range<u64>> + 'a {
        let from = self.0.partition_point(|(_, last)| *last < within.start);
        let runs = self.0.get(from..).unwrap_or_default().iter();
        runs.take_while(|(first, _)| *first < within.end)
            .map(|(first, last)| (*first).max(within.start)..last.saturating_add(1).min(within.end))
    }

    pub(crate) const fn walk(&self) -> Walk<'_> {
        Walk { ranges: self.0.as_slice() }
    }
}

/// Goes over rows in rising order.
pub(crate) struct Walk<'a> {
    ranges: &'a [(u64, u64)],
}

impl Walk<'_> {
    /// Whether `row` is dropped. Rows are asked for in rising order.
    pub(crate) fn holds(&mut self, row: u64) -> bool {
        while let Some(((first, last), rest)) = self.ranges.split_first() {
            if row > *last {
                self.ranges = rest;
                continue;
            }
            return row >= *first;
        }
        false
    }
}

/// What is asked of a format's writer.
pub(crate) struct Cut<'a> {
    /// The file's number.
    pub file: usize,
    /// Its rows.
    pub rows: Range<u64>,
    /// The rows to drop, of the whole table.
    pub dropped: &'a RowRanges,
}

impl Cut<'_> {
    /// How many of the file's rows stay.
    pub(crate) fn kept(&self) -> u64 {
        (self.rows.end - self.rows.start).saturating_sub(self.dropped.count_within(&self.rows))
    }
}

/// The rows of `batch` that stay; its first row has the number `first_row`.
pub(crate) fn kept_of(batch: &RecordBatch, first_row: u64, walk: &mut Walk<'_>, file: &str) -> Result<RecordBatch, TableError> {
    let stays: Vec<bool> = (first_row..).take(batch.num_rows()).map(|row| !walk.holds(row)).collect();
    filter_record_batch(batch, &BooleanArray::from(stays)).map_err(|error| TableError::damaged(file, error))
}

impl Table {
    /// The numbers of a file's rows. Empty for one that has none.
    #[must_use]
    pub fn rows_of_file(&self, file: usize) -> Range<u64> {
        if self.format() == Format::Images {
            return file as u64..file as u64 + 1;
        }
        let mut rows: Option<Range<u64>> = None;
        for partition in self.partitions().iter().filter(|partition| partition.file == file) {
            let end = partition.first_row.saturating_add(partition.rows);
            rows = Some(rows.map_or(partition.first_row, |rows| rows.start)..end);
        }
        rows.unwrap_or(0..0)
    }

    /// Writes file number `file` to `out` without the rows of `dropped`. An image is a row by itself, and so cannot be cut.
    ///
    /// # Errors
    /// As for reading; `Unsupported` for what cannot be written as it was; `Write` if `out` takes no more.
    pub fn write_without(&self, file: usize, dropped: &RowRanges, out: Out<'_>) -> Result<(), TableError> {
        let source = self.file(file).ok_or(TableError::NoSuchPart { what: "file", index: file })?;
        let cut = Cut { file, rows: self.rows_of_file(file), dropped };
        guard::run(&source.path, || self.reader().write_without(source, &cut, out))
    }
}

#[cfg(test)]
mod tests;
