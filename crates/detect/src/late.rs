//! What correlations with an upper bound found, until it is known that no more comes. Bounded.

use std::collections::BTreeMap;

use crate::engine::Finding;

/// Findings that wait, of all correlations together.
const WAITING_COUNT_MAX: usize = 2_000;

/// A group of a correlation: the rule's place, and the values that it is grouped by.
type Group = (usize, Vec<String>);

/// When a finding is due, and the finding.
type Waiting = BTreeMap<Group, (i64, Finding)>;

/// Findings that wait, with when it is too late for more.
#[derive(Debug, Default)]
pub(crate) struct Late {
    waiting: Waiting,
    /// No later than the first of them is due.
    next_at: i64,
}

impl Late {
    /// Keeps a finding until then, in place of one of the same group, which is due when it was. Gives it back where too many wait.
    pub(crate) fn hold(&mut self, group: Group, due_at: i64, finding: Finding) -> Option<Finding> {
        let known = self.waiting.get(&group).map(|(due_at, _)| *due_at);
        if known.is_none() && self.waiting.len() >= WAITING_COUNT_MAX {
            return Some(finding);
        }
        let due_at = known.map_or(due_at, |known| known.min(due_at));
        self.next_at = if self.waiting.is_empty() { due_at } else { self.next_at.min(due_at) };
        self.waiting.insert(group, (due_at, finding));
        None
    }

    /// More came.
    pub(crate) fn drop_of(&mut self, group: &Group) {
        self.waiting.remove(group);
    }

    /// What is due at this moment, in no order of its own.
    pub(crate) fn take_due(&mut self, at: i64) -> Vec<Finding> {
        if self.waiting.is_empty() || at <= self.next_at {
            return Vec::new();
        }
        let all = std::mem::take(&mut self.waiting).into_iter();
        let (due, waiting): (Waiting, Waiting) = all.partition(|(_, (due_at, _))| *due_at < at);
        self.waiting = waiting;
        self.next_at = self.waiting.values().map(|(due_at, _)| *due_at).min().unwrap_or(i64::MAX);
        due.into_values().map(|(_, finding)| finding).collect()
    }
}

#[cfg(test)]
mod tests {
    use kernel::Micros;

    use super::*;

    fn finding(index: u64) -> Finding {
        Finding {
            id: format!("d_{index}"),
            rule: 0,
            subject: "x".to_owned(),
            caller: None,
            token: None,
            workspace: None,
            at: Micros(0),
            index,
            evidence: vec![index],
            words: String::new(),
        }
    }

    #[test]
    fn what_waits_is_told_once_when_it_is_due_and_is_bounded() {
        let mut late = Late::default();
        let group = |name: u64| (0, vec![name.to_string()]);
        assert_eq!(late.hold(group(1), 100, finding(1)), None);
        assert_eq!(late.hold(group(1), 150, finding(2)), None);
        assert_eq!(late.hold(group(2), 90, finding(3)), None);
        assert_eq!(late.take_due(90), []);
        assert_eq!(late.take_due(95), [finding(3)]);
        assert_eq!(late.take_due(101), [finding(2)], "the later one, when the first was due");
        assert_eq!(late.take_due(1_000), []);
        late.hold(group(4), 100, finding(4));
        late.drop_of(&group(4));
        assert_eq!(late.take_due(1_000), []);
        for name in 0..WAITING_COUNT_MAX as u64 {
            assert_eq!(late.hold(group(name), 100, finding(name)), None);
        }
        assert_eq!(late.hold(group(999_999), 100, finding(7)), Some(finding(7)));
        assert_eq!(late.hold(group(5), 100, finding(8)), None, "it takes the place of its own");
        assert_eq!(late.take_due(101).len(), WAITING_COUNT_MAX);
    }
}
