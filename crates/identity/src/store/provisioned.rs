//! Accounts and groups that provisioners look after.

use kernel::{Micros, Problem};
use vault::db::{DbError, Reader, Row, Writer};

use super::{drop_agreements, principal_columns, principal_of, revoke_token};
use crate::types::{Principal, PrincipalKind};

/// A row, its document still sealed.
pub(crate) struct ProvisionedRow {
    pub(crate) principal: Principal,
    pub(crate) external_id: Option<String>,
    pub(crate) sealed: Vec<u8>,
    pub(crate) changed_at: Micros,
}

/// By what rows are looked up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ProvisionedKey {
    /// The account's id.
    Id(String),
    /// Its name.
    Name(String),
    /// What the provisioner calls it.
    External(String),
}

macro_rules! provisioned {
    ($rest:literal, $end:literal) => {
        concat!(
            "SELECT ",
            principal_columns!(),
            ", v.external_id, v.sealed, v.changed_at FROM provisioned v JOIN principal p ON p.id = v.principal_id
             WHERE v.managed_by = $1 AND p.kind = $2",
            $rest,
            " ORDER BY p.name",
            $end
        )
    };
}

fn row_of(row: &Row<'_>) -> Result<ProvisionedRow, DbError> {
    Ok(ProvisionedRow {
        principal: principal_of(row)?,
        external_id: row.opt_text(6)?,
        sealed: row.bytes(7)?,
        changed_at: Micros(row.int(8)?),
    })
}

/// One that this provisioner looks after.
pub(crate) fn provisioned(
    reader: &mut Reader<'_>,
    by: &str,
    kind: PrincipalKind,
    id: &str,
) -> Result<Option<ProvisionedRow>, DbError> {
    reader.query_one(provisioned!(" AND p.id = $3", ""), &[by.into(), kind.word().into(), id.into()], row_of)
}

/// Rows that are in memory at once.
pub(crate) const PROVISIONED_PAGE_ROWS: usize = 500;

/// Some of what this provisioner looks after, or of those of a key: the next ones by name after `after`.
pub(crate) fn next_provisioned(
    reader: &mut Reader<'_>,
    by: &str,
    kind: PrincipalKind,
    key: Option<&ProvisionedKey>,
    after: &str,
) -> Result<Vec<ProvisionedRow>, DbError> {
    let (sql, wanted) = match key {
        None => (provisioned!(" AND p.name > $3 AND $4 = ''", " LIMIT $5"), String::new()),
        Some(ProvisionedKey::Id(id)) => (provisioned!(" AND p.name > $3 AND p.id = $4", " LIMIT $5"), id.clone()),
        Some(ProvisionedKey::Name(name)) => {
            (provisioned!(" AND p.name > $3 AND p.name = $4", " LIMIT $5"), name.to_ascii_lowercase())
        }
        Some(ProvisionedKey::External(id)) => (provisioned!(" AND p.name > $3 AND v.external_id = $4", " LIMIT $5"), id.clone()),
    };
    let count = i64::try_from(PROVISIONED_PAGE_ROWS).unwrap_or(i64::MAX);
    reader.query(sql, &[by.into(), kind.word().into(), after.into(), (&wanted).into(), count.into()], row_of)
}

/// What is known of an account that somebody looks after, sealed.
pub(crate) fn sealed_profile(reader: &mut Reader<'_>, id: &str) -> Result<Option<Vec<u8>>, DbError> {
    reader.query_one("SELECT sealed FROM provisioned WHERE principal_id = $1", &[id.into()], |row| row.bytes(0))
}

/// Notes who looks after a principal, and what is known of it.
pub(crate) fn set_provisioned(
    tx: &mut Writer<'_>,
    id: &str,
    by: &str,
    external_id: Option<&str>,
    sealed: &[u8],
    at: Micros,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO provisioned (principal_id, managed_by, external_id, sealed, changed_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (principal_id) DO UPDATE SET managed_by = excluded.managed_by, external_id = excluded.external_id,
             sealed = excluded.sealed, changed_at = excluded.changed_at",
        &[id.into(), by.into(), external_id.into(), sealed.into(), at.0.into()],
    )
    .map(drop)
}

/// Nobody looks after it any more but its administrators.
pub(crate) fn end_provisioned(tx: &mut Writer<'_>, id: &str) -> Result<bool, DbError> {
    Ok(tx.execute("DELETE FROM provisioned WHERE principal_id = $1", &[id.into()])? > 0)
}

/// Members of a group that the provisioner looks after too.
pub(crate) fn provisioned_members(reader: &mut Reader<'_>, group_id: &str, by: &str) -> Result<Vec<Principal>, DbError> {
    reader.query(
        concat!(
            "SELECT ",
            principal_columns!(),
            " FROM membership m JOIN principal p ON p.id = m.member_id JOIN provisioned v ON v.principal_id = p.id
             WHERE m.group_id = $1 AND v.managed_by = $2 AND p.kind IN ('user', 'group') ORDER BY p.name"
        ),
        &[group_id.into(), by.into()],
        principal_of,
    )
}

