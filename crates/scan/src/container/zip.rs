//! Zip archives: the central directory and every local header, which must agree and cover the file without a gap.
//!
//! Readers differ in which of the two they believe, which of two equal names they take, and what they do about flags and
//! checksums. An archive on which they could differ is blocked.

use std::io;

use crate::container::names::Names;
use crate::context::Context;
use crate::limits::{CENTRAL_BYTES_MAX, MEMBERS_MAX};
use crate::report::shown;
use crate::rules;
use crate::source::Window;

const END_BYTES: u64 = 22;
const COMMENT_BYTES_MAX: u64 = 65_535;
const LOCAL_BYTES: u64 = 30;
const CENTRAL_BYTES: usize = 46;
const END_MAGIC: [u8; 4] = *b"PK\x05\x06";
const LOCATOR_BYTES: u64 = 20;
const LOCATOR_MAGIC: [u8; 4] = *b"PK\x06\x07";
const LARGE_END_BYTES: u64 = 56;
const LARGE_END_MAGIC: [u8; 4] = *b"PK\x06\x06";
const CENTRAL_MAGIC: [u8; 4] = *b"PK\x01\x02";
const LOCAL_MAGIC: [u8; 4] = *b"PK\x03\x04";
const DESCRIPTOR_MAGIC: [u8; 4] = *b"PK\x07\x08";
/// Sizes follow the data.
const FLAG_DESCRIPTOR: u16 = 1 << 3;
const FLAG_UTF8: u16 = 1 << 11;
/// Compression levels (bits 1 and 2) say nothing that matters.
const FLAGS_HARMLESS: u16 = FLAG_DESCRIPTOR | FLAG_UTF8 | 0b110;
/// Encrypted, patched, strongly encrypted, masked.
const FLAGS_ENCRYPTED: u16 = 1 | 1 << 5 | 1 << 6 | 1 << 13;

/// A member whose headers agree.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub name: String,
    pub method: u16,
    pub checksum: u32,
    pub compressed_bytes: u64,
    pub bytes: u64,
    /// Where its data begins.
    pub data: u64,
    header: u64,
    flags: u16,
}

impl Member {
    pub fn is_folder(&self) -> bool {
        self.name.ends_with('/')
    }
}

/// The end record's place and what it says.
#[derive(Clone, Copy, Debug)]
struct End {
    at: u64,
    entries: u64,
    central_at: u64,
    central_bytes: u64,
    /// Where the record begins that follows the central directory.
    tail_at: u64,
}

/// Whether the file ends like a zip, whatever it begins with.
pub(crate) fn ends_like_zip(window: Window<'_>) -> io::Result<bool> {
    let Some(end) = find_end(window)? else { return Ok(false) };
    let found = if end.central_bytes == 0 { END_MAGIC } else { CENTRAL_MAGIC };
    // Offsets count from the archive's own start, which may lie behind something else.
    let central_at = end.tail_at.saturating_sub(end.central_bytes);
    Ok(window.has(central_at, &found)? || window.has(end.central_at, &found)?)
}

fn find_end(window: Window<'_>) -> io::Result<Option<End>> {
    if window.size() < END_BYTES {
        return Ok(None);
    }
    let start = window.size().saturating_sub(END_BYTES + COMMENT_BYTES_MAX);
    let tail = window.bytes(start, END_BYTES + COMMENT_BYTES_MAX)?;
    for index in memchr::memmem::rfind_iter(&tail, &END_MAGIC) {
        let at = start + index as u64;
        if window.size() - at >= END_BYTES {
            return parse_end(window, at).map(Some);
        }
    }
    Ok(None)
}

fn parse_end(window: Window<'_>, at: u64) -> io::Result<End> {
    let record = window.bytes(at, END_BYTES)?;
    let mut end = End {
        at,
        entries: u64::from(u16_at(&record, 10)),
        central_bytes: u64::from(u32_at(&record, 12)),
        central_at: u64::from(u32_at(&record, 16)),
        tail_at: at,
    };
    // Zip64: a locator before the record leads to a larger one.
    let locator = window.bytes(at.saturating_sub(LOCATOR_BYTES), LOCATOR_BYTES)?;
    if at >= LOCATOR_BYTES && locator.starts_with(&LOCATOR_MAGIC) {
        let large_at = u64_at(&locator, 8);
        let large = window.bytes(large_at, LARGE_END_BYTES)?;
        if large.starts_with(&LARGE_END_MAGIC) && large.len() as u64 == LARGE_END_BYTES {
            end.entries = u64_at(&large, 32);
            end.central_bytes = u64_at(&large, 40);
            end.central_at = u64_at(&large, 48);
            end.tail_at = large_at;
        }
    }
    Ok(end)
}

