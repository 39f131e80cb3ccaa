//! Stored bytes in, plain bytes out: each segment is checked before a byte of it leaves.

use std::ops::Range;

use bytes::Bytes;
use kernel::{Problem, Secret};

use super::pool::{Buffer, CHUNK_SEGMENT_COUNT, Pool};
use super::segments::{HEADER_BYTES, Layout, Segments, TAG_BYTES, damaged};

/// Opens the segments of one object, in any order.
pub(super) struct Decoder {
    segments: Segments,
    layout: Layout,
    pool: Pool,
}

/// What is to be read for a range of an object, a buffer at a time.
pub(super) struct Steps {
    layout: Layout,
    /// The plain bytes that are still wanted.
    wanted: Range<u64>,
}

/// The segments of one buffer.
#[derive(Clone, Debug)]
pub(super) struct Step {
    segments: Range<u64>,
    /// Where they are stored.
    pub(super) stored: Range<u64>,
    /// Which of their plain bytes are wanted.
    plain: Range<u64>,
}

impl Steps {
    pub(super) const fn of(layout: Layout, wanted: Range<u64>) -> Self {
        Self { layout, wanted }
    }
}

impl Iterator for Steps {
    type Item = Step;

    /// What to read next; none when all was given. A buffer starts at a multiple of its size, so reads stay aligned.
    fn next(&mut self) -> Option<Step> {
        if self.wanted.is_empty() {
            return None;
        }
        let first = Layout::segment_of(self.wanted.start);
        let last = Layout::segment_of(self.wanted.end - 1);
        let chunk_end = (first / CHUNK_SEGMENT_COUNT as u64 + 1) * CHUNK_SEGMENT_COUNT as u64;
        let end = (last + 1).min(chunk_end);
        let stored = self.layout.stored_range(first).start..self.layout.stored_range(end - 1).end;
        let to = Layout::plain_start(end).min(self.wanted.end);
        let plain = self.wanted.start..to;
        self.wanted.start = to;
        Some(Step { segments: first..end, stored, plain })
    }
}

impl Decoder {
    pub(super) fn new(pool: &Pool, data_key: &Secret, aad: &[u8], header: &[u8], layout: Layout) -> Result<Self, Problem> {
        let header = header.get(..HEADER_BYTES).ok_or_else(damaged)?;
        Ok(Self { segments: Segments::open(data_key, aad, header)?, layout, pool: pool.clone() })
    }

    /// Checks and decrypts what was read for `step`.
    pub(super) fn open(&self, step: &Step, stored: &[u8]) -> Result<Bytes, Problem> {
        let mut plain: Buffer = self.pool.take();
        let mut filled = 0_usize;
        for segment in step.segments.clone() {
            let range = self.layout.stored_range(segment);
            let from = offset_in(range.start, step.stored.start)?;
            let to = offset_in(range.end, step.stored.start)?;
            let one = stored.get(from..to).ok_or_else(damaged)?;
            let end = filled + one.len().checked_sub(TAG_BYTES).ok_or_else(damaged)?;
            let place = plain.as_mut().get_mut(filled..end).ok_or_else(damaged)?;
            let last = segment + 1 == self.layout.segment_count;
            self.segments.open_segment(segment, last, one, place)?;
            filled = end;
        }
        let first_byte = Layout::plain_start(step.segments.start);
        let (from, to) = (offset_in(step.plain.start, first_byte)?, offset_in(step.plain.end, first_byte)?);
        if to > filled {
            return Err(damaged());
        }
        Ok(plain.into_bytes(from..to))
    }

    /// An empty object still has one segment, which says that it is whole.
    pub(super) fn check_empty(&self, stored: &[u8]) -> Result<(), Problem> {
        self.segments.open_segment(0, true, stored, &mut [])
    }
}

fn offset_in(place: u64, start: u64) -> Result<usize, Problem> {
    place.checked_sub(start).and_then(|offset| usize::try_from(offset).ok()).ok_or_else(damaged)
}
