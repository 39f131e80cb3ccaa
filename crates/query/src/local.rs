//! The program for people and CI: opens local files, locks itself in, asks, prints.

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use contract::{Evidence, RuleReport, Status};
use inspection::{CsvDialect, ProcessLimits, QueryLimits, QueryRows, limit_this_process};
use serde_json::{Value, json};
use tables::{DataFile, ReadOptions, Table};

use crate::cli::Tables;
use crate::engine::{BATCH_ROW_COUNT, Engine, Meter};
use crate::{on_a_deep_stack, rules as sql_rules};

/// How the program ends when a rule does not hold, or was not run.
const FOUND: u8 = 1;
/// How the program ends when it could not do what was asked.
const NOT_DONE: u8 = 2;
/// Processor time for each second that a query may take.
const CPU_SHARE: u64 = 4;

type Files = Vec<(String, Vec<DataFile>)>;

/// Prints the rows of a query.
pub(crate) fn sql(query: String, asked: &Tables) -> ExitCode {
    let (as_json, csv) = (asked.json, asked.csv.dialect());
    let work = prepare(asked).and_then(|(files, limits)| {
        on_a_deep_stack(move || {
            let tables = open(files, csv)?.into_iter().map(|(name, table)| (vec![name], table)).collect();
            let engine = Engine::new(tables, limits, &Meter::new(|_| {})).map_err(|error| error.to_string())?;
            engine.rows(&query).map_err(|error| error.to_string())
        })?
    });
    end(work.and_then(|rows| print(&if as_json { rows_as_json(&rows)? } else { rows_in_words(&rows)? }).map(|()| true)))
}

/// Prints which SQL rules of a contract hold.
pub(crate) fn rules(contract: &Path, object: Option<&str>, asked: &Tables) -> ExitCode {
    let (as_json, csv, object) = (asked.json, asked.csv.dialect(), object.map(str::to_owned));
    let work = sandbox::text(contract).and_then(|contract| {
        let (files, limits) = prepare(asked)?;
        on_a_deep_stack(move || {
            let answers = sql_rules::run(&contract, object.as_deref(), open(files, csv)?, &limits, &Meter::new(|_| {}), &|_| {})?;
            let evidence = answers.evidence();
            let report = answers.checker.finish_with(&Evidence { profile: None, sql: Some(&evidence) });
            // The check has seen no rows: of its other rules it knows nothing.
            Ok(report.rules.into_iter().filter(|rule| evidence.contains_key(&rule.rule)).collect::<Vec<_>>())
        })?
    });
    end(work.and_then(|found| {
        let text = if as_json {
            serde_json::to_string_pretty(&found).map_err(|error| error.to_string())?
        } else {
            rules_in_words(&found)
        };
        print(&text)?;
        Ok(found.iter().all(|rule| rule.status == Status::Passed))
    }))
}

fn end(done: Result<bool, String>) -> ExitCode {
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(FOUND),
        Err(error) => {
            eprintln!("strongroom-query: {error}");
            ExitCode::from(NOT_DONE)
        }
    }
}

