//! Which version a request goes to, and what that one says.

use std::sync::Arc;
use std::time::Instant;

use kernel::Problem;
use runtime::{Batch, Outputs};

use super::{Arm, Challenge, Mode};
use crate::engine::Engine;
use crate::load::{Answering, EndpointPlace};
use crate::{Loaded, Serving};

/// The version that a request goes to.
pub(crate) struct Chosen {
    pub(crate) model: Arc<Loaded>,
    way: Way,
}

/// How it came to be that one.
enum Way {
    /// No other takes part, or the client asked for this one: as what it takes part then.
    Plain(Option<Mode>),
    /// The champion, while another version takes part in other requests.
    Champion(Arc<Challenge>),
    /// The challenger; the champion stands by.
    Canary(Arc<Challenge>, Arc<Loaded>),
    /// The champion, with the challenger asked along.
    Shadow(Arc<Challenge>, Arc<Loaded>),
}

/// What was said, and by whom.
pub(crate) struct Said {
    pub(crate) model: Arc<Loaded>,
    pub(crate) arm: Option<Mode>,
    pub(crate) outputs: Outputs,
}

impl Answering {
    /// The version for a request: the one that the client asks for, or the one that `key` leads to.
    ///
    /// # Errors
    /// `NotFound` if the version that is asked for does not take part.
    pub(crate) fn choose(&self, version: Option<&str>, key: &str) -> Result<Chosen, Problem> {
        let champion = &self.champion;
        if let Some(version) = version {
            return self.asked_for(version);
        }
        let Some(challenge) = self.challenge.as_ref().filter(|challenge| challenge.runs()) else {
            return Ok(Chosen { model: Arc::clone(champion), way: Way::Plain(None) });
        };
        let challenge = Arc::clone(challenge);
        let challenger = challenge.takes(key.as_bytes()).cloned();
        Ok(match (challenge.rollout.mode, challenger) {
            (Mode::Canary, Some(challenger)) => Chosen { model: challenger, way: Way::Canary(challenge, Arc::clone(champion)) },
            (Mode::Shadow, Some(challenger)) => Chosen { model: Arc::clone(champion), way: Way::Shadow(challenge, challenger) },
            (_, None) => Chosen { model: Arc::clone(champion), way: Way::Champion(challenge) },
        })
    }

    fn asked_for(&self, version: &str) -> Result<Chosen, Problem> {
        let is_it = |model: &&Arc<Loaded>| model.number.to_string() == version;
        if let Some(champion) = Some(&self.champion).filter(is_it) {
            return Ok(Chosen { model: Arc::clone(champion), way: Way::Plain(None) });
        }
        // A shadow is heard by nobody, and what was halted is out for everybody.
        let challenger = self.challenge.as_ref().filter(|challenge| challenge.is_heard());
        let challenger = challenger.and_then(|challenge| Some((challenge, challenge.model.as_ref().ok()?)));
        if let Some((challenge, model)) = challenger.filter(|(_, model)| is_it(model)) {
            return Ok(Chosen { model: Arc::clone(model), way: Way::Plain(Some(challenge.rollout.mode)) });
        }
        let number = self.champion.number;
        Err(Problem::not_found(format!("version {number} answers here; ask without a version for whichever does")))
    }
}

impl Serving {
    /// Has the chosen version answer, and counts it where it is compared with another.
    pub(crate) async fn answer(&self, chosen: Chosen, place: &EndpointPlace, batch: Arc<Batch>) -> Result<Said, Problem> {
        let Chosen { model, way } = chosen;
        match way {
            Way::Plain(arm) => {
                let outputs = self.compute(Arc::clone(&model), batch).await?;
                Ok(Said { model, arm, outputs })
            }
            Way::Champion(challenge) => {
                let outputs = self.counted(&challenge, Arm::Champion, Arc::clone(&model), batch).await?;
                Ok(Said { model, arm: None, outputs })
            }
            Way::Canary(challenge, champion) => {
                let said = self.by_canary(&challenge, model, champion, batch).await;
                self.judge(&challenge, place);
                said
            }
            Way::Shadow(challenge, challenger) => {
                let outputs = self.counted(&challenge, Arm::Champion, Arc::clone(&model), Arc::clone(&batch)).await?;
                self.judge(&challenge, place);
                self.ask_along(challenge, challenger, batch, outputs.clone());
                Ok(Said { model, arm: None, outputs })
            }
        }
    }

    /// The challenger's answer; the champion's where the challenger has none, so that no client pays for the trial.
    async fn by_canary(
        &self,
        challenge: &Challenge,
        challenger: Arc<Loaded>,
        champion: Arc<Loaded>,
        batch: Arc<Batch>,
    ) -> Result<Said, Problem> {
        match self.counted(challenge, Arm::Challenger, Arc::clone(&challenger), Arc::clone(&batch)).await {
            Ok(outputs) => Ok(Said { model: challenger, arm: Some(Mode::Canary), outputs }),
            Err(_) => {
                // What the champion refuses too is the request's fault.
                let outputs = self.compute(Arc::clone(&champion), batch).await?;
                challenge.tally.failed(Arm::Challenger);
                Ok(Said { model: champion, arm: None, outputs })
            }
        }
    }

    /// Computes, and counts the answer.
    async fn counted(&self, challenge: &Challenge, arm: Arm, model: Arc<Loaded>, batch: Arc<Batch>) -> Result<Outputs, Problem> {
        let (row_count, start) = (batch.rows(), Instant::now());
        let outputs = self.compute(model, batch).await?;
        challenge.tally.answered(arm, &outputs, row_count, start.elapsed());
        Ok(outputs)
    }

    /// Asks the challenger along; nobody waits for it.
    fn ask_along(&self, challenge: Arc<Challenge>, challenger: Arc<Loaded>, batch: Arc<Batch>, said: Outputs) {
        let Ok(turn) = Arc::clone(&self.0.shadows).try_acquire_owned() else { return challenge.tally.left_out() };
        let tell = move |outputs: Option<Outputs>, row_count: usize, start: Instant| {
            match outputs {
                Some(outputs) => {
                    challenge.tally.answered(Arm::Challenger, &outputs, row_count, start.elapsed());
                    challenge.tally.compared(&said, &outputs);
                }
                None => challenge.tally.failed(Arm::Challenger),
            }
            drop(turn);
        };
        let (row_count, start) = (batch.rows(), Instant::now());
        match &challenger.model {
            Engine::Native(model) | Engine::Converted(model) => {
                let model = Arc::clone(model);
                tokio::task::spawn_blocking(move || tell(model.predict(&batch).ok(), row_count, start));
            }
            Engine::Elsewhere(model) => {
                let model = Arc::clone(model);
                tokio::spawn(async move { tell(model.predict(batch).await.ok(), row_count, start) });
            }
        }
    }
}
