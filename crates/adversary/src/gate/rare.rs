//! What the rows of a rare class leave open. Metrics that take each class by itself hang on its few rows as much as on the many
//! of another, and resamples of rows that all agree agree too: an interval of them knows nothing of what the next such row does.
//!
//! A class whose rows agree is a share of 0 or 1 with Wilson's interval (Wilson 1927); independent parts add by their squares
//! (Zou and Donner 2008, "MOVER").

use super::judge::GateInput;
use crate::at::{add, at};
use crate::stats::{Interval, share_interval};
use crate::{Metric, Predictions};

/// How far a value may lie lower or higher than any row showed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Open {
    pub(super) low: f64,
    pub(super) high: f64,
}

impl Open {
    /// The interval of a value, with what is open besides.
    pub(super) fn around(self, interval: Interval, value: f64, least: f64) -> Interval {
        let (below, above) = ((value - interval.low).max(0.0), (interval.high - value).max(0.0));
        Interval { low: (value - below.hypot(self.low)).max(least), high: (value + above.hypot(self.high)).min(1.0) }
    }

    pub(super) fn greater(self) -> f64 {
        self.low.max(self.high)
    }
}

/// What is open of the candidate, the champion and the gain.
pub(super) struct Rare {
    pub(super) candidate: Open,
    pub(super) champion: Open,
    pub(super) gain: Open,
}

impl Rare {
    /// Nothing for a metric that takes all rows alike. `same` says that both models gave the very same answers.
    pub(super) fn of(metric: Metric, input: &GateInput<'_>, rows: &[u32], same: bool, confidence: f64) -> Option<Self> {
        let is_f1 = metric == Metric::F1;
        if !is_f1 && metric != Metric::BalancedAccuracy {
            return None;
        }
        let unseen = |count: f64| share_interval(0.0, count, confidence).high;
        let open = |answers: &Predictions| Tally::of(input, answers, rows).open(is_f1, unseen);
        let gain = match input.champion {
            Some(champion) if !same => {
                Tally::of(input, champion, rows).gain(&Tally::of(input, input.candidate, rows), is_f1, unseen)
            }
            _ => Open::default(),
        };
        Some(Self { candidate: open(input.candidate), champion: input.champion.map(open).unwrap_or_default(), gain })
    }
}

/// The rows of each class, those that were answered with it, and those of both.
struct Tally {
    own: Vec<f64>,
    answered: Vec<f64>,
    right: Vec<f64>,
}

impl Tally {
    fn of(input: &GateInput<'_>, answers: &Predictions, rows: &[u32]) -> Self {
        let zeros = || vec![0.0_f64; input.truth.classes()];
        let mut tally = Self { own: zeros(), answered: zeros(), right: zeros() };
        for row in rows {
            let (truth, said) = (at(input.truth.labels(), *row as usize), answers.label(*row as usize));
            add(&mut tally.own, truth as usize, 1.0);
            add(&mut tally.answered, said as usize, 1.0);
            if truth == said {
                add(&mut tally.right, truth as usize, 1.0);
            }
        }
        tally
    }

    /// The classes that the metric takes: F1 of two is that of the second one.
    fn taken(&self, is_f1: bool) -> Vec<usize> {
        let count = self.own.len();
        let first = usize::from(is_f1 && count == 2);
        (first..count).filter(|class| at(&self.own, *class) > 0.0 || is_f1 && at(&self.answered, *class) > 0.0).collect()
    }

    fn open(&self, is_f1: bool, unseen: impl Fn(f64) -> f64) -> Open {
        let classes = self.taken(is_f1);
        let weight = 1.0 / classes.len().max(1) as f64;
        let mut open = Open::default();
        for class in classes {
            let right = at(&self.right, class);
            let shares = [at(&self.own, class), if is_f1 { at(&self.answered, class) } else { 0.0 }];
            for of in shares.into_iter().filter(|of| *of > 0.0) {
                let share = unseen(of);
                if right >= of {
                    open.low = open.low.hypot(weight * share);
                } else if right <= 0.0 {
                    // The harmonic mean rises faster than the share that it is of.
                    let rise = if is_f1 { 2.0 * share / (1.0 + share) } else { share };
                    open.high = open.high.hypot(weight * rise);
                }
            }
        }
        open
    }

    /// Of this one, the champion's, and the candidate's: classes of which both have all rows right or all wrong.
    fn gain(&self, candidate: &Self, is_f1: bool, unseen: impl Fn(f64) -> f64) -> Open {
        let classes = self.taken(is_f1);
        let weight = 1.0 / classes.len().max(1) as f64;
        let mut open = 0.0_f64;
        for class in classes {
            let own = at(&self.own, class);
            let agree = |tally: &Self| at(&tally.right, class) <= 0.0 || at(&tally.right, class) >= own;
            if own > 0.0 && agree(self) && agree(candidate) {
                open = open.hypot(weight * unseen(own));
            }
        }
        Open { low: open, high: open }
    }
}
