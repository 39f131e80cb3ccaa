//! `endpoints.predict`: one request, from the quota to the record.

use std::sync::Arc;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, hex};
use runtime::{Batch, Outputs, PredictError};

use super::endpoint_of;
use crate::engine::Engine;
use crate::limits::{LARGE_VALUE_COUNT, ROUTING_KEY_BYTES_MAX};
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
    /// What keeps a client's requests with one version while a rollout runs: a user's or a session's id, say.
    pub routing_key: Option<String>,
    /// What is asked.
    pub batch: Batch,
    /// Whom it concerns, if the client said so: what is logged of it can be erased by that name.
    pub subject: Option<String>,
}

impl Operation for Predict {
    const ACTION: Action = super::PREDICT;
    type Output = Prediction;

    fn target(&self) -> Target {
        Target::Endpoint(self.endpoint.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Prediction, Problem> {
        let endpoint_id = endpoint_of(&permit)?;
        let mut seen = Seen::new(&self.room, &permit, &endpoint_id);
        seen.ends_as(watch::Verdict::Limited);
        self.room.0.quotas.take(&permit.caller().id, &endpoint_id, self.room.0.clock.now())?;
        self.check()?;
        let Self { room, endpoint, version, routing_key, batch, subject } = self;
        let slot = room.slot(&endpoint_id);
        let _turn = slot.turn()?;
        seen.ends_as(watch::Verdict::Failed);
        let answering = room.answering(&permit, &endpoint_id).await?;
        seen.ends_as(watch::Verdict::Invalid);
        // Without a key each request decides by itself, so that a share holds however few the callers are.
        let chosen = answering.choose(version.as_deref(), routing_key.as_deref().unwrap_or(&permit.entry().id))?;
        let batch = chosen.model.typed(batch).map_err(problem)?;
        seen.ends_as(watch::Verdict::Limited);
        // What the champion was trained on is the measure, whichever version answers.
        let (passage, batch) = room.guarded(&permit, &endpoint_id, &answering.champion, &chosen.model, batch).await?;
        let (batch, wanted) = (Arc::new(batch), Arc::clone(&chosen.model));
        seen.ends_as(watch::Verdict::Failed);
        let mut draft = room.draft(&permit, &endpoint, &wanted, &batch, subject.as_deref()).await?;
        seen.keep(&wanted, &batch);
        let answer = room.answer(chosen, &answering.place, Arc::clone(&batch)).await;
        let mut said = answer.inspect_err(|problem| seen.blame(problem))?;
        if !Arc::ptr_eq(&wanted, &said.model) {
            // Another version answered than the one that was begun to be logged.
            draft = room.draft(&permit, &endpoint, &said.model, &batch, subject.as_deref()).await?;
            seen.keep(&said.model, &batch);
        }
        let raw = passage.is_hardening().then(|| said.outputs.clone());
        passage.harden(&mut said.outputs);
        let (id, row_sha256) = room.keep(draft, &said.outputs, &passage.words())?;
        seen.answered(&id, raw.as_ref().unwrap_or(&said.outputs));
        let mut outcome = Outcome::done()
            .resource(endpoint_id)
            .with("prediction", id.clone())
            .with("version", said.model.version_id.clone())
            .with("manifest_sha256", hex(&said.model.manifest_sha256))
            .with("rows", batch.rows());
        if let Some(arm) = said.arm {
            outcome = outcome.with("rollout", arm.as_str());
        }
        if !matches!(said.model.model, Engine::Native(_)) {
            outcome = outcome.with("runtime", said.model.format());
        }
        if let Some(row) = row_sha256 {
            outcome = outcome.with("row_sha256", hex(&row));
        }
        permit.defer_outcome().settle(&passage.tell(outcome));
        Ok(Prediction { id, model: said.model, arm: said.arm, row_count: batch.rows(), outputs: said.outputs })
    }
}

impl Predict {
    /// Refuses what is too large before anything is looked up.
    fn check(&self) -> Result<(), Problem> {
        let rows_max = self.room.0.config.rows_max;
        if self.batch.rows() > rows_max {
            let message = format!("a request asks for at most {rows_max} rows; send more requests");
            return Err(Problem::new(Kind::TooLarge, message));
        }
        if self.routing_key.as_ref().is_some_and(|key| key.len() > ROUTING_KEY_BYTES_MAX) {
            return Err(Problem::invalid(format!("a routing key has at most {ROUTING_KEY_BYTES_MAX} bytes")));
        }
        Ok(())
    }
}

impl Serving {
    /// Small batches compute at once; large ones on threads of their own, a few at a time, so that others do not wait for them.
    pub(crate) async fn compute(&self, model: Arc<Loaded>, batch: Arc<Batch>) -> Result<Outputs, Problem> {
        let native = match &model.model {
            Engine::Native(native) | Engine::Converted(native) => native,
            Engine::Elsewhere(elsewhere) => return elsewhere.predict(batch).await,
        };
        if batch.rows().saturating_mul(width(&model)) < LARGE_VALUE_COUNT {
            return native.predict(&batch).map_err(problem);
        }
        let turn = self.0.large.acquire().await.map_err(|closed| Problem::internal("nothing computes any more", closed))?;
        let native = Arc::clone(native);
        let computing = tokio::task::spawn_blocking(move || native.predict(&batch));
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
