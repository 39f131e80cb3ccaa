//! The nouns of this room. The specification of a job is a document, which is why its parts know how they are written.

use std::collections::BTreeMap;

use kernel::{Kind, Micros, Problem};
use serde::{Deserialize, Serialize};

/// The first word of a specification.
pub(crate) const SPEC_FORMAT: &str = "strongroom-retrain-1";

/// Where a job runs.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Executor {
    /// On this machine, locked in.
    Local,
    /// On a Ray cluster.
    Ray,
}

impl Executor {
    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Local => "local",
            Self::Ray => "ray",
        }
    }

    /// The executor behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Local, Self::Ray].into_iter().find(|executor| executor.word() == word)
    }
}

/// How far a job has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JobState {
    /// It waits: for its turn, or for its data to be admitted.
    Queued,
    /// It runs.
    Running,
    /// It ended well, and its model is registered.
    Succeeded,
    /// It did not.
    Failed,
    /// Somebody stopped it.
    Cancelled,
}

impl JobState {
    const ALL: [Self; 5] = [Self::Queued, Self::Running, Self::Succeeded, Self::Failed, Self::Cancelled];

    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// Whether nothing more comes.
    #[must_use]
    pub const fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// A file of a code snapshot.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct CodeFile {
    /// Its path below the snapshot's folder.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: String,
}

/// The code that runs: a folder among the artifacts of a run, as it was when the job was asked for.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct CodeSpec {
    /// The run whose artifacts it is.
    pub run_id: String,
    /// The folder; empty for all of its artifacts.
    pub path: String,
    /// The digest of the manifest.
    pub manifest_sha256: String,
    /// The files.
    pub files: Vec<CodeFile>,
}

/// A code snapshot, and what it says of how it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Snapshot {
    /// The files.
    pub code: CodeSpec,
    /// The main entry point of its `MLproject`, if it has one.
    pub project: Option<Project>,
}

/// The main entry point of an `MLproject`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Project {
    /// The command, with `{name}` for parameters.
    pub command: String,
    /// The defaults of its parameters.
    pub parameters: BTreeMap<String, String>,
}

/// The data that is trained on.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct DataSpec {
    /// The data set.
    pub dataset: String,
    /// The version's number.
    pub version: i64,
    /// The version's id.
    pub version_id: String,
    /// The digest of its manifest.
    pub manifest_sha256: String,
}

/// What shall run.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub struct Spec {
    /// Which form this document has.
    pub format: String,
    /// The registered model.
    pub model: String,
    /// The version that is trained again.
    pub version: i64,
    /// The run that made that version.
    pub origin_run: Option<String>,
    /// The experiment of the new run.
    pub experiment_id: i64,
    /// The code.
    pub code: CodeSpec,
    /// The script and its arguments, with `{name}` for parameters.
    pub entry: Vec<String>,
    /// The parameters.
    pub parameters: BTreeMap<String, String>,
    /// The data.
    pub data: DataSpec,
    /// SHA-256 of the snapshot's `requirements.txt`: what the code says that it needs. Where it runs decides what it gets.
    pub requirements_sha256: Option<String>,
    /// Where it runs.
    pub executor: Executor,
    /// How long it may run.
    pub seconds_max: u64,
}

impl Spec {
    /// The document's bytes, which its digest is of.
    pub(crate) fn to_bytes(&self) -> Result<Vec<u8>, Problem> {
        serde_json::to_vec(self).map_err(|error| Problem::internal("the specification cannot be written", error))
    }

    /// Reads a document that [`Spec::to_bytes`] wrote.
    pub(crate) fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }
}

/// What is known of how a version was made: what a new job takes unless it is told otherwise.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Draft {
    /// The model's name.
    pub model: String,
    /// The version's number.
    pub version: i64,
    /// The run that made it.
    pub origin_run: Option<String>,
    /// That run's experiment.
    pub experiment_id: Option<i64>,
    /// Where its code is: a run and a folder among its artifacts.
    pub code: Option<(String, String)>,
    /// How it was started, where that is known.
    pub entry: Option<String>,
    /// Its parameters.
    pub parameters: BTreeMap<String, String>,
    /// The versions of data sets that it trained on, by name and number, the surest first.
    pub data: Vec<(String, i64)>,
}

/// A job.
#[derive(Clone, Debug, PartialEq)]
pub struct Job {
    /// Its id.
    pub id: String,
    /// The workspace's id.
    pub workspace: String,
    /// The model's internal id.
    pub model_id: String,
    /// What shall run.
    pub spec: Spec,
    /// The digest of that document.
    pub spec_sha256: [u8; 32],
    /// The request that it answers.
    pub request: Option<String>,
    /// How far it has come.
    pub state: JobState,
    /// When it was asked for.
    pub asked_at: Micros,
    /// By whom.
    pub asked_by: String,
    /// With which token.
    pub asked_with: Option<String>,
    /// When it began.
    pub started_at: Option<Micros>,
    /// When it ended.
    pub ended_at: Option<Micros>,
    /// What it does now.
    pub stage: String,
    /// The new run.
    pub run_id: Option<String>,
    /// The token that it has while it runs.
    pub token_id: Option<String>,
    /// What the program ended with.
    pub exit_code: Option<i64>,
    /// Why it failed.
    pub fault: Option<String>,
    /// The new version.
    pub made_version: Option<i64>,
    /// How it was locked in, as a JSON document.
    pub confinement: Option<String>,
}

/// Somebody's wish that a run or model be trained again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Its id.
    pub id: String,
    /// The version that was trained on, as `NAME/NUMBER`.
    pub trained_on: String,
    /// The version that takes its place, as `NAME/NUMBER`.
    pub replaced_by: String,
    /// What shall be trained again: `run`, `logged_model` or `model_version`.
    pub kind: String,
    /// Its name in the lineage.
    pub name: String,
    /// The registered model and version, where it is one.
    pub model: Option<(String, i64)>,
    /// Whose word it is that it was trained on that.
    pub trust: String,
    /// `queued`, `taken` or `done`.
    pub state: String,
    /// Why it was asked for.
    pub why: String,
    /// When.
    pub asked_at: Micros,
    /// By whom.
    pub asked_by: String,
}

/// Why there is no such job.
pub(crate) fn no_job() -> Problem {
    Problem::not_found("there is no such job for this model; `strongroom retrain list` lists them")
}

/// Why there is no such version.
pub(crate) fn no_version() -> Problem {
    Problem::not_found("there is no such version of this model; `strongroom model list` lists them")
}

/// A state that stands in the way, with what to do.
pub(crate) fn conflict(why: impl Into<String>) -> Problem {
    Problem::new(Kind::Conflict, why)
}
