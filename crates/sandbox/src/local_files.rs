//! Opening local files, which happens before a program locks itself in.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use inspection::CsvDialect;
use tables::{CsvOptions, DataFile, LocalFile, ReadOptions};

/// Bytes of a text: a contract, a report that serves as reference.
pub const TEXT_BYTES_MAX: u64 = 64 << 20;
/// Files of one table from one folder.
const FOLDER_FILE_COUNT_MAX: usize = 500_000;
/// Folders within folders.
const FOLDER_DEPTH_MAX: usize = 8;

/// Opens files, and folders with all that is in them, in a fixed order.
///
/// # Errors
/// In words, naming the path.
pub fn data_files(paths: &[PathBuf]) -> Result<Vec<DataFile>, String> {
    let mut found = Vec::new();
    for (place, path) in paths.iter().enumerate() {
        if path.is_dir() {
            walk(path, Path::new(""), FOLDER_DEPTH_MAX, &mut found)?;
        } else {
            let name = path.file_name().map_or_else(|| place.to_string(), |name| name.to_string_lossy().into_owned());
            let taken = found.iter().any(|(taken, _): &(String, PathBuf)| *taken == name);
            found.push((if taken { format!("{place}/{name}") } else { name }, path.clone()));
        }
    }
    let open = |(name, path): (String, PathBuf)| {
        let file = LocalFile::open(&path).map_err(|error| format!("`{}` cannot be opened: {error}", path.display()))?;
        Ok(DataFile { path: name, bytes: Arc::new(file) })
    };
    found.into_iter().map(open).collect()
}

fn walk(root: &Path, inside: &Path, depth: usize, found: &mut Vec<(String, PathBuf)>) -> Result<(), String> {
    let folder = root.join(inside);
    let failed = |error: io::Error| format!("`{}` cannot be listed: {error}", folder.display());
    let mut entries = std::fs::read_dir(&folder).map_err(failed)?.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    entries.sort_by_key(std::fs::DirEntry::file_name);
    for entry in entries {
        let inside = inside.join(entry.file_name());
        let kind = entry.file_type().map_err(failed)?;
        if kind.is_dir() {
            let depth = depth.checked_sub(1).ok_or_else(|| format!("`{}` is nested too deeply", folder.display()))?;
            walk(root, &inside, depth, found)?;
        } else if kind.is_file() {
            found.push((inside.to_string_lossy().into_owned(), entry.path()));
        }
        if found.len() > FOLDER_FILE_COUNT_MAX {
            return Err(format!("`{}` holds more than {FOLDER_FILE_COUNT_MAX} files; pack them", root.display()));
        }
    }
    Ok(())
}

/// How to read files, by what was said of those that are CSV.
#[must_use]
pub fn read_options(said: CsvDialect) -> ReadOptions {
    let csv = CsvOptions { delimiter: said.delimiter.map(|delimiter| delimiter.byte()), quote: None, header: said.header };
    ReadOptions { csv, ..ReadOptions::default() }
}

/// A small file, whole.
///
/// # Errors
/// In words, naming the path.
pub fn text(path: &Path) -> Result<String, String> {
    let failed = |error: &dyn std::fmt::Display| format!("`{}`: {error}", path.display());
    let mut text = String::new();
    let file = File::open(path).map_err(|error| failed(&error))?;
    file.take(TEXT_BYTES_MAX.saturating_add(1)).read_to_string(&mut text).map_err(|error| failed(&error))?;
    if text.len() as u64 > TEXT_BYTES_MAX {
        return Err(failed(&format!("is longer than {TEXT_BYTES_MAX} bytes")));
    }
    Ok(text)
}
