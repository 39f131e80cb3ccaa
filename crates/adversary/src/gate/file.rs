//! The gate file: what a candidate must hold to. Strict: an unknown key is an error.

use serde::{Deserialize, Serialize};

use crate::AdversaryError;
use crate::metric::Metric;

/// A gate file's text.
pub const GATE_BYTES_MAX: usize = 256 * 1024;
/// Scalars, lists and maps of a gate file, and how deep they lie.
const NODE_COUNT_MAX: usize = 20_000;
const DEPTH_MAX: usize = 12;
/// Characters of an error of the parser that are shown.
const SYNTAX_CHARS_MAX: usize = 600;
/// Rules of one list.
pub const RULE_COUNT_MAX: usize = 100;
/// Slices that are judged.
pub const SLICE_COUNT_MAX: usize = 500;
/// Resamples of the bootstrap.
pub const RESAMPLE_COUNT_MAX: u32 = 10_000;
/// Rows of held-back data that are judged.
pub const GATE_ROW_COUNT_MAX: usize = 1_000_000;
/// Rows times resamples times rules: about a minute on two cores.
pub const WORK_COUNT_MAX: u64 = 20_000_000_000;

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
    /// A probability or number may differ by this; a class may not.
    #[serde(default = "tolerance")]
    pub tolerance: f64,
    /// So many rows may change.
    #[serde(default)]
    pub max_changed: u64,
}

/// What a candidate must hold to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateFile {
    /// The version of this format: 1.
    pub version: u32,
    /// The confidence of every interval.
    #[serde(default = "confidence")]
    pub confidence: f64,
    /// Resamples of the bootstrap.
    #[serde(default = "resamples")]
    pub resamples: u32,
    /// The seed of the resamples.
    #[serde(default)]
    pub seed: u64,
    /// Rules on all rows together.
    #[serde(default)]
    pub rules: Vec<Rule>,
    /// Rules on slices.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<Slices>,
    /// McNemar's test.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mcnemar: Option<McNemar>,
    /// The time of an answer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency: Option<Latency>,
    /// The model's size.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub size: Option<Budget>,
    /// Golden rows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub golden: Option<Golden>,
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

const fn confidence() -> f64 {
    0.95
}

const fn resamples() -> u32 {
    1_000
}

impl GateFile {
    /// Reads a gate file.
    ///
    /// # Errors
    /// `File` if it is too big, no YAML, has an unknown key, or holds a rule that means nothing.
    pub fn from_yaml(text: &str) -> Result<Self, AdversaryError> {
        if text.len() > GATE_BYTES_MAX {
            let size = text.len();
            return Err(AdversaryError::File(format!("it has {size} bytes, but at most {GATE_BYTES_MAX} are read: split it")));
        }
        let options = serde_saphyr::options! {
            budget: serde_saphyr::budget! {
                max_depth: DEPTH_MAX,
                flow_nesting_limit: DEPTH_MAX,
                max_nodes: NODE_COUNT_MAX,
                max_events: 2 * NODE_COUNT_MAX,
                max_documents: 1,
                max_aliases: 0,
                max_anchors: 0,
                max_total_scalar_bytes: GATE_BYTES_MAX,
            },
            reject_unsupported_tags: true,
            // A slice named `no` is a text, as YAML 1.2 has it.
            strict_booleans: true,
        };
        let file: Self = serde_saphyr::from_str_with_options(text, options)
            .map_err(|error| AdversaryError::File(error.to_string().chars().take(SYNTAX_CHARS_MAX).collect()))?;
        file.check()?;
        Ok(file)
    }

