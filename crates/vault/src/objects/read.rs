//! Reading: from any offset, a buffer at a time, the next one read while this one is sent.

use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use gate::Permit;
use kernel::{Problem, Sha256Hasher};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::decoder::Decoder;
use super::direct::Reading;
use super::pool::Pool;
use super::segments::{HEADER_BYTES, Layout, TAG_BYTES, damaged};
use super::small::SMALL_BYTES_MAX;
use super::{Body, Objects, READ_COUNT_MAX, Store, StoredObject, aad, blocking, joined, small, turn};

/// A local object being read.
struct LocalRead {
    reading: Arc<Reading>,
    decoder: Decoder,
    pool: Pool,
}

impl LocalRead {
    /// The next plain bytes, or none at the end.
    fn next(mut self) -> Result<(Self, Option<Bytes>), Problem> {
        let Some(step) = self.decoder.next_step() else {
            return Ok((self, None));
        };
        let stored = self.reading.read(&self.pool, &step.stored)?;
        let plain = self.decoder.take(&step, stored.bytes()?)?;
        Ok((self, Some(plain)))
    }
}

type LocalNext = JoinHandle<Result<(LocalRead, Option<Bytes>), Problem>>;

impl Objects {
    /// The plain bytes of `range`, which must lie within the object. The first of them were read and checked when this
    /// answers, so that a damaged object is refused before an answer begins.
    ///
    /// # Errors
    /// `Internal` for a missing, cut or changed object or row; `Invalid` for a range outside; `Unavailable` if the store is
    /// down. The stream gives the same and then ends.
    pub async fn open<O: ?Sized>(&self, permit: &Permit<O>, object: &StoredObject, range: Range<u64>) -> Result<Body, Problem> {
        if range.start > range.end || range.end > object.size_bytes {
            return Err(Problem::invalid(format!("the range lies outside the object's {} bytes", object.size_bytes)));
        }
        let turn = turn(&self.reads, READ_COUNT_MAX, "read").await?;
        let data_key = self.data_key(object).await?;
        let layout = Layout::of(object.size_bytes);
        let aad = aad(&object.workspace, &object.id);
        let small = match &object.fresh {
            None if object.size_bytes <= SMALL_BYTES_MAX as u64 => self.small(permit, &object.id).await?,
            fresh => fresh.clone(),
        };
        if let Some(sealed) = small {
            let plain = small::open(&data_key, &aad, layout, &sealed)?;
            let wanted = plain.slice(to_usize(range.start)?..to_usize(range.end)?);
            return Ok(Box::pin(stream::iter((!wanted.is_empty()).then_some(Ok(wanted)))));
        }
        match &self.store {
            Store::Local(store) => {
                let (store, id, pool) = (store.clone(), object.id.clone(), self.pool.clone());
                let begin = move || {
                    let reading = store.read(&id, layout.stored_bytes)?;
                    let decoder = Decoder::new(&pool, &data_key, &aad, &reading.header()?, layout, range)?;
                    check_local_empty(&reading, &pool, &decoder, layout)?;
                    LocalRead { reading: Arc::new(reading), decoder, pool }.next()
                };
                let (read, first) = blocking(begin).await?;
                Ok(local_stream(turn, read, first))
            }
            Store::Remote(store) => {
                if range.is_empty() && layout.plain_bytes > 0 {
                    return Ok(Box::pin(stream::empty()));
                }
                // The header is read with the first segment where that is wanted; a range further in costs one more request.
                let mut span = layout.stored_span(&range);
                let further_in = span.start > HEADER_BYTES as u64;
                let mut header = None;
                if further_in {
                    header = Some(store.read_range(&object.id, 0..HEADER_BYTES as u64).await?);
                } else {
                    span.start = 0;
                }
                let stored = store.read(&object.id, layout.stored_bytes, span).await?;
                let mut arriving = Arriving { stored, held: BytesMut::new() };
                let header = match header {
                    Some(header) => header,
                    None => arriving.gather(HEADER_BYTES).await?.freeze(),
                };
                let decoder = Decoder::new(&self.pool, &data_key, &aad, &header, layout, range)?;
                remote_stream(turn, decoder, layout, arriving).await
            }
        }
    }

