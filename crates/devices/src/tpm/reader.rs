//! Big-endian numbers and sized buffers, as TPM structures have them.

use super::TpmError;

const SHORT: TpmError = TpmError("a structure ends too early");

/// Reads from the front of some bytes.
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    pub(super) fn take(&mut self, count: usize) -> Result<&'a [u8], TpmError> {
        let (taken, rest) = self.0.split_at_checked(count).ok_or(SHORT)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn byte(&mut self) -> Result<u8, TpmError> {
        self.take(1)?.first().copied().ok_or(SHORT)
    }

    pub(super) fn u16(&mut self) -> Result<u16, TpmError> {
        Ok(u16::from_be_bytes(self.take(2)?.try_into().map_err(|_| SHORT)?))
    }

    pub(super) fn u32(&mut self) -> Result<u32, TpmError> {
        Ok(u32::from_be_bytes(self.take(4)?.try_into().map_err(|_| SHORT)?))
    }

    /// A buffer after its size.
    pub(super) fn sized(&mut self) -> Result<&'a [u8], TpmError> {
        let size = usize::from(self.u16()?);
        self.take(size)
    }

    /// Nothing may follow.
    pub(super) fn end(&self) -> Result<(), TpmError> {
        if self.0.is_empty() { Ok(()) } else { Err(TpmError("something follows a structure")) }
    }
}

/// A buffer with its size in front.
pub(super) fn sized(bytes: &[u8]) -> Vec<u8> {
    // What is made here is never longer than a few hundred bytes.
    let size = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&size.to_be_bytes(), bytes].concat()
}
