//! The one error that crosses rooms. It says what was tried, on what, and what the user can do.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use crate::Allowance;

/// What class of answer a [`Problem`] gets. The wire turns it into its own codes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The request is malformed or breaks a rule of its verb.
    Invalid,
    /// The caller is not known: who are you?
    Unauthenticated,
    /// Stronger authentication would allow it (RFC 9470).
    StepUp,
    /// The caller may see the target but not do this.
    Forbidden,
    /// It does not exist, or the caller may not know that it does.
    NotFound,
    /// It existed, and can never be had again: its key was destroyed.
    Gone,
    /// Something of that name exists.
    AlreadyExists,
    /// The target is in a state in which this cannot be done.
    Conflict,
    /// A named limit on size was passed.
    TooLarge,
    /// A named limit on rate or concurrency was passed.
    TooMany,
    /// The verb or option is not supported.
    NotImplemented,
    /// A port that the answer needs is down; trying again later may help.
    Unavailable,
    /// A fault of ours.
    Internal,
}

impl Kind {
    /// The word for logs and audit records.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Invalid => "invalid",
            Self::Unauthenticated => "unauthenticated",
            Self::StepUp => "step_up",
            Self::Forbidden => "forbidden",
            Self::NotFound => "not_found",
            Self::Gone => "gone",
            Self::AlreadyExists => "already_exists",
            Self::Conflict => "conflict",
            Self::TooLarge => "too_large",
            Self::TooMany => "too_many",
            Self::NotImplemented => "not_implemented",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

/// What would be strong enough (RFC 9470).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepUp {
    /// What to authenticate with: `acr_values`.
    pub acr: String,
    /// How fresh it must be: `max_age`.
    pub max_age_s: u32,
}

/// Why a request was not done.
#[derive(Debug)]
pub struct Problem {
    kind: Kind,
    message: String,
    retry_after: Option<Duration>,
    step_up: Option<StepUp>,
    /// Boxed: most problems have none, and every result is as large as this type.
    allowance: Option<Box<Allowance>>,
    source: Option<Box<dyn Error + Send + Sync>>,
}

impl Problem {
    /// A problem of `kind`, with a message that the caller may read.
    pub fn new(kind: Kind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), retry_after: None, step_up: None, allowance: None, source: None }
    }

    /// The request breaks a rule.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::new(Kind::Invalid, message)
    }

    /// There is no such thing.
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(Kind::NotFound, message)
    }

    /// Something of that name exists.
    pub fn already_exists(message: impl Into<String>) -> Self {
        Self::new(Kind::AlreadyExists, message)
    }

    /// Visible, but not allowed.
    pub fn forbidden(message: impl Into<String>) -> Self {
        Self::new(Kind::Forbidden, message)
    }

    /// A port is down. The caller is told to come back after a second.
    pub fn unavailable(message: impl Into<String>) -> Self {
        Self::new(Kind::Unavailable, message).retry_after(Duration::from_secs(1))
    }

    /// A fault of ours; `source` is for the log only.
    pub fn internal(message: impl Into<String>, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::new(Kind::Internal, message).because(source)
    }

    /// Stronger or fresher authentication would allow it.
    pub fn step_up(message: impl Into<String>, wanted: StepUp) -> Self {
        Self { step_up: Some(wanted), ..Self::new(Kind::StepUp, message) }
    }

    /// What would be strong enough, where that is what is missing.
    #[must_use]
    pub const fn step_up_wanted(&self) -> Option<&StepUp> {
        self.step_up.as_ref()
    }

    /// A rate is used up: which, and when to try again.
    pub fn over_rate(message: impl Into<String>, allowance: Allowance, after: Duration) -> Self {
        Self { allowance: Some(Box::new(allowance)), ..Self::new(Kind::TooMany, message).retry_after(after) }
    }

    /// Which rate is used up, where that is why.
    #[must_use]
    pub fn allowance(&self) -> Option<&Allowance> {
        self.allowance.as_deref()
    }

    /// Adds when to try again.
    #[must_use]
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Keeps the cause, for the log only: it is never sent to a caller.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// What class of answer this gets.
    #[must_use]
    pub const fn kind(&self) -> Kind {
        self.kind
    }

    /// What the caller may read.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// When to try again, if that helps.
    #[must_use]
    pub const fn retry_after_hint(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Error for Problem {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match &self.source {
            Some(source) => Some(source.as_ref()),
            None => None,
        }
    }
}
