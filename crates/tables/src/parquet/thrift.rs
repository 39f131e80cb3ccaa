//! Looks through Thrift's compact protocol before the Parquet decoder does, which trusts lengths and nesting more than a hostile
//! file deserves: it reserves memory for as many list items as are claimed, and calls itself for each level of a schema.
//!
//! Source: Apache Thrift, `thrift-compact-protocol.md`; field numbers from `parquet.thrift`.

use crate::limits::{COLUMN_COUNT_MAX, DEPTH_MAX, FIXED_BYTES_MAX, FOOTER_ITEM_COUNT_MAX};

/// Nesting of Thrift values; a valid footer needs less than ten.
const VALUE_DEPTH_MAX: usize = 32;

const BYTE: u8 = 3;
const DOUBLE: u8 = 7;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const SET: u8 = 10;
const MAP: u8 = 11;
const STRUCT: u8 = 12;

/// Why a look through failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// The bytes end within a value.
    Short,
    /// No valid value, or one over a limit.
    Bad(&'static str),
}

/// Reads values of the compact protocol.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    items: u64,
}

impl<'a> Reader<'a> {
    const fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, items: 0 }
    }

    fn byte(&mut self) -> Result<u8, Refusal> {
        let byte = self.bytes.get(self.at).copied().ok_or(Refusal::Short)?;
        self.at += 1;
        Ok(byte)
    }

    fn pass(&mut self, count: u64) -> Result<(), Refusal> {
        let left = (self.bytes.len() - self.at) as u64;
        if count > left {
            return Err(Refusal::Short);
        }
        self.at += usize::try_from(count).map_err(|_| Refusal::Short)?;
        Ok(())
    }

    fn varint(&mut self) -> Result<u64, Refusal> {
        let mut value = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Refusal::Bad("a number longer than 64 bits"))
    }

    fn integer(&mut self) -> Result<i64, Refusal> {
        let raw = self.varint()?;
        Ok((raw >> 1).cast_signed() ^ -(raw & 1).cast_signed())
    }

    /// The next field's number and type; `None` at the end of the struct.
    fn field(&mut self, last: &mut i64) -> Result<Option<(i64, u8)>, Refusal> {
        let head = self.byte()?;
        if head & 0x0f == 0 {
            return Ok(None);
        }
        *last = match head >> 4 {
            0 => self.integer()?,
            delta => last.saturating_add(i64::from(delta)),
        };
        Ok(Some((*last, head & 0x0f)))
    }

    /// A list's length and its items' type.
    fn list(&mut self) -> Result<(u64, u8), Refusal> {
        let head = self.byte()?;
        let count = match head >> 4 {
            15 => self.varint()?,
            count => u64::from(count),
        };
        self.count(count)?;
        Ok((count, head & 0x0f))
    }

    fn count(&mut self, count: u64) -> Result<(), Refusal> {
        self.items = self.items.saturating_add(count);
        // Each item takes a byte at least.
        if count > (self.bytes.len() - self.at) as u64 {
            return Err(Refusal::Short);
        }
        if self.items > FOOTER_ITEM_COUNT_MAX {
            return Err(Refusal::Bad("more list items than 4000000"));
        }
        Ok(())
    }

    /// Passes a value of type `kind`.
    fn skip(&mut self, kind: u8, depth: usize, in_list: bool) -> Result<(), Refusal> {
        if depth > VALUE_DEPTH_MAX {
            return Err(Refusal::Bad("values nested too deeply"));
        }
        match kind {
            // A truth value is in its field's head, but takes a byte in a list.
            1 | 2 => self.pass(u64::from(in_list)),
            BYTE => self.pass(1),
            4..=6 => self.varint().map(|_| ()),
            DOUBLE => self.pass(8),
            BINARY => {
                let length = self.varint()?;
                self.pass(length)
            }
            LIST | SET => {
                let (count, kind) = self.list()?;
                (0..count).try_for_each(|_| self.skip(kind, depth + 1, true))
            }
            MAP => {
                let count = self.varint()?;
                self.count(count)?;
                if count == 0 {
                    return Ok(());
                }
                let kinds = self.byte()?;
                (0..count).try_for_each(|_| {
                    self.skip(kinds >> 4, depth + 1, true)?;
                    self.skip(kinds & 0x0f, depth + 1, true)
                })
            }
            STRUCT => {
                let mut last = 0;
                while let Some((_, kind)) = self.field(&mut last)? {
                    self.skip(kind, depth + 1, false)?;
                }
                Ok(())
            }
            _ => Err(Refusal::Bad("a value of unknown type")),
        }
    }
}

/// Checks that a footer's lists are as long as they claim, and that its schema is neither too deep nor too wide. Gives whether it says
/// how columns are encrypted.
pub(crate) fn check_footer(bytes: &[u8]) -> Result<bool, Refusal> {
    let mut reader = Reader::new(bytes);
    let mut last = 0;
    let mut encrypted = false;
    while let Some((id, kind)) = reader.field(&mut last)? {
        encrypted |= id == 8;
        if id == 2 && kind == LIST {
            check_schema(&mut reader)?;
        } else {
            reader.skip(kind, 0, false)?;
        }
    }
    Ok(encrypted)
}

