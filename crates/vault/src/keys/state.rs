//! How the keys stand: which versions there are, how old they are, whether each opens, and whether any lies on disk unwrapped.

use std::fs::File;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gate::{Outcome, Permit};
use kernel::{Kind, Micros, Problem, hex};
use parking_lot::Mutex;
use zeroize::Zeroizing;

use super::ring::{Keyring, unwrap_row};
use super::{KEY_BYTES, life_store, store};
use crate::db::Db;

/// Read at once, when files are searched for keys.
const SEARCH_BYTES: usize = 1024 * 1024;
/// The log's segments are zeros until they are written.
const ZEROS: [u8; 4_096] = [0; 4_096];
/// Files are searched up to this many bytes in all.
pub const SEARCH_BYTES_MAX: u64 = 16 << 30;
/// Folders below which files are searched.
const SEARCH_DEPTH_MAX: usize = 4;

/// A wrapped key, without its bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyFacts {
    /// `workspace` or `secret`.
    pub purpose: String,
    /// The workspace's id, or what the secret is for.
    pub name: String,
    /// Its version.
    pub version: i64,
    /// The service whose root key wraps it.
    pub root_name: String,
    /// By which version.
    pub root_version: i64,
    /// When it was made.
    pub created_at: Micros,
}

/// The root key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootFacts {
    /// The service that keeps it.
    pub service: &'static str,
    /// The version that wraps.
    pub version: i64,
    /// Since when it does.
    pub since_at: Option<Micros>,
    /// The versions that the service has, or why it does not say.
    pub versions: Result<Vec<i64>, String>,
    /// Whether a running server can rotate it.
    pub renews: bool,
}

/// What a check of the keys found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeysChecked {
    /// Wrapped keys that were opened.
    pub key_count: u64,
    /// Those that do not open: `purpose name version`.
    pub broken: Vec<String>,
    /// Bytes of files that were searched for keys.
    pub searched_bytes: u64,
    /// Whether that was all of them.
    pub searched_all: bool,
    /// Files in which a key lies as it is.
    pub plain_in: Vec<String>,
}

impl Keyring {
    /// Writes down since when the root key is in use, if that is not known. A server does when it begins.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn note_root(&self) -> Result<(), Problem> {
        let (root, at) = (self.root().await, self.now());
        self.system().write(move |writer| life_store::note_root(writer, root.name(), root.version(), at)).await
    }

    /// The root key as its service tells it now.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn root_facts<O: ?Sized>(&self, db: &Db, permit: &Permit<O>) -> Result<RootFacts, Problem> {
        let root = self.root().await;
        let (service, version) = (root.name(), root.version());
        let since_at = db.read(permit, move |reader| life_store::root_since(reader, service, version)).await?;
        let versions = root.versions().await.map_err(|problem| problem.to_string());
        Ok(RootFacts { service, version, since_at, versions, renews: root.renews() })
    }

    /// Every key below the root, by purpose, name and version.
    ///
    /// # Errors
    /// `Unavailable` if the database is down.
    pub async fn facts<O: ?Sized>(&self, db: &Db, permit: &Permit<O>) -> Result<Vec<KeyFacts>, Problem> {
        let rows = db.read(permit, store::all).await?;
        let facts = |row: store::WrappedKey| KeyFacts {
            purpose: row.purpose,
            name: row.name,
            version: row.version,
            root_name: row.root_name,
            root_version: row.root_version,
            created_at: row.created_at,
        };
        Ok(rows.into_iter().map(facts).collect())
    }

    /// Opens every key below the root by its service, and searches the files below `folders` for any of them unwrapped, as bytes and
    /// as hex digits.
    ///
    /// # Errors
    /// `Unavailable` if the database or the key service is down, or a file cannot be read.
    pub async fn check<O: ?Sized>(&self, db: &Db, permit: &Permit<O>, folders: Vec<PathBuf>) -> Result<KeysChecked, Problem> {
        let rows = db.read(permit, store::all).await?;
        let root = self.root().await;
        let mut checked = KeysChecked::default();
        let mut keys = Vec::with_capacity(rows.len());
        for row in rows {
            match unwrap_row(root.as_ref(), &row).await {
                Ok(key) => {
                    checked.key_count += 1;
                    keys.push(key);
                }
                Err(problem) if problem.kind() == Kind::Internal => {
                    tracing::error!(purpose = row.purpose, name = row.name, row.version, %problem, "a wrapped key does not open");
                    checked.broken.push(format!("{} {} {}", row.purpose, row.name, row.version));
                }
                Err(problem) => return Err(problem),
            }
        }
        let open = db.files();
        let searched = tokio::task::spawn_blocking(move || {
            let mut search = Search::new(keys.iter().map(kernel::Secret::expose), &open);
            for folder in &folders {
                search.below(folder, 0)?;
            }
            Ok::<_, std::io::Error>(search)
        });
        let search = searched
            .await
            .map_err(|broken| Problem::internal("the search for keys on disk broke off", broken))?
            .map_err(|error| Problem::unavailable("a file could not be searched for keys").because(error))?;
        checked.searched_bytes = search.bytes;
        checked.searched_all = !search.stopped;
        checked.plain_in = search.found;
        Ok(checked)
    }

    /// Makes a new version of the root key in its service, which then wraps every other key. Gives the version and how many it wraps;
    /// none where the service does that only offline.
    ///
    /// # Errors
    /// As [`Keyring::change_root`]. What was begun is gone on with by [`Keyring::finish_root`].
    pub async fn renew_root<O: ?Sized>(&self, db: &Db, permit: &Permit<O>) -> Result<Option<(i64, usize)>, Problem> {
        let root = self.root().await;
        let Some(new) = root.renewed().await? else { return Ok(None) };
        let version = new.version();
        let count = self.change_root(db, permit, new).await?;
        Ok(Some((version, count)))
    }

    /// Wraps by the root's newest version what an interrupted rotation left under an older one. Gives how many.
    ///
    /// # Errors
    /// As [`Keyring::change_root`].
    pub async fn finish_root<O: ?Sized>(&self, db: &Db, permit: &Permit<O>) -> Result<usize, Problem> {
        let root = self.root().await;
        let rows = db.read(permit, store::all).await?;
        if rows.iter().all(|row| row.root_version >= root.version()) {
            permit.defer_outcome().settle(&Outcome::done().with("rewrapped_count", 0_usize));
            return Ok(0);
        }
        self.change_root(db, permit, root).await
    }
}

