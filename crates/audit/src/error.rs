//! What can go wrong in the log.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};

use kernel::{Kind, Problem};

/// An error of the audit log.
#[derive(Debug)]
pub enum AuditError {
    /// The configuration cannot be used.
    Config(String),
    /// A file could not be read or written.
    Io(PathBuf, std::io::Error),
    /// What is on disk and in the database does not fit together: somebody or something changed it.
    Mismatch(String),
    /// The log has no such record.
    NoSuchRecord(String),
    /// A text that should be a key, a note, a checkpoint or a proof is not one.
    Malformed(String),
    /// The database cannot be reached.
    Database(Problem),
    /// The search index failed.
    Index(rusqlite::Error),
}

impl AuditError {
    pub(crate) fn io(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |error| Self::Io(path.to_path_buf(), error)
    }

    pub(crate) fn malformed(what: impl Into<String>) -> Self {
        Self::Malformed(what.into())
    }
}

impl fmt::Display for AuditError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Config(what) => write!(f, "the audit log's configuration cannot be used: {what}"),
            Self::Io(path, error) => write!(f, "the audit log cannot use `{}`: {error}", path.display()),
            Self::Mismatch(what) => write!(
                f,
                "the audit log does not verify: {what}. Keep the folder and the database as they are, run `audit verify`, \
                 and restore both from one backup; `audit recover --accept` goes on from here and records that it did"
            ),
            Self::NoSuchRecord(which) => write!(f, "the audit log has no record `{which}`"),
            Self::Malformed(what) => f.write_str(what),
            Self::Database(problem) => write!(f, "the audit log cannot use the database: {problem}"),
            Self::Index(error) => write!(f, "the audit log's search index failed: {error}"),
        }
    }
}

impl Error for AuditError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io(_, error) => Some(error),
            Self::Database(problem) => Some(problem),
            Self::Index(error) => Some(error),
            _ => None,
        }
    }
}

impl From<rusqlite::Error> for AuditError {
    fn from(error: rusqlite::Error) -> Self {
        Self::Index(error)
    }
}

impl From<AuditError> for Problem {
    fn from(error: AuditError) -> Self {
        match &error {
            AuditError::NoSuchRecord(_) => Self::not_found(error.to_string()),
            AuditError::Malformed(_) => Self::invalid(error.to_string()),
            AuditError::Database(_) => Self::unavailable("the database cannot take this now").because(error),
            AuditError::Mismatch(_) => {
                Self::new(Kind::Internal, "the audit log does not verify; run `audit verify`").because(error)
            }
            _ => Self::unavailable("the audit log cannot be read now").because(error),
        }
    }
}
