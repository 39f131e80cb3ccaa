//! The header of a NumPy array: a Python literal, of which only what NumPy writes is read.
//!
//! Source: NumPy Enhancement Proposal 1, "A simple file format for NumPy arrays". Objects (pickles) are refused, never loaded.

use crate::limits::{NPY_DIMENSION_COUNT_MAX, NPY_HEADER_BYTES_MAX};

/// The type of one item.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Boolean,
    /// Signed, of so many bytes.
    Signed(usize),
    Unsigned(usize),
    Float(usize),
    /// Bytes, padded with zeros.
    Bytes(usize),
    /// So many characters of four bytes, padded with zeros.
    Text(usize),
    /// Ticks since 1970, so many to a second; or, if negative, so many seconds to a tick.
    Time(i64),
}

impl Item {
    /// What an item takes in the file.
    pub(crate) const fn bytes(self) -> usize {
        match self {
            Self::Boolean => 1,
            Self::Signed(bytes) | Self::Unsigned(bytes) | Self::Float(bytes) | Self::Bytes(bytes) => bytes,
            Self::Text(characters) => characters.saturating_mul(4),
            Self::Time(_) => 8,
        }
    }

    /// Whether items of this type can stand in a list.
    pub(crate) const fn is_number(self) -> bool {
        matches!(self, Self::Boolean | Self::Signed(_) | Self::Unsigned(_) | Self::Float(_))
    }
}

/// An array's header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// The fields of a record, or one without a name.
    pub(crate) fields: Vec<(String, Item)>,
    pub(crate) fortran_order: bool,
    pub(crate) shape: Vec<u64>,
    /// Where the items begin.
    pub(crate) data_at: u64,
}

/// How many bytes the whole header takes, by its first 12 bytes.
///
/// # Errors
/// What is wrong with it.
pub fn header_length(head: &[u8]) -> Result<usize, String> {
    let Some([0x93, b'N', b'U', b'M', b'P', b'Y', major, _, rest @ ..]) = head.get(..12) else {
        return Err("it does not begin as a NumPy array does".to_owned());
    };
    let [b1, b2, b3, b4] = rest else { return Err("its header is too short".to_owned()) };
    let length = match major {
        1 => usize::from(u16::from_le_bytes([*b1, *b2])) + 10,
        2 | 3 => usize::try_from(u32::from_le_bytes([*b1, *b2, *b3, *b4])).unwrap_or(usize::MAX).saturating_add(12),
        _ => return Err(format!("its format has version {major}, and 1 to 3 are known")),
    };
    if length > NPY_HEADER_BYTES_MAX {
        return Err(format!("its header has {length} bytes, at most {NPY_HEADER_BYTES_MAX}"));
    }
    Ok(length)
}

/// Reads a whole header, as long as [`header_length`] says.
///
/// # Errors
/// What is wrong with it, or not read.
pub fn parse_header(bytes: &[u8]) -> Result<Header, String> {
    let length = header_length(bytes)?;
    let text_at = if bytes.get(6) == Some(&1) { 10 } else { 12 };
    let text = bytes.get(text_at..length).and_then(|text| std::str::from_utf8(text).ok()).ok_or("its header is not text")?;
    let mut reader = Literal { rest: text.trim() };
    let Value::Dict(entries) = reader.value(0)? else { return Err("its header is no dictionary".to_owned()) };
    if !reader.rest.trim().is_empty() {
        return Err("there is something after its header's dictionary".to_owned());
    }
    let get = |name: &str| entries.iter().find(|(key, _)| key == name).map(|(_, value)| value);
    let fields = match get("descr") {
        Some(Value::Text(descr)) => vec![(String::new(), item_of(descr)?)],
        Some(Value::List(fields)) => fields.iter().map(field_of).collect::<Result<_, _>>()?,
        _ => return Err("its header has no `descr`".to_owned()),
    };
    let Some(Value::Boolean(fortran_order)) = get("fortran_order") else {
        return Err("its header has no `fortran_order`".to_owned());
    };
    let Some(Value::List(shape)) = get("shape") else { return Err("its header has no `shape`".to_owned()) };
    if entries.len() != 3 || fields.is_empty() || shape.len() > NPY_DIMENSION_COUNT_MAX {
        return Err("its header has too much or too little".to_owned());
    }
    let size = |value: &Value| match value {
        Value::Number(size) => Ok(*size),
        _ => Err("its shape holds something else than sizes".to_owned()),
    };
    let shape = shape.iter().map(size).collect::<Result<_, String>>()?;
    Ok(Header { fields, fortran_order: *fortran_order, shape, data_at: length as u64 })
}

