//! Sets and removes a dataset's tags.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::types::KeyValue;
use crate::{Evaluation, attribution, rules, store};

/// Sets tags of a dataset; the others stay.
pub struct SetTags {
    /// The room.
    pub room: Evaluation,
    /// The dataset.
    pub dataset_id: String,
    /// The tags.
    pub tags: Vec<KeyValue>,
}

impl Operation for SetTags {
    const ACTION: Action = super::TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::tags(&self.tags)?;
        let row = super::dataset_row(&permit, &self.dataset_id)?;
        let tags = attribution::of_tags(self.tags, &permit.caller().name);
        self.room
            .db
            .write(&permit, move |tx| {
                store::put_tags(tx, row, &tags)?;
                rules::tag_count(store::tag_count(tx, row)?)?;
                Ok(((), Outcome::done().resource(self.dataset_id).with("tags", tags.len())))
            })
            .await
    }
}

/// Removes a tag of a dataset. One that is not there is fine, as MLflow has it.
pub struct DeleteTag {
    /// The room.
    pub room: Evaluation,
    /// The dataset.
    pub dataset_id: String,
    /// The tag's key.
    pub key: String,
}

impl Operation for DeleteTag {
    const ACTION: Action = super::TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::EvaluationDataset(self.dataset_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::no_nul("key", &self.key)?;
        let row = super::dataset_row(&permit, &self.dataset_id)?;
        self.room
            .db
            .write(&permit, move |tx| {
                let gone = store::delete_tag(tx, row, &self.key)?;
                Ok(((), Outcome::done().resource(self.dataset_id).with("tags", i64::from(gone))))
            })
            .await
    }
}
