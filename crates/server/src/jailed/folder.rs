//! The folder of one job on this machine, and the socket in it by which the job's relay reaches the server.

use std::fs::{self, DirBuilder, File, Metadata};
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::{TcpStream, UnixListener};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

use super::held;

/// The name of the socket.
pub const SOCKET: &str = "relay.sock";
/// Connections of one job at a time.
const CONNECTION_COUNT_MAX: usize = 64;
/// Files of a job's folder that are looked at to learn how much it has written.
const FILE_COUNT_MAX: usize = 100_000;
/// The unit of a file's blocks, whatever the file system's own are.
const BLOCK_BYTES: u64 = 512;

/// A job's folder, which goes when this does.
pub struct JobFolder {
    path: PathBuf,
}

impl JobFolder {
    /// A new folder with the code, a folder to write, and the server's authority.
    ///
    /// # Errors
    /// What the file system says.
    pub fn make(path: PathBuf, code: &[(PathBuf, Bytes)], ca: &Path) -> std::io::Result<Self> {
        drop(clear(&path));
        let folder = |path: &Path| DirBuilder::new().recursive(true).mode(0o700).create(path);
        folder(&path)?;
        let made = Self { path };
        folder(&made.code())?;
        folder(&made.work().join("tmp"))?;
        for (name, bytes) in code {
            let to = made.code().join(name);
            if let Some(parent) = to.parent() {
                folder(parent)?;
            }
            let mut file = File::options().write(true).create_new(true).mode(0o600).open(&to)?;
            std::io::Write::write_all(&mut file, bytes)?;
        }
        fs::copy(ca, made.ca())?;
        Ok(made)
    }

    /// The folder itself.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The code, which the job only reads.
    pub fn code(&self) -> PathBuf {
        self.path.join("code")
    }

    /// Where it writes.
    pub fn work(&self) -> PathBuf {
        self.path.join("work")
    }

    /// The server's authority.
    pub fn ca(&self) -> PathBuf {
        self.path.join("ca.pem")
    }

    /// What the jail says of itself.
    pub fn status(&self) -> PathBuf {
        self.path.join("status.json")
    }

    /// How many bytes it has written, more or less; all there is room for where it has written too many files to count. What the processes
    /// below `outer` hold open without a name counts too.
    pub fn written_bytes(&self, outer: Option<u32>) -> u64 {
        let (mut folders, mut seen, mut total) = (vec![self.work()], 0_usize, 0_u64);
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
                seen = seen.saturating_add(1);
                if seen > FILE_COUNT_MAX {
                    return u64::MAX;
                }
                let Ok(kind) = entry.file_type() else { continue };
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if let Ok(about) = entry.metadata() {
                    total = total.saturating_add(taken(&about));
                }
            }
        }
        let nameless = outer.map_or(0, |outer| held::nameless_bytes(outer, &self.work(), FILE_COUNT_MAX));
        total.saturating_add(nameless)
    }

    /// Listens where the jail's one port leads.
    ///
    /// # Errors
    /// What the system says.
    pub fn listen(&self) -> std::io::Result<UnixListener> {
        let folder = File::open(&self.path)?;
        // A socket's address is short, and the folder's path may not be.
        UnixListener::bind(format!("/proc/self/fd/{}/{SOCKET}", folder.as_raw_fd()))
    }

    /// Listens in this folder and carries every connection to the server, and to nothing else.
    ///
    /// # Errors
    /// What the system says.
    pub fn relay(&self, server: SocketAddr) -> std::io::Result<Relay> {
        let listener = self.listen()?;
        let open = Arc::new(Semaphore::new(CONNECTION_COUNT_MAX));
        Ok(Relay(tokio::spawn(async move {
            while let Ok((mut inside, _)) = listener.accept().await {
                let Ok(turn) = Arc::clone(&open).try_acquire_owned() else { continue };
                tokio::spawn(async move {
                    let _turn = turn;
                    if let Ok(mut outside) = TcpStream::connect(server).await {
                        drop(tokio::io::copy_bidirectional(&mut inside, &mut outside).await);
                    }
                });
            }
        })))
    }
}

