//! Where an address is: its country and its network, as far as the tables know.

use std::net::IpAddr;

use kernel::Micros;

use crate::table::{Kind, Table};

/// Tables that are older than this are out of date: ranges change hands.
pub const OLD_AFTER_DAYS: i64 = 90;

/// What some tables say where they do not know: letters that ISO 3166-1 leaves to everybody.
const NOWHERE: [u8; 2] = *b"XX";

/// A country: two letters (ISO 3166-1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Country([u8; 2]);

impl Country {
    /// Two capital letters. `ZZ` is nobody's: it is no country.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text.as_bytes() {
            [b'Z', b'Z'] => None,
            [a @ b'A'..=b'Z', b @ b'A'..=b'Z'] => Some(Self([*a, *b])),
            _ => None,
        }
    }

    /// Its letters.
    #[must_use]
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }

    pub(crate) const fn bytes(self) -> [u8; 2] {
        self.0
    }

    pub(crate) fn number(self) -> u32 {
        u32::from(u16::from_be_bytes(self.0))
    }

    pub(crate) fn of_number(number: u32) -> Option<Self> {
        let letters = u16::try_from(number).ok()?.to_be_bytes();
        std::str::from_utf8(&letters).ok().and_then(Self::parse)
    }
}

/// Where an address is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Whence {
    /// Its country; none if no table knows it.
    pub country: Option<Country>,
    /// The number of its network (autonomous system); none if no table knows it.
    pub network: Option<u32>,
    /// It is one that is used inside organisations and machines only, and so in no table.
    pub is_private: bool,
}

impl Whence {
    /// Neither a table nor its form says anything of it.
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        !self.is_private && (self.country.is_none() || self.network.is_none())
    }
}

/// A table, and when it was made.
#[derive(Clone, Debug)]
pub struct Dated {
    /// The table.
    pub table: Table,
    /// The date of its data.
    pub made_at: Micros,
}

impl Dated {
    /// Whether its data is out of date.
    #[must_use]
    pub const fn is_old(&self, now: Micros) -> bool {
        now.0.saturating_sub(self.made_at.0) > OLD_AFTER_DAYS * 86_400_000_000
    }
}

/// Up to four tables.
#[derive(Clone, Debug, Default)]
pub struct Geo([Option<Dated>; 4]);

impl Geo {
    /// Takes a table in, in place of the one of its kind.
    pub fn put(&mut self, dated: Dated) {
        let kind = dated.table.kind();
        if let Some(slot) = Kind::ALL.iter().position(|one| *one == kind).and_then(|at| self.0.get_mut(at)) {
            *slot = Some(dated);
        }
    }

    /// The table of a kind.
    #[must_use]
    pub fn table(&self, kind: Kind) -> Option<&Dated> {
        let at = Kind::ALL.iter().position(|one| *one == kind)?;
        self.0.get(at)?.as_ref()
    }

    /// Where an address is. Two binary searches; nothing is allocated.
    #[must_use]
    pub fn find(&self, address: IpAddr) -> Whence {
        let address = address.to_canonical();
        let (country, network) = match address {
            IpAddr::V4(_) => (Kind::CountryV4, Kind::NetworkV4),
            IpAddr::V6(_) => (Kind::CountryV6, Kind::NetworkV6),
        };
        let find = |kind| self.table(kind).and_then(|dated| dated.table.find(address));
        Whence {
            // Some tables have a word for what they do not know: that is no country.
            country: find(country).and_then(Country::of_number).filter(|country| country.0 != NOWHERE),
            // 0 stands for ranges that are routed by nobody.
            network: find(network).filter(|network| *network != 0),
            is_private: is_private(address),
        }
    }
}

fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            // The last: carriers' own (RFC 6598), which are in no table either.
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || (a == 100 && (64..128).contains(&b))
        }
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_tables_answer_and_the_unknown_is_unknown() {
        let mut geo = Geo::default();
        let made_at = Micros(1_780_000_000_000_000);
        for text in ["1.0.0.0,1.0.0.255,AU\n1.0.1.0,1.0.1.255,ZZ", "1.0.0.0,1.0.0.127,13335,x\n", "2001:208::,2001:208::ff,SG\n"]
        {
            match Table::read_csv(text.as_bytes()) {
                Ok(table) => geo.put(Dated { table, made_at }),
                Err(problem) => assert!(text.contains("ZZ"), "{problem}"),
            }
        }
        assert!(geo.table(Kind::CountryV4).is_none(), "a table with nobody's country is refused whole");
        geo.put(Dated { table: Table::read_csv(&b"1.0.0.0,1.0.0.255,AU\n"[..]).unwrap(), made_at });
        let find = |address: &str| geo.find(address.parse().unwrap());
        let whole = find("1.0.0.9");
        assert_eq!((whole.country.map(|c| c.text().to_owned()), whole.network), (Some("AU".to_owned()), Some(13_335)));
        assert!(!whole.is_unknown());
        assert!(find("1.0.0.200").is_unknown() && find("9.9.9.9").is_unknown());
        assert_eq!(find("::ffff:1.0.0.9"), whole);
        assert!(find("2001:208::1").country.is_some());
        for private in ["10.0.0.1", "127.0.0.1", "192.168.1.1", "100.64.0.1", "::1", "fd00::1", "fe80::1"] {
            assert!(find(private).is_private && !find(private).is_unknown(), "{private}");
        }
    }

    #[test]
    fn a_word_for_the_unknown_is_no_country() {
        let mut geo = Geo::default();
        for text in ["1.0.0.0,1.0.0.255,XX\n1.0.1.0,1.0.1.255,XK\n", "1.0.0.0,1.0.1.255,13335,x\n"] {
            geo.put(Dated { table: Table::read_csv(text.as_bytes()).unwrap(), made_at: Micros(0) });
        }
        let find = |address: &str| geo.find(address.parse().unwrap());
        assert_eq!((find("1.0.0.9").country, find("1.0.0.9").is_unknown()), (None, true));
        assert_eq!((find("1.0.1.9").country.unwrap().text(), find("1.0.1.9").is_unknown()), ("XK", false));
    }

    #[test]
    fn data_is_old_after_its_days() {
        let table = Table::read_csv(&b"1.0.0.0,1.0.0.255,AU\n"[..]).unwrap();
        let dated = Dated { table, made_at: Micros(0) };
        assert!(!dated.is_old(Micros(OLD_AFTER_DAYS * 86_400_000_000)));
        assert!(dated.is_old(Micros(OLD_AFTER_DAYS * 86_400_000_000 + 1)));
    }
}
