//! Word lists: given names, surnames, places, peoples, organisations, common words. Looked up without marks and case.

use std::collections::HashMap;

const GIVEN: u16 = 1;
const SURNAME: u16 = 2;
const PLACE: u16 = 4;
const PLACE_PART: u16 = 8;
const PEOPLE: u16 = 16;
const ORGANISATION: u16 = 32;
const COMPANY_WORD: u16 = 64;
const STREET_WORD: u16 = 128;
const TITLE: u16 = 256;
const COMMON: u16 = 512;
const MONTH: u16 = 1024;
const UNIT_WORD: u16 = 2048;

pub const GIVEN_WORDS: &str = include_str!("words/given.txt");
pub const SURNAME_WORDS: &str = include_str!("words/surnames.txt");
pub const PLACE_WORDS: &str = include_str!("words/places.txt");
pub const PEOPLE_WORDS: &str = include_str!("words/peoples.txt");
pub const ORGANISATION_WORDS: &str = include_str!("words/organisations.txt");
pub const COMMON_WORDS: &str = include_str!("words/common.txt");
const COMPANY_WORDS: &str = "inc ltd llc llp plc gmbh ag sa srl spa bv nv oy ab as corp corporation company co group holding holdings \
    bank university college institute hospital clinic school association foundation society union partners associates systems \
    solutions technologies technology labs laboratories software media press insurance investments capital markets industries \
    international ventures motors airlines airways pharmaceuticals energy ministry department agency council committee club \
    orchestra theatre museum church studios records consulting services logistics networks";
const STREET_WORDS: &str = "street st road rd avenue ave lane ln drive dr boulevard blvd court ct way place pl square sq terrace close crescent \
    highway hwy route parkway pkwy circle cir trail alley row walk hill gardens grove mews rue via viale piazza calle avenida plaza \
    rua strasse straße gasse weg platz allee straat laan gate gata gatan vej vei tie katu utca ulica út u ulice náměstí extensions \
    courts streets drives roads gateway gasse str chemin impasse corso";
const UNIT_WORDS: &str = "apt apartment suite unit box floor flat room psc po cmr apo fpo dpo";
const TITLES: &str = "mr mrs ms miss dr prof professor sir madam lady lord president minister senator captain colonel general sergeant \
    officer detective judge rev reverend father sister brother uncle aunt king queen prince princess ceo director chairman herr frau \
    monsieur madame señor señora mx doctor nurse coach";
const MONTHS: &str = "january february march april may june july august september october november december monday tuesday wednesday \
    thursday friday saturday sunday";

/// Endings of English words, and what stands in place of each in the word itself.
const INFLECTIONS: &[(&str, &[&str])] = &[
    ("s", &[""]),
    ("es", &["", "e"]),
    ("ies", &["y"]),
    ("ed", &["", "e"]),
    ("ied", &["y"]),
    ("ing", &["", "e"]),
    ("ly", &[""]),
    ("ily", &["y"]),
    ("ness", &[""]),
];
/// What is left of a word without its ending has so much.
const STEM_BYTES_MIN: usize = 4;

/// Letters with marks, and what they are without.
const FOLDS: &[(&str, &str)] = &[
    ("àáâãäåāăą", "a"),
    ("çćĉċč", "c"),
    ("ďđð", "d"),
    ("èéêëēĕėęě", "e"),
    ("ĝğġģ", "g"),
    ("ĥħ", "h"),
    ("ìíîïĩīĭįı", "i"),
    ("ĵ", "j"),
    ("ķ", "k"),
    ("ĺļľŀł", "l"),
    ("ñńņňŋ", "n"),
    ("òóôõöøōŏő", "o"),
    ("ŕŗř", "r"),
    ("śŝşšș", "s"),
    ("ţťŧț", "t"),
    ("ùúûüũūŭůűų", "u"),
    ("ŵ", "w"),
    ("ýÿŷ", "y"),
    ("źżž", "z"),
    ("ß", "ss"),
    ("æ", "ae"),
    ("œ", "oe"),
    ("þ", "th"),
];

/// The word in lower case, without marks.
pub fn fold(word: &str) -> String {
    if word.is_ascii() {
        return word.to_ascii_lowercase();
    }
    let mut folded = String::with_capacity(word.len());
    for letter in word.chars().flat_map(char::to_lowercase) {
        match FOLDS.iter().find(|(marked, _)| marked.contains(letter)) {
            Some((_, plain)) => folded.push_str(plain),
            None => folded.push(letter),
        }
    }
    folded
}

