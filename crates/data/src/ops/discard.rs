//! `datasets.put` taken back: an open version goes, with all that was put into it.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use super::sweep::forget_open;
use crate::store::{cleanings, versions};
use crate::types::no_version;
use crate::{Data, rules};

/// Takes away an open version that will not be committed, so that it holds no place until it is swept. Who may put files into
/// it may take all of them out.
pub struct DiscardVersion {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The open version's id.
    pub version: String,
}

impl Operation for DiscardVersion {
    const ACTION: Action = super::PUT;
    type Output = ();

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let id = rules::version_id(&permit)?;
        let caller = permit.caller().id.clone();
        let discarded = self.room.objects().commit(self.room.db(), &permit, Vec::new(), move |writer| {
            let version = versions::get(writer, &id)?.ok_or_else(no_version)?;
            rules::open_to(&version, &caller)?;
            if cleanings::get(writer, &id)?.is_some() {
                return Err(Problem::new(Kind::Conflict, "the version is being made from another one; wait until that is done"));
            }
            let objects = forget_open(writer, &id)?;
            let outcome = Outcome::done().with("discarded", 1_i64).with("file_count", objects.len());
            Ok((((), objects), outcome))
        });
        discarded.await
    }
}
