//! Parquet files that were made to break a reader.

use std::io::Write as _;
use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, Int64Array, ListArray, StringArray};
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::data_type::Int64Type;
use parquet::file::properties::{WriterProperties, WriterVersion};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::parser::parse_message_type;

use super::tests::{rich, table_of, write};
use crate::limits::{BATCH_TEXT_BYTES_MAX, PAGE_BYTES_MAX};
use crate::testing::{Random, open, read_all, survives};

fn refused(bytes: Vec<u8>, expected: &str) {
    let error = open("a.parquet", bytes).and_then(|table| read_all(&table)).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
}

#[test]
fn cut_files_are_refused_at_every_length() {
    let whole = write(&rich(20), WriterProperties::builder().build());
    for length in (0..whole.len()).step_by(7) {
        let cut = whole[..length].to_vec();
        let error = open("a.parquet", cut).and_then(|table| read_all(&table)).unwrap_err().to_string();
        assert!(error.contains("a.parquet"), "{error}");
    }
    refused(whole[..whole.len() - 1].to_vec(), "it does not end as a Parquet file does: it may be cut off");
    refused(b"PAR1".to_vec(), "it is too short to be a Parquet file");
}

#[test]
fn footers_that_lie_about_their_length_are_refused() {
    let mut bytes = write(&rich(3), WriterProperties::builder().build());
    let at = bytes.len() - 8;
    bytes[at..at + 4].copy_from_slice(&1_000_000_u32.to_le_bytes());
    refused(bytes.clone(), "its footer is longer than the file");
    bytes[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
    refused(bytes, "4294967295 bytes in the footer, at most 16777216; write fewer, larger row groups");
}

#[test]
fn encrypted_columns_are_named() {
    let mut bytes = write(&rich(3), WriterProperties::builder().build());
    let at = bytes.len() - 8;
    let length = u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()) + 3;
    bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
    // Field 8, a struct without fields, before the footer's end.
    let end = bytes.split_off(at - 1);
    bytes.extend([0x0c, 16, 0]);
    bytes.extend(end);
    refused(bytes, "`a.parquet` holds an encrypted column, which is not read: decrypt it");
}

/// A file whose footer claims `claimed` rows (7 are there), in file and row group.
fn with_rows(claimed: u8) -> Vec<u8> {
    let column = Arc::new(Int64Array::from_iter_values(0..7)) as ArrayRef;
    let properties = WriterProperties::builder().set_statistics_enabled(parquet::file::properties::EnabledStatistics::None);
    let mut bytes = write(&table_of(vec![("x", column)]), properties.set_dictionary_enabled(false).build());
    let footer_at = bytes.len() - 8 - u32::from_le_bytes(bytes[bytes.len() - 8..][..4].try_into().unwrap()) as usize;
    // An i64 field (type 6) of value 7, as zigzag: 14.
    let mut changed = 0;
    for at in footer_at..bytes.len() - 8 {
        if bytes[at..].starts_with(&[0x16, 14]) {
            bytes[at + 1] = claimed * 2;
            changed += 1;
        }
    }
    assert!(changed >= 2);
    bytes
}

#[test]
fn row_counts_are_checked_against_what_is_read() {
    refused(with_rows(9), "`a.parquet` says it has 9 rows but 7 were read: it is damaged or was changed");
    refused(with_rows(5), "`a.parquet` says it has 5 rows but 7 were read: it is damaged or was changed");
    read_all(&open("a.parquet", with_rows(7)).unwrap()).unwrap();
}

#[test]
fn a_page_that_claims_too_much_is_refused_before_it_is_decompressed() {
    let column = Arc::new(StringArray::from(vec!["y".repeat(1000)])) as ArrayRef;
    let properties = WriterProperties::builder().set_dictionary_enabled(false).set_compression(Compression::SNAPPY);
    let mut bytes = write(
        &table_of(vec![("x", column)]),
        properties.set_statistics_enabled(parquet::file::properties::EnabledStatistics::None).build(),
    );
    // The page's header: type 0, then its uncompressed size in two or three bytes, in front of the data.
    assert_eq!(bytes[4..7], [0x15, 0, 0x15]);
    let claim = |size: u64| {
        let mut zigzag = size * 2;
        let mut varint = Vec::new();
        while zigzag >= 0x80 {
            varint.push((zigzag & 0x7f) as u8 | 0x80);
            zigzag >>= 7;
        }
        varint.push(zigzag as u8);
        varint
    };
    let old = claim(place_of_size(&bytes));
    bytes.splice(7..7 + old.len(), claim(PAGE_BYTES_MAX + 1));
    refused(
        bytes,
        &format!(
            "exceeds a limit: {} bytes in one page, at most {PAGE_BYTES_MAX}; write it with smaller pages",
            PAGE_BYTES_MAX + 1
        ),
    );
}

fn place_of_size(bytes: &[u8]) -> u64 {
    let (mut value, mut shift) = (0_u64, 0);
    for byte in &bytes[7..] {
        value |= u64::from(byte & 0x7f) << shift;
        shift += 7;
        if byte & 0x80 == 0 {
            break;
        }
    }
    value / 2
}

