//! Registered models, their versions and aliases, and the models that runs log.
//!
//! It is not where a model's bytes lie, and not where they are inspected. It opens no address: sources on this server are
//! resolved by id, all others are opaque texts. It knows no protocol; MLflow's wire maps onto the verbs in [`ops`].
//!
//! INVARIANT: a version's number is never given twice, and a version's author is its caller. Held by
//! `tests::versions`.
//! INVARIANT: no source names a local file or a host. Held by `source::tests`.
//! INVARIANT: a version that the port [`Admission`] does not let out carries no new alias and no active stage. Held by the tests of
//! the room behind it.
//! INVARIANT: a list holds only rows of the permit's scope. Held by `tests::scope_narrows_lists`.

mod admission;
pub mod limits;
pub mod ops;
mod rules;
mod source;
mod store;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

pub use admission::{Admission, Registered};
pub use store::{INSERT_LOGGED_MODEL_METRIC, locate};
pub use types::{
    Alias, DatasetFilter, KeyValue, LoggedModel, LoggedModelMetric, LoggedModelStatus, ModelVersion, PROMPT_TAG, Page,
    RegisteredModel, Stage, VERSIONS_TAG,
};

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Registry {
    db: vault::db::Db,
    /// What stands between versions and their use; without it nothing does, as in this room's own tests.
    admission: Option<Arc<dyn Admission>>,
}

impl Registry {
    /// The room over a database.
    #[must_use]
    pub const fn new(db: vault::db::Db) -> Self {
        Self { db, admission: None }
    }

    /// The same, with versions in quarantine until `admission` lets them out.
    #[must_use]
    pub fn with_admission(mut self, admission: Arc<dyn Admission>) -> Self {
        self.admission = Some(admission);
        self
    }
}

/// Every verb of this room.
pub const ACTIONS: &[gate::Action] = &[
    ops::MODELS_CREATE,
    ops::MODELS_GET,
    ops::MODELS_SEARCH,
    ops::MODELS_UPDATE,
    ops::MODELS_DELETE,
    ops::MODELS_TAG,
    ops::MODELS_ALIAS,
    ops::VERSIONS_CREATE,
    ops::VERSIONS_GET,
    ops::VERSIONS_SEARCH,
    ops::VERSIONS_UPDATE,
    ops::VERSIONS_DELETE,
    ops::VERSIONS_TAG,
    ops::VERSIONS_STAGE,
    ops::LOGGED_MODELS_CREATE,
    ops::LOGGED_MODELS_GET,
    ops::LOGGED_MODELS_SEARCH,
    ops::LOGGED_MODELS_UPDATE,
    ops::LOGGED_MODELS_DELETE,
    ops::LOGGED_MODELS_LOG,
];
