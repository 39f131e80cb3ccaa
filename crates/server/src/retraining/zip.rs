//! A folder as one ZIP archive (PKWARE APPNOTE 6.3), stored and not compressed: what Ray unpacks for a job.

use std::path::{Path, PathBuf};

use bytes::Bytes;

/// The time of every entry: the first of January 1980, so that the same files give the same archive.
const DOS_DATE: u16 = 0x0021;
/// Names are UTF-8.
const FLAGS: u16 = 1 << 11;
/// Version 2.0 of the format, made on a system with permissions.
const VERSION: u16 = 20;
const MADE_BY: u16 = 3 << 8 | VERSION;
/// An ordinary file that its owner reads and writes.
const MODE: u32 = 0o100_600 << 16;

/// The archive of these files; none where it would be more than the format without its extensions holds.
pub fn archive(files: &[(PathBuf, Bytes)]) -> Option<Vec<u8>> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (path, bytes) in files {
        let name = name_of(path)?;
        let offset = u32::try_from(out.len()).ok()?;
        let mut head = Vec::new();
        for number in [VERSION, FLAGS, 0, 0, DOS_DATE] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        let size = u32::try_from(bytes.len()).ok()?;
        for number in [crc32(bytes), size, size] {
            head.extend_from_slice(&number.to_le_bytes());
        }
        head.extend_from_slice(&u16::try_from(name.len()).ok()?.to_le_bytes());
        head.extend_from_slice(&0_u16.to_le_bytes());
        out.extend_from_slice(b"PK\x03\x04");
        out.extend_from_slice(&head);
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(bytes);
        directory.extend_from_slice(b"PK\x01\x02");
        directory.extend_from_slice(&MADE_BY.to_le_bytes());
        directory.extend_from_slice(&head);
        // No comment, the first disk, no text.
        directory.extend_from_slice(&[0; 6]);
        directory.extend_from_slice(&MODE.to_le_bytes());
        directory.extend_from_slice(&offset.to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
    }
    let (count, at, size) =
        (u16::try_from(files.len()).ok()?, u32::try_from(out.len()).ok()?, u32::try_from(directory.len()).ok()?);
    out.append(&mut directory);
    out.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&count.to_le_bytes());
    out.extend_from_slice(&size.to_le_bytes());
    out.extend_from_slice(&at.to_le_bytes());
    out.extend_from_slice(&[0; 2]);
    Some(out)
}

fn name_of(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.iter().map(|part| part.to_str()).collect();
    parts.map(|parts| parts.join("/"))
}

/// CRC-32 as ZIP has it (ISO 3309, reflected, polynomial 0xEDB88320).
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { (crc >> 1) ^ 0xEDB8_8320 } else { crc >> 1 };
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_the_standard() {
        assert_eq!(crc32(b"123456789"), 0xCBF4_3926);
        assert_eq!(crc32(b""), 0);
    }

    #[test]
    fn an_archive_names_its_files_twice_and_ends_with_its_directory() {
        let files = [(PathBuf::from("a/ü.py"), Bytes::from_static(b"x")), (PathBuf::from("b"), Bytes::new())];
        let made = archive(&files).unwrap();
        let count = |text: &[u8]| made.windows(text.len()).filter(|part| *part == text).count();
        assert_eq!((count("a/ü.py".as_bytes()), count(b"PK\x03\x04"), count(b"PK\x01\x02")), (2, 2, 2));
        assert_eq!(made.get(made.len() - 22..made.len() - 18), Some(b"PK\x05\x06".as_slice()));
    }
}
