//! The words of the graph.

/// What a node stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum NodeKind {
    /// A run, by its id.
    Run,
    /// A piece of source: a commit, an entry point or the hash of a source tree.
    Code,
    /// A dataset, by name and digest.
    Dataset,
    /// A logged model, by its id.
    LoggedModel,
    /// A version of a registered model, by the model's internal id and the number.
    ModelVersion,
    /// A manifest of artifacts, by its digest.
    ArtifactManifest,
    /// A principal, by its random id.
    Person,
}

impl NodeKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::Run,
        Self::Code,
        Self::Dataset,
        Self::LoggedModel,
        Self::ModelVersion,
        Self::ArtifactManifest,
        Self::Person,
    ];

    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Run => "run",
            Self::Code => "code",
            Self::Dataset => "dataset",
            Self::LoggedModel => "logged_model",
            Self::ModelVersion => "model_version",
            Self::ArtifactManifest => "artifact_manifest",
            Self::Person => "person",
        }
    }

    /// The kind behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.word() == word)
    }
}

/// How the later thing stems from the earlier one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Relation {
    /// A run read code, data or a model.
    Used,
    /// A thing was made by a run.
    Generated,
    /// A thing was made out of another.
    Derived,
    /// A run was started by a person.
    Associated,
    /// A thing was made by a person.
    Attributed,
}

impl Relation {
    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Used => "used",
            Self::Generated => "generated",
            Self::Derived => "derived",
            Self::Associated => "associated",
            Self::Attributed => "attributed",
        }
    }

    /// The relation behind a word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        let all = [Self::Used, Self::Generated, Self::Derived, Self::Associated, Self::Attributed];
        all.into_iter().find(|relation| relation.word() == word)
    }
}

/// Whose word an edge is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Trust {
    /// The server saw it.
    Observed,
    /// The client said it.
    Claimed,
}

impl Trust {
    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Observed => "observed",
            Self::Claimed => "claimed",
        }
    }

    /// The trust behind a word. What cannot be read is no more than a claim.
    #[must_use]
    pub fn parse(word: &str) -> Self {
        if word == Self::Observed.word() { Self::Observed } else { Self::Claimed }
    }
}
