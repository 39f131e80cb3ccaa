//! One sorted table from ranges of addresses to countries or networks: read from CSV, written as bytes, looked up without allocating.
//!
//! The CSV is what the npm packages `@ip-location-db/asn-country` and `@ip-location-db/asn` hold (and others of that family): a range a
//! line, `FIRST,LAST,COUNTRY` or `FIRST,LAST,NUMBER,"NAME"`, addresses written as such or as numbers. Names are left out.
//!
//! A few ranges of the public tables overlap: there the one that begins later counts, and the one before ends where it begins.
//!
//! As bytes: `SRGEO1`, what it is of, the number of rows, then each row's first, last and value, big-endian; in order, none overlapping.

use std::io::BufRead;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::geo::Country;

const MAGIC: &[u8; 6] = b"SRGEO1";
const HEAD_BYTES: usize = 12;
/// Rows of a table. The largest of its kind has 412,000.
pub const ROW_COUNT_MAX: usize = 4_000_000;
/// A line of a CSV.
pub const LINE_BYTES_MAX: usize = 1_024;

/// What a table is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Countries of IPv4 addresses.
    CountryV4,
    /// Countries of IPv6 addresses.
    CountryV6,
    /// Networks of IPv4 addresses.
    NetworkV4,
    /// Networks of IPv6 addresses.
    NetworkV6,
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::CountryV4, Self::CountryV6, Self::NetworkV4, Self::NetworkV6];

    /// Its word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::CountryV4 => "country_v4",
            Self::CountryV6 => "country_v6",
            Self::NetworkV4 => "network_v4",
            Self::NetworkV6 => "network_v6",
        }
    }

    /// The kind of a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.word() == word)
    }

    const fn is_v4(self) -> bool {
        matches!(self, Self::CountryV4 | Self::NetworkV4)
    }

    const fn is_country(self) -> bool {
        matches!(self, Self::CountryV4 | Self::CountryV6)
    }

    const fn of(is_v4: bool, is_country: bool) -> Self {
        match (is_v4, is_country) {
            (true, true) => Self::CountryV4,
            (false, true) => Self::CountryV6,
            (true, false) => Self::NetworkV4,
            (false, false) => Self::NetworkV6,
        }
    }

    const fn address_bytes(self) -> usize {
        if self.is_v4() { 4 } else { 16 }
    }
}

/// What is wrong with a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TableError {
    /// It cannot be read.
    Unreadable(String),
    /// A line is no range.
    Line(usize, &'static str),
    /// It has no rows.
    Empty,
    /// It has too many rows.
    TooMany,
    /// It is no table of ours, or is cut off.
    NotATable,
}

impl std::fmt::Display for TableError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreadable(error) => write!(f, "it cannot be read: {error}"),
            Self::Line(line, what) => {
                write!(f, "line {line} {what}; `FIRST,LAST,COUNTRY` or `FIRST,LAST,NUMBER,NAME` is expected")
            }
            Self::Empty => write!(f, "it has no rows"),
            Self::TooMany => write!(f, "it has more than {ROW_COUNT_MAX} rows"),
            Self::NotATable => write!(f, "it is no whole table"),
        }
    }
}

impl std::error::Error for TableError {}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Table {
    kind: Kind,
    rows: Rows,
    values: Vec<u32>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Rows {
    V4(Vec<(u32, u32)>),
    V6(Vec<(u128, u128)>),
}

impl Rows {
    /// Ends the last range where another begins.
    fn trim(&mut self, first: u128) {
        match self {
            Self::V4(rows) => {
                if let (Some(before), Ok(first)) = (rows.last_mut(), u32::try_from(first))
                    && before.0 < first
                {
                    before.1 = before.1.min(first - 1);
                }
            }
            Self::V6(rows) => {
                if let Some(before) = rows.last_mut().filter(|before| before.0 < first) {
                    before.1 = before.1.min(first - 1);
                }
            }
        }
    }

    fn push(&mut self, first: u128, last: u128) -> Result<(), &'static str> {
        if last < first {
            return Err("ends before it begins");
        }
        let is_after = match self {
            Self::V4(rows) => rows.last().is_none_or(|before| u128::from(before.1) < first),
            Self::V6(rows) => rows.last().is_none_or(|before| before.1 < first),
        };
        if !is_after {
            return Err("is not in order, or overlaps the one before");
        }
        match self {
            Self::V4(rows) => match (u32::try_from(first), u32::try_from(last)) {
                (Ok(first), Ok(last)) => rows.push((first, last)),
                _ => return Err("is of another kind of address"),
            },
            Self::V6(rows) => rows.push((first, last)),
        }
        Ok(())
    }
}

