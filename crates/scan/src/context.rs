//! The scan of one file: where in it we are, what may still be spent, what was found.

use std::collections::BTreeSet;
use std::io::{self, Read};

use crate::limits::{DEPTH_MAX, RATIO_FREE_BYTES, RATIO_MAX};
use crate::pickle::{self, Followed};
use crate::report::{FileReport, Finding, GlobalUse, shown};
use crate::rules::{self, Rule};
use crate::scanner::Scanner;
use crate::source::Window;

/// What surrounds the bytes that are looked at.
pub(crate) struct Context<'a> {
    pub scanner: &'a Scanner,
    pub report: FileReport,
    /// Names of the other files of the set, `/` between folders.
    pub siblings: &'a BTreeSet<String>,
    /// Chat templates that were looked at.
    pub templates: usize,
    members: Vec<String>,
    /// Bytes that may still be decompressed.
    left_bytes: u64,
}

impl<'a> Context<'a> {
    pub fn new(scanner: &'a Scanner, path: &str, size_bytes: u64, siblings: &'a BTreeSet<String>) -> Self {
        let report = FileReport { path: path.to_owned(), size_bytes, ..FileReport::default() };
        Self { scanner, report, siblings, templates: 0, members: Vec::new(), left_bytes: scanner.limits().decompressed_bytes_max }
    }

    pub fn member(&self) -> String {
        self.members.join("!")
    }

    /// The name that says what the bytes are called: the innermost member's, or the file's.
    pub fn name(&self) -> &str {
        self.members.last().map_or(&self.report.path, String::as_str)
    }

    pub fn find(&mut self, rule: &'static Rule, offset: impl Into<Option<u64>>, message: impl Into<String>) {
        let member = self.member();
        self.report.add(Finding { rule, message: message.into(), member, offset: offset.into(), global: None });
    }

    /// Looks at a member by `look`, unless it lies too deep.
    pub fn enter(&mut self, name: &str, look: impl FnOnce(&mut Self) -> io::Result<()>) -> io::Result<()> {
        if self.members.len() >= DEPTH_MAX {
            self.find(rules::LIMIT, None, format!("`{}` lies deeper than {DEPTH_MAX} containers", shown(name)));
            return Ok(());
        }
        self.members.push(shown(name));
        let looked = look(self);
        self.members.pop();
        looked
    }

    /// Reads a decompressor to its end, within the ratio and the budget. `None`, with a finding, if that cannot be.
    pub fn decompress(&mut self, compressed_bytes: u64, reader: &mut dyn Read) -> io::Result<Option<Vec<u8>>> {
        let ratio_max = compressed_bytes.saturating_mul(RATIO_MAX).max(RATIO_FREE_BYTES);
        let bound = ratio_max.min(self.left_bytes);
        let mut bytes = Vec::new();
        match reader.take(bound.saturating_add(1)).read_to_end(&mut bytes) {
            Ok(_) if bytes.len() as u64 > bound => {
                let message = format!("{compressed_bytes} compressed bytes become more than {bound}");
                self.find(if bound == ratio_max { rules::BOMB } else { rules::LIMIT }, None, message);
                Ok(None)
            }
            Ok(_) => {
                self.left_bytes -= bytes.len() as u64;
                Ok(Some(bytes))
            }
            Err(error) => {
                self.find(rules::COMPRESSION, None, format!("the compressed data cannot be read: {}", shown(&error.to_string())));
                // What came before the damage would be loaded: look at it too.
                self.left_bytes = self.left_bytes.saturating_sub(bytes.len() as u64);
                Ok(Some(bytes).filter(|bytes| !bytes.is_empty()))
            }
        }
    }

    /// Puts the imports of a pickle into the report, without judging them.
    pub fn list(&mut self, followed: &Followed<'_>) {
        let member = self.member();
        for global in &followed.trace.globals {
            self.report.globals.push(GlobalUse {
                module: shown(&global.module),
                name: shown(&global.name),
                uses: global.uses.clone(),
                allowed: global.mode.is_some(),
                member: member.clone(),
                offset: global.offset,
            });
        }
    }

    /// Puts what a pickle does into the report.
    pub fn take(&mut self, followed: &Followed<'_>) {
        let member = self.member();
        for global in &followed.trace.globals {
            let name = pickle::full_name(global);
            if global.mode.is_none() {
                let danger = crate::allow::danger(&global.module, &global.name);
                let (rule, does) = match danger {
                    Some(does) => (rules::GLOBAL_DANGEROUS, does),
                    None => (rules::GLOBAL_UNKNOWN, "stands on no allow-list"),
                };
                let verb = if global.is_called() { "calls" } else { "imports" };
                let message = format!("{verb} `{name}`, which {does}");
                self.report.add(Finding {
                    rule,
                    message,
                    member: member.clone(),
                    offset: Some(global.offset),
                    global: Some(name),
                });
            }
        }
        self.list(followed);
        for note in &followed.trace.notes {
            let global = note.global.and_then(|index| followed.trace.globals.get(index)).map(pickle::full_name);
            let (message, member) = (note.message.clone(), member.clone());
            self.report.add(Finding { rule: note.rule, message, member, offset: Some(note.offset), global });
        }
        if let Some(rule) = followed.trace.worst_unkept {
            self.find(rule, None, "and more findings than are kept");
        }
    }

    /// A small text file whole; `None`, with a finding, if it is too large.
    pub fn whole_text(&mut self, window: Window<'_>) -> io::Result<Option<Vec<u8>>> {
        if window.size() > crate::limits::TEXT_BYTES_MAX {
            self.find(rules::LIMIT, None, "the text is longer than the scanner parses");
            return Ok(None);
        }
        window.bytes(0, window.size()).map(Some)
    }
}
