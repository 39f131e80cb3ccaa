//! What a gate leaves.

use serde::{Deserialize, Serialize};

use crate::stats::Interval;

/// How a rule ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It is kept.
    Pass,
    /// It does not apply, and the reason says why; this refuses nobody.
    Skipped,
    /// The number keeps it, but too few rows show it; this refuses.
    Unproven,
    /// It could not be judged; this refuses.
    NotRun,
    /// It is broken.
    Fail,
}

/// Why a rule ended so, for machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Kept.
    Kept,
    /// Worse than an absolute bound.
    OutOfBounds,
    /// Worse than the champion by more than allowed.
    WorseThanChampion,
    /// One slice got worse.
    SliceWorse,
    /// One slice got worse while the total got better.
    SliceWorseTotalBetter,
    /// A slice is worse than an absolute bound.
    SliceOutOfBounds,
    /// More right answers of the champion were lost than chance has it.
    AnswersLost,
    /// Answers are too slow.
    TooSlow,
    /// The model is too big.
    TooBig,
    /// Golden rows changed.
    GoldenChanged,
    /// There is no champion yet.
    NoChampion,
    /// Too few rows.
    TooFewRows,
    /// What the rule needs was not given or has no meaning here.
    Missing,
}

/// One rule's result.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// The rule in a few words, such as `accuracy where country is NO`.
    pub rule: String,
    /// How it ended.
    pub outcome: Outcome,
    /// Why, for machines.
    pub reason: Reason,
    /// Why, in a sentence.
    pub words: String,
    /// Rows that it was judged on.
    pub rows: u64,
    /// The bound.
    pub limit: Option<f64>,
    /// The candidate's number.
    pub value: Option<f64>,
    /// Where it lies.
    pub interval: Option<Interval>,
    /// The champion's number.
    pub champion: Option<f64>,
    /// Where that lies.
    pub champion_interval: Option<Interval>,
    /// How much better the candidate is than the champion; negative where worse, in the metric's unit.
    pub gain: Option<f64>,
    /// Where the gain lies, both asked on the same rows.
    pub gain_interval: Option<Interval>,
    /// How probable such a number is if nothing got worse.
    pub p: Option<f64>,
    /// The same, corrected for the number of slices.
    pub p_corrected: Option<f64>,
}

/// The report of a gate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GateReport {
    /// Whether every rule is kept or does not apply.
    pub passed: bool,
    /// Rows that were judged.
    pub rows: u64,
    /// The confidence of the intervals.
    pub confidence: f64,
    /// Resamples of the bootstrap.
    pub resamples: u32,
    /// Their seed: the same input and seed give the same report.
    pub seed: u64,
    /// Every rule.
    pub rules: Vec<RuleReport>,
    /// What was left out.
    pub notes: Vec<String>,
}

impl Outcome {
    /// Whether it lets a candidate pass.
    #[must_use]
    pub const fn passes(self) -> bool {
        matches!(self, Self::Pass | Self::Skipped)
    }
}

impl RuleReport {
    pub(crate) const fn new(rule: String, rows: u64) -> Self {
        Self {
            rule,
            outcome: Outcome::NotRun,
            reason: Reason::Missing,
            words: String::new(),
            rows,
            limit: None,
            value: None,
            interval: None,
            champion: None,
            champion_interval: None,
            gain: None,
            gain_interval: None,
            p: None,
            p_corrected: None,
        }
    }

    pub(crate) fn ended(mut self, outcome: Outcome, reason: Reason, words: String) -> Self {
        (self.outcome, self.reason, self.words) = (outcome, reason, words);
        self
    }
}

impl GateReport {
    /// The rules that refuse the candidate.
    pub fn refusals(&self) -> impl Iterator<Item = &RuleReport> {
        self.rules.iter().filter(|rule| !rule.outcome.passes())
    }
}
