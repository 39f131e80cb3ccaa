//! Puts the parts of a backup into their places. Each is checked while it is written: nothing appears under its name that is not what
//! the manifest says.

use std::collections::BTreeSet;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use futures_util::StreamExt;
use kernel::{Kind, Problem, Sha256Hasher, hex};
use tokio::task::{JoinError, JoinSet};
use vault::db::Location;
use vault::db::snapshot::{POSTGRES, SQLITE};
use vault::objects::{ObjectId, stored_place};

use super::{DATABASE, DUMP};
use crate::chain::Chain;
use crate::error::BackupError;
use crate::inventory::{Blob, Inventory};
use crate::manifest::Signed;
use crate::sealed::{self, object_name};
use crate::target::{Stored, Target};
use crate::trust::Trust;

/// Lies in a folder as long as a restore works on it, as in one that `init` works on: no server starts there.
pub const MARK: &str = "unfinished";
/// Objects that are restored at once. Each holds one or two pieces of what lies in the backup.
const FLIGHT_COUNT_MAX: usize = 16;

/// What was put into its place.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Unpacked {
    /// Objects.
    pub object_count: u64,
    /// Files, the database among them.
    pub file_count: u64,
    /// Their bytes.
    pub restored_bytes: u64,
    /// Objects that an earlier try had put there.
    pub kept_count: u64,
    /// Whether an earlier try had begun.
    pub goes_on: bool,
}

/// Puts a backup into `into`, which is new, empty, or what an earlier try on the same backup left. The log's point is proved. A database of
/// SQLite is in its place then; of one of PostgreSQL the dump is, for [`vault::db::snapshot::Fresh`] to take up.
///
/// # Errors
/// `Conflict` if the folder holds something else; [`BackupError`] for the first part that is not what it must be.
pub async fn unpack(target: &Target, trust: &Trust, chain: &Chain, of: &Signed, into: &Path) -> Result<Unpacked, Problem> {
    let point = of.manifest.log.check(&trust.log)?;
    let list = chain.inventory(target, trust, of).await?;
    let done = Unpacked { goes_on: begin(into, of)?, ..Unpacked::default() };
    let mut work = Work { target, trust, into, done, folders: BTreeSet::new() };
    work.database(of).await?;
    work.objects(&list).await?;
    work.files(&list).await?;
    let root = audit::root_of_files(&into.join("audit"), point.point)?;
    if root != point.point_root {
        return Err(BackupError::Log("the restored records do not give the root that the manifest names".to_owned()).into());
    }
    for folder in &work.folders {
        sync_folder(folder)?;
    }
    Ok(work.done)
}

/// Takes the mark away: the folder is a data folder from now on.
///
/// # Errors
/// `Internal` if it cannot be written.
pub fn finish(into: &Path) -> Result<(), Problem> {
    let path = into.join(MARK);
    fs::remove_file(&path).map_err(|error| failed(&path, error))?;
    sync_folder(into)
}

/// Marks the folder; gives whether an earlier try had.
fn begin(into: &Path, of: &Signed) -> Result<bool, Problem> {
    let mark = format!("restore {}\n", hex(&of.sha256));
    let path = into.join(MARK);
    let shown = into.display();
    if fs::read_to_string(&path).is_ok_and(|text| text == mark) {
        // What an earlier try made of database and log is made anew; objects are kept, as far as they are whole.
        for name in ["audit", "db", "predictions"] {
            match fs::remove_dir_all(into.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&into.join(name), error)),
                _ => {}
            }
        }
        return Ok(true);
    }
    if fs::read_dir(into).is_ok_and(|mut entries| entries.next().is_some()) {
        let message = format!("`{shown}` is not empty, and a restore writes over nothing: name a new folder");
        return Err(Problem::new(Kind::Conflict, message));
    }
    DirBuilder::new().recursive(true).mode(0o700).create(into).map_err(|error| failed(into, error))?;
    let mut file = create(&path)?;
    file.write_all(mark.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&path, error))?;
    sync_folder(into)?;
    Ok(false)
}

