//! Logged models.

use std::collections::HashMap;

use kernel::Micros;
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::limits;
use crate::store::key_value;
use crate::store::sql::Sql;
use crate::types::{KeyValue, LoggedModel, LoggedModelMetric, LoggedModelStatus};

pub(crate) const COLUMNS: &str = "m.model_id, m.experiment_id, m.name, m.model_type, m.source_run_id, m.status, m.artifact_uri, \
     m.deleted, m.created_at, m.updated_at";

pub(crate) fn from_row(row: &Row<'_>) -> Result<LoggedModel, DbError> {
    Ok(LoggedModel {
        model_id: row.text(0)?,
        experiment_id: row.int(1)?,
        name: row.text(2)?,
        model_type: row.opt_text(3)?,
        source_run_id: row.opt_text(4)?,
        status: LoggedModelStatus::parse(&row.text(5)?),
        artifact_uri: row.text(6)?,
        deleted: row.flag(7)?,
        created_at: Micros(row.int(8)?),
        updated_at: Micros(row.int(9)?),
        tags: Vec::new(),
        params: Vec::new(),
        metrics: Vec::new(),
    })
}

/// An experiment: where its artifacts are, and whether it is deleted.
pub(crate) fn experiment(reader: &mut Reader<'_>, experiment_id: i64) -> Result<Option<(String, bool)>, DbError> {
    reader.query_one(
        "SELECT artifact_location, deleted FROM experiment WHERE experiment_id = $1",
        &[Bind::from(experiment_id)],
        |row| Ok((row.text(0)?, row.flag(1)?)),
    )
}

/// Adds a model.
pub(crate) fn insert(writer: &mut Writer<'_>, model: &LoggedModel, owner: &str) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO logged_model
            (model_id, experiment_id, name, model_type, source_run_id, status, artifact_uri, owner, deleted, created_at, updated_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, $9, $9)",
        &[
            Bind::from(&model.model_id),
            Bind::from(model.experiment_id),
            Bind::from(&model.name),
            Bind::from(&model.model_type),
            Bind::from(&model.source_run_id),
            Bind::from(model.status.word()),
            Bind::from(&model.artifact_uri),
            Bind::from(owner),
            Bind::from(model.created_at.0),
        ],
    )?;
    put_params(writer, &model.model_id, &model.params)?;
    put_tags(writer, &model.model_id, &model.tags)
}

/// One model with all that belongs to it, deleted or not.
pub(crate) fn get(reader: &mut Reader<'_>, model_id: &str) -> Result<Option<LoggedModel>, DbError> {
    let Some(model) = get_bare(reader, model_id)? else { return Ok(None) };
    let mut all = [model];
    complete(reader, &mut all)?;
    let [model] = all;
    Ok(Some(model))
}

/// One model without tags, params and metrics.
pub(crate) fn get_bare(reader: &mut Reader<'_>, model_id: &str) -> Result<Option<LoggedModel>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM logged_model m WHERE m.model_id = $1");
    reader.query_one(&sql, &[Bind::from(model_id)], from_row)
}

/// A model of the workspace that is not deleted, without tags, params and metrics.
pub(crate) fn find(reader: &mut Reader<'_>, workspace_id: &str, model_id: &str) -> Result<Option<LoggedModel>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM logged_model m JOIN experiment e ON e.experiment_id = m.experiment_id
         WHERE m.model_id = $1 AND e.workspace_id = $2 AND m.deleted = 0"
    );
    reader.query_one(&sql, &[Bind::from(model_id), Bind::from(workspace_id)], from_row)
}

