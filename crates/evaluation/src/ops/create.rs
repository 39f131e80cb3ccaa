//! Makes a dataset.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, random_id};

use crate::store::{self, NewDataset};
use crate::types::{Dataset, KeyValue, no_dataset};
use crate::{Evaluation, attribution, rules};

/// Makes a dataset without records, joined to experiments of the same workspace.
pub struct CreateDataset {
    /// The room.
    pub room: Evaluation,
    /// Its name; need not be unique.
    pub name: String,
    /// The experiments.
    pub experiment_ids: Vec<String>,
    /// Its first tags.
    pub tags: Vec<KeyValue>,
}

impl Operation for CreateDataset {
    const ACTION: Action = super::CREATE;
    type Output = Dataset;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Dataset, Problem> {
        rules::name(&self.name)?;
        rules::tags(&self.tags)?;
        rules::experiment_count(self.experiment_ids.len())?;
        let workspace = permit.workspace()?.to_owned();
        let (caller, at) = (permit.caller().clone(), permit.entry().at);
        let tags = attribution::of_tags(self.tags, &caller.name);
        let (name, experiment_ids) = (self.name, self.experiment_ids);
        self.room
            .db
            .write(&permit, move |tx| {
                let experiments = store::experiments_of(tx, &workspace, &experiment_ids)?;
                let dataset_id = format!("d-{}", random_id());
                let digest = super::digest(&name, at);
                let new = NewDataset {
                    dataset_id: &dataset_id,
                    workspace_id: &workspace,
                    name: &name,
                    digest: &digest,
                    caller: &caller,
                    at,
                };
                let row = store::insert(tx, &new)?;
                store::put_tags(tx, row, &tags)?;
                store::join(tx, row, &experiments)?;
                let made = store::get(tx, row)?.ok_or_else(|| no_dataset(&dataset_id))?;
                let outcome =
                    Outcome::done().resource(dataset_id).with("tags", tags.len()).with("experiments", experiments.len());
                Ok((made, outcome))
            })
            .await
    }
}
