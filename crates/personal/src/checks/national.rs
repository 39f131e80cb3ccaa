//! National numbers made of digits. Each function's line names what its last digits are.

use super::{is_date, luhn, weighted};
use crate::bytes::{at, number};

fn all_equal(digits: &[u8]) -> bool {
    digits.iter().all(|digit| *digit == at(digits, 0))
}

/// UK NHS: weights 10 to 2, modulo 11.
pub fn nhs(digits: &[u8]) -> bool {
    let check = (11 - weighted(digits, &[10, 9, 8, 7, 6, 5, 4, 3, 2]) % 11) % 11;
    digits.len() == 10 && !all_equal(digits) && check == u32::from(at(digits, 9))
}

/// German tax identification number: ISO 7064 modulo 11, 10; one digit twice or thrice among the first ten.
pub fn de_tax_id(digits: &[u8]) -> bool {
    if digits.len() != 11 || at(digits, 0) == 0 {
        return false;
    }
    let mut counts = [0_u8; 10];
    let mut product = 10_u32;
    for digit in digits.iter().take(10) {
        if let Some(count) = counts.get_mut(usize::from(*digit)) {
            *count += 1;
        }
        let sum = match (u32::from(*digit) + product) % 10 {
            0 => 10,
            sum => sum,
        };
        product = sum * 2 % 11;
    }
    let repeated = counts.iter().filter(|count| **count > 1).count();
    let check = (11 - product) % 10;
    repeated == 1 && counts.iter().all(|count| *count <= 3) && check == u32::from(at(digits, 10))
}

/// French NIR: sex, year, month, department, and the key 97 - number modulo 97.
pub fn nir(digits: &[u8]) -> bool {
    let month = number(digits, 3, 5);
    digits.len() == 15
        && matches!(at(digits, 0), 1..=4 | 7 | 8)
        && (matches!(month, 1..=12 | 20) || (30..=42).contains(&month) || month >= 50)
        && 97 - number(digits, 0, 13) % 97 == number(digits, 13, 15)
}

/// Dutch BSN: weights 9 to 2 and -1, modulo 11.
pub fn bsn(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[9, 8, 7, 6, 5, 4, 3, 2]) + 10 * u32::from(at(digits, 8));
    digits.len() == 9 && !all_equal(digits) && sum.is_multiple_of(11)
}

/// Polish PESEL: a birth date whose month holds the century; weights 1, 3, 7, 9.
pub fn pesel(digits: &[u8]) -> bool {
    let sum = weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]);
    digits.len() == 11 && is_date(number(digits, 0, 2), number(digits, 2, 4) % 20, number(digits, 4, 6)) && sum.is_multiple_of(10)
}

/// Belgian national number: 97 - number modulo 97, with a 2 before it for those born from 2000 on.
pub fn be_nrn(digits: &[u8]) -> bool {
    let (body, check) = (number(digits, 0, 9), number(digits, 9, 11));
    digits.len() == 11
        && is_date(number(digits, 0, 2), number(digits, 2, 4), number(digits, 4, 6))
        && (97 - body % 97 == check || 97 - (body + 2_000_000_000) % 97 == check)
}

/// Swiss AHV: 756 and the check digit of EAN-13.
pub fn ahv(digits: &[u8]) -> bool {
    digits.len() == 13
        && number(digits, 0, 3) == 756
        && weighted(digits, &[1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1, 3, 1]).is_multiple_of(10)
}

/// Swedish personal number, of 10 or 12 digits: a date (day + 60 for a coordination number) and Luhn over the last ten.
pub fn personnummer(digits: &[u8]) -> bool {
    let ten = match digits.len() {
        10 => digits,
        12 if matches!(number(digits, 0, 2), 18..=20) => digits.get(2..).unwrap_or_default(),
        _ => return false,
    };
    is_date(number(ten, 0, 2), number(ten, 2, 4), number(ten, 4, 6) % 60) && luhn(ten)
}

/// Danish CPR: a date. Its modulus has not been kept since 2007.
pub fn cpr(digits: &[u8]) -> bool {
    digits.len() == 10 && is_date(number(digits, 4, 6), number(digits, 2, 4), number(digits, 0, 2))
}

/// Czech and Slovak birth number since 1954: a date (month + 50 for women, + 20 where a day's numbers ran out), divisible by 11; until 1985 also
/// those whose first nine digits leave 10, with a 0 behind.
pub fn rodne_cislo(digits: &[u8]) -> bool {
    let month = match number(digits, 2, 4) % 50 {
        month if month > 20 => month - 20,
        month => month,
    };
    let divides = number(digits, 0, 10).is_multiple_of(11) || (number(digits, 0, 9) % 11 == 10 && at(digits, 9) == 0);
    digits.len() == 10 && is_date(number(digits, 0, 2), month, number(digits, 4, 6)) && divides
}

