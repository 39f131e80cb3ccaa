//! The log as a backup takes it: cut at the point that a snapshot of the database stands for.
//!
//! While a [`LogHold`] lives, no segment goes, and it is noted which outbox rows came into the log where. Rows come in the order of
//! their commits. So the first row that a snapshot does not know is the point: every change before it is in the snapshot, none from
//! it on is. What is in the snapshot and not yet in the log lies in the snapshot's outbox, and is logged when it is opened again.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::checkpoint::Checkpoint;
use crate::error::AuditError;
use crate::log::AuditLog;
use crate::merkle::{Hash, consistency_holds, consistency_proof, range_root};
use crate::segment::{SegmentReader, Step, segment_path};
use crate::tiles::{LEVEL_COUNT_MAX, TILE_WIDTH, TilePath, TileReader};
use crate::wal::SegmentMeta;

/// Rows that are noted while one snapshot is made.
const FOLLOWED_COUNT_MAX: usize = 4_000_000;

/// What is noted; nothing while nobody holds.
#[derive(Default)]
pub(crate) struct Held(Mutex<Option<Vec<(i64, u64)>>>);

impl Held {
    pub(crate) fn is_on(&self) -> bool {
        self.0.lock().is_some()
    }

    pub(crate) fn note(&self, rows: &[(i64, u64)]) {
        if let Some(noted) = &mut *self.0.lock()
            && noted.len() < FOLLOWED_COUNT_MAX
        {
            noted.extend_from_slice(rows);
        }
    }
}

/// The log, held for a backup. It lets go when dropped.
pub struct LogHold(Arc<AuditLog>);

/// A file of the log, as a backup takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its name below the log's folder.
    pub name: String,
    /// Where it is now.
    pub path: PathBuf,
    /// How much of it counts, from its beginning; the rest is zeros.
    pub length_bytes: u64,
    /// Its size.
    pub size_bytes: u64,
}

/// The point of a backup in the log, and what proves that it is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogPoint {
    /// Records before the point.
    pub point: u64,
    /// The tree's root over them.
    pub point_root: Hash,
    /// The signed checkpoint at or behind the point.
    pub checkpoint: Checkpoint,
    /// Its note.
    pub note: String,
    /// The proof that the point is a state of the log on its way to the checkpoint.
    pub proof: Vec<Hash>,
}

impl LogPoint {
    /// Whether the point lies on the way to the checkpoint.
    #[must_use]
    pub fn holds(&self) -> bool {
        let checkpoint = &self.checkpoint;
        consistency_holds(self.point, &self.point_root, checkpoint.size, &checkpoint.root, &self.proof)
    }
}

impl AuditLog {
    /// Holds the log for one backup.
    ///
    /// # Errors
    /// `Config` if one is held already.
    pub fn hold(self: &Arc<Self>) -> Result<LogHold, AuditError> {
        let mut noted = self.held().0.lock();
        if noted.is_some() {
            return Err(AuditError::Config("the log is held for another backup already".to_owned()));
        }
        *noted = Some(Vec::new());
        drop(noted);
        Ok(LogHold(Arc::clone(self)))
    }

    /// Whether an older state of this log, as a backup's manifest tells it, is one that today's log goes on from.
    ///
    /// # Errors
    /// `Mismatch` if it is not: the log was rolled back or exchanged. `Io` if the tree cannot be read.
    pub fn goes_on_from(&self, old: &Checkpoint) -> Result<Checkpoint, AuditError> {
        let (now, _, mut tiles) = self.tree()?;
        let (origin, size) = (&old.origin, old.size);
        if *origin != now.origin {
            return Err(AuditError::Mismatch(format!("the backup is of the log `{origin}`, this is `{}`", now.origin)));
        }
        if size > now.size {
            return Err(AuditError::Mismatch(format!("the backup knows {size} records of this log, which has {}", now.size)));
        }
        let proof = consistency_proof(&mut tiles, size, now.size)?;
        if !consistency_holds(size, &old.root, now.size, &now.root, &proof) {
            return Err(AuditError::Mismatch(format!(
                "the first {size} records of this log are not those that the backup knows"
            )));
        }
        Ok(now)
    }
}

impl LogHold {
    /// The point that a snapshot stands for which knows outbox rows up to `newest_row`. Everything durable is signed first.
    ///
    /// # Errors
    /// `Database` if that takes too long; `Config` if too much was written meanwhile.
    pub async fn point(&self, newest_row: i64) -> Result<LogPoint, AuditError> {
        let log = &self.0;
        log.flush().await?;
        let (checkpoint, note, mut tiles) = log.tree()?;
        let point = {
            let noted = log.held().0.lock();
            let rows = noted.as_deref().unwrap_or_default();
            if rows.len() >= FOLLOWED_COUNT_MAX {
                return Err(AuditError::Config("too much was written while the snapshot was made; try again".to_owned()));
            }
            rows.iter().filter(|(row, _)| *row > newest_row).map(|(_, index)| *index).fold(checkpoint.size, u64::min)
        };
        let point_root = range_root(&mut tiles, 0, point)?;
        let proof = consistency_proof(&mut tiles, point, checkpoint.size)?;
        Ok(LogPoint { point, point_root, checkpoint, note, proof })
    }

