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
//! INVARIANT: nodes hold ids and what the client said of code and data; people stand in it by principal id alone.

mod onward;
pub mod ops;
mod origin;
pub mod record;
mod store;
mod text;
mod types;

#[cfg(test)]
mod tests;

pub use onward::{Onward, Stemming, onward};
pub use origin::{Origin, Used, of_version as origin_of_version};
pub use types::{Edge, Lineage as Graph, Node, NodeKind, Relation, Subject, Trust, Use};

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Lineage {
    db: vault::db::Db,
}

impl Lineage {
    /// The room over a database.
    #[must_use]
    pub const fn new(db: vault::db::Db) -> Self {
        Self { db }
    }
}

/// Every verb of this room.
pub const ACTIONS: &[gate::Action] = &[ops::LINEAGE_READ];
