//! A batch as Parquet: a row for each prediction, the columns that people ask for beside the record that is proven.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use audit::merkle::{Hash, root_of};
use bytes::Bytes;
use kernel::{Micros, Problem};
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::Record;
use crate::journal::{Body, Frame};
use crate::record::digest;

/// The columns that hold all; the others say parts of the record again, for whoever reads a file by itself.
const READ: [&str; 3] = ["record", "values", "sealed"];
/// What is written beside a batch by its writer.
const CREATED_BY: &str = "strongroom";

/// Predictions that are put into columns at once: of a batch on its way, no more than this is in memory as it was read.
const SLICE_COUNT: usize = 1_024;
/// The same in bytes.
const SLICE_BYTES: usize = 1 << 20;

/// Predictions with their records read.
type Rows = [(Record, Frame)];

/// A batch on its way. What was taken is soon compressed and takes a fraction of its size.
#[derive(Default)]
pub(crate) struct BatchWriter {
    /// Made with the first slice: most batches of a quiet server have only one, which comes at the end.
    writer: Option<ArrowWriter<Vec<u8>>>,
    slice: Vec<(Record, Frame)>,
    slice_bytes: usize,
    leaves: Vec<Hash>,
    facts: Option<Facts>,
}

/// A batch.
pub(crate) struct Made {
    /// As Parquet.
    pub(crate) bytes: Vec<u8>,
    /// The root of the tree over its records.
    pub(crate) root: Hash,
    pub(crate) facts: Facts,
}

/// What a batch's row says of its records.
pub(crate) struct Facts {
    pub(crate) first: Record,
    pub(crate) first_at: Micros,
    pub(crate) last_at: Micros,
    pub(crate) request_count: i64,
    pub(crate) row_count: i64,
    /// Whom they concern, by id, and how many of them each.
    pub(crate) subjects: BTreeMap<String, About>,
}

/// How many predictions of a batch concern a subject.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct About {
    pub(crate) request_count: i64,
    pub(crate) row_count: i64,
}

impl Facts {
    const fn none_of(first: Record) -> Self {
        let at = Micros(first.at);
        Self { first, first_at: at, last_at: at, request_count: 0, row_count: 0, subjects: BTreeMap::new() }
    }

    fn add(&mut self, record: &Record) {
        self.first_at = self.first_at.min(Micros(record.at));
        self.last_at = self.last_at.max(Micros(record.at));
        self.request_count = self.request_count.saturating_add(1);
        let row_count = i64::try_from(record.rows).unwrap_or(i64::MAX);
        self.row_count = self.row_count.saturating_add(row_count);
        if let Some(subject) = &record.subject {
            let about = self.subjects.entry(subject.clone()).or_default();
            about.request_count = about.request_count.saturating_add(1);
            about.row_count = about.row_count.saturating_add(row_count);
        }
    }
}

impl BatchWriter {
    /// Takes the next prediction.
    ///
    /// # Errors
    /// If what was taken cannot be written.
    pub(crate) fn take(&mut self, record: Record, frame: Frame) -> Result<(), Problem> {
        self.leaves.push(digest(&frame.record));
        self.facts.get_or_insert_with(|| Facts::none_of(record.clone())).add(&record);
        self.slice_bytes = self.slice_bytes.saturating_add(frame.size_bytes());
        self.slice.push((record, frame));
        if self.slice.len() >= SLICE_COUNT || self.slice_bytes >= SLICE_BYTES {
            return self.write_slice().map_err(|error| failed("written", error));
        }
        Ok(())
    }

    /// The batch. None if nothing was taken.
    ///
    /// # Errors
    /// If it cannot be written.
    pub(crate) fn finish(mut self) -> Result<Option<Made>, Problem> {
        let Some(facts) = self.facts.take() else { return Ok(None) };
        let mut write = || -> Result<Vec<u8>, ParquetError> {
            self.write_slice()?;
            let writer = self.writer.take().ok_or_else(|| ParquetError::General("nothing was written".to_owned()))?;
            writer.into_inner()
        };
        let bytes = write().map_err(|error| failed("written", error))?;
        Ok(Some(Made { bytes, root: root_of(&self.leaves), facts }))
    }

    fn write_slice(&mut self) -> Result<(), ParquetError> {
        if self.slice.is_empty() {
            return Ok(());
        }
        let slice = table(&self.slice)?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => none.insert(begun(&slice)?),
        };
        writer.write(&slice)?;
        self.slice.clear();
        self.slice_bytes = 0;
        Ok(())
    }
}

fn begun(slice: &RecordBatch) -> Result<ArrowWriter<Vec<u8>>, ParquetError> {
    let level = ZstdLevel::try_new(1)?;
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(level)).set_created_by(CREATED_BY.to_owned()).build();
    ArrowWriter::try_new(Vec::new(), slice.schema(), Some(properties))
}

