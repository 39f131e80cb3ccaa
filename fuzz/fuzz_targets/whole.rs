//! A file opened and read from end to end through the crate's own door.

use tables::{DataFile, ReadOptions, Table, TableError};

/// Errors are fine; a panic that had to be caught is not.
pub fn read(path: &str, bytes: &[u8]) {
    let result = Table::open(vec![DataFile::in_memory(path, bytes.to_vec())], &ReadOptions::default()).and_then(|table| {
        for partition in 0..table.partitions().len() {
            for batch in table.read(partition, None)? {
                batch?;
            }
        }
        Ok(())
    });
    if let Err(error @ TableError::Decoder { .. }) = result {
        panic!("{error}");
    }
}
