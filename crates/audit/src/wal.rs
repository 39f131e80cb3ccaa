//! The write-ahead log: one thread that frames what waits, writes it with one `pwrite`, makes it durable with one
//! `fdatasync`, and only then says so.
//!
//! INVARIANT: an act that was told "durable" has its record in a synced segment. Held by `tests/it/crash.rs`.
//! INVARIANT: after a failed write or sync the segment is never written again. Held by `tests/it/faults.rs`.

use std::fs::{File, OpenOptions};
use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::config::{RETRY_INTERVAL, STARTER_BYTES};
use crate::disk::Disk;
use crate::error::AuditError;
use crate::queue::{Batch, Health, Item, Origin, Queue};
use crate::segment::{FLAG_OUTBOX, FRAME_BYTES, HEAD_BYTES, SegmentHead, frame, segment_path};
use crate::spare::Spares;

/// What is known of one segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentMeta {
    pub number: u64,
    pub first_index: u64,
    /// Where its durable records end.
    pub end_bytes: u64,
    pub size_bytes: u64,
}

/// What is durable: the log's size, and where its records are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Durable {
    pub size: u64,
    pub segments: Vec<SegmentMeta>,
}

/// What the writer shares with the others.
pub(crate) struct Wal {
    pub folder: PathBuf,
    pub queue: Queue,
    pub durable: Mutex<Durable>,
    pub spares: Spares,
}

/// Told of outbox rows that are in the log now: (row id, index).
pub(crate) type OutboxDone = Box<dyn Fn(Vec<(i64, u64)>) + Send>;

struct Active {
    file: File,
    path: PathBuf,
    meta: SegmentMeta,
    is_ballast: bool,
}

/// The writing thread's own state.
pub(crate) struct WalWriter {
    wal: Arc<Wal>,
    disk: Disk,
    origin_tag: [u8; 16],
    segment_bytes: u64,
    active: Active,
    next_index: u64,
    buffer: Vec<u8>,
    /// The end of what a failed write may have left behind.
    soiled_to_bytes: Option<u64>,
    outbox_done: OutboxDone,
    notice: Box<dyn Fn(&'static str, i64) -> Vec<u8> + Send>,
}

/// How to begin the writer.
pub(crate) struct WriterSetup {
    pub disk: Disk,
    pub origin_tag: [u8; 16],
    pub segment_bytes: u64,
    pub outbox_done: OutboxDone,
    /// Encodes a notice of the log about itself.
    pub notice: Box<dyn Fn(&'static str, i64) -> Vec<u8> + Send>,
}

impl WalWriter {
    /// Goes on in the last segment, or begins the first.
    pub(crate) fn open(wal: Arc<Wal>, setup: WriterSetup) -> Result<Self, AuditError> {
        let known = wal.durable.lock().clone();
        let active = match known.segments.last() {
            Some(meta) => {
                let path = segment_path(&wal.folder, meta.number);
                let file = OpenOptions::new().write(true).open(&path).map_err(AuditError::io(&path))?;
                Active { file, path, meta: meta.clone(), is_ballast: false }
            }
            None => {
                let head = SegmentHead {
                    number: 1,
                    first_index: 0,
                    size_bytes: 0,
                    prev_end_bytes: 0,
                    prev_is_soiled: false,
                    origin_tag: setup.origin_tag,
                };
                let active = fresh(&wal, &setup.disk, head, setup.segment_bytes)?;
                wal.durable.lock().segments.push(active.meta.clone());
                active
            }
        };
        Ok(Self {
            disk: setup.disk,
            origin_tag: setup.origin_tag,
            segment_bytes: setup.segment_bytes,
            active,
            next_index: known.size,
            buffer: Vec::new(),
            soiled_to_bytes: None,
            outbox_done: setup.outbox_done,
            notice: setup.notice,
            wal,
        })
    }