fn check_schema(reader: &mut Reader<'_>) -> Result<(), Refusal> {
    let (count, kind) = reader.list()?;
    if kind != STRUCT {
        return Err(Refusal::Bad("a schema that is none"));
    }
    // A list column takes three elements.
    if count > 4 * COLUMN_COUNT_MAX as u64 {
        return Err(Refusal::Bad("a schema of more than 65536 elements"));
    }
    let mut open: Vec<i64> = Vec::new();
    for _ in 0..count {
        while open.last() == Some(&0) {
            open.pop();
        }
        if let Some(left) = open.last_mut() {
            *left -= 1;
        }
        let children = check_element(reader)?;
        if children > 0 {
            open.push(children);
        }
        if open.len() > DEPTH_MAX {
            return Err(Refusal::Bad("a schema nested more than 32 levels deep"));
        }
    }
    Ok(())
}

/// One schema element's number of children.
fn check_element(reader: &mut Reader<'_>) -> Result<i64, Refusal> {
    let mut last = 0;
    let mut children = 0;
    while let Some((id, kind)) = reader.field(&mut last)? {
        match (id, kind) {
            (2, 4..=6) => {
                let length = reader.integer()?;
                if !(0..=i64::from(FIXED_BYTES_MAX)).contains(&length) {
                    return Err(Refusal::Bad("fixed-length values of more than 16384 bytes"));
                }
            }
            (5, 4..=6) => {
                children = reader.integer()?;
                if children < 0 {
                    return Err(Refusal::Bad("an element with a negative number of children"));
                }
            }
            _ => reader.skip(kind, 0, false)?,
        }
    }
    Ok(children)
}

/// What a page's header claims.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PageHead {
    /// The header's own length.
    pub length: usize,
    /// 0 data, 1 index, 2 dictionary, 3 data of version 2.
    pub kind: i64,
    pub uncompressed_bytes: i64,
    pub compressed_bytes: i64,
    pub value_count: i64,
}

/// The head of the page that begins with `bytes`.
pub(crate) fn page_head(bytes: &[u8]) -> Result<PageHead, Refusal> {
    let mut reader = Reader::new(bytes);
    let mut head = PageHead { kind: -1, ..PageHead::default() };
    let mut last = 0;
    let mut seen = 0_u32;
    while let Some((id, kind)) = reader.field(&mut last)? {
        // Twice the same field could mean one thing here and another to the decoder.
        let bit = 1_u32.checked_shl(u32::try_from(id).unwrap_or(u32::MAX)).unwrap_or(0);
        if seen & bit != 0 {
            return Err(Refusal::Bad("a field twice"));
        }
        seen |= bit;
        match (id, kind) {
            (1, 4..=6) => head.kind = reader.integer()?,
            (2, 4..=6) => head.uncompressed_bytes = reader.integer()?,
            (3, 4..=6) => head.compressed_bytes = reader.integer()?,
            (5 | 7 | 8, STRUCT) => head.value_count = head.value_count.max(value_count(&mut reader)?),
            _ => reader.skip(kind, 0, false)?,
        }
    }
    head.length = reader.at;
    Ok(head)
}

fn value_count(reader: &mut Reader<'_>) -> Result<i64, Refusal> {
    let mut last = 0;
    let mut most = 0;
    while let Some((id, kind)) = reader.field(&mut last)? {
        if id == 1 && (4..=6).contains(&kind) {
            most = reader.integer()?.max(most);
        } else {
            reader.skip(kind, 0, false)?;
        }
    }
    Ok(most)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A field's head, one after the field before.
    const fn next(kind: u8) -> u8 {
        0x10 | kind
    }

    #[test]
    fn claims_beyond_the_bytes_are_refused() {
        // version = 1; schema: a list of 2^35 structs
        let bomb = [next(5), 2, next(LIST), 0xfc, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01];
        assert_eq!(check_footer(&bomb), Err(Refusal::Bad("more list items than 4000000")).or(Err(Refusal::Short)));
        let long_text = [next(BINARY), 0xff, 0xff, 0xff, 0xff, 0x7f, b'x'];
        assert_eq!(check_footer(&long_text), Err(Refusal::Short));
        assert_eq!(check_footer(&[]), Err(Refusal::Short));
        assert_eq!(check_footer(&[0]), Ok(false));
        assert_eq!(check_footer(&[0x8c, 0, 0]), Ok(true));
    }

    #[test]
    fn deep_values_and_schemas_are_refused() {
        let deep: Vec<u8> = std::iter::repeat_n(next(STRUCT), 1_000_000).collect();
        assert_eq!(check_footer(&deep), Err(Refusal::Bad("values nested too deeply")));
        // each element: num_children (field 5) = 1
        let mut schema = vec![next(5), 2, next(LIST), 0xfc];
        schema.extend([0x80 | 100, 0]);
        for _ in 0..100 {
            schema.extend([0x55, 2, 0]);
        }
        schema.push(0);
        assert_eq!(check_footer(&schema), Err(Refusal::Bad("a schema nested more than 32 levels deep")));
    }

    #[test]
    fn page_heads() {
        // type 0, uncompressed 100, compressed 50, data page header { num_values 7, encoding 0 }
        let bytes = [0x15, 0, 0x15, 200, 1, 0x15, 100, 0x2c, 0x15, 14, 0x15, 0, 0, 0, 99];
        let head = PageHead { length: 14, kind: 0, uncompressed_bytes: 100, compressed_bytes: 50, value_count: 7 };
        assert_eq!(page_head(&bytes), Ok(head));
        for end in 0..14 {
            assert_eq!(page_head(&bytes[..end]), Err(Refusal::Short));
        }
        assert_eq!(page_head(&[0x15, 0, 0x05, 2, 4, 0]), Err(Refusal::Bad("a field twice")));
    }
}