    /// The files that hold the log's records before `point`, and from which it can go on there.
    ///
    /// # Errors
    /// `Io` or `Mismatch` if they cannot be read.
    pub fn files(&self, point: u64) -> Result<Vec<LogFile>, AuditError> {
        let folders = self.0.folders();
        let mut files = Vec::new();
        for path in full_tiles(point) {
            let file = folders.log.join(path.to_string());
            let size_bytes = std::fs::metadata(&file).map_err(AuditError::io(&file))?.len();
            files.push(LogFile { name: format!("log/{path}"), path: file, length_bytes: size_bytes, size_bytes });
        }
        let segments = self.0.segments();
        for (at, meta) in segments.iter().enumerate() {
            if meta.first_index >= point && at > 0 {
                break;
            }
            let path = segment_path(&folders.wal, meta.number);
            let is_whole = segments.get(at + 1).is_some_and(|next| next.first_index <= point);
            let length_bytes = if is_whole { meta.end_bytes } else { end_of(&path, meta, point)? };
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            files.push(LogFile { name: format!("wal/{name}"), path, length_bytes, size_bytes: meta.size_bytes });
        }
        Ok(files)
    }
}

impl Drop for LogHold {
    fn drop(&mut self) {
        *self.0.held().0.lock() = None;
    }
}

/// The tiles and bundles that a tree of `size` fills for good.
fn full_tiles(size: u64) -> Vec<TilePath> {
    let mut all = Vec::new();
    let mut count = size / TILE_WIDTH;
    all.extend((0..count).map(|index| TilePath::Entries { index, width: 256 }));
    for level in 0..LEVEL_COUNT_MAX {
        all.extend((0..count).map(|index| TilePath::Hashes { level, index, width: 256 }));
        count /= TILE_WIDTH;
    }
    all
}

/// Where the records before `point` end in a segment.
fn end_of(path: &std::path::Path, meta: &SegmentMeta, point: u64) -> Result<u64, AuditError> {
    let mut reader = SegmentReader::open(path)?;
    reader.limit(meta.end_bytes);
    for index in meta.first_index..point {
        match reader.step(index)? {
            Step::Record(_) => {}
            Step::End | Step::Bad(_) => {
                return Err(AuditError::Mismatch(format!("record {index} cannot be read in `{}`", path.display())));
            }
        }
    }
    Ok(reader.offset_bytes())
}

/// The root over the first `point` records of the log in `dir`, read from files that no server has open: full tiles, and segments.
///
/// # Errors
/// `Io` or `Mismatch` if they do not hold so many records.
pub fn root_of_files(dir: &std::path::Path, point: u64) -> Result<Hash, AuditError> {
    let wal = dir.join("wal");
    let mut edge: Option<crate::projection::Edge> = None;
    for number in crate::segment::segment_numbers(&wal)? {
        let path = segment_path(&wal, number);
        let mut reader = SegmentReader::open(&path)?;
        let damaged = || AuditError::Mismatch(format!("`{}` is damaged", path.display()));
        let head = reader.head()?.ok_or_else(damaged)?;
        let base = head.first_index.next_multiple_of(TILE_WIDTH);
        let edge = match &mut edge {
            Some(edge) => edge,
            none => none.insert(crate::projection::Edge::read(&dir.join("log"), base)?),
        };
        let mut index = head.first_index;
        while let Step::Record(record) = reader.step(index)? {
            if index >= edge.size() && index < point {
                edge.push_quietly(record.leaf);
            }
            index = index.saturating_add(1);
        }
    }
    match edge {
        Some(edge) if edge.size() == point => Ok(edge.root()),
        Some(edge) => Err(AuditError::Mismatch(format!("the files hold {} records, not {point}", edge.size()))),
        None => Err(AuditError::Mismatch("there is no segment".to_owned())),
    }
}

/// The records `from..` of the log in `dir` that no server has open, as far as they can be read, oldest first. What lies in tiles and
/// what lies in segments is read alike; a damaged log gives what comes before the damage.
pub fn records_after(dir: &std::path::Path, from: u64, mut each: impl FnMut(u64, &[u8])) -> u64 {
    let mut next = from;
    let wal = dir.join("wal");
    for number in crate::segment::segment_numbers(&wal).unwrap_or_default() {
        let Ok(mut reader) = SegmentReader::open(&segment_path(&wal, number)) else { break };
        let Ok(Some(head)) = reader.head() else { break };
        if head.first_index > next {
            // The segments begin later: what lies between is in full tiles.
            let tiles = TileReader::new(&dir.join("log"), head.first_index);
            let read = tiles.each_entry(next, head.first_index, |index, record| {
                each(index, record);
                next = index.saturating_add(1);
                true
            });
            if read.is_err() || next < head.first_index {
                return next;
            }
        }
        let mut index = head.first_index;
        while let Ok(Step::Record(record)) = reader.step(index) {
            if index >= next {
                each(index, record.payload);
                next = index.saturating_add(1);
            }
            index = index.saturating_add(1);
        }
    }
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn full_tiles_are_those_that_never_change() {
        assert!(full_tiles(255).is_empty());
        let names = |size| full_tiles(size).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(names(256), ["tile/entries/000", "tile/0/000"]);
        assert_eq!(names(511), names(256));
        assert_eq!(full_tiles(65_536).len(), 256 + 256 + 1);
        assert!(names(65_536).contains(&"tile/1/000".to_owned()) && !names(65_535).contains(&"tile/1/000".to_owned()));
    }
}
