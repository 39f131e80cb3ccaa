//! Keys: what signs, and what a signature is checked with.
//!
//! A public key carries its one algorithm: the curve decides the hash, as the OpenSSF's registry and Sigstore's have it, and
//! nothing that a signed file says can choose another.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    ECDSA_P256_SHA256_ASN1, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1, ECDSA_P521_SHA512_ASN1_SIGNING, ED25519, EcdsaKeyPair, Ed25519KeyPair, KeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use kernel::{Secret, hex, sha256};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{PrivatePkcs8KeyDer, SubjectPublicKeyInfoDer};
use x509_cert::der::asn1::{BitString, ObjectIdentifier};
use x509_cert::der::{Any, Decode, Encode};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use crate::error::AttestError;

/// A PEM or DER key is refused beyond this.
pub const KEY_BYTES_MAX: usize = 16 * 1024;
/// A signature is refused beyond this; the largest, of P-521, has 139 bytes.
pub const SIGNATURE_BYTES_MAX: usize = 256;

const EC_PUBLIC_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519_OID: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
/// SEC 1's private key of P-256 without its public half, up to the 32 bytes of the number.
const P256_PRIVATE_HEAD: [u8; 7] = [0x30, 0x31, 0x02, 0x01, 0x01, 0x04, 0x20];
/// And after it: the curve.
const P256_PRIVATE_TAIL: [u8; 12] = [0xa0, 0x0a, 0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x03, 0x01, 0x07];
/// Of 2^32 numbers one is not below the curve's order; eight in a row are not.
const SEED_TRY_COUNT_MAX: u8 = 8;

/// How a key signs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// ECDSA on P-256 with SHA-256.
    EcdsaP256Sha256,
    /// ECDSA on P-384 with SHA-384.
    EcdsaP384Sha384,
    /// ECDSA on P-521 with SHA-512.
    EcdsaP521Sha512,
    /// Ed25519.
    Ed25519,
}

impl Algorithm {
    /// Whether the OpenSSF's model signing knows it: ECDSA alone.
    #[must_use]
    pub const fn may_sign_models(self) -> bool {
        !matches!(self, Self::Ed25519)
    }

    const fn verification(self) -> &'static dyn VerificationAlgorithm {
        match self {
            Self::EcdsaP256Sha256 => &ECDSA_P256_SHA256_ASN1,
            Self::EcdsaP384Sha384 => &ECDSA_P384_SHA384_ASN1,
            Self::EcdsaP521Sha512 => &ECDSA_P521_SHA512_ASN1,
            Self::Ed25519 => &ED25519,
        }
    }

    const fn point_bytes(self) -> usize {
        match self {
            Self::EcdsaP256Sha256 => 65,
            Self::EcdsaP384Sha384 => 97,
            Self::EcdsaP521Sha512 => 133,
            Self::Ed25519 => 32,
        }
    }

    fn identifier(self) -> (ObjectIdentifier, Option<ObjectIdentifier>) {
        match self {
            Self::EcdsaP256Sha256 => (EC_PUBLIC_KEY, Some(P256)),
            Self::EcdsaP384Sha384 => (EC_PUBLIC_KEY, Some(P384)),
            Self::EcdsaP521Sha512 => (EC_PUBLIC_KEY, Some(P521)),
            Self::Ed25519 => (ED25519_OID, None),
        }
    }
}

/// The public half of a key, with its one algorithm.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicKey {
    algorithm: Algorithm,
    spki: Vec<u8>,
    bytes: Vec<u8>,
}

