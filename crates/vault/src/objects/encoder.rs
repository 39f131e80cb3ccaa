//! Plain bytes in, stored bytes out: hashed and sealed in one pass, a buffer at a time.

use kernel::{Problem, Secret, Sha256Hasher};

use super::pool::{Buffer, CHUNK_BYTES, Pool};
use super::segments::{HEADER_BYTES, SEGMENT_BYTES, Segments, TAG_BYTES, damaged};

/// Takes finished stored bytes.
pub(super) trait Sink {
    /// Adds `bytes` at the end.
    fn write(&mut self, bytes: &[u8]) -> Result<(), Problem>;
}

/// Seals one object.
pub(super) struct Encoder {
    segments: Segments,
    hasher: Sha256Hasher,
    buffer: Buffer,
    /// Where the open segment's plain bytes begin in the buffer; all before it is finished.
    open_start: usize,
    /// Where the next plain byte goes.
    open_end: usize,
    segment: u64,
    size_bytes: u64,
    size_bytes_max: u64,
}

/// What was sealed.
pub(super) struct Sealed {
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
}

impl Encoder {
    pub(super) fn new(pool: &Pool, data_key: &Secret, aad: &[u8], size_bytes_max: u64) -> Result<Self, Problem> {
        let (segments, header) = Segments::create(data_key, aad)?;
        let mut buffer = pool.take();
        buffer.as_mut().get_mut(..HEADER_BYTES).ok_or_else(damaged)?.copy_from_slice(&header);
        Ok(Self {
            segments,
            hasher: Sha256Hasher::new(),
            buffer,
            open_start: HEADER_BYTES,
            open_end: HEADER_BYTES,
            segment: 0,
            size_bytes: 0,
            size_bytes_max,
        })
    }

    /// Adds plain bytes.
    pub(super) fn push(&mut self, mut plain: &[u8], sink: &mut impl Sink) -> Result<(), Problem> {
        self.size_bytes = self.size_bytes.saturating_add(plain.len() as u64);
        if self.size_bytes > self.size_bytes_max {
            return Err(too_large(self.size_bytes_max));
        }
        while !plain.is_empty() {
            // A full segment is sealed only when more follows: the last one carries a mark.
            if self.open_end == self.plain_end() {
                self.seal(false)?;
                self.emit_if_full(sink)?;
            }
            let room = self.plain_end() - self.open_end;
            let (now, later) = plain.split_at(room.min(plain.len()));
            let end = self.open_end + now.len();
            let place = self.buffer.as_mut().get_mut(self.open_end..end).ok_or_else(damaged)?;
            place.copy_from_slice(now);
            self.hasher.update(place);
            self.open_end = end;
            plain = later;
        }
        Ok(())
    }

    /// Seals the last segment and hands out what is left.
    pub(super) fn finish(mut self, sink: &mut impl Sink) -> Result<Sealed, Problem> {
        self.seal(true)?;
        sink.write(self.buffer.as_ref().get(..self.open_start).ok_or_else(damaged)?)?;
        Ok(Sealed { size_bytes: self.size_bytes, sha256: self.hasher.finish() })
    }

    /// Where the open segment's plain bytes must end.
    const fn plain_end(&self) -> usize {
        (self.open_start / SEGMENT_BYTES + 1) * SEGMENT_BYTES - TAG_BYTES
    }

    fn seal(&mut self, last: bool) -> Result<(), Problem> {
        let end = self.open_end + TAG_BYTES;
        let open = self.buffer.as_mut().get_mut(self.open_start..end).ok_or_else(damaged)?;
        let (plain, place) = open.split_at_mut(open.len() - TAG_BYTES);
        let tag = self.segments.seal(self.segment, last, plain)?;
        place.copy_from_slice(&tag);
        self.segment += 1;
        self.open_start = end;
        self.open_end = end;
        Ok(())
    }

    fn emit_if_full(&mut self, sink: &mut impl Sink) -> Result<(), Problem> {
        if self.open_start == CHUNK_BYTES {
            sink.write(self.buffer.as_ref())?;
            self.open_start = 0;
            self.open_end = 0;
        }
        Ok(())
    }
}

pub(super) fn too_large(size_bytes_max: u64) -> Problem {
    let message = format!("the object is larger than the limit of {size_bytes_max} bytes; split it, or ask for a higher limit");
    Problem::new(kernel::Kind::TooLarge, message)
}
