//! What rows keep of objects: one set of columns for all tables that name some.

use kernel::Problem;

use super::{ObjectId, StoredObject, small};
use crate::db::{Bind, DbError, Row, Writer};
use crate::keys::ObjectKey;

/// The columns of [`StoredObject::from_row`] and [`StoredObject::keep`].
pub const OBJECT_COLUMNS: &str = "object_id, workspace, size_bytes, sha256, wrapped_key, key_version";

impl StoredObject {
    /// Reads [`OBJECT_COLUMNS`], from the column `first` on.
    ///
    /// # Errors
    /// [`DbError::Shape`] where they hold something else.
    pub fn from_row(row: &Row<'_>, first: usize) -> Result<Self, DbError> {
        Ok(Self {
            id: ObjectId::parse(&row.text(first)?).map_err(|_| DbError::Shape(first))?,
            workspace: row.text(first + 1)?,
            size_bytes: unsigned(row, first + 2)?,
            sha256: digest(row, first + 3)?,
            key: ObjectKey { wrapped: row.bytes(first + 4)?, version: row.int(first + 5)? },
            fresh: None,
        })
    }

    /// What a new row binds [`OBJECT_COLUMNS`] to. The bytes of a small object are kept by the same commit, so that there is no row without
    /// them.
    ///
    /// # Errors
    /// Of the database; `Invalid` for a size beyond what it can hold.
    pub fn keep(&self, writer: &mut Writer<'_>) -> Result<[Bind<'_>; 6], Problem> {
        if let Some(sealed) = &self.fresh {
            small::insert(writer, &self.id, sealed)?;
        }
        Ok([
            self.id.as_str().into(),
            self.workspace.as_str().into(),
            signed(self.size_bytes)?.into(),
            Bind::Bytes(&self.sha256),
            Bind::Bytes(&self.key.wrapped),
            self.key.version.into(),
        ])
    }
}

/// A column that holds a number of bytes.
///
/// # Errors
/// [`DbError::Shape`] where it holds a negative one.
pub fn unsigned(row: &Row<'_>, column: usize) -> Result<u64, DbError> {
    u64::try_from(row.int(column)?).map_err(|_| DbError::Shape(column))
}

/// A column that holds a SHA-256.
///
/// # Errors
/// [`DbError::Shape`] where it does not.
pub fn digest(row: &Row<'_>, column: usize) -> Result<[u8; 32], DbError> {
    row.bytes(column)?.try_into().map_err(|_| DbError::Shape(column))
}

/// A number of bytes for a column.
///
/// # Errors
/// `Invalid` beyond what it can hold.
pub fn signed(number: u64) -> Result<i64, Problem> {
    i64::try_from(number).map_err(|_| Problem::invalid("a size is beyond what the database can hold"))
}
