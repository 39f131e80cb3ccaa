//! Protobuf's wire format (<https://protobuf.dev/programming-guides/encoding>), as far as reading it goes. It copies nothing
//! and allocates nothing: a message is a walk over its fields, each a slice of the body, so that work and memory are bounded by
//! the body's size, which the door limits.

use kernel::Problem;

fn malformed() -> Problem {
    Problem::invalid("the message is not valid protobuf")
}

/// The value of one field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    /// A text, bytes, or a message inside this one.
    Bytes(&'a [u8]),
}

impl<'a> Field<'a> {
    pub(crate) fn bytes(self) -> Result<&'a [u8], Problem> {
        if let Self::Bytes(bytes) = self { Ok(bytes) } else { Err(malformed()) }
    }

    pub(crate) fn text(self) -> Result<String, Problem> {
        std::str::from_utf8(self.bytes()?).map(str::to_owned).map_err(|_| malformed())
    }

    pub(crate) fn varint(self) -> Result<u64, Problem> {
        if let Self::Varint(number) = self { Ok(number) } else { Err(malformed()) }
    }

    pub(crate) fn fixed64(self) -> Result<u64, Problem> {
        if let Self::Fixed64(number) = self { Ok(number) } else { Err(malformed()) }
    }
}

/// Hands each field of a message to `each`, with its number.
pub(crate) fn fields<'a>(message: &'a [u8], mut each: impl FnMut(u64, Field<'a>) -> Result<(), Problem>) -> Result<(), Problem> {
    let mut rest = message;
    while !rest.is_empty() {
        let key = varint(&mut rest)?;
        let field = match key & 7 {
            0 => Field::Varint(varint(&mut rest)?),
            1 => Field::Fixed64(u64::from_le_bytes(array(&mut rest)?)),
            2 => {
                let length = usize::try_from(varint(&mut rest)?).map_err(|_| malformed())?;
                Field::Bytes(take(&mut rest, length)?)
            }
            5 => Field::Fixed32(u32::from_le_bytes(array(&mut rest)?)),
            // Groups were given up long before OpenTelemetry began.
            _ => return Err(malformed()),
        };
        let number = key >> 3;
        if number == 0 {
            return Err(malformed());
        }
        each(number, field)?;
    }
    Ok(())
}

/// The numbers of a repeated field: packed, or one of them.
pub(crate) fn varints(field: Field<'_>, into: &mut Vec<u64>) -> Result<(), Problem> {
    match field {
        Field::Varint(number) => into.push(number),
        Field::Bytes(mut packed) => {
            while !packed.is_empty() {
                into.push(varint(&mut packed)?);
            }
        }
        _ => return Err(malformed()),
    }
    Ok(())
}

/// The fixed numbers of `N` bytes of a repeated field: packed, or one of them.
pub(crate) fn fixed<const N: usize, T>(field: Field<'_>, read: fn([u8; N]) -> T, into: &mut Vec<T>) -> Result<(), Problem> {
    let one;
    let packed = match field {
        Field::Fixed64(number) => {
            one = number.to_le_bytes();
            &one[..]
        }
        Field::Fixed32(number) => {
            one = u64::from(number).to_le_bytes();
            one.get(..4).unwrap_or_default()
        }
        Field::Bytes(packed) => packed,
        Field::Varint(_) => return Err(malformed()),
    };
    let (all, []) = packed.as_chunks::<N>() else { return Err(malformed()) };
    into.extend(all.iter().map(|raw| read(*raw)));
    Ok(())
}

/// A message as it is written.
#[derive(Default)]
pub(crate) struct Written(Vec<u8>);

impl Written {
    pub(crate) fn varint(&mut self, number: u64, value: u64) -> &mut Self {
        self.raw(number << 3).raw(value)
    }

    pub(crate) fn bytes(&mut self, number: u64, value: &[u8]) -> &mut Self {
        self.raw(number << 3 | 2).raw(value.len() as u64);
        self.0.extend_from_slice(value);
        self
    }

    pub(crate) fn text(&mut self, number: u64, value: &str) -> &mut Self {
        self.bytes(number, value.as_bytes())
    }

