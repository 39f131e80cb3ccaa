//! The one door. Every act on Strongroom is an [`Operation`], and [`Visitor::call`] is the only caller of
//! [`Operation::run`]: identify → locate the target once → assess the risk → decide → record the intent
//! (fails closed) → run → record the outcome.
//!
//! It is not a room: it knows no SQL, no protocol and no policy language. What it needs it asks of its
//! ports ([`Identify`], [`Locate`], [`Assess`], [`Decide`], [`Record`]), which the rooms implement and `server` plugs
//! together.
//!
//! INVARIANT: a [`Permit`] is made here and nowhere else, after a durable intent. Held by `tests/compile_fail`.
//! INVARIANT: every intent gets an outcome, also when the caller hangs up or the verb panics. Held by
//! `call::tests`.

mod action;
mod attempt;
mod call;
mod entry;
mod permit;
mod ports;
mod target;

pub use action::{Access, Action};
pub use attempt::{
    Assertion, Attempt, Caller, CallerKind, Credential, DEFAULT_WORKSPACE, Device, JobKey, JobPass, Method, Pass, Proof,
    Returned, ShownCode, Signed, Spend, Statement, StatementKind, TokenFacts,
};
pub use call::{Gate, Operation, Ports, Visitor};
pub use entry::{Entry, EntryFields, Outcome, Status, Word};
pub use permit::{Commitment, DeferredOutcome, Permit, SealedOutcome};
pub use ports::{
    Assess, Awaited, BoxFuture, Decide, Decision, Guessed, Identify, Locate, Over, Question, Record, Risk, Scope, Verdict,
};
pub use target::{DataClasses, DataFacts, DataState, Facts, Target, TargetKind};
