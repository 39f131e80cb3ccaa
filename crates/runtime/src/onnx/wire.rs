//! Protocol Buffers' wire format, as far as ONNX needs it.

use crate::LoadError;

/// A field's content; the caller knows its meaning by its number.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
    Fixed32(u32),
}

/// Walks over a message's fields, without copies and without recursion.
#[derive(Clone, Debug)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
}

fn truncated() -> LoadError {
    LoadError::invalid("ONNX: the file ends too early")
}

impl<'a> Reader<'a> {
    pub(super) const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next field, with its number.
    pub(super) fn next(&mut self) -> Result<Option<(u64, Field<'a>)>, LoadError> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => Field::Fixed64(u64::from_le_bytes(self.array()?)),
            2 => {
                let length = usize::try_from(self.varint()?).map_err(|_| truncated())?;
                Field::Bytes(self.take(length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(self.array()?)),
            kind => return Err(LoadError::invalid(format!("ONNX: a field of the kind {kind}"))),
        };
        Ok(Some((key >> 3, field)))
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], LoadError> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], LoadError> {
        self.take(N)?.try_into().map_err(|_| truncated())
    }

    fn varint(&mut self) -> Result<u64, LoadError> {
        let mut value = 0_u64;
        for place in 0..10 {
            let [byte] = self.array()?;
            value |= u64::from(byte & 0x7f) << (7 * place);
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(LoadError::invalid("ONNX: a number is longer than 10 bytes"))
    }
}

impl<'a> Field<'a> {
    pub(super) fn bytes(self) -> Result<&'a [u8], LoadError> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(LoadError::invalid("ONNX: a number where bytes are expected")) }
    }

    pub(super) fn text(self) -> Result<&'a str, LoadError> {
        std::str::from_utf8(self.bytes()?).map_err(|_| LoadError::invalid("ONNX: a text is not UTF-8"))
    }

    pub(super) fn integer(self) -> Result<i64, LoadError> {
        if let Self::Varint(value) = self { Ok(value as i64) } else { Err(LoadError::invalid("ONNX: no integer")) }
    }

    /// One integer, or packed ones.
    pub(super) fn integers(self, into: &mut Vec<i64>) -> Result<(), LoadError> {
        match self {
            Self::Bytes(bytes) => {
                let mut reader = Reader::new(bytes);
                while !reader.rest.is_empty() {
                    into.push(reader.varint()? as i64);
                }
            }
            other => into.push(other.integer()?),
        }
        Ok(())
    }

    /// One 32-bit float, or packed ones.
    pub(super) fn floats(self, into: &mut Vec<f32>) -> Result<(), LoadError> {
        match self {
            Self::Fixed32(bits) => into.push(f32::from_bits(bits)),
            Self::Bytes(bytes) => into.extend(floats_of(bytes)?),
            _ => return Err(LoadError::invalid("ONNX: no float")),
        }
        Ok(())
    }

    /// One 64-bit float, or packed ones.
    pub(super) fn doubles(self, into: &mut Vec<f64>) -> Result<(), LoadError> {
        match self {
            Self::Fixed64(bits) => into.push(f64::from_bits(bits)),
            Self::Bytes(bytes) => into.extend(doubles_of(bytes)?),
            _ => return Err(LoadError::invalid("ONNX: no double")),
        }
        Ok(())
    }
}

/// Splits bytes into elements of exactly `N`.
pub(super) fn elements<const N: usize>(bytes: &[u8]) -> Result<impl Iterator<Item = [u8; N]>, LoadError> {
    if !bytes.len().is_multiple_of(N) {
        return Err(truncated());
    }
    Ok(bytes.chunks_exact(N).map(|chunk| chunk.try_into().unwrap_or([0; N])))
}

pub(super) fn floats_of(bytes: &[u8]) -> Result<impl Iterator<Item = f32>, LoadError> {
    Ok(elements(bytes)?.map(f32::from_le_bytes))
}

pub(super) fn doubles_of(bytes: &[u8]) -> Result<impl Iterator<Item = f64>, LoadError> {
    Ok(elements(bytes)?.map(f64::from_le_bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read() {
        let mut reader = Reader::new(b"\x08\x96\x01\x12\x02hi\x1d\x00\x00\x80\x3f");
        assert_eq!(reader.next(), Ok(Some((1, Field::Varint(150)))));
        assert_eq!(reader.next().unwrap().unwrap().1.text(), Ok("hi"));
        let mut floats = Vec::new();
        reader.next().unwrap().unwrap().1.floats(&mut floats).unwrap();
        assert_eq!(floats, [1.0]);
        assert_eq!(reader.next(), Ok(None));
    }

    #[test]
    fn broken_fields_are_refused() {
        for bytes in [&b"\x08"[..], b"\x12\x05hi", b"\x0b", b"\x12\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", &[0xff; 12]] {
            assert!(Reader::new(bytes).next().is_err(), "{}", bytes.escape_ascii());
        }
        assert!(Field::Bytes(b"abc").floats(&mut Vec::new()).is_err());
        assert!(Field::Bytes(b"\x80").integers(&mut Vec::new()).is_err());
        assert!(Field::Bytes(b"\xff\xfe").text().is_err());
    }
}
