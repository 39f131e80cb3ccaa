//! Tokens and sessions, as their owners manage them.

use gate::Method;
use kernel::{Kind, Micros, Problem, Secret, random_id, sha256};
use vault::db::{DbError, Reader, Row, Writer};

use super::{count, limit, page, scopes_of};
use crate::secret_text::{SecretKind, shown_prefix};
use crate::types::{
    Page, PageWish, SESSIONS_OF_PRINCIPAL_COUNT_MAX, ScopePattern, Session, TOKENS_OF_PRINCIPAL_COUNT_MAX, Token,
};

/// What goes into a new token's row.
pub(crate) struct NewToken<'a> {
    pub(crate) principal_id: &'a str,
    pub(crate) kind: SecretKind,
    pub(crate) secret: &'a Secret,
    pub(crate) label: &'a str,
    pub(crate) scopes: &'a [ScopePattern],
    pub(crate) workspace_id: Option<&'a str>,
    pub(crate) parent_id: Option<&'a str>,
    pub(crate) device_id: Option<&'a str>,
    pub(crate) created_by: &'a str,
    pub(crate) expires_at: Micros,
    pub(crate) at: Micros,
}

macro_rules! token_columns {
    () => {
        "id, principal_id, prefix, label, scopes, workspace_id, created_at, expires_at, revoked_at, last_used_day, device_id"
    };
}

pub(crate) fn create_token(tx: &mut Writer<'_>, new: &NewToken<'_>) -> Result<Token, Problem> {
    let live = count(tx.query_one(
        "SELECT COUNT(*) FROM token WHERE principal_id = $1 AND revoked_at IS NULL AND expires_at > $2",
        &[new.principal_id.into(), new.at.0.into()],
        |row| row.int(0),
    )?);
    if live >= TOKENS_OF_PRINCIPAL_COUNT_MAX {
        let message =
            format!("the account has {TOKENS_OF_PRINCIPAL_COUNT_MAX} live tokens already; revoke those that nobody uses");
        return Err(Problem::new(Kind::TooMany, message));
    }
    let id = format!("{}{}", TOKEN_ID_PREFIX, random_id());
    let scopes: Vec<&str> = new.scopes.iter().map(ScopePattern::as_str).collect();
    let (prefix, digest) = (shown_prefix(new.secret), sha256(new.secret.expose()));
    let made = tx.query_one(
        concat!(
            "INSERT INTO token (id, principal_id, kind, sha256, prefix, label, scopes, workspace_id, parent_id, created_at, created_by,
             expires_at, device_id) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) RETURNING ",
            token_columns!()
        ),
        &[
            (&id).into(),
            new.principal_id.into(),
            new.kind.word().into(),
            digest.as_slice().into(),
            (&prefix).into(),
            new.label.into(),
            (&scopes.join("\n")).into(),
            new.workspace_id.into(),
            new.parent_id.into(),
            new.at.0.into(),
            new.created_by.into(),
            new.expires_at.0.into(),
            new.device_id.into(),
        ],
        token_of,
    )?;
    made.ok_or_else(|| Problem::new(Kind::Internal, "the database did not give the new token back"))
}

/// Ids of tokens begin with this.
pub(crate) const TOKEN_ID_PREFIX: &str = "tok_";
/// Ids of sessions begin with this.
pub(crate) const SESSION_ID_PREFIX: &str = "ses_";

/// Until when a live token lives. Holds its row, so that it cannot be revoked before this transaction has ended: what is
/// minted from it now is found by the revocation that waits.
pub(crate) fn hold_token(tx: &mut Writer<'_>, id: &str, at: Micros) -> Result<Option<Micros>, DbError> {
    tx.query_one(
        "UPDATE token SET created_at = created_at WHERE id = $1 AND revoked_at IS NULL AND expires_at > $2 RETURNING expires_at",
        &[id.into(), at.0.into()],
        |row| Ok(Micros(row.int(0)?)),
    )
}

/// The token with which a session was opened, if it was one. `None` where the session is over.
pub(crate) fn token_of_session(reader: &mut Reader<'_>, session_id: &str) -> Result<Option<Option<String>>, DbError> {
    reader.query_one("SELECT token_id FROM session WHERE id = $1 AND revoked_at IS NULL", &[session_id.into()], |row| {
        row.opt_text(0)
    })
}

/// Whether this token is all that opens the account, and is not of its holder's own making: the first administrator's, until they have set
/// up anything else.
pub(crate) fn is_first_token(reader: &mut Reader<'_>, id: &str, principal_id: &str) -> Result<bool, DbError> {
    let sql = "SELECT 1 FROM token t WHERE t.id = $1 AND t.principal_id = $2 AND t.parent_id IS NULL AND t.created_by <> $2
               AND NOT EXISTS (SELECT 1 FROM password w WHERE w.principal_id = $2)
               AND NOT EXISTS (SELECT 1 FROM totp o WHERE o.principal_id = $2 AND o.confirmed_at IS NOT NULL)
               AND NOT EXISTS (SELECT 1 FROM passkey k WHERE k.principal_id = $2)
               AND NOT EXISTS (SELECT 1 FROM federated f WHERE f.principal_id = $2)";
    Ok(reader.query_one(sql, &[id.into(), principal_id.into()], |row| row.int(0))?.is_some())
}

