//! What correlations remember: the hits of the last while, group by group. Bounded in groups, and in what is kept of each.

use std::collections::VecDeque;

use kernel::Micros;
use serde_json::Value;

use crate::event::field;
use crate::recent::Recent;
use crate::rules::{Correlation, CorrelationKind};

/// Groups that one correlation remembers; those that were quiet the longest are forgotten first.
const GROUP_COUNT_MAX: usize = 20_000;
/// Groups, and what is kept of them, of all correlations together: where there are many, or such that count far, each remembers fewer groups.
const GROUPS_OF_ALL_COUNT_MAX: usize = 640_000;
const MARKS_OF_ALL_COUNT_MAX: usize = 32_000_000;
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

/// Hits of the first rules of an ordered correlation, one after the other.
#[derive(Clone, Debug)]
struct Chain {
    from: i64,
    to: i64,
    indices: Vec<u64>,
}

/// The hits of one correlation.
#[derive(Debug)]
pub(crate) struct Window {
    groups: Recent<String, VecDeque<Mark>>,
    /// Of ordered ones, for each rule the chain up to it that began last: what follows may follow any, and that one is in time the longest.
    chains: Recent<String, Vec<Option<Chain>>>,
    /// Of those with an upper bound, until when a group counts as beyond it.
    beyond: Recent<String, i64>,
}

/// What a correlation found.
pub(crate) struct Joined {
    /// The values that it was grouped by.
    pub(crate) group: Vec<String>,
    /// The records behind it.
    pub(crate) evidence: Vec<u64>,
    /// How many hits, or values.
    pub(crate) count: u64,
    /// Whether that is what is looked for.
    pub(crate) fate: Fate,
}

/// What becomes of what was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is told of.
    Now,
    /// It is told of if no more than the upper bound comes until then.
    Unless(i64),
    /// More came than the upper bound.
    Beyond,
}

