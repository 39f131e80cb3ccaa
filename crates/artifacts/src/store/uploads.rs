//! The SQL of multipart uploads.

use kernel::{Kind, Micros, Problem};
use vault::db::{Reader, Writer};
use vault::objects::{OBJECT_COLUMNS, ObjectId, StoredObject};

use crate::config::UPLOAD_OPEN_COUNT_MAX;
use crate::{ArtifactPath, Owner};

/// A part as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadedPart {
    pub(crate) number: i64,
    pub(crate) object: StoredObject,
}

pub(crate) fn create(
    writer: &mut Writer<'_>,
    id: &str,
    owner: &Owner,
    path: &ArtifactPath,
    at: Micros,
    by: &str,
) -> Result<(), Problem> {
    let sql = "SELECT count(*) FROM artifact_upload WHERE owner_kind = $1 AND owner_id = $2";
    let open_count = writer.query_one(sql, &[owner.kind_word().into(), owner.id().into()], |row| row.int(0))?.unwrap_or(0);
    if open_count >= UPLOAD_OPEN_COUNT_MAX {
        let message = format!("there are {UPLOAD_OPEN_COUNT_MAX} open multipart uploads here already; complete or abort some");
        return Err(Problem::new(Kind::TooMany, message));
    }
    writer.execute(
        "INSERT INTO artifact_upload (id, owner_kind, owner_id, path, created_at, created_by) VALUES ($1, $2, $3, $4, $5, $6)",
        &[id.into(), owner.kind_word().into(), owner.id().into(), path.as_str().into(), at.0.into(), by.into()],
    )?;
    Ok(())
}

/// Whether there is such an upload, of this owner and for this path.
pub(crate) fn exists(reader: &mut Reader<'_>, id: &str, owner: &Owner, path: &ArtifactPath) -> Result<bool, Problem> {
    let sql = "SELECT 1 FROM artifact_upload WHERE id = $1 AND owner_kind = $2 AND owner_id = $3 AND path = $4";
    let binds = [id.into(), owner.kind_word().into(), owner.id().into(), path.as_str().into()];
    Ok(reader.query_one(sql, &binds, |row| row.int(0))?.is_some())
}

pub(crate) fn parts(reader: &mut Reader<'_>, id: &str) -> Result<Vec<UploadedPart>, Problem> {
    let sql = format!("SELECT part_number, {OBJECT_COLUMNS} FROM artifact_upload_part WHERE upload_id = $1 ORDER BY part_number");
    Ok(reader
        .query(&sql, &[id.into()], |row| Ok(UploadedPart { number: row.int(0)?, object: StoredObject::from_row(row, 1)? }))?)
}

/// Keeps a part, instead of the one that had its number. Gives the object that nothing names any more.
pub(crate) fn put_part(
    writer: &mut Writer<'_>,
    id: &str,
    number: i64,
    object: &StoredObject,
    at: Micros,
) -> Result<Option<ObjectId>, Problem> {
    let sql = "DELETE FROM artifact_upload_part WHERE upload_id = $1 AND part_number = $2 RETURNING object_id";
    let old = writer.query_one(sql, &[id.into(), number.into()], |row| row.text(0))?;
    let mut binds = vec![id.into(), number.into()];
    binds.extend(object.keep(writer)?);
    binds.push(at.0.into());
    writer.execute(
        "INSERT INTO artifact_upload_part
             (upload_id, part_number, object_id, workspace, size_bytes, sha256, wrapped_key, key_version, stored_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)",
        &binds,
    )?;
    old.map(|old| ObjectId::parse(&old)).transpose()
}

/// Forgets an upload. Gives the objects of its parts.
pub(crate) fn remove(writer: &mut Writer<'_>, id: &str) -> Result<Vec<ObjectId>, Problem> {
    let objects = parts(writer, id)?.into_iter().map(|part| part.object.id).collect();
    writer.execute("DELETE FROM artifact_upload_part WHERE upload_id = $1", &[id.into()])?;
    writer.execute("DELETE FROM artifact_upload WHERE id = $1", &[id.into()])?;
    Ok(objects)
}

/// Uploads that nobody went on with since `before`.
pub(crate) fn stale(reader: &mut Reader<'_>, before: Micros, count: i64) -> Result<Vec<String>, Problem> {
    let sql = "SELECT id FROM artifact_upload WHERE created_at < $1
               AND NOT EXISTS (SELECT 1 FROM artifact_upload_part WHERE upload_id = artifact_upload.id AND stored_at >= $1)
               ORDER BY id LIMIT $2";
    Ok(reader.query(sql, &[before.0.into(), count.into()], |row| row.text(0))?)
}

/// The next objects that a table names, by id.
pub(crate) fn objects_after(reader: &mut Reader<'_>, table: &str, after: &str, count: i64) -> Result<Vec<StoredObject>, Problem> {
    let sql = format!("SELECT {OBJECT_COLUMNS} FROM {table} WHERE object_id > $1 ORDER BY object_id LIMIT $2");
    Ok(reader.query(&sql, &[after.into(), count.into()], |row| StoredObject::from_row(row, 0))?)
}
