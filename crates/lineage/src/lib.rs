//! The graph of where things come from: which code, data and people stand behind a run, a model and a version.
//!
//! Other rooms write it through [`record`], in the transaction of the change itself; this room's own verb reads it. It is
//! not the audit log: an edge names the audit entry that made it, and holds no proof of its own.
//!
//! An edge points from the later thing to what it stems from, in the words of W3C PROV: a run `used` a dataset, a model was
//! `generated` by a run, a version was `derived` from a model, a run is `associated` with a person, a version `attributed`
//! to one.
//!
//! INVARIANT: an edge is `observed` only where the server itself saw the act; what a client merely said is `claimed`. Held by
//! `tests::claims_and_observations`.
//! INVARIANT: an event's text, in which a client may put anything, is kept sealed. Held by `tests::walks::an_events_text_is_kept_sealed`.
//! INVARIANT: nodes hold ids and what the client said of code and data; people stand in it by principal id alone.

pub mod claim;
mod find;
mod made;
mod onward;
pub mod ops;
mod origin;
pub mod record;
mod root;
mod sealed;
mod store;
mod svg;
mod text;
mod types;
mod walk;
mod walk_text;

#[cfg(test)]
mod tests;

pub use find::{Endpoint, sha256_in};
pub use made::Made;
pub use onward::{Onward, Stemming, onward};
pub use origin::{Origin, Used, of_version as origin_of_version};
pub use root::Root;
pub use types::{Edge, Lineage as Graph, Node, NodeKind, Relation, Subject, Trust, Use};
pub use walk::{Direction, WALK_EDGE_COUNT_MAX, WALK_NODE_COUNT_MAX};

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Lineage {
    db: vault::db::Db,
    keys: vault::keys::Keyring,
}

impl Lineage {
    /// The room over a database; `keys` seal the texts of events.
    #[must_use]
    pub const fn new(db: vault::db::Db, keys: vault::keys::Keyring) -> Self {
        Self { db, keys }
    }
}

/// Every verb of this room.
pub const ACTIONS: &[gate::Action] = &[ops::LINEAGE_READ, ops::LINEAGE_POST, ops::LINEAGE_EVENTS];
