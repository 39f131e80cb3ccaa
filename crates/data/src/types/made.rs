//! What a version was made from, what it is checked against, and what was made from it.

use kernel::Micros;

/// What a version that is another one without some rows lacks, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cleaning {
    /// How many rows were left out.
    pub removed_count: u64,
    /// The digest of their list, which is a document of the version.
    pub rows_sha256: [u8; 32],
    /// How many rows the other one has; known once they were left out.
    pub parent_row_count: Option<u64>,
    /// The findings that they come from, by id; none where somebody named the rows.
    pub findings: Vec<String>,
    /// Why.
    pub why: String,
    /// Whether what was trained on the other one is to be trained again.
    pub retrain: bool,
}

/// Another version that a version is checked against.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherVersion {
    /// What rules call it.
    pub name: String,
    /// Its id.
    pub version_id: String,
    /// Whether no row may stand in both.
    pub apart: bool,
}

/// A run or a model that stems from a version of a data set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trained {
    /// `run`, `logged_model`, `model_version` or `data_version`.
    pub kind: String,
    /// Its name in the lineage: an id, or `ID/NUMBER`.
    pub name: String,
    /// Its name for people.
    pub label: Option<String>,
    /// Whether the server itself saw every step to it.
    pub trust: lineage::Trust,
    /// The version that it stems from most nearly, as `NAME/NUMBER`.
    pub data: String,
}

/// A request to train again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RetrainRequest {
    /// Its id.
    pub id: String,
    /// The version that was trained on, as `NAME/NUMBER`.
    pub trained_on: String,
    /// The version that takes its place, as `NAME/NUMBER`.
    pub replaced_by: String,
    /// What is to be trained again.
    pub subject: Trained,
    /// `queued` until something takes it.
    pub state: String,
    /// Why.
    pub why: String,
    /// When it was asked for.
    pub asked_at: Micros,
    /// By whom.
    pub asked_by: String,
}

/// Where a version stems from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parent {
    /// The other version's number.
    pub number: i64,
    /// `parent` or `cleaned`.
    pub how: String,
    /// What the version lacks of it, if it was cleaned.
    pub cleaning: Option<Cleaning>,
}
