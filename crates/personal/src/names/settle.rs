//! What the tagger's names stand next to decides what they are: streets and towns are named after persons.

use super::lexicon::Lexicon;
use super::tokens::{Token, TokenKind};
use crate::kind::Kind;

/// A person's name of which no word is in a list is believed from this score on: how far the best path is ahead says how well the
/// words around it agree.
const UNKNOWN_PERSON_SCORE_MIN: f32 = 0.84;
/// Digits of a house's number.
const HOUSE_NUMBER_BYTES_MAX: usize = 4;
/// Words before a street or a town rather than before a person.
const WHERE_WORDS: [&str; 7] = ["on", "at", "in", "into", "along", "near", "of"];
/// Words that no name of a person follows, if nothing else says that it is one.
const DETERMINERS: [&str; 10] = ["the", "a", "an", "my", "your", "his", "her", "its", "our", "their"];
/// Words behind a verb that opens a sentence without a subject, as in `Broke after two days`; a name is followed by a verb.
const BEHIND_VERBS: &str = "after before within the a an my too very as when once out off down up apart easily quickly only like into over it this \
    that these those them me him";
/// Endings of streets' names that are written as one word.
const STREET_ENDINGS: [&str; 12] =
    ["straße", "strasse", "straat", "gasse", "gatan", "vägen", "veien", "vegen", "plein", "allee", "laan", "katu"];

/// Of so many words in small letters fewer than one in so many is common English: the text is in another language.
const FOREIGN_WORD_COUNT_MIN: usize = 3;
const FOREIGN_COMMON_PART: usize = 3;
/// Forms of address of other languages.
const FOREIGN_TITLES: &str = "herr herrn frau dr prof doktor monsieur madame mme mlle señor señora señorita sr sra don doña signor signora signore \
    sig senhor senhora dom dona meneer mevrouw dhr mevr pan pani fru frk fröken rouva herra bay bayan sayın господин госпожа доктор пан пані";
/// Words that only German sentences have, most of them one.
const GERMAN_WORDS: [&str; 9] = ["und", "nicht", "der", "ist", "ein", "eine", "wird", "wurde", "auf"];
/// Words of a name that a form of address or a given name tells of, and how sure that is.
const NAME_WORD_COUNT_MAX: usize = 4;
const NAMED_SCORE: f32 = 0.7;

/// Tokens that are one name.
#[derive(Clone, Copy, Debug)]
pub struct Span {
    pub kind: Kind,
    pub first: usize,
    pub last: usize,
    pub score: f32,
}

/// Gives persons that are none their kind, and drops those that little speaks for.
pub fn settle(text: &str, tokens: &[Token], lexicon: &Lexicon, spans: &mut Vec<Span>) {
    let around = Around { text, tokens, lexicon };
    for place in 0..spans.len() {
        let before = place.checked_sub(1).and_then(|place| spans.get(place)).copied();
        let after = spans.get(place + 1).copied();
        if let Some(span) = spans.get_mut(place).filter(|span| span.kind == Kind::Person) {
            around.place(before, span, after);
        }
    }
    let foreign = spans.iter().any(|span| span.kind == Kind::Person) && around.is_foreign();
    let is_believed = |span: &Span| if foreign { around.is_named(span) } else { around.is_believed(span) };
    spans.retain(|span| span.kind != Kind::Person || is_believed(span));
    if foreign {
        around.add_named(spans);
    }
}

/// A text, as its tokens.
struct Around<'a> {
    text: &'a str,
    tokens: &'a [Token],
    lexicon: &'a Lexicon,
}

