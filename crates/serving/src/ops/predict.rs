//! `endpoints.predict`: one request, from the quota to the record.

use std::sync::Arc;
use std::time::Instant;

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem, hex, random_id};
use runtime::{Batch, Outputs, PredictError};

use super::endpoint_of;
use crate::limits::{LARGE_VALUE_COUNT, ROUTING_KEY_BYTES_MAX};
use crate::load::Answering;
use crate::rollout::{Arm, Challenge, Mode};
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
}

impl Operation for Predict {
    const ACTION: Action = super::PREDICT;
    type Output = Prediction;

    fn target(&self) -> Target {
        Target::Endpoint(self.endpoint.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Prediction, Problem> {
        let Self { room, version, routing_key, batch, .. } = self;
        let endpoint_id = endpoint_of(&permit)?;
        room.0.quotas.take(&permit.caller().id, &endpoint_id, room.0.clock.now())?;
        let row_count = batch.rows();
        if row_count > room.0.config.rows_max {
            let message = format!("a request asks for at most {} rows; send more requests", room.0.config.rows_max);
            return Err(Problem::new(Kind::TooLarge, message));
        }
        if routing_key.as_ref().is_some_and(|key| key.len() > ROUTING_KEY_BYTES_MAX) {
            return Err(Problem::invalid(format!("a routing key has at most {ROUTING_KEY_BYTES_MAX} bytes")));
        }
        let slot = room.slot(&endpoint_id);
        let _turn = slot.turn()?;
        let answering = room.answering(&permit, &endpoint_id).await?;
        let id = random_id();
        let Answer { model, arm, outputs } = match version {
            Some(version) => room.answer_of(&answering, &version, batch).await?,
            // Without a key each request decides by itself, so that the share holds however few the callers are.
            None => room.answer(&answering, routing_key.as_deref().unwrap_or(&permit.entry().id), batch).await?,
        };
        let mut outcome = Outcome::done()
            .resource(endpoint_id)
            .with("prediction", id.clone())
            .with("version", model.version_id.clone())
            .with("manifest_sha256", hex(&model.manifest_sha256))
            .with("rows", row_count);
        if let Some(arm) = arm {
            outcome = outcome.with("rollout", arm.as_str());
        }
        permit.defer_outcome().settle(&outcome);
        Ok(Prediction { id, model, arm, row_count, outputs })
    }
}

/// Which model said what.
struct Answer {
    model: Arc<Loaded>,
    arm: Option<Mode>,
    outputs: Outputs,
}

impl Serving {
    /// The answer of the version that the client asks for, if it takes part.
    async fn answer_of(&self, answering: &Answering, version: &str, batch: Batch) -> Result<Answer, Problem> {
        let champion = &answering.champion;
        let challenger = answering.challenge.as_ref().and_then(|challenge| Some((challenge, challenge.model.as_ref().ok()?)));
        let challenger = challenger.filter(|(_, model)| model.number.to_string() == version);
        let (model, arm) = match challenger {
            Some((challenge, model)) => (model, Some(challenge.rollout.mode)),
            None if champion.number.to_string() == version => (champion, None),
            None => {
                let message = format!("version {} answers here; ask without a version for whichever does", champion.number);
                return Err(Problem::not_found(message));
            }
        };
        let outputs = self.compute(Arc::clone(model), batch).await?;
        Ok(Answer { model: Arc::clone(model), arm, outputs })
    }

    /// The answer of the version that the request goes to.
    async fn answer(&self, answering: &Answering, key: &str, batch: Batch) -> Result<Answer, Problem> {
        let champion = Arc::clone(&answering.champion);
        let Some(challenge) = &answering.challenge else {
            let outputs = self.compute(Arc::clone(&champion), batch).await?;
            return Ok(Answer { model: champion, arm: None, outputs });
        };
        let challenger = challenge.takes(key.as_bytes()).cloned();
        let answer = match (challenge.rollout.mode, challenger) {
            (Mode::Canary, Some(challenger)) => self.by_canary(challenge, challenger, champion, batch).await,
            (Mode::Shadow, Some(challenger)) => {
                let outputs = self.counted(challenge, Arm::Champion, Arc::clone(&champion), batch.clone()).await?;
                self.ask_along(Arc::clone(challenge), challenger, batch, outputs.clone());
                Ok(Answer { model: champion, arm: None, outputs })
            }
            (_, None) => {
                let outputs = self.counted(challenge, Arm::Champion, Arc::clone(&champion), batch).await?;
                Ok(Answer { model: champion, arm: None, outputs })
            }
        };
        self.judge(challenge, &answering.place);
        answer
    }

    /// The challenger's answer; the champion's where the challenger has none, so that no client pays for the trial.
    async fn by_canary(
        &self,
        challenge: &Challenge,
        challenger: Arc<Loaded>,
        champion: Arc<Loaded>,
        batch: Batch,
    ) -> Result<Answer, Problem> {
        match self.counted(challenge, Arm::Challenger, Arc::clone(&challenger), batch.clone()).await {
            Ok(outputs) => Ok(Answer { model: challenger, arm: Some(Mode::Canary), outputs }),
            Err(_) => {
                // What the champion refuses too is the request's fault.
                let outputs = self.compute(Arc::clone(&champion), batch).await?;
                challenge.tally.failed(Arm::Challenger);
                Ok(Answer { model: champion, arm: None, outputs })
            }
        }
    }

    /// Computes, and counts the answer.
    async fn counted(&self, challenge: &Challenge, arm: Arm, model: Arc<Loaded>, batch: Batch) -> Result<Outputs, Problem> {
        let (row_count, start) = (batch.rows(), Instant::now());
        let outputs = self.compute(model, batch).await?;
        challenge.tally.answered(arm, &outputs, row_count, start.elapsed());
        Ok(outputs)
    }

    /// Asks the challenger along; nobody waits for it.
    fn ask_along(&self, challenge: Arc<Challenge>, challenger: Arc<Loaded>, batch: Batch, said: Outputs) {
        let Ok(turn) = Arc::clone(&self.0.shadows).try_acquire_owned() else { return challenge.tally.left_out() };
        tokio::task::spawn_blocking(move || {
            let (row_count, start) = (batch.rows(), Instant::now());
            match challenger.model.predict(&batch) {
                Ok(outputs) => {
                    challenge.tally.answered(Arm::Challenger, &outputs, row_count, start.elapsed());
                    challenge.tally.compared(&said, &outputs);
                }
                Err(_) => challenge.tally.failed(Arm::Challenger),
            }
            drop(turn);
        });
    }

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
