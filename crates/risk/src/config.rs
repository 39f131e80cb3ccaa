//! What an operator may set, each with its safe default.

use std::path::PathBuf;

use kernel::Problem;
use rba::Bands;
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
    /// How log-ins are judged.
    pub log_ins: LogInConfig,
}

/// `[risk.log_ins]`
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogInConfig {
    /// From this percentile of the server's own accepted log-ins on any second factor is asked for. 85 asks in a seventh of them.
    pub second_factor_percentile: u8,
    /// From here on one that cannot be phished.
    pub phishing_resistant_percentile: u8,
    /// From here on a log-in is refused.
    pub refuse_percentile: u8,
    /// A list of leaked passwords: each line a password, or its SHA-1 in hex.
    pub leaked_passwords: Option<PathBuf>,
    /// Networks from which nobody logs in: addresses, ranges, `AS64500`.
    pub denied_networks: Option<PathBuf>,
    /// Networks that say nothing of where somebody is, such as carriers' and VPNs': no journey to or from them is impossible.
    pub roaming_networks: Option<PathBuf>,
}

impl Default for LogInConfig {
    fn default() -> Self {
        let Bands { second_factor, phishing_resistant, refuse } = Bands::default();
        Self {
            second_factor_percentile: second_factor,
            phishing_resistant_percentile: phishing_resistant,
            refuse_percentile: refuse,
            leaked_passwords: None,
            denied_networks: None,
            roaming_networks: None,
        }
    }
}

impl LogInConfig {
    pub(crate) const fn bands(&self) -> Bands {
        Bands {
            second_factor: self.second_factor_percentile,
            phishing_resistant: self.phishing_resistant_percentile,
            refuse: self.refuse_percentile,
        }
    }
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
            log_ins: LogInConfig::default(),
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
        if !self.log_ins.bands().are_in_order() {
            let message = "`risk.log_ins`: `second_factor_percentile`, `phishing_resistant_percentile` and `refuse_percentile` are from 1 to 100, each \
no less than the one before";
            return Err(Problem::invalid(message));
        }
        Ok(())
    }
}
