//! Whom a credential belongs to: each answer is one query, the groups of all levels included.

use gate::{Caller, CallerKind, Method, Proof, TokenFacts};
use kernel::Micros;
use vault::db::{Bind, DbError, Reader, Row};

use super::scopes_of;

/// What was found behind a token or a session.
pub(crate) struct FoundCredential {
    pub(crate) caller: Caller,
    pub(crate) disabled: bool,
    pub(crate) revoked: bool,
    pub(crate) expires_at: Micros,
    /// The session's last use that is written down; 0 for tokens.
    pub(crate) last_seen: Micros,
}

/// What was found behind an account's name.
pub(crate) struct FoundAccount {
    pub(crate) caller: Caller,
    pub(crate) disabled: bool,
    pub(crate) epoch: i64,
    pub(crate) hash: Option<String>,
    pub(crate) password_changed_at: Option<Micros>,
    /// It has one-time codes or a passkey: its password alone opens nothing.
    pub(crate) has_second_factor: bool,
    pub(crate) has_passkey: bool,
}

impl FoundAccount {
    /// The account as whoever knew its password at that time may use it: no longer, once that was changed.
    pub(crate) fn since_password(self, at: Micros) -> FoundCredential {
        let revoked = self.password_changed_at.is_none_or(|changed_at| changed_at > at);
        FoundCredential {
            caller: self.caller,
            disabled: self.disabled,
            revoked,
            expires_at: Micros(i64::MAX),
            last_seen: Micros(0),
        }
    }
}

/// Tokens by a column, with the groups of their owners.
macro_rules! token_by {
    ($column:literal) => {
        concat!(
            "WITH RECURSIVE up (id) AS (
             SELECT m.group_id FROM membership m JOIN token t ON t.principal_id = m.member_id WHERE ",
            $column,
            " = $1
             UNION
             SELECT m.group_id FROM membership m JOIN up ON m.member_id = up.id)
         SELECT p.id, p.kind, p.name, p.disabled, t.id, t.scopes, t.workspace_id, t.expires_at, t.revoked_at, t.created_at, up.id, CAST(1 AS BIGINT), CAST(NULL AS BIGINT), CAST(NULL AS TEXT), t.device_id, CAST(0 AS BIGINT)
         FROM token t JOIN principal p ON p.id = t.principal_id LEFT JOIN up ON 1 = 1 WHERE ",
            $column,
            " = $1"
        )
    };
}

/// Accounts of a kind by a column, with their groups.
macro_rules! account_by {
    ($column:literal, $kind:literal) => {
        concat!(
            "WITH RECURSIVE up (id) AS (
             SELECT m.group_id FROM membership m JOIN principal p ON p.id = m.member_id WHERE ",
            $column,
            " = $1
             UNION
             SELECT m.group_id FROM membership m JOIN up ON m.member_id = up.id)
         SELECT p.id, p.kind, p.name, p.disabled, p.epoch, w.hash, w.changed_at, up.id,
                CASE WHEN EXISTS (SELECT 1 FROM totp o WHERE o.principal_id = p.id AND o.confirmed_at IS NOT NULL)
                       OR EXISTS (SELECT 1 FROM passkey k WHERE k.principal_id = p.id) THEN 1 ELSE 0 END,
                CASE WHEN EXISTS (SELECT 1 FROM passkey k WHERE k.principal_id = p.id) THEN 1 ELSE 0 END
         FROM principal p LEFT JOIN password w ON w.principal_id = p.id LEFT JOIN up ON 1 = 1
         WHERE ",
            $column,
            " = $1 AND p.kind = '",
            $kind,
            "'"
        )
    };
}

pub(crate) fn token_by_digest(reader: &mut Reader<'_>, digest: &[u8; 32]) -> Result<Option<FoundCredential>, DbError> {
    credential(reader, token_by!("t.sha256"), digest.as_slice().into())
}

pub(crate) fn token_by_id(reader: &mut Reader<'_>, id: &str) -> Result<Option<FoundCredential>, DbError> {
    credential(reader, token_by!("t.id"), id.into())
}

