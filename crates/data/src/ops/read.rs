//! `datasets.read`: the bytes of one file, whole or in part.

use artifacts::{ArtifactPath, Download, Fetched, Wanted};
use gate::{Action, Operation, Outcome, Permit, Target};
use kernel::{Problem, hex};
use lineage::Trust;
use lineage::record::{self, Scene};
use vault::db::Reader;
use vault::objects::{Piece, Sending};

use crate::store::{self, files, versions};
use crate::types::no_version;
use crate::{Data, rules};

/// What a version was read for, in the edge that a training token leaves.
const TRAINING: &str = "training";

/// Reads a file. That it was read is an observed edge of the graph: from the run if one is named that is the caller's own,
/// else from the caller.
pub struct ReadFile {
    /// The room.
    pub room: Data,
    /// The data set.
    pub dataset: String,
    /// The version.
    pub version: String,
    /// The file's path.
    pub path: String,
    /// Which of its bytes.
    pub wanted: Wanted,
    /// The run that reads it.
    pub run: Option<String>,
}

impl Operation for ReadFile {
    const ACTION: Action = super::READ;
    type Output = Fetched;

    fn target(&self) -> Target {
        Target::DatasetVersion(self.dataset.clone(), self.version.clone())
    }

    async fn run(self, permit: Permit<Self>) -> Result<Fetched, Problem> {
        let id = rules::version_id(&permit)?;
        let path = ArtifactPath::parse(&self.path)?;
        let workspace = permit.workspace()?.to_owned();
        let (version_id, run) = (id.clone(), self.run.clone());
        let found = self.room.db().read_point(&permit, move |reader| {
            let version = versions::get(reader, &version_id)?.ok_or_else(no_version)?;
            let run = run.map(|run| reading_run(reader, &workspace, run)).transpose()?;
            Ok((version, files::find(reader, &version_id, path.as_str())?, run))
        });
        let (version, object, run) = found.await?;
        let object = object.ok_or_else(|| {
            Problem::not_found("the version has no such file; `strongroom data show NAME@VERSION --files` lists them")
        })?;
        let Some(range) = self.wanted.within(object.size_bytes) else {
            return Ok(Fetched::OutOfRange { size_bytes: object.size_bytes });
        };
        if let Some(number) = version.number {
            self.room.observe(&permit, &version.dataset, number, run).await?;
        }
        let outcome = Outcome::done()
            .resource(id)
            .with("sha256", hex(&object.sha256))
            .with("size_bytes", store::signed(object.size_bytes)?);
        let (size_bytes, sha256) = (object.size_bytes, object.sha256);
        let total_bytes = range.end.saturating_sub(range.start);
        let pieces = vec![Piece::Object { object: Box::new(object), range: range.clone() }];
        let body = Sending::begin(permit, self.room.objects().clone(), pieces, total_bytes, outcome).await?;
        Ok(Fetched::File(Download { size_bytes, sha256, committed_at: version.committed_at, range, body }))
    }
}

/// The run's id and its owner's.
fn reading_run(reader: &mut Reader<'_>, workspace: &str, run: String) -> Result<(String, String), Problem> {
    let owner = record::run_in_workspace(reader, workspace, &run)?;
    let owner = owner
        .ok_or_else(|| Problem::invalid("there is no such run in this workspace; leave it out, or name the run that reads"))?;
    Ok((run, owner))
}

impl Data {
    /// Keeps that a version was read. The record of the read, which was durable before, is what vouches for it: this is a
    /// projection of it into the graph, so it has no record of its own.
    pub(super) async fn observe<O: ?Sized>(
        &self,
        permit: &Permit<O>,
        dataset: &str,
        number: i64,
        run: Option<(String, String)>,
    ) -> Result<(), Problem> {
        let scene = Scene::of(permit)?;
        let caller = permit.caller();
        let scopes = caller.token.as_ref().map(|token| token.scopes.as_slice()).unwrap_or_default();
        let context = if scopes.iter().any(|scope| scope.contains('@')) { TRAINING } else { "" };
        // A run of somebody else is the caller's word only; that the caller read is seen either way.
        let run = run.map(|(run, owner)| (run, if owner == caller.id { Trust::Observed } else { Trust::Claimed }));
        let dataset = dataset.to_owned();
        let (edge_scene, edge_dataset, edge_run) = (scene.clone(), dataset.clone(), run.clone());
        let known = self.0.db.read_point(permit, move |reader| {
            Ok(record::is_data_read_known(reader, &edge_scene, &edge_dataset, number, borrowed(&edge_run), context)?)
        });
        if known.await? {
            return Ok(());
        }
        let write = move |writer: &mut vault::db::Writer<'_>| {
            Ok(record::data_read(writer, &scene, &dataset, number, borrowed(&run), context)?)
        };
        self.0.system.write(write).await
    }
}

fn borrowed(run: &Option<(String, Trust)>) -> Option<(&str, Trust)> {
    run.as_ref().map(|(run, trust)| (run.as_str(), *trust))
}
