//! A batch as Parquet: a row for each prediction, the columns that people ask for beside the record that is proven.

use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::{Array, ArrayRef, BinaryArray, Int64Array, RecordBatch, StringArray};
use arrow_schema::ArrowError;
use bytes::Bytes;
use kernel::Problem;
use parquet::arrow::ArrowWriter;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;

use crate::Record;
use crate::journal::{Body, Frame};

/// The columns that hold all; the others say parts of the record again, for whoever reads a file by itself.
const READ: [&str; 3] = ["record", "values", "sealed"];
/// What is written beside a batch by its writer.
const CREATED_BY: &str = "strongroom";

/// Predictions with their records read.
pub(crate) type Rows<'a> = [(Record, &'a Frame)];

/// Writes a batch.
pub(crate) fn write(rows: &Rows<'_>) -> Result<Vec<u8>, Problem> {
    let batch = table(rows).map_err(|error| failed("written", error))?;
    let level = ZstdLevel::try_new(1).map_err(|error| failed("written", error))?;
    let properties =
        WriterProperties::builder().set_compression(Compression::ZSTD(level)).set_created_by(CREATED_BY.to_owned()).build();
    let write = || -> Result<Vec<u8>, ParquetError> {
        let mut writer = ArrowWriter::try_new(Vec::new(), batch.schema(), Some(properties))?;
        writer.write(&batch)?;
        writer.into_inner()
    };
    write().map_err(|error| failed("written", error))
}

fn table(rows: &Rows<'_>) -> Result<RecordBatch, ArrowError> {
    fn texts<'r>(rows: &'r Rows<'_>, of: impl Fn(&'r Record) -> &'r str) -> ArrayRef {
        Arc::new(StringArray::from_iter_values(rows.iter().map(|(record, _)| of(record))))
    }
    fn numbers(rows: &Rows<'_>, of: impl Fn(&Record) -> i64) -> ArrayRef {
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

    #[test]
    fn a_batch_is_read_back_as_it_was() {
        let bodies = [Body::None, Body::Plain(vec![1, 2, 3]), Body::Sealed(vec![0; 70_000]), Body::Plain(Vec::new())];
        let frames: Vec<Frame> = bodies
            .into_iter()
            .zip(0..)
            .map(|(body, at)| Frame { record: example(&format!("p{at}"), at).bytes().unwrap(), body })
            .collect();
        let rows: Vec<(Record, &Frame)> = frames.iter().map(|frame| (Record::parse(&frame.record).unwrap(), frame)).collect();
        let bytes = write(&rows).unwrap();
        assert_eq!(read(bytes.clone().into()).unwrap(), frames);
        assert!(read(bytes[..bytes.len() / 2].to_vec().into()).is_err());
    }
}
