//! What correlations remember: the hits of the last while, group by group. Bounded in groups, and in what is kept of each.

use std::collections::VecDeque;

use kernel::Micros;
use serde_json::Value;

use crate::event::field;
use crate::recent::Recent;
use crate::rules::{Correlation, CorrelationKind};

/// Groups that one correlation remembers; those that were quiet the longest are forgotten first.
const GROUP_COUNT_MAX: usize = 20_000;
/// Records that are named as evidence.
pub(crate) const EVIDENCE_COUNT_MAX: usize = 32;
/// What joins the parts of a key. No id holds it.
const JOINT: char = '\u{1f}';

#[derive(Clone, Debug)]
struct Mark {
    at: i64,
    index: u64,
    /// The place of the rule, or a digest of the value.
    word: u64,
}

/// The hits of one correlation.
#[derive(Debug)]
pub(crate) struct Window {
    groups: Recent<String, VecDeque<Mark>>,
}

/// What a correlation found.
pub(crate) struct Joined {
    /// The values that it was grouped by.
    pub(crate) group: Vec<String>,
    /// The records behind it.
    pub(crate) evidence: Vec<u64>,
    /// How many hits, or values.
    pub(crate) count: u64,
}

impl Window {
    pub(crate) fn new() -> Self {
        Self { groups: Recent::new(GROUP_COUNT_MAX) }
    }

    /// Takes a hit of the rule at `refer` of the correlation's list in.
    pub(crate) fn take(&mut self, rule: &Correlation, refer: usize, at: Micros, index: u64, event: &Value) -> Option<Joined> {
        let mut group = Vec::with_capacity(rule.group_by.len());
        for name in &rule.group_by {
            // What has no such field belongs to no group.
            group.push(field(event, rule.field(name, refer))?);
        }
        let word = match &rule.kind {
            CorrelationKind::ValueCount(name) => digest(&field(event, name)?),
            _ => refer as u64,
        };
        let key = group.join(&JOINT.to_string());
        let marks = self.groups.entry(&key);
        let oldest = at.0.saturating_sub(rule.timespan_s.saturating_mul(1_000_000));
        // Records come nearly in the order of their times; a late one counts with those around it.
        marks.retain(|mark| mark.at >= oldest);
        let kept_max = match &rule.kind {
            CorrelationKind::EventCount => usize::try_from(rule.at_least).unwrap_or(usize::MAX),
            CorrelationKind::ValueCount(_) => {
                marks.retain(|mark| mark.word != word);
                usize::try_from(rule.at_least).unwrap_or(usize::MAX)
            }
            // Of each rule the first that is still in time and the last are enough.
            CorrelationKind::Temporal | CorrelationKind::TemporalOrdered => {
                let same: Vec<usize> = marks.iter().enumerate().filter(|(_, mark)| mark.word == word).map(|(at, _)| at).collect();
                if let (Some(last), true) = (same.last(), same.len() >= 2) {
                    marks.remove(*last);
                }
                2 * rule.refers.len()
            }
        };
        marks.push_back(Mark { at: at.0, index, word });
        while marks.len() > kept_max {
            marks.pop_front();
        }
        let joined = match &rule.kind {
            CorrelationKind::EventCount | CorrelationKind::ValueCount(_) => marks.len() as u64 >= rule.at_least,
            CorrelationKind::Temporal => (0..rule.refers.len()).all(|place| marks.iter().any(|mark| mark.word == place as u64)),
            CorrelationKind::TemporalOrdered => refer + 1 == rule.refers.len() && in_order(marks, rule.refers.len()),
        };
        joined.then(|| {
            let skipped = marks.len().saturating_sub(EVIDENCE_COUNT_MAX);
            let mut evidence: Vec<u64> = marks.iter().skip(skipped).map(|mark| mark.index).collect();
            evidence.sort_unstable();
            evidence.dedup();
            Joined { group, evidence, count: marks.len() as u64 }
        })
    }
}

/// Whether marks of the rules 0, 1, … can be found one after the other.
fn in_order(marks: &VecDeque<Mark>, count: usize) -> bool {
    let mut wanted = 0_usize;
    let mut sorted: Vec<&Mark> = marks.iter().collect();
    sorted.sort_by_key(|mark| mark.at);
    for mark in sorted {
        if mark.word == wanted as u64 {
            wanted += 1;
        }
    }
    wanted == count
}

/// A short digest: collisions only make two values look like one.
pub(crate) fn digest(text: &str) -> u64 {
    let whole = kernel::sha256(text.as_bytes());
    whole.iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}
