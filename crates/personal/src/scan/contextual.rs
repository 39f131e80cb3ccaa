//! Numbers without a check of their own: only words nearby, or the column's name, make them what they are.

use super::{Offer, Pass, is_code_byte};
use crate::bytes::{at, before, part, run};
use crate::context::Topic;
use crate::hit::{Reason, Why};
use crate::kind::Kind;

/// Words farther off than this say nothing about a number without a shape.
const DISTANCE_MAX: u8 = 28;
const BASE: f32 = 0.2;

struct ContextRule {
    kind: Kind,
    topic: Topic,
    length: (usize, usize),
    digits_min: usize,
    /// Letters that such a code has at most.
    letters_max: usize,
}

const fn rule(kind: Kind, topic: Topic, length: (usize, usize), digits_min: usize, letters_max: usize) -> ContextRule {
    ContextRule { kind, topic, length, digits_min, letters_max }
}

const RULES: &[ContextRule] = &[
    rule(Kind::Passport, Topic::Passport, (6, 9), 5, 3),
    rule(Kind::DriverLicence, Topic::Licence, (6, 19), 5, 6),
    rule(Kind::MedicalRecord, Topic::MedicalRecord, (5, 14), 5, 4),
    rule(Kind::HealthPlan, Topic::HealthPlan, (6, 16), 5, 6),
    rule(Kind::BankAccount, Topic::Bank, (6, 18), 6, 0),
    rule(Kind::DeviceId, Topic::Device, (8, 20), 6, 10),
    rule(Kind::NationalId, Topic::NationalId, (6, 18), 5, 4),
];

impl Pass<'_> {
    /// The code that starts with the word `start..end`, and goes on over dashes.
    pub(super) fn contextual(&mut self, start: usize, end: usize) {
        if end - start > 20 || before(self.text, start) == b'-' {
            return;
        }
        let end = run(self.text, start, 24, |byte| byte.is_ascii_alphanumeric() || byte == b'-');
        let code = part(self.text, start, end);
        let digits = code.iter().filter(|byte| byte.is_ascii_digit()).count();
        let letters = code.iter().filter(|byte| byte.is_ascii_alphabetic()).count();
        if digits < 5
            || is_code_byte(at(self.text, end))
            || at(code, code.len().saturating_sub(1)) == b'-'
            || self.glued_right(end)
        {
            return;
        }
        let near = self.near(start, end);
        let fits = |rule: &&ContextRule| {
            let length = digits + letters;
            (rule.length.0..=rule.length.1).contains(&length) && digits >= rule.digits_min && letters <= rule.letters_max
        };
        let best = RULES
            .iter()
            .filter(fits)
            .filter_map(|rule| near.distance(rule.topic).map(|distance| (distance, rule)))
            .filter(|(distance, _)| *distance <= DISTANCE_MAX)
            .min_by_key(|(distance, _)| *distance);
        if let Some((_, rule)) = best {
            let why = Why::of(Reason::Pattern);
            self.offer(Offer { kind: rule.kind, start, end, base: BASE, topic: Some(rule.topic), why });
        }
    }

    /// `77036`, `77036-1234`, `TX 77036`.
    pub(super) fn postal_code(&mut self, start: usize, end: usize) {
        let length = end - start;
        if !(4..=6).contains(&length) {
            return;
        }
        let plus_four = length == 5 && at(self.text, end) == b'-' && self.digits_from(end + 1) == 4;
        let last = if plus_four { end + 5 } else { end };
        if self.glued_right(last) {
            return;
        }
        let state = part(self.text, start.wrapping_sub(4), start);
        let has_state = matches!(state, [b' ' | b'\n' | b',', first, second, b' '] if is_us_state(&[*first, *second]));
        let base = if has_state && length == 5 { 0.6 } else { 0.15 };
        let why = Why::of(Reason::Pattern);
        self.offer(Offer { kind: Kind::PostalCode, start, end: last, base, topic: Some(Topic::Zip), why });
    }
}

/// Whether two letters are a state or a territory of the USA, or a military post.
fn is_us_state(letters: &[u8; 2]) -> bool {
    const STATES: &[u8] =
        b"ALAKAZARCACOCTDEFLGAHIIDILINIAKSKYLAMEMDMAMIMNMSMOMTNENVNHNJNMNYNCNDOHOKORPARISCSDTNTXUTVTVAWAWVWIWYDCPRVIGUASMPAAAEAP";
    STATES.as_chunks::<2>().0.contains(letters)
}
