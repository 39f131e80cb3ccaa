//! One transaction on a connection, and the statements that the connection keeps prepared for the next ones.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ::postgres::error::{Severity, SqlState};
use ::postgres::types::{IsNull, ToSql, Type, private::BytesMut, to_sql_checked};
use ::postgres::{Client, IsolationLevel, Statement, Transaction};

use super::recent::Recent;
use crate::db::{Bind, DbError, Row};

/// Prepared statements kept per connection.
const STATEMENT_COUNT_MAX: usize = 256;
/// Longer statements are put together for the one time that they run.
const STATEMENT_BYTES_MAX: usize = 8 * 1024;

/// Whether statements may be kept, for all connections of a pool.
pub(super) type Keeping = Arc<AtomicBool>;

/// A connection, and the statements that were prepared on it.
pub(super) struct Connection {
    client: Client,
    statements: Statements,
}

impl Connection {
    pub(super) fn new(client: Client, keeping: Keeping) -> Self {
        Self { client, statements: Statements { kept: Recent::new(STATEMENT_COUNT_MAX), keeping, is_lost: false } }
    }

    /// The client learns that its connection ended when it next reads from it, which is later than PostgreSQL's last word on it.
    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed() || self.statements.is_lost
    }

    pub(super) fn begin_write(&mut self) -> Result<Unit<'_>, DbError> {
        let Self { client, statements } = self;
        Ok(Unit { tx: client.transaction().map_err(|error| statements.failed(error))?, statements })
    }

    pub(super) fn begin_read(&mut self) -> Result<Unit<'_>, DbError> {
        let Self { client, statements } = self;
        let begun = client.build_transaction().read_only(true).isolation_level(IsolationLevel::RepeatableRead).start();
        Ok(Unit { tx: begun.map_err(|error| statements.failed(error))?, statements })
    }
}

struct Statements {
    kept: Recent<Statement>,
    keeping: Keeping,
    /// Whether nothing can run on the connection any more.
    is_lost: bool,
}

impl Statements {
    /// Notes whether the connection was lost with it.
    fn failed(&mut self, error: ::postgres::Error) -> DbError {
        self.is_lost |= ends_connection(&error);
        error.into()
    }
}

/// Whether PostgreSQL closes the connection after this, or it is closed.
fn ends_connection(error: &::postgres::Error) -> bool {
    match error.as_db_error() {
        Some(said) => matches!(said.parsed_severity(), Some(Severity::Fatal | Severity::Panic)),
        None => error.is_closed() || std::error::Error::source(error).is_some_and(|source| source.is::<std::io::Error>()),
    }
}

/// A statement, and whether an earlier transaction prepared it.
struct Prepared {
    statement: Statement,
    was_kept: bool,
}

/// A transaction, with what its connection keeps.
pub(super) struct Unit<'a> {
    tx: Transaction<'a>,
    statements: &'a mut Statements,
}

