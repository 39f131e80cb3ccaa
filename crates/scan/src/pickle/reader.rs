//! Reads a pickle's bytes as CPython's C unpickler does, frames included.
//!
//! A `FRAME` only tells how much to read ahead. When an operand crosses the end of a frame, a reader that holds all bytes
//! goes on behind the border, and one that reads from a file without `peek` drops the rest of the frame. Python's own
//! pickler never writes such a stream, so it is blocked; both readings are followed to name all that is imported.

use std::io;

use crate::limits::LINE_BYTES_MAX;
use crate::source::Window;

/// How many bytes are read at once.
const BUFFER_BYTES: u64 = 128 << 10;

/// Why a pickle is not followed further.
#[derive(Debug)]
pub(super) enum Halt {
    /// The bytes could not be read.
    Source(io::Error),
    /// CPython stops here with an error.
    Broken(&'static str),
    /// The scanner stops here.
    Limit(&'static str),
}

impl From<io::Error> for Halt {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}

/// What happens at the end of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Reading {
    /// Operands may cross it, as in `loads` and in files with `peek`.
    Contiguous,
    /// What is left of the frame is dropped, as in `load` from an object without `peek`.
    Framed,
}

const TRUNCATED: Halt = Halt::Broken("the stream ends in the middle of an instruction");

pub(super) struct Reader<'a> {
    pub window: Window<'a>,
    buffer: Vec<u8>,
    buffer_start: u64,
    position: u64,
    frame_end: Option<u64>,
    reading: Reading,
    /// Where readers first disagree.
    pub diverged: Option<u64>,
    /// The stream has a frame that is longer than the file.
    pub frame_too_long: Option<u64>,
}

impl<'a> Reader<'a> {
    pub fn new(window: Window<'a>, start: u64, reading: Reading) -> Self {
        Self {
            window,
            buffer: Vec::new(),
            buffer_start: start,
            position: start,
            frame_end: None,
            reading,
            diverged: None,
            frame_too_long: None,
        }
    }

    /// Memory to read into; what is in it does not matter.
    pub fn take_buffer(&mut self, mut buffer: Vec<u8>) {
        buffer.clear();
        self.buffer = buffer;
    }

    pub fn into_buffer(self) -> Vec<u8> {
        self.buffer
    }

    pub fn position(&self) -> u64 {
        self.position
    }

    /// The end of the frame that the position is in.
    pub fn open_frame(&self) -> Option<u64> {
        self.frame_end.filter(|end| *end > self.position)
    }

    /// Goes on elsewhere: behind bytes that another reader takes.
    pub fn jump(&mut self, position: u64) {
        self.position = position;
        self.frame_end = None;
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, Halt> {
        if self.frame_end.is_some_and(|end| end <= self.position) {
            self.frame_end = None;
        }
        loop {
            let index = self.position.wrapping_sub(self.buffer_start);
            if let Some(byte) = usize::try_from(index).ok().and_then(|index| self.buffer.get(index)) {
                self.position += 1;
                return Ok(*byte);
            }
            if self.position >= self.window.size() {
                return Err(TRUNCATED);
            }
            self.refill()?;
        }
    }

    fn refill(&mut self) -> Result<(), Halt> {
        let count = usize::try_from(BUFFER_BYTES.min(self.window.size().saturating_sub(self.position))).unwrap_or(0);
        self.buffer.resize(count, 0);
        self.buffer_start = self.position;
        let read = self.window.fill(self.position, &mut self.buffer)?;
        self.buffer.truncate(read);
        Ok(())
    }

    /// Takes `count` bytes and says where they start, without reading them.
    pub fn claim(&mut self, count: u64) -> Result<u64, Halt> {
        if let Some(end) = self.frame_end
            && count > 0
        {
            if end <= self.position {
                self.frame_end = None;
            } else if count > end - self.position {
                self.cross(end);
            }
        }
        self.advance(count)
    }

    /// As `claim`, for bytes objects, which CPython reads straight into their place: nothing is dropped.
    pub fn claim_into(&mut self, count: u64) -> Result<u64, Halt> {
        if self.open_frame().is_some_and(|end| count > end - self.position) {
            self.diverged.get_or_insert(self.position);
            self.frame_end = None;
        }
        self.advance(count)
    }

    fn advance(&mut self, count: u64) -> Result<u64, Halt> {
        if count > self.window.size().saturating_sub(self.position) {
            return Err(TRUNCATED);
        }
        let start = self.position;
        self.position += count;
        Ok(start)
    }

    fn cross(&mut self, end: u64) {
        self.diverged.get_or_insert(self.position);
        self.frame_end = None;
        if self.reading == Reading::Framed {
            self.position = end;
        }
    }

    /// Takes a few bytes as they are.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Halt> {
        let start = self.claim(N as u64)?;
        let mut bytes = [0; N];
        let held =
            usize::try_from(start.wrapping_sub(self.buffer_start)).ok().and_then(|at| self.buffer.get(at..)?.first_chunk::<N>());
        match held {
            Some(chunk) => bytes = *chunk,
            None => {
                self.window.fill(start, &mut bytes)?;
            }
        }
        Ok(bytes)
    }

