//! Champion and challenger side by side, for people.

use super::interval::{difference, share};
use super::tally::{Counts, Tally};

/// What was counted since this server knows the rollout.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// The champion, in the requests of the rollout's time.
    pub champion: ArmView,
    /// The challenger.
    pub challenger: ArmView,
    /// Labels that both give, the largest difference first. Beyond doubt where its interval does not hold zero.
    pub labels: Vec<LabelView>,
    /// Rows that both were asked.
    pub pairs: PairView,
}

/// One of the two.
#[derive(Clone, Debug, PartialEq)]
pub struct ArmView {
    /// Requests.
    pub requests: u64,
    /// Rows in them.
    pub rows: u64,
    /// Requests that could not be answered although they fit.
    pub errors: u64,
    /// The middle latency of computing, in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile, in milliseconds.
    pub p99_ms: f64,
    /// Mean and standard deviation of the numbers that it gave, where it gives numbers.
    pub values: Option<(f64, f64)>,
}

/// How often a label is given.
#[derive(Clone, Debug, PartialEq)]
pub struct LabelView {
    /// The label.
    pub label: String,
    /// The champion's share.
    pub champion: f64,
    /// The challenger's share.
    pub challenger: f64,
    /// Challenger minus champion: low and high end of a 95 % interval.
    pub difference: (f64, f64),
}

/// Rows that both were asked.
#[derive(Clone, Debug, PartialEq)]
pub struct PairView {
    /// How many.
    pub rows: u64,
    /// Of them, answered otherwise.
    pub disagreed: u64,
    /// The share, low and high end of a 95 % interval.
    pub disagreement: (f64, f64),
    /// Mean and standard deviation of challenger minus champion, where they give numbers.
    pub differences: Option<(f64, f64)>,
    /// Requests whose shadow was left out, because too much computed already.
    pub left_out: u64,
}

impl Tally {
    /// Side by side.
    pub(crate) fn comparison(&self) -> Comparison {
        let (champion, challenger, pairs) = (self.champion.lock(), self.challenger.lock(), self.pairs.lock());
        let paired = share(pairs.disagreed, pairs.rows);
        Comparison {
            champion: arm(&champion),
            challenger: arm(&challenger),
            labels: labels(&champion, &challenger),
            pairs: PairView {
                rows: pairs.rows,
                disagreed: pairs.disagreed,
                disagreement: (paired.low, paired.high),
                differences: (pairs.differences.count > 0).then(|| (pairs.differences.mean, pairs.differences.spread())),
                left_out: pairs.left_out,
            },
        }
    }
}

fn arm(counts: &Counts) -> ArmView {
    ArmView {
        requests: counts.requests,
        rows: counts.rows,
        errors: counts.errors,
        p50_ms: counts.percentile(50) * 1_000.0,
        p99_ms: counts.percentile(99) * 1_000.0,
        values: (counts.values.count > 0).then(|| (counts.values.mean, counts.values.spread())),
    }
}

fn labels(champion: &Counts, challenger: &Counts) -> Vec<LabelView> {
    let names: std::collections::BTreeSet<&String> = champion.labels.keys().chain(challenger.labels.keys()).collect();
    let all = |counts: &Counts| counts.labels.values().sum::<u64>() + counts.other_labels;
    let (ours, theirs) = (all(champion), all(challenger));
    let mut views: Vec<LabelView> = names
        .into_iter()
        .map(|label| {
            let part = |counts: &Counts| counts.labels.get(label).copied().unwrap_or_default();
            let (from, of) = (share(part(champion), ours), share(part(challenger), theirs));
            let (_, low, high) = difference(of, from);
            LabelView { label: label.clone(), champion: from.value, challenger: of.value, difference: (low, high) }
        })
        .collect();
    views.sort_by(|one, other| gap(other).total_cmp(&gap(one)));
    views
}

fn gap(view: &LabelView) -> f64 {
    (view.challenger - view.champion).abs()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::rollout::Arm;
    use crate::rollout::tests_support::labels;

    #[test]
    fn the_label_that_differs_most_comes_first_with_its_interval() {
        let tally = Tally::default();
        for number in 0..1_000 {
            let ours = if number % 10 == 0 { "yes" } else { "no" };
            let theirs = if number % 4 == 0 { "yes" } else { "no" };
            tally.answered(Arm::Champion, &labels(&[ours]), 1, Duration::from_micros(100));
            tally.answered(Arm::Challenger, &labels(&[theirs]), 1, Duration::from_micros(200));
            tally.compared(&labels(&[ours]), &labels(&[theirs]));
        }
        let seen = tally.comparison();
        assert_eq!((seen.champion.requests, seen.challenger.rows, seen.pairs.rows), (1_000, 1_000, 1_000));
        assert!(seen.champion.p50_ms < seen.challenger.p50_ms, "{seen:?}");
        let yes = seen.labels.iter().find(|one| one.label == "yes").unwrap();
        assert!((yes.champion, yes.challenger) == (0.1, 0.25) && yes.difference.0 > 0.1 && yes.difference.1 < 0.2, "{yes:?}");
        assert_eq!(seen.pairs.disagreed, 250, "200 are the challenger's alone, 50 the champion's");
    }
}
