//! Tier 3: names of people, places, addresses and organisations, by a small tagger that learns at its first use.
//!
//! A linear chain with an averaged perceptron (M. Collins, Discriminative Training Methods for Hidden Markov Models, EMNLP
//! 2002). It is trained on sentences that this crate makes (`sentences`, `templates`), from a fixed seed, in well under a
//! second: there is no weights file to trust, and the same code gives the same weights.
//!
//! The word lists in `words/` were written down for this crate from general knowledge; none was taken from a data set.

mod features;
mod letters;
mod lexicon;
mod parts;
mod sentences;
mod settle;
mod tagger;
mod templates;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::{Arc, OnceLock};

use crate::hit::{Hit, Reason, Why};
use crate::kind::Kind;
pub use letters::is_whole as is_name_of_letters;
use lexicon::Lexicon;
pub use lexicon::{Known, fold};
use settle::Span;
use tagger::{Label, Tagger};
use tokens::{Token, TokenKind, tokens_of};

/// Tokens that are labelled together; longer texts are cut.
const CHUNK_TOKENS: usize = 400;
/// A person's or a place's name is not longer.
const NAME_BYTES_MAX: usize = 120;
/// The score of a word that a list knows as a people or a creed.
const PEOPLE_SCORE: f32 = 0.6;
/// The score of a day of the week, which is an element of a date (45 CFR 164.514(b)(2)(i)(C)).
const WEEKDAY_SCORE: f32 = 0.55;
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// Forms of irregular verbs that are nobody's name. Other common words that are forms are known by their endings.
const IRREGULAR: &str = "arose arisen awoke became begun bitten bled blew blown broke brought caught chose chosen clung crept dealt drank drawn \
    drove driven eaten fallen fed fled flew flown forbade forgave forgot forgotten froze frozen gave given gone grew grown hid hidden knelt knew \
    laid leapt lost meant ridden rang risen sank sought sold shook shaken shone shrank shrunk slept slid spat sped spelt spent spilt spoke spoken \
    spoilt sprang spun stank stole stolen stood struck stuck stung sunk swam swept swore sworn swung taken taught threw thrown tore torn trod \
    understood wept went woke woken wore worn wove written wrote";

/// Finds names in texts.
#[derive(Debug)]
pub struct Names {
    lexicon: Lexicon,
    tagger: Tagger,
}

/// Whether a word is a day of the week: with a capital, or behind `on`, `next`, `last` and the like.
fn is_weekday(text: &str, token: &Token, word: &str) -> bool {
    if !WEEKDAYS.iter().any(|day| day.eq_ignore_ascii_case(word)) {
        return false;
    }
    let before = text.get(..token.start).unwrap_or_default().trim_end();
    let led = before.rsplit(' ').next().is_some_and(|word| ["on", "next", "last", "this", "every", "by"].contains(&word));
    led || word.starts_with(char::is_uppercase)
}

impl Names {
    /// The one recogniser of the process, trained at the first call.
    pub fn shared() -> Arc<Self> {
        static SHARED: OnceLock<Arc<Names>> = OnceLock::new();
        Arc::clone(SHARED.get_or_init(|| {
            let lexicon = Lexicon::new();
            let tagger = Tagger::trained(&lexicon);
            Arc::new(Self { lexicon, tagger })
        }))
    }

    /// What the word lists know of a word.
    pub fn known(&self, word: &str) -> Known {
        self.lexicon.known(word)
    }

    /// The names in `text`, where tier 1 has found `known`, sorted by place.
    pub fn scan(&self, text: &str, score_min: f32, known: &[Hit]) -> Vec<Hit> {
        let mut hits = Vec::new();
        for chunk in tokens_of(text, known).chunks(CHUNK_TOKENS) {
            self.chunk(text, chunk, score_min, &mut hits);
        }
        hits.extend(letters::found(text).into_iter().filter(|hit| hit.score >= score_min));
        hits.sort_by_key(|hit| hit.start);
        hits
    }

