//! The search index: a SQLite file of its own that points into the log. It can be thrown away at any time; what a
//! search answers is read from the bundles, and what is not indexed yet is scanned.
//!
//! It is written a whole block of records at a time (`postings.rs`): a row for each value that stands in the block instead of a row and
//! seven index entries for each record. What it finds may be more than what fits, by a hash that two ids share or by a block's times,
//! never less: who asks it looks at the records.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use rusqlite::{Connection, OpenFlags, Transaction, params};

use crate::config::any_holds;
use crate::error::AuditError;
use crate::postings::{BLOCK_COUNT, Block, Field, IdField, Places, bucket, places_of_id};
use crate::search::Filter;
use crate::tiles::TileReader;
use crate::view::IndexedView;

/// Records between two rests: a request never waits longer for the processor than these take.
const CHUNK_COUNT: u64 = 64;
const TICK: Duration = Duration::from_secs(1);
/// After each of its works the indexer rests so many times as long: it must not cost the log's own path.
const REST_FACTOR: u32 = 8;
const SCHEMA_VERSION: i64 = 3;
/// Blocks that a search looks through at once: few where what is sought is new, and more the longer it is not found.
const WINDOW_COUNT_MIN: u64 = 4;
const WINDOW_COUNT_MAX: u64 = 1_024;
/// Verbs that one pattern may mean.
const VERB_COUNT_MAX: usize = 4_096;

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

    /// Indexes one block, with rests in between; if there is another, says when it rested last.
    fn advance(&self, log: &Path, signed_size: u64) -> Result<Option<Instant>, AuditError> {
        let mut writer = self.writer.lock();
        let from = size_of(&writer)?;
        let to = from.saturating_add(BLOCK_COUNT);
        if to > signed_size {
            return Ok(None);
        }
        let mut block = Block::default();
        let mut rested = Instant::now();
        let mut goes_on = true;
        TileReader::new(log, signed_size).each_entry(from, to, |index, entry| {
            if index.is_multiple_of(CHUNK_COUNT) {
                goes_on = self.rests(rested.elapsed().saturating_mul(REST_FACTOR));
                rested = Instant::now();
            }
            if let Some((view, place)) = IndexedView::parse(entry).zip(u16::try_from(index - from).ok()) {
                block.take(place, &view);
            }
            goes_on
        })?;
        if !goes_on {
            // Half a block is done again by the next start.
            return Ok(None);
        }
        let tx = writer.transaction()?;
        put(&tx, from, &block)?;
        tx.execute("UPDATE meta SET size = ?1", [number(to)])?;
        tx.commit()?;
        Ok((to.saturating_add(BLOCK_COUNT) <= signed_size).then_some(rested))
    }

    /// How many records are indexed.
    pub(crate) fn size(&self) -> Result<u64, AuditError> {
        size_of(&self.reader()?)
    }

    /// The newest records below `before` that may fit the filter, newest first: all that do are among them.
    pub(crate) fn find(&self, filter: &Filter, before: u64, limit_count: usize) -> Result<Vec<u64>, AuditError> {
        let reader = self.reader()?;
        let wanted = Wanted::of(filter, &reader)?;
        let mut found = Vec::new();
        let mut end = before.min(size_of(&reader)?).next_multiple_of(BLOCK_COUNT);
        let mut window_count = WINDOW_COUNT_MIN;
        while end > 0 {
            let start = end.saturating_sub(window_count.saturating_mul(BLOCK_COUNT));
            for (first, places) in wanted.places(&reader, start, end)?.into_iter().rev() {
                let indexes = places.descending().map(|place| first.saturating_add(place)).filter(|index| *index < before);
                found.extend(indexes.take(limit_count.saturating_sub(found.len())));
                if found.len() >= limit_count {
                    return Ok(found);
                }
            }
            end = start;
            window_count = window_count.saturating_mul(2).min(WINDOW_COUNT_MAX);
        }
        Ok(found)
    }

    fn reader(&self) -> Result<Connection, AuditError> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&self.path, flags)?;
        connection.busy_timeout(Duration::from_secs(5))?;
        Ok(connection)
    }
}

/// What of a filter the index can tell.
struct Wanted<'a> {
    filter: &'a Filter,
    /// Each field with the values of which it has one.
    values: Vec<(Field, Vec<String>)>,
    ids: Vec<(IdField, &'a str)>,
}

