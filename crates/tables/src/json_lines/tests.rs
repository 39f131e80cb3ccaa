//! JSON lines, good and hostile, through the crate's own door.

use std::fmt::Write as _;

use crate::limits::RECORD_BYTES_MAX;
use crate::notes::NoteKind;
use crate::testing::{Random, columns, open, rows, survives};

fn check(text: &str, expected_columns: &[&str], expected_rows: &[&[&str]]) {
    let table = open("a.jsonl", text.as_bytes().to_vec()).unwrap();
    assert_eq!(columns(&table), expected_columns, "{text}");
    assert_eq!(rows(&table).unwrap(), expected_rows, "{text}");
}

#[test]
fn objects_are_rows() {
    check(
        "{\"a\":1,\"b\":{\"c\":\"x\"}}\n\n{\"b\":{\"c\":\"y\",\"d\":1.5},\"a\":null}\r\n{\"a\":3}",
        &["a: Int64", "b.c: Utf8", "b.d: Float64"],
        &[&["1", "x", "∅"], &["∅", "y", "1.5"], &["3", "∅", "∅"]],
    );
    check(
        "{\"e\":[1,2],\"m\":1,\"t\":\"2024-01-02T00:00:00Z\"}\n{\"e\":[3,4.5],\"m\":\"x\"}\n",
        &["e: FixedSizeList(2 x Float64)", "m: Utf8", "t: Timestamp(µs, \"+00:00\")"],
        &[&["[1.0, 2.0]", "1", "2024-01-02T00:00:00Z"], &["[3.0, 4.5]", "x", "∅"]],
    );
    check("{\"l\":[1,2]}\n{\"l\":[3]}\n{\"l\":[{\"r\":1}]}\n", &["l: Utf8"], &[&["[1,2]"], &["[3]"], &["[{\"r\":1}]"]]);
}

#[test]
fn one_document_of_rows_is_a_table() {
    let found = |text: &str| {
        let table = open("a.json", text.as_bytes().to_vec()).unwrap();
        assert!(table.notes().notes.is_empty(), "{text}: {:?}", table.notes());
        (columns(&table), rows(&table).unwrap())
    };
    let wanted = || {
        (
            vec!["a: Int64".to_owned(), "b: Utf8".to_owned()],
            vec![vec!["1".to_owned(), "x,]".to_owned()], vec!["2".to_owned(), "∅".to_owned()]],
        )
    };
    for text in [
        "[{\"a\":1,\"b\":\"x,]\"},{\"a\":2,\"b\":null}]",
        " [\n  {\"a\": 1, \"b\": \"x,]\"} ,\r\n  {\"a\": 2}\n]\n",
        "{\"columns\":[\"a\",\"b\"],\"data\":[[1,\"x,]\"],[2,null]]}",
        "{\"columns\": [\"a\", \"b\"], \"index\": [0, \"]\"],\n \"data\": [[1, \"x,]\"], [2, null]]}\n",
        "{\"index\":[0,1],\"columns\":[\"a\",\"b\"],\"data\":[[1,\"x,]\"],[2,null]]}",
    ] {
        assert_eq!(found(text), wanted(), "{text}");
    }
    let nested = found("{\"columns\":[\"a\",7],\"data\":[[{\"x\":1,\"y\":[1,2]},true],[{\"x\":2,\"y\":[3,4]},false]]}");
    assert_eq!(nested.0, ["a.x: Int64", "a.y: FixedSizeList(2 x Float64)", "7: Boolean"]);
    assert_eq!(nested.1[1], ["2", "[3.0, 4.0]", "false"]);
}

#[test]
fn documents_that_are_broken_say_so() {
    for text in ["[{\"a\":1},{\"a\":2}", "[{\"a\":1}]\n[{\"a\":2}]", "[{\"a\":1}}", "[{\"a\":1}] x", "[{\"a\":\"1}]"] {
        let error = open("a.json", text).unwrap_err().to_string();
        assert!(error.contains("its JSON does not end where its rows do"), "{text}: {error}");
    }
    let long = format!("[{{\"a\":\"{}\"}}]", "x".repeat(RECORD_BYTES_MAX));
    assert!(open("a.json", long).unwrap_err().to_string().contains("exceeds a limit"));
    let reasons = |text: &str| {
        let table = open("a.json", text.as_bytes().to_vec()).unwrap();
        assert_eq!(rows(&table).unwrap(), [["1"], ["2"]], "{text}");
        let notes = table.notes();
        let note = notes.find(NoteKind::MalformedRows, None).unwrap();
        note.examples.iter().map(|example| (example.line, example.text.clone())).collect::<Vec<_>>()
    };
    assert_eq!(
        reasons("[{\"a\":1},\n7,\n{\"a\":2},]"),
        [
            (Some(2), "no JSON object: invalid type: integer `7`, expected an object".to_owned()),
            (Some(3), "no JSON object: EOF while parsing a value".to_owned()),
        ]
    );
    assert_eq!(
        reasons("{\"columns\":[\"a\"],\"data\":[[1],\n[],\n[1,2],[2]]}"),
        [(Some(2), "0 values for 1 columns".to_owned()), (Some(3), "no JSON array: more values than columns".to_owned())]
    );
}

