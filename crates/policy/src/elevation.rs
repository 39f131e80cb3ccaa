//! A role for some hours: asked for by one person and given by another, or taken alone in an emergency, which always alarms.

pub(crate) mod store;

use std::fmt;

use kernel::{Kind, Micros, Problem};
use vault::db::Writer;

use crate::types::Resource;

/// The shortest time, and the longest that a second person gives.
pub(crate) const SECONDS_MIN: i64 = 300;
pub(crate) const SECONDS_MAX: i64 = 12 * 3_600;
/// The longest that somebody takes alone.
pub(crate) const BROKEN_SECONDS_MAX: i64 = 3_600;
/// A request that nobody decided on is void after this long.
pub(crate) const ASKED_SECONDS_MAX: i64 = 24 * 3_600;
/// Requests of one person that wait.
pub(crate) const ASKED_COUNT_MAX: i64 = 10;
/// A reason's length.
pub(crate) const REASON_BYTES_MAX: usize = 1_000;
/// Rows of a list.
pub(crate) const LIST_COUNT_MAX: i64 = 200;

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ElevationState {
    /// A second person has not decided.
    Asked,
    /// The role was given, until its end.
    Given,
    /// A second person said no.
    Refused,
    /// It was given back before its end.
    Ended,
    /// It was taken alone.
    Broken,
}

impl ElevationState {
    /// The word for rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Asked => "asked",
            Self::Given => "given",
            Self::Refused => "refused",
            Self::Ended => "ended",
            Self::Broken => "broken",
        }
    }

    pub(crate) fn parse(word: &str) -> Option<Self> {
        [Self::Asked, Self::Given, Self::Refused, Self::Ended, Self::Broken].into_iter().find(|one| one.word() == word)
    }
}

impl fmt::Display for ElevationState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// One elevation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Elevation {
    /// Its id.
    pub id: String,
    /// Who, by id.
    pub principal: String,
    /// How that account is called, where it was looked up.
    pub principal_name: Option<String>,
    /// The role.
    pub role: String,
    /// On what.
    pub resource: Resource,
    /// The workspace that it lies in; none for the server.
    pub workspace: Option<String>,
    /// Why.
    pub reason: String,
    /// For how long.
    pub seconds: i64,
    /// When it was asked for.
    pub asked_at: Micros,
    /// How far it is.
    pub state: ElevationState,
    /// Who decided, by id.
    pub decided_by: Option<String>,
    /// When.
    pub decided_at: Option<Micros>,
    /// Until when the role counts.
    pub ends_at: Option<Micros>,
    /// The grant that it became.
    pub grant_id: Option<String>,
}

impl Elevation {
    /// Whether a second person may still decide on it.
    pub(crate) fn is_open(&self, now: Micros) -> bool {
        self.state == ElevationState::Asked && self.asked_at > now.plus_secs(-ASKED_SECONDS_MAX)
    }
}

/// Somebody made themself administrator.
#[derive(Clone, Debug)]
pub struct Broken<'a> {
    /// Who, by id.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
    /// The grant.
    pub grant: &'a str,
    /// Until when.
    pub until: Micros,
    /// When.
    pub at: Micros,
}

/// Is told when somebody does, in the same transaction.
pub trait GlassAlarm: Send + Sync {
    /// Somebody did.
    ///
    /// # Errors
    /// If it cannot be kept. Then nothing is given.
    fn broken(&self, writer: &mut Writer<'_>, broken: &Broken<'_>) -> Result<(), Problem>;
}

/// A reason that was given, within its length.
pub(crate) fn reason_of(text: &str) -> Result<String, Problem> {
    let reason = text.trim();
    if reason.is_empty() {
        return Err(Problem::invalid("say why: `reason` is empty"));
    }
    if reason.len() > REASON_BYTES_MAX {
        return Err(Problem::invalid(format!("the reason is longer than {REASON_BYTES_MAX} bytes")));
    }
    Ok(reason.to_owned())
}

/// A time within its bounds.
pub(crate) fn seconds_of(seconds: i64, max: i64) -> Result<i64, Problem> {
    if !(SECONDS_MIN..=max).contains(&seconds) {
        return Err(Problem::invalid(format!("`seconds` is {seconds}; it must be from {SECONDS_MIN} to {max}")));
    }
    Ok(seconds)
}

pub(crate) fn not_open() -> Problem {
    Problem::new(Kind::Conflict, "this request is not open any more: it was decided on, or a day has passed; ask again")
}
