//! Start-up: what is on disk, whether it fits together and with the database, and where to go on.
//!
//! INVARIANT: a log whose signed checkpoint, database row, tiles and segments do not agree does not start. Held by
//! `tests/it/mismatch.rs`.

use std::collections::HashSet;
use std::fs::OpenOptions;
use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::config::OnMismatch;
use crate::disk::Disk;
use crate::error::AuditError;
use crate::merkle::Hash;
use crate::note::VerifierKey;
use crate::projection::{Edge, Projection};
use crate::segment::{FLAG_OUTBOX, HEAD_BYTES, SegmentReader, Step, origin_tag, segment_numbers, segment_path};
use crate::store::CheckpointRow;
use crate::tiles::{TILE_WIDTH, TileReader};
use crate::wal::{Durable, SegmentMeta};

/// The mark of an orderly end: it holds the size at which the log was closed.
const CLEAN_MARK: &str = "clean";

/// The folders of a log.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub wal: PathBuf,
    pub log: PathBuf,
    pub anchors: PathBuf,
    pub index: PathBuf,
}

impl Folders {
    pub(crate) fn of(dir: &Path) -> Self {
        Self { wal: dir.join("wal"), log: dir.join("log"), anchors: dir.join("anchors"), index: dir.join("index.db") }
    }

    pub(crate) fn checkpoint(&self) -> PathBuf {
        self.log.join("checkpoint")
    }
}

/// What start-up found.
pub(crate) struct Found {
    pub durable: Durable,
    /// The newest checkpoint that the database and the tree agree on.
    pub checkpoint: Option<Checkpoint>,
    pub note: String,
    /// The tree's edge from which files are written (again).
    pub projection: Projection,
    /// Leaf hashes of the outbox rows that are in the segments still there.
    pub outbox_leaves: HashSet<Hash>,
    /// Bytes of an unfinished write that were wiped.
    pub wiped_bytes: u64,
    /// What did not fit, if the operator accepted that.
    pub accepted: Option<String>,
}

pub(crate) struct Recovery<'a> {
    pub folders: &'a Folders,
    pub disk: &'a Disk,
    pub key: &'a VerifierKey,
    pub row: Option<CheckpointRow>,
    pub on_mismatch: OnMismatch,
    /// Whether the outbox has rows left, so that those which are logged already must be found.
    pub outbox_left: bool,
}

/// What is known before the segments are read.
struct Claims {
    /// The checkpoint file's.
    file: Option<Checkpoint>,
    /// The database row's.
    row: Option<Checkpoint>,
    note: String,
}

struct Scan {
    durable: Durable,
    quiet: Projection,
    clean: bool,
    roots: Vec<(u64, Hash)>,
    outbox_leaves: HashSet<Hash>,
    wiped_bytes: u64,
    accepted: Option<String>,
}

