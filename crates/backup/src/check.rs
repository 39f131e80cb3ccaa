//! Checks backups: that the manifests are the server's and follow one another, and that every part is there, whole, and opens.

use audit::checkpoint::Checkpoint;
use vault::db::snapshot::{POSTGRES, SQLITE};

use crate::chain::Chain;
use crate::error::BackupError;
use crate::manifest::{Signed, name_of};
use crate::sealed::{self, blob_name, object_name};
use crate::target::Target;
use crate::trust::Trust;

/// Faults that are told of one backup; the rest is counted.
const FAULT_COUNT_MAX: usize = 100;
/// Parts that are noted to be copied anew; the rest is found by the next verification.
const DAMAGED_COUNT_MAX: usize = 10_000;
/// How databases begin, as each engine's snapshots have them: a SQLite file, and an archive of `pg_dump`.
const HEADS: [(&str, &[u8]); 2] = [(SQLITE, b"SQLite format 3\0"), (POSTGRES, b"PGDMP")];

/// What was found of one backup.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Checked {
    /// Its number.
    pub sequence: u64,
    /// Objects that were read.
    pub object_count: u64,
    /// Files that were read and opened.
    pub file_count: u64,
    /// Bytes that were read.
    pub read_bytes: u64,
    /// Records of the log before its point.
    pub point: u64,
    /// Records of the running log, if it was compared.
    pub log_size: Option<u64>,
    /// What is wrong.
    pub faults: Vec<String>,
    /// How much is wrong.
    pub fault_count: u64,
    /// What is missing or damaged, by its name in the place, manifests of other backups among it.
    pub damaged: Vec<String>,
}

impl Checked {
    fn damaged(&mut self, name: String, error: &BackupError) {
        if self.damaged.len() < DAMAGED_COUNT_MAX {
            self.damaged.push(name);
        }
        self.fault(error);
    }

    fn fault(&mut self, error: &BackupError) {
        self.fault_count += 1;
        if self.faults.len() < FAULT_COUNT_MAX {
            self.faults.push(error.to_string());
        }
    }

    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_good(&self) -> bool {
        self.fault_count == 0
    }
}

/// What the running log says to a checkpoint of a backup: its own newest, if it goes on from it.
pub type LogWitness<'a> = &'a (dyn Fn(&Checkpoint) -> Result<Checkpoint, audit::AuditError> + Send + Sync);

/// Reads a whole backup and checks every part of it. What is wrong with other manifests of the place is told too.
///
/// # Errors
/// `Place` if the place cannot be read. Everything else is in the report.
pub async fn check(
    target: &Target,
    trust: &Trust,
    chain: &Chain,
    of: &Signed,
    log: Option<LogWitness<'_>>,
) -> Result<Checked, BackupError> {
    let manifest = &of.manifest;
    let mut report = Checked { sequence: manifest.sequence, point: manifest.log.point, ..Checked::default() };
    for (sequence, error) in chain.faults() {
        report.damaged(name_of(*sequence), error);
    }
    match manifest.log.check(&trust.log) {
        Ok(point) => {
            if let Some(witness) = log {
                match witness(&point.checkpoint) {
                    Ok(now) => report.log_size = Some(now.size),
                    Err(error) => report.fault(&BackupError::Log(error.to_string())),
                }
            }
        }
        Err(error) => report.fault(&error),
    }
    check_database(target, trust, of, &mut report).await?;
    let list = match chain.inventory(target, trust, of).await {
        Ok(list) => list,
        Err(error) => {
            note(&mut report, &blob_name(&manifest.inventory.blob), Err(error))?;
            return Ok(report);
        }
    };
    for (name, file) in &list.files {
        let what = format!("the file `{name}` of backup {}", manifest.sequence);
        let mut length_bytes = 0_u64;
        let read = sealed::read(target, &trust.key, &file.blob, &what, |piece| {
            length_bytes = length_bytes.saturating_add(piece.len() as u64);
            Ok(())
        });
        let read = read
            .await
            .and_then(|()| if length_bytes == file.length_bytes { Ok(()) } else { Err(BackupError::Damaged(what.clone())) });
        report.file_count += 1;
        report.read_bytes = report.read_bytes.saturating_add(file.blob.stored.size_bytes);
        note(&mut report, &blob_name(&file.blob.id), read)?;
    }
    for (id, stored) in &list.objects {
        let what = format!("object {id}");
        let name = object_name(id);
        let read = match target.digest(&name).await? {
            None => Err(BackupError::Missing(what)),
            Some(found) if found != *stored => Err(BackupError::Damaged(what)),
            Some(_) => Ok(()),
        };
        report.object_count += 1;
        report.read_bytes = report.read_bytes.saturating_add(stored.size_bytes);
        note(&mut report, &name, read)?;
    }
    Ok(report)
}

async fn check_database(target: &Target, trust: &Trust, of: &Signed, report: &mut Checked) -> Result<(), BackupError> {
    let sequence = of.manifest.sequence;
    let Some(blob) = of.manifest.database.blob() else {
        report.fault(&BackupError::Malformed(sequence, "its snapshot has no digest".to_owned()));
        return Ok(());
    };
    let what = format!("the database's snapshot of backup {sequence}");
    let Some((_, expected)) = HEADS.iter().find(|(engine, _)| *engine == of.manifest.engine) else {
        let why = format!("its database is of an engine that this program does not know, `{}`", of.manifest.engine);
        report.fault(&BackupError::Malformed(sequence, why));
        return Ok(());
    };
    let mut head = Vec::new();
    let read = sealed::read(target, &trust.key, &blob, &what, |piece| {
        let missing = expected.len().saturating_sub(head.len()).min(piece.len());
        head.extend_from_slice(piece.get(..missing).unwrap_or_default());
        Ok(())
    });
    let read = read.await.and_then(|()| if head == *expected { Ok(()) } else { Err(BackupError::Damaged(what.clone())) });
    report.read_bytes = report.read_bytes.saturating_add(blob.stored.size_bytes);
    note(report, &blob_name(&blob.id), read)
}

/// A place that cannot be read is no finding.
fn note(report: &mut Checked, name: &str, read: Result<(), BackupError>) -> Result<(), BackupError> {
    match read {
        Ok(()) => {}
        Err(BackupError::Place(problem)) => return Err(BackupError::Place(problem)),
        Err(error) => report.damaged(name.to_owned(), &error),
    }
    Ok(())
}
