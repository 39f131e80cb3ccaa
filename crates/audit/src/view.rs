//! A record as it is read back.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::Deserialize;

/// The fields of a record. Borrowed from its bytes where no escape stands in the way.
#[derive(Clone, Debug, Deserialize)]
pub struct RecordView<'a> {
    /// The verb.
    #[serde(borrow)]
    pub action: Cow<'a, str>,
    /// When, in microseconds since the epoch.
    pub at: i64,
    /// Who.
    #[serde(borrow)]
    pub caller: CallerView<'a>,
    /// Counts, digests and ids.
    #[serde(default)]
    pub details: BTreeMap<String, serde_json::Value>,
    /// The keyed form of the address it came from.
    #[serde(borrow, default)]
    pub from: Option<Cow<'a, str>>,
    /// What joins an intent and its outcome.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// `intent`, `outcome`, `refusal` or `notice`.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// Why it failed or was refused.
    #[serde(borrow, default)]
    pub problem: Option<Cow<'a, str>>,
    /// The grants that decided.
    #[serde(default)]
    pub reasons: Vec<String>,
    /// What it was done to, by id.
    #[serde(borrow, default)]
    pub resource: Option<Cow<'a, str>>,
    /// The risk score.
    #[serde(default)]
    pub risk: i64,
    /// `done`, `failed`, `aborted` or `refused`; an intent has none yet.
    #[serde(borrow, default)]
    pub status: Option<Cow<'a, str>>,
    /// The kind of target.
    #[serde(borrow)]
    pub target: Cow<'a, str>,
    /// The workspace's id.
    #[serde(borrow, default)]
    pub workspace: Option<Cow<'a, str>>,
}

/// Who, in a record.
#[derive(Clone, Debug, Deserialize)]
pub struct CallerView<'a> {
    /// A random id.
    #[serde(borrow)]
    pub id: Cow<'a, str>,
    /// The kind of caller.
    #[serde(borrow)]
    pub kind: Cow<'a, str>,
    /// The id of the token used.
    #[serde(borrow, default)]
    pub token: Option<Cow<'a, str>>,
}

/// What the search index keeps of a record.
#[derive(Debug, Deserialize)]
pub(crate) struct IndexedView<'a> {
    #[serde(borrow)]
    pub(crate) action: Cow<'a, str>,
    pub(crate) at: i64,
    #[serde(borrow)]
    pub(crate) caller: CallerView<'a>,
    #[serde(default)]
    details: IndexedDetails,
    #[serde(borrow)]
    pub(crate) id: Cow<'a, str>,
    #[serde(borrow)]
    pub(crate) kind: Cow<'a, str>,
    #[serde(default)]
    pub(crate) resource: Option<String>,
    #[serde(default)]
    pub(crate) status: Option<String>,
    #[serde(default)]
    pub(crate) workspace: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
struct IndexedDetails {
    #[serde(default)]
    prediction: Option<serde_json::Value>,
}

impl<'a> IndexedView<'a> {
    /// Reads a record; `None` if it is not one of ours.
    pub(crate) fn parse(record: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(record).ok()
    }

    /// The id of the prediction that it tells of, if it does.
    pub(crate) fn prediction(&self) -> Option<&str> {
        self.details.prediction.as_ref()?.as_str()
    }
}

impl<'a> RecordView<'a> {
    /// Reads a record; `None` if it is not one of ours.
    #[must_use]
    pub fn parse(record: &'a [u8]) -> Option<Self> {
        serde_json::from_slice(record).ok()
    }

    /// The id of the prediction that it tells of, if it does.
    #[must_use]
    pub fn prediction(&self) -> Option<&str> {
        self.details.get("prediction")?.as_str()
    }
}
