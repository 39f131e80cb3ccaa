//! Objects in an S3-compatible store, through `object_store`. The store sees random names and ciphertext only.

use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use kernel::{Problem, Secret};
use object_store::path::Path;
use object_store::{Certificate, ClientOptions, GetOptions, GetRange, MultipartUpload, ObjectStore, ObjectStoreExt, PutPayload};
use tokio::task::JoinSet;

use super::encoder::Sink;
use super::pool::Buffer;
use super::seal::Seal;
use super::segments::damaged;
use super::worm::Worm;
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
    /// The authority (PEM) that signed its certificate; those of the system if none.
    pub ca: Option<PathBuf>,
}

/// The store. Cheap to clone.
#[derive(Clone)]
pub(super) struct RemoteStore {
    store: Arc<dyn ObjectStore>,
    prefix: String,
    /// For what `object_store` does not know: versions and their locks. None in tests without a network.
    worm: Option<Worm>,
    /// Whether the bucket keeps versions and locks.
    has_lock: bool,
}

impl RemoteStore {
    pub(super) fn s3(location: &S3Location) -> Result<Self, Problem> {
        let mut builder = match &location.credentials {
            Some((id, key)) => object_store::aws::AmazonS3Builder::new()
                .with_access_key_id(id)
                .with_secret_access_key(key.expose_text().unwrap_or_default()),
            None => object_store::aws::AmazonS3Builder::from_env(),
        };
        let mut options = ClientOptions::new().with_allow_http(location.allow_insecure_http);
        for certificate in location.ca.as_deref().map(authorities).transpose()?.unwrap_or_default() {
            options = options.with_root_certificate(certificate);
        }
        builder = builder
            .with_bucket_name(&location.bucket)
            .with_region(&location.region)
            .with_client_options(options.clone())
            // A bucket with Object Lock takes nothing without a checksum.
            .with_checksum_algorithm(object_store::aws::Checksum::SHA256);
        if let Some(endpoint) = &location.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        let store =
            builder.build().map_err(|error| Problem::invalid("the object store's settings are not usable").because(error))?;
        let worm = Worm::new(&options, Arc::clone(store.credentials()), location)?;
        Ok(Self { worm: Some(worm), ..Self::over(Arc::new(store), &location.prefix) })
    }

    pub(super) fn over(store: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self { store, prefix: prefix.trim_matches('/').to_owned(), worm: None, has_lock: false }
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

    /// Whether the bucket keeps locks as it promises.
    pub(super) async fn probe_lock(&mut self) -> Result<(), Problem> {
        let probes = Path::from_iter(self.prefix.split('/').filter(|part| !part.is_empty()).chain(["probe"]));
        self.worm.as_ref().ok_or_else(no_worm)?.probe(probes.as_ref()).await?;
        self.has_lock = true;
        Ok(())
    }

    /// Has the bucket lock an object, and reads back that it did.
    pub(super) async fn set_lock(&self, id: &ObjectId, seal: Seal) -> Result<(), Problem> {
        self.worm.as_ref().ok_or_else(no_worm)?.lock(self.path(id).as_ref(), seal).await
    }

    /// Takes an object away for good: where the bucket keeps versions, each of it. What is not there is gone already.
    pub(super) async fn delete(&self, id: &ObjectId) -> Result<(), Problem> {
        if self.has_lock {
            let gone = self.worm.as_ref().ok_or_else(no_worm)?.delete(self.path(id).as_ref()).await?;
            return if gone {
                Ok(())
            } else {
                Err(Problem::unavailable("the object is locked in its store; it goes once that is over"))
            };
        }
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
                match self.delete(&id).await {
                    Ok(()) => swept.orphan_count += 1,
                    Err(problem) if self.has_lock => tracing::info!(%problem, object.id = id.as_str(), "an object was not swept"),
                    Err(problem) => return Err(problem),
                }
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

/// The certificates of a file.
fn authorities(path: &std::path::Path) -> Result<Vec<Certificate>, Problem> {
    let shown = path.display();
    let pem = std::fs::read(path).map_err(|error| Problem::invalid(format!("`{shown}` cannot be read: {error}")))?;
    Certificate::from_pem_bundle(&pem)
        .map_err(|error| Problem::invalid(format!("`{shown}` holds no certificates")).because(error))
}

fn no_worm() -> Problem {
    Problem::internal("the store is not spoken to as S3", "it was made for a test")
}

fn failed(error: object_store::Error) -> Problem {
    match error {
        object_store::Error::NotFound { .. } => {
            Problem::internal("the stored object is missing; restore it from a backup", error)
        }
        _ => Problem::unavailable("the object store cannot do this now; nothing was stored or deleted").because(error),
    }
}
