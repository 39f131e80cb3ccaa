//! Public areas of keys (`TPM2B_PUBLIC`, TPM 2.0 part 2, section 12.2.5).

use aws_lc_rs::encoding::{AsDer, PublicKeyX509Der};
use aws_lc_rs::rsa::PublicKeyComponents;
use kernel::sha256;

use super::TpmError;
use super::reader::Reader;

/// A public area of ours has less than 400 bytes.
pub const PUBLIC_BYTES_MAX: usize = 1_024;

const RSA: u16 = 0x0001;
const ECC: u16 = 0x0023;
const SHA256: u16 = 0x000b;
const NULL: u16 = 0x0010;
const AES: u16 = 0x0006;
const CFB: u16 = 0x0043;
const ECDSA: u16 = 0x0018;
const P256: u16 = 0x0003;
const AES_KEY_BITS: u16 = 128;
/// What an exponent of 0 stands for.
const RSA_EXPONENT: u32 = 65_537;

/// Attributes (`TPMA_OBJECT`, section 8.3).
const FIXED_TPM: u32 = 1 << 1;
const FIXED_PARENT: u32 = 1 << 4;
const SENSITIVE_DATA_ORIGIN: u32 = 1 << 5;
const RESTRICTED: u32 = 1 << 16;
const DECRYPT: u32 = 1 << 17;
const SIGN: u32 = 1 << 18;

/// What precedes a point of P-256 in a SubjectPublicKeyInfo (RFC 5480).
const P256_SPKI: [u8; 26] =
    [0x30, 0x59, 0x30, 0x13, 6, 7, 0x2a, 0x86, 0x48, 0xce, 0x3d, 2, 1, 6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7, 3, 0x42, 0];

/// A key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Key {
    /// RSA.
    Rsa {
        /// The modulus, big-endian.
        modulus: Vec<u8>,
        /// The exponent.
        exponent: u32,
    },
    /// A point of P-256, uncompressed: 65 bytes.
    P256(Vec<u8>),
}

/// A public area.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Public {
    /// The key.
    pub key: Key,
    /// The name of the object (part 1, section 16): its name algorithm, and the digest of its public area.
    pub name: Vec<u8>,
    attributes: u32,
    /// The cipher that protects what is below it: AES-128 in CFB, or none.
    has_cipher: bool,
    /// Whether it signs by ECDSA with SHA-256 and in no other way.
    signs_by_ecdsa: bool,
}

impl Public {
    /// Reads a `TPM2B_PUBLIC`.
    ///
    /// # Errors
    /// If it is none, or of a kind that is not used here.
    pub fn read(bytes: &[u8]) -> Result<Self, TpmError> {
        if bytes.len() > PUBLIC_BYTES_MAX {
            return Err(TpmError("a public area is too long"));
        }
        let mut outer = Reader(bytes);
        let area = outer.sized()?;
        outer.end()?;
        let mut reader = Reader(area);
        let kind = reader.u16()?;
        if reader.u16()? != SHA256 {
            return Err(TpmError("a key's name is not made with SHA-256"));
        }
        let attributes = reader.u32()?;
        reader.sized()?;
        let has_cipher = cipher(&mut reader)?;
        let scheme = reader.u16()?;
        let scheme_hash = if scheme == NULL { None } else { Some(reader.u16()?) };
        let key = match kind {
            RSA => {
                reader.u16()?;
                let exponent = reader.u32()?;
                let modulus = reader.sized()?.to_vec();
                Key::Rsa { modulus, exponent: if exponent == 0 { RSA_EXPONENT } else { exponent } }
            }
            ECC => {
                if reader.u16()? != P256 {
                    return Err(TpmError("a key is not of the curve P-256"));
                }
                if reader.u16()? != NULL {
                    return Err(TpmError("a key has a derivation of its own"));
                }
                Key::P256(point(reader.sized()?, reader.sized()?)?)
            }
            _ => return Err(TpmError("a key is neither RSA nor of an elliptic curve")),
        };
        reader.end()?;
        let name = [&SHA256.to_be_bytes(), sha256(area).as_slice()].concat();
        let signs_by_ecdsa = kind == ECC && scheme == ECDSA && scheme_hash == Some(SHA256);
        Ok(Self { key, name, attributes, has_cipher, signs_by_ecdsa })
    }

