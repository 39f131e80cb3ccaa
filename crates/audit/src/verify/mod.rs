//! Verification from the files alone, without the running log: signature, every entry, every tile, every segment, and
//! the database's rows where they are given. It finds any changed byte and names the first bad index and file.
//!
//! INVARIANT: any single flipped byte in a segment, tile, bundle or checkpoint is found. Held by `tests/it/flips.rs`.

mod around;
mod segments;
mod tree;

use std::path::Path;
use std::time::Instant;

use kernel::Secret;
use serde::Serialize;
use vault::db::OutboxRow;

use crate::checkpoint::Checkpoint;
use crate::error::AuditError;
use crate::note::VerifierKey;
use crate::recovery::Folders;
use crate::store::CheckpointRow;

/// Faults that are listed; further ones are counted.
pub const FAULT_COUNT_MAX: usize = 100;

/// Whom a verifier trusts (c2sp.org/tlog-policy).
#[derive(Clone, Debug)]
pub struct Policy {
    /// The log's key.
    pub log: VerifierKey,
    /// Its witnesses' keys.
    pub witnesses: Vec<VerifierKey>,
    /// The installation's key, with which rows of the outbox can be checked.
    pub install_key: Option<Secret>,
}

/// The log's rows in the database.
#[derive(Clone, Debug, Default)]
pub struct DatabaseRows {
    /// The rows of `audit_checkpoint`.
    pub checkpoints: Vec<CheckpointRow>,
    /// The rows of `audit_outbox`.
    pub outbox: Vec<OutboxRow>,
}

/// Something that is not as it was written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fault {
    /// The file, from the log's folder on, or the table.
    pub place: String,
    /// The record, where one can be named.
    pub index: Option<u64>,
    /// What is wrong.
    pub what: String,
}

/// What a verification found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether all of it holds.
    pub ok: bool,
    /// Which log.
    pub origin: String,
    /// Records under the signed checkpoint.
    pub size: u64,
    /// The signed root, in hex.
    pub root: String,
    /// Records checked from the bundles up to the root.
    pub entry_count: u64,
    /// Records checked in the segments.
    pub segment_record_count: u64,
    /// Records in the segments that no checkpoint covers yet.
    pub unsigned_count: u64,
    /// Cosignatures of known witnesses.
    pub cosignature_count: u64,
    /// What is wrong, in the order in which it was found.
    pub faults: Vec<Fault>,
    /// How many faults there are.
    pub fault_count: u64,
    /// What is worth knowing and no fault.
    pub notes: Vec<String>,
    /// How long it took.
    pub elapsed_ms: u64,
}

impl Policy {
    /// Trusts one log, by its verifier key.
    ///
    /// # Errors
    /// `Malformed` if it is not a key.
    pub fn of_key(key: &str) -> Result<Self, AuditError> {
        Ok(Self { log: VerifierKey::parse(key)?, witnesses: Vec::new(), install_key: None })
    }

    /// Reads a policy file: `log <key>`, `witness <name> <key> [<url>]`; `group` and `quorum` lines are passed over.
    ///
    /// # Errors
    /// `Malformed` on any other line, or without a log.
    pub fn parse(text: &str) -> Result<Self, AuditError> {
        let mut log = None;
        let mut witnesses = Vec::new();
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let words: Vec<&str> = line.split_whitespace().collect();
            match words.as_slice() {
                ["log", key, ..] => log = Some(VerifierKey::parse(key)?),
                ["witness", _, key, ..] => witnesses.push(VerifierKey::parse(key)?),
                ["group" | "quorum", ..] => {}
                _ => return Err(AuditError::malformed(format!("`{line}` is not a line of a log policy"))),
            }
        }
        let log = log.ok_or_else(|| AuditError::malformed("the policy names no log"))?;
        Ok(Self { log, witnesses, install_key: None })
    }
}

