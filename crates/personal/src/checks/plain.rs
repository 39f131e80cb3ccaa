//! Cards, devices and US numbers.

use super::weighted;
use crate::bytes::{at, number};

/// Luhn's sum (ISO/IEC 7812-1, annex B) is a multiple of 10.
pub fn luhn(digits: &[u8]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, digit)| {
            let value = u32::from(*digit) << (place % 2);
            if value > 9 { value - 9 } else { value }
        })
        .sum();
    digits.iter().any(|digit| *digit != 0) && sum.is_multiple_of(10)
}

/// A payment card: an issuer's range with one of its lengths, and Luhn.
pub fn card(digits: &[u8]) -> bool {
    let six = number(digits, 0, 6);
    let (four, two, length) = (six / 100, six / 10_000, digits.len());
    let fits = match four {
        // American Express
        _ if two == 34 || two == 37 => length == 15,
        // Visa
        4000..=4999 => matches!(length, 13 | 16 | 19),
        // Mastercard
        2221..=2720 => length == 16,
        _ if (51..=55).contains(&two) => length == 16,
        // Maestro
        5018 | 5020 | 5038 | 5893 | 6304 | 6759 | 6761..=6763 => (12..=19).contains(&length),
        // Diners Club
        3000..=3059 | 3095 => (14..=19).contains(&length),
        _ if two == 36 || two == 38 || two == 39 => (14..=19).contains(&length),
        // JCB, and its older 15-digit ranges
        3528..=3589 => (16..=19).contains(&length),
        1800 | 2131 => length == 15,
        // Discover
        6011 | 6440..=6599 => (16..=19).contains(&length),
        // UnionPay
        _ if two == 62 => (16..=19).contains(&length),
        // Mir
        2200..=2204 => (16..=19).contains(&length),
        _ => false,
    };
    fits && luhn(digits)
}

/// A US social security number that can have been issued (SSA's rules before and after 2011), not one of the famous fakes.
pub fn ssn(digits: &[u8]) -> bool {
    let (area, group, serial) = (number(digits, 0, 3), number(digits, 3, 5), number(digits, 5, 9));
    let fake = matches!(number(digits, 0, 9), 78_051_120 | 219_099_999 | 123_456_789 | 111_111_111 | 333_333_333);
    digits.len() == 9 && area != 0 && area != 666 && area < 900 && group != 0 && serial != 0 && !fake
}

/// A US individual taxpayer number: 9xx, and a group from the ranges in use.
pub fn itin(digits: &[u8]) -> bool {
    let group = number(digits, 3, 5);
    digits.len() == 9 && at(digits, 0) == 9 && matches!(group, 50..=65 | 70..=88 | 90..=92 | 94..=99)
}

/// A US bank's routing number (ABA): a Federal Reserve prefix and weights 3, 7, 1.
pub fn aba(digits: &[u8]) -> bool {
    let prefix = number(digits, 0, 2);
    digits.len() == 9
        && matches!(prefix, 1..=12 | 21..=32 | 61..=72 | 80)
        && weighted(digits, &[3, 7, 1, 3, 7, 1, 3, 7, 1]).is_multiple_of(10)
}

/// A US health provider's number: Luhn after the prefix 80840.
pub fn npi(digits: &[u8]) -> bool {
    let mut whole = vec![8, 0, 8, 4, 0];
    whole.extend_from_slice(digits);
    digits.len() == 10 && matches!(at(digits, 0), 1 | 2) && luhn(&whole)
}

/// A mobile device's number: 15 digits, Luhn, a reporting body's prefix.
pub fn imei(digits: &[u8]) -> bool {
    digits.len() == 15 && matches!(number(digits, 0, 2), 1 | 10..=99) && luhn(digits)
}
