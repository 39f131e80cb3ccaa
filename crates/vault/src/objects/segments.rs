//! The format of an object at rest: Tink's AES-GCM-HKDF streaming AEAD ("AES256_GCM_HKDF" with SHA-256 and 64 KiB
//! ciphertext segments), as its wire format document describes it.
//!
//! Header: 1 byte header length (40), 32 bytes salt, 7 bytes nonce prefix. The segment key is HKDF-SHA256(data key, salt,
//! info = associated data). Each segment is AES-256-GCM with the nonce `prefix ‖ be32(index) ‖ last`, no further associated
//! data, and its 16-byte tag behind it. So cutting, moving, repeating or joining segments is refused.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use kernel::{Problem, Secret, random_bytes};
use zeroize::Zeroize;

use crate::keys::{KEY_BYTES, derive};

/// One segment with its tag, on disk.
pub(super) const SEGMENT_BYTES: usize = 64 * 1024;
/// The tag of a segment.
pub(super) const TAG_BYTES: usize = 16;
/// What stands before the first segment.
pub(super) const HEADER_BYTES: usize = 1 + SALT_BYTES + PREFIX_BYTES;
/// Plain bytes of a first segment that is full: the header takes its room.
pub(super) const FIRST_PLAIN_BYTES: usize = SEGMENT_BYTES - HEADER_BYTES - TAG_BYTES;
/// Plain bytes of any other segment that is full.
pub(super) const REST_PLAIN_BYTES: usize = SEGMENT_BYTES - TAG_BYTES;

const SALT_BYTES: usize = KEY_BYTES;
const PREFIX_BYTES: usize = 7;

/// The shape of an object of a known plain size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) plain_bytes: u64,
    pub(super) segment_count: u64,
    pub(super) stored_bytes: u64,
}

impl Layout {
    pub(super) const fn of(plain_bytes: u64) -> Self {
        let beyond_first = plain_bytes.saturating_sub(FIRST_PLAIN_BYTES as u64);
        let segment_count = 1 + beyond_first.div_ceil(REST_PLAIN_BYTES as u64);
        let stored_bytes = plain_bytes.saturating_add(HEADER_BYTES as u64 + segment_count * TAG_BYTES as u64);
        Self { plain_bytes, segment_count, stored_bytes }
    }

    /// The segment that holds the plain byte at `offset`.
    pub(super) const fn segment_of(offset: u64) -> u64 {
        match offset.checked_sub(FIRST_PLAIN_BYTES as u64) {
            None => 0,
            Some(beyond) => 1 + beyond / REST_PLAIN_BYTES as u64,
        }
    }

    /// Where a segment's plain bytes begin.
    pub(super) const fn plain_start(segment: u64) -> u64 {
        match segment.checked_sub(1) {
            None => 0,
            Some(before) => FIRST_PLAIN_BYTES as u64 + before * REST_PLAIN_BYTES as u64,
        }
    }

    /// Where all that must be read for a range of plain bytes is stored.
    pub(super) fn stored_span(&self, plain: &std::ops::Range<u64>) -> std::ops::Range<u64> {
        let first = Self::segment_of(plain.start);
        let last = Self::segment_of(plain.end.saturating_sub(1)).max(first);
        self.stored_range(first).start..self.stored_range(last).end
    }

    /// Where a segment's stored bytes begin and end.
    pub(super) fn stored_range(&self, segment: u64) -> std::ops::Range<u64> {
        let start = if segment == 0 { HEADER_BYTES as u64 } else { segment * SEGMENT_BYTES as u64 };
        start..((segment + 1) * SEGMENT_BYTES as u64).min(self.stored_bytes)
    }
}

/// Seals or opens segments of one object.
pub(super) struct Segments {
    key: LessSafeKey,
    prefix: [u8; PREFIX_BYTES],
}

impl Segments {
    /// For a new object: with the header that must stand before its first segment.
    pub(super) fn create(data_key: &Secret, aad: &[u8]) -> Result<(Self, [u8; HEADER_BYTES]), Problem> {
        Self::create_with(data_key, aad, random_bytes::<SALT_BYTES>(), random_bytes::<PREFIX_BYTES>())
    }

    fn create_with(
        data_key: &Secret,
        aad: &[u8],
        salt: [u8; SALT_BYTES],
        prefix: [u8; PREFIX_BYTES],
    ) -> Result<(Self, [u8; HEADER_BYTES]), Problem> {
        let mut header = [0_u8; HEADER_BYTES];
        let parts = std::iter::once(HEADER_BYTES as u8).chain(salt).chain(prefix);
        header.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Ok((Self::with(data_key, aad, &salt, prefix)?, header))
    }

    /// For an object whose header was read.
    pub(super) fn open(data_key: &Secret, aad: &[u8], header: &[u8]) -> Result<Self, Problem> {
        let (length, rest) = header.split_first().ok_or_else(damaged)?;
        if usize::from(*length) != HEADER_BYTES || header.len() != HEADER_BYTES {
            return Err(damaged());
        }
        let (salt, prefix) = rest.split_at_checked(SALT_BYTES).ok_or_else(damaged)?;
        Self::with(data_key, aad, salt, prefix.try_into().map_err(|_| damaged())?)
    }

