//! Arrow IPC, files and streams alike: a file is read as the stream that it holds, and its footer must agree.
//!
//! Messages are framed here, because the usual readers reserve whatever a length field asks for.

mod body;
mod footer;
mod read;

use std::sync::Arc;

use arrow_ipc::{CompressionType, Endianness, Message, MessageHeader, MetadataVersion, root_as_message};
use arrow_schema::{Field, Schema, SchemaRef};
use bytes::Bytes;

use crate::error::TableError;
use crate::ipc::read::{IpcReader, look_at_exact};
use crate::limits::{COLUMN_COUNT_MAX, IPC_BODY_BYTES_MAX, IPC_MESSAGE_COUNT_MAX, IPC_METADATA_BYTES_MAX};
use crate::normalise::{Known, Output, check_same, note_inexact, plan, schema_of, with_plain_zones};
use crate::notes::{About, NoteKind, Notes};
use crate::source::{DataFile, ReadAhead};
use crate::table::{Opened, Partition, ReadOptions};

/// Rows after which a new partition begins.
const PARTITION_ROWS: u64 = 256 * 1024;

/// Where a message is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    metadata_at: u64,
    metadata_bytes: usize,
    body_bytes: u64,
}

/// One opened file.
pub(crate) struct Opening {
    pub file: DataFile,
    pub schema: SchemaRef,
    /// As the file has it, zones and metadata included.
    pub stored: SchemaRef,
    /// Whether it is a file, or a stream.
    pub is_file: bool,
    pub compression: Option<CompressionType>,
    pub version: MetadataVersion,
    pub outputs: Vec<Output>,
    pub dictionaries: Vec<Place>,
    pub batches: Vec<(Place, u64)>,
    /// Whether a mark says that the messages end here.
    pub is_ended: bool,
}

/// A run of record batches in one file.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    pub file: usize,
    pub from: usize,
    pub to: usize,
}

pub(crate) fn open(files: &[DataFile], options: &ReadOptions) -> Result<Opened, TableError> {
    let mut notes = Notes::default();
    let mut openings: Vec<Opening> = Vec::new();
    let (mut partitions, mut parts) = (Vec::new(), Vec::new());
    let mut row = 0_u64;
    let mut known = Known::default();
    let mut scanned = Vec::with_capacity(files.len());
    for file in files {
        let opening = scan(file)?;
        look_at_exact(&opening, &mut known.exact)?;
        scanned.push(opening);
    }
    for (index, (file, mut opening)) in files.iter().zip(scanned).enumerate() {
        let mut own = Notes::default();
        let into = if index == 0 { &mut notes } else { &mut own };
        opening.outputs = plan(&file.path, opening.schema.fields(), &known, into)?;
        match openings.first() {
            None => note_inexact(&opening.outputs, &mut notes),
            Some(first) => check_same(&first.file.path, &schema_of(&first.outputs), &file.path, &schema_of(&opening.outputs))?,
        }
        let mut from = 0;
        let mut rows = 0_u64;
        for (number, (_, batch_rows)) in opening.batches.iter().enumerate() {
            rows = rows.saturating_add(*batch_rows);
            let last = number + 1 == opening.batches.len();
            if rows >= PARTITION_ROWS || (last && rows > 0) {
                partitions.push(Partition { file: index, first_row: row, rows });
                parts.push(Part { file: index, from, to: number + 1 });
                row = row.saturating_add(rows);
                (from, rows) = (number + 1, 0);
            }
        }
        if !opening.is_ended {
            let text = "the stream ends without a mark: rows may be missing; close its writer before the file is handed on";
            notes.add(About { kind: NoteKind::EndMissing, file: Some(&file.path), column: None, text }, 1, None);
        }
        if opening.batches.iter().all(|(_, rows)| *rows == 0) {
            notes.add(
                About { kind: NoteKind::EmptyFile, file: Some(&file.path), column: None, text: "the file has no rows" },
                1,
                None,
            );
        }
        openings.push(opening);
    }
    let schema = openings.first().map(|first| schema_of(&first.outputs)).ok_or(TableError::NoFiles)?;
    let reader = IpcReader { openings, parts, partitions: partitions.clone(), options: options.clone() };
    Ok(Opened { schema, partitions, reader: Box::new(reader), notes })
}

