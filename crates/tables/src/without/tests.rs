//! Every format without some rows: the rest reads as before.

use std::sync::Arc;

use arrow_array::types::Int32Type;
use arrow_array::{ArrayRef, DictionaryArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray};
use arrow_ipc::CompressionType;
use arrow_ipc::writer::{FileWriter, IpcWriteOptions, StreamWriter};
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::RowRanges;
use crate::npy::header::tests::array;
use crate::npy::zip::tests::{Entry, archive, stored};
use crate::parquet::tests::{rich, write};
use crate::testing::{Random, columns, open, rows};
use crate::{DataFile, ReadOptions, Table, TableError};

fn cut(table: &Table, file: usize, dropped: &RowRanges) -> Result<Vec<u8>, TableError> {
    let mut bytes = Vec::new();
    table.write_without(file, dropped, &mut bytes).map(|()| bytes)
}

/// Drops rows of one file, and compares what is read then with what was read before.
fn check(path: &str, bytes: Vec<u8>, dropped: &[(u64, u64)]) -> Vec<u8> {
    let table = open(path, bytes).unwrap();
    let dropped = RowRanges::new(dropped.to_vec());
    let before = rows(&table).unwrap();
    let written = cut(&table, 0, &dropped).unwrap();
    let after = open(path, written.clone()).unwrap();
    let mut walk = dropped.walk();
    let expected: Vec<_> = (0_u64..).zip(before).filter(|(row, _)| !walk.holds(*row)).map(|(_, row)| row).collect();
    assert_eq!(rows(&after).unwrap(), expected, "{path}");
    assert_eq!(columns(&after), columns(&table), "{path}");
    written
}

#[test]
fn text_keeps_its_bytes() {
    let text = |path: &str, before: &str, dropped: &[(u64, u64)], after: &str| {
        let table = open(path, before.to_owned()).unwrap();
        let written = cut(&table, 0, &RowRanges::new(dropped.to_vec())).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), after);
    };
    text("a.csv", "x,y\r\n1,2\r\n3,4\r\n5,6", &[(1, 1)], "x,y\r\n1,2\r\n5,6");
    text("a.csv", "x,y\r\n1,2\r\n3,4\r\n5,6", &[(2, 2)], "x,y\r\n1,2\r\n3,4\r\n");
    text("a.csv", "x;y\n\"a\nb\"\"\";2\n3;4\n", &[(0, 0)], "x;y\n3;4\n");
    // What is no row has no number, and stays.
    text("a.csv", "x,y\n1,2\n\nonly\n3,4\n5,6\n", &[(1, 1)], "x,y\n1,2\n\nonly\n5,6\n");
    text("a.csv", "x,y\n1,2\n3,4\n", &[(0, 1)], "x,y\n");
    text("a.jsonl", "{\"a\":\"\\\"\"}\n\nnonsense\n{\"a\":2}\n{\"a\":3}", &[(1, 1)], "{\"a\":\"\\\"\"}\n\nnonsense\n{\"a\":3}");
}

#[test]
fn one_json_document_stays_one() {
    let text = |before: &str, dropped: &[(u64, u64)], after: &str| {
        let table = open("a.json", before.to_owned()).unwrap();
        let written = cut(&table, 0, &RowRanges::new(dropped.to_vec())).unwrap();
        assert_eq!(String::from_utf8(written).unwrap(), after, "{before}");
    };
    let list = "[ {\"a\":1},\n {\"a\":2} ,\n {\"a\":3}\n]\n";
    text(list, &[(0, 0)], "[ {\"a\":2} ,\n {\"a\":3}\n]\n");
    text(list, &[(0, 1)], "[ {\"a\":3}\n]\n");
    text(list, &[(1, 1)], "[ {\"a\":1},\n {\"a\":3}\n]\n");
    text(list, &[(1, 2)], "[ {\"a\":1}]\n");
    text(list, &[(0, 0), (2, 2)], "[ {\"a\":2} ]\n");
    text("[{\"a\":1},7,{\"a\":2}]", &[(0, 0)], "[7,{\"a\":2}]");
    let table = "{\"columns\":[\"a\"],\"data\":[[1],[2],[3]]}";
    text(table, &[(0, 0), (2, 2)], "{\"columns\":[\"a\"],\"data\":[[2]]}");
    text(table, &[(0, 2)], "{\"columns\":[\"a\"],\"data\":[]}");
    let named = open("a.json", "{\"columns\":[\"a\"],\"index\":[0,1],\"data\":[[1],[2]]}").unwrap();
    assert!(matches!(cut(&named, 0, &RowRanges::new(vec![(1, 1)])), Err(TableError::Unsupported { .. })));
}

