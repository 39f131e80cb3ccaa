//! `datasets.inspect` and `datasets.cancel`: an inspection is asked for again, or stopped.

use gate::{Action, DataState, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};
use vault::db::Writer;

use super::decide::stop;
use crate::store::{inspections, versions};
use crate::types::no_version;
use crate::{Data, Inspection, rules};

/// Queues another inspection of a committed version. An admitted one stays admitted until its verdict is there; what was
/// refused by a person stays refused.
pub struct QueueInspection {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
}

impl Operation for QueueInspection {
    const ACTION: Action = super::INSPECT;
    type Output = Inspection;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Inspection, Problem> {
        let id = rules::version_id(&permit)?;
        let (workspace, caller, at) = (permit.workspace()?.to_owned(), permit.caller().id.clone(), permit.entry().at);
        let queued = self.room.db().write(&permit, move |writer| {
            let version = versions::get(writer, &id)?.ok_or_else(no_version)?;
            rules::committed(&version)?;
            let inspection = inspections::queue(writer, &id, &workspace, &caller, at)?;
            let outcome = Outcome::done().resource(id).with("inspection", inspection.id.clone());
            Ok((inspection, outcome))
        });
        let inspection = queued.await?;
        self.room.0.queued.notify_one();
        Ok(inspection)
    }
}

/// Stops the inspection of a version. The version stays in quarantine.
pub struct CancelInspection {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
}

impl Operation for CancelInspection {
    const ACTION: Action = super::CANCEL;
    type Output = Inspection;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Inspection, Problem> {
        let id = rules::version_id(&permit)?;
        let at = permit.entry().at;
        let cancelled = self.room.db().write(&permit, move |writer: &mut Writer<'_>| {
            let running = inspections::last(writer, &id)?.filter(|last| !last.state.is_over());
            let Some(running) = running else {
                return Err(Problem::new(Kind::Conflict, "no inspection of this version waits or runs"));
            };
            stop(writer, &running.id, running.state, at)?;
            versions::set_state(writer, &id, &[DataState::Inspecting], DataState::Quarantined)?;
            let stopped = inspections::get(writer, &running.id)?.unwrap_or(running);
            Ok((stopped.clone(), Outcome::done().resource(id).with("inspection", stopped.id)))
        });
        cancelled.await
    }
}
