//! All SQL of this room.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};
use vault::objects::{StoredObject, digest};

use crate::types::{Batch, Count, LogPolicy, Policy};

mod subjects;

pub(crate) use subjects::{
    SubjectRow, count_about, delete_subject, erasure, erasures, held, insert_erasure, insert_subject, request_count_about,
    subject_by_id, subject_by_tag, uncounted_batches,
};

const COLUMNS: &str = "b.batch_id, b.workspace, b.endpoint_id, b.endpoint, b.model_id, b.version, b.first_at, b.last_at, \
    b.request_count, b.row_count, b.root, b.entry, b.sealed_at, b.object_id, b.workspace, b.size_bytes, b.sha256, b.wrapped_key, b.key_version";

/// Which batches.
#[derive(Clone, Debug, Default)]
pub(crate) struct Choice {
    pub(crate) workspace: String,
    /// Only of these models, by internal id.
    pub(crate) models: Option<Vec<String>>,
    /// Only of this endpoint, by name.
    pub(crate) endpoint: Option<String>,
    /// Only of these versions, as `model id/number`.
    pub(crate) versions: Option<Vec<String>>,
    /// With predictions from this moment on.
    pub(crate) since: Option<Micros>,
    /// With predictions before this moment.
    pub(crate) until: Option<Micros>,
}

impl Choice {
    /// The tables and the condition, and what they are bound to.
    fn sql(&self) -> (String, Vec<Bound>) {
        let mut from = "prediction_batch AS b".to_owned();
        let mut rest = "b.workspace = $1".to_owned();
        let mut binds = vec![Bound::Text(self.workspace.clone())];
        let mut bound = |bind: Bound| {
            binds.push(bind);
            format!("${}", binds.len())
        };
        if let Some(models) = &self.models {
            let place = bound(Bound::Text(document(models)));
            from.push_str(&format!(" CROSS JOIN json_each({place}) AS m"));
            rest.push_str(" AND b.model_id = m.key");
        }
        if let Some(versions) = &self.versions {
            let place = bound(Bound::Text(document(versions)));
            from.push_str(&format!(" CROSS JOIN json_each({place}) AS v"));
            rest.push_str(" AND b.model_id || '/' || CAST(b.version AS TEXT) = v.key");
        }
        if let Some(endpoint) = &self.endpoint {
            rest.push_str(&format!(" AND b.endpoint = {}", bound(Bound::Text(endpoint.clone()))));
        }
        if let Some(since) = self.since {
            rest.push_str(&format!(" AND b.last_at >= {}", bound(Bound::Int(since.0))));
        }
        if let Some(until) = self.until {
            rest.push_str(&format!(" AND b.first_at < {}", bound(Bound::Int(until.0))));
        }
        (format!("{from} WHERE {rest}"), binds)
    }
}

/// A value that is bound, with what it points at.
enum Bound {
    Text(String),
    Int(i64),
}

impl<'a> From<&'a Bound> for Bind<'a> {
    fn from(bound: &'a Bound) -> Self {
        match bound {
            Bound::Text(text) => Self::Text(text),
            Bound::Int(number) => Self::Int(*number),
        }
    }
}

/// Texts as the JSON object that `json_each` makes rows of, on both engines.
fn document(texts: &[String]) -> String {
    let all: serde_json::Map<String, serde_json::Value> =
        texts.iter().filter(|text| !text.contains('\0')).map(|text| (text.clone(), 0.into())).collect();
    serde_json::Value::Object(all).to_string()
}

/// These batches, newest first.
pub(crate) fn batches(reader: &mut Reader<'_>, choice: &Choice, count: usize) -> Result<Vec<Batch>, DbError> {
    let (from, mut binds) = choice.sql();
    binds.push(Bound::Int(i64::try_from(count).unwrap_or(i64::MAX)));
    let sql = format!("SELECT {COLUMNS} FROM {from} ORDER BY b.last_at DESC, b.batch_id DESC LIMIT ${}", binds.len());
    reader.query(&sql, &binds.iter().map(Bind::from).collect::<Vec<_>>(), batch_from)
}

/// How many predictions these batches hold, by endpoint and version.
pub(crate) fn counts(reader: &mut Reader<'_>, choice: &Choice) -> Result<Vec<Count>, DbError> {
    let (from, binds) = choice.sql();
    let sql = format!(
        "SELECT b.endpoint_id, b.model_id, b.version, MAX(b.endpoint), CAST(SUM(b.request_count) AS BIGINT),
            CAST(SUM(b.row_count) AS BIGINT), MIN(b.first_at), MAX(b.last_at)
         FROM {from} GROUP BY b.endpoint_id, b.model_id, b.version ORDER BY MAX(b.endpoint), b.endpoint_id, b.model_id, b.version"
    );
    let binds: Vec<Bind<'_>> = binds.iter().map(Bind::from).collect();
    counted(reader, &sql, &binds)
}

/// The counts of a statement that gives endpoint's id, model, version, endpoint, predictions, rows, first and last moment.
fn counted(reader: &mut Reader<'_>, sql: &str, binds: &[Bind<'_>]) -> Result<Vec<Count>, DbError> {
    let mut counts = reader.query(sql, binds, |row| {
        Ok((
            row.text(1)?,
            Count {
                endpoint_id: row.text(0)?,
                version: format!("{}/{}", row.text(1)?, row.int(2)?),
                endpoint: row.text(3)?,
                model: None,
                request_count: row.int(4)?,
                row_count: row.int(5)?,
                first_at: Micros(row.int(6)?),
                last_at: Micros(row.int(7)?),
            },
        ))
    })?;
    for (model, count) in &mut counts {
        count.model = model_name(reader, model)?;
    }
    Ok(counts.into_iter().map(|(_, count)| count).collect())
}

