//! Sketches: summaries of fixed size that can be merged, so that parts of a table give the profile of the whole.
//!
//! They are our own rather than the crate `datasketches`, whose files they share: its quantile sketch draws its coins from
//! the process, so one table would give two profiles; its distinct count depends on the order of what came; and both cost
//! more than twice the time. That crate is the tests' oracle.

pub mod distinct;
pub mod frequent;
pub mod quantiles;
pub mod sample;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use crate::error::{ProfileError, broken};

/// Reads a sketch's bytes in order.
pub struct Reader<'a> {
    sketch: &'static str,
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// Over the bytes of a sketch of this name.
    pub const fn new(sketch: &'static str, bytes: &'a [u8]) -> Self {
        Self { sketch, rest: bytes }
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], ProfileError> {
        let (first, rest) = self.rest.split_first_chunk::<N>().ok_or_else(|| broken(self.sketch, "it ends too early"))?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next byte.
    pub fn byte(&mut self) -> Result<u8, ProfileError> {
        self.array::<1>().map(|[byte]| byte)
    }

    /// The next two bytes.
    pub fn short(&mut self) -> Result<u16, ProfileError> {
        self.array().map(u16::from_le_bytes)
    }

    /// The next four bytes.
    pub fn int(&mut self) -> Result<u32, ProfileError> {
        self.array().map(u32::from_le_bytes)
    }

    /// The next eight bytes.
    pub fn long(&mut self) -> Result<u64, ProfileError> {
        self.array().map(u64::from_le_bytes)
    }

    /// The next eight bytes as a finite number.
    pub fn number(&mut self) -> Result<f64, ProfileError> {
        let number = self.array().map(f64::from_le_bytes)?;
        if number.is_finite() { Ok(number) } else { Err(broken(self.sketch, "it holds a number that is not finite")) }
    }

    /// All that has not been read.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }
}

/// Bytes as base64.
pub fn to_text(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Base64 as bytes.
pub fn from_text(sketch: &'static str, text: &str) -> Result<Vec<u8>, ProfileError> {
    STANDARD.decode(text).map_err(|error| broken(sketch, error.to_string()))
}
