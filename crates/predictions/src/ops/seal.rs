//! `predictions.seal`: a batch becomes an object, a row, and a root in the log.

use bytes::Bytes;
use futures_util::stream;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, hex};
use lineage::record::{Answers, Scene, endpoint_answers};

use crate::batch::Made;
use crate::types::Batch;
use crate::{Predictions, store};

/// A batch is at most what a segment holds, and Parquet's own parts.
const BATCH_BYTES_MAX: u64 = 256 << 20;

/// Seals predictions of one endpoint by one version.
pub struct SealBatch {
    pub(crate) room: Predictions,
    /// The batch's id: the same predictions have the same one.
    pub(crate) id: String,
    pub(crate) made: Made,
}

impl Operation for SealBatch {
    const ACTION: Action = super::SEAL;
    type Output = ();

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let Self { room, id, made: Made { bytes, root, facts } } = self;
        let workspace = permit.workspace()?.to_owned();
        if facts.first.workspace != workspace {
            return Err(Problem::internal("a batch has nothing to seal", "no record of this workspace"));
        }
        let (model_id, version) =
            facts.first.model().ok_or_else(|| Problem::internal("a prediction names no model", "version"))?;
        let body = Box::pin(stream::iter([Ok(Bytes::from(bytes))]));
        let object = room.objects().put_apart(&permit, &workspace, body, BATCH_BYTES_MAX).await?;
        let sealed = Batch {
            id,
            workspace,
            endpoint_id: facts.first.endpoint_id.clone(),
            endpoint: facts.first.endpoint.clone(),
            model_id: model_id.to_owned(),
            version,
            first_at: facts.first_at,
            last_at: facts.last_at,
            request_count: facts.request_count,
            row_count: facts.row_count,
            root,
            entry: permit.entry().id.clone(),
            sealed_at: permit.entry().at,
            object,
        };
        let (scene, subjects) = (Scene::of(&permit)?, facts.subjects);
        let write = move |writer: &mut vault::db::Writer<'_>| {
            // Another process may have sealed the same meanwhile: its object counts, and this one is swept.
            let is_new = store::insert(writer, &sealed)?;
            if is_new {
                store::count_about(writer, &sealed.id, &subjects)?;
            }
            let answers = Answers {
                endpoint_id: &sealed.endpoint_id,
                endpoint: &sealed.endpoint,
                model: &sealed.model_id,
                number: sealed.version,
            };
            endpoint_answers(writer, &scene, &answers)?;
            let outcome = Outcome::done()
                .resource(sealed.id.clone())
                .with("endpoint", sealed.endpoint_id.clone())
                .with("version", format!("{}/{}", sealed.model_id, sealed.version))
                .with("root", hex(&sealed.root))
                .with("requests", sealed.request_count)
                .with("rows", sealed.row_count)
                .with("new", i64::from(is_new));
            Ok(((), outcome))
        };
        room.db().write(&permit, write).await
    }
}
