//! The room's settings and limits.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use vault::keys::{NothingRetained, Retained};

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

/// How keys age, and how long the destruction of one waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct KeyPolicy {
    /// After how many days a workspace's key is rotated; 0: never.
    pub rotate_workspace_days: u32,
    /// After how many days the root key is; 0: never.
    pub rotate_root_days: u32,
    /// How many days the destruction of a key waits after it was agreed to.
    pub destroy_wait_days: u32,
}

impl Default for KeyPolicy {
    fn default() -> Self {
        Self { rotate_workspace_days: 365, rotate_root_days: 365, destroy_wait_days: 7 }
    }
}

/// What the verbs of keys stand on.
pub struct KeyGround {
    /// How keys age.
    pub policy: KeyPolicy,
    /// Knows what must be kept.
    pub retained: Arc<dyn Retained>,
    /// Folders in which no key may lie unwrapped.
    pub searched: Vec<PathBuf>,
}

impl Default for KeyGround {
    fn default() -> Self {
        Self { policy: KeyPolicy::default(), retained: Arc::new(NothingRetained), searched: Vec::new() }
    }
}

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
