//! How tests ended. Source: in-toto/attestation, predicate `test-result`, version 0.1.

use serde::{Deserialize, Serialize};

use crate::statement::{Predicate, Resource};

/// How all tests ended together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Outcome {
    /// Every test passed.
    Passed,
    /// None failed, some warned.
    Warned,
    /// At least one failed.
    Failed,
}

/// How tests ended: those of the regression gate, or the screens of an inspection.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct TestResult {
    /// All together.
    pub result: Outcome,
    /// What decided: gate files, policies, contracts, with digests.
    pub configuration: Vec<Resource>,
    /// Where a reader finds more.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub url: String,
    /// Names of tests that passed.
    #[serde(default)]
    pub passed_tests: Vec<String>,
    /// Names of tests that warned.
    #[serde(default)]
    pub warned_tests: Vec<String>,
    /// Names of tests that failed.
    #[serde(default)]
    pub failed_tests: Vec<String>,
    /// The whole report, by digest. Beyond the predicate's own fields, which readers skip as in-toto's parsing rules ask.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub report: Option<Resource>,
}

impl TestResult {
    /// The result of tests by name: failed if one failed, warned if one warned.
    #[must_use]
    pub fn of(configuration: Vec<Resource>, tests: impl IntoIterator<Item = (String, Outcome)>) -> Self {
        let (mut passed_tests, mut warned_tests, mut failed_tests) = (Vec::new(), Vec::new(), Vec::new());
        for (name, outcome) in tests {
            match outcome {
                Outcome::Passed => passed_tests.push(name),
                Outcome::Warned => warned_tests.push(name),
                Outcome::Failed => failed_tests.push(name),
            }
        }
        let result = match (failed_tests.is_empty(), warned_tests.is_empty()) {
            (false, _) => Outcome::Failed,
            (true, false) => Outcome::Warned,
            (true, true) => Outcome::Passed,
        };
        Self { result, configuration, url: String::new(), passed_tests, warned_tests, failed_tests, report: None }
    }
}

impl Predicate for TestResult {
    const TYPE: &'static str = "https://in-toto.io/attestation/test-result/v0.1";
}
