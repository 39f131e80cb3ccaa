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
pub mod ops;
mod recent;
mod respond;
pub mod rules;
mod runner;
mod store;
mod types;
mod uses;
mod windows;

use std::sync::Arc;

use gate::Action;
use vault::db::{Db, SystemDb};

pub use config::DetectConfig;
pub use engine::{Engine, Finding};
pub use respond::{Ladder, Rung, Suspect};
pub use rules::{Level, RuleSet};
pub use runner::{Runner, Source};
pub use types::{Detection, RESPONSE_DUE, RESPONSE_NONE};

/// The job that looks at the log and writes down what it found.
pub const DETECTOR: &str = "detector";
/// The job in whose name responses are done.
pub const RESPONDER: &str = "responder";

/// Every verb of this room.
pub const ACTIONS: &[Action] = &[ops::LIST, ops::GET, ops::RULES, ops::ACKNOWLEDGE, ops::RAISE, ops::RESPOND];

/// The room. Cheap to clone.
#[derive(Clone)]
pub struct Detect {
    db: Db,
    /// For how far the log was read, which is no change of its own.
    system: SystemDb,
    rules: Arc<RuleSet>,
    config: DetectConfig,
    /// Receivers outside, by name.
    targets: Arc<Vec<String>>,
}

impl Detect {
    /// The room over its ground. `targets` are the receivers of alerts.
    ///
    /// # Errors
    /// `Invalid` for rules that cannot be read.
    pub fn open((db, system): (Db, SystemDb), config: DetectConfig, targets: Vec<String>) -> Result<Self, kernel::Problem> {
        config.check()?;
        let rules = Arc::new(RuleSet::load(config.rules.as_deref(), &config.disabled)?);
        Ok(Self { db, system, rules, config, targets: Arc::new(targets) })
    }

    /// All rules.
    #[must_use]
    pub fn rules(&self) -> &RuleSet {
        &self.rules
    }
}
