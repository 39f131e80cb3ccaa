//! How many rows one caller may ask in a day.

use std::time::Duration;

use crate::limits::BUDGET_PERIOD;
use crate::{Micros, micros};

/// What a caller has used up; it comes back evenly over [`BUDGET_PERIOD`].
#[derive(Clone, Copy, Debug, Default)]
pub struct Budget {
    spent: f64,
    at: Micros,
}

impl Budget {
    /// Rows that are used up at `now`, of `rows_max`.
    #[must_use]
    pub fn spent(&self, rows_max: u64, now: Micros) -> f64 {
        let passed = now.saturating_sub(self.at).max(0) as f64;
        (self.spent - passed * rows_max as f64 / micros(BUDGET_PERIOD) as f64).max(0.0)
    }

    /// Takes `rows`, or says after which time they fit: more than `rows_max` never do.
    ///
    /// # Errors
    /// The time to wait.
    pub fn take(&mut self, rows: u64, rows_max: u64, now: Micros) -> Result<(), Duration> {
        let spent = self.spent(rows_max, now);
        let after = spent + rows as f64;
        if after > rows_max as f64 {
            let missing = after - rows_max as f64;
            return Err(BUDGET_PERIOD.mul_f64((missing / (rows_max.max(1)) as f64).min(1.0)));
        }
        (self.spent, self.at) = (after, now);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_is_used_up_and_comes_back() {
        let (mut budget, day) = (Budget::default(), micros(BUDGET_PERIOD));
        budget.take(90, 100, 0).unwrap();
        let wait = budget.take(20, 100, 0).unwrap_err();
        assert_eq!(wait, BUDGET_PERIOD / 10);
        budget.take(20, 100, day / 10).unwrap();
        assert!((budget.spent(100, day / 10) - 100.0).abs() < 1e-6);
        assert!(budget.spent(100, 2 * day) == 0.0);
        assert!(budget.take(101, 100, 2 * day).is_err(), "one request has no more than all others together");
        budget.take(100, 100, 2 * day).unwrap();
        assert_eq!(budget.take(1, 100, 2 * day).unwrap_err(), BUDGET_PERIOD / 100);
    }
}
