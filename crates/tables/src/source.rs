//! Where bytes come from: a local file, memory, or whatever the caller reads through.

use std::fs::File;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use crate::error::TableError;
use crate::limits::{PATH_BYTES_MAX, READ_AHEAD_BYTES};

/// Bytes that can be read from any offset, by several threads.
pub trait ReadAt: Send + Sync {
    /// How many bytes there are.
    fn size_bytes(&self) -> u64;

    /// Fills `buffer` from `offset` on.
    ///
    /// # Errors
    /// If the bytes cannot be read, or end before the buffer is full.
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;
}

/// A file on this machine.
#[derive(Debug)]
pub struct LocalFile {
    file: File,
    size_bytes: u64,
}

impl LocalFile {
    /// Opens `path` for reading.
    ///
    /// # Errors
    /// As the operating system's.
    pub fn open(path: &Path) -> io::Result<Self> {
        let file = File::open(path)?;
        let size_bytes = file.metadata()?.len();
        Ok(Self { file, size_bytes })
    }
}

impl ReadAt for LocalFile {
    fn size_bytes(&self) -> u64 {
        self.size_bytes
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, buffer, offset)
    }
}

/// Bytes in memory.
#[derive(Clone, Debug)]
pub struct Memory(pub Bytes);

impl ReadAt for Memory {
    fn size_bytes(&self) -> u64 {
        self.0.len() as u64
    }

    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let from = usize::try_from(offset).map_err(|_| io::ErrorKind::UnexpectedEof)?;
        let to = from.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.0.get(from..to).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }
}

/// One file of a table.
#[derive(Clone)]
pub struct DataFile {
    /// Its name in the data set: relative, `/` between folders.
    pub path: String,
    /// Its bytes.
    pub bytes: Arc<dyn ReadAt>,
}

impl std::fmt::Debug for DataFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "DataFile({}, {} bytes)", self.path, self.bytes.size_bytes())
    }
}

impl DataFile {
    /// A file with its bytes in memory.
    #[must_use]
    pub fn in_memory(path: &str, bytes: impl Into<Bytes>) -> Self {
        Self { path: path.to_owned(), bytes: Arc::new(Memory(bytes.into())) }
    }

    /// Refuses a name that is not a plain relative path.
    pub(crate) fn check_path(&self) -> Result<(), TableError> {
        let bad = |reason| Err(TableError::BadPath { path: self.path.chars().take(200).collect(), reason });
        if self.path.is_empty() || self.path.len() > PATH_BYTES_MAX {
            return bad("it is empty or longer than 1024 bytes");
        }
        if self.path.starts_with('/') || self.path.contains('\\') || self.path.as_bytes().get(1) == Some(&b':') {
            return bad("it is not relative");
        }
        if self.path.chars().any(char::is_control) {
            return bad("it holds a control character");
        }
        if self.path.split('/').any(|part| matches!(part, "" | "." | "..")) {
            return bad("it climbs, or has an empty part");
        }
        Ok(())
    }
}

/// Sequential reads of one file, a block at a time, so that many small ones cost few calls of [`ReadAt::read_at`].
///
/// Bytes from within one block are handed out without a copy. A read that is longer than a block is read by itself.
#[derive(Clone)]
pub struct ReadAhead {
    bytes: Arc<dyn ReadAt>,
    block_bytes: usize,
    end: u64,
    held_at: u64,
    held: Bytes,
}

impl ReadAhead {
    /// Reads `bytes`, 256 KiB at a time.
    #[must_use]
    pub fn new(bytes: Arc<dyn ReadAt>) -> Self {
        let end = bytes.size_bytes();
        Self::within(bytes, end, READ_AHEAD_BYTES)
    }

    /// Reads `bytes` up to `end`, `block_bytes` at a time.
    #[must_use]
    pub fn within(bytes: Arc<dyn ReadAt>, end: u64, block_bytes: usize) -> Self {
        let end = end.min(bytes.size_bytes());
        Self { bytes, block_bytes: block_bytes.max(1), end, held_at: 0, held: Bytes::new() }
    }

