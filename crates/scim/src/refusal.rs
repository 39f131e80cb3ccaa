//! Why a request is refused, in SCIM's words (RFC 7644, section 3.12).

use std::error::Error;
use std::fmt;

use kernel::{Kind, Problem};

/// The message schema of errors.
pub const ERROR_SCHEMA: &str = "urn:ietf:params:scim:api:messages:2.0:Error";

/// Which of the protocol's errors a [`Problem`] is: the problem's source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The filter cannot be read, or compares what cannot be compared.
    InvalidFilter,
    /// The body cannot be read.
    InvalidSyntax,
    /// The path of a patch names no attribute.
    InvalidPath,
    /// The path of a patch matches nothing.
    NoTarget,
    /// A value is missing, or does not fit its attribute.
    InvalidValue,
    /// The attribute cannot be changed.
    Mutability,
    /// The resource has changed since (RFC 7232).
    Precondition,
}

impl Refusal {
    /// The word for `scimType`; none where the status says it all.
    #[must_use]
    pub const fn scim_type(self) -> Option<&'static str> {
        match self {
            Self::InvalidFilter => Some("invalidFilter"),
            Self::InvalidSyntax => Some("invalidSyntax"),
            Self::InvalidPath => Some("invalidPath"),
            Self::NoTarget => Some("noTarget"),
            Self::InvalidValue => Some("invalidValue"),
            Self::Mutability => Some("mutability"),
            Self::Precondition => None,
        }
    }

    /// As a problem that says why.
    pub fn problem(self, why: impl Into<String>) -> Problem {
        let kind = if self == Self::Precondition { Kind::Conflict } else { Kind::Invalid };
        Problem::new(kind, why).because(self)
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.scim_type().unwrap_or("the resource has changed since"))
    }
}

impl Error for Refusal {}
