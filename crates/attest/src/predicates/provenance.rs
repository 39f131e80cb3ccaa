//! How a model was made. Source: SLSA, `provenance/v1`.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::statement::{Predicate, Resource};

/// Where a model comes from: the training run as a build.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Provenance {
    /// What went in.
    pub build_definition: BuildDefinition,
    /// Who ran it, and when.
    pub run_details: RunDetails,
}

/// What went in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BuildDefinition {
    /// How to read the rest: an address of whoever defines it.
    pub build_type: String,
    /// What the user chose: parameters, entry point.
    pub external_parameters: BTreeMap<String, Value>,
    /// What the builder chose.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub internal_parameters: BTreeMap<String, Value>,
    /// Code, data sets, base models, the environment: each with its digest.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub resolved_dependencies: Vec<Resource>,
}

/// Who ran it, and when.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RunDetails {
    /// Who is believed.
    pub builder: Builder,
    /// Which run.
    pub metadata: BuildMetadata,
    /// What else came out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub byproducts: Vec<Resource>,
}

/// The builder: the trust level is part of its id.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Builder {
    /// An address that stands for the builder and how far it can be believed.
    pub id: String,
    /// Versions of its parts.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub version: BTreeMap<String, String>,
}

/// Which run.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BuildMetadata {
    /// The run's id.
    pub invocation_id: String,
    /// When it started, in RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub started_on: String,
    /// When it ended, in RFC 3339.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub finished_on: String,
}

impl Predicate for Provenance {
    const TYPE: &'static str = "https://slsa.dev/provenance/v1";
}