    /// Writes until the queue is closed and empty.
    pub(crate) fn run(mut self) {
        while let Some((items, batch)) = self.wal.queue.take() {
            let mut done_count = 0;
            self.wal.queue.writing(true);
            let written = self.write(&items, &mut done_count);
            self.wal.queue.writing(false);
            match written {
                Ok(()) => batch.finish(true),
                Err(error) => {
                    let rest = items.into_iter().skip(done_count).collect();
                    if !self.recover(rest, &batch, &error) {
                        return;
                    }
                }
            }
        }
    }

    /// Writes `items` and makes them durable, over as many segments as it takes. `done_count` tells how many are.
    fn write(&mut self, items: &[Item], done_count: &mut usize) -> Result<(), AuditError> {
        if self.active.is_ballast && self.wal.spares.has_spare() {
            self.rotate()?;
        }
        self.buffer.clear();
        let mut framed_count = *done_count;
        for item in items.iter().skip(*done_count) {
            let size = FRAME_BYTES.saturating_add(item.payload.len());
            let end = self.active.meta.end_bytes.saturating_add(self.buffer.len().saturating_add(size) as u64);
            if end > self.active.meta.size_bytes {
                self.flush(items, done_count, framed_count)?;
                self.rotate()?;
            }
            let index = self.next_index.saturating_add(framed_count.saturating_sub(*done_count) as u64);
            let flags = if matches!(item.origin, Origin::Outbox(_)) { FLAG_OUTBOX } else { 0 };
            frame(&mut self.buffer, index, flags, &item.leaf, &item.payload);
            framed_count = framed_count.saturating_add(1);
        }
        self.flush(items, done_count, framed_count)
    }

    /// Makes what was framed durable and lets the others know.
    fn flush(&mut self, items: &[Item], done_count: &mut usize, framed_count: usize) -> Result<(), AuditError> {
        if self.buffer.is_empty() {
            return Ok(());
        }
        let active = &mut self.active;
        let end_bytes = active.meta.end_bytes.saturating_add(self.buffer.len() as u64);
        self.soiled_to_bytes = Some(end_bytes);
        self.disk.write_at(&active.file, &active.path, &self.buffer, active.meta.end_bytes)?;
        self.disk.sync(&active.file, &active.path)?;
        self.soiled_to_bytes = None;
        active.meta.end_bytes = end_bytes;
        let flushed = items.iter().take(framed_count).skip(*done_count);
        let mut rows = Vec::new();
        for (item, index) in flushed.zip(self.next_index..) {
            if let Origin::Outbox(row) = item.origin {
                rows.push((row, index));
            }
        }
        self.next_index = self.next_index.saturating_add(framed_count.saturating_sub(*done_count) as u64);
        *done_count = framed_count;
        self.buffer.clear();
        // Told before the size is: who sees a size knows of every row below it.
        if !rows.is_empty() {
            (self.outbox_done)(rows);
        }
        let mut durable = self.wal.durable.lock();
        durable.size = self.next_index;
        if let Some(last) = durable.segments.last_mut() {
            last.end_bytes = end_bytes;
        }
        Ok(())
    }

    /// Goes on in a fresh segment.
    fn rotate(&mut self) -> Result<(), AuditError> {
        let head = SegmentHead {
            number: self.active.meta.number.saturating_add(1),
            first_index: self.next_index,
            size_bytes: 0,
            prev_end_bytes: self.active.meta.end_bytes,
            prev_is_soiled: self.soiled_to_bytes.is_some(),
            origin_tag: self.origin_tag,
        };
        self.active = fresh(&self.wal, &self.disk, head, self.segment_bytes)?;
        self.soiled_to_bytes = None;
        self.wal.durable.lock().segments.push(self.active.meta.clone());
        let health = if self.active.is_ballast { Health::Reserve } else { Health::Up };
        if self.active.is_ballast {
            tracing::error!("the disk is full: the audit log lives on its reserve; make room");
        }
        if self.wal.queue.health() != Health::Down {
            self.wal.queue.set_health(health);
        }
        Ok(())
    }

