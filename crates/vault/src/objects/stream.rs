//! A stream sealed under a key of its own, in the format of objects ([`super::segments`]): for what is no object, such as a
//! database's snapshot in a backup.

use kernel::{Problem, Secret};

use super::encoder::{Encoder, Sink};
use super::pool::{Buffer, Pool};
use super::segments::{HEADER_BYTES, SEGMENT_BYTES, Segments, TAG_BYTES, damaged};

/// Seals: plain bytes in, stored bytes out.
pub struct StreamSealer {
    encoder: Encoder,
    out: Out,
}

#[derive(Default)]
struct Out(Vec<u8>);

impl Sink for Out {
    fn write_full(&mut self, buffer: Buffer) -> Result<(), Problem> {
        self.write_last(buffer.as_ref())
    }

    fn write_last(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

impl StreamSealer {
    /// Seals for the place that `place` names.
    ///
    /// # Errors
    /// `Internal` if the library refuses; it does not.
    pub fn new(key: &Secret, place: &[u8]) -> Result<Self, Problem> {
        Ok(Self { encoder: Encoder::new(&Pool::default(), key, place, u64::MAX)?, out: Out::default() })
    }

    /// Takes plain bytes; gives the stored bytes that are ready, which may be none.
    ///
    /// # Errors
    /// `Invalid` past 256 TiB.
    pub fn push(&mut self, plain: &[u8]) -> Result<Vec<u8>, Problem> {
        self.encoder.push(plain, &mut self.out)?;
        Ok(std::mem::take(&mut self.out.0))
    }

    /// The rest of the stored bytes.
    ///
    /// # Errors
    /// As [`StreamSealer::push`].
    pub fn finish(mut self) -> Result<Vec<u8>, Problem> {
        self.encoder.finish(&mut self.out)?;
        Ok(self.out.0)
    }
}

/// Opens what [`StreamSealer`] sealed. No plain byte leaves before its segment was checked; that the stream is whole is known
/// when [`StreamOpener::finish`] says so.
pub struct StreamOpener {
    key: Secret,
    place: Vec<u8>,
    segments: Option<Segments>,
    segment: u64,
    waiting: Vec<u8>,
}

impl StreamOpener {
    /// Opens for the same key and place.
    #[must_use]
    pub fn new(key: &Secret, place: &[u8]) -> Self {
        Self { key: key.clone(), place: place.to_vec(), segments: None, segment: 0, waiting: Vec::new() }
    }

    /// Takes stored bytes; gives the plain ones that are checked.
    ///
    /// # Errors
    /// `Internal` if they are not what was sealed.
    pub fn push(&mut self, stored: &[u8]) -> Result<Vec<u8>, Problem> {
        self.waiting.extend_from_slice(stored);
        self.take_header()?;
        let mut plain = Vec::new();
        let mut taken = 0;
        // The last segment carries a mark: one is opened as another than the last only when more follows.
        while self.segments.is_some() && self.waiting.len() - taken > self.segment_bytes() {
            let end = taken + self.segment_bytes();
            self.open(taken..end, false, &mut plain)?;
            taken = end;
        }
        self.waiting.drain(..taken);
        Ok(plain)
    }

    /// The last plain bytes.
    ///
    /// # Errors
    /// `Internal` if the stream was cut short or changed.
    pub fn finish(mut self) -> Result<Vec<u8>, Problem> {
        let mut plain = Vec::new();
        self.open(0..self.waiting.len(), true, &mut plain)?;
        Ok(plain)
    }

    const fn segment_bytes(&self) -> usize {
        if self.segment == 0 { SEGMENT_BYTES - HEADER_BYTES } else { SEGMENT_BYTES }
    }

    fn take_header(&mut self) -> Result<(), Problem> {
        if self.segments.is_none()
            && let Some(header) = self.waiting.get(..HEADER_BYTES)
        {
            self.segments = Some(Segments::open(&self.key, &self.place, header)?);
            self.waiting.drain(..HEADER_BYTES);
        }
        Ok(())
    }

    fn open(&mut self, range: std::ops::Range<usize>, last: bool, plain: &mut Vec<u8>) -> Result<(), Problem> {
        let stored = self.waiting.get(range).ok_or_else(damaged)?;
        let start = plain.len();
        plain.resize(start + stored.len().checked_sub(TAG_BYTES).ok_or_else(damaged)?, 0);
        let place = plain.get_mut(start..).ok_or_else(damaged)?;
        self.segments.as_ref().ok_or_else(damaged)?.open_segment(self.segment, last, stored, place)?;
        self.segment += 1;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sealed(plain: &[u8]) -> Vec<u8> {
        let mut sealer = StreamSealer::new(&Secret::new(vec![7; 32]), b"here").unwrap();
        let mut out = Vec::new();
        for piece in plain.chunks(10_007) {
            out.extend(sealer.push(piece).unwrap());
        }
        out.extend(sealer.finish().unwrap());
        out
    }

    fn opened(stored: &[u8], key: u8, place: &[u8]) -> Result<Vec<u8>, Problem> {
        let mut opener = StreamOpener::new(&Secret::new(vec![key; 32]), place);
        let mut out = Vec::new();
        for piece in stored.chunks(7_919) {
            out.extend(opener.push(piece)?);
        }
        out.extend(opener.finish()?);
        Ok(out)
    }

    #[test]
    fn a_stream_opens_whole_and_unchanged_or_not_at_all() {
        for size in [0, 1, 65_479, 65_480, 65_481, 131_000, 131_072, 1_048_576, 3_000_001] {
            let plain: Vec<u8> = (0..size).map(|at| u8::try_from(at % 251).unwrap()).collect();
            let stored = sealed(&plain);
            assert_eq!(opened(&stored, 7, b"here").unwrap(), plain, "{size}");
            assert!(opened(&stored, 8, b"here").is_err() && opened(&stored, 7, b"there").is_err());
            for at in [0, 1, 39, 40, stored.len() / 2, stored.len() - 1] {
                let mut changed = stored.clone();
                changed[at] ^= 1;
                assert!(opened(&changed, 7, b"here").is_err(), "{size}: byte {at}");
            }
            for cut in [0, 10, stored.len() - 1, stored.len().min(SEGMENT_BYTES)] {
                assert!(cut == stored.len() || opened(&stored[..cut], 7, b"here").is_err(), "{size}: cut at {cut}");
            }
        }
    }
}
