//! Plain bytes in, stored bytes out: sealed in one pass, a buffer at a time.

use kernel::{Problem, Secret};

use super::pool::{Buffer, CHUNK_BYTES, Pool};
use super::segments::{HEADER_BYTES, SEGMENT_BYTES, Segments, TAG_BYTES, damaged};

/// Takes finished stored bytes, in order.
pub(super) trait Sink {
    /// Adds a buffer that is full at the end.
    fn write_full(&mut self, buffer: Buffer) -> Result<(), Problem>;
    /// Adds the last bytes, which may be none.
    fn write_last(&mut self, bytes: &[u8]) -> Result<(), Problem>;
}

/// Seals one object.
pub(super) struct Encoder {
    segments: Segments,
    pool: Pool,
    buffer: Buffer,
    /// Where the open segment's plain bytes begin in the buffer; all before it is finished.
    open_start: usize,
    /// Where the next plain byte goes.
    open_end: usize,
    segment: u64,
    size_bytes: u64,
    size_bytes_max: u64,
}

impl Encoder {
    pub(super) fn new(pool: &Pool, data_key: &Secret, aad: &[u8], size_bytes_max: u64) -> Result<Self, Problem> {
        let (segments, header) = Segments::create(data_key, aad)?;
        let mut buffer = pool.take();
        buffer.as_mut().get_mut(..HEADER_BYTES).ok_or_else(damaged)?.copy_from_slice(&header);
        Ok(Self {
            segments,
            pool: pool.clone(),
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
            self.open_end = end;
            plain = later;
        }
        Ok(())
    }

    /// Seals the last segment and hands out what is left. Gives the plain size.
    pub(super) fn finish(mut self, sink: &mut impl Sink) -> Result<u64, Problem> {
        self.seal(true)?;
        sink.write_last(self.buffer.as_ref().get(..self.open_start).ok_or_else(damaged)?)?;
        Ok(self.size_bytes)
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
            let full = std::mem::replace(&mut self.buffer, self.pool.take());
            sink.write_full(full)?;
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
