//! CSV files, good and hostile, through the crate's own door.

use std::fmt::Write as _;

use crate::limits::RECORD_BYTES_MAX;
use crate::notes::NoteKind;
use crate::testing::{Random, columns, open, read_all, rows, survives};
use crate::{CsvOptions, DataFile, ReadAt, ReadOptions, Table};

fn check(text: &str, expected_columns: &[&str], expected_rows: &[&[&str]]) -> Table {
    let table = open("a.csv", text.as_bytes().to_vec()).unwrap();
    assert_eq!(columns(&table), expected_columns, "{text:?}");
    assert_eq!(rows(&table).unwrap(), expected_rows, "{text:?}");
    table
}

fn refused(path: &str, bytes: impl Into<bytes::Bytes>) -> String {
    open(path, bytes).unwrap_err().to_string()
}

#[test]
fn types_are_found_and_nothing_is_lost() {
    check(
        "id,score,ok,day,at,code,name\n1,0.5,true,2024-01-02,2024-01-02T03:04:05Z,007,Ann\n2,NA,,,,12,\"\"\n",
        &[
            "id: Int64",
            "score: Float64",
            "ok: Boolean",
            "day: Date32",
            "at: Timestamp(µs, \"+00:00\")",
            "code: Utf8",
            "name: Utf8",
        ],
        &[&["1", "0.5", "true", "2024-01-02", "2024-01-02T03:04:05Z", "007", "Ann"], &["2", "∅", "∅", "∅", "∅", "12", ""]],
    );
    check("1,a\n2,b\n", &["column_1: Int64", "column_2: Utf8"], &[&["1", "a"], &["2", "b"]]);
    check("a,b\n\"x\ny\",1\r\n\r\nz,2", &["a: Utf8", "b: Int64"], &[&["x\ny", "1"], &["z", "2"]]);
    check("a\n1\n\n2\n", &["a: Int64"], &[&["1"], &["∅"], &["2"]]);
}

#[test]
fn a_line_of_names_may_be_longer_than_the_sample() {
    let names: Vec<String> = (0..3_000).map(|number| format!("{}_{number}", "a_name".repeat(20))).collect();
    let row = vec!["7"; names.len()].join(",");
    let text = format!("{}\n{row}\n{row}\n", names.join(","));
    assert!(names.join(",").len() > crate::limits::SAMPLE_BYTES);
    let table = open("a.csv", text).unwrap();
    assert_eq!((columns(&table).len(), table.row_count()), (3_000, 2));
    assert_eq!(columns(&table)[2_999], format!("{}: Int64", names[2_999]));
}

#[test]
fn a_late_misfit_makes_the_column_text() {
    let mut text = "n,x\n".to_owned();
    for row in 0..30_000 {
        let _ = writeln!(text, "{row},y");
    }
    text.push_str("none of them,y\n");
    let table = open("a.csv", text).unwrap();
    assert_eq!(columns(&table), ["n: Utf8", "x: Utf8"]);
    assert_eq!(table.row_count(), 30_001);
    assert_eq!(rows(&table).unwrap()[30_000][0], "none of them");
    let note = table.notes().find(NoteKind::MixedTypes, Some("n")).cloned().unwrap();
    assert_eq!(note.text, "values of different types are read as text: 30000 integer, 1 text");
    assert_eq!((note.count, note.examples[0].row), (1, 30_000));
}

#[test]
fn a_file_in_latin_1_says_what_helps() {
    let table = open("a.csv", b"name,town\nJos\xe9,Z\xfcrich\nRen\xe9e,K\xf6ln\n".to_vec()).unwrap();
    let notes = table.notes();
    let note = notes.find(NoteKind::MalformedRows, None).unwrap();
    assert!(note.count == 2 && note.text.ends_with("write a file in another encoding again in UTF-8"), "{note:?}");
}

#[test]
fn malformed_records_are_counted_with_their_reasons() {
    let bytes = b"a,b\n1,2\n3\n4,5,6\n\xff,7\n\"x\"y,8\n\0,9\n10,11\n".to_vec();
    let table = open("a.csv", bytes).unwrap();
    assert_eq!(rows(&table).unwrap(), [["1", "2"], ["10", "11"]]);
    let notes = table.notes();
    let note = notes.find(NoteKind::MalformedRows, None).unwrap();
    let reasons: Vec<_> = note.examples.iter().map(|example| (example.line, example.row, example.text.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (Some(3), 1, "1 fields instead of 2"),
            (Some(4), 1, "3 fields instead of 2"),
            (Some(5), 1, "invalid UTF-8"),
            (Some(6), 1, "text after a closing quote"),
            (Some(7), 1, "a NUL byte"),
        ]
    );
    assert_eq!((note.count, note.file.as_deref()), (5, Some("a.csv")));
}

