//! What endpoints were asked and what they said: kept, sealed, found again, proven, erased.
//!
//! ```text
//! request → [`serving::PredictionLog`] → journal (before the answer) → batch: Parquet object + row + Merkle root in the log
//!                                                                          ↓ list, show, query (worker), prove
//! ```
//!
//! It is not the audit log, which records that a request was made, by whom, and the digest of what was kept here. It computes no
//! prediction and runs no SQL of its own.
//!
//! INVARIANT: a prediction that was answered is in the journal or in a batch, also after the process was killed. Held by
//! `journal::tests`, `tests::sealing`.
//! INVARIANT: what is kept of a prediction cannot be changed unseen once its batch is sealed. Held by `proof::tests`, `tests::proofs`.
//! INVARIANT: values of a request that names its subject open under that subject's key alone. Held by `tests::subjects`.
//! INVARIANT: lists and queries reach the models of the permit's scope and no other. Held by `tests::finding`.

mod batch;
mod config;
mod journal;
pub mod limits;
mod log;
pub mod ops;
pub mod proof;
mod read;
mod record;
mod runner;
mod store;
mod subjects;
mod types;
mod values;

#[cfg(test)]
mod tests;

use std::path::Path;
use std::sync::Arc;

use admission::Receipts;
use data::Query;
use gate::Action;
use kernel::{Clock, Problem};
use tokio::sync::{Notify, Semaphore, watch};
use vault::db::{Db, SystemDb};
use vault::objects::Objects;

pub use config::PredictionsConfig;
pub use record::Record;
pub use runner::{Runner, SEALER};
pub use types::{Batch, Count, Erasure, Found, LogPolicy, Policy};
pub use values::{Named, Spoken};

use journal::Journal;
use log::Plans;
use subjects::Subjects;

/// Every verb of this room.
pub const ACTIONS: &[Action] =
    &[ops::SEARCH, ops::READ, ops::POLICY, ops::SET_POLICY, ops::SUBJECT, ops::ERASE, ops::ERASURES, ops::SEAL, ops::EXPIRE];

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Predictions(Arc<Inner>);

struct Inner {
    ground: Ground,
    config: PredictionsConfig,
    journal: Arc<Journal>,
    plans: Plans,
    subjects: Subjects,
    query_slots: Semaphore,
    /// Wakes the runner.
    wake: Notify,
    /// Rounds of sealing that began and that ended.
    rounds: watch::Sender<(u64, u64)>,
}

/// What the room stands on.
pub struct Ground {
    /// The database.
    pub db: Db,
    /// The same, for what has no caller.
    pub system: SystemDb,
    /// Where batches are kept, and their keys.
    pub objects: Objects,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Who gives receipts of the log.
    pub receipts: Arc<dyn Receipts>,
    /// Who runs SQL; none where its program is not there.
    pub queries: Option<Arc<dyn Query>>,
    /// Seconds and bytes of memory of one query.
    pub query_limits: (u64, u64),
}

impl Predictions {
    /// The room over its ground, with its journal in `folder`.
    ///
    /// # Errors
    /// `Unavailable` if the folder or the keys cannot be had.
    pub async fn open(ground: Ground, folder: &Path, config: PredictionsConfig) -> Result<Self, Problem> {
        let keys = ground.objects.keys();
        let journal = Journal::open(folder, keys.secret("predictions/journal").await?, config.pending_bytes_max)?;
        let subjects = Subjects::new(keys.secret("predictions/subjects").await?);
        let query_slots = Semaphore::new(limits::QUERY_COUNT_MAX);
        let (rounds, _) = watch::channel((0, 0));
        let (plans, wake) = (Plans::default(), Notify::new());
        Ok(Self(Arc::new(Inner { ground, config, journal, plans, subjects, query_slots, wake, rounds })))
    }

    pub(crate) fn db(&self) -> &Db {
        &self.0.ground.db
    }

    pub(crate) fn system(&self) -> &SystemDb {
        &self.0.ground.system
    }

    pub(crate) fn objects(&self) -> &Objects {
        &self.0.ground.objects
    }
}