/// The live session of this secret, whoever's it is.
pub(crate) fn session_of_secret(reader: &mut Reader<'_>, secret: &Secret) -> Result<Option<String>, DbError> {
    let digest = sha256(secret.expose());
    let sql = "SELECT id FROM session WHERE sha256 = $1 AND revoked_at IS NULL";
    reader.query_one(sql, &[digest.as_slice().into()], |row| row.text(0))
}

/// The provider at which a session began, and what that calls its own session.
pub(crate) fn origin_of_session(reader: &mut Reader<'_>, id: &str) -> Result<Option<(String, Option<String>)>, DbError> {
    let sql = "SELECT issuer, issuer_session FROM session WHERE id = $1 AND issuer IS NOT NULL";
    reader.query_one(sql, &[id.into()], |row| Ok((row.text(0)?, row.opt_text(1)?)))
}

/// Until when a live session may last.
pub(crate) fn session_end(reader: &mut Reader<'_>, session_id: &str) -> Result<Option<Micros>, DbError> {
    let sql = "SELECT expires_at FROM session WHERE id = $1 AND revoked_at IS NULL";
    reader.query_one(sql, &[session_id.into()], |row| Ok(Micros(row.int(0)?)))
}

/// Revokes a token and all that were minted from it. Gives how many, or `None` if `principal_id` has no such token.
pub(crate) fn revoke_token(
    tx: &mut Writer<'_>,
    id: &str,
    principal_id: Option<&str>,
    at: Micros,
) -> Result<Option<u64>, DbError> {
    let owner = tx.query_one("SELECT principal_id FROM token WHERE id = $1", &[id.into()], |row| row.text(0))?;
    match owner {
        Some(owner) if principal_id.is_none_or(|wanted| wanted == owner) => {}
        _ => return Ok(None),
    }
    let mut revoked =
        tx.execute("UPDATE token SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL", &[id.into(), at.0.into()])?;
    // Again until nothing is left: each statement sees what a mint committed that the one before had to wait for.
    loop {
        let more = tx.execute(
            "UPDATE token SET revoked_at = $1 WHERE revoked_at IS NULL AND id IN (
                 WITH RECURSIVE down (id) AS (
                     SELECT id FROM token WHERE parent_id = $2
                     UNION
                     SELECT t.id FROM token t JOIN down ON t.parent_id = down.id)
                 SELECT id FROM down)",
            &[at.0.into(), id.into()],
        )?;
        revoked = revoked.saturating_add(more);
        if more == 0 {
            return Ok(Some(revoked));
        }
    }
}

/// Tokens of a principal that are not revoked and ended less than 30 days ago.
pub(crate) fn list_tokens(
    reader: &mut Reader<'_>,
    principal_id: &str,
    wish: &PageWish,
    at: Micros,
) -> Result<Page<Token>, DbError> {
    let after = wish.after.as_deref().unwrap_or_default();
    let shown_since = at.plus_secs(-30 * 86_400);
    let rows = reader.query(
        concat!(
            "SELECT ",
            token_columns!(),
            " FROM token WHERE principal_id = $1 AND id > $2 AND revoked_at IS NULL AND expires_at > $3 ORDER BY id LIMIT $4"
        ),
        &[principal_id.into(), after.into(), shown_since.0.into(), limit(wish.row_count()).into()],
        token_of,
    )?;
    Ok(page(rows, wish.row_count(), |token| token.id.clone()))
}

fn token_of(row: &Row<'_>) -> Result<Token, DbError> {
    Ok(Token {
        id: row.text(0)?,
        principal_id: row.text(1)?,
        prefix: row.text(2)?,
        label: row.text(3)?,
        scopes: scopes_of(&row.text(4)?),
        workspace_id: row.opt_text(5)?,
        created_at: Micros(row.int(6)?),
        expires_at: Micros(row.int(7)?),
        revoked_at: row.opt_int(8)?.map(Micros),
        last_used_day: row.opt_int(9)?,
        device_id: row.opt_text(10)?,
    })
}

/// What goes into a new session's row.
pub(crate) struct NewSession<'a> {
    pub(crate) principal_id: &'a str,
    pub(crate) secret: &'a Secret,
    pub(crate) token_id: Option<&'a str>,
    pub(crate) scopes: &'a [String],
    pub(crate) workspace_id: Option<&'a str>,
    pub(crate) assurance: u8,
    pub(crate) proved_at: Micros,
    pub(crate) method: Method,
    pub(crate) log_in_risk: u8,
    pub(crate) device_id: Option<&'a str>,
    /// The provider at which it began, and what that calls its own session.
    pub(crate) origin: Option<(&'a str, Option<&'a str>)>,
    pub(crate) expires_at: Micros,
    pub(crate) idle: IdleSince,
    pub(crate) at: Micros,
}

/// For each assurance level since when a session of it may not have been idle.
#[derive(Clone, Copy)]
pub(crate) struct IdleSince(pub(crate) [Micros; 3]);

