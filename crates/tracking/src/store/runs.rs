//! SQL of runs, their parameters and tags.

use std::collections::HashMap;

use kernel::{Kind, Micros, Problem};
use vault::db::sql::{IN_COUNT_MAX, padded};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use super::{inputs, metrics};
use crate::limits;
use crate::types::{KeyValue, Run, RunData, RunInfo, Stage};

pub(super) const RUN_COLUMNS: &str = "r.run_row, r.run_id, r.experiment_id, r.name, r.user_name, r.status, r.start_time_ms, r.end_time_ms, \
     r.artifact_uri, r.deleted";
pub(super) const RUN_COLUMN_COUNT: usize = 10;

/// A run's head with its row.
pub(crate) struct RunRow {
    pub(crate) row: i64,
    pub(crate) info: RunInfo,
}

pub(super) fn run_of(row: &Row<'_>) -> Result<RunRow, DbError> {
    Ok(RunRow {
        row: row.int(0)?,
        info: RunInfo {
            run_id: row.text(1)?,
            experiment_id: row.int(2)?,
            name: row.text(3)?,
            user_name: row.text(4)?,
            status: row.text(5)?,
            start_time_ms: row.int(6)?,
            end_time_ms: row.opt_int(7)?,
            artifact_uri: row.text(8)?,
            stage: Stage::of_flag(row.flag(9)?),
        },
    })
}

/// Makes a run; gives its row.
pub(crate) fn insert(writer: &mut Writer<'_>, info: &RunInfo, owner: &str) -> Result<i64, DbError> {
    let row = writer.query_one(
        "INSERT INTO run (run_id, experiment_id, name, user_name, owner, status, start_time_ms, artifact_uri, deleted, metric_seq) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, 0, 0) RETURNING run_row",
        &[
            (&info.run_id).into(),
            info.experiment_id.into(),
            (&info.name).into(),
            (&info.user_name).into(),
            owner.into(),
            (&info.status).into(),
            info.start_time_ms.into(),
            (&info.artifact_uri).into(),
        ],
        |row| row.int(0),
    )?;
    row.ok_or(DbError::Shape(0))
}

pub(crate) fn info(reader: &mut Reader<'_>, run_row: i64) -> Result<Option<RunInfo>, DbError> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM run r WHERE r.run_row = $1");
    Ok(reader.query_one(&sql, &[run_row.into()], run_of)?.map(|run| run.info))
}

/// Whether it is in use, and its user's name; `None` where there is none.
pub(crate) fn stage_and_user(reader: &mut Reader<'_>, run_row: i64) -> Result<Option<(Stage, String)>, DbError> {
    reader.query_one("SELECT deleted, user_name FROM run WHERE run_row = $1", &[run_row.into()], |row| {
        Ok((Stage::of_flag(row.flag(0)?), row.text(1)?))
    })
}

/// Changes the status, the end or the name, where given.
pub(crate) fn update(
    writer: &mut Writer<'_>,
    run_row: i64,
    status: Option<&str>,
    end_time_ms: Option<i64>,
    name: Option<&str>,
) -> Result<(), DbError> {
    if let Some(status) = status {
        writer.execute("UPDATE run SET status = $1 WHERE run_row = $2", &[status.into(), run_row.into()])?;
    }
    if let Some(end) = end_time_ms {
        writer.execute("UPDATE run SET end_time_ms = $1 WHERE run_row = $2", &[end.into(), run_row.into()])?;
    }
    if let Some(name) = name {
        writer.execute("UPDATE run SET name = $1 WHERE run_row = $2", &[name.into(), run_row.into()])?;
    }
    Ok(())
}

pub(crate) fn set_deleted(writer: &mut Writer<'_>, run_row: i64, deleted: bool, at: Micros) -> Result<(), DbError> {
    let deleted_at = if deleted { Bind::Int(at.0) } else { Bind::Null };
    writer.execute(
        "UPDATE run SET deleted = $1, deleted_at = $2 WHERE run_row = $3",
        &[deleted.into(), deleted_at, run_row.into()],
    )?;
    Ok(())
}

pub(crate) fn put_tags(writer: &mut Writer<'_>, run_row: i64, tags: &[KeyValue]) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO tag (run_row, key, value) VALUES ($1, $2, $3) ON CONFLICT (run_row, key) DO UPDATE SET value = excluded.value",
        tags.iter().map(|tag| vec![run_row.into(), (&tag.key).into(), (&tag.value).into()]),
    )
}

pub(crate) fn tag(reader: &mut Reader<'_>, run_row: i64, key: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT value FROM tag WHERE run_row = $1 AND key = $2", &[run_row.into(), key.into()], |row| row.text(0))
}