/// What the lists know of one word.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Known(u16);

impl Known {
    /// The set, as a number for features.
    pub const fn bits(self) -> u16 {
        self.0
    }

    const fn has(self, bit: u16) -> bool {
        self.0 & bit != 0
    }

    /// A given name.
    pub const fn is_given(self) -> bool {
        self.has(GIVEN)
    }

    /// A family name.
    pub const fn is_surname(self) -> bool {
        self.has(SURNAME)
    }

    /// A place of one word.
    pub const fn is_place(self) -> bool {
        self.has(PLACE)
    }

    /// Any sort of name.
    pub const fn is_name(self) -> bool {
        self.0 & (GIVEN | SURNAME | PLACE | ORGANISATION) != 0
    }

    /// A word of streets.
    pub const fn is_street(self) -> bool {
        self.has(STREET_WORD)
    }

    /// A common English word.
    pub const fn is_common(self) -> bool {
        self.has(COMMON)
    }

    /// A word for a people or a creed. In lower case `polish` and the like are something else.
    pub fn is_people(self, word: &str) -> bool {
        let ambiguous = matches!(
            word,
            "polish" | "orthodox" | "democrat" | "republican" | "catholic" | "finish" | "swede" | "poles" | "dane"
        );
        self.has(PEOPLE) && !ambiguous && !(self.has(GIVEN) && word.starts_with(char::is_lowercase))
    }
}

/// The lists as one table.
#[derive(Debug)]
pub struct Lexicon {
    words: HashMap<String, u16>,
}

impl Lexicon {
    pub fn new() -> Self {
        let mut words: HashMap<String, u16> = HashMap::new();
        let lists = [
            (GIVEN_WORDS, GIVEN),
            (SURNAME_WORDS, SURNAME),
            (PEOPLE_WORDS, PEOPLE),
            (ORGANISATION_WORDS, ORGANISATION),
            (COMPANY_WORDS, COMPANY_WORD),
            (STREET_WORDS, STREET_WORD),
            (TITLES, TITLE),
            (COMMON_WORDS, COMMON),
            (MONTHS, MONTH),
            (UNIT_WORDS, UNIT_WORD),
        ];
        for (list, bit) in lists {
            for word in list.split_whitespace() {
                *words.entry(fold(word)).or_default() |= bit;
            }
        }
        for place in PLACE_WORDS.split_whitespace() {
            if !place.contains('_') {
                *words.entry(place.to_owned()).or_default() |= PLACE;
                continue;
            }
            for part in place.split('_').filter(|part| part.len() > 2) {
                *words.entry(part.to_owned()).or_default() |= PLACE_PART;
            }
        }
        Self { words }
    }

    /// Whether a word is a form of a common one, which is no name as well: `dimensions`, `queued`, `sulkily`.
    fn is_inflected(&self, folded: &str) -> bool {
        let is_common = |stem: &str, ending: &str| {
            let bits = self.words.get(&format!("{stem}{ending}")).copied().unwrap_or(0);
            bits & COMMON != 0 && bits & (GIVEN | SURNAME | PLACE) == 0
        };
        INFLECTIONS.iter().any(|(ending, before)| {
            let stem = folded.strip_suffix(ending).filter(|stem| stem.len() >= STEM_BYTES_MIN);
            stem.is_some_and(|stem| before.iter().any(|before| is_common(stem, before)))
        })
    }

    pub fn known(&self, word: &str) -> Known {
        let folded = fold(word);
        if let Some(bits) = self.words.get(&folded) {
            return Known(*bits);
        }
        // `don't`, `I'm`, `C'mon` are common words; `Koreans` is a people as `Korean` is.
        let short = ["'m", "'re", "'ve", "'ll", "'d", "n't", "'mon", "'s"];
        if short.iter().any(|ending| folded.replace('’', "'").ends_with(ending)) {
            return Known(COMMON);
        }
        let singular = folded.strip_suffix('s').and_then(|singular| self.words.get(singular)).copied().unwrap_or(0);
        Known(singular & PEOPLE | if self.is_inflected(&folded) { COMMON } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_and_case_do_not_matter() {
        let lexicon = Lexicon::new();
        assert_eq!(fold("Šárka Großmæn"), "sarka grossmaen");
        assert!(lexicon.known("RENÉ").is_given() && lexicon.known("Müller").is_surname() && lexicon.known("zürich").is_place());
        assert!(lexicon.known("French").is_people("French") && !lexicon.known("polish").is_people("polish"));
        assert_eq!(lexicon.known("qwertz"), Known::default());
    }
}
