//! The SQL of gate files.

use kernel::{Kind, Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::limits::{GATE_REVISION_COUNT_MAX, GATE_SHOWN_COUNT_MAX};
use crate::types::Gate;

const COLUMNS: &str = "revision, document, sha256, set_at, set_by, reason";

fn gate_from(row: &Row<'_>) -> Result<Gate, DbError> {
    Ok(Gate {
        revision: row.int(0)?,
        text: row.opt_text(1)?,
        sha256: row.bytes(2)?.try_into().map_err(|_| DbError::Shape(2))?,
        set_at: Micros(row.int(3)?),
        set_by: row.text(4)?,
        reason: row.text(5)?,
    })
}

/// What a new revision holds.
pub(crate) struct New<'a> {
    pub(crate) model_id: &'a str,
    pub(crate) workspace: &'a str,
    pub(crate) text: Option<&'a str>,
    pub(crate) caller: &'a str,
    pub(crate) at: Micros,
    pub(crate) reason: &'a str,
}

/// Adds a revision.
pub(crate) fn put(writer: &mut Writer<'_>, new: &New<'_>) -> Result<Gate, Problem> {
    let sql = "SELECT COALESCE(MAX(revision), 0) FROM model_gate WHERE model_id = $1";
    let revision = writer.query_one(sql, &[new.model_id.into()], |row| row.int(0))?.unwrap_or_default().saturating_add(1);
    if revision > GATE_REVISION_COUNT_MAX {
        return Err(Problem::new(
            Kind::TooMany,
            format!("a model has at most {GATE_REVISION_COUNT_MAX} revisions of its gate file"),
        ));
    }
    let sha256 = kernel::sha256(new.text.unwrap_or_default().as_bytes());
    writer.execute(
        "INSERT INTO model_gate (model_id, revision, workspace, document, sha256, set_at, set_by, reason)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
        &[
            new.model_id.into(),
            revision.into(),
            new.workspace.into(),
            new.text.into(),
            Bind::Bytes(&sha256),
            new.at.0.into(),
            new.caller.into(),
            new.reason.into(),
        ],
    )?;
    let kept = get(writer, new.model_id, revision)?;
    kept.ok_or_else(|| Problem::internal("a new gate file could not be read back", "the row is not there"))
}

/// One revision.
pub(crate) fn get(reader: &mut Reader<'_>, model_id: &str, revision: i64) -> Result<Option<Gate>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM model_gate WHERE model_id = $1 AND revision = $2");
    reader.query_one(&sql, &[model_id.into(), revision.into()], gate_from)
}

/// The newest revision; nothing where there is none, or it takes the gate away.
pub(crate) fn current(reader: &mut Reader<'_>, model_id: &str) -> Result<Option<Gate>, DbError> {
    Ok(history(reader, model_id, 1)?.into_iter().next().filter(|gate| gate.text.is_some()))
}

/// The revisions, the newest first.
pub(crate) fn history(reader: &mut Reader<'_>, model_id: &str, count: i64) -> Result<Vec<Gate>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM model_gate WHERE model_id = $1 ORDER BY revision DESC LIMIT $2");
    reader.query(&sql, &[model_id.into(), count.min(GATE_SHOWN_COUNT_MAX).into()], gate_from)
}
