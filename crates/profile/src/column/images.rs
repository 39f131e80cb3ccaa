//! What is known of the images of a column, from their first bytes alone: nothing is decoded.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::numbers::Numbers;
use crate::limits::SketchSizes;
use crate::report::ImageReport;

/// Segments of a JPEG that are looked at for its size.
const SEGMENT_COUNT_MAX: usize = 64;

/// What an image's header says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The format's name.
    pub format: &'static str,
    /// Width and height in pixels, where the header says them.
    pub size: Option<(u32, u32)>,
}

/// The images of a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Images {
    /// Values by format.
    pub(crate) formats: BTreeMap<String, u64>,
    pub(crate) widths: Numbers,
    pub(crate) heights: Numbers,
}

impl Images {
    pub(crate) fn new(sizes: SketchSizes, seed: u64) -> Self {
        Self { formats: BTreeMap::new(), widths: Numbers::new(sizes, seed), heights: Numbers::new(sizes, seed ^ 1) }
    }

    /// Takes a value that came `weight` times, if it is an image.
    pub(crate) fn insert(&mut self, bytes: &[u8], weight: u64) {
        let Some(header) = header_of(bytes) else { return };
        *self.formats.entry(header.format.to_owned()).or_insert(0) += weight;
        if let Some((width, height)) = header.size {
            self.widths.insert(f64::from(width), weight);
            self.heights.insert(f64::from(height), weight);
        }
    }

    /// How many values were images.
    pub(crate) fn count(&self) -> u64 {
        self.formats.values().sum()
    }

    pub(crate) fn merge(&mut self, other: &Self) {
        for (format, count) in &other.formats {
            *self.formats.entry(format.clone()).or_insert(0) += count;
        }
        self.widths.merge(&other.widths);
        self.heights.merge(&other.heights);
    }

    pub(crate) fn report(&self) -> ImageReport {
        ImageReport { formats: self.formats.clone(), widths: self.widths.report(), heights: self.heights.report() }
    }
}

fn big(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_be_bytes(*word))
}

fn little(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|word| u32::from_le_bytes(*word))
}

fn short_big(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<2>().map(|word| u32::from(u16::from_be_bytes(*word)))
}

fn short_little(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<2>().map(|word| u32::from(u16::from_le_bytes(*word)))
}

/// What the first bytes say, if they are an image's.
#[must_use]
pub fn header_of(bytes: &[u8]) -> Option<Header> {
    let both = |width: Option<u32>, height: Option<u32>| width.zip(height);
    let (format, size) = match bytes {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, ..] => ("png", both(big(bytes, 16), big(bytes, 20))),
        [0xff, 0xd8, 0xff, ..] => ("jpeg", jpeg_size(bytes)),
        [b'G', b'I', b'F', b'8', b'7' | b'9', b'a', ..] => ("gif", both(short_little(bytes, 6), short_little(bytes, 8))),
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', ..] => ("webp", webp_size(bytes)),
        [b'B', b'M', ..] if bytes.len() >= 26 && matches!(little(bytes, 14), Some(12 | 40 | 52 | 56 | 108 | 124)) => {
            ("bmp", both(little(bytes, 18), little(bytes, 22).map(|height| height.cast_signed().unsigned_abs())))
        }
        [b'I', b'I', 42, 0, ..] | [b'M', b'M', 0, 42, ..] => ("tiff", None),
        _ => return None,
    };
    Some(Header { format, size })
}

/// The size stands in the first frame header (markers C0 to CF but for C4, C8 and CC).
fn jpeg_size(bytes: &[u8]) -> Option<(u32, u32)> {
    let mut at = 2;
    for _ in 0..SEGMENT_COUNT_MAX {
        let [0xff, marker] = *bytes.get(at..)?.first_chunk::<2>()? else { return None };
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return short_big(bytes, at + 7).zip(short_big(bytes, at + 5));
        }
        at += 2 + short_big(bytes, at + 2)? as usize;
    }
    None
}

fn webp_size(bytes: &[u8]) -> Option<(u32, u32)> {
    match bytes.get(12..16)? {
        b"VP8X" => {
            let (width, height) = (little(bytes, 24)? & 0xff_ffff, little(bytes, 26)? >> 8);
            Some((width + 1, height + 1))
        }
        b"VP8 " => Some((short_little(bytes, 26)? & 0x3fff, short_little(bytes, 28)? & 0x3fff)),
        b"VP8L" => {
            let bits = little(bytes, 21)?;
            Some(((bits & 0x3fff) + 1, (bits >> 14 & 0x3fff) + 1))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(bytes: &[u8], format: &str, size: (u32, u32)) {
        assert_eq!(header_of(bytes), Some(Header { format: header_of(bytes).unwrap().format, size: Some(size) }));
        assert_eq!(header_of(bytes).unwrap().format, format);
        for length in 0..bytes.len() {
            let _cut_ones_do_not_panic = header_of(&bytes[..length]);
        }
    }

    #[test]
    fn headers_of_each_format_are_read() {
        check(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\x01\0\0\0\0\x10", "png", (256, 16));
        check(b"\xff\xd8\xff\xe0\0\x04ab\xff\xc0\0\x11\x08\0\x20\0\x30", "jpeg", (48, 32));
        check(b"GIF89a\x03\0\x05\0", "gif", (3, 5));
        check(b"RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0\0\0\0\0\x07\0\0\x09\0\0", "webp", (8, 10));
        let mut bmp = b"BM".to_vec();
        bmp.resize(14, 0);
        bmp.extend([40, 0, 0, 0, 9, 0, 0, 0, 0xf9, 0xff, 0xff, 0xff]);
        check(&bmp, "bmp", (9, 7));
    }

    #[test]
    fn other_bytes_are_no_image() {
        for bytes in [&b""[..], b"BMW is not a bitmap, it is a car", b"hello", b"\xff\xd8", b"PNG"] {
            assert_eq!(header_of(bytes), None);
        }
        // A JPEG whose segments lead nowhere has no size.
        assert_eq!(header_of(b"\xff\xd8\xff\xe0\0\0\xff\xe0\0\0").unwrap().size, None);
    }
}
