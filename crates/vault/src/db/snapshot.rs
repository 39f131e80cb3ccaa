//! Snapshots of a database, and looks into databases that no server has open.
//!
//! On SQLite `VACUUM INTO` gives one state of the whole database as a file of its own, while others go on writing, and leaves nothing of
//! deleted rows in it. On PostgreSQL `pg_dump` writes what an exported snapshot holds, and nothing readable touches a disk.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use gate::Permit;
use kernel::{Problem, Secret};
use rusqlite::{Connection, OpenFlags};

use super::postgres::copy::Held;
use super::postgres::fresh;
use super::{Db, DbError, Engine, Location, Reader, Session, Writer};
use crate::objects::{Stored, file_stream};

/// How long a look waits for a lock.
const BUSY_MS: u64 = 30_000;
/// Faults of one file that are told.
const FAULT_COUNT_MAX: usize = 20;

/// What snapshots are made with.
#[derive(Clone, Debug)]
pub struct Means {
    /// Where a copy of a SQLite file lies meanwhile.
    pub scratch: PathBuf,
    /// The folder of `pg_dump`; else it is looked for in `PATH`.
    pub programs: Option<PathBuf>,
}

/// One state of the database. It goes when this is dropped, and so does what was copied of it here.
pub struct Snapshot {
    kept: Kept,
    newest_row: i64,
}

enum Kept {
    File(PathBuf),
    Held(Held),
}

impl Snapshot {
    /// The highest number that the outbox had given out: everything up to it was committed before, and nothing behind it was.
    #[must_use]
    pub const fn newest_row(&self) -> i64 {
        self.newest_row
    }

    /// The engine's name, as manifests have it.
    #[must_use]
    pub const fn engine(&self) -> &'static str {
        match self.kept {
            Kept::File(_) => SQLITE,
            Kept::Held(_) => POSTGRES,
        }
    }

    /// Its bytes: a SQLite file, or an archive of `pg_dump`.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read, or `pg_dump` cannot be run.
    pub fn stream(&self) -> Result<Stored, Problem> {
        match &self.kept {
            Kept::File(path) => {
                let file = File::open(path);
                let file = file.map_err(|error| Problem::unavailable("the snapshot cannot be read again").because(error))?;
                Ok(file_stream(file))
            }
            Kept::Held(held) => held.stream(),
        }
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        if let Kept::File(path) = &self.kept {
            wipe(path);
        }
    }
}

/// What SQLite is called in manifests.
pub const SQLITE: &str = "sqlite";
/// What PostgreSQL is called in manifests.
pub const POSTGRES: &str = "postgres";

impl Db {
    /// Makes a snapshot of one state of the database, and reads it. Writers go on meanwhile.
    ///
    /// # Errors
    /// The problem that `read` returned; `Unavailable` if no snapshot can be made, saying what is missing.
    pub async fn snapshot<O, T, F>(&self, _permit: &Permit<O>, means: Means, read: F) -> Result<(T, Snapshot), Problem>
    where
        O: ?Sized,
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let engine = std::sync::Arc::clone(&self.0);
        let make = move || match engine.as_ref() {
            Engine::Sqlite(pool) => {
                let mut snapshot = Snapshot { kept: Kept::File(means.scratch.clone()), newest_row: 0 };
                wipe(&means.scratch);
                vacuum_into(pool.path(), &means.scratch).map_err(|error| {
                    Problem::unavailable("no snapshot of the database could be written; is there room?").because(error)
                })?;
                let (found, newest_row) = read_file(&means.scratch, |reader| Ok((read(reader)?, newest_of_file(reader)?)))?;
                snapshot.newest_row = newest_row;
                Ok((found, snapshot))
            }
            Engine::Postgres(pool) => {
                let (found, held) = pool.hold(means.programs.as_deref(), read)?;
                Ok((found, Snapshot { newest_row: held.newest_row, kept: Kept::Held(held) }))
            }
        };
        let made = tokio::task::spawn_blocking(make).await;
        made.map_err(|broken| Problem::internal("the snapshot broke off", broken))?
    }
}

impl Location {
    /// Runs `work` on a database that is not ours to change.
    ///
    /// # Errors
    /// The problem that `work` returned; `Invalid` or `Unavailable` if it cannot be read.
    pub fn read<T: Send>(&self, work: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send) -> Result<T, Problem> {
        match self {
            Self::Sqlite(path) => read_file(path, work),
            Self::Postgres { url, ca } => fresh::read((url, ca.as_deref()), work),
        }
    }

