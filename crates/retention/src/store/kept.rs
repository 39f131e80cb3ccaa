//! Rows of things that are retained as a whole.

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};
use vault::objects::ObjectId;

use crate::lock::{Lock, Mode, Retention};
use crate::types::{Kept, Kind};

const COLUMNS: &str =
    "r.id, r.kind, r.subject, r.name, r.workspace, r.rule, r.lock_mode, r.retain_until, r.legal_hold, r.created_at,
     (SELECT COUNT(*) FROM retained_object h WHERE h.retained_id = r.id)";

fn from_row(row: &Row<'_>) -> Result<Kept, DbError> {
    Ok(Kept {
        id: row.text(0)?,
        kind: Kind::parse(&row.text(1)?).map_err(|_| DbError::Shape(1))?,
        subject: row.text(2)?,
        name: row.text(3)?,
        workspace: row.text(4)?,
        rule: row.text(5)?,
        lock: lock_from(row, 6)?,
        created_at: Micros(row.int(9)?),
        object_count: row.int(10)?,
    })
}

/// Mode, date and hold, from `first` on. A lock that cannot be read is an error, never no lock.
///
/// # Errors
/// `Shape`.
pub fn lock_from(row: &Row<'_>, first: usize) -> Result<Lock, DbError> {
    let retention = match (row.opt_text(first)?, row.opt_int(first + 1)?) {
        (None, None) => None,
        (Some(mode), Some(until)) => {
            Some(Retention { mode: Mode::parse(&mode).ok_or(DbError::Shape(first))?, until: Micros(until) })
        }
        _ => return Err(DbError::Shape(first)),
    };
    Ok(Lock { retention, hold: row.flag(first + 2)? })
}

pub(crate) fn find(reader: &mut Reader<'_>, kind: Kind, subject: &str) -> Result<Option<Kept>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM retained r WHERE r.kind = $1 AND r.subject = $2");
    Ok(reader.query_one(&sql, &[kind.word().into(), subject.into()], from_row)?)
}

/// A thing of a workspace by what people call it, or by its id.
pub(crate) fn named(reader: &mut Reader<'_>, workspace: &str, kind: Kind, name: &str) -> Result<Option<Kept>, Problem> {
    let sql = format!(
        "SELECT {COLUMNS} FROM retained r WHERE r.workspace = $1 AND r.kind = $2 AND (r.name = $3 OR r.subject = $3)
         ORDER BY r.created_at DESC, r.id LIMIT 1"
    );
    Ok(reader.query_one(&sql, &[workspace.into(), kind.word().into(), name.into()], from_row)?)
}

/// What people call a workspace; its id where it has no row, as the server's own things have none.
pub(crate) fn workspace_name(reader: &mut Reader<'_>, id: &str) -> Result<String, Problem> {
    let name = reader.query_one("SELECT name FROM workspace WHERE id = $1", &[id.into()], |row| row.text(0))?;
    Ok(name.unwrap_or_else(|| id.to_owned()))
}

/// By the ids of their rows, from behind one on; where `models` are named, versions of these and nothing else.
pub(crate) fn list(
    reader: &mut Reader<'_>,
    (workspace, models): (&str, Option<&[String]>),
    after: &str,
    count: i64,
) -> Result<Vec<Kept>, Problem> {
    // A version is called by its model's id, a slash and its number.
    let versions_of: Vec<String> = models.unwrap_or_default().iter().map(|model| format!("{model}/")).collect();
    if models.is_some() && versions_of.is_empty() {
        return Ok(Vec::new());
    }
    let mut binds: Vec<Bind<'_>> = vec![workspace.into(), after.into(), count.into()];
    let mut theirs = Vec::new();
    for beginning in &versions_of {
        binds.push(beginning.into());
        theirs.push(format!("substr(r.subject, 1, {}) = ${}", beginning.chars().count(), binds.len()));
    }
    let narrowed = if theirs.is_empty() { String::new() } else { format!(" AND r.kind = 'model' AND ({})", theirs.join(" OR ")) };
    let sql = format!("SELECT {COLUMNS} FROM retained r WHERE r.workspace = $1 AND r.id > $2{narrowed} ORDER BY r.id LIMIT $3");
    Ok(reader.query(&sql, &binds, from_row)?)
}

pub(crate) fn insert(writer: &mut Writer<'_>, kept: &Kept, objects: &[String]) -> Result<(), Problem> {
    let retention = kept.lock.retention;
    writer.execute(
        "INSERT INTO retained (id, kind, subject, name, workspace, rule, lock_mode, retain_until, legal_hold, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&kept.id).into(),
            kept.kind.word().into(),
            (&kept.subject).into(),
            (&kept.name).into(),
            (&kept.workspace).into(),
            (&kept.rule).into(),
            retention.map(|one| one.mode.word()).into(),
            retention.map(|one| one.until.0).into(),
            kept.lock.hold.into(),
            kept.created_at.0.into(),
        ],
    )?;
    add_objects(writer, &kept.id, objects)
}

/// Objects that are held with a thing; those that are already stay.
pub(crate) fn add_objects(writer: &mut Writer<'_>, id: &str, objects: &[String]) -> Result<(), Problem> {
    let rows = objects.iter().map(|object| vec![Bind::from(object), Bind::from(id)]);
    writer.execute_many("INSERT INTO retained_object (object_id, retained_id) VALUES ($1, $2) ON CONFLICT DO NOTHING", rows)?;
    Ok(())
}

/// Forgets a thing that nothing holds.
pub(crate) fn forget(writer: &mut Writer<'_>, id: &str) -> Result<(), Problem> {
    writer.execute("DELETE FROM retained_object WHERE retained_id = $1", &[id.into()])?;
    writer.execute("DELETE FROM retained WHERE id = $1", &[id.into()])?;
    Ok(())
}

pub(crate) fn set_lock(writer: &mut Writer<'_>, id: &str, lock: Lock, rule: Option<&str>) -> Result<(), Problem> {
    let (mode, until) = (lock.retention.map(|one| one.mode.word()), lock.retention.map(|one| one.until.0));
    let sql = "UPDATE retained SET lock_mode = $1, retain_until = $2, legal_hold = $3, rule = COALESCE($4, rule) WHERE id = $5";
    writer.execute(sql, &[mode.into(), until.into(), lock.hold.into(), rule.into(), id.into()])?;
    Ok(())
}

/// Whether any object is held as part of a thing: most servers have none, and then nothing more is asked.
pub(crate) fn any_object(reader: &mut Reader<'_>) -> Result<bool, Problem> {
    Ok(reader.query_one("SELECT 1 FROM retained_object LIMIT 1", &[], |row| row.int(0))?.is_some())
}

/// The things that an object is part of.
pub(crate) fn of_object(reader: &mut Reader<'_>, id: &ObjectId) -> Result<Vec<Kept>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM retained_object o JOIN retained r ON r.id = o.retained_id WHERE o.object_id = $1");
    Ok(reader.query(&sql, &[id.as_str().into()], from_row)?)
}

pub(crate) fn held_count(reader: &mut Reader<'_>, workspace: &str, now: Micros) -> Result<i64, Problem> {
    let sql = "SELECT COUNT(*) FROM retained WHERE workspace = $1 AND (legal_hold = 1 OR retain_until > $2)";
    Ok(reader.query_one(sql, &[workspace.into(), now.0.into()], |row| row.int(0))?.unwrap_or(0))
}
