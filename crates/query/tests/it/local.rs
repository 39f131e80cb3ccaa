//! The program for people and CI.

use std::fs;
use std::process::Command;

use serde_json::Value;

const CONTRACT: &str = "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n- name: orders\n  quality:\n  \
                        - {id: q, type: sql, query: 'SELECT COUNT(*) FROM {object} WHERE amount < 0', mustBe: LIMIT}\n";

#[track_caller]
fn check(arguments: &[&str], code: i32, expected: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("orders.csv"), "id,amount\n1,-5\n2,7\n").unwrap();
    fs::write(folder.path().join("more.csv"), "id,amount\n3,9\n").unwrap();
    fs::write(folder.path().join("holds.yaml"), CONTRACT.replace("LIMIT", "1")).unwrap();
    fs::write(folder.path().join("broken.yaml"), CONTRACT.replace("LIMIT", "0")).unwrap();
    fs::write(folder.path().join("no-column.yaml"), CONTRACT.replace("LIMIT", "0").replace("amount", "weight")).unwrap();
    fs::write(folder.path().join("bare.csv"), "1~-5\n2~7\n").unwrap();
    fs::write(folder.path().join("bare.yaml"), CONTRACT.replace("LIMIT", "1").replace("amount", "column_2")).unwrap();
    fs::write(folder.path().join("bad.parquet"), "PAR1PAR1").unwrap();
    let output = Command::new(super::PROGRAM).args(arguments).current_dir(folder.path()).output().unwrap();
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(expected), "{arguments:?}: {text}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn rows_are_printed() {
    let text = check(&["sql", "SELECT id, amount FROM orders ORDER BY id", "orders.csv"], 0, "");
    assert_eq!(text, "id  amount\n1   -5\n2   7\n");
    check(&["sql", "SELECT SUM(amount) FROM o", "o=orders.csv", "o=more.csv"], 0, "11");
    check(&["sql", "SELECT id FROM orders", "orders.csv", "--rows", "1"], 0, "more than 1 rows");
    let json = check(&["sql", "SELECT COUNT(*) AS n FROM orders", "orders.csv", "--json"], 0, "");
    let value: Value = serde_json::from_str(&json).unwrap();
    assert_eq!(value["rows"], serde_json::json!([[2]]));
    assert_eq!(value["columns"][0]["name"], "n");
}

#[test]
fn rules_end_with_a_code() {
    check(&["rules", "--contract", "holds.yaml", "orders.csv"], 0, "holds");
    check(&["rules", "--contract", "broken.yaml", "orders.csv"], 1, "BROKEN");
    check(&["rules", "--contract", "no-column.yaml", "orders.csv"], 1, "not run");
    check(&["rules", "--contract", "broken.yaml", "orders.csv", "--json"], 1, "\"status\": \"failed\"");
    check(&["rules", "--contract", "nowhere.yaml", "orders.csv"], 2, "nowhere.yaml");
}

#[test]
fn csv_files_are_read_as_is_said() {
    let sql = "SELECT column_1, column_2 FROM bare ORDER BY column_1";
    let text = check(&["sql", sql, "bare.csv", "--no-header", "--delimiter", "~"], 0, "");
    assert_eq!(text, "column_1  column_2\n1         -5\n2         7\n");
    check(&["rules", "--contract", "bare.yaml", "bare.csv", "--no-header", "--delimiter", "~"], 0, "holds");
    check(&["rules", "--contract", "bare.yaml", "bare.csv"], 1, "not run");
    check(&["sql", "SELECT COUNT(*) FROM orders", "orders.csv", "--no-header"], 0, "3");
    check(&["sql", sql, "bare.csv", "--delimiter", "x"], 2, "cannot part fields");
    check(&["sql", sql, "bare.csv", "--header", "--no-header"], 2, "cannot be used with");
}

#[test]
fn what_cannot_be_done_is_said() {
    check(&["--help"], 0, "Examples");
    check(&["sql", "SELECT 1", "missing.csv"], 2, "cannot be opened");
    check(&["sql", "SELECT 1", "bad.parquet"], 2, "bad.parquet");
    check(&["sql", "DROP TABLE orders", "orders.csv"], 2, "only SELECT");
    check(&["sql", "SELECT COUNT(*) FROM \"/etc/passwd\"", "orders.csv"], 2, "not found");
    check(&["sql", "SELECT nothing FROM orders", "orders.csv"], 2, "nothing");
    check(&["sql", "SELECT 1"], 2, "NAME=FILE");
}
