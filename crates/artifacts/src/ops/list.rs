//! `artifacts.list`: the entries of one folder.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::{Artifacts, ListedEntry, Place, store};

/// Lists a folder. A file, and a folder that does not exist, have no entries.
pub struct ListArtifacts {
    /// The room.
    pub room: Artifacts,
    /// The folder.
    pub place: Place,
}

/// A listed folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// Where the owner's artifacts are: `mlflow-artifacts:/…`.
    pub root_uri: String,
    /// What is in the folder.
    pub entries: Vec<ListedEntry>,
}

impl Operation for ListArtifacts {
    const ACTION: Action = Action::read("artifacts.list");
    type Output = Listing;

    fn target(&self) -> Target {
        self.place.owner.target()
    }

    async fn run(self, permit: Permit<Self>) -> Result<Listing, Problem> {
        let home = self.place.home(&permit)?;
        let Place { owner, path, .. } = self.place;
        let root_uri = owner.root_uri(home.experiment);
        let entries = self.room.db.read(&permit, move |reader| store::list(reader, &owner, path.as_ref())).await?;
        Ok(Listing { root_uri, entries })
    }
}
