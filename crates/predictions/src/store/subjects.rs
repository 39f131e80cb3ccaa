//! Whom predictions concern, in which batches they stand, and which of them were erased.

use std::collections::BTreeMap;

use kernel::{Cursor, Micros};
use vault::db::{Bind, DbError, Reader, Row, Writer};
use vault::keys::ObjectKey;

use super::{counted, document};
use crate::batch::About;
use crate::types::{Count, Erasure};

/// A subject's row.
#[derive(Clone, Debug)]
pub(crate) struct SubjectRow {
    pub(crate) id: String,
    pub(crate) workspace: String,
    pub(crate) key: ObjectKey,
    /// When a request first named it.
    pub(crate) since: Micros,
}

const SUBJECT: &str = "SELECT subject_id, workspace, wrapped_key, key_version, created_at FROM prediction_subject";

fn subject_from(row: &Row<'_>) -> Result<SubjectRow, DbError> {
    let key = ObjectKey { wrapped: row.bytes(2)?, version: row.int(3)? };
    Ok(SubjectRow { id: row.text(0)?, workspace: row.text(1)?, key, since: Micros(row.int(4)?) })
}

pub(crate) fn subject_by_tag(reader: &mut Reader<'_>, workspace: &str, tag: &[u8]) -> Result<Option<SubjectRow>, DbError> {
    let sql = format!("{SUBJECT} WHERE workspace = $1 AND tag = $2");
    reader.query_one(&sql, &[workspace.into(), Bind::Bytes(tag)], subject_from)
}

pub(crate) fn subject_by_id(reader: &mut Reader<'_>, workspace: &str, id: &str) -> Result<Option<SubjectRow>, DbError> {
    let sql = format!("{SUBJECT} WHERE workspace = $1 AND subject_id = $2");
    reader.query_one(&sql, &[workspace.into(), id.into()], subject_from)
}

/// Adds a subject, unless there is one of this tag.
pub(crate) fn insert_subject(writer: &mut Writer<'_>, row: &SubjectRow, tag: &[u8]) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO prediction_subject (subject_id, workspace, tag, wrapped_key, key_version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (workspace, tag) DO NOTHING",
        &[
            (&row.id).into(),
            (&row.workspace).into(),
            Bind::Bytes(tag),
            Bind::Bytes(&row.key.wrapped),
            row.key.version.into(),
            row.since.0.into(),
        ],
    )?;
    Ok(())
}

/// Deletes a subject, and with it where it stands.
pub(crate) fn delete_subject(writer: &mut Writer<'_>, id: &str) -> Result<(), DbError> {
    writer.execute("DELETE FROM prediction_subject WHERE subject_id = $1", &[id.into()])?;
    Ok(())
}

/// Notes in how many predictions of a batch each subject stands. Of one that was erased meanwhile nothing is noted.
pub(crate) fn count_about(writer: &mut Writer<'_>, batch: &str, subjects: &BTreeMap<String, About>) -> Result<(), DbError> {
    // Most subjects stand in as many predictions as others: one statement for all that do.
    let mut alike: BTreeMap<About, Vec<String>> = BTreeMap::new();
    for (subject, about) in subjects {
        alike.entry(*about).or_default().push(subject.clone());
    }
    for (about, subjects) in alike {
        writer.execute(
            "INSERT INTO prediction_about (subject_id, batch_id, request_count, row_count)
             SELECT s.subject_id, CAST($2 AS TEXT), CAST($3 AS BIGINT), CAST($4 AS BIGINT)
             FROM json_each($1) AS j JOIN prediction_subject AS s ON s.subject_id = j.key",
            &[(&document(&subjects)).into(), batch.into(), about.request_count.into(), about.row_count.into()],
        )?;
    }
    Ok(())
}

/// In how many sealed predictions a subject stands.
pub(crate) fn request_count_about(reader: &mut Reader<'_>, subject: &str) -> Result<i64, DbError> {
    let sql = "SELECT CAST(COALESCE(SUM(request_count), 0) AS BIGINT) FROM prediction_about WHERE subject_id = $1";
    Ok(reader.query_one(sql, &[subject.into()], |row| row.int(0))?.unwrap_or_default())
}

/// The same by endpoint and version: the first `count` of them.
pub(crate) fn held(reader: &mut Reader<'_>, subject: &str, count: i64) -> Result<Vec<Count>, DbError> {
    let sql = "SELECT b.endpoint_id, b.model_id, b.version, MAX(b.endpoint), CAST(SUM(a.request_count) AS BIGINT),
            CAST(SUM(a.row_count) AS BIGINT), MIN(b.first_at), MAX(b.last_at)
         FROM prediction_about AS a JOIN prediction_batch AS b ON b.batch_id = a.batch_id WHERE a.subject_id = $1
         GROUP BY b.endpoint_id, b.model_id, b.version ORDER BY MAX(b.endpoint), b.endpoint_id, b.model_id, b.version LIMIT $2";
    counted(reader, sql, &[subject.into(), count.into()])
}

/// Batches of a workspace that were sealed before subjects were counted.
pub(crate) fn uncounted_batches(reader: &mut Reader<'_>, workspace: &str) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM prediction_batch WHERE workspace = $1 AND subjects_counted = 0";
    Ok(reader.query_one(sql, &[workspace.into()], |row| row.int(0))?.unwrap_or_default())
}

const ERASURE: &str = "SELECT e.entry, e.erased_at, e.erased_by, p.name, e.subject_id, e.request_count
    FROM prediction_erasure AS e LEFT JOIN principal AS p ON p.id = e.erased_by";

fn erasure_from(row: &Row<'_>) -> Result<Erasure, DbError> {
    Ok(Erasure {
        entry: row.text(0)?,
        at: Micros(row.int(1)?),
        by: row.text(2)?,
        by_name: row.opt_text(3)?,
        subject_id: row.text(4)?,
        request_count: row.int(5)?,
    })
}

pub(crate) fn insert_erasure(writer: &mut Writer<'_>, workspace: &str, erasure: &Erasure) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO prediction_erasure (entry, workspace, erased_at, erased_by, subject_id, request_count)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            (&erasure.entry).into(),
            workspace.into(),
            erasure.at.0.into(),
            (&erasure.by).into(),
            (&erasure.subject_id).into(),
            erasure.request_count.into(),
        ],
    )?;
    Ok(())
}

/// Erasures of a workspace before this one, the newest first.
pub(crate) fn erasures(
    reader: &mut Reader<'_>,
    workspace: &str,
    before: Option<&Cursor>,
    count: i64,
) -> Result<Vec<Erasure>, DbError> {
    let (at, entry) = before.map_or((i64::MAX, ""), |before| (before.at.0, &before.id));
    let sql = format!(
        "{ERASURE} WHERE e.workspace = $1 AND (e.erased_at, e.entry) < ($2, $3) ORDER BY e.erased_at DESC, e.entry DESC LIMIT $4"
    );
    reader.query(&sql, &[workspace.into(), at.into(), entry.into(), count.into()], erasure_from)
}

pub(crate) fn erasure(reader: &mut Reader<'_>, workspace: &str, entry: &str) -> Result<Option<Erasure>, DbError> {
    let sql = format!("{ERASURE} WHERE e.workspace = $1 AND e.entry = $2");
    reader.query_one(&sql, &[workspace.into(), entry.into()], erasure_from)
}
