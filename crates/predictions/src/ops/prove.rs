//! `predictions.read` as a proof: a file by which anybody can check, without the server, that a prediction was made and logged.

use std::time::Duration;

use admission::Receipt;
use audit::RecordView;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::limits::SETTLE_WAIT_MAX;
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
        let receipt = self.room.receipt_of(&found.batch.entry).await?;
        let values = match kept {
            Some(Kept::Values(values)) => Some(values),
            _ => None,
        };
        let proof = Proof::of(&record, values.as_deref(), &content.leaves, index, &receipt)?;
        permit.defer_outcome().settle(&Outcome::done().with("prediction", found.record.id));
        Ok(proof)
    }
}

/// How often the log is asked again for what was committed just now.
const ASK_EVERY: Duration = Duration::from_millis(50);

impl Predictions {
    /// The receipt of the outcome of something that this room did. It was committed with the change, and reaches the log a moment later.
    pub(super) async fn receipt_of(&self, entry: &str) -> Result<Receipt, Problem> {
        let outcome = async {
            loop {
                let receipt = self.0.ground.receipts.receipt(entry.to_owned()).await?;
                if RecordView::parse(&receipt.record).is_some_and(|record| record.kind == "outcome") {
                    return Ok(receipt);
                }
                tokio::time::sleep(ASK_EVERY).await;
            }
        };
        let late = || Problem::unavailable("the record of that is not in the log yet; try again");
        tokio::time::timeout(SETTLE_WAIT_MAX, outcome).await.map_err(|_| late())?
    }
}
