//! How much is tried, and from which numbers on it matters.

use serde::{Deserialize, Serialize};

use crate::AdversaryError;
use crate::report::Limits;

/// Queries of a whole run.
pub const QUERY_COUNT_MAX: u64 = 10_000_000;
/// Time of a whole run: a day.
pub const TIME_MS_MAX: u64 = 86_400_000;

/// A whole run. What is not given has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuiteConfig {
    /// The seed.
    pub seed: u64,
    /// The confidence of the intervals.
    pub confidence: f64,
    /// Rows that the model may be asked about, all attacks together.
    pub queries_max: u64,
    /// The time that the run may take.
    pub time_max_ms: u64,
    /// Held-back rows that are asked about first; extraction learns from the same answers.
    pub rows_max: u32,
    /// Evasion.
    pub evasion: EvasionConfig,
    /// Membership inference.
    pub membership: MembershipConfig,
    /// Extraction.
    pub extraction: ExtractionConfig,
    /// Triggers.
    pub trigger: TriggerConfig,
    /// Poisoning.
    pub poisoning: PoisoningConfig,
}

/// Evasion: the number is the share of attacked rows that turn within `epsilon`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvasionConfig {
    /// Rows that are attacked.
    pub rows: u32,
    /// Queries for each.
    pub queries_per_row: u32,
    /// How far a table's row may be moved (L2), in standard deviations of its columns.
    pub epsilon: f64,
    /// How far each value of an image may be moved (L∞), as a share of its range.
    pub image_epsilon: f64,
    /// How many categories of a row may be changed besides.
    pub categories_max: u32,
    /// From which share on it matters.
    pub limits: Limits,
}

/// Membership inference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct MembershipConfig {
    /// Training rows, and held-back rows, that are told apart.
    pub rows: u32,
    /// Shadow models of the likelihood-ratio attack; none if 0.
    pub shadows: u32,
    /// From which advantage on it matters: true positives less false positives, as shares.
    pub advantage: Limits,
    /// From which share of training rows, recognised at 1 % false alarms, it matters.
    pub recognised: Limits,
}

/// Extraction: the number is the share of held-back rows on which the best copy agrees with the model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ExtractionConfig {
    /// From which agreement on it matters.
    pub limits: Limits,
}

/// Triggers: the number is the share of rows that the stamp turns, less those that other values in its place turn.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TriggerConfig {
    /// Rows that are stamped with each trigger.
    pub rows: u32,
    /// From which share on a known trigger matters.
    pub known: Limits,
    /// Queries of the search for unknown ones; no search if 0.
    pub search_queries: u64,
    /// From which share on a found one matters.
    pub found: Limits,
}

/// Poisoning: the number is the accuracy that a surrogate loses to `share` flipped labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoisoningConfig {
    /// Training rows that the surrogate learns from.
    pub rows: u32,
    /// The share of flipped labels that the verdict is about.
    pub share: f64,
    /// The loss of accuracy whose price in labels is reported.
    pub loss: f64,
    /// From which loss on it matters.
    pub limits: Limits,
}

impl Default for SuiteConfig {
    fn default() -> Self {
        Self {
            seed: 0,
            confidence: 0.95,
            queries_max: 100_000,
            time_max_ms: 600_000,
            rows_max: 5_000,
            evasion: EvasionConfig::default(),
            membership: MembershipConfig::default(),
            extraction: ExtractionConfig::default(),
            trigger: TriggerConfig::default(),
            poisoning: PoisoningConfig::default(),
        }
    }
}

impl Default for EvasionConfig {
    fn default() -> Self {
        let limits = Limits::new(0.25, 0.75);
        Self { rows: 30, queries_per_row: 1_000, epsilon: 0.25, image_epsilon: 0.03, categories_max: 1, limits }
    }
}

impl Default for MembershipConfig {
    fn default() -> Self {
        Self { rows: 2_000, shadows: 16, advantage: Limits::new(0.1, 0.25), recognised: Limits::new(0.05, 0.2) }
    }
}

impl Default for ExtractionConfig {
    fn default() -> Self {
        // Who may ask can copy: that asks for a budget of queries, not for another model.
        Self { limits: Limits { notice: Some(0.9), refuse: None } }
    }
}

impl Default for TriggerConfig {
    fn default() -> Self {
        // What a search finds may be a column that truly decides: a person must look.
        let found = Limits { notice: Some(0.5), refuse: None };
        Self { rows: 300, known: Limits::new(0.2, 0.5), search_queries: 20_000, found }
    }
}

impl Default for PoisoningConfig {
    fn default() -> Self {
        Self { rows: 10_000, share: 0.01, loss: 0.05, limits: Limits { notice: Some(0.05), refuse: None } }
    }
}

impl SuiteConfig {
    /// # Errors
    /// `TooLarge` or `Shape`, with the setting that cannot hold.
    pub(crate) fn check(&self) -> Result<(), AdversaryError> {
        if self.queries_max > QUERY_COUNT_MAX || self.time_max_ms > TIME_MS_MAX {
            let say = format!("at most {QUERY_COUNT_MAX} queries and {TIME_MS_MAX} ms");
            return Err(AdversaryError::TooLarge(format!("{} queries in {} ms; {say}", self.queries_max, self.time_max_ms)));
        }
        let shares = [
            ("confidence", self.confidence),
            ("poisoning.share", self.poisoning.share),
            ("poisoning.loss", self.poisoning.loss),
            ("evasion.image_epsilon", self.evasion.image_epsilon),
        ];
        for (name, value) in shares {
            if !(value > 0.0 && value < 1.0) {
                return Err(AdversaryError::Shape(format!("`{name}` is {value}: give more than 0 and less than 1")));
            }
        }
        if !(self.evasion.epsilon > 0.0 && self.evasion.epsilon.is_finite()) {
            return Err(AdversaryError::Shape(format!("`evasion.epsilon` is {}: give more than 0", self.evasion.epsilon)));
        }
        let counts = [
            ("rows_max", self.rows_max, 100_000),
            ("evasion.rows", self.evasion.rows, 10_000),
            ("membership.rows", self.membership.rows, 50_000),
            ("membership.shadows", self.membership.shadows, 256),
            ("trigger.rows", self.trigger.rows, 10_000),
            ("poisoning.rows", self.poisoning.rows, 50_000),
        ];
        match counts.iter().find(|(_, count, max)| count > max) {
            Some((name, count, max)) => Err(AdversaryError::TooLarge(format!("`{name}` is {count}: give at most {max}"))),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &str) {
        let said = match serde_json::from_str::<SuiteConfig>(text) {
            Ok(config) => config.check().map_or_else(|error| error.to_string(), |()| "sound".to_owned()),
            Err(error) => error.to_string(),
        };
        assert!(said.contains(wanted), "{text}: {said}");
    }

    #[test]
    fn settings_are_strict_and_bounded() {
        check("{}", "sound");
        check(r#"{"evasion": {"rows": 5}, "seed": 3}"#, "sound");
        check(r#"{"colour": 1}"#, "unknown field `colour`");
        check(r#"{"evasion": {"row": 5}}"#, "unknown field `row`");
        check(r#"{"queries_max": 99999999}"#, "99999999 queries");
        check(r#"{"confidence": 1.0}"#, "`confidence` is 1");
        check(r#"{"evasion": {"epsilon": 0}}"#, "`evasion.epsilon` is 0");
        check(r#"{"membership": {"shadows": 1000}}"#, "`membership.shadows` is 1000");
    }
}
