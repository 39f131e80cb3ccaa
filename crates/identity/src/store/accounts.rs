//! Principals and their passwords.

use kernel::{Kind, Micros, Problem, random_id};
use vault::db::{Bind, DbError, Reader, Writer};

use super::{count, limit, page, principal_columns, principal_of};
use crate::types::{Name, PRINCIPAL_COUNT_MAX, Page, PageWish, Principal, PrincipalKind};

/// Names asked for at once by [`principals_by_ids`].
pub const NAMES_BY_IDS_COUNT_MAX: usize = 1_000;

pub(crate) fn create_principal(
    tx: &mut Writer<'_>,
    kind: PrincipalKind,
    name: &Name,
    owner: &str,
    at: Micros,
) -> Result<Principal, Problem> {
    let known = count(tx.query_one("SELECT COUNT(*) FROM principal", &[], |row| row.int(0))?);
    if known >= PRINCIPAL_COUNT_MAX {
        let message = format!("there are {PRINCIPAL_COUNT_MAX} accounts and groups already; delete those that nobody needs");
        return Err(Problem::new(Kind::TooMany, message));
    }
    let id = format!("{}{}", kind.id_prefix(), random_id());
    let made = tx.query_one(
        "INSERT INTO principal (id, kind, name, owner, created_at) VALUES ($1, $2, $3, $4, $5)
         ON CONFLICT (name) DO NOTHING RETURNING id",
        &[(&id).into(), kind.word().into(), name.as_str().into(), owner.into(), at.0.into()],
        |row| row.text(0),
    )?;
    if made.is_none() {
        return Err(Problem::already_exists(format!("the name `{}` is taken by an account or group", name.as_str())));
    }
    Ok(Principal { id, kind, name: name.as_str().to_owned(), disabled: false, owner: owner.to_owned(), created_at: at })
}

/// The principal of this id or name, if it is of this kind.
pub(crate) fn principal(reader: &mut Reader<'_>, kind: PrincipalKind, id_or_name: &str) -> Result<Principal, Problem> {
    let any = any_principal(reader, id_or_name)?;
    any.filter(|found| found.kind == kind)
        .ok_or_else(|| Problem::not_found(format!("there is no {} of this id or name", kind.word())))
}

/// The principal of this id or name. No name has the form of an id: [`Name::parse`] refuses it.
pub(crate) fn any_principal(reader: &mut Reader<'_>, id_or_name: &str) -> Result<Option<Principal>, DbError> {
    let folded = id_or_name.to_ascii_lowercase();
    reader.query_one(
        concat!(
            "SELECT ",
            principal_columns!(),
            " FROM principal p WHERE p.id = $1 OR p.name = $2 ORDER BY CASE WHEN p.id = $1 THEN 0 ELSE 1 END LIMIT 1"
        ),
        &[id_or_name.into(), (&folded).into()],
        principal_of,
    )
}

pub(crate) fn list_principals(reader: &mut Reader<'_>, kind: PrincipalKind, wish: &PageWish) -> Result<Page<Principal>, DbError> {
    let after = wish.after.as_deref().unwrap_or_default();
    let rows = reader.query(
        concat!("SELECT ", principal_columns!(), " FROM principal p WHERE p.kind = $1 AND p.name > $2 ORDER BY p.name LIMIT $3"),
        &[kind.word().into(), after.into(), limit(wish.row_count()).into()],
        principal_of,
    )?;
    Ok(page(rows, wish.row_count(), |principal| principal.name.clone()))
}

/// Bars an account; `by` is whose bar it is, and the last one's who says so.
pub(crate) fn bar(tx: &mut Writer<'_>, id: &str, by: &str, at: Micros) -> Result<(), DbError> {
    let sql = "UPDATE principal SET disabled = 1, barred_by = $2, epoch = epoch + 1 WHERE id = $1";
    tx.execute(sql, &[id.into(), by.into()])?;
    revoke_sessions_but(tx, id, None, at)
}

