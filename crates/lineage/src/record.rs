//! What other rooms call, inside the transaction of the change that it tells of.
//!
//! All of it is idempotent: the same fact twice is one edge, which keeps its first time and audit entry.

use gate::Permit;
use kernel::{Problem, hex, sha256};
use serde_json::json;
use vault::db::{Bind, DbError, Reader, Writer};

use crate::text::ANSWERS;
use crate::{NodeKind, Relation, Trust};

pub(crate) mod claims;
mod data;

pub(crate) use claims::{KeptText, event_posted};
pub use claims::{MODEL_NAMESPACE, RUN_NAMESPACE};
pub use data::{
    DataVersion, data_committed, data_inspected, data_read, data_version_name, is_data_read_known, model_tried, run_in_workspace,
    version_in,
};

/// The longest text of a node's name or attribute that is kept.
const TEXT_BYTES_MAX: usize = 4_096;
/// The longest detail of an edge that is kept: it is part of the edge's key, which PostgreSQL bounds.
const DETAIL_CHARS_MAX: usize = 256;

/// Who acts, where, when, and under which audit entry. Made from a permit before the transaction begins.
#[derive(Clone, Debug)]
pub struct Scene {
    pub(crate) workspace: String,
    principal: String,
    at: i64,
    entry: String,
}

impl Scene {
    /// The same on behalf of whoever asked for it: a job of the server's own does what somebody wanted done.
    #[must_use]
    pub fn asked_by(mut self, principal: &str) -> Self {
        principal.clone_into(&mut self.principal);
        self
    }

    /// The scene of a permitted act.
    ///
    /// # Errors
    /// `NotFound` where there is no such workspace.
    pub fn of<O: ?Sized>(permit: &Permit<O>) -> Result<Self, Problem> {
        Ok(Self {
            workspace: permit.workspace()?.to_owned(),
            principal: permit.caller().id.clone(),
            at: permit.entry().at.0,
            entry: permit.entry().id.clone(),
        })
    }
}

/// A dataset that a run read, as the client described it.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its digest.
    pub digest: &'a str,
    /// What kind of source it came from.
    pub source_type: &'a str,
    /// The source, as the client described it.
    pub source: &'a str,
    /// The tag `mlflow.data.context`: `training`, `testing` and so on.
    pub context: Option<&'a str>,
}

/// What a model version was made from.
#[derive(Clone, Copy, Debug, Default)]
pub struct VersionSource<'a> {
    /// The run, and whether the server itself found the source to be that run's.
    pub run: Option<(&'a str, Trust)>,
    /// The logged model, and whether the server itself found the source to be its files.
    pub logged_model: Option<(&'a str, Trust)>,
    /// The model version that the source resolved to: internal id of its model, number.
    pub version: Option<(&'a str, i64)>,
}

/// The caller started a run. Observed.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn run_created(writer: &mut Writer<'_>, scene: &Scene, run_id: &str) -> Result<(), DbError> {
    let person = person(writer, scene)?;
    let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
    edge(writer, scene, (&run, &person), Relation::Associated, Trust::Observed, "")
}

/// Tags were set on a run: those that name its source become code that it used. Claimed.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn run_tags<'t>(
    writer: &mut Writer<'_>,
    scene: &Scene,
    run_id: &str,
    tags: impl IntoIterator<Item = (&'t str, &'t str)>,
) -> Result<(), DbError> {
    for (key, value) in tags {
        let (prefix, what, digest) = match key {
            "mlflow.source.git.commit" => ("git", "git_commit", true),
            "mlflow.source.name" => ("entry", "entry_point", false),
            "strongroom.code.sha256" => ("sha256", "code_sha256", true),
            _ => continue,
        };
        let value = clip(value);
        if value.is_empty() {
            continue;
        }
        let attributes = json!({ "what": what, "value": value }).to_string();
        let name = format!("{prefix}:{value}");
        let code = node(writer, scene, NodeKind::Code, &name, digest.then_some(value), &attributes)?;
        let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
        edge(writer, scene, (&run, &code), Relation::Used, Trust::Claimed, what)?;
    }
    Ok(())
}

/// A run says which datasets it read. Claimed, but for versions of data sets here that the caller was seen to read.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn run_inputs(writer: &mut Writer<'_>, scene: &Scene, run_id: &str, inputs: &[Input<'_>]) -> Result<(), DbError> {
    let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
    // One order for all writers, so that two transactions never wait for each other's rows.
    let mut inputs: Vec<&Input<'_>> = inputs.iter().collect();
    inputs.sort_by_key(|input| (input.name, input.digest));
    for input in inputs {
        let attributes = json!({
            "name": clip(input.name),
            "source_type": clip(input.source_type),
            "source": clip(input.source),
        });
        let name = format!("{}@{}", clip(input.name), clip(input.digest));
        let digest = Some(clip(input.digest));
        let dataset = node(writer, scene, NodeKind::Dataset, &name, digest, &attributes.to_string())?;
        let context = clip(input.context.unwrap_or_default());
        edge(writer, scene, (&run, &dataset), Relation::Used, Trust::Claimed, context)?;
        data::run_read_version(writer, scene, &run, input.source, context)?;
    }
    Ok(())
}

