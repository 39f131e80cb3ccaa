//! A fresh database for a restore: made beside another one, or given empty; filled from what `pg_dump` wrote.
//!
//! The tables, their rules and their triggers come from this program's own schema, never from the dump: of that, only the rows of our
//! tables and the numbers of our sequences are taken. So what somebody put into the old database beside them does not run here.
//!
//! INVARIANT: a database that holds anything is not written to, unless an earlier try of the same restore marked it. Held by
//! `backup::tests::postgres::a_database_that_holds_anything_is_not_written_to`.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use ::postgres::Client;
use ::postgres::error::SqlState;
use kernel::{Kind, Problem, Secret};

use super::session::{Connection, Keeping};
use super::tools::{SESSION_NAME, Tool, run_to_end};
use super::{Address, Config, in_read, in_write, migrate, migrations};
use crate::db::{DbError, Location, Reader, Writer};

/// Says what a database is under.
const MARK_TABLE: &str = "strongroom_restore";
/// The database that one connects to in order to make others.
const MAINTENANCE: &str = "postgres";
/// What `pg_restore --list` may say: some thousands of lines.
const LIST_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The address of another database of the same server, as the same account.
///
/// # Errors
/// `Invalid` for an address that cannot be changed so.
pub(in crate::db) fn beside(url: &Secret, name: &str) -> Result<Secret, Problem> {
    let wrong = || {
        Problem::invalid(
            "the address of the database cannot be changed to name another one; make an empty one, and name its address in a file",
        )
    };
    let text = url.expose_text().ok_or_else(wrong)?;
    let (scheme, rest) = text.split_once("://").ok_or_else(wrong)?;
    let (path, query) = rest.split_once('?').map_or((rest, None), |(path, query)| (path, Some(query)));
    let host = path.split_once('/').map_or(path, |(host, _)| host);
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    let text = Secret::from(format!("{scheme}://{host}/{name}{query}"));
    let parse = |url: &Secret| url.expose_text().and_then(|text| text.parse::<Config>().ok());
    let (old, new) = (parse(url).ok_or_else(wrong)?, parse(&text).ok_or_else(wrong)?);
    let is_same =
        old.get_hosts() == new.get_hosts() && old.get_user() == new.get_user() && old.get_password() == new.get_password();
    if is_same && new.get_dbname() == Some(name) { Ok(text) } else { Err(wrong()) }
}

/// What the database of an address is called.
pub(in crate::db) fn name_of(url: &Secret) -> String {
    let config = url.expose_text().and_then(|text| text.parse::<Config>().ok());
    config.and_then(|config| config.get_dbname().or(config.get_user()).map(str::to_owned)).unwrap_or_default()
}

/// Runs `work` on a connection of its own, on a thread of its own: the client blocks.
fn on<T: Send>(
    (url, ca): (&Secret, Option<&Path>),
    work: impl FnOnce(&Address, Client) -> Result<T, Problem> + Send,
) -> Result<T, Problem> {
    let address = Address::parse(url, ca).map_err(refused)?;
    std::thread::scope(|scope| {
        let working = scope.spawn(|| {
            let client = address.connect().map_err(refused)?;
            work(&address, client)
        });
        working.join().unwrap_or_else(|_| Err(Problem::internal("the work on the database broke off", "its thread ended")))
    })
}

fn refused(error: DbError) -> Problem {
    Problem::unavailable(format!("the database cannot be used: {error}")).because(error)
}

fn sql(error: ::postgres::Error) -> Problem {
    refused(error.into())
}

/// Makes a database of that name where `at` is, unless it is there, or somebody makes it at this moment: the server goes on with
/// what a killed client had asked for.
pub(in crate::db) fn create(at: (&Secret, Option<&Path>), name: &str) -> Result<(), Problem> {
    let statement = format!("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'", quoted(name));
    on((&beside(at.0, MAINTENANCE)?, at.1), |_, mut client| {
        if client.query_opt("SELECT 1 FROM pg_database WHERE datname = $1", &[&name]).map_err(sql)?.is_some() {
            return Ok(());
        }
        match client.batch_execute(&statement) {
            Err(error) if matches!(error.code(), Some(&(SqlState::DUPLICATE_DATABASE | SqlState::UNIQUE_VIOLATION))) => Ok(()),
            Err(error) => {
                let message = format!(
                    "the database `{name}` cannot be made: give the server's account the right to (`ALTER ROLE … CREATEDB`), or make an \
                     empty one, and name the file with its address"
                );
                Err(Problem::unavailable(message).because(DbError::from(error)))
            }
            Ok(()) => Ok(()),
        }
    })
}

