//! The nouns of this room.

use std::fmt;
use std::sync::Arc;

use kernel::{Kind, Micros, Problem};
use runtime::Outputs;

use crate::Loaded;
use crate::engine::Runtime;
use crate::limits::NAME_BYTES_MAX;
use crate::rollout::{Mode, Rollout};

/// The name of an endpoint: letters, digits, `.`, `_` and `-`, the first a letter or digit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointName(String);

impl EndpointName {
    /// Reads a name.
    ///
    /// # Errors
    /// `Invalid`, saying what a name is.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let begins = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric());
        let plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-'));
        if begins && plain && text.len() <= NAME_BYTES_MAX {
            return Ok(Self(text.to_owned()));
        }
        Err(Problem::invalid(format!(
            "an endpoint's name has at most {NAME_BYTES_MAX} letters, digits, `.`, `_` and `-`, and begins with a letter or digit"
        )))
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Which version of its model an endpoint answers with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The version that an alias points at, whenever it is asked.
    Alias(String),
    /// This one.
    Number(i64),
}

impl Choice {
    /// Reads `@alias` or a number.
    ///
    /// # Errors
    /// `Invalid` for anything else.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        match text.strip_prefix('@') {
            Some(alias) if !alias.is_empty() && alias.len() <= 256 => Ok(Self::Alias(alias.to_owned())),
            None if text.parse::<i64>().is_ok_and(|number| number > 0) => Ok(Self::Number(text.parse().unwrap_or_default())),
            _ => Err(Problem::invalid("a version is chosen by its number, or by an alias as `@champion`")),
        }
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Alias(alias) => write!(f, "@{alias}"),
            Self::Number(number) => write!(f, "{number}"),
        }
    }
}

/// An endpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Its id.
    pub id: String,
    /// The workspace's id.
    pub workspace: String,
    /// Its name.
    pub name: String,
    /// The model's internal id.
    pub model_id: String,
    /// The model's name, as it is now; none once it is deleted.
    pub model: Option<String>,
    /// Which version answers.
    pub choice: Choice,
    /// What computes.
    pub runtime: Runtime,
    /// The number of the version that answered before the last change.
    pub previous: Option<i64>,
    /// A second version that takes part.
    pub rollout: Option<Rollout>,
    /// When it was made.
    pub created_at: Micros,
    /// By whom.
    pub created_by: String,
    /// And by name, as it is now; none for an account that is gone.
    pub created_by_name: Option<String>,
    /// When it was changed last.
    pub changed_at: Micros,
    /// By whom.
    pub changed_by: String,
    /// And by name.
    pub changed_by_name: Option<String>,
}

impl Endpoint {
    /// Tells how it stands from how it stood: what answers, what answered before, what is on trial.
    #[must_use]
    pub fn mark(&self) -> String {
        let trial = self.rollout.as_ref().map_or("", |rollout| &rollout.id);
        format!("{}.{}.{}.{trial}", self.changed_at.0, self.choice, self.previous.unwrap_or_default())
    }

    /// # Errors
    /// `Conflict` if it does not stand as it did when somebody looked at it.
    pub(crate) fn still_as(&self, seen: Option<&str>) -> Result<(), Problem> {
        if seen.is_none_or(|seen| seen == self.mark()) {
            return Ok(());
        }
        let message = "the endpoint has changed since you looked at it, so nothing was done; look at it again";
        Err(Problem::new(Kind::Conflict, message))
    }
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Prediction {
    /// Its id, by which it is traced back.
    pub id: String,
    /// The model that made it.
    pub model: Arc<Loaded>,
    /// As what it took part, if it was a rollout's.
    pub arm: Option<Mode>,
    /// How many rows were asked.
    pub row_count: usize,
    /// What it says.
    pub outputs: Outputs,
}

pub(crate) fn no_endpoint() -> Problem {
    Problem::not_found("there is no such endpoint here; `strongroom endpoint list` shows those that there are")
}

pub(crate) fn no_rollout() -> Problem {
    Problem::new(Kind::Conflict, "no other version takes part here; `strongroom endpoint rollout` lets one")
}
