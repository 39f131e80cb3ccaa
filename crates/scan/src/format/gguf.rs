//! GGUF: counts, key and value pairs, tensors with their places. Everything is checked against the size of the file.

use std::io;

use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

use super::cursor::{Cursor, Stop, malformed};

const PAIRS_MAX: u64 = 1 << 20;
const TENSORS_MAX: u64 = 1 << 20;
const DIMENSIONS_MAX: u32 = 8;
const KEY_BYTES_MAX: u64 = 1 << 16;
const TEMPLATE_BYTES_MAX: u64 = 4 << 20;
const ARRAY_DEPTH_MAX: usize = 4;
const ALIGNMENT_BYTES: u64 = 32;

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    match walk(context, window) {
        Ok(()) => Ok(()),
        Err(Stop::Source(error)) => Err(error),
        Err(Stop::Malformed(problem)) => {
            context.find(rules::FORMAT_MALFORMED, None, problem);
            Ok(())
        }
    }
}

fn walk(context: &mut Context<'_>, window: Window<'_>) -> Result<(), Stop> {
    let mut cursor = Cursor::new(window);
    cursor.skip(4)?;
    let version = cursor.u32()?;
    if !(2..=3).contains(&version) {
        return malformed(format!("version {version} of GGUF is not known"));
    }
    let (tensors, pairs) = (cursor.u64()?, cursor.u64()?);
    if tensors > TENSORS_MAX || pairs > PAIRS_MAX {
        return malformed(format!("the file is said to have {tensors} tensors and {pairs} values"));
    }
    let mut alignment = ALIGNMENT_BYTES;
    let mut keys = std::collections::HashSet::new();
    for _ in 0..pairs {
        let length = cursor.u64()?;
        let key = cursor.text(length, KEY_BYTES_MAX)?;
        let kind = cursor.u32()?;
        if key == "general.alignment" && kind == 4 {
            alignment = u64::from(cursor.u32()?);
        } else if key.starts_with("tokenizer.chat_template") && kind == 8 {
            let length = cursor.u64()?;
            template(context, &mut cursor, length)?;
        } else {
            value(&mut cursor, kind, 0)?;
        }
        if !keys.insert(key.clone()) {
            return malformed(format!("the key `{}` stands in the file twice", shown(&key)));
        }
    }
    if alignment == 0 || !alignment.is_multiple_of(8) {
        return malformed(format!("an alignment of {alignment} bytes is not allowed"));
    }
    let mut places = Vec::new();
    for _ in 0..tensors {
        places.push(tensor(&mut cursor, alignment)?);
    }
    let data = cursor.position.div_ceil(alignment).saturating_mul(alignment);
    let data_bytes = window.size().saturating_sub(data);
    places.sort_unstable();
    let mut end = 0;
    for (offset, bytes) in places {
        if offset < end || offset.checked_add(bytes).is_none_or(|end| end > data_bytes) {
            return malformed(format!("a tensor at {offset} overlaps another or ends behind the file"));
        }
        end = offset + bytes;
    }
    if data_bytes.saturating_sub(end) > alignment {
        return malformed(format!("{} bytes follow the last tensor", data_bytes - end));
    }
    Ok(())
}

/// The place of a tensor and how many bytes it takes.
fn tensor(cursor: &mut Cursor<'_>, alignment: u64) -> Result<(u64, u64), Stop> {
    let length = cursor.u64()?;
    let name = shown(&cursor.text(length, KEY_BYTES_MAX)?);
    let dimensions = cursor.u32()?;
    if dimensions > DIMENSIONS_MAX {
        return malformed(format!("the tensor `{name}` has {dimensions} dimensions"));
    }
    let mut items = 1_u64;
    for _ in 0..dimensions {
        let length = cursor.u64()?;
        let Some(product) = items.checked_mul(length) else { return malformed(format!("the tensor `{name}` is too large")) };
        items = product;
    }
    let kind = cursor.u32()?;
    let offset = cursor.u64()?;
    let Some((block_items, block_bytes)) = block(kind) else {
        return malformed(format!("the tensor `{name}` is of unknown type {kind}"));
    };
    if !items.is_multiple_of(block_items) || !offset.is_multiple_of(alignment) {
        return malformed(format!("the tensor `{name}` does not fit its type or the alignment"));
    }
    match (items / block_items).checked_mul(block_bytes) {
        Some(bytes) => Ok((offset, bytes)),
        None => malformed(format!("the tensor `{name}` is too large")),
    }
}

/// Items and bytes of one block of a tensor type.
fn block(kind: u32) -> Option<(u64, u64)> {
    Some(match kind {
        0 | 26 => (1, 4),
        1 | 25 | 30 => (1, 2),
        24 => (1, 1),
        27 | 28 => (1, 8),
        2 => (32, 18),
        3 => (32, 20),
        6 => (32, 22),
        7 => (32, 24),
        8 => (32, 34),
        9 => (32, 36),
        10 => (256, 84),
        11 => (256, 110),
        12 => (256, 144),
        13 => (256, 176),
        14 => (256, 210),
        15 => (256, 292),
        16 => (256, 66),
        17 => (256, 74),
        18 => (256, 98),
        19 => (256, 50),
        20 => (32, 18),
        21 => (256, 110),
        22 => (256, 82),
        23 => (256, 136),
        29 => (256, 56),
        34 => (256, 54),
        35 => (256, 66),
        39 => (32, 17),
        _ => return None,
    })
}

fn value(cursor: &mut Cursor<'_>, kind: u32, depth: usize) -> Result<(), Stop> {
    match (scalar_bytes(kind), kind) {
        (Some(bytes), _) => cursor.skip(bytes),
        (None, 8) => {
            let length = cursor.u64()?;
            cursor.skip(length)
        }
        (None, 9) if depth < ARRAY_DEPTH_MAX => {
            let (inner, count) = (cursor.u32()?, cursor.u64()?);
            if let Some(bytes) = scalar_bytes(inner) {
                return match count.checked_mul(bytes) {
                    Some(bytes) => cursor.skip(bytes),
                    None => malformed("an array is too large"),
                };
            }
            for _ in 0..count {
                value(cursor, inner, depth + 1)?;
            }
            Ok(())
        }
        _ => malformed(format!("a value at byte {} is of unknown type {kind}", cursor.position)),
    }
}

fn scalar_bytes(kind: u32) -> Option<u64> {
    match kind {
        0 | 1 | 7 => Some(1),
        2 | 3 => Some(2),
        4..=6 => Some(4),
        10..=12 => Some(8),
        _ => None,
    }
}

fn template(context: &mut Context<'_>, cursor: &mut Cursor<'_>, length: u64) -> Result<(), Stop> {
    let at = cursor.position;
    let text = cursor.text(length, TEMPLATE_BYTES_MAX)?;
    super::template::judge(context, at, &text);
    Ok(())
}