/// Groups of a principal that the provisioner looks after too.
pub(crate) fn provisioned_groups(reader: &mut Reader<'_>, member_id: &str, by: &str) -> Result<Vec<Principal>, DbError> {
    reader.query(
        concat!(
            "SELECT ",
            principal_columns!(),
            " FROM membership m JOIN principal p ON p.id = m.group_id JOIN provisioned v ON v.principal_id = p.id
             WHERE m.member_id = $1 AND v.managed_by = $2 ORDER BY p.name"
        ),
        &[member_id.into(), by.into()],
        principal_of,
    )
}

/// Gives a principal another name.
pub(crate) fn rename(tx: &mut Writer<'_>, id: &str, name: &str) -> Result<(), Problem> {
    let sql = "SELECT id FROM principal WHERE name = $1 AND id <> $2";
    if tx.query_one(sql, &[name.into(), id.into()], |row| row.text(0))?.is_some() {
        return Err(Problem::already_exists(format!("the name `{name}` is taken by an account or group")));
    }
    tx.execute("UPDATE principal SET name = $2, epoch = epoch + 1 WHERE id = $1", &[id.into(), name.into()])?;
    Ok(())
}

/// How much ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub(crate) token_count: u64,
    pub(crate) session_count: u64,
    pub(crate) device_count: u64,
}

/// Ends all that an account could come in with: its tokens with what was made of them (access keys among that), its sessions, and log-ins of
/// command lines that it agreed to. Unlike the bar itself, none of this comes back.
pub(crate) fn end_all(tx: &mut Writer<'_>, id: &str, at: Micros) -> Result<Ended, DbError> {
    let mut ended = Ended::default();
    let sql = "SELECT id FROM token WHERE principal_id = $1 AND revoked_at IS NULL";
    for token in tx.query(sql, &[id.into()], |row| row.text(0))? {
        ended.token_count = ended.token_count.saturating_add(revoke_token(tx, &token, None, at)?.unwrap_or(0));
    }
    ended.session_count = tx.execute(
        "UPDATE session SET revoked_at = $2 WHERE principal_id = $1 AND revoked_at IS NULL",
        &[id.into(), at.0.into()],
    )?;
    drop_agreements(tx, id)?;
    tx.execute("UPDATE principal SET epoch = epoch + 1 WHERE id = $1", &[id.into()])?;
    Ok(ended)
}

/// Sessions of a provider's: of one session there, or of one person.
pub(crate) fn end_sessions_of_issuer(
    tx: &mut Writer<'_>,
    issuer: &str,
    session: Option<&str>,
    principal_id: Option<&str>,
    at: Micros,
) -> Result<u64, DbError> {
    let sql = match (session, principal_id) {
        (Some(_), Some(_)) => {
            "UPDATE session SET revoked_at = $1 WHERE issuer = $2 AND issuer_session = $3 AND principal_id = $4 AND revoked_at IS NULL"
        }
        (Some(_), None) => "UPDATE session SET revoked_at = $1 WHERE issuer = $2 AND issuer_session = $3 AND revoked_at IS NULL",
        (None, Some(_)) => "UPDATE session SET revoked_at = $1 WHERE issuer = $2 AND principal_id = $3 AND revoked_at IS NULL",
        (None, None) => return Ok(0),
    };
    let mut binds = vec![at.0.into(), issuer.into()];
    binds.extend([session, principal_id].into_iter().flatten().map(vault::db::Bind::from));
    tx.execute(sql, &binds)
}

/// Statements that are remembered at once.
const STATEMENT_COUNT_MAX: i64 = 200_000;

/// Takes a statement; no if it was taken before.
pub(crate) fn take_statement(tx: &mut Writer<'_>, digest: &[u8; 32], at: Micros, until: Micros) -> Result<bool, Problem> {
    tx.execute("DELETE FROM statement_seen WHERE expires_at <= $1", &[at.0.into()])?;
    let known = super::count(tx.query_one("SELECT COUNT(*) FROM statement_seen", &[], |row| row.int(0))?);
    if known >= STATEMENT_COUNT_MAX {
        let message = format!("{STATEMENT_COUNT_MAX} statements are remembered already; they end by themselves");
        return Err(Problem::new(kernel::Kind::TooMany, message));
    }
    let changed = tx.execute(
        "INSERT INTO statement_seen (sha256, expires_at) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING",
        &[digest.as_slice().into(), until.0.into()],
    )?;
    Ok(changed > 0)
}

/// Notes what a transmitter said of somebody's devices.
pub(crate) fn note_device(tx: &mut Writer<'_>, id: &str, issuer: &str, compliant: bool, at: Micros) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO device_statement (principal_id, issuer, compliant, said_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (principal_id, issuer) DO UPDATE SET compliant = excluded.compliant, said_at = excluded.said_at",
        &[id.into(), issuer.into(), compliant.into(), at.0.into()],
    )
    .map(drop)
}
