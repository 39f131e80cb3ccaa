//! Reading: from any offset, a buffer at a time; the next ones are read and opened, each on a thread of its own, while this one is sent.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use gate::Permit;
use kernel::{Problem, Sha256Hasher};
use tokio::sync::OwnedSemaphorePermit;
use tokio::task::JoinHandle;

use super::decoder::{Decoder, Step, Steps};
use super::direct::Reading;
use super::pool::Pool;
use super::segments::{HEADER_BYTES, Layout, TAG_BYTES, damaged};
use super::small::SMALL_BYTES_MAX;
use super::{Body, Objects, READ_COUNT_MAX, Store, StoredObject, aad, blocking, joined, small, turn};

/// Buffers that are read ahead of the one that is sent: a disk that is asked for one thing at a time stands still in between.
const READ_AHEAD_COUNT: usize = 2;

/// A local object being read.
struct LocalRead {
    reading: Reading,
    decoder: Decoder,
    pool: Pool,
}

impl LocalRead {
    /// The plain bytes of a step.
    fn read(&self, step: &Step) -> Result<Bytes, Problem> {
        let stored = self.reading.read(&self.pool, &step.stored)?;
        self.decoder.open(step, stored.bytes()?)
    }
}

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
                    let decoder = Decoder::new(&pool, &data_key, &aad, &reading.header()?, layout)?;
                    let read = LocalRead { reading, decoder, pool };
                    check_local_empty(&read, layout)?;
                    let mut steps = Steps::of(layout, range);
                    let first = steps.next().map(|step| read.read(&step)).transpose()?;
                    Ok((read, steps, first))
                };
                let (read, steps, first) = blocking(begin).await?;
                Ok(local_stream(turn, Arc::new(read), steps, first))
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
                let decoder = Decoder::new(&self.pool, &data_key, &aad, &header, layout)?;
                if layout.plain_bytes == 0 {
                    decoder.check_empty(&arriving.gather(TAG_BYTES).await?)?;
                }
                remote_stream(RemoteRead { _turn: turn, decoder, steps: Steps::of(layout, range), arriving }).await
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

fn check_local_empty(read: &LocalRead, layout: Layout) -> Result<(), Problem> {
    if layout.plain_bytes > 0 {
        return Ok(());
    }
    read.decoder.check_empty(read.reading.read(&read.pool, &layout.stored_range(0))?.bytes()?)
}

/// A local object on its way. While a client takes a buffer, the next ones are read. A client that stands still holds no thread.
struct LocalStream {
    _turn: OwnedSemaphorePermit,
    read: Arc<LocalRead>,
    steps: Steps,
    ready: Option<Bytes>,
    ahead: VecDeque<JoinHandle<Result<Bytes, Problem>>>,
}

impl LocalStream {
    fn read_ahead(&mut self) {
        while self.ahead.len() < READ_AHEAD_COUNT {
            let Some(step) = self.steps.next() else { return };
            let read = Arc::clone(&self.read);
            self.ahead.push_back(tokio::task::spawn_blocking(move || read.read(&step)));
        }
    }

    async fn next(&mut self) -> Option<Result<Bytes, Problem>> {
        if let Some(bytes) = self.ready.take() {
            return Some(Ok(bytes));
        }
        let next = joined(self.ahead.pop_front()?).await;
        self.read_ahead();
        Some(next)
    }
}

fn local_stream(turn: OwnedSemaphorePermit, read: Arc<LocalRead>, steps: Steps, first: Option<Bytes>) -> Body {
    let mut sending = LocalStream { _turn: turn, read, steps, ready: first, ahead: VecDeque::new() };
    sending.read_ahead();
    Box::pin(stream::unfold(Some(sending), |sending| async move {
        let mut sending = sending?;
        let next = sending.next().await?;
        // What follows damage is not given out.
        let rest = next.is_ok().then_some(sending);
        Some((next, rest))
    }))
}

async fn remote_stream<S>(mut remote: RemoteRead<S>) -> Result<Body, Problem>
where
    S: Stream<Item = Result<Bytes, Problem>> + Send + Unpin + 'static,
{
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
    steps: Steps,
    arriving: Arriving<S>,
}

impl<S: Stream<Item = Result<Bytes, Problem>> + Unpin> RemoteRead<S> {
    async fn next(&mut self) -> Result<Option<Bytes>, Problem> {
        let Some(step) = self.steps.next() else {
            return Ok(None);
        };
        let length = usize::try_from(step.stored.end - step.stored.start).map_err(|_| damaged())?;
        let stored = self.arriving.gather(length).await?;
        self.decoder.open(&step, &stored).map(Some)
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
