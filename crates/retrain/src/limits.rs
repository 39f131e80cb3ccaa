//! The room's limits.

use std::time::Duration;

/// Files of a code snapshot.
pub const CODE_FILE_COUNT_MAX: usize = 500;
/// Bytes of a code snapshot.
pub const CODE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// The longest `MLproject` that is read.
pub const PROJECT_BYTES_MAX: u64 = 64 * 1024;
/// The longest entry.
pub const ENTRY_BYTES_MAX: usize = 4_096;
/// Words of an entry.
pub const ENTRY_WORD_COUNT_MAX: usize = 64;
/// Parameters of a job.
pub const PARAMETER_COUNT_MAX: usize = 200;
/// A parameter's name.
pub const PARAMETER_NAME_BYTES_MAX: usize = 250;
/// A parameter's value.
pub const PARAMETER_BYTES_MAX: usize = 6_000;
/// All parameters: they are handed over in one variable of the environment.
pub const PARAMETERS_BYTES_MAX: usize = 64 * 1024;
/// Jobs of one workspace that wait or run.
pub const OPEN_JOB_COUNT_MAX: i64 = 100;
/// How long a job waits for its data to be admitted.
pub const WAIT_DAYS_MAX: i64 = 7;
/// How long a job's token lives; jobs are stopped before.
pub const TOKEN_SECONDS: i64 = 3_600;
/// The longest that a job may run: its token must outlast it.
pub const JOB_SECONDS_MAX: u64 = 3_500;
/// How long the token lives with which a version is registered.
pub const REGISTRAR_SECONDS: i64 = 300;
/// A log's beginning that is kept.
pub const LOG_HEAD_BYTES_MAX: usize = 64 * 1024;
/// A log's end that is kept.
pub const LOG_TAIL_BYTES_MAX: usize = 192 * 1024;
/// How often a job's log and stage are written down.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Files of a data set's version whose addresses a job is given; of more it is given the folder's alone.
pub const DATA_FILE_COUNT_MAX: usize = 500;
/// All addresses of a data set's version: they are handed over in one variable of the environment.
pub const DATA_ADDRESSES_BYTES_MAX: usize = 100 * 1024;
/// Rows of a page, unless asked otherwise.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Rows of a page.
pub const PAGE_ROWS_MAX: usize = 1_000;
