//! Universal Binary JSON (draft 12), as XGBoost writes it, for serde.

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// The error's text.
pub(super) type Error = serde::de::value::Error;

/// Reads one value. INVARIANT: nothing is allocated for a length that a file claims; elements are read one by one.
pub(super) struct Ubj<'de> {
    rest: &'de [u8],
    /// How much deeper it may go.
    depth: usize,
    /// The type of the next value, where an array states it for all.
    stated: Option<u8>,
}

impl<'de> Ubj<'de> {
    pub(super) const fn new(bytes: &'de [u8], depth: usize) -> Self {
        Self { rest: bytes, depth, stated: None }
    }

    /// Whether all bytes were read, but for padding.
    pub(super) fn at_end(&self) -> bool {
        self.rest.iter().all(|byte| *byte == b'N')
    }

    fn take(&mut self, count: usize) -> Result<&'de [u8], Error> {
        let (taken, rest) = self.rest.split_at_checked(count).ok_or_else(|| Error::custom("the file ends too early"))?;
        self.rest = rest;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], Error> {
        self.take(N)?.try_into().map_err(|_| Error::custom("the file ends too early"))
    }

    fn marker(&mut self) -> Result<u8, Error> {
        loop {
            let [byte] = self.array()?;
            if byte != b'N' {
                return Ok(byte);
            }
        }
    }

    fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    fn integer(&mut self, marker: u8) -> Result<i64, Error> {
        Ok(match marker {
            b'i' => i64::from(i8::from_be_bytes(self.array()?)),
            b'U' => i64::from(u8::from_be_bytes(self.array()?)),
            b'I' => i64::from(i16::from_be_bytes(self.array()?)),
            b'l' => i64::from(i32::from_be_bytes(self.array()?)),
            b'L' => i64::from_be_bytes(self.array()?),
            other => return Err(Error::custom(format!("`{}` is no integer type", other.escape_ascii()))),
        })
    }

    fn length(&mut self) -> Result<usize, Error> {
        let marker = self.marker()?;
        usize::try_from(self.integer(marker)?).map_err(|_| Error::custom("a length is negative"))
    }

    fn text(&mut self) -> Result<&'de str, Error> {
        let length = self.length()?;
        std::str::from_utf8(self.take(length)?).map_err(|_| Error::custom("a text is not UTF-8"))
    }

    /// What stands after `[` or `{`: a type for all, a count.
    fn header(&mut self) -> Result<(Option<u8>, Option<usize>), Error> {
        let mut stated = None;
        if self.peek() == Some(b'$') {
            self.take(1)?;
            let [kind] = self.array()?;
            stated = Some(kind);
        }
        if self.peek() == Some(b'#') {
            self.take(1)?;
            return Ok((stated, Some(self.length()?)));
        }
        if stated.is_some() {
            return Err(Error::custom("a typed array has no length"));
        }
        Ok((None, None))
    }
}

impl<'de> Deserializer<'de> for &mut Ubj<'de> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        let marker = match self.stated.take() {
            Some(stated) => stated,
            None => self.marker()?,
        };
        match marker {
            b'Z' => visitor.visit_unit(),
            b'T' => visitor.visit_bool(true),
            b'F' => visitor.visit_bool(false),
            b'd' => visitor.visit_f32(f32::from_be_bytes(self.array()?)),
            b'D' => visitor.visit_f64(f64::from_be_bytes(self.array()?)),
            b'S' => visitor.visit_borrowed_str(self.text()?),
            b'C' => {
                let [byte] = self.array()?;
                visitor.visit_char(char::from(byte))
            }
            b'[' | b'{' => {
                self.depth = self.depth.checked_sub(1).ok_or_else(|| Error::custom("it is nested too deeply"))?;
                let (stated, left) = self.header()?;
                let close = if marker == b'[' { b']' } else { b'}' };
                // Values without bytes would let a short file claim an endless list.
                if stated.is_some_and(|kind| matches!(kind, b'Z' | b'T' | b'F' | b'N')) {
                    return Err(Error::custom("a typed array of constants"));
                }
                let mut items = Items { from: self, stated, left, close };
                let value = if close == b']' { visitor.visit_seq(&mut items) } else { visitor.visit_map(&mut items) }?;
                items.finish()?;
                self.depth += 1;
                Ok(value)
            }
            other => visitor.visit_i64(self.integer(other)?),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.stated.is_none() && self.peek() == Some(b'Z') {
            self.take(1)?;
            return visitor.visit_none();
        }
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple
        tuple_struct map struct enum identifier ignored_any
    }
}

struct Items<'a, 'de> {
    from: &'a mut Ubj<'de>,
    stated: Option<u8>,
    left: Option<usize>,
    close: u8,
}

impl Items<'_, '_> {
    /// Whether another item follows.
    fn more(&mut self) -> Result<bool, Error> {
        match &mut self.left {
            Some(0) => Ok(false),
            Some(left) => {
                *left -= 1;
                Ok(true)
            }
            None => {
                while self.from.peek() == Some(b'N') {
                    self.from.take(1)?;
                }
                match self.from.peek() {
                    None => Err(Error::custom("the file ends too early")),
                    Some(next) => Ok(next != self.close),
                }
            }
        }
    }

    /// A list that counts has no closing mark.
    fn finish(&mut self) -> Result<(), Error> {
        match self.left {
            Some(0) => Ok(()),
            None if self.from.marker()? == self.close => Ok(()),
            _ => Err(Error::custom("a list is longer than expected")),
        }
    }
}

impl<'de> SeqAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_element_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if !self.more()? {
            return Ok(None);
        }
        self.from.stated = self.stated;
        seed.deserialize(&mut *self.from).map(Some)
    }
}

impl<'de> MapAccess<'de> for &mut Items<'_, 'de> {
    type Error = Error;

    fn next_key_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<Option<S::Value>, Error> {
        if !self.more()? {
            return Ok(None);
        }
        let key = self.from.text()?;
        seed.deserialize(serde::de::value::BorrowedStrDeserializer::new(key)).map(Some)
    }

    fn next_value_seed<S: DeserializeSeed<'de>>(&mut self, seed: S) -> Result<S::Value, Error> {
        self.from.stated = self.stated;
        seed.deserialize(&mut *self.from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(bytes: &[u8]) -> Result<Value, String> {
        let mut ubj = Ubj::new(bytes, 4);
        let value = serde::Deserialize::deserialize(&mut ubj).map_err(|error: Error| error.to_string())?;
        if ubj.at_end() { Ok(value) } else { Err("trailing bytes".to_owned()) }
    }

    #[test]
    fn values_are_read() {
        let typed = b"{i\x01a[$d#U\x02\x3f\x80\x00\x00\x40\x00\x00\x00i\x01bSi\x02hii\x01c[i\x05TZ]}";
        assert_eq!(read(typed), Ok(json!({"a": [1.0, 2.0], "b": "hi", "c": [5, true, null]})));
    }

    #[test]
    fn hostile_bytes_are_refused() {
        for bytes in [
            &b"[[[[[i\x01]]]]]"[..],
            b"[$Z#L\x7f\xff\xff\xff\xff\xff\xff\xff",
            b"[$d#L\x7f\xff\xff\xff\xff\xff\xff\xff\x00",
            b"{L\xff\xff\xff\xff\xff\xff\xff\xffa",
            b"[i\x01",
            b"",
            b"Q",
            b"SU\x02\xff\xfe",
        ] {
            assert!(read(bytes).is_err(), "{}", bytes.escape_ascii());
        }
        let deep = vec![b'['; 1 << 20];
        assert!(read(&deep).is_err());
    }
}
