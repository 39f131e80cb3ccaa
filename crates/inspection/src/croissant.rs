//! A data set version as Croissant 1.0 (JSON-LD), with what its responsible-AI vocabulary says about people in it.
//!
//! Source: MLCommons, Croissant format specification 1.0 and RAI 1.0. What is not known is left out, the description aside, which
//! the format requires: there it is said.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Kind, Micros, Problem};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

/// Files that one description names one by one, with their digests.
pub const FILE_COUNT_MAX: usize = 10_000;
/// Columns of one table.
pub const COLUMN_COUNT_MAX: usize = 10_000;

/// A data set version.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DatasetRecord {
    /// Its name.
    pub name: String,
    /// Its version: a number, or `major.minor.patch`.
    pub version: String,
    /// What its owner says about it.
    pub description: Option<String>,
    /// Its licence: an address or an SPDX id.
    pub licence: Option<String>,
    /// Where it can be read about.
    pub url: Option<String>,
    /// Who made it: an organisation or a pseudonym.
    pub creator: Option<String>,
    /// When the version was made, in microseconds since the epoch.
    pub created_at: i64,
    /// Keywords.
    pub keywords: Vec<String>,
    /// Its files.
    pub files: Vec<DataFile>,
    /// Files that are told of together.
    pub sets: Vec<FileSet>,
    /// Those files and sets that are tables, with their columns.
    pub tables: Vec<Table>,
    /// Classes of personal data that an inspection found; none if there was no inspection.
    pub personal_data: Option<Vec<String>>,
    /// How it was collected.
    pub collection: Option<String>,
    /// Known biases.
    pub biases: Option<String>,
}

/// A file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataFile {
    /// Its path, from where the description lies.
    pub path: String,
    /// How long it is.
    pub size_bytes: u64,
    /// SHA-256 of it, in hex.
    pub sha256: String,
    /// Such as `text/csv`; guessed by its ending if none.
    pub media_type: Option<String>,
}

/// Files of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct FileSet {
    /// Which they are: a glob, from where the description lies.
    pub pattern: String,
    /// Such as `text/csv`; guessed by the pattern's ending if none.
    pub media_type: Option<String>,
}

/// A table.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Table {
    /// The path of its file, or the pattern of the set that has its rows.
    pub path: String,
    /// Its columns.
    pub columns: Vec<Column>,
}

/// A column.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// What is in it.
    pub kind: ColumnKind,
    /// What it means.
    pub description: Option<String>,
}

/// What is in a column.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnKind {
    /// Text, or anything else.
    #[default]
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers.
    Float,
    /// True or false.
    Boolean,
    /// Dates or moments.
    Date,
}

impl ColumnKind {
    const fn word(self) -> &'static str {
        match self {
            Self::Text => "sc:Text",
            Self::Integer => "sc:Integer",
            Self::Float => "sc:Float",
            Self::Boolean => "sc:Boolean",
            Self::Date => "sc:Date",
        }
    }
}

/// The description of `record`.
///
/// # Errors
/// `TooLarge` over a limit; `Invalid` for a table without a file.
pub fn croissant(record: &DatasetRecord) -> Result<Vec<u8>, Problem> {
    within("files", record.files.len(), FILE_COUNT_MAX)?;
    let mut ids = Ids::default();
    let files: Vec<(String, &DataFile)> = record.files.iter().map(|file| (ids.of(&file.path), file)).collect();
    let sets: Vec<(String, &FileSet)> = record.sets.iter().map(|set| (ids.of(&set.pattern), set)).collect();
    let mut sources: BTreeMap<&str, Value> = BTreeMap::new();
    sources.extend(files.iter().map(|(id, file)| (file.path.as_str(), json!({ "fileObject": { "@id": id } }))));
    sources.extend(sets.iter().map(|(id, set)| (set.pattern.as_str(), json!({ "fileSet": { "@id": id } }))));
    let tables = record.tables.iter().map(|table| record_set(table, &sources, &mut ids)).collect::<Result<Vec<_>, _>>()?;
    let mut all = Map::new();
    let mut put = |name: &str, value: Value| drop(all.insert(name.to_owned(), value));
    put("@context", context());
    put("@type", json!("sc:Dataset"));
    put("conformsTo", json!("http://mlcommons.org/croissant/1.0"));
    put("name", json!(record.name));
    put("description", json!(record.description.as_deref().unwrap_or("No description was given.")));
    put("identifier", json!(format!("{}@{}", record.name, record.version)));
    if let Some(version) = version(&record.version) {
        put("version", json!(version));
    }
    put("datePublished", json!(Micros(record.created_at).rfc3339_seconds()));
    let known = [
        ("license", &record.licence),
        ("url", &record.url),
        ("rai:dataCollection", &record.collection),
        ("rai:dataBiases", &record.biases),
    ];
    for (name, value) in known {
        if let Some(value) = value {
            put(name, json!(value));
        }
    }
    if let Some(creator) = &record.creator {
        put("creator", json!({ "@type": "sc:Organization", "name": creator }));
    }
    if !record.keywords.is_empty() {
        put("keywords", json!(record.keywords));
    }
    if let Some(classes) = record.personal_data.as_ref().filter(|classes| !classes.is_empty()) {
        put("rai:personalSensitiveInformation", json!(classes));
    }
    let objects = files.iter().map(|(id, file)| file_object(id, file));
    put("distribution", Value::Array(objects.chain(sets.iter().map(|(id, set)| file_set(id, set))).collect()));
    if !tables.is_empty() {
        put("recordSet", Value::Array(tables));
    }
    serde_json::to_vec_pretty(&all).map_err(|error| Problem::internal("the description cannot be written", error))
}

