//! Contracts at the command line, for benches and for comparing with other tools:
//!
//! - `check_file check CONTRACT FILE [TABLE]` prints the report, and what it cost
//! - `check_file write CONTRACT` prints the contract as it is written here
//! - `check_file propose FILE TABLE` prints the contract that is proposed for a file
//! - `check_file import great-expectations|json-schema|frictionless|dbt FILE TABLE` prints the contract made of it

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use contract::{CheckOptions, Checker, Contract, Source, import, propose};
use profile::{Options, Profiler};
use tables::{DataFile, Format, LocalFile, ReadOptions, Table};

const THREAD_COUNT: usize = 2;
/// Clock ticks of `/proc`: fixed by Linux for user space.
const TICKS_PER_SECOND: f64 = 100.0;

type Fault = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Fault> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["check", contract, file, rest @ ..] => check(contract, file, rest.first().copied()),
        ["write", contract] => print(&read(contract)?),
        ["propose", file, table] => print(&proposed(file, table)?),
        ["import", from, file, table] => {
            let text = std::fs::read_to_string(file)?;
            let made = match *from {
                "great-expectations" => import::great_expectations(&text, table),
                "json-schema" => import::json_schema(&text, table),
                "frictionless" => import::frictionless(&text, table),
                "dbt" => import::dbt(&text, table),
                other => return Err(format!("`{other}` cannot be imported").into()),
            }?;
            for one in &made.unsupported {
                eprintln!("{}: {}: {}", one.at, one.what, one.why);
            }
            print(&made.contract)
        }
        _ => Err("usage: check_file check|write|propose|import …".into()),
    }
}

fn read(path: &str) -> Result<Contract, Fault> {
    let reading = Contract::from_yaml(&std::fs::read_to_string(path)?)?;
    for warning in &reading.warnings {
        eprintln!("{warning}");
    }
    Ok(reading.contract)
}

fn print(contract: &Contract) -> Result<(), Fault> {
    print!("{}", contract.to_yaml()?);
    Ok(())
}

fn open(path: &str) -> Result<Table, Fault> {
    let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or("file");
    let file = DataFile { path: name.to_owned(), bytes: Arc::new(LocalFile::open(Path::new(path))?) };
    Ok(Table::open(vec![file], &ReadOptions::default())?)
}

fn proposed(path: &str, name: &str) -> Result<Contract, Fault> {
    let table = open(path)?;
    let mut profiler = Profiler::new(table.schema(), &Options::default())?;
    for partition in 0..table.partitions().len() {
        for batch in table.read(partition, None)? {
            profiler.update(&batch?)?;
        }
    }
    Ok(propose(&profiler.finish(), name, None))
}

fn check(contract: &str, path: &str, object: Option<&str>) -> Result<(), Fault> {
    let contract = read(contract)?;
    let table = open(path)?;
    let source = match table.format() {
        Format::Csv => Source::Csv,
        Format::JsonLines => Source::Json,
        _ => Source::Typed,
    };
    let now_micros = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH)?.as_micros())?;
    let fresh = Checker::new(&contract, object, table.schema(), CheckOptions { source, now_micros, ..CheckOptions::default() })?;
    let mut parts = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..THREAD_COUNT)
            .map(|worker| {
                let (table, checker) = (&table, fresh.clone());
                scope.spawn(move || checked(table, worker, checker))
            })
            .collect();
        workers.into_iter().map(|worker| worker.join().map_err(|_| "a worker has failed")?).collect::<Result<Vec<_>, Fault>>()
    })?;
    let mut whole = parts.swap_remove(0);
    for part in parts {
        whole.merge(part)?;
    }
    let report = whole.finish();
    let (cpu_seconds, peak_resident_bytes) = cost();
    println!("{}", serde_json::json!({"report": report, "cpu_seconds": cpu_seconds, "peak_resident_bytes": peak_resident_bytes}));
    Ok(())
}

/// Reads every second partition.
fn checked(table: &Table, worker: usize, mut checker: Checker) -> Result<Checker, Fault> {
    for (index, partition) in table.partitions().iter().enumerate().skip(worker).step_by(THREAD_COUNT) {
        let mut row = partition.first_row;
        for batch in table.read(index, None)? {
            let batch = batch?;
            checker.update(&batch, row)?;
            row += batch.num_rows() as u64;
        }
    }
    Ok(checker)
}

/// CPU seconds of this process and its peak of resident memory.
fn cost() -> (f64, u64) {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace();
    let ticks: u64 = fields.skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum();
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or(0);
    (ticks as f64 / TICKS_PER_SECOND, kibibytes * 1024)
}
