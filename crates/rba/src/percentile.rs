//! Where a score stands among the server's own accepted log-ins.

use std::collections::VecDeque;

/// Accepted log-ins that a score is compared with.
pub const KEPT_COUNT: usize = 2_000;
/// With fewer there is no telling.
pub const NEEDED_COUNT: usize = 20;

/// The scores of the last accepted log-ins. A threshold on the percentile is the share of log-ins that will be above it.
#[derive(Clone, Debug, Default)]
pub struct Percentiles {
    by_age: VecDeque<f64>,
    sorted: Vec<f64>,
}

impl Percentiles {
    /// One more that was accepted.
    pub fn accept(&mut self, nats: f64) {
        if !nats.is_finite() {
            return;
        }
        if self.by_age.len() >= KEPT_COUNT
            && let Some(oldest) = self.by_age.pop_front()
        {
            let at = self.sorted.partition_point(|one| *one < oldest);
            if at < self.sorted.len() {
                self.sorted.remove(at);
            }
        }
        self.by_age.push_back(nats);
        let at = self.sorted.partition_point(|one| *one < nats);
        self.sorted.insert(at, nats);
    }

    /// The percentage of accepted log-ins that scored lower, those that scored the same counting half; from 0 to 100. None where too few
    /// were accepted so far.
    #[must_use]
    #[expect(clippy::cast_precision_loss, reason = "no more than 2,000")]
    pub fn of(&self, nats: f64) -> Option<f64> {
        if self.sorted.len() < NEEDED_COUNT {
            return None;
        }
        let lower = self.sorted.partition_point(|one| *one < nats);
        let not_higher = self.sorted.partition_point(|one| *one <= nats);
        Some((lower + not_higher) as f64 * 50.0 / self.sorted.len() as f64)
    }

    /// How many it knows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.sorted.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_threshold_is_a_share_of_log_ins() {
        let mut percentiles = Percentiles::default();
        for number in 0..19 {
            percentiles.accept(f64::from(number));
        }
        assert_eq!(percentiles.of(3.0), None);
        for number in 19..5_000 {
            percentiles.accept(f64::from(number));
        }
        assert_eq!(percentiles.count(), KEPT_COUNT);
        // The last 2,000 are 3,000 to 4,999.
        assert_eq!(percentiles.of(2_999.0), Some(0.0));
        assert_eq!(percentiles.of(4_000.0), Some(50.025));
        assert_eq!(percentiles.of(9_999.0), Some(100.0));
        percentiles.accept(f64::NAN);
        let over = (3_000..5_000).filter(|number| percentiles.of(f64::from(*number)).is_some_and(|at| at >= 95.0)).count();
        assert_eq!(over, 100);
    }

    #[test]
    fn equal_scores_stand_in_the_middle_of_themselves() {
        let mut percentiles = Percentiles::default();
        for _ in 0..100 {
            percentiles.accept(1.0);
        }
        assert_eq!(percentiles.of(1.0), Some(50.0));
    }
}
