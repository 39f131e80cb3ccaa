//! Rows of versions and their parts.

use kernel::{Kind, Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};
use vault::objects::{ObjectId, StoredObject};

use retention::store::lock_from;

use super::{OBJECT_COLUMNS, signed, unsigned};
use crate::lock::Lock;
use crate::names::behind;
use crate::types::{Attributes, Part, Tags, Version};

/// Objects, and parts of those that came in parts, below one address.
pub const OBJECTS_BELOW_COUNT_MAX: usize = 100_000;

pub(crate) const COLUMNS: &str =
    "id, object_key, rank, version_id, is_latest, is_marker, size_bytes, etag, attributes, tags, part_count,
     lock_mode, retain_until, legal_hold, created_at, created_by";

pub(crate) fn from_row(row: &Row<'_>) -> Result<Version, DbError> {
    Ok(Version {
        row: row.text(0)?,
        key: row.text(1)?,
        rank: row.int(2)?,
        version_id: row.text(3)?,
        is_latest: row.flag(4)?,
        is_marker: row.flag(5)?,
        size_bytes: unsigned(row, 6)?,
        etag: row.text(7)?,
        attributes: attributes_from(row, 8)?,
        tags: Tags::parse(&row.text(9)?).ok_or(DbError::Shape(9))?,
        part_count: row.int(10)?,
        lock: lock_from(row, 11)?,
        created_at: Micros(row.int(14)?),
        created_by: row.text(15)?,
    })
}

pub(crate) fn attributes_from(row: &Row<'_>, column: usize) -> Result<Attributes, DbError> {
    serde_json::from_str(&row.text(column)?).map_err(|_| DbError::Shape(column))
}

pub(crate) fn attributes_text(attributes: &Attributes) -> Result<String, Problem> {
    serde_json::to_string(attributes).map_err(|error| Problem::internal("an object's attributes could not be written", error))
}

/// The newest version of a key, a marker too.
pub(crate) fn latest(reader: &mut Reader<'_>, bucket_id: &str, key: &str) -> Result<Option<Version>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM bucket_version WHERE bucket_id = $1 AND object_key = $2 AND is_latest = 1");
    Ok(reader.query_one(&sql, &[bucket_id.into(), key.into()], from_row)?)
}

/// One version of a key.
pub(crate) fn get(reader: &mut Reader<'_>, bucket_id: &str, key: &str, version_id: &str) -> Result<Option<Version>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM bucket_version WHERE bucket_id = $1 AND object_key = $2 AND version_id = $3");
    Ok(reader.query_one(&sql, &[bucket_id.into(), key.into(), version_id.into()], from_row)?)
}

/// The rank of what is written now: before all that is there, of which the newest has the lowest.
pub(crate) fn next_rank(newest: Option<&Version>, at: Micros) -> i64 {
    let by_time = at.0.saturating_neg();
    newest.map_or(by_time, |newest| by_time.min(newest.rank.saturating_sub(1)))
}

/// Takes away that a key's version is its newest.
pub(crate) fn outdate(writer: &mut Writer<'_>, bucket_id: &str, key: &str) -> Result<(), Problem> {
    let sql = "UPDATE bucket_version SET is_latest = 0 WHERE bucket_id = $1 AND object_key = $2 AND is_latest = 1";
    writer.execute(sql, &[bucket_id.into(), key.into()])?;
    Ok(())
}

/// Makes the newest that is left of a key its latest.
pub(crate) fn promote(writer: &mut Writer<'_>, bucket_id: &str, key: &str) -> Result<(), Problem> {
    let sql = "UPDATE bucket_version SET is_latest = 1 WHERE bucket_id = $1 AND object_key = $2
               AND rank = (SELECT min(rank) FROM bucket_version WHERE bucket_id = $1 AND object_key = $2)";
    writer.execute(sql, &[bucket_id.into(), key.into()])?;
    Ok(())
}

