//! Whether what a file system keeps is encrypted, as Linux's device mapper tells.

use std::fs;
use std::path::Path;

/// How many devices lie on top of each other, at most.
const DEPTH_MAX: u8 = 16;
/// How `dm-crypt` names what it made (LUKS 1 and 2, plain).
const CRYPT: &str = "CRYPT-";

/// Whether the file system that is mounted at `/home`, or else at `/`, lies on encrypted storage with all of its parts. None if that cannot be told.
/// `root` is where the machine's files begin.
#[must_use]
pub fn is_encrypted(root: &Path) -> Option<bool> {
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let source = source_of(&mounts, "/home").or_else(|| source_of(&mounts, "/"))?;
    if !source.starts_with("/dev/") {
        return None;
    }
    let below = source.trim_start_matches('/');
    let real = fs::canonicalize(root.join(below)).ok()?;
    layer(root, real.file_name()?.to_str()?, 0)
}

/// The device of what is mounted there (proc(5), `/proc/pid/mountinfo`: the mount point is the fifth field, the source the second after the dash).
fn source_of(mounts: &str, point: &str) -> Option<String> {
    let line = mounts.lines().rev().find(|line| line.split(' ').nth(4) == Some(point))?;
    let (_, after) = line.split_once(" - ")?;
    after.split(' ').nth(1).map(str::to_owned)
}

/// A device is encrypted if `dm-crypt` made it, or if it lies on devices that all are.
fn layer(root: &Path, name: &str, depth: u8) -> Option<bool> {
    if depth > DEPTH_MAX {
        return None;
    }
    let folder = root.join("sys/class/block").join(name);
    if !folder.exists() {
        return None;
    }
    if fs::read_to_string(folder.join("dm/uuid")).is_ok_and(|uuid| uuid.starts_with(CRYPT)) {
        return Some(true);
    }
    let Ok(below) = fs::read_dir(folder.join("slaves")) else { return Some(false) };
    let mut has_any = false;
    for entry in below {
        has_any = true;
        let name = entry.ok()?.file_name();
        if !layer(root, name.to_str()?, depth + 1)? {
            return Some(false);
        }
    }
    Some(has_any)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A machine's files: what is mounted where, and for each device its mapper's id and what it lies on.
    fn machine(mounts: &str, devices: &[(&str, &str, &[&str])]) -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("proc/self/mountinfo", mounts);
        for (name, uuid, below) in devices {
            write(&format!("dev/{name}"), "");
            fs::create_dir_all(root.path().join(format!("sys/class/block/{name}/slaves"))).unwrap();
            if !uuid.is_empty() {
                write(&format!("sys/class/block/{name}/dm/uuid"), uuid);
            }
            for one in *below {
                write(&format!("sys/class/block/{name}/slaves/{one}"), "");
            }
        }
        root
    }

    const ROOT: &str = "22 1 254:1 / / rw,relatime shared:1 - ext4 /dev/dm-1 rw\n";

    #[test]
    fn storage_is_encrypted_with_all_that_it_lies_on_or_not_at_all() {
        let luks: (&str, &str, &[&str]) = ("dm-0", "CRYPT-LUKS2-0123-root", &["sda2"]);
        let volume: (&str, &str, &[&str]) = ("dm-1", "LVM-xyz", &["dm-0"]);
        let check = |mounts: &str, devices: &[(&str, &str, &[&str])]| is_encrypted(machine(mounts, devices).path());
        assert_eq!(check(ROOT, &[volume, luks, ("sda2", "", &[])]), Some(true), "a volume on LUKS");
        assert_eq!(
            check(ROOT, &[("dm-1", "LVM-xyz", &["dm-0", "sdb1"]), luks, ("sdb1", "", &[])]),
            Some(false),
            "and one part on none"
        );
        assert_eq!(check(ROOT, &[("dm-1", "LVM-xyz", &["sda2"]), ("sda2", "", &[])]), Some(false));
        let home = format!("{ROOT}30 22 8:3 / /home rw - ext4 /dev/sda3 rw\n");
        assert_eq!(check(&home, &[volume, luks, ("sda3", "", &[])]), Some(false), "people's files lie elsewhere");
    }

    #[test]
    fn what_cannot_be_told_is_not_told() {
        let overlay = "22 1 0:30 / / rw - overlay overlay rw,lowerdir=/a\n";
        assert_eq!(is_encrypted(machine(overlay, &[]).path()), None);
        assert_eq!(is_encrypted(machine(ROOT, &[]).path()), None);
        assert_eq!(is_encrypted(machine(ROOT, &[("dm-1", "", &["dm-1"])]).path()), None, "a circle");
        assert_eq!(is_encrypted(Path::new("/nonexistent")), None);
    }
}
