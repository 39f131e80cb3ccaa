//! Bytes of a text, read without fear of its ends.

/// The byte at `index`, 0 past the end.
#[inline]
pub fn at(bytes: &[u8], index: usize) -> u8 {
    bytes.get(index).copied().unwrap_or(0)
}

/// The byte before `index`, 0 before the start.
#[inline]
pub fn before(bytes: &[u8], index: usize) -> u8 {
    index.checked_sub(1).map_or(0, |index| at(bytes, index))
}

/// `start..end`, cut at the ends.
#[inline]
pub fn part(bytes: &[u8], start: usize, end: usize) -> &[u8] {
    let end = end.min(bytes.len());
    bytes.get(start.min(end)..end).unwrap_or_default()
}

/// The end of the run of bytes from `start` on that `holds`, at most `limit` of them.
#[inline]
pub fn run(bytes: &[u8], start: usize, limit: usize, holds: impl Fn(u8) -> bool) -> usize {
    let window = part(bytes, start, start.saturating_add(limit));
    start + window.iter().position(|byte| !holds(*byte)).unwrap_or(window.len())
}

/// The start of the run of bytes before `end` that `holds`, not before `floor`.
#[inline]
pub fn run_back(bytes: &[u8], end: usize, floor: usize, holds: impl Fn(u8) -> bool) -> usize {
    let window = part(bytes, floor, end);
    floor.min(end) + window.iter().rposition(|byte| !holds(*byte)).map_or(0, |place| place + 1)
}

/// The nearest border of a character at or before `index`.
pub fn border(bytes: &[u8], mut index: usize) -> usize {
    while index > 0 && index < bytes.len() && at(bytes, index) & 0xC0 == 0x80 {
        index -= 1;
    }
    index.min(bytes.len())
}

/// Up to `N` ASCII digits, as numbers.
#[derive(Clone, Copy, Debug)]
pub struct Digits {
    values: [u8; Self::MAX],
    count: usize,
}

impl Digits {
    /// The longest number that any rule looks at.
    pub const MAX: usize = 24;

    /// The digits among `bytes`; none if there are more than [`Self::MAX`].
    pub fn of(bytes: &[u8]) -> Option<Self> {
        let mut digits = Self { values: [0; Self::MAX], count: 0 };
        for byte in bytes.iter().filter(|byte| byte.is_ascii_digit()) {
            *digits.values.get_mut(digits.count)? = byte - b'0';
            digits.count += 1;
        }
        Some(digits)
    }

    /// The digits.
    pub fn list(&self) -> &[u8] {
        part(&self.values, 0, self.count)
    }
}

/// The digits `from..to` as a number, 0 where there are none.
pub fn number(digits: &[u8], from: usize, to: usize) -> u64 {
    part(digits, from, to).iter().fold(0_u64, |value, digit| value.wrapping_mul(10).wrapping_add(u64::from(*digit)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_safe() {
        assert_eq!((at(b"ab", 2), before(b"ab", 0), part(b"ab", 1, 9), part(b"ab", 5, 9)), (0, 0, &b"b"[..], &b""[..]));
        assert_eq!(run(b"12ab", 0, 9, |byte| byte.is_ascii_digit()), 2);
        assert_eq!(run_back(b"ab12", 4, 0, |byte| byte.is_ascii_digit()), 2);
        assert_eq!(run_back(b"1212", 4, 1, |byte| byte.is_ascii_digit()), 1);
        assert_eq!(border("aé".as_bytes(), 2), 1);
        assert_eq!(number(&[1, 2, 3], 1, 3), 23);
        assert!(Digits::of(&[b'1'; 25]).is_none());
    }
}
