//! Joins a dataset to experiments, and parts it from them.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::types::{Dataset, no_dataset};
use crate::{Evaluation, rules, store};

/// Joins a dataset to experiments of its workspace. Those it is joined to already stay so.
pub struct AddExperiments {
    /// The room.
    pub room: Evaluation,
    /// The dataset.
    pub dataset_id: String,
    /// The experiments.
    pub experiment_ids: Vec<String>,
}

impl Operation for AddExperiments {
    const ACTION: Action = super::UPDATE;
    type Output = Dataset;

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Dataset, Problem> {
        rules::experiment_count(self.experiment_ids.len())?;
        let row = super::dataset_row(&permit, &self.dataset_id)?;
        let workspace = permit.workspace()?.to_owned();
        let (name, at) = (permit.caller().name.clone(), permit.entry().at);
        self.room
            .db
            .write(&permit, move |tx| {
                let experiments = store::experiments_of(tx, &workspace, &self.experiment_ids)?;
                store::join(tx, row, &experiments)?;
                store::touch(tx, row, &name, at)?;
                let dataset = store::get(tx, row)?.ok_or_else(|| no_dataset(&self.dataset_id))?;
                rules::experiment_count(dataset.experiment_ids.len())?;
                Ok((dataset, Outcome::done().resource(self.dataset_id).with("experiments", experiments.len())))
            })
            .await
    }
}

/// Parts a dataset from experiments. Those it is not joined to are passed over.
pub struct RemoveExperiments {
    /// The room.
    pub room: Evaluation,
    /// The dataset.
    pub dataset_id: String,
    /// The experiments.
    pub experiment_ids: Vec<String>,
}

impl Operation for RemoveExperiments {
    const ACTION: Action = super::UPDATE;
    type Output = Dataset;

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Dataset, Problem> {
        rules::experiment_count(self.experiment_ids.len())?;
        let row = super::dataset_row(&permit, &self.dataset_id)?;
        let (name, at) = (permit.caller().name.clone(), permit.entry().at);
        self.room
            .db
            .write(&permit, move |tx| {
                let experiments: Vec<i64> = self.experiment_ids.iter().filter_map(|text| rules::experiment_id(text)).collect();
                let parted = store::part(tx, row, &experiments)?;
                if parted > 0 {
                    store::touch(tx, row, &name, at)?;
                }
                let dataset = store::get(tx, row)?.ok_or_else(|| no_dataset(&self.dataset_id))?;
                Ok((dataset, Outcome::done().resource(self.dataset_id).with("experiments", parted)))
            })
            .await
    }
}
