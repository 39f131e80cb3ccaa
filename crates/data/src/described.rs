//! A version as Croissant: what its manifest, its committer and its inspection say of it. Paths are those of the exported archive.

use std::collections::BTreeSet;

use inspection::croissant::{self, Column, ColumnKind, DataFile, DatasetRecord, FILE_COUNT_MAX, FileSet, Table, croissant};
use inspection::{FileSpec, InspectionReport};
use kernel::Problem;
use serde::Deserialize;

use crate::types::Version;

/// Where the archive has the version's files.
pub(crate) const FILES: &str = "data/";
/// What readers of Croissant know as tables, by the ending of a file.
const TABLE_ENDINGS: [&str; 5] = ["csv", "tsv", "parquet", "jsonl", "ndjson"];
/// Names of kinds of files, where there are too many to name each.
const ENDING_COUNT_MAX: usize = 100;

/// What is read of a profile.
#[derive(Deserialize)]
struct Profiled {
    columns: Vec<ProfiledColumn>,
}

#[derive(Deserialize)]
struct ProfiledColumn {
    name: String,
    data_type: String,
    null_count: u64,
}

/// The description of an inspected version.
pub(crate) fn described(version: &Version, report: &InspectionReport) -> Result<Vec<u8>, Problem> {
    let ending = table_ending(version, &report.files);
    let (named, sets) = match report.files.as_slice() {
        [only] => (std::slice::from_ref(only), Vec::new()),
        many if many.len() > FILE_COUNT_MAX => (&[][..], endings(many).into_iter().map(|ending| set(many, ending)).collect()),
        many => (many, ending.map(|ending| set(many, ending)).into_iter().collect()),
    };
    // Files of one ending are a single one, or a single set.
    let path = ending.and_then(|_| sets.first().map(|set| set.pattern.clone()).or_else(|| named.first().map(place)));
    let columns = columns(report, ending);
    let tables = path.filter(|_| !columns.is_empty()).map(|path| Table { path, columns });
    croissant(&DatasetRecord {
        name: version.dataset.clone(),
        version: version.number.map(|number| number.to_string()).unwrap_or_default(),
        description: version.purpose.clone(),
        licence: version.licence.clone(),
        url: version.source_uri.clone().filter(|uri| uri.starts_with("https://") || uri.starts_with("http://")),
        creator: version.data_owner.clone(),
        created_at: version.committed_at.unwrap_or(version.opened_at).0,
        keywords: Vec::new(),
        files: named.iter().map(file).collect(),
        sets,
        tables: tables.into_iter().collect(),
        personal_data: Some(report.summary.classes.clone()),
        collection: None,
        biases: None,
    })
}

fn place(file: &FileSpec) -> String {
    format!("{FILES}{}", file.path)
}

fn file(spec: &FileSpec) -> DataFile {
    DataFile { path: place(spec), size_bytes: spec.size_bytes, sha256: spec.sha256.clone(), media_type: None }
}

fn ending(path: &str) -> Option<&str> {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.rsplit_once('.').map(|(_, ending)| ending)
}

/// The ending that all files have, where readers of Croissant read such tables as ours were read.
fn table_ending<'a>(version: &Version, files: &'a [FileSpec]) -> Option<&'a str> {
    let first = ending(&files.first()?.path)?;
    let is_plain = version.csv.header != Some(false) && version.csv.delimiter.is_none();
    let is_table = TABLE_ENDINGS.contains(&first) && is_plain;
    (is_table && files.iter().all(|file| ending(&file.path) == Some(first))).then_some(first)
}

/// The endings there are.
fn endings(files: &[FileSpec]) -> BTreeSet<&str> {
    let mut all = BTreeSet::new();
    for ending in files.iter().filter_map(|file| ending(&file.path)) {
        if all.len() < ENDING_COUNT_MAX {
            all.insert(ending);
        }
    }
    all
}

/// All files of an ending.
fn set(files: &[FileSpec], wanted: &str) -> FileSet {
    let is_deep = files.iter().any(|file| file.path.contains('/') && ending(&file.path) == Some(wanted));
    let pattern = format!("{FILES}{}*.{wanted}", if is_deep { "**/" } else { "" });
    FileSet { media_type: Some(croissant::guessed(&pattern).to_owned()), pattern }
}

/// The table's columns; of formats that have structures not what lies inside of them, which has no name of its own there.
fn columns(report: &InspectionReport, ending: Option<&str>) -> Vec<Column> {
    let profiled = report.profile.as_ref().and_then(|profile| profile.parse::<Profiled>().ok());
    let is_flat = matches!(ending, Some("csv" | "tsv"));
    let all = profiled.map(|profiled| profiled.columns).unwrap_or_default().into_iter();
    let own = all.filter(|column| is_flat || !column.name.contains('.')).take(croissant::COLUMN_COUNT_MAX);
    own.map(|column| Column { kind: kind(&column), name: column.name, description: None }).collect()
}

