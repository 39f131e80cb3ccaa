//! The SQL of inspections and what they found.

use data::{FoundFinding, InspectionState, Verdict};
use inspection::{Effect, Finding};
use kernel::{Kind, Micros, Problem, random_id};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use super::opt_digest;
use crate::limits::{ATTEMPT_COUNT_MAX, INSPECTION_COUNT_MAX};
use crate::types::{Inspection, Subject};

const COLUMNS: &str = "inspection_id, model_id, version, workspace, state, queued_at, queued_by, started_at, ended_at, \
                       attempt_count, stage, verdict, report_sha256, fault";

fn inspection_from(row: &Row<'_>) -> Result<Inspection, DbError> {
    let state = row.text(4)?;
    Ok(Inspection {
        id: row.text(0)?,
        subject: Subject { model_id: row.text(1)?, number: row.int(2)? },
        workspace: row.text(3)?,
        state: InspectionState::parse(&state).ok_or(DbError::Shape(4))?,
        queued_at: Micros(row.int(5)?),
        queued_by: row.text(6)?,
        started_at: row.opt_int(7)?.map(Micros),
        ended_at: row.opt_int(8)?.map(Micros),
        attempt_count: row.int(9)?,
        stage: row.text(10)?,
        verdict: row.opt_text(11)?.as_deref().and_then(Verdict::parse),
        report_sha256: opt_digest(row, 12)?,
        fault: row.opt_text(13)?,
    })
}

/// Queues an inspection, unless one waits or runs already: then that one is it.
pub(crate) fn queue(
    writer: &mut Writer<'_>,
    subject: &Subject,
    workspace: &str,
    caller: &str,
    at: Micros,
) -> Result<Inspection, Problem> {
    if let Some(last) = last(writer, subject)?.filter(|last| !last.state.is_over()) {
        return Ok(last);
    }
    let sql = "SELECT COUNT(*) FROM model_inspection WHERE model_id = $1 AND version = $2";
    if writer.query_one(sql, &[(&subject.model_id).into(), subject.number.into()], |row| row.int(0))?.unwrap_or_default()
        >= INSPECTION_COUNT_MAX
    {
        return Err(Problem::new(Kind::TooMany, format!("a version is inspected at most {INSPECTION_COUNT_MAX} times")));
    }
    let id = random_id();
    writer.execute(
        "INSERT INTO model_inspection (inspection_id, model_id, version, workspace, state, queued_at, queued_by, attempt_count,
             stage, cancelled) VALUES ($1, $2, $3, $4, 'queued', $5, $6, 0, '', 0)",
        &[(&id).into(), (&subject.model_id).into(), subject.number.into(), workspace.into(), at.0.into(), caller.into()],
    )?;
    get(writer, &id)?.ok_or_else(|| Problem::internal("a new inspection could not be read back", "the row is not there"))
}

pub(crate) fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Inspection>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM model_inspection WHERE inspection_id = $1");
    reader.query_one(&sql, &[id.into()], inspection_from)
}

/// The last inspection of a version.
pub(crate) fn last(reader: &mut Reader<'_>, subject: &Subject) -> Result<Option<Inspection>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM model_inspection WHERE model_id = $1 AND version = $2 ORDER BY queued_at DESC, inspection_id DESC LIMIT 1"
    );
    reader.query_one(&sql, &[(&subject.model_id).into(), subject.number.into()], inspection_from)
}

/// The last inspection of a version that left a report.
pub(crate) fn last_done(reader: &mut Reader<'_>, subject: &Subject) -> Result<Option<Inspection>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM model_inspection WHERE model_id = $1 AND version = $2 AND state = 'done'
         ORDER BY queued_at DESC, inspection_id DESC LIMIT 1"
    );
    reader.query_one(&sql, &[(&subject.model_id).into(), subject.number.into()], inspection_from)
}

/// The next inspection for `runner` to do: one that waits, or that a process which is gone left behind.
pub(crate) fn next(reader: &mut Reader<'_>, runner: &str) -> Result<Option<Inspection>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM model_inspection
         WHERE state IN ('queued', 'running') AND (runner IS NULL OR runner <> $1) ORDER BY queued_at, inspection_id LIMIT 1"
    );
    reader.query_one(&sql, &[runner.into()], inspection_from)
}