pub(crate) fn create_session(tx: &mut Writer<'_>, new: &NewSession<'_>) -> Result<Session, Problem> {
    let id = format!("{}{}", SESSION_ID_PREFIX, random_id());
    let digest = sha256(new.secret.expose());
    let live = live_sessions(tx, new.principal_id, new.idle, new.at)?;
    for (oldest, _) in live.iter().rev().skip(SESSIONS_OF_PRINCIPAL_COUNT_MAX.saturating_sub(1)) {
        revoke_session(tx, oldest, new.principal_id, new.at)?;
    }
    tx.execute(
        "INSERT INTO session (id, principal_id, sha256, token_id, scopes, workspace_id, created_at, last_seen, expires_at,
                              assurance, proved_at, method, device_id, issuer, issuer_session, log_in_risk)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        &[
            (&id).into(),
            new.principal_id.into(),
            digest.as_slice().into(),
            new.token_id.into(),
            (&new.scopes.join("\n")).into(),
            new.workspace_id.into(),
            new.at.0.into(),
            new.expires_at.0.into(),
            i64::from(new.assurance).into(),
            new.proved_at.0.into(),
            new.method.word().into(),
            new.device_id.into(),
            new.origin.map(|(issuer, _)| issuer).into(),
            new.origin.and_then(|(_, session)| session).into(),
            i64::from(new.log_in_risk).into(),
        ],
    )?;
    Ok(Session {
        id,
        created_at: new.at,
        last_seen: new.at,
        expires_at: new.expires_at,
        assurance: new.assurance,
        method: new.method,
        device_id: new.device_id.map(str::to_owned),
        current: true,
    })
}

/// Live sessions, oldest first, as id and row: neither idle for too long, nor begun with a token that has ended.
pub(crate) fn live_sessions(
    reader: &mut Reader<'_>,
    principal_id: &str,
    IdleSince([one, two, three]): IdleSince,
    at: Micros,
) -> Result<Vec<(String, Session)>, DbError> {
    reader.query(
        "SELECT s.id, s.created_at, s.last_seen, s.expires_at, s.assurance, s.method, s.device_id
         FROM session s LEFT JOIN token t ON t.id = s.token_id
         WHERE s.principal_id = $1 AND s.revoked_at IS NULL AND s.expires_at > $2
           AND (s.token_id IS NULL OR (t.revoked_at IS NULL AND t.expires_at > $2))
           AND ((s.assurance <= 1 AND s.last_seen > $3) OR (s.assurance = 2 AND s.last_seen > $4)
                OR (s.assurance >= 3 AND s.last_seen > $5))
         ORDER BY s.created_at, s.id",
        &[principal_id.into(), at.0.into(), one.0.into(), two.0.into(), three.0.into()],
        |row| {
            let id = row.text(0)?;
            let session = Session {
                id: id.clone(),
                created_at: Micros(row.int(1)?),
                last_seen: Micros(row.int(2)?),
                expires_at: Micros(row.int(3)?),
                assurance: u8::try_from(row.int(4)?).map_err(|_| DbError::Shape(4))?,
                method: Method::from_word(&row.text(5)?).ok_or(DbError::Shape(5))?,
                device_id: row.opt_text(6)?,
                current: false,
            };
            Ok((id, session))
        },
    )
}

/// Ends a session of this principal. Gives whether it was live.
pub(crate) fn revoke_session(tx: &mut Writer<'_>, id: &str, principal_id: &str, at: Micros) -> Result<bool, DbError> {
    let changed = tx.execute(
        "UPDATE session SET revoked_at = $3 WHERE id = $1 AND principal_id = $2 AND revoked_at IS NULL",
        &[id.into(), principal_id.into(), at.0.into()],
    )?;
    Ok(changed > 0)
}

/// Revokes a session, whoever's it is.
pub(crate) fn revoke_any_session(tx: &mut Writer<'_>, id: &str, at: Micros) -> Result<bool, DbError> {
    let sql = "UPDATE session SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
    Ok(tx.execute(sql, &[id.into(), at.0.into()])? > 0)
}

/// Book-keeping: the last use of tokens (by the day) and sessions.
pub(crate) fn write_token_use(tx: &mut Writer<'_>, id: &str, day: i64) -> Result<(), DbError> {
    tx.execute(
        "UPDATE token SET last_used_day = $2 WHERE id = $1 AND (last_used_day IS NULL OR last_used_day < $2)",
        &[id.into(), day.into()],
    )
    .map(drop)
}

pub(crate) fn write_session_use(tx: &mut Writer<'_>, id: &str, at: Micros) -> Result<(), DbError> {
    tx.execute("UPDATE session SET last_seen = $2 WHERE id = $1 AND last_seen < $2", &[id.into(), at.0.into()]).map(drop)
}

/// Book-keeping: sessions that ended before `before` are of no use to anybody.
pub(crate) fn delete_ended_sessions(tx: &mut Writer<'_>, before: Micros) -> Result<u64, DbError> {
    tx.execute("DELETE FROM session WHERE expires_at < $1 OR revoked_at < $1", &[before.0.into()])
}
