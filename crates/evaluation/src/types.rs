//! The nouns of this room.

use kernel::Problem;
use serde_json::{Map, Value};

/// A tag.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
}

impl KeyValue {
    /// A tag.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// An evaluation dataset, without its records.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dataset {
    /// `d-` and 32 hex digits.
    pub dataset_id: String,
    /// Its name; need not be unique.
    pub name: String,
    /// Changes whenever its records change.
    pub digest: String,
    /// Which fields its records have, as JSON.
    pub schema: Option<String>,
    /// How many records it has.
    pub record_count: i64,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// The name of the account that made it.
    pub created_by: String,
    /// The name of the account that changed it last.
    pub updated_by: String,
    /// Its tags, by key.
    pub tags: Vec<KeyValue>,
    /// The experiments that it is joined to. Lists leave them out.
    pub experiment_ids: Vec<i64>,
}

/// What a record was made from.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordSource {
    /// `TRACE`, `HUMAN`, `DOCUMENT`, `CODE` or `UNSPECIFIED`, in any case.
    pub kind: String,
    /// What the client says of it.
    pub data: Map<String, Value>,
}

/// A record to be kept. One with the same inputs is merged into the one that is there.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewRecord {
    /// What a model is asked: the record's identity.
    pub inputs: Map<String, Value>,
    /// What a model answered: `None` leaves it as it is, null takes it away.
    pub outputs: Option<Value>,
    /// What is expected of an answer.
    pub expectations: Map<String, Value>,
    /// Tags.
    pub tags: Map<String, Value>,
    /// What it was made from.
    pub source: Option<RecordSource>,
}

/// A record that is kept. Documents are JSON texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its place in its dataset.
    pub(crate) row: i64,
    /// `dr-` and 32 hex digits.
    pub record_id: String,
    /// What a model is asked.
    pub inputs: String,
    /// What a model answered.
    pub outputs: Option<String>,
    /// What is expected.
    pub expectations: Option<String>,
    /// Its tags.
    pub tags: String,
    /// What it was made from.
    pub source: Option<String>,
    /// The id of that.
    pub source_id: Option<String>,
    /// What kind of thing that is.
    pub source_type: Option<String>,
    /// The name of the account that made it.
    pub created_by: String,
    /// The name of the account that changed it last.
    pub updated_by: String,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
}

/// What became of records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Upserted {
    /// How many were new.
    pub inserted: usize,
    /// How many were merged.
    pub updated: usize,
}

/// A page of a list, and how to ask for the next one.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// The token of the next page, if there is one.
    pub next_page_token: Option<String>,
}

/// Why there is no such dataset.
pub(crate) fn no_dataset(dataset_id: &str) -> Problem {
    let shown: String = dataset_id.chars().take(100).collect();
    Problem::not_found(format!("Evaluation dataset with id '{shown}' not found"))
}

/// Why there is no such experiment.
pub(crate) fn no_experiment(text: &str) -> Problem {
    let shown: String = text.chars().take(100).collect();
    Problem::not_found(format!("No Experiment with id={shown} exists"))
}