impl Unit<'_> {
    pub(super) fn commit(self) -> Result<(), DbError> {
        let Self { tx, statements } = self;
        tx.commit().map_err(|error| statements.failed(error))
    }

    fn prepared(&mut self, sql: &str) -> Result<Prepared, DbError> {
        let may_keep = self.statements.keeping.load(Ordering::Relaxed);
        if !may_keep {
            self.statements.kept.clear();
        } else if let Some(statement) = self.statements.kept.get(sql) {
            return Ok(Prepared { statement, was_kept: true });
        }
        let statement = self.tx.prepare(sql).map_err(|error| self.statements.failed(error))?;
        if may_keep && sql.len() <= STATEMENT_BYTES_MAX {
            self.statements.kept.put(sql, statement.clone());
        }
        Ok(Prepared { statement, was_kept: false })
    }

    /// Runs `act` with the statement. One that no longer fits makes the caller come back, and is prepared anew then: the transaction
    /// is lost, and what ran in it cannot be run again from here.
    fn with<T>(
        &mut self,
        sql: &str,
        act: impl FnOnce(&mut Transaction<'_>, &Statement) -> Result<T, ::postgres::Error>,
    ) -> Result<T, DbError> {
        let Prepared { statement, was_kept } = self.prepared(sql)?;
        let error = match act(&mut self.tx, &statement) {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        match error.code() {
            // Another server changed the schema meanwhile: `cached plan must not change result type`.
            Some(code) if was_kept && *code == SqlState::FEATURE_NOT_SUPPORTED => {
                self.statements.kept.clear();
                Err(DbError::Down(Box::new(error)))
            }
            // Something in between hands out connections per transaction, or has them forget what they were told.
            Some(code) if was_kept && *code == SqlState::INVALID_SQL_STATEMENT_NAME => {
                self.statements.kept.clear();
                if self.statements.keeping.swap(false, Ordering::Relaxed) {
                    tracing::warn!("PostgreSQL forgot a prepared statement; from now on each is prepared where it runs");
                }
                Err(DbError::Down(Box::new(error)))
            }
            _ => Err(self.statements.failed(error)),
        }
    }
}

/// A transaction of any lifetime: `Transaction` is invariant in its own, so a borrowed session hides it.
pub(crate) trait PgSession {
    fn rows(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<::postgres::Row>, DbError>;
    fn run(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<u64, DbError>;
    fn run_many(&mut self, sql: &str, rows: &mut dyn Iterator<Item = Vec<Bind<'_>>>) -> Result<(), DbError>;
}

impl PgSession for Unit<'_> {
    fn rows(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<::postgres::Row>, DbError> {
        self.with(sql, |tx, statement| tx.query(statement, &refs(binds)))
    }

    fn run(&mut self, sql: &str, binds: &[Bind<'_>]) -> Result<u64, DbError> {
        self.with(sql, |tx, statement| tx.execute(statement, &refs(binds)))
    }

    fn run_many(&mut self, sql: &str, rows: &mut dyn Iterator<Item = Vec<Bind<'_>>>) -> Result<(), DbError> {
        self.with(sql, |tx, statement| {
            for binds in rows {
                tx.execute(statement, &refs(&binds))?;
            }
            Ok(())
        })
    }
}

impl ToSql for Bind<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) if *ty == Type::INT2 => i16::try_from(*number)?.to_sql(ty, out),
            Self::Int(number) if *ty == Type::INT4 => i32::try_from(*number)?.to_sql(ty, out),
            #[expect(clippy::cast_precision_loss, reason = "the column is a float: the nearest one is what is asked for")]
            Self::Int(number) if *ty == Type::FLOAT8 => (*number as f64).to_sql(ty, out),
            Self::Int(number) => number.to_sql(&Type::INT8, out),
            Self::Real(number) => number.to_sql(&Type::FLOAT8, out),
            Self::Text(text) => text.to_sql(&Type::TEXT, out),
            Self::Bytes(bytes) => bytes.to_sql(&Type::BYTEA, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

fn refs<'a>(binds: &'a [Bind<'a>]) -> Vec<&'a (dyn ToSql + Sync)> {
    binds.iter().map(|bind| bind as &(dyn ToSql + Sync)).collect()
}

pub(in crate::db) fn for_each(
    session: &mut dyn PgSession,
    sql: &str,
    binds: &[Bind<'_>],
    mut each: impl FnMut(&Row<'_>) -> Result<(), DbError>,
) -> Result<(), DbError> {
    session.rows(sql, binds)?.iter().try_for_each(|row| each(&Row::Postgres(row)))
}

pub(in crate::db) fn query_one<T>(
    session: &mut dyn PgSession,
    sql: &str,
    binds: &[Bind<'_>],
    map: impl FnOnce(&Row<'_>) -> Result<T, DbError>,
) -> Result<Option<T>, DbError> {
    session.rows(sql, binds)?.first().map(|row| map(&Row::Postgres(row))).transpose()
}
