//! What the verbs give and take.

use kernel::{Micros, Problem};

/// A tag or a param.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct KeyValue {
    /// Its key.
    pub key: String,
    /// Its value.
    pub value: String,
}

/// One page of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Page<T> {
    /// Its rows.
    pub rows: Vec<T>,
    /// What asks for the next page, where there is one.
    pub next: Option<String>,
}

/// A name for a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alias {
    /// The name.
    pub alias: String,
    /// The version's number.
    pub version: i64,
}

/// A registered model.
#[derive(Clone, Debug, PartialEq)]
pub struct RegisteredModel {
    /// Its internal id, which stays when it is renamed.
    pub model_id: String,
    /// Its name.
    pub name: String,
    /// What it is.
    pub description: Option<String>,
    /// When it was made.
    pub created_at: Micros,
    /// When it, or its versions, changed last.
    pub updated_at: Micros,
    /// Its tags, by key.
    pub tags: Vec<KeyValue>,
    /// Its aliases, by name.
    pub aliases: Vec<Alias>,
    /// The newest version of each stage.
    pub latest_versions: Vec<ModelVersion>,
}

/// A version of a registered model.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelVersion {
    /// The internal id of its model.
    pub model_id: String,
    /// The name of its model.
    pub name: String,
    /// Its number.
    pub version: i64,
    /// Where the client says it comes from.
    pub source: String,
    /// Where its bytes are.
    pub storage_location: String,
    /// The run that made it.
    pub run_id: Option<String>,
    /// A link to that run.
    pub run_link: Option<String>,
    /// The logged model it was made from.
    pub logged_model_id: Option<String>,
    /// Its stage.
    pub stage: Stage,
    /// Whether it can be used: `READY`.
    pub status: String,
    /// Why, if it cannot.
    pub status_message: Option<String>,
    /// What it is.
    pub description: Option<String>,
    /// Who registered it, by name.
    pub user_name: Option<String>,
    /// When it was made.
    pub created_at: Micros,
    /// When it changed last.
    pub updated_at: Micros,
    /// Its tags, by key.
    pub tags: Vec<KeyValue>,
    /// Its aliases, by name.
    pub aliases: Vec<String>,
}

/// A version's stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stage {
    /// None yet.
    None,
    /// Being tried.
    Staging,
    /// In use.
    Production,
    /// No longer in use.
    Archived,
}

impl Stage {
    /// All stages.
    pub const ALL: [Self; 4] = [Self::None, Self::Staging, Self::Production, Self::Archived];

    /// The stage's name.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "None",
            Self::Staging => "Staging",
            Self::Production => "Production",
            Self::Archived => "Archived",
        }
    }

    /// The stage of a name, in any case.
    ///
    /// # Errors
    /// `Invalid` if there is none.
    pub fn parse(name: &str) -> Result<Self, Problem> {
        Self::ALL.into_iter().find(|stage| stage.word().eq_ignore_ascii_case(name)).ok_or_else(|| {
            Problem::invalid(format!(
                "Invalid Model Version stage: {name}. Value must be one of None, Staging, Production, Archived."
            ))
        })
    }

    /// Whether versions of this stage are in use, so that they can be archived by a successor.
    #[must_use]
    pub const fn is_active(self) -> bool {
        matches!(self, Self::Staging | Self::Production)
    }
}

/// A model that a run, or a person, logged into an experiment.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedModel {
    /// Its id.
    pub model_id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// Its name.
    pub name: String,
    /// Its type, as the client says.
    pub model_type: Option<String>,
    /// The run it came from, as the client says.
    pub source_run_id: Option<String>,
    /// Whether its files are all there.
    pub status: LoggedModelStatus,
    /// Where its files are.
    pub artifact_uri: String,
    /// Whether it was deleted.
    pub deleted: bool,
    /// When it was made.
    pub created_at: Micros,
    /// When it changed last.
    pub updated_at: Micros,
    /// Its tags, by key.
    pub tags: Vec<KeyValue>,
    /// Its params, by key.
    pub params: Vec<KeyValue>,
    /// Its metrics.
    pub metrics: Vec<LoggedModelMetric>,
}

/// A metric of a logged model.
#[derive(Clone, Debug, PartialEq)]
pub struct LoggedModelMetric {
    /// The metric's name.
    pub name: String,
    /// Its value.
    pub value: f64,
    /// When it was measured, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// At which step.
    pub step: i64,
    /// By which run.
    pub run_id: String,
    /// On which dataset.
    pub dataset_name: Option<String>,
    /// The dataset's digest.
    pub dataset_digest: Option<String>,
}

/// Whether a logged model's files are all there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedModelStatus {
    /// The client did not say.
    Unspecified,
    /// Not yet.
    Pending,
    /// Yes.
    Ready,
    /// No, and they will not come.
    Failed,
}

impl LoggedModelStatus {
    const ALL: [Self; 4] = [Self::Unspecified, Self::Pending, Self::Ready, Self::Failed];

    /// The word in rows and filters.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Unspecified => "UNSPECIFIED",
            Self::Pending => "PENDING",
            Self::Ready => "READY",
            Self::Failed => "FAILED",
        }
    }

    /// The status of a word. An unknown one is `Unspecified`.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        Self::ALL.into_iter().find(|status| status.word() == word).unwrap_or(Self::Unspecified)
    }
}

/// A dataset that a search of logged models is narrowed to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatasetFilter {
    /// Its name.
    pub name: String,
    /// Its digest, if that matters.
    pub digest: Option<String>,
}

/// The tag that makes a registered model a prompt.
pub const PROMPT_TAG: &str = "mlflow.prompt.is_prompt";
/// The tag on a logged model that lists the versions made from it.
pub const VERSIONS_TAG: &str = "mlflow.modelVersions";
