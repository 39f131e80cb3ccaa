//! What a worker can be asked to do: an inspection, or queries. The conversation is the same for both.

use crate::error::InspectionError;
use crate::finding::Finding;
use crate::frame::{self, FrameError, FromWorker, Ready};
use crate::job::{FileSpec, JobSpec};
use crate::query::{QueryJob, QueryReport};
use crate::report::{FINDING_COUNT_MAX, InspectionReport, REPORT_SCHEMA};

/// Limits that the server and the kernel enforce on a worker.
#[derive(Clone, Copy, Debug)]
pub struct TaskLimits {
    /// Bytes that the worker may ask for.
    pub read_bytes_max: u64,
    /// Processor seconds of all threads.
    pub cpu_seconds_max: u64,
    /// Seconds from start to end.
    pub wall_seconds_max: u64,
    /// Private memory.
    pub memory_bytes_max: u64,
}

/// Something that a worker is asked to do.
pub trait Task: Sync {
    /// What it leaves.
    type Output: Send;

    /// The frame that hands it over.
    ///
    /// # Errors
    /// If it is too long.
    fn frame(&self) -> Result<Vec<u8>, FrameError>;

    /// File `index`, counted over all it is about.
    fn file(&self, index: usize) -> Option<&FileSpec>;

    /// How many files there are.
    fn file_count(&self) -> usize;

    /// Its limits.
    fn limits(&self) -> TaskLimits;

    /// What the worker's last frame means, with what the server knows better put right.
    ///
    /// # Errors
    /// `Protocol` if it is not what was asked for.
    fn conclude(&self, last: FromWorker, ready: Ready) -> Result<Self::Output, InspectionError>;
}

fn protocol(what: impl Into<String>) -> InspectionError {
    InspectionError::Protocol(what.into())
}

impl Task for JobSpec {
    type Output = InspectionReport;

    fn frame(&self) -> Result<Vec<u8>, FrameError> {
        frame::job_frame(self)
    }

    fn file(&self, index: usize) -> Option<&FileSpec> {
        self.files.get(index)
    }

    fn file_count(&self) -> usize {
        self.files.len()
    }

    fn limits(&self) -> TaskLimits {
        TaskLimits {
            read_bytes_max: self.limits.read_bytes_max,
            cpu_seconds_max: self.limits.cpu_seconds_max,
            wall_seconds_max: self.limits.wall_seconds_max,
            memory_bytes_max: self.limits.memory_bytes_max,
        }
    }

    fn conclude(&self, last: FromWorker, ready: Ready) -> Result<InspectionReport, InspectionError> {
        let FromWorker::Done(mut report) = last else { return Err(protocol("it answered what it was not asked")) };
        if report.schema != REPORT_SCHEMA {
            return Err(protocol("a report of another form"));
        }
        if report.findings.len() > FINDING_COUNT_MAX || !report.findings.iter().all(Finding::is_bounded) {
            return Err(protocol("a report with findings beyond their limits"));
        }
        if let Some(screen) = self.screens.iter().find(|screen| !report.screens.contains_key(*screen)) {
            return Err(protocol(format!("a report without the screen `{}`", screen.word())));
        }
        report.dataset.clone_from(&self.dataset);
        report.version.clone_from(&self.version);
        report.manifest_sha256.clone_from(&self.manifest_sha256);
        report.files.clone_from(&self.files);
        report.seed = self.seed;
        report.started_us = self.now_us;
        report.worker_version = ready.version;
        report.confinement = ready.confinement;
        report.reference = self.reference.as_ref().map(|reference| reference.name.clone());
        report.contract_sha256 = self.contract_yaml.as_ref().map(|yaml| kernel::hex(&kernel::sha256(yaml.as_bytes())));
        report.summary.size_bytes = self.files.iter().fold(0, |sum, file| sum.saturating_add(file.size_bytes));
        report.add_findings([]);
        Ok(*report)
    }
}

impl Task for QueryJob {
    type Output = QueryReport;

    fn frame(&self) -> Result<Vec<u8>, FrameError> {
        frame::query_frame(self)
    }

    fn file(&self, index: usize) -> Option<&FileSpec> {
        let mut left = index;
        for table in &self.tables {
            match left.checked_sub(table.files.len()) {
                Some(beyond) => left = beyond,
                None => return table.files.get(left),
            }
        }
        None
    }

    fn file_count(&self) -> usize {
        self.tables.iter().map(|table| table.files.len()).sum()
    }

    fn limits(&self) -> TaskLimits {
        TaskLimits {
            read_bytes_max: self.limits.read_bytes_max,
            cpu_seconds_max: self.limits.cpu_seconds_max,
            wall_seconds_max: self.limits.wall_seconds_max,
            memory_bytes_max: self.limits.memory_bytes_max,
        }
    }

    fn conclude(&self, last: FromWorker, ready: Ready) -> Result<QueryReport, InspectionError> {
        let FromWorker::Answered(mut report) = last else { return Err(protocol("it answered what it was not asked")) };
        if !report.is_bounded() {
            return Err(protocol("an answer beyond its limits"));
        }
        report.worker_version = ready.version;
        report.confinement = ready.confinement;
        Ok(*report)
    }
}
