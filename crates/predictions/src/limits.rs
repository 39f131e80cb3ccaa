//! The room's limits.

use std::time::Duration;

/// Bytes that are kept of one request's values.
pub const VALUES_BYTES_MAX: usize = 32 << 20;
/// Bytes of one segment of the journal; then the next one begins.
pub const SEGMENT_BYTES_MAX: u64 = 16 << 20;
/// How often the journal is brought to the disk: a killed process loses nothing, a power cut what is younger.
pub const SYNC_EVERY: Duration = Duration::from_millis(100);
/// How long it is remembered what is logged of an endpoint, and a subject's key.
pub const REMEMBER: Duration = Duration::from_secs(5);
/// Subjects whose keys are remembered.
pub const SUBJECT_COUNT_MAX: usize = 10_000;
/// A subject, as clients name it.
pub const SUBJECT_BYTES_MAX: usize = 256;
/// Endpoints and versions that are told of a subject.
pub const HELD_ROWS_MAX: i64 = 1_000;
/// Rows of a page, unless asked otherwise.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Rows of a page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// Batches that one call reads to find rows.
pub const BATCH_COUNT_MAX: usize = 10_000;
/// Queries at once.
pub const QUERY_COUNT_MAX: usize = 4;
/// Bytes of one row, as JSON, that a query sees with its values.
pub const QUERY_ROW_BYTES_MAX: usize = 1 << 20;
/// Values of such a row.
pub const QUERY_ROW_VALUE_COUNT_MAX: usize = 8_192;
/// How long a reader waits for the newest predictions to be sealed.
pub const SETTLE_WAIT_MAX: Duration = Duration::from_secs(10);
/// Batches that one expiry takes away.
pub const EXPIRE_COUNT_MAX: i64 = 1_000;