/// Adds a version with its parts.
pub(crate) fn insert(
    writer: &mut Writer<'_>,
    bucket_id: &str,
    version: &Version,
    upload_id: Option<&str>,
    parts: &[Part],
) -> Result<(), Problem> {
    let (attributes, tags) = (attributes_text(&version.attributes)?, version.tags.to_text());
    let retention = version.lock.retention;
    writer.execute(
        "INSERT INTO bucket_version (id, bucket_id, object_key, rank, version_id, is_latest, is_marker, size_bytes, etag, attributes, tags,
             part_count, lock_mode, retain_until, legal_hold, upload_id, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)",
        &[
            (&version.row).into(),
            bucket_id.into(),
            (&version.key).into(),
            version.rank.into(),
            (&version.version_id).into(),
            version.is_latest.into(),
            version.is_marker.into(),
            signed(version.size_bytes)?.into(),
            (&version.etag).into(),
            (&attributes).into(),
            (&tags).into(),
            version.part_count.into(),
            retention.map(|retention| retention.mode.word()).into(),
            retention.map(|retention| retention.until.0).into(),
            version.lock.hold.into(),
            upload_id.into(),
            version.created_at.0.into(),
            (&version.created_by).into(),
        ],
    )?;
    let mut rows = Vec::with_capacity(parts.len());
    for part in parts {
        let mut row: Vec<Bind<'_>> = vec![(&version.row).into(), part.number.into()];
        row.extend(part.object.keep(writer)?);
        row.extend([Bind::from(&part.etag), Bind::from(&part.checksum)]);
        rows.push(row);
    }
    writer.execute_many(
        "INSERT INTO bucket_part (version_row, part_number, object_id, workspace, size_bytes, sha256, wrapped_key, key_version, etag, checksum)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        rows,
    )?;
    Ok(())
}

/// The parts of a version, in order.
pub(crate) fn parts(reader: &mut Reader<'_>, version: &Version) -> Result<Vec<Part>, Problem> {
    let sql = format!(
        "SELECT part_number, {OBJECT_COLUMNS}, etag, checksum FROM bucket_part WHERE version_row = $1 ORDER BY part_number"
    );
    Ok(reader.query(&sql, &[(&version.row).into()], |row| {
        Ok(Part {
            number: row.int(0)?,
            object: StoredObject::from_row(row, 1)?,
            etag: row.text(7)?,
            checksum: row.text(8)?,
            stored_at: version.created_at,
        })
    })?)
}

/// Whether a version may go, as part of something that is retained as a whole, such as a model whose files lie in the bucket.
pub(crate) fn guard(reader: &mut Reader<'_>, row: &str) -> Result<(), Problem> {
    let sql = "SELECT p.object_id FROM bucket_part p WHERE p.version_row = $1
               AND EXISTS (SELECT 1 FROM retained_object o WHERE o.object_id = p.object_id)";
    let ids = reader.query(sql, &[row.into()], |row| row.text(0))?;
    let ids = ids.iter().map(|id| ObjectId::parse(id)).collect::<Result<Vec<_>, _>>()?;
    retention::guard_objects(reader, &ids)
}

