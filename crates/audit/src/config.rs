//! The log's settings and limits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use kernel::Secret;

use crate::error::AuditError;

/// A segment, unless set otherwise.
pub const SEGMENT_BYTES: u64 = 64 * 1024 * 1024;
/// The smallest segment: it must hold its header and a record of the largest size.
pub const SEGMENT_BYTES_MIN: u64 = 128 * 1024;
/// The largest segment.
pub const SEGMENT_BYTES_MAX: u64 = 1024 * 1024 * 1024;
/// The segment that a first start, or a late spare, makes do with: quick to fill with zeros.
pub const STARTER_BYTES: u64 = 1024 * 1024;
/// The reserve for a full disk.
pub const BALLAST_BYTES: u64 = 16 * 1024 * 1024;
/// How long an act waits for its intent to be durable before it is refused.
pub const WAIT_MAX: Duration = Duration::from_secs(2);
/// How often a checkpoint is signed while the log grows.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_secs(1);
/// Records that may wait for the disk in memory; beyond it acts are refused.
pub const QUEUE_COUNT_MAX: usize = 65_536;
/// Bytes that may wait for the disk in memory.
pub const QUEUE_BYTES_MAX: usize = 64 * 1024 * 1024;
/// How long a record that nobody waits for may sit before it is written by itself.
pub const LAZY_DELAY: Duration = Duration::from_millis(5);
/// How often a broken disk is tried again.
pub const RETRY_INTERVAL: Duration = Duration::from_millis(250);

/// Verbs that still pass while the log lives on its reserve: what it takes to come in and make room. A pattern ends with
/// `*` or begins with it. Not what strangers and probes ask for without end, `server.health` least of all: it would eat up
/// the reserve, and say that all is well.
pub const BALLAST_ACTIONS: &[&str] = &["audit.*", "sessions.*", "tokens.*", "*.delete", "objects.sweep"];

/// What touches the disk: a test's hook is asked before each.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiskAct {
    /// Filling a new segment with zeros.
    Allocate,
    /// Writing into a segment.
    Write,
    /// Making a segment's bytes durable.
    Sync,
    /// Writing a tile, a bundle or a checkpoint.
    Project,
}

/// A hook that makes the disk fail, for tests and drills.
pub type DiskFault = Arc<dyn Fn(DiskAct) -> std::io::Result<()> + Send + Sync>;

/// What to do when the folder and the database do not fit together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnMismatch {
    /// Refuse to start.
    #[default]
    Refuse,
    /// Go on from what is there, and record that it was done: `audit recover --accept`.
    Accept,
}

/// The settings of one log.
#[derive(Clone)]
pub struct AuditConfig {
    /// Its folder.
    pub dir: PathBuf,
    /// Its name in checkpoints, such as `host.example/audit/<random>`.
    pub origin: String,
    /// The Ed25519 seed (32 bytes) that signs checkpoints.
    pub signing_seed: Secret,
    /// The key (16 bytes or more) of this installation, under which addresses are hidden and outbox rows are sealed.
    pub install_key: Secret,
    /// The size of a segment.
    pub segment_bytes: u64,
    /// The size of the reserve for a full disk.
    pub ballast_bytes: u64,
    /// How often a checkpoint is signed while the log grows.
    pub checkpoint_interval: Duration,
    /// How long an act waits for its intent to be durable.
    pub wait_max: Duration,
    /// The witnesses whose cosignatures are kept: verifier keys.
    pub witness_keys: Vec<String>,
    /// What to do on a mismatch.
    pub on_mismatch: OnMismatch,
    /// Makes the disk fail.
    pub disk_fault: Option<DiskFault>,
}

impl AuditConfig {
    /// The usual settings.
    #[must_use]
    pub fn new(dir: &Path, origin: &str, signing_seed: Secret, install_key: Secret) -> Self {
        Self {
            dir: dir.to_path_buf(),
            origin: origin.to_owned(),
            signing_seed,
            install_key,
            segment_bytes: SEGMENT_BYTES,
            ballast_bytes: BALLAST_BYTES,
            checkpoint_interval: CHECKPOINT_INTERVAL,
            wait_max: WAIT_MAX,
            witness_keys: Vec::new(),
            on_mismatch: OnMismatch::Refuse,
            disk_fault: None,
        }
    }

    /// The key that checks this log's checkpoints.
    ///
    /// # Errors
    /// `Config` if the origin or the seed cannot be used.
    pub fn verifier_key(&self) -> Result<String, AuditError> {
        let signer = crate::note::NoteSigner::new(&self.origin, crate::note::KIND_ED25519, &self.signing_seed)?;
        Ok(signer.key().to_string())
    }

    pub(crate) fn check(&self) -> Result<(), AuditError> {
        let sizes = SEGMENT_BYTES_MIN..=SEGMENT_BYTES_MAX;
        if !sizes.contains(&self.segment_bytes) || !sizes.contains(&self.ballast_bytes) {
            return Err(AuditError::Config(format!(
                "`segment_bytes` and `ballast_bytes` lie between {SEGMENT_BYTES_MIN} and {SEGMENT_BYTES_MAX}"
            )));
        }
        if self.install_key.expose().len() < 16 {
            return Err(AuditError::Config("`install_key` has at least 16 bytes".to_owned()));
        }
        Ok(())
    }
}

/// Whether `action` passes while the log lives on its reserve.
#[must_use]
pub fn passes_on_ballast(action: &str) -> bool {
    BALLAST_ACTIONS.iter().any(|pattern| pattern_holds(pattern, action))
}

/// Whether `pattern` (plain, `start*` or `*end`) covers `action`.
#[must_use]
pub fn pattern_holds(pattern: &str, action: &str) -> bool {
    match (pattern.strip_suffix('*'), pattern.strip_prefix('*')) {
        (Some(start), _) => action.starts_with(start),
        (None, Some(end)) => action.ends_with(end),
        (None, None) => pattern == action,
    }
}

/// Whether any of `patterns`, with commas between them, covers `action`.
#[must_use]
pub fn any_holds(patterns: &str, action: &str) -> bool {
    patterns.split(',').any(|pattern| pattern_holds(pattern, action))
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Every verb of every room, out of the policy's schema.
    pub(crate) fn known_actions() -> Vec<&'static str> {
        let schema = include_str!("../../../policies/strongroom.cedarschema");
        let is_verb =
            |word: &&str| word.contains('.') && word.bytes().all(|b| b.is_ascii_lowercase() || matches!(b, b'.' | b'_'));
        let words: Vec<_> = schema.split('"').skip(1).step_by(2).filter(is_verb).collect();
        assert!(words.len() > 80, "{words:?}");
        words
    }

    #[test]
    fn what_passes_on_the_reserve_are_verbs_that_exist() {
        for pattern in BALLAST_ACTIONS {
            assert!(known_actions().iter().any(|action| pattern_holds(pattern, action)), "`{pattern}` covers no verb");
        }
        for (action, passes) in [("server.health", false), ("runs.delete", true), ("objects.sweep", true), ("runs.log", false)] {
            assert_eq!(passes_on_ballast(action), passes, "{action}");
        }
    }
}