    fn with(data_key: &Secret, aad: &[u8], salt: &[u8], prefix: [u8; PREFIX_BYTES]) -> Result<Self, Problem> {
        let mut key = derive::<KEY_BYTES>(data_key.expose(), salt, aad)?;
        let unbound = UnboundKey::new(&AES_256_GCM, &key);
        key.zeroize();
        let unbound = unbound.map_err(|_| Problem::internal("an object's key could not be used", "AES-256-GCM refused it"))?;
        Ok(Self { key: LessSafeKey::new(unbound), prefix })
    }

    fn nonce(&self, segment: u64, last: bool) -> Result<Nonce, Problem> {
        let index = u32::try_from(segment).map_err(|_| Problem::invalid("an object has at most 2^32 segments of 64 KiB"))?;
        let mut nonce = [0_u8; 12];
        let parts = self.prefix.into_iter().chain(index.to_be_bytes()).chain([u8::from(last)]);
        nonce.iter_mut().zip(parts).for_each(|(to, from)| *to = from);
        Ok(Nonce::assume_unique_for_key(nonce))
    }

    /// Encrypts `plain` where it stands; gives its tag.
    pub(super) fn seal(&self, segment: u64, last: bool, plain: &mut [u8]) -> Result<[u8; TAG_BYTES], Problem> {
        let failed = || Problem::internal("an object could not be encrypted", "AES-256-GCM refused its input");
        let nonce = self.nonce(segment, last)?;
        let tag = self.key.seal_in_place_separate_tag(nonce, Aad::empty(), plain).map_err(|_| failed())?;
        tag.as_ref().try_into().map_err(|_| failed())
    }

    /// Checks a stored segment and decrypts it into `plain`, which is 16 bytes shorter.
    pub(super) fn open_segment(&self, segment: u64, last: bool, stored: &[u8], plain: &mut [u8]) -> Result<(), Problem> {
        let body = stored.len().checked_sub(TAG_BYTES).filter(|length| *length == plain.len()).ok_or_else(damaged)?;
        let (body, tag) = stored.split_at_checked(body).ok_or_else(damaged)?;
        let nonce = self.nonce(segment, last)?;
        self.key.open_separate_gather(nonce, Aad::empty(), body, tag, plain).map_err(|_| damaged())
    }
}

/// What is told of an object that is not what was stored.
pub(super) fn damaged() -> Problem {
    Problem::internal(
        "the stored object is damaged or was tampered with; nothing of the damaged part was given out. Restore it from a backup",
        "an object failed its integrity check",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_layout_holds_at_every_edge() {
        let (first, rest) = (FIRST_PLAIN_BYTES as u64, REST_PLAIN_BYTES as u64);
        for (plain, count) in [(0, 1), (1, 1), (first, 1), (first + 1, 2), (first + rest, 2), (first + rest + 1, 3)] {
            let layout = Layout::of(plain);
            assert_eq!(layout.segment_count, count, "{plain}");
            assert_eq!(layout.stored_range(count - 1).end, layout.stored_bytes, "{plain}");
            let last = Layout::segment_of(plain.saturating_sub(1));
            assert_eq!(last, count - 1, "{plain}");
            assert!(Layout::plain_start(last) <= plain);
        }
    }

    /// Made by `tests/clients/tink_objects.py` with tink-py 1.16.1: the key is 00 to 1f, the associated data `strongroom`.
    #[test]
    fn an_object_that_tink_sealed_opens_here() {
        for (plain, stored) in VECTORS {
            let stored = kernel::parse_hex(stored).unwrap();
            let key = Secret::new((0..32).collect());
            let (header, body) = stored.split_at(HEADER_BYTES);
            let segments = Segments::open(&key, b"strongroom", header).unwrap();
            let mut opened = vec![0; body.len() - TAG_BYTES];
            segments.open_segment(0, true, body, &mut opened).unwrap();
            assert_eq!(opened, plain.as_bytes());
            let (again, same_header) =
                Segments::create_with(&key, b"strongroom", header[1..33].try_into().unwrap(), header[33..].try_into().unwrap())
                    .unwrap();
            let mut sealed = plain.as_bytes().to_vec();
            let tag = again.seal(0, true, &mut sealed).unwrap();
            assert_eq!([&same_header[..], &sealed, &tag].concat(), stored);
        }
    }

    const VECTORS: [(&str, &str); 2] = [
        ("", "2867055f7ca5bb4a87e1b0f5b4b7632619e810517a7c8c04e42bf4e27f0eccd1e23886988020e1055d9fab737907932952487a3b41e5ea98"),
        (
            "a metric is a number with a name",
            "28bde15efe1f3b4361642eddc028201a1e33a7f28f42959828e0d46a8dcbd2aed3fda20f92ca87352313553e4328dc88797208a762e280b9611757f95cb6f2ce8c6ca8c74a210fa96b2bfdb3b77dfef1631d1d32366a7dbc",
        ),
    ];
}
