//! Renames an experiment, puts it aside, takes it back.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use crate::store::experiments;
use crate::types::{Stage, no_experiment};
use crate::{Tracking, rules};

/// Renames an experiment that is in use.
pub struct RenameExperiment {
    /// The room.
    pub room: Tracking,
    /// Its id.
    pub experiment_id: String,
    /// Its new name.
    pub new_name: String,
}

impl Operation for RenameExperiment {
    const ACTION: Action = super::EXPERIMENTS_UPDATE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::experiment_name(&self.new_name)?;
        let id = super::experiment_row(&permit, &self.experiment_id)?;
        let (workspace, at, name) = (permit.workspace()?.to_owned(), permit.entry().at, self.new_name);
        self.room
            .db
            .write(&permit, move |tx| {
                let stage = experiments::stage(tx, id)?.ok_or_else(|| no_experiment(&id.to_string()))?;
                if stage == Stage::Deleted {
                    return Err(Problem::new(Kind::Conflict, "Cannot rename a non-active experiment."));
                }
                if experiments::name_taken(tx, &workspace, &name, id)? {
                    return Err(Problem::already_exists(format!("Experiment(name={name}) already exists.")));
                }
                experiments::rename(tx, id, &name, at)?;
                Ok(((), Outcome::done().resource(id.to_string())))
            })
            .await
    }
}

/// Puts an experiment and its runs aside.
pub struct DeleteExperiment {
    /// The room.
    pub room: Tracking,
    /// Its id.
    pub experiment_id: String,
}

impl Operation for DeleteExperiment {
    const ACTION: Action = super::EXPERIMENTS_DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        set_deleted(&self.room, permit, &self.experiment_id, true).await
    }
}

/// Takes an experiment and its runs back into use.
pub struct RestoreExperiment {
    /// The room.
    pub room: Tracking,
    /// Its id.
    pub experiment_id: String,
}

impl Operation for RestoreExperiment {
    const ACTION: Action = super::EXPERIMENTS_RESTORE;
    type Output = ();

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        set_deleted(&self.room, permit, &self.experiment_id, false).await
    }
}

async fn set_deleted<O: Operation>(room: &Tracking, permit: Permit<O>, text: &str, deleted: bool) -> Result<(), Problem> {
    let id = super::experiment_row(&permit, text)?;
    let at = permit.entry().at;
    room.db
        .write(&permit, move |tx| {
            // What is aside already is, to MLflow, not there to be put aside.
            let runs = experiments::set_deleted(tx, id, deleted, at)?.ok_or_else(|| no_experiment(&id.to_string()))?;
            let count = i64::try_from(runs).unwrap_or(i64::MAX);
            Ok(((), Outcome::done().resource(id.to_string()).with("runs", count)))
        })
        .await
}
