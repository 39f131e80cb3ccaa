//! Words of letters and digits: national codes, IBANs, postcodes, wallets, vehicles.

use super::{Offer, Pass, is_code_byte};
use crate::bytes::{at, before, part, run};
use crate::checks;
use crate::context::Topic;
use crate::hit::{Reason, Why};
use crate::kind::Kind;

/// An IBAN is at most so long (ISO 13616: 34 characters).
const IBAN_BYTES_MAX: usize = 34;
/// What lower case takes from a code that is written in upper case.
const LOWER_LOSS: f32 = 0.1;

const MBI: &[u8] = b"9AX9AX9AA99";
const CHECKED: Why = Why::of(Reason::Pattern).and(Reason::Checksum);
const SHAPED: Why = Why::of(Reason::Pattern);

struct CodeRule {
    kind: Kind,
    /// `A` a letter, `9` a digit, `X` either; the length counts.
    shape: &'static [u8],
    check: fn(&[u8]) -> bool,
    base: f32,
    topic: Topic,
    why: Why,
}

const fn rule(kind: Kind, shape: &'static [u8], check: fn(&[u8]) -> bool, base: f32, topic: Topic, why: Why) -> CodeRule {
    CodeRule { kind, shape, check, base, topic, why }
}

const RULES: &[CodeRule] = &[
    rule(Kind::EsDni, b"99999999A", checks::dni, 0.7, Topic::Dni, CHECKED),
    rule(Kind::EsNie, b"A9999999A", checks::nie, 0.75, Topic::Dni, CHECKED),
    rule(Kind::SgNric, b"A9999999A", checks::nric, 0.7, Topic::Nric, CHECKED),
    rule(Kind::UkNino, b"AA999999A", checks::nino, 0.7, Topic::Nino, SHAPED),
    rule(Kind::ItCodiceFiscale, b"AAAAAA99A99A999A", checks::codice_fiscale, 0.95, Topic::CodiceFiscale, CHECKED),
    rule(Kind::DeKvnr, b"A999999999", checks::kvnr, 0.35, Topic::Kvnr, CHECKED),
    rule(Kind::UsMbi, MBI, checks::mbi, 0.45, Topic::Mbi, SHAPED),
    rule(Kind::InPan, b"AAAAA9999A", checks::pan, 0.55, Topic::Pan, SHAPED),
    rule(Kind::MxCurp, b"AAAA999999AAAAAAX9", checks::curp, 0.95, Topic::Curp, CHECKED),
    rule(Kind::FiHetu, b"999999A999X", checks::hetu, 0.8, Topic::Nordic, CHECKED),
    rule(Kind::FrNir, b"999999A99999999", checks::nir_corsica, 0.8, Topic::Nir, CHECKED),
    rule(Kind::CnResidentId, b"99999999999999999A", china_x, 0.8, Topic::China, CHECKED),
    rule(Kind::Vehicle, b"XXXXXXXXXXXXXXXXX", checks::vin, 0.5, Topic::Vehicle, CHECKED),
    rule(Kind::Diagnosis, b"A99", checks::icd10, 0.15, Topic::Diagnosis, SHAPED),
];

fn china_x(code: &[u8]) -> bool {
    let digits: Vec<u8> = code.iter().take(17).map(|byte| byte.wrapping_sub(b'0')).collect();
    at(code, 17) == b'X' && checks::china(&digits, true)
}

fn has_shape(code: &[u8], shape: &[u8]) -> bool {
    code.len() == shape.len()
        && code.iter().zip(shape).all(|(byte, wanted)| match wanted {
            b'A' => byte.is_ascii_uppercase(),
            b'9' => byte.is_ascii_digit(),
            _ => byte.is_ascii_uppercase() || byte.is_ascii_digit(),
        })
}

