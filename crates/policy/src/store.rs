//! All SQL of this room.

use std::collections::{BTreeMap, BTreeSet};

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use crate::index::Change;
use crate::types::{Grant, PrincipalKind, Resource};

const COLUMNS: &str = "id, principal, principal_kind, role, resource_kind, resource, workspace, created_by, created_at, \
                       expires_at, justification, revoked_at";

/// The number of the last change.
pub(crate) fn generation(reader: &mut Reader<'_>) -> Result<i64, DbError> {
    let found = reader.query_one("SELECT generation FROM policy_generation WHERE id = 0", &[], |row| row.int(0))?;
    found.ok_or_else(|| DbError::Version("the table `policy_generation` has lost its row".to_owned()))
}

/// The changes after `since`, and the number of the last of them. With a negative `since`: all live grants.
pub(crate) fn changes(reader: &mut Reader<'_>, since: i64) -> Result<(i64, Vec<Change>), Problem> {
    // The number is read first: a change between the two reads is then applied twice, not lost.
    let generation = generation(reader)?;
    let sql = format!("SELECT {COLUMNS} FROM grant_row WHERE changed_generation > $1");
    let live = format!("SELECT {COLUMNS} FROM grant_row WHERE changed_generation > $1 AND revoked_at IS NULL");
    // At first there is nothing to take back, so that revoked ones need not be read.
    let text = if since <= 0 { live } else { sql };
    let mut changes = Vec::new();
    reader.for_each(&text, &[Bind::Int(since)], |row| {
        changes.extend(change(row)?);
        Ok(())
    })?;
    Ok((generation, changes))
}

fn change(row: &Row<'_>) -> Result<Option<Change>, DbError> {
    let id = row.text(0)?;
    if row.opt_int(11)?.is_some() {
        return Ok(Some(Change::Revoked(id)));
    }
    let grant = grant(row)?;
    if grant.is_none() {
        // Of a newer version, perhaps. It does not count: unsure means refuse.
        tracing::warn!(grant.id = %id, "a grant of an unknown kind is left out");
    }
    Ok(grant.map(Change::Live))
}

fn grant(row: &Row<'_>) -> Result<Option<Grant>, DbError> {
    let kind = PrincipalKind::parse(&row.text(2)?);
    let resource = Resource::parse(&row.text(4)?, &row.text(5)?);
    let (Some(principal_kind), Some(resource)) = (kind, resource) else { return Ok(None) };
    Ok(Some(Grant {
        id: row.text(0)?,
        principal: row.text(1)?,
        principal_kind,
        role: row.text(3)?,
        resource,
        workspace: row.opt_text(6)?,
        created_by: row.text(7)?,
        created_at: Micros(row.int(8)?),
        expires_at: row.opt_int(9)?.map(Micros),
        justification: row.text(10)?,
    }))
}

fn next_generation(tx: &mut Writer<'_>) -> Result<i64, DbError> {
    let sql = "UPDATE policy_generation SET generation = generation + 1 WHERE id = 0 RETURNING generation";
    let next = tx.query_one(sql, &[], |row| row.int(0))?;
    next.ok_or_else(|| DbError::Version("the table `policy_generation` has lost its row".to_owned()))
}

/// Inserts a grant; `false` if the same one is live already. An expired one of the same kind makes room.
pub(crate) fn insert(tx: &mut Writer<'_>, grant: &Grant, now: Micros) -> Result<bool, DbError> {
    let generation = next_generation(tx)?;
    let resource = grant.resource.id();
    tx.execute(
        "UPDATE grant_row SET revoked_at = expires_at, revoked_by = 'expired', changed_generation = $1 \
         WHERE principal = $2 AND role = $3 AND resource_kind = $4 AND resource = $5 \
         AND revoked_at IS NULL AND expires_at <= $6",
        &[
            generation.into(),
            (&grant.principal).into(),
            (&grant.role).into(),
            grant.resource.kind().into(),
            (&resource).into(),
            now.0.into(),
        ],
    )?;
    let inserted = tx.query_one(
        "INSERT INTO grant_row (id, principal, principal_kind, role, resource_kind, resource, workspace, created_by, \
         created_at, expires_at, justification, changed_generation) \
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING RETURNING id",
        &[
            (&grant.id).into(),
            (&grant.principal).into(),
            grant.principal_kind.word().into(),
            (&grant.role).into(),
            grant.resource.kind().into(),
            (&resource).into(),
            (&grant.workspace).into(),
            (&grant.created_by).into(),
            grant.created_at.0.into(),
            grant.expires_at.map(|at| at.0).into(),
            (&grant.justification).into(),
            generation.into(),
        ],
        |row| row.text(0),
    )?;
    Ok(inserted.is_some())
}

