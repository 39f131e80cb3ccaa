//! The bytes of one member of a zip: as they stand in the file, or decompressed within the budget, checksum verified.

use std::io::{self, Read};

use crate::container::zip::Member;
use crate::context::Context;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

/// Bytes of stored members that are read only for their checksum; larger ones are tensors, which nothing is parsed of.
const CHECKED_BYTES_MAX: u64 = 64 << 20;

/// Hands the bytes of a member to `look`. Nothing happens, but a finding, if they cannot be had.
pub(crate) fn with(
    context: &mut Context<'_>,
    window: Window<'_>,
    member: &Member,
    look: impl FnOnce(&mut Context<'_>, Window<'_>) -> io::Result<()>,
) -> io::Result<()> {
    if member.data == 0 {
        return Ok(());
    }
    let data = window.part(member.data, member.compressed_bytes);
    if data.size() != member.compressed_bytes {
        context.find(rules::ARCHIVE_MALFORMED, member.data, "the member ends behind the end of the file");
    }
    match member.method {
        0 => {
            if data.size() <= CHECKED_BYTES_MAX {
                check(context, member, checksum(&mut data.stream())?);
            }
            look(context, data)
        }
        method => {
            let Some(mut reader) = decoder(data, method) else {
                context.find(rules::ARCHIVE_METHOD, member.data, format!("the member is compressed by method {method}"));
                return Ok(());
            };
            let Some(bytes) = context.decompress(data.size(), &mut *reader)? else { return Ok(()) };
            drop(reader);
            if bytes.len() as u64 != member.bytes {
                let message = format!("the member has {} bytes, its header says {}", bytes.len(), member.bytes);
                context.find(rules::ARCHIVE_HEADERS, member.data, message);
            }
            check(context, member, checksum(&mut bytes.as_slice())?);
            look(context, Window::whole(&bytes))
        }
    }
}

fn decoder<'a>(data: Window<'a>, method: u16) -> Option<Box<dyn Read + 'a>> {
    let stream = io::BufReader::with_capacity(64 << 10, data.stream());
    Some(match method {
        8 => Box::new(flate2::bufread::DeflateDecoder::new(stream)),
        12 => Box::new(bzip2::bufread::BzDecoder::new(stream)),
        _ => return None,
    })
}

fn checksum(reader: &mut dyn Read) -> io::Result<u32> {
    let mut checksum = flate2::Crc::new();
    let mut buffer = vec![0; 64 << 10];
    loop {
        let count = reader.read(&mut buffer)?;
        if count == 0 {
            return Ok(checksum.sum());
        }
        checksum.update(buffer.get(..count).unwrap_or_default());
    }
}

fn check(context: &mut Context<'_>, member: &Member, found: u32) {
    if found != member.checksum {
        let message =
            format!("the checksum of `{}` is {found:08x}, its header says {:08x}", shown(&member.name), member.checksum);
        context.find(rules::ARCHIVE_CHECKSUM, member.data, message);
    }
}
