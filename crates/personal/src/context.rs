//! Words near a number that say what it is. One automaton knows all of them; only candidates pay for it.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};

use crate::PersonalError;
use crate::bytes::{at, before, part};

/// Bytes before a candidate that are read for words.
const BEFORE_BYTES: usize = 64;
/// Bytes after it.
const AFTER_BYTES: usize = 24;
/// Distance of a topic that nothing names.
const FAR: u8 = u8::MAX;
/// Where a column's own name is thought to stand.
const HEADER_DISTANCE: u8 = 6;

macro_rules! topics {
    ($($topic:ident: $words:literal;)+) => {
        /// What words can speak of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Topic { $($topic,)+ }
        const TOPIC_COUNT: usize = [$(Topic::$topic,)+].len();
        /// A topic and its words, separated by `|`. A word of letters may be followed by a plural's s.
        const WORDS: [(Topic, &str); TOPIC_COUNT] = [$((Topic::$topic, $words),)+];
    };
}

topics! {
    Phone: "phone|telephone|tel|mobile|cell|cellphone|call|called|calling|contact|sms|text me|whatsapp|office|handy|telefon|téléphone|telefono|teléfono|messages to|dial|ring|reach|answering|hotline|ph|landline|voicemail|my number|left the number|móvil|movil|celular|telefone|fone|mob|тел|Тел|телефон|Телефон|моб|Моб|мобильный|звоните|电话|手机|電話|手機|携帯|전화|휴대폰|연락처";
    Fax: "fax|telefax";
    Card: "card|credit|debit|visa|mastercard|amex|american express|maestro|cc|pan|payment|carte|kreditkarte|tarjeta|cvv|cvc";
    Bank: "iban|account|acct|bank|konto|kontonummer|compte|cuenta|routing|aba|sort code|wire|transfer|swift|bic|deposit|a/c";
    Ssn: "ssn|ssns|ss#|social security|social sec|ssid";
    Itin: "itin|taxpayer|tax id|tin|individual taxpayer";
    Passport: "passport|passeport|reisepass|pasaporte|passaporto|paspoort|travel document";
    Licence: "driver|drivers|driver's|driving|licence|license|dl|dlno|permit|führerschein|permis|dl#|lic";
    Nhs: "nhs|national health";
    Nino: "nino|national insurance|ni number|ni no";
    TaxDe: "steuer|steuer-id|steueridentifikationsnummer|idnr|steuernummer|tax id|tin|identifikationsnummer";
    Dni: "dni|nie|nif|documento|identidad";
    Nir: "nir|sécurité sociale|securite sociale|insee|numéro de sécu|sécu|secu|social security";
    CodiceFiscale: "codice fiscale|codice|fiscale|cf";
    Bsn: "bsn|burgerservicenummer|sofinummer|sofi";
    Pesel: "pesel";
    Belgium: "rijksregister|rijksregisternummer|registre national|nrn|national number|niss|insz";
    Ahv: "ahv|avs|oasi|sozialversicherung";
    Nordic: "personnummer|person number|cpr|fødselsnummer|fodselsnummer|hetu|henkilötunnus|personal identity|personal number|samordningsnummer";
    Kimlik: "kimlik|tckn|tc no";
    Aadhaar: "aadhaar|aadhar|uidai|uid";
    Pan: "pan|permanent account|income tax";
    Tfn: "tfn|tax file";
    Abn: "abn|business number";
    Medicare: "medicare";
    Nric: "nric|fin|singpass";
    Sin: "sin|social insurance|nas";
    Cpf: "cpf|cadastro";
    Curp: "curp";
    China: "身份证|resident id|resident identity|id card|citizen id";
    Korea: "주민|rrn|resident registration";
    SouthAfrica: "id number|identity number|rsa id|sa id";
    MyNumber: "my number|mynumber|マイナンバー|individual number";
    NationalId: "national id|national identity|identity card|id card|personal id|citizen";
    Birth: "born|birth|dob|d.o.b|birthday|birthdate|date of birth|geboren|geburtsdatum|né le|née le|nacido|nacimiento|nato|data di nascita|geb";
    Age: "age|aged|years old|year old|year-old|yo|y/o";
    MedicalRecord: "mrn|medical record|patient id|patient no|patient number|chart|hospital number|med rec|case number|record number|accession";
    HealthPlan: "health plan|member id|member no|member number|beneficiary|insurance|policy|subscriber|group number|medicaid|mbi|krankenkasse|versichertennummer|plan id";
    Kvnr: "kvnr|krankenversichertennummer|versichertennummer|versichertennr|krankenkasse|krankenversicherung|egk|health insurance";
    Mbi: "mbi|medicare|beneficiary";
    Czech: "rodné číslo|rodne cislo|rodné č|rodného čísla|rodným číslem|rodnom čísle|rč|birth number";
    Diagnosis: "diagnosis|diagnosed|icd|icd-10|icd10|dx|condition|disease";
    Device: "imei|serial|device|imsi|udid|handset";
    Vehicle: "vin|vehicle|chassis|car";
    Provider: "npi|provider";
    Wallet: "wallet|bitcoin|btc|ethereum|eth|crypto|litecoin|ltc|address|doge|usdt";
    Secret: "api key|apikey|api_key|api-key|secret|token|access key|access_key|bearer|authorization|client_secret|auth|secret_key|credential";
    Network: "ip|ipv4|ipv6|host|server|client|remote|address|login|logged|blocked|proxy|network|from";
    Zip: "zip|zip code|zipcode|postal|postcode|post code|plz|code postal|postleitzahl";
    Against: "order|invoice|ref|reference|tracking|isbn|ean|upc|sku|version|ver|release|build|rev|revision|part|ticket|issue|issn|doi|timestamp|epoch|hash|checksum|commit|port|pid|batch|lot|total|amount|price|qty|quantity|bytes|pixels|uuid|guid|sha|md5|firmware|article|lines|rows|count|size";
}

