//! The search index: a SQLite file of its own that points into the log. It can be thrown away at any time; what a
//! search answers is read from the bundles, and what is not indexed yet is scanned.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rusqlite::types::Value;
use rusqlite::{Connection, OpenFlags, params, params_from_iter};

use crate::error::AuditError;
use crate::search::Filter;
use crate::tiles::TileReader;
use crate::view::IndexedView;

/// Records of one transaction. Ids are random and so touch pages all over: the more of them share a transaction, the fewer pages are
/// written for each.
const BATCH_COUNT: u64 = 8_192;
/// Records between two rests: a request never waits longer for the processor than these take.
const CHUNK_COUNT: u64 = 64;
const TICK: Duration = Duration::from_secs(1);
/// After each of its works the indexer rests so many times as long: it must not cost the log's own path.
const REST_FACTOR: u32 = 8;
const SCHEMA_VERSION: i64 = 2;

pub(crate) struct Index {
    path: PathBuf,
    writer: Mutex<Connection>,
    stop: Mutex<bool>,
    stopped: Condvar,
}

impl Index {
    /// Opens the index; one that cannot be used is begun anew.
    pub(crate) fn open(path: &Path) -> Result<Self, AuditError> {
        let writer = match prepare(path) {
            Ok(connection) => connection,
            Err(error) => {
                tracing::warn!(%error, "the audit log's search index is begun anew");
                for suffix in ["", "-wal", "-shm"] {
                    let mut file = path.as_os_str().to_owned();
                    file.push(suffix);
                    drop(std::fs::remove_file(PathBuf::from(file)));
                }
                prepare(path)?
            }
        };
        Ok(Self { path: path.to_path_buf(), writer: Mutex::new(writer), stop: Mutex::new(false), stopped: Condvar::new() })
    }

    pub(crate) fn stop(&self) {
        *self.stop.lock() = true;
        self.stopped.notify_all();
    }

    /// Follows the log, slowly, until told to stop.
    pub(crate) fn run(&self, log: &Path, signed_size: &dyn Fn() -> u64) {
        let mut rest = TICK;
        while self.rests(rest) {
            rest = match self.advance(log, signed_size()) {
                // Of the works before it rested; what is left is the commit.
                Ok(Some(ended)) => ended.elapsed().saturating_mul(REST_FACTOR),
                Ok(None) => TICK,
                Err(error) => {
                    tracing::warn!(%error, "the audit log's search index falls behind");
                    TICK.saturating_mul(10)
                }
            };
        }
    }

    /// Does nothing for a while; `false` once it is to stop.
    fn rests(&self, time: Duration) -> bool {
        let mut stop = self.stop.lock();
        if !*stop {
            let _ = self.stopped.wait_for(&mut stop, time);
        }
        !*stop
    }

