//! Whether a SQLite database was changed since one looked, without asking SQLite.
//!
//! In WAL mode every connection of every process shares an index of the log, `NAME-shm`. Its head begins with two copies of 48 bytes
//! that the writer replaces with each commit, before the commit is over: a counter, the log's length, its salts, its checksum. A
//! reader of SQLite's finds out by comparing those bytes whether what it holds in memory still counts. This does the same.
//! Source: SQLite, `wal.c` (`WalIndexHdr`, `walIndexTryHdr`, `walIndexWriteHdr`); <https://sqlite.org/walformat.html>, 2.1.1.

use std::fs::File;
use std::mem::ManuallyDrop;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::Stamp;

/// One copy of the head.
const HEAD_BYTES: usize = 48;

/// Gives the stamps of one database.
pub(super) struct Stamps {
    /// Never closed, not even at the end: closing any handle on a file takes away all locks that this process has on it (POSIX), and
    /// SQLite keeps its own there.
    index: Option<ManuallyDrop<File>>,
}

impl Stamps {
    /// Of the database at `path`, which is open, and stays so for as long as stamps are asked for: its index is not replaced meanwhile.
    pub(super) fn of(path: &Path) -> Self {
        let mut index = path.as_os_str().to_owned();
        index.push("-shm");
        Self { index: File::open(PathBuf::from(index)).ok().map(ManuallyDrop::new) }
    }

    /// The state of the database. None while a commit replaces the head, and where there is no index.
    pub(super) fn now(&self) -> Option<Stamp> {
        let mut both = [0_u8; 2 * HEAD_BYTES];
        self.index.as_ref()?.read_exact_at(&mut both, 0).ok()?;
        let (first, second) = both.split_at_checked(HEAD_BYTES)?;
        let is_made = first.iter().any(|byte| *byte != 0);
        if !is_made || first != second {
            return None;
        }
        first.try_into().ok().map(Stamp)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(head: &[u8], expected: Option<u8>) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.db");
        std::fs::write(folder.path().join("a.db-shm"), head).unwrap();
        assert_eq!(Stamps::of(&path).now(), expected.map(|byte| Stamp([byte; HEAD_BYTES])));
    }

    #[test]
    fn a_head_counts_only_whole() {
        check(&[7; 136], Some(7));
        check(&[[7; HEAD_BYTES], [8; HEAD_BYTES]].concat(), None);
        check(&[0; 136], None);
        check(&[7; 95], None);
        assert_eq!(Stamps::of(Path::new("/nowhere/a.db")).now(), None);
    }
}
