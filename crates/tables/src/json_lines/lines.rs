//! The lines of a file, within bounded memory whatever the input.

use std::io;

use bytes::Bytes;

use crate::limits::RECORD_BYTES_MAX;
use crate::source::ReadAhead;

/// Why there is no next line.
#[derive(Debug)]
pub(crate) enum LineError {
    TooLong,
    /// What should be one JSON document is none, or is followed by more.
    Broken,
    Read(io::Error),
}

impl From<io::Error> for LineError {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Gives lines without their ends.
pub(crate) struct Lines {
    ahead: ReadAhead,
    held: Bytes,
    offset: u64,
    /// Lines given so far, and before.
    pub line: u64,
    buffer: Vec<u8>,
}

impl Lines {
    /// The lines from `offset` on, the first of which has the number `line` + 1.
    pub(crate) const fn new(ahead: ReadAhead, offset: u64, line: u64) -> Self {
        Self { ahead, held: Bytes::new(), offset, line, buffer: Vec::new() }
    }

    /// Where the next line begins.
    pub(crate) const fn offset(&self) -> u64 {
        self.offset
    }

    /// The line given last.
    pub(crate) fn line_bytes(&self) -> &[u8] {
        self.buffer.strip_suffix(b"\r").unwrap_or(&self.buffer)
    }

    /// Goes to the next line; `false` at the end.
    pub(crate) fn advance(&mut self) -> Result<bool, LineError> {
        self.buffer.clear();
        let mut any = false;
        loop {
            if self.held.is_empty() {
                self.held = self.ahead.some(self.offset).map_err(LineError::Read)?;
                if self.held.is_empty() {
                    self.line += u64::from(any);
                    return Ok(any);
                }
            }
            any = true;
            let end = memchr::memchr(b'\n', &self.held);
            let taken = end.unwrap_or(self.held.len());
            if self.buffer.len() + taken > RECORD_BYTES_MAX {
                return Err(LineError::TooLong);
            }
            self.buffer.extend_from_slice(self.held.get(..taken).unwrap_or_default());
            let skipped = taken + usize::from(end.is_some());
            self.held = self.held.slice(skipped..);
            self.offset += skipped as u64;
            if end.is_some() {
                self.line += 1;
                return Ok(true);
            }
        }
    }
}
