//! Protocol buffers' wire format: fields one after the other, long ones passed over.

use crate::source::Window;

use super::cursor::{Cursor, Stop, malformed};

/// What a field holds.
#[derive(Clone, Copy)]
pub(super) enum Content<'a> {
    Number(u64),
    Bytes(Window<'a>),
}

/// A field with its number.
#[derive(Clone, Copy)]
pub(super) struct Field<'a> {
    pub number: u64,
    pub content: Content<'a>,
}

impl<'a> Field<'a> {
    pub fn bytes(&self) -> Option<Window<'a>> {
        match self.content {
            Content::Bytes(window) => Some(window),
            Content::Number(_) => None,
        }
    }

    /// The text of a field; too long or odd ones are read as far as that goes.
    pub fn text(&self) -> Result<String, Stop> {
        const TEXT_BYTES_MAX: u64 = 4_096;
        match self.bytes() {
            Some(window) if window.size() <= TEXT_BYTES_MAX => {
                Ok(String::from_utf8_lossy(&window.bytes(0, TEXT_BYTES_MAX)?).into_owned())
            }
            Some(window) => malformed(format!("a name has {} bytes", window.size())),
            None => malformed("a name is a number"),
        }
    }
}

/// Calls `act` with every field of a message.
pub(super) fn fields<'a>(window: Window<'a>, mut act: impl FnMut(Field<'a>) -> Result<(), Stop>) -> Result<(), Stop> {
    // Small messages are read whole; only large ones are walked in steps.
    let mut cursor = Cursor::new(window);
    while cursor.left() > 0 {
        let tag = varint(&mut cursor)?;
        let content = match tag & 7 {
            0 => Content::Number(varint(&mut cursor)?),
            1 => Content::Number(cursor.u64()?),
            2 => {
                let length = varint(&mut cursor)?;
                Content::Bytes(cursor.part(length)?)
            }
            5 => Content::Number(u64::from(cursor.u32()?)),
            kind => return malformed(format!("a field at byte {} has the wire type {kind}", cursor.position)),
        };
        if tag >> 3 == 0 {
            return malformed(format!("a field at byte {} has no number", cursor.position));
        }
        act(Field { number: tag >> 3, content })?;
    }
    Ok(())
}

fn varint(cursor: &mut Cursor<'_>) -> Result<u64, Stop> {
    let mut value = 0_u64;
    for shift in (0..64).step_by(7) {
        let byte = cursor.u8()?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    malformed("a number has too many bytes")
}
