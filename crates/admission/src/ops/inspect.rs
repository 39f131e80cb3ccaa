//! `admissions.inspect`: an inspection is asked for again.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use super::subject_of;
use crate::store::{inspections, standings};
use crate::types::{conflict, no_version};
use crate::{Admission, Inspection};

/// Queues another inspection of a version. An admitted one stays admitted until its verdict is there; what was refused by a
/// person stays refused.
pub struct QueueInspection {
    /// The room.
    pub room: Admission,
    /// The model's name.
    pub name: String,
    /// The version.
    pub version: String,
}

impl Operation for QueueInspection {
    const ACTION: Action = super::INSPECT;
    type Output = Inspection;

    fn target(&self) -> Target {
        Target::ModelVersion(self.name.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Inspection, Problem> {
        let subject = subject_of(&permit)?;
        let (caller, at) = (permit.caller().id.clone(), permit.entry().at);
        let queued = self.room.db().write(&permit, move |writer| {
            let standing = standings::get(writer, &subject)?.ok_or_else(no_version)?;
            if standing.place.is_none() {
                return Err(conflict("the version's files are not on this server, so there is nothing to inspect"));
            }
            let inspection = inspections::queue(writer, &subject, &standing.workspace, &caller, at)?;
            let outcome = Outcome::done().resource(subject.id()).with("inspection", inspection.id.clone());
            Ok((inspection, outcome))
        });
        let inspection = queued.await?;
        self.room.0.queued.notify_one();
        Ok(inspection)
    }
}
