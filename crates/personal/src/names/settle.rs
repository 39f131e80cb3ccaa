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
    spans.retain(|span| span.kind != Kind::Person || around.is_believed(span));
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

    /// Whether one word opens a sentence and what follows goes with a verb.
    fn is_opening_verb(&self, span: &Span) -> bool {
        let opens = span
            .first
            .checked_sub(1)
            .is_none_or(|place| self.is(place, TokenKind::Line) || matches!(self.word(place), "." | "!" | "?"));
        let next = self.word(span.last + 1);
        opens && span.first == span.last && BEHIND_VERBS.split_ascii_whitespace().any(|word| word == next)
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
