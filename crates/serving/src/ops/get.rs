//! `endpoints.get`.

use std::sync::Arc;

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use super::endpoint_of;
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
    /// How it is guarded, where that can be told.
    pub guard: Option<GuardState>,
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
        let (model, obstacle) = match self.room.answering(&permit, &id).await {
            Ok(model) => (Some(model), None),
            Err(problem) => (None, Some(problem.message().to_owned())),
        };
        let guard = self.room.guard_state(&permit, &id, model.as_deref()).await.ok();
        Ok(Ready { endpoint, model, obstacle, guard })
    }
}
