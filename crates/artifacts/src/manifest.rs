//! The manifest of an owner's artifacts: the unit that lineage joins, and that signatures and inspections attach to.

use kernel::{Problem, Sha256Hasher, hex};
use vault::db::Reader;

use crate::{Owner, store};

/// The first line of what a manifest's digest is taken over.
const HEAD: &str = "strongroom-manifest-1\n";

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestEntry {
    /// Its path below the owner's root.
    pub path: String,
    /// Its size.
    pub size_bytes: u64,
    /// SHA-256 of its bytes.
    pub sha256: [u8; 32],
}

/// All files of an owner, sorted by the bytes of their paths.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Manifest {
    /// The files.
    pub entries: Vec<ManifestEntry>,
    /// SHA-256 over the head line and one line `SHA256 SIZE PATH` per file. A path holds no line break, so no two lists give
    /// the same text.
    pub digest: [u8; 32],
}

impl Manifest {
    /// The manifest of these files.
    #[must_use]
    pub fn of(mut entries: Vec<ManifestEntry>) -> Self {
        entries.sort_by(|a, b| a.path.as_bytes().cmp(b.path.as_bytes()));
        let mut hasher = Sha256Hasher::new();
        hasher.update(HEAD.as_bytes());
        for entry in &entries {
            hasher.update(format!("{} {} {}\n", hex(&entry.sha256), entry.size_bytes, entry.path).as_bytes());
        }
        Self { entries, digest: hasher.finish() }
    }

    /// The size of all files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.entries.iter().fold(0, |sum, entry| sum.saturating_add(entry.size_bytes))
    }
}

/// The manifest of what `owner` has just now, for the transaction that needs it.
///
/// # Errors
/// `Unavailable` or `Internal` of the database.
pub fn manifest(reader: &mut Reader<'_>, owner: &Owner) -> Result<Manifest, Problem> {
    Ok(Manifest::of(store::manifest_entries(reader, owner)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_of_the_sorted_lines() {
        let entry = |path: &str, size_bytes| ManifestEntry { path: path.to_owned(), size_bytes, sha256: [1; 32] };
        let one = Manifest::of(vec![entry("b", 2), entry("a/z", 1)]);
        assert_eq!(one, Manifest::of(vec![entry("a/z", 1), entry("b", 2)]));
        let line = "01".repeat(32);
        assert_eq!(one.digest, kernel::sha256(format!("{HEAD}{line} 1 a/z\n{line} 2 b\n").as_bytes()));
        assert_eq!(one.size_bytes(), 3);
        assert_ne!(one.digest, Manifest::of(vec![entry("b", 1), entry("a/z", 2)]).digest);
    }
}
