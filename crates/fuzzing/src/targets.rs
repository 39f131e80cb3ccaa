//! What is driven: each reader with what it is given.

use std::collections::BTreeMap;

use contract::{Contract, import};
use filter::Entity;
use runtime::{Batch, Model, Values};
use tables::{DataFile, ReadOptions, Table, TableError};

use crate::seeds::{self, Seed};

/// A reader and its examples.
pub struct Target {
    /// Its name in reports.
    pub name: &'static str,
    /// Valid examples.
    pub seeds: Vec<Seed>,
    /// How changed bytes are put into a file before they are read.
    pub wraps: &'static [Wrap],
    /// Reads bytes under a name. An error is an answer; `Err` here is a fault that was caught on the way.
    pub read: fn(&str, &[u8]) -> Result<(), String>,
}

/// A file around changed bytes, so that its own checksums hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrap {
    /// None.
    Bare,
    /// The only member of a zip, under this name.
    Zip(&'static str),
    /// Compressed.
    Gzip,
}

impl Wrap {
    /// The file.
    pub fn around(self, bytes: Vec<u8>) -> Vec<u8> {
        match self {
            Self::Bare => bytes,
            Self::Zip(member) => seeds::zip(&[(member, &bytes)]),
            Self::Gzip => seeds::gzip(&bytes),
        }
    }
}

/// All of them.
pub fn all() -> Vec<Target> {
    let bare = &[Wrap::Bare];
    vec![
        Target { name: "tables", seeds: seeds::tables(), wraps: &[Wrap::Bare, Wrap::Bare, Wrap::Zip("a.npy")], read: table },
        Target { name: "table-parts", seeds: seeds::tables(), wraps: bare, read: table_parts },
        Target {
            name: "scan",
            seeds: seeds::models(),
            wraps: &[
                Wrap::Bare,
                Wrap::Bare,
                Wrap::Zip("m/data.pkl"),
                Wrap::Zip("config.json"),
                Wrap::Zip("schema.json"),
                Wrap::Gzip,
            ],
            read: scan,
        },
        Target {
            name: "runtime",
            seeds: seeds::runtimes(),
            wraps: &[Wrap::Bare, Wrap::Bare, Wrap::Zip("schema.json")],
            read: model,
        },
        Target { name: "contract", seeds: seeds::contracts(), wraps: bare, read: contract },
        Target { name: "gates", seeds: seeds::gates(), wraps: bare, read: gates },
        Target { name: "filter", seeds: seeds::filters(), wraps: bare, read: filters },
    ]
}

fn table(name: &str, bytes: &[u8]) -> Result<(), String> {
    let read = || -> Result<(), TableError> {
        let table = Table::open(vec![DataFile::in_memory(name, bytes.to_vec())], &ReadOptions::default())?;
        for partition in 0..table.partitions().len() {
            for batch in table.read(partition, None)? {
                batch?;
            }
        }
        Ok(())
    };
    match read() {
        // A library that we read through has panicked; ours have not.
        Err(error @ TableError::Decoder { .. }) => Err(error.to_string()),
        _ => Ok(()),
    }
}

fn table_parts(name: &str, bytes: &[u8]) -> Result<(), String> {
    let _format = tables::detect(name, bytes);
    let _flat = tables::parsers::flatten(bytes);
    let _header = tables::parsers::parse_header(bytes);
    let _image = tables::parsers::decode(bytes, 8, true, false);
    let mut splitter = tables::parsers::Splitter::new(b',', b'"', 1);
    for piece in bytes.chunks(7) {
        let mut rest = piece;
        while !rest.is_empty() {
            let Ok((taken, _)) = splitter.feed(rest) else { return Ok(()) };
            rest = rest.get(taken..).unwrap_or_default();
        }
    }
    Ok(())
}

fn scan(name: &str, bytes: &[u8]) -> Result<(), String> {
    let scanner = scan::Scanner::new(scan::Limits { decompressed_bytes_max: 16 << 20 })?;
    let report = scanner.scan(name, &bytes.to_vec()).map_err(|error| error.to_string())?;
    if report.format.is_empty() { Err("a report without a format".to_owned()) } else { Ok(()) }
}

fn model(name: &str, bytes: &[u8]) -> Result<(), String> {
    let files = BTreeMap::from([(name.to_owned(), bytes.to_vec())]);
    let limits = runtime::Limits { tensor_elements_max: 1 << 20, width_max: 1 << 16, ..runtime::Limits::default() };
    if let Ok(model) = Model::load(&files, &limits) {
        let batch = Batch::matrix(2, 2, Values::F32(vec![0.0, 1.0, f32::NAN, -7.5])).map_err(|error| error.to_string())?;
        let _answer = model.predict(&batch);
    }
    Ok(())
}

fn contract(name: &str, bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    let made = match name {
        "odcs" => Contract::from_yaml(&text).map(|reading| reading.contract),
        "great-expectations" => import::great_expectations(&text, "t").map(|made| made.contract),
        "json-schema" => import::json_schema(&text, "t").map(|made| made.contract),
        "frictionless" => import::frictionless(&text, "t").map(|made| made.contract),
        _ => import::dbt(&text, "t").map(|made| made.contract),
    };
    // Whoever writes one is told the same, with places that are in the text.
    if name == "odcs" {
        let lint = contract::lint(&text);
        let line_count = text.lines().count() as u64 + 1;
        if lint.contract.is_some() != made.is_ok() || lint.faults.iter().chain(&lint.warnings).any(|one| one.line > line_count) {
            return Err(format!("a contract is told otherwise than it is read: {lint:?}"));
        }
    }
    let Ok(made) = made else { return Ok(()) };
    // What was read can be written, and read again as the same.
    let written = made.to_yaml().map_err(|error| format!("a contract that was read is not written: {error}"))?;
    match Contract::from_yaml(&written) {
        Ok(again) if again.contract == made => Ok(()),
        Ok(_) => Err(format!("a contract is read as another after it was written: {written}")),
        Err(error) => Err(format!("a contract that was written is not read: {error}: {written}")),
    }
}

fn gates(_: &str, bytes: &[u8]) -> Result<(), String> {
    let _read = gates::GateFile::from_yaml(&String::from_utf8_lossy(bytes));
    Ok(())
}

fn filters(_: &str, bytes: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(bytes);
    for entity in [Entity::Run, Entity::Experiment, Entity::RegisteredModel, Entity::ModelVersion, Entity::LoggedModel] {
        let _clauses = filter::parse_filter(entity, &text);
        let _order = filter::parse_order_by(entity, &[text.as_ref()]);
    }
    let _clauses = filter::parse_trace_filter(&text);
    let _order = filter::parse_trace_order_by(&[text.to_string()]);
    let _offset = filter::decode_page_token(Some(&text));
    let (pattern, value) = text.split_at(text.char_indices().nth(text.chars().count() / 2).map_or(0, |(place, _)| place));
    let _matches = filter::like_matches(pattern, value, true);
    Ok(())
}
