//! SQLite: one writer thread with group commit, readers, and one that makes checkpoints.

mod checkpoints;

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use crossbeam_channel::{Receiver, Sender, TryRecvError, bounded};
use kernel::Problem;
use parking_lot::Mutex;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, ToSql, params_from_iter, types::ToSqlOutput, types::ValueRef};
use tokio::sync::oneshot;

use self::checkpoints::Checkpoints;
use super::{
    Bind, DbError, NOT_OURS, Opening, OutboxRow, OutboxSink, Placed, Reader, Row, Sealed, Session, Stamp, Writer, Written,
    check_steps, migrations, private_file, stamp::Stamps,
};

/// Units of work that may wait for the writer. Beyond it a request is told to come back.
const WRITE_QUEUE_COUNT_MAX: usize = 4_096;
/// Units of work that may wait for a reader.
const READ_QUEUE_COUNT_MAX: usize = 4_096;
/// Units of work that share one commit, at most.
const GROUP_COUNT_MAX: usize = 256;
/// Reader threads.
const READER_COUNT: usize = 2;
/// Prepared statements kept per connection.
const STATEMENT_COUNT_MAX: usize = 256;
/// SQLite versions before this one can corrupt a WAL database on reset (fixed in 3.51.3).
const VERSION_MIN: i32 = 3_051_003;

/// A unit of work: it runs inside a savepoint, and gives what to do once the group's commit is known.
type WriteJob = Box<dyn FnOnce(&Connection) -> Finish + Send>;
type Finish = Box<dyn FnOnce(Result<(), Problem>) + Send>;
type ReadJob = Box<dyn FnOnce(&Connection) + Send>;

/// The pool.
pub(super) struct SqlitePool {
    path: PathBuf,
    writes: Sender<WriteJob>,
    reads: Sender<ReadJob>,
    sink: Arc<OnceLock<OutboxSink>>,
    /// Connections that read where they are called. They never write.
    idle: Mutex<Vec<Connection>>,
    stamps: Stamps,
}

