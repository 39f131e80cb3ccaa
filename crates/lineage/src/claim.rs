//! What an OpenLineage event says, as values: whoever reads the protocol makes these, and `record` makes nodes and edges of them.
//!
//! All of it is one client's word.

use kernel::Micros;

/// The longest namespace or name.
pub const NAME_BYTES_MAX: usize = 2_048;
/// Datasets that one event may name, inputs and outputs together.
pub const DATASET_COUNT_MAX: usize = 1_000;
/// Owners that are taken of one job or dataset.
pub const OWNER_COUNT_MAX: usize = 32;
/// The longest event.
pub const EVENT_BYTES_MAX: usize = 1024 * 1024;
/// Events of one batch.
pub const BATCH_COUNT_MAX: usize = 1_000;

/// One event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// What it tells of.
    pub about: About,
    /// `START`, `COMPLETE` and so on; empty for what is no run.
    pub event_type: String,
    /// When that was.
    pub at: Micros,
    /// The datasets that were read.
    pub inputs: Vec<DataClaim>,
    /// The datasets that were written.
    pub outputs: Vec<DataClaim>,
    /// The event as it was sent.
    pub body: String,
}

/// What an event tells of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum About {
    /// A run of a job.
    Run {
        /// Its UUID, in lower case.
        run_id: String,
        /// The run that it is a part of: its UUID, and its job where that is named.
        parent: Option<(String, Option<Named>)>,
        /// The job.
        job: JobClaim,
    },
    /// A job, without a run.
    Job(JobClaim),
    /// A dataset, by itself.
    Dataset(DataClaim),
}

impl About {
    /// The word in rows.
    #[must_use]
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Run { .. } => "run",
            Self::Job(_) => "job",
            Self::Dataset(_) => "dataset",
        }
    }
}

/// A name in a namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Named {
    /// The namespace.
    pub namespace: String,
    /// The name.
    pub name: String,
}

impl Named {
    /// Both in one text, as a node's name: neither can hold what stands between them.
    #[must_use]
    pub fn joined(&self) -> String {
        format!("{}{SEPARATOR}{}", self.namespace, self.name)
    }

    /// Whether it can be kept: not empty, not too long, no control characters.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        [&self.namespace, &self.name]
            .into_iter()
            .all(|part| !part.is_empty() && part.len() <= NAME_BYTES_MAX && !part.chars().any(char::is_control))
    }
}

/// A unit separator: control characters are refused in names.
pub(crate) const SEPARATOR: char = '\u{1f}';

/// A node's name as it is shown: what stands between its parts becomes a colon.
pub(crate) fn shown(name: String) -> String {
    if name.contains(SEPARATOR) { name.replace(SEPARATOR, ":") } else { name }
}

/// A job, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobClaim {
    /// Its name.
    pub named: Named,
    /// Its source.
    pub code: Option<CodeClaim>,
    /// Who owns it.
    pub owners: Vec<String>,
}

/// Where a job's source lies.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CodeClaim {
    /// The commit, where it is named.
    pub commit: Option<String>,
    /// The address of the source or its repository.
    pub url: Option<String>,
}

/// A dataset, and what is said of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DataClaim {
    /// Its name.
    pub named: Named,
    /// Its version: `sha256:` and a digest join what has that digest here.
    pub version: Option<String>,
    /// Who owns it.
    pub owners: Vec<String>,
}
