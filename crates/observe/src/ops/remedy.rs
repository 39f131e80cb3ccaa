//! `remedies.run` and `remedies.done`. What lies between is another room's verb, asked for as the same caller: a remedy gives nobody a
//! right that they do not have.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use super::{no_alert, no_remedy};
use crate::Observe;
use crate::store::alerts;
use crate::types::{AlertState, BEGUN, Remedy, bounded};

/// Takes a remedy up.
pub struct RunRemedy {
    /// The room.
    pub room: Observe,
    /// Its id.
    pub id: String,
}

impl Operation for RunRemedy {
    const ACTION: Action = super::REMEDY;
    type Output = Remedy;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Remedy, Problem> {
        let (workspace, id) = (permit.workspace()?.to_owned(), self.id);
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let taken = self.room.db().write(&permit, move |writer| {
            let remedy = alerts::remedy(writer, &id)?.ok_or_else(no_remedy)?;
            let alert = alerts::get(writer, &workspace, &remedy.alert)?.ok_or_else(no_remedy)?;
            if alert.state == AlertState::Resolved {
                return Err(Problem::new(Kind::Conflict, "the alert is over; run the remedy's command if it is still wanted"));
            }
            if let Some(why) = remedy.taken(at) {
                return Err(Problem::new(Kind::Conflict, why));
            }
            if alert.state == AlertState::Open {
                alerts::acknowledge(writer, &alert.id, at, &by)?;
            }
            alerts::remedy_done(writer, &id, at, &by, BEGUN)?;
            let outcome = Outcome::done().resource(id.clone()).with("alert", remedy.alert.clone());
            Ok((remedy, outcome))
        });
        taken.await
    }
}

/// Notes what came of a remedy.
pub struct RemedyDone {
    /// The room.
    pub room: Observe,
    /// Its id.
    pub id: String,
    /// What came of it, in words.
    pub result: String,
}

impl Operation for RemedyDone {
    const ACTION: Action = super::REMEDY_DONE;
    type Output = Remedy;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Remedy, Problem> {
        let (workspace, id, result) = (permit.workspace()?.to_owned(), self.id, bounded(&self.result));
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let noted = self.room.db().write(&permit, move |writer| {
            let remedy = alerts::remedy(writer, &id)?.ok_or_else(no_remedy)?;
            alerts::get(writer, &workspace, &remedy.alert)?.ok_or_else(no_alert)?;
            alerts::remedy_done(writer, &id, at, &by, &result)?;
            let remedy = alerts::remedy(writer, &id)?.ok_or_else(no_remedy)?;
            Ok((remedy, Outcome::done().resource(id)))
        });
        noted.await
    }
}
