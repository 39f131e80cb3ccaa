//! The newest signed checkpoint, for witnesses, mirrors and whoever wants to hold us to it.

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::room::Audit;
use crate::witness::with_cosignatures;

/// Reads the newest checkpoint.
pub struct ReadCheckpoint {
    /// The room.
    pub room: Audit,
}

impl Operation for ReadCheckpoint {
    const ACTION: Action = Action::read("audit.checkpoint");
    /// The signed note.
    type Output = String;

    fn target(&self) -> Target {
        Target::AuditLog
    }

    async fn run(self, _permit: Permit<Self>) -> Result<String, Problem> {
        let (checkpoint, note) = self.room.log.checkpoint()?;
        Ok(with_cosignatures(&self.room.log.folders().anchors, checkpoint.size, note))
    }
}
