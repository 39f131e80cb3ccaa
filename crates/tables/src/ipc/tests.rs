//! Arrow IPC, good and hostile, through the crate's own door.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{Array as _, ArrayRef, DictionaryArray, Int64Array, NullArray, RecordBatch, StringArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};

use crate::notes::NoteKind;
use crate::testing::{Random, columns, open, read_all, rows, survives};

fn sample(count: i64) -> RecordBatch {
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("int", Arc::new(Int64Array::from_iter((0..count).map(|row| (row % 3 != 0).then_some(row)))), true),
        ("text", Arc::new(StringArray::from_iter((0..count).map(|row| Some(format!("text {row}"))))), true),
        (
            "word",
            Arc::new((0..count).map(|row| Some(["a", "b"][(row % 2) as usize])).collect::<DictionaryArray<Int32Type>>()),
            true,
        ),
        ("none", Arc::new(NullArray::new(count as usize)), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

fn options(compression: Option<CompressionType>) -> IpcWriteOptions {
    IpcWriteOptions::default().try_with_compression(compression).unwrap()
}

fn file(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = FileWriter::try_new_with_options(&mut bytes, &batches[0].schema(), options(compression)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn stream(batches: &[RecordBatch], compression: Option<CompressionType>) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = StreamWriter::try_new_with_options(&mut bytes, &batches[0].schema(), options(compression)).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.finish().unwrap();
    drop(writer);
    bytes
}

fn refused(bytes: Vec<u8>, expected: &str) {
    let error = open("a.arrow", bytes).and_then(|table| read_all(&table)).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn files_and_streams_are_read() {
    for compression in [None, Some(CompressionType::LZ4_FRAME), Some(CompressionType::ZSTD)] {
        for bytes in [file(&[sample(400)], compression), stream(&[sample(400)], compression)] {
            let table = open("a.arrow", bytes).unwrap();
            assert_eq!(columns(&table), ["int: Int64", "text: Utf8", "word: Dictionary(Int32, Utf8)", "none: Utf8"]);
            let rows = rows(&table).unwrap();
            assert_eq!((rows.len(), rows[4].as_slice()), (400, ["4", "text 4", "a", "∅"].map(str::to_owned).as_slice()));
        }
    }
}

#[test]
fn many_batches_in_partitions() {
    let batches = vec![sample(100_000); 6];
    let table = open("a.arrow", file(&batches, None)).unwrap();
    assert_eq!(
        table.partitions().iter().map(|part| (part.first_row, part.rows)).collect::<Vec<_>>(),
        [(0, 300_000), (300_000, 300_000)]
    );
    let found: Vec<RecordBatch> = table.read(1, Some(&[1])).unwrap().map(Result::unwrap).collect();
    assert_eq!(found.iter().map(RecordBatch::num_rows).sum::<usize>(), 300_000);
    assert_eq!(found[0].column(0).as_any().downcast_ref::<StringArray>().unwrap().value(7), "text 7");
}

#[test]
fn lengths_are_believed_only_within_limits() {
    let good = stream(&[sample(10)], None);
    let mut long = good.clone();
    long[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(long, "4294967295 bytes of metadata, at most 16777216");
    for length in (8..good.len() - 8).step_by(16) {
        let error = open("a.arrow", good[..length].to_vec()).and_then(|table| {
            // A stream may end after any message, even before the first batch.
            read_all(&table).map(|batches| batches.iter().map(RecordBatch::num_rows).sum::<usize>())
        });
        assert!(error.is_err() || error.is_ok_and(|rows| rows == 0 || rows == 10), "{length}");
    }
}

#[test]
fn a_file_that_is_cut_anywhere_is_refused() {
    let batches = [sample(100), sample(100), sample(100)];
    let good = file(&batches, None);
    assert_eq!(rows(&open("a.arrow", good.clone()).unwrap()).unwrap().len(), 300);
    for missing in 1..good.len() - 8 {
        refused(good[..good.len() - missing].to_vec(), "`a.arrow` is damaged: it ends too early");
    }
    // The footer of the whole behind the first of three batches.
    let short = file(&batches[..1], None);
    let mut joined = short[..footer_at(&short)].to_vec();
    joined.extend(&good[footer_at(&good)..]);
    refused(joined, "its footer lists 3 record batches, and 1 are there");
    // As many batches, but the first one twice.
    let blocks = arrow_ipc::root_as_footer(&good[footer_at(&good)..good.len() - 10]).unwrap().recordBatches().unwrap();
    let [first, second] = [0, 1].map(|index| blocks.get(index).offset().to_le_bytes());
    let at = (footer_at(&good)..good.len() - 8).find(|at| good[*at..].starts_with(&second)).unwrap();
    let mut twice = good.clone();
    twice[at..at + 8].copy_from_slice(&first);
    refused(twice, "its footer leads to other places");
}

fn footer_at(file: &[u8]) -> usize {
    let tail = file.len() - 10;
    tail - u32::from_le_bytes(*file[tail..].first_chunk().unwrap()) as usize
}

#[test]
fn a_stream_without_an_end_mark_is_noted() {
    let good = stream(&[sample(10)], None);
    assert!(open("a.arrow", good.clone()).unwrap().notes().find(NoteKind::EndMissing, None).is_none());
    let table = open("a.arrow", good[..good.len() - 8].to_vec()).unwrap();
    assert_eq!(table.row_count(), 10);
    assert!(table.notes().find(NoteKind::EndMissing, None).is_some());
}

#[test]
fn a_compressed_buffer_that_lies_is_refused() {
    // The numbers are compressed behind their length of eight bytes; it is made to claim more, and less.
    for compression in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        let mut bytes = stream(&[sample(1000)], Some(compression));
        let claimed = 8_000_i64.to_le_bytes();
        let at = (0..bytes.len() - 8).find(|at| bytes[*at..].starts_with(&claimed)).unwrap();
        bytes[at..at + 8].copy_from_slice(&(1_i64 << 40).to_le_bytes());
        refused(bytes.clone(), "bytes in one record batch, decompressed, at most 536870912");
        bytes[at..at + 8].copy_from_slice(&17_i64.to_le_bytes());
        let error = open("a.arrow", bytes).and_then(|table| read_all(&table)).unwrap_err().to_string();
        assert!(error.starts_with("`a.arrow` is damaged"), "{error}");
    }
}

#[test]
fn rows_without_bytes_are_refused() {
    let nulls = |count: usize| RecordBatch::try_from_iter([("n", Arc::new(NullArray::new(count)) as ArrayRef)]).unwrap();
    assert_eq!(rows(&open("a.arrow", stream(&[nulls(10)], None)).unwrap()).unwrap().len(), 10);
    refused(stream(&[nulls(1 << 40)], None), "a record batch with more rows than bits");
}

#[test]
fn damaged_files_end_in_errors_and_not_in_panics() {
    let files = [
        file(&[sample(20)], None),
        stream(&[sample(20), sample(5)], None),
        stream(&[sample(200)], Some(CompressionType::LZ4_FRAME)),
        stream(&[sample(200)], Some(CompressionType::ZSTD)),
    ];
    let mut random = Random::new(17);
    for _ in 0..1_000 {
        for file in &files {
            survives("a.arrow", random.damage(file), true);
        }
    }
}
