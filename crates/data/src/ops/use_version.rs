//! A version is used to check another one: its keys must exist, or its rows must not stand there too.

use gate::{Action, DataState, Operation, Permit, Target};
use kernel::{Kind, Problem};

use crate::store::versions;
use crate::types::no_version;
use crate::{Data, rules};

/// Finds a version that another one is to be checked against. What the check says tells which keys are there, so it takes what
/// reading takes; and keys of what is not admitted prove nothing.
pub struct UseVersion {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
    /// Whether it is another part of a split, which may be on its way in too.
    pub apart: bool,
}

impl Operation for UseVersion {
    const ACTION: Action = super::READ;
    type Output = String;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<String, Problem> {
        let id = rules::version_id(&permit)?;
        let state = permit.facts().data.map(|data| data.state);
        if !self.apart && state != Some(DataState::Admitted) {
            let message = format!("`{}@{}` is not admitted, so nothing is checked against it", self.dataset, self.version);
            return Err(Problem::new(Kind::Conflict, message));
        }
        let wanted = id.clone();
        let read =
            move |reader: &mut vault::db::Reader<'_>| rules::committed(&versions::get(reader, &wanted)?.ok_or_else(no_version)?);
        self.room.db().read(&permit, read).await?;
        Ok(id)
    }
}
