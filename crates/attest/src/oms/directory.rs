//! A model in a folder: its files are listed and hashed, by all cores, without following a link.

use std::fs::File;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

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
/// Fits the second-level cache, so that what was copied is hashed from there.
const CHUNK_BYTES: usize = 256 * 1024;
const THREAD_COUNT_MAX: usize = 16;

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
        let threads = std::thread::available_parallelism().map_or(1, usize::from).min(THREAD_COUNT_MAX).min(ranges.len());
        let work = || {
            while let Some(at) = order.get(next.fetch_add(1, Ordering::Relaxed)) {
                let Some((path, from, to)) = ranges.get(*at) else { break };
                let digest = hash_range(&self.root.join(path), *from, *to);
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
    Ok((size, hash_range(path, 0, size)?))
}

fn hash_range(path: &Path, from: u64, to: u64) -> Result<Digest, AttestError> {
    let io = |source| AttestError::Io { path: path.to_owned(), source };
    let file = File::options().read(true).custom_flags(libc::O_NOFOLLOW).open(path).map_err(io)?;
    let size = file.metadata().map_err(io)?.len();
    let mut hasher = Sha256Hasher::new();
    let mut chunk = vec![0; CHUNK_BYTES];
    let mut at = from;
    while at < to {
        let wanted = usize::try_from(to - at).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        let Some(room) = chunk.get_mut(..wanted) else { break };
        let count = file.read_at(room, at).map_err(io)?;
        let Some(read) = room.get(..count).filter(|read| !read.is_empty()) else { break };
        hasher.update(read);
        at += count as u64;
    }
    // Whoever writes while we read gets no signature.
    if at != to || to > size {
        return Err(AttestError::BadFile { path: path.display().to_string(), problem: "changed while it was read" });
    }
    Ok(hasher.finish())
}
