//! The limits of this crate: what the guard keeps of callers is bounded, and forgotten.

use std::time::Duration;

/// Numbers of a projected row.
pub const DIMENSIONS: usize = 64;
/// Bytes of a [`crate::Reference`] as it is kept.
pub const REFERENCE_BYTES_MAX: usize = 256 << 10;
/// Columns of a reference.
pub const COLUMN_COUNT_MAX: usize = 2_048;
/// Bytes of all names of columns and categories of a reference together; what is beyond is not kept by name.
pub const NAME_BYTES_MAX: usize = 48 << 10;
/// Texts of a column that are known one by one; a column with more is open.
pub const CATEGORY_COUNT_MAX: usize = 64;
/// Rows of training data without which nothing is calibrated.
pub const ROW_COUNT_MIN: usize = 200;
/// Rows of training data that are looked at column by column.
pub const COLUMN_ROW_COUNT_MAX: usize = 20_000;
/// Rows of training data that stand for it: a query far from all of them is unlike it, and each is a cell of its space.
pub const ANCHOR_COUNT_MAX: usize = 512;

/// Queries of one caller that are remembered.
pub const RING_QUERY_COUNT_MAX: usize = 4_000;
/// Queries of all callers of an endpoint that are remembered together.
pub const SHARED_QUERY_COUNT_MAX: usize = 8_000;
/// How long a query is remembered.
pub const QUERY_AGE_MAX: Duration = Duration::from_secs(6 * 3_600);
/// Models that one caller's trail, or the shared one, remembers queries for: a canary and its champion.
pub const RINGS_PER_TRAIL_MAX: usize = 2;
/// Bytes of one remembered query: its coordinates, its tag, its place among the known ones.
pub const QUERY_BYTES: usize = 192;
/// Bytes that one caller's trail takes at most.
pub const TRAIL_BYTES_MAX: usize = RINGS_PER_TRAIL_MAX * RING_QUERY_COUNT_MAX * QUERY_BYTES + 1_024;
/// Bytes that the shared trail of an endpoint takes at most.
pub const SHARED_BYTES_MAX: usize = RINGS_PER_TRAIL_MAX * SHARED_QUERY_COUNT_MAX * QUERY_BYTES;

/// The last queries of a caller that are judged together.
pub const WINDOW_QUERY_COUNT: u32 = 10;
/// Near queries among them that make an alarm.
pub const ALARM_HIT_COUNT: u32 = 3;
/// Further near queries for each further step of the ladder.
pub const STEP_HIT_COUNT: u32 = 10;
/// How long a caller behaves before a step of the ladder is taken back.
pub const CALM_AFTER: Duration = Duration::from_secs(15 * 60);
/// How long a refusal lasts the first time; it doubles each time.
pub const REFUSAL: Duration = Duration::from_secs(15 * 60);
/// How long a refusal lasts at most.
pub const REFUSAL_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Rows a minute for a caller who is slowed down.
pub const SLOW_ROWS_PER_MINUTE: u32 = 60;
/// Significant digits of numbers for a caller who gets coarser outputs.
pub const COARSE_DIGITS: u8 = 2;
/// The time over which a budget comes back.
pub const BUDGET_PERIOD: Duration = Duration::from_secs(24 * 3_600);
