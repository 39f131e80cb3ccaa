//! Parquet files as others write them, through the crate's own door.

use std::sync::Arc;

use arrow_array::builder::{Int64Builder, ListBuilder, MapBuilder, StringBuilder};
use arrow_array::types::Float32Type;
use arrow_array::{
    Array as _, ArrayRef, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float64Array, Int32Array, Int64Array,
    ListArray, RecordBatch, StringArray, StructArray, TimestampNanosecondArray, UInt64Array,
};
use arrow_schema::{DataType, Field};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterVersion};

use crate::notes::NoteKind;
use crate::testing::{columns, open, read_all, rows};
use crate::{DataFile, ReadOptions, Table};

pub(crate) fn write(batch: &RecordBatch, properties: WriterProperties) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), Some(properties)).unwrap();
    writer.write(batch).unwrap();
    writer.close().unwrap();
    bytes
}

pub(super) fn table_of(columns: Vec<(&str, ArrayRef)>) -> RecordBatch {
    RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, column)| (name, column, true))).unwrap()
}

/// A table of all kinds of columns.
pub(crate) fn rich(count: usize) -> RecordBatch {
    let numbers = || 0..count as i64;
    let texts = |prefix: &str| numbers().map(|row| (row % 7 != 0).then(|| format!("{prefix}{row}"))).collect::<StringArray>();
    let lists = ListArray::from_iter_primitive::<Float32Type, _, _>(numbers().map(|row| Some([Some(row as f32), Some(0.5)])));
    let mut ragged = ListBuilder::new(StringBuilder::new());
    let mut map = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..count {
        for item in 0..row % 3 {
            ragged.values().append_value(format!("i{item}"));
        }
        ragged.append(true);
        map.keys().append_value("k");
        map.values().append_value(row as i64);
        map.append(true).unwrap();
    }
    let nested = StructArray::from(vec![
        (Arc::new(Field::new("a", DataType::Utf8, true)), Arc::new(texts("n")) as ArrayRef),
        (Arc::new(Field::new("b", DataType::Int32, true)), Arc::new(numbers().map(|row| row as i32).collect::<Int32Array>())),
    ]);
    table_of(vec![
        ("int", Arc::new(numbers().map(|row| (row % 5 != 0).then_some(row)).collect::<Int64Array>())),
        ("float", Arc::new(numbers().map(|row| row as f64 / 2.0).collect::<Float64Array>())),
        ("flag", Arc::new(numbers().map(|row| Some(row % 2 == 0)).collect::<BooleanArray>())),
        ("text", Arc::new(texts("a longer text than twelve bytes "))),
        ("word", Arc::new(numbers().map(|row| Some(["red", "green"][(row % 2) as usize])).collect::<StringArray>())),
        ("blob", Arc::new(numbers().map(|row| Some(row.to_le_bytes())).collect::<BinaryArray>())),
        ("day", Arc::new(Date32Array::from_iter_values(numbers().map(|row| row as i32)))),
        ("time", Arc::new(TimestampNanosecondArray::from_iter_values(numbers().map(|row| row * 1000)).with_timezone("UTC"))),
        ("big", Arc::new(UInt64Array::from_iter_values(numbers().map(|row| row as u64)))),
        (
            "exact",
            Arc::new(Decimal128Array::from_iter_values(numbers().map(i128::from)).with_precision_and_scale(20, 2).unwrap()),
        ),
        ("vector", Arc::new(lists)),
        ("list", Arc::new(ragged.finish())),
        ("map", Arc::new(map.finish())),
        ("nested", Arc::new(nested)),
    ])
}