impl PublicKey {
    /// Reads a `SubjectPublicKeyInfo` in DER.
    ///
    /// # Errors
    /// `Key` if it is none, or of a kind that is not known here.
    pub fn from_spki(der: &[u8]) -> Result<Self, AttestError> {
        let wrong = |problem: &str| AttestError::key(format!("this is not a public key that can be used: {problem}"));
        if der.len() > KEY_BYTES_MAX {
            return Err(wrong("it is longer than 16 KiB"));
        }
        let info = SubjectPublicKeyInfoOwned::from_der(der).map_err(|_| wrong("it is no SubjectPublicKeyInfo"))?;
        let curve = match &info.algorithm.parameters {
            None => None,
            Some(parameters) => Some(parameters.decode_as().map_err(|_| wrong("its curve has no name"))?),
        };
        let known = [Algorithm::EcdsaP256Sha256, Algorithm::EcdsaP384Sha384, Algorithm::EcdsaP521Sha512, Algorithm::Ed25519];
        let algorithm = known.into_iter().find(|one| one.identifier() == (info.algorithm.oid, curve));
        let algorithm = algorithm.ok_or_else(|| wrong("only ECDSA on P-256, P-384 or P-521 and Ed25519 are known"))?;
        let bytes = info.subject_public_key.as_bytes().ok_or_else(|| wrong("its length is not whole bytes"))?.to_vec();
        Self::from_bytes(algorithm, &bytes)
    }

    /// Reads a PEM `PUBLIC KEY`.
    ///
    /// # Errors
    /// As [`Self::from_spki`].
    pub fn from_pem(text: &str) -> Result<Self, AttestError> {
        if text.len() > KEY_BYTES_MAX {
            return Err(AttestError::key("a public key in PEM has at most 16 KiB"));
        }
        let der = SubjectPublicKeyInfoDer::from_pem_slice(text.as_bytes())
            .map_err(|_| AttestError::key("this is not a public key in PEM (`-----BEGIN PUBLIC KEY-----`)"))?;
        Self::from_spki(&der)
    }

    /// The key of `algorithm` with these bytes: an uncompressed point, or Ed25519's 32 bytes.
    ///
    /// # Errors
    /// `Key` if the bytes are not a point of that kind.
    pub fn from_bytes(algorithm: Algorithm, bytes: &[u8]) -> Result<Self, AttestError> {
        let wrong = || AttestError::key("this is not a public key that can be used: its point is not in uncompressed form");
        let head_holds = algorithm == Algorithm::Ed25519 || bytes.first() == Some(&4);
        if bytes.len() != algorithm.point_bytes() || !head_holds {
            return Err(wrong());
        }
        let (oid, curve) = algorithm.identifier();
        let parameters = curve.map(|curve| Any::encode_from(&curve)).transpose().map_err(|_| wrong())?;
        let info = SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid, parameters },
            subject_public_key: BitString::from_bytes(bytes).map_err(|_| wrong())?,
        };
        Ok(Self { algorithm, spki: info.to_der().map_err(|_| wrong())?, bytes: bytes.to_vec() })
    }

    /// Its algorithm.
    #[must_use]
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The `SubjectPublicKeyInfo` in DER.
    #[must_use]
    pub fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Its bytes: an uncompressed point, or Ed25519's 32.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The `SubjectPublicKeyInfo` in PEM, lines of 64 letters and a newline at the end.
    #[must_use]
    pub fn to_pem(&self) -> String {
        pem("PUBLIC KEY", &self.spki)
    }

    /// SHA-256 of the DER, in hex: the `keyid` of our envelopes, and the name of a key in a policy.
    #[must_use]
    pub fn key_id(&self) -> String {
        hex(&sha256(&self.spki))
    }

    /// SHA-256 of the PEM text, in hex: how a model's signature names its key.
    #[must_use]
    pub fn hint(&self) -> String {
        hex(&sha256(self.to_pem().as_bytes()))
    }

    /// Checks `signature` over `message`.
    ///
    /// # Errors
    /// `BadSignature` if it is not this key's.
    pub fn verify(&self, message: &[u8], signature: &[u8]) -> Result<(), AttestError> {
        let wrong = || AttestError::BadSignature(format!("it is not that of the key {}", self.key_id()));
        if signature.len() > SIGNATURE_BYTES_MAX {
            return Err(wrong());
        }
        UnparsedPublicKey::new(self.algorithm.verification(), &self.bytes).verify(message, signature).map_err(|_| wrong())
    }
}

/// DER as PEM.
#[must_use]
pub fn pem(label: &str, der: &[u8]) -> String {
    let text = STANDARD.encode(der);
    let mut lines = format!("-----BEGIN {label}-----\n");
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (line, more) = rest.split_at(rest.len().min(64));
        lines.push_str(line);
        lines.push('\n');
        rest = more;
    }
    lines.push_str(&format!("-----END {label}-----\n"));
    lines
}

