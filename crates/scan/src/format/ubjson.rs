//! XGBoost's UBJSON: walked with bounds, to its last byte.

use std::io;

use crate::context::Context;
use crate::limits::VALUE_DEPTH_MAX;
use crate::rules;
use crate::source::Window;

use super::cursor::{Cursor, Stop, malformed};

const KEY_BYTES_MAX: u64 = 1 << 16;

/// Whether the file begins as a UBJSON object whose first key is one of XGBoost's.
pub(super) fn is_xgboost(head: &[u8]) -> bool {
    let Some(rest) = head.strip_prefix(b"{L\0\0\0\0\0\0\0") else { return false };
    [&b"\x07learner"[..], b"\x07version", b"\x06Config"].iter().any(|key| rest.starts_with(key))
}

pub(super) fn look(context: &mut Context<'_>, window: Window<'_>) -> io::Result<()> {
    let mut cursor = Cursor::new(window);
    let walked = cursor.u8().and_then(|kind| value(&mut cursor, kind, 0));
    match walked {
        Ok(()) if cursor.left() == 0 => {}
        Ok(()) => context.find(rules::FORMAT_MALFORMED, cursor.position, "bytes follow the model"),
        Err(Stop::Source(error)) => return Err(error),
        Err(Stop::Malformed(problem)) => context.find(rules::FORMAT_MALFORMED, cursor.position, problem),
    }
    Ok(())
}

fn value(cursor: &mut Cursor<'_>, kind: u8, depth: usize) -> Result<(), Stop> {
    if depth > VALUE_DEPTH_MAX {
        return malformed("values stand in values too deep");
    }
    match kind {
        b'Z' | b'N' | b'T' | b'F' => Ok(()),
        b'S' | b'H' => {
            let length = length(cursor)?;
            cursor.skip(length)
        }
        b'[' | b'{' => collection(cursor, kind == b'{', depth),
        kind => match scalar_bytes(kind) {
            Some(bytes) => cursor.skip(bytes),
            None => malformed(format!("the type {kind:#04x} is not known")),
        },
    }
}

fn scalar_bytes(kind: u8) -> Option<u64> {
    match kind {
        b'i' | b'U' | b'C' => Some(1),
        b'I' => Some(2),
        b'l' | b'd' => Some(4),
        b'L' | b'D' => Some(8),
        _ => None,
    }
}

fn length(cursor: &mut Cursor<'_>) -> Result<u64, Stop> {
    let length = match cursor.u8()? {
        b'i' => i64::from(i8::from_be_bytes(cursor.array()?)),
        b'U' => i64::from(cursor.u8()?),
        b'I' => i64::from(i16::from_be_bytes(cursor.array()?)),
        b'l' => i64::from(i32::from_be_bytes(cursor.array()?)),
        b'L' => i64::from_be_bytes(cursor.array()?),
        other => return malformed(format!("a length has the type {other:#04x}")),
    };
    u64::try_from(length).or_else(|_| malformed("a length is negative"))
}

fn collection(cursor: &mut Cursor<'_>, keyed: bool, depth: usize) -> Result<(), Stop> {
    let (mut kind, mut count) = (None, None);
    let mut next = cursor.u8()?;
    if next == b'$' {
        kind = Some(cursor.u8()?);
        next = cursor.u8()?;
    }
    if next == b'#' {
        count = Some(length(cursor)?);
    } else if kind.is_some() {
        return malformed("a typed collection has no count");
    } else {
        // Not a mark but the first item: go back to it.
        cursor.position -= 1;
    }
    if let (Some(bytes), Some(count), false) = (kind.and_then(scalar_bytes), count, keyed) {
        return match count.checked_mul(bytes) {
            Some(bytes) => cursor.skip(bytes),
            None => malformed("an array is too large"),
        };
    }
    if kind.is_some_and(|kind| matches!(kind, b'Z' | b'N' | b'T' | b'F')) {
        // Values without bytes would cost time without end.
        return malformed("a typed collection has a type without bytes");
    }
    let end = if keyed { b'}' } else { b']' };
    let mut done = 0;
    while count.is_none_or(|count| done < count) {
        if count.is_none() {
            if cursor.u8()? == end {
                return Ok(());
            }
            cursor.position -= 1;
        }
        if keyed {
            let length = length(cursor)?;
            cursor.text(length, KEY_BYTES_MAX)?;
        }
        let kind = match kind {
            Some(kind) => kind,
            None => cursor.u8()?,
        };
        value(cursor, kind, depth + 1)?;
        done += 1;
    }
    Ok(())
}
