//! The gate's port `Locate`: one look-up over the rooms' tables for the decision and the verb.

use gate::{BoxFuture, Facts, Locate, Target};
use kernel::Problem;
use vault::db::{DbError, PortDb, Reader};

/// Finds targets.
pub struct Locator {
    ports: PortDb,
}

impl Locator {
    /// Over this database.
    #[must_use]
    pub const fn new(ports: PortDb) -> Self {
        Self { ports }
    }
}

impl Locate for Locator {
    fn locate<'a>(&'a self, workspace: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>> {
        Box::pin(async move {
            match target {
                Target::Server | Target::AuditLog | Target::Myself => Ok(Facts { exists: true, ..Facts::default() }),
                _ => {
                    let (workspace, target) = (workspace.to_owned(), target.clone());
                    self.ports.read_point(move |reader| Ok(find(reader, &workspace, &target)?)).await
                }
            }
        })
    }
}

fn find(reader: &mut Reader<'_>, workspace_name: &str, target: &Target) -> Result<Facts, DbError> {
    let Some(workspace) = identity::workspace_by_name(reader, workspace_name)? else {
        return Ok(Facts::default());
    };
    let found = match target {
        Target::Experiment(_) | Target::ExperimentNamed(_) | Target::Run(_) => tracking::locate(reader, &workspace, target)?,
        Target::LoggedModel(_) | Target::RegisteredModel(_) | Target::ModelVersion(..) => {
            registry::locate(reader, &workspace, target)?
        }
        Target::EvaluationDataset(_) => evaluation::locate(reader, &workspace, target)?,
        Target::Trace(_) => traces::locate(reader, &workspace, target)?,
        Target::Workspace => {
            Some(Facts { exists: true, workspace: Some(workspace.clone()), id: Some(workspace.clone()), ..Facts::default() })
        }
        Target::Server | Target::AuditLog | Target::Myself => None,
    };
    Ok(found.unwrap_or(Facts { workspace: Some(workspace), ..Facts::default() }))
}