impl Recovery<'_> {
    pub(crate) fn run(self) -> Result<Found, AuditError> {
        let mut accepted = None;
        let claims = match self.claims() {
            Ok(claims) => claims,
            Err(AuditError::Mismatch(what) | AuditError::Malformed(what)) if self.on_mismatch == OnMismatch::Accept => {
                accepted = Some(what);
                Claims { file: None, row: None, note: String::new() }
            }
            Err(AuditError::Malformed(what)) => return Err(AuditError::Mismatch(what)),
            Err(error) => return Err(error),
        };
        let mark = std::fs::read_to_string(self.folders.wal.join(CLEAN_MARK)).ok();
        let clean_size = mark.and_then(|text| text.trim().parse::<u64>().ok());
        let mut scan = self.scan(&claims, clean_size)?;
        if let Err(error) = self.compare(&claims, &scan) {
            self.object(&mut scan, error)?;
        }
        accepted = accepted.or(scan.accepted.take());
        let newest = if accepted.is_some() { None } else { claims.row.or(claims.file) };
        let projection = if scan.clean && newest.as_ref().is_some_and(|newest| newest.size == scan.durable.size) {
            scan.quiet
        } else {
            let mended_count = scan.quiet.mend(newest.as_ref().map_or(0, |newest| newest.size))?;
            if mended_count > 0 {
                tracing::warn!(mended_count, "tiles that a crash left half-written were written again from the segments");
            }
            // After a crash the newest files may be half-written: they are written again from the segments.
            Projection::new(self.disk.clone(), &self.folders.log, Edge::read(&self.folders.log, base_of(&scan.durable))?)
        };
        Ok(Found {
            durable: scan.durable,
            checkpoint: newest,
            note: claims.note,
            projection,
            outbox_leaves: scan.outbox_leaves,
            wiped_bytes: scan.wiped_bytes,
            accepted,
        })
    }

    /// Stops the start, or notes what the operator accepts.
    fn object(&self, scan: &mut Scan, error: AuditError) -> Result<(), AuditError> {
        match (error, self.on_mismatch) {
            (AuditError::Mismatch(what), OnMismatch::Accept) => {
                scan.accepted.get_or_insert(what);
                Ok(())
            }
            (error, _) => Err(error),
        }
    }

    /// Reads what the checkpoint file and the database row claim. The row is written first, so it may be one ahead.
    fn claims(&self) -> Result<Claims, AuditError> {
        let path = self.folders.checkpoint();
        let file = match std::fs::read(&path) {
            Ok(bytes) => Some(Checkpoint::open(&bytes, self.key)?.0),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
            Err(error) => return Err(AuditError::Io(path, error)),
        };
        let Some(row) = &self.row else {
            if let Some(file) = file {
                return Err(AuditError::Mismatch(format!(
                    "the folder has a checkpoint over {} records, and the database knows of none",
                    file.size
                )));
            }
            return Ok(Claims { file, row: None, note: String::new() });
        };
        let (checkpoint, _) = Checkpoint::open(row.note.as_bytes(), self.key)?;
        if i64::try_from(checkpoint.size) != Ok(row.size)
            || checkpoint.root.as_slice() != row.root
            || row.origin != checkpoint.origin
        {
            return Err(AuditError::Mismatch("the database's checkpoint row contradicts the note in it".to_owned()));
        }
        let file_size = file.as_ref().map_or(0, |file| file.size);
        if checkpoint.size < file_size {
            return Err(AuditError::Mismatch(format!(
                "the database's newest checkpoint is over {} records and the folder's over {file_size}: the database is older",
                checkpoint.size
            )));
        }
        Ok(Claims { file, row: Some(checkpoint), note: row.note.clone() })
    }

    /// Reads every record that the segments hold, up to the end of what was durable.
    fn scan(&self, claims: &Claims, clean_size: Option<u64>) -> Result<Scan, AuditError> {
        let numbers = segment_numbers(&self.folders.wal)?;
        let mut heads = Vec::new();
        for number in &numbers {
            heads.push(self.head(*number)?);
        }
        let first_index = heads.first().map_or(0, |head| head.first_index);
        let base = first_index.next_multiple_of(TILE_WIDTH);
        let mut scan = Scan {
            durable: Durable { size: first_index, segments: Vec::new() },
            quiet: Projection::new(self.disk.clone(), &self.folders.log, Edge::read(&self.folders.log, base)?),
            clean: clean_size.is_some(),
            roots: Vec::new(),
            outbox_leaves: HashSet::new(),
            wiped_bytes: 0,
            accepted: None,
        };
        let wanted: Vec<u64> = [&claims.file, &claims.row].into_iter().flatten().map(|known| known.size).collect();
        scan.note_root(&wanted);
        for (at, head) in heads.iter().enumerate() {
            let next = heads.get(at.saturating_add(1));
            let follows = numbers.first().and_then(|first| first.checked_add(at as u64)) == Some(head.number);
            if !follows || head.first_index != scan.durable.size {
                return Err(AuditError::Mismatch(format!("segment {} does not follow the one before it", head.number)));
            }
            let end_bytes = self.scan_segment(head.number, next.map(|next| next.prev_end_bytes), &wanted, &mut scan)?;
            let meta = SegmentMeta { number: head.number, first_index: head.first_index, end_bytes, size_bytes: head.size_bytes };
            if next.is_none() {
                self.settle_tail(&meta, claims, &mut scan)?;
            }
            scan.durable.segments.push(meta);
        }
        if clean_size.is_some_and(|size| size != scan.durable.size) {
            let place = scan
                .durable
                .segments
                .last()
                .map_or_else(String::new, |last| format!(", in segment {} at byte {}", last.number, last.end_bytes));
            let what = format!(
                "the log was closed with {} records and record {} is missing or damaged{place}",
                clean_size.unwrap_or_default(),
                scan.durable.size
            );
            self.object(&mut scan, AuditError::Mismatch(what))?;
        }
        Ok(scan)
    }

    fn head(&self, number: u64) -> Result<crate::segment::SegmentHead, AuditError> {
        let path = segment_path(&self.folders.wal, number);
        let mut reader = SegmentReader::open(&path)?;
        let size_bytes = reader.end_bytes();
        let head = reader.head()?.filter(|head| {
            head.number == number && head.size_bytes == size_bytes && head.origin_tag == origin_tag(&self.key.name)
        });
        head.ok_or_else(|| AuditError::Mismatch(format!("the head of `{}` is damaged or of another log", path.display())))
    }

    /// Reads one segment; gives where its records end.
    fn scan_segment(&self, number: u64, end: Option<u64>, wanted: &[u64], scan: &mut Scan) -> Result<u64, AuditError> {
        let path = segment_path(&self.folders.wal, number);
        let mut reader = SegmentReader::open(&path)?;
        if let Some(end) = end {
            reader.limit(end.min(reader.end_bytes()));
        }
        loop {
            let index = scan.durable.size;
            let bad = match reader.step(index)? {
                Step::Record(record) => {
                    if record.flags & FLAG_OUTBOX != 0 && self.outbox_left {
                        scan.outbox_leaves.insert(record.leaf);
                    }
                    if index >= scan.quiet.size() {
                        scan.quiet.push_written(record.leaf, record.payload);
                        scan.note_root(wanted);
                    }
                    scan.durable.size = index.saturating_add(1);
                    continue;
                }
                Step::End => false,
                Step::Bad(_) => true,
            };
            let offset_bytes = reader.offset_bytes();
            // In the last segment the records just stop; in any other they stop where the next one says.
            if end.is_none_or(|end| end == offset_bytes && !bad) {
                return Ok(offset_bytes);
            }
            return Err(AuditError::Mismatch(format!(
                "record {index} is damaged, in `{}` at byte {offset_bytes}",
                path.display()
            )));
        }
    }

    /// What follows the last good record of the last segment is a write that was never acknowledged: it is wiped. If a
    /// checkpoint covers it, it was, and the log does not start.
    fn settle_tail(&self, meta: &SegmentMeta, claims: &Claims, scan: &mut Scan) -> Result<(), AuditError> {
        let covered = [&claims.file, &claims.row].into_iter().flatten().map(|known| known.size).max().unwrap_or(0);
        let path = segment_path(&self.folders.wal, meta.number);
        if scan.durable.size < covered {
            let what = format!(
                "a checkpoint covers {covered} records and record {} is missing or damaged, in `{}` at byte {}",
                scan.durable.size,
                path.display(),
                meta.end_bytes
            );
            self.object(scan, AuditError::Mismatch(what))?;
        }
        if scan.clean && scan.accepted.is_none() {
            return Ok(());
        }
        let mut reader = SegmentReader::open(&path)?;
        let Some(first) = reader.first_nonzero(meta.end_bytes)? else { return Ok(()) };
        let mut last = first;
        while let Some(more) = reader.first_nonzero(last.saturating_add(1))? {
            last = more;
        }
        scan.wiped_bytes = last.saturating_sub(first).saturating_add(1);
        let file = OpenOptions::new().write(true).open(&path).map_err(AuditError::io(&path))?;
        let zeros = vec![0; usize::try_from(scan.wiped_bytes).unwrap_or(0)];
        self.disk.write_at(&file, &path, &zeros, first)?;
        self.disk.sync(&file, &path)
    }

    /// Compares the tree with what is claimed of it.
    fn compare(&self, claims: &Claims, scan: &Scan) -> Result<(), AuditError> {
        for (known, whose) in [(&claims.file, "the checkpoint file"), (&claims.row, "the database")] {
            let Some(known) = known else { continue };
            let root = match scan.roots.iter().find(|(size, _)| *size == known.size) {
                Some((_, root)) => *root,
                None if known.size < base_of(&scan.durable) => {
                    crate::merkle::range_root(&mut TileReader::new(&self.folders.log, known.size), 0, known.size)?
                }
                None => return Err(AuditError::Mismatch(format!("{whose} covers {} records, and there are fewer", known.size))),
            };
            if root != known.root {
                return Err(AuditError::Mismatch(format!("the root over {} records is not the one in {whose}", known.size)));
            }
        }
        Ok(())
    }
}

