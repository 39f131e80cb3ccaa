//! Evaluation datasets: the questions that models are asked, and what is expected of their answers.
//!
//! It is not where models are evaluated, nor where training data lives. A record is a client's JSON document: it is kept
//! and merged, never run. It knows no protocol: MLflow's wire maps onto the verbs in [`ops`].
//!
//! INVARIANT: a dataset is joined only to experiments of its own workspace. Held by `tests::experiments_elsewhere_are_not_found`.
//! INVARIANT: who made or changed something is the caller, whatever the client claims. Held by
//! `tests::attribution_is_the_callers`.
//! INVARIANT: a request's records are kept whole or not at all. Held by `tests::records_are_kept_all_or_none`.
//! INVARIANT: a list holds only rows of the permit's scope. Held by `tests::a_narrow_scope_lists_nothing`.

mod attribution;
mod document;
pub mod limits;
pub mod ops;
mod rules;
mod schema;
mod store;
mod types;

#[cfg(test)]
mod tests;

pub use store::locate;
pub use types::{Dataset, KeyValue, NewRecord, Page, Record, RecordSource, Upserted};

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Evaluation {
    db: vault::db::Db,
}

impl Evaluation {
    /// The room over a database.
    #[must_use]
    pub const fn new(db: vault::db::Db) -> Self {
        Self { db }
    }
}

/// Every verb of this room.
pub const ACTIONS: &[gate::Action] = &[ops::CREATE, ops::GET, ops::SEARCH, ops::UPDATE, ops::TAG, ops::LOG, ops::DELETE];
