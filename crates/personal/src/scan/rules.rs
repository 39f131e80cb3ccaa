//! Numbers made of digits: their groups, their check and how much a match is worth without words nearby.

use crate::checks;
use crate::context::Topic;
use crate::hit::{Reason, Why};
use crate::kind::Kind;

/// How groups are separated.
#[derive(Clone, Copy, Debug)]
pub enum Separators {
    /// By one of these bytes, the same each time.
    Same(&'static [u8]),
    /// By these bytes, in this order.
    Exact(&'static [u8]),
}

/// One shape of one kind of number.
#[derive(Clone, Copy, Debug)]
pub struct NumberRule {
    pub kind: Kind,
    /// The lengths of the groups of digits.
    pub shape: &'static [u8],
    pub separators: Separators,
    pub check: fn(&[u8]) -> bool,
    /// The score without words nearby. A check digit alone lets one number in ten pass, so a bare number is worth little.
    pub base: f32,
    pub topic: Topic,
    /// What a match says.
    pub why: Why,
}

const NONE: Separators = Separators::Same(b"");
const DASH: Separators = Separators::Same(b"-");
const SPACE: Separators = Separators::Same(b" ");
const SPACE_DASH: Separators = Separators::Same(b" -");

const CHECKED: Why = Why::of(Reason::Pattern).and(Reason::Checksum);
const ISSUED: Why = CHECKED.and(Reason::Range);
const SHAPED: Why = Why::of(Reason::Pattern).and(Reason::Range);

type Check = fn(&[u8]) -> bool;
type Shape = (&'static [u8], Separators, f32);

/// One kind: its check, its topic, and its shapes.
const KINDS: &[(Kind, Check, Topic, Why, &[Shape])] = &[
    (
        Kind::PaymentCard,
        checks::card,
        Topic::Card,
        ISSUED,
        &[
            (&[16], NONE, 0.7),
            (&[4, 4, 4, 4], SPACE_DASH, 0.9),
            (&[15], NONE, 0.7),
            (&[4, 6, 5], SPACE_DASH, 0.9),
            (&[14], NONE, 0.55),
            (&[4, 6, 4], SPACE_DASH, 0.9),
            (&[13], NONE, 0.45),
            (&[12], NONE, 0.35),
            (&[19], NONE, 0.7),
            (&[17], NONE, 0.5),
            (&[18], NONE, 0.5),
            (&[4, 4, 4, 4, 3], SPACE_DASH, 0.9),
        ],
    ),
    // A card of an issuer that is not known here: only words nearby make one of it.
    (
        Kind::PaymentCard,
        checks::luhn,
        Topic::Card,
        CHECKED,
        &[
            (&[16], NONE, 0.2),
            (&[15], NONE, 0.2),
            (&[14], NONE, 0.2),
            (&[13], NONE, 0.2),
            (&[12], NONE, 0.2),
            (&[4, 4, 4, 4], SPACE_DASH, 0.3),
        ],
    ),
    (Kind::UsSsn, checks::ssn, Topic::Ssn, SHAPED, &[(&[3, 2, 4], DASH, 0.6), (&[3, 2, 4], SPACE, 0.4), (&[9], NONE, 0.15)]),
    (Kind::UsItin, checks::itin, Topic::Itin, SHAPED, &[(&[3, 2, 4], DASH, 0.6), (&[3, 2, 4], SPACE, 0.4), (&[9], NONE, 0.12)]),
    (Kind::UkNhs, checks::nhs, Topic::Nhs, CHECKED, &[(&[3, 3, 4], SPACE, 0.45), (&[3, 3, 4], DASH, 0.3), (&[10], NONE, 0.2)]),
    (
        Kind::DeTaxId,
        checks::de_tax_id,
        Topic::TaxDe,
        CHECKED,
        &[(&[2, 3, 3, 3], Separators::Same(b" /"), 0.6), (&[11], NONE, 0.3)],
    ),
    (
        Kind::FrNir,
        checks::nir,
        Topic::Nir,
        CHECKED,
        &[(&[1, 2, 2, 2, 3, 3, 2], SPACE, 0.9), (&[15], NONE, 0.6), (&[13, 2], SPACE, 0.7)],
    ),
    (Kind::NlBsn, checks::bsn, Topic::Bsn, CHECKED, &[(&[9], NONE, 0.2), (&[4, 2, 3], Separators::Same(b". "), 0.45)]),
    (Kind::PlPesel, checks::pesel, Topic::Pesel, CHECKED, &[(&[11], NONE, 0.4)]),
    (
        Kind::BeNrn,
        checks::be_nrn,
        Topic::Belgium,
        CHECKED,
        &[(&[2, 2, 2, 3, 2], Separators::Exact(b"..-."), 0.9), (&[11], NONE, 0.4)],
    ),
    (Kind::ChAhv, checks::ahv, Topic::Ahv, ISSUED, &[(&[3, 4, 4, 2], Separators::Same(b". "), 0.95), (&[13], NONE, 0.6)]),
    (
        Kind::SePersonnummer,
        checks::personnummer,
        Topic::Nordic,
        CHECKED,
        &[(&[6, 4], DASH, 0.55), (&[8, 4], DASH, 0.75), (&[10], NONE, 0.18), (&[12], NONE, 0.35)],
    ),
    (
        Kind::CzRodneCislo,
        checks::rodne_cislo,
        Topic::Czech,
        CHECKED,
        &[(&[6, 4], Separators::Same(b"/"), 0.45), (&[10], NONE, 0.18)],
    ),
    (Kind::DkCpr, checks::cpr, Topic::Nordic, SHAPED, &[(&[6, 4], DASH, 0.4), (&[10], NONE, 0.15)]),
    (Kind::NoFodselsnummer, checks::fodselsnummer, Topic::Nordic, CHECKED, &[(&[11], NONE, 0.6), (&[6, 5], SPACE, 0.8)]),
    (Kind::TrKimlik, checks::kimlik, Topic::Kimlik, CHECKED, &[(&[11], NONE, 0.35)]),
    (Kind::InAadhaar, checks::aadhaar, Topic::Aadhaar, CHECKED, &[(&[4, 4, 4], SPACE_DASH, 0.6), (&[12], NONE, 0.2)]),
    (Kind::AuTfn, checks::tfn, Topic::Tfn, CHECKED, &[(&[3, 3, 3], SPACE_DASH, 0.35), (&[9], NONE, 0.2)]),
    (Kind::AuAbn, checks::abn, Topic::Abn, CHECKED, &[(&[2, 3, 3, 3], SPACE, 0.6), (&[11], NONE, 0.3)]),
    (
        Kind::AuMedicare,
        checks::au_medicare,
        Topic::Medicare,
        CHECKED,
        &[(&[4, 5, 1], SPACE_DASH, 0.6), (&[10], NONE, 0.2), (&[11], NONE, 0.15)],
    ),
    (Kind::CaSin, checks::sin, Topic::Sin, CHECKED, &[(&[3, 3, 3], SPACE_DASH, 0.4), (&[9], NONE, 0.2)]),
    (Kind::BrCpf, checks::cpf, Topic::Cpf, CHECKED, &[(&[3, 3, 3, 2], Separators::Exact(b"..-"), 0.9), (&[11], NONE, 0.35)]),
    (Kind::CnResidentId, |digits| checks::china(digits, false), Topic::China, CHECKED, &[(&[18], NONE, 0.8)]),
    (Kind::KrRrn, checks::korea, Topic::Korea, SHAPED, &[(&[6, 7], DASH, 0.55), (&[13], NONE, 0.2)]),
    (Kind::ZaId, checks::south_africa, Topic::SouthAfrica, CHECKED, &[(&[13], NONE, 0.45), (&[6, 4, 3], SPACE, 0.6)]),
    (Kind::JpMyNumber, checks::my_number, Topic::MyNumber, CHECKED, &[(&[12], NONE, 0.2), (&[4, 4, 4], SPACE_DASH, 0.3)]),
    (Kind::BankAccount, checks::aba, Topic::Bank, ISSUED, &[(&[9], NONE, 0.2)]),
    (Kind::DeviceId, checks::imei, Topic::Device, CHECKED, &[(&[15], NONE, 0.3), (&[2, 6, 6, 1], SPACE_DASH, 0.6)]),
    (Kind::PersonId, checks::npi, Topic::Provider, CHECKED, &[(&[10], NONE, 0.2)]),
];

/// All rules, by the length of their first group.
#[derive(Debug)]
pub struct NumberRules {
    by_first: Vec<Vec<NumberRule>>,
}

impl NumberRules {
    pub fn new() -> Self {
        let mut by_first: Vec<Vec<NumberRule>> = vec![Vec::new(); crate::bytes::Digits::MAX];
        for (kind, check, topic, why, shapes) in KINDS {
            for (shape, separators, base) in *shapes {
                let first = shape.first().copied().unwrap_or(0);
                if let Some(rules) = by_first.get_mut(usize::from(first)) {
                    rules.push(NumberRule {
                        kind: *kind,
                        shape,
                        separators: *separators,
                        check: *check,
                        base: *base,
                        topic: *topic,
                        why: *why,
                    });
                }
            }
        }
        Self { by_first }
    }

    /// The rules whose first group has so many digits.
    pub fn starting(&self, digits: usize) -> &[NumberRule] {
        self.by_first.get(digits).map_or(&[], Vec::as_slice)
    }
}

/// Whether these separators are what the rule asks for.
pub fn separators_fit(wanted: Separators, found: impl Iterator<Item = u8>) -> bool {
    match wanted {
        Separators::Same(allowed) => {
            let mut first = None;
            found.into_iter().all(|byte| allowed.contains(&byte) && *first.get_or_insert(byte) == byte)
        }
        Separators::Exact(exact) => found.eq(exact.iter().copied()),
    }
}
