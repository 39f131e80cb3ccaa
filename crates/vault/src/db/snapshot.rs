//! Snapshots of a SQLite database, and looks into files that no server has open.
//!
//! `VACUUM INTO` gives one state of the whole database as a file of its own, while others go on writing, and leaves nothing of
//! deleted rows in it.

use std::path::{Path, PathBuf};

use gate::Permit;
use kernel::Problem;
use rusqlite::{Connection, OpenFlags};

use super::{Db, DbError, Engine, Reader, Session, Writer};

/// How long a look waits for a lock.
const BUSY_MS: u64 = 30_000;
/// Faults of one file that are told.
const FAULT_COUNT_MAX: usize = 20;

impl Db {
    /// Writes one state of the database into a new file. Writers go on meanwhile.
    ///
    /// # Errors
    /// `NotImplemented` on PostgreSQL; `Unavailable` if the file cannot be written.
    pub async fn snapshot<O: ?Sized>(&self, _permit: &Permit<O>, to: &Path) -> Result<(), Problem> {
        let Engine::Sqlite(pool) = self.0.as_ref() else {
            return Err(Problem::new(kernel::Kind::NotImplemented, "this database's snapshots are made by its own tools"));
        };
        let (from, to) = (pool.path().to_path_buf(), to.to_path_buf());
        let made = tokio::task::spawn_blocking(move || vacuum_into(&from, &to)).await;
        made.map_err(|broken| Problem::internal("the snapshot broke off", broken))?
            .map_err(|error| Problem::unavailable("no snapshot of the database could be written; is there room?").because(error))
    }

    /// Whether it is a SQLite file.
    #[must_use]
    pub fn is_sqlite(&self) -> bool {
        matches!(self.0.as_ref(), Engine::Sqlite(_))
    }
}

fn vacuum_into(from: &Path, to: &Path) -> Result<(), DbError> {
    let connection = open(from, OpenFlags::SQLITE_OPEN_READ_WRITE)?;
    connection.execute("VACUUM INTO ?1", [to.to_string_lossy()])?;
    std::fs::File::open(to).and_then(|file| file.sync_all()).map_err(DbError::io)
}

fn open(path: &Path, flags: OpenFlags) -> Result<Connection, DbError> {
    let connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    connection.busy_timeout(std::time::Duration::from_millis(BUSY_MS))?;
    connection.execute_batch("PRAGMA trusted_schema = OFF; PRAGMA case_sensitive_like = ON;")?;
    Ok(connection)
}

/// Runs `work` on a SQLite file that is not ours to change.
///
/// # Errors
/// The problem that `work` returned; `Invalid` if it is not a database.
pub fn read_file<T>(path: &Path, work: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| unreadable(path, error))?;
    work(&mut Reader(Session::Sqlite(&connection)))
}

/// Runs `work` in one transaction on a SQLite file that no server has open. What it changes has no record of its own: whoever
/// calls it writes one.
///
/// # Errors
/// The problem that `work` returned, and then nothing was changed; `Invalid` if it is not a database.
pub fn change_file<T>(path: &Path, work: impl FnOnce(&mut Writer<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    let unreadable = |error: DbError| unreadable(path, error);
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(unreadable)?;
    connection
        .execute_batch("PRAGMA foreign_keys = ON; PRAGMA synchronous = FULL; BEGIN IMMEDIATE")
        .map_err(|e| unreadable(e.into()))?;
    let value = work(&mut Writer::new(Session::Sqlite(&connection)))?;
    connection.execute_batch("COMMIT").map_err(|error| unreadable(error.into()))?;
    Ok(value)
}

/// What is wrong with a SQLite file, by SQLite's own check and by its foreign keys. Nothing is good.
///
/// # Errors
/// `Invalid` if it is not a database at all.
pub fn faults_of_file(path: &Path) -> Result<Vec<String>, Problem> {
    let look = || -> Result<Vec<String>, DbError> {
        let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
        let mut faults = Vec::new();
        let mut statement = connection.prepare(&format!("PRAGMA integrity_check({FAULT_COUNT_MAX})"))?;
        for line in statement.query_map([], |row| row.get::<_, String>(0))? {
            faults.push(line?);
        }
        faults.retain(|line| line != "ok");
        let mut statement = connection.prepare("PRAGMA foreign_key_check")?;
        let rows = statement.query_map([], |row| Ok((row.get::<_, String>(0)?, row.get::<_, String>(2)?)))?;
        for row in rows.take(FAULT_COUNT_MAX) {
            let (table, parent) = row?;
            faults.push(format!("a row of `{table}` names one of `{parent}` that is not there"));
        }
        Ok(faults)
    };
    look().map_err(|error| unreadable(path, error))
}

/// The highest number that the outbox has given out: everything up to it was committed before, in that order.
///
/// # Errors
/// As the database's.
pub fn newest_outbox_id(reader: &mut Reader<'_>) -> Result<i64, Problem> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'audit_outbox'";
    Ok(reader.query_one(sql, &[], |row| row.int(0))?.unwrap_or(0))
}

/// The steps of the schema that a file has, in order.
///
/// # Errors
/// As the database's.
pub fn schema_steps(reader: &mut Reader<'_>) -> Result<Vec<String>, Problem> {
    Ok(reader.query("SELECT name FROM schema_step ORDER BY name", &[], |row| row.text(0))?)
}

fn unreadable(path: &Path, error: DbError) -> Problem {
    Problem::invalid(format!("`{}` cannot be used as a database of strongroom: {error}", PathBuf::from(path).display()))
        .because(error)
}
