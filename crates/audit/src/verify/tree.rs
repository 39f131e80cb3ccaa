//! Every entry up to its leaf, every leaf up to its tile, every tile up to the root.

use crate::error::AuditError;
use crate::merkle::{Hash, leaf_hash, node_hash, root_of};
use crate::tiles::{TILE_WIDTH, TilePath, TileReader, split_entries, split_hashes, tile_width};
use crate::verify::{Check, Progress};

const PROGRESS_BUNDLE_COUNT: u64 = 256;

/// The tree as it was computed from the entries.
pub(crate) struct TreeCheck {
    /// Records so far.
    pub size: u64,
    /// Per level, all hashes computed so far; of level 0 only those of the tile that is not full.
    levels: Vec<Vec<Hash>>,
    /// Leaf hashes and lengths of the records that only the segments know, from [`TreeCheck::signed_size`] on.
    pub beyond: Vec<(Hash, usize)>,
    pub signed_size: u64,
    wanted: Vec<u64>,
    roots: Vec<(u64, Hash)>,
}

impl TreeCheck {
    pub(crate) fn new(wanted: Vec<u64>) -> Self {
        let mut check = Self { size: 0, levels: vec![Vec::new()], beyond: Vec::new(), signed_size: 0, wanted, roots: Vec::new() };
        check.note_root();
        check
    }

    /// Reads and compares the tree of `size` entries.
    pub(crate) fn run(&mut self, check: &mut Check<'_>, size: u64, progress: Progress<'_>) -> Result<(), AuditError> {
        let mut tiles = TileReader::new(&check.folders.log, size);
        for bundle in 0..size.div_ceil(TILE_WIDTH) {
            self.bundle(check, &mut tiles, bundle, size);
            if bundle.is_multiple_of(PROGRESS_BUNDLE_COUNT) {
                progress(self.size, size);
            }
        }
        progress(size, size);
        self.partial_tiles(check, &tiles, size);
        self.signed_size = size;
        Ok(())
    }

    fn bundle(&mut self, check: &mut Check<'_>, tiles: &mut TileReader, bundle: u64, size: u64) {
        let width = tile_width(0, bundle, size);
        let entries_path = TilePath::Entries { index: bundle, width };
        let first = bundle.saturating_mul(TILE_WIDTH);
        let bytes = tiles.raw(entries_path).unwrap_or_else(|error| {
            check.report.fault(format!("log/{entries_path}"), Some(first), error.to_string());
            Vec::new()
        });
        let split = split_entries(&bytes, usize::from(width)).filter(|(_, rest)| rest.is_empty());
        let stored = self.stored(check, tiles, TilePath::Hashes { level: 0, index: bundle, width });
        let computed: Option<Vec<Hash>> = split.map(|(entries, _)| entries.into_iter().map(leaf_hash).collect());
        if computed.is_none() && !bytes.is_empty() {
            let index = first_bad_frame(&bytes, stored.as_deref().unwrap_or_default()).map(|at| first.saturating_add(at));
            check.report.fault(
                format!("log/{entries_path}"),
                index.or(Some(first)),
                "its entries are not where their lengths say",
            );
        }
        let leaves = match (computed, stored) {
            (Some(computed), Some(stored)) if computed == stored => computed,
            (Some(computed), Some(stored)) => self.differing(check, tiles, bundle, (computed, stored)),
            (Some(known), None) | (None, Some(known)) => known,
            (None, None) => vec![[0; 32]; usize::from(width)],
        };
        check.report.entry_count = check.report.entry_count.saturating_add(leaves.len() as u64);
        for leaf in leaves {
            self.push(leaf, Some((check, tiles)));
        }
    }

    /// Entries and leaf hashes differ: the tile above tells which of the two was changed.
    fn differing(
        &self,
        check: &mut Check<'_>,
        tiles: &mut TileReader,
        bundle: u64,
        (computed, stored): (Vec<Hash>, Vec<Hash>),
    ) -> Vec<Hash> {
        let width = u16::try_from(computed.len()).unwrap_or(256);
        let place = usize::try_from(bundle % TILE_WIDTH).unwrap_or(0);
        let above = tiles.hashes(1, bundle / TILE_WIDTH).ok().and_then(|hashes| hashes.get(place)).copied();
        let tile_is_bad = above == Some(root_of(&computed));
        let (path, what) = if tile_is_bad {
            (TilePath::Hashes { level: 0, index: bundle, width }, "this leaf hash is not that of its entry")
        } else {
            (TilePath::Entries { index: bundle, width }, "this entry is not the one that its leaf hash was made of")
        };
        for ((at, one), other) in computed.iter().enumerate().zip(&stored) {
            if one != other {
                let index = bundle.saturating_mul(TILE_WIDTH).saturating_add(at as u64);
                check.report.fault(format!("log/{path}"), Some(index), what);
            }
        }
        if tile_is_bad { computed } else { stored }
    }

    fn stored(&self, check: &mut Check<'_>, tiles: &TileReader, path: TilePath) -> Option<Vec<Hash>> {
        let first = match path {
            TilePath::Hashes { level, index, .. } => Some(index << (8 * (u32::from(level) + 1)).min(63)),
            TilePath::Entries { .. } => None,
        };
        match tiles.raw(path) {
            Ok(bytes) => {
                let hashes = split_hashes(&bytes).filter(|hashes| hashes.len() == usize::from(path.width()));
                if hashes.is_none() {
                    check.report.fault(format!("log/{path}"), first, "it has not the size of a tile");
                }
                hashes
            }
            Err(error) => {
                check.report.fault(format!("log/{path}"), first, error.to_string());
                None
            }
        }
    }