    /// # Errors
    /// `File`, with the rule that means nothing.
    pub(crate) fn check(&self) -> Result<(), AdversaryError> {
        let wrong = |what: String| Err(AdversaryError::File(what));
        if self.version != 1 {
            return wrong(format!("its version is {}, and only version 1 is understood", self.version));
        }
        if !(0.5..1.0).contains(&self.confidence) {
            return wrong(format!("`confidence` is {}: give 0.5 or more, and less than 1", self.confidence));
        }
        if !(100..=RESAMPLE_COUNT_MAX).contains(&self.resamples) {
            return wrong(format!("`resamples` is {}: give 100 to {RESAMPLE_COUNT_MAX}", self.resamples));
        }
        check_rules("rules", &self.rules)?;
        if let Some(slices) = &self.slices {
            check_slices(slices)?;
        }
        if let Some(McNemar { alpha }) = &self.mcnemar {
            check_share("mcnemar.alpha", *alpha)?;
        }
        if let Some(latency) = &self.latency {
            check_share("latency.quantile", latency.quantile)?;
            check_bounds("latency", &[latency.max_ms, latency.max_factor])?;
        }
        if let Some(size) = &self.size {
            check_bounds("size", &[size.max_bytes.map(|bytes| bytes as f64), size.max_factor])?;
        }
        if self.golden.as_ref().is_some_and(|golden| !(golden.tolerance >= 0.0 && golden.tolerance.is_finite())) {
            return wrong("`golden.tolerance` is no number of 0 or more".to_owned());
        }
        let nothing = self.rules.is_empty() && self.slices.is_none() && self.mcnemar.is_none();
        if nothing && self.latency.is_none() && self.size.is_none() && self.golden.is_none() {
            return wrong(
                "it has no rule, so every candidate would pass: add one, such as `rules: [{metric: accuracy, max_worse: 0.01}]`"
                    .to_owned(),
            );
        }
        Ok(())
    }
}

fn check_rules(place: &str, rules: &[Rule]) -> Result<(), AdversaryError> {
    if rules.len() > RULE_COUNT_MAX {
        return Err(AdversaryError::File(format!("`{place}` has {} rules; at most {RULE_COUNT_MAX} are judged", rules.len())));
    }
    for rule in rules {
        let bounds = [rule.min, rule.max, rule.max_worse];
        let sound = bounds.iter().flatten().all(|bound| bound.is_finite()) && rule.max_worse.is_none_or(|worse| worse >= 0.0);
        if !sound || bounds.iter().all(Option::is_none) {
            let name = rule.metric.name();
            let say = "give it `min`, `max` or a `max_worse` of 0 or more";
            return Err(AdversaryError::File(format!("the rule on `{name}` in `{place}` bounds nothing: {say}")));
        }
    }
    Ok(())
}

fn check_slices(slices: &Slices) -> Result<(), AdversaryError> {
    check_rules("slices.rules", &slices.rules)?;
    check_share("slices.alpha", slices.alpha)?;
    if slices.columns.is_empty() || slices.rules.is_empty() {
        return Err(AdversaryError::File("`slices` has no column or no rule: give both, or leave it out".to_owned()));
    }
    let named: usize = slices.columns.iter().map(|column| column.values.len() + column.ranges.len()).sum();
    if slices.columns.len() > SLICE_COUNT_MAX || named > SLICE_COUNT_MAX {
        return Err(AdversaryError::File(format!("`slices` names {named} slices; at most {SLICE_COUNT_MAX} are judged")));
    }
    for column in &slices.columns {
        let empty = |range: &Range| match (range.from, range.below) {
            (Some(from), Some(below)) => from.is_nan() || below.is_nan() || from >= below,
            (from, below) => from.or(below).is_none_or(f64::is_nan),
        };
        if column.ranges.iter().any(empty) || !(column.ranges.is_empty() || column.values.is_empty()) {
            let name = &column.column;
            let say = "give it values, or ranges each with `from` less than `below`";
            return Err(AdversaryError::File(format!("the slices of `{name}` are none: {say}")));
        }
    }
    Ok(())
}

fn check_share(place: &str, value: f64) -> Result<(), AdversaryError> {
    if value > 0.0 && value < 1.0 {
        return Ok(());
    }
    Err(AdversaryError::File(format!("`{place}` is {value}: give more than 0 and less than 1")))
}

