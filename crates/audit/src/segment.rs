//! One segment of the write-ahead log on disk: a head of 64 bytes, records, and zeros to its end.
//!
//! Record: payload length u32 | CRC-32C u32 | flags u32 | index u64 | leaf hash 32 B | payload, little-endian. The
//! checksum covers everything but itself.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use kernel::limits::AUDIT_RECORD_BYTES_MAX;

use crate::bytes::{array_at, u32_at, u64_at};
use crate::error::AuditError;
use crate::merkle::Hash;

/// The head of a segment.
pub(crate) const HEAD_BYTES: u64 = 64;
/// What stands before a record's payload.
pub(crate) const FRAME_BYTES: usize = 52;
/// The record came out of the database's outbox.
pub(crate) const FLAG_OUTBOX: u32 = 1;

const MAGIC: &[u8; 8] = b"SRWALv1\n";
const CHUNK_BYTES: usize = 256 * 1024;

/// What stands at the head of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SegmentHead {
    /// Its number, from 1 on.
    pub number: u64,
    /// The index of its first record.
    pub first_index: u64,
    /// Its size.
    pub size_bytes: u64,
    /// Where the records of the segment before it end.
    pub prev_end_bytes: u64,
    /// A failed write left bytes after that end which could not be zeroed.
    pub prev_is_soiled: bool,
    /// The first bytes of SHA-256 of the log's origin.
    pub origin_tag: [u8; 16],
}

pub(crate) fn origin_tag(origin: &str) -> [u8; 16] {
    array_at(&kernel::sha256(origin.as_bytes()), 0).unwrap_or_default()
}

impl SegmentHead {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(64);
        bytes.extend_from_slice(MAGIC);
        for number in [self.number, self.first_index, self.size_bytes, self.prev_end_bytes] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&u32::from(self.prev_is_soiled).to_le_bytes());
        bytes.extend_from_slice(&self.origin_tag);
        bytes.extend_from_slice(&crc32c::crc32c(&bytes).to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let body = bytes.get(..60)?;
        if !body.starts_with(MAGIC) || u32_at(bytes, 60)? != crc32c::crc32c(body) {
            return None;
        }
        let soiled = u32_at(body, 40)?;
        if soiled > 1 {
            return None;
        }
        Some(Self {
            number: u64_at(body, 8)?,
            first_index: u64_at(body, 16)?,
            size_bytes: u64_at(body, 24)?,
            prev_end_bytes: u64_at(body, 32)?,
            prev_is_soiled: soiled == 1,
            origin_tag: array_at(body, 44)?,
        })
    }
}

pub(crate) fn segment_path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("seg-{number:012}.wal"))
}

/// The numbers of the segments in `folder`, in order.
pub(crate) fn segment_numbers(folder: &Path) -> Result<Vec<u64>, AuditError> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(AuditError::io(folder))? {
        let name = entry.map_err(AuditError::io(folder))?.file_name();
        let name = name.to_string_lossy();
        let number = name.strip_prefix("seg-").and_then(|rest| rest.strip_suffix(".wal")).and_then(|n| n.parse().ok());
        numbers.extend(number.filter(|number| segment_path(folder, *number).ends_with(name.as_ref())));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// Appends one framed record to `out`.
pub(crate) fn frame(out: &mut Vec<u8>, index: u64, flags: u32, leaf: &Hash, payload: &[u8]) {
    let length = u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes();
    let (flags, index) = (flags.to_le_bytes(), index.to_le_bytes());
    let mut sum = crc32c::crc32c(&length);
    for part in [flags.as_slice(), &index, leaf, payload] {
        sum = crc32c::crc32c_append(sum, part);
    }
    out.extend_from_slice(&length);
    out.extend_from_slice(&sum.to_le_bytes());
    for part in [flags.as_slice(), &index, leaf, payload] {
        out.extend_from_slice(part);
    }
}

/// A record as it was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Framed<'a> {
    pub index: u64,
    pub flags: u32,
    pub leaf: Hash,
    pub payload: &'a [u8],
}

