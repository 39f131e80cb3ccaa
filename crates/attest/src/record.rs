//! Everything that is known of one version of a model: what the papers are made of.
//!
//! Whoever fills it says of each thing whether it was seen or only told ([`Origin`]). What is not known stays empty, and every
//! paper says so in words. People are pseudonymous ids: papers travel.

use std::collections::BTreeMap;

use kernel::Micros;
use serde::{Deserialize, Serialize};

use crate::environment::Package;
use crate::policy::SignedBy;
use crate::predicates::Outcome;

/// How something is known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The server itself saw it.
    Observed,
    /// A client said so.
    #[default]
    Claimed,
}

impl Origin {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Claimed => "claimed",
        }
    }
}

/// One version of a model.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelRecord {
    /// The server that wrote this, by name and version.
    pub generator: Generator,
    /// When it was written, in microseconds since the epoch.
    pub generated_at: i64,
    /// The model.
    pub model: ModelFacts,
    /// SHA-256 of the signed list of files, in hex: what the signature is over.
    pub root_sha256: Option<String>,
    /// Its files.
    pub files: Vec<FileFacts>,
    /// The run that made it.
    pub run: Option<RunFacts>,
    /// The code that the run executed.
    pub code: Option<CodeFacts>,
    /// The run's parameters.
    pub params: BTreeMap<String, String>,
    /// Measured values.
    pub metrics: Vec<MetricFacts>,
    /// Packages of its environment.
    pub environment: Vec<Package>,
    /// Data versions that went in, or that it was tested on.
    pub data: Vec<DataFacts>,
    /// Models that it was made from.
    pub base_models: Vec<BaseModelFacts>,
    /// What the file scan said.
    pub scans: Vec<ScanFacts>,
    /// How the tests of the regression gate ended.
    pub tests: Vec<TestFacts>,
    /// Simulated attacks.
    pub attacks: Vec<AttackFacts>,
    /// Who signed it.
    pub signatures: Vec<SignatureFacts>,
    /// What people decided.
    pub approvals: Vec<ApprovalFacts>,
    /// What its provider declares, which no server can know.
    pub declared: Declared,
}

/// What wrote a paper.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Generator {
    /// The program.
    pub name: String,
    /// Its version.
    pub version: String,
    /// An address that stands for this installation, if it has one.
    pub uri: Option<String>,
}

/// The model itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ModelFacts {
    /// Its workspace.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What its owner says about it.
    pub description: Option<String>,
    /// `quarantined`, `admitted`, `refused` or `waived`.
    pub state: String,
    /// Aliases that point to it now.
    pub aliases: Vec<String>,
    /// When it was registered, in microseconds since the epoch.
    pub created_at: i64,
    /// By whom: a pseudonym.
    pub created_by: Option<String>,
    /// Its licence, as an SPDX id.
    pub licence: Option<String>,
    /// The kind of model, such as `sklearn`.
    pub flavors: Vec<String>,
    /// What it does, such as `classification`.
    pub task: Option<String>,
    /// Its shape, such as `gradient boosted trees`.
    pub architecture: Option<String>,
    /// Names and types of its inputs.
    pub inputs: Vec<String>,
    /// Names and types of its outputs.
    pub outputs: Vec<String>,
}

/// A file of the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileFacts {
    /// Its path.
    pub path: String,
    /// How long it is.
    pub size_bytes: u64,
    /// SHA-256 of it, in hex.
    pub sha256: String,
}

/// The run that made the model.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RunFacts {
    /// Its id.
    pub id: String,
    /// Its experiment.
    pub experiment: String,
    /// Whose it was: a pseudonym.
    pub user: Option<String>,
    /// When it started, in microseconds since the epoch.
    pub started_at: Option<i64>,
    /// When it ended.
    pub ended_at: Option<i64>,
    /// Observed only if this server executed it.
    pub origin: Origin,
}

/// The code of a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct CodeFacts {
    /// Where it is kept.
    pub repository: Option<String>,
    /// Its git commit.
    pub commit: Option<String>,
    /// SHA-256 of its snapshot, in hex.
    pub sha256: Option<String>,
    /// The file that was started.
    pub entry_point: Option<String>,
    /// How it is known.
    pub origin: Origin,
}

/// A measured value.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct MetricFacts {
    /// What was measured.
    pub name: String,
    /// The value; not finite values are told as text.
    #[serde(with = "told")]
    pub value: f64,
    /// The ends of its 95 % confidence interval.
    pub interval: Option<(f64, f64)>,
    /// On which data version, by name.
    pub data: Option<String>,
    /// On which part of it.
    pub slice: Option<String>,
    /// How it is known.
    pub origin: Origin,
}

