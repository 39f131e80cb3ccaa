//! The root key in a file of its own, readable by the server's account only.
//!
//! First line `strongroom-root-key-1`, then one line `VERSION HEX` per version; the last one wraps.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use gate::BoxFuture;
use kernel::{Problem, Secret, hex, parse_hex, random_bytes};
use zeroize::Zeroizing;

use super::{KEY_BYTES, KeyService, wrap};

const HEAD: &str = "strongroom-root-key-1";
/// Versions in one file: rotation drops those that wrap nothing any more.
const VERSION_COUNT_MAX: usize = 64;
const FILE_BYTES_MAX: u64 = 16 * 1024;
const MODE: u32 = 0o600;

/// A root key in a file.
pub struct KeyFile {
    path: PathBuf,
    /// At least one, by rising version.
    versions: Vec<(i64, Secret)>,
}

impl KeyFile {
    /// Makes a new root key at `path`, which must not exist.
    ///
    /// # Errors
    /// `AlreadyExists` if there is a file; `Unavailable` if it cannot be written.
    pub fn create(path: &Path) -> Result<Self, Problem> {
        let made = Self { path: path.to_path_buf(), versions: vec![(1, fresh())] };
        write_private(path, &made.text()).map_err(|error| match error.kind() {
            std::io::ErrorKind::AlreadyExists => Problem::already_exists(format!(
                "a root key exists at `{}`; move it away first, or keep it: without it no data can be read",
                path.display()
            )),
            _ => unwritten(path, error),
        })?;
        Ok(made)
    }

    /// Reads the root key at `path`.
    ///
    /// # Errors
    /// `Invalid` if its mode is not 0600, it is no plain file or does not hold a root key; `NotFound` if there is none.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let text = read_private(path)?;
        let mut versions = Vec::new();
        let mut lines = text.lines();
        let broken = || Problem::invalid(format!("`{}` does not hold a root key of this version of strongroom", path.display()));
        if lines.next() != Some(HEAD) {
            return Err(broken());
        }
        for line in lines {
            let (version, key) = line.split_once(' ').ok_or_else(broken)?;
            let version: i64 = version.parse().map_err(|_| broken())?;
            let key = parse_hex(key).filter(|key| key.len() == KEY_BYTES).ok_or_else(broken)?;
            if versions.last().is_some_and(|(last, _)| *last >= version) {
                return Err(broken());
            }
            versions.push((version, Secret::new(key)));
        }
        if versions.is_empty() || versions.len() > VERSION_COUNT_MAX {
            return Err(broken());
        }
        Ok(Self { path: path.to_path_buf(), versions })
    }

    /// The same file with a new version added, which is on disk when this answers. Old versions stay until
    /// [`KeyFile::keep_newest`], so that a crash between the two loses nothing.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be written; `Invalid` if it holds too many versions.
    pub fn rotated(&self) -> Result<Self, Problem> {
        if self.versions.len() >= VERSION_COUNT_MAX {
            return Err(Problem::invalid(format!(
                "the root key file holds {VERSION_COUNT_MAX} versions; finish a rotation first"
            )));
        }
        let mut next = Self { path: self.path.clone(), versions: self.versions.clone() };
        next.versions.push((self.version().saturating_add(1), fresh()));
        next.replace()?;
        Ok(next)
    }

    /// The same file without its old versions. Only when nothing is wrapped by them any more.
    ///
    /// # Errors
    /// `Unavailable` if the file cannot be written.
    pub fn keep_newest(&self) -> Result<Self, Problem> {
        let newest = self.versions.last().cloned().into_iter().collect();
        let next = Self { path: self.path.clone(), versions: newest };
        next.replace()?;
        Ok(next)
    }

    fn replace(&self) -> Result<(), Problem> {
        replace_private(&self.path, &self.text()).map_err(|error| unwritten(&self.path, error))
    }

    fn text(&self) -> Zeroizing<String> {
        let mut text = Zeroizing::new(format!("{HEAD}\n"));
        for (version, key) in &self.versions {
            let key = Zeroizing::new(hex(key.expose()));
            text.push_str(&format!("{version} "));
            text.push_str(&key);
            text.push('\n');
        }
        text
    }
}

fn fresh() -> Secret {
    Secret::new(random_bytes::<KEY_BYTES>().to_vec())
}

fn unwritten(path: &Path, error: std::io::Error) -> Problem {
    Problem::unavailable(format!("the root key cannot be written to `{}`", path.display())).because(error)
}

fn remove_if_there(path: &Path) -> std::io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

/// Writes a new file that only its owner can read, and has it on disk.
pub(super) fn write_private(path: &Path, text: &str) -> std::io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(MODE).open(path)?;
    // The process's umask may have taken bits away; the check on opening is exact.
    file.set_permissions(fs::Permissions::from_mode(MODE))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    sync_parent(path)
}

/// Puts a new text in the place of an old one, so that one of them is there whatever happens, and has it on disk.
pub(super) fn replace_private(path: &Path, text: &str) -> std::io::Result<()> {
    let beside = path.with_extension("new");
    remove_if_there(&beside)?;
    write_private(&beside, text)?;
    fs::rename(&beside, path)?;
    sync_parent(path)
}

