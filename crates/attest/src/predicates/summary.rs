//! What was decided, by which policy, on which attestations. Source: SLSA, `verification_summary/v1`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::statement::{Predicate, Resource};

/// The decision of an admission or a promotion.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct VerificationSummary {
    /// Who decided.
    pub verifier: Verifier,
    /// When, in RFC 3339.
    pub time_verified: String,
    /// What for, such as `models:/churn/3`.
    pub resource_uri: String,
    /// By which rules, with their digest.
    pub policy: Resource,
    /// The attestations that were looked at.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub input_attestations: Vec<Resource>,
    /// The decision.
    pub verification_result: PolicyResult,
    /// Levels that were reached, such as `SLSA_BUILD_LEVEL_1` or one of our own.
    pub verified_levels: Vec<String>,
    /// How many dependencies reached which level.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub dependency_levels: BTreeMap<String, u64>,
    /// The version of SLSA that the levels are of.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub slsa_version: String,
}

/// Who decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Verifier {
    /// An address that stands for it.
    pub id: String,
    /// Versions of its parts.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// The decision.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum PolicyResult {
    /// The policy is met.
    Passed,
    /// It is not.
    Failed,
}

impl Predicate for VerificationSummary {
    const TYPE: &'static str = "https://slsa.dev/verification_summary/v1";
}