#[test]
fn all_types_are_read() {
    let table = open("a.parquet", write(&rich(10), WriterProperties::builder().build())).unwrap();
    assert_eq!(
        columns(&table),
        [
            "int: Int64",
            "float: Float64",
            "flag: Boolean",
            "text: Dictionary(Int32, Utf8)",
            "word: Dictionary(Int32, Utf8)",
            "blob: Binary",
            "day: Date32",
            "time: Timestamp(µs, \"+00:00\")",
            "big: Int64",
            "exact: Float64",
            "vector: FixedSizeList(2 x Float32)",
            "list: Utf8",
            "map: Utf8",
            "nested.a: Utf8",
            "nested.b: Int64",
        ]
    );
    let rows = rows(&table).unwrap();
    let expected = [
        "8",
        "4.0",
        "true",
        "a longer text than twelve bytes 8",
        "red",
        "0800000000000000",
        "1970-01-09",
        "1970-01-01T00:00:00.000008Z",
        "8",
        "0.08",
        "[8.0, 0.5]",
        "[\"i0\",\"i1\"]",
        "{\"k\":8}",
        "n8",
        "8",
    ];
    assert_eq!(rows[8], expected);
    assert_eq!((rows[0][0].as_str(), rows[7][3].as_str(), rows[7][13].as_str()), ("∅", "∅", "∅"));
    let notes = table.notes();
    assert!(notes.notes.is_empty(), "{notes:?}");
}

#[test]
fn exact_numbers_of_several_files_are_kept() {
    let file = |path: &str, first: u64| {
        let decimals = [first, first + 1].map(|number| i128::from(number) * 100);
        let decimals = Decimal128Array::from(decimals.to_vec()).with_precision_and_scale(30, 2).unwrap();
        let batch = table_of(vec![("u", Arc::new(UInt64Array::from(vec![first, first + 1]))), ("d", Arc::new(decimals))]);
        DataFile::in_memory(path, write(&batch, WriterProperties::builder().build()))
    };
    let table = Table::open(vec![file("a.parquet", 1), file("b.parquet", u64::MAX - 1)], &ReadOptions::default()).unwrap();
    assert_eq!(columns(&table), ["u: UInt64", "d: Decimal128(30, 2)"]);
    let found = rows(&table).unwrap();
    assert_eq!(found[0], ["1", "1.00"]);
    assert_eq!(found[3], ["18446744073709551615", "18446744073709551615.00"]);
    assert!(table.notes().notes.is_empty());
}

/// All rows come back, however the file is written.
#[test]
fn all_encodings_are_read() {
    let batch = rich(5_000);
    let plain = rows(&open("a.parquet", write(&batch, WriterProperties::builder().build())).unwrap()).unwrap();
    let builder = WriterProperties::builder;
    let texts = |encoding| {
        builder()
            .set_dictionary_enabled(false)
            .set_column_encoding("text".into(), encoding)
            .set_column_encoding("blob".into(), encoding)
    };
    let variants = [
        builder().set_compression(Compression::SNAPPY),
        builder().set_compression(Compression::ZSTD(ZstdLevel::default())),
        builder().set_compression(Compression::GZIP(Default::default())),
        builder().set_compression(Compression::LZ4_RAW),
        builder().set_compression(Compression::BROTLI(Default::default())),
        builder().set_writer_version(WriterVersion::PARQUET_2_0).set_compression(Compression::SNAPPY),
        builder().set_max_row_group_row_count(Some(777)).set_data_page_row_count_limit(100),
        builder().set_statistics_enabled(EnabledStatistics::None).set_dictionary_enabled(false),
        texts(Encoding::DELTA_BYTE_ARRAY),
        texts(Encoding::DELTA_LENGTH_BYTE_ARRAY),
        texts(Encoding::DELTA_BYTE_ARRAY).set_writer_version(WriterVersion::PARQUET_2_0),
    ];
    for (number, variant) in variants.into_iter().enumerate() {
        let table = open("a.parquet", write(&batch, variant.build())).unwrap();
        assert!(rows(&table).unwrap() == plain, "variant {number}");
    }
}

