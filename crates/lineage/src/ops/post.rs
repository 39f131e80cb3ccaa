//! Takes what OpenLineage events say of a workspace's runs, jobs and datasets.

use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, sha256};

use crate::claim::Event;
use crate::record::{KeptText, Scene, event_posted};
use crate::{Lineage, sealed};

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
        let Self { room, events } = self;
        let mut kept = Vec::with_capacity(events.len());
        for event in &events {
            let digest = sha256(event.body.as_bytes());
            let text = sealed::seal(&room.keys, &scene.workspace, &digest, &event.body).await?;
            kept.push(KeptText { digest, text });
        }
        room.db
            .write(&permit, move |writer| {
                for (event, kept) in events.iter().zip(&kept) {
                    event_posted(writer, &scene, event, kept)?;
                }
                Ok(((), Outcome::done().with("events", events.len())))
            })
            .await
    }
}