    fn chunk(&self, text: &str, tokens: &[Token], score_min: f32, hits: &mut Vec<Hit>) {
        let features = features::of(text, tokens, &self.lexicon);
        let labels = self.tagger.label(&features);
        let mut spans = Vec::new();
        let mut place = 0;
        while let Some((label, margin)) = labels.get(place).copied() {
            if label == Label::Outside {
                self.people(text, tokens.get(place), score_min, hits);
                place += 1;
                continue;
            }
            let mut last = place;
            let mut sum = margin;
            while labels.get(last + 1).is_some_and(|(next, _)| label.goes_on_as(*next)) {
                last += 1;
                sum += labels.get(last).map_or(0.0, |(_, margin)| *margin);
            }
            let mean = sum / (last - place + 1) as f32;
            let score = 0.5 + 0.45 * mean.max(0.0) / (mean.max(0.0) + 3.0);
            spans.push(Span { kind: label.kind(), first: place, last, score });
            place = last + 1;
        }
        settle::settle(text, tokens, &self.lexicon, &mut spans);
        for span in &spans {
            let (Some(first), Some(end)) = (tokens.get(span.first), tokens.get(span.last)) else { continue };
            let words = tokens.get(span.first..=span.last).unwrap_or_default();
            let short = end.end - first.start <= NAME_BYTES_MAX || span.kind == Kind::Address;
            if span.score >= score_min && short && self.is_plausible(text, words, span.kind) {
                let why = Why::of(Reason::Recogniser);
                hits.push(Hit { kind: span.kind, start: first.start, end: end.end, score: span.score, why });
            }
        }
    }

    /// What a name needs besides the tagger's word: a capital, or a word that some list knows; and it is no abbreviation.
    fn is_plausible(&self, text: &str, tokens: &[Token], kind: Kind) -> bool {
        let words = tokens.iter().filter(|token| matches!(token.kind, TokenKind::Word | TokenKind::Number));
        let words: Vec<&str> = words.filter_map(|token| text.get(token.start..token.end)).collect();
        let numbered = words.iter().any(|word| word.contains(|letter: char| letter.is_numeric()));
        if kind == Kind::Address {
            return numbered || words.iter().any(|word| self.lexicon.known(word).is_street());
        }
        if let [word] = words.as_slice() {
            let known = self.lexicon.known(word);
            let letters = word.chars().count();
            let abbreviation =
                letters <= 4 && !word.contains(char::is_lowercase) && word.is_ascii() && kind != Kind::Organisation;
            let irregular = || IRREGULAR.split_ascii_whitespace().any(|form| form.eq_ignore_ascii_case(word));
            if (abbreviation || known.is_common() || irregular()) && !known.is_name() || letters == 1 {
                return false;
            }
        }
        words.iter().any(|word| {
            let known = self.lexicon.known(word);
            // Letters of writings without capitals say nothing: whole sentences would be names.
            let capital = word.starts_with(|letter: char| letter.is_uppercase() || !letter.is_alphabetic());
            (capital && word.chars().nth(1).is_some()) || (known.is_name() && !known.is_common())
        })
    }

    /// A word for a people or a creed, which is no name of anybody.
    fn people(&self, text: &str, token: Option<&Token>, score_min: f32, hits: &mut Vec<Hit>) {
        let Some(token) = token.filter(|token| token.kind == TokenKind::Word) else { return };
        let word = text.get(token.start..token.end).unwrap_or_default();
        if self.lexicon.known(word).is_people(word) && PEOPLE_SCORE >= score_min {
            let why = Why::of(Reason::Dictionary);
            hits.push(Hit { kind: Kind::Nationality, start: token.start, end: token.end, score: PEOPLE_SCORE, why });
        } else if is_weekday(text, token, word) && WEEKDAY_SCORE >= score_min {
            let why = Why::of(Reason::Dictionary);
            hits.push(Hit { kind: Kind::Weekday, start: token.start, end: token.end, score: WEEKDAY_SCORE, why });
        }
    }
}