/// `runner` begins an inspection. One that was begun too often already is given up: then this gives false.
pub(crate) fn begin(writer: &mut Writer<'_>, found: &Inspection, runner: &str, at: Micros) -> Result<bool, DbError> {
    if found.attempt_count >= ATTEMPT_COUNT_MAX {
        let fault = format!("the inspection was begun {ATTEMPT_COUNT_MAX} times, and each time the server ended during it");
        fail(writer, &found.id, InspectionState::Failed, &fault, at)?;
        return Ok(false);
    }
    writer.execute(
        "UPDATE model_inspection SET state = 'running', runner = $1, started_at = $2, attempt_count = attempt_count + 1
         WHERE inspection_id = $3",
        &[runner.into(), at.0.into(), (&found.id).into()],
    )?;
    Ok(true)
}

/// An inspection ends without a report.
pub(crate) fn fail(writer: &mut Writer<'_>, id: &str, state: InspectionState, fault: &str, at: Micros) -> Result<(), DbError> {
    writer.execute(
        "UPDATE model_inspection SET state = $1, fault = $2, ended_at = $3 WHERE inspection_id = $4",
        &[state.word().into(), fault.into(), at.0.into(), id.into()],
    )?;
    Ok(())
}

/// An inspection that `runner` still does ends as cancelled; gives whether it was.
pub(crate) fn stop_own(writer: &mut Writer<'_>, id: &str, runner: &str, at: Micros) -> Result<bool, DbError> {
    let changed = writer.execute(
        "UPDATE model_inspection SET state = 'cancelled', fault = 'it was cancelled', ended_at = $1
         WHERE inspection_id = $2 AND runner = $3 AND state = 'running'",
        &[at.0.into(), id.into(), runner.into()],
    )?;
    Ok(changed == 1)
}

/// `runner` could not end an inspection: whoever comes next takes it up again.
pub(crate) fn release(writer: &mut Writer<'_>, id: &str, runner: &str) -> Result<(), DbError> {
    writer.execute(
        "UPDATE model_inspection SET runner = NULL WHERE inspection_id = $1 AND runner = $2 AND state = 'running'",
        &[id.into(), runner.into()],
    )?;
    Ok(())
}

/// An inspection ends with a report. Gives whether it was still `runner`'s to end.
pub(crate) fn finish(
    writer: &mut Writer<'_>,
    id: &str,
    runner: &str,
    verdict: Verdict,
    report_sha256: &[u8; 32],
    rules: Option<&str>,
    at: Micros,
) -> Result<bool, DbError> {
    let changed = writer.execute(
        "UPDATE model_inspection SET state = 'done', verdict = $1, report_sha256 = $2, ended_at = $3, stage = 'done', rules = $4
         WHERE inspection_id = $5 AND state = 'running' AND runner = $6 AND cancelled = 0",
        &[verdict.word().into(), Bind::Bytes(report_sha256), at.0.into(), rules.into(), id.into(), runner.into()],
    )?;
    Ok(changed == 1)
}

/// Versions, with their workspaces, whose last report was made by other rules than `rules`. Those that are on their way already, or
/// were inspected as often as they may, are left out.
pub(crate) fn judged_otherwise(reader: &mut Reader<'_>, rules: &str, count: usize) -> Result<Vec<(Subject, String)>, DbError> {
    let sql = "SELECT s.model_id, s.version, s.workspace FROM model_standing s
               WHERE s.place IS NOT NULL
               AND (SELECT COUNT(*) FROM model_inspection c WHERE c.model_id = s.model_id AND c.version = s.version) < $1
               AND NOT EXISTS (SELECT 1 FROM model_inspection q
                   WHERE q.model_id = s.model_id AND q.version = s.version AND q.state IN ('queued', 'running'))
               AND EXISTS (SELECT 1 FROM model_inspection d
                   WHERE d.model_id = s.model_id AND d.version = s.version AND d.state = 'done'
                   AND (d.rules IS NULL OR d.rules <> $2)
                   AND NOT EXISTS (SELECT 1 FROM model_inspection l
                       WHERE l.model_id = d.model_id AND l.version = d.version AND l.state = 'done' AND l.queued_at > d.queued_at))
               ORDER BY s.model_id, s.version LIMIT $3";
    let binds = [INSPECTION_COUNT_MAX.into(), rules.into(), i64::try_from(count).unwrap_or(i64::MAX).into()];
    reader.query(sql, &binds, |row| Ok((Subject { model_id: row.text(0)?, number: row.int(1)? }, row.text(2)?)))
}

