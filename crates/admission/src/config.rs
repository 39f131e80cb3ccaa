//! The section `[admission]` of the configuration.

use std::path::PathBuf;
use std::time::Duration;

use kernel::Problem;
use serde::{Deserialize, Serialize};

/// The longest that a promotion may wait for an inspection.
const WAIT_SECONDS_MAX: u64 = 300;

/// `[admission]`
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdmissionConfig {
    /// The policy of the verdict (TOML); without one, the policy that is built in.
    pub verdict: Option<PathBuf>,
    /// Whether an inspection without objections admits a version by itself; else a reviewer does.
    pub admit_automatically: bool,
    /// How long a promotion waits for an inspection that is on its way before it is refused.
    pub promotion_wait_seconds: u64,
    /// Whether versions whose files are not on this server may carry aliases and stages. They are never served.
    pub promote_unresolved: bool,
    /// How long an inspection may take.
    pub inspection_seconds_max: u64,
    /// How much memory its worker may take.
    pub inspection_memory_bytes_max: u64,
}

impl Default for AdmissionConfig {
    fn default() -> Self {
        Self {
            verdict: None,
            admit_automatically: true,
            promotion_wait_seconds: 30,
            promote_unresolved: true,
            inspection_seconds_max: 3_600,
            inspection_memory_bytes_max: 2 << 30,
        }
    }
}

impl AdmissionConfig {
    /// Refuses values under which nothing could be inspected, or a request would wait too long.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        let zero = [
            ("inspection_seconds_max", self.inspection_seconds_max),
            ("inspection_memory_bytes_max", self.inspection_memory_bytes_max),
        ];
        if let Some((key, _)) = zero.iter().find(|(_, value)| *value == 0) {
            return Err(Problem::invalid(format!("`admission.{key}` is 0; it must be more")));
        }
        if self.promotion_wait_seconds > WAIT_SECONDS_MAX {
            return Err(Problem::invalid(format!("`admission.promotion_wait_seconds` is at most {WAIT_SECONDS_MAX}")));
        }
        Ok(())
    }

    /// How long a promotion waits.
    pub(crate) const fn promotion_wait(&self) -> Duration {
        Duration::from_secs(self.promotion_wait_seconds)
    }
}
