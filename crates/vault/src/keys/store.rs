//! The table of wrapped keys.

use kernel::{Micros, Problem};

use crate::db::{Bind, Reader, Row, Writer};

/// What a wrapped key is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Purpose {
    /// It wraps the object keys of one workspace.
    Workspace,
    /// It is a secret of the server's own.
    Secret,
}

impl Purpose {
    pub(super) const fn word(self) -> &'static str {
        match self {
            Self::Workspace => "workspace",
            Self::Secret => "secret",
        }
    }
}

/// One row.
#[derive(Clone, Debug)]
pub(super) struct WrappedKey {
    pub(super) purpose: String,
    pub(super) name: String,
    pub(super) version: i64,
    pub(super) wrapped: Vec<u8>,
    pub(super) root_name: String,
    pub(super) root_version: i64,
    pub(super) created_at: Micros,
}

const COLUMNS: &str = "purpose, name, version, wrapped, root_name, root_version, created_at";

fn from_row(row: &Row<'_>) -> Result<WrappedKey, crate::db::DbError> {
    Ok(WrappedKey {
        purpose: row.text(0)?,
        name: row.text(1)?,
        version: row.int(2)?,
        wrapped: row.bytes(3)?,
        root_name: row.text(4)?,
        root_version: row.int(5)?,
        created_at: Micros(row.int(6)?),
    })
}

/// The newest version.
pub(super) fn newest(reader: &mut Reader<'_>, purpose: Purpose, name: &str) -> Result<Option<WrappedKey>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM vault_key WHERE purpose = $1 AND name = $2 ORDER BY version DESC LIMIT 1");
    Ok(reader.query_one(&sql, &[purpose.word().into(), name.into()], from_row)?)
}

/// One version.
pub(super) fn get(reader: &mut Reader<'_>, purpose: Purpose, name: &str, version: i64) -> Result<Option<WrappedKey>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM vault_key WHERE purpose = $1 AND name = $2 AND version = $3");
    Ok(reader.query_one(&sql, &[purpose.word().into(), name.into(), version.into()], from_row)?)
}

/// Every version of everything.
pub(super) fn all(reader: &mut Reader<'_>) -> Result<Vec<WrappedKey>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM vault_key ORDER BY purpose, name, version");
    Ok(reader.query(&sql, &[], from_row)?)
}

/// Any one row, to find out whether the root key fits.
pub(super) fn any(reader: &mut Reader<'_>) -> Result<Option<WrappedKey>, Problem> {
    let sql = format!("SELECT {COLUMNS} FROM vault_key ORDER BY purpose, name, version LIMIT 1");
    Ok(reader.query_one(&sql, &[], from_row)?)
}

/// Adds a version, unless somebody else did just now; gives whether it was added.
pub(super) fn insert(writer: &mut Writer<'_>, key: &WrappedKey) -> Result<bool, Problem> {
    let added = writer.execute(
        "INSERT INTO vault_key (purpose, name, version, wrapped, root_name, root_version, created_at)
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING",
        &[
            key.purpose.as_str().into(),
            key.name.as_str().into(),
            key.version.into(),
            Bind::Bytes(&key.wrapped),
            key.root_name.as_str().into(),
            key.root_version.into(),
            key.created_at.0.into(),
        ],
    )?;
    Ok(added == 1)
}

/// Replaces a wrapping, if it is still the one that was read.
pub(super) fn rewrap(writer: &mut Writer<'_>, old: &WrappedKey, new: &WrappedKey) -> Result<bool, Problem> {
    let changed = writer.execute(
        "UPDATE vault_key SET wrapped = $1, root_name = $2, root_version = $3
         WHERE purpose = $4 AND name = $5 AND version = $6 AND root_name = $7 AND root_version = $8",
        &[
            Bind::Bytes(&new.wrapped),
            new.root_name.as_str().into(),
            new.root_version.into(),
            old.purpose.as_str().into(),
            old.name.as_str().into(),
            old.version.into(),
            old.root_name.as_str().into(),
            old.root_version.into(),
        ],
    )?;
    Ok(changed == 1)
}
