//! The room's settings and limits.

use std::time::Duration;

use serde::{Deserialize, Serialize};

/// The largest artifact, unless the configuration says otherwise: what S3 takes too.
const UPLOAD_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024 * 1024;
/// Parts of one multipart upload.
pub(crate) const PART_COUNT_MAX: i64 = 10_000;
/// One part.
pub(crate) const PART_BYTES_MAX: u64 = 5 * 1024 * 1024 * 1024;
/// Multipart uploads that one run or model may have open.
pub(crate) const UPLOAD_OPEN_COUNT_MAX: i64 = 256;
/// Entries of one listed folder.
pub(crate) const LIST_COUNT_MAX: usize = 100_000;
/// Files that one delete takes away.
pub(crate) const DELETE_COUNT_MAX: usize = 100_000;
/// Folders within folders.
pub(crate) const PATH_DEPTH_MAX: usize = 64;
/// Object keys that are wrapped anew in one transaction.
pub(crate) const REWRAP_BATCH_COUNT: i64 = 500;
/// Rows that a verification looks at in one go.
pub(crate) const VERIFY_BATCH_COUNT: i64 = 500;
/// An object that no row names may be on its way to one for this long.
pub(crate) const ORPHAN_AGE_MIN: Duration = Duration::from_secs(24 * 3_600);
/// An upload that nobody went on with for this long is taken away.
pub(crate) const UPLOAD_AGE_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// The section `[artifacts]` of the configuration.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct ArtifactsConfig {
    /// The largest artifact that is taken.
    pub upload_bytes_max: u64,
}

impl Default for ArtifactsConfig {
    fn default() -> Self {
        Self { upload_bytes_max: UPLOAD_BYTES_MAX }
    }
}
