//! One database, two engines. The SQL is one text in the subset that SQLite and PostgreSQL share: `$1` binds, BIGINT
//! microseconds, SMALLINT 0/1, TEXT ids, bound blobs, upsert, RETURNING.
//!
//! SQLite is one writer thread with group commit and a pool of readers. PostgreSQL is a pool of connections.
//!
//! Three handles, so that a room holds no more than it needs: [`Db`] asks for a permit, [`PortDb`] reads for the gate's
//! ports (before there is a permit), [`SystemDb`] writes what has no caller (the outbox's drain, checkpoints, counters).

mod error;
mod migrations;
mod postgres;
pub mod snapshot;
pub mod sql;
mod sqlite;
mod stamp;
mod value;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use gate::{Commitment, Outcome, Permit, SealedOutcome};
use kernel::{Problem, Secret};
use tokio::sync::oneshot;

pub use error::DbError;
pub use value::{Bind, Row};

use crate::db::postgres::PostgresPool;
use crate::db::sqlite::SqlitePool;

/// Which engine, and where.
#[derive(Clone, Debug)]
pub enum Location {
    /// A SQLite file.
    Sqlite(PathBuf),
    /// PostgreSQL.
    Postgres {
        /// The connection string; it may hold a password, so it does not print.
        url: Secret,
        /// The authority (PEM) that signed the database's certificate. Without it only a database on this machine is spoken to.
        ca: Option<PathBuf>,
    },
}

/// What is expected of a database that is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// What is missing is made: for a new installation.
    Make,
    /// It must have been made before. Its schema is brought up to date.
    Existing,
    /// It must have been made before, by this version, and nothing in it can be changed, its schema neither.
    ReadOnly,
}

/// A committed outbox row, handed to the log's sequencer.
#[derive(Clone, Debug)]
pub struct OutboxRow {
    /// Its place in the outbox.
    pub id: i64,
    /// Its event id.
    pub event_id: String,
    /// The record's bytes.
    pub payload: Vec<u8>,
}

/// Where committed outbox rows go. Set once, by `audit`.
pub type OutboxSink = Arc<dyn Fn(OutboxRow) + Send + Sync>;

enum Engine {
    Sqlite(SqlitePool),
    Postgres(PostgresPool),
}

/// The three handles on one database.
pub struct Opened {
    /// For the rooms' verbs.
    pub db: Db,
    /// For the gate's ports.
    pub ports: PortDb,
    /// For what has no caller.
    pub system: SystemDb,
}

/// The database, for verbs: every call takes the verb's permit.
#[derive(Clone)]
pub struct Db(Arc<Engine>);

/// The database, for the gate's ports: reads only.
#[derive(Clone)]
pub struct PortDb(Arc<Engine>);

/// The database, for the server's own book-keeping.
#[derive(Clone)]
pub struct SystemDb(Arc<Engine>);

/// A state of the database. While it gives the same stamp, a look-up would find the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stamp(pub(crate) [u8; 48]);

/// A transaction that only reads.
pub struct Reader<'a>(pub(crate) Session<'a>);

/// A transaction that writes. It cannot be committed by hand: it commits with the outcome that the work returns.
pub struct Writer<'a> {
    reader: Reader<'a>,
}

pub(crate) enum Session<'a> {
    Sqlite(&'a rusqlite::Connection),
    Postgres(&'a mut dyn postgres::PgSession),
}

/// Opens the database, makes what is missing, and brings its schema up to date.
///
/// # Errors
/// [`DbError`] if it cannot be reached, is of an unknown version, or its SQLite is older than 3.51.3.
pub fn open(location: &Location) -> Result<Opened, DbError> {
    open_as(location, Opening::Make)
}

/// Opens the database as `opening` says.
///
/// # Errors
/// As [`open`]; and if there is no database of ours where there must be one.
pub fn open_as(location: &Location, opening: Opening) -> Result<Opened, DbError> {
    let engine = match location {
        Location::Sqlite(path) => Engine::Sqlite(SqlitePool::open(path, opening)?),
        Location::Postgres { url, ca } => Engine::Postgres(PostgresPool::open(url, ca.as_deref(), opening)?),
    };
    let engine = Arc::new(engine);
    Ok(Opened { db: Db(Arc::clone(&engine)), ports: PortDb(Arc::clone(&engine)), system: SystemDb(engine) })
}

impl Db {
    /// Runs `work` in one write transaction and commits it together with the outcome that it returns: the change and its
    /// record are one commit, or neither is. Answers once that is durable.
    ///
    /// `work` must not do anything but SQL: with SQLite it shares the one writer with everybody.
    ///
    /// # Errors
    /// The problem that `work` returned, or `Unavailable` if the commit failed. Then nothing was changed.
    pub async fn write<O, T, F>(&self, permit: &Permit<O>, work: F) -> Result<T, Problem>
    where
        O: ?Sized,
        T: Send + 'static,
        F: FnOnce(&mut Writer<'_>) -> Result<(T, Outcome), Problem> + Send + 'static,
    {
        let lock = lock_key(permit);
        let commitment = permit.commitment();
        self.0
            .write(lock, move |writer| {
                let (value, outcome) = work(writer)?;
                let sealed = commitment.seal(&outcome);
                Ok((value, Some(Sealed { row: sealed, commitment })))
            })
            .await
    }

    /// Runs `work` in one read transaction on a reader's thread: for scans and lists.
    ///
    /// # Errors
    /// The problem that `work` returned, or `Unavailable`.
    pub async fn read<O, T, F>(&self, _permit: &Permit<O>, work: F) -> Result<T, Problem>
    where
        O: ?Sized,
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.0.read(work).await
    }

    /// As [`Db::read`], for a handful of rows by key: with SQLite it runs where it is called, without a thread's hop.
    ///
    /// # Errors
    /// As [`Db::read`].
    pub async fn read_point<O, T, F>(&self, _permit: &Permit<O>, work: F) -> Result<T, Problem>
    where
        O: ?Sized,
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.0.read_point(work).await
    }
}

