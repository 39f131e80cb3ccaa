//! Takes what OpenLineage events say of a workspace's runs, jobs and datasets.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::Problem;

use crate::Lineage;
use crate::claim::Event;
use crate::record::{Scene, event_posted};

/// Takes events. All of what they say is claimed; the same event twice is kept once.
pub struct PostEvents {
    /// The room.
    pub room: Lineage,
    /// The events, in the order in which they were sent.
    pub events: Vec<Event>,
}

impl Operation for PostEvents {
    const ACTION: Action = super::LINEAGE_POST;
    type Output = ();

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<(), Problem> {
        let scene = Scene::of(&permit)?;
        let events = self.events;
        self.room
            .db
            .write(&permit, move |writer| {
                for event in &events {
                    event_posted(writer, &scene, event)?;
                }
                Ok(((), Outcome::done().with("events", events.len())))
            })
            .await
    }
}
