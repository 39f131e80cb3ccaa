//! The manifests of a place: which are the server's, whether they follow one another, and which of them do not. A manifest that is none spoils
//! its own backup and no other.

use std::collections::BTreeMap;

use kernel::Problem;

use crate::error::BackupError;
use crate::inventory::Inventory;
use crate::manifest::{self, MANIFEST_BYTES_MAX, Signed, name_of, sequence_of};
use crate::sealed;
use crate::target::Target;
use crate::trust::Trust;

/// An inventory is refused beyond this: 10 million objects.
const INVENTORY_BYTES_MAX: usize = 1 << 30;

/// A backup that is whole, as the server knows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its number.
    pub sequence: u64,
    /// SHA-256 of its manifest.
    pub sha256: Vec<u8>,
    /// Whether the server keeps the manifest too, as it does until it takes the backup away itself.
    pub is_kept: bool,
}

/// The manifests of a place, in order, each signed by the trusted key; and what is wrong with the rest, and between them.
#[derive(Debug, Default)]
pub struct Chain {
    all: BTreeMap<u64, Signed>,
    faults: Vec<(u64, BackupError)>,
}

impl Chain {
    /// Reads all manifests of a place. What is wrong with one of them is among [`Chain::faults`].
    ///
    /// # Errors
    /// `Place` if the place cannot be read.
    pub async fn read(target: &Target, trust: &Trust) -> Result<Self, BackupError> {
        let mut sequences: Vec<u64> = target.list("manifests").await?.iter().filter_map(|name| sequence_of(name)).collect();
        sequences.sort_unstable();
        let mut chain = Self::default();
        for sequence in sequences {
            match read_one(target, trust, sequence).await {
                Ok(signed) => chain.follow(signed),
                Err(BackupError::Place(problem)) => return Err(BackupError::Place(problem)),
                Err(error) => chain.faults.push((sequence, error)),
            }
        }
        Ok(chain)
    }

    /// Adds the next one. The first that is kept may name one that was taken away since, and so may one behind a manifest that is none.
    fn follow(&mut self, next: Signed) {
        let sequence = next.manifest.sequence;
        if let Some((last, before)) = self.all.last_key_value() {
            let is_told = self.faults.last().is_some_and(|(faulty, _)| faulty > last);
            if !is_told && next.manifest.previous.as_deref() != Some(kernel::hex(&before.sha256).as_str()) {
                let why = format!("it does not name the manifest of backup {last}: one between them is missing or was exchanged");
                self.faults.push((sequence, BackupError::Chain(sequence, why)));
            }
            if next.manifest.started_at < before.manifest.started_at {
                let why = format!("it is older than backup {last}");
                self.faults.push((sequence, BackupError::Chain(sequence, why)));
            }
        }
        self.all.insert(sequence, next);
    }

    /// Compares with what the server knows of the place: a manifest that was exchanged for an older one, or taken away at the beginning or the
    /// end, is found by that alone. One that is not what the server made counts for none. Of those that go after `keep` newer ones (0: never)
    /// none is missed: they may be gone for longer than a restored database knows.
    pub fn compare(&mut self, known: &[Known], keep: u32) {
        let (first, last) = (self.first().unwrap_or(u64::MAX), self.last_sequence());
        let is_due = |sequence: u64| keep > 0 && last.saturating_sub(sequence) >= u64::from(keep);
        for one in known {
            let sequence = one.sequence;
            let was_pruned = sequence < first && first != u64::MAX && (!one.is_kept || is_due(sequence));
            let why = match self.get(sequence) {
                Some(found) if found.sha256.as_slice() == one.sha256.as_slice() => continue,
                Some(_) => "its manifest is not the one that this server made",
                None if self.is_faulty(sequence) || was_pruned => continue,
                None => "this server made it, and its manifest is missing",
            };
            self.all.remove(&sequence);
            self.faults.push((sequence, BackupError::Chain(sequence, why.to_owned())));
        }
    }

