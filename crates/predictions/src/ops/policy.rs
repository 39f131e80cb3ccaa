//! `predictions.policy` and `predictions.set_policy`: what is kept of an endpoint's predictions.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;
use vault::db::Reader;

use crate::log::policy_of;
use crate::types::{LogPolicy, Policy};
use crate::{Predictions, store};

/// Shows what is kept.
pub struct GetPolicy {
    /// The room.
    pub room: Predictions,
    /// The endpoint.
    pub endpoint: String,
}

impl Operation for GetPolicy {
    const ACTION: Action = super::POLICY;
    type Output = Policy;

    fn target(&self) -> Target {
        Target::Endpoint(self.endpoint.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Policy, Problem> {
        let (endpoint_id, workspace) = (endpoint_of(&permit)?, permit.workspace()?.to_owned());
        let now = permit.entry().at;
        let read = move |reader: &mut Reader<'_>| {
            let version = serving::version_now(reader, &endpoint_id)?;
            // No version answers now: as long as nothing is known of it, hashes are kept.
            Ok(policy_of(reader, &workspace, &endpoint_id, &version.unwrap_or_default(), now)?)
        };
        self.room.db().read(&permit, read).await
    }
}

/// Says what is kept from now on.
pub struct SetPolicy {
    /// The room.
    pub room: Predictions,
    /// The endpoint.
    pub endpoint: String,
    /// What is kept; none for what follows from the data that the model was trained on.
    pub log: Option<LogPolicy>,
}

impl Operation for SetPolicy {
    const ACTION: Action = super::SET_POLICY;
    type Output = ();

    fn target(&self) -> Target {
        Target::Endpoint(self.endpoint.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let (endpoint_id, log) = (endpoint_of(&permit)?, self.log);
        let (at, by, id) = (permit.entry().at, permit.caller().id.clone(), endpoint_id.clone());
        let write = move |writer: &mut vault::db::Writer<'_>| {
            store::set_policy(writer, &id, log, at, &by)?;
            let word = log.map_or("by_data", LogPolicy::word);
            Ok(((), Outcome::done().resource(id).with("log", word)))
        };
        self.room.db().write(&permit, write).await?;
        self.room.0.plans.forget(&endpoint_id);
        Ok(())
    }
}

fn endpoint_of<O: ?Sized>(permit: &Permit<O>) -> Result<String, Problem> {
    let facts = permit.facts();
    facts.id.clone().filter(|_| facts.exists).ok_or_else(|| Problem::not_found("there is no such endpoint here"))
}
