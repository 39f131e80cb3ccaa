//! The SQL of reports, pages and attestations.

use kernel::Problem;
use vault::db::{Bind, DbError, Reader, Writer};
use vault::objects::{OBJECT_COLUMNS, StoredObject};

use crate::types::{DocumentKind, Subject};

/// Keeps a document of an inspection.
pub(crate) fn put(
    writer: &mut Writer<'_>,
    subject: &Subject,
    inspection_id: &str,
    kind: DocumentKind,
    object: &StoredObject,
) -> Result<(), Problem> {
    let mut binds: Vec<Bind<'_>> =
        vec![(&subject.model_id).into(), subject.number.into(), inspection_id.into(), kind.word().into()];
    binds.extend(object.keep(writer)?);
    writer.execute(
        &format!(
            "INSERT INTO model_document (model_id, version, inspection_id, kind, {OBJECT_COLUMNS})
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)"
        ),
        &binds,
    )?;
    Ok(())
}

/// A document of the last inspection that has one.
pub(crate) fn last(reader: &mut Reader<'_>, subject: &Subject, kind: DocumentKind) -> Result<Option<StoredObject>, DbError> {
    let sql = "SELECT f.object_id, f.workspace, f.size_bytes, f.sha256, f.wrapped_key, f.key_version
               FROM model_document f JOIN model_inspection i ON i.inspection_id = f.inspection_id
               WHERE f.model_id = $1 AND f.version = $2 AND f.kind = $3 ORDER BY i.ended_at DESC, f.inspection_id LIMIT 1";
    reader.query_one(sql, &[(&subject.model_id).into(), subject.number.into(), kind.word().into()], |row| {
        StoredObject::from_row(row, 0)
    })
}
