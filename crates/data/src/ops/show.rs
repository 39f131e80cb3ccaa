//! `datasets.get`: a data set's versions, one version, its manifest.

use artifacts::Manifest;
use gate::{Action, Operation, Permit, Target};
use kernel::{Micros, Problem};

use crate::store::{cleanings, files, inspections, is_waiver_over, versions};
use crate::types::Making;
use crate::types::no_version;
use crate::{Data, Inspection, Parent, Version, attest, rules};

/// Versions that are being made and are told of.
const MAKING_COUNT_MAX: i64 = 20;

/// Shows a data set's committed versions, the newest first.
pub struct ShowDataset {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The last number of the page before.
    pub after: Option<i64>,
    /// How many rows.
    pub rows: Option<usize>,
}

/// A page of versions.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VersionPage {
    /// The rows.
    pub rows: Vec<Version>,
    /// Where the next page begins.
    pub next: Option<i64>,
    /// Versions that are being made without some rows, or could not be; on the first page.
    pub making: Vec<Making>,
}

impl Operation for ShowDataset {
    const ACTION: Action = super::GET;
    type Output = VersionPage;

    fn target(&self) -> Target {
        Target::Dataset(self.dataset.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<VersionPage, Problem> {
        let count = rules::page_rows(self.rows)?;
        let missing =
            || Problem::not_found("there is no data set of this name; `strongroom data list` shows those that there are");
        let id = permit.facts().id.clone().filter(|_| permit.facts().exists).ok_or_else(missing)?;
        let (below, now) = (self.after.unwrap_or(i64::MAX), permit.entry().at);
        let limit = i64::try_from(count).unwrap_or(i64::MAX).saturating_add(1);
        let is_first = self.after.is_none();
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let making = if is_first { cleanings::making(reader, &id, MAKING_COUNT_MAX)? } else { Vec::new() };
            Ok((versions::list(reader, &id, below, limit)?, making))
        };
        let (mut rows, making) = self.room.db().read(&permit, read).await?;
        let more = rows.len() > count;
        rows.truncate(count);
        rows.iter_mut().for_each(|version| end_waiver(version, now));
        let next = rows.last().filter(|_| more).and_then(|last| last.number);
        Ok(VersionPage { rows, next, making })
    }
}

/// Shows one version.
pub struct ShowVersion {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
}

/// A version with what hangs on it.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// The version.
    pub version: Version,
    /// Where it stems from.
    pub parents: Vec<Parent>,
    /// The last inspection.
    pub inspection: Option<Inspection>,
    /// How whoever decided its state is called; none where its inspection did.
    pub decider: Option<String>,
}

impl Operation for ShowVersion {
    const ACTION: Action = super::GET;
    type Output = Shown;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Shown, Problem> {
        let id = rules::version_id(&permit)?;
        let now = permit.entry().at;
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let mut version = versions::get(reader, &id)?.ok_or_else(no_version)?;
            end_waiver(&mut version, now);
            let (parents, inspection) = (versions::parents(reader, &id)?, inspections::last(reader, &id)?);
            let decider =
                version.decision.as_ref().map(|decision| versions::name_of(reader, &decision.by)).transpose()?.flatten();
            Ok(Shown { version, parents, inspection, decider })
        };
        self.room.db().read(&permit, read).await
    }
}

/// A waiver that has ended is shown as such before the sweep writes it down.
fn end_waiver(version: &mut Version, now: Micros) {
    if is_waiver_over(version.state, version.waiver_until, now) {
        version.state = gate::DataState::Quarantined;
    }
}

/// Shows a version's files.
pub struct ShowManifest {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
}

/// The files of a version.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionFiles {
    /// Their list.
    pub manifest: Manifest,
    /// Since when they are those; none while the version is open.
    pub committed_at: Option<Micros>,
}

impl Operation for ShowManifest {
    const ACTION: Action = super::GET;
    type Output = VersionFiles;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<VersionFiles, Problem> {
        let id = rules::version_id(&permit)?;
        let read = move |reader: &mut vault::db::Reader<'_>| {
            let version = versions::get(reader, &id)?.ok_or_else(no_version)?;
            let manifest = Manifest::of(files::manifest(reader, &id)?);
            if version.manifest_sha256.is_some_and(|digest| digest != manifest.digest) {
                let message = "the version's files are not those that were committed; restore them from a backup";
                return Err(Problem::internal(message, "the manifest's digest differs"));
            }
            Ok(VersionFiles { manifest, committed_at: version.committed_at })
        };
        self.room.db().read(&permit, read).await
    }
}

/// Gives the public key by which attestations are verified: 32 bytes of Ed25519.
pub struct AttestationKey {
    /// The room.
    pub room: Data,
}

impl Operation for AttestationKey {
    const ACTION: Action = super::SEARCH;
    type Output = Vec<u8>;

    fn target(&self) -> Target {
        Target::Workspace
    }

    async fn run(self, _permit: Permit<Self>) -> Result<Vec<u8>, Problem> {
        let seed = self.room.objects().keys().secret(attest::KEY_NAME).await?;
        attest::public_key(&seed)
    }
}