/// Norwegian number: a date (day + 40 for a D number) and two check digits, modulo 11.
pub fn fodselsnummer(digits: &[u8]) -> bool {
    digits.len() == 11
        && is_date(number(digits, 4, 6), number(digits, 2, 4), number(digits, 0, 2) % 40)
        && weighted(digits, &[3, 7, 6, 1, 8, 9, 4, 5, 2, 1]).is_multiple_of(11)
        && weighted(digits, &[5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)
}

/// Turkish number: the tenth and eleventh digits are sums.
pub fn kimlik(digits: &[u8]) -> bool {
    let odd: i64 = digits.iter().take(9).step_by(2).map(|digit| i64::from(*digit)).sum();
    let even: i64 = digits.iter().take(8).skip(1).step_by(2).map(|digit| i64::from(*digit)).sum();
    let ten: i64 = digits.iter().take(10).map(|digit| i64::from(*digit)).sum();
    digits.len() == 11
        && at(digits, 0) != 0
        && (odd * 7 - even).rem_euclid(10) == i64::from(at(digits, 9))
        && ten % 10 == i64::from(at(digits, 10))
}

const VERHOEFF_MULTIPLY: [[u8; 10]; 10] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 2, 3, 4, 0, 6, 7, 8, 9, 5],
    [2, 3, 4, 0, 1, 7, 8, 9, 5, 6],
    [3, 4, 0, 1, 2, 8, 9, 5, 6, 7],
    [4, 0, 1, 2, 3, 9, 5, 6, 7, 8],
    [5, 9, 8, 7, 6, 0, 4, 3, 2, 1],
    [6, 5, 9, 8, 7, 1, 0, 4, 3, 2],
    [7, 6, 5, 9, 8, 2, 1, 0, 4, 3],
    [8, 7, 6, 5, 9, 3, 2, 1, 0, 4],
    [9, 8, 7, 6, 5, 4, 3, 2, 1, 0],
];
const VERHOEFF_PERMUTE: [[u8; 10]; 8] = [
    [0, 1, 2, 3, 4, 5, 6, 7, 8, 9],
    [1, 5, 7, 6, 2, 8, 3, 0, 9, 4],
    [5, 8, 0, 3, 7, 9, 6, 1, 4, 2],
    [8, 9, 1, 6, 0, 4, 3, 5, 2, 7],
    [9, 4, 5, 3, 1, 2, 6, 8, 7, 0],
    [4, 2, 8, 6, 5, 7, 3, 9, 0, 1],
    [2, 7, 9, 3, 8, 0, 6, 4, 1, 5],
    [7, 0, 4, 6, 9, 1, 3, 2, 5, 8],
];

/// Indian Aadhaar: first digit 2 to 9, Verhoeff's check (J. Verhoeff, Error Detecting Decimal Codes, 1969).
pub fn aadhaar(digits: &[u8]) -> bool {
    let sum = digits.iter().rev().enumerate().fold(0_u8, |sum, (place, digit)| {
        let permuted = VERHOEFF_PERMUTE.get(place % 8).map_or(0, |row| at(row, usize::from(*digit)));
        VERHOEFF_MULTIPLY.get(usize::from(sum)).map_or(0, |row| at(row, usize::from(permuted)))
    });
    digits.len() == 12 && at(digits, 0) > 1 && !all_equal(digits) && sum == 0
}

/// Australian tax file number: weights, modulo 11.
pub fn tfn(digits: &[u8]) -> bool {
    digits.len() == 9 && !all_equal(digits) && weighted(digits, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)
}

/// Australian business number: one less in the first digit, weights, modulo 89.
pub fn abn(digits: &[u8]) -> bool {
    digits.len() == 11
        && at(digits, 0) != 0
        && (weighted(digits, &[10, 1, 3, 5, 7, 9, 11, 13, 15, 17, 19]) - 10).is_multiple_of(89)
}

/// Australian Medicare: first digit 2 to 6; the ninth checks the first eight. Ten digits, or eleven with the person's.
pub fn au_medicare(digits: &[u8]) -> bool {
    matches!(digits.len(), 10 | 11)
        && matches!(at(digits, 0), 2..=6)
        && weighted(digits, &[1, 3, 7, 9, 1, 3, 7, 9]) % 10 == u32::from(at(digits, 8))
}

/// Canadian SIN: Luhn; 0 and 8 do not begin a person's.
pub fn sin(digits: &[u8]) -> bool {
    digits.len() == 9 && !matches!(at(digits, 0), 0 | 8) && luhn(digits)
}

/// Brazilian CPF: two check digits, modulo 11.
pub fn cpf(digits: &[u8]) -> bool {
    let check = |count: usize| {
        let sum: usize =
            digits.iter().take(count).enumerate().map(|(place, digit)| usize::from(*digit) * (count + 1 - place)).sum();
        (sum * 10 % 11 % 10) == usize::from(at(digits, count))
    };
    digits.len() == 11 && !all_equal(digits) && check(9) && check(10)
}

/// Chinese resident number: 17 digits with a date, and the check character (ISO 7064 modulo 11, 2); `x` if that is X.
pub fn china(digits: &[u8], x: bool) -> bool {
    let sum = weighted(digits.get(..17).unwrap_or_default(), &[7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2]);
    let check = (12 - sum % 11) % 11;
    let year = number(digits, 6, 10);
    let holds = if x { digits.len() == 17 && check == 10 } else { digits.len() == 18 && check == u32::from(at(digits, 17)) };
    holds && at(digits, 0) != 0 && (1900..2100).contains(&year) && is_date(year, number(digits, 10, 12), number(digits, 12, 14))
}

/// Korean registration number: a date and the century's digit. Its check digit has not been kept since 2020.
pub fn korea(digits: &[u8]) -> bool {
    digits.len() == 13
        && is_date(number(digits, 0, 2), number(digits, 2, 4), number(digits, 4, 6))
        && matches!(at(digits, 6), 1..=8)
}

/// South African number: a date, citizenship 0 to 2, Luhn.
pub fn south_africa(digits: &[u8]) -> bool {
    digits.len() == 13
        && is_date(number(digits, 0, 2), number(digits, 2, 4), number(digits, 4, 6))
        && at(digits, 10) <= 2
        && luhn(digits)
}

/// Japanese individual number: weights 6 to 2 and 7 to 2, modulo 11.
pub fn my_number(digits: &[u8]) -> bool {
    let rest = weighted(digits, &[6, 5, 4, 3, 2, 7, 6, 5, 4, 3, 2]) % 11;
    let check = if rest <= 1 { 0 } else { 11 - rest };
    digits.len() == 12 && !all_equal(digits) && check == u32::from(at(digits, 11))
}
