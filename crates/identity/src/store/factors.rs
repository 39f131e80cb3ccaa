//! What people show beside a password.

use gate::Spend;
use kernel::{Micros, Problem, random_id};
use vault::db::{DbError, Reader, Writer};

use super::{account_by_id, count, take_code};
use crate::factors::CEREMONY_SECONDS;
use crate::store::FoundAccount;
use crate::types::{PASSKEYS_OF_PRINCIPAL_COUNT_MAX, Passkey};

/// For how long an answered challenge is remembered: longer than any node takes an answer to it, whatever its clock says.
const CHALLENGE_TAKEN_SECONDS: i64 = 2 * CEREMONY_SECONDS;

/// An account's shared secret for one-time codes.
pub(crate) struct TotpRow {
    pub(crate) sealed: Vec<u8>,
    pub(crate) confirmed_at: Option<Micros>,
    pub(crate) last_step: i64,
}

/// What goes into a new passkey's row.
pub(crate) struct NewPasskey<'a> {
    pub(crate) principal_id: &'a str,
    pub(crate) credential_id: &'a [u8],
    pub(crate) host: &'a str,
    pub(crate) public_key: &'a [u8],
    pub(crate) sign_count: u32,
    pub(crate) backed_up: bool,
    pub(crate) label: &'a str,
    pub(crate) at: Micros,
}

/// What was found behind a passkey's credential id.
pub(crate) struct FoundPasskey {
    pub(crate) id: String,
    pub(crate) host: String,
    pub(crate) public_key: Vec<u8>,
    pub(crate) sign_count: i64,
    pub(crate) account: FoundAccount,
}

pub(crate) fn totp(reader: &mut Reader<'_>, principal_id: &str) -> Result<Option<TotpRow>, DbError> {
    let sql = "SELECT sealed, confirmed_at, last_step FROM totp WHERE principal_id = $1";
    reader.query_one(sql, &[principal_id.into()], |row| {
        Ok(TotpRow { sealed: row.bytes(0)?, confirmed_at: row.opt_int(1)?.map(Micros), last_step: row.int(2)? })
    })
}

/// A new shared secret, which counts for nothing until it is confirmed. Gives no for an account that has a confirmed one.
pub(crate) fn put_totp(tx: &mut Writer<'_>, principal_id: &str, sealed: &[u8], at: Micros) -> Result<bool, DbError> {
    let changed = tx.execute(
        "INSERT INTO totp (principal_id, sealed, created_at) VALUES ($1, $2, $3)
         ON CONFLICT (principal_id) DO UPDATE SET sealed = excluded.sealed, created_at = excluded.created_at
         WHERE totp.confirmed_at IS NULL",
        &[principal_id.into(), sealed.into(), at.0.into()],
    )?;
    Ok(changed > 0)
}

pub(crate) fn confirm_totp(tx: &mut Writer<'_>, principal_id: &str, step: i64, at: Micros) -> Result<bool, DbError> {
    let changed = tx.execute(
        "UPDATE totp SET confirmed_at = $3, last_step = $2 WHERE principal_id = $1 AND confirmed_at IS NULL",
        &[principal_id.into(), step.into(), at.0.into()],
    )?;
    Ok(changed > 0)
}

/// New recovery codes; the old ones are void.
pub(crate) fn put_recovery_codes(
    tx: &mut Writer<'_>,
    principal_id: &str,
    digests: &[[u8; 32]],
    at: Micros,
) -> Result<(), DbError> {
    tx.execute("DELETE FROM recovery_code WHERE principal_id = $1", &[principal_id.into()])?;
    for digest in digests {
        tx.execute(
            "INSERT INTO recovery_code (principal_id, sha256, created_at) VALUES ($1, $2, $3)",
            &[principal_id.into(), digest.as_slice().into(), at.0.into()],
        )?;
    }
    Ok(())
}

/// Recovery codes for an account that has none left. Gives whether it had none.
pub(crate) fn put_first_recovery_codes(
    tx: &mut Writer<'_>,
    principal_id: &str,
    digests: &[[u8; 32]],
    at: Micros,
) -> Result<bool, DbError> {
    let first = recovery_codes_left(tx, principal_id)? == 0;
    if first {
        put_recovery_codes(tx, principal_id, digests, at)?;
    }
    Ok(first)
}

