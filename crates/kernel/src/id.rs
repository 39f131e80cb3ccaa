//! Ids and digests. An id is random and says nothing about whom or what it names.

use std::cell::RefCell;

use aws_lc_rs::digest;

use crate::Micros;

/// `N` bytes from the operating system's generator, by way of the crypto library.
#[must_use]
pub fn random_bytes<const N: usize>() -> [u8; N] {
    let mut bytes = [0_u8; N];
    if aws_lc_rs::rand::fill(&mut bytes).is_err() {
        // Without randomness no key, token or id is safe: there is nothing left to serve.
        std::process::abort();
    }
    bytes
}

/// Random bytes that a thread draws at once: each draw costs about as much as a kilobyte.
const STOCK_BYTES: usize = 1_024;

thread_local! {
    /// What is left of the last draw.
    static STOCK: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// `N` random bytes for an id or a salt: from a stock that each thread draws from the generator of [`random_bytes`] in advance. No
/// byte is given twice, and the stock keeps none that was given. Keys and secrets are drawn by [`random_bytes`] itself.
#[must_use]
pub fn random_bytes_for_id<const N: usize>() -> [u8; N] {
    const { assert!(N <= STOCK_BYTES, "a draw holds at least what is asked for") };
    // A thread that ends has no stock any more.
    STOCK.try_with(|stock| from_stock(&mut stock.borrow_mut())).unwrap_or_else(|_| random_bytes())
}

fn from_stock<const N: usize>(stock: &mut Vec<u8>) -> [u8; N] {
    if stock.len() < N {
        stock.extend_from_slice(&random_bytes::<STOCK_BYTES>());
    }
    let mut bytes = [0_u8; N];
    let rest = stock.len().saturating_sub(N);
    for (to, from) in bytes.iter_mut().zip(stock.get_mut(rest..).unwrap_or_default()) {
        *to = std::mem::take(from);
    }
    stock.truncate(rest);
    bytes
}

/// A 128-bit random id as 32 lower-case hex digits, the shape of an MLflow run id.
#[must_use]
pub fn random_id() -> String {
    hex(&random_bytes_for_id::<16>())
}

/// A random id as [`random_id`] makes them, but that it begins with the time (RFC 9562, version 7, without hyphens): 48 bits of milliseconds, then 74
/// random ones. It says when it was given; and an index over such ids grows at its end, where among ids that are all random each new row changes
/// another page of it, which the next commit and checkpoint must write. For ids that nobody is told, or that may say that.
#[must_use]
pub fn timed_id(at: Micros) -> String {
    let [version, second, variant, rest @ ..] = random_bytes_for_id::<10>();
    let milliseconds = at.0.max(0) / 1_000;
    let random = [&[0x70 | (version & 0x0f), second, 0x80 | (variant & 0x3f)], rest.as_slice()].concat();
    format!("{milliseconds:012x}{}", hex(&random))
}

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// `length` random base62 characters, 5.95 bits each, without modulo bias.
#[must_use]
pub fn random_text(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        for byte in random_bytes::<32>() {
            let index = usize::from(byte & 63);
            if let Some(letter) = BASE62.get(index)
                && text.len() < length
            {
                text.push(char::from(*letter));
            }
        }
    }
    text
}

/// Lower-case hex.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    const fn digit(nibble: u8) -> u8 {
        if nibble < 10 { b'0' + nibble } else { b'a' - 10 + nibble }
    }
    let digits = bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect();
    // Digits are always UTF-8.
    String::from_utf8(digits).unwrap_or_default()
}

/// The bytes of lower- or upper-case hex, or `None` where it is not exactly that.
#[must_use]
pub fn parse_hex(text: &str) -> Option<Vec<u8>> {
    if !text.len().is_multiple_of(2) || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(text.get(at..at + 2)?, 16).ok()).collect()
}

/// SHA-256 of `bytes` (FIPS 180-4).
#[must_use]
pub fn sha256(bytes: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256Hasher::new();
    hasher.update(bytes);
    hasher.finish()
}

/// SHA-256 over a stream.
#[derive(Clone)]
pub struct Sha256Hasher(digest::Context);

impl Default for Sha256Hasher {
    fn default() -> Self {
        Self::new()
    }
}

impl Sha256Hasher {
    /// An empty hash.
    #[must_use]
    pub fn new() -> Self {
        Self(digest::Context::new(&digest::SHA256))
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(self) -> [u8; 32] {
        let mut out = [0_u8; 32];
        for (to, from) in out.iter_mut().zip(self.0.finish().as_ref()) {
            *to = *from;
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hex_goes_both_ways_and_refuses_the_rest() {
        assert_eq!(hex(&[0, 0xab, 0xff]), "00abff");
        assert_eq!(parse_hex("00ABff"), Some(vec![0, 0xab, 0xff]));
        for bad in ["0", "0g", "é", "+1"] {
            assert_eq!(parse_hex(bad), None, "{bad}");
        }
    }

    #[test]
    fn no_part_of_the_stock_is_given_twice() {
        let mut seen = std::collections::HashSet::new();
        for _ in 0..STOCK_BYTES {
            assert!(seen.insert(random_bytes_for_id::<16>().to_vec()));
            assert!(seen.insert(random_bytes_for_id::<10>().to_vec()));
            let large = random_bytes_for_id::<{ STOCK_BYTES }>();
            assert!(large.iter().any(|byte| *byte != 0) && seen.insert(large.to_vec()));
        }
    }

    #[test]
    fn ids_have_their_shape_and_differ() {
        assert_eq!(random_id().len(), 32);
        assert_ne!(random_id(), random_id());
        assert_eq!(random_text(30).len(), 30);
    }

    #[test]
    fn sha256_of_abc_is_the_standards() {
        assert_eq!(hex(&sha256(b"abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }

    #[test]
    fn timed_ids_come_in_the_order_of_time_and_never_twice() {
        let at = |millis: i64| timed_id(Micros(millis * 1_000));
        assert!(at(1_700_000_000_000) < at(1_700_000_000_001));
        assert!(at(255) < at(256) && at(-1).starts_with("000000000000"));
        assert!(at(1_700_000_000_000).starts_with("018bcfe56800"));
        let ids: std::collections::HashSet<String> = (0..1_000).map(|_| at(7)).collect();
        assert_eq!(ids.len(), 1_000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
