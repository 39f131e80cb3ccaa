//! Reads row groups.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::Arc;

use arrow_array::cast::AsArray as _;
use arrow_array::{Array, RecordBatch};
use arrow_schema::{ArrowError, DataType, Fields, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReader;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::arrow::{ArrowWriter, ProjectionMask, parquet_to_arrow_field_levels};
use parquet::errors::ParquetError;
use parquet::file::metadata::{ParquetMetaData, RowGroupMetaData};
use parquet::file::properties::WriterProperties;

use crate::error::TableError;
use crate::normalise::{Exact, Normaliser, Output, is_number, leaf_of, list_length, open_leaves, schema_of};
use crate::parquet::Opening;
use crate::parquet::pages::{Budget, Group, Passed};
use crate::source::DataFile;
use crate::table::{Batches, Partition, ReadOptions, Reader, SharedNotes};
use crate::without::{Cut, Out, kept_of};

/// Rows looked at to find out whether lists are embeddings.
const LIST_SAMPLE_ROWS: usize = 64;
/// Bytes that a batch may take, going by the footer's claims and the widths of fixed types.
const BATCH_BYTES: u64 = 64 * 1024 * 1024;

/// Encoded bytes of a row group that is being written, from which on a new one begins.
const GROUP_BYTES_MAX: usize = 128 * 1024 * 1024;

/// Reads row groups of Parquet files.
pub(crate) struct ParquetReader {
    pub openings: Vec<Opening>,
    /// The row group of each partition, within its file.
    pub groups: Vec<usize>,
    pub partitions: Vec<Partition>,
    pub options: ReadOptions,
}

impl Reader for ParquetReader {
    fn write_without(&self, file: &DataFile, cut: &Cut<'_>, out: Out<'_>) -> Result<(), TableError> {
        let no_such = || TableError::NoSuchPart { what: "file", index: cut.file };
        let opening = self.openings.get(cut.file).ok_or_else(no_such)?;
        let mut writer = writer(opening, out)?;
        let roots: Vec<usize> = (0..opening.hint.len()).collect();
        let mut walk = cut.dropped.walk();
        let own = self.partitions.iter().zip(&self.groups).filter(|(partition, _)| partition.file == cut.file);
        for (partition, group) in own {
            let batch_rows = batch_rows(&opening.metadata, *group, &opening.hint, &roots, &self.options);
            let (batches, budget) = group_reader(file, &opening.metadata, *group, &opening.hint, &roots, batch_rows)?;
            let mut found = 0_u64;
            budget.begin_batch();
            for batch in batches {
                let batch = batch.map_err(|error| unreadable(&file.path, &budget, &error))?;
                let kept = kept_of(&batch, partition.first_row.saturating_add(found), &mut walk, &file.path)?;
                found = found.saturating_add(batch.num_rows() as u64);
                writer.write(&kept).map_err(|error| unwritable(&file.path, error))?;
                if writer.in_progress_size() > GROUP_BYTES_MAX {
                    writer.flush().map_err(|error| unwritable(&file.path, error))?;
                }
                budget.begin_batch();
            }
            if found != partition.rows {
                return Err(TableError::RowCount { file: file.path.clone(), claimed: partition.rows, found });
            }
            writer.flush().map_err(|error| unwritable(&file.path, error))?;
        }
        writer.close().map(|_| ()).map_err(|error| unwritable(&file.path, error))
    }

    fn read(&self, index: usize, projection: &[usize], notes: &SharedNotes) -> Result<Batches, TableError> {
        let no_such = || TableError::NoSuchPart { what: "partition", index };
        let partition = self.partitions.get(index).ok_or_else(no_such)?;
        let opening = self.openings.get(partition.file).ok_or_else(no_such)?;
        let group = *self.groups.get(index).ok_or_else(no_such)?;
        let mut outputs: Vec<Output> = projection.iter().filter_map(|column| opening.outputs.get(*column).cloned()).collect();
        let mut roots: Vec<usize> = outputs.iter().filter_map(|output| output.path.first().copied()).collect();
        // Rows are counted by reading a column, also if none is wanted.
        roots.extend(if roots.is_empty() { Some(0) } else { None });
        roots.sort_unstable();
        roots.dedup();
        for output in &mut outputs {
            if let Some(first) = output.path.first_mut() {
                *first = roots.binary_search(first).unwrap_or(0);
            }
        }
        let batch_rows = batch_rows(&opening.metadata, group, &opening.hint, &roots, &self.options);
        let (batches, budget) = group_reader(&opening.file, &opening.metadata, group, &opening.hint, &roots, batch_rows)?;
        let schema = schema_of(&outputs);
        let normaliser = Normaliser {
            file: opening.file.path.clone(),
            outputs,
            schema,
            notes: Arc::clone(notes),
            row: partition.first_row,
            batch_rows,
        };
        Ok(Box::new(GroupRows { batches, budget, normaliser, ready: VecDeque::new() }))
    }
}

/// A writer of a file with the same columns, metadata and compression. What embedded metadata says of rows is its writer's
/// own word, as before.
fn writer<'a>(opening: &Opening, out: Out<'a>) -> Result<ArrowWriter<Out<'a>>, TableError> {
    let metadata = opening.metadata.file_metadata();
    let mut properties = WriterProperties::builder().set_key_value_metadata(metadata.key_value_metadata().cloned());
    for chunk in opening.metadata.row_groups().first().into_iter().flat_map(RowGroupMetaData::columns) {
        properties = properties.set_column_compression(chunk.column_path().clone(), chunk.compression());
    }
    let options = ArrowWriterOptions::new()
        .with_properties(properties.build())
        .with_parquet_schema(metadata.schema_descr().clone())
        .with_skip_arrow_metadata(true);
    let schema = Arc::new(Schema::new(opening.hint.clone()));
    ArrowWriter::try_new_with_options(out, schema, options).map_err(|error| unwritable(&opening.file.path, error))
}

