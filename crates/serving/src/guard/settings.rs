//! How an endpoint is guarded, as its owner says.

use ::guard::{Hardening, Level};
use kernel::Problem;

use crate::limits::{DIGITS_MAX, ROWS_PER_DAY_MAX, TOP_K_MAX};

/// What becomes of rows outside the ranges and categories of the training data.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RangePolicy {
    /// Nobody looks.
    Ignore,
    /// They are counted and stand in the record.
    #[default]
    Record,
    /// The request is refused.
    Refuse,
}

impl RangePolicy {
    const ALL: [Self; 3] = [Self::Ignore, Self::Record, Self::Refuse];

    /// The word in rows and answers.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Ignore => "ignore",
            Self::Record => "record",
            Self::Refuse => "refuse",
        }
    }

    /// The policy behind a word.
    ///
    /// # Errors
    /// `Invalid`, naming the words that there are.
    pub fn parse(word: &str) -> Result<Self, Problem> {
        let found = Self::ALL.into_iter().find(|policy| policy.word() == word);
        found.ok_or_else(|| Problem::invalid("`ranges` is `ignore`, `record` or `refuse`"))
    }
}

/// How an endpoint is guarded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GuardSettings {
    /// Rows that one caller may ask in a day; none for the configuration's.
    pub rows_per_day: Option<u64>,
    /// Digits after the point of probabilities, and significant digits of other numbers.
    pub digits: Option<u8>,
    /// So many of the largest probabilities are told.
    pub top_k: Option<u16>,
    /// What becomes of rows outside the training data's ranges.
    pub ranges: RangePolicy,
    /// How far queries that are unlike the training data lead by themselves: a drift looks the same.
    pub unlike: Level,
    /// Whether callers are answered by the ladder, or only noticed.
    pub ladder: bool,
}

impl Default for GuardSettings {
    fn default() -> Self {
        let ranges = RangePolicy::default();
        Self { rows_per_day: None, digits: None, top_k: None, ranges, unlike: Level::Alarm, ladder: true }
    }
}

impl GuardSettings {
    /// Refuses values that mean nothing.
    ///
    /// # Errors
    /// `Invalid`, naming the field.
    pub fn check(&self) -> Result<(), Problem> {
        if self.rows_per_day.is_some_and(|rows| rows == 0 || rows > ROWS_PER_DAY_MAX) {
            return Err(Problem::invalid(format!("`rows_per_day` is from 1 to {ROWS_PER_DAY_MAX}")));
        }
        if self.digits.is_some_and(|digits| digits == 0 || digits > DIGITS_MAX) {
            return Err(Problem::invalid(format!("`digits` is from 1 to {DIGITS_MAX}")));
        }
        if self.top_k.is_some_and(|count| count == 0 || count > TOP_K_MAX) {
            return Err(Problem::invalid(format!("`top_k` is from 1 to {TOP_K_MAX}")));
        }
        if !matches!(self.unlike, Level::Alarm | Level::Slower | Level::Coarser | Level::Refused) {
            return Err(Problem::invalid("`unlike` is `alarm`, `slower`, `coarser` or `refused`"));
        }
        Ok(())
    }

    /// How outputs are told to a caller on this step.
    pub(crate) fn hardening(&self, level: Level) -> Hardening {
        Hardening { digits: self.digits, top_k: self.top_k, label_only: false }.at(level)
    }
}