impl Table {
    /// What it is of.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// How many ranges it has.
    #[must_use]
    pub fn row_count(&self) -> usize {
        self.values.len()
    }

    /// The value of an address: a country as two letters, or a network's number.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Option<u32> {
        let at = match (&self.rows, address) {
            (Rows::V4(rows), IpAddr::V4(v4)) => search(rows, v4.to_bits()),
            (Rows::V6(rows), IpAddr::V6(v6)) => search(rows, v6.to_bits()),
            _ => None,
        };
        self.values.get(at?).copied()
    }

    /// Reads a CSV, line by line.
    ///
    /// # Errors
    /// [`TableError`], with the line.
    pub fn read_csv(mut from: impl BufRead) -> Result<Self, TableError> {
        let mut table: Option<Self> = None;
        let mut line = Vec::new();
        for number in 1.. {
            line.clear();
            let length = read_line(&mut from, &mut line).map_err(|error| TableError::Unreadable(error.to_string()))?;
            if length == 0 {
                break;
            }
            let wrong = |what| TableError::Line(number, what);
            let text =
                std::str::from_utf8(&line).map_err(|_| wrong("is not UTF-8, or is too long"))?.trim_end_matches(['\r', '\n']);
            if text.is_empty() {
                continue;
            }
            let row = Row::parse(text).map_err(wrong)?;
            let is_country = matches!(row.value, RowValue::Country(_));
            let table = table.get_or_insert_with(|| Self::empty(Kind::of(row.is_v4, is_country)));
            // Written as numbers, the first IPv6 addresses would look like IPv4: none of those is in use.
            if table.kind != Kind::of(row.is_v4, is_country) {
                return Err(wrong("is of another kind than the first"));
            }
            if table.values.len() >= ROW_COUNT_MAX {
                return Err(TableError::TooMany);
            }
            table.rows.trim(row.first);
            table.rows.push(row.first, row.last).map_err(wrong)?;
            table.values.push(match row.value {
                RowValue::Country(country) => country.number(),
                RowValue::Network(network) => network,
            });
        }
        table.ok_or(TableError::Empty)
    }

    /// As bytes.
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(HEAD_BYTES + self.values.len() * (2 * self.kind.address_bytes() + 4));
        bytes.extend_from_slice(MAGIC);
        bytes.push(if self.kind.is_v4() { 4 } else { 6 });
        bytes.push(if self.kind.is_country() { b'c' } else { b'n' });
        bytes.extend_from_slice(&u32::try_from(self.values.len()).unwrap_or(u32::MAX).to_be_bytes());
        for (at, value) in self.values.iter().enumerate() {
            match &self.rows {
                Rows::V4(rows) => {
                    let (first, last) = rows.get(at).copied().unwrap_or_default();
                    bytes.extend_from_slice(&first.to_be_bytes());
                    bytes.extend_from_slice(&last.to_be_bytes());
                }
                Rows::V6(rows) => {
                    let (first, last) = rows.get(at).copied().unwrap_or_default();
                    bytes.extend_from_slice(&first.to_be_bytes());
                    bytes.extend_from_slice(&last.to_be_bytes());
                }
            }
            bytes.extend_from_slice(&value.to_be_bytes());
        }
        bytes
    }

    /// Reads what [`Table::to_bytes`] wrote, as strictly as a CSV.
    ///
    /// # Errors
    /// [`TableError`]
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TableError> {
        let (head, body) = bytes.split_at_checked(HEAD_BYTES).ok_or(TableError::NotATable)?;
        let (magic, rest) = head.split_at_checked(MAGIC.len()).ok_or(TableError::NotATable)?;
        let kind = match rest {
            [4, b'c', ..] => Kind::CountryV4,
            [6, b'c', ..] => Kind::CountryV6,
            [4, b'n', ..] => Kind::NetworkV4,
            [6, b'n', ..] => Kind::NetworkV6,
            _ => return Err(TableError::NotATable),
        };
        let count = rest.get(2..).map(number).and_then(|count| usize::try_from(count).ok()).ok_or(TableError::NotATable)?;
        if count > ROW_COUNT_MAX {
            return Err(TableError::TooMany);
        }
        let width = kind.address_bytes();
        let row_bytes = 2 * width + 4;
        if magic != MAGIC || count == 0 || body.len() != count * row_bytes {
            return Err(TableError::NotATable);
        }
        let mut table = Self::empty(kind);
        for (at, row) in body.chunks_exact(row_bytes).enumerate() {
            let (first, rest) = row.split_at_checked(width).ok_or(TableError::NotATable)?;
            let (last, value) = rest.split_at_checked(width).ok_or(TableError::NotATable)?;
            table.rows.push(number(first), number(last)).map_err(|what| TableError::Line(at + 1, what))?;
            let value = u32::try_from(number(value)).map_err(|_| TableError::NotATable)?;
            if kind.is_country() && Country::of_number(value).is_none() {
                return Err(TableError::Line(at + 1, "names no country"));
            }
            table.values.push(value);
        }
        Ok(table)
    }

    fn empty(kind: Kind) -> Self {
        let rows = if kind.is_v4() { Rows::V4(Vec::new()) } else { Rows::V6(Vec::new()) };
        Self { kind, rows, values: Vec::new() }
    }
}

