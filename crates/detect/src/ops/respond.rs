//! `detections.respond`: the responder notes what became of a response.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::{Detect, store};

/// What is kept of a text about a response.
const STATE_CHARS_MAX: usize = 300;

/// Notes what became of a response.
pub struct Respond {
    pub(crate) room: Detect,
    pub(crate) id: String,
    pub(crate) rung: &'static str,
    pub(crate) state: String,
}

impl Operation for Respond {
    const ACTION: Action = super::RESPOND;
    type Output = ();

    fn target(&self) -> Target {
        Target::Server
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let state: String = self.state.chars().filter(|letter| !letter.is_control()).take(STATE_CHARS_MAX).collect();
        let (id, rung) = (self.id, self.rung);
        let write = self.room.db.write(&permit, move |writer| {
            store::responded(writer, &id, &state)?;
            Ok(((), Outcome::done().resource(id).with("response", rung)))
        });
        write.await
    }
}
