//! What a file scan found. Source: in-toto/attestation, predicate SCAI (attribute report), version 0.3.
//!
//! Each file has one attribute: `STRONGROOM_FILE_` and the verdict; the conditions name the scanner's rules, without which a
//! verdict means nothing, and what was found.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::statement::{Predicate, Resource};

/// What a scan found.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ScanReport {
    /// One for each file.
    pub attributes: Vec<ScanAttribute>,
    /// The scanner.
    pub producer: Resource,
}

/// What is said of one file.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct ScanAttribute {
    /// What is said.
    pub attribute: String,
    /// Of which file.
    pub target: Resource,
    /// Under which rules.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub conditions: BTreeMap<String, Value>,
    /// The report that says more, by digest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evidence: Option<Resource>,
}

impl ScanAttribute {
    /// `verdict` (such as `clean` or `blocked`) on `target`, under rules with a version or digest, for these reasons.
    #[must_use]
    pub fn verdict(target: Resource, verdict: &str, rules: &str, reasons: &[String]) -> Self {
        let mut conditions = BTreeMap::from([("rules".to_owned(), Value::from(rules))]);
        if !reasons.is_empty() {
            conditions.insert("reasons".to_owned(), Value::from(reasons));
        }
        Self { attribute: format!("STRONGROOM_FILE_{}", verdict.to_uppercase()), target, conditions, evidence: None }
    }
}

impl Predicate for ScanReport {
    const TYPE: &'static str = "https://in-toto.io/attestation/scai/v0.3";
}
