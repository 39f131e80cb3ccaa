//! What an inspection's report says of a model beyond its findings, as the page needs it: how it answers held-back data against the champion, which
//! attacks were tried, what its files are, where it comes from, who signed it.
//!
//! The sections are written by the worker's engines, which this process does not link: only the fields that a page shows are read here, and a section
//! that cannot be read shows nothing.

use inspection::{InspectionReport, Section};
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Where a number lies.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// How it was judged by its gate file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Gates {
    /// The version that it was compared with.
    pub champion: Option<String>,
    /// What it was judged on.
    pub data: Vec<OfData>,
}

/// On one version of held-back data.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct OfData {
    pub data: String,
    pub rows: u64,
    pub report: GateReport,
}

/// What the gate left.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct GateReport {
    pub confidence: f64,
    pub rules: Vec<Rule>,
}

/// One rule's result.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Rule {
    pub rule: String,
    pub outcome: String,
    pub words: String,
    pub rows: u64,
    pub value: Option<f64>,
    pub interval: Option<Interval>,
    pub champion: Option<f64>,
    pub champion_interval: Option<Interval>,
    pub gain: Option<f64>,
    pub gain_interval: Option<Interval>,
    pub p_corrected: Option<f64>,
}

impl Rule {
    /// The measure, which is the first word of the rule.
    #[must_use]
    pub fn measure(&self) -> &str {
        self.rule.split([' ', ',']).next().unwrap_or_default()
    }

    /// The rows that it is about.
    #[must_use]
    pub fn slice(&self) -> &str {
        self.rule.split_once(" where ").map_or("all rows", |(_, slice)| slice)
    }
}

/// The attacks that were tried.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Attacks {
    pub confidence: f64,
    pub queries: u64,
    pub queries_max: u64,
    pub attacks: Vec<Attack>,
    pub cannot_show: Vec<String>,
}

/// One of them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Attack {
    pub kind: String,
    pub what: String,
    pub framework: Framework,
    pub verdict: String,
    pub measure: Option<Measure>,
    pub limits: Limits,
    pub queries: u64,
    pub cut_short: bool,
    pub summary: String,
    pub advice: String,
}

/// What others call it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Framework {
    pub atlas: Vec<String>,
}

/// The number that a verdict rests on.
#[derive(Clone, Debug, PartialEq, Deserialize)]
pub struct Measure {
    pub name: String,
    pub value: f64,
    pub interval: Option<Interval>,
}

/// From where on it is noticed, and from where on refused.
#[derive(Clone, Copy, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Limits {
    pub notice: Option<f64>,
    pub refuse: Option<f64>,
}

/// What its files are.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Scan {
    pub files: Vec<ScannedFile>,
}

/// One file.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct ScannedFile {
    pub path: String,
    pub format: String,
    pub size_bytes: u64,
    pub verdict: String,
    pub findings: Vec<FileFinding>,
    pub more_findings: u64,
}

/// One thing found in it.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct FileFinding {
    pub rule: String,
    pub message: String,
}

/// Where it comes from.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Origin {
    pub run: Option<Told>,
    pub code: Vec<Told>,
    pub data: Vec<Told>,
    pub other_data: Vec<Told>,
    pub environment: bool,
    pub known_count: u8,
    pub observed_count: u8,
    pub executed_count: u8,
}

/// One thing that it stems from, and how that is known.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Told {
    pub name: String,
    pub trust: String,
    pub context: String,
    /// How a version of data stood.
    pub state: Option<String>,
}

/// What is said of a signature among its files.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Signature {
    pub required: bool,
    /// Which change of the workspace's signers it was checked by.
    pub signers: Option<i64>,
    pub state: String,
    pub signer: Option<SignedBy>,
    pub why: Option<String>,
}

/// Who signed.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct SignedBy {
    pub method: String,
    pub trusted_as: String,
    pub identities: Vec<String>,
    pub fingerprint: Option<String>,
}

/// All of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Trial {
    pub gates: Gates,
    pub attacks: Option<Attacks>,
    pub scan: Scan,
    pub origin: Option<Origin>,
    pub signature: Option<Signature>,
}

impl Trial {
    /// Of a report.
    #[must_use]
    pub fn of(report: &InspectionReport) -> Self {
        Self {
            gates: read(report.gates.as_ref()).unwrap_or_default(),
            attacks: read(report.attacks.as_ref()),
            scan: read(report.scan.as_ref()).unwrap_or_default(),
            origin: read(report.origin.as_ref()),
            signature: read(report.signature.as_ref()),
        }
    }
}