/// Takes a database away that [`create`] made, with whoever is connected to it.
pub(in crate::db) fn remove(at: (&Secret, Option<&Path>), name: &str) -> Result<(), Problem> {
    let statement = format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", quoted(name));
    on((&beside(at.0, MAINTENANCE)?, at.1), |_, mut client| client.batch_execute(&statement).map_err(sql))
}

/// Marks an empty database for a restore. One that an earlier try marked is emptied; `goes_on`: also if that try had ended.
pub(in crate::db) fn claim(at: (&Secret, Option<&Path>), mark: &str, goes_on: bool) -> Result<(), Problem> {
    on(at, |_, mut client| {
        // What a try that was killed left at work must not write into what is made now.
        let others = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                      WHERE datname = current_database() AND pid <> pg_backend_pid() AND application_name = $1 AND usename = current_user";
        client.query(others, &[&SESSION_NAME]).map_err(sql)?;
        let mut tx = client.transaction().map_err(sql)?;
        if tx.query_opt("SELECT 1 WHERE to_regclass($1) IS NOT NULL", &[&MARK_TABLE]).map_err(sql)?.is_some() {
            let row = tx.query_opt(&format!("SELECT mark, is_proved FROM {MARK_TABLE}"), &[]).map_err(sql)?;
            let found = row.and_then(|row| Some((row.try_get::<_, String>(0).ok()?, row.try_get::<_, bool>(1).ok()?)));
            if !found.is_some_and(|(found, is_proved)| found == mark && (goes_on || !is_proved)) {
                return Err(not_empty("another restore works on it, or did"));
            }
            empty(&mut tx)?;
        }
        let sql_used = "SELECT n.nspname || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
                        WHERE n.nspname NOT IN ('pg_catalog', 'information_schema') AND n.nspname NOT LIKE 'pg\\_%'
                          AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e') LIMIT 1";
        if let Some(row) = tx.query_opt(sql_used, &[]).map_err(sql)? {
            return Err(not_empty(&format!("it holds `{}`", row.try_get::<_, String>(0).map_err(sql)?)));
        }
        if tx
            .query_one("SELECT current_schema()::text", &[])
            .map_err(sql)?
            .try_get::<_, Option<String>>(0)
            .map_err(sql)?
            .is_none()
        {
            make_schema(&mut tx)?;
        }
        let table = format!("CREATE TABLE {MARK_TABLE} (mark TEXT NOT NULL, is_proved BOOLEAN NOT NULL)");
        tx.batch_execute(&table).map_err(sql)?;
        tx.execute(&format!("INSERT INTO {MARK_TABLE} VALUES ($1, false)"), &[&mark]).map_err(sql)?;
        tx.commit().map_err(sql)
    })
}

/// The schema that the address names first, where that is not there.
fn make_schema(tx: &mut ::postgres::Transaction<'_>) -> Result<(), Problem> {
    let path: String = tx.query_one("SHOW search_path", &[]).and_then(|row| row.try_get(0)).map_err(sql)?;
    let first = path.split(',').next().unwrap_or_default().trim().trim_matches('"').to_owned();
    tx.batch_execute(&format!("CREATE SCHEMA {}", quoted(&first))).map_err(sql)
}

fn not_empty(why: &str) -> Problem {
    Problem::new(
        Kind::Conflict,
        format!("the database is not empty, and a restore writes over nothing: {why}; name an empty one"),
    )
}

