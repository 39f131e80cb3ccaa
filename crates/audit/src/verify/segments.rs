//! Every record of the segments: checksum, leaf hash, place, agreement with the tree; and zeros everywhere else.

use std::path::Path;
use std::time::Duration;

use crate::error::AuditError;
use crate::merkle::{Hash, leaf_hash};
use crate::segment::{SegmentHead, SegmentReader, Step, origin_tag, segment_numbers, segment_path};
use crate::tiles::{TILE_WIDTH, TileReader};
use crate::verify::Check;
use crate::verify::tree::TreeCheck;

/// How often, and how long apart, an open log's end is looked at again before it is called damaged.
const LIVE_LOOK_COUNT_MAX: u32 = 40;
const LIVE_LOOK_INTERVAL: Duration = Duration::from_millis(25);
/// A write that a crash cut short ends at a whole block of the disk.
const BLOCK_BYTES: u64 = 512;

struct Walk<'c, 'a> {
    check: &'c mut Check<'a>,
    tree: &'c mut TreeCheck,
    leaves: TileReader,
    next_index: Option<u64>,
}

/// What ended a segment's records.
enum End {
    Zeros,
    Bad(&'static str),
}

pub(crate) fn check(check: &mut Check<'_>, tree: &mut TreeCheck) -> Result<(), AuditError> {
    let numbers = segment_numbers(&check.folders.wal)?;
    let leaves = TileReader::new(&check.folders.log, tree.signed_size);
    let mut walk = Walk { check, tree, leaves, next_index: None };
    let mut heads = Vec::new();
    for number in numbers {
        if let Some(head) = walk.head(number)? {
            heads.push((number, head));
        }
    }
    for (at, (number, head)) in heads.iter().enumerate() {
        walk.segment(*number, head.as_ref(), heads.get(at.saturating_add(1)).map(|(_, next)| next.as_ref()))?;
    }
    let reached = walk.next_index.unwrap_or(0);
    let signed = walk.tree.signed_size;
    if reached < signed {
        let what = format!("the checkpoint covers {signed} records and the segments end before");
        walk.check.report.fault("wal", Some(reached), what);
    }
    walk.check.report.unsigned_count = reached.saturating_sub(signed);
    others(walk.check, reached)
}

impl Walk<'_, '_> {
    /// `None` if the segment is gone, as it may be while a server is running; `Some(None)` if its head is damaged.
    fn head(&mut self, number: u64) -> Result<Option<Option<SegmentHead>>, AuditError> {
        let path = segment_path(&self.check.folders.wal, number);
        let mut reader = match SegmentReader::open(&path) {
            Ok(reader) => reader,
            Err(AuditError::Io(_, error)) if self.check.live && error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let size_bytes = reader.end_bytes();
        let head = reader.head()?.filter(|head| {
            let origin = origin_tag(&self.check.policy.log.name);
            head.number == number && head.size_bytes == size_bytes && head.origin_tag == origin
        });
        if head.is_none() {
            self.check.report.fault(self.check.place(&path), None, "its head is damaged, or of another log");
        }
        Ok(Some(head))
    }

    fn segment(&mut self, number: u64, head: Option<&SegmentHead>, next: Option<Option<&SegmentHead>>) -> Result<(), AuditError> {
        let path = segment_path(&self.check.folders.wal, number);
        let place = self.check.place(&path);
        let first = head.map(|head| head.first_index).or(self.next_index);
        let Some(first) = first else { return Ok(()) };
        match self.next_index {
            Some(expected) if expected != first => {
                self.check.report.fault(place.clone(), Some(expected.min(first)), "it does not follow the segment before it");
            }
            None if first > self.tree.signed_size => {
                self.check.report.fault(
                    place.clone(),
                    Some(self.tree.signed_size),
                    "it begins after the checkpoint's last record",
                );
            }
            _ => {}
        }
        self.next_index = Some(first);
        let mut reader = match SegmentReader::open(&path) {
            Ok(reader) => reader,
            Err(AuditError::Io(_, error)) if self.check.live && error.kind() == std::io::ErrorKind::NotFound => {
                // The server let it go meanwhile: its records are in the tiles.
                self.next_index = None;
                return Ok(());
            }
            Err(error) => return Err(error),
        };
        let known_next = next.flatten();
        let file_end = reader.end_bytes();
        if let Some(next) = known_next {
            reader.limit(next.prev_end_bytes.min(file_end));
        }
        let end = self.records(&mut reader, &place, next.is_none())?;
        let offset_bytes = reader.offset_bytes();
        let index = self.next_index;
        if let End::Bad(why) = end {
            if next.is_none() && self.is_torn(&mut reader, index)? {
                self.check.report.note(format!("`{place}` ends with an unfinished write, which the next start wipes"));
            } else {
                self.check.report.fault(place.clone(), index, format!("the record at byte {offset_bytes} is damaged: {why}"));
            }
            self.next_index = known_next.map(|next| next.first_index).or(index);
            return Ok(());
        }
        if known_next.is_some_and(|next| next.prev_end_bytes != offset_bytes) {
            self.check.report.fault(
                place.clone(),
                index,
                format!("its records end at byte {offset_bytes}, not where the next segment says"),
            );
            self.next_index = known_next.map(|next| next.first_index);
        }
        reader.limit(file_end);
        reader.refresh();
        if known_next.is_some_and(|next| next.prev_is_soiled) {
            self.check.report.note(format!("`{place}` holds the rest of a failed write after byte {offset_bytes}"));
            return Ok(());
        }
        let dirt = reader.first_nonzero(offset_bytes)?;
        if let Some(at) = dirt.filter(|_| !(self.check.live && next.is_none())) {
            self.check.report.fault(place, index, format!("byte {at}, after the last record, is not zero"));
        }
        Ok(())
    }

    /// Reads records as far as they are good.
    fn records(&mut self, reader: &mut SegmentReader, place: &str, is_last: bool) -> Result<End, AuditError> {
        let mut looks_left = if self.check.live && is_last { LIVE_LOOK_COUNT_MAX } else { 0 };
        loop {
            let index = self.next_index.unwrap_or(0);
            let end = match reader.step(index)? {
                Step::Record(record) => {
                    let leaf = leaf_hash(record.payload);
                    if leaf != record.leaf {
                        self.check.report.fault(place, Some(index), "its leaf hash is not that of its payload");
                    }
                    let length_bytes = record.payload.len();
                    self.agree(index, (leaf, length_bytes), place);
                    self.next_index = Some(index.saturating_add(1));
                    self.check.report.segment_record_count = self.check.report.segment_record_count.saturating_add(1);
                    continue;
                }
                // An open log grows; enough is seen once everything under the checkpoint was.
                Step::End if index >= self.tree.signed_size => return Ok(End::Zeros),
                Step::End => End::Zeros,
                Step::Bad(why) => End::Bad(why),
            };
            if looks_left == 0 {
                return Ok(end);
            }
            // The server may be writing this very record.
            looks_left = looks_left.saturating_sub(1);
            std::thread::sleep(LIVE_LOOK_INTERVAL);
            reader.refresh();
        }
    }

    /// Compares a segment's record with the tree, or adds it to what lies beyond.
    fn agree(&mut self, index: u64, (leaf, length_bytes): (Hash, usize), place: &str) {
        if index >= self.tree.signed_size {
            if index == self.tree.size {
                self.tree.push(leaf, None);
                self.tree.beyond.push((leaf, length_bytes));
            }
            return;
        }
        let at = usize::try_from(index % TILE_WIDTH).unwrap_or(0);
        // A tile that cannot be read is a fault already.
        let stored = self.leaves.hashes(0, index / TILE_WIDTH).ok().and_then(|hashes| hashes.get(at)).copied();
        if stored.is_some_and(|stored| stored != leaf) {
            self.check.report.fault(place, Some(index), "this record and its leaf hash in the tree differ");
        }
    }

    /// Whether what stands at the end is the front part of one record, cut at a whole block, that no checkpoint covers.
    fn is_torn(&mut self, reader: &mut SegmentReader, index: Option<u64>) -> Result<bool, AuditError> {
        let from = reader.offset_bytes();
        if index.unwrap_or(0) < self.tree.signed_size {
            return Ok(false);
        }
        reader.refresh();
        let mut last = from;
        while let Some(more) = reader.first_nonzero(last.saturating_add(1))? {
            last = more;
        }
        let length = reader.bytes(from, 4)?.and_then(|bytes| crate::bytes::u32_at(bytes, 0)).unwrap_or(0);
        let declared_end = from.saturating_add(u64::from(length)).saturating_add(crate::segment::FRAME_BYTES as u64);
        let cut = last.saturating_add(1).next_multiple_of(BLOCK_BYTES);
        Ok(declared_end > cut && last.saturating_add(1).is_multiple_of(BLOCK_BYTES))
    }
}

/// The files beside the segments: the reserves hold zeros only, the mark of an orderly end says the size.
fn others(check: &mut Check<'_>, reached: u64) -> Result<(), AuditError> {
    let folder = check.folders.wal.clone();
    for entry in std::fs::read_dir(&folder).map_err(AuditError::io(&folder))? {
        let entry = entry.map_err(AuditError::io(&folder))?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        match name.as_str() {
            "spare.wal" | "ballast.wal" => reserve(check, &path)?,
            "unfinished.wal" | "starter.wal" | "taken.wal" | "clean.new" => {
                check.report.note(format!("`wal/{name}` is left of a crash, or being made just now"));
            }
            "clean" => {
                let text = std::fs::read(&path).unwrap_or_default();
                if !check.live && text != format!("{reached}\n").into_bytes() {
                    check.report.fault(
                        "wal/clean",
                        None,
                        format!("it does not say that the log was closed with {reached} records"),
                    );
                }
            }
            _ if name.starts_with("seg-") && name.ends_with(".wal") => {}
            _ => check.report.fault(format!("wal/{name}"), None, "it does not belong here"),
        }
    }
    Ok(())
}

fn reserve(check: &mut Check<'_>, path: &Path) -> Result<(), AuditError> {
    let mut reader = match SegmentReader::open(path) {
        Ok(reader) => reader,
        Err(AuditError::Io(_, error)) if check.live && error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if let Some(at) = reader.first_nonzero(0)? {
        // In an open log it may have become a segment while it was read.
        if check.live && !path.exists() {
            return Ok(());
        }
        check.report.fault(check.place(path), None, format!("byte {at} of this reserve is not zero"));
    }
    Ok(())
}