/// A run says which logged models it read. Claimed.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn run_model_inputs(writer: &mut Writer<'_>, scene: &Scene, run_id: &str, models: &[&str]) -> Result<(), DbError> {
    let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
    for model_id in models {
        let model = node(writer, scene, NodeKind::LoggedModel, model_id, None, "{}")?;
        edge(writer, scene, (&run, &model), Relation::Used, Trust::Claimed, "model")?;
    }
    Ok(())
}

/// A run gave logged models. `Observed` where the server knows both and that they belong to one experiment.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn run_outputs(writer: &mut Writer<'_>, scene: &Scene, run_id: &str, models: &[&str], trust: Trust) -> Result<(), DbError> {
    let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
    for model_id in models {
        let model = node(writer, scene, NodeKind::LoggedModel, model_id, None, "{}")?;
        edge(writer, scene, (&model, &run), Relation::Generated, trust, "")?;
    }
    Ok(())
}

/// The caller made a logged model, from a run where it names one. Observed; the run is as sure as `trust`.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn logged_model_created(
    writer: &mut Writer<'_>,
    scene: &Scene,
    model_id: &str,
    run: Option<(&str, Trust)>,
) -> Result<(), DbError> {
    let person = person(writer, scene)?;
    let model = node(writer, scene, NodeKind::LoggedModel, model_id, None, "{}")?;
    edge(writer, scene, (&model, &person), Relation::Attributed, Trust::Observed, "")?;
    if let Some((run_id, trust)) = run {
        run_outputs(writer, scene, run_id, &[model_id], trust)?;
    }
    Ok(())
}

/// The caller registered a version. Observed, but for a run or a logged model that only the client named.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn version_registered(
    writer: &mut Writer<'_>,
    scene: &Scene,
    model: &str,
    number: i64,
    source: &VersionSource<'_>,
) -> Result<(), DbError> {
    let person = person(writer, scene)?;
    let version = node(writer, scene, NodeKind::ModelVersion, &version_name(model, number), None, "{}")?;
    edge(writer, scene, (&version, &person), Relation::Attributed, Trust::Observed, "")?;
    if let Some((model_id, trust)) = source.logged_model {
        let logged = node(writer, scene, NodeKind::LoggedModel, model_id, None, "{}")?;
        edge(writer, scene, (&version, &logged), Relation::Derived, trust, "")?;
    }
    if let Some((model, number)) = source.version {
        let earlier = node(writer, scene, NodeKind::ModelVersion, &version_name(model, number), None, "{}")?;
        edge(writer, scene, (&version, &earlier), Relation::Derived, Trust::Observed, "")?;
    }
    if let Some((run_id, trust)) = source.run {
        let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
        edge(writer, scene, (&version, &run), Relation::Generated, trust, "")?;
    }
    Ok(())
}

/// A run that the server itself had done: with this code, on this data, and what came of it.
#[derive(Clone, Copy, Debug)]
pub struct Execution<'a> {
    /// The run.
    pub run_id: &'a str,
    /// The digest of the code's manifest.
    pub code_sha256: &'a str,
    /// The version of a data set that it was given and read.
    pub data: Option<(&'a str, i64)>,
    /// The logged models that came of it.
    pub logged_models: &'a [String],
}

/// The server had a run done. Executed.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn run_executed(writer: &mut Writer<'_>, scene: &Scene, done: &Execution<'_>) -> Result<(), DbError> {
    let what = "code_sha256";
    let attributes = json!({ "what": what, "value": done.code_sha256 }).to_string();
    let name = format!("sha256:{}", done.code_sha256);
    let code = node(writer, scene, NodeKind::Code, &name, Some(done.code_sha256), &attributes)?;
    let run = node(writer, scene, NodeKind::Run, done.run_id, None, "{}")?;
    edge(writer, scene, (&run, &code), Relation::Used, Trust::Executed, what)?;
    if let Some((dataset, number)) = done.data {
        data::run_executed_on(writer, scene, &run, dataset, number)?;
    }
    let models: Vec<&str> = done.logged_models.iter().map(String::as_str).collect();
    run_outputs(writer, scene, done.run_id, &models, Trust::Executed)
}

/// A version came out of a run that the server had done. Executed.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn version_executed(writer: &mut Writer<'_>, scene: &Scene, model: &str, number: i64, run_id: &str) -> Result<(), DbError> {
    let version = node(writer, scene, NodeKind::ModelVersion, &version_name(model, number), None, "{}")?;
    let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
    edge(writer, scene, (&version, &run), Relation::Generated, Trust::Executed, "")
}

