//! All SQL of this room.

use std::collections::HashSet;

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::chain::Known;
use crate::types::{Request, Restored, Run, RunKind, RunState};

const RUN_COLUMNS: &str =
    "id, kind, target, state, step, done_count, total_count, sequence, manifest_sha256, log_size, object_count,
    copied_bytes, point_at, took_ms, problem, asked_by, asked_at, ended_at";

fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}

/// A count as the database keeps it.
pub(crate) fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn run_from(row: &Row<'_>) -> Result<Run, DbError> {
    Ok(Run {
        id: row.text(0)?,
        kind: RunKind::parse(&row.text(1)?).ok_or(DbError::Shape(1))?,
        target: row.text(2)?,
        state: RunState::parse(&row.text(3)?).ok_or(DbError::Shape(3))?,
        step: row.text(4)?,
        done_count: unsigned(row.int(5)?),
        total_count: unsigned(row.int(6)?),
        sequence: row.opt_int(7)?.map(unsigned),
        manifest_sha256: row.opt_bytes(8)?,
        log_size: row.opt_int(9)?.map(unsigned),
        object_count: row.opt_int(10)?.map(unsigned),
        copied_bytes: row.opt_int(11)?.map(unsigned),
        point_at: row.opt_int(12)?.map(Micros),
        took_ms: row.opt_int(13)?.map(unsigned),
        problem: row.opt_text(14)?,
        asked_by: row.text(15)?,
        asked_at: Micros(row.int(16)?),
        ended_at: row.opt_int(17)?.map(Micros),
    })
}

/// Adds a run.
pub(crate) fn add_run(writer: &mut Writer<'_>, run: &Run) -> Result<(), Problem> {
    writer.execute(
        "INSERT INTO backup_run (id, kind, target, state, step, done_count, total_count, asked_by, asked_at)
         VALUES ($1, $2, $3, $4, $5, 0, 0, $6, $7)",
        &[
            run.id.as_str().into(),
            run.kind.word().into(),
            run.target.as_str().into(),
            run.state.word().into(),
            run.step.as_str().into(),
            run.asked_by.as_str().into(),
            run.asked_at.0.into(),
        ],
    )?;
    Ok(())
}

/// A run.
pub(crate) fn run(reader: &mut Reader<'_>, id: &str) -> Result<Option<Run>, Problem> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM backup_run WHERE id = $1");
    Ok(reader.query_one(&sql, &[id.into()], run_from)?)
}

/// Runs, the newest first.
pub(crate) fn runs(reader: &mut Reader<'_>, count: i64) -> Result<Vec<Run>, Problem> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM backup_run ORDER BY asked_at DESC, id LIMIT $1");
    Ok(reader.query(&sql, &[count.into()], run_from)?)
}

/// What is to be done next: what a process that ended had begun, then what waits longest.
pub(crate) fn next_run(reader: &mut Reader<'_>) -> Result<Option<Run>, Problem> {
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM backup_run WHERE state = 'running' OR state = 'queued' ORDER BY state DESC, asked_at, id LIMIT 1"
    );
    Ok(reader.query_one(&sql, &[], run_from)?)
}

/// Whether one of this kind waits or is under way.
pub(crate) fn open_run(reader: &mut Reader<'_>, kind: RunKind) -> Result<Option<Run>, Problem> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM backup_run WHERE kind = $1 AND (state = 'running' OR state = 'queued') LIMIT 1");
    Ok(reader.query_one(&sql, &[kind.word().into()], run_from)?)
}

/// The last good one of this kind.
pub(crate) fn last_good(reader: &mut Reader<'_>, kind: RunKind) -> Result<Option<Run>, Problem> {
    let sql = format!("SELECT {RUN_COLUMNS} FROM backup_run WHERE kind = $1 AND state = 'done' ORDER BY ended_at DESC LIMIT 1");
    Ok(reader.query_one(&sql, &[kind.word().into()], run_from)?)
}

/// The last one of this kind that ended, good or not.
pub(crate) fn last_ended(reader: &mut Reader<'_>, kind: RunKind) -> Result<Option<Run>, Problem> {
    let sql = format!(
        "SELECT {RUN_COLUMNS} FROM backup_run WHERE kind = $1 AND ended_at IS NOT NULL ORDER BY ended_at DESC, asked_at DESC LIMIT 1"
    );
    Ok(reader.query_one(&sql, &[kind.word().into()], run_from)?)
}

fn known_from(row: &Row<'_>) -> Result<Known, DbError> {
    Ok(Known { sequence: unsigned(row.int(0)?), sha256: row.bytes(1)?, is_kept: row.flag(2)? })
}

/// The backups of a place that are whole, as the server knows them, in order.
pub(crate) fn known_manifests(reader: &mut Reader<'_>, target: &str) -> Result<Vec<Known>, Problem> {
    let sql = "SELECT sequence, manifest_sha256, CASE WHEN manifest IS NULL THEN 0 ELSE 1 END FROM backup_run
               WHERE target = $1 AND kind = 'backup' AND state = 'done' AND sequence IS NOT NULL ORDER BY sequence";
    Ok(reader.query(sql, &[target.into()], known_from)?)
}