    /// Looks at bytes without taking them; what is behind the end is left as it is.
    pub fn peek(&mut self, start: u64, bytes: &mut [u8]) -> Result<(), Halt> {
        let held = usize::try_from(start.wrapping_sub(self.buffer_start))
            .ok()
            .and_then(|at| self.buffer.get(at..at.checked_add(bytes.len())?));
        match held {
            Some(held) => bytes.copy_from_slice(held),
            None => {
                self.window.fill(start, bytes)?;
            }
        }
        Ok(())
    }

    pub fn u16(&mut self) -> Result<u16, Halt> {
        Ok(u16::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Halt> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Halt> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Takes a line; its start and its length without the newline, the only letter that ends a line.
    pub fn line(&mut self) -> Result<(u64, u64), Halt> {
        let end = self.find_newline()?;
        if let Some(frame_end) = self.open_frame()
            && end.is_none_or(|end| end >= frame_end)
        {
            self.cross(frame_end);
            return self.line();
        }
        let start = self.position;
        let Some(end) = end else {
            // Python's own unpickler takes the rest of the file for a line and cuts off its last byte, whatever it is; the C
            // one stops. The next instruction stops both.
            self.position = self.window.size();
            return Ok((start, self.window.size().saturating_sub(start + 1)));
        };
        self.position = end + 1;
        Ok((start, end - start))
    }

    fn find_newline(&mut self) -> Result<Option<u64>, Halt> {
        let start = self.position;
        let mut at = start;
        loop {
            let held = usize::try_from(at.wrapping_sub(self.buffer_start)).ok().and_then(|index| self.buffer.get(index..));
            match held {
                Some(rest) if !rest.is_empty() => {
                    if let Some(index) = memchr::memchr(b'\n', rest) {
                        return Ok(Some(at + index as u64));
                    }
                    at += rest.len() as u64;
                }
                _ if at >= self.window.size() => return Ok(None),
                _ => {
                    self.position = at;
                    let refilled = self.refill();
                    self.position = start;
                    refilled?;
                }
            }
            if at - start > LINE_BYTES_MAX {
                return Err(Halt::Limit("a line is longer than the scanner follows"));
            }
        }
    }

    /// A `FRAME` of this many bytes begins.
    pub fn frame(&mut self, length: u64) -> Result<(), Halt> {
        if i64::try_from(length).is_err() {
            return Err(Halt::Broken("a frame is longer than any file"));
        }
        if let Some(end) = self.open_frame() {
            // Python's own unpickler refuses a frame in a frame; the C one takes what it holds for read.
            self.diverged.get_or_insert(self.position);
            if self.reading == Reading::Framed {
                if length <= end - self.position {
                    return Ok(());
                }
                self.position = end;
            }
        }
        let end = self.position + length.min(self.window.size().saturating_sub(self.position));
        if length > self.window.size().saturating_sub(self.position) {
            self.frame_too_long.get_or_insert(self.position);
        }
        self.frame_end = Some(end);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(bytes: &[u8], reading: Reading, act: impl FnOnce(&mut Reader<'_>)) {
        let bytes = bytes.to_vec();
        act(&mut Reader::new(Window::whole(&bytes), 0, reading));
    }

    #[test]
    fn operands_that_cross_a_frame_are_read_in_two_ways() {
        check(b"ab\ncd\n", Reading::Contiguous, |reader| {
            reader.frame(2).unwrap();
            assert_eq!((reader.line().unwrap(), reader.diverged), ((0, 2), Some(0)));
        });
        check(b"ab\ncd\n", Reading::Framed, |reader| {
            reader.frame(2).unwrap();
            assert_eq!(reader.line().unwrap(), (2, 0));
            reader.frame(2).unwrap();
            assert_eq!(reader.claim(2).unwrap(), 3);
            assert_eq!(reader.byte().unwrap(), b'\n');
        });
    }

    #[test]
    fn frames_on_the_borders_of_instructions_are_no_matter() {
        check(b"abcd", Reading::Framed, |reader| {
            reader.frame(2).unwrap();
            assert_eq!(reader.claim(2).unwrap(), 0);
            reader.frame(2).unwrap();
            assert_eq!(reader.claim(2).unwrap(), 2);
            assert!(reader.diverged.is_none() && reader.byte().is_err());
        });
    }

    #[test]
    fn what_is_not_there_is_not_read() {
        check(b"abc", Reading::Contiguous, |reader| {
            assert!(matches!(reader.claim(u64::MAX), Err(Halt::Broken(_))));
            assert!(matches!(reader.frame(u64::MAX), Err(Halt::Broken(_))));
            reader.frame(9).unwrap();
            assert_eq!(reader.frame_too_long, Some(0));
        });
        check(b"abc", Reading::Contiguous, |reader| {
            assert_eq!(reader.line().unwrap(), (0, 2));
            assert_eq!(reader.line().unwrap(), (3, 0));
            assert!(matches!(reader.byte(), Err(Halt::Broken(_))));
        });
    }

    #[test]
    fn lines_longer_than_the_buffer_are_found() {
        let mut bytes = vec![b'x'; 300_000];
        bytes.push(b'\n');
        check(&bytes, Reading::Contiguous, |reader| assert_eq!(reader.line().unwrap(), (0, 300_000)));
    }
}
