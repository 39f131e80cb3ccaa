//! Tiles (c2sp.org/tlog-tiles): where the tree's hashes and entries lie in files, and how they are read back.
//!
//! `tile/<level>/<n>` holds 256 hashes of height 8·level; `tile/entries/<n>` the 256 entries under level 0, each behind a
//! big-endian u16 length. `….p/<width>` is one that is not full yet. Files hold exactly what HTTP serves.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::error::AuditError;
use crate::merkle::{Hash, NodeSource, root_of};

/// Hashes in a full tile, and entries in a full bundle.
pub const TILE_WIDTH: u64 = 256;
/// Levels that a tree of 2^63 leaves can have.
pub const LEVEL_COUNT_MAX: u8 = 8;
const CACHE_COUNT_MAX: usize = 64;

/// One file of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum TilePath {
    /// Hashes.
    Hashes {
        /// The level, 0 for leaves.
        level: u8,
        /// Which tile of the level.
        index: u64,
        /// How many hashes, 1 to 256.
        width: u16,
    },
    /// Entries.
    Entries {
        /// Which bundle.
        index: u64,
        /// How many entries, 1 to 256.
        width: u16,
    },
}

impl fmt::Display for TilePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (index, width) = match self {
            Self::Hashes { level, index, width } => {
                write!(f, "tile/{level}/")?;
                (*index, *width)
            }
            Self::Entries { index, width } => {
                f.write_str("tile/entries/")?;
                (*index, *width)
            }
        };
        let mut groups = vec![index % 1000];
        let mut rest = index / 1000;
        while rest > 0 {
            groups.push(rest % 1000);
            rest /= 1000;
        }
        for (place, group) in groups.iter().enumerate().rev() {
            write!(f, "{}{group:03}{}", if place > 0 { "x" } else { "" }, if place > 0 { "/" } else { "" })?;
        }
        if u64::from(width) < TILE_WIDTH { write!(f, ".p/{width}") } else { Ok(()) }
    }
}

impl TilePath {
    /// Reads a path as HTTP serves it. Only the one canonical form is read, so no path leads elsewhere.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let rest = text.strip_prefix("tile/")?;
        let (kind, rest) = rest.split_once('/')?;
        let (number, width) = match rest.split_once(".p/") {
            Some((number, width)) => (number, width.parse().ok()?),
            None => (rest, 256_u16),
        };
        let mut index = 0_u64;
        for group in number.split('/') {
            index = index.checked_mul(1000)?.checked_add(group.trim_start_matches('x').parse().ok()?)?;
        }
        let path = match kind {
            "entries" => Self::Entries { index, width },
            level => Self::Hashes { level: level.parse().ok().filter(|level| *level < LEVEL_COUNT_MAX)?, index, width },
        };
        (width > 0 && width <= 256 && path.to_string() == text).then_some(path)
    }

    /// The same tile once it is full.
    #[must_use]
    pub const fn full(self) -> Self {
        match self {
            Self::Hashes { level, index, .. } => Self::Hashes { level, index, width: 256 },
            Self::Entries { index, .. } => Self::Entries { index, width: 256 },
        }
    }

    pub(crate) const fn width(self) -> u16 {
        match self {
            Self::Hashes { width, .. } | Self::Entries { width, .. } => width,
        }
    }
}

/// How many of the 256 places of tile `index` at `level` a tree of `size` fills.
#[must_use]
pub fn tile_width(level: u8, index: u64, size: u64) -> u16 {
    let count = size.checked_shr(u32::from(level).saturating_mul(8)).unwrap_or(0);
    let width = count.saturating_sub(index.saturating_mul(TILE_WIDTH)).min(TILE_WIDTH);
    u16::try_from(width).unwrap_or(256)
}

/// Appends one entry to a bundle.
pub(crate) fn put_entry(bundle: &mut Vec<u8>, entry: &[u8]) {
    let length = u16::try_from(entry.len()).unwrap_or(u16::MAX);
    bundle.extend_from_slice(&length.to_be_bytes());
    bundle.extend_from_slice(entry);
}

/// The entries of a bundle and what follows the first `count` of them; `None` if it ends before.
#[must_use]
pub fn split_entries(bundle: &[u8], count: usize) -> Option<(Vec<&[u8]>, &[u8])> {
    let mut entries = Vec::with_capacity(count.min(256));
    let mut rest = bundle;
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let (entry, after) = after.split_at_checked(usize::from(u16::from_be_bytes(*length)))?;
        entries.push(entry);
        rest = after;
    }
    Some((entries, rest))
}

/// The hashes of a tile; `None` if it is not a whole number of them.
#[must_use]
pub fn split_hashes(tile: &[u8]) -> Option<Vec<Hash>> {
    let (hashes, rest) = tile.as_chunks::<32>();
    rest.is_empty().then(|| hashes.to_vec())
}

/// Reads a tree of one size from its files.
pub struct TileReader {
    dir: PathBuf,
    size: u64,
    tiles: HashMap<(u8, u64), Vec<Hash>>,
}

impl TileReader {
    /// The tree of `size` leaves in `dir`, the folder that holds `tile`.
    #[must_use]
    pub fn new(dir: &Path, size: u64) -> Self {
        Self { dir: dir.to_path_buf(), size, tiles: HashMap::new() }
    }

