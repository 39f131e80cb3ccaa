//! The immutable flag of files (`chattr +i`, `ioctl_iflags(2)`): while it is set nobody writes, renames or deletes the file, root neither,
//! until somebody with `CAP_LINUX_IMMUTABLE` takes it off.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// `FS_IMMUTABLE_FL`
const IMMUTABLE: libc::c_long = 0x10;

/// Whether the flag is set.
pub(super) fn is_set(path: &Path) -> io::Result<bool> {
    Ok(flags(&open(path)?)? & IMMUTABLE != 0)
}

/// Sets the flag, or takes it off. What is so already stays so.
pub(super) fn set(path: &Path, immutable: bool) -> io::Result<()> {
    let file = open(path)?;
    let now = flags(&file)?;
    let wanted = if immutable { now | IMMUTABLE } else { now & !IMMUTABLE };
    if wanted == now { Ok(()) } else { put_flags(&file, wanted) }
}

/// Whether files in `folder` can have it: tried with one that is taken away again.
pub(super) fn probe(folder: &Path) -> Result<(), String> {
    let path = folder.join(format!("probe-{}", kernel::random_id()));
    let made = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    made.map_err(|error| format!("no file can be made in the objects' folder: {error}"))?;
    let found = match set(&path, true) {
        Ok(()) => match fs::remove_file(&path) {
            Err(_) => Ok(()),
            Ok(()) => Err("the file system takes the flag and deletes the file all the same".to_owned()),
        },
        Err(error) if error.raw_os_error() == Some(libc::EPERM) => {
            Err("this process may not set it: it needs CAP_LINUX_IMMUTABLE".to_owned())
        }
        Err(error) => Err(format!("the file system has no such flag: {error}")),
    };
    let cleared = if path.exists() { set(&path, false).and_then(|()| fs::remove_file(&path)) } else { Ok(()) };
    cleared.map_err(|error| format!("the flag of the probe `{}` could not be taken off: {error}", path.display()))?;
    found
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).custom_flags(libc::O_NOFOLLOW).open(path)
}

#[expect(unsafe_code, reason = "ioctl has no safe wrapper; this one writes an int to the place that it is given")]
fn flags(file: &File) -> io::Result<libc::c_long> {
    // A whole long is given, as the request's number says, though the kernel fills an int.
    let mut found: libc::c_long = 0;
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and `found` is a long that lives through the call.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_GETFLAGS, &raw mut found) };
    if done == 0 { Ok(found) } else { Err(io::Error::last_os_error()) }
}

#[expect(unsafe_code, reason = "ioctl has no safe wrapper; this one reads an int from the place that it is given")]
fn put_flags(file: &File, wanted: libc::c_long) -> io::Result<()> {
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and `wanted` is a long that lives through the call.
    let done = unsafe { libc::ioctl(file.as_raw_fd(), libc::FS_IOC_SETFLAGS, &raw const wanted) };
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes the flag off whatever becomes of the test: nothing that cannot be deleted is left behind.
    struct Cleared<'a>(&'a Path);

    impl Drop for Cleared<'_> {
        fn drop(&mut self) {
            drop(set(self.0, false));
        }
    }

    #[test]
    fn a_file_with_the_flag_is_neither_changed_nor_moved_nor_deleted() {
        let folder = tempfile::tempdir().unwrap();
        if let Err(why) = probe(folder.path()) {
            eprintln!("skipped: {why}");
            return;
        }
        let path = folder.path().join("x");
        fs::write(&path, b"as it was").unwrap();
        let cleared = Cleared(&path);
        set(&path, true).unwrap();
        set(&path, true).unwrap();
        assert!(is_set(&path).unwrap());
        assert!(fs::write(&path, b"changed").is_err());
        assert!(fs::remove_file(&path).is_err());
        assert!(fs::rename(&path, folder.path().join("y")).is_err());
        fs::write(folder.path().join("z"), b"other").unwrap();
        assert!(fs::rename(folder.path().join("z"), &path).is_err());
        assert_eq!(fs::read(&path).unwrap(), b"as it was");
        drop(cleared);
        assert!(!is_set(&path).unwrap());
        fs::remove_file(&path).unwrap();
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "the probe left nothing");
    }
}
