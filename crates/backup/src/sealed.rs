//! Sealed blobs: written and read under the backup key, each bound to its own random name.

use futures_util::StreamExt;
use kernel::{Problem, Secret, Sha256Hasher, random_id};
use vault::objects::{Stored as Pieces, StreamOpener, StreamSealer};

use crate::error::BackupError;
use crate::inventory::Blob;
use crate::target::{Stored, Target};

/// Where a blob lies.
pub(crate) fn blob_name(id: &str) -> String {
    format!("blobs/{}/{id}", id.get(..2).unwrap_or("00"))
}

/// Where an object lies.
pub(crate) fn object_name(id: &str) -> String {
    format!("objects/{}/{id}", id.get(..2).unwrap_or("00"))
}

fn place(id: &str) -> Vec<u8> {
    format!("strongroom/backup/1/{id}").into_bytes()
}

/// Seals a stream into a new blob. Gives it, and its plain length.
pub(crate) async fn write(target: &Target, key: &Secret, mut plain: Pieces) -> Result<(Blob, u64), Problem> {
    let id = random_id();
    let mut sealer = StreamSealer::new(key, &place(&id))?;
    let mut writing = target.write(&blob_name(&id));
    let mut length_bytes = 0_u64;
    while let Some(piece) = plain.next().await {
        let piece = piece?;
        length_bytes = length_bytes.saturating_add(piece.len() as u64);
        // Encrypting a MiB takes a tenth of a millisecond: not worth a thread's hop.
        let ready = sealer.push(&piece)?;
        if !ready.is_empty() {
            writing.push(&ready).await?;
        }
    }
    writing.push(&sealer.finish()?).await?;
    Ok((Blob { id, stored: writing.finish().await? }, length_bytes))
}

/// Bytes in memory as a stream.
pub(crate) fn bytes_stream(bytes: Vec<u8>) -> Pieces {
    futures_util::stream::once(async move { Ok(bytes::Bytes::from(bytes)) }).boxed()
}

/// Reads a blob: it must be what `blob` says of it, and open. Each plain piece goes to `each`. `what` names it in errors.
///
/// # Errors
/// `Missing`, `Damaged` or `Sealed`; and what `each` gives.
pub(crate) async fn read(
    target: &Target,
    key: &Secret,
    blob: &Blob,
    what: &str,
    mut each: impl FnMut(&[u8]) -> Result<(), Problem>,
) -> Result<(), BackupError> {
    let found = target.read(&blob_name(&blob.id)).await?;
    let mut pieces = found.ok_or_else(|| BackupError::Missing(what.to_owned()))?;
    let mut opener = Some(StreamOpener::new(key, &place(&blob.id)));
    let (mut hasher, mut size_bytes) = (Sha256Hasher::new(), 0_u64);
    while let Some(piece) = pieces.next().await {
        let piece = piece?;
        hasher.update(&piece);
        size_bytes = size_bytes.saturating_add(piece.len() as u64);
        // What does not open is read on, so that the digest tells which of the two it was.
        match opener.as_mut().map(|opener| opener.push(&piece)) {
            Some(Ok(plain)) => each(&plain)?,
            Some(Err(_)) => opener = None,
            None => {}
        }
    }
    if (Stored { size_bytes, sha256: hasher.finish() }) != blob.stored {
        return Err(BackupError::Damaged(what.to_owned()));
    }
    let last = opener.and_then(|opener| opener.finish().ok());
    each(&last.ok_or_else(|| BackupError::Sealed(what.to_owned()))?)?;
    Ok(())
}
