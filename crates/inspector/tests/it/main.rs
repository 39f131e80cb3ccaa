//! The worker from outside: its sandbox, its protocol, hostile files, and the program for people.
#![expect(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing, reason = "tests")]

mod clean;
mod hostile;
mod local;
mod others;
mod protocol;
mod sandbox;
mod trial;
mod worker;

use std::future::pending;

use bytes::Bytes;
use inspection::{FileSpec, InspectionError, InspectionReport, JobSpec, Worker};
use kernel::Problem;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_strongroom-inspect");

/// A job over files in memory.
fn job(files: &[(&str, &[u8])]) -> JobSpec {
    let spec = |(path, bytes): &(&str, &[u8])| FileSpec {
        path: (*path).to_owned(),
        size_bytes: bytes.len() as u64,
        sha256: kernel::hex(&kernel::sha256(bytes)),
    };
    let mut job = JobSpec::new("set", "1", files.iter().map(spec).collect(), 1_700_000_000_000_000);
    job.limits.wall_seconds_max = 120;
    job
}

/// Runs `job` over files in memory.
async fn run(worker: &Worker, job: &JobSpec, files: &[(&str, &[u8])]) -> Result<InspectionReport, InspectionError> {
    let held: Vec<Bytes> = files.iter().map(|(_, bytes)| Bytes::copy_from_slice(bytes)).collect();
    let read = |request: inspection::ReadRequest| {
        let from = usize::try_from(request.offset).unwrap();
        let bytes = held[request.file].slice(from..from + request.length as usize);
        async move { Ok::<_, Problem>(bytes) }
    };
    worker.run(job, read, |_| {}, pending()).await
}