fn search<T: Copy + Ord>(rows: &[(T, T)], address: T) -> Option<usize> {
    let at = rows.partition_point(|(first, _)| *first <= address).checked_sub(1)?;
    rows.get(at).filter(|(_, last)| address <= *last).map(|_| at)
}

fn number(bytes: &[u8]) -> u128 {
    bytes.iter().fold(0, |number, byte| (number << 8) | u128::from(*byte))
}

/// Reads a line of at most [`LINE_BYTES_MAX`] bytes; a longer one becomes bytes that are no text.
fn read_line(from: &mut impl BufRead, line: &mut Vec<u8>) -> std::io::Result<usize> {
    use std::io::Read;
    let length = from.take(u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX)).read_until(b'\n', line)?;
    if length == LINE_BYTES_MAX && line.last() != Some(&b'\n') {
        line.push(0xff);
    }
    Ok(length)
}

enum RowValue {
    Country(Country),
    Network(u32),
}

struct Row {
    first: u128,
    last: u128,
    is_v4: bool,
    value: RowValue,
}

impl Row {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut fields = text.splitn(4, ',');
        let (first, last, value) = match (fields.next(), fields.next(), fields.next()) {
            (Some(first), Some(last), Some(value)) => (first, last, value.trim_matches('"')),
            _ => return Err("has too few fields"),
        };
        let ((first, first_is_v4), (last, last_is_v4)) = (address(first)?, address(last)?);
        if first_is_v4 != last_is_v4 {
            return Err("has addresses of two kinds");
        }
        let value = match value.parse::<u32>() {
            Ok(network) => RowValue::Network(network),
            Err(_) => RowValue::Country(Country::parse(value).ok_or("names neither a country nor a network")?),
        };
        Ok(Self { first, last, is_v4: first_is_v4, value })
    }
}

