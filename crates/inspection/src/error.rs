//! Why an inspection has no report.

use std::fmt;

use kernel::{Kind, Problem};

/// Why an inspection has no report. Whatever it is, the version stays in quarantine.
#[derive(Debug)]
pub enum InspectionError {
    /// The worker could not be started.
    Start(String),
    /// The worker could not confine itself, and nothing allows it to go on without.
    Unconfined(String),
    /// The worker broke the protocol; what it did.
    Protocol(String),
    /// The worker said nothing for this many seconds.
    Silent(u64),
    /// The inspection took longer than this many seconds.
    TooLong(u64),
    /// The worker ended without a report; how, and what that usually means.
    Died(String),
    /// The worker says why it cannot go on.
    Failed(String),
    /// The bytes could not be read from the store.
    Source(Problem),
    /// What was written could not be stored.
    Store(Problem),
    /// It was cancelled.
    Cancelled,
}

impl InspectionError {
    /// Whether the same inspection may end well when it is tried again: the cause is this machine's, not the data's.
    #[must_use]
    pub const fn is_worth_trying_again(&self) -> bool {
        matches!(self, Self::Start(_) | Self::Source(_) | Self::Store(_) | Self::Cancelled)
    }

    /// Why a query has no answer: its worker is bounded and watched like that of an inspection, and is another one. What it says
    /// is for whoever wrote the query.
    #[must_use]
    pub fn of_query(self) -> Problem {
        let kind = match &self {
            Self::TooLong(_) => Kind::TooLarge,
            other => other.kind(),
        };
        let message = match &self {
            Self::Failed(why) => format!("the query was not run: {why}"),
            Self::TooLong(seconds) => {
                format!("the query was stopped after {seconds} s; ask for less, or raise `data.query_seconds_max`")
            }
            Self::Start(why) => format!("the worker that runs queries does not start: {why}"),
            Self::Protocol(what) => format!("the query was stopped because its worker broke its protocol: {what}"),
            Self::Silent(seconds) => format!("the query was stopped after {seconds} s of silence; ask for less"),
            Self::Died(how) => format!("the query's worker ended without an answer: {how}; or ask for less"),
            Self::Cancelled => "the query was cancelled".to_owned(),
            Self::Unconfined(_) | Self::Source(_) | Self::Store(_) => self.to_string(),
        };
        Problem::new(kind, message).because(self)
    }

    const fn kind(&self) -> Kind {
        match self {
            Self::Start(_) | Self::Unconfined(_) => Kind::Unavailable,
            Self::Source(problem) | Self::Store(problem) => problem.kind(),
            Self::Cancelled => Kind::Conflict,
            _ => Kind::Invalid,
        }
    }
}

impl fmt::Display for InspectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Start(why) => write!(f, "the inspection worker does not start: {why}"),
            Self::Unconfined(why) => write!(
                f,
                "the inspection worker cannot confine itself: {why}; use a kernel with Landlock and seccomp (Linux 5.13 or later), or \
                 accept the risk with `allow_insecure_unsandboxed`"
            ),
            Self::Protocol(what) => write!(f, "the inspection worker was stopped because it broke its protocol: {what}"),
            Self::Silent(seconds) => write!(f, "the inspection worker was stopped after {seconds} s of silence"),
            Self::TooLong(seconds) => {
                write!(f, "the inspection was stopped after its limit of {seconds} s; raise `inspection_seconds_max`")
            }
            Self::Died(how) => write!(f, "the inspection worker ended without a report: {how}"),
            Self::Failed(why) => write!(f, "the data could not be inspected: {why}"),
            Self::Source(problem) => write!(f, "the data could not be read: {problem}"),
            Self::Store(problem) => write!(f, "what was written could not be stored: {problem}"),
            Self::Cancelled => f.write_str("the inspection was cancelled"),
        }
    }
}

impl std::error::Error for InspectionError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Source(problem) | Self::Store(problem) => Some(problem),
            _ => None,
        }
    }
}

impl From<InspectionError> for Problem {
    fn from(error: InspectionError) -> Self {
        Self::new(error.kind(), error.to_string()).because(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_that_has_no_answer_is_not_told_of_an_inspection() {
        let all = [
            (InspectionError::Start("no".to_owned()), Kind::Unavailable),
            (InspectionError::Protocol("no".to_owned()), Kind::Invalid),
            (InspectionError::Silent(3), Kind::Invalid),
            (InspectionError::TooLong(3), Kind::TooLarge),
            (InspectionError::Died("for lack of memory".to_owned()), Kind::Invalid),
            (InspectionError::Failed("no column `x`".to_owned()), Kind::Invalid),
            (InspectionError::Cancelled, Kind::Conflict),
        ];
        for (error, kind) in all {
            let problem = error.of_query();
            assert_eq!(problem.kind(), kind, "{problem}");
            assert!(problem.message().contains("quer") && !problem.message().contains("inspection"), "{problem}");
        }
    }
}
