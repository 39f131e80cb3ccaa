//! A model in a folder: its files are listed and hashed, by all cores, without following a link.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::sync_channel;

use kernel::Sha256Hasher;

use super::compare::ModelSource;
use super::manifest::{Manifest, Method, Resource};
use super::path::{is_canonical, is_git};
use super::{Digest, SIGNATURE_NAME};
use crate::dsse::within;
use crate::error::AttestError;

/// Files of one model.
pub const FILE_COUNT_MAX: usize = 200_000;

/// Folders in folders.
const DEPTH_MAX: usize = 64;
/// Fits a core's caches, so that what was copied is hashed from there.
const CHUNK_BYTES: usize = 512 * 1024;
const THREAD_COUNT_MAX: usize = 16;
/// Chunks that are read before they are hashed.
const AHEAD_COUNT: usize = 4;
/// A second thread is not worth it for less.
const AHEAD_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// A model's folder, or its one file.
pub struct Directory {
    root: PathBuf,
    /// The file's name if the model is one file.
    file: Option<String>,
}

impl Directory {
    /// The model at `path`.
    ///
    /// # Errors
    /// `BadFile` if it is a link or no file or folder; `Io`.
    pub fn open(path: &Path) -> Result<Self, AttestError> {
        let io = |source| AttestError::Io { path: path.to_owned(), source };
        let kind = std::fs::symlink_metadata(path).map_err(io)?.file_type();
        let shown = || path.display().to_string();
        if kind.is_symlink() {
            return Err(AttestError::BadFile { path: shown(), problem: LINK });
        }
        if kind.is_dir() {
            return Ok(Self { root: path.to_owned(), file: None });
        }
        let name = path.file_name().and_then(|name| name.to_str()).filter(|name| is_canonical(name));
        match (kind.is_file(), name, path.parent()) {
            (true, Some(name), Some(parent)) => Ok(Self { root: parent.to_owned(), file: Some(name.to_owned()) }),
            _ => Err(AttestError::BadFile { path: shown(), problem: "is neither a folder nor a file that can be signed" }),
        }
    }

    /// The manifest of what is there now, read and hashed.
    ///
    /// # Errors
    /// `BadFile` for what cannot be signed, such as a link; `Io`; as [`Manifest::of_files`].
    pub fn manifest(&self, name: &str, method: Method, signature_name: Option<&str>) -> Result<Manifest, AttestError> {
        let signature_name = signature_name.unwrap_or(SIGNATURE_NAME);
        let mut ranges = Vec::new();
        for (path, size) in self.files()? {
            if is_git(&path) || path == signature_name {
                continue;
            }
            match method {
                Method::Files => ranges.push((path, 0, size)),
                Method::Shards(0) => return Err(AttestError::malformed("a shard has at least one byte")),
                Method::Shards(bytes) => {
                    within("the number of shards", usize::try_from(size / bytes).unwrap_or(usize::MAX), FILE_COUNT_MAX)?;
                    let mut from = 0;
                    while from < size {
                        let to = size.min(from.saturating_add(bytes));
                        ranges.push((path.clone(), from, to));
                        from = to;
                    }
                }
            }
        }
        let digests = self.hash(&ranges)?;
        let resource = |((path, from, to), sha256): ((String, u64, u64), Digest)| Resource {
            path,
            range: (method != Method::Files).then_some((from, to)),
            sha256,
        };
        Manifest::new(name, method, ranges.into_iter().zip(digests).map(resource).collect(), signature_name)
    }

    fn list(&self, below: &str, depth: usize, found: &mut Vec<(String, u64)>) -> Result<(), AttestError> {
        let folder = self.root.join(below);
        let bad = |path: &str, problem| AttestError::BadFile { path: path.to_owned(), problem };
        if depth > DEPTH_MAX {
            return Err(bad(below, "lies deeper than 64 folders"));
        }
        let io = |source| AttestError::Io { path: folder.clone(), source };
        for entry in std::fs::read_dir(&folder).map_err(io)? {
            let entry = entry.map_err(io)?;
            let name = entry.file_name();
            let shown = if below.is_empty() { String::new() } else { format!("{below}/") } + &name.to_string_lossy();
            if name.to_str().is_none() || !is_canonical(&shown) {
                return Err(bad(&shown, "has a name that cannot be signed; rename it"));
            }
            let facts = entry.metadata().map_err(io)?;
            let kind = facts.file_type();
            if kind.is_symlink() {
                return Err(bad(&shown, LINK));
            }
            if kind.is_dir() {
                self.list(&shown, depth + 1, found)?;
            } else if kind.is_file() {
                found.push((shown, facts.len()));
            } else {
                return Err(bad(&shown, "is neither a file nor a folder"));
            }
            within("the number of files", found.len(), FILE_COUNT_MAX)?;
        }
        Ok(())
    }
}

const LINK: &str = "is a symbolic link, which is never followed: put the file itself there";

impl ModelSource for Directory {
    fn files(&self) -> Result<Vec<(String, u64)>, AttestError> {
        let mut found = Vec::new();
        if let Some(name) = &self.file {
            let path = self.root.join(name);
            let facts = std::fs::symlink_metadata(&path).map_err(|source| AttestError::Io { path, source })?;
            found.push((name.clone(), facts.len()));
        } else {
            self.list("", 0, &mut found)?;
        }
        found.sort();
        Ok(found)
    }