fn field_of(field: &Value) -> Result<(String, Item), String> {
    match field {
        Value::List(parts) => match parts.as_slice() {
            [Value::Text(name), Value::Text(descr)] => Ok((name.clone(), item_of(descr)?)),
            _ => Err("it has records within records, which are not read: save them as several arrays".to_owned()),
        },
        _ => Err("its header has a field that is none".to_owned()),
    }
}

fn item_of(descr: &str) -> Result<Item, String> {
    let unknown = || {
        let descr: String = descr.chars().take(20).collect();
        format!("it has items of type `{descr}`, which are not read: convert them to numbers, texts or times")
    };
    let mut letters = descr.chars();
    let order = letters.next().ok_or_else(unknown)?;
    let kind = letters.next().ok_or_else(unknown)?;
    if kind == 'O' {
        return Err("it holds Python objects, which are never loaded because they can run code: save numbers or texts".to_owned());
    }
    let size = letters.as_str();
    if order == '>' && size != "1" {
        return Err("it is big-endian: save it with .astype of a little-endian type".to_owned());
    }
    if !matches!(order, '<' | '|' | '=' | '>') {
        return Err(unknown());
    }
    if kind == 'M' {
        return unit_of(size).map(Item::Time).ok_or_else(unknown);
    }
    let size: usize = size.parse().map_err(|_| unknown())?;
    match (kind, size) {
        ('b', 1) => Ok(Item::Boolean),
        ('i', 1 | 2 | 4 | 8) => Ok(Item::Signed(size)),
        ('u', 1 | 2 | 4 | 8) => Ok(Item::Unsigned(size)),
        ('f', 2 | 4 | 8) => Ok(Item::Float(size)),
        ('S', 1..=1_048_576) => Ok(Item::Bytes(size)),
        ('U', 1..=1_048_576) => Ok(Item::Text(size)),
        _ => Err(unknown()),
    }
}

/// `8[ns]` and the like.
fn unit_of(size: &str) -> Option<i64> {
    Some(match size.strip_prefix("8[")?.strip_suffix(']')? {
        "ns" => 1_000_000_000,
        "us" => 1_000_000,
        "ms" => 1_000,
        "s" => 1,
        "m" => -60,
        "h" => -3_600,
        "D" => -86_400,
        _ => return None,
    })
}

/// A Python literal.
enum Value {
    Text(String),
    Number(u64),
    Boolean(bool),
    /// A list or a tuple.
    List(Vec<Self>),
    Dict(Vec<(String, Self)>),
}

struct Literal<'a> {
    rest: &'a str,
}

