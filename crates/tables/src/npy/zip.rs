//! The members of an .npz archive: stored or deflated, within limits.
//!
//! Source: PKWARE, "APPNOTE.TXT", sections 4.3 and 4.5.3. Sizes are taken from the central directory; what a member grows to is
//! enforced while it is read.

use std::sync::Arc;

use crate::limits::{
    ZIP_DIRECTORY_BYTES_MAX, ZIP_MEMBER_COUNT_MAX, ZIP_RATIO_FREE_BYTES, ZIP_RATIO_MAX, ZIP_UNCOMPRESSED_BYTES_MAX,
};
use crate::source::{ReadAhead, ReadAt};

/// One member.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Whether it is deflated.
    pub deflated: bool,
    /// Where its bytes begin.
    pub data_at: u64,
    /// How many there are in the archive.
    pub stored_bytes: u64,
    /// How many they grow to.
    pub full_bytes: u64,
    /// The checksum of what they grow to.
    pub crc: u32,
}

/// The members of an archive, in the order of its directory.
///
/// # Errors
/// What is wrong with it, over a limit, or not read.
pub fn members(bytes: &Arc<dyn ReadAt>) -> Result<Vec<Member>, String> {
    let mut ahead = ReadAhead::within(Arc::clone(bytes), u64::MAX, 64 * 1024);
    let (count, directory_at, directory_bytes) = directory_place(&mut ahead)?;
    if count > ZIP_MEMBER_COUNT_MAX as u64 {
        return Err(format!("it has {count} members, at most {ZIP_MEMBER_COUNT_MAX}"));
    }
    if directory_bytes > ZIP_DIRECTORY_BYTES_MAX {
        return Err(format!("its directory has {directory_bytes} bytes, at most {ZIP_DIRECTORY_BYTES_MAX}"));
    }
    let length = usize::try_from(directory_bytes).unwrap_or(usize::MAX);
    let directory = ahead.get(directory_at, length).map_err(|_| "its directory lies outside of it")?;
    let mut rest = Fields { bytes: &directory };
    let mut members: Vec<Member> = Vec::new();
    for _ in 0..count {
        let member = entry(&mut rest, &mut ahead)?;
        if members.iter().any(|other| other.name == member.name) {
            return Err(format!("it has two members `{}`", shown(&member.name)));
        }
        members.push(member);
    }
    check_sizes(&members, directory_at)?;
    Ok(members)
}

fn shown(name: &str) -> String {
    name.chars().take(80).flat_map(char::escape_debug).collect()
}

/// Little-endian fields, one after the other.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn take(&mut self, count: usize) -> Result<&'a [u8], String> {
        let (taken, rest) = self.bytes.split_at_checked(count).ok_or("its directory ends too early")?;
        self.bytes = rest;
        Ok(taken)
    }

    fn number(&mut self, count: usize) -> Result<u64, String> {
        Ok(self.take(count)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }
}

/// How many members, and where their directory is.
fn directory_place(ahead: &mut ReadAhead) -> Result<(u64, u64, u64), String> {
    let none = "it does not end as a zip archive does: it may be cut off";
    let end = ahead.end();
    let tail_at = end.saturating_sub(22 + 65_535);
    let tail = ahead.get(tail_at, usize::try_from(end - tail_at).unwrap_or(0)).map_err(|_| none)?;
    let last = tail.len().checked_sub(22).ok_or(none)?;
    let at = (0..=last).rev().find(|at| tail.get(*at..*at + 4) == Some(b"PK\x05\x06".as_slice())).ok_or(none)?;
    let mut fields = Fields { bytes: tail.get(at + 4..).unwrap_or_default() };
    let (disk, directory_disk) = (fields.number(2)?, fields.number(2)?);
    let (here, count, bytes, offset) = (fields.number(2)?, fields.number(2)?, fields.number(4)?, fields.number(4)?);
    if count == 0xffff || bytes == 0xffff_ffff || offset == 0xffff_ffff {
        return large_directory_place(ahead, (tail_at + at as u64).checked_sub(20).ok_or(none)?);
    }
    if disk != 0 || directory_disk != 0 || here != count {
        return Err("it is a part of an archive of several".to_owned());
    }
    Ok((count, offset, bytes))
}

/// As [`directory_place`], from the records for large archives.
fn large_directory_place(ahead: &mut ReadAhead, locator_at: u64) -> Result<(u64, u64, u64), String> {
    let none = "its end record for large archives is missing";
    let locator = ahead.get(locator_at, 20).map_err(|_| none)?;
    let mut fields = Fields { bytes: &locator };
    if fields.take(4)? != b"PK\x06\x07" {
        return Err(none.to_owned());
    }
    fields.take(4)?;
    let record = ahead.get(fields.number(8)?, 56).map_err(|_| none)?;
    let mut fields = Fields { bytes: &record };
    if fields.take(4)? != b"PK\x06\x06" {
        return Err(none.to_owned());
    }
    fields.take(28)?;
    let (count, bytes, offset) = (fields.number(8)?, fields.number(8)?, fields.number(8)?);
    Ok((count, offset, bytes))
}

