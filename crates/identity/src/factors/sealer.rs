//! What must come back as it was: shared secrets in the database, and the texts of ceremonies that a browser carries. AES-256-GCM under a
//! key of this room's own, bound to what it is for. And what must only be known again: marks, keyed hashes under another such key.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hmac;
use kernel::{Problem, Secret, random_bytes, sha256};

/// Seals and opens, and marks.
pub(crate) struct Sealer {
    seals: LessSafeKey,
    marks: hmac::Key,
}

impl Sealer {
    /// Under a key that is made of `secret`.
    ///
    /// # Errors
    /// `Internal` if no key can be made of it.
    pub(crate) fn new(secret: &Secret) -> Result<Self, Problem> {
        let parent = hmac::Key::new(hmac::HMAC_SHA256, secret.expose());
        let key = hmac::sign(&parent, b"strongroom factors v1");
        let key = UnboundKey::new(&AES_256_GCM, key.as_ref()).map_err(|error| Problem::internal("no sealing key", error))?;
        let marks = hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&parent, b"strongroom marks v1").as_ref());
        Ok(Self { seals: LessSafeKey::new(key), marks })
    }

    /// By what something is known again, and only where it is for the same; it does not tell what it is.
    pub(crate) fn mark(&self, what_for: &str, plain: &[u8]) -> [u8; 32] {
        let said = [sha256(what_for.as_bytes()).as_slice(), plain].concat();
        let mut mark = [0; 32];
        mark.iter_mut().zip(hmac::sign(&self.marks, &said).as_ref()).for_each(|(to, from)| *to = *from);
        mark
    }

    /// Nonce, ciphertext and tag. What it is for must be said again to open it.
    ///
    /// # Errors
    /// `Internal` if it cannot be sealed.
    pub(crate) fn seal(&self, what_for: &str, plain: &[u8]) -> Result<Vec<u8>, Problem> {
        let nonce = random_bytes::<NONCE_LEN>();
        let mut bytes = plain.to_vec();
        self.seals
            .seal_in_place_append_tag(Nonce::assume_unique_for_key(nonce), Aad::from(what_for.as_bytes()), &mut bytes)
            .map_err(|error| Problem::internal("a secret could not be sealed", error))?;
        Ok([nonce.as_slice(), &bytes].concat())
    }

    /// What was sealed for this; none if it was not, or not here.
    pub(crate) fn open(&self, what_for: &str, sealed: &[u8]) -> Option<Secret> {
        let (nonce, rest) = sealed.split_at_checked(NONCE_LEN)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).ok()?;
        let mut bytes = rest.to_vec();
        let plain = self.seals.open_in_place(nonce, Aad::from(what_for.as_bytes()), &mut bytes).ok()?;
        Some(Secret::new(plain.to_vec()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_sealed_opens_for_its_purpose_under_its_key_and_unchanged() {
        let sealer = Sealer::new(&Secret::from("one".to_owned())).unwrap();
        let sealed = sealer.seal("totp of u_1", b"seed").unwrap();
        assert_eq!(sealer.open("totp of u_1", &sealed).unwrap().expose(), b"seed");
        assert!(sealer.open("totp of u_2", &sealed).is_none());
        assert!(Sealer::new(&Secret::from("two".to_owned())).unwrap().open("totp of u_1", &sealed).is_none());
        let mark = sealer.mark("address at a", b"ada");
        assert_eq!(sealer.mark("address at a", b"ada"), mark);
        assert_ne!(sealer.mark("address at ", b"aada"), mark);
        assert_ne!(Sealer::new(&Secret::from("two".to_owned())).unwrap().mark("address at a", b"ada"), mark);
        for at in 0..sealed.len() {
            let mut wrong = sealed.clone();
            wrong[at] ^= 1;
            assert!(sealer.open("totp of u_1", &wrong).is_none());
            assert!(sealer.open("totp of u_1", &sealed[..at]).is_none());
        }
    }
}