impl Literal<'_> {
    fn take(&mut self, token: &str) -> bool {
        self.rest = self.rest.trim_start();
        let Some(rest) = self.rest.strip_prefix(token) else { return false };
        self.rest = rest;
        true
    }

    fn value(&mut self, depth: usize) -> Result<Value, String> {
        if depth > 8 {
            return Err("its header is nested too deeply".to_owned());
        }
        if self.take("{") {
            let mut entries = Vec::new();
            while !self.take("}") {
                let key = self.text()?;
                if !self.take(":") || entries.iter().any(|(other, _)| *other == key) {
                    return Err("its header's dictionary is none".to_owned());
                }
                entries.push((key, self.value(depth + 1)?));
                self.comma("}")?;
            }
            return Ok(Value::Dict(entries));
        }
        for (open, close) in [("(", ")"), ("[", "]")] {
            if self.take(open) {
                let mut values = Vec::new();
                while !self.take(close) {
                    values.push(self.value(depth + 1)?);
                    self.comma(close)?;
                }
                return Ok(Value::List(values));
            }
        }
        if self.take("True") {
            return Ok(Value::Boolean(true));
        }
        if self.take("False") {
            return Ok(Value::Boolean(false));
        }
        if self.rest.starts_with(|letter: char| letter.is_ascii_digit()) {
            let end = self.rest.find(|letter: char| !letter.is_ascii_digit()).unwrap_or(self.rest.len());
            let (digits, rest) = self.rest.split_at(end);
            self.rest = rest;
            self.take("L");
            return digits.parse().map(Value::Number).map_err(|_| "its header has a number over 64 bits".to_owned());
        }
        self.text().map(Value::Text)
    }

    fn comma(&mut self, close: &str) -> Result<(), String> {
        if self.take(",") || self.rest.trim_start().starts_with(close) {
            return Ok(());
        }
        Err("its header's dictionary is none".to_owned())
    }

    fn text(&mut self) -> Result<String, String> {
        for quote in ['\'', '"'] {
            if self.take(&quote.to_string()) {
                let (text, rest) = self.rest.split_once(quote).ok_or("its header has a text that never ends")?;
                self.rest = rest;
                return Ok(text.to_owned());
            }
        }
        Err("its header has something that is no Python literal".to_owned())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::testing::Random;

    /// A whole array: header of version 1, then `data`.
    pub(crate) fn array(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend(u16::try_from(header.len()).unwrap().to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    type Expected<'a> = Result<(&'a [(&'a str, Item)], &'a [u64]), &'a str>;

    fn check(header: &str, expected: Expected<'_>) {
        let found = parse_header(&array(header, b""));
        match (found, expected) {
            (Ok(found), Ok((fields, shape))) => {
                let fields: Vec<_> = fields.iter().map(|(name, item)| ((*name).to_owned(), *item)).collect();
                assert_eq!((found.fields, &found.shape[..]), (fields, shape), "{header}");
            }
            (Err(found), Err(expected)) => assert!(found.contains(expected), "{header}: {found}"),
            (found, expected) => panic!("{header}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn headers() {
        check("{'descr': '<f8', 'fortran_order': False, 'shape': (3, 4), }", Ok((&[("", Item::Float(8))], &[3, 4])));
        check("{'descr': '|u1', 'fortran_order': True, 'shape': (7L,)}\n", Ok((&[("", Item::Unsigned(1))], &[7])));
        check("{'descr': '<M8[ns]', 'fortran_order': False, 'shape': ()}", Ok((&[("", Item::Time(1_000_000_000))], &[])));
        check(
            "{'descr': [('a', '<i4'), ('b', '<U3')], 'fortran_order': False, 'shape': (2,)}",
            Ok((&[("a", Item::Signed(4)), ("b", Item::Text(3))], &[2])),
        );
        check("{'descr': '|O', 'fortran_order': False, 'shape': (2,)}", Err("Python objects, which are never loaded"));
        check("{'descr': '>f8', 'fortran_order': False, 'shape': (2,)}", Err("big-endian"));
        check("{'descr': '<c16', 'fortran_order': False, 'shape': (2,)}", Err("items of type `<c16`"));
        check("{'descr': '<f8', 'fortran_order': False, 'shape': (99999999999999999999,)}", Err("over 64 bits"));
        check("{'descr': '<f8', 'shape': (1,)}", Err("no `fortran_order`"));
        check(&"[".repeat(10_000), Err("nested too deeply"));
        check("__import__('os')", Err("no Python literal"));
    }

    #[test]
    fn damaged_headers_never_panic() {
        let good = array("{'descr': [('a', '<i4'), ('b', '<U3')], 'fortran_order': False, 'shape': (2,)}", b"");
        let mut random = Random::new(5);
        for _ in 0..20_000 {
            let _ = parse_header(&random.damage(&good));
        }
    }
}
