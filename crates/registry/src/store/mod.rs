//! All of the room's SQL.

pub(crate) mod logged_models;
pub(crate) mod models;
pub(crate) mod search;
pub(crate) mod sql;
pub(crate) mod versions;

use gate::{Facts, Scope, Target};
use vault::db::{Bind, DbError, Reader, Row};

use crate::rules;
use crate::types::KeyValue;

/// Writes a metric about a logged model, beside the run's own point and in its transaction. Nothing is written unless the
/// model is one of the run's experiment and not deleted. Binds: `$1` model id, `$2` experiment id (BIGINT), `$3` run id,
/// `$4` metric name, `$5` timestamp in ms, `$6` step, `$7` value (0 for NaN), `$8` 1 for NaN else 0, `$9` dataset name or
/// NULL, `$10` dataset digest or NULL. The same point twice is one row.
pub const INSERT_LOGGED_MODEL_METRIC: &str = "\
    INSERT INTO logged_model_metric
        (model_id, experiment_id, run_id, name, timestamp_ms, step, value, is_nan, dataset_name, dataset_digest)
    SELECT m.model_id, m.experiment_id, CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS BIGINT), CAST($6 AS BIGINT),
        CAST($7 AS DOUBLE PRECISION), CAST($8 AS SMALLINT), CAST($9 AS TEXT), CAST($10 AS TEXT)
    FROM logged_model m WHERE m.model_id = $1 AND m.experiment_id = $2 AND m.deleted = 0
    ON CONFLICT (model_id, name, timestamp_ms, step, run_id) DO UPDATE SET
        value = excluded.value, is_nan = excluded.is_nan,
        dataset_name = excluded.dataset_name, dataset_digest = excluded.dataset_digest";

/// The facts of a registered model, a version or a logged model of a workspace; `None` for other targets and for what is not
/// there. Of a version that is not there, the model is still named. A version is its number, `@` and an alias, or `latest`; verbs
/// that take numbers only refuse the rest themselves.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn locate(reader: &mut Reader<'_>, workspace_id: &str, target: &Target) -> Result<Option<Facts>, DbError> {
    match target {
        Target::RegisteredModel(name) => locate_model(reader, workspace_id, name),
        Target::ModelVersion(name, version) => locate_version(reader, workspace_id, name, version),
        Target::LoggedModel(model_id) => locate_logged_model(reader, workspace_id, model_id),
        _ => Ok(None),
    }
}

fn locate_model(reader: &mut Reader<'_>, workspace_id: &str, name: &str) -> Result<Option<Facts>, DbError> {
    reader.query_one(
        "SELECT model_id, owner FROM registered_model WHERE workspace_id = $1 AND name = $2",
        &[Bind::from(workspace_id), Bind::from(name)],
        |row| {
            let id = row.text(0)?;
            Ok(Facts {
                exists: true,
                workspace: Some(workspace_id.to_owned()),
                model: Some(id.clone()),
                id: Some(id),
                owner: row.opt_text(1)?,
                ..Facts::default()
            })
        },
    )
}

fn locate_version(reader: &mut Reader<'_>, workspace_id: &str, name: &str, version: &str) -> Result<Option<Facts>, DbError> {
    let Some(mut facts) = locate_model(reader, workspace_id, name)? else { return Ok(None) };
    facts.exists = false;
    let Some(model) = facts.model.clone() else { return Ok(Some(facts)) };
    let number = match version.strip_prefix('@') {
        Some(alias) => models::version_of_alias(reader, &model, alias)?,
        None if version == "latest" => versions::newest(reader, &model)?,
        None => rules::version(version).ok(),
    };
    let Some(number) = number else { return Ok(Some(facts)) };
    let owner = reader.query_one(
        "SELECT owner FROM model_version WHERE model_id = $1 AND version = $2 AND deleted = 0",
        &[Bind::from(&model), Bind::from(number)],
        |row| row.text(0),
    )?;
    if let Some(owner) = owner {
        facts.exists = true;
        facts.id = Some(format!("{model}/{number}"));
        facts.owner = Some(owner);
    }
    Ok(Some(facts))
}

fn locate_logged_model(reader: &mut Reader<'_>, workspace_id: &str, model_id: &str) -> Result<Option<Facts>, DbError> {
    reader.query_one(
        "SELECT m.model_id, m.experiment_id, m.owner FROM logged_model m
         JOIN experiment e ON e.experiment_id = m.experiment_id
         WHERE m.model_id = $1 AND e.workspace_id = $2",
        &[Bind::from(model_id), Bind::from(workspace_id)],
        |row| {
            Ok(Facts {
                exists: true,
                workspace: Some(workspace_id.to_owned()),
                experiment: Some(row.int(1)?),
                id: Some(row.text(0)?),
                owner: row.opt_text(2)?,
                ..Facts::default()
            })
        },
    )
}

/// Whether a caller of this scope may know of an experiment.
pub(crate) fn may_know_of(scope: &Scope, experiment_id: i64) -> bool {
    match scope {
        Scope::Workspace => true,
        Scope::Nothing | Scope::Workspaces(_) | Scope::Datasets(_) => false,
        Scope::Only { experiments, .. } => experiments.contains(&experiment_id),
    }
}

/// Rows of `key, value`.
pub(crate) fn key_value(row: &Row<'_>, at: usize) -> Result<KeyValue, DbError> {
    Ok(KeyValue { key: row.text(at)?, value: row.text(at + 1)? })
}
