//! Reads an experiment, by id or by name.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::Tracking;
use crate::store::experiments;
use crate::types::{Experiment, no_experiment};

/// Reads an experiment by its id.
pub struct GetExperiment {
    /// The room.
    pub room: Tracking,
    /// Its id.
    pub experiment_id: String,
}

impl Operation for GetExperiment {
    const ACTION: Action = super::EXPERIMENTS_GET;
    type Output = Experiment;

    fn target(&self) -> Target {
        Target::Experiment(self.experiment_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Experiment, Problem> {
        let row = super::experiment_row(&permit, &self.experiment_id)?;
        let found = self.room.db.read_point(&permit, move |reader| Ok(experiments::get(reader, row)?)).await?;
        found.ok_or_else(|| no_experiment(&self.experiment_id))
    }
}

/// Reads an experiment by its name.
pub struct GetExperimentByName {
    /// The room.
    pub room: Tracking,
    /// Its name.
    pub name: String,
}

impl Operation for GetExperimentByName {
    const ACTION: Action = super::EXPERIMENTS_GET;
    type Output = Experiment;

    fn target(&self) -> Target {
        Target::ExperimentNamed(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Experiment, Problem> {
        let none = || Problem::not_found(format!("Could not find experiment with name '{}'", self.name));
        let row = permit.facts().experiment.filter(|_| permit.facts().exists).ok_or_else(none)?;
        let found = self.room.db.read_point(&permit, move |reader| Ok(experiments::get(reader, row)?)).await?;
        found.ok_or_else(none)
    }
}