/// What stands where the reader is.
#[derive(Debug)]
pub(crate) enum Step<'a> {
    /// A record with a good checksum.
    Record(Framed<'a>),
    /// No length: the rest ought to be zeros.
    End,
    /// Something that is no record, and why.
    Bad(&'static str),
}

/// Reads a segment's records in order.
pub(crate) struct SegmentReader {
    file: File,
    path: PathBuf,
    buffer: Vec<u8>,
    buffer_at: u64,
    offset_bytes: u64,
    end_bytes: u64,
}

impl SegmentReader {
    pub(crate) fn open(path: &Path) -> Result<Self, AuditError> {
        let file = File::open(path).map_err(AuditError::io(path))?;
        let end_bytes = file.metadata().map_err(AuditError::io(path))?.len();
        Ok(Self { file, path: path.to_path_buf(), buffer: Vec::new(), buffer_at: 0, offset_bytes: HEAD_BYTES, end_bytes })
    }

    /// The file's size, or less once [`SegmentReader::limit`] was set.
    pub(crate) const fn end_bytes(&self) -> u64 {
        self.end_bytes
    }

    /// Reads no further than `end_bytes`.
    pub(crate) fn limit(&mut self, end_bytes: u64) {
        self.end_bytes = end_bytes;
    }

    pub(crate) const fn offset_bytes(&self) -> u64 {
        self.offset_bytes
    }

    /// Forgets what was read ahead, to see what was written since.
    pub(crate) fn refresh(&mut self) {
        self.buffer.clear();
    }

    pub(crate) fn head(&mut self) -> Result<Option<SegmentHead>, AuditError> {
        Ok(self.bytes(0, 64)?.and_then(SegmentHead::decode))
    }

    /// The record at the reader's place, which moves on behind it.
    pub(crate) fn step(&mut self, expected_index: u64) -> Result<Step<'_>, AuditError> {
        let at = self.offset_bytes;
        let Some(length) = self.bytes(at, FRAME_BYTES)?.and_then(|head| u32_at(head, 0)) else {
            return Ok(Step::End);
        };
        let length = usize::try_from(length).unwrap_or(usize::MAX);
        if length == 0 {
            return Ok(Step::End);
        }
        if length > AUDIT_RECORD_BYTES_MAX {
            return Ok(Step::Bad("its length is over the limit"));
        }
        let total = FRAME_BYTES.saturating_add(length);
        let next = at.saturating_add(total as u64);
        let Some(bytes) = self.bytes(at, total)? else {
            return Ok(Step::Bad("it runs over the end of the segment"));
        };
        let sum = crc32c::crc32c_append(crc32c::crc32c(bytes.get(..4).unwrap_or_default()), bytes.get(8..).unwrap_or_default());
        if u32_at(bytes, 4) != Some(sum) {
            return Ok(Step::Bad("its checksum does not hold"));
        }
        let (Some(flags), Some(index), Some(leaf)) = (u32_at(bytes, 8), u64_at(bytes, 12), array_at(bytes, 20)) else {
            return Ok(Step::Bad("it is cut short"));
        };
        if index != expected_index || flags & !FLAG_OUTBOX != 0 {
            return Ok(Step::Bad("its index or flags do not belong here"));
        }
        self.offset_bytes = next;
        // Borrowed again for the answer: the borrow above ends where the reader's place moves.
        let payload = self.bytes(at, total)?.and_then(|bytes| bytes.get(FRAME_BYTES..)).unwrap_or_default();
        Ok(Step::Record(Framed { index, flags, leaf, payload }))
    }

    /// `count` bytes at `at`, or `None` where the segment ends before.
    pub(crate) fn bytes(&mut self, at: u64, count: usize) -> Result<Option<&[u8]>, AuditError> {
        let end = at.saturating_add(count as u64);
        if end > self.end_bytes {
            return Ok(None);
        }
        let buffer_end = self.buffer_at.saturating_add(self.buffer.len() as u64);
        if at < self.buffer_at || end > buffer_end {
            let room = self.end_bytes.saturating_sub(at);
            let want = usize::try_from(room).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES.max(count));
            self.buffer.resize(want, 0);
            self.buffer_at = at;
            self.file.read_exact_at(&mut self.buffer, at).map_err(AuditError::io(&self.path))?;
        }
        let from = usize::try_from(at.saturating_sub(self.buffer_at)).unwrap_or(usize::MAX);
        Ok(self.buffer.get(from..from.saturating_add(count)))
    }

    /// Where the first byte other than zero stands in `from..` the end.
    pub(crate) fn first_nonzero(&mut self, from: u64) -> Result<Option<u64>, AuditError> {
        let mut at = from;
        while at < self.end_bytes {
            let count = usize::try_from(self.end_bytes.saturating_sub(at)).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
            if let Some(found) = self.bytes(at, count)?.and_then(crate::bytes::first_nonzero) {
                return Ok(Some(at.saturating_add(found as u64)));
            }
            at = at.saturating_add(count as u64);
        }
        Ok(None)
    }
}