#[test]
fn halves_of_a_character_in_two_fields_are_no_character() {
    let table = open("a.csv", b"a,b\nx\xc3,\xa9y\n1,2\n".to_vec()).unwrap();
    assert_eq!(rows(&table).unwrap(), [["1", "2"]]);
}

#[test]
fn formulas_are_found_and_numbers_are_none() {
    let table = open("a.csv", "name,n\n=HYPERLINK(\"x\"),-5\n@SUM(A1),+3\nBob,-1e-3\n").unwrap();
    let notes = table.notes();
    let note = notes.find(NoteKind::Formula, Some("name")).unwrap();
    assert_eq!((note.count, note.examples[1].row, note.examples[1].text.as_str()), (2, 1, "@SUM(A1)"));
    assert!(notes.find(NoteKind::Formula, Some("n")).is_none());
    assert_eq!(columns(&table), ["name: Utf8", "n: Float64"]);
}

#[test]
fn a_formula_in_the_header_is_found() {
    let table = open("a.csv", "n,\"=HYPERLINK(\"\"http://x\"\")\",size\n1,w,2\n").unwrap();
    let notes = table.notes();
    let note = notes.find(NoteKind::Formula, Some("=HYPERLINK(\"http://x\")")).unwrap();
    assert!(note.text.contains("the column's name"), "{note:?}");
}

#[test]
fn marks_duplicates_and_nameless_columns_are_noted() {
    let table = check("\u{feff}a,a,\n1,2,3\n", &["a: Int64", "a.1: Int64", "column_3: Int64"], &[&["1", "2", "3"]]);
    let notes = table.notes();
    assert!(notes.find(NoteKind::ByteOrderMark, None).is_some());
    assert!(notes.find(NoteKind::DuplicatedColumn, Some("a.1")).is_some());
    assert!(notes.find(NoteKind::UnnamedColumn, Some("column_3")).is_some());
}

#[test]
fn special_numbers_are_kept() {
    check("a\nNaN\ninf\n-Infinity\n1\n", &["a: Float64"], &[&["NaN"], &["inf"], &["-inf"], &["1.0"]]);
}

#[test]
fn empty_files() {
    assert_eq!(refused("a.csv", ""), "`a.csv` is empty: it has no columns to read");
    for blank in ["\n\n\n", "\r\n", "\n \n"] {
        assert_eq!(refused("a.csv", blank), "`a.csv` is empty: it has no columns to read");
    }
    check("a\n\n\n", &["a: Utf8"], &[&["∅"], &["∅"]]);
    let table = check("a,b\n", &["a: Utf8", "b: Utf8"], &[]);
    assert!(table.notes().find(NoteKind::EmptyFile, None).is_some());
    let files = vec![DataFile::in_memory("a.csv", ""), DataFile::in_memory("b.csv", "x\n1\n")];
    let table = Table::open(files, &ReadOptions::default()).unwrap();
    assert_eq!(rows(&table).unwrap(), [["1"]]);
    assert_eq!(table.notes().notes[0].file.as_deref(), Some("a.csv"));
}

#[test]
fn files_of_one_table_agree() {
    let files = |second: &str| vec![DataFile::in_memory("a.csv", "x,y\n1,2\n"), DataFile::in_memory("b.csv", second.to_owned())];
    let table = Table::open(files("x,y\n3,z\n"), &ReadOptions::default()).unwrap();
    assert_eq!(rows(&table).unwrap(), [["1", "2"], ["3", "z"]]);
    assert_eq!(table.partitions().len(), 2);
    let error = Table::open(files("x,z\n3,4\n"), &ReadOptions::default()).unwrap_err().to_string();
    let expected = "`b.csv` has other columns than `a.csv`: column 2 is `z` instead of `y`; write both with one schema";
    assert_eq!(error, expected);
    let error = Table::open(files("x\n3\n"), &ReadOptions::default()).unwrap_err().to_string();
    assert!(error.contains("it has 1 columns instead of 2"), "{error}");
}

