//! Bodies in `aws-chunked`, piece by piece ("Signature Calculations for the Authorization Header: Transferring Payload in Multiple
//! Chunks", with and without trailing headers, AWS S3 API reference).
//!
//! ```text
//! size in hex [;chunk-signature=64 hex digits] CRLF, bytes CRLF, …
//! 0 [;chunk-signature=…] CRLF [name:value CRLF … [x-amz-trailer-signature:… CRLF]] CRLF
//! ```
//!
//! Each signature covers the one before it, the first the request's own. Lines of trailers may end in a bare line feed, and an empty line
//! may come before the trailers' signature: widely used clients write them so, and both are signed in one form only.

use std::fmt;

use aws_lc_rs::hmac;
use bytes::Bytes;
use http::HeaderMap;
use kernel::{Micros, Secret, Sha256Hasher, hex, sha256};

use crate::canonical::one;
use crate::presentation::digest;
use crate::{Algorithm, Payload, Presentation, Refusal, Scope, dates};

/// A line before a chunk is no longer than this.
pub const CHUNK_HEAD_BYTES_MAX: usize = 1024;
/// A signed chunk is no longer than this.
pub const SIGNED_CHUNK_BYTES_MAX: u64 = 16 * 1024 * 1024;
/// All trailers together are no longer than this.
pub const TRAILERS_BYTES_MAX: usize = 8 * 1024;

const TRAILER_SIGNATURE: &str = "x-amz-trailer-signature";

/// Decodes a body in `aws-chunked`.
///
/// INVARIANT: bytes are given out before the signature of their chunk is known. Whoever takes them publishes nothing before
/// [`Chunks::finish`] gave the trailers; an error of `push` or `finish` means that none of the bytes may be believed
/// (`tests::chunked::every_flipped_bit_is_refused`).
pub struct Chunks {
    signer: Option<Chain>,
    has_trailers: bool,
    announced: Vec<String>,
    expected_bytes: u64,
    given_bytes: u64,
    place: Place,
    line: Vec<u8>,
    trailers_bytes: usize,
    trailers: Vec<(String, String)>,
    refusal: Option<Refusal>,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Head,
    Data { left: u64 },
    DataEnd,
    Trailers { blank: bool, signed: bool },
    LastEnd,
    Done,
}

impl fmt::Debug for Chunks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chunks").field("place", &self.place).field("given_bytes", &self.given_bytes).finish_non_exhaustive()
    }
}

impl Chunks {
    /// Begins to decode the body of the request with these headers, which was read as `seed` and verified with `key`.
    ///
    /// # Errors
    /// As [`Chunks::new`]; also if the length is no number, or is told twice.
    pub fn of(headers: &HeaderMap, key: &Secret, seed: &Presentation) -> Result<Self, Refusal> {
        let length = one(headers, "x-amz-decoded-content-length")?.map(length).transpose()?;
        let mut names = Vec::new();
        for value in headers.get_all("x-amz-trailer") {
            names.push(value.to_str().map_err(|_| unsupported_trailer())?.to_owned());
        }
        Self::new(&seed.payload, Some(key.clone()), seed, length, &names)
    }

