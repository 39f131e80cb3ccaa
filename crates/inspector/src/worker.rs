//! The server's worker: locks itself in, says so, takes its job, and answers with a report.

use std::process::ExitCode;
use std::sync::Arc;

use inspection::frame::{FromWorker, PROTOCOL, Ready, ToWorker};
use inspection::{FileSpec, JobSpec};
use sandbox::{Pipe, hear, say};
use tables::DataFile;

use crate::cleaning;
use crate::inspect::{self, Other};
use crate::news::ToServer;
use crate::reading;

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
        Ok(ToWorker::Contract(job)) => return ended(&FromWorker::ContractRead(Box::new(reading::run(&job)))),
        Ok(_) => return give_up("the first frame was not a job".to_owned()),
        Err(error) => return give_up(format!("the job cannot be read: {error}")),
    };
    let pipe = match Pipe::start() {
        Ok(pipe) => pipe,
        Err(error) => return give_up(format!("threads cannot be made: {error}")),
    };
    let (files, others) = files(&job, &pipe);
    let answer = match &job.clean {
        Some(clean) => match cleaning::run(&job, clean, files, &ToServer(Arc::clone(&pipe))) {
            Ok(count) => FromWorker::Cleaned(count),
            Err(why) => return give_up(why),
        },
        None => FromWorker::Done(Box::new(inspect::run(&job, files, &others, &ToServer(pipe)))),
    };
    ended(&answer)
}

fn ended(answer: &FromWorker) -> ExitCode {
    match say(answer) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => give_up(format!("the report cannot be sent: {error}")),
    }
}

/// The version's files, and those of other tables, whose numbers follow.
fn files(job: &JobSpec, pipe: &Arc<Pipe>) -> (Vec<DataFile>, Vec<Other>) {
    let mut numbers = 0_u32..;
    let mut opened = |specs: &[FileSpec]| -> Vec<DataFile> {
        let file = |(file, index): (&FileSpec, u32)| DataFile {
            path: file.path.clone(),
            bytes: Arc::new(pipe.file(index, file.size_bytes)),
        };
        specs.iter().zip(&mut numbers).map(file).collect()
    };
    let files = opened(&job.files);
    let others = job.others.iter().map(|spec| Other { spec: spec.clone(), files: opened(&spec.files) });
    (files, others.collect())
}

fn give_up(why: String) -> ExitCode {
    say(&FromWorker::Failed(why)).ok();
    ExitCode::FAILURE
}
