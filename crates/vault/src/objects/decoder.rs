//! Stored bytes in, plain bytes out: each segment is checked before a byte of it leaves.

use std::ops::Range;

use bytes::Bytes;
use kernel::{Problem, Secret};

use super::pool::{Buffer, CHUNK_SEGMENT_COUNT, Pool};
use super::segments::{HEADER_BYTES, Layout, Segments, TAG_BYTES, damaged};

/// Opens a range of one object.
pub(super) struct Decoder {
    segments: Segments,
    layout: Layout,
    pool: Pool,
    /// The plain bytes that are still wanted.
    wanted: Range<u64>,
}

/// The segments of the next buffer.
#[derive(Clone, Debug)]
pub(super) struct Step {
    segments: Range<u64>,
    /// Where they are stored.
    pub(super) stored: Range<u64>,
}

impl Decoder {
    pub(super) fn new(
        pool: &Pool,
        data_key: &Secret,
        aad: &[u8],
        header: &[u8],
        layout: Layout,
        wanted: Range<u64>,
    ) -> Result<Self, Problem> {
        let header = header.get(..HEADER_BYTES).ok_or_else(damaged)?;
        Ok(Self { segments: Segments::open(data_key, aad, header)?, layout, pool: pool.clone(), wanted })
    }

    /// What to read next; none when all was given. A buffer starts at a multiple of its size, so reads stay aligned.
    pub(super) fn next_step(&self) -> Option<Step> {
        if self.wanted.is_empty() {
            return None;
        }
        let first = Layout::segment_of(self.wanted.start);
        let last = Layout::segment_of(self.wanted.end - 1);
        let chunk_end = (first / CHUNK_SEGMENT_COUNT as u64 + 1) * CHUNK_SEGMENT_COUNT as u64;
        let end = (last + 1).min(chunk_end);
        let stored = self.layout.stored_range(first).start..self.layout.stored_range(end - 1).end;
        Some(Step { segments: first..end, stored })
    }

    /// Checks and decrypts what was read for `step`.
    pub(super) fn take(&mut self, step: &Step, stored: &[u8]) -> Result<Bytes, Problem> {
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
        let from = offset_in(self.wanted.start, first_byte)?;
        let to = offset_in(self.wanted.end, first_byte)?.min(filled);
        self.wanted.start = first_byte + to as u64;
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