/// Admitted versions of a workspace, the newest first. Those that are on their way to another verdict already, or were inspected as
/// often as they may, are left out.
pub(crate) fn admitted(reader: &mut Reader<'_>, workspace: &str, count: usize) -> Result<Vec<Subject>, DbError> {
    let sql = "SELECT s.model_id, s.version FROM model_standing s
               WHERE s.workspace = $1 AND s.state = 'admitted' AND s.place IS NOT NULL
               AND (SELECT COUNT(*) FROM model_inspection c WHERE c.model_id = s.model_id AND c.version = s.version) < $2
               AND NOT EXISTS (SELECT 1 FROM model_inspection q
                   WHERE q.model_id = s.model_id AND q.version = s.version AND q.state IN ('queued', 'running'))
               ORDER BY s.submitted_at DESC, s.model_id, s.version LIMIT $3";
    let binds = [workspace.into(), INSPECTION_COUNT_MAX.into(), i64::try_from(count).unwrap_or(i64::MAX).into()];
    reader.query(sql, &binds, |row| Ok(Subject { model_id: row.text(0)?, number: row.int(1)? }))
}

/// Notes how far an inspection is; gives whether it was cancelled.
pub(crate) fn progress(writer: &mut Writer<'_>, id: &str, stage: &str) -> Result<bool, DbError> {
    let sql = "UPDATE model_inspection SET stage = $1 WHERE inspection_id = $2 RETURNING cancelled";
    Ok(writer.query_one(sql, &[stage.into(), id.into()], |row| row.flag(0))?.unwrap_or(true))
}

/// Asks a running inspection to stop.
pub(crate) fn cancel(writer: &mut Writer<'_>, id: &str) -> Result<(), DbError> {
    writer.execute("UPDATE model_inspection SET cancelled = 1 WHERE inspection_id = $1", &[id.into()])?;
    Ok(())
}

pub(crate) fn put_findings(writer: &mut Writer<'_>, id: &str, findings: &[FoundFinding]) -> Result<(), Problem> {
    let mut rows = Vec::with_capacity(findings.len());
    for (place, found) in (0_i64..).zip(findings) {
        let text =
            serde_json::to_string(&found.finding).map_err(|error| Problem::internal("a finding cannot be written", error))?;
        rows.push((place, found.effect.word(), text));
    }
    writer.execute_many(
        "INSERT INTO model_finding (inspection_id, place, effect, document) VALUES ($1, $2, $3, $4)",
        rows.iter().map(|(place, effect, text)| vec![id.into(), (*place).into(), (*effect).into(), text.into()]),
    )?;
    Ok(())
}

pub(crate) fn findings(reader: &mut Reader<'_>, id: &str) -> Result<Vec<FoundFinding>, DbError> {
    let sql = "SELECT effect, document FROM model_finding WHERE inspection_id = $1 ORDER BY place";
    reader.query(sql, &[id.into()], |row| {
        let effect = match row.text(0)?.as_str() {
            "inform" => Effect::Inform,
            "waiver" => Effect::Waiver,
            _ => Effect::Refuse,
        };
        let finding: Finding = serde_json::from_str(&row.text(1)?).map_err(|_| DbError::Shape(1))?;
        Ok(FoundFinding { effect, finding })
    })
}

/// The names of a version's workspace and model.
pub(crate) fn place(reader: &mut Reader<'_>, subject: &Subject) -> Result<Option<(String, String)>, DbError> {
    let sql = "SELECT w.name, m.name FROM registered_model m JOIN workspace w ON w.id = m.workspace_id WHERE m.model_id = $1";
    reader.query_one(sql, &[(&subject.model_id).into()], |row| Ok((row.text(0)?, row.text(1)?)))
}
