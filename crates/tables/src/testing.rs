//! For tests: seeded randomness, and files read whole.

use arrow_array::{Array as _, RecordBatch};
use arrow_cast::display::array_value_to_string;

use crate::{DataFile, ReadOptions, Table, TableError};

/// A seeded generator (splitmix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators").
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound.max(1) as u64) as usize
    }

    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> &'a T {
        &items[self.below(items.len())]
    }

    pub fn text(&mut self, letters: &str, length_max: usize) -> String {
        let letters: Vec<char> = letters.chars().collect();
        (0..self.below(length_max + 1)).map(|_| *self.pick(&letters)).collect()
    }

    /// `bytes` with one of: some bytes changed, cut, a part doubled, a part removed.
    pub fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        let mut damaged = bytes.to_vec();
        match self.below(6) {
            0 => damaged.truncate(self.below(bytes.len())),
            1 => {
                let from = self.below(bytes.len());
                let part = bytes[from..(from + self.below(64)).min(bytes.len())].to_vec();
                damaged.splice(from..from, part);
            }
            2 => {
                let from = self.below(bytes.len());
                damaged.drain(from..(from + self.below(16)).min(bytes.len()));
            }
            _ => {
                for _ in 0..1 + self.below(4) {
                    let at = self.below(bytes.len());
                    damaged[at] =
                        *self.pick(&[0, 1, 0x7f, 0x80, 0xff, self.0 as u8, damaged[at] ^ 1, damaged[at].wrapping_add(1)]);
                }
            }
        }
        damaged
    }
}

/// Opens one file in memory.
pub fn open(path: &str, bytes: impl Into<bytes::Bytes>) -> Result<Table, TableError> {
    Table::open(vec![DataFile::in_memory(path, bytes)], &ReadOptions::default())
}

/// All batches, checked against what the partitions promise.
pub fn read_all(table: &Table) -> Result<Vec<RecordBatch>, TableError> {
    let mut batches = Vec::new();
    let mut row = 0;
    for (index, partition) in table.partitions().iter().enumerate() {
        assert_eq!(partition.first_row, row);
        for batch in table.read(index, None)? {
            let batch = batch?;
            assert_eq!(&batch.schema(), table.schema());
            row += batch.num_rows() as u64;
            batches.push(batch);
        }
    }
    assert_eq!(row, table.row_count());
    Ok(batches)
}

/// All rows as texts, `∅` for null.
pub fn rows(table: &Table) -> Result<Vec<Vec<String>>, TableError> {
    let mut rows = Vec::new();
    for batch in read_all(table)? {
        for row in 0..batch.num_rows() {
            let cell = |column: &arrow_array::ArrayRef| {
                if column.is_null(row) { "∅".to_owned() } else { array_value_to_string(column, row).unwrap() }
            };
            rows.push(batch.columns().iter().map(cell).collect());
        }
    }
    Ok(rows)
}

/// The schema, as `name: type` texts.
pub fn columns(table: &Table) -> Vec<String> {
    table.schema().fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect()
}

/// Opens and reads `bytes`, whatever they are: a table or an error, and no panic; one caught from a `foreign` decoder is fine.
pub fn survives(path: &str, bytes: Vec<u8>, foreign: bool) {
    let result = open(path, bytes).and_then(|table| read_all(&table));
    if let Err(error @ TableError::Decoder { .. }) = result {
        assert!(foreign, "{error}");
    }
}