/// Recovery codes that were not used.
pub(crate) fn recovery_codes_left(reader: &mut Reader<'_>, principal_id: &str) -> Result<i64, DbError> {
    let sql = "SELECT COUNT(*) FROM recovery_code WHERE principal_id = $1 AND used_at IS NULL";
    Ok(count(reader.query_one(sql, &[principal_id.into()], |row| row.int(0))?))
}

pub(crate) fn is_recovery_code(reader: &mut Reader<'_>, principal_id: &str, digest: &[u8; 32]) -> Result<bool, DbError> {
    let sql = "SELECT 1 FROM recovery_code WHERE principal_id = $1 AND sha256 = $2 AND used_at IS NULL";
    Ok(reader.query_one(sql, &[principal_id.into(), digest.as_slice().into()], |row| row.int(0))?.is_some())
}

/// Takes what can be taken once. Gives no if somebody else took it meanwhile, or the counter of a key did not grow.
pub(crate) fn spend(tx: &mut Writer<'_>, principal_id: &str, once: &Spend, at: Micros) -> Result<bool, DbError> {
    let changed = match once {
        Spend::TotpStep(step) => tx.execute(
            "UPDATE totp SET last_step = $2 WHERE principal_id = $1 AND last_step < $2 AND confirmed_at IS NOT NULL",
            &[principal_id.into(), (*step).into()],
        )?,
        Spend::RecoveryCode(digest) => tx.execute(
            "UPDATE recovery_code SET used_at = $3 WHERE principal_id = $1 AND sha256 = $2 AND used_at IS NULL",
            &[principal_id.into(), digest.as_slice().into(), at.0.into()],
        )?,
        Spend::Device(digest) => tx.execute(
            "UPDATE device_approval SET state = 'used' WHERE principal_id = $1 AND sha256 = $2 AND expires_at > $3 AND state = 'agreed'",
            &[principal_id.into(), digest.as_slice().into(), at.0.into()],
        )?,
        Spend::Code(digest) => return take_code(tx, digest, principal_id, at),
        // The provider has counted it.
        Spend::Federated { .. } => 1,
        // A key that counts must count on; one that does not (a synced one) says 0 each time: so the challenge counts once by itself.
        Spend::Passkey { id, sign_count, backed_up, challenge } => {
            if !take_challenge(tx, challenge, at)? {
                return Ok(false);
            }
            tx.execute(
                "UPDATE passkey SET sign_count = $3, backed_up = $4, last_used_at = $5
                 WHERE id = $2 AND principal_id = $1 AND (sign_count < $3 OR (sign_count = 0 AND $3 = 0))",
                &[principal_id.into(), id.into(), i64::from(*sign_count).into(), (*backed_up).into(), at.0.into()],
            )?
        }
    };
    Ok(changed > 0)
}

/// Takes a challenge that was answered; no if it was taken before, on whichever node.
pub(crate) fn take_challenge(tx: &mut Writer<'_>, digest: &[u8; 32], at: Micros) -> Result<bool, DbError> {
    tx.execute("DELETE FROM challenge_taken WHERE expires_at <= $1", &[at.0.into()])?;
    let changed = tx.execute(
        "INSERT INTO challenge_taken (sha256, expires_at) VALUES ($1, $2) ON CONFLICT (sha256) DO NOTHING",
        &[digest.as_slice().into(), at.plus_secs(CHALLENGE_TAKEN_SECONDS).0.into()],
    )?;
    Ok(changed > 0)
}