/// The objects of the newest versions at and below an address `s3://BUCKET/KEY`; none where the workspace has no such bucket.
///
/// # Errors
/// `TooLarge` for more than [`OBJECTS_BELOW_COUNT_MAX`]; of the database.
pub fn objects_below(reader: &mut Reader<'_>, workspace: &str, address: &str) -> Result<Vec<String>, Problem> {
    let Some((bucket, key)) = address.strip_prefix("s3://").and_then(|rest| rest.trim_end_matches('/').split_once('/')) else {
        return Ok(Vec::new());
    };
    let below = format!("{key}/");
    let end = behind(&below).unwrap_or_default();
    let sql =
        "SELECT p.object_id FROM bucket b JOIN bucket_version v ON v.bucket_id = b.id JOIN bucket_part p ON p.version_row = v.id
               WHERE b.name = $1 AND b.workspace = $2 AND v.is_latest = 1 AND v.is_marker = 0
               AND (v.object_key = $3 OR (v.object_key >= $4 AND v.object_key < $5)) LIMIT $6";
    let limit = i64::try_from(OBJECTS_BELOW_COUNT_MAX).unwrap_or(i64::MAX).saturating_add(1);
    let binds: [Bind<'_>; 6] = [bucket.into(), workspace.into(), key.into(), (&below).into(), (&end).into(), limit.into()];
    let found = reader.query(sql, &binds, |row| row.text(0))?;
    if found.len() > OBJECTS_BELOW_COUNT_MAX {
        let message = format!("there are more than {OBJECTS_BELOW_COUNT_MAX} objects below this address; name a narrower one");
        return Err(Problem::new(Kind::TooLarge, message));
    }
    Ok(found)
}

/// Takes a version away for good. Gives the objects that nothing names any more. What it may not be is found before.
pub(crate) fn delete(writer: &mut Writer<'_>, row: &str) -> Result<Vec<ObjectId>, Problem> {
    let ids =
        writer.query("DELETE FROM bucket_part WHERE version_row = $1 RETURNING object_id", &[row.into()], |row| row.text(0))?;
    writer.execute("DELETE FROM bucket_version WHERE id = $1", &[row.into()])?;
    ids.iter().map(|id| ObjectId::parse(id)).collect()
}

pub(crate) fn set_lock(writer: &mut Writer<'_>, row: &str, lock: Lock) -> Result<(), Problem> {
    let (mode, until) = (lock.retention.map(|one| one.mode.word()), lock.retention.map(|one| one.until.0));
    let sql = "UPDATE bucket_version SET lock_mode = $1, retain_until = $2, legal_hold = $3 WHERE id = $4";
    writer.execute(sql, &[mode.into(), until.into(), lock.hold.into(), row.into()])?;
    Ok(())
}

pub(crate) fn set_tags(writer: &mut Writer<'_>, row: &str, tags: &Tags) -> Result<(), Problem> {
    let text = tags.to_text();
    writer.execute("UPDATE bucket_version SET tags = $1 WHERE id = $2", &[(&text).into(), row.into()])?;
    Ok(())
}

/// The version that an upload became, if it did: a client whose answer was lost asks again.
pub(crate) fn of_upload(
    reader: &mut Reader<'_>,
    bucket_id: &str,
    key: &str,
    upload_id: &str,
) -> Result<Option<Version>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM bucket_version WHERE bucket_id = $1 AND object_key = $2 AND upload_id = $3");
    Ok(reader.query_one(&sql, &[bucket_id.into(), key.into(), upload_id.into()], from_row)?)
}

/// How many versions of a workspace are under a legal hold, and how many retained.
pub(crate) fn locked_counts(reader: &mut Reader<'_>, workspace: &str, now: Micros) -> Result<(i64, i64), Problem> {
    let sql = "SELECT COALESCE(sum(v.legal_hold), 0), COALESCE(sum(CASE WHEN v.retain_until > $2 THEN 1 ELSE 0 END), 0)
               FROM bucket b JOIN bucket_version v ON v.bucket_id = b.id
               WHERE b.workspace = $1 AND (v.retain_until IS NOT NULL OR v.legal_hold = 1)";
    let counts = reader.query_one(sql, &[workspace.into(), now.0.into()], |row| Ok((row.int(0)?, row.int(1)?)))?;
    Ok(counts.unwrap_or((0, 0)))
}

/// Why the objects of a workspace must be kept now; none if nothing in it is retained or held. By the compliance clock as it was last written
/// down, which is never ahead.
///
/// # Errors
/// Of the database.
pub fn retained(reader: &mut Reader<'_>, workspace: &str) -> Result<Option<String>, Problem> {
    let now = retention::store::now(reader)?;
    let (held, retained) = locked_counts(reader, workspace, now)?;
    Ok((held > 0 || retained > 0)
        .then(|| format!("{retained} versions of objects are retained and {held} are under a legal hold")))
}
