//! The port to whatever runs jobs.

use std::collections::BTreeMap;
use std::path::PathBuf;

use bytes::Bytes;
use gate::BoxFuture;
use kernel::Secret;

use crate::JobLog;

/// What to run, with all that it needs.
pub struct Errand {
    /// The job's id.
    pub job_id: String,
    /// The files of the code, by their paths below its folder.
    pub code: Vec<(PathBuf, Bytes)>,
    /// The script and its arguments, parameters filled in.
    pub words: Vec<String>,
    /// The parameters.
    pub parameters: BTreeMap<String, String>,
    /// The new run.
    pub run_id: String,
    /// Its experiment.
    pub experiment_id: i64,
    /// The workspace's name.
    pub workspace: String,
    /// The data set and the version's number.
    pub data: (String, i64),
    /// The paths of its files; empty where there are too many.
    pub data_files: Vec<String>,
    /// What the program shows to the server.
    pub token: Secret,
    /// How long it may run.
    pub seconds_max: u64,
}

/// How a program ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Finished {
    /// What it ended with; none where only its end is known.
    pub exit_code: Option<i64>,
    /// Why it counts as failed; none if it ended well.
    pub fault: Option<String>,
    /// How it was locked in, as a JSON document.
    pub confinement: Option<String>,
}

/// Why a program did not come to its own end.
#[derive(Debug)]
pub enum ExecuteError {
    /// Somebody stopped it.
    Cancelled,
    /// It could not be run: why, and what to do.
    Refused(String),
}

/// Runs jobs. When the future is dropped, the job is stopped.
pub trait Execute: Send + Sync {
    /// Runs a job to its end.
    fn execute<'a>(
        &'a self,
        errand: &'a Errand,
        log: &'a JobLog,
        cancelled: BoxFuture<'a, ()>,
    ) -> BoxFuture<'a, Result<Finished, ExecuteError>>;

    /// Stops what is left of a job that a process which is gone had begun.
    fn abandon<'a>(&'a self, job_id: &'a str) -> BoxFuture<'a, ()>;
}
