//! What the room `data` records: versions of data sets, where they stem from, who read them.

use serde_json::json;
use vault::db::{Bind, DbError, Reader, Writer};

use super::{Scene, clip, edge, is_known, node, node_key, person};
use crate::{NodeKind, Relation, Trust};

/// A version of a data set that was committed.
#[derive(Clone, Copy, Debug)]
pub struct DataVersion<'a> {
    /// The data set's name.
    pub dataset: &'a str,
    /// The version's number.
    pub number: i64,
    /// Its manifest's digest.
    pub digest: &'a str,
    /// Where its committer says that it comes from.
    pub source: Option<&'a str>,
    /// The versions of the same data set that it was made from.
    pub parents: &'a [i64],
    /// How: `parent` or `cleaned`.
    pub how: &'a str,
    /// Whose word that is.
    pub descent: Trust,
    /// The run that it came out of, and whether the server itself took the files from it.
    pub run: Option<(&'a str, Trust)>,
}

/// The name of a data version's node. Names of data sets are unique in a workspace and never change.
#[must_use]
pub fn data_version_name(dataset: &str, number: i64) -> String {
    format!("{dataset}/{number}")
}

/// The caller committed a version. Observed, but for what only the client said.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn data_committed(writer: &mut Writer<'_>, scene: &Scene, made: &DataVersion<'_>) -> Result<(), DbError> {
    let person = person(writer, scene)?;
    let version = data_node(writer, scene, made.dataset, made.number)?;
    // A run may have claimed to read it before it was there; from now on its digest is known.
    writer.execute("UPDATE lineage_node SET digest = $1 WHERE key = $2", &[made.digest.into(), (&version).into()])?;
    edge(writer, scene, (&version, &person), Relation::Attributed, Trust::Observed, "")?;
    if let Some(source) = made.source {
        let name = clip(source);
        let attributes = json!({ "uri": name }).to_string();
        let source = node(writer, scene, NodeKind::DataSource, name, None, &attributes)?;
        edge(writer, scene, (&version, &source), Relation::Derived, Trust::Claimed, "source")?;
    }
    for parent in made.parents {
        let parent = data_node(writer, scene, made.dataset, *parent)?;
        edge(writer, scene, (&version, &parent), Relation::Derived, made.descent, made.how)?;
    }
    if let Some((run_id, trust)) = made.run {
        let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
        edge(writer, scene, (&version, &run), Relation::Generated, trust, "")?;
    }
    Ok(())
}

/// A version was inspected. Observed.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn data_inspected(
    writer: &mut Writer<'_>,
    scene: &Scene,
    (dataset, number): (&str, i64),
    inspection_id: &str,
    report_digest: &str,
    verdict: &str,
) -> Result<(), DbError> {
    let version = data_node(writer, scene, dataset, number)?;
    let attributes = json!({ "verdict": verdict }).to_string();
    let inspection = node(writer, scene, NodeKind::Inspection, inspection_id, Some(report_digest), &attributes)?;
    edge(writer, scene, (&version, &inspection), Relation::Inspected, Trust::Observed, verdict)
}

/// A version of a model was judged on data. Observed; the data is the inspection's, not what the model was trained on.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn model_tried(
    writer: &mut Writer<'_>,
    scene: &Scene,
    (model, number): (&str, i64),
    (inspection_id, report_digest, verdict): (&str, &str, &str),
    data: &[(String, i64)],
) -> Result<(), DbError> {
    let version = node(writer, scene, NodeKind::ModelVersion, &super::version_name(model, number), None, "{}")?;
    let attributes = json!({ "verdict": verdict }).to_string();
    let inspection = node(writer, scene, NodeKind::Inspection, inspection_id, Some(report_digest), &attributes)?;
    edge(writer, scene, (&version, &inspection), Relation::Inspected, Trust::Observed, verdict)?;
    for (dataset, number) in data {
        let read = data_node(writer, scene, dataset, *number)?;
        edge(writer, scene, (&inspection, &read), Relation::Used, Trust::Observed, "trial")?;
    }
    Ok(())
}

/// The caller read a version, for a run if it says so. That it read is observed; the run is as sure as its trust.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn data_read(
    writer: &mut Writer<'_>,
    scene: &Scene,
    dataset: &str,
    number: i64,
    run: Option<(&str, Trust)>,
    context: &str,
) -> Result<(), DbError> {
    let version = data_node(writer, scene, dataset, number)?;
    let person = person(writer, scene)?;
    edge(writer, scene, (&person, &version), Relation::Read, Trust::Observed, "")?;
    if let Some((run_id, trust)) = run {
        let run = node(writer, scene, NodeKind::Run, run_id, None, "{}")?;
        edge(writer, scene, (&run, &version), Relation::Used, trust, context)?;
    }
    Ok(())
}

