use std::fmt;

/// Why a scan did not end with a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PoisonError {
    /// The caller asked to stop.
    Cancelled,
    /// Parts of the input do not fit each other; the text says which.
    Shape(String),
    /// Too few rows to say anything; the count.
    TooFewRows(usize),
    /// A named limit is passed; the text says which.
    TooLarge(String),
}

impl fmt::Display for PoisonError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => write!(formatter, "the scan was cancelled"),
            Self::Shape(what) => write!(formatter, "the input's parts do not fit each other: {what}"),
            Self::TooFewRows(rows) => {
                write!(formatter, "{rows} rows are too few to scan; at least {} are needed", crate::ROW_COUNT_MIN)
            }
            Self::TooLarge(what) => write!(formatter, "the input is too large to scan: {what}"),
        }
    }
}

impl std::error::Error for PoisonError {}