    /// Reads the whole object and checks every segment, its size and its SHA-256.
    ///
    /// # Errors
    /// As [`Objects::open`].
    pub async fn verify<O: ?Sized>(&self, permit: &Permit<O>, object: &StoredObject) -> Result<(), Problem> {
        let mut body = self.open(permit, object, 0..object.size_bytes).await?;
        let mut hasher = Sha256Hasher::new();
        let mut size_bytes = 0_u64;
        while let Some(bytes) = body.next().await {
            let bytes = bytes?;
            size_bytes += bytes.len() as u64;
            hasher = blocking(move || {
                hasher.update(&bytes);
                Ok(hasher)
            })
            .await?;
        }
        if size_bytes != object.size_bytes || hasher.finish() != object.sha256 {
            return Err(damaged());
        }
        Ok(())
    }
}

fn to_usize(place: u64) -> Result<usize, Problem> {
    usize::try_from(place).map_err(|_| damaged())
}

fn check_local_empty(reading: &Reading, pool: &Pool, decoder: &Decoder, layout: Layout) -> Result<(), Problem> {
    if layout.plain_bytes > 0 {
        return Ok(());
    }
    decoder.check_empty(reading.read(pool, &layout.stored_range(0))?.bytes()?)
}

/// One buffer ahead: while a client takes one, the disk reads the next. A client that stands still holds no thread.
fn local_stream(turn: OwnedSemaphorePermit, read: LocalRead, first: Option<Bytes>) -> Body {
    struct State {
        _turn: OwnedSemaphorePermit,
        ready: Option<Bytes>,
        next: Option<LocalNext>,
    }
    fn ahead(read: LocalRead) -> Option<LocalNext> {
        read.decoder.next_step().is_some().then(|| tokio::task::spawn_blocking(move || read.next()))
    }
    let state = State { _turn: turn, ready: first, next: ahead(read) };
    let all = stream::unfold(state, |mut state| async move {
        if let Some(bytes) = state.ready.take() {
            return Some((Ok(bytes), state));
        }
        match joined(state.next.take()?).await {
            Ok((_, None)) => None,
            Ok((read, Some(bytes))) => {
                state.next = ahead(read);
                Some((Ok(bytes), state))
            }
            Err(problem) => Some((Err(problem), state)),
        }
    });
    Box::pin(all)
}

async fn remote_stream<S>(
    turn: OwnedSemaphorePermit,
    decoder: Decoder,
    layout: Layout,
    mut arriving: Arriving<S>,
) -> Result<Body, Problem>
where
    S: Stream<Item = Result<Bytes, Problem>> + Send + Unpin + 'static,
{
    if layout.plain_bytes == 0 {
        decoder.check_empty(&arriving.gather(TAG_BYTES).await?)?;
    }
    let mut remote = RemoteRead { _turn: turn, decoder, arriving };
    let first = remote.next().await?;
    let all = stream::unfold((Some(remote), first), |(remote, ready)| async move {
        if let Some(bytes) = ready {
            return Some((Ok(bytes), (remote, None)));
        }
        let mut remote = remote?;
        match remote.next().await {
            Ok(None) => None,
            Ok(Some(bytes)) => Some((Ok(bytes), (Some(remote), None))),
            Err(problem) => Some((Err(problem), (None, None))),
        }
    });
    Ok(Box::pin(all))
}

/// A remote object being read.
struct RemoteRead<S> {
    _turn: OwnedSemaphorePermit,
    decoder: Decoder,
    arriving: Arriving<S>,
}

impl<S: Stream<Item = Result<Bytes, Problem>> + Unpin> RemoteRead<S> {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(step) = self.decoder.next_step() else {
            return Ok(None);
        };
        let length = usize::try_from(step.stored.end - step.stored.start).map_err(|_| damaged())?;
        let stored = self.arriving.gather(length).await?;
        self.decoder.take(&step, &stored).map(Some)
    }
}

/// Stored bytes as they arrive, held until there are enough.
struct Arriving<S> {
    stored: S,
    held: BytesMut,
}

impl<S: Stream<Item = Result<Bytes, Problem>> + Unpin> Arriving<S> {
    async fn gather(&mut self, length: usize) -> Result<BytesMut, Problem> {
        while self.held.len() < length {
            match self.stored.next().await {
                Some(bytes) => self.held.extend_from_slice(&bytes?),
                None => return Err(damaged()),
            }
        }
        Ok(self.held.split_to(length))
    }
}

/// The key and the associated data that another program needs to read one object's file, for backups and for the test
/// that has Tink's own code read ours.
#[cfg(test)]
pub(super) async fn exported(objects: &Objects, object: &StoredObject) -> (Vec<u8>, Vec<u8>) {
    (objects.data_key(object).await.unwrap().expose().to_vec(), aad(&object.workspace, &object.id))
}