/// Opens the files, then locks the program in.
fn prepare(asked: &Tables) -> Result<(Files, QueryLimits), String> {
    sandbox::allow_many_files();
    let mut files: Files = Vec::new();
    for named in &asked.tables {
        let (name, path) = match named.split_once('=') {
            Some((name, path)) if !name.is_empty() && !name.contains(['/', '.']) => (name.to_owned(), PathBuf::from(path)),
            _ => {
                let path = PathBuf::from(named);
                let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
                (stem.ok_or_else(|| format!("`{named}` has no name; write NAME={named}"))?, path)
            }
        };
        match files.iter_mut().find(|(known, _)| *known == name) {
            Some((_, paths)) => paths.extend(sandbox::data_files(&[path])?),
            None => files.push((name, sandbox::data_files(&[path])?)),
        }
    }
    let memory_bytes_max = asked.memory.saturating_mul(1 << 20);
    let cpu_seconds_max = asked.seconds.saturating_mul(CPU_SHARE).max(60);
    // Output may be redirected to a file, so writing is not limited here; the locks leave nothing else to write to.
    limit_this_process(ProcessLimits { cpu_seconds_max, memory_bytes_max }, true)
        .map_err(|error| format!("memory cannot be limited: {error}"))?;
    sandbox::confine(asked.allow_insecure_unsandboxed).map_err(|error| {
        format!("the program cannot lock itself in: {error}; use Linux 5.13 or later, or accept the risk with `--allow-insecure-unsandboxed`")
    })?;
    let limits =
        QueryLimits { row_count_max: asked.rows, query_seconds_max: asked.seconds, memory_bytes_max, ..QueryLimits::default() };
    Ok((files, limits))
}

fn open(files: Files, csv: CsvDialect) -> Result<Vec<(String, Table)>, String> {
    let options = ReadOptions { batch_rows_max: BATCH_ROW_COUNT, ..sandbox::read_options(csv) };
    let table = |(name, mut files): (String, Vec<DataFile>)| {
        // Several files of one table may share a name.
        for (place, file) in files.iter_mut().enumerate().skip(1) {
            file.path = format!("{place}/{}", file.path);
        }
        let table = Table::open(files, &options).map_err(|error| format!("`{name}`: {error}"))?;
        Ok((name, table))
    };
    files.into_iter().map(table).collect()
}

fn print(text: &str) -> Result<(), String> {
    match writeln!(io::stdout().lock(), "{}", text.trim_end()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => Err(format!("the answer cannot be printed: {error}")),
        _ => Ok(()),
    }
}

fn rows_as_json(rows: &QueryRows) -> Result<String, String> {
    serde_json::to_string_pretty(&json!({
        "columns": rows.columns, "row_count": rows.row_count, "truncated": rows.truncated, "rows": rows.rows,
    }))
    .map_err(|error| error.to_string())
}

/// A table for a terminal: columns apart by two spaces, control characters made visible.
fn rows_in_words(rows: &QueryRows) -> Result<String, String> {
    let cells: Vec<Vec<Value>> = rows.rows.parse().map_err(|error| error.to_string())?;
    let head: Vec<String> = rows.columns.iter().map(|column| visible(&column.name)).collect();
    let body = cells.iter().map(|row| row.iter().map(|cell| visible(&in_words(cell))).collect::<Vec<_>>());
    let lines: Vec<Vec<String>> = std::iter::once(head).chain(body).collect();
    let mut widths = vec![0; rows.columns.len()];
    for line in &lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut text = String::new();
    for line in &lines {
        let cells: Vec<String> = line.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        text.push_str(cells.join("  ").trim_end());
        text.push('\n');
    }
    if rows.truncated {
        text.push_str(&format!("… more than {} rows; see `--rows`\n", rows.row_count));
    }
    Ok(text)
}

fn in_words(cell: &Value) -> String {
    match cell {
        Value::Null => "NULL".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn visible(text: &str) -> String {
    text.chars().flat_map(|letter| if letter.is_control() { letter.escape_default().collect() } else { vec![letter] }).collect()
}

fn rules_in_words(found: &[RuleReport]) -> String {
    if found.is_empty() {
        return "the contract has no SQL rules for this table".to_owned();
    }
    let line = |rule: &RuleReport| {
        let word = match rule.status {
            Status::Passed => "holds",
            Status::Failed => "BROKEN",
            Status::NotRun => "not run",
            Status::Note => "note",
        };
        let measured = rule.measured.map_or_else(String::new, |measured| format!(" ({measured})"));
        format!("{word:8} {}{measured}: {}", visible(&rule.rule), visible(&rule.message))
    };
    found.iter().map(line).collect::<Vec<_>>().join("\n")
}
