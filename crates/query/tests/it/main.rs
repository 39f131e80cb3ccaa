//! The worker from outside: its sandbox, its protocol, its bounds, hostile files, and the program for people.
#![expect(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

mod bounds;
mod local;
mod sandbox;
mod worker;

use std::future::pending;

use bytes::Bytes;
use inspection::{Ask, CsvDialect, FileSpec, InspectionError, QueryJob, QueryLimits, QueryReport, QueryTable, Worker};
use kernel::Problem;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom-query");

/// One table: its name, and its files by path and bytes.
type Given<'a> = (&'a str, &'a [(&'a str, &'a [u8])]);

/// A job over files in memory.
fn job(tables: &[Given<'_>], ask: Ask) -> QueryJob {
    let file = |(path, bytes): &(&str, &[u8])| FileSpec {
        path: (*path).to_owned(),
        size_bytes: bytes.len() as u64,
        sha256: kernel::hex(&kernel::sha256(bytes)),
    };
    let table = |(name, files): &Given<'_>| QueryTable {
        name: (*name).to_owned(),
        files: files.iter().map(file).collect(),
        csv: CsvDialect::default(),
        columns: Vec::new(),
    };
    let limits = QueryLimits { wall_seconds_max: 120, ..QueryLimits::default() };
    QueryJob { tables: tables.iter().map(table).collect(), ask, limits }
}

fn rows(sql: &str) -> Ask {
    Ask::Rows { sql: sql.to_owned() }
}

/// Runs `job` over files in memory.
async fn run(job: &QueryJob, tables: &[Given<'_>]) -> Result<QueryReport, InspectionError> {
    let held: Vec<Bytes> = tables.iter().flat_map(|(_, files)| *files).map(|(_, bytes)| Bytes::copy_from_slice(bytes)).collect();
    let read = |request: inspection::ReadRequest| {
        let from = usize::try_from(request.offset).unwrap();
        let bytes = held[request.file].slice(from..from + request.length as usize);
        async move { Ok::<_, Problem>(bytes) }
    };
    Worker::new(PROGRAM).query(job, read, |_| {}, pending()).await
}
