//! Objects as files of one folder. A file's name is a random id; no text of a client ever becomes a path.
//!
//! `incoming/ID` while it is written, then `stored/AB/ID`. The database row that makes an object known is committed after
//! the file and its folder are on disk, so what a crash leaves behind is unknown, and swept.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use kernel::{Kind, Problem};

use super::direct::{Chunks, Reading, Recent};
use super::encoder::Sink;
use super::pool::Buffer;
use super::segments::damaged;
use super::{ObjectId, Swept};

/// The folder. Cheap to clone.
#[derive(Clone)]
pub(super) struct LocalStore {
    folder: Arc<Path>,
    recent: Recent,
    #[cfg(test)]
    pub(super) faults: Arc<Faults>,
}

/// A disk that fails when a test wants it to.
#[cfg(test)]
#[derive(Default)]
pub(super) struct Faults {
    /// Writes beyond this many bytes find the disk full, if it is above 0.
    pub(super) full_after_bytes: std::sync::atomic::AtomicU64,
    /// The fsync fails.
    pub(super) no_sync: std::sync::atomic::AtomicBool,
}

/// A file being written. Dropped before [`LocalFile::keep`] is done, it takes its file away.
pub(super) struct LocalFile {
    store: LocalStore,
    id: ObjectId,
    file: Arc<File>,
    chunks: Chunks,
    written_bytes: u64,
    path: PathBuf,
    kept: bool,
}

impl LocalStore {
    pub(super) fn open(folder: &Path) -> Result<Self, Problem> {
        for part in [folder.to_path_buf(), folder.join("incoming"), folder.join("stored")] {
            make_folder(&part).map_err(|error| failed("be made", &part, error))?;
        }
        Ok(Self {
            folder: Arc::from(folder),
            recent: Recent::default(),
            #[cfg(test)]
            faults: Arc::default(),
        })
    }

    fn incoming(&self, id: &ObjectId) -> PathBuf {
        self.folder.join("incoming").join(id.as_str())
    }

    fn stored(&self, id: &ObjectId) -> PathBuf {
        self.folder.join(super::stored_place(id))
    }

    /// Where an object's file is.
    pub(super) fn place(&self, id: &ObjectId) -> PathBuf {
        self.stored(id)
    }

    pub(super) fn create(&self, id: &ObjectId) -> Result<LocalFile, Problem> {
        let path = self.incoming(id);
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| failed("be made", &path, error))?;
        let file = Arc::new(file);
        let chunks = Chunks::of(&file);
        Ok(LocalFile { store: self.clone(), id: id.clone(), file, chunks, written_bytes: 0, path, kept: false })
    }

    /// Opens an object whose stored length is known.
    pub(super) fn read(&self, id: &ObjectId, stored_bytes: u64) -> Result<Reading, Problem> {
        let path = self.stored(id);
        let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(&path);
        let file = file.map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => missing(),
            _ => failed("be opened", &path, error),
        })?;
        let facts = file.metadata().map_err(|error| failed("be read", &path, error))?;
        if facts.len() != stored_bytes {
            return Err(damaged());
        }
        let past_cache = stored_bytes >= Reading::PAST_CACHE_BYTES_MIN && !self.recent.saw(id);
        Ok(Reading::of(file, past_cache.then_some(path.as_path())))
    }

    /// Takes an object away. What is not there is gone already.
    pub(super) fn delete(&self, id: &ObjectId) -> Result<(), Problem> {
        let path = self.stored(id);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed("be deleted", &path, error)),
            _ => Ok(()),
        }
    }

    /// Whether files here can be made immutable.
    pub(super) fn probe_flag(&self) -> Result<(), String> {
        super::flag::probe(&self.folder.join("incoming"))
    }

    /// Makes an object's file immutable, or takes that off. What is not there has nothing to be held.
    pub(super) fn set_flag(&self, id: &ObjectId, immutable: bool) -> Result<(), Problem> {
        let path = self.stored(id);
        match super::flag::set(&path, immutable) {
            Err(error) if error.kind() == io::ErrorKind::NotFound && !immutable => Ok(()),
            // A file system without the flag has none to take off.
            Err(error) if error.raw_os_error() == Some(libc::ENOTTY) && !immutable => Ok(()),
            Err(error) => Err(failed("be sealed", &path, error)),
            Ok(()) => Ok(()),
        }
    }

    pub(super) fn sweep(&self, is_known: &dyn Fn(&str) -> bool, older_than: Duration) -> Result<Swept, Problem> {
        let mut swept = Swept::default();
        let incoming = self.folder.join("incoming");
        swept.unfinished_count = sweep_folder(&incoming, &|_| false, older_than)?;
        let stored = self.folder.join("stored");
        for shard in entries(&stored)? {
            if shard.path().is_dir() {
                swept.orphan_count += sweep_folder(&shard.path(), is_known, older_than)?;
            }
        }
        Ok(swept)
    }
}

