//! Where backups lie: a folder or a bucket. Names are made here, never by a client.
//!
//! What is written appears whole or not at all: in a folder under another name until it is on disk, in a bucket by the store.

use std::io::Read;
use std::path::Path as FilePath;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::stream::{self, BoxStream};
use futures_util::{Stream, StreamExt, TryStreamExt};
use kernel::{Problem, Sha256Hasher};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Certificate, ClientOptions, GetResultPayload, MultipartUpload, ObjectStore, ObjectStoreExt, PutMode, PutOptions, PutPayload,
};

use crate::config::BackupConfig;

/// What is held before it is sent.
const PART_BYTES: usize = 8 * 1024 * 1024;
/// What is read of a file at once.
const READ_BYTES: usize = 1024 * 1024;

/// A place. Cheap to clone.
#[derive(Clone)]
pub struct Target {
    store: Arc<dyn ObjectStore>,
    prefix: Path,
    shown: String,
    folder: Option<Arc<FilePath>>,
}

/// What was written: as it lies there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stored {
    /// Its size.
    pub size_bytes: u64,
    /// Its digest.
    pub sha256: [u8; 32],
}

impl Target {
    /// The place that the configuration calls `place`.
    ///
    /// # Errors
    /// `Invalid` for a folder that is not there or a bucket's settings that cannot be used.
    pub fn open(place: &str, config: &BackupConfig) -> Result<Self, Problem> {
        match place.strip_prefix("s3://") {
            Some(rest) => Self::bucket(rest, config),
            None => Self::folder(FilePath::new(place)),
        }
    }

    /// A folder, which must be there: a disk that is not mounted must not be taken for an empty one.
    ///
    /// # Errors
    /// `Invalid` if it is not a folder.
    pub fn folder(path: &FilePath) -> Result<Self, Problem> {
        let shown = path.display();
        if !path.is_dir() {
            return Err(Problem::invalid(format!("`{shown}` is no folder: make it, or mount the disk that holds it")));
        }
        let store = LocalFileSystem::new_with_prefix(path)
            .map_err(|error| Problem::invalid(format!("`{shown}` cannot be used for backups")).because(error))?
            .with_fsync(true);
        Ok(Self { store: Arc::new(store), prefix: Path::default(), shown: shown.to_string(), folder: Some(Arc::from(path)) })
    }

    fn bucket(rest: &str, config: &BackupConfig) -> Result<Self, Problem> {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let mut builder = object_store::aws::AmazonS3Builder::from_env()
            .with_bucket_name(bucket)
            .with_region(&config.region)
            // A bucket under a retention rule takes nothing without a checksum.
            .with_checksum_algorithm(object_store::aws::Checksum::SHA256)
            .with_allow_http(config.allow_insecure_http);
        if let Some(endpoint) = &config.endpoint {
            builder = builder.with_endpoint(endpoint);
        }
        if let Some(ca) = &config.ca {
            let options = ClientOptions::new().with_allow_http(config.allow_insecure_http);
            builder = builder.with_client_options(options.with_root_certificate(certificate(ca)?));
        }
        let store = builder.build().map_err(|error| Problem::invalid("the bucket's settings are not usable").because(error))?;
        Ok(Self::over(Arc::new(store), prefix, &format!("s3://{rest}")))
    }

    /// Any other store.
    #[must_use]
    pub fn over(store: Arc<dyn ObjectStore>, prefix: &str, shown: &str) -> Self {
        Self { store, prefix: Path::from(prefix), shown: shown.to_owned(), folder: None }
    }

    /// What it is called.
    #[must_use]
    pub fn shown(&self) -> &str {
        &self.shown
    }

    fn path(&self, name: &str) -> Path {
        self.prefix.parts().chain(Path::from(name).parts()).collect()
    }

    /// Takes away what a process that was killed left half-written in a folder. A bucket does so by a rule of its own.
    ///
    /// # Errors
    /// `Unavailable` if the folder cannot be read.
    pub async fn clear_unfinished(&self) -> Result<(), Problem> {
        let Some(folder) = self.folder.clone() else { return Ok(()) };
        let cleared = tokio::task::spawn_blocking(move || clear_below(&folder, 3)).await;
        let cleared = cleared.map_err(|broken| Problem::internal("clearing the place of backups broke off", broken))?;
        cleared.map_err(|error| Problem::unavailable(format!("`{}` cannot be cleared now", self.shown)).because(error))
    }

    /// Begins to write.
    #[must_use]
    pub fn write(&self, name: &str) -> Writing {
        Writing {
            target: self.clone(),
            path: self.path(name),
            pending: Vec::new(),
            upload: None,
            hasher: Sha256Hasher::new(),
            size_bytes: 0,
        }
    }