fn address(text: &str) -> Result<(u128, bool), &'static str> {
    let text = text.trim_matches('"');
    if text.contains(':') {
        return text.parse::<Ipv6Addr>().map(|v6| (v6.to_bits(), false)).map_err(|_| "has no address");
    }
    if text.contains('.') {
        return text.parse::<Ipv4Addr>().map(|v4| (u128::from(v4.to_bits()), true)).map_err(|_| "has no address");
    }
    let number = text.parse::<u128>().map_err(|_| "has no address")?;
    Ok((number, number <= u128::from(u32::MAX)))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNTRIES: &str = "16777216,16777471,AU\n16777472,16778239,CN\n16778240,16779263,AU\n";
    const NETWORKS: &str = "1.0.0.0,1.0.0.255,13335,\"Some, Inc.\"\n1.0.4.0,1.0.7.255,38803,Some other\n";

    fn check(text: &str, wrong: &str) {
        let problem = Table::read_csv(text.as_bytes()).unwrap_err().to_string();
        assert!(problem.contains(wrong), "{problem}");
    }

    #[test]
    fn numbers_and_addresses_are_read_alike() {
        let countries = Table::read_csv(COUNTRIES.as_bytes()).unwrap();
        assert_eq!((countries.kind(), countries.row_count()), (Kind::CountryV4, 3));
        let find = |table: &Table, address: &str| table.find(address.parse().unwrap());
        assert_eq!(find(&countries, "1.0.0.200"), Country::parse("AU").map(Country::number));
        assert_eq!(find(&countries, "1.0.3.255"), Country::parse("CN").map(Country::number));
        assert_eq!(find(&countries, "1.0.8.0"), None);
        assert_eq!(find(&countries, "0.255.255.255"), None);
        assert_eq!(find(&countries, "::1"), None);
        let networks = Table::read_csv(NETWORKS.as_bytes()).unwrap();
        assert_eq!(networks.kind(), Kind::NetworkV4);
        assert_eq!(find(&networks, "1.0.0.9"), Some(13_335));
        assert_eq!(find(&networks, "1.0.1.0"), None);
        let v6 = "42540528726795050063891204319802818560,42540528806023212578155541913346768895,JP\n2001:208::,2001:208:ffff:ffff:ffff:ffff:ffff:ffff,SG\n";
        let v6 = Table::read_csv(v6.as_bytes()).unwrap();
        assert_eq!(find(&v6, "2001:200::9"), Country::parse("JP").map(Country::number));
        assert_eq!(find(&v6, "2001:208:1::"), Country::parse("SG").map(Country::number));
        assert_eq!(find(&v6, "2001:209::"), None);
    }

    #[test]
    fn where_ranges_overlap_the_later_one_counts() {
        let v4 = "1.0.0.0,1.0.0.255,749,one\n1.0.0.128,1.0.1.255,721,two\n";
        let table = Table::read_csv(v4.as_bytes()).unwrap();
        let find = |address: &str| table.find(address.parse().unwrap());
        assert_eq!(
            (find("1.0.0.127"), find("1.0.0.128"), find("1.0.0.255"), find("1.0.1.1")),
            (Some(749), Some(721), Some(721), Some(721))
        );
        let v6 = "2001:db8::,2001:db8::ffff,1,x\n2001:db8::f000,2001:db8::ffff,2,y\n";
        let table = Table::read_csv(v6.as_bytes()).unwrap();
        assert_eq!(
            (table.find("2001:db8::1".parse().unwrap()), table.find("2001:db8::f001".parse().unwrap())),
            (Some(1), Some(2))
        );
        assert_eq!(Table::from_bytes(&table.to_bytes()), Ok(table));
    }

    #[test]
    fn bytes_come_back_as_the_same_table_and_no_others_are_taken() {
        for text in [COUNTRIES, NETWORKS, "2001:208::,2001:208::ff,SG\n"] {
            let table = Table::read_csv(text.as_bytes()).unwrap();
            let bytes = table.to_bytes();
            assert_eq!(Table::from_bytes(&bytes), Ok(table));
            for length in 0..bytes.len() {
                assert!(Table::from_bytes(&bytes[..length]).is_err());
            }
            let mut swapped = bytes.clone();
            swapped[12] = 0xff;
            assert!(Table::from_bytes(&swapped).is_err(), "begins behind its end");
        }
        assert_eq!(Table::from_bytes(b"SRGEO1\x04c\xff\xff\xff\xff"), Err(TableError::TooMany));
    }

    #[test]
    fn hostile_files_are_refused_with_their_line() {
        check("", "no rows");
        check("1.0.0.0,1.0.0.255\n", "line 1 has too few fields");
        check("1.0.1.0,1.0.1.255,AU\n1.0.0.0,1.0.0.255,AU\n", "line 2 is not in order");
        check("1.0.1.0,1.0.1.255,AU\n1.0.1.0,1.0.1.255,AU\n", "line 2 is not in order");
        check("1.0.1.0,1.0.0.255,AU\n", "ends before");
        check("1.0.0.0,::1,AU\n", "two kinds");
        check("1.0.0.0,1.0.0.255,AU\n1.0.2.0,1.0.2.255,13335,x\n", "another kind");
        check("1.0.0.0,1.0.0.255,Australia\n", "neither");
        check(&format!("1.0.0.0,1.0.0.255,13335,{}\n", "x".repeat(100_000)), "too long");
        assert!(Table::read_csv(&b"1.0.0.0,1.0.0.255,1,\xff\n"[..]).is_err());
    }
}
