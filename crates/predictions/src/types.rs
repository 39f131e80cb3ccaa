//! The nouns of this room.

use kernel::Micros;
use vault::objects::StoredObject;

use crate::Record;

/// What is kept of an endpoint's predictions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogPolicy {
    /// What was asked and said.
    Values,
    /// A keyed hash of it: the same can be recognised, and nothing read.
    Hashes,
    /// Nothing. The audit log still records that a prediction was made.
    Off,
}

impl LogPolicy {
    /// The word in requests, rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Values => "values",
            Self::Hashes => "hashes",
            Self::Off => "off",
        }
    }

    /// The policy behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Values, Self::Hashes, Self::Off].into_iter().find(|policy| policy.word() == word)
    }
}

/// What is kept of one endpoint's predictions, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// What is kept.
    pub log: LogPolicy,
    /// Who said so, by id, and when; none where it follows from the data that the model was trained on.
    pub set_by: Option<(String, Micros)>,
}

/// A sealed batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Its id.
    pub id: String,
    /// The workspace's id.
    pub workspace: String,
    /// The endpoint's id.
    pub endpoint_id: String,
    /// The endpoint's name.
    pub endpoint: String,
    /// The model's internal id.
    pub model_id: String,
    /// The version's number.
    pub version: i64,
    /// When its first prediction was made.
    pub first_at: Micros,
    /// And its last.
    pub last_at: Micros,
    /// Predictions.
    pub request_count: i64,
    /// Rows of all of them.
    pub row_count: i64,
    /// The root of the tree over its records.
    pub root: [u8; 32],
    /// The audit entry of its sealing.
    pub entry: String,
    /// When it was sealed.
    pub sealed_at: Micros,
    /// Where it is kept.
    pub object: StoredObject,
}

/// How many predictions an endpoint made with a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    /// The endpoint's name.
    pub endpoint: String,
    /// The endpoint's id.
    pub endpoint_id: String,
    /// The version: the model's internal id and the number.
    pub version: String,
    /// The model's name, as it is now; none once it is deleted.
    pub model: Option<String>,
    /// Predictions.
    pub request_count: i64,
    /// Rows of all of them.
    pub row_count: i64,
    /// When the first was made.
    pub first_at: Micros,
    /// And the last.
    pub last_at: Micros,
}

/// What was kept of a subject and opens no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Erasure {
    /// The audit entry of the act.
    pub entry: String,
    /// When.
    pub at: Micros,
    /// By whom, by id.
    pub by: String,
    /// And by name, as it is now.
    pub by_name: Option<String>,
    /// The random id that stood for the subject in predictions. It stands for nobody now.
    pub subject_id: String,
    /// In how many sealed predictions the subject stood, as far as that was counted.
    pub request_count: i64,
}

/// A prediction that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What is kept of it.
    pub record: Record,
    /// The batch that it is in.
    pub batch: Batch,
    /// The model's name, as it is now; none once it is deleted.
    pub model: Option<String>,
    /// The name of whoever asked, as it is now.
    pub caller: Option<String>,
}
