//! Which documents belong to a model. Source: in-toto/attestation, predicate `reference`, version 0.1.

use serde::{Deserialize, Serialize};

use crate::statement::{Predicate, Resource};

/// Documents about the subject, by digest: bills of material, cards, dossiers.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
pub struct References {
    /// Who says so.
    pub attester: Attester,
    /// The documents.
    pub references: Vec<Resource>,
}

/// Who says so.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub struct Attester {
    /// An address that stands for it.
    pub id: String,
}

impl Predicate for References {
    const TYPE: &'static str = "https://in-toto.io/attestation/reference/v0.1";
}
