//! A zip archive's members, read strictly: what readers could understand in two ways is refused.

use std::collections::BTreeMap;
use std::io::Read;

use flate2::read::DeflateDecoder;

use crate::{Limits, LoadError};

/// Members of one archive: a tree has some, and there may be thousands of trees.
const MEMBER_COUNT_MAX: usize = 100_000;
const END: &[u8] = b"PK\x05\x06";
const END_BYTES: usize = 22;

/// The members' bytes, where they lie.
pub(super) struct Zip<'a> {
    bytes: &'a [u8],
    members: BTreeMap<&'a str, Member>,
    left: std::cell::Cell<u64>,
}

#[derive(Clone, Copy)]
struct Member {
    deflated: bool,
    crc: u32,
    packed: usize,
    size: usize,
    start: usize,
}

fn broken(what: &str) -> LoadError {
    LoadError::invalid(format!("skops: the archive {what}"))
}

fn number<const N: usize>(bytes: &[u8], place: usize) -> Result<u64, LoadError> {
    let end = place.checked_add(N).ok_or_else(|| broken("ends too early"))?;
    let slice = bytes.get(place..end).ok_or_else(|| broken("ends too early"))?;
    Ok(slice.iter().rev().fold(0, |sum, byte| sum << 8 | u64::from(*byte)))
}

impl<'a> Zip<'a> {
    pub(super) fn new(bytes: &'a [u8], limits: &Limits) -> Result<Self, LoadError> {
        // No comment at the end, so that there is one place for the directory's end.
        let end = bytes.len().checked_sub(END_BYTES).ok_or_else(|| broken("ends too early"))?;
        if !bytes.get(end..).is_some_and(|tail| tail.starts_with(END)) || number::<2>(bytes, end + 20)? != 0 {
            return Err(broken("has no directory at its end"));
        }
        let count = number::<2>(bytes, end + 10)? as usize;
        let mut place = number::<4>(bytes, end + 16)? as usize;
        if count == 0xffff || place == 0xffff_ffff {
            return Err(LoadError::unsupported("a skops file of the zip64 format"));
        }
        if count > MEMBER_COUNT_MAX {
            return Err(LoadError::TooLarge { what: "members in its archive", limit: MEMBER_COUNT_MAX as u64 });
        }
        let mut members = BTreeMap::new();
        for _ in 0..count {
            let (name, member, next) = entry(bytes, place)?;
            if members.insert(name, member).is_some() {
                return Err(broken("holds a name twice"));
            }
            place = next;
        }
        if place != end {
            return Err(broken("has something behind its directory"));
        }
        Ok(Self { bytes, members, left: std::cell::Cell::new(limits.model_bytes_max) })
    }

    /// A member's bytes. All reads together are bounded.
    pub(super) fn read(&self, name: &str) -> Result<Vec<u8>, LoadError> {
        let member = self.members.get(name).ok_or_else(|| broken(&format!("lacks `{}`", name.escape_default())))?;
        let left = self
            .left
            .get()
            .checked_sub(member.size as u64)
            .ok_or(LoadError::TooLarge { what: "unpacked bytes", limit: self.left.get() })?;
        self.left.set(left);
        let packed = member.start.checked_add(member.packed).and_then(|end| self.bytes.get(member.start..end));
        let packed = packed.ok_or_else(|| broken("ends too early"))?;
        let mut bytes = Vec::new();
        if member.deflated {
            // One more byte than promised shows that there is more.
            let mut reader = DeflateDecoder::new(packed).take(member.size as u64 + 1);
            reader.read_to_end(&mut bytes).map_err(|_| broken("cannot be unpacked"))?;
        } else {
            bytes.extend_from_slice(packed);
        }
        let mut crc = flate2::Crc::new();
        crc.update(&bytes);
        if bytes.len() != member.size || crc.sum() != member.crc {
            return Err(broken("does not hold what its directory says"));
        }
        Ok(bytes)
    }
}

/// An entry of the directory, and the place of the next one. The member's own header must say the same.
fn entry(bytes: &[u8], place: usize) -> Result<(&str, Member, usize), LoadError> {
    if number::<4>(bytes, place)? != 0x0201_4b50 {
        return Err(broken("has a broken directory"));
    }
    let flags = number::<2>(bytes, place + 8)?;
    let method = number::<2>(bytes, place + 10)?;
    if flags & 0x2041 != 0 || !matches!(method, 0 | 8) {
        return Err(LoadError::unsupported("a skops file that is encrypted or packed in an unusual way"));
    }
    let name_length = number::<2>(bytes, place + 28)? as usize;
    let name = text(bytes, place + 46, name_length)?;
    let next = place + 46 + name_length + number::<2>(bytes, place + 30)? as usize + number::<2>(bytes, place + 32)? as usize;
    let local = number::<4>(bytes, place + 42)? as usize;
    if number::<4>(bytes, local)? != 0x0403_4b50
        || number::<2>(bytes, local + 8)? != method
        || text(bytes, local + 30, number::<2>(bytes, local + 26)? as usize)? != name
    {
        return Err(broken("contradicts its directory"));
    }
    let start = local + 30 + name_length + number::<2>(bytes, local + 28)? as usize;
    let member = Member {
        deflated: method == 8,
        crc: number::<4>(bytes, place + 16)? as u32,
        packed: number::<4>(bytes, place + 20)? as usize,
        size: number::<4>(bytes, place + 24)? as usize,
        start,
    };
    Ok((name, member, next))
}

fn text(bytes: &[u8], place: usize, length: usize) -> Result<&str, LoadError> {
    let slice = place.checked_add(length).and_then(|end| bytes.get(place..end)).ok_or_else(|| broken("ends too early"))?;
    std::str::from_utf8(slice).map_err(|_| broken("has a name that is not UTF-8"))
}
