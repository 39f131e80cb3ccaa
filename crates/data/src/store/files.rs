//! The SQL of files and documents: rows that name objects.

use artifacts::ManifestEntry;
use kernel::{Kind, Problem};
use vault::db::{DbError, Reader, Writer};
use vault::objects::{ObjectId, StoredObject};

use super::{OBJECT_COLUMNS, digest, unsigned};
use crate::limits::{FILE_COUNT_MAX, VERSION_BYTES_MAX};
use crate::types::DocumentKind;

/// Puts a file into an open version, instead of the one that had its path. Gives the object that nothing names any more.
pub(crate) fn put(
    writer: &mut Writer<'_>,
    version_id: &str,
    path: &str,
    object: &StoredObject,
) -> Result<Option<ObjectId>, Problem> {
    let sql = "DELETE FROM data_file WHERE version_id = $1 AND path = $2 RETURNING object_id";
    let old = writer.query_one(sql, &[version_id.into(), path.into()], |row| row.text(0))?;
    let (count, bytes) = totals(writer, version_id)?;
    if count >= FILE_COUNT_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("a version has at most {FILE_COUNT_MAX} files; pack them")));
    }
    if bytes.saturating_add(object.size_bytes) > VERSION_BYTES_MAX {
        return Err(Problem::new(Kind::TooLarge, format!("a version has at most {VERSION_BYTES_MAX} bytes")));
    }
    let mut binds = vec![version_id.into(), path.into()];
    binds.extend(object.keep(writer)?);
    writer.execute(
        &format!("INSERT INTO data_file (version_id, path, {OBJECT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"),
        &binds,
    )?;
    old.map(|old| ObjectId::parse(&old)).transpose()
}

fn totals(reader: &mut Reader<'_>, version_id: &str) -> Result<(i64, u64), DbError> {
    // PostgreSQL's sum of BIGINT is a NUMERIC.
    let sql = "SELECT COUNT(*), CAST(COALESCE(SUM(size_bytes), 0) AS BIGINT) FROM data_file WHERE version_id = $1";
    let found = reader.query_one(sql, &[version_id.into()], |row| Ok((row.int(0)?, unsigned(row, 1)?)))?;
    Ok(found.unwrap_or_default())
}

pub(crate) fn manifest(reader: &mut Reader<'_>, version_id: &str) -> Result<Vec<ManifestEntry>, DbError> {
    let sql = "SELECT path, size_bytes, sha256 FROM data_file WHERE version_id = $1 ORDER BY path";
    reader.query(sql, &[version_id.into()], |row| {
        Ok(ManifestEntry { path: row.text(0)?, size_bytes: unsigned(row, 1)?, sha256: digest(row, 2)? })
    })
}

pub(crate) fn find(reader: &mut Reader<'_>, version_id: &str, path: &str) -> Result<Option<StoredObject>, DbError> {
    let sql = format!("SELECT {OBJECT_COLUMNS} FROM data_file WHERE version_id = $1 AND path = $2");
    reader.query_one(&sql, &[version_id.into(), path.into()], |row| StoredObject::from_row(row, 0))
}

/// All files of a version with their objects, in the manifest's order.
pub(crate) fn all(reader: &mut Reader<'_>, version_id: &str) -> Result<Vec<(String, StoredObject)>, DbError> {
    let sql = format!("SELECT path, {OBJECT_COLUMNS} FROM data_file WHERE version_id = $1 ORDER BY path");
    reader.query(&sql, &[version_id.into()], |row| Ok((row.text(0)?, StoredObject::from_row(row, 1)?)))
}

/// Whether a path stands where a folder of another one is, or the other way round: a client could not download both.
pub(crate) fn is_in_the_way(reader: &mut Reader<'_>, version_id: &str, path: &str) -> Result<bool, DbError> {
    let (start, end) = (format!("{path}/"), format!("{path}0"));
    let below = "SELECT 1 FROM data_file WHERE version_id = $1 AND path >= $2 AND path < $3 LIMIT 1";
    if reader.query_one(below, &[version_id.into(), (&start).into(), (&end).into()], |row| row.int(0))?.is_some() {
        return Ok(true);
    }
    for (at, _) in path.match_indices('/') {
        let folder = path.get(..at).unwrap_or_default();
        if find(reader, version_id, folder)?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Takes the files of an open version away. Gives their objects.
pub(crate) fn forget(writer: &mut Writer<'_>, version_id: &str) -> Result<Vec<ObjectId>, Problem> {
    let sql = "DELETE FROM data_file WHERE version_id = $1 RETURNING object_id";
    let ids = writer.query(sql, &[version_id.into()], |row| row.text(0))?;
    ids.iter().map(|id| ObjectId::parse(id)).collect()
}

/// Takes the documents of an open version away. Gives their objects.
pub(crate) fn forget_documents(writer: &mut Writer<'_>, version_id: &str) -> Result<Vec<ObjectId>, Problem> {
    let sql = "DELETE FROM data_document WHERE version_id = $1 RETURNING object_id";
    let ids = writer.query(sql, &[version_id.into()], |row| row.text(0))?;
    ids.iter().map(|id| ObjectId::parse(id)).collect()
}

/// Keeps a document of a version; one of an inspection carries that one's id.
pub(crate) fn put_document(
    writer: &mut Writer<'_>,
    version_id: &str,
    inspection_id: &str,
    kind: DocumentKind,
    object: &StoredObject,
) -> Result<(), Problem> {
    let mut binds = vec![version_id.into(), inspection_id.into(), kind.word().into()];
    binds.extend(object.keep(writer)?);
    writer.execute(
        &format!(
            "INSERT INTO data_document (version_id, inspection_id, kind, {OBJECT_COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)"
        ),
        &binds,
    )?;
    Ok(())
}

/// The contract, or a document of the last inspection that has one.
pub(crate) fn document(reader: &mut Reader<'_>, version_id: &str, kind: DocumentKind) -> Result<Option<StoredObject>, DbError> {
    let sql = "SELECT f.object_id, f.workspace, f.size_bytes, f.sha256, f.wrapped_key, f.key_version
               FROM data_document f LEFT JOIN data_inspection i ON i.inspection_id = f.inspection_id
               WHERE f.version_id = $1 AND f.kind = $2 ORDER BY COALESCE(i.ended_at, 0) DESC, f.inspection_id LIMIT 1";
    reader.query_one(sql, &[version_id.into(), kind.word().into()], |row| StoredObject::from_row(row, 0))
}
