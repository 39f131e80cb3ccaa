//! Profiles a Parquet file with two threads, a row group at a time, and prints its figures as one JSON object.
//!
//! Columns of texts are read as dictionaries where the file has them as such.

use std::error::Error;
use std::fs::File;
use std::sync::Arc;

use arrow_schema::{DataType, Field, Schema, SchemaRef};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::basic::Encoding;
use parquet::file::metadata::RowGroupMetaData;
use profile::{Options, Profile, Profiler};

const THREAD_COUNT: usize = 2;
const BATCH_ROW_COUNT: usize = 8_192;

type Fault = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Fault> {
    let mut words = std::env::args().skip(1);
    let path = words.next().ok_or("usage: profile_file FILE [--whole]")?;
    let whole = words.next().as_deref() == Some("--whole");
    let profile = profile_of(&path)?;
    let text = serde_json::to_string(&profile)?;
    if whole {
        println!("{text}");
    } else {
        println!(
            "{}",
            serde_json::json!({
                "rows": profile.row_count,
                "columns": profile.columns.len(),
                "report_bytes": text.len(),
                "peak_resident_bytes": peak_resident_bytes(),
                "kinds": profile.columns.iter().map(|column| column.kind.name()).collect::<Vec<_>>(),
            })
        );
    }
    Ok(())
}

fn profile_of(path: &str) -> Result<Profile, Fault> {
    let metadata = ArrowReaderMetadata::load(&File::open(path)?, ArrowReaderOptions::new())?;
    let group_count = metadata.metadata().num_row_groups();
    let mut profilers: Vec<Profiler> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREAD_COUNT)
            .map(|worker| {
                let metadata = &metadata;
                scope.spawn(move || profile_groups(path, metadata, (worker..group_count).step_by(THREAD_COUNT)))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| "a worker has failed")?).collect::<Result<_, Fault>>()
    })?;
    let mut first = profilers.swap_remove(0);
    for other in profilers {
        first.merge(other)?;
    }
    Ok(first.finish())
}

fn profile_groups(path: &str, metadata: &ArrowReaderMetadata, groups: impl Iterator<Item = usize>) -> Result<Profiler, Fault> {
    let mut profiler = Profiler::new(metadata.schema(), &Options::default())?;
    for group in groups {
        let schema = with_dictionaries(metadata.schema(), metadata.metadata().row_group(group));
        let metadata = ArrowReaderMetadata::try_new(metadata.metadata().clone(), ArrowReaderOptions::new().with_schema(schema))?;
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(File::open(path)?, metadata)
            .with_row_groups(vec![group])
            .with_batch_size(BATCH_ROW_COUNT)
            .build()?;
        for batch in reader {
            profiler.update(&batch?)?;
        }
    }
    Ok(profiler)
}

/// Texts whose pages all point into a dictionary are cheapest as one.
fn with_dictionaries(schema: &SchemaRef, group: &RowGroupMetaData) -> SchemaRef {
    if schema.fields().len() != group.columns().len() {
        return Arc::clone(schema);
    }
    let fields = schema.fields().iter().zip(group.columns()).map(|(field, column)| {
        let plain =
            column.encodings().any(|encoding| !matches!(encoding, Encoding::RLE | Encoding::RLE_DICTIONARY | Encoding::PLAIN));
        let all_in_dictionary = column.page_encoding_stats_mask().is_some_and(|mask| mask.is_only(Encoding::RLE_DICTIONARY));
        if *field.data_type() == DataType::Utf8 && !plain && all_in_dictionary {
            let dictionary = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
            return Field::new(field.name(), dictionary, field.is_nullable());
        }
        field.as_ref().clone()
    });
    Arc::new(Schema::new_with_metadata(fields.collect::<Vec<_>>(), schema.metadata().clone()))
}

fn peak_resident_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0) * 1024
}