fn within(what: &str, count: usize, max: usize) -> Result<(), Problem> {
    if count > max {
        return Err(Problem::new(Kind::TooLarge, format!("a description has at most {max} {what}, not {count}")));
    }
    Ok(())
}

fn file_object(id: &str, file: &DataFile) -> Value {
    json!({
        "@type": "cr:FileObject", "@id": id, "name": id, "contentUrl": file.path, "contentSize": format!("{} B", file.size_bytes),
        "encodingFormat": file.media_type.as_deref().unwrap_or_else(|| guessed(&file.path)), "sha256": file.sha256,
    })
}

fn file_set(id: &str, set: &FileSet) -> Value {
    json!({
        "@type": "cr:FileSet", "@id": id, "name": id, "includes": set.pattern,
        "encodingFormat": set.media_type.as_deref().unwrap_or_else(|| guessed(&set.pattern)),
    })
}

fn record_set(table: &Table, sources: &BTreeMap<&str, Value>, ids: &mut Ids) -> Result<Value, Problem> {
    within("columns", table.columns.len(), COLUMN_COUNT_MAX)?;
    let source = sources.get(table.path.as_str());
    let source = source.ok_or_else(|| Problem::invalid(format!("the table `{}` is none of the files", table.path)))?;
    let stem = table.path.rsplit('/').next().unwrap_or_default().split('.').next().unwrap_or_default();
    let id = ids.of(stem);
    let mut names = Ids::default();
    let fields: Vec<Value> = table
        .columns
        .iter()
        .map(|column| {
            let name = names.of(&column.name);
            let mut from = source.clone();
            if let Some(from) = from.as_object_mut() {
                from.insert("extract".to_owned(), json!({ "column": column.name }));
            }
            let mut field = json!({
                "@type": "cr:Field", "@id": format!("{id}/{name}"), "name": name, "dataType": column.kind.word(), "source": from,
            });
            if let (Some(description), Some(field)) = (&column.description, field.as_object_mut()) {
                field.insert("description".to_owned(), json!(description));
            }
            field
        })
        .collect();
    Ok(json!({ "@type": "cr:RecordSet", "@id": id, "name": id, "field": fields }))
}

/// Names that can stand in an id, each once.
#[derive(Default)]
struct Ids(BTreeSet<String>);

impl Ids {
    fn of(&mut self, name: &str) -> String {
        let plain = |letter: char| if letter.is_ascii_alphanumeric() || "-_.".contains(letter) { letter } else { '-' };
        let base: String = name.chars().take(100).map(plain).collect();
        let base = if base.is_empty() { "unnamed".to_owned() } else { base };
        let mut id = base.clone();
        let mut count = 1_u32;
        while !self.0.insert(id.clone()) {
            count += 1;
            id = format!("{base}-{count}");
        }
        id
    }
}

/// The format wants `major.minor.patch`.
fn version(text: &str) -> Option<String> {
    let parts: Vec<&str> = text.split('.').collect();
    let numbers = parts.iter().all(|part| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit()));
    match parts.len() {
        1 if numbers => Some(format!("{text}.0.0")),
        3 if numbers => Some(text.to_owned()),
        _ => None,
    }
}

/// What a file is by its ending.
#[must_use]
pub fn guessed(path: &str) -> &'static str {
    match path.rsplit('.').next().map(str::to_ascii_lowercase).as_deref() {
        Some("csv") => "text/csv",
        Some("tsv") => "text/tsv",
        Some("parquet") => "application/x-parquet",
        Some("json") => "application/json",
        Some("jsonl" | "ndjson") => "application/jsonlines",
        Some("txt") => "text/plain",
        Some("png") => "image/png",
        Some("jpg" | "jpeg") => "image/jpeg",
        _ => "application/octet-stream",
    }
}