impl Pass<'_> {
    /// A word of letters and digits.
    pub(super) fn code(&mut self, start: usize, end: usize) {
        let word = part(self.text, start, end);
        if at(word, 0).is_ascii_digit() && end - start <= 4 && self.date(start) {
            return;
        }
        if at(word, 0).is_ascii_digit() {
            let digits_end = run(self.text, start, 4, |byte| byte.is_ascii_digit());
            self.age(start, digits_end);
        }
        self.iban(start, end);
        if end - start == 2 {
            self.mac_around(start, end);
        }
        if end - start >= 26 {
            self.wallet(start, end);
            return;
        }
        if self.glued_left(start) && !matches!(before(self.text, start), b':' | b',') {
            return;
        }
        self.mbi_in_groups(start);
        let upper = word.to_ascii_uppercase();
        let loss = if upper == word { 0.0 } else { LOWER_LOSS };
        let right = self.glued_right(end);
        for rule in RULES {
            if has_shape(&upper, rule.shape) && (!right || rule.kind == Kind::Diagnosis) && (rule.check)(&upper) {
                let end = if rule.kind == Kind::Diagnosis { self.after_subcode(end) } else { end };
                let (kind, base, topic, why) = (rule.kind, rule.base - loss, Some(rule.topic), rule.why);
                self.offer(Offer { kind, start, end, base, topic, why });
            }
        }
        self.postcode(start, end);
        self.contextual(start, end);
    }

    /// `1EG4-TE5-MK73`, as it stands on the card.
    fn mbi_in_groups(&mut self, start: usize) {
        let end = start + MBI.len() + 2;
        let [head @ .., b'-', _, _, _, b'-', _, _, _, _] = part(self.text, start, end) else { return };
        let code: Vec<u8> = part(self.text, start, end).iter().filter(|byte| **byte != b'-').copied().collect();
        if head.len() == 4 && has_shape(&code, MBI) && checks::mbi(&code) && !self.glued_right(end) {
            self.offer(Offer { kind: Kind::UsMbi, start, end, base: 0.5, topic: Some(Topic::Mbi), why: SHAPED });
        }
    }

    /// The end of `.9` behind the code of a disease.
    fn after_subcode(&self, end: usize) -> usize {
        let tail = run(self.text, end + 1, 4, |byte| byte.is_ascii_alphanumeric());
        if at(self.text, end) == b'.' && tail > end + 1 { tail } else { end }
    }

    /// An IBAN that starts here, in one word or in groups with spaces or dashes.
    fn iban(&mut self, start: usize, end: usize) {
        let head = part(self.text, start, start + 4);
        let fits = |place: usize, test: fn(&u8) -> bool| test(&at(head, place));
        let is_head = fits(0, u8::is_ascii_alphabetic)
            && fits(1, u8::is_ascii_alphabetic)
            && fits(2, u8::is_ascii_digit)
            && fits(3, u8::is_ascii_digit);
        if !is_head || end - start > IBAN_BYTES_MAX || self.glued_left(start) {
            return;
        }
        let mut code = Vec::with_capacity(IBAN_BYTES_MAX);
        let mut place = start;
        while code.len() < IBAN_BYTES_MAX {
            let byte = at(self.text, place);
            if byte.is_ascii_alphanumeric() {
                code.push(byte.to_ascii_uppercase());
            } else if !matches!(byte, b' ' | b'-') || !at(self.text, place + 1).is_ascii_alphanumeric() {
                break;
            }
            place += 1;
            let ends_word = !is_code_byte(at(self.text, place));
            if ends_word && code.len() >= 15 && checks::iban(&code) {
                self.steps += (place - start) as u64;
                let why = CHECKED.and(Reason::Range);
                self.offer(Offer { kind: Kind::Iban, start, end: place, base: 0.95, topic: Some(Topic::Bank), why });
                return;
            }
        }
        self.steps += (place - start) as u64;
    }

    fn wallet(&mut self, start: usize, end: usize) {
        let word = part(self.text, start, end);
        let base58 = matches!(at(word, 0), b'1' | b'3' | b'L' | b'M' | b'D' | b'X' | b'T' | b'A' | b'9' | b'm' | b'n' | b'2');
        let is_bech32 = [&b"bc1"[..], b"tb1", b"ltc1"].iter().any(|prefix| word.starts_with(prefix));
        let (base, why) = if is_bech32 && checks::bech32(word) || base58 && checks::base58check(word) {
            (0.95, CHECKED)
        } else if checks::ethereum(word) {
            (0.6, SHAPED)
        } else {
            return;
        };
        self.offer(Offer { kind: Kind::CryptoAddress, start, end, base, topic: Some(Topic::Wallet), why });
    }

    /// `SW1A 1AA` or `K1A 0B1`: an outward word here and an inward one behind.
    fn postcode(&mut self, start: usize, end: usize) {
        let outward = part(self.text, start, end);
        let inward = part(self.text, end + 1, end + 4);
        let inward_fits = at(inward, 0).is_ascii_digit() && at(self.text, end) == b' ' && !is_code_byte(at(self.text, end + 4));
        if !inward_fits || !at(outward, 0).is_ascii_uppercase() {
            return;
        }
        let letter = |bytes: &[u8], place: usize| at(bytes, place).is_ascii_uppercase();
        let digit = |bytes: &[u8], place: usize| at(bytes, place).is_ascii_digit();
        let canada = outward.len() == 3 && digit(outward, 1) && letter(outward, 2) && letter(inward, 1) && digit(inward, 2);
        let area = if letter(outward, 1) { 2 } else { 1 };
        let kingdom = (2..=4).contains(&outward.len())
            && digit(outward, area)
            && outward.len() <= area + 2
            && letter(inward, 1)
            && letter(inward, 2)
            && !part(inward, 1, 3).iter().any(|byte| b"CIKMOV".contains(byte));
        if canada || kingdom {
            let kind = Kind::PostalCode;
            self.offer(Offer { kind, start, end: end + 4, base: 0.6, topic: Some(Topic::Zip), why: SHAPED });
        }
    }
}