impl<'a> Wanted<'a> {
    fn of(filter: &'a Filter, reader: &Connection) -> Result<Self, AuditError> {
        let plain = [
            (Field::Caller, &filter.caller),
            (Field::Kind, &filter.kind),
            (Field::Status, &filter.status),
            (Field::Resource, &filter.resource),
            (Field::Workspace, &filter.workspace),
        ];
        let mut values: Vec<(Field, Vec<String>)> =
            plain.into_iter().filter_map(|(field, value)| Some((field, vec![value.clone()?]))).collect();
        if let Some(pattern) = &filter.action {
            values.push((Field::Action, verbs(reader, pattern)?));
        }
        let ids = [(IdField::Entry, &filter.entry), (IdField::Prediction, &filter.prediction)];
        let ids = ids.into_iter().filter_map(|(field, id)| Some((field, id.as_deref()?))).collect();
        Ok(Self { filter, values, ids })
    }

    /// In each block from `start` to `end`, the records that may fit; blocks without any are left out.
    fn places(&self, reader: &Connection, start: u64, end: u64) -> Result<BTreeMap<u64, Places>, AuditError> {
        let mut all = self.by_time(reader, start, end)?;
        let mut narrow = |some: &BTreeMap<u64, Places>| {
            all.retain(|first, places| {
                places.and(some.get(first).unwrap_or(&Places::NONE));
                !places.is_empty()
            });
            !all.is_empty()
        };
        for (field, id) in &self.ids {
            let mut rows = reader
                .prepare_cached("SELECT first, rows FROM id WHERE field = ? AND bucket = ? AND first >= ? AND first < ?")?;
            let mut rows = rows.query(params![*field as i64, number(bucket(id)), number(start), number(end)])?;
            let mut some = BTreeMap::new();
            while let Some(row) = rows.next()? {
                some.insert(count(row.get(0)?), places_of_id(&row.get::<_, Vec<u8>>(1)?, id));
            }
            if !narrow(&some) {
                return Ok(all);
            }
        }
        for (field, values) in &self.values {
            let mut some: BTreeMap<u64, Places> = BTreeMap::new();
            for value in values {
                let sql = "SELECT first, places FROM posting WHERE field = ? AND value = ? AND first >= ? AND first < ?";
                let mut rows = reader.prepare_cached(sql)?;
                let mut rows = rows.query(params![*field as i64, value, number(start), number(end)])?;
                while let Some(row) = rows.next()? {
                    let places = Places::decode(&row.get::<_, Vec<u8>>(1)?);
                    some.entry(count(row.get(0)?)).or_insert(Places::NONE).or(&places);
                }
            }
            if !narrow(&some) {
                return Ok(all);
            }
        }
        Ok(all)
    }

    /// All records of the blocks whose times fit.
    fn by_time(&self, reader: &Connection, start: u64, end: u64) -> Result<BTreeMap<u64, Places>, AuditError> {
        let sql = "SELECT first FROM block WHERE first >= ? AND first < ? AND at_max >= ? AND at_min < ?";
        let from = self.filter.from.map_or(i64::MIN, |from| from.0);
        let to = self.filter.to.map_or(i64::MAX, |to| to.0);
        let mut rows = reader.prepare_cached(sql)?;
        let rows = rows.query_map(params![number(start), number(end), from, to], |row| row.get::<_, i64>(0))?;
        rows.map(|row| Ok((count(row?), Places::ALL))).collect()
    }
}

/// The verbs in the index that any of some patterns means.
fn verbs(reader: &Connection, patterns: &str) -> Result<Vec<String>, AuditError> {
    if !patterns.contains('*') {
        return Ok(patterns.split(',').map(str::to_owned).collect());
    }
    // From one verb to the next, past all the blocks that have it.
    let mut next = reader.prepare("SELECT value FROM posting WHERE field = ? AND value > ? ORDER BY value LIMIT 1")?;
    let (mut last, mut all) = (String::new(), Vec::new());
    while all.len() < VERB_COUNT_MAX {
        let mut rows = next.query(params![Field::Action as i64, last])?;
        let Some(row) = rows.next()? else { break };
        last = row.get(0)?;
        if any_holds(patterns, &last) {
            all.push(last.clone());
        }
    }
    Ok(all)
}

fn put(tx: &Transaction<'_>, first: u64, block: &Block) -> Result<(), AuditError> {
    let Some((at_min, at_max)) = block.times() else { return Ok(()) };
    let first = number(first);
    tx.execute("INSERT OR REPLACE INTO block (first, at_min, at_max) VALUES (?, ?, ?)", params![first, at_min, at_max])?;
    let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO posting (field, value, first, places) VALUES (?, ?, ?, ?)")?;
    for (field, value, places) in block.values() {
        insert.execute(params![field as i64, value, first, places])?;
    }
    let mut insert = tx.prepare_cached("INSERT OR REPLACE INTO id (field, bucket, first, rows) VALUES (?, ?, ?, ?)")?;
    for (field, bucket, rows) in block.ids() {
        insert.execute(params![field as i64, number(bucket), first, rows])?;
    }
    Ok(())
}