    /// Where the bytes end.
    #[must_use]
    pub const fn end(&self) -> u64 {
        self.end
    }

    /// `length` bytes from `offset` on.
    ///
    /// # Errors
    /// `UnexpectedEof` if there are fewer; else as the source's.
    pub fn get(&mut self, offset: u64, length: usize) -> io::Result<Bytes> {
        if offset.checked_add(length as u64).is_none_or(|to| to > self.end) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if let Some(bytes) = self.held_part(offset, length) {
            return Ok(bytes);
        }
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        let mut block = vec![0_u8; length.max(self.block_bytes.min(left))];
        self.bytes.read_at(offset, &mut block)?;
        self.held_at = offset;
        self.held = block.into();
        self.held_part(offset, length).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }

    /// What is left of the held block at `offset`, or the next block; empty at the end.
    ///
    /// # Errors
    /// As the source's.
    pub fn some(&mut self, offset: u64) -> io::Result<Bytes> {
        if offset >= self.end {
            return Ok(Bytes::new());
        }
        let in_held = offset.checked_sub(self.held_at).and_then(|at| usize::try_from(at).ok());
        if let Some(at) = in_held.filter(|at| *at < self.held.len()) {
            return Ok(self.held.slice(at..));
        }
        let left = usize::try_from(self.end.saturating_sub(offset)).unwrap_or(usize::MAX);
        self.get(offset, self.block_bytes.min(left))
    }

    fn held_part(&self, offset: u64, length: usize) -> Option<Bytes> {
        let from = usize::try_from(offset.checked_sub(self.held_at)?).ok()?;
        let to = from.checked_add(length)?;
        (to <= self.held.len()).then(|| self.held.slice(from..to))
    }
}

/// A [`ReadAhead`] as a plain reader from an offset on.
pub(crate) struct Cursor {
    ahead: ReadAhead,
    at: u64,
}

impl Cursor {
    pub(crate) const fn new(ahead: ReadAhead, at: u64) -> Self {
        Self { ahead, at }
    }
}

impl io::Read for Cursor {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.ahead.some(self.at)?;
        let count = bytes.len().min(buffer.len());
        if let (Some(to), Some(from)) = (buffer.get_mut(..count), bytes.get(..count)) {
            to.copy_from_slice(from);
        }
        self.at = self.at.saturating_add(count as u64);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    struct Counted(Memory, AtomicUsize);

    impl ReadAt for Counted {
        fn size_bytes(&self) -> u64 {
            self.0.size_bytes()
        }
        fn read_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
            self.1.fetch_add(1, Ordering::Relaxed);
            self.0.read_at(offset, buffer)
        }
    }

    #[test]
    fn many_small_reads_cost_few() {
        let bytes: Vec<u8> = (0..100_000_u32).map(|i| (i % 251) as u8).collect();
        let counted = Arc::new(Counted(Memory(bytes.clone().into()), AtomicUsize::new(0)));
        let mut ahead = ReadAhead::within(counted.clone(), u64::MAX, 10_000);
        for at in (0..100_000).step_by(10) {
            assert_eq!(ahead.get(at, 10).unwrap(), bytes[at as usize..at as usize + 10]);
        }
        assert_eq!(counted.1.load(Ordering::Relaxed), 10);
        assert!(ahead.get(99_999, 2).is_err());
        assert!(ahead.get(u64::MAX, 2).is_err());
        let mut all = Vec::new();
        Cursor::new(ahead, 5).read_to_end(&mut all).unwrap();
        assert_eq!(all, bytes[5..]);
    }

    #[test]
    fn names_that_climb_are_refused() {
        for path in ["../x", "a/../b", "/etc/passwd", "", "a//b", "./a", "C:\\x", "c:x", "a\\..\\b", "a\0b", "a/.."] {
            let refused = DataFile::in_memory(path, "x").check_path();
            assert!(matches!(refused, Err(TableError::BadPath { .. })), "{path:?}");
        }
        for path in ["a.csv", "a/b.csv", "a/..b/c", "…/ü.csv"] {
            DataFile::in_memory(path, "x").check_path().unwrap();
        }
    }
}