impl Db {
    /// The files of a SQLite database, which nobody else may close; none for PostgreSQL.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        match self.0.as_ref() {
            Engine::Sqlite(pool) => {
                ["", "-wal", "-shm"].map(|end| PathBuf::from(format!("{}{end}", pool.path().display()))).to_vec()
            }
            Engine::Postgres(_) => Vec::new(),
        }
    }
}

impl PortDb {
    /// A handful of rows by key, for a port of the gate.
    ///
    /// # Errors
    /// The problem that `work` returned, or `Unavailable`.
    pub async fn read_point<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.0.read_point(work).await
    }

    /// As [`PortDb::read_point`], for what is asked again and again and seldom changes: where `known` says what was found at this very
    /// state of the database, nothing is looked up. `work` is told a state that what it reads is no older than, where the engine can name
    /// one (PostgreSQL cannot, and there all is looked up).
    ///
    /// INVARIANT: what `known` is asked for is what `work` would find: the stamp changes with every commit of anybody. Held by
    /// `tests/db::what_is_known_ends_with_every_commit`.
    ///
    /// # Errors
    /// The problem that `work` returned, or `Unavailable`.
    pub async fn read_known<T, K, F>(&self, known: K, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        K: FnOnce(Stamp) -> Option<T> + Send,
        F: FnOnce(&mut Reader<'_>, Option<Stamp>) -> Result<T, Problem> + Send + 'static,
    {
        match self.0.as_ref() {
            Engine::Sqlite(pool) => pool.read_known(known, work),
            Engine::Postgres(_) => self.0.read(move |reader| work(reader, None)).await,
        }
    }

    /// More than a handful of rows, for a port of the gate.
    ///
    /// # Errors
    /// The problem that `work` returned, or `Unavailable`.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.0.read(work).await
    }
}

impl SystemDb {
    /// A write without a caller and without a record of its own. What it changes must be book-keeping only.
    ///
    /// # Errors
    /// The problem that `work` returned, or `Unavailable`.
    pub async fn write<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writer<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.0.write(0, move |writer| Ok((work(writer)?, None))).await
    }

    /// A read for book-keeping.
    ///
    /// # Errors
    /// The problem that `work` returned, or `Unavailable`.
    pub async fn read<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.0.read(work).await
    }

    /// A handful of rows by key, for book-keeping.
    ///
    /// # Errors
    /// The problem that `work` returned, or `Unavailable`.
    pub async fn read_point<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        self.0.read_point(work).await
    }

    /// Names where committed outbox rows go. They arrive in commit order, after the commit is durable.
    pub fn set_outbox_sink(&self, sink: OutboxSink) {
        match self.0.as_ref() {
            Engine::Sqlite(pool) => pool.set_sink(sink),
            Engine::Postgres(pool) => pool.set_sink(sink),
        }
    }
}

/// An outcome for the outbox, and who must learn that it was committed.
pub(crate) struct Sealed {
    row: SealedOutcome,
    commitment: Commitment,
}

/// What a unit of write work gives: its value, and the outcome to put into the outbox.
pub(crate) type Written<T> = Result<(T, Option<Sealed>), Problem>;
/// The same once the outcome's row is in the outbox, before the commit.
pub(crate) type Placed<T> = (T, Option<(OutboxRow, Commitment)>);

impl Engine {
    async fn write<T, F>(&self, lock: i64, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writer<'_>) -> Written<T> + Send + 'static,
    {
        let (tx, rx) = oneshot::channel();
        match self {
            Self::Sqlite(pool) => pool.submit_write(work, tx)?,
            Self::Postgres(pool) => pool.submit_write(lock, work, tx)?,
        }
        rx.await.map_err(|_| Problem::unavailable("the database writer stopped"))?
    }

    async fn read<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let (tx, rx) = oneshot::channel();
        match self {
            Self::Sqlite(pool) => pool.submit_read(work, tx)?,
            Self::Postgres(pool) => pool.submit_read(work, tx)?,
        }
        rx.await.map_err(|_| Problem::unavailable("the database reader stopped"))?
    }

