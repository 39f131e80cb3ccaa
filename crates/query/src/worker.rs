//! The server's worker: locks itself in, says so, takes its job, and answers.

use std::process::ExitCode;
use std::sync::Arc;

use inspection::frame::{FromWorker, PROTOCOL, Ready, ToWorker};
use inspection::{Ask, QUERY_TABLE_COUNT_MAX, QueryJob, QueryReport};
use sandbox::{Pipe, hear, say};
use tables::{DataFile, ReadOptions, Table};

use crate::engine::{BATCH_ROW_COUNT, Engine, Meter};
use crate::{on_a_deep_stack, rules};

/// Runs one job.
pub(crate) fn run(allow_insecure_unsandboxed: bool) -> ExitCode {
    let confinement = match sandbox::confine(allow_insecure_unsandboxed) {
        Ok(confinement) => confinement,
        Err(why) => return give_up(why),
    };
    let ready = Ready { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned(), confinement };
    if say(&FromWorker::Ready(ready)).is_err() {
        return ExitCode::FAILURE;
    }
    let job = match hear() {
        Ok(ToWorker::Query(job)) => *job,
        Ok(_) => return give_up("the first frame was not a query".to_owned()),
        Err(error) => return give_up(format!("the job cannot be read: {error}")),
    };
    let pipe = match Pipe::start() {
        Ok(pipe) => pipe,
        Err(error) => return give_up(format!("threads cannot be made: {error}")),
    };
    let report = match on_a_deep_stack(move || answer(job, &pipe)) {
        Ok(Ok(report)) => report,
        Ok(Err(why)) | Err(why) => return give_up(why),
    };
    match say(&FromWorker::Answered(Box::new(report))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(format!("the answer cannot be sent: {error}")),
    }
}

fn answer(job: QueryJob, pipe: &Arc<Pipe>) -> Result<QueryReport, String> {
    let tables = open(&job, pipe)?;
    let heard = Arc::clone(pipe);
    let meter = Meter::new(move |rows| heard.progress("query", rows, None));
    let mut report = QueryReport::default();
    match job.ask {
        Ask::Rules { contract_yaml } => {
            let news = |_: &str| pipe.progress("query", 0, None);
            report.rules = rules::run(&contract_yaml, None, tables, &job.limits, &meter, &news)?.values;
        }
        Ask::Rows { sql } => {
            let columns = job.tables.into_iter().map(|table| table.columns);
            let named = tables.into_iter().zip(columns).map(|((name, table), columns)| (vec![name], table, columns)).collect();
            let engine = Engine::with_columns(named, job.limits, &meter).map_err(|error| error.to_string())?;
            report.rows = Some(engine.rows(&sql).map_err(|error| error.to_string())?);
        }
    }
    let usage = sandbox::usage();
    report.cpu_ms = usage.cpu_ms;
    report.memory_peak_bytes = usage.memory_peak_bytes;
    Ok(report)
}

/// Opens the job's tables. Files are numbered over all of them.
fn open(job: &QueryJob, pipe: &Arc<Pipe>) -> Result<Vec<(String, Table)>, String> {
    if job.tables.len() > QUERY_TABLE_COUNT_MAX {
        return Err(format!("a job has at most {QUERY_TABLE_COUNT_MAX} tables"));
    }
    let mut index = 0_u32;
    let mut opened = Vec::new();
    for table in &job.tables {
        let mut files = Vec::with_capacity(table.files.len());
        for file in &table.files {
            files.push(DataFile { path: file.path.clone(), bytes: Arc::new(pipe.file(index, file.size_bytes)) });
            index = index.checked_add(1).ok_or("there are too many files")?;
        }
        pipe.progress("open", 0, None);
        let options = ReadOptions { batch_rows_max: BATCH_ROW_COUNT, ..sandbox::read_options(table.csv) };
        let read = Table::open(files, &options).map_err(|error| format!("`{}`: {error}", table.name))?;
        opened.push((table.name.clone(), read));
    }
    Ok(opened)
}

fn give_up(why: String) -> ExitCode {
    say(&FromWorker::Failed(why)).ok();
    ExitCode::FAILURE
}
