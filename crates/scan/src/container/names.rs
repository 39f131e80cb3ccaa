//! Names of members: plain relative ones only, each once.

use std::collections::HashSet;

use crate::context::Context;
use crate::report::shown;
use crate::rules;

/// What is wrong with a member's name, if anything is.
pub(crate) fn problem(name: &str) -> Option<&'static str> {
    if name.is_empty() {
        return Some("it is empty");
    }
    if name.starts_with('/') {
        return Some("it is absolute");
    }
    if name.contains('\\') {
        return Some("it has a backslash");
    }
    if name.chars().any(char::is_control) {
        return Some("it has a control character");
    }
    let bytes = name.as_bytes();
    if bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes.get(1) == Some(&b':') {
        return Some("it begins with a drive letter");
    }
    let folder = name.strip_suffix('/').unwrap_or(name);
    if folder.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Some("it has an empty part, `.` or `..`");
    }
    None
}

/// Checks the names of an archive.
#[derive(Default)]
pub(crate) struct Names {
    seen: HashSet<String>,
    folders: HashSet<String>,
}

impl Names {
    /// Notes what is wrong with a name, and whether it was there before.
    pub fn check(&mut self, context: &mut Context<'_>, name: &str, offset: u64) {
        if let Some(why) = problem(name) {
            context.find(rules::ARCHIVE_NAME, offset, format!("`{}`: {why}", shown(name)));
        }
        // Some systems do not tell capital letters apart.
        let key = name.trim_end_matches('/').to_lowercase();
        if let Some((folder, _)) = key.rsplit_once('/') {
            self.folders.insert(folder.to_owned());
        }
        if !self.seen.insert(key) {
            context.find(rules::ARCHIVE_REPEATED, offset, format!("`{}` stands in the archive twice", shown(name)));
        }
    }

    /// Notes files that are folders of other files.
    pub fn finish(&self, context: &mut Context<'_>, files: impl Iterator<Item = String>) {
        for file in files {
            if self.folders.contains(&file.to_lowercase()) {
                let message = format!("`{}` is a file and a folder", shown(&file));
                context.find(rules::ARCHIVE_REPEATED, None, message);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_relative_names_are_taken() {
        for good in ["a", "a/b.pkl", "a/", "übung/x y.json", ".hidden", "a..b"] {
            assert_eq!(problem(good), None, "{good}");
        }
        for bad in ["", "/a", "a/../b", "..", "./a", "a//b", "a\\b", "C:x", "a\0b", "a\nb", "a/."] {
            assert!(problem(bad).is_some(), "{bad:?}");
        }
    }
}
