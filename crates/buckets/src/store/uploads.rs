//! Rows of multipart uploads.

use kernel::{Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};
use vault::objects::{ObjectId, StoredObject};

use retention::store::lock_from;

use super::OBJECT_COLUMNS;
use super::versions::{attributes_from, attributes_text};
use crate::lock::Lock;
use crate::names::behind;
use crate::types::{Attributes, Part, Tags};

/// An upload that has begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upload {
    /// Its id.
    pub id: String,
    /// The key of the object to be.
    pub key: String,
    /// What its client said of it.
    pub attributes: Attributes,
    /// Its tags.
    pub tags: Tags,
    /// What it shall be locked with.
    pub lock: Lock,
    /// When it began.
    pub created_at: Micros,
    /// Who began it.
    pub created_by: String,
}

const COLUMNS: &str = "id, object_key, attributes, tags, lock_mode, retain_until, legal_hold, created_at, created_by";

fn from_row(row: &Row<'_>) -> Result<Upload, DbError> {
    Ok(Upload {
        id: row.text(0)?,
        key: row.text(1)?,
        attributes: attributes_from(row, 2)?,
        tags: Tags::parse(&row.text(3)?).ok_or(DbError::Shape(3))?,
        lock: lock_from(row, 4)?,
        created_at: Micros(row.int(7)?),
        created_by: row.text(8)?,
    })
}

pub(crate) fn insert(writer: &mut Writer<'_>, bucket_id: &str, upload: &Upload) -> Result<(), Problem> {
    let (attributes, tags) = (attributes_text(&upload.attributes)?, upload.tags.to_text());
    let retention = upload.lock.retention;
    writer.execute(
        "INSERT INTO bucket_upload (id, bucket_id, object_key, attributes, tags, lock_mode, retain_until, legal_hold, created_at, created_by)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&upload.id).into(),
            bucket_id.into(),
            (&upload.key).into(),
            (&attributes).into(),
            (&tags).into(),
            retention.map(|retention| retention.mode.word()).into(),
            retention.map(|retention| retention.until.0).into(),
            upload.lock.hold.into(),
            upload.created_at.0.into(),
            (&upload.created_by).into(),
        ],
    )?;
    Ok(())
}

pub(crate) fn get(reader: &mut Reader<'_>, bucket_id: &str, key: &str, id: &str) -> Result<Option<Upload>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM bucket_upload WHERE id = $1 AND bucket_id = $2 AND object_key = $3");
    Ok(reader.query_one(&sql, &[id.into(), bucket_id.into(), key.into()], from_row)?)
}

/// Uploads by key, then by when they began.
pub(crate) fn list(
    reader: &mut Reader<'_>,
    bucket_id: &str,
    prefix: &str,
    (key, id): (&str, &str),
    count: i64,
) -> Result<Vec<Upload>, Problem> {
    let end = behind(prefix).unwrap_or_default();
    let sql = format!(
        "SELECT {COLUMNS} FROM bucket_upload WHERE bucket_id = $1 AND object_key >= $2 AND ($3 = '' OR object_key < $3)
         AND (object_key > $4 OR (object_key = $4 AND $5 <> '' AND id > $5)) ORDER BY object_key, id LIMIT $6"
    );
    let binds: [Bind<'_>; 6] = [bucket_id.into(), prefix.into(), (&end).into(), key.into(), id.into(), count.into()];
    Ok(reader.query(&sql, &binds, from_row)?)
}

/// The parts that are stored, from behind `after` on.
pub(crate) fn parts(reader: &mut Reader<'_>, id: &str, after: i64, count: i64) -> Result<Vec<Part>, Problem> {
    let sql = format!(
        "SELECT part_number, {OBJECT_COLUMNS}, etag, checksum, stored_at FROM bucket_upload_part
         WHERE upload_id = $1 AND part_number > $2 ORDER BY part_number LIMIT $3"
    );
    Ok(reader.query(&sql, &[id.into(), after.into(), count.into()], |row| {
        Ok(Part {
            number: row.int(0)?,
            object: StoredObject::from_row(row, 1)?,
            etag: row.text(7)?,
            checksum: row.text(8)?,
            stored_at: Micros(row.int(9)?),
        })
    })?)
}

/// Keeps a part instead of the one that had its number. Gives that one's object.
pub(crate) fn put_part(writer: &mut Writer<'_>, id: &str, part: &Part) -> Result<Option<ObjectId>, Problem> {
    let sql = "DELETE FROM bucket_upload_part WHERE upload_id = $1 AND part_number = $2 RETURNING object_id";
    let old = writer.query_one(sql, &[id.into(), part.number.into()], |row| row.text(0))?;
    let mut binds: Vec<Bind<'_>> = vec![id.into(), part.number.into()];
    binds.extend(part.object.keep(writer)?);
    binds.extend([Bind::from(&part.etag), Bind::from(&part.checksum), part.stored_at.0.into()]);
    writer.execute(
        "INSERT INTO bucket_upload_part (upload_id, part_number, object_id, workspace, size_bytes, sha256, wrapped_key, key_version, etag,
             checksum, stored_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
        &binds,
    )?;
    old.map(|id| ObjectId::parse(&id)).transpose()
}

/// Forgets an upload. Gives the objects of the parts that were left.
pub(crate) fn delete(writer: &mut Writer<'_>, id: &str) -> Result<Vec<ObjectId>, Problem> {
    let sql = "DELETE FROM bucket_upload_part WHERE upload_id = $1 RETURNING object_id";
    let ids = writer.query(sql, &[id.into()], |row| row.text(0))?;
    writer.execute("DELETE FROM bucket_upload WHERE id = $1", &[id.into()])?;
    ids.iter().map(|id| ObjectId::parse(id)).collect()
}

/// Forgets all uploads of a bucket that goes itself.
pub(crate) fn delete_all(writer: &mut Writer<'_>, bucket_id: &str) -> Result<Vec<ObjectId>, Problem> {
    let ids = writer.query("SELECT id FROM bucket_upload WHERE bucket_id = $1", &[bucket_id.into()], |row| row.text(0))?;
    let mut objects = Vec::new();
    for id in ids {
        objects.extend(delete(writer, &id)?);
    }
    Ok(objects)
}
