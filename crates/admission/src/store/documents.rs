//! The SQL of reports, pages and attestations.

use kernel::Problem;
use vault::db::{Bind, DbError, Reader, Row, Writer};
use vault::keys::ObjectKey;
use vault::objects::{ObjectId, StoredObject};

use crate::types::{DocumentKind, Subject};

fn object_from(row: &Row<'_>) -> Result<StoredObject, DbError> {
    Ok(StoredObject {
        id: ObjectId::parse(&row.text(0)?).map_err(|_| DbError::Shape(0))?,
        workspace: row.text(1)?,
        size_bytes: u64::try_from(row.int(2)?).map_err(|_| DbError::Shape(2))?,
        sha256: row.bytes(3)?.try_into().map_err(|_| DbError::Shape(3))?,
        key: ObjectKey { wrapped: row.bytes(4)?, version: row.int(5)? },
    })
}

/// Keeps a document of an inspection.
pub(crate) fn put(
    writer: &mut Writer<'_>,
    subject: &Subject,
    inspection_id: &str,
    kind: DocumentKind,
    object: &StoredObject,
) -> Result<(), Problem> {
    let size_bytes = i64::try_from(object.size_bytes)
        .map_err(|_| Problem::internal("a document is beyond what the database can hold", object.size_bytes.to_string()))?;
    writer.execute(
        "INSERT INTO model_document (model_id, version, inspection_id, kind, object_id, workspace, size_bytes, sha256, wrapped_key,
             key_version) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        &[
            (&subject.model_id).into(),
            subject.number.into(),
            inspection_id.into(),
            kind.word().into(),
            object.id.as_str().into(),
            (&object.workspace).into(),
            size_bytes.into(),
            Bind::Bytes(&object.sha256),
            Bind::Bytes(&object.key.wrapped),
            object.key.version.into(),
        ],
    )?;
    Ok(())
}

/// A document of the last inspection that has one.
pub(crate) fn last(reader: &mut Reader<'_>, subject: &Subject, kind: DocumentKind) -> Result<Option<StoredObject>, DbError> {
    let sql = "SELECT f.object_id, f.workspace, f.size_bytes, f.sha256, f.wrapped_key, f.key_version
               FROM model_document f JOIN model_inspection i ON i.inspection_id = f.inspection_id
               WHERE f.model_id = $1 AND f.version = $2 AND f.kind = $3 ORDER BY i.ended_at DESC, f.inspection_id LIMIT 1";
    reader.query_one(sql, &[(&subject.model_id).into(), subject.number.into(), kind.word().into()], object_from)
}