/// Revokes a live grant; `false` if there is none of that id.
pub(crate) fn revoke(tx: &mut Writer<'_>, id: &str, by: &str, now: Micros) -> Result<bool, DbError> {
    let generation = next_generation(tx)?;
    let changed = tx.execute(
        "UPDATE grant_row SET revoked_at = $1, revoked_by = $2, changed_generation = $3 WHERE id = $4 AND revoked_at IS NULL",
        &[now.0.into(), by.into(), generation.into(), id.into()],
    )?;
    Ok(changed > 0)
}

/// Whether anybody administers the server for good: a person who may come in, other than this one, by a grant without an end, directly or by
/// way of groups.
pub(crate) fn is_administered(reader: &mut Reader<'_>, without: Option<&str>) -> Result<bool, DbError> {
    let sql = "WITH RECURSIVE holder (id) AS (
                   SELECT principal FROM grant_row WHERE role = 'administrator' AND resource_kind = 'server'
                       AND revoked_at IS NULL AND expires_at IS NULL
                   UNION
                   SELECT m.member_id FROM membership m JOIN holder h ON m.group_id = h.id)
               SELECT p.id FROM principal p JOIN holder h ON p.id = h.id WHERE p.kind = 'user' AND p.disabled = 0 AND p.id <> $1 LIMIT 1";
    Ok(reader.query_one(sql, &[without.unwrap_or_default().into()], |row| row.text(0))?.is_some())
}

/// Holds whoever administers the server for good, so that two who are taken away at the same moment wait for each other.
pub(crate) fn hold_administrators(tx: &mut Writer<'_>, now: Micros) -> Result<(), DbError> {
    for (principal, _) in administrators(tx, now)?.into_iter().filter(|(_, end)| end.is_none()) {
        tx.execute("UPDATE principal SET epoch = epoch WHERE id = $1", &[(&principal).into()])?;
    }
    Ok(())
}

/// Whether a principal holds a role on exactly this by a live grant of its own.
pub(crate) fn is_held(
    reader: &mut Reader<'_>,
    principal: &str,
    role: &str,
    resource: &Resource,
    now: Micros,
) -> Result<bool, DbError> {
    let sql = "SELECT id FROM grant_row WHERE principal = $1 AND role = $2 AND resource_kind = $3 AND resource = $4
               AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $5)";
    let id = resource.id();
    let binds = [principal.into(), role.into(), resource.kind().into(), (&id).into(), now.0.into()];
    Ok(reader.query_one(sql, &binds, |row| row.text(0))?.is_some())
}

/// The roles that a principal holds by live grants of its own, wherever.
pub(crate) fn roles_of(reader: &mut Reader<'_>, principal: &str, now: Micros) -> Result<Vec<String>, DbError> {
    let sql = "SELECT DISTINCT role FROM grant_row WHERE principal = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
    reader.query(sql, &[principal.into(), now.0.into()], |row| row.text(0))
}

/// Until when the longest-lived of a principal's own live grants counts, whatever it is of; `Micros(i64::MAX)` for one without an end.
pub(crate) fn held_until(reader: &mut Reader<'_>, principal: &str, now: Micros) -> Result<Option<Micros>, DbError> {
    let sql = "SELECT MAX(COALESCE(expires_at, 9223372036854775807)) FROM grant_row
               WHERE principal = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2)";
    let found = reader.query_one(sql, &[principal.into(), now.0.into()], |row| row.opt_int(0))?;
    Ok(found.flatten().map(Micros))
}

