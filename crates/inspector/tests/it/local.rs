//! The program for people and CI.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

fn inspect(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(super::PROGRAM).args(arguments).current_dir(folder).output().unwrap()
}

#[track_caller]
fn check(arguments: &[&str], code: i32, expected: &str) -> String {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.csv"), super::worker::table()).unwrap();
    fs::write(folder.path().join("odd.csv"), "a,a\n1,2\n").unwrap();
    fs::write(folder.path().join("bad.parquet"), "PAR1PAR1").unwrap();
    let output = inspect(folder.path(), arguments);
    let text = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    assert!(text.contains(expected), "{arguments:?}: {text}");
    if arguments.contains(&"page.html") {
        assert!(fs::read_to_string(folder.path().join("page.html")).unwrap().starts_with("<!doctype html>"));
    }
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn exit_codes_say_how_it_went() {
    check(&["profile", "good.csv"], 0, "300 rows");
    check(&["profile", "odd.csv"], 1, "format.duplicate_columns");
    check(&["profile", "bad.parquet"], 1, "format.unreadable");
    check(&["profile", "missing.csv"], 2, "cannot be opened");
    check(&["frobnicate"], 2, "Usage");
    check(&["--help"], 0, "Examples");
}

#[test]
fn a_folder_of_many_files_is_one_table() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("parts")).unwrap();
    for part in 0..60 {
        fs::write(folder.path().join(format!("parts/{part:02}.csv")), format!("size,weight\n{part},{}\n", part * 3)).unwrap();
    }
    let output = inspect(folder.path(), &["profile", "parts", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let report: inspection::InspectionReport = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report.summary.row_count, 60);
    assert!(report.confinement.is_complete());
}

#[test]
fn one_address_among_thousands_of_values_is_counted() {
    let folder = tempfile::tempdir().unwrap();
    let line = |row: u32| if row == 77 { "write to jo.bloggs@corp.example\n" } else { "nothing to see here\n" };
    let text: String = std::iter::once("comment\n").chain((0..4_000).map(line)).collect();
    fs::write(folder.path().join("notes.csv"), text).unwrap();
    let output = inspect(folder.path(), &["personal", "notes.csv"]);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(said.contains("`comment`: email in 1 of its values"), "{said}");
}

#[test]
fn pictures_that_say_where_they_were_taken_give_the_class_of_places() {
    use base64::Engine as _;
    // One pixel, with Exif data that has a latitude and a longitude.
    let png = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAADRlWElmSUkqAAgAAAABACWIBAABAAAAGgAAAAAAAAACAAIAAAAAAAAAAAAAAAQAAAAAAAAAAAAAAAMNpg8AAAAASUVORK5CYII=";
    let png = base64::engine::general_purpose::STANDARD.decode(png).unwrap();
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir_all(folder.path().join("set/x")).unwrap();
    for number in 0..12 {
        fs::write(folder.path().join(format!("set/x/{number}.png")), &png).unwrap();
    }
    let output = inspect(folder.path(), &["personal", "set", "--json"]);
    let report: inspection::InspectionReport = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report.summary.classes, ["location"]);
    assert!(report.findings.iter().any(|finding| finding.detail.contains("where they were taken")), "{:?}", report.findings);
}

#[test]
fn the_report_is_json_and_a_page() {
    let json = check(&["profile", "good.csv", "--json", "--html", "page.html"], 0, "strongroom.inspection/1");
    let report: inspection::InspectionReport = serde_json::from_str(&json).unwrap();
    assert!(report.confinement.is_complete());
}

#[test]
fn the_report_can_go_to_a_file() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.csv"), super::worker::table()).unwrap();
    let out = fs::File::create(folder.path().join("out.json")).unwrap();
    let mut command = Command::new(super::PROGRAM);
    let status = command.args(["profile", "good.csv", "--json"]).current_dir(folder.path()).stdout(out).status().unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(fs::read_to_string(folder.path().join("out.json")).unwrap().contains("strongroom.inspection/1"));
}

#[test]
fn a_version_is_compared_with_itself_and_another() {
    check(&["drift", "good.csv", "good.csv"], 0, "300 rows");
    check(&["drift", "odd.csv", "good.csv"], 1, "drift.schema_changed");
}

#[test]
fn a_contract_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("good.csv"), super::worker::table()).unwrap();
    let contract = |maximum: u32| {
        format!(
            "apiVersion: v3.1.0\nkind: DataContract\nid: c\nversion: 1.0.0\nstatus: active\nschema:\n  - name: t\n    properties:\n      \
             - name: size\n        logicalType: number\n        required: true\n        logicalTypeOptions:\n          maximum: {maximum}\n      \
             - name: colour\n        logicalType: string\n      - name: y\n        logicalType: integer\n"
        )
    };
    for (maximum, code) in [(311, 0), (10, 1)] {
        fs::write(folder.path().join("c.yaml"), contract(maximum)).unwrap();
        let output = inspect(folder.path(), &["check", "--contract", "c.yaml", "good.csv"]);
        assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stdout));
    }
}
