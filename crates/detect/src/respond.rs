//! What is done about a finding: the rungs of the ladder, and the port by which other rooms do it.

use gate::BoxFuture;
use kernel::{Micros, Problem};
use serde::{Deserialize, Serialize};

use crate::rules::Level;

/// How far a response goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Rung {
    /// It is written down.
    #[default]
    Note,
    /// The caller counts as risky for a while, so that more is asked of it.
    RaiseRisk,
    /// The caller is slowed down for a while.
    Throttle,
    /// The token or session that was used ends.
    SuspendSession,
    /// The account is barred, unless it is the last administrator's.
    SuspendAccount,
}

impl Rung {
    const ALL: [Self; 5] = [Self::Note, Self::RaiseRisk, Self::Throttle, Self::SuspendSession, Self::SuspendAccount];

    /// The word for rows, rules and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Note => "note",
            Self::RaiseRisk => "raise_risk",
            Self::Throttle => "throttle",
            Self::SuspendSession => "suspend_session",
            Self::SuspendAccount => "suspend_account",
        }
    }

    /// The rung of that word.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    pub(crate) fn words() -> String {
        Self::ALL.map(Self::word).join(", ")
    }
}

/// Who a response is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// The account's id.
    pub caller: String,
    /// `user` or `service`.
    pub kind: String,
    /// The token or session that was used last, by id.
    pub token: Option<String>,
    /// The rule that found it, by name.
    pub rule: String,
    /// How bad it is.
    pub level: Level,
    /// When it was found.
    pub at: Micros,
    /// Until when a response that ends by itself lasts.
    pub until: Micros,
}

/// Does what a response asks for. `server` implements it over the rooms.
pub trait Ladder: Send + Sync + 'static {
    /// From now until `until` the account counts as risky.
    ///
    /// # Errors
    /// `NotImplemented` where no room can.
    fn raise_risk<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>>;

    /// From now until `until` the account is slowed down.
    ///
    /// # Errors
    /// As above.
    fn throttle<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>>;

    /// The token or session ends.
    ///
    /// # Errors
    /// `NotFound` if it is gone already, `NotImplemented` where no room can.
    fn suspend_session<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>>;

    /// The account is barred.
    ///
    /// # Errors
    /// Those of the verb; `Conflict` if nobody would administer the server then.
    fn suspend_account<'a>(&'a self, suspect: &'a Suspect) -> BoxFuture<'a, Result<(), Problem>>;
}
