//! Is a password in a list of leaked ones? A filter made from the operator's own file: it never says no of one that is in the list, and
//! yes of one in a thousand others.
//!
//! A line is a password, or the SHA-1 of one in hex with or without `:` and a count behind it, as Have I Been Pwned gives them away.
//! Source: Bloom, "Space/Time Trade-offs in Hash Coding with Allowable Errors" (1970); two hashes stand for all (Kirsch, Mitzenmacher 2006).

use std::io::{BufRead, Read};

use aws_lc_rs::digest;

/// Bits for each line: with ten hashes that is wrong once in a thousand.
const BITS_PER_LINE: u64 = 15;
const HASH_COUNT: u64 = 10;
/// Memory of a filter. It holds 286 million lines.
pub const FILTER_BYTES_MAX: u64 = 512 << 20;
/// A line.
pub const LINE_BYTES_MAX: u64 = 1_024;

/// The filter.
pub struct Leaked {
    bits: Vec<u64>,
    line_count: u64,
}

impl std::fmt::Debug for Leaked {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Leaked").field("line_count", &self.line_count).finish_non_exhaustive()
    }
}

impl Leaked {
    /// Reads a list of at most `line_count_max` lines, for which room is made first.
    ///
    /// # Errors
    /// If it cannot be read, or a filter of it would be larger than [`FILTER_BYTES_MAX`].
    pub fn read(mut from: impl BufRead, line_count_max: u64) -> Result<Self, String> {
        let bit_count = line_count_max.max(1_000).saturating_mul(BITS_PER_LINE);
        if bit_count / 8 > FILTER_BYTES_MAX {
            return Err(format!("a filter of it would take more than {} MiB", FILTER_BYTES_MAX >> 20));
        }
        let word_count = usize::try_from(bit_count.div_ceil(64)).map_err(|_| "it is too long".to_owned())?;
        let mut filter = Self { bits: vec![0; word_count], line_count: 0 };
        let mut line = Vec::new();
        loop {
            line.clear();
            let length = (&mut from).take(LINE_BYTES_MAX).read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
            if length == 0 {
                return Ok(filter);
            }
            let line = line.trim_ascii_end();
            if line.is_empty() {
                continue;
            }
            if filter.line_count >= line_count_max {
                return Err(format!("it has more than the {line_count_max} lines that were counted first"));
            }
            filter.line_count += 1;
            filter.put(&hash_of_line(line));
        }
    }

    /// Whether a password may be in the list.
    #[must_use]
    pub fn contains(&self, password: &[u8]) -> bool {
        let (first, step) = halves(&sha1(password));
        (0..HASH_COUNT).all(|number| self.bit(first.wrapping_add(number.wrapping_mul(step))))
    }

    /// How many lines it was made from.
    #[must_use]
    pub const fn line_count(&self) -> u64 {
        self.line_count
    }

    fn put(&mut self, hash: &[u8; 20]) {
        let (first, step) = halves(hash);
        for number in 0..HASH_COUNT {
            let (word, mask) = self.place(first.wrapping_add(number.wrapping_mul(step)));
            if let Some(word) = self.bits.get_mut(word) {
                *word |= mask;
            }
        }
    }

    fn bit(&self, hash: u64) -> bool {
        let (word, mask) = self.place(hash);
        self.bits.get(word).is_some_and(|word| word & mask != 0)
    }

    fn place(&self, hash: u64) -> (usize, u64) {
        let at = hash % (self.bits.len().max(1) as u64 * 64);
        (usize::try_from(at / 64).unwrap_or(0), 1 << (at % 64))
    }
}

fn sha1(bytes: &[u8]) -> [u8; 20] {
    let mut hash = [0; 20];
    for (to, from) in hash.iter_mut().zip(digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, bytes).as_ref()) {
        *to = *from;
    }
    hash
}

fn hash_of_line(line: &[u8]) -> [u8; 20] {
    let (head, rest) = line.split_at_checked(40).unwrap_or((line, &[]));
    let is_hash = head.len() == 40 && matches!(rest, [] | [b':', ..]);
    let hash = std::str::from_utf8(head).ok().filter(|_| is_hash).and_then(kernel::parse_hex);
    hash.and_then(|hash| <[u8; 20]>::try_from(hash).ok()).unwrap_or_else(|| sha1(line))
}

fn halves(hash: &[u8; 20]) -> (u64, u64) {
    let number = |bytes: &[u8]| bytes.iter().fold(0_u64, |number, byte| (number << 8) | u64::from(*byte));
    let (first, rest) = hash.split_at(8);
    // Odd, so that the steps do not fall together.
    (number(first), number(rest.get(..8).unwrap_or_default()) | 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_listed_is_found_in_either_form() {
        // The SHA-1 of `password1`, as such lists have it.
        let list = "123456\ncorrect horse battery staple\r\nE38AD214943DAAD1D64C102FAEC29DE4AFE9DA3D:2401761\n\n";
        let leaked = Leaked::read(list.as_bytes(), 10).unwrap();
        assert_eq!(leaked.line_count(), 3);
        for password in ["123456", "correct horse battery staple", "password1"] {
            assert!(leaked.contains(password.as_bytes()), "{password}");
        }
        assert!(!leaked.contains(b"a password of nobody") && !leaked.contains(b""));
        assert!(!format!("{leaked:?}").contains("bits"));
    }

    #[test]
    fn one_in_a_thousand_others_is_found_too() {
        let list: String = (0..20_000).map(|number| format!("leaked {number}\n")).collect();
        let leaked = Leaked::read(list.as_bytes(), 20_000).unwrap();
        assert!((0..20_000).all(|number| leaked.contains(format!("leaked {number}").as_bytes())));
        let wrong = (0..20_000).filter(|number| leaked.contains(format!("other {number}").as_bytes())).count();
        assert!(wrong < 40, "{wrong} of 20,000");
    }

    #[test]
    fn too_long_a_list_is_refused_before_memory_is_spent() {
        assert!(Leaked::read(&b""[..], u64::MAX).unwrap_err().contains("MiB"));
        assert!(Leaked::read("a\nb\nc\n".as_bytes(), 2).unwrap_err().contains("more than the 2"));
    }
}