/// The members; what is wrong with the archive is noted.
pub(crate) fn members(context: &mut Context<'_>, window: Window<'_>) -> io::Result<Vec<Member>> {
    let Some(end) = find_end(window)? else {
        context.find(rules::ARCHIVE_MALFORMED, 0, "the archive has no central directory");
        return Ok(Vec::new());
    };
    check_end(context, window, end)?;
    if end.central_bytes > CENTRAL_BYTES_MAX || end.entries > MEMBERS_MAX as u64 {
        context.find(rules::LIMIT, end.at, format!("the archive has {} members", end.entries));
        return Ok(Vec::new());
    }
    // An archive behind other bytes counts its offsets from its own start; the other bytes are noted already.
    let shift = end.tail_at.saturating_sub(end.central_bytes).saturating_sub(end.central_at);
    let central = window.bytes(end.central_at.saturating_add(shift), end.central_bytes)?;
    let mut found = central_entries(context, &central, end);
    for member in &mut found {
        member.header = member.header.saturating_add(shift);
    }
    let mut names = Names::default();
    let mut members = Vec::with_capacity(found.len());
    for member in found {
        names.check(context, &member.name, member.header);
        members.push(local(context, window, member)?);
    }
    names.finish(context, members.iter().filter(|member| !member.is_folder()).map(|member| member.name.clone()));
    check_coverage(context, window, &members, end.central_at.saturating_add(shift))?;
    Ok(members)
}

fn check_end(context: &mut Context<'_>, window: Window<'_>, end: End) -> io::Result<()> {
    let record = window.bytes(end.at, END_BYTES)?;
    if u16_at(&record, 4) != 0 || u16_at(&record, 6) != 0 || u16_at(&record, 8) != u16_at(&record, 10) {
        context.find(rules::ARCHIVE_MALFORMED, end.at, "the archive is split over several files");
    }
    let comment = window.size() - end.at - END_BYTES;
    if comment != u64::from(u16_at(&record, 20)) {
        context.find(rules::ARCHIVE_HIDDEN, end.at, "bytes follow the end of the archive");
    } else if comment > 0 && memchr::memmem::find(&window.bytes(end.at + END_BYTES, comment)?, b"PK").is_some() {
        context.find(rules::ARCHIVE_HIDDEN, end.at, "the comment of the archive looks like a part of an archive");
    }
    if end.central_at.checked_add(end.central_bytes) != Some(end.tail_at) {
        context.find(rules::ARCHIVE_HEADERS, end.at, "the central directory is not where the end record says");
    }
    if !large_end_is_one(window, end.at)? {
        let message = "the archive's larger end record does not stand before its locator, where some readers take it from";
        context.find(rules::ARCHIVE_HEADERS, end.at, message);
    }
    let large_entries = u16_at(&record, 10) == u16::MAX || u64::from(u16_at(&record, 10)) == end.entries;
    let large_start = u32_at(&record, 16) == u32::MAX || u64::from(u32_at(&record, 16)) == end.central_at;
    let large_size = u32_at(&record, 12) == u32::MAX || u64::from(u32_at(&record, 12)) == end.central_bytes;
    if !(large_entries && large_start && large_size) {
        context.find(rules::ARCHIVE_HEADERS, end.at, "the two end records of the archive disagree");
    }
    Ok(())
}

/// Readers take the larger end record from where its locator says, or from right before the locator: it must be the same.
fn large_end_is_one(window: Window<'_>, at: u64) -> io::Result<bool> {
    let Some(locator_at) = at.checked_sub(LOCATOR_BYTES) else { return Ok(true) };
    let locator = window.bytes(locator_at, LOCATOR_BYTES)?;
    if !locator.starts_with(&LOCATOR_MAGIC) {
        return Ok(true);
    }
    let Some(large_at) = locator_at.checked_sub(LARGE_END_BYTES) else { return Ok(false) };
    let large = window.bytes(large_at, LARGE_END_BYTES)?;
    // The record says how long it is behind its first twelve bytes.
    let whole = large.starts_with(&LARGE_END_MAGIC) && u64_at(&large, 4) == LARGE_END_BYTES - 12;
    Ok(whole && u64_at(&locator, 8) == large_at && u32_at(&locator, 4) == 0 && u32_at(&locator, 16) == 1)
}