    /// Writes what must not be there yet.
    ///
    /// # Errors
    /// `AlreadyExists` if it is; `Unavailable` if it cannot be written.
    pub async fn create(&self, name: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        let options = PutOptions { mode: PutMode::Create, ..PutOptions::default() };
        match self.store.put_opts(&self.path(name), PutPayload::from(bytes), options).await {
            Ok(_) => Ok(()),
            Err(object_store::Error::AlreadyExists { .. }) => {
                Err(Problem::already_exists(format!("`{name}` is in `{}` already; another backup runs there", self.shown)))
            }
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Writes what may be there, and is not what it should be.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub async fn replace(&self, name: &str, bytes: Vec<u8>) -> Result<(), Problem> {
        self.store.put(&self.path(name), PutPayload::from(bytes)).await.map(drop).map_err(|error| self.failed(error))
    }

    /// What lies there, piece by piece; none if nothing does.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub async fn read(&self, name: &str) -> Result<Option<BoxStream<'static, Result<Bytes, Problem>>>, Problem> {
        match self.store.get(&self.path(name)).await {
            Ok(found) => {
                let shown = self.shown.clone();
                Ok(Some(match found.payload {
                    GetResultPayload::File(file, _) => file_pieces(file, shown).boxed(),
                    GetResultPayload::Stream(pieces) => pieces.map_err(move |error| failed(&shown, error)).boxed(),
                }))
            }
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// All of what lies there, if it is no longer than `bytes_max`.
    ///
    /// # Errors
    /// `Invalid` beyond; `Unavailable` if it cannot be read.
    pub async fn read_whole(&self, name: &str, bytes_max: usize) -> Result<Option<Vec<u8>>, Problem> {
        let Some(mut pieces) = self.read(name).await? else { return Ok(None) };
        let mut all = Vec::new();
        while let Some(piece) = pieces.next().await {
            all.extend_from_slice(&piece?);
            if all.len() > bytes_max {
                return Err(Problem::invalid(format!("`{name}` in `{}` is longer than {bytes_max} bytes", self.shown)));
            }
        }
        Ok(Some(all))
    }

    /// Size and digest of what lies there; none if nothing does.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be read.
    pub async fn digest(&self, name: &str) -> Result<Option<Stored>, Problem> {
        let Some(mut pieces) = self.read(name).await? else { return Ok(None) };
        let (mut hasher, mut size_bytes) = (Sha256Hasher::new(), 0_u64);
        while let Some(piece) = pieces.next().await {
            let piece = piece?;
            hasher.update(&piece);
            size_bytes = size_bytes.saturating_add(piece.len() as u64);
        }
        Ok(Some(Stored { size_bytes, sha256: hasher.finish() }))
    }

    /// The size of what lies there.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be told.
    pub async fn size(&self, name: &str) -> Result<Option<u64>, Problem> {
        match self.store.head(&self.path(name)).await {
            Ok(found) => Ok(Some(found.size)),
            Err(object_store::Error::NotFound { .. }) => Ok(None),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// The names below `below`, in no order.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be listed.
    pub async fn list(&self, below: &str) -> Result<Vec<String>, Problem> {
        let path = self.path(below);
        let mut found = self.store.list(Some(&path));
        let mut names = Vec::new();
        while let Some(one) = found.next().await {
            let one = one.map_err(|error| self.failed(error))?;
            if let Some(rest) = one.location.prefix_match(&self.prefix) {
                names.push(rest.map(|part| part.as_ref().to_owned()).collect::<Vec<_>>().join("/"));
            }
        }
        Ok(names)
    }

    /// Takes something away. What is not there is gone already.
    ///
    /// # Errors
    /// `Unavailable` if that cannot be done, such as while it is locked.
    pub async fn delete(&self, name: &str) -> Result<(), Problem> {
        match self.store.delete(&self.path(name)).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(self.failed(error)),
        }
    }

    fn failed(&self, error: object_store::Error) -> Problem {
        failed(&self.shown, error)
    }
}

/// A file, read by pieces of our own size: those of `object_store` are so small that handing them on takes longer than reading.
fn file_pieces(file: std::fs::File, shown: String) -> impl Stream<Item = Result<Bytes, Problem>> {
    stream::try_unfold((file, shown), |(mut file, shown)| async move {
        let read = tokio::task::spawn_blocking(move || {
            let mut piece = Vec::with_capacity(READ_BYTES);
            (&mut file).take(READ_BYTES as u64).read_to_end(&mut piece).map(|_| (file, piece))
        });
        let read = read.await.map_err(|broken| Problem::internal("reading a backup broke off", broken))?;
        let unread = |error| Problem::unavailable(format!("the place of backups, `{shown}`, cannot be read now")).because(error);
        let (file, piece) = read.map_err(unread)?;
        Ok((!piece.is_empty()).then(|| (Bytes::from(piece), (file, shown))))
    })
}

/// An authority's certificate.
fn certificate(path: &FilePath) -> Result<Certificate, Problem> {
    let wrong = |why: String| Problem::invalid(format!("`backup.ca` = `{}` cannot be used", path.display())).because(why);
    let pem = std::fs::read(path).map_err(|error| wrong(error.to_string()))?;
    Certificate::from_pem(&pem).map_err(|error| wrong(error.to_string()))
}

fn failed(shown: &str, error: object_store::Error) -> Problem {
    Problem::unavailable(format!(
        "the place of backups, `{shown}`, cannot do this now: is there room, and may this account write?"
    ))
    .because(error)
}

/// Half-written files bear a `#` and a number behind their name.
fn clear_below(folder: &FilePath, depth_max: usize) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_staged = name.rsplit_once('#').is_some_and(|(_, end)| !end.is_empty() && end.bytes().all(|b| b.is_ascii_digit()));
        if kind.is_file() && is_staged {
            std::fs::remove_file(entry.path())?;
        } else if kind.is_dir() && depth_max > 0 {
            clear_below(&entry.path(), depth_max - 1)?;
        }
    }
    Ok(())
}

/// Something that is being written.
pub struct Writing {
    target: Target,
    path: Path,
    pending: Vec<u8>,
    upload: Option<Box<dyn MultipartUpload>>,
    hasher: Sha256Hasher,
    size_bytes: u64,
}

impl Writing {
    /// Adds bytes.
    ///
    /// # Errors
    /// `Unavailable` if they cannot be written.
    pub async fn push(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        self.hasher.update(bytes);
        self.size_bytes = self.size_bytes.saturating_add(bytes.len() as u64);
        self.pending.extend_from_slice(bytes);
        if self.pending.len() >= PART_BYTES {
            self.send().await?;
        }
        Ok(())
    }

    async fn send(&mut self) -> Result<(), Problem> {
        let part = std::mem::take(&mut self.pending);
        let upload = match &mut self.upload {
            Some(upload) => upload,
            none => {
                let begun = self.target.store.put_multipart(&self.path).await.map_err(|error| self.target.failed(error))?;
                none.insert(begun)
            }
        };
        upload.put_part(PutPayload::from(part)).await.map_err(|error| self.target.failed(error))
    }

    /// Puts it in its place.
    ///
    /// # Errors
    /// `Unavailable` if it cannot be written.
    pub async fn finish(mut self) -> Result<Stored, Problem> {
        if self.upload.is_none() {
            let payload = PutPayload::from(std::mem::take(&mut self.pending));
            self.target.store.put(&self.path, payload).await.map_err(|error| self.target.failed(error))?;
        } else {
            if !self.pending.is_empty() {
                self.send().await?;
            }
            if let Some(upload) = &mut self.upload {
                upload.complete().await.map_err(|error| self.target.failed(error))?;
            }
        }
        Ok(Stored { size_bytes: self.size_bytes, sha256: self.hasher.finish() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_is_read_back_and_half_of_it_is_cleared() {
        let folder = tempfile::tempdir().unwrap();
        let target = Target::folder(folder.path()).unwrap();
        let mut writing = target.write("objects/ab/abc");
        let piece = vec![3_u8; 5 * 1024 * 1024];
        for _ in 0..3 {
            writing.push(&piece).await.unwrap();
        }
        let stored = writing.finish().await.unwrap();
        assert_eq!(stored.size_bytes, 15 * 1024 * 1024);
        assert_eq!(target.digest("objects/ab/abc").await.unwrap(), Some(stored));
        assert_eq!(target.list("objects").await.unwrap(), ["objects/ab/abc"]);
        assert_eq!(target.size("objects/ab/none").await.unwrap(), None);
        target.create("manifests/1", vec![1]).await.unwrap();
        assert!(target.create("manifests/1", vec![2]).await.is_err());
        std::fs::write(folder.path().join("objects/ab/abd#12"), "half").unwrap();
        target.clear_unfinished().await.unwrap();
        assert!(!folder.path().join("objects/ab/abd#12").exists());
        assert!(folder.path().join("objects/ab/abc").exists());
        target.delete("objects/ab/abc").await.unwrap();
        target.delete("objects/ab/abc").await.unwrap();
        assert!(target.read("objects/ab/abc").await.unwrap().is_none());
    }

    #[test]
    fn a_disk_that_is_not_mounted_is_no_place() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Target::folder(&folder.path().join("none")).map(drop).unwrap_err().message().contains("mount"));
    }
}
