//! Sentences to learn from: a template with names put into its slots. Half of the names are in no word list, so that the
//! tagger must learn from what stands around a name too.

use super::lexicon::{COMMON_WORDS, GIVEN_WORDS, ORGANISATION_WORDS, PEOPLE_WORDS, PLACE_WORDS, SURNAME_WORDS};
use super::parts;
use super::templates::TEMPLATES;
use super::tokens::HIT_MARK;
use crate::kind::Kind;

/// A name in a sentence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Name {
    pub kind: Kind,
    pub start: usize,
    pub end: usize,
}

/// A text with its names.
#[derive(Clone, Debug, Default)]
pub struct Sentence {
    pub text: String,
    pub names: Vec<Name>,
}

/// Reproducible chance: SplitMix64 (G. Steele et al., 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`; 0 if that is 0.
    pub fn below(&mut self, limit: usize) -> usize {
        let limit = u64::try_from(limit).unwrap_or(u64::MAX).max(1);
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// Whether something happens that does so in `percent` of cases.
    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    /// One of the list.
    pub fn pick<'a>(&mut self, list: &[&'a str]) -> &'a str {
        let place = self.below(list.len());
        list.get(place).copied().unwrap_or_default()
    }

    /// One word of a list with white space between; `_` in it becomes a space. Long words come a little more often: it is the one
    /// that some byte of the list lies in or before.
    pub fn word(&mut self, list: &str) -> String {
        let place = self.below(list.len());
        let end = list.bytes().skip(place).position(|byte| byte.is_ascii_whitespace()).map_or(list.len(), |count| place + count);
        let head = list.get(..end).unwrap_or_default().trim_end();
        head.rsplit(|letter: char| letter.is_ascii_whitespace()).next().unwrap_or_default().replace('_', " ")
    }

    pub fn shuffle<T>(&mut self, list: &mut [T]) {
        for end in (1..list.len()).rev() {
            let other = self.below(end + 1);
            list.swap(end, other);
        }
    }
}

/// Each word with a capital.
pub fn capital(words: &str) -> String {
    let mut text = String::with_capacity(words.len());
    let mut starts = true;
    for letter in words.chars() {
        if starts {
            text.extend(letter.to_uppercase());
        } else {
            text.push(letter);
        }
        starts = matches!(letter, ' ' | '-');
    }
    text
}

fn given(random: &mut Random) -> String {
    if random.chance(55) { capital(&random.word(GIVEN_WORDS)) } else { parts::given(random) }
}

fn surname(random: &mut Random) -> String {
    let one = if random.chance(45) { capital(&random.word(SURNAME_WORDS)) } else { parts::surname(random) };
    if random.chance(4) { format!("{one}-{}", capital(&random.word(SURNAME_WORDS))) } else { one }
}

fn person(random: &mut Random) -> String {
    let (given, surname) = (given(random), surname(random));
    let initial = char::from(b'A' + u8::try_from(random.below(26)).unwrap_or(0));
    match random.below(20) {
        0..=1 => format!("{given} {initial}. {surname}"),
        2 => format!("{given} {initial} {surname}"),
        3 => format!("{given} {} {surname}", capital(&random.word(GIVEN_WORDS))),
        4 => format!("{initial}. {surname}"),
        5 => format!("{given} {} {surname}", random.pick(&["van", "de", "von", "da", "van der", "al", "bin", "di", "del"])),
        _ => format!("{given} {surname}"),
    }
}

fn place(random: &mut Random) -> String {
    if random.chance(50) { capital(&random.word(PLACE_WORDS)) } else { parts::place(random) }
}

