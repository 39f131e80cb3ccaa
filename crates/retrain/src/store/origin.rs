//! The SQL of how a version was made and what came of a run: the rows of other rooms, read and never written.

use std::collections::BTreeMap;

use lineage::{NodeKind, Use};
use vault::db::{DbError, Reader};

use crate::limits::PARAMETER_COUNT_MAX;
use crate::types::Draft;

/// The folder among a run's artifacts where its code is looked for.
const CODE_FOLDER: &str = "code";
/// MLflow's tag for what was started.
const SOURCE_NAME: &str = "mlflow.source.name";

/// What is known of how a version was made, and what its run was started with in MLflow's words.
pub(crate) fn draft(
    reader: &mut Reader<'_>,
    workspace: &str,
    model_id: &str,
    number: i64,
) -> Result<(Draft, Option<String>), DbError> {
    let name =
        reader.query_one("SELECT name FROM registered_model WHERE model_id = $1", &[model_id.into()], |row| row.text(0))?;
    let mut draft = Draft { model: name.unwrap_or_default(), version: number, ..Draft::default() };
    let origin = lineage::origin_of_version(reader, workspace, model_id, number)?;
    let mut data: Vec<_> = origin.uses.iter().filter(|used| used.kind == NodeKind::DataVersion).collect();
    // What was trained on first, and of that what is known best.
    data.sort_by_key(|used| (Use::of_context(&used.detail) != Use::Training, std::cmp::Reverse(used.trust)));
    for used in data {
        let Some((dataset, number)) = used.name.rsplit_once('/') else { continue };
        let Ok(number) = number.parse() else { continue };
        if !draft.data.iter().any(|known| *known == (dataset.to_owned(), number)) {
            draft.data.push((dataset.to_owned(), number));
        }
    }
    let Some((run_id, _)) = origin.run else { return Ok((draft, None)) };
    let sql = "SELECT r.run_row, r.experiment_id FROM run r JOIN experiment e ON e.experiment_id = r.experiment_id
               WHERE r.run_id = $1 AND e.workspace_id = $2";
    let found = reader.query_one(sql, &[(&run_id).into(), workspace.into()], |row| Ok((row.int(0)?, row.int(1)?)))?;
    let Some((run_row, experiment_id)) = found else { return Ok((draft, None)) };
    draft.experiment_id = Some(experiment_id);
    let count = i64::try_from(PARAMETER_COUNT_MAX).unwrap_or(i64::MAX);
    let sql = "SELECT key, value FROM param WHERE run_row = $1 ORDER BY key LIMIT $2";
    let pairs = reader.query(sql, &[run_row.into(), count.into()], |row| Ok((row.text(0)?, row.text(1)?)))?;
    draft.parameters = pairs.into_iter().collect::<BTreeMap<_, _>>();
    let sql = "SELECT value FROM tag WHERE run_row = $1 AND key = $2";
    let source = reader.query_one(sql, &[run_row.into(), SOURCE_NAME.into()], |row| row.text(0))?;
    // A run of ours has its code where the job's was.
    let sql = "SELECT spec FROM retrain_job WHERE run_id = $1 AND workspace = $2 ORDER BY asked_at LIMIT 1";
    let before = reader.query_one(sql, &[(&run_id).into(), workspace.into()], |row| row.text(0))?;
    match before.as_deref().and_then(|text| crate::types::Spec::parse(text).ok()) {
        Some(spec) => {
            draft.code = Some((spec.code.run_id.clone(), spec.code.path.clone()));
            let words: Vec<String> = spec.entry.iter().map(|word| crate::entry::quoted(word)).collect();
            draft.entry = Some(words.join(" "));
            draft.parameters = spec.parameters;
        }
        None => draft.code = Some((run_id.clone(), CODE_FOLDER.to_owned())),
    }
    draft.origin_run = Some(run_id);
    Ok((draft, source))
}

/// The logged models that came of a run, by id and name.
pub(crate) fn logged_models(reader: &mut Reader<'_>, run_id: &str) -> Result<Vec<(String, String)>, DbError> {
    let sql = "SELECT model_id, name FROM logged_model WHERE source_run_id = $1 AND deleted = 0 ORDER BY created_at, model_id LIMIT 100";
    reader.query(sql, &[run_id.into()], |row| Ok((row.text(0)?, row.text(1)?)))
}

/// The name of the logged model that a version was made of.
pub(crate) fn logged_name(reader: &mut Reader<'_>, model_id: &str, number: i64) -> Result<Option<String>, DbError> {
    let sql = "SELECT l.name FROM model_version v JOIN logged_model l ON l.model_id = v.logged_model_id
               WHERE v.model_id = $1 AND v.version = $2";
    reader.query_one(sql, &[model_id.into(), number.into()], |row| row.text(0))
}

/// Whether there is a file or a logged model of a run.
pub(crate) fn is_filled(reader: &mut Reader<'_>, run_id: &str) -> Result<bool, DbError> {
    let sql = "SELECT 1 FROM logged_model WHERE source_run_id = $1
               UNION ALL SELECT 1 FROM artifact WHERE owner_kind = 'run' AND owner_id = $1 LIMIT 1";
    Ok(reader.query_one(sql, &[run_id.into()], |row| row.int(0))?.is_some())
}

/// The paths of a data version's files.
pub(crate) fn data_files(reader: &mut Reader<'_>, version_id: &str, count: usize) -> Result<Vec<String>, DbError> {
    let limit = i64::try_from(count).unwrap_or(i64::MAX);
    let sql = "SELECT path FROM data_file WHERE version_id = $1 ORDER BY path LIMIT $2";
    reader.query(sql, &[version_id.into(), limit.into()], |row| row.text(0))
}
