//! Admitted models that answer: endpoints, and predictions behind a guard.
//!
//! A request passes, in this order: the gate (who, may they), the quota, the limits of size, the guard (budget, abuse, ranges), the
//! model's signature, the prediction, the output made as coarse as the guard says, the record. It is not the wire: whichever language a request came in, it is a [`Batch`]
//! here. No foreign code runs in this process: the runtimes of crate `runtime` compute, or something behind the port [`Engines`].
//!
//! INVARIANT: only a version that is admitted, with the files that were inspected, is loaded or answers; that is looked at again
//! every [`limits::LOOK_AGAIN`]. Held by `tests::serving`.
//! INVARIANT: a client is never worse off for a rollout: what the challenger cannot answer the champion does, and what exceeds its
//! owner's limits is out before the next request. Held by `tests::rollouts`.
//! INVARIANT: every prediction has an id that its record names, with the digest of the model that made it. Held by
//! `tests::predicting`.
//! INVARIANT: where predictions are logged, what cannot be logged is not answered. Held by `tests::predicting`.

mod config;
mod engine;
mod guard;
pub mod limits;
mod load;
mod log;
mod observed;
pub mod ops;
mod rollout;
mod store;
mod types;

#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use admission::Admission;
use artifacts::Artifacts;
use gate::Action;
use kernel::Clock;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use vault::db::Db;

pub use self::guard::{GuardSettings, GuardState, RangePolicy, TrailShown};
pub use ::guard::{Cause, Level};
pub use config::{PythonConfig, ServingConfig, UpstreamConfig};
pub use engine::{Compute, Engine, Engines, Runtime};
pub use load::Loaded;
pub use log::{Asked, Draft, Made, PredictionLog, made_at, version_now};
pub use ops::locate;
pub use rollout::{ArmView, Comparison, KEEPER, Keeper, LabelView, Mode, PairView, Rollout, Stops, WHOLE_PERMILLE};
pub use runtime::{
    Batch, Cell, DataType, Model, Output, Outputs, Port, Predicts, Role, Signature, Tensor, Values, Written, half,
};
pub use types::{Choice, Endpoint, EndpointName, Prediction};

use self::guard::{Guards, Quotas};
use load::Slot;
use rollout::Halts;

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::CREATE,
    ops::SEARCH,
    ops::GET,
    ops::UPDATE,
    ops::DELETE,
    ops::ROLLOUT,
    ops::PROMOTE,
    ops::ROLLBACK,
    ops::HALT,
    ops::PREDICT,
    ops::GUARD,
    ops::TRAILS,
    ops::RELEASE,
    ops::THROTTLE,
];

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
    /// Where predictions are kept; without one they are only recorded.
    log: Option<Arc<dyn PredictionLog>>,
    guards: Guards,
    /// What endpoints answer with, by endpoint and choice.
    slots: Mutex<HashMap<String, Arc<Slot>>>,
    /// Bounds how many large batches compute at once: small ones do not wait for them.
    large: Semaphore,
    /// Bounds how many shadows compute at once.
    shadows: Arc<Semaphore>,
    halts: Halts,
    /// Who is told of each request.
    observer: Mutex<Option<Arc<dyn watch::Observer>>>,
    /// Where models are computed that this process must not run.
    engines: OnceLock<Arc<dyn Engines>>,
}

impl Serving {
    /// The room over its ground.
    #[must_use]
    pub fn new(db: Db, admission: Admission, artifacts: Artifacts, clock: Arc<dyn Clock>, config: ServingConfig) -> Self {
        Self::logged(db, admission, artifacts, clock, config, None)
    }

    /// The same, with a log of what was asked and said.
    #[must_use]
    pub fn logged(
        db: Db,
        admission: Admission,
        artifacts: Artifacts,
        clock: Arc<dyn Clock>,
        config: ServingConfig,
        log: Option<Arc<dyn PredictionLog>>,
    ) -> Self {
        let (quotas, guards) = (Quotas::new(&config), Guards::new(config.guard_bytes_max));
        let large = Semaphore::new(config.large_batches_max);
        let shadows = Arc::new(Semaphore::new(limits::SHADOW_COUNT_MAX));
        let (slots, halts, observer) = (Mutex::default(), Halts::default(), Mutex::default());
        Self(Arc::new(Inner {
            db,
            admission,
            artifacts,
            clock,
            config,
            quotas,
            guards,
            log,
            slots,
            large,
            shadows,
            halts,
            observer,
            engines: OnceLock::new(),
        }))
    }

    /// From now on this one is told of each request.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn watch::Observer>) -> Self {
        *self.0.observer.lock() = Some(observer);
        self
    }

    /// From now on models may be computed there too.
    pub fn set_engines(&self, engines: Arc<dyn Engines>) {
        // The first ones stay; a server sets them once.
        drop(self.0.engines.set(engines));
    }

    fn db(&self) -> &Db {
        &self.0.db
    }
}
