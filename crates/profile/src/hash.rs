//! The 64-bit hash that every sketch shares: wyhash's folded multiply (Wang Yi, "wyhash", public domain, final version 4),
//! over one lane. It is part of the sketches' format: a change makes old profiles incomparable, which
//! `tests::known_answers_hold` would tell.
//!
//! Without a secret seed its collisions can be computed, so whoever fears data made to fool a profile gives a seed.

const FIRST: u64 = 0xa076_1d64_78bd_642f;
const SECOND: u64 = 0xe703_7ed1_a0b4_28db;
const THIRD: u64 = 0x8ebc_6af0_9c88_c6e3;

/// Whole numbers up to this size are the same as their `f64`, so that a column which became floating keeps its hashes.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

const fn mix(left: u64, right: u64) -> u64 {
    let product = (left as u128) * (right as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// The hash of 64 bits.
#[inline]
#[must_use]
pub const fn of_word(seed: u64, word: u64) -> u64 {
    mix(mix(word ^ FIRST, SECOND) ^ seed, THIRD)
}

/// The hash of a floating number; the two zeros are one value.
#[inline]
#[must_use]
pub fn of_number(seed: u64, number: f64) -> u64 {
    of_word(seed, (number + 0.0).to_bits())
}

/// The hash of a whole number: that of the floating number of the same value where there is one.
#[inline]
#[must_use]
pub fn of_integer(seed: u64, integer: i64) -> u64 {
    if integer.unsigned_abs() <= EXACT_INTEGER_MAX {
        return of_number(seed, integer as f64);
    }
    of_word(seed ^ FIRST, integer.cast_unsigned())
}

/// The hash of a row so far and its next value.
#[inline]
#[must_use]
pub const fn joined(row: u64, value: u64) -> u64 {
    mix(row ^ value, SECOND).wrapping_add(row.rotate_left(17))
}

fn word_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(<[u8]>::first_chunk::<8>).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}

/// The hash of bytes.
#[inline]
#[must_use]
pub fn of_bytes(seed: u64, bytes: &[u8]) -> u64 {
    let length = bytes.len();
    let mut state = seed ^ FIRST;
    let (left, right) = if let (Some(first), Some(last)) = (bytes.first_chunk::<8>(), bytes.last_chunk::<8>()) {
        let mut at = 0;
        while length - at > 16 {
            state = mix(word_at(bytes, at) ^ SECOND, word_at(bytes, at + 8) ^ state);
            at += 16;
        }
        // The last 16 bytes may overlap what was mixed already, which does no harm.
        let left = if length > 16 { word_at(bytes, length - 16) } else { u64::from_le_bytes(*first) };
        (left, u64::from_le_bytes(*last))
    } else if let (Some(first), Some(last)) = (bytes.first_chunk::<4>(), bytes.last_chunk::<4>()) {
        (u64::from(u32::from_le_bytes(*first)), u64::from(u32::from_le_bytes(*last)))
    } else {
        let word = bytes.iter().fold(0_u64, |word, byte| (word << 8) | u64::from(*byte));
        (word, 0)
    };
    mix(SECOND ^ (length as u64), mix(left ^ SECOND, right ^ state) ^ THIRD)
}

/// The next state of a SplitMix64 generator (Steele, Lea and Flood 2014) and its output.
#[inline]
#[must_use]
pub const fn next_random(state: u64) -> (u64, u64) {
    let state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let word = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    (state, word ^ (word >> 31))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn known_answers_hold() {
        let answers =
            [of_word(0, 1), of_integer(0, -7), of_bytes(0, b""), of_bytes(0, b"abc"), of_bytes(1, b"abcdefghijklmnopqrst")];
        assert_eq!(answers.map(|answer| answer >> 32), KNOWN);
    }

    const KNOWN: [u64; 5] = [3_511_915_551, 2_233_906_581, 2_532_032_023, 2_075_567_874, 2_647_533_675];

    #[test]
    fn every_length_and_every_byte_counts() {
        let text: Vec<u8> = (0..80).collect();
        let mut seen = HashSet::new();
        for length in 0..=text.len() {
            assert!(seen.insert(of_bytes(3, &text[..length])), "length {length}");
            for at in 0..length {
                let mut changed = text[..length].to_vec();
                changed[at] ^= 0x80;
                assert!(seen.insert(of_bytes(3, &changed)), "length {length}, byte {at}");
            }
        }
    }

    #[test]
    fn equal_values_of_two_types_are_equal() {
        assert_eq!(of_integer(9, 42), of_number(9, 42.0));
        assert_eq!(of_number(9, 0.0), of_number(9, -0.0));
        assert_ne!(of_integer(9, i64::MAX), of_integer(9, i64::MAX - 1));
    }

    #[test]
    fn bits_are_even() {
        let mut ones = [0_u32; 64];
        for word in 0..20_000 {
            let hash = of_integer(0, word);
            for (bit, count) in ones.iter_mut().enumerate() {
                *count += u32::from((hash >> bit) & 1 == 1);
            }
        }
        assert!(ones.iter().all(|count| count.abs_diff(10_000) < 400), "{ones:?}");
    }
}
