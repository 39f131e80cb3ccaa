//! Tar archives: headers, names, links; the members are looked at as files.

use std::io;

use crate::container::names::Names;
use crate::context::Context;
use crate::limits::MEMBERS_MAX;
use crate::report::shown;
use crate::rules;
use crate::source::Window;

const BLOCK_BYTES: u64 = 512;
/// Bytes of a long name or of a pax record.
const RECORD_BYTES_MAX: u64 = 1 << 20;

/// A plain file of the archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub name: String,
    pub data: u64,
    pub bytes: u64,
}

/// Whether the first block is a tar header. Archives from before POSIX have no mark: the checksum is what their readers go by.
pub(crate) fn is_tar(window: Window<'_>) -> io::Result<bool> {
    let block = window.bytes(0, BLOCK_BYTES)?;
    Ok(block.len() as u64 == BLOCK_BYTES && checksum_could_fit(&block))
}

/// The plain files; everything else is noted.
pub(crate) fn entries(context: &mut Context<'_>, window: Window<'_>) -> io::Result<Vec<Entry>> {
    let mut names = Names::default();
    let mut entries = Vec::new();
    let mut long_name = None;
    let mut at = 0;
    loop {
        let block = window.bytes(at, BLOCK_BYTES)?;
        if block.len() as u64 != BLOCK_BYTES {
            context.find(rules::ARCHIVE_MALFORMED, at, "the archive has no end");
            return Ok(entries);
        }
        if block.iter().all(|byte| *byte == 0) {
            return ended(context, window, at, entries);
        }
        let size = octal(block.get(124..136).unwrap_or_default());
        let (Some(size), true) = (size, checksum_fits(&block)) else {
            context.find(rules::ARCHIVE_CHECKSUM, at, "a header of the archive is damaged");
            return Ok(entries);
        };
        let data = at + BLOCK_BYTES;
        let kind = block.get(156).copied().unwrap_or(0);
        match kind {
            b'L' | b'x' if size <= RECORD_BYTES_MAX => {
                let record = window.bytes(data, size)?;
                long_name = if kind == b'L' { Some(until_nul(&record)) } else { pax_path(context, &record, at).or(long_name) };
            }
            _ => {
                let own_name = header_name(&block);
                let is_folder = own_name.ends_with('/');
                let name = long_name.take().unwrap_or(own_name);
                names.check(context, &name, at);
                match kind {
                    // Some readers take it for a folder, and go on where its content begins.
                    b'0' | 0 if size > 0 && (is_folder || name.ends_with('/')) => {
                        context.find(rules::ARCHIVE_MALFORMED, at, format!("`{}` is a folder with content", shown(&name)));
                        entries.push(Entry { name, data, bytes: size });
                    }
                    b'0' | 0 => entries.push(Entry { name, data, bytes: size }),
                    b'5' if size == 0 => {}
                    b'1' | b'2' | b'3' | b'4' | b'6' => {
                        context.find(rules::ARCHIVE_LINK, at, format!("`{}` is a link or a device", shown(&name)));
                    }
                    _ => context.find(rules::ARCHIVE_MALFORMED, at, format!("`{}` is of no known kind", shown(&name))),
                }
            }
        }
        at = data.saturating_add(size.saturating_add(BLOCK_BYTES - 1) / BLOCK_BYTES * BLOCK_BYTES);
        if at > window.size() || entries.len() > MEMBERS_MAX {
            context.find(rules::ARCHIVE_MALFORMED, at, "a member ends behind the end of the archive, or there are too many");
            return Ok(entries);
        }
    }
}

/// After the first empty block only empty ones may follow.
fn ended(context: &mut Context<'_>, window: Window<'_>, at: u64, entries: Vec<Entry>) -> io::Result<Vec<Entry>> {
    const PADDING_BYTES_MAX: u64 = 1 << 20;
    let rest = window.from(at);
    if rest.size() > PADDING_BYTES_MAX || rest.bytes(0, PADDING_BYTES_MAX)?.iter().any(|byte| *byte != 0) {
        context.find(rules::ARCHIVE_HIDDEN, at, "bytes follow the end of the archive");
    }
    Ok(entries)
}

fn checksum_fits(block: &[u8]) -> bool {
    octal(block.get(148..156).unwrap_or_default()) == Some(checksum(block))
}

/// As lenient readers compare it: up to a NUL, with signs, prefixes and underscores, and also summed up as signed numbers.
fn checksum_could_fit(block: &[u8]) -> bool {
    let field = block.get(148..156).unwrap_or_default();
    let text = until_nul(field);
    let digits = text.trim().trim_start_matches('+').trim_start_matches("0o").trim_start_matches("0O").replace('_', "");
    let number =
        if field.first().is_some_and(|byte| byte & 0x80 != 0) { octal(field) } else { u64::from_str_radix(&digits, 8).ok() };
    let unsigned = checksum(block);
    let high_bytes = block.iter().enumerate().filter(|(index, byte)| !(148..156).contains(index) && **byte >= 0x80).count();
    number.is_some_and(|number| number == unsigned || number.checked_add(256 * high_bytes as u64) == Some(unsigned))
}

fn checksum(block: &[u8]) -> u64 {
    block.iter().enumerate().map(|(index, byte)| if (148..156).contains(&index) { 32 } else { u64::from(*byte) }).sum()
}

fn octal(field: &[u8]) -> Option<u64> {
    if field.first().is_some_and(|byte| byte & 0x80 != 0) {
        // Large sizes are binary.
        return u64::try_from(field.iter().skip(1).fold(0_u128, |value, byte| value << 8 & ((1 << 120) - 1) | u128::from(*byte)))
            .ok();
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches(['\0', ' ']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

fn until_nul(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned()
}

fn header_name(block: &[u8]) -> String {
    let name = until_nul(block.get(..100).unwrap_or_default());
    let prefix = until_nul(block.get(345..500).unwrap_or_default());
    let is_posix = block.get(257..263) == Some(b"ustar\0");
    if is_posix && !prefix.is_empty() { format!("{prefix}/{name}") } else { name }
}

/// The `path` of a pax record; one that changes the size is not followed, and one that readers could split in other ways.
fn pax_path(context: &mut Context<'_>, record: &[u8], at: u64) -> Option<String> {
    let mut path = None;
    let mut rest = record;
    while !rest.is_empty() {
        let Some((key, value, after)) = pax_entry(rest) else {
            context.find(rules::ARCHIVE_MALFORMED, at, "an extended header is not as it is written");
            return path;
        };
        match key {
            "path" => path = Some(value.to_owned()),
            "size" | "linkpath" | "GNU.sparse.name" | "GNU.sparse.major" => {
                context.find(rules::ARCHIVE_MALFORMED, at, "an extended header changes what the next member is");
            }
            _ => {}
        }
        rest = after;
    }
    path
}

/// `LENGTH KEY=VALUE` and a line feed, which the length counts like all of it; and what follows.
fn pax_entry(record: &[u8]) -> Option<(&str, &str, &[u8])> {
    let digits = record.iter().position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(record.get(..digits)?).ok()?.parse().ok()?;
    let entry = std::str::from_utf8(record.get(digits + 1..length)?.strip_suffix(b"\n")?).ok()?;
    let (key, value) = entry.split_once('=')?;
    (!value.contains(['\n', '\0'])).then_some((key, value, record.get(length..)?))
}
