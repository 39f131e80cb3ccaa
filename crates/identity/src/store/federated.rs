//! Who is whom at a provider where people log in.

use kernel::{Micros, Problem};
use vault::db::{DbError, Reader, Writer};

use super::FoundAccount;

/// Links of one person.
const LINK_COUNT_MAX: i64 = 20;

pub(crate) fn linked(reader: &mut Reader<'_>, issuer: &str, subject: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT principal_id FROM federated WHERE issuer = $1 AND subject = $2";
    reader.query_one(sql, &[issuer.into(), subject.into()], |row| row.text(0))
}

/// Agreements of one person that wait.
const APPROVAL_COUNT_MAX: i64 = 20;

/// Notes that somebody agreed to the log-in of a command line.
pub(crate) fn agree(
    tx: &mut Writer<'_>,
    digest: &[u8; 32],
    principal_id: &str,
    at: Micros,
    expires_at: Micros,
) -> Result<(), Problem> {
    tx.execute("DELETE FROM device_approval WHERE expires_at <= $1", &[at.0.into()])?;
    let sql = "SELECT COUNT(*) FROM device_approval WHERE principal_id = $1";
    if super::count(tx.query_one(sql, &[principal_id.into()], |row| row.int(0))?) >= APPROVAL_COUNT_MAX {
        return Err(Problem::invalid("too many log-ins of command lines wait already; let them end, or wait ten minutes"));
    }
    let changed = tx.execute(
        "INSERT INTO device_approval (sha256, principal_id, approved_at, expires_at) VALUES ($1, $2, $3, $4)
         ON CONFLICT (sha256) DO NOTHING",
        &[digest.as_slice().into(), principal_id.into(), at.0.into(), expires_at.0.into()],
    )?;
    if changed == 0 {
        return Err(Problem::already_exists("this code was agreed to already"));
    }
    Ok(())
}

/// Who agreed to this code, and when, if that is not over.
pub(crate) fn agreed(reader: &mut Reader<'_>, digest: &[u8; 32], at: Micros) -> Result<Option<(FoundAccount, Micros)>, DbError> {
    let sql = "SELECT principal_id, approved_at FROM device_approval WHERE sha256 = $1 AND expires_at > $2";
    let found = reader.query_one(sql, &[digest.as_slice().into(), at.0.into()], |row| Ok((row.text(0)?, Micros(row.int(1)?))))?;
    let Some((id, approved_at)) = found else { return Ok(None) };
    Ok(super::account_by_id(reader, &id)?.map(|account| (account, approved_at)))
}

/// Links a person with whom they are at a provider. It is never moved: who is linked already stays so.
pub(crate) fn link(
    tx: &mut Writer<'_>,
    (issuer, subject): (&str, &str),
    principal_id: &str,
    by: &str,
    at: Micros,
) -> Result<(), Problem> {
    let sql = "SELECT COUNT(*) FROM federated WHERE principal_id = $1";
    let known = super::count(tx.query_one(sql, &[principal_id.into()], |row| row.int(0))?);
    if known >= LINK_COUNT_MAX {
        return Err(Problem::invalid(format!("the account is linked with {LINK_COUNT_MAX} log-ins already")));
    }
    let changed = tx.execute(
        "INSERT INTO federated (issuer, subject, principal_id, linked_at, linked_by) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (issuer, subject) DO NOTHING",
        &[issuer.into(), subject.into(), principal_id.into(), at.0.into(), by.into()],
    )?;
    if changed == 0 {
        return Err(Problem::already_exists("this log-in is linked with an account already"));
    }
    Ok(())
}
