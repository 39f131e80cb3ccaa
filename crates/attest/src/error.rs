//! What can go wrong with a signature, a statement or a paper.

use std::fmt;
use std::path::PathBuf;

/// Why something is not signed, not verified or not written.
#[derive(Debug)]
pub enum AttestError {
    /// Not the format that it should be.
    Malformed(String),
    /// Over a named limit.
    TooBig {
        /// What is too big.
        what: &'static str,
        /// How big it is, or how far it was read.
        size: u64,
        /// How big it may be.
        max: u64,
    },
    /// The signature is not the key's over these bytes.
    BadSignature(String),
    /// Signed, but not by anybody who is trusted here.
    Untrusted(String),
    /// The files are not those that were signed.
    Mismatch(Vec<Difference>),
    /// The files cannot be signed or verified as they are: a link, a device, a name that is no text.
    BadFile {
        /// Its path below the model's folder.
        path: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// Understood, but not supported; nothing was verified.
    Unsupported(String),
    /// A key or certificate cannot be used.
    Key(String),
    /// A file cannot be read.
    Io {
        /// Which.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
}

/// One way in which files differ from what was signed.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Signed, but not there.
    Missing(String),
    /// There, but not signed.
    Extra(String),
    /// There with other bytes.
    Changed(String),
    /// There, not signed, and hidden by a path that the signer asked to ignore.
    Hidden(String),
}

/// An error names this many files; more would only be longer.
const SHOWN_COUNT_MAX: usize = 5;

impl AttestError {
    /// Something that is not what it should be, and why.
    pub fn malformed(problem: impl Into<String>) -> Self {
        Self::Malformed(problem.into())
    }

    pub(crate) fn untrusted(problem: impl Into<String>) -> Self {
        Self::Untrusted(problem.into())
    }

    pub(crate) fn key(problem: impl Into<String>) -> Self {
        Self::Key(problem.into())
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(f, "`{path}` was signed and is missing"),
            Self::Extra(path) => write!(f, "`{path}` was not signed"),
            Self::Changed(path) => write!(f, "`{path}` has other bytes than those signed"),
            Self::Hidden(path) => write!(f, "`{path}` was left out of the signature by an ignored path"),
        }
    }
}

impl fmt::Display for AttestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(problem) => f.write_str(problem),
            Self::TooBig { what, size, max } => write!(f, "{what} is {size}, but at most {max} is allowed"),
            Self::BadSignature(problem) => write!(f, "the signature does not hold: {problem}"),
            Self::Untrusted(problem) => write!(f, "the signer is not trusted: {problem}"),
            Self::Mismatch(differences) => {
                f.write_str("the files are not those that were signed: ")?;
                for (index, difference) in differences.iter().take(SHOWN_COUNT_MAX).enumerate() {
                    write!(f, "{}{difference}", if index == 0 { "" } else { "; " })?;
                }
                match differences.len().saturating_sub(SHOWN_COUNT_MAX) {
                    0 => Ok(()),
                    more => write!(f, "; and {more} more"),
                }
            }
            Self::BadFile { path, problem } => write!(f, "`{path}` {problem}"),
            Self::Unsupported(problem) => write!(f, "not supported: {problem}"),
            Self::Key(problem) => f.write_str(problem),
            Self::Io { path, source } => write!(f, "cannot read `{}`: {source}", path.display()),
        }
    }
}

impl std::error::Error for AttestError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            _ => None,
        }
    }
}