#[test]
fn partitions_are_row_groups_and_projections_are_in_order() {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(1_000)).build();
    let table = open("a.parquet", write(&rich(2_500), properties)).unwrap();
    let partitions: Vec<_> = table.partitions().iter().map(|part| (part.first_row, part.rows)).collect();
    assert_eq!(partitions, [(0, 1_000), (1_000, 1_000), (2_000, 500)]);
    let batch = table.read(2, Some(&[14, 0])).unwrap().next().unwrap().unwrap();
    assert_eq!(batch.schema().fields().iter().map(|field| field.name().as_str()).collect::<Vec<_>>(), ["nested.b", "int"]);
    assert_eq!(batch.column(0).as_any().downcast_ref::<Int64Array>().unwrap().value(3), 2_003);
    let rows: usize = table.read(1, Some(&[])).unwrap().map(|batch| batch.unwrap().num_rows()).sum();
    assert_eq!(rows, 1_000);
    assert_eq!(table.read(3, None).unwrap_err().to_string(), "the table has no partition 3");
    assert_eq!(table.read(0, Some(&[99])).unwrap_err().to_string(), "the table has no column 99");
}

#[test]
fn files_of_one_table_agree() {
    let file = |path: &str, columns: Vec<(&str, ArrayRef)>| {
        DataFile::in_memory(path, write(&table_of(columns), WriterProperties::builder().build()))
    };
    let ints = || Arc::new(Int32Array::from(vec![1, 2])) as ArrayRef;
    let longs = Arc::new(Int64Array::from(vec![3])) as ArrayRef;
    let floats = Arc::new(Float64Array::from(vec![3.0])) as ArrayRef;
    let files = vec![file("a.parquet", vec![("x", ints())]), file("b.parquet", vec![("x", longs)])];
    assert_eq!(rows(&Table::open(files, &ReadOptions::default()).unwrap()).unwrap(), [["1"], ["2"], ["3"]]);
    let files = vec![file("a.parquet", vec![("x", ints())]), file("b.parquet", vec![("x", floats)])];
    let error = Table::open(files, &ReadOptions::default()).unwrap_err().to_string();
    let expected = "`b.parquet` has other columns than `a.parquet`: column 1, `x`, has the type Float64 instead of Int64; write both with one schema";
    assert_eq!(error, expected);
    let files = vec![file("a.parquet", vec![("x", ints())]), DataFile::in_memory("b.csv", "x\n1\n")];
    let error = Table::open(files, &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.starts_with("`a.parquet` is Parquet but `b.csv` is CSV: a table has one format"), "{error}");
}

#[test]
fn wide_tables_get_smaller_batches() {
    let column = Arc::new(Int64Array::from_iter_values(0..1_000)) as ArrayRef;
    let names: Vec<String> = (0..10_000).map(|index| format!("c{index}")).collect();
    let batch = table_of(names.iter().map(|name| (name.as_str(), Arc::clone(&column))).collect());
    let table = open("a.parquet", write(&batch, WriterProperties::builder().set_dictionary_enabled(false).build())).unwrap();
    let batches = read_all(&table).unwrap();
    assert_eq!((batches[0].num_columns(), batches[0].num_rows()), (10_000, 419));
    assert_eq!(batches.iter().map(RecordBatch::num_rows).sum::<usize>(), 1_000);
}

#[test]
fn special_numbers_and_duplicated_names() {
    let floats = Arc::new(Float64Array::from(vec![f64::NAN, f64::INFINITY])) as ArrayRef;
    let table = open("a.parquet", write(&table_of(vec![("x", Arc::clone(&floats)), ("x", floats)]), WriterProperties::default()))
        .unwrap();
    assert_eq!(columns(&table), ["x: Float64", "x.1: Float64"]);
    assert!(table.notes().find(NoteKind::DuplicatedColumn, Some("x.1")).is_some());
    assert_eq!(rows(&table).unwrap(), [["NaN", "NaN"], ["inf", "inf"]]);
}

#[test]
fn no_rows() {
    let table = open("a.parquet", write(&rich(0), WriterProperties::builder().build())).unwrap();
    assert_eq!((table.row_count(), table.schema().fields().len()), (0, 15));
    assert!(table.notes().find(NoteKind::EmptyFile, None).is_some());
}
