//! S3's checksums ("Checking object integrity in Amazon S3", user guide) and its ETags.
//!
//! They tell damage from wholeness, not friend from foe: SHA-1 and MD5 are here because clients compare them.

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use crc_fast::{CrcAlgorithm, checksum_combine};
use http::HeaderMap;
use kernel::hex;
use md5::Digest as _;

use crate::Refusal;
use crate::canonical::one;

/// How a checksum is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Algorithm {
    /// CRC-32/ISO-HDLC.
    Crc32,
    /// CRC-32/ISCSI.
    Crc32c,
    /// CRC-64/NVME.
    Crc64Nvme,
    /// FIPS 180-4.
    Sha1,
    /// FIPS 180-4.
    Sha256,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Crc32, Self::Crc32c, Self::Crc64Nvme, Self::Sha1, Self::Sha256];

    /// As `x-amz-checksum-algorithm` calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Crc32 => "CRC32",
            Self::Crc32c => "CRC32C",
            Self::Crc64Nvme => "CRC64NVME",
            Self::Sha1 => "SHA1",
            Self::Sha256 => "SHA256",
        }
    }

    /// The header or trailer that holds its value.
    #[must_use]
    pub const fn header(self) -> &'static str {
        match self {
            Self::Crc32 => "x-amz-checksum-crc32",
            Self::Crc32c => "x-amz-checksum-crc32c",
            Self::Crc64Nvme => "x-amz-checksum-crc64nvme",
            Self::Sha1 => "x-amz-checksum-sha1",
            Self::Sha256 => "x-amz-checksum-sha256",
        }
    }

    /// The one of this name, in whatever case.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.name().eq_ignore_ascii_case(name))
    }

    /// The one whose value this header holds.
    #[must_use]
    pub fn from_header(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.header().eq_ignore_ascii_case(name))
    }

    /// How long its value is.
    #[must_use]
    pub const fn len_bytes(self) -> usize {
        match self {
            Self::Crc32 | Self::Crc32c => 4,
            Self::Crc64Nvme => 8,
            Self::Sha1 => 20,
            Self::Sha256 => 32,
        }
    }

    /// The bytes of a value in base64, if it is one of this algorithm.
    #[must_use]
    pub fn decode(self, text: &str) -> Option<Vec<u8>> {
        STANDARD.decode(text).ok().filter(|bytes| bytes.len() == self.len_bytes())
    }

    const fn crc(self) -> Option<CrcAlgorithm> {
        match self {
            Self::Crc32 => Some(CrcAlgorithm::Crc32IsoHdlc),
            Self::Crc32c => Some(CrcAlgorithm::Crc32Iscsi),
            Self::Crc64Nvme => Some(CrcAlgorithm::Crc64Nvme),
            Self::Sha1 | Self::Sha256 => None,
        }
    }

    /// A CRC as S3 writes it: big-endian, as wide as it is.
    fn crc_text(self, crc: u64) -> String {
        let bytes = crc.to_be_bytes();
        STANDARD.encode(bytes.get(bytes.len().saturating_sub(self.len_bytes())..).unwrap_or_default())
    }
}

/// A checksum over a stream.
#[derive(Clone)]
pub struct Checksum {
    algorithm: Algorithm,
    state: State,
}

#[derive(Clone)]
enum State {
    Crc(Box<crc_fast::Digest>),
    Sha(digest::Context),
}

impl Checksum {
    /// Of nothing yet.
    #[must_use]
    pub fn new(algorithm: Algorithm) -> Self {
        let state = match algorithm.crc() {
            Some(crc) => State::Crc(Box::new(crc_fast::Digest::new(crc))),
            None if algorithm == Algorithm::Sha1 => State::Sha(digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY)),
            None => State::Sha(digest::Context::new(&digest::SHA256)),
        };
        Self { algorithm, state }
    }

    /// Which one it is.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        match &mut self.state {
            State::Crc(crc) => crc.update(bytes),
            State::Sha(sha) => sha.update(bytes),
        }
    }

    /// The value of all that was added, in base64.
    #[must_use]
    pub fn finish(self) -> String {
        match self.state {
            State::Crc(crc) => self.algorithm.crc_text(crc.finalize()),
            State::Sha(sha) => STANDARD.encode(sha.finish()),
        }
    }
}