/// Keeps the manifest of a run, as it was signed.
pub(crate) fn keep_manifest(writer: &mut Writer<'_>, id: &str, manifest: &[u8]) -> Result<(), Problem> {
    writer.execute("UPDATE backup_run SET manifest = $1 WHERE id = $2", &[Bind::Bytes(manifest), id.into()])?;
    Ok(())
}

/// The manifest of a whole backup as it was signed, if it was kept.
pub(crate) fn kept_manifest(reader: &mut Reader<'_>, target: &str, sequence: u64) -> Result<Option<Vec<u8>>, Problem> {
    let sql = "SELECT manifest FROM backup_run
               WHERE target = $1 AND sequence = $2 AND kind = 'backup' AND state = 'done' AND manifest IS NOT NULL";
    Ok(reader.query_one(sql, &[target.into(), signed(sequence).into()], |row| row.bytes(0))?)
}

/// Forgets the manifests of backups that were taken away, up to this one.
pub(crate) fn forget_manifests(writer: &mut Writer<'_>, target: &str, sequence: u64) -> Result<(), Problem> {
    let sql = "UPDATE backup_run SET manifest = NULL WHERE target = $1 AND sequence <= $2 AND manifest IS NOT NULL";
    writer.execute(sql, &[target.into(), signed(sequence).into()])?;
    Ok(())
}

/// Notes how far a run has come.
pub(crate) fn progress(writer: &mut Writer<'_>, id: &str, step: &str, done: u64, total: u64) -> Result<(), Problem> {
    writer.execute(
        "UPDATE backup_run SET state = 'running', step = $1, done_count = $2, total_count = $3 WHERE id = $4",
        &[step.into(), signed(done).into(), signed(total).into(), id.into()],
    )?;
    Ok(())
}

/// Notes how a run ended.
pub(crate) fn end_run(writer: &mut Writer<'_>, run: &Run) -> Result<(), Problem> {
    writer.execute(
        "UPDATE backup_run SET state = $1, step = $2, sequence = $3, manifest_sha256 = $4, log_size = $5, object_count = $6,
         copied_bytes = $7, point_at = $8, took_ms = $9, problem = $10, ended_at = $11 WHERE id = $12",
        &[
            run.state.word().into(),
            run.step.as_str().into(),
            run.sequence.map(signed).into(),
            run.manifest_sha256.as_ref().map_or(Bind::Null, |digest| Bind::Bytes(digest)),
            run.log_size.map(signed).into(),
            run.object_count.map(signed).into(),
            run.copied_bytes.map(signed).into(),
            run.point_at.map(|at| at.0).into(),
            run.took_ms.map(signed).into(),
            Bind::from(&run.problem),
            run.ended_at.map(|at| at.0).into(),
            run.id.as_str().into(),
        ],
    )?;
    Ok(())
}

/// Notes that a key is handed out; false if it was before.
pub(crate) fn add_escrow(writer: &mut Writer<'_>, name: &str, by: &str, at: Micros) -> Result<bool, Problem> {
    let sql = "INSERT INTO backup_escrow (name, exported_by, exported_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    Ok(writer.execute(sql, &[name.into(), by.into(), at.0.into()])? == 1)
}

const REQUEST_COLUMNS: &str = "id, target, sequence, manifest_sha256, reason, asked_by, asked_at, approved_by, approved_at, expires_at, \
     (SELECT p.name FROM principal AS p WHERE p.id = asked_by)";

fn request_from(row: &Row<'_>) -> Result<Request, DbError> {
    Ok(Request {
        id: row.text(0)?,
        target: row.text(1)?,
        sequence: unsigned(row.int(2)?),
        manifest_sha256: row.bytes(3)?,
        reason: row.text(4)?,
        asked_by: row.text(5)?,
        asked_by_name: row.opt_text(10)?,
        asked_at: Micros(row.int(6)?),
        approved_by: row.opt_text(7)?,
        approved_at: row.opt_int(8)?.map(Micros),
        expires_at: row.opt_int(9)?.map(Micros),
    })
}

/// Adds a request.
pub(crate) fn add_request(writer: &mut Writer<'_>, request: &Request) -> Result<(), Problem> {
    writer.execute(
        "INSERT INTO backup_request (id, target, sequence, manifest_sha256, reason, asked_by, asked_at) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        &[
            request.id.as_str().into(),
            request.target.as_str().into(),
            signed(request.sequence).into(),
            Bind::Bytes(&request.manifest_sha256),
            request.reason.as_str().into(),
            request.asked_by.as_str().into(),
            request.asked_at.0.into(),
        ],
    )?;
    Ok(())
}

/// A request.
pub(crate) fn request(reader: &mut Reader<'_>, id: &str) -> Result<Option<Request>, Problem> {
    let sql = format!("SELECT {REQUEST_COLUMNS} FROM backup_request WHERE id = $1");
    Ok(reader.query_one(&sql, &[id.into()], request_from)?)
}

