//! The seeded corpus: sentences with one or two entities each, and as many that only look like it. Names, sentences and
//! number generators are the bench's own: nothing here is shared with what the recogniser learns from.

use serde_json::{Value, json};

const GIVEN: &[&str] = &[
    "Aurelio",
    "Bente",
    "Cosmin",
    "Danuta",
    "Efua",
    "Fergus",
    "Gudrun",
    "Hadewych",
    "Ifeoma",
    "Jolene",
    "Kwabena",
    "Laszlo",
    "Mireille",
    "Nadezhda",
    "Oluwaseun",
    "Priyanka",
    "Rosalind",
    "Sigurd",
    "Tamsin",
    "Umberto",
    "Wiktor",
    "Ximena",
    "Yevgenia",
    "Zbigniew",
    "Karen",
    "Michael",
    "Sarah",
    "David",
    "Emily",
    "Robert",
];
const SURNAMES: &[&str] = &[
    "Achterberg",
    "Bakare",
    "Castellano",
    "Dragomir",
    "Eklund",
    "Fairweather",
    "Grabowski",
    "Hollingsworth",
    "Ikeda",
    "Jarvinen",
    "Kowalczyk",
    "Lindholm",
    "Mbeki",
    "Nakagawa",
    "Okonkwo",
    "Pettigrew",
    "Quaresma",
    "Rasmussen",
    "Stavropoulos",
    "Thistlewood",
    "Ulvaeus",
    "Vandermeer",
    "Wojcik",
    "Yamaguchi",
    "Zamora",
    "Johnson",
    "Williams",
    "Brown",
    "Miller",
    "Davis",
];
const TOWNS: &[&str] = &[
    "Eindhoven",
    "Trondheim",
    "Ludlow",
    "Gaborone",
    "Tampere",
    "Cluj",
    "Arequipa",
    "Chattanooga",
    "Wollongong",
    "Kingston",
    "Bruges",
    "Pforzheim",
    "Boise",
    "Galveston",
    "Saskatoon",
    "Paris",
    "Chicago",
    "Berlin",
    "Toronto",
    "Madrid",
];
const STREETS: &[&str] =
    &["Alder Lane", "Beacon Street", "Cobbler Road", "Dunmore Avenue", "Elmwood Drive", "Foundry Way", "Granary Court"];
const COMPANIES: &[&str] = &[
    "Brightwater Logistics",
    "Helvora Inc",
    "Northgate Foods Ltd",
    "Quillmark Systems",
    "Tessaline GmbH",
    "Umbra Analytics",
    "Veldkamp Group",
    "Microsoft",
    "Siemens",
    "Deloitte",
    "Toyota",
    "Pfizer",
];
const PEOPLES: &[&str] = &["Danish", "Kenyan", "Peruvian", "Thai", "Irish", "Moroccan", "Catholic", "Buddhist"];