impl SqlitePool {
    pub(super) fn open(path: &Path, opening: Opening) -> Result<Self, DbError> {
        if rusqlite::version_number() < VERSION_MIN {
            return Err(DbError::Version(format!("SQLite {} is older than 3.51.3", rusqlite::version())));
        }
        match opening {
            Opening::Make => private_file(path)?,
            Opening::Existing | Opening::ReadOnly if path.is_file() => {}
            Opening::Existing | Opening::ReadOnly => {
                return Err(DbError::Version(format!("there is no file `{}`; {NOT_OURS}", path.display())));
            }
        }
        let mut connection = open_connection(path, opening != Opening::ReadOnly)?;
        check_steps(steps_of(&connection)?.as_deref(), opening)?;
        if opening != Opening::ReadOnly {
            migrate(&mut connection)?;
        }
        let sink = Arc::new(OnceLock::new());
        let (writes, write_queue) = bounded(WRITE_QUEUE_COUNT_MAX);
        let (reads, read_queue) = bounded::<ReadJob>(READ_QUEUE_COUNT_MAX);
        let checkpoints = if opening == Opening::ReadOnly { None } else { Some(Checkpoints::begin(path)?) };
        if let Some(checkpoints) = &checkpoints {
            checkpoints.follow(&mut connection)?;
        }
        let reopen = path.to_path_buf();
        spawn("db-writer", move || writer_loop(connection, &reopen, &write_queue, checkpoints.as_ref()))?;
        for _ in 0..READER_COUNT {
            let connection = open_connection(path, false)?;
            let queue = read_queue.clone();
            spawn("db-reader", move || {
                while let Ok(job) = queue.recv() {
                    job(&connection);
                }
            })?;
        }
        Ok(Self { path: path.to_path_buf(), writes, reads, sink, idle: Mutex::default(), stamps: Stamps::of(path) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn set_sink(&self, sink: OutboxSink) {
        if self.sink.set(sink).is_err() {
            tracing::warn!("the outbox sink was set twice; the first one stays");
        }
    }

    pub(super) fn submit_write<T, F>(&self, work: F, answer: oneshot::Sender<Result<T, Problem>>) -> Result<(), Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writer<'_>) -> Written<T> + Send + 'static,
    {
        let sink = Arc::clone(&self.sink);
        let job: WriteJob = Box::new(move |connection| {
            let result = in_savepoint(connection, work);
            Box::new(move |committed| {
                let result = match (result, committed) {
                    (Ok((value, placed)), Ok(())) => {
                        if let Some((row, commitment)) = placed {
                            commitment.committed();
                            if let Some(sink) = sink.get() {
                                sink(row);
                            }
                        }
                        Ok(value)
                    }
                    (Err(problem), _) | (_, Err(problem)) => Err(problem),
                };
                // The caller may have hung up; its change is recorded all the same.
                drop(answer.send(result));
            })
        });
        self.writes.try_send(job).map_err(|_| busy("write", WRITE_QUEUE_COUNT_MAX))
    }

    pub(super) fn submit_read<T, F>(&self, work: F, answer: oneshot::Sender<Result<T, Problem>>) -> Result<(), Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let job: ReadJob = Box::new(move |connection| drop(answer.send(in_read(connection, work))));
        self.reads.try_send(job).map_err(|_| busy("read", READ_QUEUE_COUNT_MAX))
    }

    pub(super) fn read_here<T>(&self, work: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
        let idle = self.idle.lock().pop();
        let connection = match idle {
            Some(connection) => connection,
            None => open_connection(&self.path, false)?,
        };
        let result = in_read(&connection, work);
        let mut idle = self.idle.lock();
        if idle.len() < READER_COUNT.saturating_mul(2) {
            idle.push(connection);
        }
        result
    }

    /// As [`SqlitePool::read_here`], unless `known` says what is to be found in the state that the database is in.
    pub(super) fn read_known<T>(
        &self,
        known: impl FnOnce(Stamp) -> Option<T>,
        work: impl FnOnce(&mut Reader<'_>, Option<Stamp>) -> Result<T, Problem>,
    ) -> Result<T, Problem> {
        // Taken before anything is read: what is read may be newer than the stamp says, never older. A stamp that is behind is never
        // seen again.
        let stamp = self.stamps.now();
        if let Some(found) = stamp.and_then(known) {
            return Ok(found);
        }
        self.read_here(|reader| work(reader, stamp))
    }
}

fn busy(what: &str, limit: usize) -> Problem {
    Problem::unavailable(format!("{limit} {what}s are waiting already"))
}

fn spawn(name: &str, body: impl FnOnce() + Send + 'static) -> Result<(), DbError> {
    std::thread::Builder::new().name(name.to_owned()).spawn(body).map(drop).map_err(DbError::io)
}

fn open_connection(path: &Path, writer: bool) -> Result<Connection, DbError> {
    let flags = if writer {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX
    } else {
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX
    };
    let connection = Connection::open_with_flags(path, flags)?;
    connection.set_prepared_statement_cache_capacity(STATEMENT_COUNT_MAX);
    // Without this, SQLite prepares a statement anew whenever a bound value could change its plan: a profile of logging
    // metrics showed 13 % of the time there.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.execute_batch(
        "PRAGMA journal_mode = WAL;
         PRAGMA synchronous = FULL;
         PRAGMA foreign_keys = ON;
         PRAGMA case_sensitive_like = ON;
         PRAGMA busy_timeout = 5000;
         PRAGMA temp_store = MEMORY;
         PRAGMA trusted_schema = OFF;
         PRAGMA cache_size = -16384;
         PRAGMA wal_autocheckpoint = 4000;",
    )?;
    if !writer {
        connection.execute_batch("PRAGMA query_only = ON;")?;
    }
    Ok(connection)
}

/// The steps of the schema that the file has; none if it is not one of ours.
fn steps_of(connection: &Connection) -> Result<Option<Vec<String>>, DbError> {
    let found = "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = 'schema_step'";
    if connection.query_row(found, [], |row| row.get::<_, i64>(0))? == 0 {
        return Ok(None);
    }
    let mut statement = connection.prepare("SELECT name FROM schema_step")?;
    let names = statement.query_map([], |row| row.get(0))?.collect::<Result<Vec<String>, _>>()?;
    Ok(Some(names))
}

fn migrate(connection: &mut Connection) -> Result<(), DbError> {
    let tx = connection.transaction_with_behavior(rusqlite::TransactionBehavior::Immediate)?;
    tx.execute_batch("CREATE TABLE IF NOT EXISTS schema_step (name TEXT NOT NULL PRIMARY KEY);")?;
    for step in migrations::ALL {
        let known: Option<String> = {
            let mut statement = tx.prepare("SELECT name FROM schema_step WHERE name = ?")?;
            let mut rows = statement.query([step.name])?;
            rows.next()?.map(|row| row.get(0)).transpose()?
        };
        if known.is_none() {
            tx.execute_batch(step.sqlite)?;
            tx.execute("INSERT INTO schema_step (name) VALUES (?)", [step.name])?;
        }
    }
    tx.commit()?;
    Ok(())
}

/// Takes what waits, runs it in one transaction, commits once, and only then tells everybody.
fn writer_loop(mut connection: Connection, path: &Path, queue: &Receiver<WriteJob>, checkpoints: Option<&Checkpoints>) {
    while let Ok(first) = queue.recv() {
        let group = run_group(&connection, first, queue);
        let committed = match group.begun {
            Ok(()) => connection.execute_batch("COMMIT").map_err(DbError::from),
            Err(error) => Err(error),
        };
        match committed {
            Ok(()) => {
                group.finishes.into_iter().for_each(|finish| finish(Ok(())));
                if let Some(checkpoints) = checkpoints {
                    checkpoints.committed(&connection);
                }
            }
            Err(error) => {
                tracing::error!(%error, "a group commit failed; nothing of it was kept");
                // After a failed fsync the connection's view of its own file cannot be trusted: begin with a fresh one.
                drop(connection.execute_batch("ROLLBACK"));
                for finish in group.finishes {
                    finish(Err(Problem::unavailable("the database could not commit; nothing was changed")));
                }
                let opened = open_connection(path, true).and_then(|mut fresh| {
                    checkpoints.map(|checkpoints| checkpoints.follow(&mut fresh)).transpose()?;
                    Ok(fresh)
                });
                match opened {
                    Ok(fresh) => connection = fresh,
                    Err(error) => {
                        tracing::error!(%error, "the database could not be opened again; trying on with the old connection")
                    }
                }
            }
        }
    }
}

struct Group {
    begun: Result<(), DbError>,
    finishes: Vec<Finish>,
}

fn run_group(connection: &Connection, first: WriteJob, queue: &Receiver<WriteJob>) -> Group {
    let begun = connection.execute_batch("BEGIN IMMEDIATE").map_err(DbError::from);
    if begun.is_err() {
        let refused: Finish = first(connection);
        return Group { begun, finishes: vec![refused] };
    }
    let mut finishes = vec![first(connection)];
    while finishes.len() < GROUP_COUNT_MAX {
        match queue.try_recv() {
            Ok(job) => finishes.push(job(connection)),
            Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
        }
    }
    Group { begun, finishes }
}

fn in_savepoint<T>(connection: &Connection, work: impl FnOnce(&mut Writer<'_>) -> Written<T>) -> Result<Placed<T>, Problem> {
    if connection.is_autocommit() {
        return Err(Problem::unavailable("the database could not begin a transaction; nothing was changed"));
    }
    run_cached(connection, "SAVEPOINT unit")?;
    let mut writer = Writer::new(Session::Sqlite(connection));
    let result = work(&mut writer).and_then(|(value, outcome)| {
        let place = |sealed: Sealed| Ok::<_, DbError>((put_outbox(connection, sealed.row)?, sealed.commitment));
        Ok((value, outcome.map(place).transpose()?))
    });
    match result {
        Ok(done) => {
            run_cached(connection, "RELEASE unit")?;
            Ok(done)
        }
        Err(problem) => {
            // Some errors (a full disk) roll the whole transaction back; then there is no savepoint left to undo.
            if !connection.is_autocommit() {
                run_cached(connection, "ROLLBACK TO unit")?;
                run_cached(connection, "RELEASE unit")?;
            }
            Err(problem)
        }
    }
}

fn run_cached(connection: &Connection, sql: &str) -> Result<(), DbError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

fn put_outbox(connection: &Connection, sealed: gate::SealedOutcome) -> Result<OutboxRow, DbError> {
    let mut statement = connection.prepare_cached("INSERT INTO audit_outbox (event_id, payload) VALUES (?, ?)")?;
    let id = statement.insert(rusqlite::params![sealed.event_id, sealed.bytes])?;
    Ok(OutboxRow { id, event_id: sealed.event_id, payload: sealed.bytes })
}

fn in_read<T>(connection: &Connection, work: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem>) -> Result<T, Problem> {
    run_cached(connection, "BEGIN")?;
    let result = work(&mut Reader(Session::Sqlite(connection)));
    run_cached(connection, "COMMIT")?;
    result
}

/// Translates `$1` into `?1`, which SQLite numbers as PostgreSQL does.
fn numbered(sql: &str) -> String {
    sql.replace('$', "?")
}

impl ToSql for Bind<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Real(number) => ValueRef::Real(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

pub(super) fn for_each(
    connection: &Connection,
    sql: &str,
    binds: &[Bind<'_>],
    mut each: impl FnMut(&Row<'_>) -> Result<(), DbError>,
) -> Result<(), DbError> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    let mut rows = statement.query(params_from_iter(binds))?;
    while let Some(row) = rows.next()? {
        each(&Row::Sqlite(row))?;
    }
    Ok(())
}

pub(super) fn query_one<T>(
    connection: &Connection,
    sql: &str,
    binds: &[Bind<'_>],
    map: impl FnOnce(&Row<'_>) -> Result<T, DbError>,
) -> Result<Option<T>, DbError> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    let mut rows = statement.query(params_from_iter(binds))?;
    let found = rows.next()?.map(|row| map(&Row::Sqlite(row))).transpose()?;
    // A RETURNING statement is finished only when it was stepped to its end.
    while rows.next()?.is_some() {}
    Ok(found)
}

pub(super) fn execute(connection: &Connection, sql: &str, binds: &[Bind<'_>]) -> Result<u64, DbError> {
    let changed = connection.prepare_cached(&numbered(sql))?.execute(params_from_iter(binds))?;
    Ok(u64::try_from(changed).unwrap_or(u64::MAX))
}

pub(super) fn execute_many<'b>(
    connection: &Connection,
    sql: &str,
    rows: impl IntoIterator<Item = Vec<Bind<'b>>>,
) -> Result<(), DbError> {
    let mut statement = connection.prepare_cached(&numbered(sql))?;
    for binds in rows {
        statement.execute(params_from_iter(&binds))?;
    }
    Ok(())
}
