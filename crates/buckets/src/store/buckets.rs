//! Rows of buckets.

use gate::{Facts, Scope};
use kernel::{Micros, Problem};
use vault::db::{DbError, Reader, Row, Writer};

use crate::lock::{DefaultRetention, Mode, Period};
use crate::types::{Bucket, Tags, Versioning};
use crate::{Home, no_bucket};

const COLUMNS: &str =
    "id, name, workspace, versioning, lock_enabled, default_mode, default_days, default_years, tags, created_at, created_by";

fn from_row(row: &Row<'_>) -> Result<Bucket, DbError> {
    let mode = row.opt_text(5)?.map(|word| Mode::parse(&word).ok_or(DbError::Shape(5))).transpose()?;
    let period = row.opt_int(6)?.map(Period::Days).or(row.opt_int(7)?.map(Period::Years));
    let default_retention = match (mode, period) {
        (None, None) => None,
        (Some(mode), Some(period)) => Some(DefaultRetention { mode, period }),
        // A rule that cannot be read is not the same as no rule.
        _ => return Err(DbError::Shape(5)),
    };
    Ok(Bucket {
        id: row.text(0)?,
        name: row.text(1)?,
        workspace: row.text(2)?,
        versioning: Versioning::parse(&row.text(3)?).ok_or(DbError::Shape(3))?,
        lock_enabled: row.flag(4)?,
        default_retention,
        tags: Tags::parse(&row.text(8)?).ok_or(DbError::Shape(8))?,
        created_at: Micros(row.int(9)?),
        created_by: row.text(10)?,
    })
}

pub(crate) fn by_name(reader: &mut Reader<'_>, name: &str) -> Result<Option<Bucket>, Problem> {
    Ok(reader.query_one(&format!("SELECT {COLUMNS} FROM bucket WHERE name = $1"), &[name.into()], from_row)?)
}

/// The bucket behind a permit. By its id and never by its name: another one may have got the name since, of another workspace.
pub(crate) fn of(reader: &mut Reader<'_>, home: &Home) -> Result<Bucket, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM bucket WHERE id = $1 AND workspace = $2");
    reader.query_one(&sql, &[(&home.id).into(), (&home.workspace).into()], from_row)?.ok_or_else(no_bucket)
}

/// What the gate must know of a bucket, in whatever workspace it is.
///
/// # Errors
/// Of the database.
pub fn locate(reader: &mut Reader<'_>, name: &str) -> Result<Option<Facts>, DbError> {
    let sql = "SELECT id, workspace, created_by FROM bucket WHERE name = $1";
    reader.query_one(sql, &[name.into()], |row| {
        let (id, workspace, owner) = (row.text(0)?, row.text(1)?, row.text(2)?);
        Ok(Facts { exists: true, id: Some(id), workspace: Some(workspace), owner: Some(owner), ..Facts::default() })
    })
}

/// Buckets of a workspace, by name.
pub(crate) fn list(
    reader: &mut Reader<'_>,
    workspace: &str,
    scope: &Scope,
    (prefix, after): (&str, &str),
    count: i64,
) -> Result<Vec<Bucket>, Problem> {
    if *scope != Scope::Workspace {
        return Ok(Vec::new());
    }
    let end = crate::names::behind(prefix).unwrap_or_default();
    let sql = format!(
        "SELECT {COLUMNS} FROM bucket WHERE workspace = $1 AND name > $2 AND name >= $3 AND ($4 = '' OR name < $4) ORDER BY name LIMIT $5"
    );
    Ok(reader.query(&sql, &[workspace.into(), after.into(), prefix.into(), (&end).into(), count.into()], from_row)?)
}

/// Adds a bucket; false if its name is taken.
pub(crate) fn insert(writer: &mut Writer<'_>, bucket: &Bucket) -> Result<bool, Problem> {
    let sql = "INSERT INTO bucket (id, name, workspace, versioning, lock_enabled, tags, created_at, created_by)
               VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING";
    let tags = bucket.tags.to_text();
    let added = writer.execute(
        sql,
        &[
            (&bucket.id).into(),
            (&bucket.name).into(),
            (&bucket.workspace).into(),
            bucket.versioning.word().into(),
            bucket.lock_enabled.into(),
            (&tags).into(),
            bucket.created_at.0.into(),
            (&bucket.created_by).into(),
        ],
    )?;
    Ok(added == 1)
}

/// Writes what of a bucket may change.
pub(crate) fn update(writer: &mut Writer<'_>, bucket: &Bucket) -> Result<(), Problem> {
    let (days, years) = match bucket.default_retention.map(|default| default.period) {
        Some(Period::Days(days)) => (Some(days), None),
        Some(Period::Years(years)) => (None, Some(years)),
        None => (None, None),
    };
    let mode = bucket.default_retention.map(|default| default.mode.word());
    let tags = bucket.tags.to_text();
    writer.execute(
        "UPDATE bucket SET versioning = $1, lock_enabled = $2, default_mode = $3, default_days = $4, default_years = $5, tags = $6 WHERE id = $7",
        &[
            bucket.versioning.word().into(),
            bucket.lock_enabled.into(),
            mode.into(),
            days.into(),
            years.into(),
            (&tags).into(),
            (&bucket.id).into(),
        ],
    )?;
    Ok(())
}

/// Whether a bucket holds anything: a version, a marker, an upload.
pub(crate) fn holds_anything(reader: &mut Reader<'_>, id: &str) -> Result<bool, Problem> {
    let sql = "SELECT 1 FROM bucket_version WHERE bucket_id = $1 LIMIT 1";
    Ok(reader.query_one(sql, &[id.into()], |row| row.int(0))?.is_some())
}

pub(crate) fn delete(writer: &mut Writer<'_>, id: &str) -> Result<(), Problem> {
    writer.execute("DELETE FROM bucket WHERE id = $1", &[id.into()])?;
    Ok(())
}
