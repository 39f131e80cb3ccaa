//! The room's limits.

use std::time::Duration;

/// A reason for a decision.
pub const REASON_BYTES_MAX: usize = 2_000;
/// Revisions of one model's gate file.
pub const GATE_REVISION_COUNT_MAX: i64 = 10_000;
/// Revisions that are shown.
pub const GATE_SHOWN_COUNT_MAX: i64 = 100;
/// Inspections of one version that are kept; a further one is refused.
pub const INSPECTION_COUNT_MAX: i64 = 100;
/// How often an inspection is tried before it counts as failed: a process that dies takes up one.
pub const ATTEMPT_COUNT_MAX: i64 = 3;
/// Versions that one act queues to be judged by new rules.
pub const RESCAN_COUNT: usize = 200;
/// Admitted versions that are inspected again because a key or certificate was revoked, the newest first.
pub const REVOKED_COUNT_MAX: usize = 2_000;
/// How often an inspection's progress is written down.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// The longest life of a waiver.
pub const WAIVER_DAYS_MAX: i64 = 366;
/// Rows of a page, unless asked otherwise.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Rows of a page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// How often the signers of a workspace may be changed.
pub const SIGNERS_COUNT_MAX: i64 = 10_000;
/// Bytes of a version that a check reads again; of a larger one only what the database says is compared.
pub const VERIFY_BYTES_MAX: u64 = 1 << 30;
/// Bytes that a check reads at a time.
pub const VERIFY_READ_BYTES: u64 = 4 * 1024 * 1024;
/// Versions that are checked at once.
pub const VERIFY_COUNT_MAX: usize = 2;
/// The largest `model.sig` that is looked at.
pub const SIGNATURE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Data that is read to calibrate the guard; larger data is left out, and the model's endpoints are guarded by budgets alone.
pub const GUARD_DATA_BYTES_MAX: u64 = 1 << 30;
/// The largest report, page or attestation that is kept.
pub const DOCUMENT_BYTES_MAX: u64 = 64 * 1024 * 1024;