    /// Numbers, packed.
    pub(crate) fn packed(&mut self, number: u64, values: impl IntoIterator<Item = u64>) -> &mut Self {
        let mut inner = Self::default();
        for value in values {
            inner.raw(value);
        }
        self.bytes(number, &inner.0)
    }

    pub(crate) fn message(&mut self, number: u64, inner: &Self) -> &mut Self {
        self.bytes(number, &inner.0)
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.0
    }

    fn raw(&mut self, mut value: u64) -> &mut Self {
        while value >= 0x80 {
            self.0.push((value & 0x7f) as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
        self
    }
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], Problem> {
    let (taken, after) = rest.split_at_checked(length).ok_or_else(malformed)?;
    *rest = after;
    Ok(taken)
}

fn array<const N: usize>(rest: &mut &[u8]) -> Result<[u8; N], Problem> {
    take(rest, N)?.try_into().map_err(|_| malformed())
}

fn varint(rest: &mut &[u8]) -> Result<u64, Problem> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (byte, after) = rest.split_first().ok_or_else(malformed)?;
        *rest = after;
        // The tenth byte has room for one bit.
        if shift == 63 && *byte > 1 {
            return Err(malformed());
        }
        number |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(number);
        }
    }
    Err(malformed())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(message: &[u8]) -> Result<Vec<(u64, Field<'_>)>, Problem> {
        let mut found = Vec::new();
        fields(message, |number, field| {
            found.push((number, field));
            Ok(())
        })?;
        Ok(found)
    }

    #[test]
    fn fields_are_walked() {
        // 1: 150, 2: "testing", 3: fixed64 1, 5: fixed32 2 — the first two are the standard's own examples.
        let message = [
            0x08, 0x96, 0x01, 0x12, 0x07, 0x74, 0x65, 0x73, 0x74, 0x69, 0x6e, 0x67, 0x19, 1, 0, 0, 0, 0, 0, 0, 0, 0x2d, 2, 0, 0,
            0,
        ];
        let found = all(&message).unwrap();
        assert_eq!(
            found,
            [(1, Field::Varint(150)), (2, Field::Bytes(b"testing")), (3, Field::Fixed64(1)), (5, Field::Fixed32(2))]
        );
    }

    #[test]
    fn what_is_written_reads_back() {
        let mut inner = Written::default();
        inner.varint(1, 300);
        let mut written = Written::default();
        written.text(1, "ab").packed(2, [1, 300, u64::MAX]).message(3, &inner);
        let message = written.into_bytes();
        let found = all(&message).unwrap();
        assert_eq!(found[0], (1, Field::Bytes(b"ab")));
        let mut numbers = Vec::new();
        varints(found[1].1, &mut numbers).unwrap();
        assert_eq!(numbers, [1, 300, u64::MAX]);
        assert_eq!(all(found[2].1.bytes().unwrap()).unwrap(), [(1, Field::Varint(300))]);
        let mut floats = Vec::new();
        fixed(Field::Bytes(&1.5_f32.to_le_bytes()), f32::from_le_bytes, &mut floats).unwrap();
        fixed(Field::Fixed32(2.5_f32.to_bits()), f32::from_le_bytes, &mut floats).unwrap();
        assert_eq!(floats, [1.5, 2.5]);
        assert!(fixed(Field::Bytes(&[1, 2, 3]), f32::from_le_bytes, &mut floats).is_err());
    }

    #[test]
    fn broken_messages_are_refused() {
        let endless = [0xff_u8; 20];
        let too_long = [0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02];
        for bad in [
            &[0x08][..],
            &[0x12, 0x07, 0x74],
            &[0x19, 1],
            &[0x0b],
            &[0x0c],
            &[0x00, 0x00],
            &[0x12, 0xff, 0xff, 0xff, 0xff, 0x7f],
            &endless,
            &too_long,
        ] {
            assert!(all(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn any_bytes_end_without_a_fault() {
        let mut seed = 7_u64;
        for _ in 0..2_000 {
            let bytes: Vec<u8> = (0..40)
                .map(|_| {
                    seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                    seed.to_le_bytes()[7]
                })
                .collect();
            drop(all(&bytes));
        }
    }
}
