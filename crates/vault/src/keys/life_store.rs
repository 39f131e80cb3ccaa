//! The tables of the root key's age, of requests to destroy a key, and of tombstones.

use kernel::{Micros, Problem};

use super::destroy::{DestroyRequest, DestroyState};
use super::tombstone::Tombstone;
use crate::db::{Bind, DbError, Reader, Row, Writer};

const COLUMNS: &str = "id, workspace, reason, state, requested_by, requested_at, approved_by, approved_at, due_at, ended_by, ended_at, \
     (SELECT p.name FROM principal AS p WHERE p.id = requested_by)";
/// Requests that are shown.
const REQUEST_COUNT_MAX: i64 = 1_000;

fn request_from(row: &Row<'_>) -> Result<DestroyRequest, DbError> {
    Ok(DestroyRequest {
        id: row.text(0)?,
        workspace: row.text(1)?,
        reason: row.text(2)?,
        state: DestroyState::parse(&row.text(3)?),
        requested_by: row.text(4)?,
        requested_by_name: row.opt_text(11)?,
        requested_at: Micros(row.int(5)?),
        approved_by: row.opt_text(6)?,
        approved_at: row.opt_int(7)?.map(Micros),
        due_at: row.opt_int(8)?.map(Micros),
        ended_by: row.opt_text(9)?,
        ended_at: row.opt_int(10)?.map(Micros),
    })
}

pub(super) fn note_root(writer: &mut Writer<'_>, name: &str, version: i64, at: Micros) -> Result<(), Problem> {
    let sql = "INSERT INTO vault_root_key (name, version, since_at) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";
    writer.execute(sql, &[name.into(), version.into(), at.0.into()])?;
    Ok(())
}

pub(super) fn root_since(reader: &mut Reader<'_>, name: &str, version: i64) -> Result<Option<Micros>, Problem> {
    let sql = "SELECT since_at FROM vault_root_key WHERE name = $1 AND version = $2";
    Ok(reader.query_one(sql, &[name.into(), version.into()], |row| row.int(0))?.map(Micros))
}

/// The newest first: of one workspace, or all.
pub(super) fn requests(reader: &mut Reader<'_>, workspace: Option<&str>) -> Result<Vec<DestroyRequest>, Problem> {
    let mut binds: Vec<Bind<'_>> = vec![REQUEST_COUNT_MAX.into()];
    let which = if let Some(workspace) = workspace {
        binds.push(workspace.into());
        "WHERE workspace = $2"
    } else {
        ""
    };
    let sql = format!("SELECT {COLUMNS} FROM vault_key_destroy {which} ORDER BY requested_at DESC, id LIMIT $1");
    Ok(reader.query(&sql, &binds, request_from)?)
}

pub(super) fn request(reader: &mut Reader<'_>, id: &str) -> Result<Option<DestroyRequest>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM vault_key_destroy WHERE id = $1");
    Ok(reader.query_one(&sql, &[id.into()], request_from)?)
}

pub(super) fn due(reader: &mut Reader<'_>, now: Micros) -> Result<Vec<DestroyRequest>, Problem> {
    let sql =
        format!("SELECT {COLUMNS} FROM vault_key_destroy WHERE state = 'approved' AND due_at <= $1 ORDER BY due_at, id LIMIT $2");
    Ok(reader.query(&sql, &[now.0.into(), REQUEST_COUNT_MAX.into()], request_from)?)
}

/// Adds a request, unless one is open; gives whether it was added.
pub(super) fn insert_request(writer: &mut Writer<'_>, request: &DestroyRequest) -> Result<bool, Problem> {
    let sql = "INSERT INTO vault_key_destroy (id, workspace, reason, state, requested_by, requested_at)
               VALUES ($1, $2, $3, 'requested', $4, $5) ON CONFLICT DO NOTHING";
    let binds: [Bind<'_>; 5] = [
        request.id.as_str().into(),
        request.workspace.as_str().into(),
        request.reason.as_str().into(),
        request.requested_by.as_str().into(),
        request.requested_at.0.into(),
    ];
    Ok(writer.execute(sql, &binds)? == 1)
}