    /// After a failure: refuses acts, keeps what has happened, and tries until a fresh segment takes it. `false` if
    /// the log was closed meanwhile.
    fn recover(&mut self, rest: Vec<Item>, batch: &Batch, error: &AuditError) -> bool {
        tracing::error!(%error, "the audit log cannot be written; acts are refused until it can");
        self.wal.queue.set_health(Health::Down);
        let mut kept = Vec::new();
        let mut refused_count = 0;
        let mut keep = |items: Vec<Item>, batch: &Batch, kept: &mut Vec<Item>| {
            for item in items {
                match item.origin {
                    Origin::Waited => refused_count += 1,
                    Origin::Settled | Origin::Outbox(_) => kept.push(item),
                }
            }
            batch.finish(false);
        };
        keep(rest, batch, &mut kept);
        loop {
            let (items, batch) = self.wal.queue.take_now();
            keep(items, &batch, &mut kept);
            if self.begin_again(&mut kept) {
                break;
            }
            if self.wal.queue.is_stopped() {
                return false;
            }
            std::thread::sleep(RETRY_INTERVAL);
        }
        let health = if self.active.is_ballast { Health::Reserve } else { Health::Up };
        self.wal.queue.set_health(health);
        tracing::warn!(refused_count, "the audit log can be written again");
        let note = (self.notice)("audit.recovered", refused_count);
        // The notice is good to have; the queue was emptied just now, so it fits.
        self.wal.queue.submit_settled(Item::new(note, Origin::Settled));
        true
    }

    fn begin_again(&mut self, kept: &mut Vec<Item>) -> bool {
        if let Some(to_bytes) = self.soiled_to_bytes
            && self.wipe(to_bytes).is_ok()
        {
            self.soiled_to_bytes = None;
        }
        let mut done_count = 0;
        let result = self.rotate().and_then(|()| self.write(kept, &mut done_count));
        kept.drain(..done_count.min(kept.len()));
        result.is_ok()
    }

    /// Puts zeros over what a failed write may have left, so that verification finds nothing but zeros there.
    fn wipe(&self, to_bytes: u64) -> Result<(), AuditError> {
        let from = self.active.meta.end_bytes;
        let zeros = vec![0; usize::try_from(to_bytes.saturating_sub(from)).unwrap_or(0)];
        self.disk.write_at(&self.active.file, &self.active.path, &zeros, from)?;
        self.disk.sync(&self.active.file, &self.active.path)
    }
}

/// Begins the segment of `head`: the spare, else a small one made here, else the ballast.
fn fresh(wal: &Wal, disk: &Disk, mut head: SegmentHead, segment_bytes: u64) -> Result<Active, AuditError> {
    let path = segment_path(&wal.folder, head.number);
    let starter_bytes = STARTER_BYTES.min(segment_bytes);
    let starter = || {
        let unfinished = wal.folder.join("starter.wal");
        disk.allocate(&unfinished, starter_bytes).map(|()| (unfinished, starter_bytes, false))
    };
    let (from, size_bytes, is_ballast) = match wal.spares.take_spare() {
        Some((spare, size_bytes)) => (spare, size_bytes, false),
        None => starter().or_else(|error| match wal.spares.take_ballast() {
            Some((ballast, size_bytes)) => Ok((ballast, size_bytes, true)),
            None => Err(error),
        })?,
    };
    head.size_bytes = size_bytes;
    let file = OpenOptions::new().write(true).open(&from).map_err(AuditError::io(&from))?;
    let begun = disk.write_at(&file, &from, &head.encode(), 0).and_then(|()| disk.sync(&file, &from));
    if let Err(error) = begun {
        // Its first block is not all zeros any more, or cannot be known to be: it is of no further use.
        drop(std::fs::remove_file(&from));
        return Err(error);
    }
    disk.rename(&from, &path)?;
    disk.sync_folder(&wal.folder)?;
    let meta = SegmentMeta { number: head.number, first_index: head.first_index, end_bytes: HEAD_BYTES, size_bytes };
    Ok(Active { file, path, meta, is_ballast })
}
