//! The gate's port `Locate`: one look-up over the rooms' tables for the decision and the verb.

use std::sync::Arc;

use gate::{BoxFuture, Facts, Locate, Target};
use kernel::{Clock, Micros, Problem};
use vault::db::{DbError, PortDb, Reader};

/// Finds targets.
pub struct Locator {
    ports: PortDb,
    clock: Arc<dyn Clock>,
}

impl Locator {
    /// Over this database. What ends by itself, such as a waiver, does so by `clock`.
    #[must_use]
    pub fn new(ports: PortDb, clock: Arc<dyn Clock>) -> Self {
        Self { ports, clock }
    }
}

impl Locate for Locator {
    fn locate<'a>(&'a self, workspace: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>> {
        Box::pin(async move {
            match target {
                Target::Server | Target::AuditLog | Target::Myself => Ok(Facts { exists: true, ..Facts::default() }),
                _ => {
                    let (workspace, target, now) = (workspace.to_owned(), target.clone(), self.clock.now());
                    self.ports.read_point(move |reader| Ok(find(reader, &workspace, &target, now)?)).await
                }
            }
        })
    }
}

fn find(reader: &mut Reader<'_>, workspace_name: &str, target: &Target, now: Micros) -> Result<Facts, DbError> {
    let Some(workspace) = identity::workspace_by_name(reader, workspace_name)? else {
        return Ok(Facts::default());
    };
    let found = match target {
        Target::Experiment(_) | Target::ExperimentNamed(_) | Target::Run(_) => tracking::locate(reader, &workspace, target)?,
        Target::LoggedModel(_) | Target::RegisteredModel(_) | Target::ModelVersion(..) => {
            registry::locate(reader, &workspace, target)?
        }
        Target::EvaluationDataset(_) => evaluation::locate(reader, &workspace, target)?,
        Target::Dataset(_) | Target::DatasetVersion(..) => data::locate(reader, &workspace, target, now)?,
        Target::Endpoint(_) => serving::locate(reader, &workspace, target)?,
        Target::Trace(_) => traces::locate(reader, &workspace, target)?,
        Target::Workspace => {
            Some(Facts { exists: true, workspace: Some(workspace.clone()), id: Some(workspace.clone()), ..Facts::default() })
        }
        Target::Server | Target::AuditLog | Target::Myself => None,
    };
    Ok(found.unwrap_or(Facts { workspace: Some(workspace), ..Facts::default() }))
}