/// What signs: a key in memory here, a hardware module elsewhere.
pub trait Signer {
    /// The signature over `message`: DER for ECDSA, 64 bytes for Ed25519.
    ///
    /// # Errors
    /// `Key` if the key cannot be used now.
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AttestError>;

    /// The public half.
    fn public_key(&self) -> &PublicKey;
}

/// An ECDSA key in memory.
pub struct EcdsaSigner {
    pair: EcdsaKeyPair,
    public: PublicKey,
}

impl EcdsaSigner {
    /// A new P-256 key, and its PKCS #8 to keep.
    ///
    /// # Errors
    /// `Key` if there is no randomness.
    pub fn generate() -> Result<(Self, Secret), AttestError> {
        let document = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_ASN1_SIGNING, &SystemRandom::new())
            .map_err(|_| AttestError::key("no key can be made: the machine gives no randomness"))?;
        let secret = Secret::new(document.as_ref().to_vec());
        Ok((Self::from_pkcs8(&secret)?, secret))
    }

    /// The key of a PKCS #8 document in DER: P-256, P-384 or P-521.
    ///
    /// # Errors
    /// `Key` if it is none of these.
    pub fn from_pkcs8(der: &Secret) -> Result<Self, AttestError> {
        let kinds = [
            (Algorithm::EcdsaP256Sha256, &ECDSA_P256_SHA256_ASN1_SIGNING),
            (Algorithm::EcdsaP384Sha384, &ECDSA_P384_SHA384_ASN1_SIGNING),
            (Algorithm::EcdsaP521Sha512, &ECDSA_P521_SHA512_ASN1_SIGNING),
        ];
        for (algorithm, kind) in kinds {
            if let Ok(pair) = EcdsaKeyPair::from_pkcs8(kind, der.expose()) {
                let public = PublicKey::from_bytes(algorithm, pair.public_key().as_ref())?;
                return Ok(Self { pair, public });
            }
        }
        Err(AttestError::key("this is not a private key in PKCS #8 of P-256, P-384 or P-521"))
    }

    /// The key of a PKCS #8 document in PEM.
    ///
    /// # Errors
    /// As [`Self::from_pkcs8`].
    pub fn from_pem(text: &Secret) -> Result<Self, AttestError> {
        let der = PrivatePkcs8KeyDer::from_pem_slice(text.expose())
            .map_err(|_| AttestError::key("this is not a private key in PEM (`-----BEGIN PRIVATE KEY-----`)"))?;
        Self::from_pkcs8(&Secret::new(der.secret_pkcs8_der().to_vec()))
    }

    /// The P-256 key of a seed of 32 random bytes: the number is SHA-256 over a label, a counter and the seed.
    ///
    /// # Errors
    /// `Key` if the seed is not 32 bytes long.
    pub fn from_seed(seed: &Secret) -> Result<Self, AttestError> {
        if seed.expose().len() != 32 {
            return Err(AttestError::key("the seed of a signing key has 32 bytes"));
        }
        for counter in 0..SEED_TRY_COUNT_MAX {
            let mut material = b"strongroom model signing key v1".to_vec();
            material.push(counter);
            material.extend_from_slice(seed.expose());
            let material = Secret::new(material);
            let number = Secret::new(sha256(material.expose()).to_vec());
            let der = Secret::new([&P256_PRIVATE_HEAD, number.expose(), &P256_PRIVATE_TAIL].concat());
            if let Ok(pair) = EcdsaKeyPair::from_private_key_der(&ECDSA_P256_SHA256_ASN1_SIGNING, der.expose()) {
                let public = PublicKey::from_bytes(Algorithm::EcdsaP256Sha256, pair.public_key().as_ref())?;
                return Ok(Self { pair, public });
            }
        }
        Err(AttestError::key("the seed gives no signing key; make a new one"))
    }
}

impl Signer for EcdsaSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AttestError> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        signature.map(|bytes| bytes.as_ref().to_vec()).map_err(|_| AttestError::key("the key does not sign: no randomness"))
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