fn central_entries(context: &mut Context<'_>, central: &[u8], end: End) -> Vec<Member> {
    let mut members = Vec::new();
    let mut at = 0;
    while let Some(head) = central.get(at..at + CENTRAL_BYTES) {
        let offset = end.central_at + at as u64;
        if !head.starts_with(&CENTRAL_MAGIC) {
            break;
        }
        let (name_bytes, extra_bytes) = (usize::from(u16_at(head, 28)), usize::from(u16_at(head, 30)));
        let comment_bytes = usize::from(u16_at(head, 32));
        let name = central.get(at + CENTRAL_BYTES..at + CENTRAL_BYTES + name_bytes).unwrap_or_default();
        let extra_at = at + CENTRAL_BYTES + name_bytes;
        let extra = central.get(extra_at..extra_at + extra_bytes).unwrap_or_default();
        let mut member = Member {
            name: text(context, name, offset),
            method: u16_at(head, 10),
            checksum: u32_at(head, 16),
            compressed_bytes: u64::from(u32_at(head, 20)),
            bytes: u64::from(u32_at(head, 24)),
            data: 0,
            header: u64::from(u32_at(head, 42)),
            flags: u16_at(head, 8),
        };
        if !large_sizes(&mut member, extra) {
            context.find(rules::ARCHIVE_MALFORMED, offset, format!("`{}`: the extra field is malformed", shown(&member.name)));
        }
        // The mode of the file, where a Unix made the archive; 0xa000 is a link.
        let mode = u32_at(head, 38) >> 16;
        if head.get(5) == Some(&3) && !matches!(mode & 0xf000, 0 | 0x8000 | 0x4000) {
            context.find(rules::ARCHIVE_LINK, offset, format!("`{}` is a link or a device", shown(&member.name)));
        }
        members.push(member);
        at = extra_at + extra_bytes + comment_bytes;
    }
    if at as u64 != end.central_bytes || members.len() as u64 != end.entries {
        let message = format!("the central directory has {} members, its end record says {}", members.len(), end.entries);
        context.find(rules::ARCHIVE_HEADERS, end.at, message);
    }
    members
}

fn text(context: &mut Context<'_>, name: &[u8], offset: u64) -> String {
    match std::str::from_utf8(name) {
        Ok(name) => name.to_owned(),
        Err(_) => {
            let name = String::from_utf8_lossy(name).into_owned();
            context.find(rules::ARCHIVE_NAME, offset, format!("`{}` is not UTF-8", shown(&name)));
            name
        }
    }
}

/// Takes sizes from a zip64 field, for those that do not fit; `false` if the fields are malformed or rename the member.
fn large_sizes(member: &mut Member, extra: &[u8]) -> bool {
    let mut at = 0;
    while at < extra.len() {
        let Some(head) = extra.get(at..at + 4) else { return false };
        let Some(field) = extra.get(at + 4..at + 4 + usize::from(u16_at(head, 2))) else { return false };
        match u16_at(head, 0) {
            1 => {
                let mut position = 0;
                for slot in [&mut member.bytes, &mut member.compressed_bytes, &mut member.header] {
                    if *slot == u64::from(u32::MAX) && field.len() >= position + 8 {
                        *slot = u64_at(field, position);
                        position += 8;
                    }
                }
            }
            // A second name in Unicode, which some readers take instead of the first.
            0x7075 if field.get(5..) != Some(member.name.as_bytes()) => return false,
            _ => {}
        }
        at += 4 + field.len();
    }
    true
}