/// Sentences with slots; `{KIND}` is replaced by one of its kind.
const TEMPLATES: &[&str] = &[
    "You can write to {EMAIL_ADDRESS} at any time.",
    "{PERSON} uses {EMAIL_ADDRESS} for work.",
    "Forward this to {EMAIL_ADDRESS}, thanks.",
    "Ring me on {PHONE_NUMBER} after lunch.",
    "Her mobile number is {PHONE_NUMBER}.",
    "Tel: {PHONE_NUMBER}",
    "{PERSON} left the number {PHONE_NUMBER}.",
    "The purchase was made with card {CREDIT_CARD}.",
    "Visa {CREDIT_CARD}, expires soon",
    "Please refund {CREDIT_CARD}.",
    "Wire the deposit to {IBAN_CODE}.",
    "IBAN: {IBAN_CODE}",
    "Our account {IBAN_CODE} is with a bank in {LOCATION}.",
    "The request came from {IP_ADDRESS}.",
    "Host {IP_ADDRESS} was unreachable.",
    "login failed for admin from {IP_ADDRESS} port 22",
    "His social security number is {US_SSN}.",
    "SSN {US_SSN} on file",
    "Applicant {PERSON}, SSN: {US_SSN}",
    "More at {URL} if you like.",
    "We found {URL} down this morning.",
    "the page {URL} has moved",
    "{PERSON} arrived late to the meeting.",
    "It was {PERSON} who found the mistake.",
    "The contract was drafted by {PERSON} of {ORGANIZATION}.",
    "Have {PERSON} and {PERSON} signed the form?",
    "Yesterday {PERSON} resigned from {ORGANIZATION}.",
    "Nurse {PERSON} took the sample.",
    "They opened a branch in {LOCATION}.",
    "{PERSON} comes from {LOCATION}.",
    "Trains to {LOCATION} run hourly.",
    "In {LOCATION} it rains a lot.",
    "{ORGANIZATION} reported a loss.",
    "My sister is an engineer with {ORGANIZATION}.",
    "We sued {ORGANIZATION} in {LOCATION}.",
    "Deliver the parcel to {ADDRESS}.",
    "{PERSON} has a flat at {ADDRESS}.",
    "The shop at {ADDRESS} is closed.",
    "She married a {NRP} journalist.",
    "a {NRP} family from {LOCATION}",
    "The {NRP} delegation left early.",
    "NHS number {UK_NHS} was registered.",
    "Her NHS no: {UK_NHS}",
    "The patient's NHS number is {UK_NHS}.",
    "wallet {CRYPTO} received the coins",
    "Send bitcoin to {CRYPTO}.",
    "NRIC {SG_NRIC_FIN} collected the key.",
    "The NRIC of the applicant is {SG_NRIC_FIN}.",
    "TFN {AU_TFN} was quoted.",
    "tax file number: {AU_TFN}",
    "Aadhaar {IN_AADHAAR} linked",
    "aadhaar number {IN_AADHAAR} of {PERSON}",
    "PAN {IN_PAN} is active.",
    "quote your PAN {IN_PAN}",
    "The appointment is on {DATE_TIME}.",
    "Signed on {DATE_TIME} by {PERSON}.",
    "due {DATE_TIME}",
    "mac address {MAC_ADDRESS} joined",
    "device {MAC_ADDRESS} was seen in {LOCATION}",
    "password: {PASSWORD}",
    "the DNI is {ES_NIF}",
    "DNI {ES_NIF} expired",
    "BSN {NL_BSN} not found",
    "her BSN is {NL_BSN}",
    "PESEL {PL_PESEL}",
    "numer PESEL: {PL_PESEL}",
    "codice fiscale {IT_FISCAL_CODE}",
    "CF: {IT_FISCAL_CODE}",
];
/// Sentences with nothing to find.
const DECOYS: &[&str] = &[
    "Order {d10} shipped in {d2} days.",
    "Build {d1}.{d2}.{d3} fixes bug {d5}.",
    "The checksum is {hex32}.",
    "Row {d6} has {d3} nulls.",
    "Invoice {d9} of batch {d12} was paid.",
    "The meeting is moved to the next quarter.",
    "Please restart the service and try again.",
    "Sales grew by {d2} percent, costs by {d1}.",
    "uuid {hex8}-{hex4}-{hex4}-{hex4}-{hex12} expired",
    "Ticket {d16} is closed.",
    "Temperature was {d2}.{d4} degrees.",
    "Chapter {d1} begins with a long description of the sea.",
    "The model has {d9} parameters.",
    "Nothing was found, so the search goes on.",
    "ISBN {d13} is out of print.",
    "tracking {d12} in transit",
    "ref {d11}: see page {d3}",
];

/// The generator's chance: a linear congruential generator with mixed output (PCG's multiplier).
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mixed = (self.0 >> 31) ^ self.0;
        (mixed.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % limit.max(1)
    }

    fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let place = usize::try_from(self.below(list.len() as u64)).unwrap_or(0);
        list.get(place).copied().unwrap_or_default()
    }

    fn digits(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from(b'0' + u8::try_from(self.below(10)).unwrap_or(0))).collect()
    }

    fn hex(&mut self, count: usize) -> String {
        (0..count).map(|_| char::from_digit(u32::try_from(self.below(16)).unwrap_or(0), 16).unwrap_or('0')).collect()
    }
}

/// Digits with the check digit that makes `holds` true.
fn completed(body: &str, holds: impl Fn(&str) -> bool) -> Option<String> {
    (0..10).map(|digit| format!("{body}{digit}")).find(|whole| holds(whole))
}

fn weighted(digits: &str, weights: &[u32]) -> u32 {
    digits.bytes().zip(weights).map(|(digit, weight)| u32::from(digit - b'0') * weight).sum()
}

fn luhn(digits: &str) -> bool {
    let double = |value: u32| if value > 4 { value * 2 - 9 } else { value * 2 };
    let sum: u32 = digits
        .bytes()
        .rev()
        .map(|digit| u32::from(digit - b'0'))
        .enumerate()
        .map(|(n, value)| if n % 2 == 1 { double(value) } else { value })
        .sum();
    sum.is_multiple_of(10)
}

fn grouped(digits: &str, lengths: &[usize], separator: &str) -> String {
    let mut rest = digits;
    let mut groups = Vec::new();
    for length in lengths {
        let (group, tail) = rest.split_at_checked(*length).unwrap_or((rest, ""));
        groups.push(group);
        rest = tail;
    }
    groups.join(separator)
}

