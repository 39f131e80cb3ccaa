//! The room's limits.

use std::time::Duration;

/// An endpoint's name.
pub const NAME_BYTES_MAX: usize = 100;
/// Endpoints of a workspace.
pub const ENDPOINT_COUNT_MAX: i64 = 1_000;
/// Rows of a page, unless asked otherwise.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Rows of a page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// How long what an endpoint answers with is taken from memory: within this time a refusal or a moved alias holds everywhere.
pub const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// Models that are kept in memory; the one that was used the longest ago goes first.
pub const LOADED_COUNT_MAX: usize = 64;
/// Values (rows by columns) from which on a batch computes on a thread of its own.
pub const LARGE_VALUE_COUNT: usize = 4_096;
/// Shadows that compute at the same time; a request beyond that is answered without one.
pub const SHADOW_COUNT_MAX: usize = 8;
/// Bytes of what decides which version a client's requests go to.
pub const ROUTING_KEY_BYTES_MAX: usize = 256;
