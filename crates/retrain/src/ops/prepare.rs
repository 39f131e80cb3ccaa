//! `retraining.prepare`: what a job would take of how a version was made.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::Retrain;
use crate::store::origin;
use crate::types::Draft;

/// Shows what is known of how a version was made.
pub struct Prepare {
    /// The room.
    pub room: Retrain,
    /// The model's name.
    pub name: String,
    /// The version: a number, `@` and an alias, or `latest`.
    pub version: String,
}

impl Operation for Prepare {
    const ACTION: Action = super::PREPARE;
    type Output = Draft;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Draft, Problem> {
        draft(&self.room, &permit).await
    }
}

/// What is known of how the permit's version was made.
pub(super) async fn draft<O>(room: &Retrain, permit: &Permit<O>) -> Result<Draft, Problem> {
    let (model_id, number) = super::version_of(permit)?;
    let workspace = permit.workspace()?.to_owned();
    let read = move |reader: &mut vault::db::Reader<'_>| {
        let (mut draft, source) = origin::draft(reader, &workspace, &model_id, number)?;
        if draft.entry.is_none() {
            draft.entry = source;
        }
        Ok(draft)
    };
    room.db().read(permit, read).await
}