impl Around<'_> {
    fn word(&self, place: usize) -> &str {
        self.tokens.get(place).and_then(|token| self.text.get(token.start..token.end)).unwrap_or_default()
    }

    fn before(&self, span: &Span) -> &str {
        span.first.checked_sub(1).map_or("", |place| self.word(place))
    }

    fn is(&self, place: usize, kind: TokenKind) -> bool {
        self.tokens.get(place).is_some_and(|token| token.kind == kind)
    }

    /// Whether a number that houses have stands there.
    fn is_house_number(&self, place: usize) -> bool {
        let word = self.word(place);
        self.is(place, TokenKind::Number)
            && word.len() <= HOUSE_NUMBER_BYTES_MAX
            && word.starts_with(|sign: char| sign.is_ascii_digit())
    }

    /// A person's name that is a street's or a town's gets that kind.
    fn place(&self, before: Option<Span>, span: &mut Span, after: Option<Span>) {
        let last = self.word(span.last).to_lowercase();
        let ends_as_street = STREET_ENDINGS.iter().any(|ending| last.len() > ending.len() + 2 && last.ends_with(ending));
        let numbered = self.is_house_number(span.last + 1);
        let led = WHERE_WORDS.contains(&self.before(span));
        let corner = |one: Option<Span>, and: Option<usize>| {
            one.is_some_and(|one| one.kind == Kind::Address)
                && and.is_some_and(|place| matches!(self.word(place), "and" | "&" | "und"))
        };
        let next_to = |one: &Span| one.last + 2 == span.first;
        let corner_before = before.as_ref().is_some_and(next_to) && corner(before, span.first.checked_sub(1));
        let corner_after = after.is_some_and(|after| span.last + 2 == after.first) && corner(after, Some(span.last + 1));
        if ends_as_street || (numbered && led) || corner_before || corner_after {
            span.kind = Kind::Address;
            span.last += usize::from(numbered);
        } else if self.is_town_of(before, span, after) {
            span.kind = Kind::Place;
        }
    }

    /// Whether a line stands between a street and a country, or a number behind which there is one.
    fn is_town_of(&self, before: Option<Span>, span: &Span, after: Option<Span>) -> bool {
        let signs = |from: usize, to: usize| {
            from <= to && (from..to).all(|place| self.is(place, TokenKind::Sign) || self.is(place, TokenKind::Line))
        };
        let street = before.is_some_and(|one| one.kind == Kind::Address && signs(one.last + 1, span.first));
        let country = after.is_some_and(|one| matches!(one.kind, Kind::Place | Kind::Address) && signs(span.last + 1, one.first));
        street && country
    }

    /// Whether a sentence begins with it.
    fn opens(&self, span: &Span) -> bool {
        let before = span.first.checked_sub(1);
        before.is_none_or(|place| self.is(place, TokenKind::Line) || matches!(self.word(place), "." | "!" | "?"))
    }

    /// Whether one word opens a sentence and what follows goes with a verb.
    fn is_opening_verb(&self, span: &Span) -> bool {
        let next = self.word(span.last + 1);
        self.opens(span) && span.first == span.last && BEHIND_VERBS.split_ascii_whitespace().any(|word| word == next)
    }

    /// Whether hardly a word is English: capitals and words around a name then say little of what the tagger learnt.
    fn is_foreign(&self) -> bool {
        let (mut count, mut common) = (0, 0);
        for place in (0..self.tokens.len()).filter(|place| self.is(*place, TokenKind::Word)) {
            let word = self.word(place);
            if word.starts_with(char::is_lowercase) {
                count += 1;
                common += usize::from(self.lexicon.known(word).is_common());
            }
        }
        count >= FOREIGN_WORD_COUNT_MIN && common * FOREIGN_COMMON_PART < count
    }

    /// Whether more than the tagger says that it is a person: a given name, a form of address, or two words with capitals one behind the
    /// other, of which the first opens no sentence; but in German most nouns have one.
    fn is_named(&self, span: &Span) -> bool {
        let places = || span.first..=span.last;
        let given = places().any(|place| self.lexicon.known(self.word(place)).is_given());
        let titled = places().any(|place| place < span.last && self.is_title(place) && self.is_capital(place + 1))
            || span.first.checked_sub(1).is_some_and(|before| self.is_title(before)) && self.is_capital(span.first);
        let first = span.first + usize::from(self.opens(span));
        let pair = (first..span.last).any(|place| self.is_capital(place) && self.is_capital(place + 1));
        let german = || (0..self.tokens.len()).any(|place| GERMAN_WORDS.contains(&self.word(place)));
        given || titled || pair && span.score >= UNKNOWN_PERSON_SCORE_MIN && !german()
    }

    fn is_capital(&self, place: usize) -> bool {
        let word = self.word(place);
        self.is(place, TokenKind::Word) && word.starts_with(char::is_uppercase) && word.chars().nth(1).is_some()
    }

    fn is_title(&self, place: usize) -> bool {
        let word = self.word(place).to_lowercase();
        self.is(place, TokenKind::Word) && FOREIGN_TITLES.split_ascii_whitespace().any(|title| title == word)
    }

    /// Adds what stands behind a form of address, and a given name with what follows it.
    fn add_named(&self, spans: &mut Vec<Span>) {
        for place in 0..self.tokens.len() {
            let behind = place + 1 + usize::from(self.word(place + 1) == ".");
            let first = if self.is_title(place) && self.is_capital(behind) {
                behind
            } else if self.is_capital(place) && self.is_capital(place + 1) && self.is_given(place) {
                place
            } else {
                continue;
            };
            let more = (first + 1..self.tokens.len()).take(NAME_WORD_COUNT_MAX - 1).take_while(|place| self.is_capital(*place));
            let last = first + more.count();
            if !spans.iter().any(|other| other.first <= last && first <= other.last) {
                spans.push(Span { kind: Kind::Person, first, last, score: NAMED_SCORE });
            }
        }
    }

    fn is_given(&self, place: usize) -> bool {
        let known = self.lexicon.known(self.word(place));
        known.is_given() && !known.is_common()
    }

    fn is_believed(&self, span: &Span) -> bool {
        let known = (span.first..=span.last).any(|place| {
            let known = self.lexicon.known(self.word(place));
            known.is_given() || known.is_surname()
        });
        // `the Ada Lovelace version` is one; `her Brightwallet letter` is not.
        let determined = span.first == span.last && DETERMINERS.iter().any(|word| word.eq_ignore_ascii_case(self.before(span)));
        known || (span.score >= UNKNOWN_PERSON_SCORE_MIN && !determined && !self.is_opening_verb(span))
    }
}
