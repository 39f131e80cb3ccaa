//! What can go wrong with the database.

use std::error::Error;
use std::fmt;

use kernel::{Kind, Problem};

/// An error of the database.
#[derive(Debug)]
pub enum DbError {
    /// A unique key is taken.
    Unique,
    /// A row that another one needs is missing.
    Reference,
    /// The engine cannot do it now: disk full, I/O error, busy, connection lost.
    Down(Box<dyn Error + Send + Sync>),
    /// A column of a result is not of the type the code expects.
    Shape(usize),
    /// The database is not one that this version can use.
    Version(String),
    /// A fault in our SQL.
    Sql(Box<dyn Error + Send + Sync>),
}

impl DbError {
    pub(crate) fn io(error: std::io::Error) -> Self {
        Self::Down(Box::new(error))
    }
}

impl fmt::Display for DbError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unique => f.write_str("a unique key is taken"),
            Self::Reference => f.write_str("a row that this one needs is missing"),
            Self::Down(source) => write!(f, "the database cannot do it now: {source}"),
            Self::Shape(column) => write!(f, "column {column} of a result has an unexpected type"),
            Self::Version(what) => f.write_str(what),
            Self::Sql(source) => write!(f, "the database refused a statement: {source}"),
        }
    }
}

impl Error for DbError {}

impl From<rusqlite::Error> for DbError {
    fn from(error: rusqlite::Error) -> Self {
        use rusqlite::ErrorCode as Code;
        let rusqlite::Error::SqliteFailure(failure, _) = &error else {
            return Self::Sql(Box::new(error));
        };
        match failure.code {
            Code::ConstraintViolation
                if matches!(
                    failure.extended_code,
                    rusqlite::ffi::SQLITE_CONSTRAINT_UNIQUE | rusqlite::ffi::SQLITE_CONSTRAINT_PRIMARYKEY
                ) =>
            {
                Self::Unique
            }
            Code::ConstraintViolation if failure.extended_code == rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY => Self::Reference,
            Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::DiskFull
            | Code::SystemIoFailure
            | Code::CannotOpen
            | Code::ReadOnly
            | Code::OperationInterrupted
            | Code::OutOfMemory => Self::Down(Box::new(error)),
            _ => Self::Sql(Box::new(error)),
        }
    }
}

impl From<postgres::Error> for DbError {
    fn from(error: postgres::Error) -> Self {
        use postgres::error::SqlState;
        match error.code() {
            Some(code) if *code == SqlState::UNIQUE_VIOLATION => Self::Unique,
            Some(code) if *code == SqlState::FOREIGN_KEY_VIOLATION => Self::Reference,
            // Class 53 is insufficient resources, 57 operator intervention, 58 system error, 40 rollback, 08 connection.
            Some(code) if ["53", "57", "58", "40", "08"].iter().any(|class| code.code().starts_with(class)) => {
                Self::Down(Box::new(error))
            }
            Some(_) => Self::Sql(Box::new(error)),
            None if error.is_closed() => Self::Down(Box::new(error)),
            None => Self::Down(Box::new(error)),
        }
    }
}

impl From<DbError> for Problem {
    fn from(error: DbError) -> Self {
        match error {
            DbError::Unique => Self::already_exists("something of that name or key exists already"),
            DbError::Down(_) => Self::unavailable("the database cannot take this now; nothing was changed").because(error),
            _ => Self::new(Kind::Internal, "the database refused a statement; this is a fault of the server").because(error),
        }
    }
}
