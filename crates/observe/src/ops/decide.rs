//! `alerts.acknowledge` and `alerts.resolve`.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use super::no_alert;
use crate::Observe;
use crate::store::{alerts, news};
use crate::types::{Alert, News};

/// Says that somebody is on it.
pub struct AcknowledgeAlert {
    /// The room.
    pub room: Observe,
    /// The alert's id.
    pub id: String,
}

impl Operation for AcknowledgeAlert {
    const ACTION: Action = super::ACKNOWLEDGE;
    type Output = Alert;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Alert, Problem> {
        let (workspace, id) = (permit.workspace()?.to_owned(), self.id);
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let done = self.room.db().write(&permit, move |writer| {
            alerts::get(writer, &workspace, &id)?.ok_or_else(no_alert)?;
            if !alerts::acknowledge(writer, &id, at, &by)? {
                return Err(Problem::new(Kind::Conflict, "the alert is not open: somebody is on it, or it is over"));
            }
            let alert = alerts::get(writer, &workspace, &id)?.ok_or_else(no_alert)?;
            Ok((alert, Outcome::done().resource(id)))
        });
        done.await
    }
}

/// Closes an alert. If what it is about goes on, the next look opens another.
pub struct ResolveAlert {
    /// The room.
    pub room: Observe,
    /// The alert's id.
    pub id: String,
}

impl Operation for ResolveAlert {
    const ACTION: Action = super::RESOLVE;
    type Output = Alert;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Alert, Problem> {
        let (workspace, id) = (permit.workspace()?.to_owned(), self.id);
        let (at, by, targets) = (permit.entry().at, permit.caller().id.clone(), self.room.targets());
        let done = self.room.db().write(&permit, move |writer| {
            alerts::get(writer, &workspace, &id)?.ok_or_else(no_alert)?;
            if !alerts::resolve(writer, &id, at, &by)? {
                return Err(Problem::new(Kind::Conflict, "the alert is over already"));
            }
            news::add(writer, &targets, &id, News::Resolved, at)?;
            let alert = alerts::get(writer, &workspace, &id)?.ok_or_else(no_alert)?;
            Ok((alert, Outcome::done().resource(id)))
        });
        done.await
    }
}
