//! Check digits and checksums: pure functions over digits (values 0 to 9) or bytes. None reads more than it is given.

mod codes;
mod national;
mod plain;
#[cfg(test)]
mod tests;
mod wallets;

pub use codes::{codice_fiscale, curp, dni, hetu, iban, icd10, kvnr, mbi, nie, nino, nir_corsica, nric, pan, vin};
pub use national::{
    aadhaar, abn, ahv, au_medicare, be_nrn, bsn, china, cpf, cpr, de_tax_id, fodselsnummer, kimlik, korea, my_number, nhs, nir,
    personnummer, pesel, rodne_cislo, sin, south_africa, tfn,
};
pub use plain::{aba, card, imei, itin, luhn, npi, ssn};
pub use wallets::{base58check, bech32, ethereum};

/// Whether year (two digits or four), month and day can be a date; a two-digit year is not checked for leap days.
pub fn is_date(year: u64, month: u64, day: u64) -> bool {
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year < 100 || (year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))) => 29,
        2 => 28,
        _ => 0,
    };
    (1..=days).contains(&day)
}

/// The weighted sum of digits.
fn weighted(digits: &[u8], weights: &[u32]) -> u32 {
    digits.iter().zip(weights).map(|(digit, weight)| u32::from(*digit) * weight).sum()
}
