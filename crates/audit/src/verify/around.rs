//! What stands around the tree: files that no reader of the newest checkpoint needs, witnesses' cosignatures, and the
//! database's rows.

use std::path::{Path, PathBuf};

use crate::checkpoint::Checkpoint;
use crate::error::AuditError;
use crate::merkle::{Hash, leaf_hash};
use crate::note::Note;
use crate::record;
use crate::tiles::{TILE_WIDTH, TilePath, TileReader, split_entries, split_hashes, tile_width};
use crate::verify::tree::TreeCheck;
use crate::verify::{Check, DatabaseRows};
use crate::witness::cosigned_at;

/// Looks at every file under `log/`: each is part of the tree, or of an earlier or a later size of it.
pub(crate) fn walk(check: &mut Check<'_>, tree: &TreeCheck, size: u64) -> Result<(), AuditError> {
    let root = check.folders.log.clone();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).map_err(AuditError::io(&folder))? {
            let entry = entry.map_err(AuditError::io(&folder))?;
            let path = entry.path();
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() {
                folders.push(path);
            } else {
                file(check, tree, size, &root, &path);
            }
        }
    }
    Ok(())
}

fn file(check: &mut Check<'_>, tree: &TreeCheck, size: u64, root: &Path, path: &Path) {
    let name = path.strip_prefix(root).unwrap_or(path).to_string_lossy().into_owned();
    if name == "checkpoint" {
        return;
    }
    if name == "checkpoint.new" {
        check.report.note("`log/checkpoint.new` is left of a crash");
        return;
    }
    let Some(tile) = TilePath::parse(&name) else {
        check.report.fault(format!("log/{name}"), None, "it does not belong here");
        return;
    };
    let (level, index) = match tile {
        TilePath::Hashes { level, index, .. } => (level, index),
        TilePath::Entries { index, .. } => (0, index),
    };
    if tile_width(level, index, size) == tile.width() {
        // Part of the tree of the checkpoint: compared already.
        return;
    }
    if tile_width(level, index, tree.size) < tile.width() {
        if !check.live {
            check.report.fault(format!("log/{name}"), None, "it holds more records than there are");
        }
        return;
    }
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if check.live && error.kind() == std::io::ErrorKind::NotFound => return,
        Err(error) => {
            check.report.fault(format!("log/{name}"), None, format!("it cannot be read: {error}"));
            return;
        }
    };
    let expected = expected(check, tree, level, index, usize::from(tile.width()));
    let (found, expected_bytes) = match tile {
        TilePath::Hashes { width, .. } => {
            (split_hashes(bytes.get(..bytes.len() - bytes.len() % 32).unwrap_or_default()), Some(usize::from(width) * 32))
        }
        TilePath::Entries { width, .. } => (Some(whole_entries(&bytes)), bundle_bytes(check, tree, index, usize::from(width))),
    };
    let found = found.unwrap_or_default();
    let agrees = expected.starts_with(&found);
    if agrees && found.len() == expected.len() && expected_bytes == Some(bytes.len()) {
        return;
    }
    // A file that no checkpoint needs is short while it is written, and after a crash; what is there of it is not changed.
    let is_being_written = check.live && tile.width() > tile_width(level, index, size);
    let crashed = !check.live && !check.folders.wal.join("clean").exists();
    if agrees && (is_being_written || crashed) && expected_bytes.is_some_and(|whole| bytes.len() < whole) {
        if crashed {
            check.report.note(format!("`log/{name}` was being written in a crash; the next start writes it again"));
        }
        return;
    }
    let bad = found.iter().zip(&expected).position(|(found, expected)| found != expected).unwrap_or(found.len());
    let first = index.saturating_mul(TILE_WIDTH).saturating_add(bad as u64);
    check.report.fault(
        format!("log/{name}"),
        Some(first << (8 * u32::from(level)).min(63)),
        "it is not what the tree held at its size",
    );
}

/// The leaf hashes of the entries that are whole.
fn whole_entries(bytes: &[u8]) -> Vec<Hash> {
    let mut leaves = Vec::new();
    let mut rest = bytes;
    while let Some((entries, after)) = split_entries(rest, 1) {
        leaves.extend(entries.into_iter().map(leaf_hash));
        rest = after;
    }
    leaves
}

/// How long a bundle of `width` entries is.
fn bundle_bytes(check: &Check<'_>, tree: &TreeCheck, index: u64, width: usize) -> Option<usize> {
    let signed = usize::from(tile_width(0, index, tree.signed_size)).min(width);
    let mut length_bytes = 0_usize;
    if signed > 0 {
        let bundle = TileReader::new(&check.folders.log, tree.signed_size).bundle(index).ok()?;
        let (_, rest) = split_entries(&bundle, signed)?;
        length_bytes = bundle.len().saturating_sub(rest.len());
    }
    for at in signed..width {
        let (_, payload_bytes) = tree.leaf_beyond(index.saturating_mul(TILE_WIDTH).saturating_add(at as u64))?;
        length_bytes = length_bytes.saturating_add(2).saturating_add(*payload_bytes);
    }
    Some(length_bytes)
}

