//! All SQL of this room. Writes run inside `Db::write`, which takes the verb's permit and commits the change together with its
//! record; an inspection's progress alone is book-keeping of the server's own.

pub(crate) mod documents;
pub(crate) mod gates;
pub(crate) mod inspections;
pub(crate) mod record;
pub(crate) mod signers;
pub(crate) mod standings;

use vault::db::{DbError, Row};

pub(crate) fn opt_digest(row: &Row<'_>, column: usize) -> Result<Option<[u8; 32]>, DbError> {
    let bytes = row.opt_bytes(column)?;
    bytes.map(|bytes| bytes.try_into().map_err(|_| DbError::Shape(column))).transpose()
}
