//! Storing: bytes are gathered while those before them are hashed, sealed and written, each on a thread of its own.

use std::sync::Arc;

use bytes::Bytes;
use futures_util::StreamExt;
use gate::Permit;
use kernel::{Problem, Secret, Sha256Hasher, random_bytes};

use super::encoder::{Encoder, Sink, too_large};
use super::local::LocalFile;
use super::pool::Buffer;
use super::remote::{Pending, RemoteUpload};
use super::small::Begun;
use super::step::Step;
use super::{Body, ObjectId, Objects, Store, StoredObject, WRITE_COUNT_MAX, aad, blocking, small, turn};
use crate::keys::KEY_BYTES;

/// How much is gathered before it is handed over, so that a hand-over costs little.
const BATCH_BYTES_MIN: usize = 128 * 1024;
/// How much may be gathered while the one before is still at work. What arrives holds up to twice as much memory: pieces of the buffers that
/// it was read into.
const BATCH_BYTES_MAX: usize = 512 * 1024;

/// Where sealed bytes go.
enum Target {
    Local(LocalFile),
    Remote(Pending),
}

impl Sink for Target {
    fn write_full(&mut self, buffer: Buffer) -> Result<(), Problem> {
        match self {
            Self::Local(file) => file.write_full(buffer),
            Self::Remote(pending) => pending.write_full(buffer),
        }
    }

    fn write_last(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        match self {
            Self::Local(file) => file.write_last(bytes),
            Self::Remote(pending) => pending.write_last(bytes),
        }
    }
}

/// What was stored.
pub(super) struct Sealed {
    pub(super) size_bytes: u64,
    pub(super) sha256: [u8; 32],
}

/// What goes to the sealing worker and comes back.
struct Work {
    encoder: Encoder,
    target: Target,
}

impl Work {
    fn take(mut self, batch: &[Bytes]) -> Result<Self, Problem> {
        for bytes in batch {
            self.encoder.push(bytes, &mut self.target)?;
        }
        Ok(self)
    }

    fn finish(self, hasher: Sha256Hasher, batch: &[Bytes]) -> Result<(Sealed, Option<Pending>), Problem> {
        let sha256 = hashed(hasher, batch)?.finish();
        let Self { encoder, mut target } = self.take(batch)?;
        let sealed = Sealed { size_bytes: encoder.finish(&mut target)?, sha256 };
        match target {
            Target::Local(file) => {
                file.keep()?;
                Ok((sealed, None))
            }
            Target::Remote(pending) => Ok((sealed, Some(pending))),
        }
    }
}

/// Hashing goes on beside sealing: of all that is done to a byte it takes the longest, and cannot be split.
fn hashed(mut hasher: Sha256Hasher, batch: &[Bytes]) -> Result<Sha256Hasher, Problem> {
    batch.iter().for_each(|bytes| hasher.update(bytes));
    Ok(hasher)
}

impl Objects {
    /// Stores what `body` brings, if it is at most `size_bytes_max`. When this answers, it is on disk, or goes there with its row
    /// ([`StoredObject::keep`]) if it is small. The row that makes it known is the caller's; without one it is an orphan, which the next
    /// sweep takes away.
    ///
    /// # Errors
    /// `TooLarge` past the limit; the body's own problem; `Unavailable` if the disk is full or fails. Then nothing is kept.
    pub async fn put<O: ?Sized>(
        &self,
        _permit: &Permit<O>,
        workspace: &str,
        body: Body,
        size_bytes_max: u64,
    ) -> Result<StoredObject, Problem> {
        self.put_as(workspace, body, size_bytes_max, self.keeps_small).await
    }

    /// As [`Objects::put`], but whatever its size it is on disk when this answers: for who stores many before a row names them.
    ///
    /// # Errors
    /// As [`Objects::put`].
    pub async fn put_apart<O: ?Sized>(
        &self,
        _permit: &Permit<O>,
        workspace: &str,
        body: Body,
        size_bytes_max: u64,
    ) -> Result<StoredObject, Problem> {
        self.put_as(workspace, body, size_bytes_max, false).await
    }