pub(crate) fn add_passkey(tx: &mut Writer<'_>, new: &NewPasskey<'_>) -> Result<Passkey, Problem> {
    let known =
        count(
            tx.query_one("SELECT COUNT(*) FROM passkey WHERE principal_id = $1", &[new.principal_id.into()], |row| row.int(0))?,
        );
    if known >= PASSKEYS_OF_PRINCIPAL_COUNT_MAX {
        let message =
            format!("the account has {PASSKEYS_OF_PRINCIPAL_COUNT_MAX} passkeys already; remove those that nobody uses");
        return Err(Problem::invalid(message));
    }
    let id = format!("key_{}", random_id());
    let made = tx.query_one(
        "INSERT INTO passkey (id, principal_id, credential_id, host, public_key, sign_count, backed_up, label, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (credential_id) DO NOTHING RETURNING id",
        &[
            (&id).into(),
            new.principal_id.into(),
            new.credential_id.into(),
            new.host.into(),
            new.public_key.into(),
            i64::from(new.sign_count).into(),
            new.backed_up.into(),
            new.label.into(),
            new.at.0.into(),
        ],
        |row| row.text(0),
    )?;
    if made.is_none() {
        return Err(Problem::already_exists("this passkey is registered already"));
    }
    Ok(Passkey {
        id,
        label: new.label.to_owned(),
        host: new.host.to_owned(),
        backed_up: new.backed_up,
        created_at: new.at,
        last_used_at: None,
    })
}

pub(crate) fn passkeys(reader: &mut Reader<'_>, principal_id: &str) -> Result<Vec<Passkey>, DbError> {
    reader.query(
        "SELECT id, label, host, backed_up, created_at, last_used_at FROM passkey WHERE principal_id = $1 ORDER BY created_at, id",
        &[principal_id.into()],
        |row| {
            Ok(Passkey {
                id: row.text(0)?,
                label: row.text(1)?,
                host: row.text(2)?,
                backed_up: row.flag(3)?,
                created_at: Micros(row.int(4)?),
                last_used_at: row.opt_int(5)?.map(Micros),
            })
        },
    )
}

pub(crate) fn passkey_by_credential(reader: &mut Reader<'_>, credential_id: &[u8]) -> Result<Option<FoundPasskey>, DbError> {
    let sql = "SELECT id, principal_id, host, public_key, sign_count FROM passkey WHERE credential_id = $1";
    let found = reader.query_one(sql, &[credential_id.into()], |row| {
        Ok((row.text(0)?, row.text(1)?, row.text(2)?, row.bytes(3)?, row.int(4)?))
    })?;
    let Some((id, principal_id, host, public_key, sign_count)) = found else { return Ok(None) };
    let account = account_by_id(reader, &principal_id)?;
    Ok(account.map(|account| FoundPasskey { id, host, public_key, sign_count, account }))
}

/// Takes a factor away: `totp`, or a passkey by its id. Gives whether there was one.
pub(crate) fn remove_factor(tx: &mut Writer<'_>, principal_id: &str, factor: &str) -> Result<bool, DbError> {
    let removed = match factor {
        "totp" => tx.execute("DELETE FROM totp WHERE principal_id = $1", &[principal_id.into()])?,
        id => tx.execute("DELETE FROM passkey WHERE principal_id = $1 AND id = $2", &[principal_id.into(), id.into()])?,
    };
    Ok(removed > 0)
}

/// Takes all of them away, recovery codes included.
pub(crate) fn remove_all_factors(tx: &mut Writer<'_>, principal_id: &str) -> Result<u64, DbError> {
    let mut removed = 0_u64;
    for sql in ["DELETE FROM totp WHERE principal_id = $1", "DELETE FROM passkey WHERE principal_id = $1"] {
        removed = removed.saturating_add(tx.execute(sql, &[principal_id.into()])?);
    }
    tx.execute("DELETE FROM recovery_code WHERE principal_id = $1", &[principal_id.into()])?;
    Ok(removed)
}

/// Recovery codes are for who has a factor to lose.
pub(crate) fn drop_recovery_codes_without_factor(tx: &mut Writer<'_>, principal_id: &str) -> Result<(), DbError> {
    tx.execute(
        "DELETE FROM recovery_code WHERE principal_id = $1
         AND NOT EXISTS (SELECT 1 FROM totp t WHERE t.principal_id = $1 AND t.confirmed_at IS NOT NULL)
         AND NOT EXISTS (SELECT 1 FROM passkey k WHERE k.principal_id = $1)",
        &[principal_id.into()],
    )
    .map(drop)
}
