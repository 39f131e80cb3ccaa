//! Endpoints, data and the server are watched: what is seen becomes rows, what is wrong becomes alerts with a cause and a remedy.
//!
//! ```text
//! serving → Collector (in memory, counts) → rows by minute → judged by the job `watcher` → alerts → receivers outside
//! labels by prediction id ↗                                                             ↘ remedies, each an act asked for as its runner
//! ```
//!
//! It computes nothing by itself: crate `watch` does. It changes nothing of what it watches: a remedy is another room's verb, asked for
//! by whoever runs it.
//!
//! INVARIANT: what is counted is not lost while the database is away: it waits, merged into fewer minutes if need be. Held by
//! `collector::tests::what_cannot_be_written_is_kept`.
//! INVARIANT: no fault is open twice, and one that is gone is closed. Held by `tests::alerts`.
//! INVARIANT: metrics name endpoints and versions, never people or values. Held by `metrics::tests`.

mod collector;
mod config;
mod deliver;
pub mod event;
mod judge;
pub mod limits;
mod metrics;
pub mod ops;
mod rules;
mod sign;
mod store;
mod types;
mod watcher;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use gate::Action;
use vault::db::{Db, SystemDb};
use vault::objects::Objects;

pub use collector::Collector;
pub use config::{AlertmanagerConfig, MailReceiverConfig, ObserveConfig, WebhookConfig};
pub use deliver::{Post, Receiver};
pub use rules::alert_rules;
pub use types::{Act, Alert, AlertState, Detail, FAILED, HealthOf, HealthState, Label, News, Remedy, Severity, THROTTLE_MINUTES};
pub use watcher::{Gauges, Watcher};

/// The job that judges and delivers.
pub const WATCHER: &str = "watcher";

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[
    ops::SEARCH,
    ops::GET,
    ops::ACKNOWLEDGE,
    ops::RESOLVE,
    ops::RECEIVE,
    ops::REMEDY,
    ops::REMEDY_DONE,
    ops::LABELS,
    ops::HEALTH,
    ops::METRICS,
    ops::TRAFFIC,
    ops::JUDGE,
    ops::RECALL,
    ops::DELIVER,
];

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Observe(Arc<Inner>);

struct Inner {
    db: Db,
    /// For what is no change of its own: counts, and how far news has come.
    system: SystemDb,
    objects: Objects,
    collector: Arc<Collector>,
    config: ObserveConfig,
    /// This process among those that may share the database.
    source: String,
    /// How other rooms' things are.
    more: Vec<MoreHealth>,
    /// Why an endpoint cannot answer.
    obstacle: Option<Obstacle>,
}

/// Looks up how things of another room are, at a time.
pub type MoreHealth =
    Arc<dyn Fn(&mut vault::db::Reader<'_>, kernel::Micros) -> Result<Vec<HealthOf>, kernel::Problem> + Send + Sync>;

/// Looks up why an endpoint, by its id, cannot answer; none where nothing stands against it.
pub type Obstacle = Arc<dyn Fn(&mut vault::db::Reader<'_>, &str) -> Result<Option<String>, kernel::Problem> + Send + Sync>;

impl Observe {
    /// The room over its ground.
    #[must_use]
    pub fn new((db, system): (Db, SystemDb), objects: Objects, collector: Arc<Collector>, config: ObserveConfig) -> Self {
        Self(Arc::new(Inner {
            db,
            system,
            objects,
            collector,
            config,
            source: watcher::new_source(),
            more: Vec::new(),
            obstacle: None,
        }))
    }

    /// The same room, whose health tells of another's things too. Only before it is shared.
    #[must_use]
    pub fn with_more(mut self, more: MoreHealth) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.more.push(more);
        }
        self
    }

    /// The same room, whose health knows of endpoints that cannot answer. Only before it is shared.
    #[must_use]
    pub fn with_obstacles(mut self, obstacle: Obstacle) -> Self {
        if let Some(inner) = Arc::get_mut(&mut self.0) {
            inner.obstacle = Some(obstacle);
        }
        self
    }

    /// Where samples go.
    #[must_use]
    pub fn collector(&self) -> Arc<Collector> {
        Arc::clone(&self.0.collector)
    }

    fn db(&self) -> &Db {
        &self.0.db
    }
}
