//! `datasets.get` of two versions: how they differ.

use std::collections::BTreeMap;

use artifacts::ManifestEntry;
use gate::{Action, Operation, Permit, Target};
use kernel::Problem;

use super::commit::committed_version;
use crate::limits::DIFF_PATH_COUNT_MAX;
use crate::store::{files, inspections, versions};
use crate::types::no_version;
use crate::{Data, FoundFinding, Version, VersionName, rules};

/// Compares a version with another one of its data set.
pub struct Diff {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
    /// The other one; the one it was compared with when it was inspected, if none is named.
    pub against: Option<VersionName>,
}

/// Something of both versions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sided<T> {
    /// Of the other version.
    pub before: T,
    /// Of the version.
    pub after: T,
}

/// How two versions differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Difference {
    /// Their numbers.
    pub numbers: Sided<i64>,
    /// How many rows each has, as far as inspections counted them.
    pub row_counts: Sided<Option<i64>>,
    /// How many columns.
    pub column_counts: Sided<Option<i64>>,
    /// How many bytes.
    pub size_bytes: Sided<i64>,
    /// Paths that only the version has, the first of them.
    pub added: Vec<String>,
    /// Paths that only the other one has.
    pub removed: Vec<String>,
    /// Paths whose bytes differ.
    pub changed: Vec<String>,
    /// How many paths were added, removed, changed, and are the same.
    pub counts: [usize; 4],
    /// What the version's inspection found to have changed.
    pub drift: Vec<FoundFinding>,
}

impl Operation for Diff {
    const ACTION: Action = super::GET;
    type Output = Difference;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Difference, Problem> {
        let id = rules::version_id(&permit)?;
        let against = self.against;
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let after = versions::get(reader, &id)?.ok_or_else(no_version)?;
            rules::committed(&after)?;
            let before = match (&against, &after.reference_id) {
                (Some(name), _) => {
                    let dataset_id = versions::dataset_of(reader, &id)?.ok_or_else(no_version)?;
                    committed_version(reader, &dataset_id, name)?
                }
                (None, Some(reference)) => versions::get(reader, reference)?.ok_or_else(no_version)?,
                (None, None) => {
                    return Err(Problem::invalid("the version was compared with none; name the version to compare it with"));
                }
            };
            let entries = Sided { before: files::manifest(reader, &before.id)?, after: files::manifest(reader, &id)? };
            // What drifted was found against the reference, and says nothing of another version.
            let drift = match inspections::last_done(reader, &id)? {
                Some(done) if after.reference_id.as_ref() == Some(&before.id) => drift(inspections::findings(reader, &done.id)?),
                _ => Vec::new(),
            };
            Ok(compare(&before, &after, &entries, drift))
        };
        self.room.db().read(&permit, read).await
    }
}

fn drift(findings: Vec<FoundFinding>) -> Vec<FoundFinding> {
    findings.into_iter().filter(|found| found.finding.screen == inspection::Screen::Drift).collect()
}

fn compare(before: &Version, after: &Version, entries: &Sided<Vec<ManifestEntry>>, drift: Vec<FoundFinding>) -> Difference {
    let old: BTreeMap<&str, &[u8; 32]> = entries.before.iter().map(|entry| (entry.path.as_str(), &entry.sha256)).collect();
    let new: BTreeMap<&str, &[u8; 32]> = entries.after.iter().map(|entry| (entry.path.as_str(), &entry.sha256)).collect();
    let (mut added, mut changed, mut same) = (Vec::new(), Vec::new(), 0);
    for (path, digest) in &new {
        match old.get(path) {
            None => added.push((*path).to_owned()),
            Some(was) if was != digest => changed.push((*path).to_owned()),
            Some(_) => same += 1,
        }
    }
    let mut removed: Vec<String> = old.keys().filter(|path| !new.contains_key(**path)).map(|path| (*path).to_owned()).collect();
    let counts = [added.len(), removed.len(), changed.len(), same];
    for paths in [&mut added, &mut removed, &mut changed] {
        paths.truncate(DIFF_PATH_COUNT_MAX);
    }
    Difference {
        numbers: Sided { before: before.number.unwrap_or_default(), after: after.number.unwrap_or_default() },
        row_counts: Sided { before: before.row_count, after: after.row_count },
        column_counts: Sided { before: before.column_count, after: after.column_count },
        size_bytes: Sided { before: before.size_bytes, after: after.size_bytes },
        added,
        removed,
        changed,
        counts,
        drift,
    }
}