    /// Begins to decode the body of the request `seed`. `key` is the key that the request was verified with. `trailer_names` are the values
    /// of `x-amz-trailer`, `decoded_length` the value of `x-amz-decoded-content-length`.
    ///
    /// # Errors
    /// A [`Refusal`] if the payload is not in chunks, its length is not told, signed chunks have no key, or other trailers than checksums
    /// are announced.
    pub fn new(
        payload: &Payload,
        key: Option<Secret>,
        seed: &Presentation,
        decoded_length: Option<u64>,
        trailer_names: &[String],
    ) -> Result<Self, Refusal> {
        let (signed, has_trailers) = match *payload {
            Payload::SignedChunks { trailer } => (true, trailer),
            Payload::UnsignedChunksTrailer => (false, true),
            Payload::Unsigned | Payload::Whole(_) => {
                return Err(Refusal::new("InvalidRequest", "the signature does not say that the body is in chunks"));
            }
        };
        let expected_bytes = decoded_length
            .ok_or_else(|| Refusal::new("MissingContentLength", "you must provide x-amz-decoded-content-length"))?;
        let announced = announced(trailer_names)?;
        if !has_trailers && !announced.is_empty() {
            return Err(Refusal::new(
                "InvalidRequest",
                "x-amz-trailer is set, but x-amz-content-sha256 says that there are no trailers",
            ));
        }
        let signer = match (signed, key) {
            (true, Some(key)) => Some(Chain::new(&key, seed)),
            (true, None) => return Err(Refusal::new("AccessDenied", "signed chunks need a signed request")),
            (false, _) => None,
        };
        Ok(Self {
            signer,
            has_trailers,
            announced,
            expected_bytes,
            given_bytes: 0,
            place: Place::Head,
            line: Vec::new(),
            trailers_bytes: 0,
            trailers: Vec::new(),
            refusal: None,
        })
    }

    /// Takes the next bytes of the body, and adds to `out` what they hold. Nothing is copied.
    ///
    /// # Errors
    /// A [`Refusal`] as soon as something is malformed, wrongly signed or too long; then also for everything that follows.
    pub fn push(&mut self, bytes: &Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        if let Some(refusal) = &self.refusal {
            return Err(refusal.clone());
        }
        let taken = self.take(bytes.clone(), out);
        self.refusal = taken.as_ref().err().cloned();
        taken
    }

    /// The trailers, once the body is whole: every signature was right, the length is the one told, and exactly the announced trailers came.
    ///
    /// # Errors
    /// The [`Refusal`] of an earlier `push`, or `IncompleteBody` if the body ended too early.
    pub fn finish(self) -> Result<Vec<(String, String)>, Refusal> {
        match (self.refusal, self.place) {
            (Some(refusal), _) => Err(refusal),
            (None, Place::Done) => Ok(self.trailers),
            (None, _) => Err(incomplete("the request body terminated unexpectedly")),
        }
    }

