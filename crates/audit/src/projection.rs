//! The tree as it grows: takes records in order, keeps the right edge in memory, and writes tiles and bundles.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::disk::Disk;
use crate::error::AuditError;
use crate::merkle::{Hash, empty_root, node_hash, root_of};
use crate::tiles::{TILE_WIDTH, TilePath, TileReader, put_entry, split_entries, tile_width};

/// The tree's right edge.
#[derive(Clone)]
pub(crate) struct Edge {
    size: u64,
    /// Per level, the hashes of the tile that is not full yet.
    levels: Vec<Vec<Hash>>,
}

impl Edge {
    /// The edge at `base`, a multiple of 256, from the full tiles below it.
    pub(crate) fn read(dir: &Path, base: u64) -> Result<Self, AuditError> {
        let mut levels = vec![Vec::new()];
        let mut tiles = TileReader::new(dir, base);
        let mut count = base / TILE_WIDTH;
        let mut below = 0_u8;
        while count > 0 {
            let first = count - count % TILE_WIDTH;
            let mut hashes = Vec::new();
            for index in first..count {
                hashes.push(root_of(tiles.hashes(below, index)?));
            }
            levels.push(hashes);
            count /= TILE_WIDTH;
            below = below.saturating_add(1);
        }
        Ok(Self { size: base, levels })
    }

    pub(crate) const fn size(&self) -> u64 {
        self.size
    }

    fn push(&mut self, leaf: Hash) {
        if let Some(level) = self.levels.first_mut() {
            level.push(leaf);
        }
        self.size = self.size.saturating_add(1);
    }

    /// The full tile of `level` that is to be folded into the next, if there is one.
    fn full(&self) -> Option<(u8, &[Hash])> {
        let found = self.levels.iter().zip(0_u8..).find(|(hashes, _)| hashes.len() as u64 == TILE_WIDTH);
        found.map(|(hashes, level)| (level, hashes.as_slice()))
    }

    fn fold(&mut self, level: u8) {
        let at = usize::from(level);
        let Some(root) = self.levels.get_mut(at).map(|hashes| root_of(&std::mem::take(hashes))) else { return };
        if self.levels.len() == at + 1 {
            self.levels.push(Vec::new());
        }
        if let Some(above) = self.levels.get_mut(at + 1) {
            above.push(root);
        }
    }

    /// Adds a leaf without writing anything.
    pub(crate) fn push_quietly(&mut self, leaf: Hash) {
        self.push(leaf);
        while let Some((level, _)) = self.full() {
            self.fold(level);
        }
    }

    /// The tree's root.
    pub(crate) fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for hashes in &self.levels {
            let mut rest = hashes.as_slice();
            while !rest.is_empty() {
                // The right-most full subtree of this level: its size is the lowest set bit of what is left.
                let count = 1_usize << rest.len().trailing_zeros();
                let (before, last) = rest.split_at(rest.len().saturating_sub(count));
                let hash = root_of(last);
                root = Some(root.map_or(hash, |right| node_hash(&hash, &right)));
                rest = before;
            }
        }
        root.unwrap_or_else(empty_root)
    }
}

/// The edge, and the files behind it.
pub(crate) struct Projection {
    disk: Disk,
    dir: PathBuf,
    edge: Edge,
    bundle: Vec<u8>,
    unsynced: BTreeSet<PathBuf>,
}

impl Projection {
    pub(crate) fn new(disk: Disk, dir: &Path, edge: Edge) -> Self {
        Self { disk, dir: dir.to_path_buf(), edge, bundle: Vec::new(), unsynced: BTreeSet::new() }
    }

    pub(crate) const fn size(&self) -> u64 {
        self.edge.size()
    }

    pub(crate) fn root(&self) -> Hash {
        self.edge.root()
    }

    /// Takes the next record. [`Projection::settle`] comes before it.
    pub(crate) fn push(&mut self, leaf: Hash, payload: &[u8]) {
        put_entry(&mut self.bundle, payload);
        self.edge.push(leaf);
    }

    /// Takes the next record, whose files are there already.
    pub(crate) fn push_written(&mut self, leaf: Hash, payload: &[u8]) {
        put_entry(&mut self.bundle, payload);
        self.edge.push_quietly(leaf);
        if self.size().is_multiple_of(TILE_WIDTH) {
            self.bundle.clear();
        }
    }

    /// Writes the tiles that have become full. If a write fails, it goes on from there when called again.
    pub(crate) fn settle(&mut self) -> Result<(), AuditError> {
        while let Some((level, hashes)) = self.edge.full() {
            let above = u32::from(level).saturating_add(1).saturating_mul(8);
            let index = self.edge.size.checked_shr(above).unwrap_or(0).saturating_sub(1);
            let tile = TilePath::Hashes { level, index, width: 256 };
            let bytes = hashes.concat();
            if level == 0 {
                let entries = TilePath::Entries { index, width: 256 };
                write_file(&self.disk, &self.dir, &mut self.unsynced, entries, &self.bundle)?;
            }
            write_file(&self.disk, &self.dir, &mut self.unsynced, tile, &bytes)?;
            if level == 0 {
                self.bundle.clear();
            }
            self.edge.fold(level);
        }
        Ok(())
    }

