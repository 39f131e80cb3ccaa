//! Sets or removes a tag of an experiment.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::store::experiments;
use crate::types::KeyValue;
use crate::{Tracking, rules};

/// Sets a tag of an experiment that is in use.
pub struct SetExperimentTag {
    /// The room.
    pub room: Tracking,
    /// The experiment.
    pub experiment_id: String,
    /// The tag.
    pub tag: KeyValue,
}

impl Operation for SetExperimentTag {
    const ACTION: Action = super::EXPERIMENTS_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::experiment_tag(&self.tag)?;
        let id = super::experiment_row(&permit, &self.experiment_id)?;
        let tag = self.tag;
        self.room
            .db
            .write(&permit, move |tx| {
                super::active_experiment(tx, id)?;
                experiments::put_tags(tx, id, &[tag])?;
                Ok(((), Outcome::done().resource(id.to_string())))
            })
            .await
    }
}

/// Removes a tag of an experiment that is in use.
pub struct DeleteExperimentTag {
    /// The room.
    pub room: Tracking,
    /// The experiment.
    pub experiment_id: String,
    /// The tag's key.
    pub key: String,
}

impl Operation for DeleteExperimentTag {
    const ACTION: Action = super::EXPERIMENTS_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::no_nul("the key", &self.key)?;
        let id = super::experiment_row(&permit, &self.experiment_id)?;
        let key = self.key;
        self.room
            .db
            .write(&permit, move |tx| {
                super::active_experiment(tx, id)?;
                if !experiments::delete_tag(tx, id, &key)? {
                    return Err(Problem::not_found(format!("No tag with name: {key} in experiment with id {id}")));
                }
                Ok(((), Outcome::done().resource(id.to_string())))
            })
            .await
    }
}
