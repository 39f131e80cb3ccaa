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
//! `record::tests`.
//! INVARIANT: nodes hold ids and what the client said of code and data; people stand in it by principal id alone.

pub mod record;
mod types;

pub use types::{NodeKind, Relation, Trust};
