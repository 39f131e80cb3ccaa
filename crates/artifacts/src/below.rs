//! All files at or below a place, with the way to their bytes, for rooms that inspect or sign what lies there.

use std::ops::Range;

use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use gate::Permit;
use kernel::{Kind, Problem};
use vault::db::Reader;
use vault::objects::{StoredObject, pieces_of};

use crate::{Artifacts, Manifest, ManifestEntry, Place, store};

/// Files of one place.
pub const FILES_BELOW_COUNT_MAX: usize = 10_000;

/// A file with the way to its bytes.
#[derive(Clone, Debug)]
pub struct StoredFile {
    /// Its path below the place, its size and its digest.
    pub entry: ManifestEntry,
    /// The objects that its bytes lie in, in order.
    parts: Vec<StoredObject>,
}

/// The files at and below `place`, by path. A place that is itself a file gives that file under its last name.
///
/// # Errors
/// `TooLarge` for more than [`FILES_BELOW_COUNT_MAX`], `Unavailable` or `Internal` of the database.
pub fn files_below(reader: &mut Reader<'_>, place: &Place) -> Result<Vec<StoredFile>, Problem> {
    let found = rows_below(reader, place)?.into_iter();
    found.map(|(id, entry)| Ok(StoredFile { parts: store::parts(reader, &id)?, entry })).collect()
}

/// The objects of the files at and below `place`.
///
/// # Errors
/// As [`files_below`].
pub fn objects_below(reader: &mut Reader<'_>, place: &Place) -> Result<Vec<String>, Problem> {
    let files = files_below(reader, place)?;
    Ok(files.iter().flat_map(|file| file.parts.iter().map(|part| part.id.as_str().to_owned())).collect())
}

/// The manifest of the files at and below `place`, as [`files_below`] gives them, in one statement.
///
/// # Errors
/// As [`files_below`].
pub fn manifest_below(reader: &mut Reader<'_>, place: &Place) -> Result<Manifest, Problem> {
    Ok(Manifest::of(rows_below(reader, place)?.into_iter().map(|(_, entry)| entry).collect()))
}

/// The files at and below `place`, with the ids of their rows.
fn rows_below(reader: &mut Reader<'_>, place: &Place) -> Result<Vec<(String, ManifestEntry)>, Problem> {
    let root = place.path.as_ref().map(|path| path.as_str().to_owned()).unwrap_or_default();
    let mut rows = store::files_below(reader, &place.owner, &root, FILES_BELOW_COUNT_MAX)?;
    if rows.len() > FILES_BELOW_COUNT_MAX {
        let message = format!("there are more than {FILES_BELOW_COUNT_MAX} files; pack them into fewer");
        return Err(Problem::new(Kind::TooLarge, message));
    }
    for (_, entry) in &mut rows {
        let below = entry.path.strip_prefix(&root).map(|rest| rest.trim_start_matches('/')).unwrap_or_default();
        let name = if below.is_empty() { root.rsplit('/').next().unwrap_or_default() } else { below };
        entry.path = name.to_owned();
    }
    Ok(rows)
}

impl Artifacts {
    /// Bytes of a file that [`files_below`] gave, checked.
    ///
    /// # Errors
    /// `Invalid` for bytes that the file does not have; what reading an object gives.
    pub async fn bytes_of<O: ?Sized>(&self, permit: &Permit<O>, file: &StoredFile, range: Range<u64>) -> Result<Bytes, Problem> {
        if range.start > range.end || range.end > file.entry.size_bytes {
            return Err(Problem::invalid("the file has no such bytes"));
        }
        let length = usize::try_from(range.end.saturating_sub(range.start)).map_err(|_| Problem::invalid("too many bytes"))?;
        let mut all = BytesMut::with_capacity(length);
        for (object, piece) in pieces_of(file.parts.clone(), &range) {
            let mut body = self.objects.open(permit, &object, piece).await?;
            while let Some(bytes) = body.next().await {
                all.extend_from_slice(&bytes?);
            }
        }
        Ok(all.freeze())
    }
}
