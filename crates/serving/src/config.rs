//! The section `[serving]` of the configuration.

use kernel::Problem;
use serde::{Deserialize, Serialize};

/// `[serving]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ServingConfig {
    /// Requests a second that one caller may send to one endpoint, on average.
    pub requests_per_second: u32,
    /// Requests that one caller may send to one endpoint at once, before the average counts.
    pub requests_at_once: u32,
    /// Rows of one request.
    pub rows_max: usize,
    /// Bytes of one model in memory.
    pub model_bytes_max: u64,
    /// Bytes of all models in memory.
    pub models_bytes_max: u64,
    /// Requests of one endpoint that are open at the same time.
    pub endpoint_requests_max: usize,
    /// Large batches that compute at the same time.
    pub large_batches_max: usize,
    /// Rows that one caller may ask of one endpoint in a day, unless the endpoint says otherwise.
    pub guard_rows_per_day: u64,
    /// Bytes that the guard keeps of callers, over all endpoints.
    pub guard_bytes_max: usize,
}

impl Default for ServingConfig {
    fn default() -> Self {
        Self {
            requests_per_second: 2_000,
            requests_at_once: 4_000,
            rows_max: 10_000,
            model_bytes_max: 1 << 30,
            models_bytes_max: 4 << 30,
            endpoint_requests_max: 256,
            large_batches_max: 2,
            guard_rows_per_day: 10_000_000,
            guard_bytes_max: 256 << 20,
        }
    }
}

impl ServingConfig {
    /// Refuses values under which nothing could be answered.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        let zero = [
            ("requests_per_second", u64::from(self.requests_per_second)),
            ("requests_at_once", u64::from(self.requests_at_once)),
            ("rows_max", self.rows_max as u64),
            ("model_bytes_max", self.model_bytes_max),
            ("models_bytes_max", self.models_bytes_max),
            ("endpoint_requests_max", self.endpoint_requests_max as u64),
            ("large_batches_max", self.large_batches_max as u64),
            ("guard_rows_per_day", self.guard_rows_per_day),
            ("guard_bytes_max", self.guard_bytes_max as u64),
        ];
        match zero.iter().find(|(_, value)| *value == 0) {
            Some((key, _)) => Err(Problem::invalid(format!("`serving.{key}` is 0; it must be more"))),
            None => Ok(()),
        }
    }
}