impl Sink for LocalFile {
    fn write_full(&mut self, buffer: Buffer) -> Result<(), Problem> {
        let offset = self.advance(buffer.as_ref().len())?;
        self.chunks.write(&self.path, buffer, offset).map_err(|error| failed("be written", &self.path, error))
    }

    fn write_last(&mut self, bytes: &[u8]) -> Result<(), Problem> {
        let offset = self.advance(bytes.len())?;
        self.file.write_all_at(bytes, offset).map_err(|error| failed("be written", &self.path, error))
    }
}

impl LocalFile {
    /// Where the next `length` bytes go.
    fn advance(&mut self, length: usize) -> Result<u64, Problem> {
        let offset = self.written_bytes;
        self.written_bytes = offset.saturating_add(length as u64);
        #[cfg(test)]
        self.store.faults.check_room(self.written_bytes).map_err(|error| failed("be written", &self.path, error))?;
        Ok(offset)
    }

    /// Gives the file its place and has both on disk.
    ///
    /// It is renamed before it is synced: no row names it yet, so a crash between the two leaves an orphan either way, and
    /// this order costs a journalling file system one commit instead of two.
    pub(super) fn keep(mut self) -> Result<(), Problem> {
        let place = self.store.stored(&self.id);
        let folder = place.parent().unwrap_or(&place).to_path_buf();
        let fail = |error| failed("be stored", &place, error);
        self.chunks.finish().map_err(fail)?;
        make_folder(&folder).map_err(fail)?;
        fs::rename(&self.path, &place).map_err(fail)?;
        self.path.clone_from(&place);
        #[cfg(test)]
        self.store.faults.check_sync().map_err(fail)?;
        self.file.sync_all().map_err(fail)?;
        sync_folder(&folder).map_err(fail)?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for LocalFile {
    fn drop(&mut self) {
        if !self.kept
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!(%error, "an unfinished object could not be taken away; the next sweep will try again");
        }
    }
}

#[cfg(test)]
impl Faults {
    fn check_room(&self, written_bytes: u64) -> io::Result<()> {
        let room = self.full_after_bytes.load(std::sync::atomic::Ordering::SeqCst);
        if room > 0 && written_bytes > room { Err(io::Error::from_raw_os_error(libc::ENOSPC)) } else { Ok(()) }
    }

    fn check_sync(&self) -> io::Result<()> {
        if self.no_sync.load(std::sync::atomic::Ordering::SeqCst) { Err(io::Error::from_raw_os_error(libc::EIO)) } else { Ok(()) }
    }
}

/// Makes a private folder that is there for good, if it is not there yet.
fn make_folder(folder: &Path) -> io::Result<()> {
    if folder.is_dir() {
        return Ok(());
    }
    match fs::DirBuilder::new().mode(0o700).create(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            fs::DirBuilder::new().mode(0o700).recursive(true).create(folder)?;
        }
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    folder.parent().filter(|parent| !parent.as_os_str().is_empty()).map_or(Ok(()), sync_folder)
}

fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, Problem> {
    let fail = |error| failed("be listed", folder, error);
    fs::read_dir(folder).map_err(fail)?.collect::<io::Result<Vec<_>>>().map_err(fail)
}

fn sweep_folder(folder: &Path, is_known: &dyn Fn(&str) -> bool, older_than: Duration) -> Result<usize, Problem> {
    let mut swept_count = 0;
    for entry in entries(folder)? {
        let name = entry.file_name();
        // Only what has the shape of our own names is ours to delete.
        let Some(id) = name.to_str().and_then(|name| ObjectId::parse(name).ok()) else {
            tracing::warn!("a file that is no object stands among the objects; it was left alone");
            continue;
        };
        let Ok(facts) = entry.metadata() else { continue };
        let age = facts.modified().ok().and_then(|at| SystemTime::now().duration_since(at).ok()).unwrap_or_default();
        if age < older_than || is_known(id.as_str()) {
            continue;
        }
        match fs::remove_file(entry.path()) {
            // Its time is over, or its row never came: who sealed it takes the flag off first.
            Err(_) if super::flag::is_set(&entry.path()).unwrap_or(false) => {
                tracing::info!(
                    object.id = id.as_str(),
                    "an object that nothing names is sealed still; it goes once that is over"
                );
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed("be swept", &entry.path(), error)),
            _ => swept_count += 1,
        }
    }
    Ok(swept_count)
}

fn missing() -> Problem {
    Problem::internal("the stored object is missing; restore it from a backup", "a known object has no file")
}

fn failed(what: &str, path: &Path, error: io::Error) -> Problem {
    // The path is for the log: it holds a random id and the server's own folder.
    tracing::error!(%error, path = %path.display(), "an object could not {what}");
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Problem::unavailable("there is no room left for objects; nothing was stored. Free some, and try again").because(error)
        }
        io::ErrorKind::FileTooLarge => {
            Problem::new(Kind::TooLarge, "the file system does not take files of this size").because(error)
        }
        _ => Problem::unavailable("the objects' disk cannot do this now; nothing was stored or deleted").because(error),
    }
}