    /// Adds a leaf; compares every tile above that it fills, if there is something to compare with.
    pub(crate) fn push(&mut self, leaf: Hash, mut with: Option<(&mut Check<'_>, &TileReader)>) {
        if let Some(level) = self.levels.first_mut() {
            level.push(leaf);
        }
        self.size = self.size.saturating_add(1);
        let mut count = self.size;
        let mut level = 0_u8;
        while count.is_multiple_of(TILE_WIDTH) {
            count /= TILE_WIDTH;
            let index = count.saturating_sub(1);
            let from = if level == 0 { 0 } else { usize::try_from(index.saturating_mul(TILE_WIDTH)).unwrap_or(0) };
            let Some(hashes) = self.levels.get(usize::from(level)).and_then(|hashes| hashes.get(from..)) else { break };
            let root = root_of(hashes);
            if let Some((check, tiles)) = with.as_mut().filter(|_| level > 0) {
                compare(self.stored(check, tiles, TilePath::Hashes { level, index, width: 256 }), hashes, check, level, index);
            }
            if level == 0 {
                self.levels.iter_mut().take(1).for_each(Vec::clear);
            }
            level = level.saturating_add(1);
            match self.levels.get_mut(usize::from(level)) {
                Some(above) => above.push(root),
                None => self.levels.push(vec![root]),
            }
        }
        self.note_root();
    }

    /// The tiles above level 0 that are not full.
    fn partial_tiles(&self, check: &mut Check<'_>, tiles: &TileReader, size: u64) {
        for (hashes, level) in self.levels.iter().zip(0_u8..).skip(1) {
            let index = hashes.len() as u64 / TILE_WIDTH;
            let width = tile_width(level, index, size);
            let from = usize::try_from(index.saturating_mul(TILE_WIDTH)).unwrap_or(0);
            let Some(part) = hashes.get(from..).filter(|part| !part.is_empty()) else { continue };
            compare(self.stored(check, tiles, TilePath::Hashes { level, index, width }), part, check, level, index);
        }
    }

    fn note_root(&mut self) {
        if self.wanted.contains(&self.size) {
            self.roots.push((self.size, self.root()));
        }
    }

    /// The root over `size` records, if it was asked for and there are as many.
    pub(crate) fn root_at(&self, size: u64) -> Option<Hash> {
        self.roots.iter().find(|(known, _)| *known == size).map(|(_, root)| *root)
    }

    pub(crate) fn root(&self) -> Hash {
        let mut root: Option<Hash> = None;
        for (hashes, level) in self.levels.iter().zip(0_u8..) {
            let full = if level == 0 { 0 } else { hashes.len() - hashes.len() % 256 };
            let mut rest = hashes.get(full..).unwrap_or_default();
            while !rest.is_empty() {
                let (before, last) = rest.split_at(rest.len() - (1 << rest.len().trailing_zeros()));
                let hash = root_of(last);
                root = Some(root.map_or(hash, |right| node_hash(&hash, &right)));
                rest = before;
            }
        }
        root.unwrap_or_else(crate::merkle::empty_root)
    }

    /// The hashes of tile `index` of `level` above 0, as far as they are known.
    pub(crate) fn tile(&self, level: u8, index: u64) -> &[Hash] {
        let from = usize::try_from(index.saturating_mul(TILE_WIDTH)).unwrap_or(usize::MAX);
        let known = self.levels.get(usize::from(level)).and_then(|hashes| hashes.get(from..)).unwrap_or_default();
        known.get(..256).unwrap_or(known)
    }

    /// The leaf hash and the length of a record that only the segments know.
    pub(crate) fn leaf_beyond(&self, index: u64) -> Option<&(Hash, usize)> {
        self.beyond.get(usize::try_from(index.checked_sub(self.signed_size)?).ok()?)
    }
}

fn compare(stored: Option<Vec<Hash>>, computed: &[Hash], check: &mut Check<'_>, level: u8, index: u64) {
    let Some(stored) = stored else { return };
    let width = u16::try_from(computed.len()).unwrap_or(256);
    for (at, _) in stored.iter().zip(computed).enumerate().filter(|(_, (stored, computed))| stored != computed) {
        let below = index.saturating_mul(TILE_WIDTH).saturating_add(at as u64);
        let first = below << (8 * u32::from(level)).min(63);
        let path = TilePath::Hashes { level, index, width };
        check.report.fault(format!("log/{path}"), Some(first), "this hash is not that of the tile below it");
    }
}

/// The first entry that does not fit its leaf hash, in a bundle whose lengths do not add up.
fn first_bad_frame(bytes: &[u8], stored: &[Hash]) -> Option<u64> {
    for (at, hash) in stored.iter().enumerate() {
        match split_entries(bytes, at.saturating_add(1)) {
            Some((entries, _)) if entries.last().is_some_and(|entry| leaf_hash(entry) == *hash) => {}
            _ => return Some(at as u64),
        }
    }
    None
}