#[test]
fn one_object_that_holds_more_is_one_row_and_that_is_said() {
    let noted = |text: &str| {
        let table = open("a.json", text.as_bytes().to_vec()).unwrap();
        table.notes().find(NoteKind::OneRow, None).is_some()
    };
    for text in [
        "{\"a\":{\"0\":1,\"1\":2}}",
        "{\"data\":[[1],[2]],\"columns\":[\"a\"]}",
        "{\"columns\":[\"a\"],\"data\":[1,2]}",
        "{\"rows\":[{\"a\":1},{\"a\":2}]}\n",
    ] {
        assert!(noted(text), "{text}");
    }
    for text in ["{\"a\":1}", "{\"a\":[1,2]}\n{\"a\":[3,4]}\n", "{\"columns\":[\"a\"],\"data\":[[1]]}"] {
        assert!(!noted(text), "{text}");
    }
    // Lines that look like tables each are rows.
    let table = open("a.jsonl", "{\"columns\":[\"a\"],\"data\":[[1]]}\n{\"columns\":[\"a\"],\"data\":[[2]]}\n").unwrap();
    assert_eq!(table.row_count(), 2);
    assert_eq!(columns(&table), ["columns: Utf8", "data: Utf8"]);
}

#[test]
fn mixed_types_are_noted() {
    let table = open("a.jsonl", "{\"m\":1}\n{\"m\":\"x\"}\n{\"m\":2}\n").unwrap();
    let notes = table.notes();
    let note = notes.find(NoteKind::MixedTypes, Some("m")).unwrap();
    assert_eq!((note.count, note.examples[0].row), (1, 1));
}

#[test]
fn malformed_lines_are_counted_with_their_reasons() {
    let table = open("a.jsonl", b"{\"a\":1}\n{\"a\":1,\"a\":2}\n[1]\n{\"a\":\"\xff\"}\n{\"a\":\n{\"a\":2}".to_vec()).unwrap();
    assert_eq!(rows(&table).unwrap(), [["1"], ["2"]]);
    let notes = table.notes();
    let note = notes.find(NoteKind::MalformedRows, None).unwrap();
    let reasons: Vec<_> = note.examples.iter().map(|example| (example.line, example.text.as_str())).collect();
    assert_eq!(
        reasons,
        [
            (Some(2), "the key `a` twice"),
            (Some(3), "no JSON object: invalid type: sequence, expected an object"),
            (Some(4), "invalid UTF-8"),
            (Some(5), "no JSON object: EOF while parsing a value"),
        ]
    );
}

#[test]
fn long_lines_and_wide_rows_are_refused() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(RECORD_BYTES_MAX));
    let error = open("a.jsonl", long).unwrap_err().to_string();
    let expected = format!(
        "`a.jsonl` exceeds a limit: {} bytes or more in one line, at most {RECORD_BYTES_MAX}; write one object per line",
        RECORD_BYTES_MAX + 1
    );
    assert_eq!(error, expected);
    let mut wide = String::new();
    for key in 0..20_000 {
        let _ = writeln!(wide, "{{\"key{key}\":1}}");
    }
    let error = open("a.jsonl", wide).unwrap_err().to_string();
    assert!(error.contains("16385 columns, at most 16384"), "{error}");
}

#[test]
fn empty_files() {
    assert_eq!(open("a.jsonl", "").unwrap_err().to_string(), "`a.jsonl` is empty: it has no columns to read");
    assert_eq!(open("a.jsonl", "{}\n{}\n").unwrap_err().to_string(), "`a.jsonl` is empty: it has no columns to read");
}

#[test]
fn many_rows_in_partitions() {
    let mut text = String::new();
    let filler = "x".repeat(1000);
    for row in 0..40_000 {
        let _ = writeln!(text, "{{\"id\":{row},\"text\":\"{filler}\"}}");
    }
    let table = open("a.jsonl", text).unwrap();
    assert!(table.partitions().len() > 1);
    let ids: Vec<String> = rows(&table).unwrap().into_iter().map(|row| row[0].clone()).collect();
    assert!(ids.iter().enumerate().all(|(row, id)| *id == row.to_string()));
}

#[test]
fn a_document_has_partitions_too() {
    let filler = "x".repeat(1000);
    let rows_of: Vec<String> = (0..40_000).map(|row| format!("[{row},\"{filler}\"]")).collect();
    let table = open("a.json", format!("{{\"columns\":[\"id\",\"text\"],\"data\":[{}]}}", rows_of.join(","))).unwrap();
    assert!(table.partitions().len() > 1);
    let ids: Vec<String> = rows(&table).unwrap().into_iter().map(|row| row[0].clone()).collect();
    assert_eq!(ids.len(), 40_000);
    assert!(ids.iter().enumerate().all(|(row, id)| *id == row.to_string()));
}

#[test]
fn damaged_files_never_panic() {
    let lines = "{\"a\":1,\"b\":{\"c\":[1,2]}}\n{\"a\":\"é\\u00e9\",\"b\":{\"c\":[3,4]}}\n";
    let objects = "[{\"a\":1,\"b\":{\"c\":[1,2]}},\n{\"a\":\"é\\u00e9\"}]";
    let values = "{\"columns\":[\"a\",\"b\"],\"index\":[0,1],\"data\":[[1,{\"c\":[1,2]}],[\"é\\u00e9\",null]]}";
    let mut random = Random::new(12);
    for good in [lines, objects, values] {
        for _ in 0..3_000 {
            survives("a.json", random.damage(good.as_bytes()), false);
        }
    }
}