fn organisation(random: &mut Random) -> String {
    match random.below(20) {
        0..=2 => capital(&random.word(ORGANISATION_WORDS)),
        3..=4 => format!("{} {}", surname(random), parts::company_form(random)),
        5..=6 => format!("{} {}", parts::brand(random), parts::company_form(random)),
        7..=9 => format!("{} {}", parts::brand(random), capital(&random.word(parts::BUSINESS_WORDS))),
        10 => format!("{} {}", capital(&random.word(COMMON_WORDS)), capital(&random.word(parts::BUSINESS_WORDS))),
        11 => format!("{}-{}", surname(random), surname(random)),
        12 => format!("{}, {} and {}", surname(random), surname(random), surname(random)),
        13 => format!("{} and {}", surname(random), random.pick(&["Sons", "Co", "Partners", "Daughters", "Brothers"])),
        14 => format!(
            "{} {}",
            place(random),
            random.pick(&["University", "Hospital", "Bank", "Police", "Council", "School", "Airport", "Museum"])
        ),
        15 => format!("University of {}", place(random)),
        _ => parts::brand(random),
    }
}

/// The kind that a slot's letter stands for, and what is put there.
fn fill(slot: char, random: &mut Random) -> (Option<Kind>, String) {
    let kind = match slot {
        'P' | 'G' | 'S' => Some(Kind::Person),
        'L' | 'C' => Some(Kind::Place),
        'A' => Some(Kind::Address),
        'O' => Some(Kind::Organisation),
        _ => None,
    };
    let text = match slot {
        'P' => person(random),
        'G' => given(random),
        'S' => surname(random),
        'L' => place(random),
        'C' => capital(&random.word(PLACE_WORDS)),
        'A' => parts::address(random),
        'O' => organisation(random),
        'X' => parts::title_of_work(random),
        'N' => parts::number(random, 5),
        'W' => capital(&random.word(PEOPLE_WORDS)),
        'T' => random
            .pick(&["Mr.", "Mrs.", "Ms.", "Dr.", "Miss", "Mr", "Mrs", "Dr", "Prof.", "Sir", "Lady", "Judge", "Captain"])
            .to_owned(),
        'J' => random.word(parts::OCCUPATIONS),
        'D' => random
            .pick(&[
                "Monday",
                "Friday",
                "last week",
                "yesterday",
                "tomorrow",
                "in May",
                "in 1998",
                "next Tuesday",
                "two years ago",
            ])
            .to_owned(),
        _ => HIT_MARK.to_string(),
    };
    match kind {
        Some(_) if random.chance(4) => (kind, text.to_uppercase()),
        Some(_) if random.chance(3) => (kind, text.to_lowercase()),
        _ => (kind, text),
    }
}

/// One sentence, sometimes with another behind it.
pub fn sentence(random: &mut Random) -> Sentence {
    let mut made = Sentence::default();
    append(&mut made, random);
    if random.chance(20) {
        made.text.push_str(if random.chance(50) { "\n" } else { " " });
        append(&mut made, random);
    }
    made
}

fn append(made: &mut Sentence, random: &mut Random) {
    let template = random.pick(TEMPLATES);
    let mut letters = template.chars().peekable();
    while let Some(letter) = letters.next() {
        if letter != '{' {
            made.text.push(letter);
            continue;
        }
        let Some(slot) = letters.next() else { return };
        let (kind, text) = fill(slot, random);
        letters.next_if_eq(&'}');
        let start = made.text.len();
        made.text.push_str(&text);
        if let Some(kind) = kind {
            made.names.push(Name { kind, start, end: made.text.len() });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_sentences_and_names_lie_in_them() {
        let all = |seed| {
            let mut random = Random::new(seed);
            (0..500).map(|_| sentence(&mut random)).collect::<Vec<_>>()
        };
        let (first, second) = (all(1), all(1));
        for (one, other) in first.iter().zip(&second) {
            assert_eq!((&one.text, &one.names), (&other.text, &other.names));
            assert!(!one.text.contains(['{', '}']), "{}", one.text);
            for name in &one.names {
                assert!(!one.text[name.start..name.end].trim().is_empty(), "{}", one.text);
            }
        }
        assert_ne!(first[7].text, all(2)[7].text);
    }
}