/// Takes away all tables and functions of the schema, except those of extensions.
fn empty(tx: &mut ::postgres::Transaction<'_>) -> Result<(), Problem> {
    let all = "SELECT format('DROP TABLE IF EXISTS %s CASCADE', c.oid::regclass) FROM pg_class c
               WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p')
                 AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = c.oid AND d.deptype = 'e')
               UNION ALL
               SELECT format('DROP FUNCTION IF EXISTS %s CASCADE', p.oid::regprocedure) FROM pg_proc p
               WHERE p.pronamespace = current_schema()::regnamespace AND p.prokind = 'f'
                 AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')";
    for statement in texts(tx, all)? {
        tx.batch_execute(&statement).map_err(sql)?;
    }
    Ok(())
}

fn texts(tx: &mut ::postgres::Transaction<'_>, sql_text: &str) -> Result<Vec<String>, Problem> {
    let rows = tx.query(sql_text, &[]).map_err(sql)?;
    rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(sql)
}

/// Says that a restore has proved what is in the database.
pub(in crate::db) fn note_proved(at: (&Secret, Option<&Path>)) -> Result<(), Problem> {
    on(at, |_, mut client| client.execute(&format!("UPDATE {MARK_TABLE} SET is_proved = true"), &[]).map(drop).map_err(sql))
}

/// Takes the mark away.
pub(in crate::db) fn release(at: (&Secret, Option<&Path>)) -> Result<(), Problem> {
    on(at, |_, mut client| client.batch_execute(&format!("DROP TABLE IF EXISTS {MARK_TABLE}")).map_err(sql))
}

/// Empties a database that was given for a try, mark and all.
pub(in crate::db) fn clear(at: (&Secret, Option<&Path>), mark: &str) -> Result<(), Problem> {
    claim(at, mark, true)?;
    release(at)
}

/// Fills a marked database with the rows of a dump, under this program's own schema as of `steps`.
pub(in crate::db) fn load(
    at: (&Secret, Option<&Path>),
    steps: &[String],
    file: &Path,
    programs: Option<&Path>,
) -> Result<(), Problem> {
    if let Some(unknown) = steps.iter().find(|step| !migrations::ALL.iter().any(|known| known.name == **step)) {
        let message =
            format!("the backup is of a newer version of strongroom (it has the step `{unknown}`): restore it with that one");
        return Err(Problem::invalid(message));
    }
    let tool = Tool::find("pg_restore", programs)?;
    let list = list_of(&tool, file)?;
    on(at, |address, mut client| {
        migrate(&mut client, Some(steps)).map_err(refused)?;
        let put_back = set_aside(&mut client)?;
        let wanted = wanted(&mut client, &list)?;
        restore_rows(&tool, address, file, &wanted)?;
        let mut tx = client.transaction().map_err(sql)?;
        for statement in put_back {
            tx.batch_execute(&statement).map_err(|error| {
                let message = format!("the restored database is not whole: `{statement}` does not hold");
                Problem::invalid(message).because(DbError::from(error))
            })?;
        }
        tx.commit().map_err(sql)?;
        client.batch_execute("ANALYZE").map_err(sql)
    })
}

/// Takes away what would have each row looked at by itself, and all rows. Gives what puts it back, and checks all rows at once.
fn set_aside(client: &mut Client) -> Result<Vec<String>, Problem> {
    let mut tx = client.transaction().map_err(sql)?;
    let rules = "SELECT format('ALTER TABLE %s DROP CONSTRAINT %I', conrelid::regclass, conname),
                        format('ALTER TABLE %s ADD CONSTRAINT %I %s', conrelid::regclass, conname, pg_get_constraintdef(oid))
                 FROM pg_constraint WHERE contype = 'f' AND connamespace = current_schema()::regnamespace";
    let indexes = "SELECT format('DROP INDEX %s', i.indexrelid::regclass), pg_get_indexdef(i.indexrelid)
                   FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
                   WHERE c.relnamespace = current_schema()::regnamespace
                     AND NOT EXISTS (SELECT 1 FROM pg_constraint k WHERE k.conindid = i.indexrelid AND k.contype IN ('p', 'u', 'x'))";
    let (mut away, mut back) = (Vec::new(), Vec::new());
    // Rules go first, and come back last: what they name is found by an index.
    for rows in [tx.query(rules, &[]).map_err(sql)?, tx.query(indexes, &[]).map_err(sql)?] {
        let pair = |row: &::postgres::Row| Ok::<_, ::postgres::Error>((row.try_get(0)?, row.try_get(1)?));
        let pairs: Vec<(String, String)> = rows.iter().map(pair).collect::<Result<_, _>>().map_err(sql)?;
        let (drops, makes): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
        away.extend(drops);
        back.splice(0..0, makes);
    }
    for statement in &away {
        tx.batch_execute(statement).map_err(sql)?;
    }
    let tables = "SELECT string_agg(oid::regclass::text, ', ') FROM pg_class
                  WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r' AND relname <> $1";
    let tables: Option<String> = tx.query_one(tables, &[&MARK_TABLE]).and_then(|row| row.try_get(0)).map_err(sql)?;
    tx.batch_execute(&format!("TRUNCATE {}", tables.ok_or_else(|| refused(DbError::Shape(0)))?)).map_err(sql)?;
    tx.commit().map_err(sql)?;
    Ok(back)
}

