//! HDF5 as h5py writes it for Keras: groups, attributes and links are walked; links to other files are blocked, the
//! `model_config` attribute is judged, and texts that are pickles are followed. What is stored in a newer way is unknown.

mod attribute;

use std::collections::HashSet;
use std::io;

use crate::container::zip::{u16_at, u32_at, u64_at};
use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

pub(super) const MAGIC: &[u8] = b"\x89HDF\r\n\x1a\n";
const OBJECTS_MAX: usize = 1 << 16;
const HEADER_BYTES_MAX: u64 = 1 << 20;
const UNDEFINED: u64 = u64::MAX;

struct Walk<'a, 'b, 'c> {
    context: &'b mut Context<'c>,
    window: Window<'a>,
    queue: Vec<u64>,
    seen: HashSet<u64>,
    unread: Option<&'static str>,
    heaps: attribute::Heaps,
}

/// Where a reader finds HDF5 in a file that begins as something else: at 512 bytes, or twice that, and so on.
pub(super) fn behind_user_block(window: Window<'_>, head: &[u8]) -> io::Result<Option<u64>> {
    if head.starts_with(MAGIC) {
        return Ok(None);
    }
    let mut start = 512_u64;
    while start < window.size() {
        if window.has(start, MAGIC)? {
            return Ok(Some(start));
        }
        start = start.saturating_mul(2);
    }
    Ok(None)
}

/// Judges what begins behind a user block, from where all addresses count.
pub(super) fn look_behind(context: &mut Context<'_>, window: Window<'_>, start: u64) -> io::Result<()> {
    // Some writers put a text there. What else it may be, the scanner does not know.
    context.find(rules::HDF5_UNREAD, 0, format!("{start} bytes stand before the file's own beginning"));
    look_from(context, window.from(start), start)
}

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    look_from(context, window, 0)
}

fn look_from(context: &mut Context<'_>, window: Window<'_>, start: u64) -> io::Result<()> {
    let head = window.bytes(0, 96)?;
    // Versions 0 and 1, with addresses and lengths of 8 bytes, as h5py writes unless told otherwise.
    let version = head.get(8).copied().unwrap_or(9);
    if version > 1 || head.get(13..15) != Some(&[8, 8]) {
        context.find(rules::HDF5_UNREAD, 8, format!("the file begins with a superblock of version {version}"));
        return Ok(());
    }
    let base = if version == 0 { 24 } else { 28 };
    // Addresses: base, free space, end of file, driver; then the root's entry: its name, its header.
    if u64_at(&head, base) != start || u64_at(&head, base + 24) != UNDEFINED {
        context.find(rules::HDF5_UNREAD, 24, "the file is a part of a larger one");
        return Ok(());
    }
    if u64_at(&head, base + 16) != start.saturating_add(window.size()) {
        context.find(rules::FORMAT_MALFORMED, 40, "the file does not end where it says");
    }
    let root = u64_at(&head, base + 40);
    let mut walk =
        Walk { context, window, queue: vec![root], seen: HashSet::new(), unread: None, heaps: attribute::Heaps::default() };
    while let Some(address) = walk.queue.pop() {
        if walk.seen.len() > OBJECTS_MAX {
            walk.unread = Some("it has too many objects");
            break;
        }
        if walk.seen.insert(address) {
            walk.object(address)?;
        }
    }
    if let Some(why) = walk.unread {
        context.find(rules::HDF5_UNREAD, None, why);
    }
    Ok(())
}

