//! SQL of assessments.

use kernel::Problem;
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::types::{Assessment, AssessmentKind, AssessmentSource};

const COLUMNS: &str = "assessment_id, kind, name, valid, created_ms, updated_ms, source_type, source_id, span_id, overrides, value, error, \
                       rationale, metadata";

fn assessment_of(row: &Row<'_>, first: usize) -> Result<Assessment, DbError> {
    Ok(Assessment {
        assessment_id: row.text(first)?,
        kind: AssessmentKind::of_word(&row.text(first + 1)?).ok_or(DbError::Shape(first + 1))?,
        name: row.text(first + 2)?,
        valid: row.flag(first + 3)?,
        created_ms: row.int(first + 4)?,
        updated_ms: row.int(first + 5)?,
        source: AssessmentSource { kind: row.text(first + 6)?, id: row.text(first + 7)? },
        span_id: row.opt_text(first + 8)?,
        overrides: row.opt_text(first + 9)?,
        value: row.text(first + 10)?,
        error: row.opt_text(first + 11)?,
        rationale: row.opt_text(first + 12)?,
        metadata: row.opt_text(first + 13)?,
    })
}

/// One assessment of a trace.
pub(crate) fn get(reader: &mut Reader<'_>, trace_row: i64, assessment_id: &str) -> Result<Option<Assessment>, DbError> {
    reader.query_one(
        &format!("SELECT {COLUMNS} FROM trace_assessment WHERE trace_row = $1 AND assessment_id = $2"),
        &[trace_row.into(), assessment_id.into()],
        |row| assessment_of(row, 0),
    )
}

/// The assessments of traces, oldest first, handed to `each` with the trace's row.
pub(crate) fn of_rows(
    reader: &mut Reader<'_>,
    places: &str,
    binds: &[Bind<'_>],
    mut each: impl FnMut(i64, Assessment),
) -> Result<(), Problem> {
    let sql = format!(
        "SELECT trace_row, {COLUMNS} FROM trace_assessment WHERE trace_row IN {places} ORDER BY trace_row, created_ms, assessment_id"
    );
    reader.for_each(&sql, binds, |row| {
        each(row.int(0)?, assessment_of(row, 1)?);
        Ok(())
    })?;
    Ok(())
}

pub(crate) fn count(reader: &mut Reader<'_>, trace_row: i64) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM trace_assessment WHERE trace_row = $1";
    reader.query_one(sql, &[trace_row.into()], |row| row.int(0)).map(Option::unwrap_or_default)
}

/// Keeps an assessment, instead of the one of its id.
pub(crate) fn put(writer: &mut Writer<'_>, trace_row: i64, assessment: &Assessment, by: &str) -> Result<(), DbError> {
    writer.execute(
        "INSERT INTO trace_assessment (trace_row, assessment_id, kind, name, valid, created_ms, updated_ms, created_by, source_type, \
         source_id, span_id, run_id, overrides, value, error, rationale, metadata) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, NULL, $12, $13, $14, $15, $16) \
         ON CONFLICT (trace_row, assessment_id) DO UPDATE SET kind = excluded.kind, name = excluded.name, valid = excluded.valid, \
         created_ms = excluded.created_ms, updated_ms = excluded.updated_ms, source_type = excluded.source_type, \
         source_id = excluded.source_id, span_id = excluded.span_id, overrides = excluded.overrides, value = excluded.value, \
         error = excluded.error, rationale = excluded.rationale, metadata = excluded.metadata",
        &[
            trace_row.into(),
            (&assessment.assessment_id).into(),
            assessment.kind.word().into(),
            (&assessment.name).into(),
            assessment.valid.into(),
            assessment.created_ms.into(),
            assessment.updated_ms.into(),
            by.into(),
            (&assessment.source.kind).into(),
            (&assessment.source.id).into(),
            (&assessment.span_id).into(),
            (&assessment.overrides).into(),
            (&assessment.value).into(),
            (&assessment.error).into(),
            (&assessment.rationale).into(),
            (&assessment.metadata).into(),
        ],
    )?;
    Ok(())
}

/// Says whether an assessment holds; `false` where there is none.
pub(crate) fn set_valid(writer: &mut Writer<'_>, trace_row: i64, assessment_id: &str, valid: bool) -> Result<bool, DbError> {
    let changed = writer.execute(
        "UPDATE trace_assessment SET valid = $1 WHERE trace_row = $2 AND assessment_id = $3",
        &[valid.into(), trace_row.into(), assessment_id.into()],
    )?;
    Ok(changed > 0)
}

pub(crate) fn delete(writer: &mut Writer<'_>, trace_row: i64, assessment_id: &str) -> Result<(), DbError> {
    writer.execute(
        "DELETE FROM trace_assessment WHERE trace_row = $1 AND assessment_id = $2",
        &[trace_row.into(), assessment_id.into()],
    )?;
    Ok(())
}
