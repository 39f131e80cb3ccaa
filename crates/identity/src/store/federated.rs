//! Who is whom at a provider where people log in.

use kernel::{Micros, Problem};
use vault::db::{DbError, Reader, Writer};

/// Links of one person.
const LINK_COUNT_MAX: i64 = 20;

pub(crate) fn linked(reader: &mut Reader<'_>, issuer: &str, subject: &str) -> Result<Option<String>, DbError> {
    let sql = "SELECT principal_id FROM federated WHERE issuer = $1 AND subject = $2";
    reader.query_one(sql, &[issuer.into(), subject.into()], |row| row.text(0))
}

/// Who last logged in at this issuer with this address; nobody if that is not one account.
pub(crate) fn linked_by_address(reader: &mut Reader<'_>, issuer: &str, mark: &[u8; 32]) -> Result<Option<String>, DbError> {
    let sql = "SELECT DISTINCT principal_id FROM federated WHERE issuer = $1 AND address_mark = $2 LIMIT 2";
    let mut found = reader.query(sql, &[issuer.into(), mark.as_slice().into()], |row| row.text(0))?;
    Ok(found.pop().filter(|_| found.is_empty()))
}

/// Whether others speak for this account: a provider that it is linked with, or a directory that looks after it.
pub(crate) fn is_vouched_for(reader: &mut Reader<'_>, principal_id: &str) -> Result<bool, DbError> {
    let sql = "SELECT principal_id FROM federated WHERE principal_id = $1
               UNION SELECT principal_id FROM provisioned WHERE principal_id = $1";
    Ok(reader.query_one(sql, &[principal_id.into()], |row| row.text(0))?.is_some())
}

/// Keeps by which address an issuer may speak of its person from now on; none takes the one before away.
pub(crate) fn set_address_mark(
    tx: &mut Writer<'_>,
    (issuer, subject): (&str, &str),
    mark: Option<&[u8; 32]>,
) -> Result<(), DbError> {
    let sql = "UPDATE federated SET address_mark = $3 WHERE issuer = $1 AND subject = $2";
    tx.execute(sql, &[issuer.into(), subject.into(), mark.map(<[u8; 32]>::as_slice).into()]).map(drop)
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
