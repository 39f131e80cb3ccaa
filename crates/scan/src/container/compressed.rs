//! Streams that are compressed as a whole, as joblib writes them: zlib, gzip, bzip2, xz, LZMA, LZ4, Zstandard.

use std::io::{self, Read};

use crate::context::Context;
use crate::rules;
use crate::source::{Stream, Window};

/// Memory that an xz stream may ask for, in KiB.
const XZ_MEMORY_KIB_MAX: u32 = 256 << 10;

/// A way of compressing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Zlib,
    Gzip,
    Bzip2,
    Xz,
    Lzma,
    Lz4,
    Zstandard,
}

impl Method {
    /// By the first bytes.
    pub fn of(head: &[u8]) -> Option<Self> {
        match head {
            [0x1f, 0x8b, ..] => Some(Self::Gzip),
            [b'B', b'Z', b'h', b'1'..=b'9', ..] => Some(Self::Bzip2),
            [0xfd, b'7', b'z', b'X', b'Z', 0, ..] => Some(Self::Xz),
            [0x04, 0x22, 0x4d, 0x18, ..] => Some(Self::Lz4),
            [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Self::Zstandard),
            // joblib knows LZMA by these two bytes alone.
            [0x5d, 0, ..] => Some(Self::Lzma),
            [cmf, flags, ..] if cmf & 0x0f == 8 && cmf >> 4 <= 7 && (u16::from(*cmf) * 256 + u16::from(*flags)) % 31 == 0 => {
                Some(Self::Zlib)
            }
            _ => None,
        }
    }

    pub fn name(self) -> &'static str {
        match self {
            Self::Zlib => "zlib",
            Self::Gzip => "gzip",
            Self::Bzip2 => "bzip2",
            Self::Xz => "xz",
            Self::Lzma => "lzma",
            Self::Lz4 => "lz4",
            Self::Zstandard => "zstd",
        }
    }
}

/// What a compressed stream holds.
pub(crate) enum Inner {
    /// It does not decompress at all: it is no such stream.
    NotCompressed,
    /// Decompressed, to its end or to where it is damaged (which is then noted).
    Bytes(Vec<u8>),
    /// It cannot be looked into; noted.
    Refused,
}

/// Decompresses a stream within the budget.
pub(crate) fn open(context: &mut Context<'_>, window: Window<'_>, method: Method) -> io::Result<Inner> {
    // Two bytes mark zlib and LZMA, so anything may begin with them: the first block must decompress.
    if matches!(method, Method::Zlib | Method::Lzma) && !begins(window, method) {
        return Ok(Inner::NotCompressed);
    }
    let Some(mut reader) = decoder(window, method) else {
        context.find(rules::COMPRESSION, 0, format!("the {} stream has no valid head", method.name()));
        return Ok(Inner::Refused);
    };
    let bytes = context.decompress(window.size(), &mut *reader)?;
    Ok(bytes.map_or(Inner::Refused, Inner::Bytes))
}

/// Whether the first bytes decompress.
pub(crate) fn begins(window: Window<'_>, method: Method) -> bool {
    let mut first = [0; 16];
    decoder(window, method).is_some_and(|mut reader| reader.read(&mut first).is_ok_and(|count| count > 0))
}

fn decoder<'a>(window: Window<'a>, method: Method) -> Option<Box<dyn Read + 'a>> {
    let stream = io::BufReader::with_capacity(64 << 10, window.stream());
    Some(match method {
        Method::Zlib => Box::new(Whole::new(flate2::bufread::ZlibDecoder::new(stream), flate2::bufread::ZlibDecoder::into_inner)),
        Method::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(stream)),
        Method::Bzip2 => Box::new(bzip2::bufread::MultiBzDecoder::new(stream)),
        Method::Xz => Box::new(lzma_rust2::XzReader::new_mem_limit(stream, true, XZ_MEMORY_KIB_MAX)),
        Method::Lzma => {
            let mut reader = lzma_rust2::LzmaReader::new_mem_limit(stream, XZ_MEMORY_KIB_MAX, None).ok()?;
            reader.set_relaxed_end_condition(false);
            Box::new(Whole::new(reader, behind_lzma))
        }
        Method::Lz4 => Box::new(Lz4(lz4_flex::frame::FrameDecoder::new(stream))),
        Method::Zstandard => Box::new(Zstandard::Between(stream)),
    })
}

/// What follows a stream of LZMA, of which its reader has some read ahead.
fn behind_lzma(
    reader: lzma_rust2::LzmaReader<io::BufReader<Stream<'_>>>,
) -> io::Chain<io::Cursor<Vec<u8>>, io::BufReader<Stream<'_>>> {
    let (stream, read_ahead) = reader.into_parts();
    io::Cursor::new(read_ahead).chain(stream)
}

/// A stream of zlib or LZMA whose end must be the end of the bytes: what is behind it belongs to no reader's idea of the file.
struct Whole<R, F> {
    inner: Option<R>,
    rest: F,
}

impl<R, F> Whole<R, F> {
    fn new(inner: R, rest: F) -> Self {
        Self { inner: Some(inner), rest }
    }
}

impl<R: Read, T: Read, F: Fn(R) -> T> Read for Whole<R, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let Some(inner) = &mut self.inner else { return Ok(0) };
        let count = inner.read(buffer)?;
        if count == 0
            && !buffer.is_empty()
            && let Some(inner) = self.inner.take()
            && (self.rest)(inner).read(&mut [0])? > 0
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes follow the compressed stream"));
        }
        Ok(count)
    }
}

/// LZ4 frames one after the other, to the last byte.
struct Lz4<'a>(lz4_flex::frame::FrameDecoder<io::BufReader<Stream<'a>>>);

