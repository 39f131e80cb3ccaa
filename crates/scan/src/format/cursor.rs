//! Reads binary formats from front to back, a small buffer at a time; long parts are passed over.

use std::io;

use crate::source::Window;

const BUFFER_BYTES: u64 = 64 << 10;

/// Why a format is not read further.
#[derive(Debug)]
pub(super) enum Stop {
    Source(io::Error),
    /// The bytes break the format's rules.
    Malformed(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Source(error)
    }
}

pub(super) fn malformed<T>(message: impl Into<String>) -> Result<T, Stop> {
    Err(Stop::Malformed(message.into()))
}

pub(super) struct Cursor<'a> {
    pub window: Window<'a>,
    buffer: Vec<u8>,
    start: u64,
    pub position: u64,
}

impl<'a> Cursor<'a> {
    pub fn new(window: Window<'a>) -> Self {
        Self { window, buffer: Vec::new(), start: 0, position: 0 }
    }

    pub fn left(&self) -> u64 {
        self.window.size().saturating_sub(self.position)
    }

    pub fn skip(&mut self, count: u64) -> Result<(), Stop> {
        if count > self.left() {
            return malformed(format!("{count} bytes are announced at byte {}, {} are there", self.position, self.left()));
        }
        self.position += count;
        Ok(())
    }

    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], Stop> {
        loop {
            let held = usize::try_from(self.position.wrapping_sub(self.start))
                .ok()
                .and_then(|at| self.buffer.get(at..)?.first_chunk::<N>());
            if let Some(chunk) = held {
                self.position += N as u64;
                return Ok(*chunk);
            }
            if self.left() < N as u64 {
                return malformed(format!("the file ends at byte {} in the middle of a value", self.window.size()));
            }
            self.start = self.position;
            self.buffer = self.window.bytes(self.position, BUFFER_BYTES)?;
        }
    }

    pub fn u8(&mut self) -> Result<u8, Stop> {
        Ok(u8::from_le_bytes(self.array()?))
    }

    pub fn u32(&mut self) -> Result<u32, Stop> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    pub fn u64(&mut self) -> Result<u64, Stop> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// A text of at most `bytes_max` bytes.
    pub fn text(&mut self, count: u64, bytes_max: u64) -> Result<String, Stop> {
        if count > bytes_max {
            return malformed(format!("a name at byte {} has {count} bytes", self.position));
        }
        let start = self.position;
        self.skip(count)?;
        match String::from_utf8(self.window.bytes(start, count)?) {
            Ok(text) => Ok(text),
            Err(_) => malformed(format!("a text at byte {start} is not UTF-8")),
        }
    }

    /// A part that begins here, passed over.
    pub fn part(&mut self, count: u64) -> Result<Window<'a>, Stop> {
        let start = self.position;
        self.skip(count)?;
        Ok(self.window.part(start, count))
    }
}
