//! A secret that only the TPM with one endorsement key opens, and only if it holds one other key (`TPM2_MakeCredential`): it shows that the two are
//! in the same TPM (TPM 2.0 part 1, sections 24 and B.10.4, C.6.4; the derivations are section 11.4.10).

use aws_lc_rs::agreement::{ECDH_P256, PrivateKey, UnparsedPublicKey, agree};
use aws_lc_rs::cipher::{AES_128, EncryptingKey, EncryptionContext, UnboundCipherKey};
use aws_lc_rs::digest;
use aws_lc_rs::hmac;
use aws_lc_rs::iv::FixedLength;
use aws_lc_rs::rsa::{OAEP_SHA256_MGF1SHA256, OaepPublicEncryptingKey, PublicEncryptingKey, PublicKeyComponents};
use kernel::random_bytes;

use super::TpmError;
use super::public::{Key, Public};
use super::reader::sized;

/// What seeds of credentials are for: with its zero at the end.
const IDENTITY: &[u8] = b"IDENTITY\0";
const REFUSED: TpmError = TpmError("the endorsement key cannot be encrypted to");

/// What `TPM2_ActivateCredential` takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// `TPM2B_ID_OBJECT`.
    pub id_object: Vec<u8>,
    /// `TPM2B_ENCRYPTED_SECRET`.
    pub encrypted_secret: Vec<u8>,
}

/// Seals `secret` for the TPM of `endorsement`, as long as it holds the object of this name.
///
/// # Errors
/// If the endorsement key is none.
pub fn make(endorsement: &Public, name: &[u8], secret: &[u8; 32]) -> Result<Credential, TpmError> {
    let (seed, encrypted) = match endorsement.as_endorsement_key()? {
        Key::P256(point) => seed_by_curve(point)?,
        Key::Rsa { modulus, exponent } => seed_by_rsa(modulus, *exponent)?,
    };
    let key = derived(&seed, b"STORAGE\0", name, 128);
    let identity = encrypted_identity(key.get(..16).ok_or(REFUSED)?, secret)?;
    let integrity_key = hmac::Key::new(hmac::HMAC_SHA256, &derived(&seed, b"INTEGRITY\0", &[], 256));
    let mut integrity = hmac::Context::with_key(&integrity_key);
    integrity.update(&identity);
    integrity.update(name);
    let id_object = [sized(integrity.sign().as_ref()), identity].concat();
    Ok(Credential { id_object: sized(&id_object), encrypted_secret: sized(&encrypted) })
}

/// AES-128 in CFB under a key that is used this once, so that the vector may be zero.
fn encrypted_identity(key: &[u8], secret: &[u8]) -> Result<Vec<u8>, TpmError> {
    let mut identity = sized(secret);
    let key = UnboundCipherKey::new(&AES_128, key).map_err(|_| REFUSED)?;
    let key = EncryptingKey::cfb128(key).map_err(|_| REFUSED)?;
    key.less_safe_encrypt(&mut identity, EncryptionContext::Iv128(FixedLength::from([0_u8; 16]))).map_err(|_| REFUSED)?;
    Ok(identity)
}

fn seed_by_rsa(modulus: &[u8], exponent: u32) -> Result<(Vec<u8>, Vec<u8>), TpmError> {
    let exponent: Vec<u8> = exponent.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
    let components = PublicKeyComponents { n: modulus.to_vec(), e: exponent };
    let key: PublicEncryptingKey = components.try_into().map_err(|_| REFUSED)?;
    let key = OaepPublicEncryptingKey::new(key).map_err(|_| REFUSED)?;
    let seed = random_bytes::<32>();
    let mut encrypted = vec![0_u8; key.ciphertext_size()];
    key.encrypt(&OAEP_SHA256_MGF1SHA256, &seed, &mut encrypted, Some(IDENTITY)).map_err(|_| REFUSED)?;
    Ok((seed.to_vec(), encrypted))
}

fn seed_by_curve(point: &[u8]) -> Result<(Vec<u8>, Vec<u8>), TpmError> {
    let own = PrivateKey::generate(&ECDH_P256).map_err(|_| REFUSED)?;
    let own_point = own.compute_public_key().map_err(|_| REFUSED)?;
    let (own_x, own_y) = coordinates(own_point.as_ref()).ok_or(REFUSED)?;
    let (x, _) = coordinates(point).ok_or(REFUSED)?;
    let peer = UnparsedPublicKey::new(&ECDH_P256, point);
    let seed = agree(&own, peer, REFUSED, |shared| {
        let mut context = digest::Context::new(&digest::SHA256);
        for part in [1_u32.to_be_bytes().as_slice(), shared, IDENTITY, own_x, x] {
            context.update(part);
        }
        Ok(context.finish().as_ref().to_vec())
    })?;
    Ok((seed, [sized(own_x), sized(own_y)].concat()))
}

fn coordinates(point: &[u8]) -> Option<(&[u8], &[u8])> {
    point.get(1..)?.split_at_checked(32).filter(|(_, y)| y.len() == 32)
}

/// `KDFa` for at most 256 bits: one round of HMAC in counter mode. `label` ends with its zero.
fn derived(seed: &[u8], label: &[u8], context_u: &[u8], bits: u32) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, seed));
    for part in [1_u32.to_be_bytes().as_slice(), label, context_u, &bits.to_be_bytes()] {
        context.update(part);
    }
    context.sign().as_ref().to_vec()
}
