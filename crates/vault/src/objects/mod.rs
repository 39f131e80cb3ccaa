//! Objects: bytes of any length, each encrypted under a key of its own, in a folder or an S3-compatible store.
//!
//! It knows no names, no owners and no rules: the room that keeps the row does. An object is written once and never
//! changed.
//!
//! INVARIANT: an object is on disk, whole, before [`Objects::put`] answers; a small one when the row is that names it. Held by
//! `objects::tests::a_failing_disk_stores_nothing` and `objects::tests::small`.
//! INVARIANT: no byte leaves before its segment was checked. Held by `objects::tests::every_flipped_byte_is_refused`.
//! INVARIANT: nothing that a client said becomes part of a path. [`ObjectId`] is 32 hex digits of ours.

mod commit;
mod decoder;
mod direct;
mod encoder;
mod flag;
mod hold;
mod local;
mod pool;
mod probe;
mod range;
mod read;
mod remote;
mod rows;
mod seal;
mod segments;
mod sending;
mod small;
mod step;
mod stored;
mod stream;
mod worm;
mod write;
mod writeback;
mod xml;

#[cfg(test)]
mod tests;

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use gate::Permit;
use kernel::{Micros, Problem, Secret, timed_id};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use hold::Hold;
pub use range::{Wanted, pieces_of};
pub use remote::S3Location;
pub use rows::{OBJECT_COLUMNS, digest, signed, unsigned};
pub use seal::{Enforcement, Seal, SealMode};
pub use sending::{Piece, Sending};
pub use small::{small_orphans, stored_outside};
pub use stored::{Stored, file_stream, stored_place};
pub use stream::{StreamOpener, StreamSealer};

use crate::keys::{Keyring, ObjectKey, join};
use local::LocalStore;
use pool::Pool;
use remote::RemoteStore;

/// Objects that are written at once; each holds up to 7 MiB, and up to four threads.
const WRITE_COUNT_MAX: usize = 64;
/// Objects that are read at once; each holds up to 6 MiB, and up to two threads.
const READ_COUNT_MAX: usize = 128;
/// How long a request waits for its turn before it is told to come back.
const TURN_WAIT_MAX: Duration = Duration::from_secs(15);

/// Bytes on their way, as a request or an answer brings them.
pub type Body = Pin<Box<dyn Stream<Item = Result<Bytes, Problem>> + Send>>;

/// Where objects are kept.
#[derive(Clone, Debug)]
pub enum ObjectsLocation {
    /// A folder of its own.
    Folder(PathBuf),
    /// An S3-compatible store.
    S3(S3Location),
}

/// The name of an object where it is stored: 32 lower-case hex digits, random; that of one in the database begins with the time
/// ([`timed_id`]).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ObjectId(String);

impl ObjectId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        Self(kernel::random_id())
    }

    /// A new one for an object in the database.
    fn of_row(at: Micros) -> Self {
        Self(timed_id(at))
    }

    /// Reads one.
    ///
    /// # Errors
    /// `Internal` where it is not one: ids come from rows, never from clients.
    pub fn parse(text: &str) -> Result<Self, Problem> {
        let digits = text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        if text.len() != 32 || !digits {
            return Err(Problem::internal("a stored object's id is damaged", "not 32 lower-case hex digits"));
        }
        Ok(Self(text.to_owned()))
    }

    /// Its digits.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn shard(&self) -> &str {
        self.0.get(..2).unwrap_or("00")
    }
}

/// An object that is on disk, or will be with its row if it is small: what that row must keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredObject {
    /// Its name where it is stored.
    pub id: ObjectId,
    /// The workspace whose key wraps its key.
    pub workspace: String,
    /// Its plain size.
    pub size_bytes: u64,
    /// SHA-256 of its plain bytes.
    pub sha256: [u8; 32],
    /// Its key, wrapped.
    pub key: ObjectKey,
    /// The stored bytes of a small one that no row names yet: [`StoredObject::keep`] takes them into the database.
    pub fresh: Option<Bytes>,
}

