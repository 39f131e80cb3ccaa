//! NumPy's array files (format 1 and 2): numbers, text and records of numbers. Objects are refused.

use crate::tensor::element_count;
use crate::{LoadError, Values};

/// An array, its bytes not yet understood.
pub(super) struct Array<'a> {
    pub shape: Vec<usize>,
    kind: Kind,
    data: &'a [u8],
    fortran: bool,
}

enum Kind {
    Plain(Plain),
    /// (name, type, offset); and the record's size.
    Record(Vec<(String, Plain, usize)>, usize),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plain {
    Float(usize),
    Signed(usize),
    Unsigned(usize),
    Bool,
    /// UTF-32 code points.
    Text(usize),
    /// Padding.
    Void(usize),
}

fn broken(what: &str) -> LoadError {
    LoadError::invalid(format!("NumPy: {what}"))
}

impl Plain {
    fn of(text: &str) -> Result<Self, LoadError> {
        let unsupported = || LoadError::unsupported(format!("the NumPy type `{}`", text.escape_default()));
        let rest = text.strip_prefix(['<', '|']).ok_or_else(unsupported)?;
        let (letter, digits) = rest.split_at_checked(1).ok_or_else(unsupported)?;
        let size: usize = digits.parse().map_err(|_| unsupported())?;
        Ok(match (letter, size) {
            ("f", 4 | 8) => Self::Float(size),
            ("i", 1 | 2 | 4 | 8) => Self::Signed(size),
            ("u", 1 | 2 | 4 | 8) => Self::Unsigned(size),
            ("b", 1) => Self::Bool,
            ("U", 1..=65_536) => Self::Text(size),
            ("V", 1..=4_096) => Self::Void(size),
            _ => return Err(unsupported()),
        })
    }

    const fn bytes(self) -> usize {
        match self {
            Self::Float(size) | Self::Signed(size) | Self::Unsigned(size) | Self::Void(size) => size,
            Self::Bool => 1,
            Self::Text(size) => size * 4,
        }
    }

    fn bits(bytes: &[u8]) -> u64 {
        bytes.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte))
    }

    fn integer(self, bytes: &[u8]) -> Option<i64> {
        let bits = Self::bits(bytes);
        match self {
            Self::Signed(size) => {
                let unused = 64 - 8 * size as u32;
                Some((bits << unused) as i64 >> unused)
            }
            Self::Unsigned(_) => i64::try_from(bits).ok(),
            Self::Bool => Some(i64::from(bits != 0)),
            _ => None,
        }
    }

    fn float(self, bytes: &[u8]) -> Option<f64> {
        match self {
            Self::Float(8) => Some(f64::from_bits(Self::bits(bytes))),
            Self::Float(_) => Some(f64::from(f32::from_bits(Self::bits(bytes) as u32))),
            _ => self.integer(bytes).map(|value| value as f64),
        }
    }
}

impl<'a> Array<'a> {
    pub(super) fn parse(bytes: &'a [u8]) -> Result<Self, LoadError> {
        let rest = bytes.strip_prefix(b"\x93NUMPY").ok_or_else(|| broken("not an array"))?;
        let (length, rest) = match rest {
            [1, 0, low, high, rest @ ..] => (usize::from(*low) | usize::from(*high) << 8, rest),
            [2, 0, a, b, c, d, rest @ ..] => (u32::from_le_bytes([*a, *b, *c, *d]) as usize, rest),
            _ => return Err(broken("an unknown format")),
        };
        let (header, data) = rest.split_at_checked(length).ok_or_else(|| broken("the file ends too early"))?;
        let header = std::str::from_utf8(header).map_err(|_| broken("the header is not UTF-8"))?;
        let shape = shape_of(field(header, "'shape': (", ")")?)?;
        let fortran = match field(header, "'fortran_order': ", ",")? {
            "True" => true,
            "False" => false,
            _ => return Err(broken("the header's order")),
        };
        let kind = match header.split_once("'descr': ").map(|(_, rest)| rest) {
            Some(rest) if rest.starts_with('[') => record(field(header, "'descr': [", "]")?)?,
            Some(rest) if rest.starts_with('\'') => Kind::Plain(Plain::of(field(header, "'descr': '", "'")?)?),
            _ => return Err(broken("the header has no type")),
        };
        let array = Self { shape, kind, data, fortran };
        match element_count(&array.shape).and_then(|count| count.checked_mul(array.element_bytes())) {
            Some(size) if size == data.len() => Ok(array),
            _ => Err(broken("the file's size is not that of its shape")),
        }
    }

