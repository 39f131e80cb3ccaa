//! `admissions.rescan`: what was judged by other rules is judged again.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::Admission;
use crate::limits::RESCAN_COUNT;
use crate::store::inspections;

/// Queues inspections of versions whose last one went by other rules of the file scanner than `rules`; gives how many. An admitted
/// version stays admitted until its new verdict is there.
pub struct QueueRescans {
    /// The room.
    pub room: Admission,
    /// The digest of the rules that count now.
    pub rules: String,
}

impl Operation for QueueRescans {
    const ACTION: Action = super::RESCAN;
    type Output = usize;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<usize, Problem> {
        let (rules, at, caller) = (self.rules, permit.entry().at, permit.caller().id.clone());
        let queued = self.room.db().write(&permit, move |writer| {
            let old = inspections::judged_otherwise(writer, &rules, RESCAN_COUNT)?;
            for (subject, workspace) in &old {
                inspections::queue(writer, subject, workspace, &caller, at)?;
            }
            Ok((old.len(), Outcome::done().with("rules", rules).with("count", old.len())))
        });
        queued.await
    }
}
