//! When the write-ahead log goes into the database's file: beside the writer, not between its commits.
//!
//! A checkpoint copies the log's pages and waits for the disk twice, tens of milliseconds in which nobody's commit would begin. So a thread of
//! its own makes it. But a log begins again from its start only once all of it was copied, and while a thread copies, the writer goes on: under
//! steady writes it would grow for ever. So the writer copies what came meanwhile, which is little, when the thread has ended.
//! Source: SQLite, <https://sqlite.org/wal.html>, 2.3 and 3.1 ("Avoiding Excessively Large WAL Files").

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};

use crossbeam_channel::{Receiver, Sender, bounded};
use rusqlite::wal::CheckpointMode;
use rusqlite::{Connection, MAIN_DB};

use super::{DbError, open_connection, spawn};

/// Pages in the log from which on it is copied: 16 MiB.
const LOG_PAGE_COUNT: i32 = 4_000;

/// What the writer and the thread tell each other.
#[derive(Debug, Default)]
struct Shared {
    /// Pages in the log after the last commit.
    page_count: AtomicI32,
    /// Whether the thread has copied, and the writer not yet what came meanwhile.
    is_copied: AtomicBool,
}

/// The writer's side.
pub(super) struct Checkpoints {
    shared: Arc<Shared>,
    wanted: Sender<()>,
}

impl Checkpoints {
    /// Starts the thread.
    pub(super) fn begin(path: &Path) -> Result<Self, DbError> {
        let connection = open_connection(path, true)?;
        let shared = Arc::new(Shared::default());
        let (wanted, wishes) = bounded(1);
        let of = Arc::clone(&shared);
        spawn("db-checkpoint", move || copy_when_asked(&connection, &wishes, &of))?;
        Ok(Self { shared, wanted })
    }

    /// Learns of each commit of this connection, which makes no checkpoint by itself from then on.
    pub(super) fn follow(&self, writer: &mut Connection) -> Result<(), DbError> {
        let shared = Arc::clone(&self.shared);
        writer.wal_hook(Some(move |_: &mut _, page_count: i32| {
            shared.page_count.store(page_count, Ordering::Relaxed);
            Ok(())
        }))?;
        Ok(())
    }

    /// After a commit whose callers were told.
    pub(super) fn committed(&self, writer: &Connection) {
        if self.shared.is_copied.swap(false, Ordering::AcqRel) {
            copy(writer);
        } else if self.shared.page_count.load(Ordering::Relaxed) >= LOG_PAGE_COUNT {
            // It is at it already if this is full.
            let _is_asked = self.wanted.try_send(());
        }
    }
}

fn copy_when_asked(connection: &Connection, wishes: &Receiver<()>, shared: &Shared) {
    while wishes.recv().is_ok() {
        copy(connection);
        // What was asked for meanwhile is what the writer copies next.
        let _asked = wishes.try_recv();
        shared.is_copied.store(true, Ordering::Release);
    }
}

/// Copies what no reader still needs to find in the log. What cannot be copied stays there, and nothing is lost.
fn copy(connection: &Connection) {
    if let Err(error) = connection.wal_checkpoint_v2(Some(MAIN_DB), CheckpointMode::PASSIVE) {
        tracing::debug!(%error, "the write-ahead log was not copied");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Bytes of a frame of the log, and of its head.
    const FRAME_BYTES: u64 = 4_096 + 24;

    fn log_pages(path: &Path) -> u64 {
        std::fs::metadata(format!("{}-wal", path.display())).map_or(0, |log| log.len() / FRAME_BYTES)
    }

    #[test]
    fn the_log_stays_short_under_steady_writes() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let mut writer = open_connection(&path, true).unwrap();
        writer.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY, text BLOB NOT NULL)").unwrap();
        let checkpoints = Checkpoints::begin(&path).unwrap();
        checkpoints.follow(&mut writer).unwrap();
        let bytes = vec![7_u8; 100 * 4_096];
        let count = 20 * usize::try_from(LOG_PAGE_COUNT).unwrap() / 100;
        for _ in 0..count {
            writer.execute("INSERT INTO t (text) VALUES (?)", [&bytes]).unwrap();
            checkpoints.committed(&writer);
        }
        let longest = log_pages(&path);
        assert!(longest > 1_000 && longest < 20 * 4_000 / 2, "{longest} pages of {} are in the log", count * 100);
        let rows: i64 = writer.query_row("SELECT count(*) FROM t WHERE length(text) = 409600", [], |row| row.get(0)).unwrap();
        assert_eq!(usize::try_from(rows).unwrap(), count);
        assert!(std::fs::metadata(&path).unwrap().len() > 40 << 20, "most is in the file");
    }

    #[test]
    fn what_readers_hold_stays_in_the_log_until_they_let_go() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        let writer = open_connection(&path, true).unwrap();
        writer.execute_batch("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)").unwrap();
        let reader = open_connection(&path, false).unwrap();
        reader.execute_batch("BEGIN").unwrap();
        let seen =
            |connection: &Connection| -> i64 { connection.query_row("SELECT count(*) FROM t", [], |row| row.get(0)).unwrap() };
        assert_eq!(seen(&reader), 1);
        writer.execute_batch("INSERT INTO t VALUES (2)").unwrap();
        copy(&writer);
        assert_eq!((seen(&reader), seen(&writer)), (1, 2));
        reader.execute_batch("COMMIT").unwrap();
        copy(&writer);
        assert_eq!(seen(&reader), 2);
    }
}
