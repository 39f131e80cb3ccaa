//! `endpoints.promote` and `endpoints.rollback`: another version answers at once.

use admission::Admission;
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem};
use lineage::record::Scene;
use vault::db::Writer;

use super::endpoint_of;
use crate::types::{Choice, Endpoint, no_endpoint, no_rollout};
use crate::{Serving, load, store};

/// Lets the challenger of a rollout answer all requests. What the rollout's limits took out needs another one first.
pub struct PromoteChallenger {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// The endpoint's mark as it was seen: where it has another one by now, nothing is done.
    pub seen: Option<String>,
}

impl Operation for PromoteChallenger {
    const ACTION: Action = super::PROMOTE;
    type Output = Endpoint;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Endpoint, Problem> {
        let id = endpoint_of(&permit)?;
        let (at, by, admission) = (permit.entry().at, permit.caller().id.clone(), self.room.0.admission.clone());
        let (wanted, scene, seen) = (id.clone(), Scene::of(&permit)?, self.seen);
        let promoted = self.room.db().write(&permit, move |writer| {
            let endpoint = store::get(writer, &wanted)?.ok_or_else(no_endpoint)?;
            endpoint.still_as(seen.as_deref())?;
            let rollout = endpoint.rollout.clone().ok_or_else(no_rollout)?;
            if let Some((_, why)) = rollout.halted {
                let message = format!("the rollout was halted: {why}; begin another one, or update the endpoint itself");
                return Err(Problem::new(Kind::Conflict, message));
            }
            let version = answer_with(writer, &admission, &scene, &endpoint, &rollout.choice, (at, &by))?;
            store::end(writer, &wanted)?;
            let endpoint = store::get(writer, &wanted)?.ok_or_else(no_endpoint)?;
            Ok((endpoint, Outcome::done().resource(wanted).with("version", version)))
        });
        let promoted = promoted.await?;
        self.room.look_again(&id);
        Ok(promoted)
    }
}

/// Takes the last change back: a rollout ends; where there is none, the version that answered before answers again.
pub struct Rollback {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// The endpoint's mark as it was seen: where it has another one by now, nothing is done.
    pub seen: Option<String>,
}

impl Operation for Rollback {
    const ACTION: Action = super::ROLLBACK;
    type Output = Endpoint;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Endpoint, Problem> {
        let id = endpoint_of(&permit)?;
        let (at, by, admission) = (permit.entry().at, permit.caller().id.clone(), self.room.0.admission.clone());
        let (wanted, scene, seen) = (id.clone(), Scene::of(&permit)?, self.seen);
        let taken_back = self.room.db().write(&permit, move |writer| {
            let endpoint = store::get(writer, &wanted)?.ok_or_else(no_endpoint)?;
            endpoint.still_as(seen.as_deref())?;
            let mut outcome = Outcome::done().resource(wanted.clone());
            if let Some(rollout) = &endpoint.rollout {
                store::end(writer, &wanted)?;
                outcome = outcome.with("ended", rollout.id.clone());
            } else {
                let choice = endpoint.previous.map(Choice::Number).ok_or_else(nothing_before)?;
                let version = answer_with(writer, &admission, &scene, &endpoint, &choice, (at, &by))?;
                outcome = outcome.with("version", version);
            }
            let endpoint = store::get(writer, &wanted)?.ok_or_else(no_endpoint)?;
            Ok((endpoint, outcome))
        });
        let taken_back = taken_back.await?;
        self.room.look_again(&id);
        Ok(taken_back)
    }
}

/// Lets another version of its model answer for an endpoint, if it may be served; where that leads back from is remembered, and the
/// lineage knows it. Gives the version's id.
pub(super) fn answer_with(
    writer: &mut Writer<'_>,
    admission: &Admission,
    scene: &Scene,
    endpoint: &Endpoint,
    choice: &Choice,
    change: (Micros, &str),
) -> Result<String, Problem> {
    let version = load::version_of(writer, endpoint, choice)?;
    admission.servable(writer, &version)?;
    let previous = load::number_now(writer, endpoint);
    store::choose(writer, &endpoint.id, choice, previous, change)?;
    store::note_answers(writer, scene, endpoint, &version)?;
    Ok(version)
}

fn nothing_before() -> Problem {
    Problem::new(Kind::Conflict, "no other version answered here before; `strongroom endpoint update` chooses one")
}
