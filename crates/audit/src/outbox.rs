//! The outbox: outcomes that were committed beside their change come here, go into the log, and only then leave the
//! database.
//!
//! INVARIANT: each row is logged once, also after a crash between any two of these steps. Held by `tests/it/outbox.rs`.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use vault::db::{OutboxRow, SystemDb};

use crate::blocking::block_on;
use crate::error::AuditError;
use crate::merkle::{Hash, leaf_hash};
use crate::queue::{Item, Origin};
use crate::record::Encoder;
use crate::store;
use crate::wal::Wal;

/// Rows are deleted together, this long after the first of them was logged.
const GATHER: Duration = Duration::from_millis(50);
/// How often the table is looked through for rows that were never handed over.
const SWEEP_INTERVAL: Duration = Duration::from_secs(10);
const RETRY_INTERVAL: Duration = Duration::from_millis(500);
/// Rows of one read, and of one delete.
const ROW_COUNT_MAX: i64 = 4_096;
/// Rows that a sweep took before they were handed over, remembered so that they are not taken twice.
const SWEPT_COUNT_MAX: usize = 65_536;

#[derive(Default)]
struct Known {
    /// Rows on their way.
    in_flight: HashSet<i64>,
    /// Rows that a sweep found first: a late hand-over of one of them is ignored.
    swept: HashSet<i64>,
}

pub(crate) struct Outbox {
    known: Mutex<Known>,
    /// Rows that are in the log and not yet deleted.
    pub logged: Arc<Mutex<HashMap<i64, u64>>>,
    wal: Arc<Wal>,
    system: SystemDb,
}

impl Outbox {
    pub(crate) fn new(wal: Arc<Wal>, system: SystemDb) -> Self {
        Self { known: Mutex::default(), logged: Arc::default(), wal, system }
    }

    /// Takes a row that was committed just now. Called on the database's thread: it does not wait.
    pub(crate) fn hand_over(&self, row: OutboxRow) {
        if !self.known.lock().swept.contains(&row.id) {
            self.take(row);
        }
    }

    /// Puts a row on its way, once. `false` if it is on its way already, or there is no room: then it stays in the table,
    /// and a sweep takes it later.
    fn take(&self, row: OutboxRow) -> bool {
        if !self.known.lock().in_flight.insert(row.id) {
            return false;
        }
        let taken = self.wal.queue.submit_settled(Item::new(row.payload, Origin::Outbox(row.id)));
        if !taken {
            self.known.lock().in_flight.remove(&row.id);
        }
        taken
    }

    /// Finishes what an earlier run left: rows that are logged are deleted, the others logged first.
    ///
    /// `first_index` is the first record that the segments still hold: they stay until the rows are gone.
    pub(crate) fn finish_left(&self, rows: Vec<OutboxRow>, logged: &HashSet<Hash>, first_index: u64) -> Vec<(i64, u64)> {
        let mut done = Vec::new();
        for row in rows {
            if logged.contains(&leaf_hash(&row.payload)) {
                self.known.lock().in_flight.insert(row.id);
                self.logged.lock().insert(row.id, first_index);
                done.push((row.id, first_index));
            } else {
                self.take(row);
            }
        }
        done
    }

    /// Deletes rows as they are logged, until the writer is gone.
    pub(crate) fn run(&self, done: &Receiver<Vec<(i64, u64)>>, encoder: &Encoder) {
        let mut next_sweep = Instant::now() + SWEEP_INTERVAL;
        loop {
            let wait = next_sweep.saturating_duration_since(Instant::now());
            match done.recv_timeout(wait) {
                Ok(rows) => {
                    std::thread::sleep(GATHER);
                    let mut ids: Vec<i64> = rows.into_iter().chain(done.try_iter().flatten()).map(|(id, _)| id).collect();
                    ids.sort_unstable();
                    self.delete(&ids);
                }
                Err(RecvTimeoutError::Timeout) => {
                    next_sweep = Instant::now() + SWEEP_INTERVAL;
                    if let Err(error) = self.sweep(encoder) {
                        tracing::warn!(%error, "the outbox could not be looked through; trying again");
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    fn delete(&self, ids: &[i64]) {
        for part in ids.chunks(usize::try_from(ROW_COUNT_MAX).unwrap_or(1)) {
            let mut tries_left = 20;
            loop {
                let batch = part.to_vec();
                match block_on(self.system.write(move |writer| store::delete_outbox(writer, &batch))) {
                    Ok(()) => break,
                    // While the server closes nobody waits for the database: the next start deletes them.
                    Err(_) if self.wal.queue.is_stopped() => return,
                    Err(_) if tries_left == 0 => {
                        // They are logged: a sweep deletes them once the database takes it.
                        self.known.lock().in_flight.retain(|id| part.binary_search(id).is_err());
                        return;
                    }
                    Err(error) => {
                        tries_left -= 1;
                        tracing::warn!(%error, "logged outbox rows could not be deleted; trying again");
                        std::thread::sleep(RETRY_INTERVAL);
                    }
                }
            }
            let mut known = self.known.lock();
            let mut logged = self.logged.lock();
            for id in part {
                known.in_flight.remove(id);
                logged.remove(id);
            }
        }
    }

    /// Takes rows that lie in the table and are not on their way. It runs on the thread that deletes, so that no row can
    /// be finished between the look and the taking.
    fn sweep(&self, encoder: &Encoder) -> Result<(), AuditError> {
        let mut after = 0;
        loop {
            let rows = self.read(after)?;
            let Some(last) = rows.last().map(|row| row.id) else { return Ok(()) };
            after = last;
            for row in rows {
                if self.known.lock().in_flight.contains(&row.id) {
                    continue;
                }
                if self.logged.lock().contains_key(&row.id) {
                    self.delete(&[row.id]);
                    continue;
                }
                if !encoder.seal_holds(&row.event_id, &row.payload) {
                    tracing::error!(row.id = row.id, "an outbox row was changed in the database; it is not logged");
                    continue;
                }
                let id = row.id;
                if self.take(row) {
                    let mut known = self.known.lock();
                    if known.swept.len() >= SWEPT_COUNT_MAX {
                        known.swept.clear();
                    }
                    known.swept.insert(id);
                }
            }
        }
    }

    fn read(&self, after_id: i64) -> Result<Vec<OutboxRow>, AuditError> {
        let read = self.system.read(move |reader| Ok(store::read_outbox(reader, after_id, ROW_COUNT_MAX)?));
        block_on(read).map_err(AuditError::Database)
    }
}

/// All rows of the outbox.
pub(crate) fn read_all(system: &SystemDb) -> Result<Vec<OutboxRow>, AuditError> {
    let mut all: Vec<OutboxRow> = Vec::new();
    loop {
        let after = all.last().map_or(0, |row| row.id);
        let read = system.read(move |reader| Ok(store::read_outbox(reader, after, ROW_COUNT_MAX)?));
        let rows = block_on(read).map_err(AuditError::Database)?;
        if rows.is_empty() {
            return Ok(all);
        }
        all.extend(rows);
    }
}
