//! What can be wrong with a backup.

use std::error::Error;
use std::fmt;

use kernel::{Kind, Problem};

/// Why a backup is not to be trusted.
#[derive(Debug)]
pub enum BackupError {
    /// There is none.
    None(String),
    /// A manifest is not one, or of another version.
    Malformed(u64, String),
    /// A manifest is not signed by the key that is trusted.
    Signer(u64),
    /// The manifests do not follow one another.
    Chain(u64, String),
    /// The place holds backups of another server.
    Foreign(String),
    /// A part is not there.
    Missing(String),
    /// A part is not what the manifest says of it.
    Damaged(String),
    /// A part does not open under the backup key.
    Sealed(String),
    /// The log's point does not hold, or the running log does not go on from it.
    Log(String),
    /// The newest is not good, and this older one is.
    Newest(String, u64),
    /// The place could not be read.
    Place(Problem),
}

impl fmt::Display for BackupError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None(place) => write!(f, "there is no backup in {place}"),
            Self::Malformed(sequence, why) => write!(f, "the manifest of backup {sequence} cannot be read: {why}"),
            Self::Signer(sequence) => {
                write!(
                    f,
                    "the manifest of backup {sequence} is not signed by the key that is trusted: it was exchanged or changed"
                )
            }
            Self::Chain(sequence, why) => write!(f, "backup {sequence} does not follow the one before it: {why}"),
            Self::Foreign(place) => write!(f, "`{place}` holds backups of another server; name a place of its own"),
            Self::Missing(part) => write!(f, "{part} is missing"),
            Self::Damaged(part) => write!(f, "{part} is not what the manifest says: it was changed, exchanged or cut short"),
            Self::Sealed(part) => write!(f, "{part} does not open under the backup key"),
            Self::Log(why) => write!(f, "the audit log does not bear the backup out: {why}"),
            Self::Newest(why, good) => {
                write!(f, "{why}. Backup {good} is the last good one before it: name it by its number if you want that one")
            }
            Self::Place(problem) => problem.fmt(f),
        }
    }
}

impl BackupError {
    /// The same, for another to have.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::None(place) => Self::None(place.clone()),
            Self::Malformed(sequence, why) => Self::Malformed(*sequence, why.clone()),
            Self::Signer(sequence) => Self::Signer(*sequence),
            Self::Chain(sequence, why) => Self::Chain(*sequence, why.clone()),
            Self::Foreign(place) => Self::Foreign(place.clone()),
            Self::Missing(part) => Self::Missing(part.clone()),
            Self::Damaged(part) => Self::Damaged(part.clone()),
            Self::Sealed(part) => Self::Sealed(part.clone()),
            Self::Log(why) => Self::Log(why.clone()),
            Self::Newest(why, good) => Self::Newest(why.clone(), *good),
            Self::Place(problem) => Self::Place(Problem::new(problem.kind(), problem.message().to_owned())),
        }
    }

    /// The same of the newest, where an older one is good.
    pub(crate) fn behind(&self, good: u64) -> Self {
        Self::Newest(self.to_string(), good)
    }
}

impl Error for BackupError {}

impl From<Problem> for BackupError {
    fn from(problem: Problem) -> Self {
        Self::Place(problem)
    }
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        let kind = match error {
            BackupError::Place(problem) => return problem,
            BackupError::None(_) => Kind::NotFound,
            BackupError::Foreign(_) => Kind::Conflict,
            _ => Kind::Invalid,
        };
        Self::new(kind, error.to_string()).because(error)
    }
}
