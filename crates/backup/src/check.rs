//! Checks backups: that the manifests are the server's and follow one another, and that every part is there, whole, and opens.

use std::collections::BTreeMap;

use audit::checkpoint::Checkpoint;
use kernel::Problem;
use vault::db::snapshot::{POSTGRES, SQLITE};

use crate::error::BackupError;
use crate::inventory::Inventory;
use crate::manifest::{self, MANIFEST_BYTES_MAX, Signed, name_of, sequence_of};
use crate::sealed;
use crate::target::Target;
use crate::trust::Trust;

/// An inventory is refused beyond this: 10 million objects.
const INVENTORY_BYTES_MAX: usize = 1 << 30;
/// Faults that are told of one backup; the rest is counted.
const FAULT_COUNT_MAX: usize = 100;
/// How databases begin, as each engine's snapshots have them: a SQLite file, and an archive of `pg_dump`.
const HEADS: [(&str, &[u8]); 2] = [(SQLITE, b"SQLite format 3\0"), (POSTGRES, b"PGDMP")];

/// The manifests of a place, in order, each signed by the trusted key and following the one before it.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    all: BTreeMap<u64, Signed>,
}

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
}

impl Checked {
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

impl Chain {
    /// Reads all manifests of a place.
    ///
    /// # Errors
    /// `Signer`, `Malformed`, `Chain` or `Foreign` for the first that does not hold.
    pub async fn read(target: &Target, trust: &Trust) -> Result<Self, BackupError> {
        let mut sequences: Vec<u64> = target.list("manifests").await?.iter().filter_map(|name| sequence_of(name)).collect();
        sequences.sort_unstable();
        let mut chain = Self::default();
        for sequence in sequences {
            let name = name_of(sequence);
            let bytes = target.read_whole(&name, MANIFEST_BYTES_MAX).await?;
            let bytes = bytes.ok_or_else(|| BackupError::Missing(format!("`{name}`")))?;
            let signed = manifest::open(sequence, &bytes, &trust.signer)?;
            if signed.manifest.instance != trust.instance {
                return Err(BackupError::Foreign(target.shown().to_owned()));
            }
            chain.follow(signed)?;
        }
        Ok(chain)
    }

    /// Adds the next one. The first that is kept may name one that was taken away since.
    fn follow(&mut self, next: Signed) -> Result<(), BackupError> {
        let sequence = next.manifest.sequence;
        if let Some((last, before)) = self.all.last_key_value() {
            let wrong = |why: String| Err(BackupError::Chain(sequence, why));
            if next.manifest.previous.as_deref() != Some(kernel::hex(&before.sha256).as_str()) {
                return wrong(format!(
                    "it does not name the manifest of backup {last}: one between them is missing or was exchanged"
                ));
            }
            if next.manifest.started_at < before.manifest.started_at {
                return wrong(format!("it is older than backup {last}"));
            }
        }
        self.all.insert(sequence, next);
        Ok(())
    }

    /// The newest.
    #[must_use]
    pub fn newest(&self) -> Option<&Signed> {
        self.all.last_key_value().map(|(_, signed)| signed)
    }

    /// That of a number.
    #[must_use]
    pub fn get(&self, sequence: u64) -> Option<&Signed> {
        self.all.get(&sequence)
    }

    /// All, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Signed> {
        self.all.values()
    }

    /// That of a number, or the newest.
    ///
    /// # Errors
    /// `None` if there is none.
    pub fn find(&self, target: &Target, sequence: Option<u64>) -> Result<&Signed, BackupError> {
        let found = match sequence {
            Some(sequence) => self.get(sequence),
            None => self.newest(),
        };
        found.ok_or_else(|| match sequence {
            Some(sequence) => BackupError::None(format!("{}, number {sequence}", target.shown())),
            None => BackupError::None(target.shown().to_owned()),
        })
    }

    /// Compares with what the server knows of the place: a manifest that was exchanged for an older one, or taken away at the end,
    /// is found by that alone.
    ///
    /// # Errors
    /// `Chain` for the first that is not what the server made.
    pub fn compare(&self, known: &[(u64, Vec<u8>)]) -> Result<(), BackupError> {
        let first = self.all.keys().next().copied().unwrap_or(u64::MAX);
        for (sequence, digest) in known {
            match self.get(*sequence) {
                Some(found) if found.sha256.as_slice() == digest => {}
                Some(_) => {
                    return Err(BackupError::Chain(*sequence, "its manifest is not the one that this server made".to_owned()));
                }
                None if *sequence < first && first != u64::MAX => {}
                None => return Err(BackupError::Chain(*sequence, "this server made it, and its manifest is missing".to_owned())),
            }
        }
        Ok(())
    }

    /// What a backup holds.
    ///
    /// # Errors
    /// `Missing`, `Damaged` or `Sealed`.
    pub async fn inventory(&self, target: &Target, trust: &Trust, of: &Signed) -> Result<Inventory, BackupError> {
        let sequence = of.manifest.sequence;
        let malformed = |why: &str| BackupError::Malformed(sequence, why.to_owned());
        let blob = of.manifest.inventory.blob().ok_or_else(|| malformed("its inventory has no digest"))?;
        let what = format!("the inventory of backup {sequence}");
        let mut text = Vec::new();
        sealed::read(target, &trust.key, &blob, &what, |piece| {
            text.extend_from_slice(piece);
            if text.len() > INVENTORY_BYTES_MAX {
                return Err(Problem::invalid(format!("{what} is longer than {INVENTORY_BYTES_MAX} bytes")));
            }
            Ok(())
        })
        .await?;
        let list = String::from_utf8(text).ok().and_then(|text| Inventory::parse(&text));
        let list = list.ok_or_else(|| malformed("its inventory cannot be read"))?;
        if list.objects.len() as u64 != of.manifest.object_count {
            return Err(malformed("its inventory has another number of objects"));
        }
        Ok(list)
    }
}

/// What the running log says to a checkpoint of a backup: its own newest, if it goes on from it.
pub type LogWitness<'a> = &'a (dyn Fn(&Checkpoint) -> Result<Checkpoint, audit::AuditError> + Send + Sync);

/// Reads a whole backup and checks every part of it.
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
        Err(BackupError::Place(problem)) => return Err(BackupError::Place(problem)),
        Err(error) => {
            report.fault(&error);
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
        note(&mut report, read)?;
    }
    for (id, stored) in &list.objects {
        let what = format!("object {id}");
        let read = match target.digest(&sealed::object_name(id)).await? {
            None => Err(BackupError::Missing(what)),
            Some(found) if found != *stored => Err(BackupError::Damaged(what)),
            Some(_) => Ok(()),
        };
        report.object_count += 1;
        report.read_bytes = report.read_bytes.saturating_add(stored.size_bytes);
        note(&mut report, read)?;
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
    note(report, read)
}

/// A place that cannot be read is no finding.
fn note(report: &mut Checked, read: Result<(), BackupError>) -> Result<(), BackupError> {
    match read {
        Ok(()) => {}
        Err(BackupError::Place(problem)) => return Err(BackupError::Place(problem)),
        Err(error) => report.fault(&error),
    }
    Ok(())
}
