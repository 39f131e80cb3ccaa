//! Codes of letters and digits, without spaces, upper case.

use super::is_date;
use crate::bytes::{at, number, part};

fn digits_of(code: &[u8]) -> Vec<u8> {
    code.iter().filter(|byte| byte.is_ascii_digit()).map(|byte| byte - b'0').collect()
}

/// German health insurance number: a letter as two digits and eight more, weights 1 and 2 in turns, the sum of the products' digits.
pub fn kvnr(code: &[u8]) -> bool {
    let letter = at(code, 0).wrapping_sub(b'A').wrapping_add(1);
    let mut digits = vec![letter / 10, letter % 10];
    digits.extend(part(code, 1, 9).iter().map(|byte| byte.wrapping_sub(b'0')));
    let sum: u32 = digits
        .iter()
        .zip([1, 2].into_iter().cycle())
        .map(|(digit, weight)| u32::from(*digit) * weight)
        .map(|one| one / 10 + one % 10)
        .sum();
    code.len() == 10 && sum % 10 == u32::from(at(code, 9).wrapping_sub(b'0'))
}

/// US Medicare beneficiary identifier: no check digit, but neither S, L, O, I, B nor Z, and no 0 in front.
pub fn mbi(code: &[u8]) -> bool {
    code.len() == 11 && at(code, 0) != b'0' && !code.iter().any(|byte| b"SLOIBZ".contains(byte))
}

/// Countries of the IBAN registry and their lengths.
const IBAN_LENGTHS: &[(&[u8; 2], usize)] = &[
    (b"AD", 24),
    (b"AE", 23),
    (b"AL", 28),
    (b"AT", 20),
    (b"AZ", 28),
    (b"BA", 20),
    (b"BE", 16),
    (b"BG", 22),
    (b"BH", 22),
    (b"BR", 29),
    (b"BY", 28),
    (b"CH", 21),
    (b"CR", 22),
    (b"CY", 28),
    (b"CZ", 24),
    (b"DE", 22),
    (b"DK", 18),
    (b"DO", 28),
    (b"EE", 20),
    (b"EG", 29),
    (b"ES", 24),
    (b"FI", 18),
    (b"FO", 18),
    (b"FR", 27),
    (b"GB", 22),
    (b"GE", 22),
    (b"GI", 23),
    (b"GL", 18),
    (b"GR", 27),
    (b"GT", 28),
    (b"HR", 21),
    (b"HU", 28),
    (b"IE", 22),
    (b"IL", 23),
    (b"IQ", 23),
    (b"IS", 26),
    (b"IT", 27),
    (b"JO", 30),
    (b"KW", 30),
    (b"KZ", 20),
    (b"LB", 28),
    (b"LC", 32),
    (b"LI", 21),
    (b"LT", 20),
    (b"LU", 20),
    (b"LV", 21),
    (b"LY", 25),
    (b"MC", 27),
    (b"MD", 24),
    (b"ME", 22),
    (b"MK", 19),
    (b"MR", 27),
    (b"MT", 31),
    (b"MU", 30),
    (b"NL", 18),
    (b"NO", 15),
    (b"PK", 24),
    (b"PL", 28),
    (b"PS", 29),
    (b"PT", 25),
    (b"QA", 29),
    (b"RO", 24),
    (b"RS", 22),
    (b"SA", 24),
    (b"SC", 31),
    (b"SD", 18),
    (b"SE", 24),
    (b"SI", 19),
    (b"SK", 24),
    (b"SM", 27),
    (b"ST", 25),
    (b"SV", 28),
    (b"TL", 23),
    (b"TN", 24),
    (b"TR", 26),
    (b"UA", 29),
    (b"VA", 22),
    (b"VG", 24),
    (b"XK", 20),
];

/// The length that the country of these two letters has.
fn iban_length(code: &[u8]) -> Option<usize> {
    IBAN_LENGTHS.iter().find(|(country, _)| country.as_slice() == part(code, 0, 2)).map(|(_, length)| *length)
}

