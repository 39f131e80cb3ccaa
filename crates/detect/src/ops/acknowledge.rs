//! `detections.acknowledge`: somebody is on it.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Kind, Problem};

use crate::types::Detection;
use crate::{Detect, store};

/// Says that somebody is on it. Receivers outside are told that the alert is over.
pub struct AcknowledgeDetection {
    /// The room.
    pub room: Detect,
    /// The detection's id.
    pub id: String,
}

impl Operation for AcknowledgeDetection {
    const ACTION: Action = super::ACKNOWLEDGE;
    type Output = Detection;

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<Detection, Problem> {
        let (at, by) = (permit.entry().at, permit.caller().id.clone());
        let (id, targets) = (self.id, self.room.targets);
        let write = self.room.db.write(&permit, move |writer| {
            let before = store::get(writer, &id)?.ok_or_else(super::no_detection)?;
            // Who is accused does not close the case.
            if before.caller.as_ref().is_some_and(|(caller, _)| *caller == by) {
                return Err(Problem::forbidden("it is about you: somebody else has to acknowledge it"));
            }
            let Some(alert) = store::acknowledge(writer, &id, at, &by)? else {
                return Err(Problem::new(Kind::Conflict, "somebody is on it already"));
            };
            observe::event::settle_apart(writer, &targets, &alert, at, &by)?;
            let after = store::get(writer, &id)?.ok_or_else(super::no_detection)?;
            Ok((after, Outcome::done().resource(id)))
        });
        write.await
    }
}