fn batch_from(row: &Row<'_>) -> Result<Batch, DbError> {
    Ok(Batch {
        id: row.text(0)?,
        workspace: row.text(1)?,
        endpoint_id: row.text(2)?,
        endpoint: row.text(3)?,
        model_id: row.text(4)?,
        version: row.int(5)?,
        first_at: Micros(row.int(6)?),
        last_at: Micros(row.int(7)?),
        request_count: row.int(8)?,
        row_count: row.int(9)?,
        root: digest(row, 10)?,
        entry: row.text(11)?,
        sealed_at: Micros(row.int(12)?),
        object: StoredObject::from_row(row, 13)?,
    })
}

/// Whether a batch is there.
pub(crate) fn is_sealed(reader: &mut Reader<'_>, id: &str) -> Result<bool, DbError> {
    Ok(reader.query_one("SELECT 1 FROM prediction_batch WHERE batch_id = $1", &[id.into()], |row| row.int(0))?.is_some())
}

/// Adds a batch; false if it is there.
pub(crate) fn insert(writer: &mut Writer<'_>, batch: &Batch) -> Result<bool, Problem> {
    let [object_id, _, size_bytes, sha256, wrapped_key, key_version] = batch.object.keep(writer)?;
    let added = writer.execute(
        "INSERT INTO prediction_batch (batch_id, workspace, endpoint_id, endpoint, model_id, version, first_at, last_at, request_count,
            row_count, root, entry, sealed_at, object_id, size_bytes, sha256, wrapped_key, key_version, subjects_counted)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, 1) ON CONFLICT (batch_id) DO NOTHING",
        &[
            (&batch.id).into(),
            (&batch.workspace).into(),
            (&batch.endpoint_id).into(),
            (&batch.endpoint).into(),
            (&batch.model_id).into(),
            batch.version.into(),
            batch.first_at.0.into(),
            batch.last_at.0.into(),
            batch.request_count.into(),
            batch.row_count.into(),
            Bind::Bytes(&batch.root),
            (&batch.entry).into(),
            batch.sealed_at.0.into(),
            object_id,
            size_bytes,
            sha256,
            wrapped_key,
            key_version,
        ],
    )?;
    Ok(added == 1)
}

/// Batches whose predictions are all older.
pub(crate) fn expired(reader: &mut Reader<'_>, before: Micros, count: i64) -> Result<Vec<Batch>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM prediction_batch AS b WHERE b.last_at < $1 ORDER BY b.last_at LIMIT $2");
    reader.query(&sql, &[before.0.into(), count.into()], batch_from)
}

pub(crate) fn delete(writer: &mut Writer<'_>, id: &str) -> Result<u64, DbError> {
    writer.execute("DELETE FROM prediction_batch WHERE batch_id = $1", &[id.into()])
}

/// What was said of an endpoint's log.
pub(crate) fn policy(reader: &mut Reader<'_>, endpoint_id: &str) -> Result<Option<Policy>, DbError> {
    let sql = "SELECT log, changed_at, changed_by FROM prediction_policy WHERE endpoint_id = $1";
    reader.query_one(sql, &[endpoint_id.into()], |row| {
        let log = LogPolicy::parse(&row.text(0)?).ok_or(DbError::Shape(0))?;
        Ok(Policy { log, set_by: Some((row.text(2)?, Micros(row.int(1)?))) })
    })
}

/// Says what is kept; none for what follows from the data.
pub(crate) fn set_policy(
    writer: &mut Writer<'_>,
    endpoint_id: &str,
    log: Option<LogPolicy>,
    at: Micros,
    by: &str,
) -> Result<(), DbError> {
    let Some(log) = log else {
        writer.execute("DELETE FROM prediction_policy WHERE endpoint_id = $1", &[endpoint_id.into()])?;
        return Ok(());
    };
    let sql = "INSERT INTO prediction_policy (endpoint_id, log, changed_at, changed_by) VALUES ($1, $2, $3, $4)
               ON CONFLICT (endpoint_id) DO UPDATE SET log = excluded.log, changed_at = excluded.changed_at, changed_by = excluded.changed_by";
    writer.execute(sql, &[endpoint_id.into(), log.word().into(), at.0.into(), by.into()])?;
    Ok(())
}

/// The name of a workspace, which attempts go by.
pub(crate) fn workspace_name(reader: &mut Reader<'_>, id: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT name FROM workspace WHERE id = $1", &[id.into()], |row| row.text(0))
}

/// The name of a model.
pub(crate) fn model_name(reader: &mut Reader<'_>, id: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT name FROM registered_model WHERE model_id = $1", &[id.into()], |row| row.text(0))
}

/// The name of an account.
pub(crate) fn principal_name(reader: &mut Reader<'_>, id: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT name FROM principal WHERE id = $1", &[id.into()], |row| row.text(0))
}

/// The names of accounts that still have one, by id.
pub(crate) fn principal_names(reader: &mut Reader<'_>, ids: BTreeSet<String>) -> Result<BTreeMap<String, String>, DbError> {
    let ids: Vec<String> = ids.into_iter().collect();
    let sql = "SELECT p.id, p.name FROM json_each($1) AS j JOIN principal AS p ON p.id = j.key";
    let names = reader.query(sql, &[(&document(&ids)).into()], |row| Ok((row.text(0)?, row.text(1)?)))?;
    Ok(names.into_iter().collect())
}