/// An IBAN (ISO 13616): the country's length, and 1 modulo 97.
pub fn iban(code: &[u8]) -> bool {
    if iban_length(code) != Some(code.len()) || !part(code, 2, 4).iter().all(u8::is_ascii_digit) {
        return false;
    }
    let moved = part(code, 4, code.len()).iter().chain(part(code, 0, 4));
    let rest = moved.fold(0_u32, |rest, byte| match byte {
        b'0'..=b'9' => (rest * 10 + u32::from(byte - b'0')) % 97,
        b'A'..=b'Z' => (rest * 100 + u32::from(byte - b'A') + 10) % 97,
        _ => 98,
    });
    rest == 1
}

const DNI_LETTERS: &[u8; 23] = b"TRWAGMYFPDXBNJZSQVHLCKE";

/// Spanish DNI: eight digits, and the letter of their remainder modulo 23.
pub fn dni(code: &[u8]) -> bool {
    let digits = digits_of(code);
    let place = usize::try_from(number(&digits, 0, 8) % 23).unwrap_or(0);
    code.len() == 9 && digits.len() == 8 && at(DNI_LETTERS, place) == at(code, 8)
}

/// Spanish NIE: X, Y or Z stand for 0, 1 or 2 before seven digits; then as DNI.
pub fn nie(code: &[u8]) -> bool {
    let mut digits = vec![at(code, 0).wrapping_sub(b'X')];
    digits.extend(digits_of(code));
    let place = usize::try_from(number(&digits, 0, 8) % 23).unwrap_or(0);
    code.len() == 9 && matches!(at(code, 0), b'X'..=b'Z') && digits.len() == 8 && at(DNI_LETTERS, place) == at(code, 8)
}

/// UK national insurance number: prefixes in use, a suffix A to D.
pub fn nino(code: &[u8]) -> bool {
    let (first, second) = (at(code, 0), at(code, 1));
    code.len() == 9
        && first.is_ascii_uppercase()
        && second.is_ascii_uppercase()
        && !matches!(first, b'D' | b'F' | b'I' | b'Q' | b'U' | b'V')
        && !matches!(second, b'D' | b'F' | b'I' | b'O' | b'Q' | b'U' | b'V')
        && !matches!(&[first, second], b"BG" | b"GB" | b"KN" | b"NK" | b"NT" | b"TN" | b"ZZ")
        && part(code, 2, 8).iter().all(u8::is_ascii_digit)
        && matches!(at(code, 8), b'A'..=b'D')
}

/// Italian codice fiscale: a month's letter, a day, and the check letter over odd and even places.
pub fn codice_fiscale(code: &[u8]) -> bool {
    const ODD: [u8; 26] = [1, 0, 5, 7, 9, 13, 15, 17, 19, 21, 2, 4, 18, 20, 11, 3, 6, 8, 12, 14, 16, 10, 22, 25, 24, 23];
    let sum: u32 = code
        .iter()
        .take(15)
        .enumerate()
        .map(|(place, byte)| {
            let value = if byte.is_ascii_digit() { byte - b'0' } else { byte.wrapping_sub(b'A') };
            u32::from(if place % 2 == 0 { at(&ODD, usize::from(value)) } else { value })
        })
        .sum();
    let day = number(&digits_of(part(code, 9, 11)), 0, 2) % 40;
    code.len() == 16
        && b"ABCDEHLMPRST".contains(&at(code, 8))
        && (1..=31).contains(&day)
        && sum % 26 == u32::from(at(code, 15).wrapping_sub(b'A'))
}

/// French NIR of somebody born in Corsica, where the department is 2A or 2B.
pub fn nir_corsica(code: &[u8]) -> bool {
    let less = match part(code, 5, 7) {
        b"2A" => 1_000_000,
        b"2B" => 2_000_000,
        _ => return false,
    };
    let mut digits = digits_of(code);
    if digits.len() != 14 || code.len() != 15 {
        return false;
    }
    digits.insert(6, 0);
    97 - (number(&digits, 0, 13).wrapping_sub(less)) % 97 == number(&digits, 13, 15)
}

/// Indian PAN: the fourth letter says what kind of holder; the digits are not all 0.
pub fn pan(code: &[u8]) -> bool {
    code.len() == 10 && b"PCHFATBLJG".contains(&at(code, 3)) && number(&digits_of(code), 0, 4) > 0
}