/// Finds all messages of a file.
fn scan(file: &DataFile) -> Result<Opening, TableError> {
    let damaged = |reason: &str| TableError::damaged(&file.path, reason);
    let mut ahead = ReadAhead::within(Arc::clone(&file.bytes), u64::MAX, 16 * 1024);
    let is_file = ahead.get(0, 8).is_ok_and(|head| head.as_ref() == b"ARROW1\0\0");
    let mut at = if is_file { 8 } else { 0 };
    // Some writers align what follows the mark to 64 bytes.
    while is_file && at < 64 && ahead.get(at, 8).is_ok_and(|bytes| bytes.as_ref() == [0; 8]) {
        at += 8;
    }
    let footer = if is_file { Some(footer::read(file, &mut ahead)?) } else { None };
    let end = footer.as_ref().map_or(ahead.end(), |footer| footer.at);
    let mut opening: Option<Opening> = None;
    let (mut count, mut is_ended) = (0_usize, false);
    while at < end {
        let Some((place, metadata)) = next_message(file, &mut ahead, at)? else {
            is_ended = true;
            break;
        };
        count += 1;
        TableError::limit(&file.path, "messages", count as u64, IPC_MESSAGE_COUNT_MAX as u64, "write larger record batches")?;
        let message = root_as_message(&metadata).map_err(|error| TableError::damaged(&file.path, error))?;
        match (&mut opening, message.header_type()) {
            (None, MessageHeader::Schema) => opening = Some(begin(file, &message, is_file)?),
            (None, _) => return Err(damaged("it does not begin with a schema")),
            (Some(opening), MessageHeader::DictionaryBatch) => opening.dictionaries.push(place),
            (Some(opening), MessageHeader::RecordBatch) => {
                let batch = message.header_as_record_batch().ok_or_else(|| damaged("a record batch without a header"))?;
                if let Some(compression) = batch.compression() {
                    opening.compression = Some(compression.codec());
                }
                let rows = u64::try_from(batch.length()).map_err(|_| damaged("a record batch with a negative length"))?;
                opening.batches.push((place, rows));
            }
            _ => return Err(damaged("a message of unknown kind")),
        }
        at = place.body_at().saturating_add(place.body_bytes);
    }
    let mut opening = opening.ok_or_else(|| TableError::Empty { file: file.path.clone() })?;
    if let Some(footer) = footer {
        if at > footer.at {
            return Err(damaged("a message runs into its footer"));
        }
        footer.check(&opening)?;
    }
    opening.is_ended = is_ended || is_file;
    Ok(opening)
}

impl Place {
    const fn body_at(&self) -> u64 {
        self.metadata_at.saturating_add(self.metadata_bytes as u64)
    }
}

/// The message at `at`, or `None` at the end of the stream.
fn next_message(file: &DataFile, ahead: &mut ReadAhead, at: u64) -> Result<Option<(Place, Bytes)>, TableError> {
    let failed = |source| TableError::read(&file.path, source);
    let head = ahead.get(at, 8).map_err(failed)?;
    let [0xff, 0xff, 0xff, 0xff, length @ ..] = head.as_ref() else {
        return Err(TableError::damaged(&file.path, "a message does not begin as one does"));
    };
    let length = length.first_chunk::<4>().map_or(0, |length| u32::from_le_bytes(*length));
    if length == 0 {
        return Ok(None);
    }
    let advice = "write it again with fewer columns";
    TableError::limit(&file.path, "bytes of metadata", u64::from(length), IPC_METADATA_BYTES_MAX as u64, advice)?;
    let metadata_bytes = usize::try_from(length).unwrap_or(usize::MAX);
    let metadata = ahead.get(at.saturating_add(8), metadata_bytes).map_err(failed)?;
    let message = root_as_message(&metadata).map_err(|error| TableError::damaged(&file.path, error))?;
    let body_bytes = u64::try_from(message.bodyLength()).map_err(|_| TableError::damaged(&file.path, "a negative length"))?;
    let advice = "write record batches of at most 65536 rows";
    TableError::limit(&file.path, "bytes in one record batch", body_bytes, IPC_BODY_BYTES_MAX, advice)?;
    let place = Place { metadata_at: at.saturating_add(8), metadata_bytes, body_bytes };
    if place.body_at().checked_add(body_bytes).is_none_or(|end| end > ahead.end()) {
        return Err(TableError::damaged(&file.path, "it ends too early"));
    }
    Ok(Some((place, metadata)))
}

fn begin(file: &DataFile, message: &Message<'_>, is_file: bool) -> Result<Opening, TableError> {
    let schema = message.header_as_schema().ok_or_else(|| TableError::damaged(&file.path, "a schema without a header"))?;
    if schema.endianness() != Endianness::Little {
        return Err(TableError::unsupported(&file.path, "big-endian numbers", "write it on a little-endian machine"));
    }
    let version = message.version();
    if version < MetadataVersion::V4 {
        return Err(TableError::unsupported(&file.path, "metadata of a version before 4", "write it with a current Arrow"));
    }
    let columns = schema.fields().map_or(0, |fields| fields.len()) as u64;
    TableError::limit(&file.path, "columns", columns, COLUMN_COUNT_MAX as u64, "store wide data as one list column")?;
    if columns == 0 {
        return Err(TableError::Empty { file: file.path.clone() });
    }
    let stored = Arc::new(arrow_ipc::convert::fb_to_schema(schema));
    let plain = |field: &Arc<Field>| field.as_ref().clone().with_data_type(with_plain_zones(field.data_type()));
    let schema = Schema::new(stored.fields().iter().map(plain).collect::<Vec<_>>());
    Ok(Opening {
        file: file.clone(),
        schema: Arc::new(schema),
        stored,
        is_file,
        compression: None,
        version,
        outputs: Vec::new(),
        dictionaries: Vec::new(),
        batches: Vec::new(),
        is_ended: false,
    })
}

#[cfg(test)]
mod tests;
