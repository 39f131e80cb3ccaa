//! Made-up names: syllables and endings of many languages, brands, street addresses, titles of works.

use super::lexicon::{COMMON_WORDS, GIVEN_WORDS, PLACE_WORDS, SURNAME_WORDS};
use super::sentences::{Random, capital};

const ONSETS: &[&str] = &[
    "b", "br", "c", "ch", "d", "dr", "f", "fr", "g", "gr", "h", "j", "k", "kr", "l", "m", "n", "p", "r", "s", "sh", "st", "t",
    "tr", "v", "w", "y", "z", "", "", "sch", "th", "cz", "sz", "bj", "hr", "kn", "ł", "š", "ž", "ć",
];
const VOWELS: &[&str] =
    &["a", "e", "i", "o", "u", "a", "e", "o", "ei", "ia", "ie", "au", "ö", "ü", "å", "é", "á", "í", "ø", "ě", "ai", "ou"];
const CODAS: &[&str] = &["", "", "n", "r", "l", "s", "m", "t", "k", "nd", "rt", "ng", "x", "d", "ll", "ss", "ck"];
const GIVEN_ENDINGS: &[&str] =
    &["a", "o", "e", "us", "in", "ka", "el", "ine", "ana", "ik", "an", "ia", "y", "ette", "ir", "is", "ún", "bert", "mund"];
const SURNAME_ENDINGS: &[&str] = &[
    "ová", "sson", "sen", "ski", "ska", "ez", "ini", "ák", "ov", "ova", "ich", "berg", "mann", "ko", "enko", "son", "ley", "ton",
    "er", "dóttir", "stein", "feld", "es", "eau", "ić", "ás", "yan", "idis", "oğlu", "wala", "moto", "da", "ura", "i", "o",
    "elli", "ens", "ström", "man", "by",
];
const PLACE_ENDINGS: &[&str] = &[
    "ton", "ville", "burg", "heim", "stad", "by", "ford", "ham", "ow", "ice", "grad", "bach", "dorf", "hausen", "vik", "holm",
    "wick", "port", "field", "mouth", "sund", "nes", "acker", "ia", "a", "o", "berg", "sur-Mer", "bridge", "dale", "borough",
    "kylä", "ö", "ovo", "es",
];
const STREET_ENDINGS: &[&str] = &[
    "straße", "strasse", "gasse", "weg", "straat", "laan", "gatan", "vägen", "vej", "gade", "veien", "katu", "tie", "utca",
    "kade", "allee", "platz",
];
const STREETS: &[&str] = &[
    "Street",
    "St",
    "St.",
    "Road",
    "Rd",
    "Avenue",
    "Ave",
    "Lane",
    "Drive",
    "Dr",
    "Court",
    "Way",
    "Place",
    "Square",
    "Terrace",
    "Close",
    "Crescent",
    "Blvd",
    "Boulevard",
    "Highway",
    "Circle",
    "Trail",
    "Hill",
    "Gardens",
    "Grove",
    "Courts",
    "Roads",
    "Extensions",
    "utca",
    "u.",
];
const FOREIGN_STREETS: &[&str] =
    &["Rue", "Rue de", "Via", "Calle", "Avenida", "Rua", "ul.", "Plaza", "Piazza", "Chemin", "Boulevard", "Viale", "Strada"];
const STATES: &[&str] = &["CA", "NY", "TX", "WA", "MA", "FL", "OR", "QC", "ON", "CO", "NO", "BC", "VIC", "NSW", "MP", "nan"];

/// What companies call themselves besides their names.
pub const BUSINESS_WORDS: &str = "systems labs media partners investments markets solutions technologies software analytics energy foods capital \
    networks industries studios records airlines bank insurance motors health pharma group holdings logistics consulting robotics games clothing \
    furniture theatre orchestra";
/// What people do.
pub const OCCUPATIONS: &str = "teacher nurse engineer analyst manager singer painter director lawyer farmer clerk driver plumber developer \
    editor surgeon accountant cashier librarian mechanic photographer writer pilot baker";

fn syllables(random: &mut Random, count: usize) -> String {
    (0..count).map(|_| format!("{}{}{}", random.pick(ONSETS), random.pick(VOWELS), random.pick(CODAS))).collect()
}

fn made(random: &mut Random, most: usize, endings: &[&str]) -> String {
    let count = 1 + random.below(most);
    capital(&format!("{}{}", syllables(random, count), random.pick(endings)))
}

pub fn given(random: &mut Random) -> String {
    made(random, 2, GIVEN_ENDINGS)
}

pub fn surname(random: &mut Random) -> String {
    made(random, 2, SURNAME_ENDINGS)
}

pub fn place(random: &mut Random) -> String {
    let one = made(random, 2, PLACE_ENDINGS);
    let whole = match random.below(12) {
        0 => format!(
            "{} {one}",
            random.pick(&["New", "Saint", "St.", "San", "Santa", "Fort", "Upper", "North", "Bad", "El", "La"])
        ),
        1 => format!("{one} {}", random.pick(&["City", "Town", "Falls", "Bay", "Hills", "Springs", "Beach", "Park", "Island"])),
        2 => format!("{one} {} {}", random.pick(&["upon", "am", "de", "an der", "sur", "i"]), made(random, 1, PLACE_ENDINGS)),
        _ => one,
    };
    if random.chance(20) { whole.to_uppercase() } else { whole }
}

