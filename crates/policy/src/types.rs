//! Grants, and whom and what they join.

use std::fmt;

use gate::{Caller, CallerKind, Facts, Target};
use kernel::{Micros, Problem};

/// What kind of principal holds a grant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PrincipalKind {
    /// A person.
    User,
    /// A service account.
    Service,
    /// A group, for all of its members.
    Group,
}

impl PrincipalKind {
    /// The word for rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Service => "service",
            Self::Group => "group",
        }
    }

    /// The kind of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "user" => Some(Self::User),
            "service" => Some(Self::Service),
            "group" => Some(Self::Group),
            _ => None,
        }
    }
}

/// A principal as the directory knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Principal {
    /// Its id.
    pub id: String,
    /// Its kind.
    pub kind: PrincipalKind,
    /// The groups it belongs to, by id, all levels.
    pub groups: Vec<String>,
    /// Who made it, and mints its tokens if it is a service account.
    pub owner: Option<String>,
    /// Whether it is switched off.
    pub disabled: bool,
}

/// What a grant is on. It reaches everything inside.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Resource {
    /// The server with all of its workspaces.
    Server,
    /// A workspace, by id.
    Workspace(String),
    /// An experiment, by id.
    Experiment(i64),
    /// A registered model, by its internal id.
    RegisteredModel(String),
    /// A data set, by its id.
    Dataset(String),
}

impl Resource {
    /// The kind's word for rows, roles and answers.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Workspace(_) => "workspace",
            Self::Experiment(_) => "experiment",
            Self::RegisteredModel(_) => "registered_model",
            Self::Dataset(_) => "dataset",
        }
    }

    /// The id inside its kind.
    #[must_use]
    pub fn id(&self) -> String {
        match self {
            Self::Server => "server".to_owned(),
            Self::Workspace(id) | Self::RegisteredModel(id) | Self::Dataset(id) => id.clone(),
            Self::Experiment(id) => id.to_string(),
        }
    }

    /// The resource of a kind's word and an id.
    #[must_use]
    pub fn parse(kind: &str, id: &str) -> Option<Self> {
        match kind {
            "server" => Some(Self::Server),
            "workspace" => Some(Self::Workspace(id.to_owned())),
            "experiment" => id.parse().ok().map(Self::Experiment),
            "registered_model" => Some(Self::RegisteredModel(id.to_owned())),
            "dataset" => Some(Self::Dataset(id.to_owned())),
            _ => None,
        }
    }
}

/// What a grant shall be on, in the caller's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum On {
    /// The server.
    Server,
    /// The workspace that the attempt named.
    Workspace,
    /// An experiment, by id.
    Experiment(String),
    /// A registered model, by name, in the attempt's workspace.
    RegisteredModel(String),
    /// A data set, by name, in the attempt's workspace.
    Dataset(String),
}

impl On {
    /// What the gate has to look up.
    #[must_use]
    pub fn target(&self) -> Target {
        match self {
            Self::Server => Target::Server,
            Self::Workspace => Target::Workspace,
            Self::Experiment(id) => Target::Experiment(id.clone()),
            Self::RegisteredModel(name) => Target::RegisteredModel(name.clone()),
            Self::Dataset(name) => Target::Dataset(name.clone()),
        }
    }

    /// The resource, once looked up.
    ///
    /// # Errors
    /// `NotFound` if it does not exist.
    pub fn resource(&self, facts: &Facts) -> Result<Resource, Problem> {
        match self {
            Self::Server => Some(Resource::Server),
            Self::Workspace => facts.workspace.clone().map(Resource::Workspace),
            Self::Experiment(_) => facts.experiment.filter(|_| facts.exists).map(Resource::Experiment),
            Self::RegisteredModel(_) => facts.model.clone().filter(|_| facts.exists).map(Resource::RegisteredModel),
            Self::Dataset(_) => facts.dataset.clone().filter(|_| facts.exists).map(Resource::Dataset),
        }
        .ok_or_else(|| Problem::not_found("what the grant shall be on does not exist in this workspace"))
    }
}

/// One grant: this principal has that role on that resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// Its id, `g_…`: the reason that the log names.
    pub id: String,
    /// Who holds it, by id.
    pub principal: String,
    /// What kind of principal.
    pub principal_kind: PrincipalKind,
    /// The role's name.
    pub role: String,
    /// On what.
    pub resource: Resource,
    /// In which workspace, unless it is on the server.
    pub workspace: Option<String>,
    /// Who gave it, by id.
    pub created_by: String,
    /// When.
    pub created_at: Micros,
    /// From when on it counts no more.
    pub expires_at: Option<Micros>,
    /// Why, in the giver's words.
    pub justification: String,
}

impl Grant {
    /// Whether it counts at `now`.
    #[must_use]
    pub fn is_live(&self, now: Micros) -> bool {
        self.expires_at.is_none_or(|end| now < end)
    }
}

/// What went wrong inside the policy engine. To a caller it is always a refusal.
#[derive(Debug)]
pub enum PolicyError {
    /// A text that is part of this program cannot be read.
    Embedded(String),
    /// Cedar refused to put a request together or to link a grant.
    Engine(String),
}

impl fmt::Display for PolicyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Embedded(what) => write!(f, "the built-in policy cannot be read: {what}"),
            Self::Engine(what) => write!(f, "the policy engine refused its input: {what}"),
        }
    }
}

impl std::error::Error for PolicyError {}

impl From<PolicyError> for Problem {
    fn from(error: PolicyError) -> Self {
        Self::internal("the policy engine failed; this is a fault of the server", error)
    }
}

/// A principal as if it knocked, with nothing but its grants; a group as a member that has nothing else.
pub(crate) fn as_if_knocking(kind: PrincipalKind, id: &str, groups: &[String]) -> Caller {
    let mut groups = groups.to_vec();
    let (kind, id) = match kind {
        PrincipalKind::User => (CallerKind::User, id.to_owned()),
        PrincipalKind::Service => (CallerKind::Service, id.to_owned()),
        PrincipalKind::Group => {
            groups.push(id.to_owned());
            (CallerKind::User, format!("a-member-of-{id}"))
        }
    };
    Caller { kind, id, name: String::new(), groups, assurance: 1, ..Caller::anonymous() }
}
