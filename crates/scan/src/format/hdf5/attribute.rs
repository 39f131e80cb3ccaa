//! Attributes: the configurations that Keras writes, and texts, which PyTables loads if they are pickles.

use std::collections::HashMap;
use std::io;

use crate::container::zip::{u16_at, u32_at, u64_at};
use crate::format::{config, pickled};
use crate::report::shown;
use crate::rules;
use crate::source::Window;

use super::Walk;

/// Bytes of all heaps of one file that are kept.
const HEAPS_BYTES_MAX: u64 = 64 << 20;
/// Objects of heaps that are passed over in one file.
const HEAP_STEPS_MAX: u64 = 32 << 20;
/// Bytes of texts that are looked at in one file; a heap's texts can be used many times.
const TEXT_BYTES_MAX: u64 = 256 << 20;
/// Texts that are looked at in one file.
const TEXTS_MAX: u64 = 1 << 18;
const CONFIGURATIONS: [&str; 3] = ["model_config", "training_config", "layer_config"];

/// Heaps that were read, and what was spent on them.
#[derive(Default)]
pub(super) struct Heaps {
    read: HashMap<u64, Vec<u8>>,
    bytes: u64,
    steps: u64,
    text_bytes: u64,
    texts: u64,
}

/// An attribute's parts.
struct Attribute<'a> {
    name: String,
    class: u8,
    item_bytes: usize,
    items: usize,
    value: &'a [u8],
}

impl Walk<'_, '_, '_> {
    pub(super) fn attribute(&mut self, body: &[u8]) -> io::Result<()> {
        let Some(attribute) = parse(body) else {
            self.unread = Some("an attribute is stored in another way than h5py does");
            return Ok(());
        };
        let name = attribute.name.as_str();
        let texts = self.texts(&attribute)?;
        if CONFIGURATIONS.contains(&name) && texts.as_deref().is_none_or(<[Vec<u8>]>::is_empty) {
            self.unread = Some("the configuration of the model cannot be read");
        }
        for text in texts.unwrap_or_default() {
            self.text(name, &text)?;
        }
        Ok(())
    }

    fn text(&mut self, name: &str, text: &[u8]) -> io::Result<()> {
        self.heaps.text_bytes = self.heaps.text_bytes.saturating_add(text.len() as u64);
        self.heaps.texts += 1;
        if self.heaps.text_bytes > TEXT_BYTES_MAX || self.heaps.texts > TEXTS_MAX {
            self.unread = Some("it has too many attributes");
            return Ok(());
        }
        match name {
            "model_config" => config::judge_keras(self.context, text),
            "training_config" | "layer_config" => {
                if memchr::memmem::find(text, b"lambda").is_some() {
                    self.context.find(rules::KERAS_LAYER, None, format!("`{}` has a lambda", shown(name)));
                }
                config::judge_training(self.context, text);
            }
            // PyTables' mark of rows that are pickles.
            "PSEUDOATOM" if text == b"object" => self.unread = Some("it has rows that are pickles"),
            _ => {}
        }
        let bytes = text.to_vec();
        pickled::look_inside(self.context, Window::whole(&bytes), &format!("attribute {name}"))
    }

    /// The texts of an attribute; `None` if it has none or they cannot be read.
    fn texts(&mut self, attribute: &Attribute<'_>) -> io::Result<Option<Vec<Vec<u8>>>> {
        let value = attribute.value;
        match attribute.class {
            // Texts and opaque bytes of a fixed length, filled up with NULs.
            3 | 5 if attribute.item_bytes > 0 => {
                let items = value.chunks(attribute.item_bytes).take(attribute.items);
                Ok(Some(items.map(|item| trim_nuls(item).to_vec()).collect()))
            }
            // Of any length: a length, then the heap's address and the number of the object in it.
            9 => {
                let mut texts = Vec::new();
                for item in value.chunks_exact(16).take(attribute.items) {
                    if let Some(text) = self.heap(u64::from(u32_at(item, 0)), u64_at(item, 4), u32_at(item, 12))? {
                        texts.push(text);
                    } else if u32_at(item, 0) > 0 {
                        self.unread = Some("a text of an attribute cannot be read");
                    }
                }
                Ok(Some(texts))
            }
            _ => Ok(None),
        }
    }

    fn heap(&mut self, length: u64, address: u64, index: u32) -> io::Result<Option<Vec<u8>>> {
        if !self.heaps.read.contains_key(&address) {
            let head = self.window.bytes(address, 16)?;
            let size = u64_at(&head, 8);
            self.heaps.bytes = self.heaps.bytes.saturating_add(size.max(16));
            if !head.starts_with(b"GCOL") || self.heaps.bytes > HEAPS_BYTES_MAX {
                return Ok(None);
            }
            self.heaps.read.insert(address, self.window.bytes(address, size)?);
        }
        let Some(heap) = self.heaps.read.get(&address) else { return Ok(None) };
        let mut at = 16;
        while let Some(head) = heap.get(at..at + 16) {
            self.heaps.steps += 1;
            let bytes = usize::try_from(u64_at(head, 8)).unwrap_or(usize::MAX);
            if u32::from(u16_at(head, 0)) == index {
                let end = usize::try_from(length).unwrap_or(usize::MAX).min(bytes);
                return Ok(heap.get(at + 16..(at + 16).saturating_add(end)).map(<[u8]>::to_vec));
            }
            if u16_at(head, 0) == 0 || bytes >= heap.len() || self.heaps.steps > HEAP_STEPS_MAX {
                break;
            }
            at += 16 + bytes.next_multiple_of(8);
        }
        Ok(None)
    }
}

/// An attribute of versions 1 to 3: name, datatype, dataspace, value. `None` if its type or space lies elsewhere.
fn parse(body: &[u8]) -> Option<Attribute<'_>> {
    let version = body.first().copied()?;
    let sizes = [u16_at(body, 2), u16_at(body, 4), u16_at(body, 6)].map(usize::from);
    let (start, [name_bytes, type_bytes, space_bytes]) = match version {
        1 => (8, sizes.map(|size| size.next_multiple_of(8))),
        2 if body.get(1) == Some(&0) => (8, sizes),
        3 if body.get(1) == Some(&0) => (9, sizes),
        _ => return None,
    };
    let name = body.get(start..start + name_bytes)?;
    let name = String::from_utf8_lossy(name.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
    let datatype = body.get(start + name_bytes..start + name_bytes + type_bytes)?;
    let space_at = start + name_bytes + type_bytes;
    let items = items(body.get(space_at..space_at + space_bytes)?)?;
    let value = body.get(start + name_bytes + type_bytes + space_bytes..)?;
    let item_bytes = usize::try_from(u32_at(datatype, 4)).ok()?;
    Some(Attribute { name, class: datatype.first()? & 0x0f, item_bytes, items, value })
}

/// How many items a dataspace of version 1 or 2 has: the product of its dimensions.
fn items(space: &[u8]) -> Option<usize> {
    let rank = usize::from(*space.get(1)?);
    let (dimensions_at, is_null) = match space.first()? {
        1 => (8, false),
        2 => (4, space.get(3) == Some(&2)),
        _ => return None,
    };
    if is_null {
        return Some(0);
    }
    let dimensions = space.get(dimensions_at..dimensions_at + 8 * rank)?;
    let lengths = dimensions.chunks_exact(8).map(|length| u64_at(length, 0));
    let items = lengths.fold(1_u64, u64::saturating_mul);
    usize::try_from(items).ok()
}

fn trim_nuls(item: &[u8]) -> &[u8] {
    let end = item.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    item.get(..end).unwrap_or_default()
}