/// Croissant's own words, each mapped to its vocabulary.
fn context() -> Value {
    let mut all = Map::new();
    let plain = [
        "citeAs",
        "column",
        "extract",
        "field",
        "fileProperty",
        "fileObject",
        "fileSet",
        "format",
        "includes",
        "isLiveDataset",
        "jsonPath",
        "key",
        "md5",
        "parentField",
        "path",
        "recordSet",
        "references",
        "regex",
        "repeated",
        "replace",
        "samplingRate",
        "separator",
        "source",
        "subField",
        "transform",
        "equivalentProperty",
    ];
    for word in plain {
        all.insert(word.to_owned(), json!(format!("cr:{word}")));
    }
    let others = [
        ("@language", json!("en")),
        ("@vocab", json!("https://schema.org/")),
        ("cr", json!("http://mlcommons.org/croissant/")),
        ("rai", json!("http://mlcommons.org/croissant/RAI/")),
        ("dct", json!("http://purl.org/dc/terms/")),
        ("sc", json!("https://schema.org/")),
        ("conformsTo", json!("dct:conformsTo")),
        ("data", json!({ "@id": "cr:data", "@type": "@json" })),
        ("examples", json!({ "@id": "cr:examples", "@type": "@json" })),
        ("dataType", json!({ "@id": "cr:dataType", "@type": "@vocab" })),
    ];
    all.extend(others.map(|(name, value)| (name.to_owned(), value)));
    Value::Object(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample() -> DatasetRecord {
        let file = |path: &str| DataFile { path: path.to_owned(), size_bytes: 7, sha256: "a".repeat(64), media_type: None };
        let column = |name: &str, kind| Column { name: name.to_owned(), kind, description: None };
        let columns = vec![column("a b", ColumnKind::Integer), column("a-b", ColumnKind::Text)];
        DatasetRecord {
            name: "customers".to_owned(),
            version: "3".to_owned(),
            files: vec![file("data/a.csv"), file("b.parquet")],
            tables: vec![Table { path: "data/a.csv".to_owned(), columns }],
            ..DatasetRecord::default()
        }
    }

    fn written(record: &DatasetRecord) -> Value {
        serde_json::from_slice(&croissant(record).unwrap()).unwrap()
    }

    #[test]
    fn files_and_columns_have_ids_of_their_own() {
        let said = written(&sample());
        assert_eq!(said["version"], "3.0.0");
        assert_eq!(said["distribution"][0]["@id"], "data-a.csv");
        assert_eq!(said["distribution"][1]["encodingFormat"], "application/x-parquet");
        let fields = said["recordSet"][0]["field"].as_array().unwrap();
        assert_eq!((&fields[0]["@id"], &fields[1]["@id"]), (&json!("a/a-b"), &json!("a/a-b-2")));
        assert_eq!(fields[0]["source"]["extract"]["column"], "a b");
    }

    #[test]
    fn what_is_not_known_is_left_out_or_said() {
        let said = written(&sample());
        for absent in ["license", "url", "creator", "keywords", "rai:personalSensitiveInformation"] {
            assert!(said.get(absent).is_none(), "{absent}");
        }
        assert_eq!(said["description"], "No description was given.");
        for (text, expected) in [("1.2.3", Some("1.2.3")), ("v7", None), ("", None), ("1..2", None)] {
            assert_eq!(version(text).as_deref(), expected, "{text}");
        }
    }

    #[test]
    fn files_of_one_kind_are_told_of_together_and_are_one_table() {
        let columns = vec![Column { name: "a".to_owned(), kind: ColumnKind::Integer, description: None }];
        let set = FileSet { pattern: "data/*.csv".to_owned(), media_type: None };
        let tables = vec![Table { path: set.pattern.clone(), columns }];
        let said = written(&DatasetRecord { files: Vec::new(), sets: vec![set], tables, ..sample() });
        let expected = json!({
            "@type": "cr:FileSet", "@id": "data--.csv", "name": "data--.csv", "includes": "data/*.csv", "encodingFormat": "text/csv",
        });
        assert_eq!(said["distribution"], json!([expected]));
        let source = json!({ "fileSet": { "@id": "data--.csv" }, "extract": { "column": "a" } });
        assert_eq!(said["recordSet"][0]["field"][0]["source"], source);
    }

    #[test]
    fn a_table_without_its_file_is_refused() {
        let record = DatasetRecord { files: Vec::new(), ..sample() };
        assert!(croissant(&record).is_err());
    }
}
