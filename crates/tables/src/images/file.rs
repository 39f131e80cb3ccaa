//! What an image file holds besides its picture: bytes behind its end, and the place where it was taken.
//!
//! Sources: W3C, "PNG", section 5.3; ITU-T T.81, annex B; CIPA DC-008, "Exif", section 4.6.6.

/// How an archive, a program or a script begins. Other readers find them in a file that begins as an image.
const HIDDEN: [(&[u8], &str); 9] = [
    (b"PK\x03\x04", "a zip archive"),
    (b"PK\x05\x06", "a zip archive"),
    (b"Rar!\x1a\x07", "a RAR archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
    (b"%PDF-", "a PDF"),
    (b"#!", "a script"),
    (b"<", "a script or a page"),
];
/// The tag of the place in a picture's data.
const GPS_TAG: u16 = 0x8825;
/// Entries of one directory of such data that are looked at.
const ENTRY_COUNT_MAX: u16 = 512;

/// What stands behind an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Behind {
    /// Nothing, zeros, or more pictures, as cameras write them.
    Nothing,
    /// Bytes of no known kind.
    Bytes(usize),
    /// What other readers would take for something else.
    Hidden(&'static str),
}

/// What a file holds besides its picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Besides {
    pub behind: Behind,
    pub has_place: bool,
}

/// Looks through the file of an image that decodes.
pub(crate) fn besides(bytes: &[u8]) -> Besides {
    let (end, exif) = if is_png(bytes) { png(bytes) } else { jpeg(bytes) };
    let behind = end.and_then(|end| bytes.get(end..)).map_or(Behind::Nothing, behind);
    Besides { behind, has_place: exif.is_some_and(has_place) }
}

pub(crate) fn is_png(bytes: &[u8]) -> bool {
    bytes.starts_with(b"\x89PNG")
}

fn behind(rest: &[u8]) -> Behind {
    let blank = rest.iter().take_while(|byte| matches!(byte, 0 | b' ' | b'\t' | b'\r' | b'\n')).count();
    let rest = rest.get(blank..).unwrap_or_default();
    if rest.is_empty() || rest.starts_with(b"\xff\xd8\xff") {
        return Behind::Nothing;
    }
    let hidden = HIDDEN.iter().find(|(magic, _)| rest.starts_with(magic)).map(|(_, what)| *what);
    // A zip archive is read from its end.
    let tail = rest.get(rest.len().saturating_sub(22 + 65_535)..).unwrap_or_default();
    let zipped = memchr::memmem::find(tail, b"PK\x05\x06").map(|_| "a zip archive");
    hidden.or(zipped).map_or(Behind::Bytes(rest.len()), Behind::Hidden)
}

/// Where a PNG ends, if it does, and its Exif data.
fn png(bytes: &[u8]) -> (Option<usize>, Option<&[u8]>) {
    let (mut at, mut exif) = (8_usize, None);
    while let Some(head) = bytes.get(at..).and_then(<[u8]>::first_chunk::<8>) {
        let [l1, l2, l3, l4, kind @ ..] = *head;
        let length = u32::from_be_bytes([l1, l2, l3, l4]) as usize;
        let Some(data) = bytes.get(at + 8..).and_then(|rest| rest.get(..length)) else { break };
        at += 12 + length;
        match &kind {
            b"IEND" => return (Some(at.min(bytes.len())), exif),
            b"eXIf" => exif = Some(data),
            _ => {}
        }
    }
    (None, exif)
}

/// Where a JPEG ends, if it does, and its Exif data.
fn jpeg(bytes: &[u8]) -> (Option<usize>, Option<&[u8]>) {
    let (mut at, mut exif) = (2_usize, None);
    while let Some(from) = bytes.get(at..).and_then(|rest| memchr::memchr(0xff, rest)) {
        at += from + 1;
        match bytes.get(at) {
            Some(0xd9) => return (Some(at + 1), exif),
            // Filling, an escaped byte, and marks without data.
            Some(0xff) | None => {}
            Some(0x00 | 0x01 | 0xd0..=0xd8) => at += 1,
            Some(kind) => {
                let length = bytes.get(at + 1..).and_then(<[u8]>::first_chunk::<2>).map_or(0, |size| u16::from_be_bytes(*size));
                let data = bytes.get(at + 3..).and_then(|rest| rest.get(..usize::from(length).saturating_sub(2)));
                if *kind == 0xe1 {
                    exif = exif.or(data.and_then(|data| data.strip_prefix(b"Exif\0\0")));
                }
                at += 1 + usize::from(length);
            }
        }
    }
    (None, exif)
}

/// Whether a picture's data has a directory that says where it was taken.
fn has_place(exif: &[u8]) -> bool {
    let is_little = exif.starts_with(b"II");
    let short = |at: usize| {
        let bytes = *exif.get(at..)?.first_chunk::<2>()?;
        Some(if is_little { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) })
    };
    let long = |at: usize| {
        let bytes = *exif.get(at..)?.first_chunk::<4>()?;
        usize::try_from(if is_little { u32::from_le_bytes(bytes) } else { u32::from_be_bytes(bytes) }).ok()
    };
    let entries = |directory: usize| {
        let count = short(directory).unwrap_or(0).min(ENTRY_COUNT_MAX);
        (0..usize::from(count)).map(move |number| directory.saturating_add(2 + number * 12))
    };
    let Some(first) = long(4) else { return false };
    let place = entries(first).find(|entry| short(*entry) == Some(GPS_TAG)).and_then(|entry| long(entry.saturating_add(8)));
    // Latitude and longitude: cameras that know no place write a directory without them.
    place.is_some_and(|place| entries(place).any(|entry| matches!(short(entry), Some(2 | 4))))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Random;

    /// A TIFF header, one directory with the place's, and that with these tags.
    fn exif(tags: &[u16]) -> Vec<u8> {
        let mut bytes = b"II*\0\x08\0\0\0\x01\0\x25\x88\x04\0\x01\0\0\0\x1a\0\0\0\0\0\0\0".to_vec();
        bytes.extend(u16::try_from(tags.len()).unwrap().to_le_bytes());
        for tag in tags {
            bytes.extend(tag.to_le_bytes());
            bytes.extend([0; 10]);
        }
        bytes
    }

    #[test]
    fn a_place_is_found() {
        assert!(has_place(&exif(&[1, 2, 3, 4])));
        assert!(!has_place(&exif(&[0])), "a directory with a version alone");
        assert!(!has_place(b"II*\0"));
        let mut random = Random::new(3);
        let good = exif(&[2]);
        for _ in 0..10_000 {
            let _ = has_place(&random.damage(&good));
        }
    }

    #[test]
    fn what_stands_behind_is_told() {
        let check = |rest: &[u8], expected| assert_eq!(behind(rest), expected, "{rest:?}");
        check(b"", Behind::Nothing);
        check(&[0; 40], Behind::Nothing);
        check(b"\xff\xd8\xff\xe1 a second picture", Behind::Nothing);
        check(b"\0\0PK\x03\x04...", Behind::Hidden("a zip archive"));
        check(b"some bytes PK\x05\x06 and the end", Behind::Hidden("a zip archive"));
        check(b"\n<?php system($_GET[0]);", Behind::Hidden("a script or a page"));
        check(b"camera notes", Behind::Bytes(12));
    }
}
