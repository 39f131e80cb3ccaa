//! Retention: what must not be deleted, changed or shortened before its time, whatever it is.
//!
//! Versions of objects ([`buckets`](../buckets/index.html) keeps their rows) and whole things that a rule of the operator's or a legal hold retains:
//! versions of data sets and of models, and backups. Both are held by the same rules ([`lock`]), by the same clock ([`clock`]) and by
//! triggers of the database; both may be held harder than by software, by what their bytes lie on ([`seal`]).
//!
//! It is not a sweeper: nothing is deleted because a retention is over. It knows no grants: who may bypass governance is asked at the gate.
//!
//! INVARIANT: what is under compliance retention or a legal hold is neither deleted, changed nor shortened, by nobody. Held by `tests/keeping.rs`
//! and in the rooms that keep the things, and by triggers of the database.
//! INVARIANT: retention is judged by the compliance clock, which no wall clock moves. Held by `clock::tests`.
//! INVARIANT: a lock that cannot be read is an error, never no lock. Held by `tests/keeping.rs`.

pub mod clock;
mod jobs;
mod keeping;
pub mod lock;
pub mod ops;
mod rules;
pub mod seal;
pub mod store;
mod types;

use std::sync::Arc;

use gate::{Action, Operation};
use kernel::{Micros, Problem};
use vault::db::{Db, Reader, SystemDb, Writer};
use vault::objects::Objects;

pub use clock::{ClockState, ComplianceClock, written_time};
pub use jobs::{guard_logged_model, guard_run};
pub use keeping::{guard, guard_objects, held_reason};
pub use lock::{Bypass, DefaultRetention, Lock, Mode, Period, Retention};
pub use rules::{Rules, RulesConfig};
pub use types::{Found, Kept, Kind, Subject};

/// Every verb of this room.
pub const ACTIONS: &[Action] =
    &[ops::ListKept::ACTION, ops::ExtendKept::ACTION, ops::HoldKept::ACTION, ops::BypassKept::ACTION, seal::SealObjects::ACTION];

/// Is told, in the transaction itself, that governance was bypassed. Implemented by whoever keeps alerts.
pub trait Alarm: Send + Sync {
    /// Somebody deleted or shortened what was under governance.
    ///
    /// # Errors
    /// If it cannot be kept. Then nothing is bypassed.
    fn bypassed(&self, writer: &mut Writer<'_>, bypassed: &Bypassed) -> Result<(), Problem>;
}

/// Finds what can be held though no rule retains it. Implemented by the rooms that keep such things.
pub trait Find: Send + Sync {
    /// What the room keeps.
    fn kind(&self) -> Kind;

    /// The thing of this name or id in a workspace (its id; empty for what is the server's), if it is whole and there.
    ///
    /// # Errors
    /// Of the database.
    fn find(&self, reader: &mut Reader<'_>, workspace: &str, name: &str) -> Result<Option<Found>, Problem>;
}

/// A bypass of governance.
#[derive(Clone, Debug)]
pub struct Bypassed {
    /// The workspace's id; empty for what is the server's.
    pub workspace: String,
    /// What was deleted or shortened, in words, such as ``3 versions of bucket `records` ``.
    pub what: String,
    /// What the alert is about: the bucket's name, or that of the thing.
    pub subject: String,
    /// The verb that it was allowed by.
    pub verb: &'static str,
    /// Who, by id.
    pub by: String,
    /// Why, in their words; empty if they gave none.
    pub reason: String,
    /// When.
    pub at: Micros,
}

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Keeping {
    db: Db,
    /// For what is no change of its own: which objects are sealed.
    system: SystemDb,
    objects: Objects,
    clock: ComplianceClock,
    rules: Rules,
    alarm: Option<Arc<dyn Alarm>>,
    rooms: Arc<[Arc<dyn Find>]>,
}

impl Keeping {
    /// The room over its storage.
    #[must_use]
    pub fn new((db, system): (Db, SystemDb), objects: Objects, rules: Rules) -> Self {
        let clock = rules.clock().clone();
        Self { db, system, objects, clock, rules, alarm: None, rooms: Arc::new([]) }
    }

    /// The same, telling of each bypass.
    #[must_use]
    pub fn with_alarm(mut self, alarm: Arc<dyn Alarm>) -> Self {
        self.alarm = Some(alarm);
        self
    }

    /// The same, which finds in these rooms what no rule retains.
    #[must_use]
    pub fn with_rooms(mut self, rooms: Vec<Arc<dyn Find>>) -> Self {
        self.rooms = rooms.into();
        self
    }

    /// The rules of the operator's.
    #[must_use]
    pub const fn rules(&self) -> &Rules {
        &self.rules
    }

    fn tell(&self, writer: &mut Writer<'_>, bypassed: &Bypassed) -> Result<(), Problem> {
        self.alarm.as_ref().map_or(Ok(()), |alarm| alarm.bypassed(writer, bypassed))
    }
}
