//! What a worker can be asked to do: an inspection, files without some rows, queries, or to read a contract. The conversation is one for all.

use crate::frame::{self, FrameError};
use crate::job::{FileSpec, JobSpec};
use crate::query::QueryJob;

/// Limits that the server and the kernel enforce on a worker.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TaskLimits {
    /// Bytes that the worker may ask for.
    pub(crate) read_bytes_max: u64,
    /// Bytes that the worker may write.
    pub(crate) write_bytes_max: u64,
    /// Processor seconds of all threads.
    pub(crate) cpu_seconds_max: u64,
    /// Seconds from start to end.
    pub(crate) wall_seconds_max: u64,
    /// Private memory.
    pub(crate) memory_bytes_max: u64,
}

/// Something that a worker is asked to do.
pub(crate) trait Task: Sync {
    /// The frame that hands it over.
    fn frame(&self) -> Result<Vec<u8>, FrameError>;

    /// File `index` of those that may be read.
    fn file(&self, index: usize) -> Option<&FileSpec>;

    /// How many files may be read.
    fn file_count(&self) -> usize;

    /// Its limits.
    fn limits(&self) -> TaskLimits;

    /// How many files are to be written, the first ones of those that are read, and the ranges of rows that are to be left
    /// out of them. Nothing else is ever written.
    fn written(&self) -> Option<(usize, &[(u64, u64)])> {
        None
    }
}

impl Task for JobSpec {
    fn frame(&self) -> Result<Vec<u8>, FrameError> {
        frame::job_frame(self)
    }

    fn file(&self, index: usize) -> Option<&FileSpec> {
        self.readable_at(index)
    }

    fn file_count(&self) -> usize {
        self.readable().count()
    }

    fn limits(&self) -> TaskLimits {
        let limits = &self.limits;
        TaskLimits {
            read_bytes_max: limits.read_bytes_max,
            write_bytes_max: limits.write_bytes_max,
            cpu_seconds_max: limits.cpu_seconds_max,
            wall_seconds_max: limits.wall_seconds_max,
            memory_bytes_max: limits.memory_bytes_max,
        }
    }

    fn written(&self) -> Option<(usize, &[(u64, u64)])> {
        self.clean.as_ref().map(|clean| (self.files.len(), clean.rows.as_slice()))
    }
}

impl Task for QueryJob {
    fn frame(&self) -> Result<Vec<u8>, FrameError> {
        frame::query_frame(self)
    }

    fn file(&self, index: usize) -> Option<&FileSpec> {
        self.tables.iter().flat_map(|table| &table.files).nth(index)
    }

    fn file_count(&self) -> usize {
        self.tables.iter().map(|table| table.files.len()).sum()
    }

    fn limits(&self) -> TaskLimits {
        let limits = &self.limits;
        TaskLimits {
            read_bytes_max: limits.read_bytes_max,
            write_bytes_max: 0,
            cpu_seconds_max: limits.cpu_seconds_max,
            wall_seconds_max: limits.wall_seconds_max,
            memory_bytes_max: limits.memory_bytes_max,
        }
    }
}
