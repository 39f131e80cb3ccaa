//! What the log is told of one act.

use std::net::IpAddr;
use std::sync::Arc;

use kernel::{Kind, Micros};

use crate::{Action, Caller, TargetKind};

/// The head of one act, known before it runs. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Entry(Arc<EntryFields>);

/// The fields of an [`Entry`].
#[derive(Debug)]
pub struct EntryFields {
    /// A random id that joins intent and outcome.
    pub id: String,
    /// When the door was passed.
    pub at: Micros,
    /// The verb.
    pub action: Action,
    /// Who. Only its kind, id and token id go into records.
    pub caller: Caller,
    /// From where. The recorder keys it before it writes it.
    pub address: IpAddr,
    /// The workspace's id.
    pub workspace: Option<String>,
    /// The kind of target.
    pub target: TargetKind,
    /// The target's id, never a name.
    pub resource: Option<String>,
    /// The risk score.
    pub risk: u8,
    /// The grants and policies that decided.
    pub reasons: Vec<String>,
}

impl Entry {
    pub(crate) fn new(fields: EntryFields) -> Self {
        Self(Arc::new(fields))
    }
}

impl std::ops::Deref for Entry {
    type Target = EntryFields;

    fn deref(&self) -> &EntryFields {
        &self.0
    }
}

/// How an act ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// Done.
    Done,
    /// Not done, or only in part: the verb's own error.
    Failed(Kind),
    /// The caller hung up, or the verb broke.
    Aborted,
}

impl Status {
    /// The word for records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Failed(_) => "failed",
            Self::Aborted => "aborted",
        }
    }
}

/// A value in an outcome's details: ids, counts and digests, never names or contents.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Word {
    /// An id, a digest or a stable word.
    Text(String),
    /// A count or size.
    Number(i64),
    /// Ids or digests, of things that were treated alike. All of them together must fit into a record.
    Texts(Vec<String>),
}

impl From<String> for Word {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Word {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<Vec<String>> for Word {
    fn from(texts: Vec<String>) -> Self {
        Self::Texts(texts)
    }
}

impl From<i64> for Word {
    fn from(number: i64) -> Self {
        Self::Number(number)
    }
}

impl From<usize> for Word {
    fn from(number: usize) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// How an act ended and what it changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// What it made or changed, by id, where the intent could not know it.
    pub resource: Option<String>,
    /// Counts, digests and ids, by stable names.
    pub details: Vec<(&'static str, Word)>,
}

impl Outcome {
    /// Done, with nothing more to say.
    #[must_use]
    pub const fn done() -> Self {
        Self { status: Status::Done, resource: None, details: Vec::new() }
    }

    /// Not done, for this kind of reason.
    #[must_use]
    pub const fn failed(kind: Kind) -> Self {
        Self { status: Status::Failed(kind), resource: None, details: Vec::new() }
    }

    /// Broken off.
    #[must_use]
    pub const fn aborted() -> Self {
        Self { status: Status::Aborted, resource: None, details: Vec::new() }
    }

    /// Names what was made or changed.
    #[must_use]
    pub fn resource(mut self, id: impl Into<String>) -> Self {
        self.resource = Some(id.into());
        self
    }

    /// Adds a detail.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<Word>) -> Self {
        self.details.push((name, value.into()));
        self
    }
}
