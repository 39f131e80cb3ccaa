//! Sets or removes a tag of a run.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;
use lineage::record::{self, Scene};
use vault::db::Writer;

use crate::attribution::{self, RUN_NAME, USER};
use crate::store::runs;
use crate::types::KeyValue;
use crate::{Tracking, rules};

/// Sets a tag of a run that is in use. `mlflow.runName` renames it; `mlflow.user` stays the caller that made it.
pub struct SetTag {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// The tag.
    pub tag: KeyValue,
}

impl Operation for SetTag {
    const ACTION: Action = super::RUNS_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let tag = rules::tag(self.tag, "")?;
        rules::no_nul("value", &tag.value)?;
        let row = super::run_row(&permit, &self.run_id)?;
        let run_id = self.run_id;
        let scene = Scene::of(&permit)?;
        self.room
            .db
            .write(&permit, move |tx| {
                let user = super::active_run_user(tx, row, &run_id)?;
                put(tx, (row, &run_id), &user, vec![tag], &scene)?;
                Ok(((), Outcome::done().resource(run_id)))
            })
            .await
    }
}

/// Sets tags of a run of `user`'s.
pub(super) fn put(
    tx: &mut Writer<'_>,
    (row, run_id): (i64, &str),
    user: &str,
    tags: Vec<KeyValue>,
    scene: &Scene,
) -> Result<(), Problem> {
    let tags: Vec<KeyValue> = tags
        .into_iter()
        .filter(|tag| tag.key != RUN_NAME || !tag.value.is_empty())
        .filter_map(|tag| attribution::of_later_tag(tag, user))
        .collect();
    if let Some(name) = tags.iter().rev().find(|tag| tag.key == RUN_NAME) {
        rules::run_name(&name.value)?;
        runs::update(tx, row, None, None, Some(&name.value))?;
    }
    runs::put_tags(tx, row, &tags)?;
    Ok(record::run_tags(tx, scene, run_id, tags.iter().map(|tag| (tag.key.as_str(), tag.value.as_str())))?)
}

/// Removes a tag of a run that is in use.
pub struct DeleteTag {
    /// The room.
    pub room: Tracking,
    /// The run.
    pub run_id: String,
    /// The tag's key.
    pub key: String,
}

impl Operation for DeleteTag {
    const ACTION: Action = super::RUNS_TAG;
    type Output = ();

    fn target(&self) -> Target {
        Target::Run(self.run_id.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        rules::no_nul("key", &self.key)?;
        let row = super::run_row(&permit, &self.run_id)?;
        let (run_id, key) = (self.run_id, self.key);
        self.room
            .db
            .write(&permit, move |tx| {
                super::active_run_user(tx, row, &run_id)?;
                if key == USER {
                    return Err(Problem::invalid("The tag 'mlflow.user' says who made the run; it cannot be removed."));
                }
                if !runs::delete_tag(tx, row, &key)? {
                    return Err(Problem::not_found(format!("No tag with name: {key} in run with id {run_id}")));
                }
                Ok(((), Outcome::done().resource(run_id)))
            })
            .await
    }
}