/// What a file takes up: room may be set aside beyond its end, and is not there in its gaps.
pub(super) fn taken(about: &Metadata) -> u64 {
    about.len().max(about.blocks().saturating_mul(BLOCK_BYTES))
}

impl Drop for JobFolder {
    fn drop(&mut self) {
        if let Err(error) = clear(&self.path) {
            tracing::warn!(%error, "a job's folder could not be taken away: `{}`", self.path.display());
        }
    }
}

/// Takes a folder away that somebody else has filled. However deep it is, nothing recurses and no path grows long: folders are moved
/// up before they are looked into.
///
/// # Errors
/// What the file system says; what is there by then stays.
pub fn clear(top: &Path) -> std::io::Result<()> {
    let mut folders = vec![top.to_owned()];
    let mut number = 0_u64;
    while let Some(folder) = folders.pop() {
        // Whoever filled it may have closed it.
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o700))?;
        for entry in fs::read_dir(&folder)? {
            let entry = entry?;
            if !entry.file_type()?.is_dir() {
                fs::remove_file(entry.path())?;
                continue;
            }
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o700))?;
            if folder == top {
                folders.push(entry.path());
                continue;
            }
            let moved = free_name(top, &mut number);
            fs::rename(entry.path(), &moved)?;
            folders.push(moved);
        }
        if folder != top {
            fs::remove_dir(&folder)?;
        }
    }
    fs::remove_dir(top)
}

/// A name in `top` that nothing has.
fn free_name(top: &Path, number: &mut u64) -> PathBuf {
    loop {
        let name = top.join(format!("moved-{number}"));
        *number = number.saturating_add(1);
        if name.symlink_metadata().is_err() {
            return name;
        }
    }
}

/// Listens until it is dropped.
pub struct Relay(JoinHandle<()>);

impl Drop for Relay {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_taken_away_however_it_was_filled() {
        let place = tempfile::tempdir().unwrap();
        let mut deep = place.path().join("0");
        fs::create_dir(&deep).unwrap();
        for level in 1..2_000 {
            let outer = place.path().join(level.to_string());
            fs::create_dir(&outer).unwrap();
            fs::rename(&deep, outer.join("moved-1")).unwrap();
            fs::write(outer.join("file"), "x").unwrap();
            deep = outer;
        }
        let kept = place.path().join("kept");
        fs::create_dir(&kept).unwrap();
        std::os::unix::fs::symlink(&kept, deep.join("link")).unwrap();
        fs::set_permissions(deep.join("moved-1"), fs::Permissions::from_mode(0o000)).unwrap();
        clear(&deep).unwrap();
        assert!(!deep.exists() && kept.exists());
        assert!(clear(&deep).is_err(), "it is gone");
    }

    #[test]
    fn code_lies_where_it_says_and_what_is_written_is_counted() {
        let place = tempfile::tempdir().unwrap();
        let ca = place.path().join("ca");
        fs::write(&ca, "authority").unwrap();
        let code = [(PathBuf::from("a/b.py"), Bytes::from_static(b"print()"))];
        let folder = JobFolder::make(place.path().join("job"), &code, &ca).unwrap();
        assert_eq!(fs::read(folder.code().join("a/b.py")).unwrap(), b"print()");
        fs::write(folder.work().join("tmp/x"), [0_u8; 1_000]).unwrap();
        // The file system gives out whole blocks.
        let written = folder.written_bytes(None);
        assert!((1_000..100_000).contains(&written), "{written}");
        // Without a name it takes up no less, as long as it is open.
        let nameless = folder.work().join("nameless");
        let mut open = File::create(&nameless).unwrap();
        std::io::Write::write_all(&mut open, &vec![1_u8; 300_000]).unwrap();
        fs::remove_file(&nameless).unwrap();
        assert_eq!(folder.written_bytes(None), written);
        let all = folder.written_bytes(Some(std::process::id()));
        assert!(all >= written + 300_000, "{all}");
        drop(open);
        let path = folder.path().to_owned();
        drop(folder);
        assert!(!path.exists());
    }
}
