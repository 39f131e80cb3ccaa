//! As much of CBOR (RFC 8949) as authenticators send: definite lengths, shallow, bounded.

/// How deep arrays and maps may nest: attestation statements have three levels.
const DEPTH_MAX: usize = 8;
/// Items of one array or map.
const ITEM_COUNT_MAX: u64 = 64;

/// Reads from the front of bytes. Nothing is copied; what does not fit is none.
pub(crate) struct Cbor<'a>(&'a [u8]);

/// A key of a map: COSE's are numbers, an attestation object's are texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key<'a> {
    Number(i64),
    Text(&'a str),
}

impl<'a> Cbor<'a> {
    pub(crate) const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// What was not read yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.0
    }

    /// How many pairs the map that comes next has.
    pub(crate) fn map(&mut self) -> Option<u64> {
        match self.head()? {
            (5, count) if count <= ITEM_COUNT_MAX => Some(count),
            _ => None,
        }
    }

    pub(crate) fn key(&mut self) -> Option<Key<'a>> {
        let before = self.0;
        if let Some(number) = self.number() {
            return Some(Key::Number(number));
        }
        self.0 = before;
        match self.head()? {
            (3, length) => std::str::from_utf8(self.take(length)?).ok().map(Key::Text),
            _ => None,
        }
    }

    pub(crate) fn number(&mut self) -> Option<i64> {
        match self.head()? {
            (0, value) => i64::try_from(value).ok(),
            (1, value) => i64::try_from(value).ok().map(|value| -1 - value),
            _ => None,
        }
    }

    pub(crate) fn bytes(&mut self) -> Option<&'a [u8]> {
        match self.head()? {
            (2, length) => self.take(length),
            _ => None,
        }
    }

    /// Steps over one item, whatever it is.
    pub(crate) fn skip(&mut self) -> Option<()> {
        self.skip_to(DEPTH_MAX)
    }

    fn skip_to(&mut self, depth: usize) -> Option<()> {
        let depth_below = depth.checked_sub(1)?;
        let (major, value) = self.head()?;
        match major {
            2 | 3 => self.take(value).map(drop),
            4 | 5 if value <= ITEM_COUNT_MAX => {
                for _ in 0..value * if major == 5 { 2 } else { 1 } {
                    self.skip_to(depth_below)?;
                }
                Some(())
            }
            0 | 1 | 7 => Some(()),
            _ => None,
        }
    }

    /// The major type and its argument; indefinite lengths and what is reserved are refused.
    fn head(&mut self) -> Option<(u8, u64)> {
        let (first, rest) = self.0.split_first()?;
        self.0 = rest;
        let length = match first & 0x1f {
            small @ 0..=23 => return Some((first >> 5, u64::from(small))),
            24 => 1,
            25 => 2,
            26 => 4,
            27 => 8,
            _ => return None,
        };
        let value = self.take(length)?.iter().fold(0_u64, |value, byte| (value << 8) | u64::from(*byte));
        Some((first >> 5, value))
    }

    fn take(&mut self, length: u64) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(usize::try_from(length).ok()?)?;
        self.0 = rest;
        Some(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_are_read_and_skipped_as_the_standard_writes_them() {
        // {1: 2, "a": h'0102', -7: [1, {"b": true}]}
        let bytes = [0xa3, 0x01, 0x02, 0x61, 0x61, 0x42, 0x01, 0x02, 0x26, 0x82, 0x01, 0xa1, 0x61, 0x62, 0xf5, 0xff];
        let mut cbor = Cbor::new(&bytes);
        assert_eq!(cbor.map(), Some(3));
        assert_eq!((cbor.key(), cbor.number()), (Some(Key::Number(1)), Some(2)));
        assert_eq!((cbor.key(), cbor.bytes()), (Some(Key::Text("a")), Some([1, 2].as_slice())));
        assert_eq!((cbor.key(), cbor.skip()), (Some(Key::Number(-7)), Some(())));
        assert_eq!(cbor.rest(), [0xff]);
    }

    #[test]
    fn what_is_too_deep_too_long_or_cut_off_is_refused() {
        for bad in [
            [0x81; 20].as_slice(),
            &[0x9f, 0x01, 0xff],
            &[0x5b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            &[0x9a, 0x00, 0x10, 0x00, 0x00],
            &[0x42, 0x01],
            &[0x19, 0x01],
            &[],
        ] {
            assert_eq!(Cbor::new(bad).skip(), None, "{bad:x?}");
        }
    }
}
