//! Reads runs of record batches.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{read_dictionary, read_record_batch};
use arrow_ipc::{MetadataVersion, root_as_message};
use arrow_schema::SchemaRef;

use crate::error::TableError;
use crate::ipc::{Opening, Part, Place, body};
use crate::limits::IPC_BODY_BYTES_MAX;
use crate::normalise::{Normaliser, schema_of};
use crate::source::DataFile;
use crate::table::{Batches, Partition, ReadOptions, Reader, SharedNotes};

/// Reads runs of record batches of Arrow IPC files.
pub(crate) struct IpcReader {
    pub openings: Vec<Opening>,
    pub parts: Vec<Part>,
    pub partitions: Vec<Partition>,
    pub options: ReadOptions,
}

impl Reader for IpcReader {
    fn read(&self, index: usize, projection: &[usize], notes: &SharedNotes) -> Result<Batches, TableError> {
        let no_such = || TableError::NoSuchPart { what: "partition", index };
        let part = self.parts.get(index).ok_or_else(no_such)?;
        let partition = self.partitions.get(index).ok_or_else(no_such)?;
        let opening = self.openings.get(part.file).ok_or_else(no_such)?;
        let outputs: Vec<_> = projection.iter().filter_map(|column| opening.outputs.get(*column).cloned()).collect();
        let messages: VecDeque<Place> =
            opening.batches.get(part.from..part.to).unwrap_or_default().iter().map(|(place, _)| *place).collect();
        let dictionaries = load_dictionaries(opening, &messages)?;
        let schema = schema_of(&outputs);
        let normaliser = Normaliser {
            file: opening.file.path.clone(),
            outputs,
            schema,
            notes: Arc::clone(notes),
            row: partition.first_row,
            batch_rows: self.options.batch_rows(projection.len()),
        };
        let (file, schema, version) = (opening.file.clone(), Arc::clone(&opening.schema), opening.version);
        Ok(Box::new(PartRows { file, schema, version, dictionaries, messages, normaliser, ready: VecDeque::new() }))
    }
}

/// All dictionaries that stand before the first of `messages`. One that stands between them must not replace another.
fn load_dictionaries(opening: &Opening, messages: &VecDeque<Place>) -> Result<HashMap<i64, ArrayRef>, TableError> {
    let file = &opening.file;
    let mut dictionaries = HashMap::new();
    let (Some(first), Some(last)) = (messages.front(), messages.back()) else { return Ok(dictionaries) };
    let mut total = 0_u64;
    for place in &opening.dictionaries {
        if place.metadata_at > last.metadata_at {
            break;
        }
        let (metadata, body) = load(file, place)?;
        let message = root_as_message(&metadata).map_err(|error| TableError::damaged(&file.path, error))?;
        let changed = || TableError::damaged(&file.path, "it was changed while it was being read");
        let batch = message.header_as_dictionary_batch().ok_or_else(changed)?;
        let known = dictionaries.contains_key(&batch.id());
        if known && !batch.isDelta() && place.metadata_at > first.metadata_at {
            return Err(TableError::unsupported(
                &file.path,
                "a dictionary that is replaced midway",
                "write it as Parquet, or as an Arrow file",
            ));
        }
        body::check(&file.path, &batch.data().ok_or_else(changed)?, &body)?;
        total = total.saturating_add(body.len() as u64);
        TableError::limit(
            &file.path,
            "bytes in dictionaries",
            total,
            IPC_BODY_BYTES_MAX,
            "write long texts without a dictionary",
        )?;
        read_dictionary(&body, batch, &opening.schema, &mut dictionaries, &message.version())
            .map_err(|error| TableError::damaged(&file.path, error))?;
    }
    Ok(dictionaries)
}

fn load(file: &DataFile, place: &Place) -> Result<(Vec<u8>, Buffer), TableError> {
    let failed = |source| TableError::read(&file.path, source);
    let mut metadata = vec![0_u8; place.metadata_bytes];
    file.bytes.read_at(place.metadata_at, &mut metadata).map_err(failed)?;
    let mut body = vec![0_u8; usize::try_from(place.body_bytes).unwrap_or(0)];
    file.bytes.read_at(place.body_at(), &mut body).map_err(failed)?;
    Ok((metadata, Buffer::from_vec(body)))
}

struct PartRows {
    file: DataFile,
    schema: SchemaRef,
    version: MetadataVersion,
    dictionaries: HashMap<i64, ArrayRef>,
    messages: VecDeque<Place>,
    normaliser: Normaliser,
    ready: VecDeque<RecordBatch>,
}

impl PartRows {
    fn load_next(&mut self, place: &Place) -> Result<(), TableError> {
        let (metadata, body) = load(&self.file, place)?;
        let path = &self.file.path;
        let message = root_as_message(&metadata).map_err(|error| TableError::damaged(path, error))?;
        let changed = || TableError::damaged(path, "it was changed while it was being read");
        let batch = message.header_as_record_batch().ok_or_else(changed)?;
        body::check(path, &batch, &body)?;
        let decoded = read_record_batch(&body, batch, Arc::clone(&self.schema), &self.dictionaries, None, &self.version)
            .map_err(|error| TableError::damaged(path, error))?;
        self.ready = self.normaliser.convert(&decoded)?.into();
        Ok(())
    }
}

impl Iterator for PartRows {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(batch) = self.ready.pop_front() {
                return Some(Ok(batch));
            }
            let place = self.messages.pop_front()?;
            if let Err(error) = self.load_next(&place) {
                return Some(Err(error));
            }
        }
    }
}