fn entry(rest: &mut Fields<'_>, ahead: &mut ReadAhead) -> Result<Member, String> {
    if rest.take(4)? != b"PK\x01\x02" {
        return Err("its directory is damaged".to_owned());
    }
    rest.take(4)?;
    let (flags, method) = (rest.number(2)?, rest.number(2)?);
    rest.take(4)?;
    let (crc, stored, full) = (rest.number(4)?, rest.number(4)?, rest.number(4)?);
    let (name_length, extra_length, comment_length) = (rest.number(2)?, rest.number(2)?, rest.number(2)?);
    rest.take(8)?;
    let local_at = rest.number(4)?;
    let length = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    let raw_name = rest.take(length(name_length))?;
    let extra = rest.take(length(extra_length))?;
    rest.take(length(comment_length))?;
    let name = std::str::from_utf8(raw_name).map_err(|_| "a member's name is not UTF-8")?.to_owned();
    if name.starts_with('/') || name.contains('\\') || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
        return Err(format!("its member `{}` has a name that climbs or is not relative", shown(&name)));
    }
    if flags & 1 != 0 {
        return Err(format!("its member `{}` is encrypted: decrypt it first", shown(&name)));
    }
    let deflated = match method {
        0 => false,
        8 => true,
        _ => return Err(format!("its member `{}` is compressed by method {method}: use deflate or none", shown(&name))),
    };
    let [full_bytes, stored_bytes, local_at] = large_sizes(extra, [full, stored, local_at])?;
    if !deflated && stored_bytes != full_bytes {
        return Err(format!("its member `{}` is stored with two sizes", shown(&name)));
    }
    let data_at = data_place(ahead, local_at, raw_name)?;
    Ok(Member { name, deflated, data_at, stored_bytes, full_bytes, crc: u32::try_from(crc).unwrap_or(0) })
}

/// Sizes of 64 bits, where those of 32 are full.
fn large_sizes(extra: &[u8], mut sizes: [u64; 3]) -> Result<[u64; 3], String> {
    let mut fields = Fields { bytes: extra };
    while fields.bytes.len() >= 4 {
        let (id, length) = (fields.number(2)?, fields.number(2)?);
        let mut field = Fields { bytes: fields.take(usize::try_from(length).unwrap_or(usize::MAX))? };
        if id == 1 {
            for size in sizes.iter_mut().filter(|size| **size == 0xffff_ffff) {
                *size = field.number(8)?;
            }
        }
    }
    Ok(sizes)
}

/// Where a member's bytes begin, after its own header, which must have its name.
fn data_place(ahead: &mut ReadAhead, local_at: u64, name: &[u8]) -> Result<u64, String> {
    let outside = "a member lies outside of it";
    let header = ahead.get(local_at, 30).map_err(|_| outside)?;
    let mut fields = Fields { bytes: &header };
    if fields.take(4)? != b"PK\x03\x04" {
        return Err("a member does not begin as one does".to_owned());
    }
    fields.take(22)?;
    let (name_length, extra_length) = (fields.number(2)?, fields.number(2)?);
    let name_at = local_at.saturating_add(30);
    let own = ahead.get(name_at, usize::try_from(name_length).unwrap_or(usize::MAX)).map_err(|_| outside)?;
    if own.as_ref() != name {
        return Err("a member has two names".to_owned());
    }
    Ok(name_at.saturating_add(name_length).saturating_add(extra_length))
}

/// Refuses bombs: members that overlap, grow too much each, or too much together.
fn check_sizes(members: &[Member], directory_at: u64) -> Result<(), String> {
    let mut total = 0_u64;
    let mut places = Vec::new();
    for member in members {
        total = total.saturating_add(member.full_bytes);
        let suspicious = member.full_bytes > ZIP_RATIO_FREE_BYTES;
        if suspicious && member.full_bytes / ZIP_RATIO_MAX > member.stored_bytes {
            return Err(format!(
                "its member `{}` grows from {} to {} bytes, more than {ZIP_RATIO_MAX} times: it looks like a zip bomb; store it uncompressed",
                shown(&member.name),
                member.stored_bytes,
                member.full_bytes
            ));
        }
        places.push((member.data_at, member.data_at.saturating_add(member.stored_bytes)));
    }
    if total > ZIP_UNCOMPRESSED_BYTES_MAX {
        return Err(format!("it grows to {total} bytes, at most {ZIP_UNCOMPRESSED_BYTES_MAX}: save it as several files"));
    }
    places.sort_unstable();
    let mut free_from = 0;
    for (from, to) in places {
        if from < free_from || to > directory_at {
            return Err("its members overlap: it looks like a zip bomb".to_owned());
        }
        free_from = to;
    }
    Ok(())
}

