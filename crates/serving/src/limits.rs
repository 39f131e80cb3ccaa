//! The room's limits.

use std::time::Duration;

/// An endpoint's name.
pub const NAME_BYTES_MAX: usize = 100;
/// Endpoints of a workspace.
pub const ENDPOINT_COUNT_MAX: i64 = 1_000;
/// The name of another server, or of a model there.
pub const UPSTREAM_NAME_BYTES_MAX: usize = 200;
/// Rows of a page, unless asked otherwise.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Rows of a page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// How long what an endpoint answers with is taken from memory: within this time a refusal or a moved alias holds everywhere.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Models that are kept in memory; the one that was used the longest ago goes first.
pub const LOADED_COUNT_MAX: usize = 64;
/// Callers of one endpoint that the guard remembers; of more, who asked the longest ago is forgotten.
pub const GUARD_CALLER_COUNT_MAX: usize = 10_000;
/// Callers that are shown.
pub const GUARD_SHOWN_COUNT_MAX: usize = 200;
/// Rows of one request that the guard looks at; of more, a part.
pub const GUARD_ROW_COUNT_MAX: usize = 1_024;
/// Rows up to which it looks at them at once; more are looked at on a thread of their own.
pub const GUARD_INLINE_ROW_COUNT: usize = 64;
/// How often the guard forgets what is old.
pub const GUARD_SWEEP_EVERY: Duration = Duration::from_secs(60);
/// How often it looks for training data to compare with, where none was known.
pub const REFERENCE_LOOK_AGAIN: Duration = Duration::from_secs(60);
/// The largest budget of rows a day.
pub const ROWS_PER_DAY_MAX: u64 = 1_000_000_000_000;
/// Digits that outputs can be rounded to.
pub const DIGITS_MAX: u8 = 15;
/// Classes that can be told.
pub const TOP_K_MAX: u16 = 10_000;
/// The longest time for which a person slows a caller down.
pub const THROTTLE_MAX: Duration = Duration::from_secs(366 * 24 * 3_600);
/// Bytes of a caller's id.
pub const CALLER_BYTES_MAX: usize = 200;
/// Values (rows by columns) from which on a batch computes on a thread of its own.
pub const LARGE_VALUE_COUNT: usize = 4_096;
/// Shadows that compute at the same time; a request beyond that is answered without one.
pub const SHADOW_COUNT_MAX: usize = 8;
/// Bytes of what decides which version a client's requests go to.
pub const ROUTING_KEY_BYTES_MAX: usize = 256;
