//! Wrapping one key by another: AES-256-GCM under a key that HKDF-SHA256 (RFC 5869) makes for this one wrap from a random
//! 256-bit salt. So no nonce is ever used twice, however often a key wraps.
//!
//! Layout: 1 byte version, 32 bytes salt, ciphertext, 16 bytes tag.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::{hkdf, hmac};
use kernel::{Problem, Secret, random_bytes};
use zeroize::Zeroize;

use super::KEY_BYTES;

const LAYOUT: u8 = 1;
const SALT_BYTES: usize = 32;
const CONTEXT: &[u8] = b"strongroom/wrap/1";

struct Length(usize);

impl hkdf::KeyType for Length {
    fn len(&self) -> usize {
        self.0
    }
}

/// HKDF-SHA256 of `secret` to `N` bytes.
pub(crate) fn derive<const N: usize>(secret: &[u8], salt: &[u8], info: &[u8]) -> Result<[u8; N], Problem> {
    let mut out = [0_u8; N];
    hkdf::Salt::new(hkdf::HKDF_SHA256, salt)
        .extract(secret)
        .expand(&[info], Length(N))
        .and_then(|okm| okm.fill(&mut out))
        .map_err(|_| Problem::internal("a key could not be derived", "HKDF refused its lengths"))?;
    Ok(out)
}

/// Parts joined so that no two lists of parts give the same bytes: each with its length before it.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    let mut all = Vec::with_capacity(parts.iter().map(|part| part.len() + 8).sum());
    for part in parts {
        all.extend_from_slice(&(part.len() as u64).to_be_bytes());
        all.extend_from_slice(part);
    }
    all
}

/// HMAC-SHA256 (RFC 2104): a hash that nobody without the key can guess the input of.
#[must_use]
pub fn keyed_hash(key: &Secret, bytes: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key.expose()), bytes);
    let mut out = [0_u8; 32];
    for (to, from) in out.iter_mut().zip(tag.as_ref()) {
        *to = *from;
    }
    out
}

pub(super) fn wrap(by: &Secret, key: &Secret, aad: &[u8]) -> Result<Vec<u8>, Problem> {
    wrap_bytes(by, key.expose(), aad)
}

pub(super) fn wrap_bytes(by: &Secret, plain: &[u8], aad: &[u8]) -> Result<Vec<u8>, Problem> {
    let salt = random_bytes::<SALT_BYTES>();
    let (cipher, nonce) = once(by, &salt, aad)?;
    let mut sealed = Vec::with_capacity(1 + SALT_BYTES + plain.len() + AES_256_GCM.tag_len());
    sealed.push(LAYOUT);
    sealed.extend_from_slice(&salt);
    let mut body = plain.to_vec();
    let tag = cipher.seal_in_place_separate_tag(nonce, Aad::from(aad), &mut body).map_err(|_| not_wrapped())?;
    sealed.extend_from_slice(&body);
    sealed.extend_from_slice(tag.as_ref());
    Ok(sealed)
}

pub(super) fn unwrap(by: &Secret, wrapped: &[u8], aad: &[u8]) -> Result<Secret, Problem> {
    let (salt, body) = match wrapped.split_first() {
        Some((&LAYOUT, rest)) if rest.len() > SALT_BYTES => rest.split_at(SALT_BYTES),
        _ => return Err(refused()),
    };
    let (cipher, nonce) = once(by, salt, aad)?;
    let mut plain = body.to_vec();
    let length = cipher.open_in_place(nonce, Aad::from(aad), &mut plain).map_err(|_| refused())?.len();
    plain.truncate(length);
    Ok(Secret::new(plain))
}

fn once(by: &Secret, salt: &[u8], aad: &[u8]) -> Result<(LessSafeKey, Nonce), Problem> {
    let mut bytes = derive::<{ KEY_BYTES + NONCE_LEN }>(by.expose(), salt, &join(&[CONTEXT, aad]))?;
    let (key, nonce) = bytes.split_at(KEY_BYTES);
    let made = UnboundKey::new(&AES_256_GCM, key)
        .and_then(|key| Ok((LessSafeKey::new(key), Nonce::try_assume_unique_for_key(nonce)?)))
        .map_err(|_| not_wrapped());
    bytes.zeroize();
    made
}

fn not_wrapped() -> Problem {
    Problem::internal("a key could not be wrapped", "AES-256-GCM refused its input")
}

fn refused() -> Problem {
    Problem::internal(
        "a wrapped key does not open: it was changed, moved to another place, or wrapped by another root key",
        "AES-256-GCM authentication failed",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_wrapped_opens_only_unchanged_with_its_key_and_place() {
        let by = Secret::new(random_bytes::<32>().to_vec());
        let key = Secret::new(random_bytes::<32>().to_vec());
        let wrapped = wrap(&by, &key, b"here").unwrap();
        assert!(unwrap(&by, &wrapped, b"here").unwrap() == key);
        assert!(unwrap(&by, &wrapped, b"there").is_err());
        assert!(unwrap(&Secret::new(vec![0; 32]), &wrapped, b"here").is_err());
        for at in 0..wrapped.len() {
            let mut changed = wrapped.clone();
            changed[at] ^= 1;
            assert!(unwrap(&by, &changed, b"here").is_err(), "byte {at}");
        }
        for length in 0..wrapped.len() {
            assert!(unwrap(&by, &wrapped[..length], b"here").is_err(), "length {length}");
        }
        assert_ne!(wrap(&by, &key, b"here").unwrap(), wrapped);
    }

    #[test]
    fn joined_parts_cannot_be_mistaken_for_others() {
        assert_ne!(join(&[b"a", b"bc"]), join(&[b"ab", b"c"]));
        assert_ne!(join(&[b"a"]), join(&[b"a", b""]));
    }

    #[test]
    fn hkdf_gives_the_first_vector_of_rfc_5869() {
        let okm = derive::<42>(
            &[0x0b; 22],
            &kernel::parse_hex("000102030405060708090a0b0c").unwrap(),
            &kernel::parse_hex("f0f1f2f3f4f5f6f7f8f9").unwrap(),
        );
        let expected = "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865";
        assert_eq!(kernel::hex(&okm.unwrap()), expected);
    }
}
