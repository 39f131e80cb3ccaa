//! One state of the database, exported for `pg_dump` and read here too.
//!
//! Writers are held back for the moment in which the state is fixed: then every change is either committed with its outbox row, and in
//! the state, or has yet to be given a number of the outbox. So the highest number tells the two apart, as it does on SQLite.

use std::path::Path;
use std::sync::Arc;

use ::postgres::Client;
use ::postgres::error::SqlState;
use crossbeam_channel::{Sender, bounded};
use kernel::Problem;

use super::session::{Connection, Keeping, PgSession, Unit};
use super::tools::{SESSION_NAME, Tool, dump};
use super::{Address, PostgresPool, query_one};
use crate::db::{DbError, Reader, Session};
use crate::objects::Stored;

/// How long writers are waited for, each time, and how often.
const WRITERS_WAIT: &str = "5s";
const TRY_COUNT_MAX: usize = 6;

/// A state that is kept until this is dropped.
pub(in crate::db) struct Held {
    address: Arc<Address>,
    tool: Tool,
    id: String,
    schema: String,
    pub(in crate::db) newest_row: i64,
    _release: Sender<()>,
}

impl Held {
    /// What `pg_dump` writes of the state.
    pub(in crate::db) fn stream(&self) -> Result<Stored, Problem> {
        dump(&self.tool, &self.address, &self.id, &self.schema)
    }
}

/// What a state is called, where it is, and up to which number of the outbox it goes.
struct Exported {
    id: String,
    schema: String,
    newest_row: i64,
}

impl PostgresPool {
    /// Fixes a state, and runs `read` on it. Blocks.
    pub(in crate::db) fn hold<T, F>(&self, programs: Option<&Path>, read: F) -> Result<(T, Held), Problem>
    where
        T: Send + 'static,
        F: FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send + 'static,
    {
        let tool = Tool::find("pg_dump", programs)?;
        let address = Arc::clone(&self.address);
        let (release, released) = bounded::<()>(0);
        let (answer, answered) = bounded(1);
        let (own, own_tool) = (Arc::clone(&address), tool.clone());
        let keep = move || {
            let mut connection = match begin(&own, &own_tool) {
                Ok(connection) => connection,
                Err(problem) => return drop(answer.send(Err(problem))),
            };
            match fix(&own, &mut connection, read) {
                Ok((found, unit)) => {
                    drop(answer.send(Ok(found)));
                    // The state lives as long as this transaction.
                    let _ended = released.recv();
                    drop(unit);
                }
                Err(problem) => drop(answer.send(Err(problem))),
            }
        };
        let begun = std::thread::Builder::new().name("db-snapshot".to_owned()).spawn(keep);
        begun.map_err(|error| Problem::unavailable("the database cannot be copied now").because(error))?;
        let broken = |_| Problem::internal("the snapshot broke off", "its thread ended");
        let (value, Exported { id, schema, newest_row }) = answered.recv().map_err(broken)??;
        Ok((value, Held { address, tool, id, schema, newest_row, _release: release }))
    }
}

fn begin(address: &Address, tool: &Tool) -> Result<Connection, Problem> {
    let mut client = address.connect().map_err(unreachable)?;
    let ask = |client: &mut Client| -> Result<String, DbError> {
        // It waits for `pg_dump` with its transaction open, however long that takes.
        client.batch_execute("SET idle_in_transaction_session_timeout = 0; SET statement_timeout = 0")?;
        client.batch_execute(&format!("SET application_name = '{SESSION_NAME}'"))?;
        Ok(client.query_one("SHOW server_version_num", &[])?.try_get(0)?)
    };
    let version: u32 = ask(&mut client).map_err(unreachable)?.parse().unwrap_or(0);
    tool.must_know(version / 10_000)?;
    Ok(Connection::new(client, Keeping::new(true.into())))
}

/// Fixes a state, and runs `read` on it.
fn fix<'a, T>(
    address: &Address,
    connection: &'a mut Connection,
    read: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem>,
) -> Result<((T, Exported), Unit<'a>), Problem> {
    let mut unit = connection.begin_read()?;
    let exported = export(address, &mut unit)?;
    let value = read(&mut Reader(Session::Postgres(&mut unit)))?;
    Ok(((value, exported), unit))
}

/// The state of `unit` is fixed while nobody has written to the outbox without having committed.
fn export(address: &Address, unit: &mut Unit<'_>) -> Result<Exported, Problem> {
    let mut gate = address.connect().map_err(unreachable)?;
    hold_writers(&mut gate)?;
    let sql = "SELECT pg_export_snapshot(), COALESCE(pg_sequence_last_value(pg_get_serial_sequence('audit_outbox', 'id')::regclass), 0),
               current_schema()::text";
    let found = query_one(unit as &mut dyn PgSession, sql, &[], |row| {
        Ok(Exported { id: row.text(0)?, newest_row: row.int(1)?, schema: row.text(2)? })
    });
    // From here on writers go on, whatever was found.
    gate.batch_execute("ROLLBACK").map_err(|error| unreachable(error.into()))?;
    found.map_err(unreachable)?.ok_or_else(|| unreachable(DbError::Shape(0)))
}

fn hold_writers(gate: &mut Client) -> Result<(), Problem> {
    let lock = format!("BEGIN; SET LOCAL lock_timeout = '{WRITERS_WAIT}'; LOCK TABLE audit_outbox IN SHARE MODE");
    let mut try_count = 0;
    while let Err(error) = gate.batch_execute(&lock) {
        gate.batch_execute("ROLLBACK").map_err(|error| unreachable(error.into()))?;
        try_count += 1;
        if error.code() != Some(&SqlState::LOCK_NOT_AVAILABLE) {
            return Err(unreachable(error.into()));
        }
        if try_count == TRY_COUNT_MAX {
            let message =
                "the database cannot be copied now: a transaction is open that does not end; look at `pg_stat_activity`";
            return Err(Problem::unavailable(message).because(DbError::from(error)));
        }
    }
    Ok(())
}

fn unreachable(error: DbError) -> Problem {
    Problem::unavailable("no snapshot of the database could be made: can PostgreSQL be reached?").because(error)
}
