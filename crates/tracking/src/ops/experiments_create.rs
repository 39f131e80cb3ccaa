//! Makes an experiment.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::store::experiments::{self, NewExperiment};
use crate::types::KeyValue;
use crate::{Tracking, location, rules};

/// Makes an experiment; gives its id.
pub struct CreateExperiment {
    /// The room.
    pub room: Tracking,
    /// Its name, unique in the workspace.
    pub name: String,
    /// Where its artifacts go, if not to this server.
    pub artifact_location: Option<String>,
    /// Its first tags.
    pub tags: Vec<KeyValue>,
}

impl Operation for CreateExperiment {
    const ACTION: Action = super::EXPERIMENTS_CREATE;
    type Output = i64;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<i64, Problem> {
        rules::experiment_name(&self.name)?;
        rules::new_experiment_tags(&self.tags)?;
        let chosen = self.artifact_location.filter(|text| !text.is_empty());
        if let Some(chosen) = &chosen {
            location::check(chosen)?;
        }
        let workspace = permit.workspace()?.to_owned();
        let (owner, at) = (permit.caller().id.clone(), permit.entry().at);
        let (name, tags) = (self.name, self.tags);
        self.room
            .db
            .write(&permit, move |tx| {
                let new = NewExperiment { workspace_id: &workspace, name: &name, owner: &owner, at };
                let made = experiments::insert(tx, &new)?;
                let id = made.ok_or_else(|| Problem::already_exists(format!("Experiment(name={name}) already exists.")))?;
                experiments::set_location(tx, id, &chosen.unwrap_or_else(|| location::default_location(id)))?;
                experiments::put_tags(tx, id, &tags)?;
                Ok((id, Outcome::done().resource(id.to_string()).with("tags", tags.len())))
            })
            .await
    }
}

/// Makes the experiment `Default` with id 0 in the default workspace, unless it is there: MLflow's clients log to it when
/// they name none. A job of the start.
pub struct EnsureDefaultExperiment {
    /// The room.
    pub room: Tracking,
}

impl Operation for EnsureDefaultExperiment {
    const ACTION: Action = super::EXPERIMENTS_CREATE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let workspace = permit.workspace()?.to_owned();
        let (owner, at) = (permit.caller().id.clone(), permit.entry().at);
        self.room
            .db
            .write(&permit, move |tx| {
                let new = NewExperiment { workspace_id: &workspace, name: "Default", owner: &owner, at };
                let made = experiments::insert_default(tx, &new, &location::default_location(0))?;
                Ok(((), Outcome::done().resource("0").with("made", i64::from(made))))
            })
            .await
    }
}