/// Files of SQLite that were opened here, by device and inode: a handful, for as long as the process lives.
static NEVER_CLOSED: Mutex<Vec<(FileId, Arc<File>)>> = Mutex::new(Vec::new());

/// Device and inode.
type FileId = (u64, u64);

/// Opens a file that SQLite has open in this process, for good.
///
/// INVARIANT: no file of an open database is closed by anybody but SQLite: by POSIX, whichever descriptor of a file a process closes takes all
/// its locks on that file away. Then another process takes the database for closed, and puts its write-ahead log away under the server's
/// hands. Held by `tests/clients/test_program.py::test_keys_verify_leaves_the_database_its_locks` and `tests/drills/keys_drill.py`.
fn never_closed(id: FileId, path: &Path) -> std::io::Result<Arc<File>> {
    let mut all = NEVER_CLOSED.lock();
    if let Some((_, file)) = all.iter().find(|(known, _)| *known == id) {
        return Ok(Arc::clone(file));
    }
    let file = Arc::new(File::open(path)?);
    all.push((id, Arc::clone(&file)));
    Ok(file)
}

/// Finds keys in files. It compares the first two bytes by a table first, so that a disk is the limit.
struct Search {
    /// What SQLite has open in this process.
    open: Vec<FileId>,
    first: Vec<bool>,
    needles: Vec<Zeroizing<Vec<u8>>>,
    bytes: u64,
    stopped: bool,
    found: Vec<String>,
}