fn read<T: DeserializeOwned>(section: Option<&Section>) -> Option<T> {
    section?.parse().ok()
}

/// One measure on one part of the rows: of this version, and of the champion on the same rows.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    pub slice: String,
    pub rows: u64,
    pub value: f64,
    pub interval: Option<Interval>,
    pub champion: Option<f64>,
    pub champion_interval: Option<Interval>,
    pub gain: Option<f64>,
    pub gain_interval: Option<Interval>,
    pub p_corrected: Option<f64>,
    /// The gravest outcome of the rules about it.
    pub outcome: String,
}

/// One measure on one version of data, slice by slice, all rows first.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    pub measure: String,
    pub data: String,
    pub confidence: f64,
    pub rows: Vec<Compared>,
}

/// How grave an outcome is.
#[must_use]
pub fn gravity(outcome: &str) -> u8 {
    match outcome {
        "pass" => 0,
        "skipped" => 1,
        "unproven" => 3,
        "fail" => 4,
        _ => 2,
    }
}

impl Gates {
    /// What can be compared, with the slices in the order of the gate file. Several rules about one number are one line.
    #[must_use]
    pub fn comparisons(&self) -> Vec<Comparison> {
        let mut all: Vec<Comparison> = Vec::new();
        for of in &self.data {
            for rule in &of.report.rules {
                let (Some(value), Some(_)) = (rule.value, rule.interval) else { continue };
                let place = all.iter().position(|one| one.measure == rule.measure() && one.data == of.data);
                let place = place.unwrap_or_else(|| {
                    let (measure, data) = (rule.measure().to_owned(), of.data.clone());
                    all.push(Comparison { measure, data, confidence: of.report.confidence, rows: Vec::new() });
                    all.len().saturating_sub(1)
                });
                if let Some(comparison) = all.get_mut(place) {
                    comparison.add(rule, value);
                }
            }
        }
        all
    }
}

impl Comparison {
    fn add(&mut self, rule: &Rule, value: f64) {
        if let Some(same) = self.rows.iter_mut().find(|one| one.slice == rule.slice()) {
            same.p_corrected = same.p_corrected.into_iter().chain(rule.p_corrected).reduce(f64::min);
            if gravity(&rule.outcome) > gravity(&same.outcome) {
                same.outcome.clone_from(&rule.outcome);
            }
            return;
        }
        self.rows.push(Compared {
            slice: rule.slice().to_owned(),
            rows: rule.rows,
            value,
            interval: rule.interval,
            champion: rule.champion,
            champion_interval: rule.champion_interval,
            gain: rule.gain,
            gain_interval: rule.gain_interval,
            p_corrected: rule.p_corrected,
            outcome: rule.outcome.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_about_one_number_are_one_line_and_the_gravest_outcome_counts() {
        let gates: Gates = serde_json::from_str(
            r#"{"gate_sha256":"00","champion":"1","data":[{"data":"held@1","rows":9,"report":{"passed":false,"confidence":0.95,"rules":[
                {"rule":"accuracy at least 0.5","outcome":"pass","rows":9,"value":0.8,"interval":{"low":0.7,"high":0.9},"champion":0.9},
                {"rule":"accuracy against the champion, at most 0.02 worse","outcome":"fail","rows":9,"value":0.8,"interval":{"low":0.7,"high":0.9}},
                {"rule":"accuracy where region is west","outcome":"pass","rows":3,"value":0.6,"interval":{"low":0.2,"high":0.9},"champion":0.5,
                 "champion_interval":{"low":0.1,"high":0.8},"gain":0.1,"p_corrected":0.4},
                {"rule":"McNemar's test","outcome":"pass","rows":9},
                {"rule":"size in bytes, at most 5","outcome":"pass","rows":0,"value":3.0}]}}]}"#,
        )
        .unwrap();
        let all = gates.comparisons();
        assert_eq!(all.len(), 1, "what has no interval stands in the table of rules alone: {all:?}");
        let shown: Vec<(&str, &str)> = all[0].rows.iter().map(|row| (row.slice.as_str(), row.outcome.as_str())).collect();
        assert_eq!(shown, [("all rows", "fail"), ("region is west", "pass")]);
        assert_eq!(all[0].rows[1].champion_interval, Some(Interval { low: 0.1, high: 0.8 }));
    }
}
