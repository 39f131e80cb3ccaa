//! Tier 1: one pass over the bytes of a text, by hand-written matchers behind a table of trigger bytes.
//!
//! Ordinary prose has few digits, `@`, `:` and inner dots; eight bytes without any of them are skipped at once. A trigger
//! looks at a bounded window around it and then jumps past what it has judged.
//!
//! INVARIANT: work is linear in the text: each matcher reads at most [`WINDOW_BYTES`] per trigger and no trigger is judged
//! twice. Held by `tests::hostile_texts_cost_a_bounded_number_of_steps`.

mod codes;
mod contextual;
mod dates;
mod domains;
mod drawn;
mod internet;
mod numbers;
mod phones;
mod rules;
mod secrets;
#[cfg(test)]
mod tests;

use crate::PersonalError;
use crate::bytes::{at, before, run, run_back};
use crate::context::{ContextWords, Near, Topic};
use crate::hit::{Hit, Reason, Why};
use crate::kind::Kind;

/// The farthest that one matcher looks from its trigger.
pub const WINDOW_BYTES: usize = 256;
/// A word of letters and digits longer than this is no number of a person.
const WORD_BYTES_MAX: usize = 128;
/// What words nearby add at most.
const CONTEXT_GAIN: f32 = 0.4;
/// What one byte of distance takes from that.
const DISTANCE_LOSS: f32 = 0.001;
/// What words that speak of something else take away.
const AGAINST_LOSS: f32 = 0.3;
/// A password or key that looks drawn by chance.
pub const DRAWN_BASE: f32 = 0.7;
/// A password that looks like words: it may be an example.
const WORDED_BASE: f32 = 0.5;
/// A score that words nearby cannot lower: a long checksum has spoken.
const CERTAIN: f32 = 0.9;

/// The automata and tables of tier 1, made once.
#[derive(Debug)]
pub struct Patterns {
    context: ContextWords,
    numbers: rules::NumberRules,
    secrets: secrets::Secrets,
}

impl Patterns {
    pub fn new() -> Result<Self, PersonalError> {
        Ok(Self { context: ContextWords::new()?, numbers: rules::NumberRules::new(), secrets: secrets::Secrets::new()? })
    }

    /// The topics of a column's name, its words separated by spaces.
    pub fn topics_of(&self, header: &str) -> Near {
        self.context.of_header(header)
    }

    /// Puts what it finds into `hits`, overlaps and all; gives the number of bytes that matchers looked at.
    pub fn scan(&self, text: &str, header: &Near, score_min: f32, hits: &mut Vec<Hit>) -> u64 {
        let mut pass = Pass {
            text: text.as_bytes(),
            patterns: self,
            header: *header,
            hits,
            score_min,
            steps: 0,
            domains_until: 0,
            near: None,
        };
        pass.run();
        self.secrets.scan(&mut pass);
        pass.steps
    }
}

/// One pass over one text.
struct Pass<'a> {
    text: &'a [u8],
    patterns: &'a Patterns,
    header: Near,
    hits: &'a mut Vec<Hit>,
    score_min: f32,
    steps: u64,
    /// Dots before this have been judged.
    domains_until: usize,
    /// The last answer about words nearby, and for which span.
    near: Option<(usize, usize, Near)>,
}

/// What a matcher proposes.
#[derive(Clone, Copy)]
struct Offer {
    kind: Kind,
    start: usize,
    end: usize,
    base: f32,
    topic: Option<Topic>,
    why: Why,
}

/// The next digit, `.`, `:` or `@` at or after `from`.
#[inline]
fn next_trigger(text: &[u8], from: usize) -> Option<usize> {
    let is_trigger = |byte: &u8| byte.wrapping_sub(b'.') < 13 && *byte != b'/' || *byte == b'@';
    let mut place = from;
    let (chunks, _) = text.get(from..)?.as_chunks::<8>();
    for chunk in chunks {
        if chunk.iter().fold(false, |any, byte| any | is_trigger(byte)) {
            break;
        }
        place += 8;
    }
    text.get(place..)?.iter().position(is_trigger).map(|offset| place + offset)
}