/// A type that is read and cannot be written (`INT96`), or a taker that takes no more.
fn unwritable(file: &str, error: ParquetError) -> TableError {
    match error {
        ParquetError::External(source) => TableError::write(file, io::Error::other(source)),
        ParquetError::NYI(what) | ParquetError::General(what) => TableError::unsupported(
            file,
            what.chars().take(200).collect::<String>(),
            "write the file without these rows yourself, and commit it with --parent",
        ),
        other => TableError::write(file, io::Error::other(other)),
    }
}

/// Why a batch does not come: a limit that the file passes, or damage.
fn unreadable(file: &str, budget: &Budget, error: &ArrowError) -> TableError {
    match budget.passed() {
        Some(Passed { what, found, max }) => {
            TableError::Limit { file: file.to_owned(), what, found, max, advice: "write it with smaller pages and row groups" }
        }
        None => TableError::damaged(file, error),
    }
}

fn group_reader(
    file: &DataFile,
    metadata: &Arc<ParquetMetaData>,
    group: usize,
    hint: &Fields,
    roots: &[usize],
    batch_rows: usize,
) -> Result<(ParquetRecordBatchReader, Arc<Budget>), TableError> {
    let damaged = |error: parquet::errors::ParquetError| TableError::damaged(&file.path, error);
    let descriptor = metadata.file_metadata().schema_descr();
    let mask = ProjectionMask::roots(descriptor, roots.iter().copied());
    let levels = parquet_to_arrow_field_levels(descriptor, mask, Some(hint)).map_err(damaged)?;
    let budget = Arc::new(Budget::default());
    let group = Group {
        metadata: Arc::clone(metadata),
        index: group,
        bytes: Arc::clone(&file.bytes),
        budget: Arc::clone(&budget),
        columns: roots.len(),
    };
    let batches = ParquetRecordBatchReader::try_new_with_row_groups(&levels, &group, batch_rows, None).map_err(damaged)?;
    Ok((batches, budget))
}