impl Scan {
    fn note_root(&mut self, wanted: &[u64]) {
        if wanted.contains(&self.quiet.size()) {
            self.roots.push((self.quiet.size(), self.quiet.root()));
        }
    }
}

/// From here on the segments hold everything: below it, tiles are full and durable.
pub(crate) fn base_of(durable: &Durable) -> u64 {
    durable.segments.first().map_or(0, |first| first.first_index).next_multiple_of(TILE_WIDTH)
}

/// From now on an end is not an orderly one until [`mark_clean`].
pub(crate) fn unmark_clean(folders: &Folders, disk: &Disk) -> Result<(), AuditError> {
    let path = folders.wal.join(CLEAN_MARK);
    match std::fs::remove_file(&path) {
        Ok(()) => disk.sync_folder(&folders.wal),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(AuditError::Io(path, error)),
    }
}

pub(crate) fn mark_clean(folders: &Folders, disk: &Disk, size: u64) -> Result<(), AuditError> {
    disk.replace(&folders.wal.join(CLEAN_MARK), format!("{size}\n").as_bytes())
}

/// Where in the segments the record `index` begins a walk: segment, and offset of its first record.
pub(crate) fn segment_of(durable: &Durable, index: u64) -> Option<SegmentMeta> {
    durable.segments.iter().rev().find(|meta| meta.first_index <= index && meta.end_bytes >= HEAD_BYTES).cloned()
}
