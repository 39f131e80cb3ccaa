//! The thread behind the log: reads what is durable out of the segments, writes tiles and bundles, signs a checkpoint
//! every second while the log grows, and lets old segments go.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, RwLock};
use vault::db::SystemDb;

use crate::blocking::block_on;
use crate::checkpoint::Checkpoint;
use crate::disk::Disk;
use crate::error::AuditError;
use crate::note::NoteSigner;
use crate::projection::Projection;
use crate::queue::Health;
use crate::recovery::{Folders, mark_clean, segment_of};
use crate::segment::{SegmentReader, Step, segment_path};
use crate::store;
use crate::tiles::TILE_WIDTH;
use crate::wal::{Durable, Wal};

/// How often the tree follows the segments, so that a busy log does not come in bursts.
const TICK: Duration = Duration::from_millis(200);
/// How often more the last checkpoint is tried, and the time between.
const LAST_TRY_COUNT: usize = 5;
const LAST_TRY_PAUSE: Duration = Duration::from_millis(200);

/// The newest signed state.
#[derive(Clone, Debug, Default)]
pub(crate) struct Published {
    pub checkpoint: Option<Checkpoint>,
    pub note: String,
}

#[derive(Default)]
struct Wishes {
    flush: bool,
    stop: bool,
}

/// How others talk to the projector.
pub(crate) struct Bell {
    wishes: Mutex<Wishes>,
    rung: Condvar,
    /// Size of the newest checkpoint, if there is one, for those that wait for one.
    pub published_size: tokio::sync::watch::Sender<Option<u64>>,
}

impl Bell {
    pub(crate) fn new() -> Self {
        Self { wishes: Mutex::default(), rung: Condvar::new(), published_size: tokio::sync::watch::Sender::new(None) }
    }

    pub(crate) fn flush(&self) {
        self.wishes.lock().flush = true;
        self.rung.notify_all();
    }

    pub(crate) fn stop(&self) {
        self.wishes.lock().stop = true;
        self.rung.notify_all();
    }

    /// Waits for a wish or a tick: (flush, stop).
    fn wait(&self, tick: Duration) -> (bool, bool) {
        let mut wishes = self.wishes.lock();
        if !wishes.flush && !wishes.stop {
            let _ = self.rung.wait_for(&mut wishes, tick);
        }
        (std::mem::take(&mut wishes.flush), wishes.stop)
    }
}

pub(crate) struct Projector {
    pub wal: Arc<Wal>,
    pub folders: Folders,
    pub disk: Disk,
    pub signer: Arc<NoteSigner>,
    pub system: SystemDb,
    pub published: Arc<RwLock<Published>>,
    pub bell: Arc<Bell>,
    pub projection: Projection,
    pub reader: Option<Follower>,
    /// Outbox rows that are in the log and not yet deleted, with their index.
    pub outbox_indexes: Arc<Mutex<HashMap<i64, u64>>>,
    /// While a backup holds the log, no segment goes.
    pub held: Arc<crate::hold::Held>,
    pub interval: Duration,
    /// The first checkpoint replaces whatever row there is: an operator accepted a mismatch.
    pub force: bool,
    /// What was last sent to the database, for when its answer is lost.
    pub attempted: Option<(Checkpoint, String)>,
}

/// A place in the segments.
pub(crate) struct Follower {
    number: u64,
    path: PathBuf,
    reader: SegmentReader,
    index: u64,
}

impl Projector {
    pub(crate) fn run(mut self) {
        let mut checkpoint_due = Instant::now();
        let mut complained = false;
        loop {
            let (flush, stop) = self.bell.wait(TICK.min(self.interval));
            let due = flush || stop || checkpoint_due.elapsed() >= self.interval;
            if due {
                checkpoint_due = Instant::now();
            }
            let result = match self.advance().and_then(|()| if due { self.publish() } else { Ok(()) }) {
                Err(error) if stop => self.try_again(error),
                result => result,
            };
            match result {
                Ok(()) => complained = false,
                Err(error) => {
                    if !complained {
                        tracing::error!(%error, "the audit log's tiles fall behind its segments");
                    }
                    complained = true;
                }
            }
            if stop {
                self.close();
                return;
            }
        }
    }

    /// A database that is busy for a moment must not cost the last checkpoint.
    fn try_again(&mut self, mut error: AuditError) -> Result<(), AuditError> {
        for _ in 0..LAST_TRY_COUNT {
            if self.wal.queue.health() == Health::Fenced {
                break;
            }
            std::thread::sleep(LAST_TRY_PAUSE);
            match self.advance().and_then(|()| self.publish()) {
                Ok(()) => return Ok(()),
                Err(next) => error = next,
            }
        }
        Err(error)
    }

    fn close(&mut self) {
        let durable = self.wal.durable.lock().clone();
        let whole = self.projection.size() == durable.size
            && self.published.read().checkpoint.as_ref().is_some_and(|newest| newest.size == durable.size);
        let closed = self
            .projection
            .sync()
            .and_then(|()| if whole { mark_clean(&self.folders, &self.disk, durable.size) } else { Ok(()) });
        if let Err(error) = closed {
            tracing::error!(%error, "the audit log could not be closed in order; the next start checks it whole");
        }
    }

    /// Takes what has become durable into the tree.
    fn advance(&mut self) -> Result<(), AuditError> {
        let durable = self.wal.durable.lock().clone();
        while self.projection.size() < durable.size {
            self.projection.settle()?;
            let index = self.projection.size();
            let mut follower = match self.reader.take() {
                Some(follower) if follower.index <= index => follower,
                _ => Follower::at(&self.wal.folder, &durable, index)?,
            };
            follower.follow(&durable, &mut self.projection)?;
            if self.projection.size() == index {
                return Err(AuditError::Mismatch(format!("record {index} is no longer in `{}`", follower.path.display())));
            }
            let ended = durable.segments.iter().any(|meta| meta.number > follower.number && meta.first_index == follower.index);
            self.reader = (!ended).then_some(follower);
        }
        self.projection.settle()?;
        self.trim(&durable)
    }