/// The automaton over all words of all topics.
#[derive(Debug)]
pub struct ContextWords {
    automaton: AhoCorasick,
    topics: Vec<Topic>,
}

/// How near the nearest word of each topic is, in bytes.
#[derive(Clone, Copy, Debug)]
pub struct Near([u8; TOPIC_COUNT]);

impl Near {
    /// No word near.
    pub const NOTHING: Self = Self([FAR; TOPIC_COUNT]);

    /// The distance of the topic's nearest word, if there is one.
    pub fn distance(&self, topic: Topic) -> Option<u8> {
        Some(at(&self.0, topic as usize)).filter(|distance| *distance != FAR)
    }

    /// Whether a word of the topic is near.
    pub fn has(&self, topic: Topic) -> bool {
        self.distance(topic).is_some()
    }

    fn note(&mut self, topic: Topic, distance: u8) {
        if let Some(known) = self.0.get_mut(topic as usize) {
            *known = (*known).min(distance);
        }
    }

    /// The nearer of both, topic by topic.
    pub fn with(mut self, other: &Self) -> Self {
        for (known, new) in self.0.iter_mut().zip(other.0) {
            *known = (*known).min(new);
        }
        self
    }
}

impl ContextWords {
    pub fn new() -> Result<Self, PersonalError> {
        let mut topics = Vec::new();
        let mut words = Vec::new();
        for (topic, list) in WORDS {
            for word in list.split('|') {
                topics.push(topic);
                words.push(word);
            }
        }
        let automaton = AhoCorasick::builder()
            .ascii_case_insensitive(true)
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&words)
            .map_err(PersonalError::automaton)?;
        Ok(Self { automaton, topics })
    }

    /// The words near `start..end`.
    pub fn near(&self, text: &[u8], start: usize, end: usize) -> Near {
        let mut near = Near::NOTHING;
        let from = start.saturating_sub(BEFORE_BYTES);
        let leading = part(text, from, start);
        self.each(leading, |topic, _, word_end| near.note(topic, short(leading.len() - word_end)));
        let trailing = part(text, end, end.saturating_add(AFTER_BYTES));
        // A line's end closes what follows a number: there the next one's label may begin.
        let line = trailing.split(|byte| *byte == b'\n').next().unwrap_or_default();
        // What stands behind counts as if it stood further off.
        self.each(line, |topic, word_start, _| near.note(topic, short(word_start + 16)));
        near
    }

    /// The topics of a column's name, written with spaces.
    pub fn of_header(&self, header: &str) -> Near {
        let mut near = Near::NOTHING;
        self.each(header.as_bytes(), |topic, _, _| near.note(topic, HEADER_DISTANCE));
        near
    }

    fn each(&self, window: &[u8], mut found: impl FnMut(Topic, usize, usize)) {
        for word in self.automaton.find_overlapping_iter(window) {
            let (start, end) = (word.start(), word.end());
            let next = at(window, end);
            // Chinese and Korean words have no space between them.
            let alone = is_unspaced(at(window, start));
            let ends = !is_letter(next) || (matches!(next, b's' | b'S') && !is_letter(at(window, end + 1)));
            if (alone || ends && !is_letter(before(window, start)))
                && let Some(topic) = self.topics.get(word.pattern().as_usize())
            {
                found(*topic, start, end);
            }
        }
    }
}

const fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || byte >= 0x80
}

/// Whether a letter begins with this byte that belongs to a writing without spaces: of three bytes, from U+3000 on.
const fn is_unspaced(byte: u8) -> bool {
    matches!(byte, 0xE3..=0xED)
}

fn short(distance: usize) -> u8 {
    u8::try_from(distance).unwrap_or(FAR - 1).min(FAR - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, topic: Topic, expected: bool) {
        let words = ContextWords::new().unwrap();
        let start = text.find('#').unwrap();
        assert_eq!(words.near(text.as_bytes(), start, start + 1).has(topic), expected, "{text}");
    }

    #[test]
    fn whole_words_near_count() {
        check("my SSN is #", Topic::Ssn, true);
        check("SSNS: #", Topic::Ssn, true);
        check("assn is #", Topic::Ssn, false);
        check("# is my SSN", Topic::Ssn, true);
        check("#\nSSN next", Topic::Ssn, false);
        check("né le #", Topic::Birth, true);
        check(&format!("SSN {}#", "x ".repeat(40)), Topic::Ssn, false);
        check("身份证#", Topic::China, true);
        check("我的手机是#", Topic::Phone, true);
        check("Тел.: #", Topic::Phone, true);
        check("отель #", Topic::Phone, false);
    }

    #[test]
    fn the_nearer_word_is_nearer() {
        let words = ContextWords::new().unwrap();
        let near = words.near(b"card of mine, my ssn 1", 21, 22);
        assert!(near.distance(Topic::Ssn) < near.distance(Topic::Card));
        assert!(words.of_header("mobile phone").has(Topic::Phone));
    }
}
