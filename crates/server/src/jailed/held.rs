//! Files that a jail's processes hold open without a name: they take up room on the disk, and no folder shows them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::folder::taken;

/// The bytes of the files without a name, on the file system of `folder`, that `outer` and what it has started hold open; all there is
/// room for if they are more than `count_max`.
pub(super) fn nameless_bytes(outer: u32, folder: &Path, count_max: usize) -> u64 {
    let Ok(device) = fs::metadata(folder).map(|about| about.dev()) else { return 0 };
    let (mut files, mut seen, mut total) = (HashSet::new(), 0_usize, 0_u64);
    for process in family(outer) {
        // A process that has ended meanwhile holds nothing.
        for entry in fs::read_dir(format!("/proc/{process}/fd")).into_iter().flatten().flatten() {
            seen = seen.saturating_add(1);
            if seen > count_max {
                return u64::MAX;
            }
            // Followed to the open file itself.
            let Ok(about) = fs::metadata(entry.path()) else { continue };
            if about.is_file() && about.nlink() == 0 && about.dev() == device && files.insert(about.ino()) {
                total = total.saturating_add(taken(&about));
            }
        }
    }
    total
}

/// A process and all below it.
fn family(outer: u32) -> Vec<u32> {
    let mut children: HashMap<u32, Vec<u32>> = HashMap::new();
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(process) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        let Some(parent) = fs::read_to_string(entry.path().join("stat")).ok().and_then(|text| parent_of(&text)) else { continue };
        children.entry(parent).or_default().push(process);
    }
    let (mut all, mut next) = (Vec::new(), vec![outer]);
    while let Some(process) = next.pop() {
        all.push(process);
        next.extend(children.remove(&process).unwrap_or_default());
    }
    all
}

/// The parent in the text of `/proc/PID/stat`: behind the program's name, which may hold anything, and the state.
fn parent_of(stat: &str) -> Option<u32> {
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_cannot_hide_its_parent_behind_its_name() {
        assert_eq!(parent_of("12 (a) S 7 12 12 0"), Some(7));
        assert_eq!(parent_of("12 (a) S 1 (b) R 7 12"), Some(7));
        assert_eq!(parent_of("12 (a"), None);
    }

    #[test]
    fn children_belong_to_the_family() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let found = family(std::process::id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(found.contains(&std::process::id()) && found.contains(&child.id()), "{found:?}");
    }
}