    /// Signs the tree as it is, if it has grown.
    fn publish(&mut self) -> Result<(), AuditError> {
        let before = self.published.read().checkpoint.clone();
        let size = self.projection.size();
        if before.as_ref().is_some_and(|before| before.size >= size) || self.wal.queue.health() == Health::Fenced {
            return Ok(());
        }
        self.projection.write_partial()?;
        let after = Checkpoint { origin: self.signer.key().name.clone(), size, root: self.projection.root() };
        let note = after.sign(&self.signer).to_string();
        self.swap(before, &after, &note)?;
        // The row counts; a reader of the file sees the checkpoint a moment later.
        *self.published.write() = Published { checkpoint: Some(after), note: note.clone() };
        let written = self.disk.replace(&self.folders.checkpoint(), note.as_bytes());
        self.bell.published_size.send_replace(Some(size));
        written
    }

    /// Replaces the database's row, if it is still the one before.
    fn swap(&mut self, before: Option<Checkpoint>, after: &Checkpoint, note: &str) -> Result<(), AuditError> {
        let (row, text, force) = (after.clone(), note.to_owned(), self.force);
        let attempted = self.attempted.replace((after.clone(), note.to_owned()));
        let swapped = block_on(self.system.write(move |writer| {
            if force {
                store::force_checkpoint(writer, &row, &text).map(|()| true)
            } else {
                store::swap_checkpoint(writer, before.as_ref(), &row, &text)
            }
        }));
        if swapped.map_err(AuditError::Database)? {
            self.force = false;
            return Ok(());
        }
        // A commit whose answer was lost: the row is one that this very server tried to write before.
        let origin = after.origin.clone();
        let row = block_on(self.system.read(move |reader| Ok(store::read_checkpoint(reader, &origin)?)));
        let row = row.map_err(AuditError::Database)?;
        if let Some((known, note)) = attempted
            && row.is_some_and(|row| row.note == note)
        {
            *self.published.write() = Published { checkpoint: Some(known), note };
            return Err(AuditError::Database(kernel::Problem::unavailable(
                "an earlier checkpoint was found committed; going on from it",
            )));
        }
        self.wal.queue.set_health(Health::Fenced);
        Err(AuditError::Mismatch(
            "the database's newest checkpoint is not this server's: another one writes this log, or the database was rolled back"
                .to_owned(),
        ))
    }

    /// Lets segments go whose records are in durable full tiles, under a checkpoint, and out of the outbox.
    fn trim(&mut self, durable: &Durable) -> Result<(), AuditError> {
        if self.held.is_on() {
            return Ok(());
        }
        let signed = self.published.read().checkpoint.as_ref().map_or(0, |newest| newest.size);
        let outbox = self.outbox_indexes.lock().values().copied().min().unwrap_or(u64::MAX);
        let full = signed.min(self.projection.size());
        let whole = full - full % TILE_WIDTH;
        let mut droppable = Vec::new();
        for (meta, next) in durable.segments.iter().zip(durable.segments.iter().skip(1)) {
            let end = next.first_index;
            if end.next_multiple_of(TILE_WIDTH) > whole || end > outbox {
                break;
            }
            droppable.push(meta.number);
        }
        if droppable.is_empty() {
            return Ok(());
        }
        self.projection.sync()?;
        for number in droppable {
            self.wal.durable.lock().segments.retain(|meta| meta.number != number);
            let path = segment_path(&self.wal.folder, number);
            std::fs::remove_file(&path).map_err(AuditError::io(&path))?;
        }
        self.disk.sync_folder(&self.wal.folder)
    }
}

impl Follower {
    /// Finds the record `index`.
    fn at(folder: &std::path::Path, durable: &Durable, index: u64) -> Result<Self, AuditError> {
        let missing = || AuditError::Mismatch(format!("no segment holds record {index}"));
        let meta = segment_of(durable, index).ok_or_else(missing)?;
        let path = segment_path(folder, meta.number);
        let mut reader = SegmentReader::open(&path)?;
        reader.limit(meta.end_bytes);
        let mut at = meta.first_index;
        while at < index {
            match reader.step(at)? {
                Step::Record(_) => at = at.saturating_add(1),
                Step::End | Step::Bad(_) => return Err(missing()),
            }
        }
        Ok(Self { number: meta.number, path, reader, index })
    }

    /// Hands what is durable in this segment to the tree.
    fn follow(&mut self, durable: &Durable, projection: &mut Projection) -> Result<(), AuditError> {
        let Some(meta) = durable.segments.iter().find(|meta| meta.number == self.number) else {
            return Err(AuditError::Mismatch(format!("`{}` is gone", self.path.display())));
        };
        self.reader.limit(meta.end_bytes);
        self.reader.refresh();
        loop {
            projection.settle()?;
            match self.reader.step(self.index)? {
                Step::Record(record) => {
                    // A record that was pushed before a failed write is not pushed twice.
                    if record.index >= projection.size() {
                        projection.push(record.leaf, record.payload);
                    }
                    self.index = self.index.saturating_add(1);
                }
                Step::End => return Ok(()),
                Step::Bad(why) => {
                    return Err(AuditError::Mismatch(format!(
                        "record {} in `{}` at byte {} was changed on disk: {why}",
                        self.index,
                        self.path.display(),
                        self.reader.offset_bytes()
                    )));
                }
            }
        }
    }
}
