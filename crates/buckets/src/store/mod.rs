//! All SQL of buckets.

pub(crate) mod buckets;
pub(crate) mod listing;
pub(crate) mod uploads;
pub(crate) mod versions;

use kernel::Problem;
use vault::db::{Bind, DbError, Row};
use vault::keys::ObjectKey;
use vault::objects::{ObjectId, StoredObject};

/// The columns of [`object_from`].
pub(crate) const OBJECT_COLUMNS: &str = "object_id, workspace, size_bytes, sha256, wrapped_key, key_version";

/// The columns of [`OBJECT_COLUMNS`], from `first` on.
pub(crate) fn object_from(row: &Row<'_>, first: usize) -> Result<StoredObject, DbError> {
    let digest = row.bytes(first + 3)?.try_into().map_err(|_| DbError::Shape(first + 3))?;
    Ok(StoredObject {
        id: ObjectId::parse(&row.text(first)?).map_err(|_| DbError::Shape(first))?,
        workspace: row.text(first + 1)?,
        size_bytes: unsigned(row, first + 2)?,
        sha256: digest,
        key: ObjectKey { wrapped: row.bytes(first + 4)?, version: row.int(first + 5)? },
    })
}

pub(crate) fn object_binds(object: &StoredObject) -> Result<[Bind<'_>; 6], Problem> {
    Ok([
        object.id.as_str().into(),
        object.workspace.as_str().into(),
        signed(object.size_bytes)?.into(),
        Bind::Bytes(&object.sha256),
        Bind::Bytes(&object.key.wrapped),
        object.key.version.into(),
    ])
}

pub(crate) fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, DbError> {
    u64::try_from(row.int(column)?).map_err(|_| DbError::Shape(column))
}

pub(crate) fn signed(number: u64) -> Result<i64, Problem> {
    i64::try_from(number).map_err(|_| Problem::invalid("a size is beyond what the database can hold"))
}