    /// Indexes one batch, with rests in between; if there is more, says when it rested last.
    fn advance(&self, log: &Path, signed_size: u64) -> Result<Option<Instant>, AuditError> {
        let mut writer = self.writer.lock();
        let from = size_of(&writer)?;
        let to = from.saturating_add(BATCH_COUNT).min(signed_size);
        if to <= from {
            return Ok(None);
        }
        let tx = writer.transaction()?;
        let mut failed = None;
        let mut rested = Instant::now();
        let mut goes_on = true;
        {
            let mut insert = tx.prepare_cached(
                "INSERT OR REPLACE INTO record (idx, at, kind, action, caller, resource, entry, status, workspace, prediction)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
            )?;
            TileReader::new(log, signed_size).each_entry(from, to, |index, entry| {
                if index.is_multiple_of(CHUNK_COUNT) {
                    goes_on = self.rests(rested.elapsed().saturating_mul(REST_FACTOR));
                    rested = Instant::now();
                }
                let Some(view) = IndexedView::parse(entry) else { return goes_on };
                let row = params![
                    i64::try_from(index).unwrap_or(i64::MAX),
                    view.at,
                    view.kind,
                    view.action,
                    view.caller.id,
                    view.resource,
                    view.id,
                    view.status,
                    view.workspace,
                    view.prediction()
                ];
                failed = insert.execute(row).err();
                goes_on && failed.is_none()
            })?;
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        if !goes_on {
            // Half a batch is done again by the next start.
            return Ok(None);
        }
        tx.execute("UPDATE meta SET size = ?1", [i64::try_from(to).unwrap_or(i64::MAX)])?;
        tx.commit()?;
        Ok((to < signed_size).then_some(rested))
    }

    /// How many records are indexed.
    pub(crate) fn size(&self) -> Result<u64, AuditError> {
        size_of(&self.reader()?)
    }

    /// The newest records below `before` that fit the filter's columns, newest first.
    pub(crate) fn find(&self, filter: &Filter, before: u64, limit_count: usize) -> Result<Vec<u64>, AuditError> {
        let mut sql = "SELECT idx FROM record WHERE idx < ?".to_owned();
        let mut values = vec![Value::Integer(i64::try_from(before).unwrap_or(i64::MAX))];
        let texts = [
            ("caller", &filter.caller),
            ("kind", &filter.kind),
            ("status", &filter.status),
            ("resource", &filter.resource),
            ("entry", &filter.entry),
            ("workspace", &filter.workspace),
            ("prediction", &filter.prediction),
        ];
        for (column, wanted) in texts {
            if let Some(wanted) = wanted {
                sql.push_str(&format!(" AND {column} = ?"));
                values.push(Value::Text(wanted.clone()));
            }
        }
        if let Some(pattern) = &filter.action {
            sql.push_str(" AND action GLOB ?");
            values.push(Value::Text(pattern.clone()));
        }
        for (comparison, bound) in [("at >= ?", filter.from), ("at < ?", filter.to)] {
            if let Some(bound) = bound {
                sql.push_str(&format!(" AND {comparison}"));
                values.push(Value::Integer(bound.0));
            }
        }
        sql.push_str(" ORDER BY idx DESC LIMIT ?");
        values.push(Value::Integer(i64::try_from(limit_count).unwrap_or(i64::MAX)));
        let reader = self.reader()?;
        let mut statement = reader.prepare(&sql)?;
        let rows = statement.query_map(params_from_iter(values), |row| row.get::<_, i64>(0))?;
        rows.map(|row| Ok(u64::try_from(row?).unwrap_or(0))).collect()
    }

    fn reader(&self) -> Result<Connection, AuditError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection)
    }
}

fn size_of(connection: &Connection) -> Result<u64, AuditError> {
    let size: i64 = connection.query_row("SELECT size FROM meta", [], |row| row.get(0))?;
    Ok(u64::try_from(size).unwrap_or(0))
}

fn prepare(path: &Path) -> Result<Connection, AuditError> {
    let connection = Connection::open(path)?;
    // Losing the newest rows in a crash costs nothing: they are indexed again.
    connection.execute_batch(
        "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF; PRAGMA busy_timeout = 5000; PRAGMA cache_size = -16384;
         PRAGMA wal_autocheckpoint = 8000;",
    )?;
    connection.execute_batch(
        "CREATE TABLE IF NOT EXISTS meta (version INTEGER NOT NULL, size INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS record (
             idx INTEGER PRIMARY KEY, at INTEGER NOT NULL, kind TEXT NOT NULL, action TEXT NOT NULL, caller TEXT NOT NULL,
             resource TEXT, entry TEXT NOT NULL, status TEXT, workspace TEXT, prediction TEXT
         );
         CREATE INDEX IF NOT EXISTS record_caller ON record (caller, idx);
         CREATE INDEX IF NOT EXISTS record_action ON record (action, idx);
         CREATE INDEX IF NOT EXISTS record_resource ON record (resource, idx) WHERE resource IS NOT NULL;
         CREATE INDEX IF NOT EXISTS record_entry ON record (entry);
         CREATE INDEX IF NOT EXISTS record_status ON record (status, idx) WHERE status IN ('refused', 'failed', 'aborted');
         CREATE INDEX IF NOT EXISTS record_prediction ON record (prediction) WHERE prediction IS NOT NULL;
         INSERT INTO meta (version, size) SELECT 2, 0 WHERE NOT EXISTS (SELECT 1 FROM meta);",
    )?;
    let version: i64 = connection.query_row("SELECT version FROM meta", [], |row| row.get(0))?;
    if version != SCHEMA_VERSION {
        return Err(AuditError::Config(format!("the search index is of version {version}")));
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).map_err(AuditError::io(path))?;
    }
    Ok(connection)
}
