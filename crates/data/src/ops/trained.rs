//! `datasets.trained`: which runs and models stem from a version, and which of them are to be trained again.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;
use lineage::record::data_version_name;
use lineage::{NodeKind, Stemming};

use crate::store::{retrain, versions};
use crate::types::{RetrainRequest, Trained, no_version};
use crate::{Data, rules};

/// Requests that are shown with a version.
const REQUEST_COUNT_MAX: i64 = 10_000;

/// Shows what was trained on a version or on what was made from it, as far as the lineage knows. Who may see the data may know
/// what became of it: the names of runs and models are no secret from the data's own people.
pub struct ShowTrained {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
}

/// What was trained on a version.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrainedOn {
    /// Runs, logged models, versions of models and of data sets, nearer ones before farther ones.
    pub things: Vec<Trained>,
    /// Whether a limit cut the list short.
    pub truncated: bool,
    /// Requests to train again what was trained on it, or on what it took the place of.
    pub requests: Vec<RetrainRequest>,
}

impl Operation for ShowTrained {
    const ACTION: Action = super::TRAINED;
    type Output = TrainedOn;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<TrainedOn, Problem> {
        let id = rules::version_id(&permit)?;
        let workspace = permit.workspace()?.to_owned();
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let version = versions::get(reader, &id)?.ok_or_else(no_version)?;
            let number = rules::committed(&version)?;
            let onward = lineage::onward(reader, &workspace, &version.dataset, number)?;
            let name = data_version_name(&version.dataset, number);
            let mut requests = retrain::about(reader, &workspace, &name, REQUEST_COUNT_MAX)?;
            let things: Vec<Trained> = onward.things.into_iter().map(trained).collect();
            for request in &mut requests {
                let known = things.iter().find(|thing| thing.name == request.subject.name);
                request.subject.label = known.and_then(|thing| thing.label.clone());
            }
            Ok(TrainedOn { things, truncated: onward.truncated, requests })
        };
        self.room.db().read(&permit, read).await
    }
}

/// Whether a thing is trained: a run or a version of a model. A logged model comes of its run, data is no model.
pub(super) fn is_trained(thing: &Stemming) -> bool {
    matches!(thing.node.kind, NodeKind::Run | NodeKind::ModelVersion)
}

fn trained(thing: Stemming) -> Trained {
    Trained {
        kind: thing.node.kind.word().to_owned(),
        name: thing.node.name,
        label: thing.node.label,
        trust: thing.trust,
        data: thing.data,
    }
}
