//! Objects in an S3-compatible store, through `object_store`. The store sees random names and ciphertext only.

use std::ops::Range;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use kernel::{Problem, Secret};
use object_store::path::Path;
use object_store::{GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use super::encoder::Sink;
use super::pool::Buffer;
use super::segments::damaged;
use super::{ObjectId, Swept};

/// Parts of one upload that are under way at once.
const PART_FLIGHT_COUNT_MAX: usize = 2;
/// The first parts; S3 takes none below 5 MiB but the last.
const PART_BYTES_MIN: usize = 8 * 1024 * 1024;
/// S3 takes 10,000 parts: each 1,000 parts their size doubles, so that 5 TiB fit.
const PART_GROWTH_COUNT: usize = 1_000;

/// Where the store is.
#[derive(Clone, Debug)]
pub struct S3Location {
    /// The bucket.
    pub bucket: String,
    /// The region, `us-east-1` for most others than AWS.
    pub region: String,
    /// The address, if it is not AWS.
    pub endpoint: Option<String>,
    /// The access key's id and the key; from the environment if none.
    pub credentials: Option<(String, Secret)>,
    /// Names in the bucket begin with this.
    pub prefix: String,
    /// Whether the address may be plain HTTP. The objects are encrypted; who reads and writes them then is not hidden.
    pub allow_insecure_http: bool,
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub(super) struct RemoteStore {
    store: Arc<dyn ObjectStore>,
    prefix: String,
}

impl RemoteStore {
    pub(super) fn s3(location: &S3Location) -> Result<Self, Problem> {
        let mut builder = match &location.credentials {
            Some((id, key)) => object_store::aws::AmazonS3Builder::new()
                .with_access_key_id(id)
                .with_secret_access_key(key.expose_text().unwrap_or_default()),
            None => object_store::aws::AmazonS3Builder::from_env(),
        };
        builder = builder
            .with_bucket_name(&location.bucket)
            .with_region(&location.region)
            .with_allow_http(location.allow_insecure_http);
        if let Some(endpoint) = &location.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store =
            builder.build().map_err(|error| Problem::invalid("the object store's settings are not usable").because(error))?;
        Ok(Self::over(Arc::new(store), &location.prefix))
    }

    pub(super) fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self { store, prefix: prefix.trim_matches('/').to_owned() }
    }

    fn path(&self, id: &ObjectId) -> Path {
        Path::from_iter(self.prefix.split('/').filter(|part| !part.is_empty()).chain([id.shard(), id.as_str()]))
    }

    pub(super) fn create(&self, id: &ObjectId) -> RemoteUpload {
        RemoteUpload { store: Arc::clone(&self.store), path: self.path(id), upload: None, flights: JoinSet::new(), part_count: 0 }
    }

    /// The stored bytes of `range`, as they arrive.
    pub(super) async fn read(
        &self,
        id: &ObjectId,
        stored_bytes: u64,
        range: Range<u64>,
    ) -> Result<futures_util::stream::BoxStream<'static, Result<Bytes, Problem>>, Problem> {
        let options = GetOptions { range: Some(GetRange::Bounded(range)), ..GetOptions::default() };
        let found = self.store.get_opts(&self.path(id), options).await.map_err(failed)?;
        if found.meta.size != stored_bytes {
            return Err(damaged());
        }
        Ok(found.into_stream().map_err(failed).boxed())
    }

    /// All stored bytes.
    pub(super) async fn read_all(&self, id: &ObjectId) -> Result<super::Stored, Problem> {
        let found = self.store.get(&self.path(id)).await.map_err(failed)?;
        Ok(found.into_stream().map_err(failed).boxed())
    }

    pub(super) async fn read_range(&self, id: &ObjectId, range: Range<u64>) -> Result<Bytes, Problem> {
        self.store.get_range(&self.path(id), range).await.map_err(failed)
    }

    pub(super) async fn delete(&self, id: &ObjectId) -> Result<(), Problem> {
        match self.store.delete(&self.path(id)).await {
            Err(object_store::Error::NotFound { .. }) | Ok(()) => Ok(()),
            Err(error) => Err(failed(error)),
        }
    }

    pub(super) async fn sweep(&self, is_known: &(dyn Fn(&str) -> bool + Sync), older_than: Duration) -> Result<Swept, Problem> {
        let prefix = Some(Path::from(self.prefix.as_str())).filter(|path| !path.as_ref().is_empty());
        let mut all = self.store.list(prefix.as_ref());
        let mut swept = Swept::default();
        while let Some(found) = all.next().await {
            let found = found.map_err(failed)?;
            let Some(id) = found.location.filename().and_then(|name| ObjectId::parse(name).ok()) else { continue };
            let modified = std::time::SystemTime::from(found.last_modified);
            let age = std::time::SystemTime::now().duration_since(modified).unwrap_or_default();
            if self.path(&id) == found.location && age >= older_than && !is_known(id.as_str()) {
                self.delete(&id).await?;
                swept.orphan_count += 1;
            }
        }
        Ok(swept)
    }
}

