//! Small objects: one segment, sealed as a file's would be, kept in the database by the commit of the row that names it. A file of its own
//! would cost two flushes and a rename for each.
//!
//! INVARIANT: their bytes are there exactly as long as the row that names them, but for what a sweep finds. Held by
//! `objects::tests::small` and by triggers.

use bytes::Bytes;
use futures_util::{StreamExt, stream};
use gate::Permit;
use kernel::{Problem, Secret, Sha256Hasher};

use super::encoder::too_large;
use super::segments::{HEADER_BYTES, Layout, Segments, TAG_BYTES, damaged};
use super::write::Sealed;
use super::{Body, ObjectId, Objects};
use crate::db::{DbError, Reader, Writer};

/// The plain size up to which an object of a local store is kept in the database.
pub(super) const SMALL_BYTES_MAX: usize = 16 * 1024;
/// What one sweep takes away.
const SWEPT_COUNT_MAX: i64 = 10_000;

/// A body whose beginning was read.
pub(super) enum Begun {
    /// All of it: it is small.
    Small(Vec<Bytes>),
    /// All of it is still to come.
    Large(Body),
}

/// Reads `body` until it ends or is not small any more.
pub(super) async fn begin(mut body: Body, size_bytes_max: u64) -> Result<Begun, Problem> {
    let mut pieces = Vec::new();
    let mut size_bytes = 0_usize;
    while let Some(piece) = body.next().await {
        let piece = piece?;
        size_bytes = size_bytes.saturating_add(piece.len());
        if size_bytes as u64 > size_bytes_max {
            return Err(too_large(size_bytes_max));
        }
        pieces.push(piece);
        if size_bytes > SMALL_BYTES_MAX {
            return Ok(Begun::Large(Box::pin(stream::iter(pieces.into_iter().map(Ok)).chain(body))));
        }
    }
    Ok(Begun::Small(pieces))
}

/// Seals a small object: the bytes that its file would have.
pub(super) fn seal(data_key: &Secret, aad: &[u8], plain: &[Bytes]) -> Result<(Sealed, Bytes), Problem> {
    let (segments, header) = Segments::create(data_key, aad)?;
    let size_bytes: usize = plain.iter().map(Bytes::len).sum();
    let mut sealed = Vec::with_capacity(HEADER_BYTES + size_bytes + TAG_BYTES);
    sealed.extend_from_slice(&header);
    let mut hasher = Sha256Hasher::new();
    for piece in plain {
        hasher.update(piece);
        sealed.extend_from_slice(piece);
    }
    let tag = segments.seal(0, true, sealed.get_mut(HEADER_BYTES..).ok_or_else(damaged)?)?;
    sealed.extend_from_slice(&tag);
    Ok((Sealed { size_bytes: size_bytes as u64, sha256: hasher.finish() }, Bytes::from(sealed)))
}

/// Opens it again.
pub(super) fn open(data_key: &Secret, aad: &[u8], layout: Layout, sealed: &[u8]) -> Result<Bytes, Problem> {
    if sealed.len() as u64 != layout.stored_bytes {
        return Err(damaged());
    }
    let (header, body) = sealed.split_at_checked(HEADER_BYTES).ok_or_else(damaged)?;
    let mut plain = vec![0; body.len().checked_sub(TAG_BYTES).ok_or_else(damaged)?];
    Segments::open(data_key, aad, header)?.open_segment(0, true, body, &mut plain)?;
    Ok(Bytes::from(plain))
}

pub(super) fn insert(writer: &mut Writer<'_>, id: &ObjectId, sealed: &[u8]) -> Result<(), DbError> {
    let sql = "INSERT INTO small_object (object_id, sealed) VALUES ($1, $2)";
    writer.execute(sql, &[id.as_str().into(), crate::db::Bind::Bytes(sealed)]).map(drop)
}

pub(super) fn get(reader: &mut Reader<'_>, id: &ObjectId) -> Result<Option<Vec<u8>>, DbError> {
    reader.query_one("SELECT sealed FROM small_object WHERE object_id = $1", &[id.as_str().into()], |row| row.bytes(0))
}

/// Takes the bytes of objects away that no row names any more, in the commit that took the rows. Gives those that are no small ones.
pub(super) fn forget(writer: &mut Writer<'_>, ids: Vec<ObjectId>) -> Result<Vec<ObjectId>, DbError> {
    let mut others = Vec::new();
    for id in ids {
        if writer.execute("DELETE FROM small_object WHERE object_id = $1", &[id.as_str().into()])? == 0 {
            others.push(id);
        }
    }
    Ok(others)
}

/// Small objects that no row of these tables names: the first of them. None of them can be named again: bytes and row come in one commit.
///
/// # Errors
/// Of the database.
pub fn small_orphans(reader: &mut Reader<'_>, tables: &[&str]) -> Result<Vec<ObjectId>, Problem> {
    let named = tables.iter().map(|table| format!("AND NOT EXISTS (SELECT 1 FROM {table} n WHERE n.object_id = s.object_id)"));
    let sql = format!("SELECT s.object_id FROM small_object s WHERE 1 = 1 {} LIMIT $1", named.collect::<Vec<_>>().join(" "));
    let ids = reader.query(&sql, &[SWEPT_COUNT_MAX.into()], |row| row.text(0))?;
    ids.iter().map(|id| ObjectId::parse(id)).collect()
}

/// A condition: the object that a row of `table` names is stored outside the database.
#[must_use]
pub fn stored_outside(table: &str) -> String {
    format!("NOT EXISTS (SELECT 1 FROM small_object s WHERE s.object_id = {table}.object_id)")
}

impl Objects {
    /// The sealed bytes of a small object; none if it is stored outside the database.
    pub(super) async fn small<O: ?Sized>(&self, _permit: &Permit<O>, id: &ObjectId) -> Result<Option<Bytes>, Problem> {
        let wanted = id.clone();
        let found = self.keys.system().read_point(move |reader| Ok(get(reader, &wanted)?)).await?;
        Ok(found.map(Bytes::from))
    }
}
