//! `endpoints.rollout`: lets a second version take part.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Micros, Problem, random_id};
use lineage::record::Scene;

use super::endpoint_of;
use crate::rollout::{Mode, Rollout, Stops};
use crate::types::{Choice, Endpoint, no_endpoint};
use crate::{Serving, load, store};

/// Lets another version of the endpoint's model answer a share of the requests, or be asked along. It must be admitted. Where one
/// takes part already, this one takes its place; if only the share or the limits differ, what was counted begins anew too.
pub struct StartRollout {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// The challenger: a number, or `@alias`.
    pub choice: String,
    /// How it takes part.
    pub mode: Mode,
    /// In how many requests of a thousand.
    pub share_permille: u16,
    /// When it ends by itself.
    pub stops: Stops,
}

impl Operation for StartRollout {
    const ACTION: Action = super::ROLLOUT;
    type Output = Endpoint;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Endpoint, Problem> {
        let (id, choice) = (endpoint_of(&permit)?, Choice::parse(&self.choice)?);
        let rollout = Rollout {
            id: random_id(),
            choice: choice.clone(),
            mode: self.mode,
            share_permille: self.share_permille,
            stops: self.stops,
            began_at: permit.entry().at,
            began_by: permit.caller().id.clone(),
            halted: None,
        };
        rollout.check()?;
        self.room.load_ahead(&permit, &id, &choice).await?;
        let (admission, wanted, scene) = (self.room.0.admission.clone(), id.clone(), Scene::of(&permit)?);
        let begun = self.room.db().write(&permit, move |writer| {
            let endpoint = store::get(writer, &wanted)?.ok_or_else(no_endpoint)?;
            let challenger = load::version_of(writer, &endpoint, &rollout.choice)?;
            admission.servable(writer, &challenger)?;
            if load::version_of(writer, &endpoint, &endpoint.choice)? == challenger {
                return Err(Problem::invalid("that version answers here already; let another one take part"));
            }
            store::begin(writer, &wanted, &rollout)?;
            store::note_answers(writer, &scene, &endpoint, &challenger)?;
            let endpoint = store::get(writer, &wanted)?.ok_or_else(no_endpoint)?;
            let outcome = Outcome::done().resource(wanted).with("version", challenger).with("rollout", rollout.mode.as_str());
            Ok((endpoint, outcome.with("share_permille", i64::from(rollout.share_permille))))
        });
        let begun = begun.await?;
        self.room.look_again(&id);
        Ok(begun)
    }
}

/// Writes down that a rollout ended by itself. The server that saw it lets the challenger out before this is written.
pub struct HaltRollout {
    /// The room.
    pub room: Serving,
    /// The endpoint's name.
    pub name: String,
    /// The rollout.
    pub rollout: String,
    /// When.
    pub at: Micros,
    /// Why.
    pub why: String,
}

impl Operation for HaltRollout {
    const ACTION: Action = super::HALT;
    type Output = bool;

    fn target(&self) -> Target {
        Target::Endpoint(self.name.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<bool, Problem> {
        let id = endpoint_of(&permit)?;
        let (rollout, why, at) = (self.rollout, self.why, self.at);
        let halted = self.room.db().write(&permit, move |writer| {
            let is_new = store::halt(writer, &rollout, at, &why)?;
            Ok((is_new, Outcome::done().resource(id).with("rollout", rollout).with("why", why)))
        });
        halted.await
    }
}
