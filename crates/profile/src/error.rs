//! What can go wrong.

use std::fmt;

/// Why a profile could not be made, merged or read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProfileError {
    /// The table has more columns than one profile may have.
    TooManyColumns {
        /// How many it has, structures counted with all that is in them.
        column_count: usize,
    },
    /// A batch does not have the columns that the profiler was made for.
    OtherSchema {
        /// What differs.
        difference: String,
    },
    /// Two profiles hash with different seeds, so their sketches cannot be joined.
    OtherSeed,
    /// A report's sketch is not what its format says.
    BrokenSketch {
        /// Which sketch.
        sketch: &'static str,
        /// What is wrong with it.
        fault: String,
    },
}

impl fmt::Display for ProfileError {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooManyColumns { column_count } => write!(
                to,
                "the table has {column_count} columns, a profile takes at most {}; choose the columns that matter",
                crate::limits::COLUMN_COUNT_MAX
            ),
            Self::OtherSchema { difference } => {
                write!(to, "the batch has other columns than the profile ({difference}); make one profile for each schema")
            }
            Self::OtherSeed => write!(to, "the profiles were made with different hash seeds; make both again with one seed"),
            Self::BrokenSketch { sketch, fault } => {
                write!(to, "the report's {sketch} sketch cannot be read ({fault}); make the profile again from the data")
            }
        }
    }
}

impl std::error::Error for ProfileError {}

/// A broken sketch, said shortly.
pub fn broken(sketch: &'static str, fault: impl Into<String>) -> ProfileError {
    ProfileError::BrokenSketch { sketch, fault: fault.into() }
}