impl Pass<'_> {
    fn run(&mut self) {
        let (mut place, mut floor) = (0, 0);
        while let Some(trigger) = next_trigger(self.text, place) {
            self.steps += 1;
            place = match at(self.text, trigger) {
                b'@' => self.email(trigger),
                b':' => self.colon(trigger),
                b'.' => self.dot(trigger),
                _ => {
                    let start = run_back(self.text, trigger, floor, is_code_byte);
                    let end = run(self.text, trigger, usize::MAX, is_code_byte);
                    floor = end;
                    self.word(start, end);
                    end
                }
            };
        }
    }

    /// A word of ASCII letters, digits and `_` that has a digit.
    fn word(&mut self, start: usize, end: usize) {
        let length = end - start;
        self.steps += length.min(WINDOW_BYTES) as u64;
        if length > WORD_BYTES_MAX {
            return;
        }
        if self.text.get(start..end).is_some_and(|word| word.iter().all(u8::is_ascii_digit)) {
            self.number(start, end);
        } else {
            self.code(start, end);
        }
    }

    /// Whether what stands at `start` is the tail of something longer: `1.2`, `a-1`, `$5`.
    fn glued_left(&self, start: usize) -> bool {
        match before(self.text, start) {
            b'-' | b'.' | b'/' | b':' | b',' => {
                let further = start.checked_sub(2).map_or(0, |place| at(self.text, place));
                // A comma joins only where no space or quote follows it, as in 1,234; a list of whole numbers is a list.
                let joins = before(self.text, start) != b',' || self.digits_from(start) == 3;
                (further.is_ascii_alphanumeric() && joins) || (further == b'-' && before(self.text, start) == b'-')
            }
            b'$' | b'_' | b'%' | b'=' => before(self.text, start) != b'=',
            _ => false,
        }
    }

    fn digits_from(&self, start: usize) -> usize {
        run(self.text, start, WORD_BYTES_MAX, |byte| byte.is_ascii_digit()) - start
    }

    /// Whether what ends at `end` goes on: `1.2`, `1-a`, `5%`.
    fn glued_right(&self, end: usize) -> bool {
        match at(self.text, end) {
            b'-' | b'.' | b'/' | b':' => at(self.text, end + 1).is_ascii_alphanumeric(),
            b'%' => true,
            byte => is_code_byte(byte),
        }
    }

    /// The words near a span, with those of the column's name.
    fn near(&mut self, start: usize, end: usize) -> Near {
        if let Some((from, to, near)) = self.near
            && (from, to) == (start, end)
        {
            return near;
        }
        self.steps += WINDOW_BYTES as u64 / 2;
        let near = self.patterns.context.near(self.text, start, end).with(&self.header);
        self.near = Some((start, end, near));
        near
    }

    /// Weighs an offer with the words nearby and keeps it if it is good enough.
    fn offer(&mut self, offer: Offer) {
        let Offer { kind, start, end, base, topic, mut why } = offer;
        let mut score = base;
        if base < CERTAIN {
            let near = self.near(start, end);
            let with = topic.and_then(|topic| near.distance(topic));
            let against = near.distance(Topic::Against);
            match (with, against) {
                (Some(distance), against) if against.is_none_or(|other| other >= distance) => {
                    score += CONTEXT_GAIN - f32::from(distance) * DISTANCE_LOSS;
                    why = why.and(Reason::Context);
                }
                (_, Some(_)) => {
                    score -= AGAINST_LOSS;
                    why = why.and(Reason::AgainstContext);
                }
                _ => {}
            }
        }
        if score >= self.score_min {
            self.hits.push(Hit { kind, start, end, score: score.min(1.0), why });
        }
    }
}

/// Bytes that make one code or number together.
const fn is_code_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_'
}
