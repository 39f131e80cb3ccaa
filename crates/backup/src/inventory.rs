//! What a backup holds: a list of objects, as they are stored, and of files, each a sealed blob. The manifest names it by digest.
//!
//! Text, so that it can be looked at, one line each in the order of names:
//! `o ID SIZE SHA256` and `f BLOB SIZE SHA256 LENGTH GROWN NAME`.

use std::collections::BTreeMap;

use kernel::{hex, parse_hex};

use crate::target::Stored;

const HEAD: &str = "strongroom-inventory-1";

/// A sealed blob.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blob {
    /// Its random name.
    pub id: String,
    /// As it lies there.
    pub stored: Stored,
}

/// A file of the data folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileEntry {
    /// Where its bytes are.
    pub blob: Blob,
    /// How many they are.
    pub length_bytes: u64,
    /// Its size, with zeros behind them.
    pub size_bytes: u64,
}

/// The list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inventory {
    /// By id.
    pub objects: BTreeMap<String, Stored>,
    /// By name below the data folder.
    pub files: BTreeMap<String, FileEntry>,
}

impl Inventory {
    /// The bytes of all objects.
    #[must_use]
    pub fn object_bytes(&self) -> u64 {
        self.objects.values().map(|one| one.size_bytes).fold(0, u64::saturating_add)
    }

    /// Its text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = format!("{HEAD}\n");
        for (id, one) in &self.objects {
            text.push_str(&format!("o {id} {} {}\n", one.size_bytes, hex(&one.sha256)));
        }
        for (name, file) in &self.files {
            let Blob { id, stored } = &file.blob;
            let digest = hex(&stored.sha256);
            text.push_str(&format!("f {id} {} {digest} {} {} {name}\n", stored.size_bytes, file.length_bytes, file.size_bytes));
        }
        text
    }

    /// Reads a text. None if it is not exactly what [`Inventory::to_text`] gives.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut all = Self::default();
        let mut lines = text.lines();
        if lines.next() != Some(HEAD) {
            return None;
        }
        for line in lines {
            let words: Vec<&str> = line.splitn(7, ' ').collect();
            match words.as_slice() {
                ["o", id, size, digest] if is_id(id) => {
                    all.objects.insert((*id).to_owned(), stored(size, digest)?);
                }
                ["f", id, size, digest, length, grown, name] if is_id(id) && is_name(name) => {
                    let blob = Blob { id: (*id).to_owned(), stored: stored(size, digest)? };
                    let file = FileEntry { blob, length_bytes: length.parse().ok()?, size_bytes: grown.parse().ok()? };
                    all.files.insert((*name).to_owned(), file);
                }
                _ => return None,
            }
        }
        (all.to_text() == text).then_some(all)
    }
}

fn stored(size: &str, digest: &str) -> Option<Stored> {
    Some(Stored { size_bytes: size.parse().ok()?, sha256: parse_hex(digest)?.try_into().ok()? })
}

/// 32 lower-case hex digits.
pub(crate) fn is_id(text: &str) -> bool {
    text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

/// A path below the data folder, that leads nowhere else.
fn is_name(text: &str) -> bool {
    let plain = |part: &str| !part.is_empty() && part != "." && part != "..";
    text.split('/').all(plain) && !text.contains(['\\', '\0']) && !text.starts_with("keys/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read_back_and_nothing_else_is_one() {
        let stored = Stored { size_bytes: 7, sha256: [9; 32] };
        let mut list = Inventory::default();
        list.objects.insert("0".repeat(32), stored);
        list.objects.insert("1".repeat(32), stored);
        let blob = Blob { id: "a".repeat(32), stored };
        list.files.insert("audit/log/tile/0/000".to_owned(), FileEntry { blob, length_bytes: 3, size_bytes: 5 });
        let text = list.to_text();
        assert_eq!(Inventory::parse(&text), Some(list));
        let bad = [
            text.replace("audit/log", "../log"),
            text.replace("audit/log", "/log"),
            text.replace("audit/log/tile/0/000", "keys/root.key"),
            text.replace(" 7 ", " 07 "),
            text.replace(&"1".repeat(32), &"0".repeat(32)),
            text.replace(&"1".repeat(32), "x"),
            text.trim_end().to_owned(),
            String::new(),
        ];
        for bad in bad {
            assert_eq!(Inventory::parse(&bad), None, "{bad}");
        }
    }
}
