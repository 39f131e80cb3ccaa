//! Gives OpenLineage's events back as they were sent.

use gate::{Action, Operation, Permit, Target};
use kernel::{Micros, Problem};

use crate::{Lineage, sealed, store};

/// Events of one answer.
pub const EVENT_LIMIT_MAX: i64 = 1_000;
/// How far a list can be skipped.
pub const EVENT_OFFSET_MAX: i64 = 1_000_000;

/// Lists events by their time.
pub struct ListEvents {
    /// The room.
    pub room: Lineage,
    /// Which.
    pub wish: EventWish,
}

/// Which events, and in which order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventWish {
    /// Not before this.
    pub after: Micros,
    /// Before this.
    pub before: Micros,
    /// At most so many.
    pub limit: i64,
    /// Without the first ones.
    pub offset: i64,
    /// Whether the oldest come first.
    pub oldest_first: bool,
}

/// Events, as they were sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Events {
    /// Their texts.
    pub bodies: Vec<String>,
    /// How many there are between the two times.
    pub total_count: i64,
}

impl Operation for ListEvents {
    const ACTION: Action = super::LINEAGE_EVENTS;
    type Output = Events;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, permit: Permit<Self>) -> Result<Events, Problem> {
        let workspace = permit.workspace()?.to_owned();
        let Self { room, wish } = self;
        let here = workspace.clone();
        let (kept, total_count) = room.db.read(&permit, move |reader| Ok(store::events(reader, &here, &wish)?)).await?;
        let mut bodies = Vec::with_capacity(kept.len());
        for (digest, text) in kept {
            bodies.push(sealed::open(&room.keys, &workspace, &digest, text).await?);
        }
        Ok(Events { bodies, total_count })
    }
}