    const fn is(&self, wanted: u32, unwanted: u32) -> bool {
        self.attributes & wanted == wanted && self.attributes & unwanted == 0
    }

    /// An endorsement key: it opens credentials for this TPM, and does nothing else.
    ///
    /// # Errors
    /// If it is none.
    pub fn as_endorsement_key(&self) -> Result<&Key, TpmError> {
        if self.is(FIXED_TPM | FIXED_PARENT | RESTRICTED | DECRYPT, SIGN) && self.has_cipher {
            Ok(&self.key)
        } else {
            Err(TpmError("the endorsement key is not a storage key that is fixed to its TPM"))
        }
    }

    /// An attestation key: it signs what its TPM says, and nothing that anybody brings.
    ///
    /// # Errors
    /// If it is none.
    pub fn as_attestation_key(&self) -> Result<&[u8], TpmError> {
        match &self.key {
            Key::P256(point)
                if self.signs_by_ecdsa
                    && self.is(FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | RESTRICTED | SIGN, DECRYPT) =>
            {
                Ok(point)
            }
            _ => Err(TpmError("the attestation key is not a restricted P-256 signing key that its TPM made")),
        }
    }

    /// A key of a device: its TPM made it, and it never leaves.
    ///
    /// # Errors
    /// If it is none.
    pub fn as_device_key(&self) -> Result<&[u8], TpmError> {
        match &self.key {
            Key::P256(point) if self.is(FIXED_TPM | FIXED_PARENT | SENSITIVE_DATA_ORIGIN | SIGN, RESTRICTED | DECRYPT) => {
                Ok(point)
            }
            _ => Err(TpmError("the device's key is not a P-256 signing key that its TPM made and holds")),
        }
    }
}

impl Key {
    /// As certificates have it (SubjectPublicKeyInfo), in DER.
    ///
    /// # Errors
    /// If it is no key.
    pub fn to_spki(&self) -> Result<Vec<u8>, TpmError> {
        match self {
            Self::P256(point) => Ok([P256_SPKI.as_slice(), point].concat()),
            Self::Rsa { modulus, exponent } => {
                let exponent: Vec<u8> = exponent.to_be_bytes().into_iter().skip_while(|byte| *byte == 0).collect();
                let components = PublicKeyComponents { n: modulus.as_slice(), e: exponent.as_slice() };
                let der: PublicKeyX509Der<'_> = components.as_der().map_err(|_| TpmError("the endorsement key is no RSA key"))?;
                Ok(der.as_ref().to_vec())
            }
        }
    }
}

fn cipher(reader: &mut Reader<'_>) -> Result<bool, TpmError> {
    match reader.u16()? {
        NULL => Ok(false),
        AES => {
            let (bits, mode) = (reader.u16()?, reader.u16()?);
            if bits == AES_KEY_BITS && mode == CFB { Ok(true) } else { Err(TpmError("a key's cipher is not AES-128 in CFB")) }
        }
        _ => Err(TpmError("a key's cipher is not AES")),
    }
}

/// An uncompressed point of its coordinates, which may come without leading zeros.
fn point(x: &[u8], y: &[u8]) -> Result<Vec<u8>, TpmError> {
    let mut point = vec![4_u8];
    for coordinate in [x, y] {
        let missing = 32_usize.checked_sub(coordinate.len()).ok_or(TpmError("a coordinate is too long"))?;
        point.extend(std::iter::repeat_n(0, missing));
        point.extend_from_slice(coordinate);
    }
    Ok(point)
}
