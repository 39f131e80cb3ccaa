//! Buffers that are used again: a fresh one costs page faults that are dearer than the encryption.

use std::sync::Arc;

use parking_lot::Mutex;

use super::segments::SEGMENT_BYTES;

/// Segments that one buffer holds.
pub(super) const CHUNK_SEGMENT_COUNT: usize = 16;
/// Bytes of a buffer.
pub(super) const CHUNK_BYTES: usize = CHUNK_SEGMENT_COUNT * SEGMENT_BYTES;
/// Buffers kept while nobody needs them: the server is to be small when idle.
const IDLE_BUFFER_COUNT_MAX: usize = 8;

/// Where buffers rest.
#[derive(Clone, Default)]
pub(super) struct Pool(Arc<Mutex<Vec<Vec<u8>>>>);

/// A buffer of [`CHUNK_BYTES`], which goes back when dropped.
pub(super) struct Buffer {
    bytes: Vec<u8>,
    pool: Pool,
}

impl Pool {
    pub(super) fn take(&self) -> Buffer {
        let bytes = self.0.lock().pop().unwrap_or_else(|| vec![0; CHUNK_BYTES]);
        Buffer { bytes, pool: self.clone() }
    }
}

impl Buffer {
    pub(super) fn as_mut(&mut self) -> &mut [u8] {
        &mut self.bytes
    }

    /// The first `length` bytes, to hand on. The buffer goes back when the last holder drops them.
    pub(super) fn into_bytes(self, range: std::ops::Range<usize>) -> bytes::Bytes {
        let length = self.bytes.len();
        bytes::Bytes::from_owner(self).slice(range.start.min(length)..range.end.min(length))
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
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