/// Adds tags, params and metrics to models.
pub(crate) fn complete(reader: &mut Reader<'_>, models: &mut [LoggedModel]) -> Result<(), DbError> {
    if models.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = models.iter().map(|model| model.model_id.clone()).collect();
    let place: HashMap<String, usize> = ids.iter().cloned().zip(0..).collect();
    for table in ["logged_model_tag", "logged_model_param"] {
        let mut sql = Sql::new(&format!("SELECT model_id, key, value FROM {table} WHERE model_id IN "));
        let list = sql.binds.texts(&ids);
        sql.push(&list).push(" ORDER BY key");
        reader.for_each(&sql.text, &sql.binds.get(), |row| {
            if let Some(model) = place.get(&row.text(0)?).and_then(|at| models.get_mut(*at)) {
                let pair = key_value(row, 1)?;
                if table == "logged_model_tag" { model.tags.push(pair) } else { model.params.push(pair) }
            }
            Ok(())
        })?;
    }
    let mut sql = Sql::new("");
    let list = sql.binds.texts(&ids);
    let limit = sql.binds.int(limits::LOGGED_MODEL_METRIC_COUNT_MAX);
    sql.push(&format!(
        "SELECT model_id, name, value, is_nan, timestamp_ms, step, run_id, dataset_name, dataset_digest FROM (
            SELECT x.*, ROW_NUMBER() OVER (PARTITION BY x.model_id ORDER BY x.timestamp_ms DESC, x.step DESC) AS place
            FROM logged_model_metric x JOIN logged_model m ON m.model_id = x.model_id AND m.experiment_id = x.experiment_id
            WHERE x.model_id IN {list}) AS newest
         WHERE place <= {limit} ORDER BY timestamp_ms, step, name"
    ));
    reader.for_each(&sql.text, &sql.binds.get(), |row| {
        if let Some(model) = place.get(&row.text(0)?).and_then(|at| models.get_mut(*at)) {
            model.metrics.push(LoggedModelMetric {
                name: row.text(1)?,
                value: if row.flag(3)? { f64::NAN } else { row.real(2)? },
                timestamp_ms: row.int(4)?,
                step: row.int(5)?,
                run_id: row.text(6)?,
                dataset_name: row.opt_text(7)?,
                dataset_digest: row.opt_text(8)?,
            });
        }
        Ok(())
    })
}

/// Sets the status.
pub(crate) fn set_status(writer: &mut Writer<'_>, model_id: &str, status: LoggedModelStatus, at: i64) -> Result<(), DbError> {
    writer.execute(
        "UPDATE logged_model SET status = $2, updated_at = $3 WHERE model_id = $1",
        &[Bind::from(model_id), Bind::from(status.word()), Bind::from(at)],
    )?;
    Ok(())
}

/// Marks a model as deleted.
pub(crate) fn delete(writer: &mut Writer<'_>, model_id: &str, at: i64) -> Result<(), DbError> {
    writer.execute(
        "UPDATE logged_model SET deleted = 1, updated_at = $2 WHERE model_id = $1",
        &[Bind::from(model_id), Bind::from(at)],
    )?;
    Ok(())
}

/// Sets tags.
pub(crate) fn put_tags(writer: &mut Writer<'_>, model_id: &str, tags: &[KeyValue]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO logged_model_tag (model_id, key, value) VALUES ($1, $2, $3)
         ON CONFLICT (model_id, key) DO UPDATE SET value = excluded.value",
        tags.iter().map(|tag| vec![Bind::from(model_id), Bind::from(&tag.key), Bind::from(&tag.value)]),
    )
}

/// Removes a tag; gives whether it was there.
pub(crate) fn delete_tag(writer: &mut Writer<'_>, model_id: &str, key: &str) -> Result<bool, DbError> {
    let count = writer
        .execute("DELETE FROM logged_model_tag WHERE model_id = $1 AND key = $2", &[Bind::from(model_id), Bind::from(key)])?;
    Ok(count > 0)
}

/// The value of one tag.
pub(crate) fn tag(reader: &mut Reader<'_>, model_id: &str, key: &str) -> Result<Option<String>, DbError> {
    reader.query_one(
        "SELECT value FROM logged_model_tag WHERE model_id = $1 AND key = $2",
        &[Bind::from(model_id), Bind::from(key)],
        |row| row.text(0),
    )
}

/// The params of a model.
pub(crate) fn params(reader: &mut Reader<'_>, model_id: &str) -> Result<Vec<KeyValue>, DbError> {
    reader
        .query("SELECT key, value FROM logged_model_param WHERE model_id = $1", &[Bind::from(model_id)], |row| key_value(row, 0))
}

/// Adds params. One that is there already stays as it is.
pub(crate) fn put_params(writer: &mut Writer<'_>, model_id: &str, params: &[KeyValue]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO logged_model_param (model_id, key, value) VALUES ($1, $2, $3) ON CONFLICT (model_id, key) DO NOTHING",
        params.iter().map(|param| vec![Bind::from(model_id), Bind::from(&param.key), Bind::from(&param.value)]),
    )
}