#[test]
fn line_ends_between_two_blocks_are_no_trouble() {
    for length in 262_100..262_200 {
        let text = format!("x,y\r\n{},1\r\nlast,2", "a".repeat(length));
        let table = open("a.csv", text.clone()).unwrap();
        let written = cut(&table, 0, &RowRanges::new(vec![(1, 1)])).unwrap();
        assert!(text.as_bytes().starts_with(&written) && written.ends_with(b",1\r\n"), "{length}");
    }
}

#[test]
fn parquet_keeps_schema_compression_and_metadata() {
    let properties = || WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
    let note = parquet::file::metadata::KeyValue::new("note".to_owned(), "kept".to_owned());
    let whole =
        write(&rich(60), properties().set_key_value_metadata(Some(vec![note])).set_max_row_group_row_count(Some(17)).build());
    let written = check("a.parquet", whole.clone(), &[(0, 0), (15, 36), (59, 59)]);
    let facts = |bytes: Vec<u8>| {
        let reader = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&bytes::Bytes::from(bytes)).unwrap();
        let file = reader.file_metadata();
        let note = file.key_value_metadata().unwrap().iter().find(|entry| entry.key == "note").unwrap().value.clone();
        let codec = reader.row_group(0).column(0).compression();
        (file.schema().clone(), note, codec, reader.num_row_groups())
    };
    let (schema, note, codec, groups) = facts(written);
    let before = facts(whole.clone());
    assert_eq!((schema, note, codec), (before.0, Some("kept".to_owned()), before.2));
    assert!(groups <= before.3);
    // Without rows it is a table still; how texts and lists are read shows in rows alone.
    let empty = cut(&open("a.parquet", whole).unwrap(), 0, &RowRanges::new(vec![(0, 59)])).unwrap();
    assert_eq!(open("a.parquet", empty).unwrap().row_count(), 0);
}

fn sample(count: i64) -> RecordBatch {
    let zoned = TimestampMicrosecondArray::from_iter_values(0..count).with_timezone("Europe/Paris");
    let words = (0..count).map(|row| Some(["a", "b"][(row % 2) as usize])).collect::<DictionaryArray<Int32Type>>();
    let columns: Vec<(&str, ArrayRef, bool)> = vec![
        ("int", Arc::new(Int64Array::from_iter((0..count).map(|row| (row % 3 != 0).then_some(row)))), true),
        ("text", Arc::new(StringArray::from_iter((0..count).map(|row| Some(format!("text {row}"))))), true),
        ("word", Arc::new(words), true),
        ("time", Arc::new(zoned), true),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).unwrap()
}

#[test]
fn arrow_files_and_streams_keep_their_form() {
    for compression in [None, Some(CompressionType::ZSTD)] {
        let options = || IpcWriteOptions::default().try_with_compression(compression).unwrap();
        let whole = sample(50);
        let (mut file, mut stream) = (Vec::new(), Vec::new());
        let mut writer = FileWriter::try_new_with_options(&mut file, &whole.schema(), options()).unwrap();
        [whole.slice(0, 20), whole.slice(20, 30)].iter().for_each(|batch| writer.write(batch).unwrap());
        writer.finish().unwrap();
        drop(writer);
        let mut writer = StreamWriter::try_new_with_options(&mut stream, &whole.schema(), options()).unwrap();
        writer.write(&whole).unwrap();
        writer.finish().unwrap();
        drop(writer);
        for (bytes, is_file) in [(file, true), (stream, false)] {
            let written = check("a.arrow", bytes, &[(1, 3), (19, 20), (49, 49)]);
            assert_eq!(written.starts_with(b"ARROW1"), is_file);
            if is_file {
                let reader = arrow_ipc::reader::FileReader::try_new(std::io::Cursor::new(written), None).unwrap();
                assert_eq!(reader.schema(), whole.schema(), "zones included");
            }
        }
    }
}