/// The principals that administer the server, and until when.
pub(crate) fn administrators(reader: &mut Reader<'_>, now: Micros) -> Result<Vec<(String, Option<Micros>)>, DbError> {
    on_server(reader, ("administrator", "administrator"), now)
}

/// Those that do, or may make themselves its administrators by breaking the glass, and until when.
pub(crate) fn near_administrators(reader: &mut Reader<'_>, now: Micros) -> Result<Vec<(String, Option<Micros>)>, DbError> {
    on_server(reader, ("administrator", "break_glass"), now)
}

fn on_server(reader: &mut Reader<'_>, roles: (&str, &str), now: Micros) -> Result<Vec<(String, Option<Micros>)>, DbError> {
    let sql = "SELECT DISTINCT principal, expires_at FROM grant_row WHERE (role = $2 OR role = $3) AND resource_kind = 'server'
               AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1) ORDER BY principal";
    let binds = [now.0.into(), roles.0.into(), roles.1.into()];
    reader.query(sql, &binds, |row| Ok((row.text(0)?, row.opt_int(1)?.map(Micros))))
}

/// Which grants a list is of.
pub(crate) struct ListFilter {
    pub(crate) workspace: Option<String>,
    pub(crate) resource: Option<Resource>,
    pub(crate) principal: Option<String>,
    /// Only those after this id.
    pub(crate) after: String,
    pub(crate) limit: i64,
}

/// Live grants in order of their ids.
pub(crate) fn list(reader: &mut Reader<'_>, filter: &ListFilter, now: Micros) -> Result<Vec<Grant>, DbError> {
    let (kind, resource) = filter.resource.as_ref().map_or(("", String::new()), |one| (one.kind(), one.id()));
    let sql = format!(
        "SELECT {COLUMNS} FROM grant_row WHERE id > $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $2) \
         AND ($3 = '' OR workspace = $3) AND ($4 = '' OR (resource_kind = $4 AND resource = $5)) \
         AND ($6 = '' OR principal = $6) ORDER BY id LIMIT $7"
    );
    let found = reader.query(
        &sql,
        &[
            (&filter.after).into(),
            now.0.into(),
            filter.workspace.as_deref().unwrap_or_default().into(),
            kind.into(),
            (&resource).into(),
            filter.principal.as_deref().unwrap_or_default().into(),
            filter.limit.into(),
        ],
        grant,
    )?;
    Ok(found.into_iter().flatten().collect())
}

/// How the holders of grants are called, by id.
pub(crate) fn names(reader: &mut Reader<'_>, grants: &[Grant]) -> Result<BTreeMap<String, String>, DbError> {
    let holders: BTreeSet<&str> = grants.iter().map(|grant| grant.principal.as_str()).collect();
    let binds: Vec<Bind<'_>> = holders.into_iter().map(Into::into).collect();
    if binds.is_empty() {
        return Ok(BTreeMap::new());
    }
    let places: Vec<String> = (1..=binds.len()).map(|place| format!("${place}")).collect();
    let sql = format!("SELECT id, name FROM principal WHERE id IN ({})", places.join(", "));
    Ok(reader.query(&sql, &binds, |row| Ok((row.text(0)?, row.text(1)?)))?.into_iter().collect())
}

/// Live grants, for a review.
pub(crate) fn live(reader: &mut Reader<'_>, now: Micros, count_max: usize) -> Result<Vec<Grant>, DbError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM grant_row WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > $1) ORDER BY id LIMIT $2"
    );
    let limit = i64::try_from(count_max).unwrap_or(i64::MAX);
    Ok(reader.query(&sql, &[now.0.into(), limit.into()], grant)?.into_iter().flatten().collect())
}

/// Grants that were taken back, the newest first.
pub(crate) fn revoked(reader: &mut Reader<'_>, count_max: i64) -> Result<Vec<Grant>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM grant_row WHERE revoked_at IS NOT NULL ORDER BY revoked_at DESC, id LIMIT $1");
    Ok(reader.query(&sql, &[count_max.into()], grant)?.into_iter().flatten().collect())
}