/// The log's folder names the checkpoint that the database knows: neither is ahead of the other.
///
/// # Errors
/// `Invalid` or `Unavailable` if the database cannot be read; `Unavailable` if it cannot be written.
pub fn place_checkpoint(into: &Path, database: &Location, trust: &Trust) -> Result<(), Problem> {
    let row = database.read(|reader| audit::known_checkpoint(reader, &trust.instance))?;
    let Some(row) = row else { return Ok(()) };
    let place = into.join("audit/log/checkpoint");
    let mut file = create(&place)?;
    file.write_all(row.note.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&place, error))
}

struct Work<'a> {
    target: &'a Target,
    trust: &'a Trust,
    into: &'a Path,
    done: Unpacked,
    folders: BTreeSet<PathBuf>,
}

impl Work<'_> {
    async fn database(&mut self, of: &Signed) -> Result<(), Problem> {
        let sequence = of.manifest.sequence;
        let blob = of.manifest.database.blob();
        let blob = blob.ok_or_else(|| BackupError::Malformed(sequence, "its snapshot has no digest".to_owned()))?;
        let what = format!("the database's snapshot of backup {sequence}");
        let place = match of.manifest.engine.as_str() {
            SQLITE => DATABASE,
            POSTGRES => DUMP,
            other => {
                let why = format!("its database is of an engine that this program does not know, `{other}`");
                return Err(BackupError::Malformed(sequence, why).into());
            }
        };
        for beside in ["-wal", "-shm", "-journal"] {
            drop(fs::remove_file(self.into.join(format!("{DATABASE}{beside}"))));
        }
        self.file(&blob, &what, place, None).await
    }

    /// Several objects at once: the next ones are read and hashed while the disk takes the last ones.
    async fn objects(&mut self, list: &Inventory) -> Result<(), Problem> {
        for folder in ["objects", "objects/incoming", "objects/stored"] {
            self.folder(&self.into.join(folder))?;
        }
        // What is under way is given up where this returns early: half an object lies under no name that anything reads.
        let mut flights = JoinSet::new();
        for (id, stored) in &list.objects {
            if flights.len() >= FLIGHT_COUNT_MAX {
                self.landed(flights.join_next().await)?;
            }
            let place = self.into.join("objects").join(stored_place(&ObjectId::parse(id)?));
            self.folder(place.parent().unwrap_or(self.into))?;
            let part = self.into.join("objects/incoming").join(id);
            flights.spawn(object(self.target.clone(), id.clone(), *stored, (part, place)));
        }
        while !flights.is_empty() {
            self.landed(flights.join_next().await)?;
        }
        Ok(())
    }

    fn landed(&mut self, flight: Option<Result<Result<Landed, Problem>, JoinError>>) -> Result<(), Problem> {
        let Some(flight) = flight else { return Ok(()) };
        let landed = flight.map_err(|broken| Problem::internal("restoring an object broke off", broken))??;
        self.done.kept_count += u64::from(landed.was_there);
        self.done.object_count += 1;
        self.done.restored_bytes = self.done.restored_bytes.saturating_add(landed.size_bytes);
        Ok(())
    }

    async fn files(&mut self, list: &Inventory) -> Result<(), Problem> {
        for (name, entry) in &list.files {
            let what = format!("the file `{name}`");
            self.file(&entry.blob, &what, name, Some((entry.length_bytes, entry.size_bytes))).await?;
        }
        for name in ["db", "audit", "audit/wal", "audit/log", "audit/anchors", "tls", "keys"] {
            self.folder(&self.into.join(name))?;
        }
        Ok(())
    }

    /// A sealed file: `grown` gives its length and its size, the rest zeros.
    async fn file(&mut self, blob: &Blob, what: &str, name: &str, grown: Option<(u64, u64)>) -> Result<(), Problem> {
        let place = self.into.join(name);
        let parent = place.parent().unwrap_or(self.into).to_path_buf();
        self.folder(&parent)?;
        let part = PathBuf::from(format!("{}.part", place.display()));
        let mut file = create(&part)?;
        let mut length_bytes = 0_u64;
        let read = sealed::read(self.target, &self.trust.key, blob, what, |piece| {
            length_bytes = length_bytes.saturating_add(piece.len() as u64);
            file.write_all(piece).map_err(|error| failed(&part, error))
        });
        if let Err(error) = read.await {
            drop(fs::remove_file(&part));
            return Err(error.into());
        }
        if let Some((length, size)) = grown {
            if length != length_bytes || size < length {
                return Err(BackupError::Damaged(what.to_owned()).into());
            }
            file.set_len(size).map_err(|error| failed(&part, error))?;
        }
        file.sync_all().and_then(|()| fs::rename(&part, &place)).map_err(|error| failed(&place, error))?;
        self.done.file_count += 1;
        self.done.restored_bytes = self.done.restored_bytes.saturating_add(length_bytes);
        Ok(())
    }

    fn folder(&mut self, path: &Path) -> Result<(), Problem> {
        if self.folders.contains(path) {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| failed(path, error))?;
        self.folders.insert(path.to_path_buf());
        Ok(())
    }
}