#[test]
fn arrays_say_how_many_rows_they_have() {
    let data: Vec<u8> = (0..120_u32).flat_map(|number| (number as f32).to_le_bytes()).collect();
    let header = |order: &str, shape: &str| format!("{{'descr': '<f4', 'fortran_order': {order}, 'shape': {shape}, }}");
    for (order, shape) in [("False", "(120,)"), ("False", "(40, 3)"), ("True", "(40, 3)"), ("False", "(10, 3, 4)")] {
        check("a.npy", array(&header(order, shape), &data), &[(0, 0), (4, 5), (9, 9)]);
    }
    let record = array("{'descr': [('shape', '|u1'), ('b', '|S1')], 'fortran_order': False, 'shape': (3,), }", b"1a2b3c");
    check("a.npy", record, &[(1, 1)]);
    let (x, y) = (array(&header("False", "(40, 3)"), &data), array(&header("False", "(40,)"), &data[..160]));
    let packed = Entry { name: "y.npy", data: &y, deflated: true, claimed: None };
    let written = check("a.npz", archive(&[stored("x.npy", &x), packed]), &[(0, 1), (39, 39)]);
    assert!(written.starts_with(b"PK\x03\x04"));
}

#[test]
fn files_are_cut_by_the_numbers_of_the_whole_table() {
    let files = vec![DataFile::in_memory("a.csv", "x\n1\n2\n"), DataFile::in_memory("b.csv", "x\n3\n4\n5\n")];
    let table = Table::open(files, &ReadOptions::default()).unwrap();
    let dropped = RowRanges::new(vec![(3, 4), (0, 0)]);
    assert_eq!((table.rows_of_file(0), table.rows_of_file(1)), (0..2, 2..5));
    assert_eq!((dropped.count(), dropped.count_within(&table.rows_of_file(1)), dropped.last()), (3, 2, Some(4)));
    assert_eq!(cut(&table, 0, &dropped).unwrap(), b"x\n2\n");
    assert_eq!(cut(&table, 1, &dropped).unwrap(), b"x\n3\n");
    assert!(matches!(cut(&table, 2, &dropped), Err(TableError::NoSuchPart { .. })));
}

/// Takes nothing.
struct Full;

impl std::io::Write for Full {
    fn write(&mut self, _: &[u8]) -> std::io::Result<usize> {
        Err(std::io::Error::other("full"))
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_taker_that_fails_is_an_error() {
    let parquet = write(&rich(9), WriterProperties::default());
    for (path, bytes) in
        [("a.csv", b"x\n1\n2\n".to_vec()), ("a.jsonl", b"{\"a\":1}\n{\"a\":2}\n".to_vec()), ("a.parquet", parquet)]
    {
        let table = open(path, bytes).unwrap();
        let error = table.write_without(0, &RowRanges::new(vec![(0, 0)]), &mut Full).unwrap_err();
        assert!(matches!(error, TableError::Write { .. }), "{path}: {error}");
    }
}

#[test]
fn damaged_files_are_errors_here_too() {
    let whole = write(&rich(40), WriterProperties::builder().set_compression(Compression::SNAPPY).build());
    let mut random = Random::new(21);
    let dropped = RowRanges::new(vec![(3, 30)]);
    for _ in 0..300 {
        if let Ok(table) = open("a.parquet", random.damage(&whole)) {
            drop(cut(&table, 0, &dropped));
        }
    }
}
