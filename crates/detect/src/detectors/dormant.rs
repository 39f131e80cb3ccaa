//! When an account was last active.

use serde::{Deserialize, Serialize};

/// The last day on which an account did anything.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LastDay {
    /// Days since the epoch; 0 for never.
    pub(crate) day: i64,
}

impl LastDay {
    /// Notes an act of this day. Gives the days of nothing before it on the first act of a new day; none on the same day.
    pub(crate) fn step(&mut self, day: i64) -> Option<i64> {
        if day <= self.day {
            return None;
        }
        let before = std::mem::replace(&mut self.day, day);
        Some(if before == 0 { 0 } else { day - before - 1 })
    }
}