/// An Ed25519 key in memory. It signs statements, not models.
pub struct Ed25519Signer {
    pair: Ed25519KeyPair,
    public: PublicKey,
}

impl Ed25519Signer {
    /// The key of a seed of 32 bytes.
    ///
    /// # Errors
    /// `Key` if the seed is not 32 bytes long.
    pub fn from_seed(seed: &Secret) -> Result<Self, AttestError> {
        let pair = Ed25519KeyPair::from_seed_unchecked(seed.expose());
        let pair = pair.map_err(|_| AttestError::key("an Ed25519 seed has 32 bytes"))?;
        let public = PublicKey::from_bytes(Algorithm::Ed25519, pair.public_key().as_ref())?;
        Ok(Self { pair, public })
    }
}

impl Signer for Ed25519Signer {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, AttestError> {
        Ok(self.pair.sign(message).as_ref().to_vec())
    }

    fn public_key(&self) -> &PublicKey {
        &self.public
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each kind of key signs, goes through PEM, and no other key and no other bytes are accepted.
    fn check(signer: &dyn Signer, algorithm: Algorithm) {
        let key = signer.public_key();
        assert_eq!(key.algorithm(), algorithm);
        let signature = signer.sign(b"hello").unwrap();
        let read = PublicKey::from_pem(&key.to_pem()).unwrap();
        assert_eq!(&read, key);
        read.verify(b"hello", &signature).unwrap();
        assert!(read.verify(b"hellO", &signature).is_err());
        for at in 0..signature.len() {
            let mut changed = signature.clone();
            changed[at] ^= 1;
            assert!(read.verify(b"hello", &changed).is_err(), "byte {at}");
        }
        let other = EcdsaSigner::from_seed(&Secret::new(vec![9; 32])).unwrap();
        assert!(other.public_key().verify(b"hello", &signature).is_err());
        assert!(read.verify(b"hello", &[0; 300]).is_err());
    }

    #[test]
    fn every_kind_of_key_signs_and_verifies() {
        let pkcs8 = |kind| Secret::new(EcdsaKeyPair::generate_pkcs8(kind, &SystemRandom::new()).unwrap().as_ref().to_vec());
        let p384 = EcdsaSigner::from_pkcs8(&pkcs8(&ECDSA_P384_SHA384_ASN1_SIGNING)).unwrap();
        let p521 = EcdsaSigner::from_pkcs8(&pkcs8(&ECDSA_P521_SHA512_ASN1_SIGNING)).unwrap();
        check(&EcdsaSigner::generate().unwrap().0, Algorithm::EcdsaP256Sha256);
        check(&p384, Algorithm::EcdsaP384Sha384);
        check(&p521, Algorithm::EcdsaP521Sha512);
        check(&Ed25519Signer::from_seed(&Secret::new(vec![7; 32])).unwrap(), Algorithm::Ed25519);
    }

    #[test]
    fn a_seed_gives_always_the_same_key() {
        let key = |byte: u8| EcdsaSigner::from_seed(&Secret::new(vec![byte; 32])).unwrap().public_key().key_id();
        assert_eq!(key(1), key(1));
        assert_ne!(key(1), key(2));
        assert!(EcdsaSigner::from_seed(&Secret::new(vec![1; 31])).is_err());
    }

    #[test]
    fn what_is_not_a_usable_key_is_refused() {
        let good = EcdsaSigner::from_seed(&Secret::new(vec![1; 32])).unwrap().public_key().clone();
        let mut compressed = good.spki().to_vec();
        let head = compressed.len() - 65;
        compressed[head] = 2;
        for bad in [&b""[..], b"-----BEGIN PUBLIC KEY-----", &good.spki()[..20], &compressed, &vec![0; KEY_BYTES_MAX + 1]] {
            assert!(PublicKey::from_spki(bad).is_err());
        }
        assert!(PublicKey::from_pem("").is_err());
        assert!(PublicKey::from_pem(&good.to_pem().replace("PUBLIC", "PRIVATE")).is_err());
        assert!(EcdsaSigner::from_pkcs8(&Secret::new(vec![0; 100])).is_err());
    }
}