impl Window {
    /// For a correlation, one of so many.
    pub(crate) fn new(rule: &Correlation, correlation_count: usize) -> Self {
        let count_max = group_count_max(rule, correlation_count);
        Self { groups: Recent::new(count_max), chains: Recent::new(count_max), beyond: Recent::new(count_max) }
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
        let timespan_us = rule.timespan_s.saturating_mul(1_000_000);
        let oldest = at.0.saturating_sub(timespan_us);
        let chain = match &rule.kind {
            CorrelationKind::TemporalOrdered => follow(self.chains.entry(&key), rule.refers.len(), oldest, (refer, at.0, index)),
            _ => None,
        };
        let marks = self.groups.entry(&key);
        // Records come nearly in the order of their times; a late one counts with those around it.
        marks.retain(|mark| mark.at >= oldest);
        let kept_max = match &rule.kind {
            CorrelationKind::EventCount => kept_count_max(rule),
            CorrelationKind::ValueCount(_) => {
                marks.retain(|mark| mark.word != word);
                kept_count_max(rule)
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
            CorrelationKind::TemporalOrdered => {
                chain.is_some() || refer + 1 == rule.refers.len() && in_order(marks, rule.refers.len())
            }
        };
        let fate = match rule.at_most {
            None => Fate::Now,
            Some(most) => {
                let until = self.beyond.entry(&key);
                if marks.len() as u64 > most {
                    *until = at.0.saturating_add(timespan_us);
                }
                // What remains in the window of more than that is not few.
                if at.0 < *until {
                    Fate::Beyond
                } else {
                    Fate::Unless(marks.front().map_or(at.0, |first| first.at).saturating_add(timespan_us))
                }
            }
        };
        joined.then(|| {
            let hits = chain.unwrap_or_else(|| marks.iter().map(|mark| mark.index).collect());
            let skipped = hits.len().saturating_sub(EVIDENCE_COUNT_MAX);
            let mut evidence: Vec<u64> = hits.iter().skip(skipped).copied().collect();
            evidence.sort_unstable();
            evidence.dedup();
            Joined { group, evidence, count: hits.len() as u64, fate }
        })
    }
}

/// How many hits or values of a group are kept: as many as tell whether it is within its bounds.
fn kept_count_max(rule: &Correlation) -> usize {
    let count = rule.at_most.map_or(rule.at_least, |most| most.saturating_add(1));
    usize::try_from(count).unwrap_or(usize::MAX)
}

/// How many groups a correlation remembers, if there are so many correlations.
fn group_count_max(rule: &Correlation, correlation_count: usize) -> usize {
    let refer_count = rule.refers.len();
    let of_group = match &rule.kind {
        CorrelationKind::EventCount | CorrelationKind::ValueCount(_) => kept_count_max(rule),
        CorrelationKind::Temporal => 2 * refer_count,
        CorrelationKind::TemporalOrdered => (refer_count + 2) * refer_count,
    };
    let share = |of_all: usize| of_all / correlation_count.max(1);
    GROUP_COUNT_MAX.min(share(GROUPS_OF_ALL_COUNT_MAX)).min(share(MARKS_OF_ALL_COUNT_MAX) / of_group.max(1)).max(2)
}

/// Takes a hit into the chains that it continues. Gives the records of one that is whole with it.
fn follow(
    chains: &mut Vec<Option<Chain>>,
    rule_count: usize,
    oldest: i64,
    (refer, at, index): (usize, i64, u64),
) -> Option<Vec<u64>> {
    chains.resize(rule_count, None);
    for chain in chains.iter_mut() {
        if chain.as_ref().is_some_and(|chain| chain.from < oldest) {
            *chain = None;
        }
    }
    let chain = match refer.checked_sub(1) {
        None => Chain { from: at, to: at, indices: vec![index] },
        Some(before) => {
            let before = chains.get(before)?.as_ref().filter(|chain| chain.to <= at)?;
            let indices = before.indices.iter().copied().chain([index]).collect();
            Chain { from: before.from, to: at, indices }
        }
    };
    if refer + 1 == rule_count {
        return Some(chain.indices);
    }
    let slot = chains.get_mut(refer)?;
    if slot.as_ref().is_none_or(|present| present.from <= chain.from) {
        *slot = Some(chain);
    }
    None
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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::rules::{Looks, RuleSet};

    /// What is found when hits of the rules a, b, c and d come in this order, one a second, and the last of them is in.
    fn found(hits: &str) -> Option<Vec<u64>> {
        let rule = |name: char| {
            format!(
                "title: {name}\nname: {name}\nlogsource: {{product: strongroom, service: audit}}\ndetection: {{s: {{api.operation: {name}}}, condition: s}}\n---\n"
            )
        };
        let rules: String = ['a', 'b', 'c', 'd'].into_iter().map(rule).collect();
        let joined = "title: all\ncorrelation: {type: temporal_ordered, rules: [a, b, c, d], group-by: [u], timespan: 20s}\n";
        let set = RuleSet::of_text(&format!("{rules}{joined}")).unwrap();
        let correlation = set.rules().iter().find_map(|rule| match &rule.looks {
            Looks::Correlation(one) => Some(one),
            _ => None,
        });
        let mut window = Window::new(correlation.unwrap(), 1);
        let mut last = None;
        for (hit, index) in hits.bytes().zip(0_u64..) {
            let at = Micros(i64::try_from(index).unwrap() * 1_000_000);
            let joined = window.take(correlation.unwrap(), usize::from(hit - b'a'), at, index, &json!({ "u": "x" }));
            last = joined.map(|joined| joined.evidence);
        }
        last
    }

    #[test]
    fn many_correlations_and_high_counts_remember_fewer_groups_each() {
        let of = |kind: &str| {
            let rule = "title: a\nname: a\nlogsource: {product: strongroom, service: audit}\ndetection: {s: {api.operation: a}, condition: s}\n---\n";
            let set =
                RuleSet::of_text(&format!("{rule}title: b\ncorrelation: {{rules: [a], group-by: [u], timespan: 1d, {kind}}}\n"))
                    .unwrap();
            let correlation = set.rules().iter().find_map(|rule| match &rule.looks {
                Looks::Correlation(one) => Some(one.clone()),
                _ => None,
            });
            correlation.unwrap()
        };
        let count = |at_least: u64| of(&format!("type: event_count, condition: {{gte: {at_least}}}"));
        for (at_least, correlation_count, wanted) in
            [(10, 1, GROUP_COUNT_MAX), (60, 32, 16_666), (1_000, 1, GROUP_COUNT_MAX), (10, 1_000, 640), (1_000, 1_000, 32)]
        {
            assert_eq!(group_count_max(&count(at_least), correlation_count), wanted, "{at_least} {correlation_count}");
        }
        let rule = count(10);
        let mut window = Window::new(&rule, 1_000);
        for index in 0..5_000_u64 {
            window.take(&rule, 0, Micros(1), index, &json!({ "u": format!("u{index}") }));
        }
        assert!(window.groups.len() <= 640, "{}", window.groups.len());
    }

    #[test]
    fn four_hits_in_their_order_are_found_whatever_comes_between() {
        assert_eq!(found("abcd"), Some(vec![0, 1, 2, 3]));
        // The first and the last of b and c are not those that stand in order.
        assert_eq!(found("babcbd"), Some(vec![1, 2, 3, 5]));
        assert_eq!(found("cbabcbcbcabd").map(|hits| hits.len()), Some(4));
        for wrong in ["dcba", "acbd", "abdc", "bcd", "abc", "aabbdd"] {
            assert_eq!(found(wrong), None, "{wrong}");
        }
        let late = format!("abc{}d", "c".repeat(20));
        assert_eq!(found(&late), None, "a is too long ago");
        assert_eq!(found(&format!("a{}abcd", "c".repeat(20))), Some(vec![21, 22, 23, 24]));
    }
}