#[cfg(test)]
pub(crate) mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::source::Memory;
    use crate::testing::Random;

    /// What an archive of the tests says of a member.
    pub(crate) struct Entry<'a> {
        pub name: &'a str,
        pub data: &'a [u8],
        pub deflated: bool,
        /// The size that it claims to grow to, if not the true one.
        pub claimed: Option<u32>,
    }

    pub(crate) const fn stored<'a>(name: &'a str, data: &'a [u8]) -> Entry<'a> {
        Entry { name, data, deflated: false, claimed: None }
    }

    pub(crate) fn archive(entries: &[Entry<'_>]) -> Vec<u8> {
        let (mut bytes, mut directory) = (Vec::new(), Vec::new());
        for entry in entries {
            let at = u32::try_from(bytes.len()).unwrap();
            let mut data = entry.data.to_vec();
            if entry.deflated {
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::best());
                encoder.write_all(entry.data).unwrap();
                data = encoder.finish().unwrap();
            }
            let mut crc = flate2::Crc::new();
            crc.update(entry.data);
            let full = entry.claimed.unwrap_or(u32::try_from(entry.data.len()).unwrap());
            let mut common = vec![20, 0, 0, 0, if entry.deflated { 8 } else { 0 }, 0, 0, 0, 0, 0];
            common.extend(crc.sum().to_le_bytes());
            common.extend(u32::try_from(data.len()).unwrap().to_le_bytes());
            common.extend(full.to_le_bytes());
            common.extend(u16::try_from(entry.name.len()).unwrap().to_le_bytes());
            common.extend([0, 0]);
            bytes.extend(b"PK\x03\x04");
            bytes.extend(&common);
            bytes.extend(entry.name.as_bytes());
            bytes.extend(&data);
            directory.extend(b"PK\x01\x02\x14\x00");
            directory.extend(&common);
            directory.extend([0; 10]);
            directory.extend(at.to_le_bytes());
            directory.extend(entry.name.as_bytes());
        }
        let at = u32::try_from(bytes.len()).unwrap();
        let count = u16::try_from(entries.len()).unwrap().to_le_bytes();
        bytes.extend(&directory);
        bytes.extend(b"PK\x05\x06\0\0\0\0");
        bytes.extend([count, count].concat());
        bytes.extend(u32::try_from(directory.len()).unwrap().to_le_bytes());
        bytes.extend(at.to_le_bytes());
        bytes.extend([0, 0]);
        bytes
    }

    fn list(bytes: Vec<u8>) -> Result<Vec<Member>, String> {
        members(&(Arc::new(Memory(bytes.into())) as Arc<dyn ReadAt>))
    }

    fn refused(entries: &[Entry<'_>]) -> String {
        list(archive(entries)).unwrap_err()
    }

    #[test]
    fn members_are_found() {
        let entries = [stored("a.npy", b"12345"), Entry { name: "b.npy", data: &[7; 1000], deflated: true, claimed: None }];
        let found = list(archive(&entries)).unwrap();
        assert_eq!((found[0].name.as_str(), found[0].data_at, found[0].full_bytes, found[0].deflated), ("a.npy", 35, 5, false));
        assert_eq!((found[1].name.as_str(), found[1].full_bytes, found[1].deflated), ("b.npy", 1000, true));
    }

    #[test]
    fn bombs_and_climbers_are_refused() {
        let bomb = Entry { name: "a.npy", data: b"x", deflated: true, claimed: Some(4_000_000_000) };
        assert_eq!(
            refused(&[bomb]),
            "its member `a.npy` grows from 3 to 4000000000 bytes, more than 250 times: it looks like a zip bomb; store it uncompressed"
        );
        assert!(refused(&[stored("../a.npy", b"x")]).contains("a name that climbs"));
        assert!(refused(&[stored("/a.npy", b"x")]).contains("a name that climbs"));
        assert!(refused(&[stored("a.npy", b"x"), stored("a.npy", b"y")]).contains("two members `a.npy`"));
        let many: Vec<String> = (0..2000).map(|number| format!("{number}.npy")).collect();
        let many: Vec<Entry<'_>> = many.iter().map(|name| stored(name, b"")).collect();
        assert_eq!(refused(&many), "it has 2000 members, at most 1024");
        assert!(list(archive(&[stored("a.npy", b"12345")])[..60].to_vec()).unwrap_err().contains("cut off"));
    }

    #[test]
    fn overlapping_members_are_refused() {
        // Both directory entries point to one member.
        let mut bytes = archive(&[stored("a.npy", b"12345"), stored("a.npz", b"12345")]);
        let directory_at = bytes.len() - 22 - 2 * 51;
        bytes[directory_at + 51 + 42] = 0;
        let name_at = directory_at + 51 + 46;
        bytes[name_at..name_at + 5].copy_from_slice(b"a.npy");
        assert!(list(bytes.clone()).unwrap_err().contains("two members"));
        bytes[name_at..name_at + 5].copy_from_slice(b"a.npz");
        assert_eq!(list(bytes).unwrap_err(), "a member has two names");
    }

    #[test]
    fn damaged_archives_never_panic() {
        let good = archive(&[stored("a.npy", b"12345"), Entry { name: "b.npy", data: &[7; 100], deflated: true, claimed: None }]);
        let mut random = Random::new(6);
        for _ in 0..20_000 {
            let _ = list(random.damage(&good));
        }
    }
}