pub(crate) fn delete_tag(writer: &mut Writer<'_>, run_row: i64, key: &str) -> Result<bool, DbError> {
    Ok(writer.execute("DELETE FROM tag WHERE run_row = $1 AND key = $2", &[run_row.into(), key.into()])? > 0)
}

pub(crate) fn param(reader: &mut Reader<'_>, run_row: i64, key: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT value FROM param WHERE run_row = $1 AND key = $2", &[run_row.into(), key.into()], |row| row.text(0))
}

/// Adds parameters that are not there yet.
pub(crate) fn put_params<'a>(
    writer: &mut Writer<'_>,
    run_row: i64,
    params: impl Iterator<Item = &'a KeyValue>,
) -> Result<(), DbError> {
    writer.execute_many(
        "INSERT INTO param (run_row, key, value) VALUES ($1, $2, $3)",
        params.map(|param| vec![run_row.into(), (&param.key).into(), (&param.value).into()]),
    )
}

/// One run with all that was logged to it.
pub(crate) fn full(reader: &mut Reader<'_>, run_row: i64) -> Result<Option<Run>, Problem> {
    let Some(info) = info(reader, run_row)? else { return Ok(None) };
    Ok(with_data(reader, vec![RunRow { row: run_row, info }])?.pop())
}

/// Adds to each run what was logged to it, in a handful of queries for each thousand runs.
pub(crate) fn with_data(reader: &mut Reader<'_>, rows: Vec<RunRow>) -> Result<Vec<Run>, Problem> {
    let mut runs = Vec::with_capacity(rows.len());
    let mut value_count = 0_usize;
    let mut rows = rows.into_iter().peekable();
    while rows.peek().is_some() {
        let chunk: Vec<RunRow> = rows.by_ref().take(IN_COUNT_MAX).collect();
        let ids: Vec<i64> = chunk.iter().map(|run| run.row).collect();
        let data = data_of(reader, &ids)?;
        value_count += data.iter().map(|data| data.metrics.len() + data.params.len() + data.tags.len()).sum::<usize>();
        if value_count > limits::SEARCH_PAGE_VALUE_COUNT_MAX {
            let limit = limits::SEARCH_PAGE_VALUE_COUNT_MAX;
            let text =
                format!("these runs hold more than {limit} metrics, parameters and tags; ask for fewer with `max_results`");
            return Err(Problem::new(Kind::TooLarge, text));
        }
        runs.extend(chunk.into_iter().zip(data).map(|(run, data)| Run { info: run.info, data }));
    }
    Ok(runs)
}

fn data_of(reader: &mut Reader<'_>, rows: &[i64]) -> Result<Vec<RunData>, DbError> {
    // One more at the end takes what belongs to none of them, which no query gives.
    let mut data: Vec<RunData> = vec![RunData::default(); rows.len() + 1];
    let at: HashMap<i64, usize> = rows.iter().enumerate().map(|(index, row)| (*row, index)).collect();
    metrics::latest(reader, rows, |row, point| slot(&at, &mut data, row).metrics.push(point))?;
    pairs(reader, "param", rows, |row, pair| slot(&at, &mut data, row).params.push(pair))?;
    pairs(reader, "tag", rows, |row, pair| slot(&at, &mut data, row).tags.push(pair))?;
    inputs::datasets(reader, rows, |row, input| slot(&at, &mut data, row).datasets.push(input))?;
    inputs::models(reader, rows, |row, generated, model| {
        let data = slot(&at, &mut data, row);
        if generated { data.model_outputs.push(model) } else { data.model_inputs.push(model) }
    })?;
    data.pop();
    Ok(data)
}

#[expect(clippy::indexing_slicing, reason = "the data has one more entry than rows, and an index is at most that one")]
fn slot<'d>(at: &HashMap<i64, usize>, data: &'d mut [RunData], row: i64) -> &'d mut RunData {
    let last = data.len() - 1;
    &mut data[at.get(&row).copied().unwrap_or(last).min(last)]
}

fn pairs(reader: &mut Reader<'_>, table: &str, rows: &[i64], mut each: impl FnMut(i64, KeyValue)) -> Result<(), DbError> {
    let (places, binds) = padded(rows);
    let sql = format!("SELECT run_row, key, value FROM {table} WHERE run_row IN {places} ORDER BY run_row, key");
    reader.for_each(&sql, &binds, |row| {
        each(row.int(0)?, KeyValue { key: row.text(1)?, value: row.text(2)? });
        Ok(())
    })
}
