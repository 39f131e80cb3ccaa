//! What can go wrong here. Data never is: any text and any column has an answer.

use std::fmt;

/// A fault of this crate's own tables, or of its use.
#[derive(Debug)]
pub enum PersonalError {
    /// A word list could not be made into an automaton.
    Automaton(aho_corasick::BuildError),
    /// The table has more columns than are looked at.
    TooManyColumns {
        /// How many it has.
        count: usize,
        /// How many it may have.
        limit: usize,
    },
    /// A batch, or another scanner, does not have the columns that this one was made for.
    OtherColumns {
        /// What was expected.
        expected: String,
        /// What came.
        found: String,
    },
}

impl PersonalError {
    pub(crate) fn automaton(error: aho_corasick::BuildError) -> Self {
        Self::Automaton(error)
    }
}

impl fmt::Display for PersonalError {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        match self {
            Self::Automaton(_) => write!(f, "cannot build the automaton of a word list"),
            Self::TooManyColumns { count, limit } => {
                write!(
                    f,
                    "the table has {count} columns and {limit} can be searched for personal data: split it, or leave columns out"
                )
            }
            Self::OtherColumns { expected, found } => {
                write!(f, "expected the columns `{expected}` and got `{found}`: scan each schema with a scanner of its own")
            }
        }
    }
}

impl std::error::Error for PersonalError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Automaton(error) => Some(error),
            Self::TooManyColumns { .. } | Self::OtherColumns { .. } => None,
        }
    }
}
