//! The section `[detections]` of the configuration.

use std::path::PathBuf;

use kernel::Problem;
use serde::{Deserialize, Serialize};

use crate::respond::Rung;

/// Canaries of one server.
const CANARY_COUNT_MAX: usize = 1_000;
const CANARY_CHARS_MAX: usize = 200;

/// `[detections]`: what is looked for in the log, and what is done about it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectConfig {
    /// A folder with rules of your own, beside those that come with this program.
    pub rules: Option<PathBuf>,
    /// Rules that are off, by name or id.
    pub disabled: Vec<String>,
    /// Ids of runs, models, data sets, buckets and tokens that nobody has a reason to touch.
    pub canaries: Vec<String>,
    /// How far responses go at most: `note`, `raise_risk`, `throttle`, `suspend_session` or `suspend_account`.
    pub respond_up_to: Rung,
    /// How long a raised risk or a throttle lasts.
    pub respond_minutes: u32,
    /// How often new records are looked at.
    pub every_s: u64,
}

impl Default for DetectConfig {
    fn default() -> Self {
        Self {
            rules: None,
            disabled: Vec::new(),
            canaries: Vec::new(),
            // What goes further can be used to keep an owner out, so somebody has to want it.
            respond_up_to: Rung::Throttle,
            respond_minutes: 60,
            every_s: 2,
        }
    }
}

impl DetectConfig {
    /// Refuses values under which nothing would be found.
    ///
    /// # Errors
    /// `Invalid`, naming the key.
    pub fn check(&self) -> Result<(), Problem> {
        if !(1..=3_600).contains(&self.every_s) {
            return Err(Problem::invalid("`detections.every_s` is from 1 to 3600"));
        }
        if !(1..=10_080).contains(&self.respond_minutes) {
            return Err(Problem::invalid("`detections.respond_minutes` is from 1 to 10080"));
        }
        let bad = |text: &String| text.is_empty() || text.chars().count() > CANARY_CHARS_MAX;
        if self.canaries.len() > CANARY_COUNT_MAX || self.canaries.iter().any(bad) {
            return Err(Problem::invalid(format!(
                "`detections.canaries` has at most {CANARY_COUNT_MAX} ids of at most {CANARY_CHARS_MAX} characters"
            )));
        }
        Ok(())
    }
}
