//! How much is tried, and from which numbers on it matters.

use serde::{Deserialize, Serialize};

use crate::error::wrong;
use crate::file::DATA_COUNT_MAX;
use crate::{DataName, GateFileError};

/// Columns that a list names.
const COLUMN_COUNT_MAX: usize = 1_000;
/// Queries of a whole run.
pub const QUERY_COUNT_MAX: u64 = 10_000_000;
/// Time of a whole run: a day.
pub const TIME_MS_MAX: u64 = 86_400_000;

/// From which value on an attack's number is noticed, and refused. Turned so that more is worse.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// The number itself reaches this: notice. Never where none.
    #[serde(default)]
    pub notice: Option<f64>,
    /// The whole interval is beyond this: refuse. Never where none.
    #[serde(default)]
    pub refuse: Option<f64>,
}

impl Limits {
    /// Both limits.
    #[must_use]
    pub const fn new(notice: f64, refuse: f64) -> Self {
        Self { notice: Some(notice), refuse: Some(refuse) }
    }
}

/// An attack that can be asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AttackName {
    /// Small changes of true inputs turn the answer.
    Evasion,
    /// Whether a row was trained on is told from its answer.
    Membership,
    /// The model is copied by asking.
    Extraction,
    /// Stamped rows turn to one class.
    Triggers,
    /// Flipped labels in the training data cost accuracy.
    Poisoning,
}

impl AttackName {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Evasion, Self::Membership, Self::Extraction, Self::Triggers, Self::Poisoning];
}

/// The attacks that are tried on a candidate. What is not given has a default.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Attacks {
    /// Which; all where none are named.
    pub run: Vec<AttackName>,
    /// Those whose limit of refusal refuses the version; what the others find beyond it needs a waiver. A known trigger that works
    /// refuses always.
    pub refuse: Vec<AttackName>,
    /// Columns that an attacker cannot change: an age, a birthplace.
    pub immutable: Vec<String>,
    /// Data versions whose known triggers are tried, beside those that the model is known to be trained on.
    pub triggers_of: Vec<DataName>,
    /// The seed: the same model, data and seed give the same numbers.
    pub seed: u64,
    /// The confidence of the intervals.
    pub confidence: f64,
    /// Rows that the model may be asked about, all attacks together.
    pub queries_max: u64,
    /// The time that they may take together.
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

impl Default for Attacks {
    fn default() -> Self {
        let suite = SuiteConfig::default();
        Self {
            run: Vec::new(),
            refuse: Vec::new(),
            immutable: Vec::new(),
            triggers_of: Vec::new(),
            seed: suite.seed,
            confidence: suite.confidence,
            queries_max: suite.queries_max,
            time_max_ms: suite.time_max_ms,
            rows_max: suite.rows_max,
            evasion: suite.evasion,
            membership: suite.membership,
            extraction: suite.extraction,
            trigger: suite.trigger,
            poisoning: suite.poisoning,
        }
    }
}

impl Attacks {
    /// Whether an attack is asked for.
    #[must_use]
    pub fn wants(&self, name: AttackName) -> bool {
        self.run.is_empty() || self.run.contains(&name)
    }

    /// What the attacks themselves go by.
    #[must_use]
    pub fn suite(&self) -> SuiteConfig {
        SuiteConfig {
            seed: self.seed,
            confidence: self.confidence,
            queries_max: self.queries_max,
            time_max_ms: self.time_max_ms,
            rows_max: self.rows_max,
            skip: AttackName::ALL.into_iter().filter(|name| !self.wants(*name)).collect(),
            evasion: self.evasion.clone(),
            membership: self.membership.clone(),
            extraction: self.extraction.clone(),
            trigger: self.trigger.clone(),
            poisoning: self.poisoning.clone(),
        }
    }

    pub(crate) fn check(&self) -> Result<(), GateFileError> {
        if self.immutable.len() > COLUMN_COUNT_MAX || self.triggers_of.len() > DATA_COUNT_MAX {
            return wrong(format!(
                "`attacks` names more than {COLUMN_COUNT_MAX} immutable columns, or more than {DATA_COUNT_MAX} data versions"
            ));
        }
        self.suite().check()
    }
}

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
    /// Attacks that are not run.
    pub skip: Vec<AttackName>,
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
            skip: Vec::new(),
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
    /// Whether it can be run.
    ///
    /// # Errors
    /// With the setting that cannot hold.
    pub fn check(&self) -> Result<(), GateFileError> {
        if self.queries_max > QUERY_COUNT_MAX || self.time_max_ms > TIME_MS_MAX {
            let say = format!("at most {QUERY_COUNT_MAX} queries and {TIME_MS_MAX} ms");
            return Err(GateFileError(format!("{} queries in {} ms; {say}", self.queries_max, self.time_max_ms)));
        }
        let shares = [
            ("confidence", self.confidence),
            ("poisoning.share", self.poisoning.share),
            ("poisoning.loss", self.poisoning.loss),
            ("evasion.image_epsilon", self.evasion.image_epsilon),
        ];
        for (name, value) in shares {
            if !(value > 0.0 && value < 1.0) {
                return Err(GateFileError(format!("`{name}` is {value}: give more than 0 and less than 1")));
            }
        }
        if !(self.evasion.epsilon > 0.0 && self.evasion.epsilon.is_finite()) {
            return Err(GateFileError(format!("`evasion.epsilon` is {}: give more than 0", self.evasion.epsilon)));
        }
        let limits = [
            ("evasion.limits", self.evasion.limits),
            ("membership.advantage", self.membership.advantage),
            ("membership.recognised", self.membership.recognised),
            ("extraction.limits", self.extraction.limits),
            ("trigger.known", self.trigger.known),
            ("trigger.found", self.trigger.found),
            ("poisoning.limits", self.poisoning.limits),
        ];
        for (name, Limits { notice, refuse }) in limits {
            if let Some(limit) = notice.into_iter().chain(refuse).find(|limit| !(0.0..=1.0).contains(limit)) {
                return Err(GateFileError(format!("`{name}` has a limit of {limit}: give 0 to 1, or leave it out")));
            }
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
            Some((name, count, max)) => Err(GateFileError(format!("`{name}` is {count}: give at most {max}"))),
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
        check(r#"{"evasion": {"limits": {"refuse": 75}}}"#, "`evasion.limits` has a limit of 75");
        check(r#"{"trigger": {"known": {"notice": -0.1}}}"#, "`trigger.known` has a limit of -0.1");
        check(r#"{"membership": {"shadows": 1000}}"#, "`membership.shadows` is 1000");
    }
}
