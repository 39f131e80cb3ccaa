//! What the gate asks of the rooms. Each port answers, or fails with `Unavailable`: none of them ever answers
//! yes because it could not tell.

use std::borrow::Cow;
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use kernel::{Allowance, Micros, Problem};

use crate::{Action, Attempt, Caller, Entry, Facts, Outcome, SealedOutcome, Target};

/// A future behind a port.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Who is asking? Implemented by `identity`.
pub trait Identify: Send + Sync {
    /// The caller behind an attempt; anonymous where it brought nothing.
    ///
    /// # Errors
    /// `Unauthenticated` for a credential that is wrong, expired or revoked; `Unavailable` if that cannot be told.
    fn identify<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>>;

    /// The same, asked again while what was let begin still lasts: that is no use of the credential, so no session is kept alive by it.
    ///
    /// # Errors
    /// As [`Identify::identify`].
    fn recognise<'a>(&'a self, attempt: &'a Attempt) -> BoxFuture<'a, Result<Caller, Problem>> {
        self.identify(attempt)
    }
}

/// What would it act on? One look-up for the decision and the verb. Implemented by `server` over the rooms.
pub trait Locate: Send + Sync {
    /// The target's facts. What does not exist has `exists: false` and the attempt's workspace.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    fn locate<'a>(&'a self, workspace: &'a str, target: &'a Target) -> BoxFuture<'a, Result<Facts, Problem>>;
}

/// How risky is this attempt? Implemented by `risk`; pure but for its counters.
pub trait Assess: Send + Sync {
    /// Whether this address may knock at all just now.
    ///
    /// # Errors
    /// `TooMany`, with when to come back.
    fn may_knock(&self, attempt: &Attempt) -> Result<(), Problem>;

    /// The risk of a known caller's attempt.
    fn assess(&self, attempt: &Attempt, caller: &Caller) -> Risk;

    /// What became of the identification, so that the next attempts can be judged.
    fn learn(&self, attempt: &Attempt, verdict: Verdict<'_>);

    /// Takes one from each rate that counts a known caller's requests. Gives what is left of the one that will be used up first; none where
    /// nothing is counted.
    ///
    /// # Errors
    /// [`Over`] if one of them is used up.
    fn take<'a>(
        &'a self,
        attempt: &'a Attempt,
        caller: &'a Caller,
        action: Action,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>>;

    /// Takes one from the rate of a workspace, by its id, of a caller who was allowed something in it. Gives `known` or what is left of that rate,
    /// whichever will be used up first.
    ///
    /// # Errors
    /// [`Over`] if it is used up.
    fn take_in<'a>(
        &'a self,
        workspace: &'a str,
        caller: &'a Caller,
        action: Action,
        known: Option<Allowance>,
    ) -> BoxFuture<'a, Result<Option<Allowance>, Over>>;
}

/// A rate is used up.
#[derive(Debug)]
pub struct Over {
    /// What the caller is told.
    pub problem: Problem,
    /// Whether it is to be written down: of a flood that is once in a while, for the log must not be its victim.
    pub is_news: bool,
}

/// Why a credential was refused, for the log alone: it was a wrong password, or a wrong code beside the right one, of this account. Whoever
/// knocked is told no more than ever.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guessed {
    /// The account's id.
    pub account: String,
}

impl std::fmt::Display for Guessed {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(to, "a password or code of `{}` was wrong", self.account)
    }
}

impl std::error::Error for Guessed {}

/// Why a credential was refused, for the log alone: it asks for what a person has not agreed to yet, and may be asked again (RFC 8628). Nobody
/// guessed anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Awaited;

impl std::fmt::Display for Awaited {
    fn fmt(&self, to: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        to.write_str("nobody agreed to it yet")
    }
}

impl std::error::Error for Awaited {}

/// What became of an identification.
#[derive(Clone, Copy, Debug)]
pub enum Verdict<'a> {
    /// The credential was good.
    Known(&'a Caller),
    /// It was not.
    Refused,
}

/// The risk of an attempt.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Risk {
    /// 0 (none) to 100.
    pub score: u8,
    /// Why, as stable words.
    pub reasons: Vec<Cow<'static, str>>,
    /// The caller is locked out for this long.
    pub locked_for: Option<Duration>,
}

/// May this caller do this here? Implemented by `policy`.
pub trait Decide: Send + Sync {
    /// The decision.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told. Any doubt inside the policy engine is a `Deny`, not an error.
    fn decide<'a>(&'a self, question: Question<'a>) -> BoxFuture<'a, Result<Decision, Problem>>;
}

/// Everything a decision may depend on.
#[derive(Clone, Copy, Debug)]
pub struct Question<'a> {
    /// Who.
    pub caller: &'a Caller,
    /// Wants what.
    pub action: Action,
    /// Of what.
    pub target: &'a Target,
    /// What is known of it.
    pub facts: &'a Facts,
    /// At what risk.
    pub risk: &'a Risk,
    /// When.
    pub now: Micros,
}

/// Which rows of a list the caller may see. It becomes SQL, never a filter after a `LIMIT`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Scope {
    /// None.
    #[default]
    Nothing,
    /// Every row of the workspace in the facts; of what belongs to the server, every row.
    Workspace,
    /// Of a list of workspaces, only these, by id. Of anything inside a workspace: none.
    Workspaces(Vec<String>),
    /// Only rows of these experiments and registered models of the workspace.
    Only {
        /// Experiment ids.
        experiments: Vec<i64>,
        /// Internal ids of registered models.
        models: Vec<String>,
    },
    /// Of a list of data sets, only these, by id. Of anything else: none.
    Datasets(Vec<String>),
}

/// The answer of a [`Decide`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Yes, because of these grants, and for these rows.
    Allow {
        /// Ids of the grants and policies that decided: the audit's reason.
        reasons: Vec<String>,
        /// Rows that a list may return.
        scope: Scope,
    },
    /// No.
    Deny {
        /// Whether the caller may know that the target exists: 403 if so, else 404.
        visible: bool,
        /// What the caller can do about it, in a sentence.
        hint: String,
    },
    /// Not at this strength of authentication (RFC 9470).
    StepUp {
        /// What to authenticate with: `acr_values`.
        acr: String,
        /// How fresh it must be: `max_age`.
        max_age_s: u32,
    },
}

/// Where acts are written down. Implemented by `audit`.
pub trait Record: Send + Sync {
    /// Writes the intent; answers once it is durable.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written in bounded time. Then nothing happens.
    fn intent<'a>(&'a self, entry: &'a Entry) -> BoxFuture<'a, Result<(), Problem>>;

    /// Writes a refusal (one record, intent and outcome in one); answers once it is durable.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written in bounded time.
    fn refusal<'a>(&'a self, entry: &'a Entry, problem: &'a Problem) -> BoxFuture<'a, Result<(), Problem>>;

    /// Hands the outcome of a verb without a transaction to the log, without waiting for the disk.
    fn outcome(&self, entry: &Entry, outcome: &Outcome);

    /// The outcome as the bytes that go into the transaction's outbox, beside the change.
    fn seal(&self, entry: &Entry, outcome: &Outcome) -> SealedOutcome;
}
