//! The lock by exponential delay: after some failures each further one doubles the wait.

use std::time::Duration;

use kernel::Micros;

/// Failures of which the last is older than this do not count any more.
pub(crate) const MEMORY_S: i64 = 3_600;

/// The failures of one account, in one place or everywhere.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Failures {
    pub(crate) count: u32,
    pub(crate) last: Micros,
}

impl Failures {
    /// One more.
    pub(crate) fn and_one(self, now: Micros) -> Self {
        Self { count: self.live_count(now).saturating_add(1), last: now }
    }

    /// How many still count.
    pub(crate) fn live_count(self, now: Micros) -> u32 {
        if now.0.saturating_sub(self.last.0) > MEMORY_S * 1_000_000 { 0 } else { self.count }
    }

    /// How long the next attempt must wait: 1 s after `free_count` failures, doubled with each further one.
    pub(crate) fn wait(self, free_count: u32, wait_s_max: u32, now: Micros) -> Option<Duration> {
        let over = self.live_count(now).checked_sub(free_count)?;
        let wait_s = 1_u64.checked_shl(over).unwrap_or(u64::MAX).min(u64::from(wait_s_max));
        // A clock that was set back makes the time passed negative: then the whole wait is due, and not more.
        let passed_us = u64::try_from(now.0.saturating_sub(self.last.0)).unwrap_or(0);
        let left = Duration::from_secs(wait_s).saturating_sub(Duration::from_micros(passed_us));
        (!left.is_zero()).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_wait_doubles_up_to_its_limit_and_is_forgotten() {
        let mut now = Micros(1_000_000_000);
        let mut failures = Failures::default();
        let mut waits_s = Vec::new();
        for _ in 0..17 {
            failures = failures.and_one(now);
            waits_s.push(failures.wait(5, 900, now).map_or(0, |wait| wait.as_secs()));
            now = now.plus_secs(1_000);
        }
        assert_eq!(waits_s, [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 900, 900, 900]);
        let now = now.plus_secs(MEMORY_S + 1);
        assert_eq!(failures.wait(5, 900, now), None);
        assert_eq!(failures.and_one(now).count, 1);
        assert_eq!(Failures { count: 200, last: now }.wait(5, 900, now), Some(Duration::from_secs(900)));
    }
}
