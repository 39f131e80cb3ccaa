//! `datasets.commit`: an open version becomes immutable, is quarantined, and its inspection is queued.

use artifacts::Manifest;
use futures_util::stream;
use gate::{Action, DataState, Operation, Outcome, Permit, Target};
use kernel::{Kind, Micros, Problem, hex};
use lineage::Trust;
use lineage::record::{self, DataVersion, Scene};
use vault::db::{Reader, Writer};
use vault::objects::StoredObject;

use crate::limits::CONTRACT_BYTES_MAX;
use crate::store::versions::Seal;
use crate::store::{self, cleanings, files, inspections, versions};
use crate::types::{CommitWish, DocumentKind, Version, VersionName, no_version};
use crate::{Data, rules};

/// Commits a version. Asked again by the same caller, it gives the same answer: a client whose answer was lost asks again.
pub struct Commit {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The open version's id.
    pub version: String,
    /// What its committer says of it.
    pub wish: CommitWish,
}

/// A version that is committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Committed {
    /// Its id.
    pub version_id: String,
    /// Its number.
    pub number: i64,
    /// Its manifest's digest.
    pub manifest_sha256: [u8; 32],
    /// Its inspection, by id.
    pub inspection_id: String,
}

/// How a version stems from its parents.
pub(super) struct Descent {
    /// The word in rows.
    pub(super) how: &'static str,
    /// Whose word it is.
    pub(super) trust: Trust,
}

impl Operation for Commit {
    const ACTION: Action = super::COMMIT;
    type Output = Committed;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Committed, Problem> {
        let descent = Descent { how: "parent", trust: Trust::Claimed };
        seal(&self.room, &permit, self.wish, descent, Outcome::done()).await
    }
}

/// Seals an open version.
async fn seal<O: ?Sized>(
    room: &Data,
    permit: &Permit<O>,
    wish: CommitWish,
    descent: Descent,
    outcome: Outcome,
) -> Result<Committed, Problem> {
    rules::wish(&wish)?;
    let mut wish = wish;
    let id = rules::version_id(permit)?;
    let wanted = id.clone();
    let read = move |reader: &mut Reader<'_>| versions::dataset_of(reader, &wanted)?.ok_or_else(no_version);
    let dataset_id = room.db().read_point(permit, read).await?;
    wish.contract = room.contract_for(permit, &dataset_id, wish.contract.take()).await?;
    let scene = Scene::of(permit)?;
    let (at, caller, workspace) = (permit.entry().at, permit.caller().id.clone(), permit.workspace()?.to_owned());
    let contract = match &wish.contract {
        Some(text) => Some(put_text(room, permit, &workspace, text).await?),
        None => None,
    };
    let contract_id = contract.as_ref().map(|object| object.id.clone());
    let sealing = Sealing { room: room.clone(), id, caller, workspace, at, wish, contract, descent, scene };
    match room.db().write(permit, move |writer| sealing.write(writer, outcome)).await {
        Ok((committed, is_new)) => {
            if is_new {
                room.0.queued.notify_one();
            } else {
                room.objects().drop_unnamed(permit, contract_id.into_iter().collect()).await;
            }
            Ok(committed)
        }
        Err(problem) => {
            if problem.kind() != Kind::Unavailable {
                room.objects().drop_unnamed(permit, contract_id.into_iter().collect()).await;
            }
            Err(problem)
        }
    }
}

async fn put_text<O: ?Sized>(room: &Data, permit: &Permit<O>, workspace: &str, text: &str) -> Result<StoredObject, Problem> {
    let bytes = bytes::Bytes::from(text.to_owned());
    let body = Box::pin(stream::iter([Ok(bytes)]));
    room.objects().put(permit, workspace, body, CONTRACT_BYTES_MAX as u64).await
}

/// All that the transaction of a commit needs.
pub(super) struct Sealing {
    pub(super) room: Data,
    pub(super) id: String,
    pub(super) caller: String,
    pub(super) workspace: String,
    pub(super) at: Micros,
    pub(super) wish: CommitWish,
    pub(super) contract: Option<StoredObject>,
    pub(super) descent: Descent,
    pub(super) scene: Scene,
}

