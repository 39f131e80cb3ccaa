//! Deletes a dataset or some of its records, for good.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::store::records;
use crate::types::no_dataset;
use crate::{Evaluation, rules, store};

/// Deletes a dataset with its records. One that is not there is fine, as MLflow has it.
pub struct DeleteDataset {
    /// The room.
    pub room: Evaluation,
    /// Its id.
    pub dataset_id: String,
}

impl Operation for DeleteDataset {
    const ACTION: Action = super::DELETE;
    type Output = ();

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let Ok(row) = super::dataset_row(&permit, &self.dataset_id) else { return Ok(()) };
        self.room
            .db
            .write(&permit, move |tx| {
                let count = store::delete(tx, row)?;
                Ok(((), Outcome::done().resource(self.dataset_id).with("records", count)))
            })
            .await
    }
}

/// Deletes records of a dataset; gives how many there were.
pub struct DeleteRecords {
    /// The room.
    pub room: Evaluation,
    /// The dataset.
    pub dataset_id: String,
    /// The records. Those that are not there are passed over.
    pub record_ids: Vec<String>,
}

impl Operation for DeleteRecords {
    const ACTION: Action = super::DELETE;
    type Output = i64;

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<i64, Problem> {
        rules::record_batch(self.record_ids.len())?;
        let row = super::dataset_row(&permit, &self.dataset_id)?;
        let (by, at) = (permit.caller().name.clone(), permit.entry().at);
        self.room
            .db
            .write(&permit, move |tx| {
                let known = store::head(tx, row)?.ok_or_else(|| no_dataset(&self.dataset_id))?;
                let gone = records::delete(tx, row, &self.record_ids)?;
                if gone > 0 {
                    let left = known.record_count.saturating_sub(gone).max(0);
                    super::records::changed(tx, row, &known.name, left, known.schema.as_deref(), &by, at)?;
                }
                Ok((gone, Outcome::done().resource(self.dataset_id).with("records", gone)))
            })
            .await
    }
}