/// A session that was opened with a token is revoked with it, and ends with it.
pub(crate) fn session_by_digest(reader: &mut Reader<'_>, digest: &[u8; 32]) -> Result<Option<FoundCredential>, DbError> {
    credential(
        reader,
        "WITH RECURSIVE up (id) AS (
             SELECT m.group_id FROM membership m JOIN session s ON s.principal_id = m.member_id WHERE s.sha256 = $1
             UNION
             SELECT m.group_id FROM membership m JOIN up ON m.member_id = up.id)
         SELECT p.id, p.kind, p.name, p.disabled, s.id, s.scopes, s.workspace_id, s.expires_at,
                COALESCE(s.revoked_at, t.revoked_at), s.last_seen, up.id, s.assurance, s.proved_at, s.method,
                COALESCE(s.device_id, t.device_id), s.log_in_risk
         FROM session s JOIN principal p ON p.id = s.principal_id LEFT JOIN token t ON t.id = s.token_id
         LEFT JOIN up ON 1 = 1 WHERE s.sha256 = $1",
        digest.as_slice().into(),
    )
}

fn credential(reader: &mut Reader<'_>, sql: &str, key: Bind<'_>) -> Result<Option<FoundCredential>, DbError> {
    let mut found: Option<FoundCredential> = None;
    reader.for_each(sql, &[key], |row| {
        if found.is_none() {
            let facts = TokenFacts {
                id: row.text(4)?,
                scopes: scopes_of(&row.text(5)?),
                workspace: row.opt_text(6)?,
                device: row.opt_text(14)?,
            };
            let mut caller = caller_of(row, Some(facts))?;
            caller.assurance = u8::try_from(row.int(11)?).ok().filter(|level| *level <= 3).ok_or(DbError::Shape(11))?;
            caller.log_in_risk = u8::try_from(row.int(15)?).map_err(|_| DbError::Shape(15))?;
            if let (Some(at), Some(method)) = (row.opt_int(12)?, row.opt_text(13)?) {
                let method = Method::from_word(&method).ok_or(DbError::Shape(13))?;
                caller.proof = Some(Proof { at: Micros(at), method, once: None });
            }
            found = Some(FoundCredential {
                caller,
                disabled: row.flag(3)?,
                revoked: row.opt_int(8)?.is_some(),
                expires_at: Micros(row.int(7)?),
                last_seen: Micros(row.int(9)?),
            });
        }
        if let (Some(found), Some(group)) = (found.as_mut(), row.opt_text(10)?) {
            found.caller.groups.push(group);
        }
        Ok(())
    })?;
    Ok(found)
}

pub(crate) fn account_by_name(reader: &mut Reader<'_>, name: &str) -> Result<Option<FoundAccount>, DbError> {
    account(reader, account_by!("p.name", "user"), name)
}

pub(crate) fn account_by_id(reader: &mut Reader<'_>, id: &str) -> Result<Option<FoundAccount>, DbError> {
    account(reader, account_by!("p.id", "user"), id)
}

pub(crate) fn service_by_id(reader: &mut Reader<'_>, id: &str) -> Result<Option<FoundAccount>, DbError> {
    account(reader, account_by!("p.id", "service"), id)
}

pub(crate) fn service_by_name(reader: &mut Reader<'_>, name: &str) -> Result<Option<FoundAccount>, DbError> {
    account(reader, account_by!("p.name", "service"), name)
}

fn account(reader: &mut Reader<'_>, sql: &str, key: &str) -> Result<Option<FoundAccount>, DbError> {
    let mut found: Option<FoundAccount> = None;
    reader.for_each(sql, &[key.into()], |row| {
        if found.is_none() {
            found = Some(FoundAccount {
                caller: caller_of(row, None)?,
                disabled: row.flag(3)?,
                epoch: row.int(4)?,
                hash: row.opt_text(5)?,
                password_changed_at: row.opt_int(6)?.map(Micros),
                has_second_factor: row.flag(8)?,
                has_passkey: row.flag(9)?,
            });
        }
        if let (Some(found), Some(group)) = (found.as_mut(), row.opt_text(7)?) {
            found.caller.groups.push(group);
        }
        Ok(())
    })?;
    Ok(found)
}

/// Reads `id, kind, name` from the first columns.
fn caller_of(row: &Row<'_>, token: Option<TokenFacts>) -> Result<Caller, DbError> {
    let kind = match row.text(1)?.as_str() {
        "user" => CallerKind::User,
        "service" => CallerKind::Service,
        // A group cannot log in: a row that says so is not one of ours.
        _ => return Err(DbError::Shape(1)),
    };
    Ok(Caller {
        kind,
        id: row.text(0)?,
        name: row.text(2)?,
        groups: Vec::new(),
        token,
        assurance: 1,
        proof: None,
        pass: None,
        device: None,
        log_in_risk: 0,
    })
}
