//! The section `[predictions]` of the configuration.

use kernel::Problem;
use serde::{Deserialize, Serialize};

/// `[predictions]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct PredictionsConfig {
    /// After how many days a batch of predictions is deleted.
    pub keep_days: u32,
    /// How often what was logged is sealed in batches.
    pub seal_seconds: u64,
    /// Bytes that may wait to be sealed; beyond it endpoints that log do not answer.
    pub pending_bytes_max: u64,
    /// Bytes that one query may look through.
    pub query_bytes_max: u64,
}

impl Default for PredictionsConfig {
    fn default() -> Self {
        Self { keep_days: 365, seal_seconds: 60, pending_bytes_max: 1 << 30, query_bytes_max: 256 << 20 }
    }
}

impl PredictionsConfig {
    /// Refuses values under which nothing could be kept.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        let zero = [
            ("keep_days", u64::from(self.keep_days)),
            ("seal_seconds", self.seal_seconds),
            ("pending_bytes_max", self.pending_bytes_max),
            ("query_bytes_max", self.query_bytes_max),
        ];
        match zero.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(Problem::invalid(format!("`predictions.{key}` is 0; it must be more"))),
            None => Ok(()),
        }
    }
}
