//! Names and ids that are tried: misses against what was done.

use std::collections::VecDeque;

use kernel::Micros;

use crate::event::Seen;

/// Minutes of one account that are kept.
const MINUTE_COUNT_MAX: usize = 1_440;
const MINUTE_US: i64 = 60_000_000;

/// Misses and successes of an account, minute by minute.
#[derive(Debug, Default)]
pub(crate) struct Misses {
    minutes: VecDeque<(i64, u64, u64)>,
}

impl Misses {
    /// Counts a record; whether it was a miss.
    pub(crate) fn take(&mut self, seen: &Seen<'_>) -> bool {
        let view = seen.view;
        let missed = matches!(view.problem.as_deref(), Some("not_found" | "forbidden"));
        let done = view.status.as_deref() == Some("done");
        if !missed && !done {
            return false;
        }
        let minute = view.at.div_euclid(MINUTE_US);
        match self.minutes.back_mut() {
            Some((last, misses, dones)) if *last >= minute => {
                *misses += u64::from(missed);
                *dones += u64::from(done);
            }
            _ => {
                self.minutes.push_back((minute, u64::from(missed), u64::from(done)));
                if self.minutes.len() > MINUTE_COUNT_MAX {
                    self.minutes.pop_front();
                }
            }
        }
        missed
    }

    /// Whether so much was missed.
    pub(crate) fn judge(&mut self, at: Micros, missed_min: u64, minutes: i64, missed_per_done: u64) -> Option<String> {
        let oldest = at.0.div_euclid(MINUTE_US) - minutes;
        while self.minutes.front().is_some_and(|(minute, _, _)| *minute <= oldest) {
            self.minutes.pop_front();
        }
        let (mut missed, mut done) = (0_u64, 0_u64);
        for (_, misses, dones) in &self.minutes {
            missed += misses;
            done += dones;
        }
        let is_many = missed >= missed_min && missed >= done.saturating_mul(missed_per_done);
        is_many.then(|| format!("{missed} things were not there or not allowed within {minutes} minutes, {done} were"))
    }
}