/// Numbers of which JSON has no word for some.
mod told {
    use serde::de::{Deserialize, Deserializer, Error};
    use serde::ser::Serializer;

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        if value.is_finite() { serializer.serialize_f64(*value) } else { serializer.serialize_str(&value.to_string()) }
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        #[derive(serde::Deserialize)]
        #[serde(untagged)]
        enum Told {
            Number(f64),
            Text(String),
        }
        match Told::deserialize(deserializer)? {
            Told::Number(value) => Ok(value),
            Told::Text(text) => text.parse().map_err(|_| D::Error::custom(format!("`{text}` is no number"))),
        }
    }
}

/// What a data version was for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DataRole {
    /// The model learnt from it.
    Training,
    /// It was tuned on it.
    Validation,
    /// It was tested on it.
    Test,
    /// Not said.
    #[default]
    Unknown,
}

impl DataRole {
    /// The word for it.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Training => "training",
            Self::Validation => "validation",
            Self::Test => "test",
            Self::Unknown => "not said",
        }
    }
}

/// A data version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataFacts {
    /// The data set.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What for.
    pub role: DataRole,
    /// SHA-256 of its manifest, in hex.
    pub sha256: Option<String>,
    /// How many rows.
    pub row_count: Option<u64>,
    /// Where it comes from.
    pub source: Option<String>,
    /// Its licence, as an SPDX id.
    pub licence: Option<String>,
    /// `admitted`, `refused`, `waived`, `quarantined`; none if this server does not hold it.
    pub admission: Option<String>,
    /// Classes of personal data that its inspection found.
    pub personal_data: Option<Vec<String>>,
    /// How its use is known.
    pub origin: Origin,
}

/// A model that this one was made from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct BaseModelFacts {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: Option<String>,
    /// SHA-256 of its signed list of files, in hex.
    pub sha256: Option<String>,
    /// How its use is known.
    pub origin: Origin,
}

/// What the scan said of a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ScanFacts {
    /// The file's path.
    pub path: String,
    /// `clean`, `blocked`, `unknown` or `waived`.
    pub verdict: String,
    /// Why.
    pub reasons: Vec<String>,
    /// The scanner's rules: a version or digest.
    pub rules: String,
    /// When, in microseconds since the epoch.
    pub scanned_at: i64,
}

/// How a test ended.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TestFacts {
    /// The test.
    pub name: String,
    /// How it ended.
    pub outcome: Outcome,
    /// What was measured against what.
    #[serde(default)]
    pub detail: String,
}

/// A simulated attack.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct AttackFacts {
    /// The attack.
    pub name: String,
    /// MITRE ATLAS ids.
    pub atlas: Vec<String>,
    /// What `value` counts, such as `success rate`.
    pub measure: String,
    /// The result.
    pub value: f64,
    /// The ends of its 95 % confidence interval.
    pub interval: Option<(f64, f64)>,
    /// What to do about it.
    pub advice: Option<String>,
}

/// A signature over the model's files.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct SignatureFacts {
    /// Whose.
    pub signer: SignedBy,
    /// When it was verified here, in microseconds since the epoch.
    pub verified_at: i64,
}

/// What a person decided.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct ApprovalFacts {
    /// Who: a pseudonym.
    pub person: String,
    /// What, such as `waive` or `promote`.
    pub act: String,
    /// Why.
    pub reason: Option<String>,
    /// When, in microseconds since the epoch.
    pub at: i64,
    /// Until when.
    pub expires_at: Option<i64>,
}

/// What a provider declares about a model: none of it can be seen by a server. Each is free text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Declared {
    /// Who provides the model: an organisation.
    pub provider: Option<String>,
    /// What it is for, and whom.
    pub intended_purpose: Option<String>,
    /// What it must not be used for.
    pub out_of_scope: Option<String>,
    /// Known limits.
    pub limitations: Option<String>,
    /// Ethical considerations, fairness.
    pub ethics: Option<String>,
    /// With which systems it interacts, and in which form it is delivered.
    pub interaction: Option<String>,
    /// On which hardware it runs.
    pub hardware: Option<String>,
    /// How to use it.
    pub instructions: Option<String>,
    /// Choices of its design, and why.
    pub design: Option<String>,
    /// How the data was chosen, labelled and cleaned.
    pub data_practices: Option<String>,
    /// How people oversee it.
    pub human_oversight: Option<String>,
    /// Changes that are planned beforehand.
    pub planned_changes: Option<String>,
    /// How it is watched and controlled.
    pub monitoring: Option<String>,
    /// Why the metrics are the right ones.
    pub metric_choice: Option<String>,
    /// The risk management system.
    pub risk_management: Option<String>,
    /// Standards that are applied.
    pub standards: Option<String>,
    /// The EU declaration of conformity.
    pub conformity: Option<String>,
    /// The plan after it is on the market.
    pub post_market: Option<String>,
}

impl ModelRecord {
    /// When it was written.
    #[must_use]
    pub const fn written(&self) -> Micros {
        Micros(self.generated_at)
    }
}
