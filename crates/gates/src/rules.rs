//! The rules of a gate file.

use serde::{Deserialize, Serialize};

use crate::{DataName, GateFileError, Metric};

/// Rules of one list.
pub const RULE_COUNT_MAX: usize = 100;
/// Slices that are judged.
pub const SLICE_COUNT_MAX: usize = 500;

/// What shows that a rule is kept.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Proof {
    /// The whole interval keeps it: too few rows are no proof.
    #[default]
    Interval,
    /// The number itself keeps it, however uncertain.
    Estimate,
}

/// A bound on one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// The metric.
    pub metric: Metric,
    /// It is at least this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub min: Option<f64>,
    /// It is at most this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max: Option<f64>,
    /// It is worse than the champion's by at most this, in the metric's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_worse: Option<f64>,
    /// What shows it.
    #[serde(default)]
    pub proof: Proof,
}

/// A range of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Range {
    /// From here; no lower bound where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<f64>,
    /// Below this; no upper bound where none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub below: Option<f64>,
}

/// A column whose slices are judged.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SliceColumnRule {
    /// Its name.
    pub column: String,
    /// These values of a column of texts; each value that it has where none are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
    /// These ranges of a column of numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ranges: Vec<Range>,
}

/// Rules on slices. A slice fails if its number breaks the rule and the tests, corrected for their count (Holm), show it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Slices {
    /// What to slice by.
    pub columns: Vec<SliceColumnRule>,
    /// A slice of fewer rows is named, not judged.
    #[serde(default = "slice_rows")]
    pub min_rows: u32,
    /// How often all slices together may fail though none is worse.
    #[serde(default = "alpha")]
    pub alpha: f64,
    /// The rules; `proof` has no meaning here.
    pub rules: Vec<Rule>,
}

/// McNemar's test: the candidate may not be wrong where the champion is right more often than chance has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct McNemar {
    /// How often an equal candidate may fail.
    #[serde(default = "alpha")]
    pub alpha: f64,
}

/// A bound on the time of an answer.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Latency {
    /// The share of answers that must be as fast: 0.99 is the 99th of 100.
    #[serde(default = "most")]
    pub quantile: f64,
    /// At most so long.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_ms: Option<f64>,
    /// At most so many times the champion's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_factor: Option<f64>,
}

/// A bound on the model's size.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Budget {
    /// At most so many bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
    /// At most so many times the champion's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_factor: Option<f64>,
}

/// Rows whose answers must not change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Golden {
    /// The data version that holds them.
    pub data: DataName,
    /// The column with the answers on record; where none is named, the champion's answers are those that must not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expect: Option<String>,
    /// A probability or number may differ by this; a class may not.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// So many rows may change.
    #[serde(default)]
    pub max_changed: u64,
}

const fn slice_rows() -> u32 {
    30
}

const fn alpha() -> f64 {
    0.05
}

const fn most() -> f64 {
    0.99
}

const fn tolerance() -> f64 {
    1e-6
}

pub(crate) fn check_rules(place: &str, rules: &[Rule]) -> Result<(), GateFileError> {
    if rules.len() > RULE_COUNT_MAX {
        return Err(GateFileError(format!("`{place}` has {} rules; at most {RULE_COUNT_MAX} are judged", rules.len())));
    }
    for rule in rules {
        let bounds = [rule.min, rule.max, rule.max_worse];
        let sound = bounds.iter().flatten().all(|bound| bound.is_finite()) && rule.max_worse.is_none_or(|worse| worse >= 0.0);
        if !sound || bounds.iter().all(Option::is_none) {
            let name = rule.metric.name();
            let say = "give it `min`, `max` or a `max_worse` of 0 or more";
            return Err(GateFileError(format!("the rule on `{name}` in `{place}` bounds nothing: {say}")));
        }
        if let Some(why) = mistake(rule) {
            return Err(GateFileError(format!("the rule on `{}` in `{place}`: {why}", rule.metric.name())));
        }
    }
    Ok(())
}

/// Why no model can keep a rule, or every model does, or only the worse ones.
fn mistake(rule: &Rule) -> Option<String> {
    let (name, (least, greatest)) = (rule.metric.name(), rule.metric.range());
    let range = match (least.is_finite(), greatest.is_finite()) {
        (true, true) => format!("{least} to {greatest}"),
        (true, false) => format!("{least} or more"),
        _ => format!("{greatest} or less"),
    };
    for (word, bound) in [("min", rule.min), ("max", rule.max)] {
        if let Some(bound) = bound.filter(|bound| !(least..=greatest).contains(bound)) {
            return Some(format!("`{word}` is {bound}, and `{name}` is always {range}"));
        }
    }
    if let Some(worse) = rule.max_worse.filter(|worse| *worse > greatest - least) {
        return Some(format!("`max_worse` is {worse}, and `{name}` is always {range}, so no model is that much worse"));
    }
    if let Some((min, max)) = rule.min.zip(rule.max).filter(|(min, max)| min > max) {
        return Some(format!("`min` is {min}, above `max`, which is {max}: no model can keep both"));
    }
    let (good, own, other) = if rule.metric.more_is_better() { ("more", "min", "max") } else { ("less", "max", "min") };
    let (own_bound, other_bound) = if rule.metric.more_is_better() { (rule.min, rule.max) } else { (rule.max, rule.min) };
    if other_bound.is_some() && own_bound.is_none() {
        return Some(format!("of `{name}` {good} is better, so `{other}` alone refuses the better models: give `{own}`"));
    }
    None
}

pub(crate) fn check_slices(slices: &Slices) -> Result<(), GateFileError> {
    check_rules("slices.rules", &slices.rules)?;
    check_share("slices.alpha", slices.alpha)?;
    if slices.columns.is_empty() || slices.rules.is_empty() {
        return Err(GateFileError("`slices` has no column or no rule: give both, or leave it out".to_owned()));
    }
    let named: usize = slices.columns.iter().map(|column| column.values.len() + column.ranges.len()).sum();
    if slices.columns.len() > SLICE_COUNT_MAX || named > SLICE_COUNT_MAX {
        return Err(GateFileError(format!("`slices` names {named} slices; at most {SLICE_COUNT_MAX} are judged")));
    }
    for column in &slices.columns {
        let empty = |range: &Range| match (range.from, range.below) {
            (Some(from), Some(below)) => from.is_nan() || below.is_nan() || from >= below,
            (from, below) => from.or(below).is_none_or(f64::is_nan),
        };
        if column.ranges.iter().any(empty) || !(column.ranges.is_empty() || column.values.is_empty()) {
            let name = &column.column;
            let say = "give it values, or ranges each with `from` less than `below`";
            return Err(GateFileError(format!("the slices of `{name}` are none: {say}")));
        }
    }
    Ok(())
}

pub(crate) fn check_share(place: &str, value: f64) -> Result<(), GateFileError> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(GateFileError(format!("`{place}` is {value}: give more than 0 and less than 1")))
}

pub(crate) fn check_bounds(place: &str, bounds: &[Option<f64>]) -> Result<(), GateFileError> {
    let mut given = bounds.iter().flatten().peekable();
    if given.peek().is_some() && given.all(|bound| bound.is_finite() && *bound > 0.0) {
        return Ok(());
    }
    Err(GateFileError(format!("`{place}` bounds nothing: give it a bound of more than 0")))
}