/// An object that is in its place.
struct Landed {
    size_bytes: u64,
    /// Whether an earlier try had put it there.
    was_there: bool,
}

/// Puts an object into its place, unless an earlier try did. It bears its name when it is whole and on the disk.
async fn object(target: Target, id: String, stored: Stored, (part, place): (PathBuf, PathBuf)) -> Result<Landed, Problem> {
    let size_bytes = stored.size_bytes;
    let there = place.clone();
    if aside(move || digest_of(&there)).await? == Some(stored) {
        return Ok(Landed { size_bytes, was_there: true });
    }
    let what = || format!("object {id}");
    let mut pieces = target.read(&object_name(&id)).await?.ok_or_else(|| BackupError::Missing(what()))?;
    let opened = part.clone();
    let mut file = aside(move || create(&opened)).await?;
    let (mut hasher, mut written_bytes) = (Sha256Hasher::new(), 0_u64);
    while let Some(piece) = pieces.next().await {
        let (piece, shown) = (piece?, part.clone());
        written_bytes = written_bytes.saturating_add(piece.len() as u64);
        (file, hasher) = aside(move || {
            hasher.update(&piece);
            file.write_all(&piece).map_err(|error| failed(&shown, error))?;
            Ok((file, hasher))
        })
        .await?;
    }
    let read = Stored { size_bytes: written_bytes, sha256: hasher.finish() };
    if read != stored {
        aside(move || fs::remove_file(&part).map_err(|error| failed(&part, error))).await?;
        return Err(BackupError::Damaged(what()).into());
    }
    aside(move || file.sync_all().and_then(|()| fs::rename(&part, &place)).map_err(|error| failed(&place, error))).await?;
    Ok(Landed { size_bytes, was_there: false })
}

/// Work with files, on a thread that may wait for the disk.
async fn aside<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|broken| Problem::internal("restoring an object broke off", broken))?
}

fn create(path: &Path) -> Result<File, Problem> {
    let file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path);
    file.map_err(|error| failed(path, error))
}

fn digest_of(path: &Path) -> Result<Option<Stored>, Problem> {
    use std::io::Read;
    let mut file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(path, error)),
    };
    let (mut hasher, mut size_bytes, mut piece) = (Sha256Hasher::new(), 0_u64, vec![0_u8; 1 << 20]);
    loop {
        let count = file.read(&mut piece).map_err(|error| failed(path, error))?;
        if count == 0 {
            return Ok(Some(Stored { size_bytes, sha256: hasher.finish() }));
        }
        hasher.update(piece.get(..count).unwrap_or_default());
        size_bytes = size_bytes.saturating_add(count as u64);
    }
}

fn sync_folder(path: &Path) -> Result<(), Problem> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(|error| failed(path, error))
}

fn failed(path: &Path, error: std::io::Error) -> Problem {
    Problem::unavailable(format!("`{}` cannot be written: {error}", path.display())).because(error)
}
