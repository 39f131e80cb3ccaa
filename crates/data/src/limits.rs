//! The room's limits.

use std::time::Duration;

/// Data sets of a workspace.
pub const DATASET_COUNT_MAX: i64 = 100_000;
/// Data sets of a list for whoever was let into single ones.
pub const GRANTED_COUNT_MAX: usize = 10_000;
/// Versions of a data set.
pub const VERSION_COUNT_MAX: i64 = 100_000;
/// Versions of a data set that may be open at once.
pub const OPEN_COUNT_MAX: i64 = 32;
/// How long a version may stay open before it is swept.
pub const OPEN_AGE_MAX: Duration = Duration::from_secs(24 * 3_600);
/// Files of a version.
pub const FILE_COUNT_MAX: i64 = 10_000;
/// One file, unless the configuration says otherwise.
pub const FILE_BYTES_MAX: u64 = 1 << 40;
/// All files of a version.
pub const VERSION_BYTES_MAX: u64 = 1 << 43;
/// A data set's name, in bytes.
pub const NAME_BYTES_MAX: usize = 128;
/// A text that says where data comes from: source, licence, owner, purpose.
pub const PROVENANCE_BYTES_MAX: usize = 1_000;
/// A reason for a decision.
pub const REASON_BYTES_MAX: usize = 2_000;
/// A data contract.
pub const CONTRACT_BYTES_MAX: usize = 1024 * 1024;
/// Columns named as texts, probabilities or ignored.
pub const ROLE_COLUMN_COUNT_MAX: usize = 4_096;
/// Parents of a version.
pub const PARENT_COUNT_MAX: usize = 64;
/// Ranges of rows that a cleaned version lacks.
pub const CLEANED_RANGE_COUNT_MAX: usize = 1_000_000;
/// The list of those ranges, as JSON.
pub const REMOVED_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// Findings whose rows are left out at once.
pub const FINDING_ID_COUNT_MAX: usize = 64;
/// Other versions that a version is checked against.
pub const OTHER_COUNT_MAX: usize = 32;
/// Trusted sources of a workspace.
pub const SOURCE_COUNT_MAX: i64 = 1_000;
/// A trusted source's pattern, in bytes.
pub const PATTERN_BYTES_MAX: usize = 500;
/// Inspections of one version that are kept; a further one is refused.
pub const INSPECTION_COUNT_MAX: i64 = 100;
/// How often an inspection is tried before it counts as failed: a process that dies takes up one.
pub const ATTEMPT_COUNT_MAX: i64 = 3;
/// How often an inspection's progress is written down.
pub const PROGRESS_EVERY: Duration = Duration::from_secs(1);
/// Contracts that are checked at once before they are set.
pub const CONTRACT_CHECK_COUNT_MAX: usize = 4;
/// How long a contract may be tried on data before it is set; an inspection has longer.
pub const CONTRACT_CHECK_SECONDS_MAX: u64 = 60;
/// Queries of callers that run at once; each may take as much memory as an inspection.
pub const QUERY_COUNT_MAX: usize = 2;
/// The longest life of a waiver.
pub const WAIVER_DAYS_MAX: i64 = 366;
/// Rows of a page, unless asked otherwise.
pub const PAGE_ROWS_DEFAULT: usize = 100;
/// Rows of a page.
pub const PAGE_ROWS_MAX: usize = 1_000;
/// Paths that a comparison of versions names per kind of change; the rest is counted.
pub const DIFF_PATH_COUNT_MAX: usize = 1_000;
/// Open versions that one sweep takes away.
pub const SWEEP_COUNT_MAX: i64 = 100;
/// Rules of a verdict's policy.
pub const RULE_COUNT_MAX: usize = 1_000;