/// So many rows that a batch takes bounded memory, if the footer tells the truth; if not, the pages' budget holds.
fn batch_rows(metadata: &ParquetMetaData, group: usize, hint: &Fields, roots: &[usize], options: &ReadOptions) -> usize {
    let claimed = metadata.row_groups().get(group).map_or(0, |group| {
        let bytes: u64 = group.columns().iter().map(|chunk| u64::try_from(chunk.uncompressed_size()).unwrap_or(0)).sum();
        bytes / u64::try_from(group.num_rows()).unwrap_or(1).max(1)
    });
    let fixed: u64 = roots.iter().filter_map(|root| hint.get(*root)).map(|field| width(field.data_type())).sum();
    let by_bytes = usize::try_from(BATCH_BYTES / claimed.max(fixed).max(1)).unwrap_or(usize::MAX);
    options.batch_rows(roots.len()).min(by_bytes).max(1)
}

fn width(data_type: &DataType) -> u64 {
    match data_type {
        DataType::FixedSizeBinary(width) => u64::try_from(*width).unwrap_or(0),
        DataType::Struct(fields) => fields.iter().map(|field| width(field.data_type())).sum(),
        other => other.primitive_width().unwrap_or(16) as u64,
    }
}

/// The length of the lists of each list column, by name, where the first rows agree on one.
pub(crate) fn embedding_lengths(
    file: &DataFile,
    metadata: &Arc<ParquetMetaData>,
    hint: &Fields,
) -> Result<HashMap<String, i32>, TableError> {
    let mut lengths = HashMap::new();
    let Some(group) = metadata.row_groups().iter().position(|group| group.num_rows() > 0) else { return Ok(lengths) };
    let roots: Vec<usize> =
        (0..hint.len()).filter(|root| hint.get(*root).is_some_and(|field| super::holds_number_list(field))).collect();
    let (mut batches, budget) = group_reader(file, metadata, group, hint, &roots, LIST_SAMPLE_ROWS)?;
    if let Some(batch) = batches.next().transpose().map_err(|error| unreadable(&file.path, &budget, &error))? {
        for (field, column) in batch.schema().fields().iter().zip(batch.columns()) {
            collect_lengths(field.name(), column.as_ref(), &mut lengths);
        }
    }
    Ok(lengths)
}

/// Looks at all exact numbers, whose type their values settle.
pub(crate) fn look_at_exact(
    file: &DataFile,
    metadata: &Arc<ParquetMetaData>,
    hint: &Fields,
    options: &ReadOptions,
    exact: &mut HashMap<String, Exact>,
) -> Result<(), TableError> {
    let (roots, open) = open_leaves(hint, exact);
    let groups = if open.is_empty() { 0 } else { metadata.num_row_groups() };
    for group in 0..groups {
        let batch_rows = batch_rows(metadata, group, hint, &roots, options);
        let (batches, budget) = group_reader(file, metadata, group, hint, &roots, batch_rows)?;
        budget.begin_batch();
        for batch in batches {
            let batch = batch.map_err(|error| unreadable(&file.path, &budget, &error))?;
            for leaf in &open {
                leaf.see(leaf_of(&file.path, &batch, &leaf.path)?.as_ref(), exact);
            }
            budget.begin_batch();
        }
    }
    Ok(())
}

fn collect_lengths(name: &str, column: &dyn Array, lengths: &mut HashMap<String, i32>) {
    match column.data_type() {
        DataType::List(item) if is_number(item.data_type()) => {
            lengths.extend(list_length(column).map(|length| (name.to_owned(), length)));
        }
        DataType::Struct(fields) => {
            for (field, child) in fields.iter().zip(column.as_struct().columns()) {
                collect_lengths(&format!("{name}.{}", field.name()), child.as_ref(), lengths);
            }
        }
        _ => {}
    }
}

struct GroupRows {
    batches: ParquetRecordBatchReader,
    budget: Arc<Budget>,
    normaliser: Normaliser,
    ready: VecDeque<RecordBatch>,
}

impl Iterator for GroupRows {
    type Item = Result<RecordBatch, TableError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(batch) = self.ready.pop_front() {
            return Some(Ok(batch));
        }
        self.budget.begin_batch();
        let batch = match self.batches.next()? {
            Ok(batch) => batch,
            Err(error) => return Some(Err(unreadable(&self.normaliser.file, &self.budget, &error))),
        };
        match self.normaliser.convert(&batch) {
            Ok(batches) => self.ready = batches.into(),
            Err(error) => return Some(Err(error)),
        }
        self.ready.pop_front().map(Ok)
    }
}
