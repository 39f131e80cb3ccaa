//! Changes to valid bytes: any, and those that parsers are known to stumble over. The same seed gives the same changes.

/// Numbers that are written over numbers.
const NUMBERS: [u64; 14] =
    [0, 1, 2, 7, 0x7f, 0x80, 0xff, 0x7fff, 0xffff, 0x7fff_ffff, 0xffff_ffff, 1 << 40, i64::MAX.unsigned_abs(), u64::MAX];
/// Digits that are written over digits.
const TEXTS: [&str; 9] = ["0", "-1", "1e400", "NaN", "99999999999999999999", "9223372036854775807", "1e-320", "4294967296", "00"];
/// Pieces that open something, and are repeated.
const OPENERS: [&[u8]; 12] = [b"[", b"{", b"(", b"\"", b"{\"a\":", b"- ", b"  ", b"]", b"\x80\x04", b"\n", b",", b"&a [*a,"];
/// The largest file that is made.
pub const BYTES_MAX: usize = 256 * 1024;

/// Numbers that look random: SplitMix64 (G. Steele et al., 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// A sequence of its own for each case of each seed.
    pub const fn new(seed: u64, case: u64) -> Self {
        Self(seed ^ case.wrapping_mul(0xD1B5_4A32_D192_ED03))
    }

    /// The next number.
    pub const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`, 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    fn byte(&mut self) -> u8 {
        self.next().to_le_bytes()[0]
    }

    /// One of a list.
    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> Option<&'a T> {
        let place = self.below(list.len());
        list.get(place)
    }
}

/// `bytes` with one to eight changes, some of them pieces of `other`.
pub fn mutated(random: &mut Random, bytes: &[u8], other: &[u8]) -> Vec<u8> {
    let mut made = bytes.to_vec();
    for _ in 0..=random.below(8) {
        change(random, &mut made, other);
        made.truncate(BYTES_MAX);
    }
    made
}

fn change(random: &mut Random, made: &mut Vec<u8>, other: &[u8]) {
    let place = random.below(made.len() + 1);
    match random.below(12) {
        0 => put(made, place, &[random.byte()]),
        1 => {
            let bit = 1_u8 << random.below(8);
            if let Some(byte) = made.get_mut(place) {
                *byte ^= bit;
            }
        }
        2 | 3 => {
            let number = random.pick(&NUMBERS).copied().unwrap_or(0);
            let width = random.pick(&[1, 2, 4, 8]).copied().unwrap_or(1);
            let whole = if random.below(2) == 0 {
                number.to_le_bytes()
            } else {
                number.rotate_right(8 * u32::from(width == 8)).to_be_bytes()
            };
            let piece = if random.below(2) == 0 { whole.get(..width) } else { whole.get(8 - width..) };
            put(made, place, piece.unwrap_or_default());
        }
        4 => {
            let end = (place + 1 + random.below(16)).min(made.len());
            made.drain(place.min(end)..end);
        }
        5 => made.truncate(place),
        6 => {
            let end = (place + 1 + random.below(64)).min(made.len());
            let piece = made.get(place.min(end)..end).unwrap_or_default().to_vec();
            let at = random.below(made.len() + 1);
            insert(made, at, &piece);
        }
        7 => {
            let from = random.below(other.len() + 1);
            let to = (from + random.below(64)).min(other.len());
            insert(made, place, other.get(from..to).unwrap_or_default());
        }
        8 => {
            let opener = random.pick(&OPENERS).copied().unwrap_or_default();
            let most = if random.below(8) == 0 { 20_000 } else { 8 };
            let count = 1 + random.below(most);
            insert(made, place, &opener.repeat(count));
        }
        9 | 10 => digits(random, made, place),
        _ => {
            let count = random.below(16);
            let noise: Vec<u8> = (0..count).map(|_| random.byte()).collect();
            insert(made, place, &noise);
        }
    }
}

fn put(made: &mut [u8], place: usize, piece: &[u8]) {
    for (byte, new) in made.iter_mut().skip(place).zip(piece) {
        *byte = *new;
    }
}

fn insert(made: &mut Vec<u8>, place: usize, piece: &[u8]) {
    let place = place.min(made.len());
    made.splice(place..place, piece.iter().copied());
}

/// The next number that is written in digits becomes another.
fn digits(random: &mut Random, made: &mut Vec<u8>, place: usize) {
    let Some(first) = made.iter().skip(place).position(u8::is_ascii_digit).map(|count| place + count) else { return };
    let count = made.iter().skip(first).take_while(|byte| byte.is_ascii_digit()).count();
    let text = random.pick(&TEXTS).copied().unwrap_or_default();
    made.splice(first..first + count, text.bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_changes_and_nothing_grows_without_end() {
        let made = |seed: u64| -> Vec<Vec<u8>> {
            (0..500).map(|case| mutated(&mut Random::new(seed, case), b"{\"a\": [1, 2]}", b"abc")).collect()
        };
        assert_eq!(made(1), made(1));
        assert_ne!(made(1), made(2));
        assert!(made(3).iter().all(|bytes| bytes.len() <= BYTES_MAX));
        assert!(made(3).iter().filter(|bytes| bytes.as_slice() != b"{\"a\": [1, 2]}").count() > 490);
        assert!(mutated(&mut Random::new(1, 1), &[], &[]).len() <= BYTES_MAX);
    }
}
