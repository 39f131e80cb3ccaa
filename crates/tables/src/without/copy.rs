//! Text without some of its bytes.

use std::ops::Range;

use super::Out;
use crate::error::TableError;
use crate::source::DataFile;

/// Bytes copied at once.
pub(crate) const BLOCK_BYTES: u64 = 256 * 1024;

/// Copies a file but for some ranges, which come in rising order.
pub(crate) struct Copier<'a> {
    file: &'a DataFile,
    out: Out<'a>,
    at: u64,
    block: Vec<u8>,
}

impl<'a> Copier<'a> {
    pub(crate) const fn new(file: &'a DataFile, out: Out<'a>) -> Self {
        Self { file, out, at: 0, block: Vec::new() }
    }

    /// Leaves `range` out.
    pub(crate) fn skip(&mut self, range: Range<u64>) -> Result<(), TableError> {
        // The line feed of the line before may come with the next record, where the reader was between two blocks.
        let mut first = [0_u8; 1];
        let mut start = range.start;
        if start < range.end && start > 0 {
            self.read(start, &mut first)?;
            start += u64::from(first == [b'\n'] && self.byte_before(start)? == b'\r');
        }
        self.copy_to(start)?;
        self.at = range.end;
        Ok(())
    }

    /// Copies the rest.
    pub(crate) fn finish(mut self) -> Result<(), TableError> {
        self.copy_to(self.file.bytes.size_bytes())
    }

    fn byte_before(&self, offset: u64) -> Result<u8, TableError> {
        let mut byte = [0_u8; 1];
        self.read(offset.saturating_sub(1), &mut byte)?;
        Ok(byte[0])
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<(), TableError> {
        self.file.bytes.read_at(offset, buffer).map_err(|source| TableError::read(&self.file.path, source))
    }

    fn copy_to(&mut self, end: u64) -> Result<(), TableError> {
        while self.at < end {
            let count = (end - self.at).min(BLOCK_BYTES);
            let mut block = std::mem::take(&mut self.block);
            block.resize(usize::try_from(count).unwrap_or(0), 0);
            self.read(self.at, &mut block)?;
            self.out.write_all(&block).map_err(|source| TableError::write(&self.file.path, source))?;
            self.block = block;
            self.at += count;
        }
        Ok(())
    }
}