/// A source of endless bytes, made as they are read.
struct Endless(&'static [u8], u64);

impl ReadAt for Endless {
    fn size_bytes(&self) -> u64 {
        self.1
    }
    fn read_at(&self, offset: u64, buffer: &mut [u8]) -> std::io::Result<()> {
        for (index, byte) in buffer.iter_mut().enumerate() {
            let at = (offset + index as u64) as usize;
            *byte = self.0.get(at).copied().unwrap_or(b'x');
        }
        Ok(())
    }
}

#[test]
fn a_line_of_a_gigabyte_is_an_error_within_bounded_memory() {
    let open = |head: &'static [u8]| {
        let file = DataFile { path: "a.csv".to_owned(), bytes: std::sync::Arc::new(Endless(head, 1 << 30)) };
        Table::open(vec![file], &ReadOptions::default()).unwrap_err().to_string()
    };
    let long = format!(
        "`a.csv` exceeds a limit: {} bytes or more in one record, at most {RECORD_BYTES_MAX}; end each record with a line end",
        RECORD_BYTES_MAX + 1
    );
    assert_eq!(open(b"a,b\n"), long);
    let quoted = format!(
        "`a.csv` exceeds a limit: more than {RECORD_BYTES_MAX} bytes in the record at line 3, which opens a quote; close it, or store long texts as Parquet"
    );
    assert_eq!(open(b"a,b\n1,2\n\"never ends,"), quoted);
    assert_eq!(
        refused("a.csv", "a,b\n1,2\n\"never ends,"),
        "`a.csv` opens a quote in the record at line 3 that never ends: close it, or name the right quote character"
    );
}

#[test]
fn ten_thousand_columns_work_and_more_than_the_limit_are_refused() {
    let wide = |columns: usize| {
        let names: Vec<String> = (0..columns).map(|column| format!("c{column}")).collect();
        format!("{}\n{}\n", names.join(","), vec!["1"; columns].join(","))
    };
    let table = open("a.csv", wide(10_000)).unwrap();
    assert_eq!(read_all(&table).unwrap()[0].num_columns(), 10_000);
    let expected =
        "`a.csv` exceeds a limit: 20000 columns, at most 16384; store wide data as one list column, or in several tables";
    assert_eq!(refused("a.csv", wide(20_000)), expected);
    let equal = format!("{}\n", vec!["x"; 10_000].join(","));
    assert_eq!(open("a.csv", equal).unwrap().schema().field(9_999).name(), "x.9999");
}

#[test]
fn partitions_begin_at_records_and_number_their_rows() {
    let mut text = "id,text\n".to_owned();
    let filler = "line one\r\nline, two ".repeat(50);
    for row in 0..40_000 {
        let _ = write!(text, "{row},\"{filler}\"\r\n");
    }
    let table = open("a.csv", text).unwrap();
    assert!(table.partitions().len() > 2);
    for (index, partition) in table.partitions().iter().enumerate() {
        let first = table.read(index, Some(&[0])).unwrap().next().unwrap().unwrap();
        let ids = first.column(0).as_any().downcast_ref::<arrow_array::Int64Array>().unwrap();
        assert_eq!(ids.value(0) as u64, partition.first_row);
    }
    assert_eq!(rows(&table).unwrap().len(), 40_000);
}

#[test]
fn what_the_user_knows_is_believed() {
    let options =
        ReadOptions { csv: CsvOptions { delimiter: Some(b' '), quote: None, header: Some(false) }, ..ReadOptions::default() };
    let table = Table::open(vec![DataFile::in_memory("a.csv", "a b\nc d\n")], &options).unwrap();
    assert_eq!(rows(&table).unwrap(), [["a", "b"], ["c", "d"]]);
}

#[test]
fn what_was_assumed_of_the_first_record_is_noted_unless_it_was_said() {
    let noted = |text: &str, header: Option<bool>| {
        let options = ReadOptions { csv: CsvOptions { header, ..CsvOptions::default() }, ..ReadOptions::default() };
        let table = Table::open(vec![DataFile::in_memory("a.csv", text.to_owned())], &options).unwrap();
        let note = table.notes().find(NoteKind::GuessedHeader, None).map(|note| note.text.clone());
        (table.row_count(), note)
    };
    let (numbers, texts) = ("1,2\n3,4\n", "A first text.\nA second text.\nA third text.\n");
    let (count, note) = noted(numbers, None);
    assert!(count == 2 && note.is_some_and(|text| text.contains("taken as a row")));
    let (count, note) = noted(texts, None);
    assert!(count == 2 && note.is_some_and(|text| text.contains("taken as the columns' names")));
    assert_eq!((noted(numbers, Some(false)), noted(numbers, Some(true))), ((2, None), (1, None)));
    assert_eq!((noted(texts, Some(false)), noted(texts, Some(true))), ((3, None), (2, None)));
    assert_eq!(noted("size,name\n1,a\n2,b\n", None), (2, None));
}

#[test]
fn damaged_files_never_panic() {
    let good = "id,name,when\n1,\"a,\"\"b\",2024-01-01\r\n2,é,2024-02-30\n=3,x,\n".as_bytes();
    let mut random = Random::new(11);
    for _ in 0..5_000 {
        survives("a.csv", random.damage(good), false);
    }
}
