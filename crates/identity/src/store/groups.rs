//! Who is in which group.

use kernel::{Kind, Micros, Problem};
use vault::db::{DbError, Reader, Writer};

use super::{any_principal, count, principal_columns, principal_of};
use crate::types::{GROUPS_OF_MEMBER_COUNT_MAX, MEMBERS_OF_GROUP_COUNT_MAX, Principal};

/// The ids of all groups that hold a principal, at every level.
pub(crate) fn groups_of(reader: &mut Reader<'_>, member_id: &str) -> Result<Vec<String>, DbError> {
    reader.query(
        "WITH RECURSIVE up (id) AS (
             SELECT group_id FROM membership WHERE member_id = $1
             UNION
             SELECT m.group_id FROM membership m JOIN up ON m.member_id = up.id)
         SELECT id FROM up ORDER BY id",
        &[member_id.into()],
        |row| row.text(0),
    )
}

/// The ids of the service accounts that `owner` made and that are in some group.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn grouped_services_of(reader: &mut Reader<'_>, owner: &str) -> Result<Vec<String>, DbError> {
    let sql = "SELECT id FROM principal WHERE owner = $1 AND kind = 'service' AND id IN (SELECT member_id FROM membership)";
    reader.query(sql, &[owner.into()], |row| row.text(0))
}

/// The principal of this id or name and the ids of all groups that hold it, at every level: for `policy`.
///
/// # Errors
/// [`DbError`] of the engine.
pub fn principal_with_groups(reader: &mut Reader<'_>, id_or_name: &str) -> Result<Option<(Principal, Vec<String>)>, DbError> {
    let Some(principal) = any_principal(reader, id_or_name)? else {
        return Ok(None);
    };
    let groups = groups_of(reader, &principal.id)?;
    Ok(Some((principal, groups)))
}

pub(crate) fn members_of(reader: &mut Reader<'_>, group_id: &str) -> Result<Vec<Principal>, DbError> {
    reader.query(
        concat!(
            "SELECT ",
            principal_columns!(),
            " FROM membership m JOIN principal p ON p.id = m.member_id WHERE m.group_id = $1 ORDER BY p.name LIMIT $2"
        ),
        &[group_id.into(), MEMBERS_OF_GROUP_COUNT_MAX.into()],
        principal_of,
    )
}

/// Puts `member_id` into `group_id`. Gives whether that is new.
pub(crate) fn add_member(tx: &mut Writer<'_>, group_id: &str, member_id: &str, by: &str, at: Micros) -> Result<bool, Problem> {
    if group_id == member_id || groups_of(tx, group_id)?.iter().any(|above| above == member_id) {
        return Err(Problem::invalid("a group cannot hold itself, directly or through another group"));
    }
    let held_by =
        count(tx.query_one("SELECT COUNT(*) FROM membership WHERE member_id = $1", &[member_id.into()], |row| row.int(0))?);
    if held_by >= GROUPS_OF_MEMBER_COUNT_MAX {
        return Err(Problem::new(Kind::TooMany, format!("it is in {GROUPS_OF_MEMBER_COUNT_MAX} groups already")));
    }
    let holds = count(tx.query_one("SELECT COUNT(*) FROM membership WHERE group_id = $1", &[group_id.into()], |row| row.int(0))?);
    if holds >= MEMBERS_OF_GROUP_COUNT_MAX {
        return Err(Problem::new(Kind::TooMany, format!("the group has {MEMBERS_OF_GROUP_COUNT_MAX} members already")));
    }
    let changed = tx.execute(
        "INSERT INTO membership (group_id, member_id, added_at, added_by) VALUES ($1, $2, $3, $4)
         ON CONFLICT (group_id, member_id) DO NOTHING",
        &[group_id.into(), member_id.into(), at.0.into(), by.into()],
    )?;
    Ok(changed > 0)
}

/// Who put `member_id` into `group_id`, and when; none if it is no direct member.
pub(crate) fn membership(reader: &mut Reader<'_>, group_id: &str, member_id: &str) -> Result<Option<(String, Micros)>, DbError> {
    let sql = "SELECT added_by, added_at FROM membership WHERE group_id = $1 AND member_id = $2";
    reader.query_one(sql, &[group_id.into(), member_id.into()], |row| Ok((row.text(0)?, Micros(row.int(1)?))))
}

/// Takes `member_id` out of `group_id`. Gives whether it was in it.
pub(crate) fn remove_member(tx: &mut Writer<'_>, group_id: &str, member_id: &str) -> Result<bool, DbError> {
    let changed =
        tx.execute("DELETE FROM membership WHERE group_id = $1 AND member_id = $2", &[group_id.into(), member_id.into()])?;
    Ok(changed > 0)
}

/// The ids of the service accounts that a principal owns and that are in some group.
pub(crate) fn services_of(reader: &mut Reader<'_>, owner: &str) -> Result<Vec<String>, DbError> {
    reader.query(
        "SELECT p.id FROM principal p WHERE p.owner = $1 AND p.kind = 'service'
         AND EXISTS (SELECT 1 FROM membership m WHERE m.member_id = p.id) ORDER BY p.id",
        &[owner.into()],
        |row| row.text(0),
    )
}