/// What readers make of it: whole numbers and truths of which some are missing are no such to them.
fn kind(column: &ProfiledColumn) -> ColumnKind {
    let (of, whole) = (|start: &str| column.data_type.starts_with(start), column.null_count == 0);
    if of("Int") || of("UInt") {
        if whole { ColumnKind::Integer } else { ColumnKind::Float }
    } else if of("Float") || of("Decimal") {
        ColumnKind::Float
    } else if of("Boolean") && whole {
        ColumnKind::Boolean
    } else if of("Date") || of("Timestamp") {
        ColumnKind::Date
    } else {
        ColumnKind::Text
    }
}

#[cfg(test)]
mod tests {
    use gate::{DataClasses, DataState};
    use inspection::{CsvDialect, JobSpec, Roles};
    use kernel::Micros;
    use serde_json::{Value, json};

    use super::*;

    fn version(csv: CsvDialect) -> Version {
        Version {
            id: "v".to_owned(),
            dataset: "churn".to_owned(),
            number: Some(3),
            state: DataState::Inspecting,
            verdict: None,
            committer: "u".to_owned(),
            committer_name: None,
            opened_at: Micros(0),
            committed_at: Some(Micros(1_796_083_200_000_000)),
            manifest_sha256: None,
            file_count: 1,
            size_bytes: 7,
            row_count: None,
            column_count: None,
            format: None,
            csv,
            roles: Roles::default(),
            source_uri: None,
            source_id: None,
            signature: None,
            licence: Some("CC0-1.0".to_owned()),
            data_owner: None,
            purpose: None,
            run_id: None,
            reference_id: None,
            classes: DataClasses::default(),
            decision: None,
            waiver_until: None,
        }
    }

    fn said(paths: &[&str], header: Option<bool>) -> Value {
        let spec = |path: &&str| FileSpec { path: (*path).to_owned(), size_bytes: 7, sha256: "a".repeat(64) };
        let files: Vec<FileSpec> = paths.iter().map(spec).collect();
        let version = version(CsvDialect { header, delimiter: None });
        let mut report = InspectionReport::of_job(&JobSpec::new("churn", "3", files, 0), "double");
        let column = |name: &str, data_type: &str, null_count: u64| json!({ "name": name, "data_type": data_type, "null_count": null_count, "more": 1 });
        let columns = [
            column("age", "Int64", 0),
            column("kids", "Int64", 3),
            column("a.b", "Utf8", 0),
            column("at", "Timestamp(Second, None)", 0),
        ];
        report.profile = inspection::Section::of(&json!({ "format": 1, "columns": columns })).ok();
        serde_json::from_slice(&described(&version, &report).unwrap()).unwrap()
    }

    fn columns_of(said: &Value) -> Vec<(String, String)> {
        let fields = said["recordSet"][0]["field"].as_array().cloned().unwrap_or_default();
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        fields.iter().map(|field| (text(&field["source"]["extract"]["column"]), text(&field["dataType"]))).collect()
    }

    #[test]
    fn a_table_has_its_columns_as_readers_can_load_them() {
        let csv = said(&["a.csv"], None);
        let pairs =
            |all: &[(&str, &str)]| all.iter().map(|(name, kind)| ((*name).to_owned(), (*kind).to_owned())).collect::<Vec<_>>();
        let all = [("age", "sc:Integer"), ("kids", "sc:Float"), ("a.b", "sc:Text"), ("at", "sc:Date")];
        assert_eq!(columns_of(&csv), pairs(&all));
        assert_eq!(csv["distribution"][0]["contentUrl"], "data/a.csv");
        assert_eq!(
            columns_of(&said(&["a.parquet"], None)),
            pairs(&[all[0], all[1], all[3]]),
            "what lies inside a structure has no name there"
        );
        let many = said(&["a.csv", "b/c.csv"], None);
        assert_eq!(many["distribution"].as_array().unwrap().len(), 3);
        assert_eq!(many["distribution"][2]["includes"], "data/**/*.csv");
        assert_eq!(many["recordSet"][0]["field"][0]["source"]["fileSet"]["@id"], many["distribution"][2]["@id"]);
    }

    #[test]
    fn what_readers_would_read_otherwise_is_no_table() {
        for (paths, header) in
            [(vec!["a.csv"], Some(false)), (vec!["a.npy"], None), (vec!["a.csv", "b.parquet"], None), (vec!["a"], None)]
        {
            let said = said(&paths, header);
            assert!(said.get("recordSet").is_none(), "{said}");
            assert_eq!(said["distribution"].as_array().unwrap().len(), paths.len());
        }
    }

    #[test]
    fn more_files_than_can_be_named_are_told_of_together() {
        let paths: Vec<String> = (0..=FILE_COUNT_MAX).map(|number| format!("{number}.{}", ["png", "jpg"][number % 2])).collect();
        let said = said(&paths.iter().map(String::as_str).collect::<Vec<_>>(), None);
        let sets = said["distribution"].as_array().unwrap();
        let patterns: Vec<&str> = sets.iter().map(|set| set["includes"].as_str().unwrap()).collect();
        assert_eq!(patterns, ["data/*.jpg", "data/*.png"]);
    }
}
