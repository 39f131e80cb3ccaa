//! The SQL of elevations.

use kernel::Micros;
use vault::db::{DbError, Reader, Row, Writer};

use super::{ASKED_SECONDS_MAX, Elevation, ElevationState, LIST_COUNT_MAX};
use crate::types::Resource;

const COLUMNS: &str = "id, principal, role, resource_kind, resource, workspace, reason, seconds, asked_at, state, decided_by, \
                       decided_at, ends_at, grant_id";
/// Beside the columns, how who asked is called.
const NAME: &str = "(SELECT p.name FROM principal p WHERE p.id = elevation.principal)";

pub(crate) fn insert(tx: &mut Writer<'_>, one: &Elevation) -> Result<(), DbError> {
    let sql = format!("INSERT INTO elevation ({COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)");
    let resource = one.resource.id();
    let binds = [
        (&one.id).into(),
        (&one.principal).into(),
        (&one.role).into(),
        one.resource.kind().into(),
        (&resource).into(),
        (&one.workspace).into(),
        (&one.reason).into(),
        one.seconds.into(),
        one.asked_at.0.into(),
        one.state.word().into(),
        (&one.decided_by).into(),
        one.decided_at.map(|at| at.0).into(),
        one.ends_at.map(|at| at.0).into(),
        (&one.grant_id).into(),
    ];
    tx.execute(&sql, &binds)?;
    Ok(())
}

pub(crate) fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<Elevation>, DbError> {
    reader.query_one(&format!("SELECT {COLUMNS}, {NAME} FROM elevation WHERE id = $1"), &[id.into()], one_of)
}

/// Decides on one that is open; `false` if it is not.
pub(crate) fn decide(tx: &mut Writer<'_>, one: &Elevation, now: Micros) -> Result<bool, DbError> {
    let sql = "UPDATE elevation SET state = $1, decided_by = $2, decided_at = $3, ends_at = $4, grant_id = $5
               WHERE id = $6 AND state = 'asked' AND asked_at > $7";
    let binds = [
        one.state.word().into(),
        (&one.decided_by).into(),
        now.0.into(),
        one.ends_at.map(|at| at.0).into(),
        (&one.grant_id).into(),
        (&one.id).into(),
        now.plus_secs(-ASKED_SECONDS_MAX).0.into(),
    ];
    Ok(tx.execute(sql, &binds)? == 1)
}

/// Ends one that still counts, or takes a request back; `false` if there is no such one of this person.
pub(crate) fn end(tx: &mut Writer<'_>, id: &str, principal: &str, now: Micros) -> Result<bool, DbError> {
    let sql = "UPDATE elevation SET state = 'ended', ends_at = $1
               WHERE id = $2 AND principal = $3 AND (state = 'asked' OR (state IN ('given', 'broken') AND ends_at > $1))";
    Ok(tx.execute(sql, &[now.0.into(), id.into(), principal.into()])? == 1)
}

/// Whether a person broke the glass, and what that gave still counts.
pub(crate) fn is_broken(reader: &mut Reader<'_>, principal: &str, now: Micros) -> Result<bool, DbError> {
    let sql = "SELECT e.id FROM elevation e JOIN grant_row g ON g.id = e.grant_id AND g.revoked_at IS NULL
               WHERE e.principal = $1 AND e.state = 'broken' AND e.ends_at > $2 LIMIT 1";
    Ok(reader.query_one(sql, &[principal.into(), now.0.into()], |row| row.text(0))?.is_some())
}

/// How many requests of a person wait.
pub(crate) fn asked_count(reader: &mut Reader<'_>, principal: &str, now: Micros) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM elevation WHERE principal = $1 AND state = 'asked' AND asked_at > $2";
    let binds = [principal.into(), now.plus_secs(-ASKED_SECONDS_MAX).0.into()];
    Ok(reader.query_one(sql, &binds, |row| row.int(0))?.unwrap_or(0))
}

/// A person's own, the newest first.
pub(crate) fn of_principal(reader: &mut Reader<'_>, principal: &str) -> Result<Vec<Elevation>, DbError> {
    let sql = format!("SELECT {COLUMNS}, {NAME} FROM elevation WHERE principal = $1 ORDER BY asked_at DESC, id LIMIT $2");
    reader.query(&sql, &[principal.into(), LIST_COUNT_MAX.into()], one_of)
}

/// Those of a workspace, or of the server; the newest first.
pub(crate) fn of_place(reader: &mut Reader<'_>, workspace: Option<&str>) -> Result<Vec<Elevation>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS}, {NAME} FROM elevation WHERE workspace = $1 OR ($1 = '' AND workspace IS NULL)
         ORDER BY asked_at DESC, id LIMIT $2"
    );
    reader.query(&sql, &[workspace.unwrap_or_default().into(), LIST_COUNT_MAX.into()], one_of)
}

/// Those of a workspace, or of the server, that wait for a second person; the one that lapses first is first.
pub(crate) fn waiting_at(reader: &mut Reader<'_>, workspace: Option<&str>, now: Micros) -> Result<Vec<Elevation>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS}, {NAME} FROM elevation WHERE state = 'asked' AND asked_at > $2 AND (workspace = $1 OR ($1 = '' AND workspace IS NULL))
         ORDER BY asked_at, id LIMIT $3"
    );
    let since = now.plus_secs(-ASKED_SECONDS_MAX).0;
    reader.query(&sql, &[workspace.unwrap_or_default().into(), since.into(), LIST_COUNT_MAX.into()], one_of)
}

fn one_of(row: &Row<'_>) -> Result<Elevation, DbError> {
    Ok(Elevation {
        id: row.text(0)?,
        principal: row.text(1)?,
        principal_name: row.opt_text(14)?,
        role: row.text(2)?,
        resource: Resource::parse(&row.text(3)?, &row.text(4)?).ok_or(DbError::Shape(3))?,
        workspace: row.opt_text(5)?,
        reason: row.text(6)?,
        seconds: row.int(7)?,
        asked_at: Micros(row.int(8)?),
        state: ElevationState::parse(&row.text(9)?).ok_or(DbError::Shape(9))?,
        decided_by: row.opt_text(10)?,
        decided_at: row.opt_int(11)?.map(Micros),
        ends_at: row.opt_int(12)?.map(Micros),
        grant_id: row.opt_text(13)?,
    })
}
