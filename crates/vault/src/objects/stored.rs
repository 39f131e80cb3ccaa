//! Objects as they are stored: ciphertext, for copies that need not be readable.

use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures_util::StreamExt;
use futures_util::stream::{self, BoxStream};
use gate::Permit;
use kernel::Problem;

use super::{ObjectId, Objects, Store, blocking};

/// Read at once.
const CHUNK_BYTES: usize = 1024 * 1024;

/// Stored bytes as they come.
pub type Stored = BoxStream<'static, Result<Bytes, Problem>>;

impl Objects {
    /// The stored bytes of an object: encrypted as they are, for a backup. Nothing of them is checked: the key is not asked for.
    ///
    /// # Errors
    /// `Internal` if it is not there; `Unavailable` if the store cannot do it now.
    pub async fn stored<O: ?Sized>(&self, _permit: &Permit<O>, id: &ObjectId) -> Result<Stored, Problem> {
        match &self.store {
            Store::Local(store) => {
                let (store, id) = (store.clone(), id.clone());
                let path = store.place(&id);
                Ok(file_stream(blocking(move || open(&path)).await?))
            }
            Store::Remote(store) => store.read_all(id).await,
        }
    }
}

/// Where a local store keeps an object below its folder.
#[must_use]
pub fn stored_place(id: &ObjectId) -> PathBuf {
    Path::new("stored").join(id.shard()).join(id.as_str())
}

fn open(path: &Path) -> Result<File, Problem> {
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => Problem::internal("a stored object is missing; restore it from a backup", error),
        _ => Problem::unavailable("the objects' disk cannot be read now").because(error),
    })
}

/// A file's bytes, piece by piece, read away from the threads that serve requests.
pub fn file_stream(file: File) -> Stored {
    stream::unfold(Some(file), |state| async move {
        let mut file = state?;
        let read = blocking(move || {
            let mut piece = vec![0; CHUNK_BYTES];
            let count =
                file.read(&mut piece).map_err(|error| Problem::unavailable("a file cannot be read now").because(error))?;
            piece.truncate(count);
            Ok((file, piece))
        });
        match read.await {
            Ok((_, piece)) if piece.is_empty() => None,
            Ok((file, piece)) => Some((Ok(Bytes::from(piece)), Some(file))),
            Err(problem) => Some((Err(problem), None)),
        }
    })
    .boxed()
}