    fn hash(&self, ranges: &[(String, u64, u64)]) -> Result<Vec<Digest>, AttestError> {
        // The longest first, so that no core is left with one at the end.
        let mut order: Vec<usize> = (0..ranges.len()).collect();
        order.sort_by_key(|at| ranges.get(*at).map_or(0, |(_, from, to)| from.abs_diff(*to)));
        order.reverse();
        let next = AtomicUsize::new(0);
        let done = Mutex::new(Vec::with_capacity(ranges.len()));
        let cores = std::thread::available_parallelism().map_or(1, usize::from).min(THREAD_COUNT_MAX);
        let threads = cores.min(ranges.len());
        // With fewer large files than cores, the cores that are left read ahead.
        let ahead = ranges.iter().filter(|(_, from, to)| to.saturating_sub(*from) > AHEAD_BYTES_MIN).count() < cores;
        let work = || {
            while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Some((path, from, to)) = ranges.get(*at) else { break };
                let digest = Range::open(&self.root.join(path), *from, *to).and_then(|range| {
                    if ahead && to.saturating_sub(*from) > AHEAD_BYTES_MIN { range.hash_reading_ahead() } else { range.hash() }
                });
                let failed = digest.is_err();
                if let Ok(mut done) = done.lock() {
                    done.push((*at, digest));
                }
                if failed {
                    next.store(order.len(), Ordering::Relaxed);
                }
            }
        };
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(work);
            }
        });
        let mut done = done.into_inner().unwrap_or_default();
        done.sort_by_key(|(at, _)| *at);
        done.into_iter().map(|(_, digest)| digest).collect()
    }
}

/// SHA-256 of a whole file, no link.
///
/// # Errors
/// `BadFile` if it is a link; `Io`.
pub fn hash_file(path: &Path) -> Result<(u64, Digest), AttestError> {
    let size = std::fs::symlink_metadata(path).map_err(|source| AttestError::Io { path: path.to_owned(), source })?.len();
    Ok((size, Range::open(path, 0, size)?.hash()?))
}

/// A file, open, and which bytes of it are wanted.
struct Range {
    path: PathBuf,
    file: File,
    from: u64,
    to: u64,
}

impl Range {
    fn open(path: &Path, from: u64, to: u64) -> Result<Self, AttestError> {
        let io = |source| AttestError::Io { path: path.to_owned(), source };
        let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path).map_err(io)?;
        let range = Self { path: path.to_owned(), file, from, to };
        if to > range.file.metadata().map_err(io)?.len() {
            return Err(range.changed());
        }
        Ok(range)
    }

    /// Whoever writes while we read gets no signature.
    fn changed(&self) -> AttestError {
        AttestError::BadFile { path: self.path.display().to_string(), problem: "changed while it was read" }
    }

    /// Fills `chunk` from `at`, as far as the range goes; gives how many bytes.
    fn read(&self, chunk: &mut [u8], at: u64) -> Result<usize, AttestError> {
        let wanted = usize::try_from(self.to - at).unwrap_or(usize::MAX).min(chunk.len());
        let room = chunk.get_mut(..wanted).unwrap_or_default();
        match self.file.read_at(room, at) {
            Ok(0) => Err(self.changed()),
            Ok(count) => Ok(count),
            Err(source) => Err(AttestError::Io { path: self.path.clone(), source }),
        }
    }

    fn hash(&self) -> Result<Digest, AttestError> {
        let mut hasher = Sha256Hasher::new();
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut at = self.from;
        while at < self.to {
            let count = self.read(&mut chunk, at)?;
            hasher.update(chunk.get(..count).unwrap_or_default());
            at += count as u64;
        }
        Ok(hasher.finish())
    }

    /// As [`Self::hash`], with another thread that reads ahead: copying out of the page cache costs a quarter of hashing.
    fn hash_reading_ahead(&self) -> Result<Digest, AttestError> {
        std::thread::scope(|scope| {
            let (full, filled) = sync_channel::<Result<Vec<u8>, AttestError>>(AHEAD_COUNT);
            let (empty, emptied) = sync_channel::<Vec<u8>>(AHEAD_COUNT + 2);
            scope.spawn(move || {
                let mut at = self.from;
                while at < self.to {
                    let mut chunk = emptied.try_recv().unwrap_or_default();
                    chunk.resize(CHUNK_BYTES, 0);
                    let read = self.read(&mut chunk, at).map(|count| {
                        chunk.truncate(count);
                        at += count as u64;
                        chunk
                    });
                    let failed = read.is_err();
                    if full.send(read).is_err() || failed {
                        break;
                    }
                }
            });
            let mut hasher = Sha256Hasher::new();
            let mut hashed = self.from;
            // INVARIANT: at most `AHEAD_COUNT` + 2 chunks are in memory: the channel waits when it is full.
            for chunk in filled {
                let chunk = chunk?;
                hasher.update(&chunk);
                hashed += chunk.len() as u64;
                // The reader may have ended already.
                drop(empty.try_send(chunk));
            }
            if hashed == self.to { Ok(hasher.finish()) } else { Err(self.changed()) }
        })
    }
}