fn sync_parent(path: &Path) -> std::io::Result<()> {
    match path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        Some(parent) => File::open(parent)?.sync_all(),
        None => File::open(".")?.sync_all(),
    }
}

/// Reads a file that must be plain, small and readable by its owner only.
pub(super) fn read_private(path: &Path) -> Result<Zeroizing<String>, Problem> {
    let shown = path.display();
    let file = OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path).map_err(|error| match error.kind() {
        std::io::ErrorKind::NotFound => {
            Problem::not_found(format!("there is no root key at `{shown}`; `strongroom init` makes one"))
        }
        _ => Problem::invalid(format!(
            "the root key at `{shown}` cannot be opened; it must be a plain file of the server's account"
        ))
        .because(error),
    })?;
    let unread = |error| Problem::unavailable(format!("the root key at `{shown}` cannot be read")).because(error);
    let facts = file.metadata().map_err(unread)?;
    if !facts.is_file() || facts.len() > FILE_BYTES_MAX {
        return Err(Problem::invalid(format!("`{shown}` is not a root key file")));
    }
    let mode = facts.permissions().mode() & 0o7777;
    if mode != MODE {
        return Err(Problem::invalid(format!(
            "the root key at `{shown}` has mode {mode:04o}; only 0600 is accepted: chmod 600 it"
        )));
    }
    let mut text = Zeroizing::new(String::new());
    file.take(FILE_BYTES_MAX).read_to_string(&mut text).map_err(unread)?;
    Ok(text)
}

impl KeyService for KeyFile {
    fn name(&self) -> &'static str {
        "file"
    }

    fn version(&self) -> i64 {
        self.versions.last().map_or(0, |(version, _)| *version)
    }

    fn wrap<'a>(&'a self, key: &'a Secret, aad: &'a [u8]) -> BoxFuture<'a, Result<Vec<u8>, Problem>> {
        Box::pin(async move {
            let (_, root) = self.versions.last().ok_or_else(|| no_version(self.version()))?;
            wrap::wrap(root, key, aad)
        })
    }

    fn unwrap<'a>(&'a self, version: i64, wrapped: &'a [u8], aad: &'a [u8]) -> BoxFuture<'a, Result<Secret, Problem>> {
        Box::pin(async move {
            let root = self.versions.iter().find(|(known, _)| *known == version);
            let (_, root) = root.ok_or_else(|| no_version(version))?;
            wrap::unwrap(root, wrapped, aad)
        })
    }

    fn versions(&self) -> BoxFuture<'_, Result<Vec<i64>, Problem>> {
        Box::pin(async move { Ok(self.versions.iter().map(|(version, _)| *version).collect()) })
    }

    fn renews(&self) -> bool {
        false
    }

    fn renewed(&self) -> BoxFuture<'_, Result<Option<Arc<dyn KeyService>>, Problem>> {
        Box::pin(async { Ok(None) })
    }
}

pub(super) fn no_version(version: i64) -> Problem {
    let message = format!("a key is wrapped by version {version} of the root key, which is not here: restore that root key");
    Problem::internal(message, "the root key's version is unknown")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_file_is_private_and_is_read_back() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let made = KeyFile::create(&path).unwrap();
        let read = KeyFile::open(&path).unwrap();
        assert!(made.versions == read.versions);
        assert!(KeyFile::create(&path).is_err());
        for mode in [0o644, 0o640, 0o660, 0o604, 0o700, 0o4600] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            let refused = KeyFile::open(&path).map(|_| ()).unwrap_err();
            assert!(refused.message().contains("0600"), "{refused}");
        }
        fs::set_permissions(&path, fs::Permissions::from_mode(MODE)).unwrap();
        let link = folder.path().join("link.key");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(KeyFile::open(&link).is_err());
        assert!(KeyFile::open(&folder.path().join("none")).is_err());
    }

    #[test]
    fn broken_key_files_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let key = hex(&[7; 32]);
        let cases = [
            String::new(),
            "something\n".to_owned(),
            format!("{HEAD}\n"),
            format!("{HEAD}\n1 00\n"),
            format!("{HEAD}\n2 {key}\n1 {key}\n"),
            format!("{HEAD}\none {key}\n"),
        ];
        for (at, text) in cases.iter().enumerate() {
            let path = folder.path().join(format!("{at}.key"));
            write_private(&path, text).unwrap();
            assert!(KeyFile::open(&path).is_err(), "{text}");
        }
    }

    #[tokio::test]
    async fn rotation_keeps_old_versions_until_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("root.key");
        let first = KeyFile::create(&path).unwrap();
        let key = fresh();
        let wrapped = first.wrap(&key, b"x").await.unwrap();
        first.rotated().unwrap();
        let second = KeyFile::open(&path).unwrap();
        assert_eq!(second.version(), 2);
        assert!(second.unwrap(1, &wrapped, b"x").await.unwrap() == key);
        let third = second.keep_newest().unwrap();
        assert!(third.unwrap(1, &wrapped, b"x").await.is_err());
        assert_eq!(KeyFile::open(&path).unwrap().version(), 2);
    }
}
