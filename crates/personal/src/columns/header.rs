//! What a column's name says.

use super::header_words::ENTRIES;
use crate::kind::Kind;

/// What the values must be for the name to count.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// The kind itself must be found in a good part of them.
    Found,
    /// Found, or words without digits.
    Names,
    /// Whole numbers of 0 to 130.
    SmallNumbers,
    /// Dates, or texts or numbers that may be dates.
    Dates,
    /// Mostly different from each other.
    Codes,
    /// Texts or numbers, few words each.
    Short,
    /// Texts of several words, or found as addresses.
    Streets,
    /// Texts that name a people or a colour of skin, codes of two letters, or few small numbers.
    Origin,
    /// No numbers that were standardised: those are not measured in anything any more.
    Measures,
    /// Any at all.
    Nothing,
}

/// Words beside `name` that make it something else's.
const OF_THINGS: &str = "file product item event company brand domain host class label feature dataset model species column table \
    field variable category group team project bucket server service app package country city street region \
    state organization organisation department store shop movie film song album game book device metric \
    function method module plan drug gene protein common scientific short display type";

/// Things whose names are often people's names as well: goods, films, flowers, teams, places. `label` and `class` are none of them: what
/// they name may be people.
const NAMED_LIKE_PEOPLE: &str = "product item article brand make model vehicle car manufacturer movie film title song album game book \
    series genre flower plant fruit species breed variety colour color drug medication city town state province region country \
    month weekday day season team club company store shop hotel restaurant airline cuisine dish wine beer perfume font";

/// Words that may stand before or behind a phrase without changing what it says.
const FILLERS: &str = "the customer client patient user employee person contact primary secondary home work billing shipping \
    number no num id code value 1 2 3 current main member applicant student owner sender recipient from to my \
    your company business private personal mobile cust emp old new raw text str x is has of in usd eur";

/// Words that may stand beside an age as well: of whom it is, and when. Things have ages too: `wine age years`.
const OF_AGES: &str = "at on admission enrollment enrolment baseline visit exam onset first last survey interview death diagnosis screening \
    recruitment infant child mother father husband wife parent respondent participant subject driver passenger victim user head household \
    group band years months";

/// What a column's name says about its values.
#[derive(Clone, Debug, Default)]
pub struct Header {
    /// The kind, what the values must be, and how sure the name is.
    pub says: Option<(Kind, Need, f64)>,
    /// Whether it calls them things whose names are often people's names as well.
    pub of_things: bool,
}

impl Header {
    /// Reads a name that is written with spaces.
    pub fn of(spaced: &str) -> Self {
        let words: Vec<&str> = spaced.split(' ').filter(|word| !word.is_empty()).collect();
        let mut best: Option<(usize, (Kind, Need, f64))> = None;
        for (kind, need, score, phrases) in ENTRIES {
            for phrase in phrases.split('|') {
                let length = phrase.split(' ').count();
                let longer = best.as_ref().is_none_or(|(known, _)| length > *known);
                if longer && let Some(rest) = without(&words, phrase) {
                    let filled = rest.iter().all(|word| listed(FILLERS, word));
                    let aged =
                        *need != Need::SmallNumbers || rest.iter().all(|word| listed(FILLERS, word) || listed(OF_AGES, word));
                    let of_thing = rest.iter().any(|word| listed(OF_THINGS, word)) && matches!(need, Need::Names | Need::Found);
                    // A bare word such as `name` or `address` in a longer name may speak of anything.
                    let score = if filled { *score } else { score - 0.2 };
                    if !of_thing && aged && (filled || length > 1 || phrase.chars().count() > 4) && score >= 0.5 {
                        best = Some((length, (*kind, *need, score)));
                    }
                }
            }
        }
        let of_things = words.iter().any(|word| listed(NAMED_LIKE_PEOPLE, word));
        Self { says: best.map(|(_, says)| says), of_things }
    }
}

fn listed(list: &str, word: &str) -> bool {
    list.split_ascii_whitespace().any(|one| one == word)
}

/// The words beside a phrase, if the phrase stands among them.
fn without<'a>(words: &[&'a str], phrase: &str) -> Option<Vec<&'a str>> {
    let wanted: Vec<&str> = phrase.split(' ').collect();
    let place = words.windows(wanted.len()).position(|window| window == wanted.as_slice())?;
    let kept = words.iter().enumerate().filter(|(index, _)| !(place..place + wanted.len()).contains(index));
    Some(kept.map(|(_, word)| *word).collect())
}

/// The words of a column's name: `customerEmail_2` is `customer email 2`.
pub fn words_of(name: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut word = String::new();
    let letters: Vec<char> = name.chars().take(256).collect();
    for (place, letter) in letters.iter().enumerate() {
        let before = place.checked_sub(1).and_then(|place| letters.get(place));
        let after = letters.get(place + 1);
        let camel = letter.is_uppercase()
            && (before.is_some_and(|before| before.is_lowercase())
                || (before.is_some_and(|before| before.is_uppercase()) && after.is_some_and(|after| after.is_lowercase())));
        if (camel || !letter.is_alphanumeric()) && !word.is_empty() {
            words.push(std::mem::take(&mut word));
        }
        if letter.is_alphanumeric() {
            word.extend(letter.to_lowercase());
        }
    }
    if !word.is_empty() {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(name: &str, expected: Option<Kind>) {
        let spaced = words_of(name).join(" ");
        assert_eq!(Header::of(&spaced).says.map(|(kind, _, _)| kind), expected, "{name}");
    }

    #[test]
    fn names_of_columns() {
        assert_eq!(words_of("customerEmail_2-HTTPUrl"), ["customer", "email", "2", "http", "url"]);
        check("customerEmail", Some(Kind::Email));
        check("LAST_NAME", Some(Kind::Surname));
        check("Billing Address", Some(Kind::Address));
        check("client_ip_address", Some(Kind::IpAddress));
        check("blood_pressure", Some(Kind::HealthMeasure));
        check("patient.date_of_birth", Some(Kind::BirthDate));
        check("Sexual Orientation", Some(Kind::Orientation));
        check("native-country", Some(Kind::Nationality));
        check("patient_age_years", Some(Kind::Age));
        check("age_years_at_admission", Some(Kind::Age));
        check("SSN", Some(Kind::UsSsn));
        check("Geburtsdatum", Some(Kind::BirthDate));
    }

    #[test]
    fn names_of_other_things() {
        for name in [
            "file_name",
            "product name",
            "page",
            "stage",
            "usage",
            "timestamp",
            "id",
            "order_id",
            "price",
            "target",
            "wine_age_years",
            "label",
            "x1",
            "",
            "日付",
        ] {
            check(name, None);
        }
    }
}
