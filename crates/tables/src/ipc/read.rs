//! Reads runs of record batches.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use arrow_array::{ArrayRef, RecordBatch};
use arrow_buffer::Buffer;
use arrow_ipc::reader::{read_dictionary, read_record_batch};
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use arrow_ipc::{MetadataVersion, root_as_message};
use arrow_schema::{ArrowError, SchemaRef};

use crate::error::TableError;
use crate::ipc::{Opening, Part, Place, body};
use crate::limits::IPC_BODY_BYTES_MAX;
use crate::normalise::{Exact, Normaliser, leaf_of, open_leaves, schema_of};
use crate::source::DataFile;
use crate::table::{Batches, Partition, ReadOptions, Reader, SharedNotes};
use crate::without::{Cut, Out, kept_of};

/// Reads runs of record batches of Arrow IPC files.
pub(crate) struct IpcReader {
    pub openings: Vec<Opening>,
    pub parts: Vec<Part>,
    pub partitions: Vec<Partition>,
    pub options: ReadOptions,
}

impl Reader for IpcReader {
    fn write_without(&self, file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError> {
        let opening = self.openings.get(cut.file).ok_or(TableError::NoSuchPart { what: "file", index: cut.file })?;
        let messages: VecDeque<Place> = opening.batches.iter().map(|(place, _)| *place).collect();
        let dictionaries = load_dictionaries(opening, &opening.stored, &messages)?;
        let failed = |error| unwritable(&file.path, error);
        let options = IpcWriteOptions::default().try_with_compression(opening.compression).map_err(failed)?;
        let mut writer = if opening.is_file {
            Writer::File(Box::new(FileWriter::try_new_with_options(out, &opening.stored, options).map_err(failed)?))
        } else {
            Writer::Stream(Box::new(StreamWriter::try_new_with_options(out, &opening.stored, options).map_err(failed)?))
        };
        let (mut row, mut walk) = (cut.rows.start, cut.dropped.walk());
        for place in &messages {
            let batch = decode(file, &opening.stored, opening.version, &dictionaries, place, None)?;
            let kept = kept_of(&batch, row, &mut walk, &file.path)?;
            row = row.saturating_add(batch.num_rows() as u64);
            writer.write(&kept).map_err(failed)?;
        }
        if row != cut.rows.end {
            let claimed = cut.rows.end - cut.rows.start;
            return Err(TableError::RowCount { file: file.path.clone(), claimed, found: row - cut.rows.start });
        }
        writer.finish().map_err(failed)
    }

    fn read(&self, index: usize, projection: &[usize], notes: &SharedNotes) -> Result<Batches, TableError> {
        let no_such = || TableError::NoSuchPart { what: "partition", index };
        let part = self.parts.get(index).ok_or_else(no_such)?;
        let partition = self.partitions.get(index).ok_or_else(no_such)?;
        let opening = self.openings.get(part.file).ok_or_else(no_such)?;
        let outputs: Vec<_> = projection.iter().filter_map(|column| opening.outputs.get(*column).cloned()).collect();
        let messages: VecDeque<Place> =
            opening.batches.get(part.from..part.to).unwrap_or_default().iter().map(|(place, _)| *place).collect();
        let dictionaries = load_dictionaries(opening, &opening.schema, &messages)?;
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

/// The form in which a file was.
enum Writer<'a> {
    File(Box<FileWriter<Out<'a>>>),
    Stream(Box<StreamWriter<Out<'a>>>),
}

impl Writer<'_> {
    fn write(&mut self, batch: &RecordBatch) -> Result<(), ArrowError> {
        match self {
            Self::File(writer) => writer.write(batch),
            Self::Stream(writer) => writer.write(batch),
        }
    }

    fn finish(&mut self) -> Result<(), ArrowError> {
        match self {
            Self::File(writer) => writer.finish(),
            Self::Stream(writer) => writer.finish(),
        }
    }
}

fn unwritable(file: &str, error: ArrowError) -> TableError {
    match error {
        ArrowError::IoError(_, source) => TableError::write(file, source),
        other => TableError::write(file, std::io::Error::other(other)),
    }
}

/// All dictionaries that stand before the first of `messages`. One that stands between them must not replace another.
fn load_dictionaries(
    opening: &Opening,
    schema: &SchemaRef,
    messages: &VecDeque<Place>,
) -> Result<HashMap<i64, ArrayRef>, TableError> {
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
        read_dictionary(&body, batch, schema, &mut dictionaries, &message.version())
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

/// Looks at all exact numbers, whose type their values settle. Columns of other types are passed over, dictionaries too.
pub(crate) fn look_at_exact(opening: &Opening, exact: &mut HashMap<String, Exact>) -> Result<(), TableError> {
    let (roots, open) = open_leaves(opening.schema.fields(), exact);
    let batches = if open.is_empty() { &[] } else { opening.batches.as_slice() };
    for (place, _) in batches {
        let batch = decode(&opening.file, &opening.schema, opening.version, &HashMap::new(), place, Some(&roots))?;
        for leaf in &open {
            leaf.see(leaf_of(&opening.file.path, &batch, &leaf.path)?.as_ref(), exact);
        }
    }
    Ok(())
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
        let decoded = decode(&self.file, &self.schema, self.version, &self.dictionaries, place, None)?;
        self.ready = self.normaliser.convert(&decoded)?.into();
        Ok(())
    }
}

fn decode(
    file: &DataFile,
    schema: &SchemaRef,
    version: MetadataVersion,
    dictionaries: &HashMap<i64, ArrayRef>,
    place: &Place,
    roots: Option<&[usize]>,
) -> Result<RecordBatch, TableError> {
    let (metadata, body) = load(file, place)?;
    let path = &file.path;
    let message = root_as_message(&metadata).map_err(|error| TableError::damaged(path, error))?;
    let changed = || TableError::damaged(path, "it was changed while it was being read");
    let batch = message.header_as_record_batch().ok_or_else(changed)?;
    body::check(path, &batch, &body)?;
    read_record_batch(&body, batch, Arc::clone(schema), dictionaries, roots, &version)
        .map_err(|error| TableError::damaged(path, error))
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