/// What a dump holds, as `pg_restore` lists it.
fn list_of(tool: &Tool, file: &Path) -> Result<String, Problem> {
    let failed = |said: &str| {
        if said.contains("unsupported version") {
            let message = format!(
                "`pg_restore` is of PostgreSQL {}, and the backup was written by a newer `pg_dump`: install newer client programs, and \
                 name their folder (`--postgres-programs`, or `backup.postgres_programs`)",
                tool.version
            );
            return Problem::unavailable(message).because(said.to_owned());
        }
        Problem::invalid("the database's dump cannot be read").because(said.to_owned())
    };
    let mut command = tool.command(None);
    command.arg("--list").arg(file);
    let list = run_to_end(command, None, LIST_BYTES_MAX).map_err(|said| failed(&said))?;
    String::from_utf8(list).map_err(|_| failed("its list is no text"))
}

/// The lines of the list that are rows of our tables, and numbers of our sequences. Each table must have one.
fn wanted(client: &mut Client, list: &str) -> Result<String, Problem> {
    let own = "SELECT relname::text, relkind = 'S', current_schema()::text FROM pg_class
               WHERE relnamespace = current_schema()::regnamespace AND relkind IN ('r', 'S') AND relname <> $1";
    let (mut tables, mut sequences, mut schema) = (BTreeSet::new(), BTreeSet::new(), String::new());
    for row in client.query(own, &[&MARK_TABLE]).map_err(sql)? {
        let name: String = row.try_get(0).map_err(sql)?;
        let is_sequence: bool = row.try_get(1).map_err(sql)?;
        schema = row.try_get(2).map_err(sql)?;
        if is_sequence {
            sequences.insert(name)
        } else {
            tables.insert(name)
        };
    }
    let mut lines = String::new();
    for line in list.lines() {
        let Some(entry) = Entry::parse(line) else { continue };
        let is_wanted = match entry.kind {
            Part::Rows => entry.schema == schema && tables.remove(entry.name),
            Part::Numbers => entry.schema == schema && sequences.remove(entry.name),
        };
        if is_wanted {
            lines.push_str(line);
            lines.push('\n');
        }
    }
    match tables.iter().next().or(sequences.iter().next()) {
        None => Ok(lines),
        Some(missing) => Err(Problem::invalid(format!(
            "the database's dump has no rows of `{missing}` in the schema `{schema}`: it is not whole"
        ))),
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Rows,
    Numbers,
}

/// A line of the list: `4051; 0 16389 TABLE DATA public run postgres`.
#[derive(Debug, PartialEq, Eq)]
struct Entry<'a> {
    kind: Part,
    schema: &'a str,
    name: &'a str,
}

impl<'a> Entry<'a> {
    fn parse(line: &'a str) -> Option<Self> {
        let (number, rest) = line.split_once("; ")?;
        if number.is_empty() || !number.bytes().all(|byte| byte.is_ascii_digit()) {
            return None;
        }
        let words: Vec<&str> = rest.split(' ').collect();
        let (kind, schema, name) = match words.as_slice() {
            [_, _, "TABLE", "DATA", schema, name, ..] => (Part::Rows, schema, name),
            [_, _, "SEQUENCE", "SET", schema, name, ..] => (Part::Numbers, schema, name),
            _ => return None,
        };
        Some(Self { kind, schema, name })
    }
}