impl Report {
    pub(crate) fn fault(&mut self, place: impl Into<String>, index: Option<u64>, what: impl Into<String>) {
        self.fault_count = self.fault_count.saturating_add(1);
        if self.faults.len() < FAULT_COUNT_MAX {
            self.faults.push(Fault { place: place.into(), index, what: what.into() });
        }
    }

    pub(crate) fn note(&mut self, what: impl Into<String>) {
        if self.notes.len() < FAULT_COUNT_MAX {
            self.notes.push(what.into());
        }
    }

    /// The first bad record, where one can be named.
    #[must_use]
    pub fn first_bad_index(&self) -> Option<u64> {
        self.faults.iter().filter_map(|fault| fault.index).min()
    }
}

/// Told of progress: records checked, records in all.
pub type Progress<'a> = &'a mut dyn FnMut(u64, u64);

/// One verification under way.
pub(crate) struct Check<'a> {
    pub dir: &'a Path,
    pub folders: Folders,
    pub policy: &'a Policy,
    /// A server has the log open: files may appear, grow and go while they are looked at.
    pub live: bool,
    pub report: Report,
}

/// Verifies the log in `dir` from its files, and the database's rows if they are given.
///
/// The log may be open in a server meanwhile.
///
/// # Errors
/// `Io` if the folder cannot be read at all. Everything else is in the report.
pub fn verify_directory(
    dir: &Path,
    policy: &Policy,
    database: Option<&DatabaseRows>,
    progress: Progress<'_>,
) -> Result<Report, AuditError> {
    let began = Instant::now();
    std::fs::read_dir(dir).map_err(AuditError::io(dir))?;
    let live = std::fs::File::open(dir.join("lock")).is_ok_and(|file| file.try_lock().is_err());
    let mut check = Check { dir, folders: Folders::of(dir), policy, live, report: Report::default() };
    check.report.origin.clone_from(&policy.log.name);
    let signed = check.read_checkpoint();
    let anchors = check.read_anchors();
    let mut wanted: Vec<u64> = anchors.iter().map(|(_, checkpoint)| checkpoint.size).collect();
    if let Some(rows) = database {
        wanted.extend(rows.checkpoints.iter().filter_map(|row| u64::try_from(row.size).ok()));
    }
    let size = signed.as_ref().map_or(0, |signed| signed.size);
    let mut tree = tree::TreeCheck::new(wanted);
    tree.run(&mut check, size, progress)?;
    if let Some(signed) = &signed {
        check.report.size = signed.size;
        check.report.root = kernel::hex(&signed.root);
        if tree.root() != signed.root {
            check.report.fault("log/checkpoint", None, "the tree's root is not the signed one");
        }
    }
    segments::check(&mut check, &mut tree)?;
    around::walk(&mut check, &tree, size)?;
    around::compare_roots(&mut check, &tree, &anchors);
    if let Some(rows) = database {
        around::compare_database(&mut check, &tree, rows, signed.as_ref());
    }
    let mut report = check.report;
    report.ok = report.fault_count == 0;
    report.elapsed_ms = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(report)
}

impl Check<'_> {
    /// The signed checkpoint. Its file must be exactly what the log writes: one signature and nothing else.
    fn read_checkpoint(&mut self) -> Option<Checkpoint> {
        let bytes = match std::fs::read(self.folders.checkpoint()) {
            Ok(bytes) => bytes,
            Err(error) => {
                self.report.fault("log/checkpoint", None, format!("it cannot be read: {error}"));
                return None;
            }
        };
        match Checkpoint::open(&bytes, &self.policy.log) {
            Ok((checkpoint, note)) if note.signatures.len() == 1 && note.to_string().into_bytes() == bytes => Some(checkpoint),
            Ok(_) => {
                self.report.fault("log/checkpoint", None, "it is not as the log wrote it");
                None
            }
            Err(error) => {
                self.report.fault("log/checkpoint", None, error.to_string());
                None
            }
        }
    }

    /// Where `path` is, from the log's folder on.
    pub(crate) fn place(&self, path: &Path) -> String {
        path.strip_prefix(self.dir).unwrap_or(path).display().to_string()
    }
}