/// Sealed bytes that wait for a part to be full.
#[derive(Default)]
pub(super) struct Pending(Vec<u8>);

impl Sink for Pending {
    fn write_full(&mut self, buffer: Buffer) -> Result<(), Problem> {
        self.write_last(buffer.as_ref())
    }

    fn write_last(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// An object being written. One that ends before its first part is full is one plain put.
pub(super) struct RemoteUpload {
    store: Arc<dyn ObjectStore>,
    path: Path,
    upload: Option<Box<dyn MultipartUpload>>,
    flights: JoinSet<object_store::Result<()>>,
    part_count: usize,
}

impl RemoteUpload {
    /// Sends what makes a whole part.
    pub(super) async fn send_full_parts(&mut self, pending: &mut Pending) -> Result<(), Problem> {
        let part_bytes = PART_BYTES_MIN << (self.part_count / PART_GROWTH_COUNT).min(10);
        if pending.0.len() < part_bytes {
            return Ok(());
        }
        self.send(std::mem::take(&mut pending.0)).await
    }

    async fn send(&mut self, part: Vec<u8>) -> Result<(), Problem> {
        while self.flights.len() >= PART_FLIGHT_COUNT_MAX {
            self.land().await?;
        }
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => none.insert(self.store.put_multipart(&self.path).await.map_err(failed)?),
        };
        self.flights.spawn(upload.put_part(PutPayload::from(part)));
        self.part_count += 1;
        Ok(())
    }

    async fn land(&mut self) -> Result<(), Problem> {
        match self.flights.join_next().await {
            Some(Ok(sent)) => sent.map_err(failed),
            Some(Err(broken)) => Err(Problem::unavailable("a part of the object could not be sent").because(broken)),
            None => Ok(()),
        }
    }

    /// Sends the rest and has the store keep it all.
    pub(super) async fn keep(&mut self, pending: Pending) -> Result<(), Problem> {
        if self.upload.is_none() {
            let payload = PutPayload::from(pending.0);
            return self.store.put(&self.path, payload).await.map(drop).map_err(failed);
        }
        if !pending.0.is_empty() {
            self.send(pending.0).await?;
        }
        while !self.flights.is_empty() {
            self.land().await?;
        }
        match &mut self.upload {
            Some(upload) => upload.complete().await.map(drop).map_err(failed),
            None => Ok(()),
        }
    }

    /// Has the store forget the parts. What that misses, the store's own rule for unfinished uploads takes away.
    pub(super) async fn give_up(&mut self) {
        self.flights.abort_all();
        if let Some(upload) = &mut self.upload
            && let Err(error) = upload.abort().await
        {
            tracing::warn!(%error, "an unfinished upload could not be taken back");
        }
    }
}

fn failed(error: object_store::Error) -> Problem {
    match error {
        object_store::Error::NotFound { .. } => {
            Problem::internal("the stored object is missing; restore it from a backup", error)
        }
        _ => Problem::unavailable("the object store cannot do this now; nothing was stored or deleted").because(error),
    }
}