fn number(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn count(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
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
         CREATE TABLE IF NOT EXISTS block (first INTEGER PRIMARY KEY, at_min INTEGER NOT NULL, at_max INTEGER NOT NULL);
         CREATE TABLE IF NOT EXISTS posting (
             field INTEGER NOT NULL, value TEXT NOT NULL, first INTEGER NOT NULL, places BLOB NOT NULL,
             PRIMARY KEY (field, value, first)
         ) WITHOUT ROWID;
         CREATE TABLE IF NOT EXISTS id (
             field INTEGER NOT NULL, bucket INTEGER NOT NULL, first INTEGER NOT NULL, rows BLOB NOT NULL,
             PRIMARY KEY (field, bucket, first)
         ) WITHOUT ROWID;
         INSERT INTO meta (version, size) SELECT 3, 0 WHERE NOT EXISTS (SELECT 1 FROM meta);",
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use kernel::Micros;

    use super::*;
    use crate::disk::Disk;
    use crate::merkle::leaf_hash;
    use crate::projection::{Edge, Projection};

    const RECORD_COUNT: u64 = 2 * BLOCK_COUNT + 100;

    fn record(index: u64) -> String {
        let action = match index % 3 {
            0 => "runs.log",
            1 => "runs.get",
            _ => "models.get",
        };
        let status = if index.is_multiple_of(997) { "failed" } else { "done" };
        format!(
            r#"{{"action":"{action}","at":{},"caller":{{"id":"u{}","kind":"user"}},"details":{{"prediction":"p{}"}},"id":"e{}","kind":"outcome","resource":"r{index}","status":"{status}","target":"run","v":1,"workspace":"w"}}"#,
            index * 10,
            index % 7,
            index / 3,
            index / 2
        )
    }

    fn check(index: &Index, filter: &Filter, before: u64) {
        let size = index.size().unwrap();
        let fitting: BTreeSet<u64> = (0..before.min(size)).filter(|at| filter.fits(record(*at).as_bytes())).collect();
        let found = index.find(filter, before, usize::MAX).unwrap();
        assert!(found.is_sorted_by(|one, other| one > other) && found.iter().all(|at| *at < before.min(size)));
        let kept = found.iter().filter(|at| fitting.contains(at)).count();
        assert_eq!(kept, fitting.len(), "{filter:?}: nothing that fits is left out");
        assert!(found.len() <= fitting.len() + 2 * 4_096, "{filter:?}: {} for {}", found.len(), fitting.len());
        let some = index.find(filter, before, 5).unwrap();
        assert_eq!(some, found.into_iter().take(5).collect::<Vec<_>>());
    }

    #[test]
    fn whatever_fits_is_found() {
        let dir = tempfile::tempdir().unwrap();
        let mut projection = Projection::new(Disk::new(None), dir.path(), Edge::read(dir.path(), 0).unwrap());
        for at in 0..RECORD_COUNT {
            projection.settle().unwrap();
            projection.push(leaf_hash(record(at).as_bytes()), record(at).as_bytes());
        }
        projection.write_partial().unwrap();
        let index = Index::open(&dir.path().join("index.db")).unwrap();
        while index.advance(dir.path(), RECORD_COUNT).unwrap().is_some() {}
        assert_eq!(index.size().unwrap(), 2 * BLOCK_COUNT, "whole blocks");
        let text = |text: &str| Some(text.to_owned());
        let filters = [
            Filter::default(),
            Filter { caller: text("u3"), ..Filter::default() },
            Filter { caller: text("nobody"), ..Filter::default() },
            Filter { action: text("runs.*"), status: text("failed"), ..Filter::default() },
            Filter { action: text("*.get"), caller: text("u1"), workspace: text("w"), ..Filter::default() },
            Filter { action: text("models.get"), kind: text("outcome"), ..Filter::default() },
            Filter { resource: text("r7000"), ..Filter::default() },
            Filter { entry: text("e2048"), ..Filter::default() },
            Filter { prediction: text("p1000"), entry: text("e1500"), ..Filter::default() },
            Filter { action: text("models.get,runs.nothing"), ..Filter::default() },
            Filter { action: text("models.g*,runs.create"), ..Filter::default() },
            Filter { from: Some(Micros(50_000)), to: Some(Micros(70_000)), ..Filter::default() },
        ];
        for filter in &filters {
            for before in [u64::MAX, 5_001, 0] {
                check(&index, filter, before);
            }
        }
        assert_eq!(index.find(&filters[7], u64::MAX, 10).unwrap(), [4_097, 4_096]);
    }
}