    /// The bytes of a tile or bundle. A partial one may be cut from the full one that has replaced it.
    ///
    /// # Errors
    /// `Io` if it is not there or cannot be read, `Mismatch` if it is cut short.
    pub fn raw(&self, path: TilePath) -> Result<Vec<u8>, AuditError> {
        let file = self.dir.join(path.to_string());
        match std::fs::read(&file) {
            Ok(bytes) => return Ok(bytes),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && path.width() < 256 => {}
            Err(error) => return Err(AuditError::Io(file, error)),
        }
        let full = self.dir.join(path.full().to_string());
        let mut bytes = std::fs::read(&full).map_err(AuditError::io(&full))?;
        let short = || AuditError::Mismatch(format!("`{}` is cut short", full.display()));
        let length = match path {
            TilePath::Hashes { width, .. } => usize::from(width).saturating_mul(32),
            TilePath::Entries { width, .. } => {
                let (_, rest) = split_entries(&bytes, usize::from(width)).ok_or_else(short)?;
                bytes.len().saturating_sub(rest.len())
            }
        };
        if bytes.len() < length {
            return Err(short());
        }
        bytes.truncate(length);
        Ok(bytes)
    }

    /// The hashes of tile `index` at `level` as this tree's size fills it.
    ///
    /// # Errors
    /// As [`TileReader::raw`].
    pub fn hashes(&mut self, level: u8, index: u64) -> Result<&[Hash], AuditError> {
        if !self.tiles.contains_key(&(level, index)) {
            let path = TilePath::Hashes { level, index, width: tile_width(level, index, self.size) };
            let hashes = split_hashes(&self.raw(path)?).filter(|hashes| hashes.len() == usize::from(path.width()));
            let hashes = hashes.ok_or_else(|| AuditError::Mismatch(format!("`{path}` is not a tile")))?;
            if self.tiles.len() >= CACHE_COUNT_MAX {
                self.tiles.clear();
            }
            self.tiles.insert((level, index), hashes);
        }
        Ok(self.tiles.get(&(level, index)).map_or(&[], Vec::as_slice))
    }

    /// The bytes of bundle `index` as this tree's size fills it.
    ///
    /// # Errors
    /// As [`TileReader::raw`].
    pub fn bundle(&self, index: u64) -> Result<Vec<u8>, AuditError> {
        self.raw(TilePath::Entries { index, width: tile_width(0, index, self.size) })
    }

    /// The entries of bundle `index`, whose bytes are given.
    ///
    /// # Errors
    /// `Mismatch` if it is cut short.
    pub(crate) fn entries<'a>(&self, index: u64, bytes: &'a [u8]) -> Result<Vec<&'a [u8]>, AuditError> {
        let found = split_entries(bytes, usize::from(tile_width(0, index, self.size)));
        found.map(|(entries, _)| entries).ok_or_else(|| AuditError::Mismatch(format!("bundle {index} is cut short")))
    }

    /// Hands the records `from..to` to `each`, in order, until it says no.
    ///
    /// # Errors
    /// As [`TileReader::raw`]; `Mismatch` if a bundle is cut short.
    pub fn each_entry(&self, from: u64, to: u64, mut each: impl FnMut(u64, &[u8]) -> bool) -> Result<(), AuditError> {
        let to = to.min(self.size);
        let mut at = from;
        while at < to {
            let bundle = at / TILE_WIDTH;
            let bytes = self.bundle(bundle)?;
            let first = bundle.saturating_mul(TILE_WIDTH);
            for (entry, index) in self.entries(bundle, &bytes)?.into_iter().zip(first..) {
                if index >= at && index < to && !each(index, entry) {
                    return Ok(());
                }
            }
            at = first.saturating_add(TILE_WIDTH);
        }
        Ok(())
    }

    /// One record.
    ///
    /// # Errors
    /// `NoSuchRecord` if the tree is not that large; else as [`TileReader::each_entry`].
    pub fn entry(&self, index: u64) -> Result<Vec<u8>, AuditError> {
        let mut found = None;
        self.each_entry(index, index.saturating_add(1), |_, entry| {
            found = Some(entry.to_vec());
            false
        })?;
        found.ok_or_else(|| AuditError::NoSuchRecord(index.to_string()))
    }
}

impl NodeSource for TileReader {
    fn node(&mut self, height: u32, index: u64) -> Result<Hash, AuditError> {
        let level = u8::try_from(height / 8).unwrap_or(LEVEL_COUNT_MAX);
        let inner = height % 8;
        let first = index << inner;
        let from = usize::try_from(first % TILE_WIDTH).unwrap_or(0);
        let hashes = self.hashes(level, first / TILE_WIDTH)?;
        let part = hashes.get(from..from.saturating_add(1 << inner));
        part.map(root_of).ok_or_else(|| AuditError::Mismatch(format!("a tile of level {level} is cut short")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_the_specifications() {
        let cases = [
            ("tile/0/000", TilePath::Hashes { level: 0, index: 0, width: 256 }),
            ("tile/1/x001/x234/067", TilePath::Hashes { level: 1, index: 1_234_067, width: 256 }),
            ("tile/entries/x001/005.p/17", TilePath::Entries { index: 1_005, width: 17 }),
        ];
        for (text, path) in cases {
            assert_eq!(path.to_string(), text);
            assert_eq!(TilePath::parse(text), Some(path));
        }
        for bad in [
            "tile/0/0",
            "tile/0/x000/001",
            "tile/0/000.p/256",
            "tile/0/000.p/0",
            "tile/9/000",
            "tile/0/../000",
            "tile/0/1000",
            "tile/entries/x001/x005",
            "tile/0/000.p/01",
            "tile//000",
            "tile/00/000",
            "tile/0/+01",
            "checkpoint",
        ] {
            assert_eq!(TilePath::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn widths_follow_the_size() {
        assert_eq!(tile_width(0, 0, 256), 256);
        assert_eq!(tile_width(0, 1, 300), 44);
        assert_eq!(tile_width(1, 0, 70_000), 256);
        assert_eq!(tile_width(1, 1, 70_000), 17);
        assert_eq!(tile_width(2, 0, 70_000), 1);
    }
}