fn card(chance: &mut Chance) -> String {
    let prefix = chance.pick(&["4", "51", "55", "37", "6011", "2221", "3530"]);
    let length = if prefix == "37" { 15 } else { 16 };
    let body = format!("{prefix}{}", chance.digits(length - 1 - prefix.len()));
    let whole = completed(&body, luhn).unwrap_or_default();
    match (chance.below(3), length) {
        (0, 16) => grouped(&whole, &[4, 4, 4, 4], " "),
        (1, 16) => grouped(&whole, &[4, 4, 4, 4], "-"),
        _ => whole,
    }
}

fn iban(chance: &mut Chance) -> String {
    let (country, body) = match chance.below(3) {
        0 => ("DE", chance.digits(18)),
        1 => ("GB", format!("NWBK{}", chance.digits(14))),
        _ => ("FR", chance.digits(23)),
    };
    let value = |letter: char| letter.to_digit(36).unwrap_or(0);
    let rest = format!("{body}{country}00").chars().fold(0_u32, |rest, letter| {
        let value = value(letter);
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    });
    let whole = format!("{country}{:02}{body}", 98 - rest);
    if chance.below(2) == 0 { whole } else { grouped(&whole, &[4; 9], " ").trim_end().to_owned() }
}

fn phone(chance: &mut Chance) -> String {
    let three = |chance: &mut Chance| format!("{}{}", 2 + chance.below(8), chance.digits(2).replace("11", "12"));
    let (area, exchange, line) = (three(chance), three(chance), chance.digits(4));
    match chance.below(6) {
        0 => format!("({area}) {exchange}-{line}"),
        1 => format!("{area}-{exchange}-{line}"),
        2 => format!("+1 {area} {exchange} {line}"),
        3 => format!("+44 20 {} {line}", chance.digits(4)),
        4 => format!("+49 30 {}{line}", exchange),
        _ => format!("{area}.{exchange}.{line}"),
    }
}

fn checked(chance: &mut Chance, length: usize, holds: impl Fn(&str) -> bool) -> String {
    loop {
        let body = format!("{}{}", 2 + chance.below(7), chance.digits(length - 2));
        if let Some(whole) = completed(&body, &holds) {
            return whole;
        }
    }
}