    async fn read_point<T, F>(&self, work: F) -> Result<T, Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        match self {
            Self::Sqlite(pool) => pool.read_here(work),
            Self::Postgres(_) => self.read(work).await,
        }
    }
}

/// Writes to one experiment, model or account take turns on PostgreSQL, as all do on SQLite.
fn lock_key<O: ?Sized>(permit: &Permit<O>) -> i64 {
    let facts = permit.facts();
    if let Some(model) = &facts.model {
        return hash_key(model);
    }
    if let Some(row) = facts.row {
        return row.wrapping_mul(31).wrapping_add(1);
    }
    facts.id.as_deref().or(facts.workspace.as_deref()).map_or(0, hash_key)
}

fn hash_key(text: &str) -> i64 {
    let digest = kernel::sha256(text.as_bytes());
    let mut key = 0_i64;
    for byte in digest.iter().take(8) {
        key = (key << 8) | i64::from(*byte);
    }
    key
}

impl Reader<'_> {
    /// All rows, mapped.
    ///
    /// # Errors
    /// [`DbError`] of the engine or of `map`.
    pub fn query<T>(
        &mut self,
        sql: &str,
        binds: &[Bind<'_>],
        mut map: impl FnMut(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Vec<T>, DbError> {
        let mut all = Vec::new();
        self.for_each(sql, binds, |row| {
            all.push(map(row)?);
            Ok(())
        })?;
        Ok(all)
    }

    /// The first row, mapped, or none.
    ///
    /// # Errors
    /// [`DbError`] of the engine or of `map`.
    pub fn query_one<T>(
        &mut self,
        sql: &str,
        binds: &[Bind<'_>],
        map: impl FnOnce(&Row<'_>) -> Result<T, DbError>,
    ) -> Result<Option<T>, DbError> {
        match &mut self.0 {
            Session::Sqlite(connection) => sqlite::query_one(connection, sql, binds, map),
            Session::Postgres(session) => postgres::query_one(*session, sql, binds, map),
        }
    }

    /// Hands each row to `each`, without keeping them.
    ///
    /// # Errors
    /// [`DbError`] of the engine or of `each`.
    pub fn for_each(
        &mut self,
        sql: &str,
        binds: &[Bind<'_>],
        each: impl FnMut(&Row<'_>) -> Result<(), DbError>,
    ) -> Result<(), DbError> {
        match &mut self.0 {
            Session::Sqlite(connection) => sqlite::for_each(connection, sql, binds, each),
            Session::Postgres(session) => postgres::for_each(*session, sql, binds, each),
        }
    }
}

impl<'a> Writer<'a> {
    pub(crate) const fn new(session: Session<'a>) -> Self {
        Self { reader: Reader(session) }
    }

    /// Changes rows; gives how many.
    ///
    /// # Errors
    /// [`DbError::Unique`] where a key is taken, else of the engine.
    pub fn execute(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<u64, DbError> {
        match &mut self.reader.0 {
            Session::Sqlite(connection) => sqlite::execute(connection, sql, binds),
            Session::Postgres(session) => session.run(sql, binds),
        }
    }

    /// Runs `sql` once per row of binds, with the statement prepared once.
    ///
    /// # Errors
    /// As [`Writer::execute`].
    pub fn execute_many<'b>(&mut self, sql: &str, rows: impl IntoIterator<Item = Vec<Bind<'b>>>) -> Result<(), DbError> {
        match &mut self.reader.0 {
            Session::Sqlite(connection) => sqlite::execute_many(connection, sql, rows),
            Session::Postgres(session) => session.run_many(sql, &mut rows.into_iter()),
        }
    }
}

impl<'a> std::ops::Deref for Writer<'a> {
    type Target = Reader<'a>;

    fn deref(&self) -> &Reader<'a> {
        &self.reader
    }
}

impl std::ops::DerefMut for Writer<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut self.reader
    }
}

/// The schema's statements for both engines, for tests that compare them.
#[must_use]
pub fn schema_files() -> &'static [migrations::Migration] {
    migrations::ALL
}

/// Refuses a database that is not what `opening` expects: `known` holds the steps of the schema that it has, if it has any.
pub(crate) fn check_steps(known: Option<&[String]>, opening: Opening) -> Result<(), DbError> {
    let Some(known) = known else {
        return match opening {
            Opening::Make => Ok(()),
            Opening::Existing | Opening::ReadOnly => Err(DbError::Version(NOT_OURS.to_owned())),
        };
    };
    let behind = migrations::ALL.iter().any(|step| !known.iter().any(|name| name == step.name));
    if opening == Opening::ReadOnly && behind {
        return Err(DbError::Version(
            "it is of an older version of strongroom; start the server once, which updates it".to_owned(),
        ));
    }
    Ok(())
}

pub(crate) const NOT_OURS: &str = "it holds nothing of strongroom's; is this the right data folder and configuration?";

/// Makes a SQLite file that only the server's account may read, empty; SQLite gives its other files the same mode.
pub(crate) fn private_file(path: &Path) -> Result<(), DbError> {
    use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(DbError::io)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(path).map_err(DbError::io)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o600)).map_err(DbError::io)
}