pub(super) fn approve(writer: &mut Writer<'_>, id: &str, by: &str, at: Micros, due_at: Micros) -> Result<bool, Problem> {
    let sql = "UPDATE vault_key_destroy SET state = 'approved', approved_by = $1, approved_at = $2, due_at = $3
               WHERE id = $4 AND state = 'requested'";
    Ok(writer.execute(sql, &[by.into(), at.0.into(), due_at.0.into(), id.into()])? == 1)
}

/// Ends a request that is open.
pub(super) fn end(writer: &mut Writer<'_>, id: &str, state: DestroyState, by: &str, at: Micros) -> Result<bool, Problem> {
    let sql = "UPDATE vault_key_destroy SET state = $1, ended_by = $2, ended_at = $3
               WHERE id = $4 AND state IN ('requested', 'approved')";
    Ok(writer.execute(sql, &[state.word().into(), by.into(), at.0.into(), id.into()])? == 1)
}

pub(super) fn tombstones(reader: &mut Reader<'_>) -> Result<Vec<Tombstone>, Problem> {
    let sql = "SELECT workspace, destroyed_at, note, signature FROM vault_key_tombstone ORDER BY destroyed_at, workspace";
    Ok(reader.query(sql, &[], tombstone_from)?)
}

pub(super) fn tombstone(reader: &mut Reader<'_>, workspace: &str) -> Result<Option<Tombstone>, Problem> {
    let sql = "SELECT workspace, destroyed_at, note, signature FROM vault_key_tombstone WHERE workspace = $1";
    Ok(reader.query_one(sql, &[workspace.into()], tombstone_from)?)
}

fn tombstone_from(row: &Row<'_>) -> Result<Tombstone, DbError> {
    Ok(Tombstone { workspace: row.text(0)?, destroyed_at: Micros(row.int(1)?), note: row.text(2)?, signature: row.bytes(3)? })
}

pub(super) fn insert_tombstone(writer: &mut Writer<'_>, tombstone: &Tombstone) -> Result<(), Problem> {
    let sql = "INSERT INTO vault_key_tombstone (workspace, destroyed_at, note, signature) VALUES ($1, $2, $3, $4)
               ON CONFLICT DO NOTHING";
    let binds: [Bind<'_>; 4] = [
        tombstone.workspace.as_str().into(),
        tombstone.destroyed_at.0.into(),
        tombstone.note.as_str().into(),
        Bind::Bytes(&tombstone.signature),
    ];
    writer.execute(sql, &binds)?;
    Ok(())
}

pub(super) fn workspace_versions(reader: &mut Reader<'_>, workspace: &str) -> Result<Vec<i64>, Problem> {
    let sql = "SELECT version FROM vault_key WHERE purpose = 'workspace' AND name = $1 ORDER BY version";
    Ok(reader.query(sql, &[workspace.into()], |row| row.int(0))?)
}

/// The bytes of each row are overwritten where they lie before the row goes.
pub(super) fn overwrite_and_delete(writer: &mut Writer<'_>, workspace: &str) -> Result<(), Problem> {
    let lengths = writer.query(
        "SELECT version, LENGTH(wrapped) FROM vault_key WHERE purpose = 'workspace' AND name = $1",
        &[workspace.into()],
        |row| Ok((row.int(0)?, row.int(1)?)),
    )?;
    for (version, length) in lengths {
        let zeros = vec![0_u8; usize::try_from(length).unwrap_or(0)];
        let sql = "UPDATE vault_key SET wrapped = $1 WHERE purpose = 'workspace' AND name = $2 AND version = $3";
        writer.execute(sql, &[Bind::Bytes(&zeros), workspace.into(), version.into()])?;
    }
    writer.execute("DELETE FROM vault_key WHERE purpose = 'workspace' AND name = $1", &[workspace.into()])?;
    Ok(())
}