impl Read for Lz4<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            let before = self.0.get_ref().buffer().len() as u64 + self.0.get_ref().get_ref().left();
            let count = self.0.read(buffer)?;
            if count > 0 || buffer.is_empty() {
                return Ok(count);
            }
            // The decoder says that it is done at the end of each frame.
            let left = self.0.get_ref().buffer().len() as u64 + self.0.get_ref().get_ref().left();
            if left == 0 {
                return Ok(0);
            }
            if left == before {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "bytes follow the compressed stream"));
            }
        }
    }
}

/// Zstandard frames one after the other.
enum Zstandard<'a> {
    Between(io::BufReader<Stream<'a>>),
    Inside(Box<ruzstd::decoding::StreamingDecoder<io::BufReader<Stream<'a>>, ruzstd::decoding::FrameDecoder>>),
    Ended,
}

impl Read for Zstandard<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            *self = match std::mem::replace(self, Self::Ended) {
                Self::Ended => return Ok(0),
                Self::Between(mut stream) => {
                    if io::BufRead::fill_buf(&mut stream)?.is_empty() {
                        return Ok(0);
                    }
                    let frame = ruzstd::decoding::StreamingDecoder::new(stream);
                    let frame = frame.map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error.to_string()))?;
                    Self::Inside(Box::new(frame))
                }
                Self::Inside(mut frame) => {
                    let count = frame.read(buffer)?;
                    if count > 0 || buffer.is_empty() {
                        *self = Self::Inside(frame);
                        return Ok(count);
                    }
                    Self::Between(frame.into_inner())
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::io::Write;

    use super::*;
    use crate::report::Verdict;
    use crate::scanner::{Limits, Scanner};

    fn check(bytes: &[u8], method: Method, limits: Limits) -> (Option<Vec<u8>>, Verdict) {
        let scanner = Scanner::new(limits).unwrap();
        let names = BTreeSet::new();
        let mut context = Context::new(&scanner, "x", bytes.len() as u64, &names);
        let bytes = bytes.to_vec();
        let inner = match open(&mut context, Window::whole(&bytes), method).unwrap() {
            Inner::Bytes(bytes) => Some(bytes),
            Inner::NotCompressed | Inner::Refused => None,
        };
        (inner, context.report.verdict)
    }

    fn zlib(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn streams_are_told_by_their_first_bytes() {
        assert_eq!(Method::of(&zlib(b"x")), Some(Method::Zlib));
        assert_eq!(Method::of(b"\x1f\x8b\x08"), Some(Method::Gzip));
        assert_eq!(Method::of(b"\x80\x04"), None);
        let bytes = b"x^ is text".to_vec();
        assert!(Method::of(&bytes) == Some(Method::Zlib) && !begins(Window::whole(&bytes), Method::Zlib));
    }

    #[test]
    fn what_is_whole_is_opened() {
        let text = b"strongroom".repeat(100);
        let mut lz4 = lz4_flex::frame::FrameEncoder::new(Vec::new());
        lz4.write_all(&text).unwrap();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&text).unwrap();
        let mut bzip2 = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::fast());
        bzip2.write_all(&text).unwrap();
        let zstandard = ruzstd::encoding::compress_to_vec(&text[..], ruzstd::encoding::CompressionLevel::Fastest);
        for (bytes, method) in [
            (zlib(&text), Method::Zlib),
            (gzip.finish().unwrap(), Method::Gzip),
            (bzip2.finish().unwrap(), Method::Bzip2),
            (lz4.finish().unwrap(), Method::Lz4),
            ([zstandard.clone(), zstandard].concat()[..].to_vec(), Method::Zstandard),
        ] {
            let (inner, verdict) = check(&bytes, method, Limits::default());
            assert!(inner.is_some_and(|inner| inner.starts_with(&text)) && verdict == Verdict::Clean, "{method:?}");
            // Damaged, and with something behind.
            assert_eq!(check(&bytes[..bytes.len() - 12], method, Limits::default()).1, Verdict::Blocked, "{method:?} cut");
            assert_eq!(
                check(&[&bytes[..], &b"tail".repeat(16)].concat(), method, Limits::default()).1,
                Verdict::Blocked,
                "{method:?} tail"
            );
        }
    }

    #[test]
    fn nothing_follows_a_stream_of_lzma() {
        // Python's `lzma.compress(b"strongroom" * 100, lzma.FORMAT_ALONE)`.
        const LZMA: &[u8] = b"\x5d\0\0\x80\0\xff\xff\xff\xff\xff\xff\xff\xff\0\x39\x9d\x0a\x8d\x58\x22\x5b\xb9\xa7\xe5\
            \x30\x13\x72\xc0\x50\x37\xfd\xb0\x90\x13\x03\xff\xff\xa9\x46\0\0";
        let (inner, verdict) = check(LZMA, Method::Lzma, Limits::default());
        assert_eq!((inner.unwrap(), verdict), (b"strongroom".repeat(100), Verdict::Clean));
        for tail in [&b"\0"[..], b"tail", LZMA] {
            assert_eq!(check(&[LZMA, tail].concat(), Method::Lzma, Limits::default()).1, Verdict::Blocked, "{tail:?}");
        }
    }

    #[test]
    fn bombs_are_blocked_and_large_files_unknown() {
        let bomb = zlib(&vec![0; 32 << 20]);
        assert_eq!(check(&bomb, Method::Zlib, Limits { decompressed_bytes_max: 1 << 20 }), (None, Verdict::Unknown));
        let mut many = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        for _ in 0..40 {
            many.write_all(&vec![0; 1 << 20]).unwrap();
        }
        let many = many.finish().unwrap();
        let nested = zlib(&many);
        assert_eq!(check(&nested, Method::Zlib, Limits::default()).1, Verdict::Clean, "one layer is not a bomb");
    }
}
