//! Leave to run one verb once.

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::{Caller, Entry, Facts, Outcome, Record, Risk, Scope};

/// An outcome as the recorder encoded it, ready for a transaction's outbox.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SealedOutcome {
    /// A random id: replay after a crash writes each event once.
    pub event_id: String,
    /// The record's bytes.
    pub bytes: Vec<u8>,
}

/// Leave to run the verb `O` once, for one caller on one target. Its fields are private and it has no public
/// constructor, so that only the gate makes one; every function that touches data takes one.
pub struct Permit<O: ?Sized> {
    act: Arc<Act>,
    verb: PhantomData<fn() -> O>,
}

/// What a permit and the gate share while a verb runs.
pub(crate) struct Act {
    pub(crate) facts: Facts,
    pub(crate) scope: Scope,
    pub(crate) risk: Risk,
    pub(crate) entry: Entry,
    pub(crate) recorder: Arc<dyn Record>,
    /// Set once an outcome is in the log or in a committed outbox.
    pub(crate) settled: AtomicBool,
}

impl Act {
    pub(crate) fn settle(&self, outcome: &Outcome) {
        if !self.settled.swap(true, Ordering::SeqCst) {
            self.recorder.outcome(&self.entry, outcome);
        }
    }
}

impl Drop for Act {
    /// The last holder is gone: the caller hung up, or the verb panicked. An intent never stays without an outcome.
    fn drop(&mut self) {
        self.settle(&Outcome::aborted());
    }
}

impl<O: ?Sized> Permit<O> {
    pub(crate) const fn new(act: Arc<Act>) -> Self {
        Self { act, verb: PhantomData }
    }

    /// Who acts.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.act.entry.caller
    }

    /// What is known of the target. Already looked up: do not look again.
    #[must_use]
    pub fn facts(&self) -> &Facts {
        &self.act.facts
    }

    /// The workspace's id.
    ///
    /// # Errors
    /// `NotFound` where the attempt named a workspace that does not exist.
    pub fn workspace(&self) -> Result<&str, kernel::Problem> {
        self.act.facts.workspace.as_deref().ok_or_else(|| kernel::Problem::not_found("there is no such workspace"))
    }

    /// The rows that a list may return.
    #[must_use]
    pub fn scope(&self) -> &Scope {
        &self.act.scope
    }

    /// The risk that was found.
    #[must_use]
    pub fn risk(&self) -> &Risk {
        &self.act.risk
    }

    /// The audit entry, whose time is the act's time.
    #[must_use]
    pub fn entry(&self) -> &Entry {
        &self.act.entry
    }

    /// For a write transaction: seals outcomes, and learns whether they were committed, whoever still waits for it.
    #[must_use]
    pub fn commitment(&self) -> Commitment {
        Commitment { act: Arc::clone(&self.act) }
    }

    /// Takes over the duty to record the outcome, for a stream that outlives `run`.
    #[must_use]
    pub fn defer_outcome(&self) -> DeferredOutcome {
        DeferredOutcome { act: Some(Arc::clone(&self.act)) }
    }
}

impl<O: ?Sized> std::fmt::Debug for Permit<O> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Permit").field("action", &self.act.entry.action.name).finish_non_exhaustive()
    }
}

/// What a write transaction holds of its act. It lives as long as the transaction, also when the caller hung up: dropped
/// without [`Commitment::committed`], the act was broken off.
pub struct Commitment {
    act: Arc<Act>,
}

impl Commitment {
    /// Encodes an outcome for the outbox, just before the commit.
    #[must_use]
    pub fn seal(&self, outcome: &Outcome) -> SealedOutcome {
        self.act.recorder.seal(&self.act.entry, outcome)
    }

    /// The transaction with the sealed outcome is durable: no other outcome is to be written.
    pub fn committed(self) {
        self.act.settled.store(true, Ordering::SeqCst);
    }
}

/// The duty to record one outcome later. Dropping it records that the act was broken off.
pub struct DeferredOutcome {
    act: Option<Arc<Act>>,
}

impl DeferredOutcome {
    /// The stream ended like this.
    pub fn settle(mut self, outcome: &Outcome) {
        if let Some(act) = self.act.take() {
            act.settle(outcome);
        }
    }
}
