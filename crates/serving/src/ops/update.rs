//! `endpoints.update`.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;
use lineage::record::Scene;

use super::endpoint_of;
use super::takeover::answer_with;
use crate::types::{Choice, Endpoint, no_endpoint};
use crate::{Serving, store};

/// Lets an endpoint answer with another version of its model, at once. The version must be admitted.
pub struct UpdateEndpoint {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// Which version: a number, or `@alias`.
    pub choice: String,
}

impl Operation for UpdateEndpoint {
    const ACTION: Action = super::UPDATE;
    type Output = Endpoint;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Endpoint, Problem> {
        let (id, choice) = (endpoint_of(&permit)?, Choice::parse(&self.choice)?);
        self.room.load_ahead(&permit, &id, &choice).await?;
        let (at, by, admission) = (permit.entry().at, permit.caller().id.clone(), self.room.0.admission.clone());
        let (wanted, scene) = (id.clone(), Scene::of(&permit)?);
        let changed = self.room.db().write(&permit, move |writer| {
            let endpoint = store::get(writer, &wanted)?.ok_or_else(no_endpoint)?;
            let version = answer_with(writer, &admission, &scene, &endpoint, &choice, (at, &by))?;
            let endpoint = store::get(writer, &wanted)?.ok_or_else(no_endpoint)?;
            Ok((endpoint, Outcome::done().resource(wanted).with("version", version)))
        });
        let changed = changed.await?;
        self.room.look_again(&id);
        Ok(changed)
    }
}