    async fn put_as(&self, workspace: &str, body: Body, size_bytes_max: u64, keeps_small: bool) -> Result<StoredObject, Problem> {
        let _turn = turn(&self.writes, WRITE_COUNT_MAX, "written").await?;
        let data_key = Secret::new(random_bytes::<KEY_BYTES>().to_vec());
        // A key service that is down is found out before the bytes are taken.
        self.keys.workspace(workspace).await?;
        let begun = if keeps_small { small::begin(body, size_bytes_max).await? } else { Begun::Large(body) };
        let id = if matches!(begun, Begun::Small(_)) { ObjectId::of_row(self.keys.now()) } else { ObjectId::random() };
        let bound_to = aad(workspace, &id);
        let (sealed, fresh) = match begun {
            Begun::Small(plain) => small::seal(&data_key, &bound_to, &plain).map(|(sealed, bytes)| (sealed, Some(bytes)))?,
            Begun::Large(body) => {
                let encoder = Encoder::new(&self.pool, &data_key, &bound_to, size_bytes_max)?;
                (self.put_large(&id, encoder, body, size_bytes_max).await?, None)
            }
        };
        let place = StoredObject::place(&id, sealed.size_bytes, &sealed.sha256);
        let key = self.keys.wrap_object_key(workspace, &place, &data_key).await?;
        let workspace = workspace.to_owned();
        Ok(StoredObject { id, workspace, size_bytes: sealed.size_bytes, sha256: sealed.sha256, key, fresh })
    }

    /// Stores it where objects are.
    async fn put_large(&self, id: &ObjectId, encoder: Encoder, body: Body, size_bytes_max: u64) -> Result<Sealed, Problem> {
        match &self.store {
            Store::Local(store) => {
                let (store, name) = (store.clone(), id.clone());
                let work = blocking(move || Ok(Work { encoder, target: Target::Local(store.create(&name)?) })).await?;
                let (sealed, _) = pump(body, work, None, size_bytes_max).await?;
                Ok(sealed)
            }
            Store::Remote(store) => {
                let mut upload = store.create(id);
                let work = Work { encoder, target: Target::Remote(Pending::default()) };
                let done = remote_put(body, work, &mut upload, size_bytes_max).await;
                if done.is_err() {
                    upload.give_up().await;
                }
                done
            }
        }
    }
}

async fn remote_put(body: Body, work: Work, upload: &mut RemoteUpload, size_bytes_max: u64) -> Result<Sealed, Problem> {
    let (sealed, rest) = pump(body, work, Some(upload), size_bytes_max).await?;
    upload.keep(rest.unwrap_or_default()).await?;
    Ok(sealed)
}

/// Moves the body to the steps. They hold no thread while a slow client is waited for.
async fn pump(
    mut body: Body,
    work: Work,
    mut upload: Option<&mut RemoteUpload>,
    size_bytes_max: u64,
) -> Result<(Sealed, Option<Pending>), Problem> {
    let (hashing, sealing) = (Step::new(Sha256Hasher::new(), hashed), Step::new(work, Work::take));
    let mut batch = Vec::new();
    let mut batch_bytes = 0_usize;
    let mut seen_bytes = 0_u64;
    while let Some(bytes) = body.next().await {
        let bytes = bytes?;
        seen_bytes = seen_bytes.saturating_add(bytes.len() as u64);
        if seen_bytes > size_bytes_max {
            return Err(too_large(size_bytes_max));
        }
        batch_bytes = batch_bytes.saturating_add(bytes.len());
        batch.push(bytes);
        let has_room = batch_bytes >= BATCH_BYTES_MIN && hashing.has_room() && sealing.has_room();
        if batch_bytes >= BATCH_BYTES_MAX || has_room {
            if let Some(upload) = upload.as_deref_mut() {
                let mut work = sealing.rest().await?;
                if let Target::Remote(pending) = &mut work.target {
                    upload.send_full_parts(pending).await?;
                }
                sealing.put_back(work);
            }
            let full = Arc::new(std::mem::take(&mut batch));
            batch_bytes = 0;
            hashing.hand(&full).await?;
            sealing.hand(&full).await?;
        }
    }
    let (work, hasher) = (sealing.rest().await?, hashing.rest().await?);
    blocking(move || work.finish(hasher, &batch)).await
}
