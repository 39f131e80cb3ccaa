//! The generic cell rate algorithm (ITU-T I.371, virtual scheduling): one number per key says how far ahead of its rate it is.
//!
//! Written here instead of taken from the `governor` crate because time is given to a room, and its clocks are its own types;
//! and because what follows is all of it.

use std::time::Duration;

use kernel::{Allowance, Micros};

/// A rate, and how far a key may run ahead of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quota {
    interval_us: i64,
    ahead_us_max: i64,
}

impl Quota {
    /// At most `burst_count` at once, and `per_minute_count` a minute after that.
    #[must_use]
    pub fn new(burst_count: u32, per_minute_count: u32) -> Self {
        let interval_us = 60_000_000 / i64::from(per_minute_count.max(1));
        Self { interval_us, ahead_us_max: interval_us * i64::from(burst_count.max(1)) }
    }

    /// How long until one more fits, if none does now. `full_at` is the key's number, 0 for a new key.
    #[must_use]
    pub fn wait(self, full_at: Micros, now: Micros) -> Option<Duration> {
        let ahead_us = self.ahead_us(full_at, now) + self.interval_us;
        let over_us = ahead_us - self.ahead_us_max;
        (over_us > 0).then(|| Duration::from_micros(u64::try_from(over_us).unwrap_or(0)))
    }

    /// The key's number after one more.
    #[must_use]
    pub fn take(self, full_at: Micros, now: Micros) -> Micros {
        let ahead_us = (self.ahead_us(full_at, now) + self.interval_us).min(self.ahead_us_max);
        Micros(now.0.saturating_add(ahead_us))
    }

    /// The key's number with one less.
    #[must_use]
    pub const fn give_back(self, full_at: Micros) -> Micros {
        Micros(full_at.0.saturating_sub(self.interval_us))
    }

    /// How many more fit now.
    #[must_use]
    pub fn remaining(self, full_at: Micros, now: Micros) -> u32 {
        u32::try_from((self.ahead_us_max - self.ahead_us(full_at, now)) / self.interval_us).unwrap_or(0)
    }

    /// The same rate, for one of several servers by itself.
    #[must_use]
    pub fn share(self, servers_count: u32) -> Self {
        let count = i64::from(servers_count.max(1));
        let interval_us = self.interval_us.saturating_mul(count);
        // At least one fits, or none ever would.
        Self { interval_us, ahead_us_max: self.ahead_us_max.max(interval_us) }
    }

    /// How many one of several servers takes in advance: a twentieth of a second's worth, and never so much of a burst that the others starve.
    pub(crate) fn lease_count(self, servers_count: u32) -> u32 {
        let burst_count = self.ahead_us_max / self.interval_us;
        let count = (50_000 / self.interval_us).min(burst_count / (4 * i64::from(servers_count.max(1)))).max(1);
        u32::try_from(count).unwrap_or(1)
    }

    pub(crate) const fn interval_us(self) -> i64 {
        self.interval_us
    }

    pub(crate) const fn ahead_us_max(self) -> i64 {
        self.ahead_us_max
    }

    /// What an answer tells of it.
    pub(crate) fn allowance(self, name: &'static str, remaining_count: u32) -> Allowance {
        let count = |number: i64| u32::try_from(number).unwrap_or(u32::MAX);
        let quota_count = count(self.ahead_us_max / self.interval_us);
        let missing_us = i64::from(quota_count.saturating_sub(remaining_count)) * self.interval_us;
        Allowance {
            name,
            quota_count,
            window_s: count(self.ahead_us_max / 1_000_000).max(1),
            remaining_count,
            reset_s: count((missing_us + 999_999) / 1_000_000),
        }
    }

    /// Whether the key's number says the same as none at all.
    #[must_use]
    pub fn is_spent(full_at: Micros, now: Micros) -> bool {
        full_at <= now
    }

    /// Never more than the quota allows, also where the clock was set back.
    fn ahead_us(self, full_at: Micros, now: Micros) -> i64 {
        full_at.0.saturating_sub(now.0).clamp(0, self.ahead_us_max)
    }
}

/// How long to wait, as callers are told. Rounded up: who comes back exactly then is let in.
pub(crate) fn whole_seconds(wait: Duration) -> u32 {
    u32::try_from(wait.as_secs().saturating_add(u64::from(wait.subsec_nanos() > 0)).max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_passes_then_the_rate_holds() {
        let quota = Quota::new(20, 10);
        let mut now = Micros(1_000_000_000);
        let mut full_at = Micros(0);
        for _ in 0..20 {
            assert_eq!(quota.wait(full_at, now), None);
            full_at = quota.take(full_at, now);
        }
        assert_eq!(quota.wait(full_at, now), Some(Duration::from_secs(6)));
        now = now.plus_secs(6);
        assert_eq!(quota.wait(full_at, now), None);
        full_at = quota.take(full_at, now);
        assert!(quota.wait(full_at, now).is_some());
        assert!(!Quota::is_spent(full_at, now));
        assert!(Quota::is_spent(full_at, now.plus_secs(121)));
    }

    #[test]
    fn a_clock_set_back_does_not_lock_for_ever() {
        let quota = Quota::new(1, 60);
        let full_at = quota.take(Micros(0), Micros(9_000_000_000));
        assert!(quota.wait(full_at, Micros(1_000_000)).is_some_and(|wait| wait <= Duration::from_secs(1)));
    }
}
