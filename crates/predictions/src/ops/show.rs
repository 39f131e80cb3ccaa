//! `predictions.read` of one prediction.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::read::Kept;
use crate::types::Found;
use crate::values::Spoken;
use crate::{Predictions, ops};

/// Shows a prediction with what was asked and said.
pub struct ShowPrediction {
    /// The room.
    pub room: Predictions,
    /// Its id.
    pub id: String,
}

/// A prediction with its values.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The prediction.
    pub found: Found,
    /// What was asked and said; none where only hashes were kept, or its subject was erased.
    pub spoken: Option<Spoken>,
    /// Whether its values were kept and then erased.
    pub is_erased: bool,
}

impl Operation for ShowPrediction {
    const ACTION: Action = super::READ;
    type Output = Shown;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Shown, Problem> {
        let ops::search::Place { found, content, index } = self.room.find(&permit, &self.id).await?;
        let frame = content.frames.into_iter().nth(index).ok_or_else(ops::search::no_prediction)?;
        let kept = self.room.opened(&permit, &[(found.record.clone(), frame)]).await?.pop();
        let unreadable = || Problem::internal("a prediction's values cannot be read", "another layout");
        let spoken = match &kept {
            Some(Kept::Values(values)) => Some(Spoken::parse(values).ok_or_else(unreadable)?),
            _ => None,
        };
        permit.defer_outcome().settle(&Outcome::done().with("prediction", found.record.id.clone()));
        Ok(Shown { found, spoken, is_erased: kept == Some(Kept::Erased) })
    }
}
