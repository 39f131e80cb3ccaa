//! What a verb would act on, and what is known of it when the decision is made.

/// What a verb would act on, in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// The server itself: accounts, workspaces, its configuration.
    Server,
    /// The audit log.
    AuditLog,
    /// The workspace that the attempt named.
    Workspace,
    /// An experiment by id.
    Experiment(String),
    /// An experiment by name, in the attempt's workspace.
    ExperimentNamed(String),
    /// A run by id.
    Run(String),
    /// A logged model by id.
    LoggedModel(String),
    /// A trace by id.
    Trace(String),
    /// An evaluation dataset by id. It is judged as its workspace.
    EvaluationDataset(String),
    /// A registered model by name, in the attempt's workspace.
    RegisteredModel(String),
    /// A version of a registered model: name, version.
    ModelVersion(String, String),
    /// A data set by name, in the attempt's workspace.
    Dataset(String),
    /// A version of a data set: name, and number, id or `latest`.
    DatasetVersion(String, String),
    /// An endpoint by name, in the attempt's workspace. It is judged as the model that it serves.
    Endpoint(String),
    /// A bucket by name. It is judged as its workspace.
    Bucket(String),
    /// The caller's own account, its tokens and sessions.
    Myself,
}

/// The kind of a target: the policy's entity types, and the audit's word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TargetKind {
    /// [`Target::Server`]
    Server,
    /// [`Target::AuditLog`]
    AuditLog,
    /// [`Target::Workspace`]
    Workspace,
    /// [`Target::Experiment`] and [`Target::ExperimentNamed`]
    Experiment,
    /// [`Target::Run`]
    Run,
    /// [`Target::LoggedModel`]
    LoggedModel,
    /// [`Target::Trace`]
    Trace,
    /// [`Target::EvaluationDataset`]
    EvaluationDataset,
    /// [`Target::RegisteredModel`]
    RegisteredModel,
    /// [`Target::ModelVersion`]
    ModelVersion,
    /// [`Target::Dataset`]
    Dataset,
    /// [`Target::DatasetVersion`]
    DatasetVersion,
    /// [`Target::Endpoint`]
    Endpoint,
    /// [`Target::Bucket`]
    Bucket,
    /// [`Target::Myself`]
    Myself,
}

impl TargetKind {
    /// The word for records and policies.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::AuditLog => "audit_log",
            Self::Workspace => "workspace",
            Self::Experiment => "experiment",
            Self::Run => "run",
            Self::LoggedModel => "logged_model",
            Self::Trace => "trace",
            Self::EvaluationDataset => "evaluation_dataset",
            Self::RegisteredModel => "registered_model",
            Self::ModelVersion => "model_version",
            Self::Dataset => "dataset",
            Self::DatasetVersion => "dataset_version",
            Self::Endpoint => "endpoint",
            Self::Bucket => "bucket",
            Self::Myself => "myself",
        }
    }
}

impl Target {
    /// Its kind.
    #[must_use]
    pub const fn kind(&self) -> TargetKind {
        match self {
            Self::Server => TargetKind::Server,
            Self::AuditLog => TargetKind::AuditLog,
            Self::Workspace => TargetKind::Workspace,
            Self::Experiment(_) | Self::ExperimentNamed(_) => TargetKind::Experiment,
            Self::Run(_) => TargetKind::Run,
            Self::LoggedModel(_) => TargetKind::LoggedModel,
            Self::Trace(_) => TargetKind::Trace,
            Self::EvaluationDataset(_) => TargetKind::EvaluationDataset,
            Self::RegisteredModel(_) => TargetKind::RegisteredModel,
            Self::ModelVersion(..) => TargetKind::ModelVersion,
            Self::Dataset(_) => TargetKind::Dataset,
            Self::DatasetVersion(..) => TargetKind::DatasetVersion,
            Self::Endpoint(_) => TargetKind::Endpoint,
            Self::Bucket(_) => TargetKind::Bucket,
            Self::Myself => TargetKind::Myself,
        }
    }
}

/// What one look-up found of a target. The decision and the verb both use it; nobody looks again.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facts {
    /// Whether it exists (also while soft-deleted). Of what does not exist, the workspace decides.
    pub exists: bool,
    /// The workspace's id. `None` for what belongs to the server, and where the workspace is unknown.
    pub workspace: Option<String>,
    /// The experiment that holds it (its id), for experiments, runs, logged models and traces.
    pub experiment: Option<i64>,
    /// The registered model that holds it (its internal id), for models and versions.
    pub model: Option<String>,
    /// The data set that holds it (its id), for data sets and their versions.
    pub dataset: Option<String>,
    /// The row's own key in the room's table, where it has a numeric one.
    pub row: Option<i64>,
    /// The id that records name it by: random or numeric, never a name that a person chose.
    pub id: Option<String>,
    /// The principal that made it.
    pub owner: Option<String>,
    /// What the policy must know of a data set's version; none for anything else.
    pub data: Option<DataFacts>,
    /// The least tier of a device from which it may be read.
    pub least_tier: u8,
}

/// How far a data set's version has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DataState {
    /// It still takes files.
    Open,
    /// It is whole and immutable, and waits: for its inspection, or for somebody's decision.
    Quarantined,
    /// It is being inspected.
    Inspecting,
    /// It may be trained on.
    Admitted,
    /// It may not.
    Refused,
}

impl DataState {
    const ALL: [Self; 5] = [Self::Open, Self::Quarantined, Self::Inspecting, Self::Admitted, Self::Refused];

    /// The state of a word; none for a word that is none's.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.word() == word)
    }

    /// The word for rows, records and policies.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Quarantined => "quarantined",
            Self::Inspecting => "inspecting",
            Self::Admitted => "admitted",
            Self::Refused => "refused",
        }
    }
}

/// What a decision about a data set's version depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DataFacts {
    /// How far it has come.
    pub state: DataState,
    /// Whom and what it concerns, as far as an inspection found.
    pub classes: DataClasses,
}

/// Whom and what data concerns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DataClasses {
    /// People.
    pub personal: bool,
    /// Special categories of personal data (GDPR Art. 9).
    pub special: bool,
    /// Health information with identifiers.
    pub health: bool,
    /// Payment or bank details.
    pub financial: bool,
}
