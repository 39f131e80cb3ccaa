//! `endpoints.get`.

use std::sync::Arc;

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use super::endpoint_of;
use crate::rollout::{Challenge, Comparison};
use crate::types::{Endpoint, no_endpoint};
use crate::{GuardState, Loaded, Serving, store};

/// Shows an endpoint, and the model that answers. Where none can, it says why.
pub struct GetEndpoint {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
}

/// An endpoint, and whether it answers.
#[derive(Clone, Debug)]
pub struct Ready {
    /// The endpoint.
    pub endpoint: Endpoint,
    /// The model that answers.
    pub model: Option<Arc<Loaded>>,
    /// Why none does.
    pub obstacle: Option<String>,
    /// The second version, while one takes part.
    pub challenger: Option<Challenger>,
    /// How it is guarded, where that can be told.
    pub guard: Option<GuardState>,
}

/// A second version, and how it does beside the one that answers.
#[derive(Clone, Debug)]
pub struct Challenger {
    /// The version, if it can be asked.
    pub model: Option<Arc<Loaded>>,
    /// Why it cannot.
    pub obstacle: Option<String>,
    /// What this server counted since it knows the rollout.
    pub comparison: Comparison,
}

impl Operation for GetEndpoint {
    const ACTION: Action = super::GET;
    type Output = Ready;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Ready, Problem> {
        let id = endpoint_of(&permit)?;
        let wanted = id.clone();
        let endpoint = self.room.db().read(&permit, move |reader| store::get(reader, &wanted)?.ok_or_else(no_endpoint)).await?;
        let (answering, obstacle) = match self.room.answering(&permit, &id).await {
            Ok(answering) => (Some(answering), None),
            Err(problem) => (None, Some(problem.message().to_owned())),
        };
        let challenger = answering.as_ref().and_then(|answering| answering.challenge.as_deref()).map(challenger);
        let model = answering.map(|answering| answering.champion);
        let guard = self.room.guard_state(&permit, &id, model.as_deref()).await.ok();
        Ok(Ready { endpoint, model, obstacle, challenger, guard })
    }
}

fn challenger(challenge: &Challenge) -> Challenger {
    let stored = challenge.rollout.halted.as_ref();
    let halted = stored.or_else(|| challenge.tally.halted()).map(|(_, why)| format!("it was halted: {why}"));
    Challenger {
        model: challenge.model.as_ref().ok().cloned(),
        obstacle: challenge.model.as_ref().err().cloned().or(halted),
        comparison: challenge.tally.comparison(),
    }
}
