//! What an operator may set, each with its safe default.

use kernel::Problem;
use serde::{Deserialize, Serialize};

/// The `[risk]` section.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RiskConfig {
    /// Wrong passwords and malformed credentials that an address may send at once.
    pub failure_burst_count_max: u32,
    /// And then per minute.
    pub failure_per_minute_count_max: u32,
    /// Expired, revoked or unknown tokens of the right form that an address may send at once. They cannot be guessed
    /// (178 random bits), so this protects the log from floods, not the accounts.
    pub token_failure_burst_count_max: u32,
    /// And then per minute.
    pub token_failure_per_minute_count_max: u32,
    /// Requests without any credential that an address may send at once.
    pub anonymous_burst_count_max: u32,
    /// And then per minute.
    pub anonymous_per_minute_count_max: u32,
    /// Consecutive failures of one account from one network that cost no wait. From then on the wait is 1 s, 2 s, 4 s …
    pub lock_free_count: u32,
    /// Failures of one account from anywhere that cost no wait. From then on only networks from which the account logged in
    /// lately are spared the wait.
    pub lock_everywhere_free_count: u32,
    /// The longest wait.
    pub lock_wait_s_max: u32,
}

impl Default for RiskConfig {
    fn default() -> Self {
        Self {
            failure_burst_count_max: 20,
            failure_per_minute_count_max: 10,
            token_failure_burst_count_max: 1_000,
            token_failure_per_minute_count_max: 120,
            anonymous_burst_count_max: 1_000,
            anonymous_per_minute_count_max: 6_000,
            lock_free_count: 5,
            lock_everywhere_free_count: 20,
            lock_wait_s_max: 900,
        }
    }
}

impl RiskConfig {
    /// Refuses values under which the room's promises would not hold.
    ///
    /// # Errors
    /// `Invalid`, naming the key and its bounds.
    pub fn check(&self) -> Result<(), Problem> {
        let within = [
            ("failure_burst_count_max", self.failure_burst_count_max, 1, 1_000),
            ("failure_per_minute_count_max", self.failure_per_minute_count_max, 1, 1_000),
            ("token_failure_burst_count_max", self.token_failure_burst_count_max, 1, 100_000),
            ("token_failure_per_minute_count_max", self.token_failure_per_minute_count_max, 1, 100_000),
            ("anonymous_burst_count_max", self.anonymous_burst_count_max, 1, 1_000_000),
            ("anonymous_per_minute_count_max", self.anonymous_per_minute_count_max, 1, 10_000_000),
            // NIST SP 800-63B-4, 3.2.2: no more than 100 consecutive failures of an account.
            ("lock_free_count", self.lock_free_count, 1, 100),
            ("lock_everywhere_free_count", self.lock_everywhere_free_count, 1, 100),
            ("lock_wait_s_max", self.lock_wait_s_max, 1, 86_400),
        ];
        for (key, value, min, max) in within {
            if value < min || value > max {
                return Err(Problem::invalid(format!("`risk.{key}` is {value}; it must be from {min} to {max}")));
            }
        }
        Ok(())
    }
}
