//! What a request carries: bytes as they are, or bytes of any length that are made on the way, so that a generator of many GiB needs none.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body, Frame, SizeHint};

use crate::works;

/// The bytes that all made content repeats.
const NOISE_BYTES: usize = 1 << 20;
const PIECE_BYTES: usize = 256 << 10;

/// The body of a request.
pub struct Content(Pattern);

/// The bytes of one object: noise, from a place on that depends on the object, again and again.
#[derive(Clone)]
pub struct Pattern {
    noise: Bytes,
    at: usize,
    left: u64,
}

/// Noise that patterns share.
#[derive(Clone)]
pub struct Noise(Bytes);

impl Noise {
    /// Makes it.
    pub fn new() -> Self {
        Self(works::noise(NOISE_BYTES))
    }

    /// The content of the object of this number.
    pub fn pattern(&self, number: usize, bytes: u64) -> Pattern {
        Pattern { noise: self.0.clone(), at: number.wrapping_mul(4_099) % NOISE_BYTES, left: bytes }
    }
}

impl Pattern {
    /// The next bytes, at most so many.
    fn next(&mut self, max: usize) -> Bytes {
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let count = left.min(max).min(self.noise.len().saturating_sub(self.at));
        let piece = self.noise.slice(self.at..self.at + count);
        self.at = (self.at + count) % self.noise.len().max(1);
        self.left -= count as u64;
        piece
    }

    /// Whether these are the next bytes.
    pub fn takes(&mut self, mut bytes: &[u8]) -> bool {
        while !bytes.is_empty() {
            let expected = self.next(bytes.len());
            if expected.is_empty() || !bytes.starts_with(&expected) {
                return false;
            }
            bytes = bytes.get(expected.len()..).unwrap_or_default();
        }
        true
    }

    /// Whether nothing is missing.
    pub const fn is_over(&self) -> bool {
        self.left == 0
    }
}

impl Content {
    /// These bytes.
    pub fn whole(bytes: Bytes) -> Self {
        let left = bytes.len() as u64;
        Self(Pattern { noise: bytes, at: 0, left })
    }
}

impl From<Pattern> for Content {
    fn from(pattern: Pattern) -> Self {
        Self(pattern)
    }
}

impl Body for Content {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Self::Error>>> {
        if self.0.is_over() {
            return Poll::Ready(None);
        }
        Poll::Ready(Some(Ok(Frame::data(self.0.next(PIECE_BYTES)))))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_over()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.0.left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_is_what_it_sends_and_nothing_else() {
        let noise = Noise::new();
        let bytes = NOISE_BYTES as u64 * 2 + 77;
        let (mut sent, mut read) = (noise.pattern(3, bytes), noise.pattern(3, bytes));
        let mut count = 0;
        while !sent.is_over() {
            let piece = sent.next(PIECE_BYTES);
            count += piece.len() as u64;
            assert!(read.takes(&piece));
        }
        assert_eq!((count, read.is_over()), (bytes, true));
        assert!(!read.takes(b"x"), "more than there is");
        assert!(!noise.pattern(3, 64).takes(&noise.pattern(4, 64).next(64)), "another object's bytes");
    }

    #[test]
    fn whole_bytes_are_one_piece() {
        let content = Content::whole(Bytes::from_static(b"abc"));
        assert_eq!((content.size_hint().exact(), content.is_end_stream()), (Some(3), false));
        assert!(Content::whole(Bytes::new()).is_end_stream());
    }
}