pub fn brand(random: &mut Random) -> String {
    match random.below(6) {
        0 => format!("{}{}", capital(&random.word(COMMON_WORDS)), capital(&random.word(COMMON_WORDS))),
        1 => format!(
            "{}{}",
            capital(&random.word(COMMON_WORDS)),
            random.pick(&["ly", "ify", "ix", "bit", "soft", "tech", "ware", "net", "lytics", "pedia", "sist"])
        ),
        2 => capital(&random.word(COMMON_WORDS)),
        _ => {
            let stem = syllables(random, 2);
            capital(&format!("{stem}{}", random.pick(&["", "", "a", "o", "ia", "on", "ent", "ata", "is", "ica", "tron", "corp"])))
        }
    }
}

pub fn company_form(random: &mut Random) -> &'static str {
    random.pick(&[
        "Inc",
        "Inc.",
        "Ltd",
        "Limited",
        "LLC",
        "GmbH",
        "AG",
        "Corporation",
        "Corp",
        "Group",
        "Company",
        "S.A.",
        "PLC",
        "& Co",
        "Holding",
        "AB",
        "B.V.",
    ])
}

/// A phrase with capitals that names no person, place or organisation.
pub fn title_of_work(random: &mut Random) -> String {
    let count = 1 + random.below(3);
    let words: Vec<String> = (0..count).map(|_| capital(&random.word(COMMON_WORDS))).collect();
    match random.below(8) {
        0 => format!("The {}", words.join(" ")),
        1 => format!("{} & {}", words.join(" "), capital(&random.word(COMMON_WORDS))),
        2 => format!("{} of the {}", words.join(" "), capital(&random.word(COMMON_WORDS))),
        _ => words.join(" "),
    }
}

/// A number of at most so many digits.
pub fn number(random: &mut Random, most: usize) -> String {
    let digits = 1 + random.below(most);
    let number = random.below(10_usize.pow(u32::try_from(digits).unwrap_or(1)));
    if random.chance(10) { format!("{number:0digits$}") } else { (number + 1).to_string() }
}

fn street(random: &mut Random) -> String {
    let name = match random.below(5) {
        0 => capital(&random.word(SURNAME_WORDS)),
        1 => capital(&random.word(GIVEN_WORDS)),
        2 => capital(&random.word(COMMON_WORDS)),
        _ => surname(random),
    };
    match random.below(10) {
        0..=3 => format!("{name} {}", random.pick(STREETS)),
        4 => format!("{name} {} {}", capital(&random.word(COMMON_WORDS)), random.pick(STREETS)),
        5 => format!("{} {name}", random.pick(FOREIGN_STREETS)),
        6 => name,
        7 => format!("{name} {}", random.pick(&["strasse", "gasse", "Strasse", "terrasse", "katu", "utca", "tn", "väg", "allé"])),
        _ => format!("{name}{}", random.pick(STREET_ENDINGS)),
    }
}

fn town(random: &mut Random) -> String {
    if random.chance(40) { capital(&random.word(PLACE_WORDS)) } else { place(random) }
}

/// A street address, on one line or on several.
pub fn address(random: &mut Random) -> String {
    let unit_number = number(random, 4);
    let unit = format!("{} {unit_number}", random.pick(&["Apt.", "Suite", "Unit", "Apt", "Floor", "Flat", "Room"]));
    let mut text = match random.below(12) {
        0..=4 => format!("{} {}", number(random, 5), street(random)),
        5..=6 => format!("{} {}", street(random), number(random, 3)),
        7..=9 => format!("{} {} {}", number(random, 5), street(random), number(random, 4)),
        10 => format!("{} {} {}", number(random, 4), number(random, 3), street(random)),
        _ => return special_address(random),
    };
    let line = random.pick(&[", ", "\n", " ", "\n ", ",\n"]);
    if random.chance(45) {
        text = format!("{text}{}{unit}", random.pick(&[" ", "\n ", ", "]));
    }
    if random.chance(60) {
        text = format!("{text}{line}{}", town(random));
        if random.chance(35) {
            text = format!("{text}{}{}", random.pick(&[", ", " ", "\n, "]), random.pick(STATES));
        }
        if random.chance(50) {
            text = format!("{text}{line}{}", capital(&random.word(PLACE_WORDS)));
        }
        if random.chance(60) {
            text = format!("{text}{}{}", random.pick(&[" ", " ", "\n ", ", "]), 10_000 + random.below(89_999));
        }
    }
    text
}

fn special_address(random: &mut Random) -> String {
    match random.below(4) {
        0 => format!("P.O. Box {}", number(random, 4)),
        1 => {
            let (post, place) = (random.pick(&["PSC", "CMR", "Unit"]), random.pick(&["APO AE", "FPO AP", "APO AA", "DPO AE"]));
            format!("{post} {}, Box {}\n{place} {}", number(random, 4), number(random, 4), 10_000 + random.below(89_999))
        }
        2 => format!("the corner of {} and {}", street(random), street(random)),
        _ => format!("{} {}\n{} {}", street(random), number(random, 2), 1_000 + random.below(90_000), town(random)),
    }
}
