//! The SQL of the register of trusted sources.

use kernel::{Kind, Micros, Problem};
use vault::db::{Bind, DbError, Reader, Row, Writer};

use super::opt_digest;
use crate::limits::SOURCE_COUNT_MAX;
use crate::types::{SourceKey, TrustedSource};

const COLUMNS: &str = "source_id, name, pattern, digest, public_key, data_owner, licence, purposes, added_at, added_by";

fn source_from(row: &Row<'_>) -> Result<TrustedSource, DbError> {
    let key = match (opt_digest(row, 3)?, opt_digest(row, 4)?) {
        (None, None) => SourceKey::Address,
        (Some(digest), None) => SourceKey::Digest(digest),
        (None, Some(key)) => SourceKey::PublicKey(key),
        (Some(_), Some(_)) => return Err(DbError::Shape(4)),
    };
    Ok(TrustedSource {
        id: row.text(0)?,
        name: row.text(1)?,
        pattern: row.text(2)?,
        key,
        data_owner: row.text(5)?,
        licence: row.text(6)?,
        purposes: row.text(7)?.split('\n').filter(|purpose| !purpose.is_empty()).map(str::to_owned).collect(),
        added_at: Micros(row.int(8)?),
        added_by: row.text(9)?,
    })
}

pub(crate) fn list(reader: &mut Reader<'_>, workspace: &str) -> Result<Vec<TrustedSource>, DbError> {
    let sql = format!("SELECT {COLUMNS} FROM trusted_source WHERE workspace = $1 ORDER BY name");
    reader.query(&sql, &[workspace.into()], source_from)
}

pub(crate) fn add(writer: &mut Writer<'_>, workspace: &str, source: &TrustedSource) -> Result<(), Problem> {
    let sql = "SELECT COUNT(*) FROM trusted_source WHERE workspace = $1";
    if writer.query_one(sql, &[workspace.into()], |row| row.int(0))?.unwrap_or_default() >= SOURCE_COUNT_MAX {
        return Err(Problem::new(Kind::TooMany, format!("a workspace has at most {SOURCE_COUNT_MAX} trusted sources")));
    }
    let (digest, public_key) = match &source.key {
        SourceKey::Address => (Bind::Null, Bind::Null),
        SourceKey::Digest(digest) => (Bind::Bytes(digest), Bind::Null),
        SourceKey::PublicKey(key) => (Bind::Null, Bind::Bytes(key)),
    };
    writer.execute(
        &format!("INSERT INTO trusted_source (workspace, {COLUMNS}) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)"),
        &[
            workspace.into(),
            (&source.id).into(),
            (&source.name).into(),
            (&source.pattern).into(),
            digest,
            public_key,
            (&source.data_owner).into(),
            (&source.licence).into(),
            (&source.purposes.join("\n")).into(),
            source.added_at.0.into(),
            (&source.added_by).into(),
        ],
    )?;
    Ok(())
}

/// Takes a source off the register, by name. Gives its id.
pub(crate) fn remove(writer: &mut Writer<'_>, workspace: &str, name: &str) -> Result<Option<String>, DbError> {
    let sql = "DELETE FROM trusted_source WHERE workspace = $1 AND name = $2 RETURNING source_id";
    writer.query_one(sql, &[workspace.into(), name.into()], |row| row.text(0))
}