/// Whether [`data_read`] has nothing to add.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn is_data_read_known(
    reader: &mut Reader<'_>,
    scene: &Scene,
    dataset: &str,
    number: i64,
    run: Option<(&str, Trust)>,
    context: &str,
) -> Result<bool, DbError> {
    let key = |kind, name: &str| node_key(&scene.workspace, kind, name);
    let version = key(NodeKind::DataVersion, &data_version_name(dataset, number));
    let person = key(NodeKind::Person, &scene.principal);
    if !is_known(reader, (&person, &version), Relation::Read, Trust::Observed, "")? {
        return Ok(false);
    }
    let Some((run_id, trust)) = run else { return Ok(true) };
    is_known(reader, (&key(NodeKind::Run, run_id), &version), Relation::Used, trust, context)
}

/// The owner of a run of this workspace; none if there is no such run.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn run_in_workspace(reader: &mut Reader<'_>, workspace: &str, run_id: &str) -> Result<Option<String>, DbError> {
    if run_id.contains('\0') {
        return Ok(None);
    }
    let sql = "SELECT r.owner FROM run r JOIN experiment e ON e.experiment_id = r.experiment_id
               WHERE r.run_id = $1 AND e.workspace_id = $2";
    reader.query_one(sql, &[run_id.into(), workspace.into()], |row| row.text(0))
}

/// A run says that it read a dataset whose source is an address of a version here: observed if the caller was seen to read it.
pub(super) fn run_read_version(
    writer: &mut Writer<'_>,
    scene: &Scene,
    run: &str,
    source: &str,
    context: &str,
) -> Result<(), DbError> {
    let Some((dataset, number)) = version_in(source) else { return Ok(()) };
    let name = data_version_name(&dataset, number);
    let version = node_key(&scene.workspace, NodeKind::DataVersion, &name);
    let known = "SELECT 1 FROM lineage_node WHERE key = $1";
    if writer.query_one(known, &[Bind::from(&version)], |row| row.int(0))?.is_none() {
        return Ok(());
    }
    let reader = node_key(&scene.workspace, NodeKind::Person, &scene.principal);
    let seen = is_known(writer, (&reader, &version), Relation::Read, Trust::Observed, "")?;
    let trust = if seen { Trust::Observed } else { Trust::Claimed };
    edge(writer, scene, (run, &version), Relation::Used, trust, context)
}

/// The data set and number in `…/datasets/NAME/versions/NUMBER/…`, the name decoded: the address of a version here, as `strongroom data fetch
/// --print-urls` gives it.
#[must_use]
pub fn version_in(source: &str) -> Option<(String, i64)> {
    let (_, rest) = source.split_once("/api/strongroom/v1/datasets/")?;
    let (dataset, rest) = rest.split_once("/versions/")?;
    let number = rest.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()?;
    let dataset = percent_encoding::percent_decode_str(dataset).decode_utf8().ok()?;
    (!dataset.is_empty() && !dataset.contains(['/', '\0'])).then(|| (dataset.into_owned(), number))
}

/// A run was given a version to train on, and read it. Executed.
pub(super) fn run_executed_on(
    writer: &mut Writer<'_>,
    scene: &Scene,
    run: &str,
    dataset: &str,
    number: i64,
) -> Result<(), DbError> {
    let version = data_node(writer, scene, dataset, number)?;
    edge(writer, scene, (run, &version), Relation::Used, Trust::Executed, "training")
}

fn data_node(writer: &mut Writer<'_>, scene: &Scene, dataset: &str, number: i64) -> Result<String, DbError> {
    node(writer, scene, NodeKind::DataVersion, &data_version_name(dataset, number), None, "{}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_versions_are_known() {
        let address = "{\"url\": \"https://h:8443/api/strongroom/v1/datasets/churn/versions/12/files/a.csv\"}";
        assert_eq!(version_in(address), Some(("churn".to_owned(), 12)));
        let printed = "https://h:8443/api/strongroom/v1/datasets/churn%2D2024/versions/3/files/a%2Ecsv";
        assert_eq!(version_in(printed), Some(("churn-2024".to_owned(), 3)), "as the command line prints it");
        for other in [
            "churn/versions/latest/files/a",
            "a/b/versions/1",
            "a%2Fb/versions/1",
            "a%00/versions/1",
            "/versions/1",
            "a%ff/versions/1",
        ] {
            assert_eq!(version_in(&format!("https://h/api/strongroom/v1/datasets/{other}")), None, "{other}");
        }
        assert_eq!(version_in("s3://x/y"), None);
    }
}