fn check_bounds(place: &str, bounds: &[Option<f64>]) -> Result<(), AdversaryError> {
    let mut given = bounds.iter().flatten().peekable();
    if given.peek().is_some() && given.all(|bound| bound.is_finite() && *bound > 0.0) {
        return Ok(());
    }
    Err(AdversaryError::File(format!("`{place}` bounds nothing: give it a bound of more than 0")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, wanted: &str) {
        let said = GateFile::from_yaml(text).map_or_else(|error| error.to_string(), |_| "sound".to_owned());
        assert!(said.contains(wanted), "{text}: {said}");
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = "version: 1\nconfidence: 0.9\nresamples: 500\nseed: 3\nrules:\n- {metric: accuracy, min: 0.8, max_worse: 0.01}\n\
                    - {metric: log_loss, max: 0.5, proof: estimate}\nslices:\n  columns:\n  - {column: country, values: [no, SE]}\n  \
                    - {column: age, ranges: [{below: 30}, {from: 30, below: 60}, {from: 60}]}\n  min_rows: 40\n  rules:\n  \
                    - {metric: accuracy, max_worse: 0.02}\nmcnemar: {alpha: 0.01}\nlatency: {quantile: 0.95, max_ms: 20}\n\
                    size: {max_bytes: 1000000}\ngolden: {tolerance: 0.001, max_changed: 1}\n";
        let file = GateFile::from_yaml(text).unwrap();
        assert_eq!((file.rules.len(), file.rules[1].proof, file.resamples), (2, Proof::Estimate, 500));
        let slices = file.slices.unwrap();
        assert_eq!((slices.columns[0].values[0].as_str(), slices.columns[1].ranges.len(), slices.alpha), ("no", 3, 0.05));
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_place() {
        check("version: 1\nmcnemar: {}\n", "sound");
        check("version: 1\n", "every candidate would pass");
        check("version: 2\nmcnemar: {}\n", "only version 1");
        check("version: 1\nmcnemar: {}\ncolour: blue\n", "unknown field `colour`");
        check("version: 1\nrules: [{metric: accuracy, maxworse: 1}]\n", "unknown field `maxworse`");
        check("version: 1\nrules: [{metric: beauty, min: 1}]\n", "beauty");
        check("version: 1\nrules: [{metric: accuracy}]\n", "the rule on `accuracy` in `rules` bounds nothing");
        check("version: 1\nrules: [{metric: accuracy, max_worse: -1}]\n", "bounds nothing");
        check("version: 1\nrules: [{metric: accuracy, min: .nan}]\n", "bounds nothing");
        check("version: 1\nmcnemar: {alpha: 1}\n", "`mcnemar.alpha` is 1");
        check("version: 1\nmcnemar: {}\nconfidence: 1\n", "`confidence` is 1");
        check("version: 1\nmcnemar: {}\nresamples: 1000000\n", "`resamples`");
        check("version: 1\nlatency: {}\n", "`latency` bounds nothing");
        check("version: 1\nsize: {max_bytes: 0}\n", "`size` bounds nothing");
        check("version: 1\ngolden: {tolerance: -1}\n", "golden.tolerance");
        check("version: 1\nslices: {columns: [], rules: []}\n", "no column or no rule");
        let slices = |of: &str| format!("version: 1\nslices: {{columns: [{of}], rules: [{{metric: accuracy, max_worse: 0}}]}}\n");
        check(&slices("{column: a, ranges: [{from: 2, below: 1}]}"), "the slices of `a` are none");
        check(&slices("{column: a, ranges: [{}]}"), "the slices of `a` are none");
        check(&slices("{column: a}"), "sound");
    }

    #[test]
    fn hostile_text_is_refused() {
        check("version: &a 1\nseed: *a\nmcnemar: {}\n", "cannot be used");
        check(&format!("version: 1\nrules: {}{}\n", "[".repeat(100), "]".repeat(100)), "cannot be used");
        check("version: 1\nversion: 1\nmcnemar: {}\n", "duplicate");
        check(&"x".repeat(GATE_BYTES_MAX + 1), "split it");
        let many = "{metric: accuracy, min: 0},".repeat(101);
        check(&format!("version: 1\nrules: [{many}]\n"), "101 rules");
    }
}
