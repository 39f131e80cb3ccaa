//! One-time codes by time (RFC 6238): HMAC-SHA-1, steps of 30 s, six digits, as every authenticator app has them.

use aws_lc_rs::{constant_time, hmac};
use kernel::{Micros, Secret, random_bytes};

/// The length of a time step.
pub const STEP_S: i64 = 30;
/// Steps before and after the current one whose codes are taken: clocks differ, and people type (RFC 6238, section 5.2).
const DRIFT_STEPS: i64 = 1;
const DIGITS: usize = 6;
/// As long as the hash's output (RFC 4226, section 4, R6).
const SEED_BYTES: usize = 20;
/// RFC 4648, section 6.
const BASE32: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/// A new shared secret.
pub(crate) fn new_seed() -> Secret {
    Secret::new(random_bytes::<SEED_BYTES>().to_vec())
}

/// The time step that a code is for, if it is right and newer than `last_step`: a code is taken once.
pub(crate) fn step_of(seed: &Secret, code: &[u8], at: Micros, last_step: i64) -> Option<i64> {
    let now = at.as_secs().div_euclid(STEP_S);
    let mut found = None;
    // All are compared, so that time tells nothing.
    for step in now - DRIFT_STEPS..=now + DRIFT_STEPS {
        let right = code_at(seed, step);
        if constant_time::verify_slices_are_equal(right.as_bytes(), code).is_ok() && step > last_step {
            found = Some(step);
        }
    }
    found
}

/// The code of a time step (RFC 4226, section 5.3).
pub(crate) fn code_at(seed: &Secret, step: i64) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY, seed.expose());
    let tag = hmac::sign(&key, &step.to_be_bytes());
    let bytes = tag.as_ref();
    let offset = usize::from(bytes.last().copied().unwrap_or_default() & 0x0f);
    let word = bytes.iter().skip(offset).take(4).fold(0_u32, |word, byte| (word << 8) | u32::from(*byte)) & 0x7fff_ffff;
    format!("{:0DIGITS$}", word % 1_000_000)
}

/// The secret as people type it: base32 without padding.
pub(crate) fn typed(seed: &Secret) -> Secret {
    let mut text = String::new();
    let (mut bits, mut held) = (0_u32, 0_u32);
    for byte in seed.expose() {
        held = (held << 8) | u32::from(*byte);
        bits += 8;
        while bits >= 5 {
            bits -= 5;
            let digit = (held >> bits) & 31;
            text.extend(BASE32.get(digit as usize).map(|digit| char::from(*digit)));
        }
        held &= (1 << bits) - 1;
    }
    if bits > 0 {
        text.extend(BASE32.get(((held << (5 - bits)) & 31) as usize).map(|digit| char::from(*digit)));
    }
    Secret::from(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rfc_seed() -> Secret {
        Secret::from("12345678901234567890".to_owned())
    }

    #[test]
    fn the_codes_are_those_of_the_standard() {
        // RFC 6238, appendix B, SHA-1: the last six of its eight digits.
        for (seconds, code) in [
            (59, "287082"),
            (1_111_111_109, "081804"),
            (1_111_111_111, "050471"),
            (1_234_567_890, "005924"),
            (2_000_000_000, "279037"),
            (20_000_000_000, "353130"),
        ] {
            assert_eq!(code_at(&rfc_seed(), seconds / STEP_S), code);
        }
        // RFC 4648, section 10, and the RFC's seed.
        assert_eq!(typed(&Secret::from("foobar".to_owned())).expose(), b"MZXW6YTBOI");
        assert_eq!(typed(&rfc_seed()).expose(), b"GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ");
    }

    #[test]
    fn a_code_is_taken_once_and_only_around_its_time() {
        let at = |seconds: i64| Micros(seconds * 1_000_000);
        let step = step_of(&rfc_seed(), b"287082", at(59), 0).unwrap();
        assert_eq!(step, 1);
        assert_eq!(step_of(&rfc_seed(), b"287082", at(59 + STEP_S), 0), Some(1));
        assert_eq!(step_of(&rfc_seed(), b"287082", at(59 + 2 * STEP_S), 0), None);
        assert_eq!(step_of(&rfc_seed(), b"287082", at(59), step), None, "taken already");
        for wrong in [b"".as_slice(), b"28708", b"2870821", b"287083"] {
            assert_eq!(step_of(&rfc_seed(), wrong, at(59), 0), None);
        }
    }
}
