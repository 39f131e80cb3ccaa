//! The server's worker: locks itself in, says so, takes its job, and answers with a report.

use std::process::ExitCode;
use std::sync::Arc;

use inspection::JobSpec;
use inspection::frame::{FromWorker, PROTOCOL, Ready, ToWorker};
use sandbox::{Pipe, hear, say};
use tables::DataFile;

use crate::inspect;
use crate::news::ToServer;

/// Runs one job.
pub(crate) fn run(allow_insecure_unsandboxed: bool) -> ExitCode {
    let confinement = match sandbox::confine(allow_insecure_unsandboxed) {
        Ok(confinement) => confinement,
        Err(why) => return give_up(why),
    };
    if !crate::inspect::make_threads() {
        return give_up("threads cannot be made".to_owned());
    }
    let ready = Ready { protocol: PROTOCOL, version: env!("CARGO_PKG_VERSION").to_owned(), confinement };
    if say(&FromWorker::Ready(ready)).is_err() {
        return ExitCode::FAILURE;
    }
    let job = match hear() {
        Ok(ToWorker::Job(job)) => *job,
        Ok(_) => return give_up("the first frame was not a job".to_owned()),
        Err(error) => return give_up(format!("the job cannot be read: {error}")),
    };
    let pipe = match Pipe::start() {
        Ok(pipe) => pipe,
        Err(error) => return give_up(format!("threads cannot be made: {error}")),
    };
    let files = files(&job, &pipe);
    let report = inspect::run(&job, files, &ToServer(pipe));
    match say(&FromWorker::Done(Box::new(report))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(format!("the report cannot be sent: {error}")),
    }
}

fn files(job: &JobSpec, pipe: &Arc<Pipe>) -> Vec<DataFile> {
    let file = |(index, file): (u32, &inspection::FileSpec)| DataFile {
        path: file.path.clone(),
        bytes: Arc::new(pipe.file(index, file.size_bytes)),
    };
    (0_u32..).zip(&job.files).map(file).collect()
}

fn give_up(why: String) -> ExitCode {
    say(&FromWorker::Failed(why)).ok();
    ExitCode::FAILURE
}
