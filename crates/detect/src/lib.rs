//! Detections: what the log shows when somebody looks at all of it.
//!
//! ```text
//! the log → Engine (rules, correlations, detectors; in memory, bounded) → detections, in one commit with how far the log was read
//!                                                                       → an alert for receivers outside (crate observe)
//!                                                                       → responses, rung by rung (port Ladder)
//! ```
//!
//! It decides nothing about requests: policy and risk do. It reads the log and changes none of it; a response is another room's verb.
//!
//! INVARIANT: what was found is written down once, however often the log is read again. Held by `tests/it/store.rs`.
//! INVARIANT: the last administrator of the server is never barred by a response: whoever bars accounts refuses that. Held by identity's
//! `tests::groups::somebody_administers_the_server_whatever_is_taken_away` and policy's `tests::giving`.
//! INVARIANT: every rule that makes alerts fires on its attack and not on the near miss. Held by `tests/it/attacks.rs`; a month of
//! ordinary work stays nearly silent: `tests/it/month.rs`.

mod config;
mod detectors;
mod engine;
mod event;
mod late;
pub mod ops;
mod recent;
mod respond;
pub mod rules;
mod runner;
mod store;
mod types;
mod uses;
mod windows;

use std::sync::{Arc, OnceLock};

use gate::Action;
use kernel::Problem;
use parking_lot::RwLock;
use tokio::sync::Semaphore;
use vault::db::{Db, SystemDb};

pub use config::DetectConfig;
pub use detectors::Whereabouts;
pub use engine::{Engine, Finding};
pub use rba::geo::Country;
pub use respond::{Ladder, Rung, Suspect};
pub use rules::{Fault, Level, OwnRules, RuleSet};
pub use runner::{Runner, Source};
pub use types::{Detection, RESPONSE_DUE, RESPONSE_NONE};

/// The job that looks at the log and writes down what it found.
pub const DETECTOR: &str = "detector";
/// The job in whose name responses are done.
pub const RESPONDER: &str = "responder";

/// Every verb of this room.
pub const ACTIONS: &[Action] =
    &[ops::LIST, ops::GET, ops::RULES, ops::CHECK, ops::SET_RULES, ops::DELETE_RULES, ops::ACKNOWLEDGE, ops::RAISE, ops::RESPOND];

/// The rules as they were last read, after how those of this server's own stood then (see `store::own_mark`).
type Known = ((i64, i64), Arc<RuleSet>);

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Detect {
    db: Db,
    /// For how far the log was read, which is no change of its own.
    system: SystemDb,
    rules: Arc<RwLock<Known>>,
    config: DetectConfig,
    /// Receivers outside, by name.
    targets: Arc<Vec<String>>,
    /// The log, where this process reads it: what is written is tried on it.
    source: Arc<OnceLock<Arc<dyn Source>>>,
    /// One text is tried at a time: it takes a processor.
    trials: Arc<Semaphore>,
}

impl Detect {
    /// The room over its ground. `targets` are the receivers of alerts.
    ///
    /// # Errors
    /// `Invalid` for rules that cannot be read.
    pub fn open((db, system): (Db, SystemDb), config: DetectConfig, targets: Vec<String>) -> Result<Self, Problem> {
        config.check()?;
        let rules = Arc::new(RuleSet::load(config.rules.as_deref(), &config.disabled)?);
        // Of a mark that no table has: rules of this server's own are read when they are first asked for.
        let rules = Arc::new(RwLock::new(((0, 0), rules)));
        let (source, trials) = (Arc::default(), Arc::new(Semaphore::new(1)));
        Ok(Self { db, system, rules, config, targets: Arc::new(targets), source, trials })
    }

    /// Tells where the log is read from. Said once; a second time changes nothing.
    pub fn watch(&self, source: Arc<dyn Source>) {
        drop(self.source.set(source));
    }

    /// All rules as they are now. They are read again where somebody wrote, changed or deleted one since.
    ///
    /// # Errors
    /// Of the database; `Invalid` for a folder of rules that cannot be read any more.
    pub async fn current(&self) -> Result<Arc<RuleSet>, Problem> {
        let read = |reader: &mut vault::db::Reader<'_>| Ok(store::own_mark(reader)?);
        let mark = self.system.read(read).await?;
        let (known, rules) = self.rules.read().clone();
        if known == mark {
            return Ok(rules);
        }
        let own = self.system.read(|reader| Ok(store::own_rules(reader)?)).await?;
        let (set, left_out) = RuleSet::with_own(self.config.rules.as_deref(), &self.config.disabled, &own)?;
        for name in left_out {
            tracing::warn!(rules.name = %name, "rules that were written on this server cannot be used; see `strongroom detections own`");
        }
        let set = Arc::new(set);
        *self.rules.write() = (mark, Arc::clone(&set));
        Ok(set)
    }
}