fn table(rows: &Rows) -> Result<RecordBatch, ArrowError> {
    fn texts<'r>(rows: &'r Rows, of: impl Fn(&'r Record) -> &'r str) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(record, _)| of(record))))
    }
    fn numbers(rows: &Rows, of: impl Fn(&Record) -> i64) -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(rows.iter().map(|(record, _)| of(record))))
    }
    let subjects: StringArray = rows.iter().map(|(record, _)| record.subject.as_deref()).collect();
    let records = StringArray::from_iter_values(rows.iter().map(|(_, frame)| String::from_utf8_lossy(&frame.record)));
    let plain: BinaryArray =
        rows.iter().map(|(_, frame)| if let Body::Plain(bytes) = &frame.body { Some(bytes) } else { None }).collect();
    let sealed: BinaryArray =
        rows.iter().map(|(_, frame)| if let Body::Sealed(bytes) = &frame.body { Some(bytes) } else { None }).collect();
    let columns: [(&str, ArrayRef, bool); 12] = [
        ("id", texts(rows, |record| &record.id), false),
        ("at_us", numbers(rows, |record| record.at), false),
        ("endpoint", texts(rows, |record| &record.endpoint), false),
        ("version", texts(rows, |record| &record.version), false),
        ("caller", texts(rows, |record| &record.caller), false),
        ("subject", Arc::new(subjects), true),
        ("log", texts(rows, |record| &record.log), false),
        ("rows", numbers(rows, |record| i64::try_from(record.rows).unwrap_or(i64::MAX)), false),
        ("latency_us", numbers(rows, |record| record.latency_us), false),
        ("record", Arc::new(records), false),
        ("values", Arc::new(plain), true),
        ("sealed", Arc::new(sealed), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns)
}

/// Reads a batch.
pub(crate) fn read(bytes: Bytes) -> Result<Vec<Frame>, Problem> {
    let read = || -> Result<Vec<Frame>, ParquetError> {
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes)?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), READ);
        let mut frames = Vec::new();
        for batch in builder.with_projection(mask).build()? {
            let batch = batch?;
            let column =
                |name: &str| batch.column_by_name(name).ok_or_else(|| ParquetError::General(format!("no column `{name}`")));
            let wrong = || ParquetError::General("a column of another type".to_owned());
            let records = column("record")?.as_string_opt::<i32>().ok_or_else(wrong)?;
            let values = column("values")?.as_binary_opt::<i32>().ok_or_else(wrong)?;
            let sealed = column("sealed")?.as_binary_opt::<i32>().ok_or_else(wrong)?;
            frames.extend((0..batch.num_rows()).map(|row| Frame {
                record: records.value(row).as_bytes().to_vec(),
                body: match (values.is_valid(row), sealed.is_valid(row)) {
                    (true, _) => Body::Plain(values.value(row).to_vec()),
                    (false, true) => Body::Sealed(sealed.value(row).to_vec()),
                    (false, false) => Body::None,
                },
            }));
        }
        Ok(frames)
    };
    read().map_err(|error| failed("read", error))
}

fn failed(what: &str, error: impl std::error::Error + Send + Sync + 'static) -> Problem {
    Problem::internal(format!("a batch of predictions could not be {what}"), error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::example;

    fn check(bodies: Vec<Body>) {
        let frames: Vec<Frame> = bodies
            .into_iter()
            .zip(0..)
            .map(|(body, at)| Frame { record: example(&format!("p{at}"), at).bytes().unwrap(), body })
            .collect();
        let mut writer = BatchWriter::default();
        for frame in &frames {
            writer.take(Record::parse(&frame.record).unwrap(), frame.clone()).unwrap();
            assert!(writer.slice.len() < SLICE_COUNT && writer.slice_bytes < SLICE_BYTES, "no more than a slice is held");
        }
        let made = writer.finish().unwrap().unwrap();
        let last_at = Micros(i64::try_from(frames.len()).unwrap() - 1);
        assert_eq!((made.facts.first_at, made.facts.last_at), (Micros(0), last_at));
        assert_eq!((made.facts.request_count, made.facts.row_count), (last_at.0 + 1, last_at.0 + 1));
        let leaves: Vec<Hash> = frames.iter().map(|frame| digest(&frame.record)).collect();
        assert_eq!(made.root, root_of(&leaves));
        assert_eq!(read(made.bytes.clone().into()).unwrap(), frames);
        assert!(read(made.bytes[..made.bytes.len() / 2].to_vec().into()).is_err());
    }

    #[test]
    fn a_batch_is_read_back_as_it_was() {
        check(vec![Body::None, Body::Plain(vec![1, 2, 3]), Body::Sealed(vec![0; 70_000]), Body::Plain(Vec::new())]);
        check((0..2_500).map(|at: u32| Body::Plain(at.to_le_bytes().repeat(25))).collect());
        check(vec![Body::Sealed(vec![1; SLICE_BYTES]), Body::None, Body::Plain(vec![2; SLICE_BYTES + 1])]);
        assert!(BatchWriter::default().finish().unwrap().is_none());
    }
}
