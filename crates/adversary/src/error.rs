use std::fmt;

/// Why there is no report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AdversaryError {
    /// The caller asked to stop.
    Cancelled,
    /// Parts of the input do not fit each other; the text says which.
    Shape(String),
    /// A named limit is passed; the text says which.
    TooLarge(String),
    /// A gate file cannot be read, or cannot hold; the text says where.
    File(String),
    /// The model gave no answer, or one that is none.
    Model(String),
}

impl From<gates::GateFileError> for AdversaryError {
    fn from(error: gates::GateFileError) -> Self {
        Self::File(error.0)
    }
}

impl fmt::Display for AdversaryError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => write!(formatter, "the attacks were cancelled"),
            Self::Shape(what) => write!(formatter, "the input's parts do not fit each other: {what}"),
            Self::TooLarge(what) => write!(formatter, "the input is too large: {what}"),
            Self::File(what) => write!(formatter, "the gate file cannot be used: {what}"),
            Self::Model(what) => write!(formatter, "the model cannot be tried: {what}"),
        }
    }
}

impl std::error::Error for AdversaryError {}
