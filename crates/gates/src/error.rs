use std::fmt;

/// Why a gate file cannot be used; the text says where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GateFileError(pub String);

impl fmt::Display for GateFileError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the gate file cannot be used: {}", self.0)
    }
}

impl std::error::Error for GateFileError {}

pub(crate) fn wrong<T>(what: impl Into<String>) -> Result<T, GateFileError> {
    Err(GateFileError(what.into()))
}