impl Search {
    fn new<'a>(keys: impl Iterator<Item = &'a [u8]>, open: &[PathBuf]) -> Self {
        let open = open.iter().filter_map(|path| std::fs::metadata(path).ok()).map(|facts| (facts.dev(), facts.ino())).collect();
        let mut first = vec![false; 1 << 16];
        let mut needles = Vec::new();
        for key in keys.filter(|key| key.len() == KEY_BYTES) {
            // Half of the hex digits are as many bytes as the key has.
            let digits: Vec<u8> = Zeroizing::new(hex(key)).bytes().take(KEY_BYTES).collect();
            for needle in [key.to_vec(), digits] {
                if let Some(at) = needle.first_chunk::<2>().map(|pair| usize::from(u16::from_be_bytes(*pair)))
                    && let Some(place) = first.get_mut(at)
                {
                    *place = true;
                }
                needles.push(Zeroizing::new(needle));
            }
        }
        Self { open, first, needles, bytes: 0, stopped: false, found: Vec::new() }
    }

    fn below(&mut self, path: &Path, depth: usize) -> std::io::Result<()> {
        let facts = match std::fs::symlink_metadata(path) {
            Ok(facts) => facts,
            // It went meanwhile, or was never made.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(error),
        };
        if facts.is_file() {
            return self.file(path);
        }
        if facts.is_dir() && depth < SEARCH_DEPTH_MAX {
            for entry in std::fs::read_dir(path)? {
                self.below(&entry?.path(), depth + 1)?;
            }
        }
        Ok(())
    }

    fn file(&mut self, path: &Path) -> std::io::Result<()> {
        let facts = std::fs::metadata(path)?;
        let id = (facts.dev(), facts.ino());
        let file = if self.open.contains(&id) { never_closed(id, path)? } else { Arc::new(File::open(path)?) };
        let mut buffer = Zeroizing::new(vec![0_u8; SEARCH_BYTES]);
        let (mut kept, mut at_bytes) = (0_usize, 0_u64);
        loop {
            if self.bytes >= SEARCH_BYTES_MAX {
                self.stopped = true;
                return Ok(());
            }
            let read = file.read_at(buffer.get_mut(kept..).unwrap_or_default(), at_bytes)?;
            if read == 0 {
                return Ok(());
            }
            at_bytes = at_bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            self.bytes = self.bytes.saturating_add(u64::try_from(read).unwrap_or(u64::MAX));
            let filled = kept.saturating_add(read);
            if self.holds(buffer.get(..filled).unwrap_or_default()) {
                self.found.push(path.display().to_string());
                return Ok(());
            }
            // What may be the beginning of a key is looked at again with what follows.
            let from = filled.saturating_sub(KEY_BYTES - 1);
            buffer.copy_within(from..filled, 0);
            kept = filled.saturating_sub(from);
        }
    }

    /// Blocks of zeros hold no key; that of a key which begins or ends in one lies in the next or the one before.
    fn holds(&self, bytes: &[u8]) -> bool {
        let around = |at: usize| {
            let from = at.saturating_sub(KEY_BYTES - 1);
            let to = at.saturating_add(ZEROS.len() + KEY_BYTES - 1).min(bytes.len());
            bytes.get(from..to).unwrap_or_default()
        };
        let blocks = bytes.chunks(ZEROS.len()).enumerate().filter(|(_, block)| ZEROS.get(..block.len()) != Some(block));
        blocks.into_iter().any(|(number, _)| self.is_in(around(number.saturating_mul(ZEROS.len()))))
    }

    fn is_in(&self, bytes: &[u8]) -> bool {
        bytes.windows(KEY_BYTES).any(|window| {
            let at = window.first_chunk::<2>().map_or(0, |pair| usize::from(u16::from_be_bytes(*pair)));
            self.first.get(at).copied().unwrap_or(false) && self.needles.iter().any(|needle| needle.as_slice() == window)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_lies() {
        let folder = tempfile::tempdir().unwrap();
        let key: Vec<u8> = (0..32).map(|n| n * 7).collect();
        let check = |name: &str, bytes: &[u8], found: bool| {
            let path = folder.path().join(name);
            std::fs::write(&path, bytes).unwrap();
            let mut search = Search::new([key.as_slice()].into_iter(), &[]);
            search.below(folder.path(), 0).unwrap();
            assert_eq!(search.found.len(), usize::from(found), "{name}");
            std::fs::remove_file(&path).unwrap();
        };
        for at in
            [0, 1, SEARCH_BYTES - 40, SEARCH_BYTES - 32, SEARCH_BYTES - 16, SEARCH_BYTES - 1, SEARCH_BYTES, 2 * SEARCH_BYTES + 5]
        {
            let mut bytes = vec![1_u8; at];
            bytes.extend_from_slice(&key);
            bytes.extend_from_slice(&[2; 50]);
            check(&format!("bytes at {at}"), &bytes, true);
            let zeros = [vec![0_u8; at], key.clone(), vec![0; 9_000]].concat();
            check(&format!("among zeros at {at}"), &zeros, true);
            bytes.truncate(at);
            bytes.extend_from_slice(hex(&key).as_bytes());
            check(&format!("digits at {at}"), &bytes, true);
            bytes.truncate(at);
            bytes.extend_from_slice(&key[..31]);
            check(&format!("cut at {at}"), &bytes, false);
        }
        let mut none = Search::new([key.as_slice()].into_iter(), &[]);
        none.below(&folder.path().join("nowhere"), 0).unwrap();
        assert!(none.found.is_empty() && !none.stopped);
    }
}