impl Sealing {
    pub(super) fn write(self, writer: &mut Writer<'_>, outcome: Outcome) -> Result<((Committed, bool), Outcome), Problem> {
        let version = versions::get(writer, &self.id)?.ok_or_else(no_version)?;
        if let Some(before) = committed_before(writer, &version, &self.caller)? {
            let outcome = outcome.resource(self.id).with("number", before.number).with("repeated", 1_i64);
            return Ok(((before, false), outcome));
        }
        rules::open_to(&version, &self.caller)?;
        let manifest = Manifest::of(files::manifest(writer, &self.id)?);
        if manifest.entries.is_empty() {
            return Err(Problem::new(Kind::Conflict, "the version has no files; put some into it first"));
        }
        let dataset_id = versions::dataset_of(writer, &self.id)?.ok_or_else(no_version)?;
        let parents = self.parents(writer, &dataset_id)?;
        let reference = self.reference(writer, &dataset_id, &parents)?;
        if let Some((run, _)) = &self.wish.run {
            record::run_in_workspace(writer, &self.workspace, run)?.ok_or_else(|| no_run(run))?;
        }
        let seal = Seal {
            version_id: &self.id,
            dataset_id: &dataset_id,
            at: self.at,
            manifest: &manifest,
            wish: &self.wish,
            reference: reference.as_deref(),
        };
        let number = versions::seal(writer, &seal)?;
        if let Some(contract) = &self.contract {
            files::put_document(writer, &self.id, "", DocumentKind::Contract, contract)?;
        }
        cleanings::put_others(writer, &self.id, &self.wish.others)?;
        for parent in &parents {
            versions::add_parent(writer, &self.id, &parent.id, self.descent.how)?;
        }
        self.record(writer, &version.dataset, number, &manifest, &parents)?;
        self.room.keep(writer, &self.id, self.at)?;
        let inspection = inspections::queue(writer, &self.id, &self.workspace, &self.caller, self.at)?;
        let outcome = outcome
            .resource(self.id.clone())
            .with("number", number)
            .with("manifest_sha256", hex(&manifest.digest))
            .with("file_count", manifest.entries.len())
            .with("size_bytes", store::signed(manifest.size_bytes())?)
            .with("inspection", inspection.id.clone());
        let committed = Committed { version_id: self.id, number, manifest_sha256: manifest.digest, inspection_id: inspection.id };
        Ok(((committed, true), outcome))
    }

    fn parents(&self, reader: &mut Reader<'_>, dataset_id: &str) -> Result<Vec<Version>, Problem> {
        let mut parents = Vec::new();
        for name in &self.wish.parents {
            parents.push(committed_version(reader, dataset_id, name)?);
        }
        Ok(parents)
    }

    /// What is named, else the first parent, else the newest version that is admitted. Where there is one that is, nothing is
    /// compared with one that is not: or what a version was kept out for would be what the next one starts from.
    fn reference(&self, reader: &mut Reader<'_>, dataset_id: &str, parents: &[Version]) -> Result<Option<String>, Problem> {
        let admitted = versions::admitted_before(reader, dataset_id)?;
        let counts = |version: &Version| version.state == DataState::Admitted || admitted.is_none();
        if let Some(name) = &self.wish.reference {
            let named = committed_version(reader, dataset_id, name)?;
            if !counts(&named) {
                let message = "the version to compare with is not admitted, and the data set has one that is: leave \
                               `reference` out, or name a version that is admitted";
                return Err(Problem::new(Kind::Conflict, message));
            }
            return Ok(Some(named.id));
        }
        let parent = parents.first().filter(|parent| counts(parent)).map(|parent| parent.id.clone());
        Ok(parent.or(admitted))
    }

    fn record(
        &self,
        writer: &mut Writer<'_>,
        dataset: &str,
        number: i64,
        manifest: &Manifest,
        parents: &[Version],
    ) -> Result<(), Problem> {
        let numbers: Vec<i64> = parents.iter().filter_map(|parent| parent.number).collect();
        let digest = hex(&manifest.digest);
        let made = DataVersion {
            dataset,
            number,
            digest: &digest,
            source: self.wish.source_uri.as_deref(),
            parents: &numbers,
            how: self.descent.how,
            descent: self.descent.trust,
            run: self.wish.run.as_ref().map(|(run, trust)| (run.as_str(), *trust)),
        };
        Ok(record::data_committed(writer, &self.scene, &made)?)
    }
}

/// The version that `name` names, if it is committed.
pub(super) fn committed_version(reader: &mut Reader<'_>, dataset_id: &str, name: &VersionName) -> Result<Version, Problem> {
    let id = versions::find(reader, dataset_id, name)?.ok_or_else(no_version)?;
    let version = versions::get(reader, &id)?.ok_or_else(no_version)?;
    rules::committed(&version)?;
    Ok(version)
}

/// What an earlier commit of the same version by the same caller gave.
fn committed_before(reader: &mut Reader<'_>, version: &Version, caller: &str) -> Result<Option<Committed>, Problem> {
    let (Some(number), Some(manifest_sha256)) = (version.number, version.manifest_sha256) else { return Ok(None) };
    if version.committer != caller {
        return Ok(None);
    }
    let inspection = inspections::last(reader, &version.id)?;
    let inspection_id = inspection.map(|inspection| inspection.id).unwrap_or_default();
    Ok(Some(Committed { version_id: version.id.clone(), number, manifest_sha256, inspection_id }))
}

fn no_run(run: &str) -> Problem {
    let shown: String = run.chars().take(64).collect();
    Problem::invalid(format!("there is no run `{shown}` in this workspace; leave it out if the data comes from elsewhere"))
}