impl StoredObject {
    /// What its wrapped key vouches for: a changed row does not open.
    fn place(id: &ObjectId, size_bytes: u64, sha256: &[u8; 32]) -> Vec<u8> {
        join(&[id.as_str().as_bytes(), &size_bytes.to_be_bytes(), sha256])
    }
}

/// What a sweep took away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// Files that were never finished.
    pub unfinished_count: usize,
    /// Objects that no row knows.
    pub orphan_count: usize,
}

#[derive(Clone)]
enum Store {
    Local(LocalStore),
    Remote(RemoteStore),
}

/// The objects. Cheap to clone.
#[derive(Clone)]
pub struct Objects {
    store: Store,
    keys: Keyring,
    pool: Pool,
    writes: Arc<Semaphore>,
    reads: Arc<Semaphore>,
    holds: hold::Holds,
    enforcement: Enforcement,
    /// Whether small ones go into the database: those of a local store. Older servers made a file of each, and those are read as ever.
    keeps_small: bool,
}

impl Objects {
    /// The objects at `location`, whose keys `keys` wraps.
    ///
    /// # Errors
    /// `Unavailable` if a folder cannot be made; `Invalid` for settings that are not usable.
    pub fn open_at(location: &ObjectsLocation, keys: Keyring) -> Result<Self, Problem> {
        let store = match location {
            ObjectsLocation::Folder(folder) => Store::Local(LocalStore::open(Path::new(folder))?),
            ObjectsLocation::S3(location) => Store::Remote(RemoteStore::s3(location)?),
        };
        Ok(Self::over(store, keys))
    }

    /// The objects in `folder`.
    ///
    /// # Errors
    /// As [`Objects::open_at`].
    pub fn local(folder: &Path, keys: Keyring) -> Result<Self, Problem> {
        Self::open_at(&ObjectsLocation::Folder(folder.to_path_buf()), keys)
    }

    /// The objects in a bucket, with the credentials that `AWS_ACCESS_KEY_ID` and `AWS_SECRET_ACCESS_KEY` hold.
    ///
    /// # Errors
    /// As [`Objects::open_at`].
    pub fn s3(bucket: &str, region: &str, endpoint: Option<&str>, keys: Keyring) -> Result<Self, Problem> {
        let location = S3Location {
            bucket: bucket.to_owned(),
            region: region.to_owned(),
            endpoint: endpoint.map(ToOwned::to_owned),
            credentials: None,
            prefix: String::new(),
            allow_insecure_http: false,
            ca: None,
        };
        Self::open_at(&ObjectsLocation::S3(location), keys)
    }

    /// The same, making a file of each object whatever its size, as older servers did: for tests of what they left.
    #[must_use]
    pub const fn with_files_only(mut self) -> Self {
        self.keeps_small = false;
        self
    }

    /// Whether an object of this size lies in the database and comes with the row that names it.
    #[must_use]
    pub const fn is_small(&self, size_bytes: u64) -> bool {
        self.keeps_small && size_bytes <= small::SMALL_BYTES_MAX as u64
    }

    /// The keys that wrap the objects' keys.
    #[must_use]
    pub const fn keys(&self) -> &Keyring {
        &self.keys
    }

    fn over(store: Store, keys: Keyring) -> Self {
        Self {
            keeps_small: matches!(store, Store::Local(_)),
            store,
            keys,
            pool: Pool::default(),
            writes: Arc::new(Semaphore::new(WRITE_COUNT_MAX)),
            reads: Arc::new(Semaphore::new(READ_COUNT_MAX)),
            holds: hold::Holds::default(),
            enforcement: Enforcement::default(),
        }
    }

    /// Takes objects away for good, at once or when the [`Hold`] on them ends and nobody is sent them any more. What is not there is gone
    /// already.
    ///
    /// # Errors
    /// `Unavailable` if the store cannot do it now; the rest may be there still.
    pub async fn delete<O: ?Sized>(&self, _permit: &Permit<O>, ids: Vec<ObjectId>) -> Result<(), Problem> {
        self.take_away(ids).await
    }