    /// Runs `work` in one transaction on a database that no server has open. What it changes has no record of its own: whoever calls it
    /// writes one.
    ///
    /// # Errors
    /// The problem that `work` returned, and then nothing was changed; `Invalid` or `Unavailable` if it cannot be used.
    pub fn change<T: Send>(&self, work: impl FnOnce(&mut Writer<'_>) -> Result<T, Problem> + Send) -> Result<T, Problem> {
        match self {
            Self::Sqlite(path) => change_file(path, work),
            Self::Postgres { url, ca } => fresh::change((url, ca.as_deref()), work),
        }
    }
}

/// A database of PostgreSQL that a restore fills: made beside another one, or given empty.
#[derive(Clone, Debug)]
pub struct Fresh {
    url: Secret,
    ca: Option<PathBuf>,
    /// Its name, if it was made here.
    made: Option<String>,
}

impl Fresh {
    /// One that was given.
    ///
    /// # Errors
    /// `Invalid` if it is no address of PostgreSQL.
    pub fn given(location: &Location) -> Result<Self, Problem> {
        let (url, ca) = address_of(location)?;
        Ok(Self { url: url.clone(), ca: ca.map(Path::to_path_buf), made: None })
    }

    /// Makes one of that name beside another, unless it is there.
    ///
    /// # Errors
    /// `Invalid` if it is no address of PostgreSQL; `Unavailable` if the account may not make databases.
    pub fn make_beside(location: &Location, name: &str) -> Result<Self, Problem> {
        let (url, ca) = address_of(location)?;
        fresh::create((url, ca), name)?;
        Ok(Self { url: fresh::beside(url, name)?, ca: ca.map(Path::to_path_buf), made: Some(name.to_owned()) })
    }

    /// Where it is.
    #[must_use]
    pub fn location(&self) -> Location {
        Location::Postgres { url: self.url.clone(), ca: self.ca.clone() }
    }

    /// Its address. It may hold a password.
    #[must_use]
    pub const fn url(&self) -> &Secret {
        &self.url
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> String {
        fresh::name_of(&self.url)
    }

    /// Marks it for a restore. `goes_on`: an earlier try of the same one had begun, and nobody used what it made.
    ///
    /// # Errors
    /// `Conflict` if it holds something else.
    pub fn claim(&self, mark: &str, goes_on: bool) -> Result<(), Problem> {
        fresh::claim(self.at(), mark, goes_on)
    }

    /// Fills it with the rows of a dump of `pg_dump`, under this program's own schema as of `steps`. All references are checked.
    ///
    /// # Errors
    /// `Unavailable` if `pg_restore` is missing or older than the dump; `Invalid` if the dump is not whole.
    pub fn load(&self, steps: &[String], dump: &Path, programs: Option<&Path>) -> Result<(), Problem> {
        fresh::load(self.at(), steps, dump, programs)
    }

    /// Notes that what is in it was proved.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached.
    pub fn note_proved(&self) -> Result<(), Problem> {
        fresh::note_proved(self.at())
    }

    /// Takes the mark away.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be reached.
    pub fn release(&self) -> Result<(), Problem> {
        fresh::release(self.at())
    }

    /// Takes away what a try under that mark made: the database, or all that is in it.
    ///
    /// # Errors
    /// `Conflict` if something else is in it; `Unavailable` if it cannot be reached.
    pub fn throw_away(self, mark: &str) -> Result<(), Problem> {
        fresh::clear(self.at(), mark)?;
        match &self.made {
            Some(name) => fresh::remove(self.at(), name),
            None => Ok(()),
        }
    }

    fn at(&self) -> (&Secret, Option<&Path>) {
        (&self.url, self.ca.as_deref())
    }
}

fn address_of(location: &Location) -> Result<(&Secret, Option<&Path>), Problem> {
    location
        .postgres()
        .ok_or_else(|| Problem::invalid("the backup is of a PostgreSQL database: name the address of an empty one"))
}

/// Puts zeros over a file and takes it away. On disks that write elsewhere the old bytes may stay: the database lies beside it anyway.
pub fn wipe(path: &Path) {
    if let Ok(mut file) = File::options().write(true).open(path) {
        let mut left = file.metadata().map_or(0, |facts| facts.len());
        let zeros = vec![0_u8; 1 << 20];
        while left > 0 {
            let count = usize::try_from(left).unwrap_or(zeros.len()).min(zeros.len());
            if file.write_all(zeros.get(..count).unwrap_or_default()).is_err() {
                break;
            }
            left = left.saturating_sub(count as u64);
        }
        drop(file.sync_data());
    }
    drop(std::fs::remove_file(path));
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
fn read_file<T>(path: &Path, work: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    let connection = open(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(|error| unreadable(path, error))?;
    work(&mut Reader(Session::Sqlite(&connection)))
}

fn change_file<T>(path: &Path, work: impl FnOnce(&mut Writer<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
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

fn newest_of_file(reader: &mut Reader<'_>) -> Result<i64, Problem> {
    let sql = "SELECT seq FROM sqlite_sequence WHERE name = 'audit_outbox'";
    Ok(reader.query_one(sql, &[], |row| row.int(0))?.unwrap_or(0))
}

/// The steps of the schema that a database has, in order.
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
