//! The nouns of this room.

use kernel::Problem;

/// Whether something is in use or was put aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// In use.
    Active,
    /// Soft-deleted: it can be read and restored, not changed.
    Deleted,
}

impl Stage {
    /// MLflow's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Deleted => "deleted",
        }
    }

    pub(crate) const fn of_flag(deleted: bool) -> Self {
        if deleted { Self::Deleted } else { Self::Active }
    }
}

/// Which stages a list shows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum View {
    /// What is in use.
    #[default]
    Active,
    /// What was deleted.
    Deleted,
    /// Both.
    All,
}

/// How far a run is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunStatus {
    /// It runs.
    Running,
    /// It will run.
    Scheduled,
    /// It ended well.
    Finished,
    /// It ended badly.
    Failed,
    /// It was ended.
    Killed,
}

impl RunStatus {
    /// MLflow's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Running => "RUNNING",
            Self::Scheduled => "SCHEDULED",
            Self::Finished => "FINISHED",
            Self::Failed => "FAILED",
            Self::Killed => "KILLED",
        }
    }

    /// The status of MLflow's word, if it is one.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        [Self::Running, Self::Scheduled, Self::Finished, Self::Failed, Self::Killed].into_iter().find(|s| s.word() == word)
    }
}

/// A tag or a parameter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyValue {
    /// Its key.
    pub key: String,
    /// Its value; may be empty.
    pub value: String,
}

impl KeyValue {
    /// A tag or a parameter.
    pub fn new(key: impl Into<String>, value: impl Into<String>) -> Self {
        Self { key: key.into(), value: value.into() }
    }
}

/// An experiment: a named set of runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Experiment {
    /// Its number; MLflow shows it as text.
    pub experiment_id: i64,
    /// Its name, unique in its workspace.
    pub name: String,
    /// Where its runs' artifacts go.
    pub artifact_location: String,
    /// Whether it is in use.
    pub stage: Stage,
    /// When it was made.
    pub created_ms: i64,
    /// When it was last changed.
    pub updated_ms: i64,
    /// Its tags, by key.
    pub tags: Vec<KeyValue>,
}

/// The head of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// 32 hex digits.
    pub run_id: String,
    /// The experiment that holds it.
    pub experiment_id: i64,
    /// Its name; need not be unique.
    pub name: String,
    /// The name of the account that made it.
    pub user_name: String,
    /// How far it is: one of [`RunStatus`]'s words.
    pub status: String,
    /// When it began, in the client's words.
    pub start_time_ms: i64,
    /// When it ended, in the client's words.
    pub end_time_ms: Option<i64>,
    /// Where its artifacts are.
    pub artifact_uri: String,
    /// Whether it is in use.
    pub stage: Stage,
}

/// A run with all that is shown of it in lists.
#[derive(Clone, Debug, PartialEq)]
pub struct Run {
    /// Its head.
    pub info: RunInfo,
    /// What was logged.
    pub data: RunData,
}

/// What was logged to a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunData {
    /// The latest point of each metric, by key.
    pub metrics: Vec<MetricPoint>,
    /// Its parameters, by key.
    pub params: Vec<KeyValue>,
    /// Its tags, by key.
    pub tags: Vec<KeyValue>,
    /// The datasets that it read.
    pub datasets: Vec<DatasetInput>,
    /// The logged models that it read.
    pub model_inputs: Vec<ModelLink>,
    /// The logged models that it made.
    pub model_outputs: Vec<ModelLink>,
}

/// One point of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct MetricPoint {
    /// The metric's key.
    pub key: String,
    /// May be NaN or infinite.
    pub value: f64,
    /// When it was measured, in the client's words.
    pub timestamp_ms: i64,
    /// At which step.
    pub step: i64,
}

/// One point of a metric, and whose.
#[derive(Clone, Debug, PartialEq)]
pub struct RunMetricPoint {
    /// The run.
    pub run_id: String,
    /// The point.
    pub point: MetricPoint,
}

/// A point to be logged.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NewMetric {
    /// The metric's key.
    pub key: String,
    /// May be NaN or infinite.
    pub value: f64,
    /// When it was measured; not negative.
    pub timestamp_ms: i64,
    /// At which step.
    pub step: i64,
    /// The logged model that it measures.
    pub model_id: Option<String>,
    /// The dataset that it was measured on.
    pub dataset_name: Option<String>,
    /// That dataset's digest.
    pub dataset_digest: Option<String>,
}

/// A dataset, as a client describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dataset {
    /// Its name.
    pub name: String,
    /// The client's digest of it.
    pub digest: String,
    /// What kind of source it has.
    pub source_type: String,
    /// Where it came from: a text of the client's, never opened.
    pub source: String,
    /// Its columns.
    pub schema: Option<String>,
    /// Counts of it.
    pub profile: Option<String>,
}

/// A dataset that a run read, with the tags that say what for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DatasetInput {
    /// The dataset.
    pub dataset: Dataset,
    /// Such as `mlflow.data.context`.
    pub tags: Vec<KeyValue>,
}

/// A logged model that a run read or made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelLink {
    /// The model.
    pub model_id: String,
    /// The step at which it was made; 0 for one that was read.
    pub step: i64,
}

/// A dataset of an experiment, and what it was used for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetSummary {
    /// The experiment.
    pub experiment_id: i64,
    /// The dataset's name.
    pub name: String,
    /// Its digest.
    pub digest: String,
    /// The input tag `mlflow.data.context`.
    pub context: Option<String>,
}

/// A page of a list, and how to ask for the next one.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// What it holds.
    pub items: Vec<T>,
    /// The token of the next page, if there is one.
    pub next_page_token: Option<String>,
}

/// An experiment's id in its one spelling: `01`, `+1` and ` 1` are not ids, so that no two texts mean one experiment.
pub(crate) fn parse_experiment_id(text: &str) -> Option<i64> {
    text.parse::<i64>().ok().filter(|id| *id >= 0 && id.to_string() == text)
}

/// Why a text is not the id of an experiment that exists.
pub(crate) fn no_experiment(text: &str) -> Problem {
    // What a lenient parser reads as a number is answered as not found; the rest was never an id.
    if text.trim().parse::<i64>().is_ok() {
        Problem::not_found(format!("No Experiment with id={text} exists"))
    } else {
        Problem::invalid(format!("Invalid experiment ID '{text}'. Experiment ID must be a valid integer."))
    }
}

pub(crate) fn no_run(run_id: &str) -> Problem {
    Problem::not_found(format!("Run with id={run_id} not found"))
}
