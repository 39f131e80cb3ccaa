//! Large objects pass by the page cache where the file system can do that (`O_DIRECT`): a copy into fresh pages, and the
//! fsync that must then carry them all out, cost more than the encryption.
//!
//! Full buffers are written while the next one is hashed and sealed. An object is read past the cache the first time; one
//! that is read again soon is worth the pages. Nothing here promises durability: that is the fsync's.

use std::collections::{HashSet, VecDeque};
use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use kernel::Problem;
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use super::pool::{ALIGNMENT_BYTES, Buffer, CHUNK_BYTES, Pool};
use super::segments::{HEADER_BYTES, damaged};
use super::{ObjectId, writeback};

/// Objects that are remembered as read; past it, all are forgotten at once.
const RECENT_COUNT_MAX: usize = 4_096;

/// Buffers of one file that are being written at once: a disk that is asked for one thing at a time stands still in between.
const WRITE_FLIGHT_COUNT_MAX: usize = 2;

/// The full buffers of one file on their way there.
pub(super) struct Chunks {
    file: Arc<File>,
    /// The same file, opened to be written past the page cache; none before the first full buffer, or where that cannot be.
    direct: Option<Arc<File>>,
    under_way: VecDeque<JoinHandle<io::Result<()>>>,
}

impl Chunks {
    pub(super) fn of(file: &Arc<File>) -> Self {
        Self { file: Arc::clone(file), direct: None, under_way: VecDeque::new() }
    }

    /// Begins to write `buffer` at `offset`, once few enough before it are under way. Called on a thread that may wait.
    pub(super) fn write(&mut self, path: &Path, buffer: Buffer, offset: u64) -> io::Result<()> {
        self.wait_below(WRITE_FLIGHT_COUNT_MAX)?;
        if offset == 0 {
            self.direct = past_cache(OpenOptions::new().write(true), path).map(Arc::new);
        }
        let (file, direct) = (Arc::clone(&self.file), self.direct.clone());
        self.under_way.push_back(tokio::task::spawn_blocking(move || write_chunk(&file, direct.as_deref(), &buffer, offset)));
        Ok(())
    }

    /// Waits for what is under way.
    pub(super) fn finish(&mut self) -> io::Result<()> {
        self.wait_below(1)
    }

    fn wait_below(&mut self, count: usize) -> io::Result<()> {
        while self.under_way.len() >= count
            && let Some(handle) = self.under_way.pop_front()
        {
            Handle::current().block_on(handle).map_err(io::Error::other)??;
        }
        Ok(())
    }
}

fn write_chunk(file: &File, direct: Option<&File>, buffer: &Buffer, offset: u64) -> io::Result<()> {
    let bytes = buffer.as_ref();
    match direct.map(|direct| direct.write_all_at(bytes, offset)) {
        Some(Ok(())) => return Ok(()),
        // The file system wants another alignment than ours.
        Some(Err(error)) if error.kind() == io::ErrorKind::InvalidInput => {}
        Some(Err(error)) => return Err(error),
        None => {}
    }
    file.write_all_at(bytes, offset)?;
    writeback::begin(file, offset, bytes.len() as u64);
    Ok(())
}

/// A stored object's file, open for reading.
pub(super) struct Reading {
    file: File,
    direct: Option<File>,
}

/// Stored bytes that were read.
pub(super) struct Stored {
    buffer: Buffer,
    range: Range<usize>,
}

impl Stored {
    pub(super) fn bytes(&self) -> Result<&[u8], Problem> {
        self.buffer.as_ref().get(self.range.clone()).ok_or_else(damaged)
    }
}

impl Reading {
    /// Smaller objects are read by way of the page cache always.
    pub(super) const PAST_CACHE_BYTES_MIN: u64 = 4 * 1024 * 1024;

    /// Reads `file`, past the page cache where its `path` is given and the file system can.
    pub(super) fn of(file: File, path: Option<&Path>) -> Self {
        Self { file, direct: path.and_then(|path| past_cache(OpenOptions::new().read(true), path)) }
    }

    /// What stands before the first segment.
    pub(super) fn header(&self) -> Result<[u8; HEADER_BYTES], Problem> {
        let mut header = [0_u8; HEADER_BYTES];
        self.file.read_exact_at(&mut header, 0).map_err(unreadable)?;
        Ok(header)
    }

    /// The stored bytes of `range`, which lies within one chunk.
    pub(super) fn read(&self, pool: &Pool, range: &Range<u64>) -> Result<Stored, Problem> {
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| damaged())?;
        let mut buffer = pool.take();
        if let Some(direct) = &self.direct {
            let before = usize::try_from(range.start % ALIGNMENT_BYTES as u64).map_err(|_| damaged())?;
            let wanted = before + length;
            let place = buffer.as_mut().get_mut(..wanted.next_multiple_of(ALIGNMENT_BYTES).min(CHUNK_BYTES));
            match fill(direct, place.ok_or_else(damaged)?, range.start - before as u64, wanted) {
                Ok(()) => return Ok(Stored { buffer, range: before..wanted }),
                Err(error) if error.kind() == io::ErrorKind::InvalidInput => {}
                Err(error) => return Err(unreadable(error)),
            }
        }
        let place = buffer.as_mut().get_mut(..length).ok_or_else(damaged)?;
        self.file.read_exact_at(place, range.start).map_err(unreadable)?;
        Ok(Stored { buffer, range: 0..length })
    }
}

/// Reads at least `wanted` bytes. Where the file ends, fewer come than there is room for.
fn fill(file: &File, place: &mut [u8], offset: u64, wanted: usize) -> io::Result<()> {
    let mut filled = 0;
    while filled < wanted {
        let rest = place.get_mut(filled..).unwrap_or_default();
        match file.read_at(rest, offset + filled as u64) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => filled += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// The file once more, opened to pass by the page cache. Not every file system can: then there is none.
fn past_cache(options: &mut OpenOptions, path: &Path) -> Option<File> {
    options.custom_flags(libc::O_DIRECT | libc::O_NOFOLLOW).open(path).ok()
}

fn unreadable(error: io::Error) -> Problem {
    match error.kind() {
        io::ErrorKind::UnexpectedEof => damaged(),
        _ => Problem::unavailable("the object's disk cannot be read just now").because(error),
    }
}

/// Which large objects were read not long ago. Cheap to clone.
#[derive(Clone, Default)]
pub(super) struct Recent(Arc<Mutex<HashSet<ObjectId>>>);

impl Recent {
    /// Whether it was read before; it is remembered from now on.
    pub(super) fn saw(&self, id: &ObjectId) -> bool {
        let mut known = self.0.lock();
        if known.len() >= RECENT_COUNT_MAX {
            known.clear();
        }
        !known.insert(id.clone())
    }
}