/// One entity's text; the first word is its kind as the labels have it.
fn entity(kind: &str, chance: &mut Chance) -> String {
    match kind {
        "PERSON" => match chance.below(4) {
            0 => chance.pick(GIVEN).to_owned(),
            _ => format!("{} {}", chance.pick(GIVEN), chance.pick(SURNAMES)),
        },
        "EMAIL_ADDRESS" => format!(
            "{}.{}@{}",
            chance.pick(GIVEN).to_lowercase(),
            chance.pick(SURNAMES).to_lowercase(),
            chance.pick(&["example.org", "mail.example.com", "acme.co.uk", "uni.example.edu"])
        ),
        "PHONE_NUMBER" => phone(chance),
        "CREDIT_CARD" => card(chance),
        "IBAN_CODE" => iban(chance),
        "IP_ADDRESS" => match chance.below(4) {
            0 => format!("2001:db8:{}::{}", chance.hex(3), chance.hex(4)),
            _ => format!("{}.{}.{}.{}", 21 + chance.below(200), chance.below(256), chance.below(256), 1 + chance.below(254)),
        },
        "US_SSN" => format!("{:03}-{:02}-{:04}", 100 + chance.below(560), 1 + chance.below(98), 1 + chance.below(9_998)),
        "URL" => format!(
            "{}{}",
            chance.pick(&["https://", "http://", "www."]),
            chance.pick(&["example.org/a/b?c=1", "shop.example.com", "example.net/index.html"])
        ),
        "LOCATION" => chance.pick(TOWNS).to_owned(),
        "ADDRESS" => match chance.below(2) {
            0 => format!("{} {}, {}", 1 + chance.below(999), chance.pick(STREETS), chance.pick(TOWNS)),
            _ => format!("{} {}", 1 + chance.below(999), chance.pick(STREETS)),
        },
        "ORGANIZATION" => chance.pick(COMPANIES).to_owned(),
        "NRP" => chance.pick(PEOPLES).to_owned(),
        "UK_NHS" => grouped(
            &checked(chance, 10, |whole| weighted(whole, &[10, 9, 8, 7, 6, 5, 4, 3, 2, 1]).is_multiple_of(11)),
            &[3, 3, 4],
            " ",
        ),
        "CRYPTO" => chance
            .pick(&[
                "1A1zP1eP5QGefi2DMPTfTL5SLmv7DivfNa",
                "bc1qw508d6qejxtdg4y5r3zarvary0c5xw7kv8f3t4",
                "3J98t1WpEZ73CNmQviecrnyiWrnqRhWNLy",
            ])
            .to_owned(),
        "SG_NRIC_FIN" => nric(chance),
        "AU_TFN" => grouped(
            &checked(chance, 9, |whole| weighted(whole, &[1, 4, 3, 7, 5, 8, 6, 9, 10]).is_multiple_of(11)),
            &[3, 3, 3],
            " ",
        ),
        "IN_AADHAAR" => chance.pick(&["2341 2341 2346", "234123412346"]).to_owned(),
        "IN_PAN" => format!(
            "{}P{}{}{}",
            chance.pick(&["ABC", "BNZ", "AAA"]),
            chance.pick(&["M", "K", "L"]),
            1_000 + chance.below(8_999),
            chance.pick(&["C", "A", "H"])
        ),
        "DATE_TIME" => match chance.below(4) {
            0 => format!("{} {} {}", 1 + chance.below(28), chance.pick(&["March", "July", "October"]), 1950 + chance.below(75)),
            1 => format!("{}-{:02}-{:02}", 1950 + chance.below(75), 1 + chance.below(12), 1 + chance.below(28)),
            2 => format!("{}/{}/{}", 1 + chance.below(12), 1 + chance.below(28), 1950 + chance.below(75)),
            _ => {
                format!("{} {}, {}", chance.pick(&["January", "Apr", "December"]), 1 + chance.below(28), 1950 + chance.below(75))
            }
        },
        "MAC_ADDRESS" => (0..6).map(|_| chance.hex(2)).collect::<Vec<_>>().join(":"),
        "PASSWORD" => format!("{}!{}", chance.pick(&["Tr0ub4dor", "s3cret", "Xy7kk"]), chance.digits(3)),
        "ES_NIF" => {
            let digits = chance.digits(8);
            let place = digits.parse::<usize>().unwrap_or(0) % 23;
            format!("{digits}{}", "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(place).unwrap_or('T'))
        }
        "NL_BSN" => checked(chance, 9, |whole| {
            (weighted(whole, &[9, 8, 7, 6, 5, 4, 3, 2]) + 10 * weighted(whole.get(8..).unwrap_or_default(), &[1]))
                .is_multiple_of(11)
        }),
        "PL_PESEL" => {
            let body =
                format!("{:02}{:02}{:02}{}", 40 + chance.below(59), 1 + chance.below(12), 1 + chance.below(28), chance.digits(4));
            completed(&body, |whole| weighted(whole, &[1, 3, 7, 9, 1, 3, 7, 9, 1, 3, 1]).is_multiple_of(10)).unwrap_or_default()
        }
        _ => "RSSMRA85T10A562S".to_owned(),
    }
}

fn nric(chance: &mut Chance) -> String {
    let first = chance.pick(&["S", "T"]);
    let digits = chance.digits(7);
    let sum = weighted(&digits, &[2, 7, 6, 5, 4, 3, 2]) + if first == "T" { 4 } else { 0 };
    let letter = "JZIHGFEDCBA".chars().nth((sum % 11) as usize).unwrap_or('J');
    format!("{first}{digits}{letter}")
}

/// So many texts with their labels, always the same for one seed.
pub fn samples(seed: u64, count: usize) -> Vec<Value> {
    let mut chance = Chance(seed);
    (0..count).map(|_| if chance.below(3) == 0 { decoy(&mut chance) } else { sample(&mut chance) }).collect()
}

fn sample(chance: &mut Chance) -> Value {
    let template = chance.pick(TEMPLATES);
    let (mut text, mut spans) = (String::new(), Vec::new());
    for (n, piece) in template.split(['{', '}']).enumerate() {
        if n % 2 == 0 {
            text.push_str(piece);
            continue;
        }
        let value = entity(piece, chance);
        let start = text.chars().count();
        text.push_str(&value);
        let label = if piece == "ADDRESS" { "LOCATION" } else { piece };
        spans.push(json!({"entity_type": label, "start_position": start, "end_position": text.chars().count()}));
    }
    json!({"full_text": text, "masked": template, "spans": spans})
}

fn decoy(chance: &mut Chance) -> Value {
    let template = chance.pick(DECOYS);
    let mut text = String::new();
    for (n, piece) in template.split(['{', '}']).enumerate() {
        if n % 2 == 0 {
            text.push_str(piece);
        } else if let Some(count) = piece.strip_prefix("hex") {
            text.push_str(&chance.hex(count.parse().unwrap_or(1)));
        } else {
            text.push_str(&chance.digits(piece.trim_start_matches('d').parse().unwrap_or(1)));
        }
    }
    json!({"full_text": text, "masked": template, "spans": []})
}