/// Singapore NRIC or FIN: weights 2, 7, 6, 5, 4, 3, 2, an offset and a letter table by first letter.
pub fn nric(code: &[u8]) -> bool {
    let (offset, letters): (u32, &[u8; 11]) = match at(code, 0) {
        b'S' => (0, b"JZIHGFEDCBA"),
        b'T' => (4, b"JZIHGFEDCBA"),
        b'F' => (0, b"XWUTRQPNMLK"),
        b'G' => (4, b"XWUTRQPNMLK"),
        b'M' => (3, b"XWUTRQPNJLK"),
        _ => return false,
    };
    let digits = digits_of(code);
    let rest = (super::weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]) + offset) % 11;
    code.len() == 9 && digits.len() == 7 && at(letters, rest as usize) == at(code, 8)
}

/// Mexican CURP: a date, a sex, and a check digit over the alphabet with Ñ.
pub fn curp(code: &[u8]) -> bool {
    let digits = digits_of(part(code, 4, 10));
    let sum: u32 = code
        .iter()
        .take(17)
        .enumerate()
        .map(|(place, byte)| {
            let value = match byte {
                b'0'..=b'9' => byte - b'0',
                // Ñ stands between N and O.
                b'A'..=b'N' => byte - b'A' + 10,
                _ => byte.wrapping_sub(b'A').wrapping_add(11),
            };
            u32::from(value) * (18 - u32::try_from(place).unwrap_or(0))
        })
        .sum();
    code.len() == 18
        && matches!(at(code, 10), b'H' | b'M' | b'X')
        && is_date(number(&digits, 0, 2), number(&digits, 2, 4), number(&digits, 4, 6))
        && (10 - sum % 10) % 10 == u32::from(at(code, 17).wrapping_sub(b'0'))
}

/// Finnish code: a date, the century's sign, three digits, a check character modulo 31.
pub fn hetu(code: &[u8]) -> bool {
    const CHECK: &[u8; 31] = b"0123456789ABCDEFHJKLMNPRSTUVWXY";
    let digits = digits_of(part(code, 0, 10));
    let place = usize::try_from(number(&digits, 0, 9) % 31).unwrap_or(0);
    code.len() == 11
        && digits.len() == 9
        && b"+-ABCDEFUVWXY".contains(&at(code, 6))
        && is_date(number(&digits, 4, 6), number(&digits, 2, 4), number(&digits, 0, 2))
        && at(CHECK, place) == at(code, 10)
}

/// A vehicle's number (ISO 3779): 17 characters without I, O and Q; the ninth checks (as North America requires).
pub fn vin(code: &[u8]) -> bool {
    const WEIGHTS: [u32; 17] = [8, 7, 6, 5, 4, 3, 2, 10, 0, 9, 8, 7, 6, 5, 4, 3, 2];
    let mut sum = 0;
    for (byte, weight) in code.iter().zip(WEIGHTS) {
        let value = match byte {
            b'0'..=b'9' => byte - b'0',
            b'A'..=b'H' => byte - b'A' + 1,
            b'J'..=b'R' if !matches!(byte, b'O' | b'Q') => byte - b'J' + 1,
            b'S'..=b'Z' => byte - b'S' + 2,
            _ => return false,
        };
        sum += u32::from(value) * weight;
    }
    let check = match sum % 11 {
        10 => b'X',
        rest => b'0' + u8::try_from(rest).unwrap_or(0),
    };
    code.len() == 17 && at(code, 8) == check && code.iter().any(u8::is_ascii_alphabetic)
}

/// The shape of an ICD-10 code: a letter, a digit, a digit or A/B, then up to four after a dot.
pub fn icd10(code: &[u8]) -> bool {
    let tail = match code.get(3) {
        None => 0,
        Some(b'.') => code.len() - 4,
        Some(_) => return false,
    };
    code.len() >= 3
        && at(code, 0).is_ascii_uppercase()
        && at(code, 1).is_ascii_digit()
        && (at(code, 2).is_ascii_digit() || matches!(at(code, 2), b'A' | b'B'))
        && (code.len() == 3 || (1..=4).contains(&tail))
        && part(code, 4, code.len()).iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}
