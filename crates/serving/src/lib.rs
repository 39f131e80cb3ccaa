//! Admitted models that answer: endpoints, and predictions behind a guard.
//!
//! A request passes, in this order: the gate (who, may they), the quota, the limits of size, the model's signature, the
//! prediction, the output's limits, the record. It is not the wire: whichever language a request came in, it is a [`Batch`]
//! here. It runs no foreign code: the runtimes of crate `runtime` compute, and what they do not understand is not served.
//!
//! INVARIANT: only a version that is admitted, with the files that were inspected, is loaded or answers; that is looked at again
//! every [`limits::LOOK_AGAIN`]. Held by `tests::serving`.
//! INVARIANT: every prediction has an id that its record names, with the digest of the model that made it. Held by
//! `tests::predicting`.

mod config;
mod guard;
pub mod limits;
mod load;
mod observed;
pub mod ops;
mod store;
mod types;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use admission::Admission;
use artifacts::Artifacts;
use gate::Action;
use kernel::Clock;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use vault::db::Db;

pub use config::ServingConfig;
pub use load::Loaded;
pub use ops::locate;
pub use runtime::{Batch, DataType, Outputs, Port, Role, Tensor, Values};
pub use types::{Choice, Endpoint, EndpointName, Prediction};

use guard::Quotas;
use load::Slot;

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[ops::CREATE, ops::SEARCH, ops::GET, ops::UPDATE, ops::DELETE, ops::PREDICT];

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Serving(Arc<Inner>);

struct Inner {
    db: Db,
    admission: Admission,
    artifacts: Artifacts,
    clock: Arc<dyn Clock>,
    config: ServingConfig,
    quotas: Quotas,
    /// What endpoints answer with, by endpoint and choice.
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// Bounds how many large batches compute at once: small ones do not wait for them.
    large: Semaphore,
    /// Who is told of each request.
    observer: Mutex<Option<Arc<dyn watch::Observer>>>,
}

impl Serving {
    /// The room over its ground.
    #[must_use]
    pub fn new(db: Db, admission: Admission, artifacts: Artifacts, clock: Arc<dyn Clock>, config: ServingConfig) -> Self {
        let quotas = Quotas::new(&config);
        let large = Semaphore::new(config.large_batches_max);
        Self(Arc::new(Inner {
            db,
            admission,
            artifacts,
            clock,
            config,
            quotas,
            slots: Mutex::default(),
            large,
            observer: Mutex::default(),
        }))
    }

    /// From now on this one is told of each request.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn watch::Observer>) -> Self {
        *self.0.observer.lock() = Some(observer);
        self
    }

    fn db(&self) -> &Db {
        &self.0.db
    }
}