/// The first `width` hashes of a tile, as they were found to be.
fn expected(check: &Check<'_>, tree: &TreeCheck, level: u8, index: u64, width: usize) -> Vec<Hash> {
    if level > 0 {
        return tree.tile(level, index).iter().take(width).copied().collect();
    }
    let first = index.saturating_mul(TILE_WIDTH);
    let mut tiles = TileReader::new(&check.folders.log, tree.signed_size);
    let mut all: Vec<Hash> = if tile_width(0, index, tree.signed_size) > 0 {
        tiles.hashes(0, index).map(<[Hash]>::to_vec).unwrap_or_default()
    } else {
        Vec::new()
    };
    while all.len() < width {
        let Some((leaf, _)) = tree.leaf_beyond(first.saturating_add(all.len() as u64)) else { break };
        all.push(*leaf);
    }
    all.truncate(width);
    all
}

impl Check<'_> {
    /// The checkpoints that witnesses have cosigned, and their files.
    pub(crate) fn read_anchors(&mut self) -> Vec<(PathBuf, Checkpoint)> {
        let Ok(entries) = std::fs::read_dir(&self.folders.anchors) else { return Vec::new() };
        let mut paths: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
        paths.sort();
        let mut anchors = Vec::new();
        for path in paths {
            if path.extension().is_some_and(|extension| extension == "new") {
                continue;
            }
            let place = self.place(&path);
            match std::fs::read(&path).map_err(AuditError::io(&path)).and_then(|bytes| {
                let opened = Checkpoint::open(&bytes, &self.policy.log)?;
                if opened.1.to_string().into_bytes() == bytes {
                    Ok(opened)
                } else {
                    Err(AuditError::malformed("it is not as it was written"))
                }
            }) {
                Ok((checkpoint, note)) => {
                    if crate::witness::anchor_path(&self.folders.anchors, checkpoint.size) != path {
                        self.report.fault(place.clone(), None, "its name is not its checkpoint's size");
                    }
                    self.cosignatures(&place, &note);
                    anchors.push((path, checkpoint));
                }
                Err(error) => self.report.fault(place, None, error.to_string()),
            }
        }
        anchors
    }

    fn cosignatures(&mut self, place: &str, note: &Note) {
        let log = &self.policy.log;
        for line in note.signatures.iter().filter(|line| line.name != log.name || line.key_id != log.id) {
            let known = self.policy.witnesses.iter().find(|key| key.name == line.name);
            match known {
                Some(key) if cosigned_at(key, line, &note.text).is_some() => {
                    self.report.cosignature_count = self.report.cosignature_count.saturating_add(1);
                }
                Some(_) => self.report.fault(place, None, format!("the cosignature of `{}` does not hold", line.name)),
                None if self.policy.witnesses.is_empty() => {
                    self.report.note(format!("`{place}` has a cosignature of `{}`, whose key was not given", line.name));
                }
                None => self.report.fault(place, None, format!("`{}` is not a known witness", line.name)),
            }
        }
    }
}

/// Compares the tree with what witnesses have seen of it.
pub(crate) fn compare_roots(check: &mut Check<'_>, tree: &TreeCheck, anchors: &[(PathBuf, Checkpoint)]) {
    for (path, anchor) in anchors {
        if tree.root_at(anchor.size) != Some(anchor.root) {
            let place = check.place(path);
            check.report.fault(place, None, format!("a witness has seen another tree of {} records", anchor.size));
        }
    }
}

/// Compares the tree with the database's rows.
pub(crate) fn compare_database(check: &mut Check<'_>, tree: &TreeCheck, rows: &DatabaseRows, signed: Option<&Checkpoint>) {
    let table = "audit_checkpoint";
    let mut found = false;
    for row in &rows.checkpoints {
        if row.origin != check.policy.log.name {
            check.report.fault(table, None, "there is a row of another log");
            continue;
        }
        found = true;
        match Checkpoint::open(row.note.as_bytes(), &check.policy.log) {
            Ok((checkpoint, note)) => {
                let same = i64::try_from(checkpoint.size) == Ok(row.size) && checkpoint.root.as_slice() == row.root;
                if !same || note.to_string() != row.note || note.signatures.len() != 1 {
                    check.report.fault(table, None, "the row contradicts the signed note in it");
                } else if signed.is_some_and(|signed| signed.size > checkpoint.size) && !check.live {
                    check.report.fault(
                        table,
                        None,
                        format!("the row is older ({} records) than the checkpoint file", checkpoint.size),
                    );
                } else if tree.root_at(checkpoint.size) != Some(checkpoint.root) && !(check.live && checkpoint.size > tree.size) {
                    check.report.fault(
                        table,
                        None,
                        format!("the row has another root over {} records than the tree", checkpoint.size),
                    );
                }
            }
            Err(error) => check.report.fault(table, None, error.to_string()),
        }
    }
    if !found && signed.is_some_and(|signed| signed.size > 0) {
        check.report.fault(table, None, "the database has no checkpoint of this log");
    }
    let key = check.policy.install_key.as_ref().map(record::outbox_key);
    for row in &rows.outbox {
        match &key {
            Some(key) if !record::seal_holds(key, &row.event_id, &row.payload) => {
                check.report.fault("audit_outbox", None, format!("row {} was changed after it was sealed", row.id));
            }
            _ => {}
        }
    }
    if !rows.outbox.is_empty() {
        check.report.note(format!("{} committed outcomes wait in the outbox for the log", rows.outbox.len()));
    }
}
