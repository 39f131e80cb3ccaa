//! Experiments and runs: what was tried, with which parameters, and how well it went.
//!
//! It is not where the bytes of artifacts live, nor logged models and registered ones (`registry`), nor the search
//! grammar (`filter`). It knows no protocol: MLflow's wire maps onto the verbs in [`ops`].
//!
//! INVARIANT: a run's user is its caller, whatever the client claims. Held by `tests::runs::attribution_is_the_callers`.
//! INVARIANT: a parameter never changes once it is logged. Held by `tests::logging::a_param_never_changes`.
//! INVARIANT: a batch is logged whole or not at all. Held by `tests::logging::a_batch_is_all_or_nothing`.
//! INVARIANT: a list holds only rows of the permit's scope. Held by `tests::search::a_scope_narrows_lists`.

mod attribution;
pub mod limits;
mod location;
mod names;
pub mod ops;
mod points;
mod rules;
mod store;
mod types;

#[cfg(test)]
mod tests;

pub use store::locate;
pub use types::{
    Dataset, DatasetInput, DatasetSummary, Experiment, KeyValue, MetricPoint, ModelLink, NewMetric, Page, Run, RunData, RunInfo,
    RunMetricPoint, RunStatus, Stage, View,
};

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Tracking {
    db: vault::db::Db,
}

impl Tracking {
    /// The room over a database.
    #[must_use]
    pub const fn new(db: vault::db::Db) -> Self {
        Self { db }
    }
}

/// Every verb of this room.
pub const ACTIONS: &[gate::Action] = &[
    ops::EXPERIMENTS_CREATE,
    ops::EXPERIMENTS_GET,
    ops::EXPERIMENTS_SEARCH,
    ops::EXPERIMENTS_UPDATE,
    ops::EXPERIMENTS_DELETE,
    ops::EXPERIMENTS_RESTORE,
    ops::EXPERIMENTS_TAG,
    ops::RUNS_CREATE,
    ops::RUNS_GET,
    ops::RUNS_SEARCH,
    ops::RUNS_UPDATE,
    ops::RUNS_DELETE,
    ops::RUNS_RESTORE,
    ops::RUNS_LOG,
    ops::RUNS_TAG,
    ops::METRICS_READ,
];
