//! `datasets.open`: a version begins to take files.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem};

use crate::limits::OPEN_AGE_MAX;
use crate::store::versions;
use crate::{Data, DatasetName};

/// Opens a version of a data set. The first one makes the data set.
pub struct OpenVersion {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
}

/// A version that takes files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// Its id.
    pub version_id: String,
    /// When it is swept if it is not committed by then.
    pub expires_at: Micros,
}

impl Operation for OpenVersion {
    const ACTION: Action = super::OPEN;
    type Output = Opened;

    fn target(&self) -> Target {
        Target::Dataset(self.dataset.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Opened, Problem> {
        let name = DatasetName::parse(&self.dataset)?;
        let workspace = permit.workspace()?.to_owned();
        let (at, caller) = (permit.entry().at, permit.caller().id.clone());
        let age_s = i64::try_from(OPEN_AGE_MAX.as_secs()).unwrap_or(i64::MAX);
        let opened = self.room.db().write(&permit, move |writer| {
            let dataset = versions::dataset_named(writer, &workspace, name.as_str(), &caller, at)?;
            let version_id = versions::open(writer, &dataset, &workspace, &caller, at)?;
            let outcome = Outcome::done().resource(version_id.clone()).with("dataset", dataset);
            Ok((Opened { version_id, expires_at: at.plus_secs(age_s) }, outcome))
        });
        opened.await
    }
}