/// Whether an account is a service's.
pub(crate) fn is_service(reader: &mut Reader<'_>, id: &str) -> Result<bool, Problem> {
    let sql = "SELECT 1 FROM principal WHERE id = $1 AND kind = 'service'";
    Ok(reader.query_one(sql, &[id.into()], |row| row.int(0))?.is_some())
}

/// Requests, the newest first.
pub(crate) fn requests(reader: &mut Reader<'_>, count: i64) -> Result<Vec<Request>, Problem> {
    let sql = format!("SELECT {REQUEST_COLUMNS} FROM backup_request ORDER BY asked_at DESC, id LIMIT $1");
    Ok(reader.query(&sql, &[count.into()], request_from)?)
}

/// Notes an approval, unless there is one; gives whether it was noted.
pub(crate) fn approve(writer: &mut Writer<'_>, id: &str, by: &str, at: Micros, until: Micros) -> Result<bool, Problem> {
    let sql =
        "UPDATE backup_request SET approved_by = $1, approved_at = $2, expires_at = $3 WHERE id = $4 AND approved_by IS NULL";
    Ok(writer.execute(sql, &[by.into(), at.0.into(), until.0.into(), id.into()])? == 1)
}

/// What is known to be missing or damaged in a place: names of parts, and of manifests.
pub(crate) fn faults(reader: &mut Reader<'_>, target: &str) -> Result<HashSet<String>, Problem> {
    let sql = "SELECT name FROM backup_fault WHERE target = $1";
    Ok(reader.query(sql, &[target.into()], |row| row.text(0))?.into_iter().collect())
}

/// Notes what is missing or damaged, found in the backup of that number.
pub(crate) fn note_faults(
    writer: &mut Writer<'_>,
    target: &str,
    names: &[String],
    sequence: u64,
    at: Micros,
) -> Result<(), Problem> {
    for name in names {
        let sql = "INSERT INTO backup_fault (target, name, sequence, found_at) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING";
        writer.execute(sql, &[target.into(), name.into(), signed(sequence).into(), at.0.into()])?;
    }
    Ok(())
}

/// A backup is whole: what it needs was copied anew, and what is left is wrong with manifests.
pub(crate) fn settle_faults(
    writer: &mut Writer<'_>,
    target: &str,
    manifests: &[String],
    sequence: u64,
    at: Micros,
) -> Result<(), Problem> {
    writer.execute("DELETE FROM backup_fault WHERE target = $1", &[target.into()])?;
    note_faults(writer, target, manifests, sequence, at)
}

/// Notes what this database was restored from.
pub(crate) fn add_restored(writer: &mut Writer<'_>, restored: &Restored) -> Result<(), Problem> {
    writer.execute(
        "INSERT INTO backup_restored (id, sequence, manifest_sha256, point, lost_count, state, reason, request_id, asked_by,
         approved_by, restored_at, untold) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING",
        &[
            restored.id.as_str().into(),
            signed(restored.sequence).into(),
            Bind::Bytes(&restored.manifest_sha256),
            signed(restored.point).into(),
            restored.lost_count.map(signed).into(),
            restored.state.as_str().into(),
            restored.reason.as_str().into(),
            Bind::from(&restored.request_id),
            Bind::from(&restored.asked_by),
            Bind::from(&restored.approved_by),
            restored.restored_at.0.into(),
            restored.untold.as_str().into(),
        ],
    )?;
    Ok(())
}

/// What this database was last restored from.
///
/// # Errors
/// As the database's.
pub fn restored(reader: &mut Reader<'_>) -> Result<Option<Restored>, Problem> {
    let sql =
        "SELECT id, sequence, manifest_sha256, point, lost_count, state, reason, request_id, asked_by, approved_by, restored_at, untold
               FROM backup_restored ORDER BY restored_at DESC LIMIT 1";
    let found = reader.query_one(sql, &[], |row| {
        Ok(Restored {
            id: row.text(0)?,
            sequence: unsigned(row.int(1)?),
            manifest_sha256: row.bytes(2)?,
            point: unsigned(row.int(3)?),
            lost_count: row.opt_int(4)?.map(unsigned),
            state: row.text(5)?,
            reason: row.text(6)?,
            request_id: row.opt_text(7)?,
            asked_by: row.opt_text(8)?,
            approved_by: row.opt_text(9)?,
            restored_at: Micros(row.int(10)?),
            untold: row.text(11)?,
        })
    })?;
    Ok(found)
}

/// What a snapshot was in the middle of, its own backup among it, is over in what is restored from it.
pub(crate) fn end_open_runs(writer: &mut Writer<'_>) -> Result<(), Problem> {
    writer.execute(
        "UPDATE backup_run SET state = 'failed', step = 'failed', problem = 'it was under way when the backup was made that this \
         database was restored from' WHERE state IN ('queued', 'running')",
        &[],
    )?;
    Ok(())
}
