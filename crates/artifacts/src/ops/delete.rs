//! `artifacts.delete`: takes away a file, or a folder with all below it.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::{Artifacts, Place, store};

/// Deletes a file or a folder. Gives how many files went.
pub struct DeleteArtifacts {
    /// The room.
    pub room: Artifacts,
    /// What; the owner's root for everything.
    pub place: Place,
}

impl Operation for DeleteArtifacts {
    const ACTION: Action = Action::write("artifacts.delete");
    type Output = usize;

    fn target(&self) -> Target {
        self.place.owner.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<usize, Problem> {
        self.place.home(&permit)?;
        let Place { owner, path, .. } = self.place;
        let path_hash = self.room.path_hash(&owner, path.as_ref().map_or("", |path| path.as_str())).await?;
        let done = self.room.objects.commit(&self.room.db, &permit, Vec::new(), move |writer| {
            let (count, objects) = store::delete(writer, &owner, path.as_ref())?;
            if count == 0 && path.is_some() {
                return Err(Problem::not_found("there is no such artifact; list its folder to see what there is"));
            }
            Ok(((count, objects), Outcome::done().with("deleted_count", count).with("path_hash", path_hash)))
        });
        done.await
    }
}
