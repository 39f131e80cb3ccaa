//! `predictions.read` as a proof: a file by which anybody can check, without the server, that a prediction was made and logged.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::proof::Proof;
use crate::read::Kept;
use crate::{Predictions, ops};

/// Gives the proof of a prediction.
pub struct ProvePrediction {
    /// The room.
    pub room: Predictions,
    /// Its id.
    pub id: String,
}

impl Operation for ProvePrediction {
    const ACTION: Action = super::READ;
    type Output = Proof;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Proof, Problem> {
        let ops::search::Place { found, content, index } = self.room.find(&permit, &self.id).await?;
        let frame = content.frames.get(index).cloned().ok_or_else(ops::search::no_prediction)?;
        let record = frame.record.clone();
        let kept = self.room.opened(&permit, &[(found.record.clone(), frame)]).await?.pop();
        let receipt = self.room.0.ground.receipts.receipt(found.batch.entry.clone()).await?;
        let values = match kept {
            Some(Kept::Values(values)) => Some(values),
            _ => None,
        };
        let proof = Proof::of(&record, values.as_deref(), &content.leaves, index, &receipt)?;
        permit.defer_outcome().settle(&Outcome::done().with("prediction", found.record.id));
        Ok(proof)
    }
}
