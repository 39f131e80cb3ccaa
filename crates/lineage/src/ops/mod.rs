//! The verbs.

mod events;
mod graph;
mod post;
mod show;
mod walk;

use gate::Action;

pub use events::{EVENT_LIMIT_MAX, EVENT_OFFSET_MAX, EventWish, Events, ListEvents};
pub use graph::{Neighbourhood, RunState, ShowNeighbourhood};
pub use post::PostEvents;
pub use show::Show;
pub use walk::{DETAIL_NODE_COUNT_MAX, Found, WalkGraph, Walked};

/// See what stands behind a thing, and what stems from it.
pub const LINEAGE_READ: Action = Action::read("lineage.read");
/// Tell of runs, jobs and datasets elsewhere.
pub const LINEAGE_POST: Action = Action::write("lineage.post");
/// See what was told, as it was sent.
pub const LINEAGE_EVENTS: Action = Action::read("lineage.events");