/// Lifts the bar, whosever it is.
pub(crate) fn lift_bar(tx: &mut Writer<'_>, id: &str) -> Result<(), DbError> {
    let sql = "UPDATE principal SET disabled = 0, barred_by = NULL, epoch = epoch + 1 WHERE id = $1";
    tx.execute(sql, &[id.into()]).map(drop)
}

/// Lifts a bar of one's own; gives whether it was that.
pub(crate) fn lift_own_bar(tx: &mut Writer<'_>, id: &str, by: &str) -> Result<bool, DbError> {
    let sql = "UPDATE principal SET disabled = 0, barred_by = NULL, epoch = epoch + 1 WHERE id = $1 AND barred_by = $2";
    Ok(tx.execute(sql, &[id.into(), by.into()])? > 0)
}

/// Deletes a principal with its password, memberships, tokens and sessions.
pub(crate) fn delete_principal(tx: &mut Writer<'_>, id: &str) -> Result<(), DbError> {
    tx.execute("DELETE FROM principal WHERE id = $1", &[id.into()]).map(drop)
}

pub(crate) fn password_hash(reader: &mut Reader<'_>, principal_id: &str) -> Result<Option<String>, DbError> {
    reader.query_one("SELECT hash FROM password WHERE principal_id = $1", &[principal_id.into()], |row| row.text(0))
}

/// Sets a password and ends what the old one opened, except the session `keep`.
pub(crate) fn set_password(
    tx: &mut Writer<'_>,
    principal_id: &str,
    hash: &str,
    keep: Option<&str>,
    at: Micros,
) -> Result<(), DbError> {
    tx.execute(
        "INSERT INTO password (principal_id, hash, changed_at) VALUES ($1, $2, $3)
         ON CONFLICT (principal_id) DO UPDATE SET hash = excluded.hash, changed_at = excluded.changed_at",
        &[principal_id.into(), hash.into(), at.0.into()],
    )?;
    tx.execute("UPDATE principal SET epoch = epoch + 1 WHERE id = $1", &[principal_id.into()])?;
    revoke_sessions_but(tx, principal_id, keep, at)
}

/// Ends all sessions of a principal.
pub(crate) fn end_sessions(tx: &mut Writer<'_>, principal_id: &str, at: Micros) -> Result<(), DbError> {
    tx.execute("UPDATE principal SET epoch = epoch + 1 WHERE id = $1", &[principal_id.into()])?;
    revoke_sessions_but(tx, principal_id, None, at)
}

/// Ends all sessions of a principal but `keep`.
pub(crate) fn revoke_sessions_but(
    tx: &mut Writer<'_>,
    principal_id: &str,
    keep: Option<&str>,
    at: Micros,
) -> Result<(), DbError> {
    tx.execute(
        "UPDATE session SET revoked_at = $3 WHERE principal_id = $1 AND id <> $2 AND revoked_at IS NULL",
        &[principal_id.into(), keep.unwrap_or_default().into(), at.0.into()],
    )
    .map(drop)
}

/// The names of principals, for pages that hold ids. An id that is not known (any more) is not in the answer.
///
/// # Errors
/// `TooLarge` for more than [`NAMES_BY_IDS_COUNT_MAX`] ids; `Unavailable` if the database is down.
pub fn principals_by_ids(reader: &mut Reader<'_>, ids: &[String]) -> Result<Vec<(String, String)>, Problem> {
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    if ids.len() > NAMES_BY_IDS_COUNT_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("at most {NAMES_BY_IDS_COUNT_MAX} names are looked up at once")));
    }
    let places: Vec<String> = (1..=ids.len()).map(|place| format!("${place}")).collect();
    let sql = format!("SELECT id, name FROM principal WHERE id IN ({}) ORDER BY name", places.join(", "));
    let binds: Vec<Bind<'_>> = ids.iter().map(Bind::from).collect();
    Ok(reader.query(&sql, &binds, |row| Ok((row.text(0)?, row.text(1)?)))?)
}
