//! One finding in a text, and why it was made.

use serde::{Serialize, Serializer};

use crate::kind::Kind;

/// One reason for a hit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The shape fits.
    Pattern = 1,
    /// A check digit or checksum holds.
    Checksum = 2,
    /// The issuer's range, or the country's length, fits.
    Range = 4,
    /// Words nearby, or the column's name, say so.
    Context = 8,
    /// Words nearby speak against it.
    AgainstContext = 16,
    /// A word list has it.
    Dictionary = 32,
    /// The name recogniser found it.
    Recogniser = 64,
}

const REASONS: [Reason; 7] = [
    Reason::Pattern,
    Reason::Checksum,
    Reason::Range,
    Reason::Context,
    Reason::AgainstContext,
    Reason::Dictionary,
    Reason::Recogniser,
];

/// The reasons for a hit: a small set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Why(u8);

impl Why {
    /// The set of one.
    #[must_use]
    pub const fn of(reason: Reason) -> Self {
        Self(reason as u8)
    }

    /// The set with one more.
    #[must_use]
    pub const fn and(self, reason: Reason) -> Self {
        Self(self.0 | reason as u8)
    }

    /// Whether the reason is in the set.
    #[must_use]
    pub const fn has(self, reason: Reason) -> bool {
        self.0 & reason as u8 != 0
    }

    /// The reasons, strongest evidence not first but in a fixed order.
    pub fn reasons(self) -> impl Iterator<Item = Reason> {
        REASONS.into_iter().filter(move |reason| self.has(*reason))
    }
}

impl Serialize for Why {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.reasons())
    }
}

/// One finding: bytes `start..end` of the text are of this kind.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Hit {
    /// What it is.
    pub kind: Kind,
    /// First byte. Always on a character's border.
    pub start: usize,
    /// Byte after the last. Always on a character's border.
    pub end: usize,
    /// 0 to 1: how sure. Not a probability, but monotone in the evidence.
    pub score: f32,
    /// Why.
    pub why: Why,
}

impl Hit {
    /// A hit on a whole value that a word list knows.
    pub(crate) const fn whole(kind: Kind, value: &str) -> Self {
        Self { kind, start: 0, end: value.len(), score: 0.6, why: Why::of(Reason::Dictionary) }
    }

    /// The bytes that it covers.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end.saturating_sub(self.start)
    }

    /// Whether it covers nothing; never so for a hit that was returned.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// What it covers of `text`, which must be the text that was scanned.
    #[must_use]
    pub fn text<'a>(&self, text: &'a str) -> &'a str {
        text.get(self.start..self.end).unwrap_or_default()
    }
}

/// Keeps the best of hits that overlap: the higher score, then the longer, then the earlier. Sorted by place.
///
/// Work is n log n in the number of hits.
pub fn resolve(hits: &mut Vec<Hit>) {
    hits.sort_by(|a, b| a.start.cmp(&b.start).then(b.score.total_cmp(&a.score)).then(b.end.cmp(&a.end)));
    let mut kept: Vec<Hit> = Vec::with_capacity(hits.len());
    for hit in hits.drain(..) {
        // A chain of overlaps: the newcomer must beat all that it touches, which are the last ones kept.
        let mut beaten = 0;
        let mut loses = false;
        for old in kept.iter().rev().take_while(|old| old.end > hit.start) {
            if old.score > hit.score || (old.score >= hit.score && old.len() >= hit.len()) {
                loses = true;
                break;
            }
            beaten += 1;
        }
        if !loses {
            kept.truncate(kept.len().saturating_sub(beaten));
            kept.push(hit);
        }
    }
    *hits = kept;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hit(kind: Kind, start: usize, end: usize, score: f32) -> Hit {
        Hit { kind, start, end, score, why: Why::of(Reason::Pattern) }
    }

    fn check(hits: &[(usize, usize, f32)], kept: &[(usize, usize)]) {
        let mut list: Vec<Hit> = hits.iter().map(|&(start, end, score)| hit(Kind::Phone, start, end, score)).collect();
        resolve(&mut list);
        let spans: Vec<(usize, usize)> = list.iter().map(|hit| (hit.start, hit.end)).collect();
        assert_eq!(spans, kept);
    }

    #[test]
    fn the_surer_then_the_longer_hit_stays() {
        check(&[(0, 5, 0.5), (3, 9, 0.9)], &[(3, 9)]);
        check(&[(0, 5, 0.9), (3, 9, 0.5)], &[(0, 5)]);
        check(&[(0, 5, 0.5), (0, 9, 0.5)], &[(0, 9)]);
        check(&[(0, 5, 0.5), (5, 9, 0.5)], &[(0, 5), (5, 9)]);
        check(&[(0, 2, 0.5), (2, 4, 0.5), (0, 4, 0.8)], &[(0, 4)]);
    }

    #[test]
    fn reasons_are_a_set() {
        let why = Why::of(Reason::Checksum).and(Reason::Context).and(Reason::Context);
        assert!(why.has(Reason::Context) && !why.has(Reason::Dictionary));
        assert_eq!(serde_json::to_string(&why).unwrap(), r#"["checksum","context"]"#);
    }
}
