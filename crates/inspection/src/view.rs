//! What a report's page shows: small, typed and bounded, so that the page needs no engine to read an engine's section.

use serde::{Deserialize, Serialize};

/// Columns that the page shows.
pub const VIEW_COLUMN_COUNT_MAX: usize = 500;
/// Bars of one chart.
pub const BAR_COUNT_MAX: usize = 40;
/// Rows of a list on the page.
pub const VIEW_ROW_COUNT_MAX: usize = 100;

/// What the page shows beside findings.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct View {
    /// The format that was read.
    pub format: String,
    /// What the reader noted, one line each.
    pub notes: Vec<String>,
    /// The columns.
    pub columns: Vec<ColumnView>,
    /// Columns that are not shown.
    pub column_hidden_count: u64,
    /// The contract's rules.
    pub rules: Vec<RuleView>,
    /// The comparison with the reference.
    pub drift: Vec<DriftView>,
    /// The segments that a drift goes with.
    pub segments: Vec<SegmentView>,
    /// The poisoning screens.
    pub poisoning: Option<PoisonView>,
    /// The most poisonable rows.
    pub poisonable: Vec<SuspectView>,
    /// The rules of a model's gate file.
    pub gates: Vec<RuleView>,
    /// The attacks that were tried on a model.
    pub attacks: Vec<AttackView>,
}

/// One bar of a chart.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Bar {
    /// What it stands for: a range, a value, a class.
    pub label: String,
    /// Its height.
    pub count: u64,
}

/// One column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ColumnView {
    /// Its name.
    pub name: String,
    /// Its type, for people.
    pub kind: String,
    /// Its role, where it has one (`label`, `source`, `time`, …).
    pub role: Option<String>,
    /// Share of missing values, 0 to 1.
    pub null_share: f64,
    /// Distinct values, estimated.
    pub distinct_count: Option<u64>,
    /// Facts, as (name, value): minimum, mean, …
    pub facts: Vec<(String, String)>,
    /// Its histogram, or its most frequent values.
    pub bars: Vec<Bar>,
    /// Whether `bars` are ranges in order (a histogram) or separate values.
    pub is_histogram: bool,
    /// Kinds of personal data in it.
    pub personal: Vec<String>,
}

/// One rule of the contract.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleView {
    /// What it says.
    pub rule: String,
    /// The column, if one.
    pub column: Option<String>,
    /// Whether it holds; nothing if it was not run.
    pub holds: Option<bool>,
    /// What was observed, or why it was not run.
    pub detail: String,
}

/// One simulated attack.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AttackView {
    /// Which one.
    pub attack: String,
    /// What it concludes, in a word.
    pub verdict: String,
    /// Its number with its interval, and what that is.
    pub number: String,
    /// What was found.
    pub detail: String,
    /// What to do about it.
    pub advice: String,
    /// MITRE ATLAS and other ids.
    pub references: Vec<String>,
}

/// The comparison of one column.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DriftView {
    /// The column.
    pub column: String,
    /// The statistic's name.
    pub statistic: String,
    /// Its value, as an effect size, 0 to 1.
    pub effect: f64,
    /// Its p-value, adjusted over all columns.
    pub p_value: f64,
    /// Whether it counts as drift.
    pub drifted: bool,
    /// What changed, for people.
    pub detail: String,
}

/// A segment that a drift goes with.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SegmentView {
    /// The drifted column.
    pub column: String,
    /// The rows: `column = value`.
    pub segment: String,
    /// The share of the drift that goes with them.
    pub explained_share: f64,
    /// All that in a sentence.
    pub detail: String,
}

/// The poisoning screens.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PoisonView {
    /// Rows that were screened.
    pub row_count: u64,
    /// Rows that are suspect.
    pub suspect_count: u64,
    /// Estimated share of suspect rows, 0 to 1.
    pub suspect_share: f64,
    /// Rows by score.
    pub scores: Vec<Bar>,
    /// The score from which a row is suspect.
    pub threshold: Option<f64>,
    /// The most suspect rows.
    pub suspects: Vec<SuspectView>,
}

/// One row of a list.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuspectView {
    /// Its number in the version, from 0.
    pub row: u64,
    /// Its score, 0 to 1.
    pub score: f64,
    /// Why.
    pub reason: String,
}
