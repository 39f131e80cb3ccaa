//! Encryption of what is written frame by frame, such as a journal: one key a file, a number a frame. And of small values under a
//! key of their own.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use kernel::{Problem, Secret};
use zeroize::Zeroize;

use super::{KEY_BYTES, derive, wrap};

/// What a frame grows by.
pub const FRAME_TAG_BYTES: usize = 16;
/// What makes each file's key another one.
pub const FRAME_SALT_BYTES: usize = 32;

/// The key of one file of frames (AES-256-GCM; HKDF-SHA256 of a secret and the file's own random salt).
///
/// INVARIANT: a number seals one frame of a file; whoever writes the file counts. A frame opens under its own number only, so that
/// frames cannot be put into another order. Held by `tests`.
pub struct FrameKey(LessSafeKey);

impl FrameKey {
    /// The key of the file with this salt.
    ///
    /// # Errors
    /// `Internal` if the library refuses; it does not.
    pub fn derive(secret: &Secret, salt: &[u8; FRAME_SALT_BYTES], purpose: &[u8]) -> Result<Self, Problem> {
        let mut bytes = derive::<KEY_BYTES>(secret.expose(), salt, purpose)?;
        let key = UnboundKey::new(&AES_256_GCM, &bytes).map(|key| Self(LessSafeKey::new(key)));
        bytes.zeroize();
        key.map_err(|_| Problem::internal("a key could not be made", "AES-256-GCM refused its key"))
    }

    /// Seals a frame where it lies; gives its tag.
    ///
    /// # Errors
    /// `Internal` for a frame that is too long for the cipher.
    pub fn seal(&self, number: u64, frame: &mut [u8]) -> Result<[u8; FRAME_TAG_BYTES], Problem> {
        let sealed = self.0.seal_in_place_separate_tag(nonce(number), Aad::empty(), frame);
        let tag = sealed.map_err(|_| Problem::internal("a frame could not be sealed", "AES-256-GCM refused its input"))?;
        let mut out = [0; FRAME_TAG_BYTES];
        out.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Ok(out)
    }

    /// Opens a frame with its tag behind it, where it lies. None if it is not that frame of that file.
    #[must_use]
    pub fn open<'a>(&self, number: u64, frame: &'a mut [u8]) -> Option<&'a [u8]> {
        self.0.open_in_place(nonce(number), Aad::empty(), frame).ok().map(|plain| &*plain)
    }
}

/// Seals a small value under a key, for the place that `aad` names.
///
/// # Errors
/// `Internal` if the library refuses; it does not.
pub fn seal(by: &Secret, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, Problem> {
    wrap::wrap_bytes(by, plain, aad)
}

/// Opens what [`seal`] sealed for the same place.
///
/// # Errors
/// `Internal` if it was sealed under another key, for another place, or was changed.
pub fn open(by: &Secret, sealed: &[u8], aad: &[u8]) -> Result<Vec<u8>, Problem> {
    Ok(wrap::unwrap(by, sealed, aad)?.expose().to_vec())
}

fn nonce(number: u64) -> Nonce {
    let mut bytes = [0; NONCE_LEN];
    bytes.iter_mut().skip(NONCE_LEN - 8).zip(number.to_be_bytes()).for_each(|(to, from)| *to = from);
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_opens_under_its_own_number_and_file_only() {
        let secret = Secret::new(vec![7; 32]);
        let key = FrameKey::derive(&secret, &[1; 32], b"journal").unwrap();
        let other = FrameKey::derive(&secret, &[2; 32], b"journal").unwrap();
        let mut frame = b"what was said".to_vec();
        let tag = key.seal(5, &mut frame).unwrap();
        frame.extend_from_slice(&tag);
        assert_eq!(key.open(5, &mut frame.clone()).unwrap(), b"what was said");
        assert!(key.open(6, &mut frame.clone()).is_none() && other.open(5, &mut frame.clone()).is_none());
        for at in 0..frame.len() {
            let mut changed = frame.clone();
            changed[at] ^= 1;
            assert!(key.open(5, &mut changed).is_none(), "byte {at}");
        }
    }

    #[test]
    fn a_value_opens_in_its_own_place_only() {
        let key = Secret::new(vec![7; 32]);
        let sealed = seal(&key, b"value", b"here").unwrap();
        assert_eq!(open(&key, &sealed, b"here").unwrap(), b"value");
        assert!(open(&key, &sealed, b"there").is_err());
        assert!(open(&Secret::new(vec![8; 32]), &sealed, b"here").is_err());
    }
}
