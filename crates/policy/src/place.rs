//! Where a request is judged: its target, once looked up.

use gate::{Facts, TargetKind};

use crate::types::Resource;

/// What Cedar sees as the resource.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Place {
    Server,
    AuditLog,
    /// By id; empty where the workspace is unknown, which no grant is ever on.
    Workspace(String),
    Experiment {
        id: i64,
        workspace: String,
    },
    RegisteredModel {
        id: String,
        workspace: String,
    },
    Dataset {
        id: String,
        workspace: String,
    },
    /// The caller's own account.
    Account,
}

/// What a grant's resource is as the target of a request. `workspace` is the one that holds it.
pub(crate) fn target_of(resource: &Resource, workspace: Option<&str>) -> (TargetKind, Facts) {
    let mut facts = Facts { exists: true, workspace: workspace.map(str::to_owned), ..Facts::default() };
    let kind = match resource {
        Resource::Server => TargetKind::Server,
        Resource::Workspace(id) => {
            facts.workspace = Some(id.clone());
            TargetKind::Workspace
        }
        Resource::Experiment(id) => {
            facts.experiment = Some(*id);
            TargetKind::Experiment
        }
        Resource::RegisteredModel(id) => {
            facts.model = Some(id.clone());
            TargetKind::RegisteredModel
        }
        Resource::Dataset(id) => {
            facts.dataset = Some(id.clone());
            TargetKind::Dataset
        }
    };
    (kind, facts)
}

impl Place {
    /// Runs, logged models and traces are judged as their experiment, versions as their model or data set, evaluation datasets, buckets
    /// and what does not exist as the workspace.
    pub(crate) fn of(kind: TargetKind, facts: &Facts) -> Self {
        let workspace = facts.workspace.clone().unwrap_or_default();
        match kind {
            TargetKind::Server => Self::Server,
            TargetKind::AuditLog => Self::AuditLog,
            TargetKind::Myself => Self::Account,
            TargetKind::Workspace | TargetKind::EvaluationDataset | TargetKind::Bucket => Self::Workspace(workspace),
            // Of a version that does not exist the data set decides.
            TargetKind::Dataset | TargetKind::DatasetVersion => match &facts.dataset {
                Some(id) => Self::Dataset { id: id.clone(), workspace },
                None => Self::Workspace(workspace),
            },
            TargetKind::Experiment | TargetKind::Run | TargetKind::LoggedModel | TargetKind::Trace => match facts.experiment {
                Some(id) if facts.exists => Self::Experiment { id, workspace },
                _ => Self::Workspace(workspace),
            },
            TargetKind::RegisteredModel | TargetKind::ModelVersion | TargetKind::Endpoint => match &facts.model {
                Some(id) if facts.exists || kind == TargetKind::ModelVersion => {
                    Self::RegisteredModel { id: id.clone(), workspace }
                }
                _ => Self::Workspace(workspace),
            },
        }
    }

    /// The workspace that it is in.
    pub(crate) fn inside_workspace(&self) -> Option<&str> {
        match self {
            Self::Experiment { workspace, .. } | Self::RegisteredModel { workspace, .. } | Self::Dataset { workspace, .. } => {
                Some(workspace)
            }
            _ => None,
        }
    }

    /// Whether a grant on the server reaches it.
    pub(crate) const fn inside_server(&self) -> bool {
        !matches!(self, Self::Server | Self::Account)
    }

    /// The resources whose grants reach it, the nearest first.
    pub(crate) fn reached_by(&self) -> Vec<Resource> {
        match self {
            Self::Account => Vec::new(),
            Self::Server | Self::AuditLog => vec![Resource::Server],
            Self::Workspace(id) => vec![Resource::Workspace(id.clone()), Resource::Server],
            Self::Experiment { id, workspace } => {
                vec![Resource::Experiment(*id), Resource::Workspace(workspace.clone()), Resource::Server]
            }
            Self::RegisteredModel { id, workspace } => {
                vec![Resource::RegisteredModel(id.clone()), Resource::Workspace(workspace.clone()), Resource::Server]
            }
            Self::Dataset { id, workspace } => {
                vec![Resource::Dataset(id.clone()), Resource::Workspace(workspace.clone()), Resource::Server]
            }
        }
    }

    /// In words, for hints.
    pub(crate) const fn words(&self) -> &'static str {
        match self {
            Self::Server => "on the server",
            Self::AuditLog => "on the audit log",
            Self::Workspace(_) => "on this workspace",
            Self::Experiment { .. } => "on this experiment or its workspace",
            Self::RegisteredModel { .. } => "on this model or its workspace",
            Self::Dataset { .. } => "on this data set or its workspace",
            Self::Account => "on this account",
        }
    }
}

impl From<&Resource> for Place {
    /// The entity that a grant links to. Its ancestors are of no concern there.
    fn from(resource: &Resource) -> Self {
        match resource {
            Resource::Server => Self::Server,
            Resource::Workspace(id) => Self::Workspace(id.clone()),
            Resource::Experiment(id) => Self::Experiment { id: *id, workspace: String::new() },
            Resource::RegisteredModel(id) => Self::RegisteredModel { id: id.clone(), workspace: String::new() },
            Resource::Dataset(id) => Self::Dataset { id: id.clone(), workspace: String::new() },
        }
    }
}