/// Has `pg_restore` put the wanted rows into the tables, all or none. The dump comes to it through a pipe: if this process ends, so
/// does the dump, and nothing is kept.
fn restore_rows(tool: &Tool, address: &Address, file: &Path, wanted: &str) -> Result<(), Problem> {
    let lost = |said: &str| tool.failed("the dump cannot be put into the database", said);
    let list = file.with_extension("list");
    std::fs::write(&list, wanted).map_err(|error| lost(&error.to_string()))?;
    let mut command = tool.command(Some(address));
    command.args(["--format=custom", "--data-only", "--single-transaction", "--exit-on-error", "--no-password", "--no-owner"]);
    command.args(["--no-privileges", "--use-list"]).arg(&list);
    let name = address.config.get_dbname().unwrap_or_default();
    command.arg(format!("--dbname=dbname='{}'", name.replace('\\', "\\\\").replace('\'', "\\'")));
    let done = File::open(file).map_err(|error| error.to_string()).and_then(|dump| run_to_end(command, Some(dump), 0));
    drop(std::fs::remove_file(&list));
    done.map(drop).map_err(|said| lost(&said))
}

/// A name as SQL writes it.
fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Runs `work` in one transaction that only reads.
pub(in crate::db) fn read<T: Send>(
    at: (&Secret, Option<&Path>),
    work: impl FnOnce(&mut Reader<'_>) -> Result<T, Problem> + Send,
) -> Result<T, Problem> {
    on(at, |_, client| in_read(&mut Connection::new(client, Keeping::new(true.into())), work))
}

/// Runs `work` in one transaction.
pub(in crate::db) fn change<T: Send>(
    at: (&Secret, Option<&Path>),
    work: impl FnOnce(&mut Writer<'_>) -> Result<T, Problem> + Send,
) -> Result<T, Problem> {
    on(at, |_, client| {
        let placed = in_write(&mut Connection::new(client, Keeping::new(true.into())), 0, |writer| Ok((work(writer)?, None)))?;
        Ok(placed.0)
    })
}

impl Location {
    /// The parts of an address of PostgreSQL.
    pub(in crate::db) fn postgres(&self) -> Option<(&Secret, Option<&Path>)> {
        match self {
            Self::Postgres { url, ca } => Some((url, ca.as_deref())),
            Self::Sqlite(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_database_of_the_same_server_is_named() {
        let name =
            |url: &str| beside(&Secret::from(url.to_owned()), "new").ok().and_then(|url| url.expose_text().map(str::to_owned));
        let good = [
            ("postgres://u:a%2Fb@h:1/old", "postgres://u:a%2Fb@h:1/new"),
            ("postgres://u@h", "postgres://u@h/new"),
            ("postgresql://u@h/old?connect_timeout=3", "postgresql://u@h/new?connect_timeout=3"),
            ("postgres:///old?host=/run/x&user=u", "postgres:///new?host=/run/x&user=u"),
        ];
        for (url, expected) in good {
            assert_eq!(name(url).as_deref(), Some(expected));
        }
        for bad in ["postgres://u@h/old?dbname=other", "host=h dbname=old", "postgres://u:a/b@h/old"] {
            assert_eq!(name(bad), None, "{bad}");
        }
    }

    #[test]
    fn of_a_list_only_rows_and_numbers_are_taken() {
        let parse = |line| Entry::parse(line).map(|entry| (entry.kind, entry.schema, entry.name));
        assert_eq!(parse("4051; 0 16389 TABLE DATA public run postgres"), Some((Part::Rows, "public", "run")));
        assert_eq!(
            parse("4100; 0 0 SEQUENCE SET public run_run_row_seq postgres"),
            Some((Part::Numbers, "public", "run_run_row_seq"))
        );
        for other in [
            "; Archive created at 2026",
            "220; 1259 16389 TABLE public run postgres",
            "3; 3079 16388 EXTENSION - plpgsql ",
            "300; 1255 16400 FUNCTION public evil() postgres",
            "",
        ] {
            assert_eq!(parse(other), None, "{other}");
        }
    }
}