/// Compares the local header with the central one, and finds the data.
fn local(context: &mut Context<'_>, window: Window<'_>, mut member: Member) -> io::Result<Member> {
    let name = shown(&member.name);
    let head = window.bytes(member.header, LOCAL_BYTES)?;
    if head.len() as u64 != LOCAL_BYTES || !head.starts_with(&LOCAL_MAGIC) {
        context.find(rules::ARCHIVE_HEADERS, member.header, format!("`{name}` has no local header"));
        return Ok(member);
    }
    let (name_bytes, extra_bytes) = (u64::from(u16_at(&head, 26)), u64::from(u16_at(&head, 28)));
    let local_name = window.bytes(member.header + LOCAL_BYTES, name_bytes)?;
    if local_name != member.name.as_bytes() {
        let message = format!("`{name}` is called `{}` in its local header", shown(&String::from_utf8_lossy(&local_name)));
        context.find(rules::ARCHIVE_HEADERS, member.header, message);
    }
    let extra = window.bytes(member.header + LOCAL_BYTES + name_bytes, extra_bytes)?;
    let flags = u16_at(&head, 6);
    let mut seen = Member {
        name: member.name.clone(),
        method: u16_at(&head, 8),
        checksum: u32_at(&head, 14),
        compressed_bytes: u64::from(u32_at(&head, 18)),
        bytes: u64::from(u32_at(&head, 22)),
        data: 0,
        header: 0,
        flags,
    };
    if !large_sizes(&mut seen, &extra) {
        context.find(rules::ARCHIVE_MALFORMED, member.header, format!("`{name}`: the local extra field is malformed"));
    }
    let deferred = flags & FLAG_DESCRIPTOR != 0;
    let same = |local: u64, central: u64| local == central || (deferred && local == 0);
    let agrees = seen.method == member.method
        && flags == member.flags
        && same(u64::from(seen.checksum), u64::from(member.checksum))
        && same(seen.compressed_bytes, member.compressed_bytes)
        && same(seen.bytes, member.bytes);
    if !agrees {
        context.find(rules::ARCHIVE_HEADERS, member.header, format!("the two headers of `{name}` disagree"));
    }
    if (flags | member.flags) & FLAGS_ENCRYPTED != 0 {
        context.find(rules::ARCHIVE_ENCRYPTED, member.header, format!("`{name}` is marked as encrypted"));
    } else if (flags | member.flags) & !FLAGS_HARMLESS != 0 {
        context.find(rules::ARCHIVE_MALFORMED, member.header, format!("`{name}` has flags that are not in use: {flags:#06x}"));
    }
    if member.method == 0 && member.bytes != member.compressed_bytes {
        context.find(rules::ARCHIVE_HEADERS, member.header, format!("`{name}` is stored in another number of bytes than it has"));
    }
    member.data = member.header + LOCAL_BYTES + name_bytes + extra_bytes;
    Ok(member)
}

/// Members must follow one another without gaps and end where the central directory begins.
fn check_coverage(context: &mut Context<'_>, window: Window<'_>, members: &[Member], central_at: u64) -> io::Result<()> {
    let mut order: Vec<&Member> = members.iter().filter(|member| member.data > 0).collect();
    order.sort_by_key(|member| member.header);
    let mut expected = 0;
    for member in order {
        if member.header != expected {
            let what = if member.header < expected { "overlaps the one before" } else { "is not where the one before ends" };
            context.find(rules::ARCHIVE_HIDDEN, expected, format!("the member `{}` {what}", shown(&member.name)));
        }
        expected = member.data.saturating_add(member.compressed_bytes);
        if member.flags & FLAG_DESCRIPTOR != 0 {
            expected = expected.saturating_add(descriptor_bytes(context, window, member, expected)?);
        }
    }
    if expected != central_at {
        context.find(rules::ARCHIVE_HIDDEN, expected, "the members do not end where the central directory begins");
    }
    Ok(())
}

/// The record behind the data that repeats the sizes.
fn descriptor_bytes(context: &mut Context<'_>, window: Window<'_>, member: &Member, at: u64) -> io::Result<u64> {
    let record = window.bytes(at, 24)?;
    let marked = u64::from(record.starts_with(&DESCRIPTOR_MAGIC)) * 4;
    let fields = record.get(usize::try_from(marked).unwrap_or(0)..).unwrap_or_default();
    let checksum = u32_at(fields, 0) == member.checksum;
    if checksum && u64_at(fields, 4) == member.compressed_bytes && u64_at(fields, 12) == member.bytes {
        return Ok(marked + 20);
    }
    if checksum && u64::from(u32_at(fields, 4)) == member.compressed_bytes && u64::from(u32_at(fields, 8)) == member.bytes {
        return Ok(marked + 12);
    }
    let message = format!("the sizes behind the data of `{}` disagree with its header", shown(&member.name));
    context.find(rules::ARCHIVE_HEADERS, at, message);
    Ok(0)
}

pub(crate) fn u16_at(bytes: &[u8], at: usize) -> u16 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u16::from_le_bytes(*chunk))
}

pub(crate) fn u32_at(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u32::from_le_bytes(*chunk))
}

pub(crate) fn u64_at(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..).and_then(|rest| rest.first_chunk()).map_or(0, |chunk| u64::from_le_bytes(*chunk))
}