    fn element_bytes(&self) -> usize {
        match &self.kind {
            Kind::Plain(plain) => plain.bytes(),
            Kind::Record(_, size) => *size,
        }
    }

    fn plain(&self) -> Result<(Plain, std::slice::ChunksExact<'a, u8>), LoadError> {
        // One row or one column lies the same in both orders.
        if self.fortran && self.shape.iter().filter(|size| **size > 1).count() > 1 {
            return Err(LoadError::unsupported("a NumPy array in Fortran's order"));
        }
        match &self.kind {
            Kind::Plain(plain) => Ok((*plain, self.data.chunks_exact(plain.bytes()))),
            Kind::Record(..) => Err(broken("records where numbers are expected")),
        }
    }

    /// All numbers.
    pub(super) fn floats(&self) -> Result<Vec<f64>, LoadError> {
        if let ([rows, columns], true) = (self.shape.as_slice(), self.fortran) {
            return self.turned(*rows, *columns);
        }
        let (plain, elements) = self.plain()?;
        elements.map(|bytes| plain.float(bytes).ok_or_else(|| broken("no numbers"))).collect()
    }

    /// A matrix that is stored by columns, by rows.
    fn turned(&self, rows: usize, columns: usize) -> Result<Vec<f64>, LoadError> {
        let Kind::Plain(plain) = &self.kind else { return Err(broken("records where numbers are expected")) };
        let size = plain.bytes();
        let mut list = Vec::with_capacity(rows * columns);
        for row in 0..rows {
            for column in 0..columns {
                let start = (column * rows + row) * size;
                let number = self.data.get(start..start + size).and_then(|bytes| plain.float(bytes));
                list.push(number.ok_or_else(|| broken("no numbers"))?);
            }
        }
        Ok(list)
    }

    /// Class labels: integers or text.
    pub(super) fn labels(&self) -> Result<Values, LoadError> {
        let (plain, elements) = self.plain()?;
        match plain {
            Plain::Text(_) => elements.map(code_points).collect::<Result<_, _>>().map(Values::Text),
            Plain::Signed(_) | Plain::Unsigned(_) => {
                let integers = elements.map(|bytes| plain.integer(bytes).ok_or_else(|| broken("a number is too large")));
                integers.collect::<Result<_, _>>().map(Values::I64)
            }
            _ => Err(LoadError::unsupported("classes that are neither integers nor text")),
        }
    }

    /// How many records there are.
    pub(super) fn len(&self) -> usize {
        self.shape.iter().product()
    }

    /// A field of all records, as numbers; `None` if there is no such field.
    pub(super) fn column(&self, name: &str) -> Result<Option<Vec<f64>>, LoadError> {
        let Kind::Record(fields, size) = &self.kind else { return Err(broken("numbers where records are expected")) };
        let Some((_, plain, offset)) = fields.iter().find(|(known, _, _)| known == name) else { return Ok(None) };
        let number = |record: &[u8]| record.get(*offset..offset + plain.bytes()).and_then(|bytes| plain.float(bytes));
        let numbers: Option<Vec<f64>> = self.data.chunks_exact(*size).map(number).collect();
        numbers.map(Some).ok_or_else(|| broken("no numbers"))
    }
}

fn code_points(bytes: &[u8]) -> Result<String, LoadError> {
    let points = bytes.chunks_exact(4).map(|point| Plain::bits(point) as u32);
    let text: Option<String> = points.map(char::from_u32).collect();
    text.map(|text| text.trim_end_matches('\0').to_owned()).ok_or_else(|| broken("a text is not Unicode"))
}

