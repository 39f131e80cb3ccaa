//! How often one caller may ask one endpoint.

use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};

use kernel::{Kind, Micros, Problem};
use parking_lot::Mutex;
use risk::Quota;

use crate::ServingConfig;

/// Pairs of caller and endpoint that are remembered. One that is forgotten begins anew.
const PAIR_COUNT_MAX: usize = 100_000;

/// The quotas of all callers.
pub(crate) struct Quotas {
    quota: Quota,
    /// By a keyed hash of caller and endpoint.
    full_at: Mutex<HashMap<u64, Micros>>,
    hasher: RandomState,
}

impl Quotas {
    pub(crate) fn new(config: &ServingConfig) -> Self {
        let quota = Quota::new(config.requests_at_once, config.requests_per_second.saturating_mul(60));
        Self { quota, full_at: Mutex::default(), hasher: RandomState::new() }
    }

    /// Takes one request of `caller` to `endpoint`.
    ///
    /// # Errors
    /// `TooMany`, saying when the next one fits.
    pub(crate) fn take(&self, caller: &str, endpoint: &str, now: Micros) -> Result<(), Problem> {
        let key = self.hasher.hash_one((caller, endpoint));
        let mut all = self.full_at.lock();
        let full_at = all.get(&key).copied().unwrap_or(Micros(0));
        if let Some(wait) = self.quota.wait(full_at, now) {
            let message = "you asked this endpoint more often than your quota allows; wait, or send more rows in one request";
            return Err(Problem::new(Kind::TooMany, message).retry_after(wait));
        }
        if all.len() >= PAIR_COUNT_MAX && !all.contains_key(&key) {
            all.retain(|_, full_at| !Quota::is_spent(*full_at, now));
            if all.len() >= PAIR_COUNT_MAX {
                let message = "too many callers ask at this moment; try again";
                return Err(Problem::new(Kind::TooMany, message).retry_after(std::time::Duration::from_secs(1)));
            }
        }
        all.insert(key, self.quota.take(full_at, now));
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_caller_is_slowed_down_and_others_are_not() {
        let config = ServingConfig { requests_per_second: 10, requests_at_once: 3, ..ServingConfig::default() };
        let quotas = Quotas::new(&config);
        let now = Micros(1_000_000);
        for _ in 0..3 {
            quotas.take("ann", "e1", now).unwrap();
        }
        let refused = quotas.take("ann", "e1", now).unwrap_err();
        assert_eq!((refused.kind(), refused.retry_after_hint()), (Kind::TooMany, Some(std::time::Duration::from_millis(100))));
        quotas.take("ann", "e2", now).unwrap();
        quotas.take("bob", "e1", now).unwrap();
        quotas.take("ann", "e1", Micros(now.0 + 100_000)).unwrap();
    }
}