impl Walk<'_, '_, '_> {
    /// An object's header of version 1: messages, possibly continued elsewhere.
    fn object(&mut self, address: u64) -> io::Result<()> {
        let head = self.window.bytes(address, 16)?;
        if head.first() != Some(&1) || head.len() < 16 {
            self.unread = Some("an object has a header of a newer version");
            return Ok(());
        }
        let mut blocks = vec![(address + 16, u64::from(u32_at(&head, 8)))];
        let mut blocks_seen = 0;
        while let Some((at, size)) = blocks.pop() {
            blocks_seen += 1;
            if size > HEADER_BYTES_MAX || blocks_seen > 256 {
                self.unread = Some("an object's header is too large");
                return Ok(());
            }
            let block = self.window.bytes(at, size)?;
            let mut position = 0;
            while let Some(message) = block.get(position..position + 8) {
                let (kind, size) = (u16_at(message, 0), usize::from(u16_at(message, 2)));
                let shared = message.get(4).is_some_and(|flags| flags & 2 != 0);
                let Some(body) = block.get(position + 8..position + 8 + size) else {
                    self.unread = Some("a message of an object is cut off");
                    return Ok(());
                };
                if kind == 0x10 {
                    blocks.push((u64_at(body, 0), u64_at(body, 8)));
                } else {
                    self.message(kind, body, shared)?;
                }
                position += 8 + size;
            }
        }
        Ok(())
    }

    fn message(&mut self, kind: u16, body: &[u8], shared: bool) -> io::Result<()> {
        match kind {
            // A group's links: a tree whose leaves are nodes of them.
            0x11 => self.tree(u64_at(body, 0), 0),
            0x0c if shared => {
                self.unread = Some("an attribute is stored apart from its object");
                Ok(())
            }
            0x0c => self.attribute(body),
            0x07 => {
                self.context.find(rules::HDF5_LINK, None, "a dataset's bytes lie in other files");
                Ok(())
            }
            // The class of a layout stands behind its version; 3 is virtual: parts of other files.
            0x08 if body.first() == Some(&4) && body.get(1) == Some(&3) => {
                self.context.find(rules::HDF5_LINK, None, "a dataset is made of parts of other files");
                Ok(())
            }
            // Newer groups: links as messages, unless they lie in a heap; so with attributes.
            0x02 | 0x15 => {
                let counter = if kind == 0x02 { 8 } else { 2 };
                let start = if body.get(1).is_some_and(|flags| flags & 1 == 1) { 2 + counter } else { 2 };
                if u64_at(body, start) != UNDEFINED {
                    self.unread = Some("links or attributes lie in a heap");
                }
                Ok(())
            }
            0x06 => {
                self.link(body);
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// A link as a message: a kind, a name, and what it leads to.
    fn link(&mut self, body: &[u8]) {
        let flags = body.get(1).copied().unwrap_or(0);
        let present = |bit: u8, bytes: usize| if flags & bit == 0 { 0 } else { bytes };
        let kind = if flags & 8 == 0 { 0 } else { body.get(2).copied().unwrap_or(u8::MAX) };
        let name_at = 2 + present(8, 1) + present(4, 8) + present(16, 1);
        let width = 1_usize << (flags & 3);
        let length = body
            .get(name_at..name_at + width)
            .unwrap_or_default()
            .iter()
            .rev()
            .fold(0_usize, |sum, byte| sum << 8 | usize::from(*byte));
        match kind {
            0 => self.queue.push(u64_at(body, (name_at + width).saturating_add(length))),
            1 => {}
            64 => {
                let name = body.get(name_at + width..(name_at + width).saturating_add(length)).unwrap_or_default();
                let message = format!("`{}` leads to another file", shown(&String::from_utf8_lossy(name)));
                self.context.find(rules::HDF5_LINK, None, message);
            }
            _ => self.unread = Some("a link is of an unknown kind"),
        }
    }

    fn tree(&mut self, address: u64, depth: usize) -> io::Result<()> {
        const DEPTH_MAX: usize = 16;
        let head = self.window.bytes(address, 24)?;
        if !head.starts_with(b"TREE") || depth > DEPTH_MAX || !self.seen.insert(address | 1 << 63) {
            self.unread = Some("a group's tree is damaged");
            return Ok(());
        }
        let (level, entries) = (head.get(5).copied().unwrap_or(0), u64::from(u16_at(&head, 6)));
        let body = self.window.bytes(address + 24, 8 + entries * 16)?;
        for index in 0..entries {
            let child = u64_at(&body, usize::try_from(8 + index * 16).unwrap_or(usize::MAX));
            if level > 0 {
                self.tree(child, depth + 1)?;
            } else {
                self.symbols(child)?;
            }
        }
        Ok(())
    }

    /// A node of links: each with a name, an address, and 2 for a soft link.
    fn symbols(&mut self, address: u64) -> io::Result<()> {
        let head = self.window.bytes(address, 8)?;
        if !head.starts_with(b"SNOD") {
            self.unread = Some("a group's names are damaged");
            return Ok(());
        }
        let count = u64::from(u16_at(&head, 6));
        let entries = self.window.bytes(address + 8, count * 40)?;
        for entry in entries.chunks_exact(40) {
            // Soft links stay in the file; links to other files need the newer way.
            if u32_at(entry, 16) != 2 {
                self.queue.push(u64_at(entry, 8));
            }
        }
        Ok(())
    }
}