    fn take(&mut self, mut rest: Bytes, out: &mut Vec<Bytes>) -> Result<(), Refusal> {
        while !rest.is_empty() {
            match self.place {
                Place::Data { left } => {
                    let count = usize::try_from(left).unwrap_or(usize::MAX).min(rest.len());
                    let piece = rest.split_to(count);
                    let left = left.saturating_sub(count as u64);
                    if let Some(signer) = &mut self.signer {
                        signer.hasher.update(&piece);
                    }
                    out.push(piece);
                    self.place = if left > 0 { Place::Data { left } } else { self.chunk_end()? };
                }
                Place::Done => return Err(malformed("something follows the last chunk")),
                Place::Head | Place::DataEnd | Place::Trailers { .. } | Place::LastEnd => {
                    if let Some(line) = self.whole_line(&mut rest)? {
                        self.place = self.read_line(&line)?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The next line with its end, when it is whole.
    fn whole_line(&mut self, rest: &mut Bytes) -> Result<Option<Vec<u8>>, Refusal> {
        let max = match self.place {
            Place::Trailers { .. } => TRAILERS_BYTES_MAX - self.trailers_bytes.min(TRAILERS_BYTES_MAX),
            Place::Head => CHUNK_HEAD_BYTES_MAX,
            _ => 2,
        };
        let end = rest.iter().take(max + 1).position(|&byte| byte == b'\n');
        let part = rest.split_to(end.map_or_else(|| rest.len().min(max + 1), |at| at + 1));
        self.line.extend_from_slice(&part);
        if self.line.len() > max {
            return Err(malformed("a line is too long"));
        }
        Ok(end.map(|_| std::mem::take(&mut self.line)))
    }

    fn read_line(&mut self, line: &[u8]) -> Result<Place, Refusal> {
        match self.place {
            Place::Head => self.read_head(line.strip_suffix(b"\r\n").ok_or_else(|| malformed("a line does not end in CRLF"))?),
            Place::Trailers { blank, signed } => {
                self.trailers_bytes += line.len();
                let line = line.strip_suffix(b"\n").unwrap_or(line);
                self.read_trailer(line.strip_suffix(b"\r").unwrap_or(line), blank, signed)
            }
            Place::DataEnd if line == b"\r\n" => Ok(Place::Head),
            Place::LastEnd if line == b"\r\n" => Ok(Place::Done),
            _ => Err(malformed("a chunk does not end where it says")),
        }
    }

    /// `10000;chunk-signature=…`.
    fn read_head(&mut self, line: &[u8]) -> Result<Place, Refusal> {
        let line = std::str::from_utf8(line).map_err(|_| malformed("the head of a chunk is no text"))?;
        let size = match &mut self.signer {
            None => line,
            Some(signer) => {
                let (size, signature) =
                    line.split_once(";chunk-signature=").ok_or_else(|| malformed("a chunk has no signature"))?;
                signer.claimed =
                    digest(signature.as_bytes()).ok_or_else(|| malformed("the signature of a chunk is malformed"))?;
                size
            }
        };
        let is_size = (1..=16).contains(&size.len()) && size.bytes().all(|byte| byte.is_ascii_hexdigit());
        let size = u64::from_str_radix(size, 16)
            .ok()
            .filter(|_| is_size)
            .ok_or_else(|| malformed("the size of a chunk is malformed"))?;
        if self.signer.is_some() && size > SIGNED_CHUNK_BYTES_MAX {
            return Err(Refusal::new(
                "InvalidChunkSizeError",
                format!("a signed chunk is longer than {SIGNED_CHUNK_BYTES_MAX} bytes"),
            ));
        }
        let given_bytes = self.given_bytes.checked_add(size).filter(|given| *given <= self.expected_bytes);
        self.given_bytes = given_bytes.ok_or_else(|| incomplete("the body is longer than x-amz-decoded-content-length"))?;
        if size > 0 {
            return Ok(Place::Data { left: size });
        }
        if self.given_bytes != self.expected_bytes {
            return Err(incomplete("the body is shorter than x-amz-decoded-content-length"));
        }
        self.chunk_end()?;
        Ok(if self.has_trailers { Place::Trailers { blank: false, signed: false } } else { Place::LastEnd })
    }

    fn chunk_end(&mut self) -> Result<Place, Refusal> {
        match &mut self.signer {
            Some(signer) => signer.chunk().map(|()| Place::DataEnd),
            None => Ok(Place::DataEnd),
        }
    }

    /// `x-amz-checksum-crc32c:sOO8/Q==`, the signature of all of them, or the empty line behind them.
    fn read_trailer(&mut self, line: &[u8], blank: bool, signed: bool) -> Result<Place, Refusal> {
        if line.is_empty() {
            return match (&self.signer, signed) {
                (Some(_), false) if !blank => Ok(Place::Trailers { blank: true, signed }),
                (Some(_), false) => Err(malformed_trailer("the trailers are not signed")),
                _ if self.trailers.len() != self.announced.len() => Err(malformed_trailer("an announced trailer is missing")),
                _ => Ok(Place::Done),
            };
        }
        let is_text = line.iter().all(|byte| (0x20..0x7f).contains(byte));
        let text = std::str::from_utf8(line).ok().filter(|_| is_text);
        let (name, value) =
            text.and_then(|text| text.split_once(':')).ok_or_else(|| malformed_trailer("a trailer is no `name:value`"))?;
        let (name, value) = (name.to_ascii_lowercase(), value.trim_matches(' '));
        if signed {
            return Err(malformed_trailer("a trailer follows the signature of the trailers"));
        }
        if let Some(signer) = self.signer.as_mut().filter(|_| name == TRAILER_SIGNATURE) {
            signer.claimed =
                digest(value.as_bytes()).ok_or_else(|| malformed_trailer("the signature of the trailers is malformed"))?;
            signer.trailers(&self.trailers)?;
            return Ok(Place::Trailers { blank, signed: true });
        }
        if blank || !self.announced.contains(&name) || self.trailers.iter().any(|(known, _)| *known == name) {
            return Err(malformed_trailer("a trailer was not announced, or comes twice"));
        }
        self.trailers.push((name, value.to_owned()));
        Ok(Place::Trailers { blank, signed })
    }
}

fn length(value: &[u8]) -> Result<u64, Refusal> {
    let text = std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
    text.and_then(|text| text.parse().ok())
        .ok_or_else(|| Refusal::new("InvalidArgument", "x-amz-decoded-content-length is no length"))
}

/// The names of the announced trailers, lower-case. Only checksums may come so late: whatever else a trailer might change was decided
/// before it could be read.
fn announced(values: &[String]) -> Result<Vec<String>, Refusal> {
    let mut names: Vec<String> = Vec::new();
    for name in values.iter().flat_map(|value| value.split(',')).map(|name| name.trim().to_ascii_lowercase()) {
        if Algorithm::from_header(&name).is_none() || names.contains(&name) {
            return Err(unsupported_trailer());
        }
        names.push(name);
    }
    Ok(names)
}

/// The chain of signatures over the chunks.
struct Chain {
    key: hmac::Key,
    at: Micros,
    scope: Scope,
    previous: [u8; 32],
    claimed: [u8; 32],
    hasher: Sha256Hasher,
}

impl Chain {
    fn new(key: &Secret, seed: &Presentation) -> Self {
        Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, key.expose()),
            at: seed.at,
            scope: seed.scope.clone(),
            previous: seed.signature,
            claimed: [0; 32],
            hasher: Sha256Hasher::new(),
        }
    }

    /// The chunk is over: is its signature the claimed one?
    fn chunk(&mut self) -> Result<(), Refusal> {
        let hash = std::mem::take(&mut self.hasher).finish();
        let text = chunk_text(self.at, &self.scope, &self.previous, &hash);
        self.link(&text)
    }

    fn trailers(&mut self, trailers: &[(String, String)]) -> Result<(), Refusal> {
        let text = trailers_text(self.at, &self.scope, &self.previous, trailers);
        self.link(&text)
    }

    fn link(&mut self, text: &str) -> Result<(), Refusal> {
        hmac::verify(&self.key, text.as_bytes(), &self.claimed).map_err(|_| Refusal::mismatch())?;
        self.previous = self.claimed;
        Ok(())
    }
}

/// What is signed of a chunk with this SHA-256.
pub fn chunk_text(at: Micros, scope: &Scope, previous: &[u8; 32], hash: &[u8; 32]) -> String {
    let (date, empty) = (dates::text(at), hex(&sha256(b"")));
    format!("AWS4-HMAC-SHA256-PAYLOAD\n{date}\n{scope}\n{}\n{empty}\n{}", hex(previous), hex(hash))
}

/// What is signed of the trailers.
pub fn trailers_text(at: Micros, scope: &Scope, previous: &[u8; 32], trailers: &[(String, String)]) -> String {
    let lines: String = trailers.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
    format!("AWS4-HMAC-SHA256-TRAILER\n{}\n{scope}\n{}\n{}", dates::text(at), hex(previous), hex(&sha256(lines.as_bytes())))
}

fn malformed(message: &str) -> Refusal {
    Refusal::new("InvalidRequest", format!("the body is not in aws-chunked: {message}"))
}

fn unsupported_trailer() -> Refusal {
    Refusal::new("InvalidRequest", "the value specified in the x-amz-trailer header is not supported")
}

fn malformed_trailer(message: &str) -> Refusal {
    Refusal::new("MalformedTrailerError", message)
}

fn incomplete(message: &str) -> Refusal {
    Refusal::new("IncompleteBody", message)
}