/// An endpoint may answer with a version, or did. Observed.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn endpoint_answers(writer: &mut Writer<'_>, scene: &Scene, answers: &Answers<'_>) -> Result<(), DbError> {
    let attributes = json!({ "name": clip(answers.endpoint) }).to_string();
    let endpoint = node(writer, scene, NodeKind::Endpoint, answers.endpoint_id, None, &attributes)?;
    let version = version_name(answers.model, answers.number);
    let version = node(writer, scene, NodeKind::ModelVersion, &version, None, "{}")?;
    edge(writer, scene, (&endpoint, &version), Relation::Used, Trust::Observed, ANSWERS)
}

/// An endpoint and a version that it answers with.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    /// The endpoint's id.
    pub endpoint_id: &'a str,
    /// Its name.
    pub endpoint: &'a str,
    /// The model's internal id.
    pub model: &'a str,
    /// The version's number.
    pub number: i64,
}

/// The name of a version's node.
#[must_use]
pub fn version_name(model: &str, number: i64) -> String {
    format!("{model}/{number}")
}

/// The key of a node: the same thing in the same workspace is the same node, without a look-up.
pub(crate) fn node_key(workspace: &str, kind: NodeKind, name: &str) -> String {
    short_digest(&[workspace, kind.word(), name])
}

/// 128 bits of SHA-256 over length-prefixed parts.
fn short_digest(parts: &[&str]) -> String {
    let mut bytes = Vec::new();
    for part in parts {
        bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
        bytes.extend_from_slice(part.as_bytes());
    }
    let digest = sha256(&bytes);
    hex(digest.get(..16).unwrap_or(&digest))
}

/// Whether a fact stands in the graph already.
pub(crate) fn is_known(
    reader: &mut Reader<'_>,
    (from, to): (&str, &str),
    relation: Relation,
    trust: Trust,
    detail: &str,
) -> Result<bool, DbError> {
    let sql = "SELECT 1 FROM lineage_edge e JOIN lineage_node f ON f.id = e.from_node JOIN lineage_node t ON t.id = e.to_node
               WHERE f.key = $1 AND t.key = $2 AND e.relation = $3 AND e.trust = $4 AND e.detail = $5";
    let binds = [from.into(), to.into(), relation.word().into(), trust.word().into(), clip_detail(detail).into()];
    Ok(reader.query_one(sql, &binds, |row| row.int(0))?.is_some())
}

fn person(writer: &mut Writer<'_>, scene: &Scene) -> Result<String, DbError> {
    node(writer, scene, NodeKind::Person, &scene.principal, None, "{}")
}

fn node(
    writer: &mut Writer<'_>,
    scene: &Scene,
    kind: NodeKind,
    name: &str,
    digest: Option<&str>,
    attributes: &str,
) -> Result<String, DbError> {
    let key = node_key(&scene.workspace, kind, name);
    writer.execute(
        "INSERT INTO lineage_node (key, workspace, kind, name, digest, attributes, at) VALUES ($1, $2, $3, $4, $5, $6, $7)
         ON CONFLICT (key) DO NOTHING",
        &[
            Bind::from(&key),
            Bind::from(&scene.workspace),
            Bind::from(kind.word()),
            Bind::from(name),
            Bind::from(digest),
            Bind::from(attributes),
            Bind::from(scene.at),
        ],
    )?;
    Ok(key)
}

/// An edge between two nodes that are there, by their keys.
fn edge(
    writer: &mut Writer<'_>,
    scene: &Scene,
    (from, to): (&str, &str),
    relation: Relation,
    trust: Trust,
    detail: &str,
) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO lineage_edge (from_node, to_node, relation, trust, detail, at, entry)
         SELECT f.id, t.id, CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT), CAST($7 AS TEXT)
         FROM lineage_node f, lineage_node t WHERE f.key = $1 AND t.key = $2 ON CONFLICT DO NOTHING",
        &[
            Bind::from(from),
            Bind::from(to),
            Bind::from(relation.word()),
            Bind::from(trust.word()),
            Bind::from(clip_detail(detail)),
            Bind::from(scene.at),
            Bind::from(&scene.entry),
        ],
    )?;
    Ok(())
}

/// At most [`DETAIL_CHARS_MAX`] of a detail, as the migration cut those before.
fn clip_detail(detail: &str) -> &str {
    detail.char_indices().nth(DETAIL_CHARS_MAX).and_then(|(end, _)| detail.get(..end)).unwrap_or(detail)
}

/// At most [`TEXT_BYTES_MAX`] of a text, cut between letters.
fn clip(text: &str) -> &str {
    text.get(..text.floor_char_boundary(TEXT_BYTES_MAX)).unwrap_or(text)
}
