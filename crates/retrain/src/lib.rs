//! Training registered models again: what shall run is written down, and run where the server decides, with a token for nothing else.
//!
//! It is not a scheduler, and it runs nothing itself: an [`Execute`] does, in a sandbox on this machine or on a cluster. It is not
//! the registry either: a new version is registered through the gate, with a token of whoever asked.
//!
//! ```text
//! submitted → queued (until its data is admitted) → running → succeeded (a new version, in quarantine)
//!                                                          ↘ failed, cancelled
//! ```
//!
//! INVARIANT: what runs is what was asked for: code, entry, parameters and data stand in one document whose digest is in the records,
//! and code that is no longer what it was then does not run. Held by `tests::jobs`.
//! INVARIANT: a job's token can do no more than whoever asked for it, within one experiment and one version of one data set, for an hour
//! at most; it is revoked before anything is registered. Held by `tests::jobs` and `tests/clients/test_retrain.py`.
//! INVARIANT: an edge is `executed` only where the server chose and started what it tells of; data counts only if it was read. Held by
//! `tests::origin`.
//! INVARIANT: records hold ids, digests and counts, never a parameter, a path or a line of a log. Held by `tests::jobs`.

mod config;
mod entry;
mod environment;
mod execute;
pub mod limits;
mod log;
pub mod ops;
mod runner;
mod store;
mod token;
mod types;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use artifacts::Artifacts;
use gate::Action;
use tokio::sync::Notify;
use vault::db::{Db, SystemDb};

pub use config::{RayConfig, RetrainConfig};
pub use entry::words;
pub use environment::environment;
pub use execute::{Errand, Execute, ExecuteError, Finished};
pub use log::JobLog;
pub use runner::{Rooms, Runner};
pub use token::TRAINING_VERBS;
pub use types::{CodeFile, CodeSpec, DataSpec, Draft, Executor, Job, JobState, Request, Snapshot, Spec};

/// The job that trains.
pub const RETRAINER: &str = "retrainer";

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::PREPARE,
    ops::SNAPSHOT,
    ops::SUBMIT,
    ops::SHOW,
    ops::LIST,
    ops::LOGS,
    ops::CANCEL,
    ops::REQUESTS,
    ops::BEGIN,
    ops::FETCH,
    ops::CONFIRM,
    ops::END,
];

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Retrain(Arc<Inner>);

struct Inner {
    db: Db,
    /// For what is no change of its own: a job's progress and log.
    system: SystemDb,
    artifacts: Artifacts,
    config: RetrainConfig,
    /// Wakes the runners when a job is queued.
    queued: Notify,
}

impl Retrain {
    /// The room over its ground.
    #[must_use]
    pub fn new(db: Db, system: SystemDb, artifacts: Artifacts, config: RetrainConfig) -> Self {
        Self(Arc::new(Inner { db, system, artifacts, config, queued: Notify::new() }))
    }

    fn db(&self) -> &Db {
        &self.0.db
    }
}
