//! A receipt for one record, which anybody can check without the server.

use std::sync::Arc;

use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use crate::error::AuditError;
use crate::log::AuditLog;
use crate::ops::blocking;
use crate::room::Audit;
use crate::search::Filter;

/// Which record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    /// By its place in the log.
    Index(u64),
    /// The newest record of this entry id: the outcome, once there is one.
    Entry(String),
}

/// Gives a record and its receipt.
pub struct Prove {
    /// The room.
    pub room: Audit,
    /// Which record.
    pub which: Which,
}

/// A record and its receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proven {
    /// Its place in the log.
    pub index: u64,
    /// Its bytes.
    pub record: Vec<u8>,
    /// The receipt (c2sp.org/tlog-proof@v1), for a file `….tlog-proof`.
    pub proof: String,
    /// The key that checks it.
    pub verifier_key: String,
}

impl Operation for Prove {
    const ACTION: Action = Action::read("audit.prove");
    type Output = Proven;

    fn target(&self) -> Target {
        Target::AuditLog
    }

    async fn run(self, _permit: Permit<Self>) -> Result<Proven, Problem> {
        self.room.prove(self.which).await
    }
}

impl Audit {
    /// A record and its receipt, for rooms that hand out receipts of what their own verbs recorded. Everything that was
    /// recorded before is covered by it.
    ///
    /// # Errors
    /// `NotFound` if there is no such record; `Unavailable` if the log is.
    pub async fn prove(&self, which: Which) -> Result<Proven, Problem> {
        let log = Arc::clone(&self.log);
        log.flush().await?;
        blocking(move || {
            let index = match &which {
                Which::Index(index) => *index,
                Which::Entry(entry) => newest_of(&log, entry)?,
            };
            let (record, proof) = log.prove(index)?;
            Ok(Proven { index, record, proof: proof.to_string(), verifier_key: log.verifier_key().to_string() })
        })
        .await
    }
}

fn newest_of(log: &AuditLog, entry: &str) -> Result<u64, Problem> {
    let filter = Filter { entry: Some(entry.to_owned()), ..Filter::default() };
    filter.check()?;
    let mut before = None;
    loop {
        let page = log.search(&filter, before, 1)?;
        match (page.hits.first(), page.next_before) {
            (Some(hit), _) => return Ok(hit.index),
            (None, Some(next)) => before = Some(next),
            (None, None) => return Err(AuditError::NoSuchRecord(entry.to_owned()).into()),
        }
    }
}