/// The checksum of a whole object from those of its parts and their lengths in bytes (S3's type `FULL_OBJECT`). There is none if a value
/// is malformed, or for SHA-1 and SHA-256, which cannot be combined.
#[must_use]
pub fn combine(algorithm: Algorithm, parts: &[(&str, u64)]) -> Option<String> {
    let crc = algorithm.crc()?;
    let mut whole = 0;
    for (text, length) in parts {
        let value = algorithm.decode(text)?.iter().fold(0_u64, |value, &byte| value << 8 | u64::from(byte));
        whole = if *length == 0 { whole } else { checksum_combine(crc, whole, value, *length) };
    }
    Some(algorithm.crc_text(whole))
}

/// The checksum of the checksums of the parts, with their count (S3's type `COMPOSITE`): `base64-N`. There is none if a value is malformed
/// or there is no part, or for CRC-64, of which S3 knows the whole only.
#[must_use]
pub fn composite(algorithm: Algorithm, parts: &[&str]) -> Option<String> {
    if algorithm == Algorithm::Crc64Nvme || parts.is_empty() {
        return None;
    }
    let mut checksum = Checksum::new(algorithm);
    for part in parts {
        checksum.update(&algorithm.decode(part)?);
    }
    Some(format!("{}-{}", checksum.finish(), parts.len()))
}

/// The checksum that a request brings in a header, its value well formed.
///
/// # Errors
/// `InvalidRequest` if there are two, one of an unknown algorithm, or one that is malformed.
pub fn presented(headers: &HeaderMap) -> Result<Option<(Algorithm, String)>, Refusal> {
    const ABOUT: [&str; 3] = ["x-amz-checksum-algorithm", "x-amz-checksum-mode", "x-amz-checksum-type"];
    let mut found = None;
    let names = headers.keys().map(http::HeaderName::as_str);
    for name in names.filter(|name| name.starts_with("x-amz-checksum-") && !ABOUT.contains(name)) {
        let invalid = || Refusal::new("InvalidRequest", format!("value for {name} header is invalid"));
        let algorithm = Algorithm::from_header(name).ok_or_else(|| {
            Refusal::new("InvalidRequest", "the algorithm type you specified in x-amz-checksum- header is invalid")
        })?;
        let value = one(headers, name)?.and_then(|value| std::str::from_utf8(value).ok()).ok_or_else(invalid)?;
        // What no bytes could have is not what these bytes have.
        let no_such_value = || Refusal::new("BadDigest", format!("the {name} you specified did not match what we received"));
        algorithm.decode(value).ok_or_else(no_such_value)?;
        if found.replace((algorithm, value.to_owned())).is_some() {
            return Err(Refusal::new("InvalidRequest", "expecting a single x-amz-checksum- header"));
        }
    }
    Ok(found)
}

/// MD5 over a stream, for ETags and `content-md5` alone.
#[derive(Clone, Default)]
pub struct Md5(md5::Md5);

impl Md5 {
    /// Of nothing yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`.
    pub fn update(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// The digest of all that was added.
    #[must_use]
    pub fn finish(self) -> [u8; 16] {
        self.0.finalize().into()
    }
}

/// The ETag of an object that came whole, without its quotes.
#[must_use]
pub fn etag(md5: &[u8; 16]) -> String {
    hex(md5)
}

/// The ETag of an object that came in parts, without its quotes: the MD5 of the parts' MD5s, and their count.
#[must_use]
pub fn multipart_etag(parts: &[[u8; 16]]) -> String {
    let mut whole = Md5::new();
    for part in parts {
        whole.update(part);
    }
    format!("{}-{}", hex(&whole.finish()), parts.len())
}

/// What `content-md5` says of the body.
///
/// # Errors
/// `InvalidDigest` if it is not 16 bytes in base64.
pub fn content_md5(headers: &HeaderMap) -> Result<Option<[u8; 16]>, Refusal> {
    let invalid = || Refusal::new("InvalidDigest", "the Content-MD5 you specified was invalid");
    let Some(value) = one(headers, "content-md5")? else { return Ok(None) };
    let bytes = STANDARD.decode(value).map_err(|_| invalid())?;
    bytes.try_into().map(Some).map_err(|_| invalid())
}