fn field<'h>(header: &'h str, before: &str, after: &str) -> Result<&'h str, LoadError> {
    let rest = header.split_once(before).map(|(_, rest)| rest);
    rest.and_then(|rest| rest.split_once(after)).map(|(value, _)| value).ok_or_else(|| broken("an incomplete header"))
}

fn shape_of(text: &str) -> Result<Vec<usize>, LoadError> {
    let sizes = text.split(',').map(str::trim).filter(|size| !size.is_empty());
    sizes.map(|size| size.parse().map_err(|_| broken("the header's shape"))).collect()
}

/// `('left_child', '<i8'), ('right_child', '<i8')`
fn record(text: &str) -> Result<Kind, LoadError> {
    const FIELD_COUNT_MAX: usize = 64;
    let (mut fields, mut offset) = (Vec::new(), 0);
    for part in text.split('(').skip(1) {
        let mut quoted = part.split('\'').skip(1).step_by(2);
        let (Some(name), Some(kind), None) = (quoted.next(), quoted.next(), quoted.next()) else {
            return Err(LoadError::unsupported("NumPy records of this kind"));
        };
        let plain = Plain::of(kind)?;
        fields.push((name.to_owned(), plain, offset));
        offset += plain.bytes();
        if fields.len() > FIELD_COUNT_MAX {
            return Err(broken("a record of too many fields"));
        }
    }
    if offset == 0 { Err(broken("a record without fields")) } else { Ok(Kind::Record(fields, offset)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(header: &str, data: &[u8]) -> Vec<u8> {
        let length = u16::try_from(header.len()).unwrap().to_le_bytes();
        [b"\x93NUMPY\x01\x00", length.as_slice(), header.as_bytes(), data].concat()
    }

    #[test]
    fn arrays_are_read() {
        let bytes = file("{'descr': '<i2', 'fortran_order': False, 'shape': (2,), }", &[1, 0, 0xff, 0xff]);
        let array = Array::parse(&bytes).unwrap();
        assert_eq!(array.floats().unwrap(), [1.0, -1.0]);
        assert_eq!(array.labels().unwrap(), Values::I64(vec![1, -1]));
        let bytes = file("{'descr': '<U2', 'fortran_order': False, 'shape': (1,), }", b"a\0\0\0\0\0\0\0");
        assert_eq!(Array::parse(&bytes).unwrap().labels().unwrap(), Values::Text(vec!["a".to_owned()]));
        let bytes =
            file("{'descr': [('x', '<i2'), ('y', '|u1'), ('', '|V1')], 'fortran_order': False, 'shape': (1,), }", &[3, 0, 7, 0]);
        assert_eq!(Array::parse(&bytes).unwrap().column("y").unwrap(), Some(vec![7.0]));
        let bytes = file("{'descr': '|i1', 'fortran_order': True, 'shape': (2, 3), }", &[1, 2, 3, 4, 5, 6]);
        assert_eq!(Array::parse(&bytes).unwrap().floats().unwrap(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    }

    #[test]
    fn broken_arrays_are_refused() {
        for (header, data) in [
            ("{'descr': '|O', 'fortran_order': False, 'shape': (1,), }", &b"\0\0\0\0\0\0\0\0"[..]),
            ("{'descr': '>f8', 'fortran_order': False, 'shape': (1,), }", b"\0\0\0\0\0\0\0\0"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (2,), }", b"\0\0\0\0\0\0\0\0"),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (4294967296, 4294967296, 8), }", b""),
            ("{'descr': '<f8', 'fortran_order': False, 'shape': (-1,), }", b""),
            ("{'descr': [], 'fortran_order': False, 'shape': (1,), }", b""),
            ("{'descr': '<f8'}", b""),
            ("", b""),
        ] {
            assert!(Array::parse(&file(header, data)).is_err(), "{header}");
        }
        assert!(Array::parse(b"\x93NUMPY\x01\x00\xff\xff").is_err());
    }
}
