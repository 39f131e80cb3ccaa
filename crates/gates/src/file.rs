//! A whole gate file. Strict: an unknown key is an error.

use std::collections::BTreeSet;

use serde::{Deserialize, Serialize};

use crate::attacks::Attacks;
use crate::error::wrong;
use crate::rules::{Budget, Golden, Latency, McNemar, Rule, Slices, check_bounds, check_rules, check_share, check_slices};
use crate::{DataName, GateFileError};

/// A gate file's text.
pub const GATE_BYTES_MAX: usize = 256 * 1024;
/// Scalars, lists and maps of a gate file, and how deep they lie.
const NODE_COUNT_MAX: usize = 20_000;
const DEPTH_MAX: usize = 12;
/// Characters of an error of the parser that are shown.
const SYNTAX_CHARS_MAX: usize = 600;
/// Resamples of the bootstrap.
pub const RESAMPLE_COUNT_MAX: u32 = 10_000;
/// Data versions that a candidate is judged on.
pub const DATA_COUNT_MAX: usize = 16;
/// Columns that a list names.
const COLUMN_COUNT_MAX: usize = 1_000;

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
    /// The data versions that it is judged on; the model was not trained on them.
    #[serde(default)]
    pub data: Vec<DataName>,
    /// The column with the truth; where none is named, the one that the data version itself calls its label.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Columns that the model does not see, for a model that does not name those that it does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub leave_out: Vec<String>,
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
    /// The attacks that are tried; none where it is left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attacks: Option<Attacks>,
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
    /// If it is too big, no YAML, has an unknown key, or holds a rule that means nothing.
    pub fn from_yaml(text: &str) -> Result<Self, GateFileError> {
        if text.len() > GATE_BYTES_MAX {
            let size = text.len();
            return Err(GateFileError(format!("it has {size} bytes, but at most {GATE_BYTES_MAX} are read: split it")));
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
            .map_err(|error| GateFileError(error.to_string().chars().take(SYNTAX_CHARS_MAX).collect()))?;
        file.check()?;
        Ok(file)
    }

    /// Whether it says something that can be judged.
    ///
    /// # Errors
    /// With the rule that means nothing.
    pub fn check(&self) -> Result<(), GateFileError> {
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
            return wrong("`golden.tolerance` is no number of 0 or more");
        }
        if let Some(attacks) = &self.attacks {
            attacks.check()?;
        }
        self.check_data()
    }

    fn check_data(&self) -> Result<(), GateFileError> {
        let nothing = self.rules.is_empty() && self.slices.is_none() && self.mcnemar.is_none() && self.attacks.is_none();
        if nothing && self.latency.is_none() && self.size.is_none() && self.golden.is_none() {
            return wrong(
                "it has no rule, so every candidate would pass: add one, such as `rules: [{metric: accuracy, max_worse: 0.01}]`",
            );
        }
        if self.data.is_empty() {
            return wrong(
                "it names no data to judge on: add versions that the model was not trained on, such as `data: [churn-test@1]`",
            );
        }
        if self.data.len() > DATA_COUNT_MAX {
            return wrong(format!("`data` names {} versions; at most {DATA_COUNT_MAX} are judged on", self.data.len()));
        }
        let mut seen = BTreeSet::new();
        if let Some(twice) = self.data.iter().find(|name| !seen.insert(*name)) {
            return wrong(format!("`data` names `{twice}` twice: leave one out"));
        }
        if self.leave_out.len() > COLUMN_COUNT_MAX {
            return wrong(format!("`leave_out` names more than {COLUMN_COUNT_MAX} columns"));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rules::Proof;

    fn check(text: &str, wanted: &str) {
        let said =
            GateFile::from_yaml(&format!("{text}data: [a@1]\n")).map_or_else(|error| error.to_string(), |_| "sound".to_owned());
        assert!(said.contains(wanted), "{text}: {said}");
    }

    #[test]
    fn a_whole_file_is_read() {
        let text = "version: 1\ndata: [a@1, b@2]\nlabel: y\nleave_out: [id]\nconfidence: 0.9\nresamples: 500\nseed: 3\nrules:\n- {metric: accuracy, min: 0.8, max_worse: 0.01}\n\
                    - {metric: log_loss, max: 0.5, proof: estimate}\nslices:\n  columns:\n  - {column: country, values: [no, SE]}\n  \
                    - {column: age, ranges: [{below: 30}, {from: 30, below: 60}, {from: 60}]}\n  min_rows: 40\n  rules:\n  \
                    - {metric: accuracy, max_worse: 0.02}\nmcnemar: {alpha: 0.01}\nlatency: {quantile: 0.95, max_ms: 20}\n\
                    size: {max_bytes: 1000000}\ngolden: {data: g@1, expect: said, tolerance: 0.001, max_changed: 1}\n\
                    attacks: {run: [evasion], refuse: [evasion], seed: 5, evasion: {rows: 7}}\n";
        let file = GateFile::from_yaml(text).unwrap();
        assert_eq!((file.rules.len(), file.rules[1].proof, file.resamples), (2, Proof::Estimate, 500));
        let slices = file.slices.unwrap();
        assert_eq!((slices.columns[0].values[0].as_str(), slices.columns[1].ranges.len(), slices.alpha), ("no", 3, 0.05));
    }

    #[test]
    fn what_means_nothing_is_refused_with_its_place() {
        check("version: 1\nmcnemar: {}\n", "sound");
        check("version: 1\n", "every candidate would pass");
        let none = GateFile::from_yaml("version: 1\nmcnemar: {}\n").unwrap_err();
        assert!(none.to_string().contains("names no data"), "{none}");
        check("version: 1\ngolden: {}\n", "missing field `data`");
        check("version: 1\ngolden: {data: newest}\n", "`newest` is no data version");
        check("version: 1\nattacks: {evasion: {rows: 99999999}}\n", "`evasion.rows`");
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
        check("version: 1\ngolden: {data: g@1, tolerance: -1}\n", "golden.tolerance");
        check("version: 1\nslices: {columns: [], rules: []}\n", "no column or no rule");
        let slices = |of: &str| format!("version: 1\nslices: {{columns: [{of}], rules: [{{metric: accuracy, max_worse: 0}}]}}\n");
        check(&slices("{column: a, ranges: [{from: 2, below: 1}]}"), "the slices of `a` are none");
        check(&slices("{column: a, ranges: [{}]}"), "the slices of `a` are none");
        check(&slices("{column: a}"), "sound");
    }

    #[test]
    fn a_bound_that_no_model_or_every_model_keeps_is_a_mistake() {
        let rule = |rule: &str, wanted: &str| check(&format!("version: 1\nrules: [{{metric: {rule}}}]\n"), wanted);
        rule("accuracy, min: 2", "`min` is 2, and `accuracy` is always 0 to 1");
        rule("accuracy, min: -0.5", "`accuracy` is always 0 to 1");
        rule("rmse, max: -1", "`rmse` is always 0 or more");
        rule("r2, min: 1.5", "`r2` is always 1 or less");
        rule("f1, max_worse: 2", "no model is that much worse");
        rule("accuracy, min: 0.9, max: 0.5", "`min` is 0.9, above `max`, which is 0.5");
        rule("rmse, min: 3", "of `rmse` less is better, so `min` alone refuses the better models: give `max`");
        rule("accuracy, max: 0.9, max_worse: 0.1", "of `accuracy` more is better, so `max` alone");
        // What is too good to be true may be refused beside what is not good enough.
        for sound in
            ["accuracy, min: 0.8, max: 0.99", "rmse, min: 0.1, max: 3", "accuracy, min: 0", "r2, min: -2", "mae, max_worse: 7"]
        {
            rule(sound, "sound");
        }
        let slices = "version: 1\nslices: {columns: [{column: a}], rules: [{metric: rmse, min: 1}]}\n";
        check(slices, "the rule on `rmse` in `slices.rules`");
        let twice = GateFile::from_yaml("version: 1\nmcnemar: {}\ndata: [a@1, b@1, a@1]\n").unwrap_err();
        assert!(twice.to_string().contains("`data` names `a@1` twice"), "{twice}");
        assert!(GateFile::from_yaml("version: 1\nmcnemar: {}\ndata: [a@1, a@2]\n").is_ok());
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
