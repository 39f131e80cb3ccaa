//! Buffers that are used again: a fresh one costs page faults that are dearer than the encryption.

use std::sync::Arc;

use parking_lot::Mutex;

use super::segments::SEGMENT_BYTES;

/// Segments that one buffer holds.
pub(super) const CHUNK_SEGMENT_COUNT: usize = 16;
/// Bytes of a buffer.
pub(super) const CHUNK_BYTES: usize = CHUNK_SEGMENT_COUNT * SEGMENT_BYTES;
/// Where a buffer begins: a multiple of what disks want of bytes that pass by the page cache.
pub(super) const ALIGNMENT_BYTES: usize = 4096;
/// Buffers kept while nobody needs them: the server is to be small when idle.
const IDLE_BUFFER_COUNT_MAX: usize = 8;

/// Where buffers rest.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer of [`CHUNK_BYTES`], which goes back when dropped.
pub(super) struct Buffer {
    /// Longer than the buffer, so that it can begin at an aligned place.
    bytes: Vec<u8>,
    start: usize,
    pool: Pool,
}

impl Pool {
    pub(super) fn take(&self) -> Buffer {
        let bytes = self.0.lock().pop().unwrap_or_else(|| vec![0; CHUNK_BYTES + ALIGNMENT_BYTES]);
        // A place that could not be aligned would only be written by way of the page cache.
        let start = bytes.as_ptr().align_offset(ALIGNMENT_BYTES).min(ALIGNMENT_BYTES);
        Buffer { bytes, start, pool: self.clone() }
    }
}

impl Buffer {
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        self.bytes.get_mut(self.start..self.start + CHUNK_BYTES).unwrap_or_default()
    }

    /// The first `length` bytes, to hand on. The buffer goes back when the last holder drops them.
    pub(super) fn into_bytes(self, range: std::ops::Range<usize>) -> bytes::Bytes {
        bytes::Bytes::from_owner(self).slice(range.start.min(CHUNK_BYTES)..range.end.min(CHUNK_BYTES))
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.bytes.get(self.start..self.start + CHUNK_BYTES).unwrap_or_default()
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut idle = self.pool.0.lock();
        if idle.len() < IDLE_BUFFER_COUNT_MAX {
            idle.push(std::mem::take(&mut self.bytes));
        }
    }
}
