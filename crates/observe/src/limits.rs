//! Every bound of this room.

/// Endpoints and versions that are counted at once; of more, the ones that were not asked for longest make room.
pub const LIVE_COUNT_MAX: usize = 512;
/// Minutes of one version that wait to be written; older ones are merged.
pub const WAITING_MINUTES_MAX: usize = 120;
/// Predictions of one version that wait to be written, so that labels find them.
pub const WAITING_PREDICTIONS_MAX: usize = 5_000;
/// Rows of one request whose predictions are kept for labels.
pub const KEPT_ROWS_MAX: usize = 1_000;
/// Minutes that are judged.
pub const JUDGED_MINUTES: i64 = 1_440;
/// Minutes behind the longest window of the burn rates.
pub const BURN_MINUTES: i64 = 4_320;
/// Minutes of traffic that are shown if nothing is said.
pub const TRAFFIC_MINUTES_DEFAULT: i64 = 60;
/// And at most.
pub const TRAFFIC_MINUTES_MAX: i64 = 1_440;
/// Labels that one request brings.
pub const LABEL_COUNT_MAX: usize = 10_000;
/// Alerts that one message of an Alertmanager brings.
pub const RECEIVED_COUNT_MAX: usize = 500;
/// A page's rows, if nothing is said.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// And at most.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// Tries after which news is given up.
pub const DELIVERY_ATTEMPTS_MAX: i64 = 10;
/// News that is sent to one receiver in one round.
pub const DELIVERY_ROUND_COUNT: usize = 20;
/// Receivers of each kind.
pub const RECEIVER_COUNT_MAX: usize = 8;
/// Endpoints that have series of their own in the metrics; the others are left out, and that is said.
pub const SERIES_ENDPOINT_COUNT_MAX: usize = 200;
/// Bytes of a text that comes from outside.
pub const TEXT_BYTES_MAX: usize = 1_024;
/// How long a remedy that was begun keeps others from running it, in microseconds.
pub const REMEDY_BEGUN_US_MAX: i64 = 600_000_000;