    /// Writes the tiles that are not full, so that the tree of this very size can be read.
    pub(crate) fn write_partial(&mut self) -> Result<(), AuditError> {
        self.settle()?;
        for (hashes, level) in self.edge.levels.iter().zip(0_u8..) {
            let Some(width) = u16::try_from(hashes.len()).ok().filter(|width| *width > 0) else { continue };
            let above = u32::from(level).saturating_add(1).saturating_mul(8);
            let index = self.edge.size.checked_shr(above).unwrap_or(0);
            if level == 0 {
                let entries = TilePath::Entries { index, width };
                write_file(&self.disk, &self.dir, &mut self.unsynced, entries, &self.bundle)?;
            }
            let tile = TilePath::Hashes { level, index, width };
            write_file(&self.disk, &self.dir, &mut self.unsynced, tile, &hashes.concat())?;
        }
        Ok(())
    }

    /// After a crash: writes again what may be half-written of the tiles that are not full, of this and of earlier sizes.
    /// Full ones are written again as the records are followed. Gives how many files were not as they ought to be.
    pub(crate) fn mend(&mut self, signed_size: u64) -> Result<u64, AuditError> {
        let mut mended_count = 0_u64;
        let size = self.edge.size;
        for (hashes, level) in self.edge.levels.iter().zip(0_u8..) {
            let above = u32::from(level).saturating_add(1).saturating_mul(8);
            let index = size.checked_shr(above).unwrap_or(0);
            let signed = tile_width(level, index, signed_size);
            let tile = TilePath::Hashes { level, index, width: 256 };
            let entries = TilePath::Entries { index, width: 256 };
            for kind in [Some(tile), Some(entries).filter(|_| level == 0)].into_iter().flatten() {
                let folder = self.dir.join(kind.to_string()).with_extension("p");
                let mut widths = widths_in(&folder)?;
                widths.extend(Some(signed).filter(|width| (1..256).contains(width)));
                for width in widths {
                    let file = folder.join(width.to_string());
                    let part = match kind {
                        TilePath::Hashes { .. } => hashes.get(..usize::from(width)).map(<[Hash]>::concat),
                        TilePath::Entries { .. } => split_entries(&self.bundle, usize::from(width))
                            .and_then(|(_, rest)| self.bundle.get(..self.bundle.len().saturating_sub(rest.len())))
                            .map(<[u8]>::to_vec),
                    };
                    if std::fs::read(&file).ok() == part {
                        continue;
                    }
                    mended_count = mended_count.saturating_add(1);
                    match part {
                        Some(bytes) => {
                            self.disk.project(&file, &bytes)?;
                            self.unsynced.insert(file);
                        }
                        None => std::fs::remove_file(&file).map_err(AuditError::io(&file))?,
                    }
                }
            }
        }
        self.sync()?;
        Ok(mended_count)
    }

    /// Makes every file written so far durable.
    pub(crate) fn sync(&mut self) -> Result<(), AuditError> {
        let mut folders = BTreeSet::new();
        for path in &self.unsynced {
            match File::open(path).and_then(|file| file.sync_data()) {
                Ok(()) => {}
                // A partial tile that has been replaced by the full one meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(AuditError::Io(path.clone(), error)),
            }
            folders.extend(path.ancestors().skip(1).take_while(|folder| folder.starts_with(&self.dir)).map(Path::to_path_buf));
        }
        for folder in folders.iter().filter(|folder| folder.exists()) {
            self.disk.sync_folder(folder)?;
        }
        self.unsynced.clear();
        Ok(())
    }
}

/// The widths of the partial tiles in `folder`, which need not be there.
fn widths_in(folder: &Path) -> Result<BTreeSet<u16>, AuditError> {
    match std::fs::read_dir(folder) {
        Ok(entries) => Ok(entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeSet::new()),
        Err(error) => Err(AuditError::Io(folder.to_path_buf(), error)),
    }
}

fn write_file(disk: &Disk, dir: &Path, unsynced: &mut BTreeSet<PathBuf>, path: TilePath, bytes: &[u8]) -> Result<(), AuditError> {
    let file = dir.join(path.to_string());
    disk.project(&file, bytes)?;
    if path == path.full() {
        let partial = file.with_extension("p");
        // Readers of an older checkpoint cut what they need from the full tile. Most tiles became full before they were signed in part.
        if std::fs::remove_dir_all(&partial).is_ok() {
            unsynced.retain(|old| !old.starts_with(&partial));
        }
    }
    unsynced.insert(file);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::merkle::{leaf_hash, range_root};

    #[test]
    fn the_root_is_that_of_the_leaves_at_every_size_and_the_tiles_give_it_back() {
        let dir = tempfile::tempdir().unwrap();
        let mut projection = Projection::new(Disk::new(None), dir.path(), Edge::read(dir.path(), 0).unwrap());
        let mut leaves = Vec::new();
        for index in 0..70_000_u64 {
            let payload = format!("{{\"n\":{index}}}");
            let leaf = leaf_hash(payload.as_bytes());
            projection.settle().unwrap();
            projection.push(leaf, payload.as_bytes());
            leaves.push(leaf);
            let size = index + 1;
            if size < 600 || [65_535, 65_536, 65_537, 70_000].contains(&size) {
                projection.write_partial().unwrap();
                let root = root_of(&leaves);
                assert_eq!(projection.root(), root, "{size}");
                let mut tiles = TileReader::new(dir.path(), size);
                assert_eq!(range_root(&mut tiles, 0, size).unwrap(), root, "{size}");
                assert_eq!(tiles.entry(index).unwrap(), payload.as_bytes());
            }
        }
        let edge = Edge::read(dir.path(), 69_888).unwrap();
        let mut again = Projection::new(Disk::new(None), dir.path(), edge);
        for index in 69_888..70_000_u64 {
            let payload = format!("{{\"n\":{index}}}");
            again.push_written(leaf_hash(payload.as_bytes()), payload.as_bytes());
        }
        assert_eq!(again.root(), projection.root());
        assert_eq!(again.bundle, projection.bundle);
    }
}
