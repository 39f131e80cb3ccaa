//! Log-ins of command lines that a person agreed to: by a code that both showed, or by one that the browser brings.

use kernel::{Micros, Problem};
use vault::db::{DbError, Reader, Writer};

use super::{FoundAccount, account_by_id, count};
use crate::factors::device::DEVICE_SECONDS;

/// Agreements of one person that wait, and codes that they denied lately.
const APPROVAL_COUNT_MAX: i64 = 20;
/// Codes of one person: those that wait, and those whose token may still live.
const CODE_COUNT_MAX: i64 = 100;

/// Notes what somebody decided on the log-in of a command line. What is over stays for as long again, so that no code is decided on twice.
pub(crate) fn decide(
    tx: &mut Writer<'_>,
    digest: &[u8; 32],
    (principal_id, is_agreed): (&str, bool),
    at: Micros,
) -> Result<(), Problem> {
    tx.execute("DELETE FROM device_approval WHERE expires_at <= $1", &[at.plus_secs(-DEVICE_SECONDS).0.into()])?;
    let sql = "SELECT COUNT(*) FROM device_approval WHERE principal_id = $1 AND state <> 'used' AND expires_at > $2";
    if count(tx.query_one(sql, &[principal_id.into(), at.0.into()], |row| row.int(0))?) >= APPROVAL_COUNT_MAX {
        return Err(Problem::invalid("too many log-ins of command lines wait already; let them end, or wait ten minutes"));
    }
    let state = if is_agreed { "agreed" } else { "denied" };
    let expires_at = at.plus_secs(DEVICE_SECONDS);
    let changed = tx.execute(
        "INSERT INTO device_approval (sha256, principal_id, approved_at, expires_at, state) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (sha256) DO NOTHING",
        &[digest.as_slice().into(), principal_id.into(), at.0.into(), expires_at.0.into(), state.into()],
    )?;
    if changed == 0 {
        return Err(Problem::already_exists("this code was decided on already; run `strongroom login` again for another"));
    }
    Ok(())
}

/// What became of a code.
pub(crate) enum Decided {
    /// Who agreed to it, and when.
    Agreed(Box<FoundAccount>, Micros),
    Denied,
    /// Somebody agreed to it, and nobody took it in time.
    Late,
    Used,
}

/// What somebody decided about this code, if anybody did.
pub(crate) fn decided(reader: &mut Reader<'_>, digest: &[u8; 32], at: Micros) -> Result<Option<Decided>, DbError> {
    let sql = "SELECT principal_id, approved_at, expires_at, state FROM device_approval WHERE sha256 = $1";
    let found = reader.query_one(sql, &[digest.as_slice().into()], |row| {
        Ok((row.text(0)?, Micros(row.int(1)?), Micros(row.int(2)?), row.text(3)?))
    })?;
    let Some((id, approved_at, expires_at, state)) = found else { return Ok(None) };
    match state.as_str() {
        "denied" => Ok(Some(Decided::Denied)),
        "agreed" if expires_at <= at => Ok(Some(Decided::Late)),
        "agreed" => Ok(account_by_id(reader, &id)?.map(|account| Decided::Agreed(Box::new(account), approved_at))),
        _ => Ok(Some(Decided::Used)),
    }
}

/// What goes into a new code's row.
pub(crate) struct NewCode<'a> {
    pub(crate) digest: &'a [u8; 32],
    pub(crate) principal_id: &'a str,
    pub(crate) challenge: &'a [u8; 32],
    pub(crate) redirect_uri: &'a str,
    pub(crate) at: Micros,
    pub(crate) expires_at: Micros,
}

/// What was agreed to behind a code.
pub(crate) struct FoundCode {
    pub(crate) account: FoundAccount,
    pub(crate) challenge: Vec<u8>,
    pub(crate) redirect_uri: String,
    pub(crate) approved_at: Micros,
}

/// A code that a browser is about to bring to a command line.
pub(crate) fn put_code(tx: &mut Writer<'_>, new: &NewCode<'_>) -> Result<(), Problem> {
    tx.execute("DELETE FROM loopback_code WHERE expires_at <= $1", &[new.at.0.into()])?;
    let sql = "SELECT COUNT(*) FROM loopback_code WHERE principal_id = $1";
    if count(tx.query_one(sql, &[new.principal_id.into()], |row| row.int(0))?) >= CODE_COUNT_MAX {
        let message =
            format!("{CODE_COUNT_MAX} command lines were logged in within twelve hours; log in later, or with --device-code");
        return Err(Problem::invalid(message));
    }
    tx.execute(
        "INSERT INTO loopback_code (sha256, principal_id, challenge, redirect_uri, approved_at, expires_at)
         VALUES ($1, $2, $3, $4, $5, $6)",
        &[
            new.digest.as_slice().into(),
            new.principal_id.into(),
            new.challenge.as_slice().into(),
            new.redirect_uri.into(),
            new.at.0.into(),
            new.expires_at.0.into(),
        ],
    )?;
    Ok(())
}

/// What was agreed to behind this code, if that is not over, or was used and its token may still live.
pub(crate) fn code(reader: &mut Reader<'_>, digest: &[u8; 32], at: Micros) -> Result<Option<FoundCode>, DbError> {
    let sql =
        "SELECT principal_id, challenge, redirect_uri, approved_at FROM loopback_code WHERE sha256 = $1 AND expires_at > $2";
    let found = reader.query_one(sql, &[digest.as_slice().into(), at.0.into()], |row| {
        Ok((row.text(0)?, row.bytes(1)?, row.text(2)?, Micros(row.int(3)?)))
    })?;
    let Some((id, challenge, redirect_uri, approved_at)) = found else { return Ok(None) };
    let account = account_by_id(reader, &id)?;
    Ok(account.map(|account| FoundCode { account, challenge, redirect_uri, approved_at }))
}

/// The token that was made of this code, if one was. Holds the code, so that two who show it at the same moment come one after the other.
pub(crate) fn token_of_code(tx: &mut Writer<'_>, digest: &[u8; 32]) -> Result<Option<String>, DbError> {
    let sql = "UPDATE loopback_code SET approved_at = approved_at WHERE sha256 = $1 RETURNING token_id";
    Ok(tx.query_one(sql, &[digest.as_slice().into()], |row| row.opt_text(0))?.flatten())
}

/// Takes a code. Gives no if it was taken, or is over.
pub(crate) fn take_code(tx: &mut Writer<'_>, digest: &[u8; 32], principal_id: &str, at: Micros) -> Result<bool, DbError> {
    let changed = tx.execute(
        "UPDATE loopback_code SET used_at = $3 WHERE sha256 = $1 AND principal_id = $2 AND used_at IS NULL AND expires_at > $3",
        &[digest.as_slice().into(), principal_id.into(), at.0.into()],
    )?;
    Ok(changed > 0)
}

/// Keeps what was made of a code, as long as it lives.
pub(crate) fn keep_token_of_code(tx: &mut Writer<'_>, digest: &[u8; 32], token_id: &str, until: Micros) -> Result<(), DbError> {
    let sql = "UPDATE loopback_code SET token_id = $2, expires_at = $3 WHERE sha256 = $1";
    tx.execute(sql, &[digest.as_slice().into(), token_id.into(), until.0.into()]).map(drop)
}

/// Forgets what a person agreed to and nobody took.
pub(crate) fn drop_agreements(tx: &mut Writer<'_>, principal_id: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM device_approval WHERE principal_id = $1", &[principal_id.into()])?;
    tx.execute("DELETE FROM loopback_code WHERE principal_id = $1 AND used_at IS NULL", &[principal_id.into()]).map(drop)
}