    /// The first number of which there is a manifest, whatever it is worth.
    fn first(&self) -> Option<u64> {
        let faulty = self.faults.iter().map(|(sequence, _)| *sequence).min();
        self.all.keys().next().copied().into_iter().chain(faulty).min()
    }

    fn is_faulty(&self, sequence: u64) -> bool {
        self.faults.iter().any(|(faulty, _)| *faulty == sequence)
    }

    /// Refuses a place in which nothing is this server's: none of its manifests is good, and of one it is not known that it was made here.
    ///
    /// # Errors
    /// What is wrong with the first.
    pub fn check_own(&self, known: &[Known]) -> Result<(), BackupError> {
        let is_known = |sequence: u64| known.iter().any(|one| one.sequence == sequence);
        for (sequence, error) in &self.faults {
            if matches!(error, BackupError::Foreign(_)) || (self.all.is_empty() && !is_known(*sequence)) {
                return Err(error.again());
            }
        }
        Ok(())
    }

    /// What is wrong, by the number of the backup.
    #[must_use]
    pub fn faults(&self) -> &[(u64, BackupError)] {
        &self.faults
    }

    /// Whether every manifest that lies there can be read.
    #[must_use]
    pub fn is_readable(&self) -> bool {
        self.faults.iter().all(|(sequence, _)| self.all.contains_key(sequence))
    }

    /// The newest that is good.
    #[must_use]
    pub fn newest(&self) -> Option<&Signed> {
        self.all.last_key_value().map(|(_, signed)| signed)
    }

    /// The highest number that is taken.
    #[must_use]
    pub fn last_sequence(&self) -> u64 {
        let faulty = self.faults.iter().map(|(sequence, _)| *sequence);
        self.all.keys().copied().chain(faulty).max().unwrap_or(0)
    }

    /// That of a number.
    #[must_use]
    pub fn get(&self, sequence: u64) -> Option<&Signed> {
        self.all.get(&sequence)
    }

    /// All that are good, in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Signed> {
        self.all.values()
    }

    /// That of a number, or the newest. An older one is never given for the newest.
    ///
    /// # Errors
    /// `None` if there is none; what is wrong with it if it is not good.
    pub fn find(&self, target: &Target, sequence: Option<u64>) -> Result<&Signed, BackupError> {
        let wanted = sequence.unwrap_or_else(|| self.last_sequence());
        if let Some(found) = self.get(wanted) {
            return Ok(found);
        }
        let fault = self.faults.iter().find(|(faulty, _)| *faulty == wanted).map(|(_, error)| error);
        Err(match (fault, sequence, self.newest()) {
            (Some(error), None, Some(good)) => error.behind(good.manifest.sequence),
            (Some(error), ..) => error.again(),
            (None, Some(sequence), _) => BackupError::None(format!("`{}` of the number {sequence}", target.shown())),
            (None, None, _) => BackupError::None(format!("`{}`", target.shown())),
        })
    }

    /// That of a number, or the newest that is good: to look at, with all that is wrong beside it.
    ///
    /// # Errors
    /// As [`Chain::find`], where none is good.
    pub fn find_good(&self, target: &Target, sequence: Option<u64>) -> Result<&Signed, BackupError> {
        match (sequence, self.newest()) {
            (None, Some(newest)) => Ok(newest),
            _ => self.find(target, sequence),
        }
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

async fn read_one(target: &Target, trust: &Trust, sequence: u64) -> Result<Signed, BackupError> {
    let name = name_of(sequence);
    let bytes = target.read_whole(&name, MANIFEST_BYTES_MAX).await.map_err(|problem| match problem.kind() {
        kernel::Kind::Invalid => BackupError::Malformed(sequence, problem.message().to_owned()),
        _ => BackupError::Place(problem),
    })?;
    let bytes = bytes.ok_or_else(|| BackupError::Missing(format!("`{name}`")))?;
    let signed = manifest::open(sequence, &bytes, &trust.signer)?;
    if signed.manifest.instance != trust.instance {
        return Err(BackupError::Foreign(target.shown().to_owned()));
    }
    Ok(signed)
}