    async fn take_away(&self, ids: Vec<ObjectId>) -> Result<(), Problem> {
        let ids = self.holds.unsent(ids);
        let Some(_turn) = self.holds.try_turn() else {
            self.holds.wait(ids);
            return Ok(());
        };
        match &self.store {
            Store::Local(store) => {
                let store = store.clone();
                blocking(move || ids.iter().try_for_each(|id| store.delete(id))).await
            }
            Store::Remote(store) => {
                for id in &ids {
                    store.delete(id).await?;
                }
                Ok(())
            }
        }
    }

    /// Takes away what a crash left behind: unfinished files, and objects that are not among `known` and at least
    /// `older_than` old. A younger one may be on its way to its row; only at start, before anybody writes, may it be zero.
    ///
    /// # Errors
    /// `Unavailable` if the store cannot do it now.
    pub async fn sweep<O: ?Sized>(
        &self,
        _permit: &Permit<O>,
        known: Arc<HashSet<String>>,
        older_than: Duration,
    ) -> Result<Swept, Problem> {
        let Some(_turn) = self.holds.try_turn() else {
            return Ok(Swept::default());
        };
        match &self.store {
            Store::Local(store) => {
                let (store, holds) = (store.clone(), self.holds.clone());
                blocking(move || store.sweep(&|id| known.contains(id) || holds.is_sent(id), older_than)).await
            }
            Store::Remote(store) => {
                let holds = &self.holds;
                store.sweep(&|id: &str| known.contains(id) || holds.is_sent(id), older_than).await
            }
        }
    }

    /// The object with its key wrapped by the workspace's newest key, or none if it is already. Data is untouched.
    ///
    /// # Errors
    /// `Internal` if its key does not open; `Unavailable` if the key service is down.
    pub async fn rewrap<O: ?Sized>(&self, _permit: &Permit<O>, object: &StoredObject) -> Result<Option<ObjectKey>, Problem> {
        if self.keys.workspace(&object.workspace).await?.version == object.key.version {
            return Ok(None);
        }
        let place = StoredObject::place(&object.id, object.size_bytes, &object.sha256);
        let key = self.keys.unwrap_object_key(&object.workspace, &place, &object.key).await?;
        self.keys.wrap_object_key(&object.workspace, &place, &key).await.map(Some)
    }

    /// Whether the object's key opens; nothing of the object is read.
    ///
    /// # Errors
    /// `Internal` if its key does not open, `Gone` if it was destroyed; `Unavailable` if the key service is down.
    pub async fn check_key<O: ?Sized>(&self, _permit: &Permit<O>, object: &StoredObject) -> Result<(), Problem> {
        self.data_key(object).await.map(drop)
    }

    async fn data_key(&self, object: &StoredObject) -> Result<Secret, Problem> {
        let place = StoredObject::place(&object.id, object.size_bytes, &object.sha256);
        self.keys.unwrap_object_key(&object.workspace, &place, &object.key).await
    }
}

/// What each object's encryption is bound to.
fn aad(workspace: &str, id: &ObjectId) -> Vec<u8> {
    join(&[b"strongroom/object/1", workspace.as_bytes(), id.as_str().as_bytes()])
}

async fn turn(of: &Arc<Semaphore>, count_max: usize, what: &str) -> Result<OwnedSemaphorePermit, Problem> {
    match tokio::time::timeout(TURN_WAIT_MAX, Arc::clone(of).acquire_owned()).await {
        Ok(Ok(turn)) => Ok(turn),
        _ => Err(Problem::unavailable(format!("{count_max} objects are being {what} already"))),
    }
}

/// Runs what waits for the disk or keeps a core busy, away from the threads that serve requests.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    joined(tokio::task::spawn_blocking(work)).await
}

async fn joined<T>(handle: tokio::task::JoinHandle<Result<T, Problem>>) -> Result<T, Problem> {
    handle.await.map_err(|broken| Problem::internal("storing or reading an object broke off", broken))?
}