#[test]
fn a_bomb_of_nested_values_is_refused() {
    // One list of 40 million equal numbers: kilobytes in the file.
    let numbers = arrow_array::Int32Array::from(vec![1; 40_000_000]);
    let offsets = arrow_buffer::OffsetBuffer::from_lengths([40_000_000]);
    let field = Arc::new(arrow_schema::Field::new("item", arrow_schema::DataType::Int32, true));
    let list = Arc::new(ListArray::new(field, offsets, Arc::new(numbers), None)) as ArrayRef;
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let bytes = write(&table_of(vec![("x", list)]), properties.build());
    assert!(bytes.len() < 1_000_000, "{}", bytes.len());
    refused(bytes, "values of nested columns in one batch");
}

#[test]
fn a_dictionary_bomb_does_not_grow() {
    // One text of 256 KiB in 4,000 rows, a gigabyte when written out. Compressible, it stays a dictionary; else it is split.
    let mut random = Random::new(18);
    let letters: Vec<u8> = (0..256 * 1024).map(|_| b'a' + (random.next() % 26) as u8).collect();
    for text in ["x".repeat(256 * 1024), String::from_utf8(letters).unwrap()] {
        let keys = arrow_array::PrimitiveArray::<Int32Type>::from(vec![0; 4_000]);
        let column = Arc::new(arrow_array::DictionaryArray::new(keys, Arc::new(StringArray::from(vec![text])))) as ArrayRef;
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default())).build();
        let table = open("a.parquet", write(&table_of(vec![("x", column)]), properties)).unwrap();
        let mut rows = 0;
        for batch in table.read(0, None).unwrap() {
            let batch = batch.unwrap();
            assert!(batch.get_array_memory_size() <= 2 * BATCH_TEXT_BYTES_MAX, "{}", batch.get_array_memory_size());
            rows += batch.num_rows();
        }
        assert_eq!(rows, 4_000);
    }
}

#[test]
fn a_delta_bomb_is_refused() {
    // 4,000 texts that share a prefix of 100 KB: 400 KB of lengths in the file, 400 MB decoded.
    let prefix = "p".repeat(100_000);
    let texts = (0..4_000).map(|row| Some(format!("{prefix}{row:04}"))).collect::<StringArray>();
    let properties = WriterProperties::builder()
        .set_dictionary_enabled(false)
        .set_encoding(Encoding::DELTA_BYTE_ARRAY)
        .set_data_page_size_limit(usize::MAX)
        .set_writer_version(WriterVersion::PARQUET_2_0);
    refused(
        write(&table_of(vec![("x", Arc::new(texts))]), properties.build()),
        "shared prefixes that grow beyond the limit of a page",
    );
}

/// A schema is written by hand, because a writer's own types are never so deep.
fn with_schema(message: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(message).unwrap());
    let mut writer = SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default())).unwrap();
    let mut group = writer.next_row_group().unwrap();
    while let Some(mut column) = group.next_column().unwrap() {
        column.typed::<Int64Type>().write_batch(&[1], Some(&[1]), Some(&[0])).unwrap();
        column.close().unwrap();
    }
    group.close().unwrap();
    writer.close().unwrap();
    bytes
}

#[test]
fn deep_schemas_are_refused() {
    let deep =
        |depth: usize| format!("message m {{ {} required int64 x; {} }}", "required group g { ".repeat(depth), "}".repeat(depth));
    let flat = with_schema("message m { optional int64 x; }");
    assert_eq!(open("a.parquet", flat).unwrap().row_count(), 1);
    let mut bytes = Vec::new();
    let schema = Arc::new(parse_message_type(&deep(40)).unwrap());
    SerializedFileWriter::new(&mut bytes, schema, Arc::new(WriterProperties::default())).unwrap().close().unwrap();
    refused(bytes, "its footer has a schema nested more than 32 levels deep");
}

#[test]
fn damaged_files_end_in_errors_and_not_in_panics() {
    let whole = write(&rich(40), WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let plain = WriterProperties::builder().set_dictionary_enabled(false).set_writer_version(WriterVersion::PARQUET_2_0);
    let plain = write(&rich(40), plain.set_encoding(Encoding::PLAIN).build());
    let delta =
        table_of(vec![("x", Arc::new((0..50).map(|row| Some(format!("text {row}"))).collect::<StringArray>()) as ArrayRef)]);
    let delta = |encoding| {
        let properties = WriterProperties::builder().set_dictionary_enabled(false).set_encoding(encoding);
        write(&delta, properties.set_statistics_enabled(parquet::file::properties::EnabledStatistics::None).build())
    };
    let files = [whole, plain, delta(Encoding::DELTA_BYTE_ARRAY), delta(Encoding::DELTA_LENGTH_BYTE_ARRAY)];
    let mut random = Random::new(15);
    for _ in 0..1_000 {
        for file in &files {
            survives("a.parquet", random.damage(file), true);
        }
    }
}

#[test]
fn random_bytes_between_the_marks() {
    let mut random = Random::new(16);
    for _ in 0..2_000 {
        let mut bytes = b"PAR1".to_vec();
        let footer: Vec<u8> = (0..random.below(200)).map(|_| random.next() as u8).collect();
        bytes.write_all(&footer).unwrap();
        bytes.extend(u32::try_from(footer.len()).unwrap().to_le_bytes());
        bytes.extend(b"PAR1");
        survives("a.parquet", bytes, true);
    }
}
