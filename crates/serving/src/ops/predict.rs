//! `endpoints.predict`: one request, from the quota to the record.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, hex, random_id};
use runtime::{Batch, Outputs, PredictError};

use super::endpoint_of;
use crate::limits::LARGE_VALUE_COUNT;
use crate::observed::Seen;
use crate::{Loaded, Prediction, Serving};

/// Asks an endpoint.
pub struct Predict {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub endpoint: String,
    /// Only if this version answers: the client said which one it expects.
    pub version: Option<String>,
    /// What is asked.
    pub batch: Batch,
}

impl Operation for Predict {
    const ACTION: Action = super::PREDICT;
    type Output = Prediction;

    fn target(&self) -> Target {
        Target::Endpoint(self.endpoint.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Prediction, Problem> {
        let Self { room, version, batch, .. } = self;
        let endpoint_id = endpoint_of(&permit)?;
        let mut seen = Seen::new(&room, &permit, &endpoint_id);
        seen.ends_as(watch::Verdict::Limited);
        room.0.quotas.take(&permit.caller().id, &endpoint_id, room.0.clock.now())?;
        let row_count = batch.rows();
        if row_count > room.0.config.rows_max {
            let message = format!("a request asks for at most {} rows; send more requests", room.0.config.rows_max);
            return Err(Problem::new(Kind::TooLarge, message));
        }
        seen.ends_as(watch::Verdict::Failed);
        let model = room.answering(&permit, &endpoint_id).await?;
        seen.ends_as(watch::Verdict::Invalid);
        if version.is_some_and(|wanted| wanted != model.number.to_string()) {
            let message = format!("version {} answers here; ask without a version for whichever does", model.number);
            return Err(Problem::not_found(message));
        }
        let kept = seen.keep(&model, &batch);
        let outputs = room.compute(Arc::clone(&model), batch).await.inspect_err(|problem| seen.blame(problem))?;
        let id = random_id();
        seen.answered(&id, kept.as_ref(), &outputs);
        let outcome = Outcome::done()
            .resource(endpoint_id)
            .with("prediction", id.clone())
            .with("version", model.version_id.clone())
            .with("manifest_sha256", hex(&model.manifest_sha256))
            .with("rows", row_count);
        permit.defer_outcome().settle(&outcome);
        Ok(Prediction { id, model, row_count, outputs })
    }
}

impl Serving {
    /// Small batches compute at once; large ones on threads of their own, a few at a time, so that others do not wait for them.
    async fn compute(&self, model: Arc<Loaded>, batch: Batch) -> Result<Outputs, Problem> {
        if batch.rows().saturating_mul(width(&model)) < LARGE_VALUE_COUNT {
            return model.model.predict(&batch).map_err(problem);
        }
        let turn = self.0.large.acquire().await.map_err(|closed| Problem::internal("nothing computes any more", closed))?;
        let computing = tokio::task::spawn_blocking(move || model.model.predict(&batch));
        let outputs = computing.await.map_err(|broken| Problem::internal("the prediction broke off", broken))?;
        drop(turn);
        outputs.map_err(problem)
    }
}

/// How many values a row has.
fn width(model: &Loaded) -> usize {
    let inputs = &model.signature().inputs;
    inputs.iter().map(|port| port.shape.iter().skip(1).map(|one| one.unwrap_or(1)).product::<usize>()).sum::<usize>().max(1)
}

fn problem(error: PredictError) -> Problem {
    match error {
        PredictError::Input(why) => Problem::invalid(format!("the request does not fit the model: {why}")),
        PredictError::TooLarge { what, limit } => {
            Problem::new(Kind::TooLarge, format!("{what} exceeds {limit}; send less at once"))
        }
        PredictError::Model(why) => Problem::internal("the model cannot answer this", why),
    }
}
